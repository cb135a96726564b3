"""A run that was interrupted and killed ends with the same bytes as one that was not.

One run does it all: on one core instead of two, stopped with Ctrl-C while maps are simulated,
killed while a network trains, and then left to finish.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkouts import (
    PATIENCE_SECONDS,
    SMOKE_ALONE,
    Checkout,
    Ended,
    jobs_of,
    new_checkout,
    wait_until,
)

pytestmark = pytest.mark.faults

# A checkpoint after every step, so that there is one whenever the training is killed.
OPTIONS = ("--cores", "1", *SMOKE_ALONE, "network={checkpoint_every_seconds: 0.01}")


@dataclass(frozen=True)
class Journey:
    """What was seen on the way.

    Attributes
    ----------
    stopped, killed, finished : how each run ended.
    after_stop, after_kill : files under results by then.
    again : jobs of the last run.

    """

    checkout: Checkout
    stopped: Ended
    after_stop: list[Path]
    killed: Ended
    after_kill: list[Path]
    finished: Ended
    again: Counter[str]


def run_until(
    checkout: Checkout, number: signal.Signals, reached: Callable[[], bool], log: Path
) -> Ended:
    """Run until ``reached``, then send a signal to all processes of the run, as a terminal does."""
    with checkout.running(log, *OPTIONS) as run:
        wait_until(reached, run, log)
        os.killpg(run.pid, number)
        run.wait(PATIENCE_SECONDS)
    return Ended(run.returncode, log.read_text())


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("interrupted")
    checkout = new_checkout(folder / "repository")
    results = checkout.root / "results"

    def simulating() -> bool:
        # Maps are being written to a scratch file.
        return any(path.stat().st_size > 0 for path in results.glob("maps/*/.batch_*.h5"))

    def training() -> bool:
        logs = results.glob("smoke/logs/train_*.log")
        saved = any(results.glob(".training/*/checkpoint.msgpack"))
        return saved and any("train n" in log.read_text() for log in logs)

    stopped = run_until(checkout, signal.SIGINT, simulating, folder / "stopped.log")
    after_stop = checkout.results()
    killed = run_until(checkout, signal.SIGKILL, training, folder / "killed.log")
    after_kill = checkout.results()
    finished = checkout.run(*OPTIONS)
    return Journey(
        checkout,
        stopped,
        after_stop,
        killed,
        after_kill,
        finished,
        jobs_of(finished.text),
    )


def test_ctrl_c_stops_the_run_and_leaves_nothing_half_written(journey: Journey) -> None:
    assert journey.stopped.status != 0
    assert "Traceback" not in journey.stopped.text
    assert "interrupted" in journey.stopped.text
    assert not [path for path in journey.after_stop if path.name.startswith("batch_")]
    assert not [path for path in journey.after_stop if path.name.startswith(".")]


def test_the_same_command_goes_on_after_a_kill(journey: Journey) -> None:
    assert journey.killed.status == -signal.SIGKILL
    assert "an earlier run was killed; going on" in journey.finished.text


def test_nothing_that_was_finished_is_made_again(journey: Journey) -> None:
    assert journey.finished.status == 0, journey.finished.text
    assert any(path.suffix == ".h5" for path in journey.after_kill)
    assert "simulate_maps" not in journey.again
    # A job that ended has its measured time; which ones had by then depends on the order.
    ended = {path.stem for path in journey.after_kill if path.suffix == ".tsv"}
    assert ended, "no job had ended before the kill"
    assert not ended & set(journey.again)


def test_training_goes_on_from_its_checkpoint(journey: Journey) -> None:
    assert journey.again["train_network"] >= 1
    # The line before the first step: a count without a pace.
    starts = re.findall(r"^train n.*: (\d+)/\d+$", journey.finished.text, re.MULTILINE)
    assert any(int(start) > 0 for start in starts), starts


def test_the_scratch_folder_is_empty_in_the_end(journey: Journey) -> None:
    assert not list((journey.checkout.root / "results/.training").glob("*"))


def test_every_result_has_the_bytes_of_the_uninterrupted_run(
    journey: Journey, finished: Checkout
) -> None:
    """On one core and on two, interrupted or not: tables, figures, arrays and the paper."""
    theirs, ours = finished.checksums(), journey.checkout.checksums()
    assert {path.suffix for path in theirs} >= {
        ".csv",
        ".tex",
        ".png",
        ".pdf",
        ".npz",
        ".nc",
        ".h5",
    }
    assert set(theirs) == set(ours)
    assert not [str(path) for path in theirs if theirs[path] != ours[path]]

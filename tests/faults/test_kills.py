"""A run that was stopped and killed again and again ends with the bytes of one that was left alone.

One run does it all: on one core instead of two, stopped with Ctrl-C while maps are simulated, all
its processes killed while a network trains, then twenty kills at moments drawn beforehand: each
time a job or Snakemake itself is killed (SIGKILL), and the same command is given again at once, so
that jobs of a killed Snakemake are still running then.
"""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import flax.serialization
import psutil
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

KILLS = 20
SEED = 20260704
# A checkpoint after every step, so that there is one whenever a training is killed.
OPTIONS = ("--cores", "1", *SMOKE_ALONE, "network={checkpoint_every_seconds: 0.01}")


@dataclass
class Journey:
    """What was seen on the way.

    Attributes
    ----------
    stopped, killed : how the run that was stopped and the one that was killed whole ended.
    after_stop, after_kill : files under results by then.
    victims : what was killed each time after that.
    logs : what each run since then printed; the last one was left to finish.
    status : how the last run ended.

    """

    checkout: Checkout
    stopped: Ended
    after_stop: list[Path]
    killed: Ended
    after_kill: list[Path]
    victims: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    status: int = 0

    @property
    def again(self) -> Counter[str]:
        """Jobs that the run after the first kill planned."""
        return jobs_of(self.logs[0])


def run_until(
    checkout: Checkout, number: signal.Signals, reached: Callable[[], bool], log: Path
) -> Ended:
    """Run until ``reached``, then send a signal to all processes of the run, as a terminal does."""
    with checkout.running(log, *OPTIONS) as run:
        wait_until(reached, run, log)
        os.killpg(run.pid, number)
        run.wait(PATIENCE_SECONDS)
    return Ended(run.returncode, log.read_text())


def jobs_done(checkout: Checkout) -> int:
    """Jobs that have ended at least once."""
    return len(list((checkout.root / "results").rglob("*.timing.json")))


def scripts_of(run: int) -> list[psutil.Process]:
    """Processes of jobs that run under one Snakemake."""
    found = []
    for process in psutil.Process(run).children(recursive=True):
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        # Python itself, not the shell around it.
        if any(re.fullmatch(r"\S+/scripts/\S+\.py", word) for word in command):
            found.append(process)
    return found


def checkpoints(checkout: Checkout) -> dict[str, int]:
    """Step of the checkpoint of each network in training, by the folder's name."""
    steps = {}
    for file in (checkout.root / "results/.training").glob("*/checkpoint.msgpack"):
        content = flax.serialization.msgpack_restore(file.read_bytes())
        steps[file.parent.name.rsplit("-", 1)[0]] = len(content["losses"])
    return steps


def at_work(checkout: Checkout) -> bool:
    """Whether a job of the run has begun its work: it can tell of itself by then."""
    return any((checkout.root / "results/.kappascope/jobs").glob("*.json"))


def kill_one(run: psutil.Process, victim: str, choose: random.Random, ready: bool) -> bool:
    """Kill Snakemake or one of its jobs; False where there is none, or none that is ready."""
    if victim == "snakemake":
        run.kill()
        return True
    scripts = scripts_of(run.pid)
    if not scripts or not ready:
        return False
    choose.choice(scripts).kill()
    return True


def start(checkout: Checkout, log: Path) -> psutil.Popen:
    """Start a run whose processes outlive its own death."""
    with open(log, "w", encoding="utf-8") as out:
        return psutil.Popen(
            checkout.command(*OPTIONS),
            cwd=checkout.root,
            env=checkout.environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def stopped_and_killed(checkout: Checkout, folder: Path) -> Journey:
    """Stop one run while maps are simulated, kill the next one while a network trains."""
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
    return Journey(checkout, stopped, after_stop, killed, checkout.results())


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("killed")
    checkout = new_checkout(folder / "repository")
    dry = checkout.run("--dry-run", *OPTIONS)
    seen = stopped_and_killed(checkout, folder)
    draw = random.Random(SEED)
    still = range(jobs_done(checkout), sum(jobs_of(dry.text).values()) - 3)
    for number, moment in enumerate(sorted(draw.sample(still, KILLS))):
        log = folder / f"{number}.log"
        victim, delay = draw.choice(["snakemake", "job"]), draw.uniform(0.0, 2.0)
        run = start(checkout, log)
        wait_until(
            lambda moment=moment, run=run: (
                jobs_done(checkout) >= moment and bool(scripts_of(run.pid))
            ),
            run,
            log,
        )
        time.sleep(delay)
        # Every other job while it works, others as it comes: mostly while Python starts.
        wait_until(
            lambda run=run, victim=victim, any_moment=number % 2 == 0: kill_one(
                psutil.Process(run.pid), victim, draw, any_moment or at_work(checkout)
            ),
            run,
            log,
        )
        run.wait(120)
        seen.victims.append(victim)
        seen.logs.append(log.read_text())
        expected = -signal.SIGKILL if victim == "snakemake" else 1
        assert run.returncode == expected, log.read_text()
    ended = checkout.run(*OPTIONS)
    seen.logs.append(ended.text)
    seen.status = ended.status
    return seen


def test_ctrl_c_stops_the_run_and_leaves_nothing_half_written(journey: Journey) -> None:
    assert journey.stopped.status != 0
    assert "Traceback" not in journey.stopped.text
    assert "interrupted" in journey.stopped.text
    assert not [path for path in journey.after_stop if path.name.startswith("batch_")]
    assert not [path for path in journey.after_stop if path.name.startswith(".")]


def test_the_same_command_goes_on_after_a_kill(journey: Journey) -> None:
    assert journey.killed.status == -signal.SIGKILL
    assert "an earlier run was killed; going on" in journey.logs[0]


def test_nothing_that_was_finished_is_made_again(journey: Journey) -> None:
    assert any(path.suffix == ".h5" for path in journey.after_kill)
    assert "simulate_maps" not in journey.again
    # A job that ended has its measured time; which ones had by then depends on the order.
    ended = {path.stem for path in journey.after_kill if path.suffix == ".tsv"}
    assert ended, "no job had ended before the kill"
    assert not ended & set(journey.again)


def test_training_goes_on_from_its_checkpoint(journey: Journey) -> None:
    assert journey.again["train_network"] >= 1
    # The line before the first step: a count without a pace.
    starts = re.findall(r"^train n.*: (\d+)/\d+$", "\n".join(journey.logs), re.MULTILINE)
    assert any(int(start) > 0 for start in starts), starts


def test_every_kill_is_recovered_by_the_same_command(journey: Journey) -> None:
    assert len(journey.victims) == KILLS
    assert {*journey.victims} == {"job", "snakemake"}
    assert journey.status == 0, journey.logs[-1]
    assert not [text for text in journey.logs if "Traceback" in text]


def test_a_killed_job_is_told_of_and_orphans_are_ended(journey: Journey) -> None:
    for victim, text, after in zip(journey.victims, journey.logs, journey.logs[1:], strict=False):
        if victim == "job":
            # A job that is killed while Python starts up is told of by Snakemake alone.
            ours, snakemakes = r"kappascope: error in rule \w+: its process was killed", "SIGKILL"
            assert re.search(f"{ours}|died with <Signals.{snakemakes}", text), text
        else:
            assert "an earlier run was killed; going on" in after, after
    told = [text for text in journey.logs if "its process was killed" in text]
    assert told
    ended = [text for text in journey.logs if "processes of an earlier run" in text]
    assert len(ended) >= KILLS // 5


def test_the_scratch_folder_is_empty_in_the_end(journey: Journey) -> None:
    assert not list((journey.checkout.root / "results/.training").glob("*"))


def test_every_result_has_the_bytes_of_the_uninterrupted_run(
    journey: Journey, finished: Checkout
) -> None:
    """On one core and on two, interrupted or not: tables, figures, arrays and the paper."""
    theirs, ours = finished.checksums(), journey.checkout.checksums()
    kinds = {".csv", ".tex", ".png", ".pdf", ".npz", ".nc", ".h5"}
    assert {path.suffix for path in theirs} >= kinds
    assert set(theirs) == set(ours)
    assert not [str(path) for path in theirs if theirs[path] != ours[path]]


def test_no_step_of_training_is_lost_beyond_the_last_checkpoint(
    rerun: Checkout, tmp_path: Path
) -> None:
    target = "results/smoke/networks/noiseless/0/network.npz"
    options = ("--cores", "1", *SMOKE_ALONE, "network={checkpoint_every_seconds: 0.2, epochs: 20}")
    reached = 0
    for attempt in range(3):
        log = tmp_path / f"{attempt}.log"

        def saved(least: int = reached + 20) -> bool:
            return checkpoints(rerun).get("noiseless-0", 0) >= least

        with rerun.running(log, target, *options) as run:
            wait_until(saved, run, log)
            for script in scripts_of(run.pid):
                script.kill()
            run.wait(120)
        first = re.search(r"^train noiseless 0: (\d+)/", log.read_text(), flags=re.M)
        assert first and int(first[1]) == reached, (reached, log.read_text())
        reached = checkpoints(rerun)["noiseless-0"]
    ended = rerun.run(target, *options)
    first = re.search(r"^train noiseless 0: (\d+)/", ended.text, flags=re.M)
    assert ended.status == 0 and first and int(first[1]) == reached >= 60, ended.text

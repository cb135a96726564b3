"""Twenty kills at random moments, and the bytes of a run that nothing happened to.

Each time, at a moment drawn beforehand, a job or Snakemake itself is killed (SIGKILL), and the same
command is given again at once: jobs of a killed Snakemake are still running then.
"""

import random
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import flax.serialization
import psutil
import pytest
from checkouts import SMOKE_ALONE, Checkout, jobs_of, new_checkout, wait_until

pytestmark = pytest.mark.faults

KILLS = 20
SEED = 20260704
OPTIONS = ("--cores", "2", *SMOKE_ALONE, "network={checkpoint_every_seconds: 1}")


@dataclass
class Journey:
    """What was seen on the way.

    Attributes
    ----------
    victims : what was killed each time.
    logs : what each run printed; the last one was left to finish.
    status : how the last run ended.

    """

    checkout: Checkout
    victims: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    status: int = 0


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


def kill_one(run: psutil.Process, victim: str, choose: random.Random) -> bool:
    """Kill Snakemake or one of its jobs; False where there is no job at this moment."""
    if victim == "snakemake":
        run.kill()
        return True
    scripts = scripts_of(run.pid)
    if not scripts:
        return False
    choose.choice(scripts).kill()
    return True


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("killed")
    seen = Journey(new_checkout(folder / "repository"))
    checkout = seen.checkout
    draw = random.Random(SEED)
    dry = checkout.run("--dry-run", *OPTIONS)
    moments = sorted(draw.sample(range(sum(jobs_of(dry.text).values()) - 3), KILLS))
    for number, moment in enumerate(moments):
        log = folder / f"{number}.log"
        victim, delay = draw.choice(["snakemake", "job"]), draw.uniform(0.0, 2.0)
        with_orphans = victim == "snakemake"
        run = start(checkout, log)
        wait_until(
            lambda moment=moment, run=run: (
                jobs_done(checkout) >= moment and bool(scripts_of(run.pid))
            ),
            run,
            log,
        )
        time.sleep(delay)
        wait_until(
            lambda run=run, victim=victim: kill_one(psutil.Process(run.pid), victim, draw),
            run,
            log,
        )
        run.wait(120)
        seen.victims.append(victim)
        seen.logs.append(log.read_text())
        assert run.returncode == (-signal.SIGKILL if with_orphans else 1), log.read_text()
    ended = checkout.run(*OPTIONS)
    seen.logs.append(ended.text)
    seen.status = ended.status
    return seen


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


def test_every_kill_is_recovered_by_the_same_command(journey: Journey) -> None:
    assert len(journey.victims) == KILLS
    assert {*journey.victims} == {"job", "snakemake"}
    assert journey.status == 0, journey.logs[-1]
    assert not [text for text in journey.logs if "Traceback" in text]


def test_the_bytes_are_those_of_an_undisturbed_run(journey: Journey, finished: Checkout) -> None:
    theirs, ours = finished.checksums(), journey.checkout.checksums()
    assert set(theirs) == set(ours)
    assert not [str(path) for path in theirs if theirs[path] != ours[path]]


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

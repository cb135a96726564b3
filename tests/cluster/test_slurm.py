"""The workflow on a real scheduler: the bytes of a local run, and jobs that come back."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from checkouts import SMOKE_ALONE, Checkout, Ended, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("slurm")]

# No accounting to ask here, and no network file system to wait for.
SLURM = (
    *("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"),
    *("--seconds-between-status-checks", "2"),
)
GENERIC = (
    *("--workflow-profile", "profiles/cluster-generic", "--latency-wait", "10"),
    *("--seconds-between-status-checks", "2"),
)
PROFILES = {"slurm": SLURM, "cluster-generic": GENERIC}


def jobs(checkout: Checkout, fields: str, *more: str) -> list[list[str]]:
    """Fields of the jobs that runs in a checkout gave to Slurm, oldest first."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--sort=i", f"--format={fields}|%Z", *more],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.strip().split("|") for line in listed.splitlines()]
    return [row[:-1] for row in rows if row[-1] == str(checkout.root)]


def stop_where_they_are(checkout: Checkout) -> None:
    """Stop the processes of jobs, so that however slow the machine is they do not end by then."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(checkout.root):
                process.suspend()


def assert_whole(ended: Ended) -> None:
    assert ended.status == 0, ended.text
    assert "Traceback" not in ended.text


TARGETS = ("matilla2020_table1", "matilla2020_fig1", "matilla2020_correlations", "wilde2022_recall")
"""Maps, images, statistics, networks of two kinds, tables and a figure."""


def test_a_run_of_two_chapters_gives_the_bytes_of_a_local_run(
    fresh: Checkout, finished: Checkout
) -> None:
    started = time.monotonic()
    ended = fresh.run(*TARGETS, *SLURM, *SMOKE_ALONE)
    print(f"\n{' '.join(TARGETS)} through Slurm: {time.monotonic() - started:.0f} s")
    assert_whole(ended)
    theirs, ours = finished.checksums(), fresh.checksums()
    assert {".h5", ".nc", ".npz", ".csv", ".tex", ".pdf", ".png"} <= {path.suffix for path in ours}
    assert set(ours) <= set(theirs)
    assert not [str(path) for path in ours if theirs[path] != ours[path]]
    # What takes a second is not worth a place in the queue.
    submitted = jobs(fresh, "%T|%m|%l|%C")
    assert 10 < len(submitted) < 25
    for state, memory, limit, cores in submitted:
        assert state == "COMPLETED"
        assert memory.endswith(("M", "G")) and limit not in ("", "UNLIMITED") and cores == "1"


def test_a_job_over_its_memory_comes_back_with_twice_of_it(fresh: Checkout) -> None:
    ended = fresh.run("maps", *SLURM, *SMOKE_ALONE, "cluster={memory_factor: 0.3}")
    assert_whole(ended)
    memory = [int(re.sub(r"\D", "", row[0])) for row in jobs(fresh, "%m|%T")]
    states = [row[1] for row in jobs(fresh, "%m|%T")]
    assert "Trying to restart job" in ended.text
    assert max(memory) >= 2 * min(memory)
    assert states.count("COMPLETED") >= 2 and len(states) > states.count("COMPLETED")


def test_a_job_over_its_time_comes_back_with_more_and_loses_no_work(
    rerun: Checkout, tmp_path: Path
) -> None:
    # The shortest limit there is, one minute; the training stands still until it is over.
    options = (
        *(*SLURM, "--retries", "8", *SMOKE_ALONE, "cluster={time_factor: 0.1}"),
        "network={epochs: 12, checkpoint_every_seconds: 0.1}",
    )
    log = tmp_path / "run.log"

    def saved() -> bool:
        return any((rerun.root / "results/.training").glob("noiseless-0-*/checkpoint.msgpack"))

    with rerun.running(log, "results/smoke/networks/noiseless/0/network.npz", *options) as run:
        wait_until(saved, run, log)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                script = any("train_network" in word for word in process.cmdline())
                if script and process.cwd() == str(rerun.root):
                    process.suspend()
        assert run.wait(900) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    attempts = jobs(rerun, "%l|%T")
    assert [limit for limit, _ in attempts][:2] == ["1:00", "2:00"]
    assert attempts[0][1] == "TIMEOUT" and attempts[-1][1] == "COMPLETED"
    log_of_job = (rerun.root / "results/smoke/logs/train_noiseless_0.log").read_text()
    first = re.search(r"^train noiseless 0: (\d+)/", log_of_job, flags=re.M)
    assert first and int(first[1]) > 0, log_of_job


@pytest.mark.parametrize("profile", PROFILES)
def test_jobs_of_a_killed_run_are_cancelled_before_they_write_again(
    fresh: Checkout, finished: Checkout, tmp_path: Path, profile: str
) -> None:
    options = ("maps", *PROFILES[profile], *SMOKE_ALONE)
    log = tmp_path / "killed.log"

    def started() -> bool:
        return any(state == "RUNNING" for (state,) in jobs(fresh, "%T"))

    with fresh.running(log, *options) as run:
        wait_until(lambda: started() and any(fresh.root.glob("results/maps/*/*.log")), run, log)
        os.kill(run.pid, signal.SIGKILL)
        run.wait(60)
        stop_where_they_are(fresh)
        orphans = [number for number, state in jobs(fresh, "%i|%T") if state == "RUNNING"]
        assert orphans
        ended = fresh.run(*options)
    assert_whole(ended)
    told = re.search(r"cancelling (\d+) Slurm jobs of an earlier run: (.*)", ended.text)
    assert told and set(orphans) <= set(told[2].split()), ended.text
    states = dict(jobs(fresh, "%i|%T"))
    assert {states[number] for number in orphans} == {"CANCELLED"}
    ours = fresh.checksums()
    assert ours and all(finished.checksums()[path] == value for path, value in ours.items())


def test_another_scheduler_by_its_commands(rerun: Checkout, finished: Checkout) -> None:
    for path in (rerun.root / "results/smoke/statistics").glob("*.nc"):
        path.unlink()
    ended = rerun.run("statistics", *GENERIC, *SMOKE_ALONE)
    assert_whole(ended)
    assert [state for (state,) in jobs(rerun, "%T")] == ["COMPLETED"] * 2
    assert rerun.checksums() == finished.checksums()

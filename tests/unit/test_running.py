"""One run a folder, and what an earlier one left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kappascope.errors import InputError
from kappascope.workflow import integrity, running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    while running._held:
        running._held.pop().close()


def other_process(statement: str) -> subprocess.CompletedProcess[str]:
    code = f"from kappascope.workflow import running\n{statement}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_folder_is_held_by_one_process_and_free_when_that_ends() -> None:
    running.claim()
    refused = other_process("running.claim()")
    assert refused.returncode != 0
    assert f"process {os.getpid()} on" in refused.stderr and "copy of the folder" in refused.stderr
    running._held.pop().close()
    assert other_process("running.claim()").returncode == 0
    running.claim()


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "results").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"results.*cannot write here"):
        running.claim()


def test_locks_of_a_run_that_is_gone_are_removed(folder: Path) -> None:
    lock = folder / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a.csv\n")
    note = folder / ".snakemake/incomplete/cmVz"
    note.parent.mkdir()
    note.write_text('{"external_jobid": "17"}')
    assert not running.unlock()  # without the claim another run may be alive
    assert lock.exists()
    running.claim()
    assert running.unlock()
    assert not lock.exists()
    assert json.loads(note.read_text()) == {"external_jobid": None}
    assert not running.unlock()


def test_processes_of_an_earlier_run_are_ended_and_no_others(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine = {**os.environ, running.FOLDER_VARIABLE: str(folder)}
    orphan = subprocess.Popen(sleep, env=mine)
    other = subprocess.Popen(sleep, env={**mine, running.FOLDER_VARIABLE: "/elsewhere"})
    try:
        running.end_orphans()
        assert orphan.poll() is None  # without the claim nothing is an orphan
        running.claim()
        running.end_orphans()
        assert not psutil.pid_exists(orphan.pid) and other.poll() is None
        assert "ending 1 processes of an earlier run" in capfd.readouterr().err
    finally:
        for process in (orphan, other):
            process.kill()
            process.wait()


QUEUE = """#!/bin/sh
[ -e {folder}/cancelled ] || cat {folder}/queue
"""


def test_slurm_jobs_of_an_earlier_run_are_cancelled_and_no_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = folder / "bin"
    commands.mkdir()
    (commands / "squeue").write_text(QUEUE.format(folder=folder))
    (commands / "scancel").write_text(f'#!/bin/sh\necho "$@" > {folder}/cancelled\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    rows = [
        f"11|kappascope_1b9d6bcd|{folder}",
        f"12|kappascope_train_network|{folder}",
        f"13|kappascope_1b9d6bcd|{folder}/copy",
        f"14|something_else|{folder}",
        f"15|kappascope_1b9d6bcd|{folder}",
    ]
    (folder / "queue").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("PATH", str(commands), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "15")  # Snakemake itself may be a job
    running.claim()
    running.end_orphans()
    assert (folder / "cancelled").read_text().split() == ["11", "12"]
    assert "cancelling 2 Slurm jobs of an earlier run: 11 12" in capfd.readouterr().err


def test_scratch_files_go_and_all_else_stays(folder: Path) -> None:
    running.claim()
    scratch = [
        "results/run/.table.x1y2_z3w.csv",
        "results/.training/n-0/.checkpoint.abcdefgh.msgpack",
    ]
    kept = [
        "results/run/table.csv",
        "results/.training/n-0/checkpoint.msgpack",
        "results/.compiled/.a.abcdefgh",
    ]
    for name in [*scratch, *kept]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    running.clear_scratch()
    assert [name for name in [*scratch, *kept] if (folder / name).exists()] == kept


def test_scratch_files_are_named_as_they_are_cleared(folder: Path) -> None:
    from kappascope.files import atomic_path

    running.claim()
    for name in ("results/run/fig1.pdf", "results/maps/batch_0.h5", "results/run/config.yaml"):
        with atomic_path(name) as scratch:
            assert scratch.is_file()
            running.clear_scratch()
            assert not scratch.exists()
            scratch.write_text("x")


def test_results_from_the_future_come_to_the_present(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = folder / "results/a.csv", folder / "results/run/b.csv"
    for path, ahead in ((first, 3600), (second, -3600)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (time.time() + ahead,) * 2)
    old = second.stat().st_mtime_ns
    running.settle_times()
    assert abs(first.stat().st_mtime - time.time()) < 30
    assert second.stat().st_mtime_ns == old
    assert "1 results bear times ahead" in capfd.readouterr().err
    running.settle_times()
    assert capfd.readouterr().err == ""


def test_users_files_from_the_future_are_named_and_left(folder: Path) -> None:
    own = folder / "map.fits"
    own.write_text("x")
    os.utime(own, (time.time() + 5400,) * 2)
    old = own.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"map\.fits: bears a time 1\.5 hours ahead"):
        running.settle_times([own])
    assert own.stat().st_mtime_ns == old


def test_a_job_that_ended_without_a_word_is_told_of(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = running.note_job(Path("results/run/logs/first.log"), "first", 100)
    running.note_job(Path("results/run/logs/second.log"), "second", 2500)
    ended.unlink()
    running.tell_killed()
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("kappascope: error in rule second: its process was killed")
    assert "asks for 2500 MB" in told[0] and "results/run/logs/second.log" in told[0]
    running.tell_killed()
    assert capfd.readouterr().err == ""


def test_nothing_is_repaired_where_nothing_is_damaged(folder: Path) -> None:
    table = folder / "results/run/table.csv"
    table.parent.mkdir(parents=True)
    table.write_text("x")
    integrity.record([Path("results/run/table.csv")])
    running.repair(["results/run"], ["--no-such-option"], [])
    assert table.read_text() == "x"

"""One run a folder: who holds it, what a killed run left behind, and what time it is.

A run claims its folder with a lock that the system drops when its process ends, however it ends.
So a run that gets the claim knows that no other is alive: what locks, processes or Slurm jobs of
an earlier one it finds are orphans, and it ends them before it writes anything. On the way it
brings the times of files in order where the clock was set back, and has damaged results made anew.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from kappascope.errors import InputError
from kappascope.files import failure_told, write_json
from kappascope.workflow import integrity
from kappascope.workflow.integrity import RESULTS, STATE

FOLDER_VARIABLE = "KAPPASCOPE_FOLDER"
"""Environment variable in which a run's processes carry the folder they work in."""

REPAIR_VARIABLE = "KAPPASCOPE_REPAIRING"
JOB_NAME = "kappascope"
"""How names of the run's jobs in a queue begin (profiles/)."""

_CLAIM = STATE / "claim"
_JOBS = STATE / "jobs"
_PATIENCE_SECONDS = 10.0
_CLOCK_TOLERANCE = 2.0  # seconds by which a file server's clock may be ahead
_held: list[Any] = []  # the claim lasts as long as the process that holds the open file


def tell(text: str) -> None:
    """Say something about the run to the user, in one line."""
    print(f"kappascope: {text}", file=sys.stderr, flush=True)


def start(folders: Sequence[str], command: Sequence[str], targets: Sequence[str]) -> None:
    """Get the folder ready for a run that is about to begin, and keep others out of it.

    Parameters
    ----------
    folders : where the run's results lie; damaged files there are made anew.
    command : the command line of this run, without the program.
    targets : what of it names targets.

    Raises
    ------
    InputError
        When another run holds the folder, or it cannot be written, or a repair fails.

    """
    if os.environ.get(REPAIR_VARIABLE):
        return
    claim()
    os.environ[FOLDER_VARIABLE] = str(Path.cwd())
    end_orphans()
    if unlock():
        tell("an earlier run was killed; going on from what it had finished")
    clear_scratch()
    settle_times()
    repair(folders, command, targets)


# ---- the claim -----------------------------------------------------------------------------------


def claim() -> None:
    """Take the lock on the folder, for the life of this process."""
    try:
        STATE.mkdir(parents=True, exist_ok=True)
        handle = open(_CLAIM, "a+", encoding="utf-8")
    except OSError as error:
        raise failure_told(error, STATE) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{RESULTS.resolve()}: another run {_holder()} works in this folder; wait until it has "
            "ended, or start this one in a copy of the folder"
        ) from None
    except OSError:
        # A file system without locks: Snakemake's own lock has to do.
        handle.close()
        return
    _held.append(handle)
    with contextlib.suppress(OSError):
        handle.truncate(0)
        json.dump({"process": os.getpid(), "host": socket.gethostname(), "since": _now()}, handle)
        handle.flush()


def _now() -> str:
    return datetime.datetime.now().isoformat(" ", "seconds")


def _holder() -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        held = json.loads(_CLAIM.read_text(encoding="utf-8"))
        return f"(process {held['process']} on {held['host']}, since {held['since']})"
    return ""


def unlock() -> bool:
    """Remove Snakemake's locks of runs that are gone; return whether there were any.

    The identifiers of their jobs in a queue go too: those jobs were cancelled, and the
    cluster-generic executor would wait for them.
    """
    locks = list(Path(".snakemake/locks").glob("*.lock")) if _held else []
    for lock in locks:
        lock.unlink(missing_ok=True)
    for note in Path(".snakemake/incomplete").rglob("*") if locks else ():
        if note.is_file():
            note.write_text(json.dumps({"external_jobid": None}), encoding="utf-8")
    return bool(locks)


# ---- what a killed run left behind ---------------------------------------------------------------


def end_orphans() -> None:
    """End processes and Slurm jobs of an earlier run in this folder."""
    if not _held:
        return
    queued = _slurm_jobs()
    if queued:
        tell(f"cancelling {len(queued)} Slurm jobs of an earlier run: {' '.join(queued)}")
        _quietly("scancel", *queued)
        deadline = time.monotonic() + 60.0
        while _slurm_jobs():
            if time.monotonic() > deadline:
                raise InputError(
                    f"Slurm jobs {' '.join(queued)} of an earlier run do not end; cancel them "
                    "(scancel) and give the same command again"
                )
            time.sleep(0.5)
    orphans = list(_orphans())
    if orphans:
        tell(f"ending {len(orphans)} processes of an earlier run")
        for process in orphans:
            _signal(process.terminate)
        _, alive = psutil.wait_procs(orphans, timeout=_PATIENCE_SECONDS)
        for process in alive:
            _signal(process.kill)
        psutil.wait_procs(alive, timeout=_PATIENCE_SECONDS)


def _signal(send: Any) -> None:
    with contextlib.suppress(psutil.Error):
        send()


def _orphans() -> Iterator[psutil.Process]:
    here = str(Path.cwd())
    own_pids = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in own_pids and process.environ().get(FOLDER_VARIABLE) == here:
                yield process


def _slurm_jobs() -> list[str]:
    """Numbers of this user's jobs that a run in this folder gave to Slurm."""
    listed = _quietly("squeue", "--me", "--noheader", "--format=%i|%j|%Z")
    here, own_job = str(Path.cwd()), os.environ.get("SLURM_JOB_ID")
    rows = (line.strip().split("|") for line in listed.splitlines() if line.count("|") == 2)
    return [
        number
        for number, name, folder in rows
        if name.startswith(f"{JOB_NAME}_") and folder == here and number != own_job
    ]


def _quietly(*command: str) -> str:
    """Return what a command of the cluster prints; nothing where there is no such command."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return ""
    return ended.stdout


def clear_scratch() -> None:
    """Remove files that killed jobs were writing; nothing reads them, and nothing writes now."""
    if not _held:
        return
    for file in RESULTS.rglob(".*"):
        part = re.fullmatch(r"\..+\.[a-z0-9_]{8}(\.\w+)?", file.name)
        if part and file.is_file() and not {".compiled", STATE.name} & {*file.parts}:
            file.unlink(missing_ok=True)


# ---- the clock -----------------------------------------------------------------------------------


def settle_times(more: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Bring files from the future into the present, so that new ones are newer than they.

    Snakemake goes by modification times. After the clock was set back, results would look newer
    than what is made from them, now and in every later run.

    Parameters
    ----------
    more : users' files that a job reads.

    Raises
    ------
    InputError
        When one of those is from the future: their times are not ours to change.

    """
    ahead = [path for path in RESULTS.rglob("*") if _ahead_seconds(path) > _CLOCK_TOLERANCE]
    for path in ahead:
        with contextlib.suppress(OSError):
            os.utime(path)
    if ahead:
        tell(
            f"the clock was set back: {len(ahead)} results bear times ahead of it "
            f"({ahead[0]}); they now bear the present one"
        )
    for path in map(Path, more):
        ahead_seconds = _ahead_seconds(path)
        if ahead_seconds > _CLOCK_TOLERANCE and RESULTS.resolve() not in path.resolve().parents:
            raise InputError(
                f"{path}: bears a time {ahead_seconds / 3600:.1f} hours ahead of this machine's "
                "clock; set the clock right, or the file's time (touch)"
            )


def _ahead_seconds(path: Path) -> float:
    try:
        return path.stat().st_mtime - time.time()
    except OSError:
        return 0.0


# ---- damaged results -----------------------------------------------------------------------------


def repair(folders: Sequence[str], command: Sequence[str], targets: Sequence[str]) -> None:
    """Make damaged results anew, by a run of their own, and nothing else.

    Files that come out with the same bytes get their old times back, so that nothing that was
    made from them runs again.
    """
    known = list(integrity.records(folders))
    waiting = [each for each in known if aside(each.path).is_file() and not each.path.exists()]
    for each in integrity.damaged(folders):
        tell(f"{each.path}: damaged (checksum); it is made anew")
        os.replace(each.path, aside(each.path))
        waiting.append(each)
    options = list(command)
    for target in targets if waiting else ():
        options.remove(target)
    # The oldest first: what others are made from is whole again before they are.
    for each in sorted(waiting, key=lambda one: one.seen or (0, 0)):
        if not each.path.exists():
            _make_anew(each.path, options, known)
    for each in waiting:
        aside(each.path).unlink(missing_ok=True)
    if waiting:
        integrity.remember(folders)
        tell(
            f"{len(waiting)} damaged {'file is' if len(waiting) == 1 else 'files are'} whole again"
        )


def _make_anew(path: Path, options: Sequence[str], known: Sequence[integrity.Record]) -> None:
    """Run the job that makes a file; give what it made the times it had, where bytes agree."""
    ended = subprocess.run(
        [sys.executable, "-m", "snakemake", str(path), *options],
        env={**os.environ, REPAIR_VARIABLE: "1"},
        check=False,
    )
    if ended.returncode != 0:
        raise InputError(
            f"{path}: could not be made anew, see above; the damaged file is {aside(path)}"
        )
    for old in known:
        new = integrity.known_of(old.path)
        if new is None or old.seen is None or not old.path.is_file():
            continue
        if new.sha256 == old.sha256 and (new.seen != old.seen or new.doubted):
            os.utime(old.path, ns=(old.seen[0], old.seen[0]))
            dataclasses.replace(old, doubted=False).save()


def aside(path: Path) -> Path:
    """Where a damaged file waits until it has been made anew."""
    return path.with_name(f"{path.name}.damaged")


# ---- jobs ----------------------------------------------------------------------------------------


def note_job(log: Path, rule: str, needs_mb: int | None) -> Path:
    """Note that a job is running; what remains of notes when a run has failed was killed."""
    note = _JOBS / f"{'-'.join(log.with_suffix('').parts[1:])}.json"
    write_json(note, {"rule": rule, "log": str(log), "megabytes": needs_mb})
    return note


def map_folders(run: Path) -> list[Path]:
    """Return the folders of shared maps that a run's jobs read, by what the jobs left noted."""
    folders = set()
    for file in run.glob("logs/*.job.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            files = json.loads(file.read_text(encoding="utf-8"))["input"]["files"]
            folders |= {Path(f).parent for f in files if Path(f).parent.parent.name == "maps"}
    return sorted(folders)


def clear_jobs() -> None:
    """Forget the jobs of earlier runs."""
    for note in _JOBS.glob("*.json"):
        note.unlink(missing_ok=True)


def tell_killed() -> None:
    """Say which jobs ended without a word of their own."""
    for note in sorted(_JOBS.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            job = json.loads(note.read_text(encoding="utf-8"))
            memory = psutil.virtual_memory()
            asked = f"it asks for {job['megabytes']} MB, " if job["megabytes"] else ""
            tell(
                f"error in rule {job['rule']}: its process was killed ({job['log']}); where nobody "
                f"did that, memory ran out: {asked}this machine has {memory.total >> 20} MB and "
                f"{memory.available >> 20} MB free now; use fewer --cores, or --resources "
                "mem_mb=MB, and give the same command again"
            )
        note.unlink(missing_ok=True)

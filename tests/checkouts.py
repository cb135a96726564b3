"""Copies of the repository in which Snakemake may run without touching the repository itself."""

import contextlib
import csv
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMOKE = ("--config", "tier=smoke")
SMOKE_ALONE = (*SMOKE, "nulls={untrained: [], permuted_labels: []}")
"""Without its null run: the same rules once more would show no more faults."""

PARTS = ("Snakefile", "config", "envs", "paper", "profiles", "scripts", "src", "workflow")
"""What a run reads of the repository."""
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Ended:
    """How a run of Snakemake ended and all it printed."""

    status: int
    text: str

    @property
    def told(self) -> list[str]:
        """Lines that speak to the user of a mistake."""
        return [line for line in self.text.splitlines() if line.startswith("kappascope: error")]


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository with results of its own."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which this copy's own source is imported and hashed."""
        real = os.environ.get("KAPPASCOPE_REAL_DATA", str(ROOT.parent / "shared/realdata"))
        source = {"PYTHONPATH": str(self.root / "src"), "KAPPASCOPE_REAL_DATA": real}
        return {**os.environ, **source, "NO_COLOR": "1"}

    def command(self, *arguments: str) -> list[str]:
        """Command line of a run."""
        return [sys.executable, "-m", "snakemake", *arguments]

    def run(self, *arguments: str, before: tuple[str, ...] = ()) -> Ended:
        """Run Snakemake to its end; ``before`` stands in front of the command."""
        ended = subprocess.run(
            [*before, *self.command(*arguments)],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout)

    @contextlib.contextmanager
    def running(self, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start Snakemake with all it prints in ``log``; its processes end with the block."""
        with open(log, "w", encoding="utf-8") as out:
            run = subprocess.Popen(
                self.command(*arguments),
                cwd=self.root,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield run
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
                run.wait(PATIENCE_SECONDS)

    def results(self) -> list[Path]:
        """Files of results, scratch files included.

        Neither logs nor the compilation cache nor what runs remember of themselves.
        """
        kept = (path for path in (self.root / "results").rglob("*") if path.is_file())
        return [
            path.relative_to(self.root)
            for path in kept
            if not path.name.endswith((".log", ".timing.json", ".job.json"))
            and not {".compiled", ".kappascope"} & {*path.parts}
        ]

    def checksums(self) -> dict[Path, str]:
        """SHA-256 of each result that does not tell of time: neither benchmarks nor the config."""
        return {
            path: hashlib.sha256((self.root / path).read_bytes()).hexdigest()
            for path in self.results()
            if path.suffix != ".tsv" and path.name != "config.yaml"
        }

    def planned(self, *arguments: str, nulls: bool = False) -> Counter[str]:
        """Jobs of a dry run by rule, without targets that only gather and those of null runs."""
        ended = self.run("--dry-run", "--cores", "1", *arguments)
        assert ended.status == 0, ended.text
        jobs = jobs_of(ended.text)
        gathering = {"all", "maps", "statistics", "networks", "constraints", "table1", "paper"}
        return Counter(
            {
                name: number
                for name, number in jobs.items()
                if name not in gathering and (nulls or not name.startswith("untrained_"))
            }
        )

    def copy(self, place: Path) -> "Checkout":
        """Copy everything, results and times included."""
        shutil.copytree(self.root, place, symlinks=True)
        return Checkout(place)


def jobs_of(text: str) -> Counter[str]:
    """Read the first table of jobs that Snakemake printed."""
    table = re.search(r"^Job stats:\njob +count\n-.*\n((?:\w+ +\d+\n)*)", text, flags=re.M)
    if table is None:
        return Counter()
    pairs = (line.split() for line in table[1].splitlines())
    return Counter({name: int(number) for name, number in pairs if name != "total"})


def jobs_run(text: str) -> Counter[str]:
    """Jobs that a run started, those of repairs included."""
    return Counter(re.findall(r"^(?:local)?rule (\w+):$", text, flags=re.M))


def wait_until(
    reached: Callable[[], bool], run: subprocess.Popen[bytes], log: Path, pause: float = 0.05
) -> None:
    """Wait until something is so while a run goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert run.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(pause)


def mounted(folder: Path, how: str) -> tuple[str, ...]:
    """Command in front of another that sees ``folder`` mounted; skips where nothing can be.

    ``how`` is a shell command that mounts something on ``$0``.
    """
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    before = (*unshare, "sh", "-c", f'{how} && exec "$@"', str(folder))
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to mount anything for one test with")
    tried = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine lets no test mount anything ({tried.stderr.strip()})")
    return before


def tiny_disk(folder: Path, kilobytes: int = 64) -> tuple[str, ...]:
    """Command in front of another that sees ``folder`` on a full disk."""
    folder.mkdir(parents=True)
    # The file keeps Snakemake from removing the empty folder, which as a mount point it could not.
    return mounted(folder, f'mount -t tmpfs -o size={kilobytes}k tmpfs "$0" && touch "$0/kept"')


def assert_one_line(ended: Ended, *words: str) -> None:
    """One line of ours that holds ``words``, and no traceback."""
    assert ended.status != 0
    assert len(ended.told) == 1, ended.text
    for word in words:
        assert word in ended.told[0], ended.told[0]
    assert "Traceback" not in ended.text
    assert "KeyError" not in ended.text


def new_checkout(place: Path) -> Checkout:
    """Copy of the repository without results."""
    place.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, place / part)
    return Checkout(place)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))

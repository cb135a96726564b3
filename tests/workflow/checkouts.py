"""Copies of the repository in which Snakemake may run without touching the repository itself."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("--config", "tier=smoke")
PARTS = ("Snakefile", "config", "envs", "paper", "profiles", "scripts", "src", "workflow")
"""What a run reads of the repository."""


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

    def planned(self, *arguments: str) -> Counter[str]:
        """Jobs of a dry run by rule, without the targets that only gather."""
        ended = self.run("--dry-run", "--cores", "1", *arguments)
        assert ended.status == 0, ended.text
        jobs = jobs_of(ended.text)
        gathering = {"all", "maps", "statistics", "networks", "constraints", "table1", "paper"}
        return Counter({name: number for name, number in jobs.items() if name not in gathering})

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

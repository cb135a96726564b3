"""Say what share of a run's time goes into start-up, imports and compilation instead of work.

Reads what the jobs of a run wrote beside their logs: ``*.timing.json`` with the seconds from the
start of the process to the script's work (``start_up_seconds``), in the compiler
(``compilation_seconds``) and at work (``work_seconds``).

    python benchmarks/workflow_overhead.py [--run default] [--cores 2]
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from run import report

KINDS = ("start_up", "compilation", "work")
LONGEST_PAUSE = 60.0
"""Seconds without a job after which another call of Snakemake must have begun."""


def jobs_of(results: Path, run: str) -> list[dict[str, Any]]:
    """Return the jobs of a run, each with ``start`` and ``end`` in seconds since the epoch."""
    paths = list((results / run).rglob("*.timing.json"))
    # Maps belong to what made them, not to a run: take the folder made or used last.
    folders = {path.parent for path in (results / "maps").glob("*/*.timing.json")}
    if folders:
        latest = max(folders, key=lambda folder: max(p.stat().st_mtime for p in folder.iterdir()))
        paths += latest.glob("*.timing.json")
    jobs = []
    for path in paths:
        job = json.loads(path.read_text(encoding="utf-8"))
        job["end"] = path.stat().st_mtime
        job["start"] = job["end"] - sum(job[f"{kind}_seconds"] for kind in KINDS)
        jobs.append(job)
    return sorted(jobs, key=lambda job: job["start"])


def wall_seconds(jobs: list[dict[str, Any]]) -> float:
    """Time from the first job's start to the last one's end, pauses between calls left out."""
    total = jobs[0]["end"] - jobs[0]["start"]
    reached = jobs[0]["end"]
    for before, job in itertools.pairwise(jobs):
        reached = max(reached, before["end"])
        pause = max(job["start"] - reached, 0.0)
        if pause > LONGEST_PAUSE:
            pause = 0.0
        total += pause + max(job["end"] - max(job["start"], reached), 0.0)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default="default")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    jobs = jobs_of(arguments.results, arguments.run)
    if not jobs:
        print(
            f"workflow_overhead: no job of the run {arguments.run!r} has written its times; run "
            "the workflow first",
            file=sys.stderr,
        )
        return
    spent = {kind: sum(job[f"{kind}_seconds"] for job in jobs) for kind in KINDS}
    whole = sum(spent.values())
    wall = wall_seconds(jobs)
    named = {"run": arguments.run, "jobs": len(jobs)}
    overhead = 100 * (1 - spent["work"] / whole)
    report("workflow: not inside kernels", "% of job time", [overhead], "≤ 25", **named)
    for kind in ("start_up", "compilation"):
        report(f"workflow: {kind}", "% of job time", [100 * spent[kind] / whole], **named)
    report("workflow: wall time from first job to last", "s", [wall], **named)
    idle = 100 * (1 - whole / (arguments.cores * wall))
    report("workflow: cores without a job", "% of core time", [idle], cores=arguments.cores)
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        by_rule.setdefault(job["rule"], []).append(job)
    print(
        f"{'rule':24}{'jobs':>5}{'start-up':>10}{'compiling':>10}{'work [s]':>10}", file=sys.stderr
    )
    for rule, mine in sorted(
        by_rule.items(), key=lambda item: -sum(job["work_seconds"] for job in item[1])
    ):
        sums = [sum(job[f"{kind}_seconds"] for job in mine) for kind in KINDS]
        cells = "".join(f"{value:10.1f}" for value in sums)
        print(f"{rule:24}{len(mine):5d}{cells}", file=sys.stderr)


if __name__ == "__main__":
    main()

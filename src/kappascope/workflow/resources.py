"""What the jobs of each rule need: memory, and time on one core, from the config.

That is the work that :mod:`kappascope.costs` and the models of the config declare, times what a
unit of it costs. A scheduler is asked for several times the estimate, and for more at each further
attempt.
"""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from kappascope import chapters as home
from kappascope import costs
from kappascope.costs import JOB, Work
from kappascope.errors import InputError
from kappascope.files import write_csv
from kappascope.workflow.config import whole
from kappascope.workflow.configuration import null_of
from kappascope.workflow.running import map_folders

Config = Any
"""The typed config."""

COLUMNS = ("rule", "unit", "seconds", "megabytes")
LEAST_MINUTES = 10


@dataclasses.dataclass(frozen=True)
class Need:
    """What the jobs of one rule need.

    Attributes
    ----------
    jobs : how many there are.
    seconds : of one job, on one core.
    megabytes : of one job, at its peak.
    accelerated : whether a GPU makes it faster.

    """

    jobs: int
    seconds: float
    megabytes: float
    accelerated: bool = False


def counts() -> dict[str, costs.Count]:
    """Return rule → what counts its work, for the library's rules and those of every chapter."""
    whole()  # imports them
    return costs.WORK


def need(rule: str, config: Config) -> Need:
    """Return what the jobs of ``rule`` need; rules that are not listed take seconds."""
    count = counts().get(rule)
    work = count(config) if count else Work(1, {}, accelerated=False)
    of, table = (rule if count else "other"), costs.table()
    units = [(many, *table[of, unit]) for unit, many in {JOB: 1.0, **work.units}.items()]
    return Need(
        work.jobs,
        sum(many * seconds for many, seconds, _ in units),
        sum(many * megabytes for many, _, megabytes in units),
        work.accelerated,
    )


def rules() -> list[str]:
    """Names of the rules whose work is counted."""
    return list(counts())


def resources(rule: str, config: Config) -> dict[str, Any]:
    """Return the ``resources`` of a rule: mem_mb, runtime [min], and GPU and partition if asked.

    Memory doubles and time grows at each further attempt, so that a job which the scheduler ended
    for want of either comes back with more (``retries`` in the profile).
    """
    estimate, cluster = need(rule, config), config.cluster
    on_gpu = estimate.accelerated and cluster.gpus > 0
    speed = cluster.gpu_speed if on_gpu else 1
    minutes = costs.constant("time_margin") * estimate.seconds / 60 / speed
    megabytes = costs.constant("memory_margin") * estimate.megabytes + costs.constant(
        "megabytes_around_a_job"
    )

    def memory(wildcards: Any, attempt: int) -> int:
        return math.ceil(megabytes * cluster.memory_factor * 2 ** (attempt - 1))

    def runtime(wildcards: Any, attempt: int) -> int:
        return math.ceil(max(minutes, LEAST_MINUTES) * cluster.time_factor * attempt)

    asked: dict[str, Any] = {"mem_mb": memory, "runtime": runtime}
    if on_gpu:
        asked["gpu"] = cluster.gpus
    partition = (cluster.gpu_partition if on_gpu else None) or cluster.partition
    if partition:
        asked["slurm_partition"] = partition
    return asked


@dataclasses.dataclass(frozen=True)
class Total:
    """What a whole run needs.

    Attributes
    ----------
    jobs : how many there are, without those that take a second.
    core_seconds : of all jobs together, on one core of the machine measured on.
    longest_seconds : of the longest job.
    megabytes : of the largest job.
    disk_megabytes : of maps and everything else under results.

    """

    jobs: int
    core_seconds: float
    longest_seconds: float
    megabytes: float
    disk_megabytes: float


def total(config: Config) -> Total:
    """Add up what a run with this config needs."""
    speed = config.cluster.gpu_speed if config.cluster.gpus else 1
    unused = "import_maps" if config.maps.source == "simulation" else "simulate_maps"
    needs = [need(rule, config) for rule in counts() if rule != unused]
    for kind in config.nulls.kinds:
        null = null_of(config, kind)
        chapters = [f"{home.__name__}.{name}." for name in getattr(config.nulls, kind)]
        needs += [
            need(rule, null)
            for rule, count in counts().items()
            if rule not in costs.COMMON
            and (
                not count.__module__.startswith(f"{home.__name__}.")
                or count.__module__.startswith(tuple(chapters))
            )
        ]
    seconds = [each.seconds / (speed if each.accelerated else 1) for each in needs]
    other = costs.constant("other_jobs") * need("other", config).seconds
    return Total(
        jobs=sum(each.jobs for each in needs),
        core_seconds=sum(each.jobs * time for each, time in zip(needs, seconds, strict=True))
        + other,
        longest_seconds=max(seconds),
        megabytes=max(each.megabytes for each in needs),
        disk_megabytes=costs.maps(config) * costs.map_megabytes(config)
        + costs.constant("megabytes_of_results"),
    )


# ---- measuring -----------------------------------------------------------------------------------


def measured(run: Path, config: Config) -> list[dict[str, Any]]:
    """Return rows of the table from a run's benchmark files.

    A job's seconds are CPU seconds, which hardly depend on what else the machine does. Start-up
    and compilation are the job's own; the rest is spread over its units in today's proportions, as
    is the memory above today's ``job``.

    Parameters
    ----------
    run : folder of the run's results, with ``benchmarks/`` and ``logs/``.

    Raises
    ------
    InputError
        When the folder holds no benchmark of a rule whose work is counted.

    """
    jobs_by_rule: dict[str, list[tuple[float, float, float]]] = {}
    maps = [file for folder in map_folders(run) for file in folder.glob("*.tsv")]
    for file in [*(run / "benchmarks").glob("*.tsv"), *maps]:
        timing = file.with_suffix(".timing.json")
        if not timing.is_file():
            timing = run / "logs" / timing.name
        if timing.is_file():
            recorded = json.loads(timing.read_text(encoding="utf-8"))
            with open(file, newline="", encoding="utf-8") as handle:
                (row,) = csv.DictReader(handle, delimiter="\t")
            if "NA" in (row["cpu_time"], row["max_rss"]):
                continue  # ended before Snakemake looked
            cpu, memory = float(row["cpu_time"]), float(row["max_rss"])
            wall = max(sum(recorded[f"{part}_seconds"] for part in _PARTS), cpu)
            start = (recorded["start_up_seconds"] + recorded["compilation_seconds"]) * cpu / wall
            jobs_by_rule.setdefault(recorded["rule"], []).append((start, cpu, memory))
    if not set(jobs_by_rule) & set(counts()):
        raise InputError(
            f"{run}: holds no benchmarks of jobs; give the folder of a run, results/NAME"
        )
    rows = []
    for (rule, unit), (seconds, megabytes) in costs.table().items():
        if rule in jobs_by_rule and rule in counts():
            jobs = jobs_by_rule[rule]
            start, cpu, memory = (sum(each) / len(jobs) for each in zip(*jobs, strict=True))
            work = counts()[rule](config).units
            counted = [sum(n * costs.table()[rule, u][k] for u, n in work.items()) for k in (0, 1)]
            base = costs.table()[rule, JOB][1]
            if unit == JOB:
                seconds, megabytes = (start if counted[0] else cpu), base if counted[1] else memory
            else:
                seconds *= max(cpu - start, 0) / counted[0] if counted[0] else 1
                megabytes *= max(memory - base, 0) / counted[1] if counted[1] else 1
        numbers = {"seconds": seconds, "megabytes": megabytes}
        shown = {name: f"{value:.4g}" if value else "" for name, value in numbers.items()}
        rows.append({"rule": rule, "unit": unit, **shown})
    return rows


_PARTS = ("start_up", "compilation", "work")


def write(rows: list[dict[str, Any]], path: Path = costs.TABLE) -> None:
    """Write the table."""
    write_csv(path, rows, COLUMNS)
    costs.table.cache_clear()

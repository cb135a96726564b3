"""Findings: numbers that a paper states and no table holds, made of a run's tables and config.

A chapter's ``findings`` module declares functions that take the config and tables and yield rows;
:func:`write` gathers them in ``{chapter}/findings.csv``, from which the ledger selects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kappascope.registry import Registry
from kappascope.reporting.published import NULL_RUNS, Claim, null_runs
from kappascope.tables import Table

Row = Mapping[str, Any]
Frame = Any
"""A pandas.DataFrame; its stubs cannot know what a column holds."""

Find = Callable[..., Iterable[Row]]
"""(config, *tables) → rows."""

FINDINGS: Registry[Find] = Registry("finding", "kappascope.chapters.**:FINDINGS", ("tables",))
"""Named ``{chapter}.{group}``; ``tables``: those of the chapter that a function is given, as data
frames; where a run lacks one of them its findings are left out. ``network``: False where they
depend on no network."""

TABLE = Table(
    "{chapter}/findings.csv",
    "finding",
    """finding, name (where names are compared: rows of a finding are what is compared), value,
    error""",
)


def row(finding: str, value: float, error: float | None = None, name: str = "") -> dict[str, Any]:
    """Return one row of the table; no error where it is not known."""
    return {"finding": finding, "name": name, "value": float(value), "error": error}


def ratio(
    finding: str, top: Mapping[str, Any], bottom: Mapping[str, Any], name: str = ""
) -> dict[str, Any]:
    """Return a quotient with the errors of both, added in quadrature.

    Parameters
    ----------
    top, bottom : ``value`` and, where it is known, ``error``.

    """
    quotient = float(top["value"]) / float(bottom["value"])
    relative = [float(part.get("error", 0.0)) / part["value"] for part in (top, bottom)]
    error = abs(quotient) * sum(each**2 for each in relative if each == each) ** 0.5
    return row(finding, quotient, error or None, name)


def chapters() -> list[str]:
    """Return the chapters that have findings."""
    return list(dict.fromkeys(name.partition(".")[0] for name in FINDINGS.names()))


def modules() -> list[str]:
    """Return the modules that findings stand in, for fingerprints."""
    return sorted({entry.module for entry in FINDINGS.entries().values()})


def tables_of_networks(claims: Iterable[Claim]) -> list[str]:
    """Return the tables whose numbers depend on networks, so that null runs have to make them."""
    names: dict[str, None] = {}
    for claim in claims:
        table = (claim.select or {}).get("table")
        if not claim.network or table is None or "config" in (claim.select or {}):
            continue
        chapter, _, file = table.partition("/")
        if file != "findings.csv":
            names[table] = None
            continue
        for name, entry in FINDINGS.entries().items():
            if name.partition(".")[0] == chapter and entry.info.get("network", True):
                names.update((f"{chapter}/{read}.csv", None) for read in entry.info["tables"])
    return list(names)


def write_all(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the findings of a run and of its null runs."""
    write(folder, config)
    for null in null_runs(config):
        write(folder / NULL_RUNS / null, config, folder)


def write(folder: Path, config: Mapping[str, Any], common: Path | None = None) -> None:
    """Write ``{chapter}/findings.csv`` of every chapter that has findings.

    Parameters
    ----------
    folder : results/{run}, or a null run's.
    config : the run's effective config.
    common : of a null run the run's folder, whose tables stand in for those that it does not make
        itself, as no network has a part in them.

    """
    by_chapter: dict[str, list[Row]] = {}
    for name, entry in FINDINGS.entries().items():
        chapter = name.partition(".")[0]
        rows = by_chapter.setdefault(chapter, [])
        files = [folder / chapter / f"{table}.csv" for table in entry.info["tables"]]
        if common is not None and any(file.is_file() for file in files):
            files = [file if file.is_file() else common / chapter / file.name for file in files]
        if all(file.is_file() for file in files):
            rows.extend(FINDINGS[name](config, *_frames(files)))
    for chapter, rows in by_chapter.items():
        TABLE.write(folder / chapter / "findings.csv", rows)


def _frames(files: Iterable[Path]) -> Iterator[Frame]:
    import pandas as pd

    for file in files:
        yield pd.read_csv(file)

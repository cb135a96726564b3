"""Findings: numbers that a paper states and no table holds, made of a run's tables and config.

A chapter's ``findings`` module declares functions that take the config and tables and yield rows;
:func:`write` gathers them in ``{chapter}/findings.csv``, from which the ledger selects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kappascope.registry import Registry
from kappascope.tables import Table

Row = Mapping[str, Any]
Frame = Any
"""A pandas.DataFrame; its stubs cannot know what a column holds."""

Find = Callable[..., Iterable[Row]]
"""(config, *tables) → rows."""

FINDINGS: Registry[Find] = Registry("finding", "kappascope.chapters.**:FINDINGS", ("tables",))
"""Named ``{chapter}.{group}``; ``tables``: those of the chapter that a function is given, as data
frames. Where a run lacks one of them its findings are left out."""

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


def write(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``{chapter}/findings.csv`` of every chapter that has findings.

    Parameters
    ----------
    folder : results/{run}.
    config : the run's effective config.

    """
    by_chapter: dict[str, list[Row]] = {}
    for name, entry in FINDINGS.entries().items():
        chapter = name.partition(".")[0]
        rows = by_chapter.setdefault(chapter, [])
        files = [folder / chapter / f"{table}.csv" for table in entry.info["tables"]]
        if all(file.is_file() for file in files):
            rows.extend(FINDINGS[name](config, *_frames(files)))
    for chapter, rows in by_chapter.items():
        TABLE.write(folder / chapter / "findings.csv", rows)


def _frames(files: Iterable[Path]) -> Iterator[Frame]:
    import pandas as pd

    for file in files:
        yield pd.read_csv(file)

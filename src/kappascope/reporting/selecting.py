"""Our side of a claim: a cell of a table with its error, several cells, or a config value."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class MissingError(Exception):
    """Our side of a claim is not there; the message says what is missing."""


@dataclasses.dataclass(frozen=True)
class Series:
    """Selected numbers: values, errors and scatters (None: unknown), labels, limits, all (n,)."""

    values: list[float]
    errors: list[float | None]
    labels: list[str]
    scatters: list[float | None] = dataclasses.field(default_factory=list)
    limits: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Our number (or name) for one claim.

    Attributes
    ----------
    error : its standard error, if there is one.
    scatter : the error of what is published, estimated from our scatter of single networks or maps
        where the paper had one.
    limit : ``upper`` or ``lower`` where the number is a bound on the true one, as a column
        ``limit`` of the table says.

    """

    value: float | str
    error: float | None = None
    series: Series | None = None
    scatter: float | None = None
    limit: str = ""


class Tables:
    """CSV files of a run, read once each; cells stay text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table; MissingError if this run did not make it."""
        if name not in self._read:
            path = self._folder / name
            if not path.is_file():
                raise MissingError(f"{name} is not part of this run")
            self._read[name] = pd.read_csv(path, dtype=str, keep_default_na=False)
        return self._read[name]


def measure(select: Mapping[str, Any], tables: Tables, config: Mapping[str, Any]) -> Measured:
    """Look up our number; MissingError where it is not there.

    Where several rows fit the value is the name of the first of them by size, if that is asked
    for, or else how many they are.
    """
    if "config" in select:
        return Measured(config_value(config, select["config"]))
    series = _selected(select, tables)
    for word, pick in (("smallest", min), ("largest", max)):
        if word in select:
            return Measured(series.labels[series.values.index(pick(series.values))], None, series)
    if len(series.values) > 1:
        return Measured(float(len(series.values)), None, series)
    return Measured(
        series.values[0], series.errors[0], scatter=series.scatters[0], limit=series.limits[0]
    )


def config_value(config: Mapping[str, Any], key: str) -> float:
    """Return a number of the config by its dotted key; MissingError where there is none."""
    value: Any = config
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError) as error:
            raise MissingError(f"the config has no {key}") from error
    return float(value)


def _selected(select: Mapping[str, Any], tables: Tables) -> Series:
    where, table = select.get("where", {}), tables[select["table"]]
    column, error = select["column"], select.get("error")
    rows = table
    for key, want in where.items():
        rows = rows[_fits(rows[key], want)] if key in rows else rows.iloc[:0]
    if rows.empty:
        sought = ", ".join(f"{key} = {_wanted(want)}" for key, want in where.items())
        raise MissingError(f"{select['table']} has no row with {sought}")
    if column not in rows:
        raise MissingError(f"{select['table']} has no column {column}")
    values = pd.to_numeric(rows[column], errors="coerce")
    rows, values = rows[np.isfinite(values)], values[np.isfinite(values)]
    if rows.empty:
        raise MissingError(f"{select['table']}: {column} is not a number in any row asked for")
    named = select.get("smallest") or select.get("largest")
    columns = [named] if named else [k for k in ("data_set", "credibility", *where) if k in rows]
    return Series(
        values.tolist(),
        _spread(rows, error),
        [" ".join(row) for row in rows[columns].itertuples(index=False)],
        _spread(rows, select.get("scatter")),
        rows["limit"].tolist() if "limit" in rows else [""] * len(rows),
    )


def _spread(rows: pd.DataFrame, column: str | None) -> list[float | None]:
    cells = pd.to_numeric(rows.get(column, pd.Series("", rows.index)), errors="coerce")
    return [each if 0 < each < math.inf else None for each in cells]


def _fits(cells: Any, want: Any) -> Any:
    """Return which cells, (rows) text, are what is wanted."""
    if isinstance(want, list):
        return np.logical_or.reduce([_fits(cells, one) for one in want])
    if isinstance(want, int | float):
        return pd.to_numeric(cells, errors="coerce") == want
    return cells == want


def _wanted(want: Any) -> str:
    return " or ".join(map(str, want)) if isinstance(want, list) else str(want)

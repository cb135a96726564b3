"""Rows of a declared table, made up."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from kappascope.tables import Table


def invented(table: Table, **values: Any) -> list[dict[str, Any]]:
    """Rows with all columns of a table.

    Parameters
    ----------
    values : of columns. A tuple is gone through, one row for each combination; a dict of tuples
        goes through rows of several columns at once, whatever it is called; a function makes its
        value of the row as far as it is; anything else stands in every row. A column that is not
        given holds 0.1.

    """
    several = {name: value for name, value in values.items() if isinstance(value, tuple | dict)}
    choices = []
    for name, value in several.items():
        if isinstance(value, dict):
            choices.append(
                [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
            )
        else:
            choices.append([{name: one} for one in value])
    rows = []
    for chosen in itertools.product(*choices):
        row: dict[str, Any] = {}
        for part in chosen:
            row.update(part)
        for name, value in values.items():
            if name not in several:
                row[name] = value(row) if isinstance(value, Callable) else value
        unknown = set(row) - set(table.columns)
        assert not unknown, f"{table.files} has no column {unknown}"
        rows.append({name: row.get(name, 0.1) for name in table.columns})
    return rows


def picked(numbers: Mapping[Any, Any], *names: str, otherwise: Any = 0.1) -> Any:
    """Return what looks a row's value up by the values of some of its columns."""

    def value(row: Mapping[str, Any]) -> Any:
        key = tuple(row[name] for name in names)
        return numbers.get(key if len(key) > 1 else key[0], otherwise)

    return value

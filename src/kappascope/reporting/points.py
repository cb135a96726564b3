"""Numbers with error bars from rows of tables: rows as places of an axis, or along a curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, str]]


def numbers(rows: Rows, column: str) -> np.ndarray:
    """Return a column, NaN where a cell is empty."""
    return np.array([float(row[column] or "nan") for row in rows])


def dots(
    axis: Axes,
    rows: Rows,
    value: str,
    error: str,
    places: Sequence[float] | np.ndarray,
    colour: str,
    marker: str = "o",
    label: str | None = None,
    size: float = 4,
    **style: Any,
) -> None:
    """Draw one number of each row along x, beneath each other.

    Parameters
    ----------
    value, error : columns; no bar where there is no error.
    places : (row,) along y.

    """
    axis.errorbar(
        numbers(rows, value),
        np.asarray(places, float),
        xerr=numbers(rows, error),
        fmt=marker,
        ms=size,
        capsize=2,
        color=colour,
        label=label,
        **style,
    )


def named(axis: Axes, names: Sequence[str], room: float = 0.0, **style: Any) -> None:
    """Name the places along y, the first above, with room beneath for a legend."""
    axis.set_yticks(range(len(names)), names, **style)
    axis.set_ylim(len(names) - 0.4 + room, -0.6)
    axis.tick_params(axis="y", which="both", left=False, right=False)


def curve(
    axis: Axes,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    colour: str,
    marker: str,
    label: str | None = None,
    **style: Any,
) -> None:
    """Draw points with error bars, joined by lines."""
    axis.errorbar(
        x,
        y,
        error,
        marker=marker,
        ms=4,
        lw=1,
        capsize=2,
        color=colour,
        label=label,
        **style,
    )

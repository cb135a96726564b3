"""Which frequencies a classifier of sounds listens to: singh2020 Fig. S2."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kappascope.attribution.labels import label
from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, BLACK)
_DASHES = ("solid", "dashed", "dashdot", "dotted", (0, (5, 1, 1, 1, 1, 1)))


def importance_of_frequencies(curves: Rows, shares: Rows) -> Figure:
    """Draw the importance of each frequency for the correct class, a panel a method (Fig. S2).

    Parameters
    ----------
    curves : rows of ``sounds_curves.csv``; the first five classes are shown, as in the paper.
    shares : rows of ``sounds.csv``; bands of classes are shaded where they are known.

    Returns
    -------
    Curves in percent of the sum of |relevance| over the bands, with their standard errors.

    """
    methods = list(dict.fromkeys(row["method"] for row in curves))
    classes = sorted({int(row["class"]) for row in curves})[: len(_COLOURS)]
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 0.5 + 2.1 * len(methods)))
        grid = figure.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0]
        for axes, method in zip(grid, methods, strict=True):
            _shade(axes, shares, method, classes)
            for place, number in enumerate(classes):
                selected = [
                    row for row in curves if row["method"] == method and int(row["class"]) == number
                ]
                if selected:
                    _curve(axes, selected, place)
            axes.axhline(0, color=GREY, lw=0.6, zorder=0)
            axes.set(ylabel="relevance [%]")
            axes.margins(x=0)
            axes.text(0.99, 0.94, label(method), transform=axes.transAxes, ha="right", va="top")
        grid[-1].set_xlabel("frequency [kHz]")
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=8.5)
    return figure


def _curve(axes: Axes, rows: Rows, place: int) -> None:
    frequency = np.array([float(row["frequency_hz"]) for row in rows]) / 1000
    mean = np.array([float(row["relevance"]) for row in rows])
    error = np.array([float(row["error"] or 0) for row in rows])
    unit = np.abs(mean).sum() / 100 or 1.0
    mean, error = mean / unit, error / unit
    colour = _COLOURS[place]
    axes.plot(frequency, mean, color=colour, ls=_DASHES[place], label=rows[0]["name"])
    axes.fill_between(frequency, mean - error, mean + error, color=colour, alpha=0.35, lw=0)


def _shade(axes: Axes, shares: Rows, method: str, classes: Sequence[int]) -> None:
    for row in shares:
        number = int(row["class"])
        if row["method"] == method and number in classes and row["band_low_hz"]:
            low, high = float(row["band_low_hz"]) / 1000, float(row["band_high_hz"]) / 1000
            axes.axvspan(low, high, color=_COLOURS[classes.index(number)], alpha=0.12, lw=0)


@FIGURES.add("plot_sounds", makes=("figS2",))
def _plot_sounds(inputs: Any, spec: Any) -> dict[str, Figure]:
    curves, shares = read_rows(inputs.curves), read_rows(inputs.shares)
    return {"figS2": importance_of_frequencies(curves, shares)}

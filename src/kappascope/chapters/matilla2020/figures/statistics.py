"""The measured statistics: mean of each cosmology, coloured by S8."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    DOUBLE_COLUMN_INCHES,
    LABELS,
    figure_style,
    s8_bar,
    s8_colours,
    s8_of,
)

Rows = Sequence[Mapping[str, Any]]


def statistics_panels(rows: Rows, data_sets: Sequence[str]) -> Figure:
    """Mean of every statistic at every cosmology, four panels a line: statistic by data set.

    Parameters
    ----------
    rows : of ``statistics.summary.mean_rows``.

    """
    with figure_style():
        names = list(dict.fromkeys(row["statistic"] for row in rows))
        panels = [(name, data_set) for name in names for data_set in data_sets]
        lines = -(-len(panels) // 4)
        figure, axes = plt.subplots(
            lines, 4, figsize=(DOUBLE_COLUMN_INCHES, 0.5 + 1.5 * lines), squeeze=False
        )
        colours = s8_colours(rows)
        for panel in axes.ravel()[len(panels) :]:
            panel.set_axis_off()
        for panel, (name, data_set) in zip(axes.ravel(), panels, strict=False):
            selected = [
                row for row in rows if (row["statistic"], row["data_set"]) == (name, data_set)
            ]
            _lines(panel, selected, colours)
            panel.set_title(f"{name}, {data_set}", fontsize=8.5)
            panel.tick_params(labelsize=7)
        s8_bar(figure, axes, rows, aspect=60)
    return figure


def _lines(axes: Any, rows: Rows, colours: Any) -> None:
    if not rows:
        return
    for cosmology in dict.fromkeys(row["cosmology"] for row in rows):
        selected = [row for row in rows if row["cosmology"] == cosmology]
        x = np.array([float(row["bin_centre"]) for row in selected])
        y = np.array([float(row["mean"]) for row in selected])
        if rows[0]["statistic"] == "PS":
            y = np.where(y > 0, y * x * (x + 1) / (2 * np.pi), np.nan)
        axes.plot(x, y, color=colours.to_rgba(s8_of(selected[0])), lw=0.7)
    name = rows[0]["statistic"]
    if name == "PS":
        axes.set(xscale="log", yscale="log")
        top = np.nanmax([line.get_ydata() for line in axes.lines])
        axes.set_ylim(top * 1e-5, top * 2)
    label = {"PS": LABELS["ell"], "SL1": "scale, amplitude bin"}.get(name, LABELS["kappa"])
    axes.set_xlabel(label, fontsize=8, labelpad=1)


@FIGURES.add("plot_statistics", makes=("statistics",))
def _plot_statistics(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {"statistics": statistics_panels(read_rows(inputs.table), spec.data_sets)}

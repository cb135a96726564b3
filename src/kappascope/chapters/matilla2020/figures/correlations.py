"""Correlation of the network's outputs with each bin of each statistic: matilla2020 Fig. 3."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import COLOURS, DOUBLE_COLUMN_INCHES, LABELS, figure_style

STATISTICS = ("PS", "PC", "V0", "V1", "V2")
_DASHES: Any = {"omega_matter": "solid", "sigma_8": "dotted"}


def correlation_panels(rows: Sequence[Mapping[str, Any]], data_sets: Sequence[str]) -> Figure:
    """Draw Pearson's correlation, averaged over cosmologies, with a band of one standard error.

    Parameters
    ----------
    rows : rows of ``correlations.csv``, numbers or their text.
    data_sets : one panel each.

    Returns
    -------
    Solid lines for omega_matter, dotted ones for sigma_8; the lower axis is κ, the upper one ℓ
    for the power spectrum.

    """
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 3.7), layout="constrained")
        grid = figure.subplots(1, len(data_sets), squeeze=False, sharey=True)[0]
        for axes, data_set in zip(grid, data_sets, strict=True):
            upper = axes.twiny()
            upper.set_xscale("log")
            upper.set_xlabel(r"multipole $\ell$ (PS)")
            axes.tick_params(which="both", top=False)
            axes.axhline(0.0, color="0.6", linewidth=0.6, zorder=0)
            for statistic in STATISTICS:
                target = upper if statistic == "PS" else axes
                for parameter in _DASHES:
                    chosen = [
                        row
                        for row in rows
                        if row["data_set"] == data_set
                        and row["statistic"] == statistic
                        and row["parameter"] == parameter
                    ]
                    _line(target, chosen, COLOURS[statistic], _DASHES[parameter])
            axes.set_xlabel(r"convergence $\kappa$ (PC, MFs)")
            label = axes.text(0.04, 0.94, LABELS.get(data_set, data_set), transform=axes.transAxes)
            label.set_verticalalignment("top")
        highest = max(np.abs(axes.dataLim.intervaly).max() for axes in grid)
        # Room above and below the lines for the panel's name.
        grid[0].set_ylim(-1.3 * highest, 1.3 * highest)
        grid[0].set_ylabel("Pearson correlation with the DNN")
        keys = [Line2D([], [], color=COLOURS[name], label=_short(name)) for name in STATISTICS] + [
            Line2D([], [], color="0.35", linestyle=dashes, label=LABELS[name])
            for name, dashes in _DASHES.items()
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=len(keys))
    return figure


def _short(name: str) -> str:
    return LABELS[name] if name.startswith("V") else name


def _line(axes: Axes, rows: Sequence[Mapping[str, Any]], colour: str, dashes: str) -> None:
    if not rows:
        return
    centre, mean, error = (
        np.array([float(row[name]) for row in rows])
        for name in ("bin_centre", "pearson", "standard_error")
    )
    axes.plot(centre, mean, color=colour, linestyle=dashes)
    axes.fill_between(centre, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)


@FIGURES.add("plot_fig3", makes=("fig3",))
def _plot_fig3(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {"fig3": correlation_panels(read_rows(inputs.correlations), spec.data_sets)}

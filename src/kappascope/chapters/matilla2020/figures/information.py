"""What is lost without parts of the maps, beside where explanations see relevance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kappascope.attribution.labels import label
from kappascope.chapters.matilla2020.figures.saliency import looks
from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import COLOURS, DOUBLE_COLUMN_INCHES, GREY, LABELS, figure_style

Rows = Sequence[Mapping[str, str]]

REGIONS: Mapping[str, str] = {
    "troughs": r"$\kappa<-\sigma$",
    "negative": r"$\kappa<0$",
    "slopes": r"$\sigma\leq\kappa<3\sigma$",
    "above_3_sigma": r"$\kappa>3\sigma$",
    "peaks": "peaks",
}
"""Region → what stands under it."""

_MARKERS = {"DNN": "*", "PS": "o", "PC": "s", "V0": "^", "V1": "v", "V2": "D"}


def information(lost: Rows, shares: Rows, data_sets: Sequence[str]) -> Figure:
    """Draw losses of R² by region above, relevance per pixel of each method below.

    Parameters
    ----------
    lost, shares : rows of ``information.csv`` and ``method_shares.csv``.
    data_sets : one a column.

    """
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 6.2), layout="constrained")
        panels = figure.subplots(2, len(data_sets), sharex=True, sharey="row", squeeze=False)
        for column, data_set in enumerate(data_sets):
            _losses(panels[0, column], [r for r in lost if r["data_set"] == data_set])
            _relevance(panels[1, column], [r for r in shares if r["data_set"] == data_set])
            panels[0, column].set_title(LABELS[data_set])
            panels[1, column].set_xticks(range(len(REGIONS)), list(REGIONS.values()))
            panels[1, column].set_xlabel("replaced pixels")
        panels[0, 0].set_ylabel("$R^2$ lost (mean of both parameters)")
        panels[1, 0].set_ylabel("squared saliency per pixel\nover the map's mean")
        upper, lower = (panels[row, 0].get_legend_handles_labels() for row in (0, 1))
        figure.legend(*upper, loc="outside upper center", ncols=3, fontsize=8)
        figure.legend(*lower, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _losses(axes: Axes, rows: Rows) -> None:
    readers = list(dict.fromkeys(row["reader"] for row in rows))
    for number, reader in enumerate(readers):
        for place, filled in (("own", True), ("shifted", False)):
            chosen = {
                row["region"]: row
                for row in rows
                if (row["reader"], row["place"], row["filler"]) == (reader, place, "gaussian")
            }
            at = [k for k, name in enumerate(REGIONS) if name in chosen]
            values, errors = (
                [float(chosen[name][column]) for name in REGIONS if name in chosen]
                for column in ("r2_lost", "r2_lost_error")
            )
            aside = 0.12 * (number - (len(readers) - 1) / 2)
            colour = COLOURS.get(reader, GREY)
            axes.errorbar(
                np.array(at) + aside,
                values,
                errors,
                fmt=_MARKERS.get(reader, "P"),
                color=colour,
                markerfacecolor=colour if filled else "white",
                markersize=8 if reader == "DNN" else 4.5,
                linewidth=0.8,
                label=LABELS.get(reader, reader) if filled else None,
            )
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.errorbar([], [], fmt="o", color=GREY, markerfacecolor="white", label="moved elsewhere")


def _relevance(axes: Axes, rows: Rows) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for method, look in looks(methods).items():
        chosen = {row["region"]: row for row in rows if row["method"] == method}
        known = [
            name
            for name in REGIONS
            if chosen[name]["share_percent"] and float(chosen[name]["pixel_percent"])
        ]
        pixels = np.array([float(chosen[name]["pixel_percent"]) for name in known])
        values = np.array([float(chosen[name]["share_percent"]) for name in known]) / pixels
        axes.plot(
            [list(REGIONS).index(name) for name in known],
            values,
            color=look.colour,
            marker=look.marker,
            linestyle=look.dashes,
            markersize=4.5,
            label=label(method),
        )
    axes.axhline(1.0, color=GREY, linewidth=0.6)
    axes.set_yscale("log")
    axes.set_xlim(-0.6, len(REGIONS) - 0.4)


@FIGURES.add("plot_information", makes=("information",))
def _plot_information(inputs: Any, spec: Any) -> dict[str, Figure]:
    lost, shares = read_rows(inputs.information), read_rows(inputs.shares)
    return {"information": information(lost, shares, spec.data_sets)}

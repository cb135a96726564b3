"""How often each method misses a planted frequency: singh2020 Table 1 as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.published import published_by
from kappascope.reporting.style import (
    BLUE,
    COLOURS,
    DOUBLE_COLUMN_INCHES,
    VERMILION,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]

_TITLES = {
    "as_released": "One frequency for all, as in the code",
    "as_told": "A frequency a data set, as in the paper",
}
_INVERSES = {
    "exact": ("exact inverse transform", BLUE, "o", -0.16),
    "torch17": ("the code's inverse transform", VERMILION, "s", 0.16),
}


def error_by_method(rows: Rows, published: Mapping[str, float]) -> Figure:
    """Error of each method with its standard error, a panel a variant.

    Parameters
    ----------
    rows : of ``table1.csv``.
    published : method → published error [%], drawn in every panel; may be empty.

    """
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    labels = {row["method"]: row["label"] for row in rows}
    with figure_style():
        figure, axes = plt.subplots(
            1, len(variants), figsize=(DOUBLE_COLUMN_INCHES, 2.9), sharey=True, squeeze=False
        )
        for panel, variant in zip(axes[0], variants, strict=True):
            selected = [row for row in rows if row["variant"] == variant]
            _panel(panel, selected, list(labels), published)
            # Both numbers are those of one inverse: the networks are the same.
            subtitle = f"networks: {selected[0]['data_sets']}, inputs: {selected[0]['points']}"
            panel.set_title(f"{_TITLES.get(variant, variant)}\n{subtitle}")
        axes[0, 0].set_yticks(range(len(labels)), list(labels.values()))
        axes[0, 0].invert_yaxis()
        handles = _handles(rows, bool(published))
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _panel(panel: Axes, rows: Rows, methods: Sequence[str], published: Mapping[str, float]) -> None:
    for row in rows:
        _, colour, marker, offset = _INVERSES[row["inverse"]]
        panel.errorbar(
            float(row["error_percent"]),
            methods.index(row["method"]) + offset,
            xerr=float(row["standard_error_percent"]),
            fmt=marker,
            ms=4,
            lw=1.0,
            capsize=2,
            color=colour,
        )
    for method, value in published.items():
        if method in methods:
            place = methods.index(method)
            panel.vlines(value, place - 0.38, place + 0.38, color=COLOURS["published"], lw=1.6)
    panel.set_xlim(left=-0.5)
    panel.set_xlabel("planted frequency missed [%]")
    panel.tick_params(axis="y", which="both", left=False, right=False)
    for place in range(1, len(methods)):
        panel.axhline(place - 0.5, color="0.9", lw=0.6, zorder=0)


def _handles(rows: Rows, published: bool) -> list[Any]:
    present = {row["inverse"] for row in rows}
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4, lw=1.0, label=name)
        for inverse, (name, colour, marker, _) in _INVERSES.items()
        if inverse in present
    ]
    if published:
        line = Line2D([], [], color=COLOURS["published"], lw=1.6, label="published")
        handles.append(line)
    return handles


@FIGURES.add("plot_planted_frequency", makes=("planted_frequency",))
def _plot_planted_frequency(inputs: Any, spec: Any) -> dict[str, Figure]:
    published = published_by(inputs.claims, "singh2020/table1.csv", "error_percent", "method")
    return {"planted_frequency": error_by_method(read_rows(inputs.table1), published)}

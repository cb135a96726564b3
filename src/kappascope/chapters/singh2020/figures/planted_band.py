"""How often methods find a planted band of frequencies (singh2020)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from kappascope.reporting.points import dots, named
from kappascope.reporting.style import BLUE, DOUBLE_COLUMN_INCHES, VERMILION, figure_style

Rows = Sequence[Mapping[str, str]]


def found(rows: Rows) -> Figure:
    """Draw maps in which each method finds each band, after training and before.

    Parameters
    ----------
    rows : of ``planted_band.csv``.

    """
    targets = list(dict.fromkeys(row["target"] for row in rows))
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 3.1))
        panels = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
        for axes, target in zip(panels, targets, strict=True):
            selected = [row for row in rows if row["target"] == target]
            places = np.arange(len(selected))
            for drawn in (
                ("hits_percent", "error", places - 0.12, VERMILION, "o", "trained"),
                (
                    "untrained_percent",
                    "untrained_error",
                    places + 0.12,
                    BLUE,
                    "s",
                    "before training",
                ),
            ):
                dots(axes, selected, *drawn)
            axes.axvline(
                float(selected[0]["by_chance_percent"]),
                color="0.4",
                lw=0.9,
                ls=":",
                label="by chance",
            )
            axes.set_xlim(0, 104)
            axes.set_xlabel("maps in which it is found [%]", fontsize=8.5)
            named(axes, [row["label"] for row in selected])
            low, high = float(selected[0]["low"]), float(selected[0]["high"])
            axes.set_title(f"{low:.2f}–{high:.2f} Nyquist", fontsize=10)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure

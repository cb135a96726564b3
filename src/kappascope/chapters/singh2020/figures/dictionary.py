"""Learned dictionaries of convergence: singh2020 §S4."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    ORANGE,
    VERMILION,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
_SHOWN = 16
_PANELS = (
    ("code_effective_number", "code_error", "effective coefficients\nof the code"),
    (
        "attribution_effective_number",
        "attribution_error",
        "effective coefficients\nof the attribution",
    ),
    (
        "attribution_cancellation",
        "cancellation_error",
        r"cancellation $\sum|\mathrm{TRIM}|\,/\,|\sum\mathrm{TRIM}|$",
    ),
)
_LINES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("learned", "0"): {"color": BLUE, "marker": "o", "ls": "-", "label": "learned, sparse codes"},
    ("learned", "1"): {
        "color": VERMILION,
        "marker": "s",
        "ls": "-",
        "label": "learned, sparse codes and attributions",
    },
    ("pca", ""): {"color": BLACK, "marker": "^", "ls": "--", "label": "leading PCA components"},
    ("dct", ""): {"color": GREEN, "marker": "v", "ls": ":", "label": "leading cosines"},
    ("pixels", ""): {"color": ORANGE, "marker": "D", "ls": "none", "label": "pixels"},
}
_LINEAR_PERCENT = 0.01  # below this, and down to zero, the axis is linear


def atoms(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Draw the atoms of most attribution, learned without and with the attributions' term.

    Parameters
    ----------
    arrays : of ``dictionary_atoms.npz``; the largest reconstruction weight is shown, which holds
        the constraint best.

    Returns
    -------
    One row a dictionary; each atom has a colour scale of its own, symmetric about zero, and its
    share of Σ|TRIM| above it.

    """
    weight = arrays["reconstruction_weight"][-1]
    shown = min(_SHOWN, arrays["atoms"].shape[2])
    columns = min(8, shown)
    lines = -(-shown // columns)
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 2 * (0.3 + 1.05 * lines)))
        parts: Any = figure.subfigures(2, 1)
        for which, part in enumerate(parts):
            mu = arrays["attribution_weight"][which]
            part.suptitle(rf"$\lambda={weight:g}$, $\mu={mu:g}$", x=0.01, ha="left", fontsize=10)
            grid = part.subplots(lines, columns, squeeze=False).flat
            for number, axes in enumerate(grid):
                axes.axis("off")
                if number < shown and arrays["atoms"][which, -1, number].any():
                    share = arrays["share"][which, -1, number]
                    _atom(axes, arrays["atoms"][which, -1, number], share)
    return figure


def _atom(axes: Axes, atom: np.ndarray, share: float) -> None:
    # The sign of an atom means nothing; most of it is shown in red.
    atom = atom * (1 if atom.sum() >= 0 else -1)
    limit = np.abs(atom).max()
    axes.imshow(atom, vmin=-limit, vmax=limit, cmap="RdBu_r")
    axes.set_title(f"{100 * share:.1f}%", fontsize=8, pad=2)


def trade_off(rows: Rows) -> Figure:
    """Draw sparsity of codes and attributions, and cancellation, against reconstruction.

    Parameters
    ----------
    rows : of ``dictionary.csv``.

    """
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 3.1))
        grid = figure.subplots(1, len(_PANELS))
        for axes, (column, error, name) in zip(grid, _PANELS, strict=True):
            for key, look in _LINES.items():
                selected = [row for row in rows if (row["basis"], row["with_attribution"]) == key]
                _line(axes, selected, column, error, look)
            axes.set_xscale("symlog", linthresh=_LINEAR_PERCENT, linscale=0.8)
            axes.set_xticks([0, 0.01, 0.1, 1, 10], ["0", "0.01", "0.1", "1", "10"])
            axes.set(xlim=(-0.002, 70), xlabel="variance unexplained [%]", ylabel=name)
            axes.set_yscale("log")
            ticks = (1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500)
            axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            highest = max(float(row[column]) for row in rows)
            axes.set_ylim(0.95, 1.15 * highest)
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=3, fontsize=8.5)
    return figure


def _line(axes: Axes, rows: Rows, column: str, error: str, look: Mapping[str, Any]) -> None:
    if not rows:
        return
    x = [float(row["unexplained_percent"]) for row in rows]
    y = [float(row[column]) for row in rows]
    across, along = (
        [float(row[name] or 0) for row in rows] for name in ("unexplained_error", error)
    )
    axes.errorbar(x, y, along, across, ms=3, lw=1, elinewidth=0.6, **look)


@FIGURES.add(
    "plot_dictionary",
    makes=(
        "atoms",
        "dictionary",
    ),
)
def _plot_dictionary(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {
        "atoms": atoms(read_arrays(inputs.atoms)),
        "dictionary": trade_off(read_rows(inputs.table)),
    }

"""Which scales the network looks at: singh2020 Figs. 3, 4 and S1."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter

from kappascope.attribution.labels import DECOMPOSITIONS, label
from kappascope.chapters.singh2020.figures import planted_band
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    BLUE,
    COLOURS,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    LABELS,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
Arrays = Mapping[str, np.ndarray]
_METHODS = {"cd": (VERMILION, "solid")}
_OTHERS = ((BLUE, "dashed"), (GREEN, "dashdot"), (PURPLE, "dotted"), (ORANGE, (0, (3, 1, 1, 1))))
_GROUPS = ((BLUE, "solid"), (GREEN, "dashed"), (ORANGE, "dashdot"), (VERMILION, "dotted"))


def _both_axes(axes: Axes, ell: np.ndarray) -> None:
    """Multipoles below, and above what the paper printed: twice as much."""
    axes.set(xlabel=r"$\ell$", xlim=(ell.min(), ell.max()))
    above = axes.secondary_xaxis("top", functions=(_doubled, _halved))
    above.set_xlabel(r"$\ell$ as printed (twice too large)")
    axes.tick_params(top=False)
    for axis in (axes.xaxis, above.xaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def _doubled(ell: Any) -> Any:
    return 2 * ell


def _halved(ell: Any) -> Any:
    return ell / 2


def band_curves(arrays: Arrays, published: np.ndarray | None) -> Figure:
    """Draw the score of every band for each test map, their mean, and maps in bands (Fig. 3).

    Parameters
    ----------
    arrays : content of ``bands.npz``.
    published : (band, 3) frequency, printed multipole and mean score read off the paper's figure.

    """
    ell, scores = arrays["ell"], arrays["scores_cd"][0]
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 5.6))
        parts: Any = figure.subfigures(2, 1, height_ratios=(2.1, 1))
        upper, lower = parts
        left, right = upper.subplots(1, 2)
        left.plot(ell, scores.T, color=SKY_BLUE, linewidth=0.3, alpha=0.5)
        mean = scores.mean(0)
        left.plot(ell, mean, color=VERMILION, linewidth=2)
        handles = [
            Line2D([], [], color=SKY_BLUE, linewidth=1, label="one test map"),
            Line2D([], [], color=VERMILION, linewidth=2, label="mean"),
        ]
        low, high = np.percentile(scores, [1, 99])
        if published is not None:
            # True multipoles are half of what the paper printed.
            left.plot(published[:, 1] / 2, published[:, 2], color=COLOURS["theory"], dashes=(4, 2))
            handles.append(
                Line2D([], [], color=COLOURS["theory"], dashes=(4, 2), label="published mean")
            )
            low, high = min(low, published[:, 2].min()), max(high, published[:, 2].max())
        room = 0.05 * (high - low)
        left.set(ylim=(low - room, high + 4 * room))
        left.set_ylabel(r"score of the band / predicted $\Omega_\mathrm{m}$")
        left.legend(handles=handles, loc="upper right", ncols=2, columnspacing=1)
        _both_axes(left, ell)
        _relative(right, arrays)
        _pictures(lower, arrays)
    return figure


def _relative(axes: Axes, arrays: Arrays) -> None:
    """Mean curves of all methods, each over its own largest value: shapes only."""
    ell = arrays["ell"]
    names = [name.removeprefix("scores_") for name in arrays if name.startswith("scores_")]
    others = iter(_OTHERS)
    for name in names:
        mean = arrays[f"scores_{name}"][0].mean(0)
        colour, dashes = _METHODS.get(name) or next(others)
        axes.plot(ell, mean / np.abs(mean).max(), color=colour, linestyle=dashes, label=label(name))
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_ylabel("mean score / its largest size")
    axes.set(ylim=(-1.1, 1.75))
    axes.legend(loc="upper right")
    _both_axes(axes, ell)


def _pictures(figure: Any, arrays: Arrays) -> None:
    pictures, pixel = arrays["pictures"], float(arrays["pixel_arcmin"])
    nyquist = 180 * 60 / pixel
    side = pictures.shape[-1] * pixel / 60
    titles = ["whole map"] + [
        rf"$\ell={low * nyquist:.0f}$–{high * nyquist:.0f}" for low, high in arrays["shown_bands"]
    ]
    for axes, picture, title in zip(
        figure.subplots(1, len(pictures)), pictures, titles, strict=True
    ):
        limit = np.percentile(np.abs(picture), 99.5)
        axes.imshow(
            picture,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            extent=(0, side, 0, side),
        )
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(rf"$\pm${limit:.3f}", fontsize=9)


def curves_by_parameter(rows: Rows, parameters: Sequence[str]) -> Figure:
    """Draw mean curves of cosmologies grouped by their true parameter (Figs. 4 and S1).

    Parameters
    ----------
    rows : of ``band_curves.csv``.
    parameters : a panel each.

    """
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES * (0.35 + 0.325 * len(parameters)), 3.4))
        panels = figure.subplots(1, len(parameters), squeeze=False)[0]
        for axes, parameter in zip(panels, parameters, strict=True):
            selected = [
                row for row in rows if row["parameter"] == parameter and row["method"] == "cd"
            ]
            groups = [g for g in dict.fromkeys(row["group"] for row in selected) if g != "all"]
            for group, (colour, dashes) in zip(groups, _GROUPS, strict=False):
                one = [row for row in selected if row["group"] == group]
                ell, score = (np.array([float(row[k]) for row in one]) for k in ("ell", "score"))
                low, high = float(one[0]["value_low"]), float(one[0]["value_high"])
                name = rf"{LABELS[parameter]} = {low:.2f}–{high:.2f}"
                axes.plot(ell, score, color=colour, linestyle=dashes, label=name)
                if one[0]["error"]:
                    error = np.array([float(row["error"]) for row in one])
                    axes.fill_between(
                        ell, score - error, score + error, color=colour, alpha=0.15, linewidth=0
                    )
            axes.set_ylabel(f"score of the band / predicted {LABELS[parameter]}")
            bottom, top = axes.get_ylim()
            axes.set_ylim(bottom, top + 0.35 * (top - bottom))
            axes.legend(loc="upper right", ncols=2, columnspacing=1, fontsize=8.5)
            _both_axes(axes, ell)
    return figure


_KINDS = {
    "trained": (VERMILION, "solid"),
    "untrained": (BLUE, "dashed"),
    "permuted_labels": (GREEN, "dotted"),
}


def beside_nulls(curves: Mapping[str, Rows]) -> Figure:
    """Draw mean curves of trained networks and of those that learned nothing, by convention.

    Parameters
    ----------
    curves : ``trained`` and kinds of null runs → rows of ``band_curves.csv``.

    """
    chosen = {
        kind: [r for r in rows if r["group"] == "all" and r["parameter"] == "omega_matter"]
        for kind, rows in curves.items()
    }
    names = [
        name
        for name in dict.fromkeys(row["method"] for row in chosen["trained"])
        if name in DECOMPOSITIONS
    ]
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES * max(0.6, 0.5 * len(names)), 3.4))
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for kind, rows in chosen.items():
                one = [row for row in rows if row["method"] == name]
                if not one:
                    continue
                ell, score = (np.array([float(row[k]) for row in one]) for k in ("ell", "score"))
                # Scores of networks that learned nothing are of any size: what tells is the shape.
                size = np.abs(score.mean())
                colour, dashes = _KINDS[kind]
                told = kind.replace("_", " ")
                axes.plot(ell, score / size, color=colour, linestyle=dashes, label=told)
                if one[0]["error"]:
                    error = np.array([float(row["error"]) for row in one])
                    axes.fill_between(
                        ell,
                        (score - error) / size,
                        (score + error) / size,
                        color=colour,
                        alpha=0.15,
                        linewidth=0,
                    )
            axes.set_title(label(name), pad=34, fontsize=10)
            axes.set_ylabel("score of the band / mean score")
            bottom, top = axes.get_ylim()
            axes.set_ylim(bottom, top + 0.3 * (top - bottom))
            axes.legend(loc="upper right", fontsize=8.5)
            _both_axes(axes, ell)
    return figure


@FIGURES.add(
    "plot_bands",
    makes=(
        "fig3",
        "fig4",
        "figS1",
        "band_nulls",
        "planted_band",
    ),
)
def _plot_bands(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays, rows = read_arrays(inputs.arrays), read_rows(inputs.curves)
    nulls = {
        kind: read_rows(path) for kind, path in zip(spec.kinds, list(inputs.nulls), strict=True)
    }
    published = np.loadtxt(inputs.published) if hasattr(inputs, "published") else None
    return {
        "fig3": band_curves(arrays, published),
        "fig4": curves_by_parameter(rows, ["omega_matter"]),
        "figS1": curves_by_parameter(rows, ["omega_matter", "sigma_8"]),
        "band_nulls": beside_nulls({"trained": rows, **nulls}),
        "planted_band": planted_band.found(read_rows(inputs.planted)),
    }

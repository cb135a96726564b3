"""Figures of nonlinear saliency maps: Figures 1 to 4 of Rosenzweig et al. (2021), and κ maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.points import dots, named
from kappascope.reporting.style import (
    BLUE,
    DOUBLE_COLUMN_INCHES,
    GREY,
    LABELS,
    ORANGE,
    VERMILION,
    composite,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
Arrays = Mapping[str, np.ndarray]

METHODS = {"nonlinear": ("Nonlinear", BLUE, "o-"), "linear": ("Linear", VERMILION, "s--")}
RANKS = ("first", "second")
FIGURE_1_EXAMPLES = 3
PHOTOGRAPHS = "photographs"
LONGEST = 16
"""Letters of a class's name that have room."""


def _picture(axis: Axes, x: np.ndarray, mask: np.ndarray | None = None, subject: str = "") -> None:
    """Draw an image of one band or more; pixels outside a mask are white, as published."""
    shown = np.asarray(x, float)
    if subject == PHOTOGRAPHS:
        shown = np.clip(shown, 0, 1)
    elif shown.shape[-1] == 1:
        grey = np.clip(shown[..., 0], 0, 1)
        shown = np.repeat(grey[..., None], 3, -1)
    else:
        shown = composite(shown)
    if mask is not None:
        shown = np.where(mask[..., None], shown, 1.0)
    axis.imshow(shown, origin="upper" if x.shape[-1] == 1 or subject == PHOTOGRAPHS else "lower")
    axis.set_xticks([])
    axis.set_yticks([])


def _named(rows: Rows, example: int, rank: str, method: str = "nonlinear") -> Mapping[str, str]:
    return next(
        row
        for row in rows
        if (int(row["example"]), row["rank"], row["method"]) == (example, rank, method)
    )


def _of(rows: Rows, subject: str) -> Rows:
    return [row for row in rows if row["subject"] == subject]


def modifications(subject: str, arrays: Arrays, examples: Rows, trajectories: Rows) -> Figure:
    """Figure 1: images on the way to their first and second class, the maps below."""
    rows = _of(examples, subject)
    chosen = arrays[f"{subject}.examples"][:FIGURE_1_EXAMPLES]
    images, kept = arrays[f"{subject}.images"], arrays[f"{subject}.kept"]
    levels = sorted({float(row["level_percent"]) for row in _of(trajectories, subject)})
    with figure_style():
        figure, axes = plt.subplots(
            4 * len(chosen),
            len(levels) + 1,
            squeeze=False,
            figsize=(DOUBLE_COLUMN_INCHES, 0.4 + 0.78 * 4 * len(chosen)),
        )
        for place, example in enumerate(chosen):
            for r, rank in enumerate(RANKS):
                upper, lower = axes[4 * place + 2 * r], axes[4 * place + 2 * r + 1]
                row = _named(rows, int(example), rank)
                _picture(upper[0], arrays[f"{subject}.x"][place], None, subject)
                lower[0].axis("off")
                lower[0].text(
                    0.5,
                    0.95,
                    f"{_short(row['class'])}\n{_percent(row['start_percent'])}\n"
                    rf"$\to$ {_percent(row['best_percent'])}",
                    ha="center",
                    va="top",
                    fontsize=7,
                    transform=lower[0].transAxes,
                )
                for k in range(len(levels)):
                    _picture(upper[k + 1], images[r, k, place], None, subject)
                    _picture(lower[k + 1], images[r, k, place], kept[r, 0, k, place], subject)
        axes[0, 0].set_title("Input", fontsize=8)
        for axis, level in zip(axes[0, 1:], levels, strict=True):
            axis.set_title(f"{level:g} %", fontsize=8)
        figure.supxlabel("Share of pixels blurred (above) and masked (below)", fontsize=9)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _percent(text: str) -> str:
    value = float(text)
    return f"{value:.1g} %" if value < 1 else f"{value:.3g} %"


def trajectories(subject: str, arrays: Arrays, examples: Rows, rows: Rows) -> Figure:
    """Figure 2: probability of the driven class against the share of blurred pixels."""
    rows, listed = _of(rows, subject), _of(examples, subject)
    chosen = arrays[f"{subject}.examples"]
    with figure_style():
        figure, axes = plt.subplots(
            len(RANKS) * 2,
            -(-len(chosen) // 2),
            sharex=True,
            sharey=True,
            squeeze=False,
            figsize=(DOUBLE_COLUMN_INCHES, 6.0),
        )
        for axis in axes.ravel():
            axis.axis("off")
        for place, example in enumerate(chosen):
            for r, rank in enumerate(RANKS):
                axis = axes[2 * (place % 2) + r, place // 2]
                axis.axis("on")
                start = float(_named(listed, int(example), rank)["start_percent"])
                for method, (text, colour, style) in METHODS.items():
                    selected = [
                        row
                        for row in rows
                        if (int(row["example"]), row["rank"], row["method"])
                        == (example, rank, method)
                    ]
                    axis.plot(
                        [float(row["level_percent"]) for row in selected],
                        [float(row["percent"]) for row in selected],
                        style,
                        ms=3,
                        color=colour,
                        label=text,
                    )
                axis.plot([0], [start], "x", ms=5, color=GREY, label="input", clip_on=False)
                name = _named(listed, int(example), rank)["class"]
                axis.set_title(f"{_short(name)}, {rank}", fontsize=8)
        axes[0, 0].set(xlim=(-3, 98), ylim=(-4, 104))
        # Curves may be anywhere in the panels.
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
        figure.supxlabel("share of pixels blurred [%]", fontsize=11)
        figure.supylabel("probability of the class [%]", fontsize=11)
    return figure


def comparison(subject: str, arrays: Arrays, examples: Rows) -> Figure:
    """Figure 3: linear and nonlinear masks at the last level for two examples and both classes."""
    rows = _of(examples, subject)
    chosen = arrays[f"{subject}.examples"]
    # Where the two disagree most, as the paper's two were chosen.
    overlap = [float(_named(rows, int(e), "second")["overlap"]) for e in chosen]
    most = np.argsort(overlap, kind="stable")[:2]
    with figure_style():
        figure, axes = plt.subplots(
            len(most) * 2,
            3,
            squeeze=False,
            figsize=(0.62 * DOUBLE_COLUMN_INCHES, 1.45 * 2 * len(most)),
        )
        for line, place in enumerate(most):
            example, x = int(chosen[place]), arrays[f"{subject}.x"][place]
            for r, rank in enumerate(RANKS):
                row = axes[2 * line + r]
                example_row = _named(rows, example, rank)
                _picture(row[0], x, None, subject)
                row[0].set_ylabel(
                    f"{_short(example_row['class'])}\noverlap {float(example_row['overlap']):.2f}",
                    fontsize=8,
                )
                for axis, method in zip(row[1:], ("linear", "nonlinear"), strict=True):
                    m = list(METHODS).index(method)
                    mask = arrays[f"{subject}.kept"][r, m, -1, place]
                    _picture(axis, x, mask, subject)
                    if x.shape[-1] == 1:
                        _dots(axis, mask)
        for axis, title in zip(axes[0], ("Input", "Linear", "Nonlinear"), strict=True):
            axis.set_title(title, fontsize=9)
    return figure


def _dots(axis: Axes, mask: np.ndarray) -> None:
    """Mark kept pixels that may be as white as the background."""
    y, x = np.nonzero(mask)
    axis.plot(x, y, "s", ms=2.2, mfc="none", mec=ORANGE, mew=0.6)


def selective_blurring(subject: str, arrays: Arrays, blurring: Rows) -> Figure:
    """Figure 4: what blurring a class's pixels does to it, by example, and over all examples."""
    rows = _of(blurring, subject)
    chosen = [int(e) for e in arrays[f"{subject}.examples"]]
    with figure_style():
        figure, axes = plt.subplots(
            1, 3, figsize=(DOUBLE_COLUMN_INCHES, 2.9), width_ratios=(1, 1, 1.1)
        )
        for axis, rank in zip(axes[:2], RANKS, strict=True):
            selected = [r for r in rows if (r["rank"], r["method"]) == (rank, "nonlinear")]
            selected = [row for e in chosen for row in selected if int(row["example"]) == e]
            place = np.arange(len(selected))
            axis.barh(
                place - 0.2,
                [float(r["percent"]) for r in selected],
                0.38,
                color=GREY,
                label="input",
            )
            axis.barh(
                place + 0.2,
                [float(r["blurred_percent"]) for r in selected],
                0.38,
                color=BLUE,
                label="blurred",
            )
            axis.set_yticks(place, [_short(r["class"]) for r in selected], fontsize=8)
            axis.set(xlabel=f"{rank} class [%]", ylim=(len(selected) + 0.7, -0.7))
            if rank == "first":
                axis.set_xlim(0, 104)
            else:
                axis.set_xscale("log")
                axis.set_xlim(1e-6, 200)
            axis.tick_params(axis="y", length=0)
        axes[0].legend(loc="lower right", fontsize=7, ncols=2)
        styles: Any = (
            ("nonlinear", BLUE, "Nonlinear"),
            ("linear", VERMILION, "Linear"),
            ("random", GREY, "Random pixels"),
        )
        ticks = []
        for line, (rank, (method, colour, text)) in enumerate(
            (rank, style) for rank in RANKS for style in styles
        ):
            values = [
                float(r["log_odds_change"])
                for r in rows
                if (r["rank"], r["method"]) == (rank, method)
            ]
            low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
            axes[2].errorbar(
                [middle],
                [line],
                xerr=[[middle - low], [high - middle]],
                fmt="o",
                ms=4,
                capsize=2,
                color=colour,
            )
            ticks.append(f"{text}, {rank}")
        axes[2].axvline(0, color=GREY, lw=0.8)
        axes[2].set_yticks(range(len(ticks)), ticks, fontsize=8)
        axes[2].set(xlabel="change of log-odds", ylim=(len(ticks) - 0.4, -0.6))
        axes[2].set_title("median and 68 % of examples", fontsize=9)
    return figure


def kappa(arrays: Arrays, rows: Rows) -> Figure:
    """Draw a convergence map moved up and down in both parameters, and the outputs."""
    parameters = list(dict.fromkeys(row["parameter"] for row in rows))
    x = arrays["kappa.x"]
    low, high = np.quantile(x[0], [0.01, 0.995])
    levels = 100 * arrays["kappa.levels"]
    with figure_style():
        figure, axes = plt.subplots(
            len(parameters),
            4,
            squeeze=False,
            figsize=(DOUBLE_COLUMN_INCHES, 0.3 + 1.75 * len(parameters)),
        )
        image = None
        for row, parameter in zip(axes, parameters, strict=True):
            for axis, name, shown in (
                (row[0], "Down", arrays[f"kappa.{parameter}.down.best"][0]),
                (row[1], "Input", x[0]),
                (row[2], "Up", arrays[f"kappa.{parameter}.up.best"][0]),
            ):
                image = axis.imshow(shown[..., 0], vmin=low, vmax=high)
                axis.set_xticks([])
                axis.set_yticks([])
                axis.set_title(f"{name}, {LABELS[parameter]}", fontsize=9)
            for direction, marker in (("up", "^"), ("down", "v")):
                outputs = arrays[f"kappa.{parameter}.{direction}.values"]
                for values, (text, colour, style) in zip(outputs, METHODS.values(), strict=True):
                    row[3].errorbar(
                        levels,
                        values.mean(1),
                        values.std(1) / np.sqrt(values.shape[1]),
                        fmt=marker + style[1:],
                        ms=3,
                        lw=1.0,
                        color=colour,
                        label=f"{text}, {direction}",
                    )
            start = [
                float(r["start"])
                for r in rows
                if (r["parameter"], r["direction"], r["method"]) == (parameter, "up", "nonlinear")
            ]
            row[3].axhline(np.mean(start), color=GREY, lw=0.8, ls=":")
            row[3].set_ylabel(f"predicted {LABELS[parameter]}", fontsize=9)
        axes[-1, 3].set_xlabel("pixels blurred [%]", fontsize=9)
        handles, labels = axes[0, 3].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, loc="outside upper right", ncols=4)
        assert image is not None
        figure.colorbar(
            image,
            ax=axes[:, :3].ravel().tolist(),
            location="bottom",
            label=r"$\kappa$",
            aspect=50,
            shrink=0.6,
            pad=0.02,
        )
    return figure


def arms(rows: Rows) -> Figure:
    """Draw what blur, ascent and optimizers each do, for every subject.

    Parameters
    ----------
    rows : of ``arms.csv``.

    """
    names = list(dict.fromkeys(row["label"] for row in rows))
    with figure_style():
        figure, axes = plt.subplots(
            1, 3, figsize=(DOUBLE_COLUMN_INCHES, 2.9), sharey=True, squeeze=False
        )
        for axis, (column, error, text) in zip(
            axes[0],
            (
                ("driven_percent", "error", "driven above 95 % [%]"),
                ("threshold_percent", "threshold_error", "blurred until then [%]"),
                ("at_limits_percent", "at_limits_error", "values at the limits [%]"),
            ),
            strict=True,
        ):
            for shift, subject, colour, marker in (
                (-0.12, "galaxies", BLUE, "o"),
                (0.12, "digits", VERMILION, "s"),
            ):
                told = _of(rows, subject)
                places = [names.index(row["label"]) + shift for row in told]
                dots(axis, told, column, error, places, colour, marker, subject)
            axis.set_xlabel(text, fontsize=9)
            axis.set_xlim(-3, 103)
            named(axis, names)
        axes[0, 2].legend(loc="best", fontsize=8)
    return figure


def separated(rows: Rows) -> Figure:
    """Draw how often maps of two digits' classes separate, and what of them is where.

    Parameters
    ----------
    rows : of ``pairs.csv``.

    """
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(DOUBLE_COLUMN_INCHES, 2.9), sharey=True)
        place = np.arange(len(rows))
        dots(left, rows, "separates_percent", "separates_error", place, BLUE)
        if rows:
            chance = float(rows[0]["by_chance_percent"])
            left.axvline(chance, color=GREY, lw=0.9, ls=":", label="by chance")
            left.legend(loc="lower right", fontsize=8)
        left.set(xlim=(0, 103), xlabel="pairs whose maps separate [%]")
        own = ("own_percent", "own_error", place - 0.12, BLUE, "o", "on its own digit")
        other = ("other_percent", "other_error", place + 0.12, VERMILION, "s", "on the other digit")
        for drawn in (own, other):
            dots(right, rows, *drawn)
        right.set(xlim=(0, 103), xlabel="share of a class's map [%]")
        right.legend(loc="lower right", fontsize=8)
        named(left, [row["label"] for row in rows], room=1.6, fontsize=8)
    return figure


@FIGURES.add(
    "plot_nonlinear",
    makes=(
        "fig1_galaxies",
        "fig2_galaxies",
        "fig3_galaxies",
        "fig4_galaxies",
        "fig1_digits",
        "fig2_digits",
        "fig3_digits",
        "fig4_digits",
        "kappa",
        "arms",
        "pairs",
    ),
)
def _plot_nonlinear(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays = read_arrays(inputs.arrays)
    examples, paths = read_rows(inputs.examples), read_rows(inputs.trajectories)
    drawn = {
        "kappa": kappa(arrays, read_rows(inputs.kappa)),
        "arms": arms(read_rows(inputs.arms)),
        "pairs": separated(read_rows(inputs.pairs)),
    }
    for subject in ("galaxies", "digits"):
        drawn |= {
            f"fig1_{subject}": modifications(subject, arrays, examples, paths),
            f"fig2_{subject}": trajectories(subject, arrays, examples, paths),
            f"fig3_{subject}": comparison(subject, arrays, examples),
            f"fig4_{subject}": selective_blurring(subject, arrays, read_rows(inputs.blurring)),
        }
    return drawn


@FIGURES.add(
    "plot_photographs",
    makes=("fig1_photographs", "fig2_photographs", "fig3_photographs", "fig4_photographs"),
    published="classifier",
)
def _plot_photographs(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays = read_arrays(inputs.arrays)
    examples, paths = read_rows(inputs.examples), read_rows(inputs.trajectories)
    return {
        "fig1_photographs": modifications(PHOTOGRAPHS, arrays, examples, paths),
        "fig2_photographs": trajectories(PHOTOGRAPHS, arrays, examples, paths),
        "fig3_photographs": comparison(PHOTOGRAPHS, arrays, examples),
        "fig4_photographs": selective_blurring(PHOTOGRAPHS, arrays, read_rows(inputs.blurring)),
    }

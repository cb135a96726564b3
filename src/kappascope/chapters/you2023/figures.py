"""Figures of grouped attributions: theorem, weights, example maps, methods compared (you2023)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullLocator

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.points import curve, dots, named, numbers
from kappascope.reporting.published import published_by
from kappascope.reporting.style import (
    BLACK,
    BLUE,
    COLOURS,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    GREY,
    LABELS,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
STRUCTURES = {"void": "Voids", "cluster": "Clusters"}
_STYLES = {
    ("monomial", "deletion"): (r"$\prod_i x_i$, deletion", BLUE, "o", "-"),
    ("monomial", "insertion"): (r"$\prod_i x_i$, insertion", SKY_BLUE, "s", "--"),
    ("binomial", "deletion"): (
        r"$\prod_{i\leq d/2} x_i+\prod_{i>d/2} x_i$, deletion",
        VERMILION,
        "^",
        "-",
    ),
    ("binomial", "insertion"): (r"the same, insertion", ORANGE, "v", "--"),
}


def theorem(rows: Rows) -> Figure:
    """Error of the best attribution of single features against their number, in total and each."""
    with figure_style():
        figure, axes = plt.subplots(
            1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.4), width_ratios=(1.3, 1)
        )
        most = max(int(row["features"]) for row in rows)
        for (function, error), (label, colour, marker, line) in _STYLES.items():
            selected = [row for row in rows if (row["function"], row["error"]) == (function, error)]
            selected = [row for row in selected if float(row["total_error"]) > 0]
            d = [int(row["features"]) for row in selected]
            for axis, column in zip(axes, ("total_error", "error_a_subset"), strict=True):
                axis.plot(
                    d,
                    [float(row[column]) for row in selected],
                    line,
                    marker=marker,
                    ms=4,
                    color=colour,
                    label=label,
                )
            checked = [row for row in selected if row["linear_program"]]
            axes[0].plot(
                [int(row["features"]) for row in checked],
                [float(row["linear_program"]) for row in checked],
                "o",
                ms=8,
                mfc="none",
                mew=0.7,
                color="0.3",
                zorder=1,
            )
        axes[0].plot([], [], "o", ms=8, mfc="none", mew=0.7, color="0.3", label="linear program")
        size = np.arange(2, most + 1)
        axes[0].plot(size, 2.0**size, ":", color="0.5", lw=1.0, label=r"number of subsets, $2^d$")
        axes[0].set_yscale("log")
        axes[0].set_ylabel("least error, all subsets together")
        axes[0].legend(loc="upper left", fontsize=8)
        axes[0].set_ylim(0.5, 2.0 ** (most + 4))
        axes[1].set_ylabel("the same, a subset")
        axes[1].set_ylim(bottom=0)
        for axis in axes:
            axis.set_xlabel(r"features $d$")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def weight_histograms(
    histogram: Rows, weights: Rows, published: Mapping[tuple[str, str], float]
) -> Figure:
    """Distribution of the scores of void and cluster groups, for both parameters.

    Parameters
    ----------
    histogram, weights : rows of ``weight_histogram.csv`` and ``weights.csv``.
    published : (structure, parameter) → mean weight [%].

    """
    with figure_style():
        figure, axes = plt.subplots(1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.1))
        for axis, (structure, title) in zip(axes, STRUCTURES.items(), strict=True):
            for shift, parameter in zip((-0.021, 0.021), PARAMETERS, strict=True):
                selected = [
                    row
                    for row in histogram
                    if (row["structure"], row["parameter"]) == (structure, parameter)
                ]
                centre = [(float(row["low"]) + float(row["high"])) / 2 + shift for row in selected]
                axis.bar(
                    centre,
                    [float(row["percent"]) for row in selected],
                    0.04,
                    yerr=[float(row["error"]) for row in selected],
                    error_kw={"lw": 0.8},
                    color=COLOURS[parameter],
                    hatch="" if parameter == "omega_matter" else "///",
                    edgecolor="white",
                    linewidth=0.4,
                    label=_told(weights, structure, parameter, published),
                )
            axis.set_xlim(0, 1)
            axis.set_xlabel("weight of a group")
            axis.set_title(title)
            axis.set_ylim(top=1.7 * axis.get_ylim()[1])
            axis.legend(loc="upper left")
        axes[0].set_ylabel("groups [%]")
    return figure


def _told(
    weights: Rows, structure: str, parameter: str, published: Mapping[tuple[str, str], float]
) -> str:
    selected = [
        row
        for row in weights
        if (row["structure"], row["parameter"], row["weighting"])
        == (structure, parameter, "per_group")
    ]
    if not selected or not selected[0]["weight_percent"]:
        return f"{LABELS[parameter]}: none"
    error = selected[0]["error"]
    spread = f" ± {float(error):.1f}" if error else ""
    text = f"{LABELS[parameter]}: mean {float(selected[0]['weight_percent']):.1f}{spread} %"
    known = published.get((structure, parameter))
    return text if known is None else f"{text}\n(published {known:g} %)"


def threshold_sweep(rows: Rows, usual: Mapping[str, float]) -> Figure:
    """Mean weight and share of all weight of voids and clusters against their threshold."""
    with figure_style():
        figure, axes = plt.subplots(
            2, 2, figsize=(DOUBLE_COLUMN_INCHES, 4.4), sharex="col", squeeze=False
        )
        for column, (structure, title) in enumerate(STRUCTURES.items()):
            sign = "<" if structure == "void" else ">"
            for line, (value, error, label) in enumerate(
                (
                    ("weight_percent", "error", "mean weight of a group [%]"),
                    ("share_percent", "share_error", "share of all weight [%]"),
                )
            ):
                axis = axes[line, column]
                for parameter, marker in zip(PARAMETERS, "os", strict=True):
                    _sweep_line(axis, rows, structure, parameter, value, error, marker)
                axis.axvline(usual[structure], color="0.6", lw=0.8, ls=":")
                axis.set_ylim(bottom=0)
                if not column:
                    axis.set_ylabel(label)
            axes[0, column].set_title(title)
            axes[1, column].set_xlabel(rf"threshold $t$: mean $\kappa$ {sign} $t\,\sigma$")
        axes[0, 0].legend(loc="best")
    return figure


def _sweep_line(
    axis: Axes, rows: Rows, structure: str, parameter: str, value: str, error: str, marker: str
) -> None:
    selected = [
        row
        for row in rows
        if (row["structure"], row["parameter"], row["weighting"])
        == (structure, parameter, "per_group")
        and row[value]
    ]
    axis.errorbar(
        [float(row["threshold"]) for row in selected],
        [float(row[value]) for row in selected],
        [float(row[error] or 0) for row in selected],
        marker=marker,
        ms=4,
        capsize=2,
        color=COLOURS[parameter],
        label=LABELS[parameter],
    )


DEFINITIONS = {
    "published": "as published",
    "capped": "no larger than the cap",
    "contrast": "and above or below\nthe map's mean",
}


def regions(area: Rows, order: Rows, published: Mapping[str, float]) -> Figure:
    """Draw how voids weigh by their area, and what each definition makes of the published orders.

    Parameters
    ----------
    area, order : rows of ``region_area.csv`` and ``region_order.csv``.
    published : structure → mean weight for Ω_m less that for σ8 [%].

    """
    with figure_style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.4), width_ratios=(1.15, 1)
        )
        for shift, parameter, marker in zip((-0.8, 0.8), PARAMETERS, "os", strict=True):
            selected = [
                row for row in area if (row["structure"], row["parameter"]) == ("void", parameter)
            ]
            middle = (numbers(selected, "low_percent") + numbers(selected, "high_percent")) / 2
            for name, error, line, fill, label in (
                ("share_percent", "error", "-", COLOURS[parameter], ""),
                ("null_percent", "null_error", ":", "white", ", regions moved"),
            ):
                curve(
                    left,
                    middle + shift,
                    numbers(selected, name),
                    numbers(selected, error),
                    COLOURS[parameter],
                    marker,
                    f"{LABELS[parameter]}{label}",
                    ls=line,
                    mfc=fill,
                )
        left.set_xlim(0, 100)
        left.set_ylim(bottom=0)
        left.set_xlabel("area of the group [% of the map]")
        left.set_ylabel("share of all weight, in voids [%]")
        left.set_title("Voids as published, by their area")
        left.legend(loc="upper left")
        by_name = {(row["structure"], row["definition"]): row for row in order}
        names = [(s, d) for s in STRUCTURES for d in DEFINITIONS]
        told, places = [by_name[name] for name in names], np.arange(len(names))
        known = [published.get(s, np.nan) if d == "published" else np.nan for s, d in names]
        right.plot(
            known, places, "x", ms=7, mew=1.8, color=VERMILION, label="published, mean weights"
        )
        dots(right, told, "difference_percent", "error", places - 0.12, BLUE, label="found")
        dots(
            *(right, told, "null_percent", "null_error", places + 0.12, BLUE),
            label="regions moved",
            mfc="white",
        )
        right.axvline(0, color="0.6", lw=0.8)
        right.axhline(len(DEFINITIONS) - 0.5, color="0.85", lw=0.8)
        named(right, [f"{STRUCTURES[s]}, {DEFINITIONS[d]}" for s, d in names], fontsize=7)
        right.set_xlabel(r"share for $\Omega_\mathrm{m}$ less that for $\sigma_8$ [%]")
        # Where clusters are: their differences are small.
        right.legend(loc="lower right", fontsize=8)
    return figure


def _image(axis: Axes, map_: np.ndarray, limits: tuple[float, float], side: float) -> Any:
    extent = (0.0, side, 0.0, side)
    axis.set_xticks([])
    axis.set_yticks([])
    return axis.imshow(map_, extent=extent, vmin=limits[0], vmax=limits[1])


def _limits(map_: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(map_, [1, 99.5])
    return float(low), float(max(high, low + 1e-6))


def gallery(examples: Mapping[str, np.ndarray], field_arcmin: float, most: int = 4) -> Figure:
    """Draw maps and their three groups of largest score: what is kept in colour, the rest grey.

    Parameters
    ----------
    examples : arrays of ``explaining.examples``.

    """
    count = min(most, len(examples["maps"]))
    with figure_style():
        figure, axes = plt.subplots(
            count,
            4,
            figsize=(DOUBLE_COLUMN_INCHES, 1.95 * count + 0.3),
            squeeze=False,
        )
        for row in range(count):
            map_ = examples["maps"][row]
            limits = _limits(map_)
            picture = _image(axes[row, 0], map_, limits, field_arcmin)
            true, predicted = examples["truth"][row], examples["prediction"][row]
            axes[row, 0].set_title(
                rf"true $({true[0]:.2f},\,{true[1]:.2f})$"
                "\n"
                rf"predicted $({predicted[0]:.2f},\,{predicted[1]:.2f})$",
                fontsize=7,
            )
            for number in range(3):
                axis = axes[row, 1 + number]
                scores = examples["scores"][row, number]
                if not scores.any():
                    axis.axis("off")
                    continue
                _image(axis, map_, limits, field_arcmin)
                veil = np.ones((*map_.shape, 4)) * 0.85
                veil[..., 3] = 1.0 - examples["masks"][row, number]
                axis.imshow(veil, extent=(0.0, field_arcmin, 0.0, field_arcmin))
                axis.set_title(
                    rf"{100 * scores[0]:.0f} % for $\Omega_\mathrm{{m}}$,"
                    "\n"
                    rf"{100 * scores[1]:.0f} % for $\sigma_8$",
                    fontsize=7,
                )
            figure.colorbar(picture, ax=axes[row].tolist(), label=r"$\kappa$", pad=0.01, aspect=12)
        axes[0, 0].annotate(
            f"{field_arcmin:.0f} arcmin a side",
            (0.03, 0.04),
            xycoords="axes fraction",
            color="white",
            fontsize=8,
        )
    return figure


def structures(examples: Mapping[str, np.ndarray], field_arcmin: float, most: int = 6) -> Figure:
    """Draw maps with the outlines of their heaviest void and cluster groups."""
    count = min(most, len(examples["maps"]))
    columns = min(3, count)
    lines = -(-count // columns)
    with figure_style():
        figure, axes = plt.subplots(
            lines,
            columns,
            figsize=(DOUBLE_COLUMN_INCHES, 2.5 * lines + 0.35),
            squeeze=False,
        )
        for axis in axes.ravel()[count:]:
            axis.axis("off")
        for row, axis in enumerate(axes.ravel()[:count]):
            map_ = examples["maps"][row]
            picture = _image(axis, map_, _limits(map_), field_arcmin)
            figure.colorbar(picture, ax=axis, label=r"$\kappa$", pad=0.01, shrink=0.9)
            side = (np.arange(len(map_)) + 0.5) * field_arcmin / len(map_)
            captions = []
            for kind, colour, line in (("void", SKY_BLUE, "solid"), ("cluster", GREEN, "dashed")):
                mask = examples[kind][row]
                if not mask.any():
                    captions.append(f"no {kind}")
                    continue
                axis.contour(
                    side, side, mask > 1e-4, [0.5], colors=[colour], linewidths=1.3, linestyles=line
                )
                score = 100 * examples[f"{kind}_score"][row]
                captions.append(f"{kind} {score[0]:.0f} %, {score[1]:.0f} %")
            axis.set_title("; ".join(captions), fontsize=7.5)
        handles = [
            plt.Line2D([], [], color=SKY_BLUE, label="void group"),
            plt.Line2D([], [], color=GREEN, ls="dashed", label="cluster group"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        figure.suptitle(
            r"Weights for $\Omega_\mathrm{m}$ and $\sigma_8$; fields of "
            f"{field_arcmin:.0f} arcmin a side",
            fontsize=9,
        )
    return figure


_MEASURES = (
    ("mse", r"error of the groups' prediction, MSE", "low"),
    ("purity", "purity", "high"),
    ("insertion", "insertion error", "low"),
    ("deletion", "deletion change", "high"),
    ("grouped_insertion", "grouped insertion error", "low"),
    ("grouped_deletion", "grouped deletion change", "high"),
)


def _methods(axis: Axes, rows: Rows, value: str, error: str) -> None:
    """Draw one number of every method, sum-of-parts in another colour."""
    for own, marker, colour, size in ((False, "o", BLUE, 4.0), (True, "D", VERMILION, 5.0)):
        places = [k for k, row in enumerate(rows) if (row["method"] == "sum_of_parts") == own]
        told = [rows[place] for place in places]
        dots(axis, told, value, error, places, colour, marker, size=size)


def compared(rows: Rows) -> Figure:
    """Draw what each method gets in each test, with standard errors over light cones."""
    labels = [row["label"] for row in rows]
    with figure_style():
        figure, axes = plt.subplots(
            2, 3, figsize=(DOUBLE_COLUMN_INCHES, 4.8), sharey=True, squeeze=False
        )
        for axis, (measure, title, good) in zip(axes.ravel(), _MEASURES, strict=True):
            _methods(axis, rows, measure, f"{measure}_error")
            axis.set_xlabel(f"{title} ({good} is good)", fontsize=8.5)
            axis.set_xlim(left=0)
            named(axis, labels)
            for place in range(1, len(labels)):
                axis.axhline(place - 0.5, color="0.9", lw=0.6, zorder=0)
    return figure


_METHOD_STYLES = tuple(
    zip(
        (GREY, BLUE, ORANGE, GREEN, SKY_BLUE, PURPLE, BLACK, VERMILION),
        ("x", "o", "s", "^", "v", "P", "<", "D"),
        strict=True,
    )
)


def by_area(rows: Rows) -> Figure:
    """Draw what the most important cells of each method tell and are, against their area.

    Parameters
    ----------
    rows : of ``mask_area.csv``.

    """
    with figure_style():
        figure, axes = plt.subplots(1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.3))
        names = list(dict.fromkeys(row["method"] for row in rows))
        backbone = next(float(row["mse"]) / float(row["error_ratio"]) for row in rows)
        for number, name in enumerate(names):
            colour, marker = _METHOD_STYLES[number % len(_METHOD_STYLES)]
            selected = [row for row in rows if row["method"] == name]
            for axis, measure, scale in zip(axes, ("mse", "purity"), (backbone, 1.0), strict=True):
                curve(
                    axis,
                    # Beside each other, not on top.
                    numbers(selected, "area_percent") * 1.02 ** (number - len(names) / 2),
                    numbers(selected, measure) / scale,
                    numbers(selected, f"{measure}_error") / scale,
                    colour,
                    marker,
                    selected[0]["label"],
                )
        for axis in axes:
            axis.set_xscale("log")
            ticks = sorted({float(row["area_percent"]) for row in rows})
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("area of the most important cells [% of the map]")
        axes[0].axhline(1, color="0.6", lw=0.8, ls=":")
        axes[0].set_ylabel("MSE of a fitted last layer\nover that of whole maps")
        axes[1].set_ylabel("share of masks that are pure")
        axes[1].set_ylim(0, 1.02)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def found(rows: Rows) -> Figure:
    """Draw in how many maps each method finds what was planted, for each target.

    Parameters
    ----------
    rows : of ``planted.csv``.

    """
    targets = list(dict.fromkeys(row["target"] for row in rows))
    labels = [_with_sharpness(row) for row in rows if row["target"] == targets[0]]
    with figure_style():
        figure, axes = plt.subplots(
            1, len(targets), figsize=(DOUBLE_COLUMN_INCHES, 3.1), sharey=True, squeeze=False
        )
        for axis, target in zip(axes[0], targets, strict=True):
            selected = [row for row in rows if row["target"] == target]
            _methods(axis, selected, "hits_percent", "error")
            axis.axvline(5, color="0.4", lw=0.9, ls=":", label="by chance")
            axis.set_xlim(0, 104)
            axis.set_title({"clusters": "Clusters", "voids": "Voids", "both": "Both"}[target])
            axis.set_xlabel("maps in which it is found [%]", fontsize=8.5)
            named(axis, labels)
        axes[0, -1].legend(loc="upper right", fontsize=7)
    return figure


def _with_sharpness(row: Mapping[str, str]) -> str:
    sharpness = row["sharpness"]
    return f"{row['label']}, {float(sharpness):g}" if sharpness else row["label"]


def attributions(examples: Mapping[str, np.ndarray], most: int = 10) -> Figure:
    """Draw maps and what each method attributes to their pixels, as the post shows them.

    Parameters
    ----------
    examples : ``maps`` (map, y, x) and label → (map, y, x), from ``comparison/{network}.npz``.

    """
    maps = examples["maps"][:most]
    names = [name for name in examples if name != "maps"]
    with figure_style():
        figure, axes = plt.subplots(
            1 + len(names),
            len(maps),
            figsize=(DOUBLE_COLUMN_INCHES, 0.63 * (1 + len(names)) + 0.25),
            squeeze=False,
        )
        tight = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0)
        figure.set_layout_engine(tight)
        for axis in axes.ravel():
            axis.set_xticks([])
            axis.set_yticks([])
        for column, map_ in enumerate(maps):
            low, high = _limits(map_)
            axes[0, column].imshow(map_, vmin=low, vmax=high)
            axes[0, column].set_title(str(column + 1), fontsize=8)
            for row, name in enumerate(names, start=1):
                relevance = examples[name][column]
                # Each by itself: methods and outputs have units of their own.
                size = np.percentile(np.abs(relevance), 99.5) or 1.0
                axes[row, column].imshow(relevance, cmap="RdBu_r", vmin=-size, vmax=size)
        for row, name in enumerate(("map", *names)):
            axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


@FIGURES.add("plot_theorem", makes=("theorem",))
def _plot_theorem(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {"theorem": theorem(read_rows(inputs.table))}


@FIGURES.add(
    "plot_groups",
    makes=(
        "weights",
        "sweep",
        "gallery",
        "structures",
        "regions",
    ),
)
def _plot_groups(inputs: Any, spec: Any) -> dict[str, Figure]:
    weights, examples = read_rows(inputs.weights), read_arrays(inputs.examples)
    published = published_by(
        inputs.claims, "you2023/weights.csv", "weight_percent", "structure", "parameter"
    )
    return {
        "weights": weight_histograms(read_rows(inputs.histogram), weights, published),
        "sweep": threshold_sweep(read_rows(inputs.sweep), spec.thresholds),
        "gallery": gallery(examples, spec.field_arcmin),
        "structures": structures(examples, spec.field_arcmin),
        "regions": regions(
            read_rows(inputs.region_area),
            read_rows(inputs.region_order),
            published_by(
                inputs.claims, "you2023/weight_order.csv", "difference_percent", "structure"
            ),
        ),
    }


@FIGURES.add("plot_baselines", makes=("baselines", "mask_area", "attributions", "planted"))
def _plot_baselines(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {
        "baselines": compared(read_rows(inputs.table)),
        "mask_area": by_area(read_rows(inputs.areas)),
        "attributions": attributions(read_arrays(inputs.examples)),
        "planted": found(read_rows(inputs.planted)),
    }

"""What the network looks at: matilla2020 Figs. 4, 5 and 6, and the tests of the methods."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import LogFormatterMathtext, MaxNLocator

from kappascope.attribution.labels import label
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
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
    YELLOW,
    figure_style,
    s8_bar,
    s8_colours,
    s8_of,
)

Rows = Sequence[Mapping[str, str]]

STAGES = ("Trained model", "Last layer\nrandomized", "All layers\nrandomized")
"""What the maps of a method come from, in the order of Fig. 4's columns."""

COEFFICIENTS: Mapping[str, str] = {
    "pearson": r"Pearson's $r$",
    "spearman": r"Spearman's $\rho$",
    "kendall": r"Kendall's $\tau$",
    "ssim": "SSIM",
}
_MODES = {
    "cascading": "all layers down to this one",
    "independent": "this layer alone",
}
_CONTROLS = {
    "planted_low": "label planted in low κ",
    "planted_high": "label planted in high κ",
    "permuted_labels": "permuted labels",
    "noise_only": "noise only",
}
_PERCENTILE = 99.5  # of |map|: one bright peak would leave the rest of the patch white
_MOST_LAYER_NAMES = 20  # more do not fit below a panel of four
_MOST_BANDS = 5  # more bands of error than this hide the lines
_SIGNED = "RdBu_r"


class _Look(NamedTuple):
    colour: str
    marker: str
    dashes: Any


_LOOKS: Mapping[str, _Look] = {
    "gradient": _Look(BLUE, "o", "solid"),
    "input_x_gradient": _Look(VERMILION, "s", "solid"),
    "inn_guided_backprop": _Look(GREEN, "^", "dashed"),
    "inn_deconvnet": _Look(ORANGE, "v", "dashed"),
    "deep_taylor_bn_identity": _Look(PURPLE, "D", "dashdot"),
    "inn_lrp_epsilon_bn_z": _Look(SKY_BLUE, "X", "dotted"),
    "inn_lrp_alpha1beta0_bn_z": _Look(BLACK, "P", "dashdot"),
    "integrated_gradients": _Look(GREY, "<", (0, (5, 1, 1, 1, 1, 1))),
    "smoothgrad": _Look(YELLOW, ">", (0, (3, 1))),
}
"""Colour, marker and dashes of the methods of the paper; the same in every figure."""


def looks(methods: Iterable[str]) -> dict[str, _Look]:
    """Give each method its look; one that the paper lacks takes a look that no other one has."""
    named = list(dict.fromkeys(methods))
    free = [look for name, look in _LOOKS.items() if name not in named]
    free += [
        _Look(look.colour, marker, (0, (1, 1, 3, 1)))
        for marker in "*dph8"
        for look in _LOOKS.values()
    ]
    return {name: _LOOKS.get(name) or free.pop(0) for name in named}


def _column(rows: Rows, name: str) -> np.ndarray:
    """Return a column (row) of numbers; an empty cell is NaN."""
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


# --- Figure 4 -------------------------------------------------------------------------------


def examples(
    kappa: np.ndarray, methods: Sequence[str], maps: np.ndarray, pixel_arcmin: float
) -> Figure:
    """Draw one patch of one map as every method explains it, and after randomization (Fig. 4).

    Parameters
    ----------
    kappa : (y, x) convergence.
    methods : (method,) names.
    maps : (method, 3, y, x) from the trained network, with the output layer randomized, with
        all layers randomized.
    pixel_arcmin : side of a pixel [arcmin].

    Returns
    -------
    One row a method. Each panel of relevance has limits of its own, symmetric about zero.

    """
    names = [str(method) for method in methods]
    extent = (0.0, kappa.shape[1] * pixel_arcmin, 0.0, kappa.shape[0] * pixel_arcmin)
    side = min(1.3, 8.2 / max(len(names), 1))  # inches; a page is 9.5 high
    low, high = np.percentile(kappa, [0.5, _PERCENTILE])
    with figure_style():
        layout = ConstrainedLayoutEngine(
            h_pad=0.02, w_pad=0.03, hspace=0.0, wspace=0.0, compress=True
        )
        size = (DOUBLE_COLUMN_INCHES, 1.25 + side * len(names))
        figure = Figure(figsize=size, layout=layout)
        grid = figure.subplots(len(names), 4, sharex=True, sharey=True, squeeze=False)
        for row, name, pictures in zip(grid, names, np.asarray(maps), strict=True):
            row[0].imshow(kappa, vmin=low, vmax=high, cmap="cividis", extent=extent)
            _name_at_left(row[0], label(name))
            for axes, picture in zip(row[1:], pictures, strict=True):
                _signed_map(axes, picture, extent)
        for axes, title in zip(grid[0], ("Input", *STAGES), strict=True):
            axes.set_title(title, fontsize=10, linespacing=1.0)
        _angles(grid)
        _bar(figure, grid[:, 0], Normalize(low, high), "cividis", LABELS["kappa"])
        relevance = f"relevance / {_PERCENTILE:g}th percentile of its modulus in the panel"
        _bar(figure, grid[:, 1:], Normalize(-1, 1), _SIGNED, relevance)
    return figure


def _name_at_left(axes: Axes, name: str) -> None:
    # Beside the panel, not above it: the rows then stand close together.
    axes.annotate(
        "\n".join(_lines(name)),
        xy=(0.0, 0.5),
        xycoords="axes fraction",
        xytext=(-34.0, 0.0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=9.5,
        linespacing=1.0,
    )


def _angles(grid: np.ndarray) -> None:
    """Write angles at the lowest and leftmost panels of a grid (row, column) of maps."""
    for axes in grid.flat:
        axes.tick_params(labelsize=7, length=2)
        axes.locator_params(nbins=4)
    for axes in grid[-1]:
        axes.set_xlabel(r"$\theta_x$ [arcmin]", fontsize=8, labelpad=1)
    for axes in grid[:, 0]:
        axes.set_ylabel(r"$\theta_y$ [arcmin]", fontsize=8, labelpad=1)


def _lines(name: str, width: int = 16) -> list[str]:
    """Break a name at its spaces into lines of about ``width`` characters."""
    lines = [""]
    for word in name.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _limit(picture: np.ndarray) -> float:
    """Return the largest |relevance| (y, x) on the colour scale; zero for a map of zeros."""
    sizes = np.abs(picture)
    # A map that is zero almost everywhere has a percentile of zero.
    return float(np.percentile(sizes, _PERCENTILE) or sizes.max())


def _signed_map(axes: Axes, picture: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    limit = _limit(picture)
    # Divided here and not by the limits: of a map of 1e-40 Matplotlib cannot make a scale.
    scaled = np.asarray(picture, float) / (limit or 1.0)
    axes.imshow(scaled, vmin=-1, vmax=1, cmap=_SIGNED, extent=extent)
    if limit == 0:
        axes.text(0.5, 0.5, "zero everywhere", transform=axes.transAxes, ha="center",
                  va="center", fontsize=7)  # fmt: skip


def _bar(figure: Figure, axes: np.ndarray, scale: Normalize, colours: str, name: str) -> None:
    bar = figure.colorbar(
        ScalarMappable(scale, colours),
        ax=axes.ravel().tolist(),
        location="bottom",
        shrink=0.9,
        aspect=12 * (1 if axes.ndim == 1 else axes.shape[1]),
        pad=0.1 / len(axes),
    )
    bar.set_label(name, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.ax.locator_params(nbins=3 if axes.ndim == 1 else 5)


# --- Randomization --------------------------------------------------------------------------


def randomization_curves(rows: Rows, data_set: str) -> Figure:
    """Draw how like the trained network's maps those of re-initialised networks are.

    Parameters
    ----------
    rows : of ``randomization.csv``.
    data_set : which of them.

    Returns
    -------
    Upper panels: all layers from the output down to the named one re-initialised; lower panels:
    the named one alone. Bands are the standard deviation over maps and re-initialisations;
    comparisons with a constant map are undefined and left out.

    """
    data_set_rows = [row for row in rows if row["data_set"] == data_set]
    seen = looks(row["method"] for row in data_set_rows)
    values = _by_stage(data_set_rows)
    layers = {int(row["stage"]): row["layer"] for row in data_set_rows}
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 5.4), layout="constrained")
        grid = figure.subplots(len(_MODES), len(COEFFICIENTS), sharex=True, sharey=True)
        for row, mode in zip(grid, _MODES, strict=True):
            for axes, coefficient in zip(row, COEFFICIENTS, strict=True):
                axes.axhline(0.0, color="0.4", linewidth=0.7, zorder=0)
                for number, (method, look) in enumerate(seen.items()):
                    _similarity(axes, values[mode, coefficient, method], look, number)
                _layer_axis(axes, layers)
                axes.set_xlabel(_MODES[mode], fontsize=8)
                axes.set_ylim(-1.05, 1.05)  # bands of a sign that flips would reach beyond
            row[0].set_ylabel(f"similarity, {mode}", fontsize=9.5)
        for axes, name in zip(grid[0], COEFFICIENTS.values(), strict=True):
            axes.set_title(name, fontsize=10)
        keys = [_key(look, label(method)) for method, look in seen.items()]
        figure.legend(handles=keys, loc="outside upper center", ncols=min(len(keys), 4) or 1)
    return figure


_Values = Mapping[tuple[str, str, str], Mapping[int, list[float]]]


def _by_stage(rows: Rows) -> _Values:
    """Sort similarities: (mode, coefficient, method) → stage → values."""
    values: Any = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for coefficient in COEFFICIENTS:
            if row[coefficient]:
                key = (row["mode"], coefficient, row["method"])
                values[key][int(row["stage"])].append(float(row[coefficient]))
    return values


def _similarity(axes: Axes, stages: Mapping[int, list[float]], look: _Look, number: int) -> None:
    if not stages:
        return
    x = np.array(range(min(stages), max(stages) + 1))
    # NaN where a stage has no comparison: the line has a gap there.
    values_by_stage = [stages.get(stage, [np.nan]) for stage in x.tolist()]
    mean = np.array([np.mean(values) for values in values_by_stage])
    scatter = np.array([np.std(values) for values in values_by_stage])
    # Markers at other stages than the next method's: lines that lie on each other stay apart.
    turns = 3 if len(stages) > 8 else 1
    axes.plot(x, mean, **_line(look), markevery=(number % turns, turns))
    axes.fill_between(x, mean - scatter, mean + scatter, color=look.colour, alpha=0.15, linewidth=0)


def _line(look: _Look) -> dict[str, Any]:
    style = {
        "color": look.colour,
        "linestyle": look.dashes,
        "linewidth": 1.0,
        "marker": look.marker,
        "markersize": 3.0,
        "markeredgewidth": 0.4,
        "markeredgecolor": "0.2",
    }
    if look.colour == YELLOW:  # too pale for white paper
        style["path_effects"] = [Stroke(linewidth=1.6, foreground="0.35"), Normal()]
    return style


def _key(look: _Look, name: str) -> Line2D:
    return Line2D([], [], label=name, **(_line(look) | {"markersize": 4.5}))


def _layer_axis(axes: Axes, layers: Mapping[int, str]) -> None:
    stages = sorted(layers)
    every = max(1, -(-len(stages) // _MOST_LAYER_NAMES))
    named = stages[::every]
    size = 5.5 if len(named) > 12 else 7.0
    axes.set_xticks(named, [layers[stage] for stage in named], rotation=90, fontsize=size)
    axes.tick_params(axis="x", length=2, pad=2, labelbottom=True)
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="y", labelsize=8)


# --- Figures 5 and 6 ------------------------------------------------------------------------


def relevance_by_convergence(rows: Rows, data_set: str) -> Figure:
    """Draw where in the convergence the relevance lies, for every cosmology (Figs. 5 and 6).

    Parameters
    ----------
    rows : of ``relevance.csv``.
    data_set : which of them.

    Returns
    -------
    Upper panels: each bin's share of the squared saliency; lower panels: the mean squared
    saliency of a pixel in it. One column a method, one line a cosmology coloured by S8.

    """
    data_set_rows = [row for row in rows if row["data_set"] == data_set]
    methods = list(dict.fromkeys(row["method"] for row in data_set_rows))
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 5.2), layout="constrained")
        grid = figure.subplots(2, max(len(methods), 1), sharex=True, sharey="row", squeeze=False)
        colours = s8_colours(data_set_rows)
        for (upper, lower), method in zip(grid.T, methods, strict=True):
            selected = [row for row in data_set_rows if row["method"] == method]
            _cosmology_lines(upper, selected, "share", 100.0, colours)
            _cosmology_lines(lower, selected, "per_pixel", 1.0, colours)
            upper.set_title(label(method))
            lower.set_yscale("log")
            lower.axhline(1.0, color="0.5", linewidth=0.7, linestyle=":", zorder=0)
            lower.set_xlabel(r"$\kappa/\sigma_\kappa$")
        for axes in grid.flat:
            # The two regions of which the text gives the shares: below 0 and above 3 sigma.
            for border in (0.0, 3.0):
                axes.axvline(border, color="0.8", linewidth=0.7, zorder=0)
        grid[0, 0].set_ylim(bottom=0.0)
        grid[0, 0].set_xlim(*_ends(data_set_rows))
        grid[0, 0].set_ylabel("share of squared saliency [%]")
        grid[1, 0].set_ylabel("squared saliency of a pixel /\nmean over the map", linespacing=1.0)
        s8_bar(figure, grid, data_set_rows, aspect=40)
    return figure


def _ends(rows: Rows) -> tuple[float, float]:
    return float(np.min(_column(rows, "bin_low"))), float(np.max(_column(rows, "bin_high")))


def _cosmology_lines(axes: Axes, rows: Rows, name: str, unit: float, colours: Any) -> None:
    groups: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["cosmology"]].append(row)
    for group in groups.values():
        centre = 0.5 * (_column(group, "bin_low") + _column(group, "bin_high"))
        mean, error = unit * _column(group, name), unit * _column(group, f"{name}_error")
        colour = colours.to_rgba(s8_of(group[0]))
        axes.plot(centre, mean, color=colour, linewidth=0.7 if len(groups) > _MOST_BANDS else 1.3)
        if len(groups) <= _MOST_BANDS:
            # A band that reaches zero has no place on a logarithmic axis.
            low = np.maximum(mean - error, 0.05 * mean)
            axes.fill_between(centre, low, mean + error, color=colour, alpha=0.25, linewidth=0)


# --- Sensitivity to the rules' parameters ---------------------------------------------------

_RULES = {
    "alpha_beta": (r"LRP-αβ: $\beta$, $\alpha=1+\beta$", "linear"),
    "epsilon": (r"LRP-ε: $\varepsilon$", "log"),
}
_MEASURES = {
    "similarity": "with the map at\nthe default setting",
    "randomized": "trained with fully\nrandomized",
}


def sensitivity(rows: Rows, patches: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw what the parameters of LRP-αβ and LRP-ε change.

    Parameters
    ----------
    rows : of ``sensitivity.csv``.
    patches : data set → arrays of ``examples_{data_set}.npz``; the first one's maps are drawn
        below the curves.

    Returns
    -------
    Upper panels: Pearson's correlation against each parameter, bars are the scatter over maps.

    """
    data_set, patch = next(iter(patches.items()))
    settings = {rule: len(patch[f"{rule}_values"]) for rule in _RULES}
    columns = max(4, 1 + max(settings.values()))
    height = DOUBLE_COLUMN_INCHES / columns
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 4.6 + 2 * height), layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=(4.0, 2 * height + 0.6))
        curves, pictures = parts
        grid = curves.subplots(2, 2, sharex="col", sharey=True)
        for row, (measure, name) in zip(grid, _MEASURES.items(), strict=True):
            for axes, rule in zip(row, _RULES, strict=True):
                _setting_curves(axes, [each for each in rows if each["rule"] == rule], measure)
            row[0].set_ylabel(f"Pearson's $r$,\n{name}", fontsize=9.5, linespacing=1.0)
        for axes, (text, scale) in zip(grid[1], _RULES.values(), strict=True):
            axes.set_xscale(scale)
            axes.set_xlabel(text)
        handles, names = grid[0, 0].get_legend_handles_labels()
        curves.legend(handles, names, loc="outside upper center", ncols=len(names) or 1)
        _setting_maps(pictures, patch, columns)
        pictures.suptitle(f"{LABELS.get(data_set, data_set)}: trained model", fontsize=10)
    return figure


def _setting_curves(axes: Axes, rows: Rows, measure: str) -> None:
    axes.axhline(0.0, color="0.4", linewidth=0.7, zorder=0)
    for data_set, marker, dashes in (("noiseless", "o", "solid"), ("noisy", "s", "dashed")):
        selected = sorted(
            (row for row in rows if row["data_set"] == data_set),
            key=lambda row: float(row["value"]),
        )
        if selected:
            axes.errorbar(
                _column(selected, "value"),
                _column(selected, measure),
                np.nan_to_num(_column(selected, f"{measure}_scatter")),
                color=COLOURS[data_set],
                marker=marker,
                markersize=4,
                linestyle=dashes,
                capsize=2,
                label=LABELS[data_set],
            )


def _setting_maps(figure: Any, patch: Mapping[str, np.ndarray], columns: int) -> None:
    kappa = patch["kappa"]
    pixel = float(patch["pixel_arcmin"])
    extent = (0.0, kappa.shape[1] * pixel, 0.0, kappa.shape[0] * pixel)
    low, high = np.percentile(kappa, [0.5, _PERCENTILE])
    grid = figure.subplots(2, columns, sharex=True, sharey=True)
    for row, rule, symbol in zip(grid, _RULES, (r"$\beta$", r"$\varepsilon$"), strict=True):
        row[0].imshow(kappa, vmin=low, vmax=high, cmap="cividis", extent=extent)
        row[0].set_title(f"Input {LABELS['kappa']}", fontsize=8)
        order = np.argsort(patch[f"{rule}_values"])
        for axes, index in zip(row[1:], order, strict=False):
            _signed_map(axes, patch[rule][index], extent)
            value = _number(float(patch[f"{rule}_values"][index]))
            axes.set_title(f"{symbol} = {value}", fontsize=8)
        for axes in row[1 + len(order) :]:
            axes.set_visible(False)
    _angles(grid)


def _number(value: float) -> str:
    """Write small powers of ten as such."""
    return str(LogFormatterMathtext()(value)) if 0 < value < 0.1 else f"{value:g}"


# --- Known answers --------------------------------------------------------------------------


def known_answers(rows: Rows) -> Figure:
    """Draw how much more relevance than pixels each method puts in the range that was planted.

    Parameters
    ----------
    rows : of ``known_answers.csv``; those without an enrichment are left out.

    Returns
    -------
    One line a method, one point a control; a filled point has its largest enrichment there, a white
    one elsewhere, a pale one is undecided.

    """
    selected = [row for row in rows if row["enrichment"]]
    methods = list(dict.fromkeys(row["method"] for row in selected))
    controls = list(dict.fromkeys(row["control"] for row in selected))
    left, right = _decades(selected)
    with figure_style():
        figure = Figure(
            figsize=(DOUBLE_COLUMN_INCHES, 1.3 + 0.4 * max(len(methods), 2)), layout="constrained"
        )
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axvline(1.0, color="0.4", linewidth=0.8, zorder=0)
        styles = zip(controls, (BLUE, VERMILION, GREEN, PURPLE), "osD^", strict=False)
        for index, (control, colour, marker) in enumerate(styles):
            shift = 0.7 * ((index + 0.5) / len(controls) - 0.5)
            for row in selected:
                if row["control"] == control:
                    place = methods.index(row["method"]) + shift
                    _enrichment(axes, row, place, colour, marker, left)
            axes.plot([], [], marker, color=colour, label=_CONTROLS.get(control, control))
        axes.plot([], [], "o", color="0.4", mfc="0.75", label="undecided")
        axes.plot([], [], "o", color="0.4", mfc="white", label="largest elsewhere")
        axes.set_xlim(left, right)
        axes.set_yticks(range(len(methods)), [label(method) for method in methods])
        axes.set_ylim(max(len(methods), 1) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of relevance / share of pixels, in the planted range")
        figure.legend(loc="outside upper center", ncols=4)
    return figure


def _decades(rows: Rows) -> tuple[float, float]:
    """Return ends of the logarithmic axis that hold 1 and every positive enrichment."""
    centre, error = _column(rows, "enrichment"), np.nan_to_num(_column(rows, "enrichment_error"))
    highest = np.max(centre + error, initial=1.0)
    # A bar that reaches zero or below may leave the axis; its point may not.
    ends = np.where(centre > error, centre - error, centre)
    lowest = np.min(ends[ends > 0], initial=1.0)
    return float(lowest / 1.6), float(highest * 1.6)


def _enrichment(
    axes: Axes, row: Mapping[str, str], place: float, colour: str, marker: str, left: float
) -> None:
    value, error = float(row["enrichment"]), float(row["enrichment_error"] or 0.0)
    fill = {"yes": colour, "undecided": (*to_rgb(colour), 0.35)}.get(row["found"], "white")
    if value <= 0:
        # No relevance at all in the range: an arrowhead at the axis, which has no zero.
        axes.plot(1.1 * left, place, "<", color=colour, mfc=fill, markersize=6)
        return
    reach = [[min(error, value - 0.5 * left)], [error]]  # a bar to zero has no end on this axis
    axes.errorbar(value, place, xerr=reach, color=colour, marker=marker, mfc=fill,
                  markersize=5, capsize=2, linestyle="none")  # fmt: skip


@FIGURES.add("plot_saliency_examples", makes=("fig4_{data_set}",))
def _plot_saliency_examples(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays = read_arrays(inputs.examples)
    methods, pixel_arcmin = arrays["methods"].tolist(), float(arrays["pixel_arcmin"])
    figure = examples(arrays["kappa"], methods, arrays["maps"], pixel_arcmin)
    return {f"fig4_{spec.data_set}": figure}


@FIGURES.add("plot_randomization", makes=("randomization_{data_set}",))
def _plot_randomization(inputs: Any, spec: Any) -> dict[str, Figure]:
    rows = read_rows(inputs.randomization)
    return {f"randomization_{spec.data_set}": randomization_curves(rows, spec.data_set)}


@FIGURES.add("plot_relevance", makes={"noiseless": "fig5", "noisy": "fig6"})
def _plot_relevance(inputs: Any, spec: Any) -> dict[str, Figure]:
    stem = {"noiseless": "fig5", "noisy": "fig6"}[spec.data_set]
    return {stem: relevance_by_convergence(read_rows(inputs.relevance), spec.data_set)}


@FIGURES.add("plot_sensitivity", makes=("sensitivity",))
def _plot_sensitivity(inputs: Any, spec: Any) -> dict[str, Figure]:
    pairs = zip(spec.data_sets, inputs.examples, strict=True)
    patches = {data_set: read_arrays(path) for data_set, path in pairs}
    return {"sensitivity": sensitivity(read_rows(inputs.sensitivity), patches)}


@FIGURES.add("plot_known_answers", makes=("known_answers",))
def _plot_known_answers(inputs: Any, spec: Any) -> dict[str, Figure]:
    return {"known_answers": known_answers(read_rows(inputs.known_answers))}

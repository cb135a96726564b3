"""Credible contours in (omega_matter, sigma_8): matilla2020 Figs. 1, 2 and 7."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.spatial import ConvexHull

from kappascope.files import read_arrays
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    COLOURS,
    DOUBLE_COLUMN_INCHES,
    LABELS,
    SINGLE_COLUMN_INCHES,
    figure_style,
)

Pictures = Mapping[str, np.ndarray]
"""Arrays of one data set, named as by ``kappascope.chapters.matilla2020.table1.pictures``."""

PANELS = ("All", "PS", "PC", "V0", "V1", "V2")
_DASHES: Any = ("solid", "dashdot")  # 68 percent, 95 percent
_INSET_SIZE = 0.46  # of the axes
_INSET_SHARE = 0.2  # of the axes: smaller contours are drawn again, magnified


def draw_contour(axes: Axes, pictures: Pictures, name: str, colour: str, width: float) -> None:
    """Draw the 68 percent (solid) and 95 percent (dot-dashed) contours of one posterior."""
    axes.contour(
        pictures[f"{name}/omega_matter"],
        pictures[f"{name}/sigma_8"],
        pictures[f"{name}/log_posterior"],
        # Matplotlib wants levels in ascending order: the 95 percent border is the lower one.
        levels=pictures[f"{name}/borders"][::-1],
        colors=[colour],
        linewidths=width,
        linestyles=_DASHES[::-1],
    )


def extent(pictures: Pictures, name: str) -> np.ndarray:
    """Return the corners (2, 2) of the box around the 95 percent region of ``name``."""
    inside = pictures[f"{name}/log_posterior"] >= pictures[f"{name}/borders"].min()
    omega_matter = pictures[f"{name}/omega_matter"][inside.any(axis=0)]
    sigma_8 = pictures[f"{name}/sigma_8"][inside.any(axis=1)]
    return np.array([[omega_matter[0], sigma_8[0]], [omega_matter[-1], sigma_8[-1]]])


def _limits(boxes: Sequence[np.ndarray], margin: float) -> np.ndarray:
    low = np.min([box[0] for box in boxes], axis=0)
    high = np.max([box[1] for box in boxes], axis=0)
    return np.array([low - margin * (high - low), high + margin * (high - low)])


def _set_limits(axes: Axes, box: np.ndarray) -> None:
    axes.set_xlim(box[0, 0], box[1, 0])
    axes.set_ylim(box[0, 1], box[1, 1])


def _cosmologies(axes: Axes, pictures: Pictures) -> None:
    places = pictures["parameters"]
    axes.plot(*places.T, ".", color=COLOURS["cosmology"], markersize=3, zorder=0)
    corners = places[ConvexHull(places).vertices]
    # Contours end where nothing was simulated; without this line that looks like an error.
    axes.fill(*corners.T, fill=False, edgecolor="0.8", linewidth=0.6, zorder=0)


def _credibility_keys() -> list[Line2D]:
    return [
        Line2D([], [], color="0.35", linestyle=dashes, label=f"{credibility} %")
        for dashes, credibility in zip(_DASHES, (68, 95), strict=True)
    ]


def contour_panels(pictures: Pictures) -> Figure:
    """Draw the network's, each statistic's and their joint contours (Fig. 1 or 2).

    Parameters
    ----------
    pictures : arrays of one data set.

    Returns
    -------
    Six panels, upper row All, PS, PC, lower row V0, V1, V2, with the same limits. Where a
    statistic's contour is too small to see, an inset magnifies it; where it ends at the edge of the
    simulated cosmologies the panel says so.

    """
    names = [
        (("DNN", COLOURS["DNN"], 1.0), (panel, COLOURS["statistic"], 1.0),
         (f"{panel}+DNN", COLOURS["both"], 1.7))
        for panel in PANELS
    ]  # fmt: skip
    box = _limits([extent(pictures, line[0]) for panel in names for line in panel], 0.06)
    with figure_style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCHES, 5.3), layout="constrained")
        grid = figure.subplots(2, 3, sharex=True, sharey=True)
        for axes, panel, lines in zip(grid.flat, PANELS, names, strict=True):
            _cosmologies(axes, pictures)
            for line in lines:
                draw_contour(axes, pictures, *line)
            _set_limits(axes, box)
            title = axes.text(0.05, 0.05, LABELS[panel], transform=axes.transAxes, fontsize=11)
            plain = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
            title.set_bbox(plain)
            if pictures[f"{panel}/hull_touched"].any():
                axes.text(
                    *(0.05, 0.15, "cut by the edge of the simulations"),
                    transform=axes.transAxes,
                    fontsize=7,
                    color="0.35",
                    bbox=plain,
                )
            small = _limits([extent(pictures, line[0]) for line in lines[1:]], 0.15)
            share = (small[1] - small[0]) / (box[1] - box[0])
            if np.sqrt(share.prod()) < _INSET_SHARE and share.max() < 2.0 * _INSET_SHARE:
                _magnify(axes, pictures, lines, small)
        for axes in grid[1]:
            axes.set_xlabel(LABELS["omega_matter"])
        for axes in grid[:, 0]:
            axes.set_ylabel(LABELS["sigma_8"])
        keys = [
            Line2D([], [], color=COLOURS["DNN"], linewidth=1.0, label="DNN"),
            Line2D([], [], color=COLOURS["statistic"], linewidth=1.0, label="statistic"),
            Line2D([], [], color=COLOURS["both"], linewidth=1.7, label="statistic + DNN"),
            *_credibility_keys(),
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=5)
    return figure


def _magnify(
    axes: Axes, pictures: Pictures, lines: Sequence[tuple[str, str, float]], box: np.ndarray
) -> None:
    inset = axes.inset_axes((0.98 - _INSET_SIZE, 0.98 - _INSET_SIZE, _INSET_SIZE, _INSET_SIZE))
    for line in lines:
        draw_contour(inset, pictures, *line)
    _set_limits(inset, box)
    inset.set_xticks([])
    inset.set_yticks([])
    inset.set_facecolor("white")
    whole = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    factor = float(np.sqrt(np.prod(_INSET_SIZE * whole / (box[1] - box[0]))))
    inset.text(
        0.04,
        0.95,
        f"×{factor:.2g}",
        transform=inset.transAxes,
        va="top",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )
    axes.indicate_inset_zoom(inset, edgecolor=COLOURS["cosmology"], linewidth=0.6, alpha=1.0)


def emulator_check_panels(pictures: Mapping[str, Pictures]) -> Figure:
    """Draw the network's contours from three choices of cosmologies (Fig. 7).

    Parameters
    ----------
    pictures : data set -> arrays as from ``kappascope.chapters.matilla2020.checks``.

    Returns
    -------
    One panel a data set. Cosmologies that the halved emulator keeps are outlined.

    """
    styles = (
        ("all", "all cosmologies", COLOURS["both"], 2.2),
        ("without_fiducial", "without the fiducial", COLOURS["DNN"], 1.2),
        ("half", "half, chosen at random", COLOURS["statistic"], 1.0),
    )
    with figure_style():
        width = DOUBLE_COLUMN_INCHES if len(pictures) > 1 else SINGLE_COLUMN_INCHES
        figure = Figure(figsize=(width, 3.7), layout="constrained")
        grid = figure.subplots(1, len(pictures), squeeze=False)[0]
        for axes, (data_set, arrays) in zip(grid, pictures.items(), strict=True):
            _cosmologies(axes, arrays)
            kept = arrays["parameters"][arrays["half/kept"]]
            axes.plot(*kept.T, "o", mfc="none", mec="0.3", mew=0.7, markersize=6, zorder=0)
            for name, _, colour, weight in styles:
                draw_contour(axes, arrays, name, colour, weight)
            _set_limits(axes, _limits([extent(arrays, line[0]) for line in styles], 0.25))
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.set_title(LABELS.get(data_set, data_set))
            axes.set_xlabel(LABELS["omega_matter"])
        grid[0].set_ylabel(LABELS["sigma_8"])
        keys: list[Any] = [
            Line2D([], [], color=colour, linewidth=weight, label=label)
            for _, label, colour, weight in styles
        ]
        figure.legend(handles=keys + _credibility_keys(), loc="outside upper center", ncols=5)
    return figure


def published_network_panel(
    published: Pictures, our_pictures: Pictures | None, our_degrees: float | None = None
) -> Figure:
    """Draw the contour of the published network's outputs beside that of our network.

    Parameters
    ----------
    published : arrays with the contour ``DNN`` from the published outputs (3.5° maps).
    our_pictures : arrays of our noiseless data set, or ``None``.
    our_degrees : side of our maps [degrees], for the legend.

    """
    with figure_style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCHES + 0.4, 3.9), layout="constrained")
        axes = figure.subplots()
        _cosmologies(axes, published)
        boxes = [extent(published, "DNN")]
        keys = [
            Line2D([], [], color=COLOURS["published"], linewidth=1.8,
                   label="published network, 3.5° maps")
        ]  # fmt: skip
        if our_pictures is not None:
            draw_contour(axes, our_pictures, "DNN", COLOURS["DNN"], 1.0)
            boxes.append(extent(our_pictures, "DNN"))
            side = "" if our_degrees is None else f", {our_degrees:.3g}° maps"
            keys.append(
                Line2D([], [], color=COLOURS["DNN"], linewidth=1.0, label=f"this run{side}")
            )
        draw_contour(axes, published, "DNN", COLOURS["published"], 1.8)
        axes.plot(*published["fiducial"], "+", color="black", markersize=8)
        keys.append(Line2D([], [], color="black", marker="+", linestyle="none", label="fiducial"))
        _set_limits(axes, _limits(boxes, 0.2))
        axes.set_xlabel(LABELS["omega_matter"])
        axes.set_ylabel(LABELS["sigma_8"])
        figure.legend(handles=keys + _credibility_keys(), loc="outside upper center", ncols=2)
    return figure


@FIGURES.add("plot_contours", makes={"noiseless": "fig1", "noisy": "fig2"})
def _plot_contours(inputs: Any, spec: Any) -> dict[str, Figure]:
    stem = {"noiseless": "fig1", "noisy": "fig2"}[spec.data_set]
    return {stem: contour_panels(read_arrays(inputs.posteriors))}


@FIGURES.add("plot_fig7", makes=("fig7",))
def _plot_fig7(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays = read_arrays(inputs.posteriors)
    panels = {
        name: {
            key.removeprefix(f"{name}/"): value
            for key, value in arrays.items()
            if key.startswith(f"{name}/")
        }
        for name in spec.data_sets
    }
    return {"fig7": emulator_check_panels(panels)}


@FIGURES.add("plot_published_network", makes=("published_network_contour",), published="outputs")
def _plot_published_network(inputs: Any, spec: Any) -> dict[str, Figure]:
    our_paths = list(inputs.ours)
    side = spec.maps.pixels * spec.maps.pixel_arcmin / 60.0
    published = read_arrays(inputs.published)
    figure = published_network_panel(
        published, read_arrays(our_paths[0]) if our_paths else None, side
    )
    return {"published_network_contour": figure}

"""Figures of strong lenses: images, how well networks find them, what these look at (wilde2022)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kappascope.attribution.labels import family
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.points import curve, dots, named, numbers
from kappascope.reporting.published import published_by
from kappascope.reporting.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    WHITE,
    composite,
    figure_style,
)

Rows = Sequence[Mapping[str, str]]
Arrays = Mapping[str, np.ndarray]

KINDS = {
    "isolated": "Isolated",
    "spiral": "Spiral",
    "companions": "Companions",
    "merger": "Merger",
    "lens": "Lens, blue source",
    "lens_red": "Lens, red source",
    "compound_arcs": "Compound arcs",
    "double_rings": "Double rings",
}
_LENSES = {"lens": ("Lens", BLUE, "o"), "compound_arcs": ("Compound arcs", ORANGE, "s")}
_LENSES |= {"double_rings": ("Double rings", VERMILION, "^")}


def _picture(axis: Axes, x: np.ndarray, **options: Any) -> None:
    axis.imshow(composite(x) if x.ndim == 3 else x, **options)
    axis.set_xticks([])
    axis.set_yticks([])


def gallery(arrays: Arrays) -> Figure:
    """Images of every kind, a row each."""
    kinds = [kind for kind in KINDS if len(arrays.get(f"gallery/{kind}", ()))]
    each = max(len(arrays[f"gallery/{kind}"]) for kind in kinds)
    with figure_style():
        figure, axes = plt.subplots(
            len(kinds),
            each,
            squeeze=False,
            figsize=(DOUBLE_COLUMN_INCHES, 1.0 + 0.72 * len(kinds)),
        )
        for row, kind in zip(axes, kinds, strict=True):
            images = arrays[f"gallery/{kind}"]
            for place, axis in enumerate(row):
                axis.axis("off")
                if place < len(images):
                    axis.axis("on")
                    _picture(axis, images[place])
            row[0].set_ylabel(KINDS[kind], rotation=0, ha="right", va="center")
        side = float(arrays["pixel_arcsec"]) * arrays[f"gallery/{kinds[0]}"].shape[1]
        bands = [str(name) for name in arrays["bands"]]
        colours = f"red {bands[-1]}, blue {bands[0]}"
        figure.supxlabel(f"Each image {side:.1f} arcsec a side; {colours}", fontsize=9)
    return figure


def performance(
    roc: Rows,
    recall: Rows,
    completeness: Rows,
    accuracy: Rows,
    published: Mapping[str, float],
) -> Figure:
    """ROC curve, what is called a lens by kind, completeness by θ_E and source magnitude.

    Parameters
    ----------
    published : kind → share that is called a lens [%], where the talk says it.

    """
    with figure_style():
        figure, axes = plt.subplots(2, 2, figsize=(DOUBLE_COLUMN_INCHES, 5.6))
        axis = axes[0, 0]
        for number in sorted({row["network"] for row in roc}):
            selected = [row for row in roc if row["network"] == number]
            axis.plot(
                [float(row["false_positive"]) for row in selected],
                [float(row["true_positive"]) for row in selected],
                label=f"network {int(number) + 1}",
            )
        axis.plot([0, 1], [0, 1], ":", color=GREY, lw=1)
        measures = {
            row["measure"]: f"{float(row['value']):.3f} ± {float(row['error']):.3f}"
            for row in accuracy
            if row["network"] == "mean"
        }
        axis.text(0.97, 0.42, f"$F_1$ = {measures['f1']}", transform=axis.transAxes, ha="right")
        axis.text(0.97, 0.34, f"area = {measures['auc']}", transform=axis.transAxes, ha="right")
        axis.legend(loc="lower right")
        axis.set(xlabel="false positive rate", ylabel="recall", xlim=(0, 1), ylim=(0, 1.02))
        _recall_bars(axes[0, 1], recall, published)
        for axis, quantity, name in (
            (axes[1, 0], "einstein_radius", r"Einstein radius $\theta_\mathrm{E}$ [arcsec]"),
            (axes[1, 1], "source_magnitude", "source magnitude, unlensed, Y band"),
        ):
            for shift, (kind, (text, colour, marker)) in zip(
                (-0.02, 0.0, 0.02), _LENSES.items(), strict=True
            ):
                selected = [
                    r for r in completeness if (r["kind"], r["quantity"]) == (kind, quantity)
                ]
                low = np.array([float(row["low"]) for row in selected])
                high = np.array([float(row["high"]) for row in selected])
                axis.errorbar(
                    (low + high) / 2 + shift,
                    [float(row["recall_percent"]) for row in selected],
                    [float(row["error"]) for row in selected],
                    fmt=marker + "-",
                    ms=4,
                    capsize=2,
                    color=colour,
                    label=text,
                )
            axis.set(xlabel=name, ylim=(0, 109))
        axes[1, 0].set_ylabel("recall [%]")
        axes[1, 0].legend(loc="lower right")
    return figure


def _recall_bars(axis: Axes, recall: Rows, published: Mapping[str, float]) -> None:
    bars = []
    for row in recall:
        kind, colour = row["kind"], row["colour"]
        name = KINDS[kind].split(",")[0]
        bars.append((f"{name}, {colour}" if colour else name, colour, row))
    place = np.arange(len(bars))
    axis.barh(
        place,
        [float(row["called_lens_percent"]) for *_, row in bars],
        xerr=[float(row["error"]) for *_, row in bars],
        error_kw={"lw": 0.8},
        color=[{"blue": BLUE, "red": VERMILION}.get(colour, GREY) for _, colour, _ in bars],
        height=0.7,
    )
    for kind, percent in published.items():
        at = [k for k, (_, colour, row) in enumerate(bars) if row["kind"] == kind and not colour]
        axis.plot([percent] * len(at), at, "D", ms=5, color=PURPLE, mec="white", mew=0.6)
    if published:
        axis.plot([], [], "D", ms=5, color=PURPLE, label="published")
        axis.legend(loc="upper right")
    axis.set_yticks(place, [name for name, *_ in bars], fontsize=8)
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.set(xlabel="called a lens [%]", xlim=(0, 105))


def position(
    predicted: np.ndarray, place: np.ndarray, radius: np.ndarray, rows: Rows, agreement: Rows
) -> Figure:
    """How far off the locator is, and where maps peak.

    Parameters
    ----------
    predicted : (lens, 3) column, row [pixel], θ_E [arcsec].
    place, radius : (lens, 2) and (lens,), the truth.

    """
    with figure_style():
        figure, axes = plt.subplots(1, 3, figsize=(DOUBLE_COLUMN_INCHES, 2.7))
        off = predicted[:, :2] - place
        reach = max(np.abs(place).max(), np.quantile(np.abs(off), 0.98)) * 1.05
        axes[0].plot(*off.T, ".", ms=2.5, color=BLUE, alpha=0.6)
        for size in (1, 3):
            angle = np.linspace(0, 2 * np.pi, 100)
            axes[0].plot(size * np.cos(angle), size * np.sin(angle), lw=0.8, color=BLACK)
        axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes[0].set(xlabel="column, told $-$ true [pixel]", ylabel="row, told $-$ true [pixel]")
        middle = {row["what"]: row for row in rows}["lens: place"]
        axes[0].set_title(
            f"median {float(middle['median']):.2f} ± {float(middle['error']):.2f} pixel",
            fontsize=9,
        )
        axes[1].plot(radius, predicted[:, 2], ".", ms=2.5, color=GREEN, alpha=0.6)
        ends = [radius.min(), radius.max()]
        axes[1].plot(ends, ends, color=BLACK, lw=0.8)
        axes[1].set(
            xlabel=r"true $\theta_\mathrm{E}$ [arcsec]", ylabel=r"told $\theta_\mathrm{E}$ [arcsec]"
        )
        _agreement(axes[2], agreement)
    return figure


def _agreement(axis: Axes, agreement: Rows) -> None:
    methods = list(dict.fromkeys(row["method"] for row in agreement))
    styles = {
        ("maximum", "locator"): (BLUE, "o", "maximum to the place told"),
        ("centroid", "locator"): (GREEN, "s", "centroid to the place told"),
        ("maximum", "chance"): (GREY, "x", "maximum to another image's"),
    }
    for shift, (which, (colour, marker, text)) in zip(
        (-0.2, 0.0, 0.2), styles.items(), strict=True
    ):
        by_method = {
            row["method"]: row for row in agreement if (row["point"], row["reference"]) == which
        }
        told = [by_method[method] for method in methods]
        places = np.arange(len(methods)) + shift
        dots(axis, told, "median_pixels", "error", places, colour, marker, text)
    named(axis, [family(m) for m in methods], room=2, fontsize=7)
    axis.set_xlabel("distance [pixel]", fontsize=9)
    axis.set_xlim(left=0)
    axis.legend(loc="lower right", fontsize=7, handletextpad=0.2)


SHOWN_MAPS = ("grad_cam", "guided_grad_cam", "occlusion", "deep_dream", "nonlinear_saliency")


def maps(arrays: Arrays) -> Figure:
    """Images and what explains the lens output: a row for each image."""
    names = [name for name in arrays if name.startswith("map/") and name.endswith("/1")]
    chosen = [
        name
        for start in SHOWN_MAPS
        for name in names
        if name.split("/")[1].split(".")[0].rsplit("_w", 1)[0] == start
    ]
    x, scores = arrays["example/x"], arrays["example/score"]
    with figure_style():
        figure, axes = plt.subplots(
            len(x),
            len(chosen) + 1,
            squeeze=False,
            figsize=(DOUBLE_COLUMN_INCHES, 0.5 + 1.17 * len(x)),
        )
        for k, row in enumerate(axes):
            _picture(row[0], x[k].astype(np.float32))
            kind = KINDS[str(arrays["example/kind"][k])].split(",")[0]
            row[0].set_ylabel(f"{kind}\n{100 * scores[k]:.0f} %", fontsize=8)
            for axis, name in zip(row[1:], chosen, strict=True):
                relevance_map = arrays[name][k]
                top = np.abs(relevance_map).max() or 1.0
                _picture(axis, relevance_map, cmap="RdBu_r", vmin=-top, vmax=top)
                if arrays["example/arc_mask"][k].any():
                    axis.contour(arrays["example/arc_mask"][k], [0.5], colors=BLACK, linewidths=0.5)
        axes[0, 0].set_title("Image", fontsize=9)
        for axis, name in zip(axes[0, 1:], chosen, strict=True):
            axis.set_title(family(name.split("/")[1]), fontsize=9)
        figure.supxlabel(
            "Red speaks for a lens, blue against, each map to its own maximum; lines: arcs. "
            "Percent: probability of a lens",
            fontsize=9,
        )
    return figure


def dreams(arrays: Arrays, rows: Rows) -> Figure:
    """Draw what Deep Dream makes of noise and of images, for both classes."""
    starts = list(dict.fromkeys(row["start"] for row in rows))
    classes = list(dict.fromkeys(row["class"] for row in rows))
    shown = 2
    with figure_style():
        figure, axes = plt.subplots(
            len(starts) * shown,
            1 + 2 * len(classes),
            figsize=(DOUBLE_COLUMN_INCHES, 0.4 + 1.4 * len(starts) * shown),
        )
        for place, start in enumerate(starts):
            before = arrays[f"dream/{start}/start"]
            for k in range(shown):
                row = axes[place * shown + k]
                _picture(row[0], before[min(k, len(before) - 1)])
                if k == 0:
                    row[0].set_ylabel(f"from {start}", fontsize=8)
                for column, name in enumerate(classes):
                    image = arrays[f"dream/{start}/{name}"]
                    image = image[min(k, len(image) - 1)]
                    _picture(row[1 + 2 * column], image)
                    change = (image - before[min(k, len(before) - 1)]).mean(-1)
                    top = np.abs(change).max() or 1.0
                    _picture(row[2 + 2 * column], change, cmap="RdBu_r", vmin=-top, vmax=top)
                    after = {(r["start"], r["class"]): r for r in rows if r["when"] == "after"}[
                        start, name
                    ]
                    if k == 0:
                        row[1 + 2 * column].set_title(
                            f"{name}: {float(after['probability_percent']):.0f} %", fontsize=8
                        )
        for axis, title in zip(
            axes[0], ["Start"] + [t for n in classes for t in (None, "change")], strict=True
        ):
            if title:
                axis.set_title(title, fontsize=8)
        figure.supxlabel(
            "Percent: mean probability of the class afterwards. Change: band mean, red brighter",
            fontsize=9,
        )
    return figure


PROBES = {
    "arc_colour": "arcs in the galaxy's colour",
    "arc_colour_same_signal": "the same, as bright in all",
    "arc_colour_same_contrast": "and the galaxy scaled with them",
    "galaxy_colour": "galaxy in the arcs' colour",
    "swapped": "colours swapped",
    "arcs_removed": "arcs removed",
    "arcs_covered": "arcs covered",
    "galaxy_removed": "galaxy removed",
    "psf_1.5": r"PSF $\times$ 1.5",
    "psf_2": r"PSF $\times$ 2",
    "psf_3": r"PSF $\times$ 3",
    "moved_4": "moved by 4 pixels",
    "moved_8": "moved by 8 pixels",
}


def probes(rows: Rows, shares: Rows) -> Figure:
    """Draw what lowers the score of lenses, and how much of each map lies on arcs."""
    with figure_style():
        figure, axes = plt.subplots(1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.6))
        place = np.arange(len(PROBES))
        for shift, (colour, text, paint, marker) in zip(
            (-0.22, 0.0, 0.22),
            (
                ("blue", "blue sources", BLUE, "o"),
                ("red", "red sources", VERMILION, "s"),
                ("", "all", BLACK, "D"),
            ),
            strict=True,
        ):
            by_probe = {row["probe"]: row for row in rows if row["colour"] == colour}
            known = [k for k, name in enumerate(PROBES) if name in by_probe]
            told = [by_probe[name] for name in PROBES if name in by_probe]
            dots(
                axes[0], told, "drop_percent", "error", np.array(known) + shift, paint, marker, text
            )
        axes[0].axvline(0, color=GREY, lw=0.8)
        axes[0].set_yticks(place, list(PROBES.values()), fontsize=8)
        axes[0].set(ylim=(len(PROBES) - 0.4, -0.6), xlabel="fall of the lens probability [points]")
        axes[0].legend(loc="lower right")
        _share_points(axes[1], shares)
    return figure


def _share_points(axis: Axes, shares: Rows) -> None:
    selected = [r for r in shares if r["group"] == "lens" and r["output"] == "1"]
    methods = list(dict.fromkeys(row["method"] for row in selected))
    for region, text, colour, marker, shift in (
        ("arcs", "on arcs", BLUE, "o", -0.12),
        ("core", "on the galaxy's core", VERMILION, "s", 0.12),
    ):
        here = {row["method"]: row for row in selected if row["region"] == region}
        known = [m for m in methods if m in here]
        told, places = [here[m] for m in known], [methods.index(m) + shift for m in known]
        dots(axis, told, "percent", "error", places, colour, marker, text)
        if known:
            area = float(here[known[0]]["area_percent"])
            axis.axvline(area, ls="--", lw=0.9, color=colour)
    axis.plot([], [], "--", color=GREY, lw=0.9, label="share of the area")
    named(axis, [family(m) for m in methods], room=1.8, fontsize=8)
    axis.set(xlabel="share of the map, lenses [%]")
    axis.set_xlim(left=0)
    axis.legend(loc="lower right", fontsize=8)


def arcs(rows: Rows, matched: Rows, completeness: Rows) -> Figure:
    """Draw relevance on lenses' own arcs beside that on others', and recall by arcs' brightness.

    Parameters
    ----------
    rows, matched, completeness : of the tables of these names.

    """
    with figure_style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.6), width_ratios=(1.25, 1)
        )
        selected = [row for row in rows if row["group"] == "lens"]
        places = np.arange(len(selected))
        for drawn in (
            ("enrichment", "error", places - 0.2, BLUE, "o", "on the lens's own arcs"),
            ("shuffled", "shuffled_error", places, VERMILION, "s", "on other lenses', moved here"),
            ("ring", "ring_error", places + 0.2, GREY, "x", "on a ring"),
        ):
            dots(left, selected, *drawn)
        left.axvline(1, color=GREY, lw=0.8, ls="--")
        named(left, [row["label"] for row in selected], room=1.8, fontsize=8)
        left.set(xlabel="relevance a pixel over the image's")
        left.set_xlim(left=0)
        left.legend(loc="lower right", fontsize=8)
        for kind, colour, marker in (
            ("lens", BLUE, "o"),
            ("compound_arcs", VERMILION, "s"),
            ("double_rings", GREEN, "^"),
        ):
            bins = [
                row
                for row in completeness
                if (row["kind"], row["quantity"]) == (kind, "arc_signal")
            ]
            curve(
                right,
                np.sqrt(numbers(bins, "low") * numbers(bins, "high")),
                numbers(bins, "recall_percent"),
                numbers(bins, "error"),
                colour,
                marker,
                kind.replace("_", " ") if kind != "lens" else "single lens",
            )
        told = [
            f"{row['kind'].replace('_', ' ')}: {float(row['difference_percent']):+.1f} "
            f"± {float(row['difference_error']):.1f} points"
            for row in matched
        ]
        right.set_title(
            "At matched brightness, less single lenses:\n" + "\n".join(told), fontsize=8
        )
        right.set(xscale="log", ylim=(0, 105), ylabel="recall [%]")
        right.set_xlabel("signal-to-noise of the arcs")
        right.legend(loc="lower right", fontsize=8)
    return figure


def planted(rows: Rows, shares: Rows) -> Figure:
    """Draw in how many images each method finds a planted cue, and F1 by the hard non-lenses.

    Parameters
    ----------
    rows, shares : of ``planted.csv`` and ``f1_share.csv``.

    """
    with figure_style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(DOUBLE_COLUMN_INCHES, 3.1), width_ratios=(1.3, 1)
        )
        names = list(dict.fromkeys(row["label"] for row in rows))
        for shift, cue, colour, marker in (
            (-0.12, "dot", BLUE, "o"),
            (0.12, "ring", VERMILION, "s"),
        ):
            told = [row for row in rows if row["cue"] == cue]
            places = [names.index(row["label"]) + shift for row in told]
            dots(left, told, "hits_percent", "error", places, colour, marker, f"planted {cue}")
        left.axvline(5, color=GREY, lw=0.9, ls=":", label="by chance")
        named(left, names, fontsize=8)
        left.set_xlim(0, 103)
        left.set_xlabel("images in which it is found [%]")
        left.legend(loc="best", fontsize=8)
        for column, error, text, colour, marker in (
            ("f1", "error", r"$F_1$", BLUE, "o"),
            ("precision", "precision_error", "precision", GREEN, "s"),
        ):
            hard = numbers(shares, "hard_percent")
            curve(
                right, hard, numbers(shares, column), numbers(shares, error), colour, marker, text
            )
        for row in shares:
            if row["ours"]:
                right.axvline(float(row["hard_percent"]), color=GREY, lw=0.9, ls="--")
        right.set(ylim=(0, 1.02), xlabel="hard ones among non-lenses [%]")
        right.legend(loc="lower left", fontsize=8)
    return figure


MOST_REAL = 12


def real(systems: Arrays, rows: Rows) -> Figure:
    """Draw real lenses as the networks see them, with their scores; the first twelve."""
    x, rows = systems["x"][:MOST_REAL], rows[:MOST_REAL]
    bands = x.shape[-1] if len(x) else 1
    with figure_style():
        if not len(x):
            figure, axis = plt.subplots(figsize=(DOUBLE_COLUMN_INCHES, 1.0))
            axis.axis("off")
            axis.text(0.5, 0.5, "No real images were given", ha="center")
            return figure
        figure, axes = plt.subplots(
            len(x), bands + 2, squeeze=False, figsize=(DOUBLE_COLUMN_INCHES, 0.4 + 1.25 * len(x))
        )
        side = float(systems["pixel_arcsec"])
        middle = (x.shape[1] - 1) / 2
        for image, row, line in zip(x, rows, axes, strict=True):
            _picture(line[0], image)
            for band, axis in enumerate(line[1 : bands + 1]):
                _picture(axis, image[..., band], vmin=-0.6, vmax=WHITE)
            radius = float(row["einstein_radius_arcsec"]) / side
            angle = np.linspace(0, 2 * np.pi, 100)
            column, at = float(row["column_pixels"]), float(row["row_pixels"])
            line[0].plot(
                middle + column + radius * np.cos(angle),
                middle + at + radius * np.sin(angle),
                "--",
                lw=0.9,
                color="white",
            )
            line[-1].axis("off")
            error = f" ± {float(row['error']):.0f}" if row["error"] else ""
            text = (
                f"{_wrapped(row['system'])}\n{_wrapped(row['treatment'])}\n"
                f"lens {float(row['lens_percent']):.0f}{error} %\n"
                f"compound {float(row['compound_percent']):.0f} %"
            )
            line[-1].text(0, 0.5, text, va="center", fontsize=7, transform=line[-1].transAxes)
        titles = ["Colours", *map(str, systems["bands"])]
        for axis, title in zip(axes[0], titles, strict=False):
            axis.set_title(title, fontsize=9)
        figure.supxlabel("Dashed: place and Einstein radius that the locator tells", fontsize=9)
    return figure


def _wrapped(text: str) -> str:
    import textwrap

    # A dollar in a user's name is no formula.
    return "\n".join(textwrap.wrap(text, 24)).replace("$", r"\$")


@FIGURES.add(
    "plot_lenses",
    makes=(
        "gallery",
        "finder",
        "position",
        "maps",
        "dreams",
        "probes",
        "arcs",
        "planted",
        "real",
    ),
)
def _plot_lenses(inputs: Any, spec: Any) -> dict[str, Figure]:
    folder = Path(inputs.tables[0]).parent

    def table(name: str) -> Rows:
        return read_rows(folder / f"{name}.csv")

    examples, scores = read_arrays(inputs.examples), read_arrays(inputs.scores)
    lenses = scores["kind"] == "lens"
    published = published_by(inputs.claims, "wilde2022/recall.csv", "called_lens_percent", "kind")
    return {
        "gallery": gallery(examples),
        "finder": performance(
            table("roc"), table("recall"), table("completeness"), table("finder"), published
        ),
        "position": position(
            scores["places"][lenses],
            scores["true_places"][lenses],
            scores["einstein_radii"][lenses],
            table("position"),
            table("agreement"),
        ),
        "maps": maps(examples),
        "dreams": dreams(examples, table("dreams")),
        "probes": probes(table("probes"), table("shares")),
        "arcs": arcs(table("arcs"), table("matched"), table("completeness")),
        "planted": planted(table("planted"), table("f1_share")),
        "real": real(read_arrays(inputs.systems), table("real")),
    }

"""How well networks find lenses: accuracy, recall by kind, completeness, places."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.reporting.errorbars import (
    bootstrap_error,
    combined,
    error_of_mean,
    proportion_error,
)
from kappascope.stronglens.classifiers import CLASSES, targets_of
from kappascope.stronglens.images import Images
from kappascope.stronglens.populations import COLOURS, COMPOUND, KINDS, LENSES
from kappascope.tables import Table

Array = Any


# ---- how well ------------------------------------------------------------------------------------


FINDER = Table(
    "wilde2022/finder.csv",
    "network × measure, and the mean over networks",
    """network, measure (precision, recall, f1, auc; a lens is what scores above one half), value,
    error (bootstrap over images; for the mean with the spread over networks), images""",
)
RECALL = Table(
    "wilde2022/recall.csv",
    "kind × colour of the source",
    """kind, colour (empty: all), called_lens_percent (false positives for non-lenses, recall for
    lenses), error (binomial and over networks), images""",
)
ROC = Table(
    "wilde2022/roc.csv",
    "network × threshold",
    "network, false_positive, true_positive",
)
COMPLETENESS = Table(
    "wilde2022/completeness.csv",
    "kind × quantity × bin",
    """kind, quantity (einstein_radius [arcsec], source_magnitude [AB, Y band, unlensed],
    arc_signal [signal-to-noise of all arcs]), low, high, recall_percent, error, images""",
)
MATCHED = Table(
    "wilde2022/matched.csv",
    "kind of compound lens",
    """kind, recall_percent (of those whose arcs' signal-to-noise single lenses have too), error,
    single_percent (recall of single lenses, weighed to the same distribution of it), single_error,
    difference_percent, difference_error (bootstrap over images and networks), unmatched_percent
    (recall of all single lenses), overlap_percent (of the compound lenses that have such single
    ones), median_signal, single_median_signal, images""",
)
F1_SHARE = Table(
    "wilde2022/f1_share.csv",
    "share of hard non-lenses",
    """hard_percent (spirals and companions among non-lenses, at the same number of non-lenses), f1,
    error (bootstrap over images, and over networks), precision, precision_error, ours (yes for the
    share nearest to that of the testing images)""",
)
HARD = ("spiral", "companions")
SIGNAL_BINS = 8
POSITION = Table(
    "wilde2022/position.csv",
    "what is compared",
    """what, median (error of the locator's place and θ_E; `the image's middle` is what a guess of
    the middle is off by), error (bootstrap), unit, images""",
)
SORTER = Table(
    "wilde2022/sorter.csv",
    "class × class it is taken for",
    "class, called, percent, error, images",
)


def precision(called: np.ndarray, true: np.ndarray) -> float:
    """Return the share of lenses among what is called one."""
    return float((called & true).sum() / max(called.sum(), 1))


def recall(called: np.ndarray, true: np.ndarray) -> float:
    """Return the share of lenses that are called one."""
    return float((called & true).sum() / max(true.sum(), 1))


def f1(called: np.ndarray, true: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall."""
    return float(2 * (called & true).sum() / max(called.sum() + true.sum(), 1))


def area_under_curve(score: np.ndarray, true: np.ndarray) -> float:
    """Return the probability that a lens scores higher than another image; ties count half."""
    ordered = np.sort(score[~true])
    low = np.searchsorted(ordered, score[true], "left")
    high = np.searchsorted(ordered, score[true], "right")
    return float((low + high).mean() / (2 * len(ordered)))


def roc(score: np.ndarray, true: np.ndarray, points: int = 100) -> list[tuple[float, float]]:
    """Return (false positive rate, true positive rate) for thresholds from high to low."""
    thresholds = np.quantile(score, np.linspace(1, 0, points))
    called = score[None, :] >= thresholds[:, None]
    return [(float(c[~true].mean()), float(c[true].mean())) for c in called]


MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "precision": lambda score, true: precision(score > 0.5, true),
    "recall": lambda score, true: recall(score > 0.5, true),
    "f1": lambda score, true: f1(score > 0.5, true),
    "auc": area_under_curve,
}
"""(probabilities, which are lenses) → a number; what is called a lens is above one half."""


def _measured(name: str, score: np.ndarray, true: np.ndarray, pick: np.ndarray) -> float:
    return MEASURES[name](score[pick], true[pick])


def accuracy_rows(scores: np.ndarray, images: Images, seed: int) -> list[dict[str, Any]]:
    """Return rows of ``finder.csv``: every network's measures at the threshold of one half.

    Parameters
    ----------
    scores : (network, image) probabilities.
    images : lenses and non-lenses, no compound ones.

    """
    rows: list[dict[str, Any]] = []
    true = images.lenses
    everything = np.arange(len(true))
    for number, score in enumerate(scores):
        for name in MEASURES:
            measure = functools.partial(_measured, name, score, true)
            error = bootstrap_error(measure, len(true), seed, f"{name} {number}")
            rows.append(
                {
                    "network": str(number),
                    "measure": name,
                    "value": measure(everything),
                    "error": error,
                    "images": len(true),
                }
            )
    for name in MEASURES:
        selected = [row for row in rows if row["measure"] == name]
        values = [row["value"] for row in selected]
        error = combined(float(np.mean([row["error"] for row in selected])), error_of_mean(values))
        rows.append(
            {
                "network": "mean",
                "measure": name,
                "value": float(np.mean(values)),
                "error": error,
                "images": len(true),
            }
        )
    return rows


def share(called: np.ndarray) -> tuple[float, float]:
    """Return percent of images called lenses and its error.

    Binomial over images and spread over networks.

    Parameters
    ----------
    called : (network, image).

    """
    each = called.mean(1)
    mean = float(each.mean())
    over_images = proportion_error(mean, called.shape[1])
    return 100 * mean, 100 * combined(over_images, error_of_mean(each))


def recall_rows(scores: np.ndarray, images: Images) -> list[dict[str, Any]]:
    """Return rows of ``recall.csv``: how many of each kind and colour are called lenses."""
    groups = [(kind, "", images.kind == kind) for kind in KINDS]
    for kind in (*LENSES, *COMPOUND):
        for colour in COLOURS:
            selected = (images.kind == kind) & (images.colour == colour)
            groups.append((kind, colour, selected))
    rows = []
    for kind, colour, selected in groups:
        if not selected.any():
            continue
        percent, error = share(scores[:, selected] > 0.5)
        rows.append(
            {
                "kind": kind,
                "colour": colour,
                "called_lens_percent": percent,
                "error": error,
                "images": int(selected.sum()),
            }
        )
    return rows


def completeness_rows(
    scores: np.ndarray, images: Images, edges: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Return rows of ``completeness.csv``: recall by θ_E and by the source's magnitude.

    Parameters
    ----------
    edges : field of :class:`Images` → edges of bins.

    """
    rows = []
    for kind in (*LENSES, *COMPOUND):
        for quantity, limits in edges.items():
            values = getattr(images, quantity)
            for low, high in itertools.pairwise(limits):
                selected = (images.kind == kind) & (values >= low) & (values < high)
                if not selected.any():
                    continue
                percent, error = share(scores[:, selected] > 0.5)
                rows.append(
                    {
                        "kind": kind,
                        "quantity": quantity,
                        "low": low,
                        "high": high,
                        "recall_percent": percent,
                        "error": error,
                        "images": int(selected.sum()),
                    }
                )
    return rows


def matched_rows(
    scores: np.ndarray, images: Images, seed: int, draws: int = 200
) -> list[dict[str, Any]]:
    """Return rows of ``matched.csv``: compound against single lenses with arcs as bright.

    Compound lenses have more and brighter arcs; what is compared at matched signal-to-noise is
    whether their shape is recognised.
    """
    called = scores > 0.5
    single = np.flatnonzero(images.kind == "lens")
    rows = []
    for kind in COMPOUND:
        compound = np.flatnonzero(images.kind == kind)
        if not len(compound) or not len(single):
            continue
        signals = [images.arc_signal[of] for of in (compound, single)]
        edges = np.quantile(signals[0], np.linspace(0, 1, SIGNAL_BINS + 1))
        edges[-1] *= 1 + 1e-9
        slots = [np.searchsorted(edges, each, "right") - 1 for each in signals]

        def measured(
            *pick: np.ndarray,
            compound: np.ndarray = compound,
            slots: Sequence[np.ndarray] = slots,
        ) -> tuple[float, float, float]:
            """Recall of compound and of matched single lenses, and the share that has any."""
            which, one, other = pick
            mean = called[which].mean(0)
            total = np.zeros(3)
            for slot in range(SIGNAL_BINS):
                ours, theirs = one[slots[0][one] == slot], other[slots[1][other] == slot]
                if len(ours) and len(theirs):
                    weight = len(ours) / len(one)
                    total += weight * np.array(
                        [mean[compound[ours]].mean(), mean[single[theirs]].mean(), 1.0]
                    )
            if not total[2]:
                return math.nan, math.nan, 0.0
            return float(total[0] / total[2]), float(total[1] / total[2]), float(total[2])

        everything = np.arange(len(called)), np.arange(len(compound)), np.arange(len(single))
        ours, theirs, overlap = measured(*everything)
        draw = randomness.generator(seed, f"bootstrap of matched lenses: {kind}")
        picks = [
            [draw.integers(len(part), size=len(part)) for part in everything] for _ in range(draws)
        ]
        again = np.array([measured(*pick) for pick in picks])
        again = again[np.isfinite(again[:, 0])]
        if not overlap or len(again) < 2:
            continue
        error = again.std(0, ddof=1)
        rows.append(
            {
                "kind": kind,
                "recall_percent": 100 * ours,
                "error": 100 * error[0],
                "single_percent": 100 * theirs,
                "single_error": 100 * error[1],
                "difference_percent": 100 * (ours - theirs),
                "difference_error": 100 * float((again[:, 0] - again[:, 1]).std(ddof=1)),
                "unmatched_percent": 100 * float(called[:, single].mean()),
                "overlap_percent": 100 * overlap,
                "median_signal": float(np.median(signals[0])),
                "single_median_signal": float(np.median(signals[1])),
                "images": len(compound),
            }
        )
    return rows


def f1_rows(
    scores: np.ndarray, images: Images, seed: int, draws: int = 200
) -> list[dict[str, Any]]:
    """Return rows of ``f1_share.csv``: F1 by how many of the non-lenses are hard ones.

    F1 depends on what lenses are told from, which is a choice: non-lenses are weighed here so that
    a share of them is hard, and as many in all.

    Parameters
    ----------
    scores : (network, image) probabilities.
    images : lenses and non-lenses, no compound ones.

    """
    called = (scores > 0.5).astype(float)
    hard, lens = np.isin(images.kind, HARD), images.lenses
    if not (hard.any() and (~hard & ~lens).any()):
        return []

    def measured(share: float, pick: np.ndarray) -> np.ndarray:
        """Return F1 and precision of each network, (2, network)."""
        kinds = (hard[pick], ~hard[pick] & ~lens[pick])
        number = float((~lens[pick]).sum())
        false = number * sum(
            part * called[:, pick[which]].mean(1)
            for part, which in zip((share, 1 - share), kinds, strict=True)
        )
        found, missed = (
            (called[:, pick[lens[pick]]] == value).sum(1).astype(float) for value in (1, 0)
        )
        return np.stack(
            [2 * found / (2 * found + false + missed), found / np.maximum(found + false, 1e-12)]
        )

    everything = np.arange(len(images.kind))
    draw = randomness.generator(seed, "bootstrap of F1 by hard non-lenses")
    picks = [draw.integers(len(everything), size=len(everything)) for _ in range(draws)]
    picks = [p for p in picks if hard[p].any() and (~hard[p] & ~lens[p]).any() and lens[p].any()]
    own = float(hard.sum() / (~lens).sum())
    shares = np.linspace(0, 1, 11)
    rows = []
    for share in shares:
        each = measured(float(share), everything)
        again = np.array([measured(float(share), pick).mean(1) for pick in picks])
        errors = [
            combined(float(again[:, k].std(ddof=1)), error_of_mean(each[k])) for k in range(2)
        ]
        rows.append(
            {
                "hard_percent": 100 * float(share),
                "f1": float(each[0].mean()),
                "error": errors[0],
                "precision": float(each[1].mean()),
                "precision_error": errors[1],
                "ours": "yes" if share == shares[np.abs(shares - own).argmin()] else "",
            }
        )
    return rows


def roc_rows(scores: np.ndarray, images: Images) -> list[dict[str, Any]]:
    """Return rows of ``roc.csv``."""
    return [
        {"network": number, "false_positive": false, "true_positive": true}
        for number, score in enumerate(scores)
        for false, true in roc(score, images.lenses)
    ]


def edges_of(source_magnitudes: Sequence[float]) -> dict[str, list[float]]:
    """Return edges of the bins of ``completeness.csv``, over all that is drawn."""
    return {
        # Of compound lenses it belongs to a farther source than it was drawn for.
        "einstein_radius": [0.5, 0.7, 0.9, 1.1, 1.3, 1.6, 2.0, 2.5],
        "source_magnitude": [
            float(m) for m in np.linspace(source_magnitudes[0], source_magnitudes[-1], 6)
        ],
        "arc_signal": [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0],
    }


def position_rows(
    predicted: np.ndarray, score: np.ndarray, images: Images, pixel_arcsec: float, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``position.csv``: how far off the locator is.

    Parameters
    ----------
    predicted : (image, 3) column, row, θ_E.
    score : (image,) the locator's probability of a lens.

    """
    rows = []
    groups = {"lens": images.kind == "lens", "lens called lens": None}
    groups["lens called lens"] = groups["lens"] & (score > 0.5)
    groups |= {kind: images.kind == kind for kind in COMPOUND}
    for name, selected in groups.items():
        if not selected.any():
            continue
        place, radius = images.place[selected], images.einstein_radius[selected]
        distance = np.hypot(*(predicted[selected, :2] - place).T)
        rows.append(median_row(f"{name}: place", distance, "pixel", seed))
        middle = np.hypot(*place.T)
        rows.append(median_row(f"{name}: the image's middle", middle, "pixel", seed))
        off = np.abs(predicted[selected, 2] - radius)
        rows.append(median_row(f"{name}: Einstein radius", off, "arcsec", seed))
        rows.append(
            median_row(f"{name}: Einstein radius in pixels", off / pixel_arcsec, "pixel", seed)
        )
    return rows


def sorter_rows(model: tuple[Network, Parameters], images: Images) -> list[dict[str, Any]]:
    """Return rows of ``sorter.csv``: what images of three classes are taken for."""
    called = evaluate(*model, images.x).argmax(1)
    true, names = targets_of("sorter", images), CLASSES["sorter"]
    rows = []
    for k, name in enumerate(names):
        predicted_classes = called[true == k]
        for other, other_name in enumerate(names):
            percent, error = share((predicted_classes == other)[None, :])
            rows.append(
                {
                    "class": name,
                    "called": other_name,
                    "percent": percent,
                    "error": error,
                    "images": len(predicted_classes),
                }
            )
    return rows


def median_row(name: str, distances: np.ndarray, unit: str, seed: int) -> dict[str, Any]:
    """Return a row of ``position.csv``: a median with its bootstrap error."""
    sound = np.asarray(distances, float)

    def median(pick: np.ndarray) -> float:
        return float(np.median(sound[pick]))

    return {
        "what": name,
        "median": median(np.arange(len(sound))),
        "error": bootstrap_error(median, len(sound), seed, f"median of {name}"),
        "unit": unit,
        "images": len(sound),
    }

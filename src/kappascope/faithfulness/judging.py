"""What methods say of networks whose answer is known, in numbers; see ``known_answers``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.attribution.labels import label
from kappascope.faithfulness import similarity
from kappascope.reporting.errorbars import error_of_mean
from kappascope.tables import Table

PLANTED = {"planted_low": (-1.5, -0.5), "planted_high": (1.0, 2.5)}
"""Ranges of κ/σ whose pixels make the label."""
KNOWN_ANSWERS = Table(
    "matilla2020/known_answers.csv",
    "network × method",
    """control, method, label, r_squared, range_low, range_high, relevance_percent, error,
    pixel_percent, enrichment, enrichment_error, margin (logarithm of the planted range's
    enrichment over the largest other), margin_error, found (yes, no, undecided),
    pearson_trained, pearson_trained_error, maps, networks (averaged over; errors are theirs)""",
)
MEANS = (
    *("r_squared", "relevance_percent", "pixel_percent", "enrichment", "margin"),
    "pearson_trained",
)
"""Columns that are averaged over networks."""
ERRORS = {
    "relevance_percent": "error",
    "enrichment": "enrichment_error",
    "margin": "margin_error",
    # Between networks: over maps a deconvnet's has none, since its map is one for all inputs.
    "pearson_trained": "pearson_trained_error",
}
CONFIDENCE = 0.95
"""Of the interval of the margin that must leave out zero for a verdict."""


def ranges(low: float, high: float) -> np.ndarray:
    """Return edges of ranges as wide as (low, high), it among them, from -2.5 to about 5 and on."""
    width = high - low
    below, above = math.ceil((low + 2.5) / width - 1e-9), math.ceil((5.0 - high) / width - 1e-9)
    edges = low + width * np.arange(-below, above + 2)
    return np.concatenate([[-np.inf], edges[1:-1], [np.inf]])


def rows(
    control: str,
    r_squared: float,
    patches: np.ndarray,
    maps: Mapping[str, np.ndarray],
    seed: int,
    truth: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Judge each method on one network.

    The margin is the logarithm of the enrichment of the planted range over the largest of any other
    range: above zero where the method finds the range.

    Parameters
    ----------
    patches : (map, y, x) that were explained.
    maps : method → (map, y, x) of the control's network.
    seed : of the bootstrap over patches.
    truth : method → (map, y, x) of the network that learned the true labels, same patches.

    """
    out = []
    planted = PLANTED.get(control)
    by_method = dict(maps)
    if planted is not None:
        slope = (patches > planted[0]) & (patches < planted[1])
        by_method = {"true_gradient": slope.astype(float), **by_method}
    low, high = planted or (-np.inf, 0.0)
    for name, relevance in by_method.items():
        row: dict[str, Any] = dict.fromkeys(KNOWN_ANSWERS.columns)
        row.update(control=control, method=name, label=label(name), r_squared=r_squared)
        row.update(range_low=low, range_high=high, maps=len(patches), networks=1)
        row.update(_shares(patches, relevance, low, high))
        if planted is not None:
            row.update(_enrichment(patches, relevance, planted, seed))
        if truth is not None:
            pairs = zip(truth[name], relevance, strict=True)
            values = np.array([similarity.pearson(*pair) for pair in pairs])
            values = values[np.isfinite(values)]
            if len(values):
                row["pearson_trained"] = values.mean()
                row["pearson_trained_error"] = error_of_mean(values)
        out.append(row)
    return out


def _shares(
    patches: np.ndarray, relevance: np.ndarray, low: float, high: float
) -> dict[str, float | None]:
    weight = np.square(relevance.astype(np.float64))
    inside = (patches > low) & (patches < high)
    total = weight.sum((1, 2))
    kept = total > 0
    if not kept.any():
        return {"pixel_percent": float(100 * inside.mean())}
    share = (weight * inside).sum((1, 2))[kept] / total[kept]
    return {
        "relevance_percent": float(100 * share.mean()),
        "error": error_of_mean(100 * share),
        "pixel_percent": float(100 * inside.mean()),
    }


def _enrichment(
    patches: np.ndarray,
    relevance: np.ndarray,
    planted: tuple[float, float],
    seed: int,
    draws: int = 100,
) -> dict[str, Any]:
    """Relevance a pixel in the planted range over the mean, and over the largest of the others."""
    edges = ranges(*planted)
    weight = np.square(relevance.astype(np.float64))
    slot = np.searchsorted(edges, patches) - 1
    many, bins = len(patches), len(edges) - 1
    sums, counts = np.zeros((2, many, bins))
    for number in range(many):
        sums[number] = np.bincount(slot[number].ravel(), weight[number].ravel(), bins)
        counts[number] = np.bincount(slot[number].ravel(), minlength=bins)
    if not sums.any():
        return {}

    def ratios(chosen: np.ndarray) -> np.ndarray:
        total, pixels = sums[chosen].sum(0), counts[chosen].sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (total / total.sum()) / (pixels / pixels.sum())

    every = ratios(np.arange(many))
    place = int(np.flatnonzero(np.isclose(edges, planted[0]))[0])
    generator = randomness.generator(seed, "bootstrap of patches")
    again = [ratios(generator.integers(many, size=many))[place] for _ in range(draws)]
    return {
        "enrichment": float(every[place]),
        "enrichment_error": float(np.std(again)),
        "margin": _margin(every, place),
    }


def _margin(enrichments: np.ndarray, place: int) -> float:
    enrichment, largest = enrichments[place], np.nanmax(np.delete(enrichments, place))
    if not enrichment > 0:
        return -math.inf
    return math.log(enrichment / largest) if largest > 0 else math.inf


def over_networks(judged: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Average judgements over networks that learned the same: rows of ``known_answers.csv``.

    Errors are standard errors over the networks. A range is found (``yes``) or missed (``no``)
    where Student's interval of the mean margin lies on one side of zero, else the method is
    undecided.

    Parameters
    ----------
    judged : rows of :func:`rows`, one list a network, in the same order.

    """
    out = []
    for group in zip(*judged, strict=True):
        row = {**group[0], "networks": len(group)}
        for name in MEANS:
            values = [float(one[name]) for one in group if one[name] is not None]
            row[name] = float(np.mean(values)) if values else None
            if name in ERRORS and len(group) > 1:
                row[ERRORS[name]] = error_of_mean(values) if np.isfinite(values).all() else None
        if row["control"] in PLANTED:
            row["found"] = "no" if row["margin"] is None else _verdict(row)
        out.append(row)
    return out


def _verdict(row: Mapping[str, Any]) -> str:
    if math.isinf(row["margin"]):
        return "yes" if row["margin"] > 0 else "no"
    if row["margin_error"] is None:
        return "undecided"
    from scipy import stats

    reach = row["margin_error"] * stats.t.ppf((1 + CONFIDENCE) / 2, row["networks"] - 1)
    return "undecided" if abs(row["margin"]) <= reach else "yes" if row["margin"] > 0 else "no"

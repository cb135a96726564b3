"""What methods say of networks whose answer is known, in numbers; see ``known_answers``."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.attribution import similarity
from kappascope.attribution.labels import label

PLANTED = {"planted_low": (-1.5, -0.5), "planted_high": (1.0, 2.5)}
"""Ranges of κ/σ whose pixels make the label."""
COLUMNS = (
    "control",
    "method",
    "label",
    "r_squared",
    "range_low",
    "range_high",
    "relevance_percent",
    "error",
    "pixel_percent",
    "enrichment",
    "enrichment_error",
    "found",
    "pearson_trained",
    "pearson_trained_scatter",
    "maps",
)


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
    """Judge each method: rows of ``known_answers.csv``.

    Parameters
    ----------
    patches : (map, y, x) that were explained.
    maps : method → (map, y, x) of the control's network.
    seed : of the bootstrap over patches.
    truth : method → (map, y, x) of the network that learned the true labels, same patches.

    """
    out = []
    planted = PLANTED.get(control)
    told = dict(maps)
    if planted is not None:
        slope = (patches > planted[0]) & (patches < planted[1])
        told = {"true_gradient": slope.astype(float), **told}
    low, high = planted or (-np.inf, 0.0)
    for name, found in told.items():
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row.update(control=control, method=name, label=label(name), r_squared=r_squared)
        row.update(range_low=low, range_high=high, maps=len(patches))
        row.update(_shares(patches, found, low, high))
        if planted is not None:
            row.update(_enrichment(patches, found, planted, seed))
        if truth is not None:
            pairs = zip(truth[name], found, strict=True)
            values = np.array([similarity.pearson(*pair) for pair in pairs])
            values = values[np.isfinite(values)]
            if len(values):
                row.update(pearson_trained=values.mean(), pearson_trained_scatter=values.std())
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
        "error": float(100 * share.std(ddof=1) / math.sqrt(len(share))) if len(share) > 1 else None,
        "pixel_percent": float(100 * inside.mean()),
    }


def _enrichment(
    patches: np.ndarray,
    relevance: np.ndarray,
    planted: tuple[float, float],
    seed: int,
    draws: int = 100,
) -> dict[str, Any]:
    """Relevance a pixel in the planted range over the mean, and whether no other range has more."""
    edges = ranges(*planted)
    weight = np.square(relevance.astype(np.float64))
    slot = np.searchsorted(edges, patches) - 1
    many, bins = len(patches), len(edges) - 1
    sums, counts = np.zeros((2, many, bins))
    for number in range(many):
        sums[number] = np.bincount(slot[number].ravel(), weight[number].ravel(), bins)
        counts[number] = np.bincount(slot[number].ravel(), minlength=bins)
    if not sums.any():
        return {"found": 0}

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
        "found": int(np.nanargmax(every) == place),
    }

"""Insertion and deletion: does the output follow what an attribution says.

The published tests follow the probability of a class. Outputs here are numbers, so the curves are
of the distance |f_k(x) - f_k(x_S)| between the output for the map and for the map with only S left
(insertion) or all of S gone (deletion), hidden pixels being zero, in units of the output's standard
deviation. Faithful attributions have a small area under the insertion curve, and a large one under
the deletion curve.

``grouped_area`` is the published grouped area with its two mistakes put right: it weighs each step
by its pixels inside the sum, and it looks at the output after the last group.
"""

from typing import Any

import numpy as np

from kappascope.attribution.sampling import features_of

Array = Any


def area(curve: np.ndarray) -> np.ndarray:
    """Area under curves (..., step) of equal steps, over the whole width: the trapezium rule."""
    steps = curve.shape[-1] - 1
    return np.asarray((curve.sum(-1) - 0.5 * (curve[..., 0] + curve[..., -1])) / steps)


def grouped_area(curve: np.ndarray, pixels: np.ndarray) -> float:
    """Area under one curve (step + 1) whose steps cover ``pixels`` (step) each."""
    total = pixels.sum()
    if total == 0:
        return float(curve[0])
    return float((pixels * (curve[1:] + curve[:-1]) / 2).sum() / total)


def cell_ranks(attribution: np.ndarray, tile: int) -> np.ndarray:
    """Rank square cells of an image by the sums of an attribution.

    Parameters
    ----------
    attribution : (y, x).
    tile : side of a cell [pixel].

    Returns
    -------
    (y, x) share of all cells that come before the pixel's own, the most important being at 0.

    """
    labels = features_of(attribution, tile)
    sums = np.bincount(labels.ravel(), attribution.ravel())
    rank = np.empty(len(sums))
    rank[np.argsort(-sums, kind="stable")] = np.arange(len(sums)) / len(sums)
    return np.asarray(rank[labels])


def top_cells(attribution: np.ndarray, tile: int, parts: int) -> np.ndarray:
    """Turn an attribution into groups: cells of the image in order of their sums.

    Parameters
    ----------
    attribution : (y, x).
    tile : side of a cell [pixel].
    parts : number of groups, each with the same number of cells, the most important first.

    Returns
    -------
    (group, y, x) bool, disjoint, covering the image. Fewer cells than groups leave groups empty.

    """
    # A share of cells is rounded: at the edge of a group it may lie a little below.
    group = np.floor(cell_ranks(attribution, tile) * parts + 1e-9)
    return np.asarray(group == np.arange(parts)[:, None, None])


def pixel_steps(attribution: np.ndarray, steps: int) -> np.ndarray:
    """Return which pixels are in after each step, in order of importance: (step + 1, y, x) bool.

    Parameters
    ----------
    attribution : (y, x).
    steps : equal parts of the pixels.

    """
    order = np.argsort(-attribution, axis=None, kind="stable")
    rank = np.empty(attribution.size, int)
    rank[order] = np.arange(attribution.size)
    ends = np.round(np.linspace(0, attribution.size, steps + 1)).astype(int)
    return np.asarray(rank.reshape(attribution.shape)[None] < ends[:, None, None])


def group_steps(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which pixels are in after each group, in order of scores: (group + 1, y, x) bool.

    Parameters
    ----------
    masks : (group, y, x) bool; a pixel counts with the first group that covers it.
    scores : (group).

    """
    inside = np.cumsum(masks[np.argsort(-scores, kind="stable")], 0) > 0
    return np.concatenate([np.zeros((1, *masks.shape[1:]), bool), inside])


def altered(map_: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the maps that insertion, then deletion, looks at: (2 × step, y, x)."""
    return np.concatenate([map_ * inside, map_ * ~inside])


def curves(whole: float, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return insertion and deletion curve (step) from outputs (2 × step) of :func:`altered` maps.

    Parameters
    ----------
    whole : output for the whole map.

    """
    distance = np.abs(outputs - whole)
    half = len(distance) // 2
    return distance[:half], distance[half:]


def purity(
    region: np.ndarray, map_: np.ndarray, bright: float = 0.015, dark: float = 0.6
) -> tuple[bool, float]:
    """Say whether a region is one kind of structure.

    Returns
    -------
    Whether it is pure: more than a share ``bright`` of it above 3σ, or a share ``dark`` below zero
    in a region that is underdense on the whole. And the alignment of Havaldar et al.'s score,
    ½ (2 + Σ p log₂ p)(v + c), where v and c are the shares below 0 and above 3σ and p = v/(v + c),
    c/(v + c). An empty region is not pure and has alignment 0.

    """
    inside = map_[region]
    if not inside.size:
        return False, 0.0
    void = float((inside < 0).mean())
    cluster = float((inside > 3 * map_.std(ddof=1)).mean())
    pure = cluster > bright or (void > dark and inside.mean() < 0)
    both = void + cluster
    shares = [share / both for share in (void, cluster) if share > 0]
    entropy = sum(share * np.log2(share) for share in shares)
    return bool(pure), 0.5 * (2 + entropy) * both

"""Void and cluster groups as regions of a map, beside any others of their size (you2023).

By the published rule a group that covers nearly the whole map is a void wherever the map's mean
convergence happens to be negative. Beside that rule stand two others:

``published``  mean κ of the region below (void) or above (cluster) a multiple of the map's r.m.s.
``capped``     the same, for regions of no more than a share of the map
``contrast``   capped, with the map's mean taken off: a structure stands out from its surroundings

The null of each share keeps every group's region and score and moves the region over its map: the
mean over all circular shifts is what regions of that area and shape weigh by chance.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.chapters.you2023 import structures
from kappascope.chapters.you2023.structures import STRUCTURES, Groups
from kappascope.chapters.you2023.sum_of_parts import Parts
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.tables import Table

DEFINITIONS = ("published", "capped", "contrast")
AREAS = (0.0, 5.0, 10.0, 20.0, 35.0, 50.0, 65.0, 80.0, 90.0, 100.0)
"""Edges of the bins of a group's area [% of the map]."""
DRAWS = 300
SIGMAS = 2.0
"""How far from nothing, and from its null, a difference must lie to be told."""

REGIONS = Table(
    "you2023/regions.csv",
    "definition × structure × parameter",
    """definition (published, capped, contrast), structure, parameter, share_percent (of a map's
    score), error (bootstrap over light cones and networks), null_percent (the same regions
    anywhere in their maps), null_error, beyond_null_percent, beyond_null_error, area_percent (of
    these groups, weighed by their scores; empty where there is none), groups, maps, light_cones,
    networks""",
)
ORDER = Table(
    "you2023/region_order.csv",
    "definition × structure",
    """definition, structure, heavier_for (parameter; empty where 2 σ do not tell),
    difference_percent (of shares, Ω_m less σ8), error, null_percent (regions moved), null_error,
    beyond_null (yes, no: whether the difference goes beyond the null's by 2 σ)""",
)
AREA = Table(
    "you2023/region_area.csv",
    "structure × parameter × bin",
    """structure, parameter, low_percent, high_percent (of the map's area), share_percent (of a
    map's score), error, null_percent, null_error, groups""",
)


@dataclasses.dataclass(frozen=True)
class Placed:
    """Groups, and how likely what they are is by chance.

    Attributes
    ----------
    groups : of the published rule's columns.
    area : (group) share of the map.
    kinds : (2, definition, structure, group) whether a group is one, and in which share of all
        places of its map a region like it would be.

    """

    groups: Groups
    area: np.ndarray
    kinds: np.ndarray


def placed(
    found: Sequence[Parts],
    maps: np.ndarray,
    groups: Groups,
    thresholds: Mapping[str, float],
    area_cap: float,
) -> Placed:
    """Judge every group where it is and everywhere else.

    Parameters
    ----------
    found : of each network.
    maps : (map, y, x).
    groups : of ``found``, in the order of :func:`structures.group_rows`.
    thresholds : for ``void`` and ``cluster``, in units of each map's r.m.s.
    area_cap : largest area of a structure, as a share of the map.

    """
    area = np.zeros(len(groups.score))
    kinds = np.zeros((2, len(DEFINITIONS), len(STRUCTURES), len(groups.score)))
    place = 0
    spectra = np.fft.rfft2(maps - maps.mean((1, 2), keepdims=True))
    for parts in found:
        for row, map_ in enumerate(maps):
            sigma, middle = float(map_.std(ddof=1)), float(map_.mean())
            for output in range(len(groups.names)):
                for members, _ in structures.distinct(parts, row, parts.scores[row, :, output]):
                    region = parts.masks[row, members[0]] > structures.REGION
                    area[place] = region.mean()
                    if sigma:
                        # Mean of the map, less its own, over the region at every shift.
                        moved = np.fft.irfft2(
                            spectra[row] * np.fft.rfft2(region).conj(), map_.shape
                        )
                        contrast = moved / (region.sum() * sigma)
                        kinds[..., place] = _kinds(
                            contrast, middle / sigma, thresholds, area[place] <= area_cap
                        )
                    place += 1
    return Placed(groups, area, kinds)


def _kinds(
    contrast: np.ndarray, middle: float, thresholds: Mapping[str, float], small: bool
) -> np.ndarray:
    """Return which kinds a region is at no shift and, on average, at all of them."""
    out = np.zeros((2, len(DEFINITIONS), len(STRUCTURES)))
    for number, definition in enumerate(DEFINITIONS):
        if definition != "published" and not small:
            continue
        level = contrast if definition == "contrast" else contrast + middle
        for kind, structure in enumerate(STRUCTURES):
            is_one = structures.is_kind(structure, level, thresholds[structure])
            out[:, number, kind] = is_one[0, 0], is_one.mean()
    return out


def _shares(groups: Groups, weights: np.ndarray) -> np.ndarray:
    """Add up scores in per cent: weights (..., group) → (..., network, output, map)."""
    shape = (groups.networks, len(groups.names), groups.maps)
    cell = np.ravel_multi_index((groups.network, groups.output, groups.map), shape)
    flat = weights.reshape(-1, weights.shape[-1]) * groups.score
    sums = [np.bincount(cell, one, minlength=int(np.prod(shape))) for one in flat]
    return 100.0 * np.reshape(sums, (*weights.shape[:-1], *shape))


@dataclasses.dataclass(frozen=True)
class _Means:
    """Means of shares over maps and networks, and of each bootstrap sample."""

    value: np.ndarray
    again: np.ndarray

    @classmethod
    def of(cls, groups: Groups, weights: np.ndarray, seed: int, draws: int) -> "_Means":
        shares = _shares(groups, weights)
        drawn = structures.samples(groups.light_cone, groups.networks, seed, draws)
        again = [shares[..., networks, :, :][..., maps].mean((-3, -1)) for maps, networks in drawn]
        return cls(shares.mean((-3, -1)), np.array(again))

    @property
    def error(self) -> np.ndarray:
        return np.asarray(self.again.std(0, ddof=1))

    def less(self, one: Any, other: Any) -> "_Means":
        """Return the difference of two of them."""
        return _Means(
            self.value[one] - self.value[other],
            self.again[(slice(None), *one)] - self.again[(slice(None), *other)],
        )


def share_rows(placed: Placed, seed: int, draws: int = DRAWS) -> Iterator[dict[str, Any]]:
    """Yield the shares of voids and clusters by each definition, beside those of moved regions.

    Parameters
    ----------
    draws : bootstrap samples of light cones and networks.

    """
    groups = placed.groups
    means = _Means.of(groups, placed.kinds, seed, draws)
    for number, kind, output in np.ndindex(len(DEFINITIONS), len(STRUCTURES), len(groups.names)):
        cell = (number, kind, output)
        beyond = means.less((0, *cell), (1, *cell))
        here = placed.kinds[0, number, kind] * (groups.output == output)
        weight = here * groups.score
        total = weight.sum()
        yield {
            "definition": DEFINITIONS[number],
            "structure": STRUCTURES[kind],
            "parameter": groups.names[output],
            "share_percent": means.value[0, *cell],
            "error": means.error[0, *cell],
            "null_percent": means.value[1, *cell],
            "null_error": means.error[1, *cell],
            "beyond_null_percent": beyond.value,
            "beyond_null_error": beyond.error,
            "area_percent": 100 * (weight @ placed.area) / total if total else "",
            "groups": int(here.sum()),
            "maps": groups.maps,
            "light_cones": len(np.unique(groups.light_cone)),
            "networks": groups.networks,
        }


def order_rows(placed: Placed, seed: int, draws: int = DRAWS) -> Iterator[dict[str, Any]]:
    """Yield for which of two parameters voids and clusters weigh more, by each definition."""
    means = _Means.of(placed.groups, placed.kinds, seed, draws)
    for number, kind in np.ndindex(len(DEFINITIONS), len(STRUCTURES)):
        both = [means.less((null, number, kind, 0), (null, number, kind, 1)) for null in (0, 1)]
        yield {
            "definition": DEFINITIONS[number],
            "structure": STRUCTURES[kind],
            **_order(*both),
        }


def _order(found: _Means, null: _Means) -> dict[str, Any]:
    beyond = _Means(found.value - null.value, found.again - null.again)
    told = abs(found.value) > SIGMAS * found.error
    sign = np.sign(found.value)
    return {
        "heavier_for": PARAMETERS[int(found.value < 0)] if told else "",
        "difference_percent": found.value,
        "error": found.error,
        "null_percent": null.value,
        "null_error": null.error,
        "beyond_null": "yes" if sign * beyond.value > SIGMAS * beyond.error else "no",
    }


def area_rows(placed: Placed, seed: int, draws: int = DRAWS) -> Iterator[dict[str, Any]]:
    """Yield how the published rule's voids and clusters weigh by the area of their region."""
    groups = placed.groups
    edges = np.array(AREAS)
    slot = np.clip(np.searchsorted(edges, 100 * placed.area, side="left") - 1, 0, len(edges) - 2)
    in_bin = slot == np.arange(len(edges) - 1)[:, None]
    published = placed.kinds[:, DEFINITIONS.index("published")]
    weights = published[:, :, None] * in_bin
    means = _Means.of(groups, weights, seed, draws)
    bins = list(itertools.pairwise(AREAS))
    for cell in np.ndindex(len(STRUCTURES), len(bins), len(PARAMETERS)):
        kind, number, output = cell
        yield {
            "structure": STRUCTURES[kind],
            "parameter": PARAMETERS[output],
            "low_percent": bins[number][0],
            "high_percent": bins[number][1],
            "share_percent": means.value[0, *cell],
            "error": means.error[0, *cell],
            "null_percent": means.value[1, *cell],
            "null_error": means.error[1, *cell],
            "groups": int((weights[0, kind, number] * (groups.output == output)).sum()),
        }

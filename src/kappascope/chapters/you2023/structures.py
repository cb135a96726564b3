"""Voids and clusters among the groups of a sum-of-parts model (you2023), and what they weigh.

A group's region is where its mask is above 10⁻⁴; groups with the same region are one, with the sum
of their scores. With σ the r.m.s. of the map and m the mean convergence of the region, a group is a
void for m < 0 and a cluster for m > 2σ, thresholds of the config. Scores of a map add up to one
for each output, so that the mean score of a void group falls with the number of groups; the share
of a map's score that lies in voids does not. The published numbers are means over groups.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.chapters.you2023.sum_of_parts import Parts
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.tables import Table

REGION = 1e-4
STRUCTURES = ("void", "cluster")
WEIGHTINGS = ("per_group", "per_map", "released")
"""One entry a group; one a map, its groups' mean; each map's groups once for each of its groups, as
a loop of the released notebooks has it."""

GROUPS = Table(
    "you2023/groups.csv",
    "network × map × parameter × group",
    """network, map, cosmology, parameter, group (0 is the heaviest), score (c, merged groups
    added), mean_kappa, significance (over the map's r.m.s.), area_percent, merged (groups of
    the same region), bright_percent (above 3 σ), dark_percent (below 0)""",
)
WEIGHTS = Table(
    "you2023/weights.csv, weight_sweep.csv (more thresholds)",
    "structure × threshold × parameter × weighting",
    """structure (void, cluster), threshold [σ], parameter, weighting (per_group, per_map,
    released), weight_percent (mean score; empty where there is no such group), error (bootstrap
    over light cones and networks), scatter_networks, share_percent (of a map's score),
    share_error, groups, maps_with, maps, light_cones, networks""",
)
HISTOGRAM = Table(
    "you2023/weight_histogram.csv",
    "structure × parameter × bin",
    """structure, parameter, low, high, percent, error (bootstrap over light cones and networks),
    groups""",
)
ORDER = Table(
    "you2023/weight_order.csv, weight_sweep_order.csv (more thresholds)",
    "structure × threshold × weighting",
    """structure, threshold, weighting, heavier_for, difference_percent (Ω_m less σ8), error,
    share_difference_percent, share_error""",
)


def group_rows(
    parts: Parts,
    maps: np.ndarray,
    cosmology: np.ndarray,
    network: int,
    names: Sequence[str] = PARAMETERS,
) -> Iterator[dict[str, Any]]:
    """Yield the groups with a score, merged where they cover the same region.

    Parameters
    ----------
    maps : (map, y, x).
    cosmology : (map) which each map is of.
    network : number of the network explained.
    names : of its outputs.

    """
    for row, map_ in enumerate(maps):
        sigma = float(map_.std(ddof=1))
        for output, parameter in enumerate(names):
            merged = distinct(parts, row, parts.scores[row, :, output])
            for number, (members, score) in enumerate(merged):
                region = parts.masks[row, members[0]] > REGION
                inside = map_[region]
                yield {
                    "network": network,
                    "map": row,
                    "cosmology": int(cosmology[row]),
                    "parameter": parameter,
                    "group": number,
                    "score": score,
                    "mean_kappa": float(inside.mean()),
                    "significance": float(inside.mean()) / sigma if sigma else 0.0,
                    "area_percent": 100.0 * region.mean(),
                    "merged": len(members),
                    "bright_percent": 100.0 * float((inside > 3 * sigma).mean()),
                    "dark_percent": 100.0 * float((inside < 0).mean()),
                }


def distinct(parts: Parts, row: int, scores: np.ndarray) -> list[tuple[list[int], float]]:
    """Merge a map's groups that cover the same region.

    Parameters
    ----------
    scores : (group); groups of score 0 and empty masks are left out.

    Returns
    -------
    Members of each merged group, the one of largest score first, and the sum of their scores, the
    heaviest group first.

    """
    by_region: dict[bytes, list[int]] = {}
    for group in np.argsort(-scores, kind="stable"):
        region = parts.masks[row, group] > REGION
        if scores[group] > 0 and region.any():
            by_region.setdefault(region.tobytes(), []).append(int(group))
    merged = [(members, float(scores[members].sum())) for members in by_region.values()]
    return sorted(merged, key=lambda one: -one[1])


@dataclasses.dataclass(frozen=True)
class Groups:
    """Groups as columns.

    Attributes
    ----------
    network, map, output : (group) of which network, map and output.
    score : (group) c.
    significance : (group) mean convergence over the map's r.m.s.
    light_cone : (map) of every map that was explained, with or without groups of a kind.
    networks : how many were explained.
    names : of the outputs.

    """

    network: np.ndarray
    map: np.ndarray
    output: np.ndarray
    score: np.ndarray
    significance: np.ndarray
    light_cone: np.ndarray
    networks: int
    names: Sequence[str] = PARAMETERS

    @property
    def maps(self) -> int:
        """How many were explained."""
        return len(self.light_cone)

    @classmethod
    def of(
        cls,
        rows: Sequence[Mapping[str, Any]],
        light_cone: np.ndarray,
        networks: int,
        names: Sequence[str] = PARAMETERS,
    ) -> "Groups":
        """Collect rows of :func:`group_rows`."""
        return cls(
            np.array([row["network"] for row in rows], int),
            np.array([row["map"] for row in rows], int),
            np.array([names.index(row["parameter"]) for row in rows], int),
            np.array([row["score"] for row in rows], float),
            np.array([row["significance"] for row in rows], float),
            light_cone,
            networks,
            names,
        )

    def chosen(self, structure: str, threshold: float) -> np.ndarray:
        """Return which groups (group) are voids below, or clusters above, a threshold [σ]."""
        return is_kind(structure, self.significance, threshold)


def is_kind(structure: str, significance: np.ndarray, threshold: float) -> np.ndarray:
    """Return which mean convergences, in units of a map's r.m.s., are a void's or a cluster's."""
    return significance < threshold if structure == "void" else significance > threshold


def samples(
    light_cone: np.ndarray, networks: int, seed: int, draws: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw light cones, each with all its maps, and networks: bootstrap samples of both.

    Parameters
    ----------
    light_cone : (map).

    Returns
    -------
    Rows of maps and numbers of networks, of each draw.

    """
    generator = randomness.generator(seed, "bootstrap of explained maps")
    maps = [np.flatnonzero(light_cone == number) for number in np.unique(light_cone)]
    return [
        (
            np.concatenate([maps[one] for one in generator.integers(len(maps), size=len(maps))]),
            generator.integers(networks, size=networks),
        )
        for _ in range(draws)
    ]


def _sums(groups: Groups, structure: str, threshold: float) -> np.ndarray:
    """Return number of groups and sum of scores: (2, network, output, map)."""
    selected = groups.chosen(structure, threshold)
    place = (groups.network[selected], groups.output[selected], groups.map[selected])
    sums = np.zeros((2, groups.networks, len(PARAMETERS), groups.maps))
    np.add.at(sums[0], place, 1.0)
    np.add.at(sums[1], place, groups.score[selected])
    return sums


def _all_counts(groups: Groups) -> np.ndarray:
    counts = np.zeros((groups.networks, len(PARAMETERS), groups.maps))
    np.add.at(counts, (groups.network, groups.output, groups.map), 1.0)
    return counts


def _mean(sums: np.ndarray, counts: np.ndarray, weighting: str, maps: np.ndarray) -> np.ndarray:
    """Mean score in per cent for chosen maps: (network, output), NaN where there is no group."""
    number, score, every = sums[0][..., maps], sums[1][..., maps], counts[..., maps]
    if weighting == "released":
        number, score = number * every, score * every
    if weighting == "per_map":
        there = number > 0
        score = np.divide(score, number, out=np.zeros_like(score), where=there)
        number = there
    total = number.sum(-1)
    mean = np.full(total.shape, np.nan)
    np.divide(score.sum(-1), total, out=mean, where=total > 0)
    return 100.0 * mean


def _over_networks(values: np.ndarray) -> np.ndarray:
    """Mean over networks (first axis) that have a value; NaN where none has."""
    there = np.isfinite(values)
    number = there.sum(0)
    total = np.where(there, values, 0.0).sum(0)
    out = np.full(total.shape, np.nan)
    return np.divide(total, number, out=out, where=number > 0)


def _cell(value: float) -> float | str:
    """Return a number for a table; nothing where there was nothing to average."""
    return float(value) if np.isfinite(value) else ""


def weight_rows(
    groups: Groups,
    thresholds: Mapping[str, Sequence[float]],
    seed: int,
    draws: int = 300,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return mean weights of voids and clusters, and for which parameter they are larger.

    Parameters
    ----------
    thresholds : for ``void`` and ``cluster``, in units of each map's r.m.s.
    draws : of :func:`samples`.

    """
    everything = np.arange(groups.maps)
    again_from = samples(groups.light_cone, groups.networks, seed, draws)
    counts = _all_counts(groups)
    weights, orders = [], []
    for structure in STRUCTURES:
        for threshold in thresholds[structure]:
            sums = _sums(groups, structure, threshold)
            shares = 100.0 * sums[1].mean(-1)
            share = shares.mean(0)
            share_again = np.array(
                [100.0 * sums[1][drawn][..., maps].mean((0, -1)) for maps, drawn in again_from]
            )
            for weighting in WEIGHTINGS:
                each = _mean(sums, counts, weighting, everything)
                mean = _over_networks(each)
                again = np.array(
                    [
                        _over_networks(_mean(sums, counts, weighting, maps)[drawn])
                        for maps, drawn in again_from
                    ]
                )
                named = {"structure": structure, "threshold": threshold, "weighting": weighting}
                many = sums[0].sum((0, 2)) > 1
                for output, parameter in enumerate(PARAMETERS):
                    weights.append(
                        {
                            **named,
                            "parameter": parameter,
                            "weight_percent": _cell(mean[output]),
                            # One group has no scatter to tell.
                            "error": _cell(_spread(again[:, output]) if many[output] else np.nan),
                            "scatter_networks": _cell(_spread(each[:, output])),
                            "share_percent": share[output],
                            "share_error": _spread(share_again[:, output]),
                            "groups": int(sums[0][:, output].sum()),
                            "maps_with": int((sums[0][:, output] > 0).any(0).sum()),
                            "maps": groups.maps,
                            "light_cones": len(np.unique(groups.light_cone)),
                            "networks": groups.networks,
                        }
                    )
                difference = mean[0] - mean[1]
                heavier = PARAMETERS[int(difference < 0)] if np.isfinite(difference) else ""
                orders.append(
                    {
                        **named,
                        "heavier_for": heavier,
                        "difference_percent": _cell(difference),
                        "error": _cell(
                            _spread(again[:, 0] - again[:, 1]) if many.all() else np.nan
                        ),
                        "share_difference_percent": share[0] - share[1],
                        "share_error": _spread(share_again[:, 0] - share_again[:, 1]),
                    }
                )
    return weights, orders


def _spread(values: np.ndarray) -> float:
    """Return the standard deviation of what is a number; NaN for fewer than two."""
    there = values[np.isfinite(values)]
    return float(there.std(ddof=1)) if len(there) > 1 else np.nan


def histogram_rows(
    groups: Groups, thresholds: Mapping[str, float], seed: int, bins: int = 10, draws: int = 300
) -> Iterator[dict[str, Any]]:
    """Yield how the scores of voids and clusters are distributed on [0, 1], in per cent.

    Parameters
    ----------
    draws : of :func:`samples`.

    """
    edges = np.linspace(0, 1, bins + 1)
    # Sums of scores can exceed one by rounding.
    slot = np.minimum((np.clip(groups.score, 0, 1) * bins).astype(int), bins - 1)
    drawn = samples(groups.light_cone, groups.networks, seed, draws)
    for structure, threshold in thresholds.items():
        chosen = groups.chosen(structure, threshold)
        counts = np.zeros((groups.networks, len(PARAMETERS), groups.maps, bins))
        place = (groups.network, groups.output, groups.map, slot)
        np.add.at(counts, tuple(each[chosen] for each in place), 1.0)
        again = np.array([_percent(counts[nets][:, :, maps]) for maps, nets in drawn])
        for output, percent in enumerate(_percent(counts)):
            for number in range(bins):
                yield {
                    "structure": structure,
                    "parameter": PARAMETERS[output],
                    "low": edges[number],
                    "high": edges[number + 1],
                    "percent": percent[number],
                    "error": again[:, output, number].std(ddof=1),
                    "groups": int(counts[:, output].sum()),
                }


def _percent(counts: np.ndarray) -> np.ndarray:
    """Return shares of (network, output, map, bin) counts: (output, bin) in per cent."""
    total = counts.sum((0, 2))
    return np.asarray(100 * total / np.maximum(total.sum(-1, keepdims=True), 1))


def kinds(parts: Parts, maps: np.ndarray, thresholds: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the heaviest void and the heaviest cluster group of each map (map), -1 for none."""
    heaviest = {structure: np.full(len(maps), -1) for structure in STRUCTURES}
    for row, map_ in enumerate(maps):
        sigma = float(map_.std(ddof=1))
        for members, _ in distinct(parts, row, parts.scores[row].sum(-1)):
            mean = map_[parts.masks[row, members[0]] > REGION].mean()
            for structure in STRUCTURES:
                yes = is_kind(structure, mean, thresholds[structure] * sigma)
                if yes and heaviest[structure][row] < 0:
                    heaviest[structure][row] = members[0]
    return heaviest

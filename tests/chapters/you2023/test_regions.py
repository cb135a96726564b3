"""Void and cluster groups as regions of a map, beside the same regions elsewhere in it."""

import numpy as np
import pytest

from kappascope.chapters.you2023 import regions, structures
from kappascope.chapters.you2023.sum_of_parts import Parts

PIXELS = 32
MAPS = 24
USUAL = {"void": 0.0, "cluster": 2.0}


def planted(void_for: int, cluster_for: int) -> tuple[np.ndarray, Parts]:
    """Maps with a dark stripe and a bright spot, and two groups that are just these.

    The group of the stripe has a weight of 0.8 for output ``void_for`` and 0.3 for the other, that
    of the spot the rest; a spot for another output than ``cluster_for`` lies somewhere else.
    """
    generator = np.random.default_rng(3)
    maps = generator.normal(0.006, 0.001, (MAPS, PIXELS, PIXELS))
    masks = np.zeros((MAPS, 3, PIXELS, PIXELS))
    scores = np.zeros((MAPS, 3, 2))
    for row in range(MAPS):
        y, x = generator.integers(0, PIXELS - 6, 2)
        maps[row, :, x : x + 5] -= 0.02
        masks[row, 0, :, x : x + 5] = 1
        top, left = generator.integers(0, PIXELS - 4, 2)
        maps[row, top : top + 3, left : left + 3] += 0.2
        masks[row, 1, top : top + 3, left : left + 3] = 1
        masks[row, 2, y : y + 3, (left + 12) % (PIXELS - 3) :][:, :3] = 1
    scores[:, 0, void_for], scores[:, 0, 1 - void_for] = 0.8, 0.3
    scores[:, 1, cluster_for] = 1 - scores[:, 0, cluster_for]
    scores[:, 2, 1 - cluster_for] = 1 - scores[:, 0, 1 - cluster_for]
    return maps, Parts(np.zeros((MAPS, 2)), masks.astype(np.float32), scores, scores)


def judged(maps: np.ndarray, parts: Parts, cap: float = 0.5, draws: int = 60) -> regions.Placed:
    rows = list(structures.group_rows(parts, maps, np.zeros(len(maps), int), 0))
    groups = structures.Groups.of(rows, np.arange(len(maps)), 1)
    return regions.placed([parts], maps, groups, USUAL, cap)


def pick(rows, **where):
    (row,) = [row for row in rows if all(row[key] == value for key, value in where.items())]
    return row


@pytest.mark.parametrize(("void_for", "cluster_for"), [(0, 1), (1, 0), (0, 0)])
def test_planted_structures_are_found_for_their_parameter(void_for, cluster_for) -> None:
    placed = judged(*planted(void_for, cluster_for))
    rows = list(regions.share_rows(placed, seed=1, draws=60))
    orders = list(regions.order_rows(placed, seed=1, draws=60))
    names = structures.PARAMETERS
    for definition in regions.DEFINITIONS:
        void = pick(orders, definition=definition, structure="void")
        assert void["heavier_for"] == names[void_for] and void["beyond_null"] == "yes"
        cluster = pick(orders, definition=definition, structure="cluster")
        assert cluster["heavier_for"] == names[cluster_for] and cluster["beyond_null"] == "yes"
    spot = pick(rows, definition="contrast", structure="cluster", parameter=names[cluster_for])
    assert spot["share_percent"] == pytest.approx(100 * (0.7 if void_for != cluster_for else 0.2))
    assert spot["area_percent"] == pytest.approx(100 * 9 / PIXELS**2)
    # Nine pixels seldom lie on the spot by chance.
    assert 0 <= spot["null_percent"] < 0.1 * spot["share_percent"]


def test_groups_of_whole_maps_are_no_region() -> None:
    """What the published rule calls voids where means are negative is the sign of the mean."""
    generator = np.random.default_rng(0)
    maps = generator.normal(0, 0.02, (MAPS, PIXELS, PIXELS))
    maps -= maps.mean((1, 2), keepdims=True)
    maps[: MAPS // 2] -= 0.001
    maps[MAPS // 2 :] += 0.001
    whole = Parts(
        np.zeros((MAPS, 2)),
        np.ones((MAPS, 1, PIXELS, PIXELS), np.float32),
        np.ones((MAPS, 1, 2)),
        np.ones((MAPS, 1, 2)),
    )
    placed = judged(maps, whole)
    rows = list(regions.share_rows(placed, seed=1, draws=20))
    orders = list(regions.order_rows(placed, seed=1, draws=20))
    published = pick(rows, definition="published", structure="void", parameter="sigma_8")
    assert published["share_percent"] == pytest.approx(50)
    assert published["null_percent"] == pytest.approx(50)
    for definition in ("capped", "contrast"):
        void = pick(rows, definition=definition, structure="void", parameter="sigma_8")
        assert void["share_percent"] == 0 and void["area_percent"] == ""
    assert all(row["beyond_null"] == "no" for row in orders)
    areas = list(regions.area_rows(placed, seed=1, draws=20))
    shares = [
        row["share_percent"]
        for row in areas
        if (row["structure"], row["parameter"]) == ("void", "sigma_8")
    ]
    assert shares[-1] == pytest.approx(50) and not any(shares[:-1])


def test_the_null_is_the_mean_over_every_shift() -> None:
    maps, parts = planted(0, 1)
    placed = judged(
        maps[:1],
        Parts(*(a[:1] for a in (parts.prediction, parts.masks, parts.scores, parts.partial))),
    )
    groups = structures.distinct(parts, 0, parts.scores[0, :, 0])
    region = parts.masks[0, groups[0][0][0]] > 0
    sigma = maps[0].std(ddof=1)
    below = [
        maps[0][np.roll(region, (dy, dx), (0, 1))].mean() < 0.0
        for dy in range(PIXELS)
        for dx in range(PIXELS)
    ]
    assert placed.kinds[1, 0, 0, 0] == pytest.approx(np.mean(below), abs=2e-3)
    assert placed.kinds[0, 0, 0, 0] == float(maps[0][region].mean() < 0)
    assert placed.groups.significance[0] == pytest.approx(maps[0][region].mean() / sigma)


def test_bins_of_area_add_up_to_the_share() -> None:
    placed = judged(*planted(0, 1))
    rows = list(regions.share_rows(placed, seed=1, draws=20))
    areas = list(regions.area_rows(placed, seed=1, draws=20))
    for structure in structures.STRUCTURES:
        for parameter in structures.PARAMETERS:
            share = pick(rows, definition="published", structure=structure, parameter=parameter)
            binned = [
                row
                for row in areas
                if (row["structure"], row["parameter"]) == (structure, parameter)
            ]
            for column in ("share_percent", "null_percent"):
                assert sum(row[column] for row in binned) == pytest.approx(share[column])
            assert sum(row["groups"] for row in binned) == share["groups"]


def test_errors_count_light_cones_and_not_maps() -> None:
    """Each map a second time, as the same light cone: no error gets smaller."""
    maps, parts = planted(0, 1)
    parts.scores[::2, 0, 0] -= 0.4
    twice = Parts(
        *(
            np.concatenate([a, a])
            for a in (parts.prediction, parts.masks, parts.scores, parts.partial)
        )
    )
    doubled = np.concatenate([maps, maps])
    rows = list(structures.group_rows(twice, doubled, np.zeros(2 * MAPS, int), 0))
    cones = np.tile(np.arange(MAPS), 2)
    errors = []
    for cone, number in ((cones, MAPS), (np.arange(2 * MAPS), 2 * MAPS)):
        groups = structures.Groups.of(rows, cone, 1)
        found = regions.share_rows(
            regions.placed([twice], doubled, groups, USUAL, 0.5), seed=1, draws=200
        )
        row = pick(found, definition="published", structure="void", parameter="omega_matter")
        assert row["light_cones"] == number and row["maps"] == 2 * MAPS
        errors.append(row["error"])
    assert errors[0] / errors[1] == pytest.approx(np.sqrt(2), rel=0.2)

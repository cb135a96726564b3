"""Voids and clusters among groups, and what they weigh."""

import numpy as np
import pytest

from kappascope.chapters.you2023 import structures
from kappascope.chapters.you2023.sum_of_parts import Parts

PIXELS = 16


def made_up(scores: np.ndarray, masks: np.ndarray) -> Parts:
    """Return parts of maps with given scores (map, group, output) and masks."""
    prediction = np.zeros((len(scores), 2))
    return Parts(prediction, masks.astype(np.float32), scores, np.zeros_like(scores))


@pytest.fixture
def one_map() -> tuple[np.ndarray, Parts]:
    """A map with a void on the left, a cluster at the right, and four groups."""
    map_ = np.random.default_rng(0).normal(0, 0.001, (PIXELS, PIXELS))
    map_[:, :4] -= 0.02
    map_[:3, 12:15] += 0.3
    map_[8:, 8:] += 0.005
    masks = np.zeros((1, 5, PIXELS, PIXELS))
    masks[0, 0, :, :4] = 1.0
    masks[0, 1, :3, 12:15] = 1.0
    masks[0, 2, :, :4] = 0.5  # the same region as group 0
    masks[0, 3, 8:, 8:] = 1.0
    scores = np.zeros((1, 5, 2))
    scores[0, :, 0] = [0.5, 0.1, 0.2, 0.2, 0.0]
    scores[0, :, 1] = [0.3, 0.7, 0.0, 0.0, 0.0]
    return map_[None], made_up(scores, masks)


def test_groups_of_one_region_are_one(one_map) -> None:
    maps, parts = one_map
    rows = list(structures.group_rows(parts, maps, np.array([4]), 0))
    mine = [row for row in rows if row["parameter"] == "omega_matter"]
    assert [(round(row["score"], 6), row["merged"]) for row in mine] == [
        (0.7, 2),
        (0.2, 1),
        (0.1, 1),
    ]
    assert mine[0]["significance"] < 0 and mine[2]["significance"] > 2
    assert mine[0]["area_percent"] == pytest.approx(25.0)
    assert {row["cosmology"] for row in rows} == {4}


def weights_of(maps: np.ndarray, parts: Parts, **thresholds):
    rows = list(structures.group_rows(parts, maps, np.zeros(len(maps), int), 0))
    groups = structures.Groups.of(rows, np.arange(len(maps)), 1)
    chosen = {"void": [0.0], "cluster": [2.0], **thresholds}
    return structures.weight_rows(groups, chosen, seed=1, draws=20)


def pick(rows, **where):
    (row,) = [row for row in rows if all(row[key] == value for key, value in where.items())]
    return row


def test_weights_of_one_map_by_hand(one_map) -> None:
    weights, orders = weights_of(*one_map)
    void = {"structure": "void", "weighting": "per_group"}
    assert pick(weights, **void, parameter="omega_matter")["weight_percent"] == pytest.approx(70)
    assert pick(weights, **void, parameter="sigma_8")["weight_percent"] == pytest.approx(30)
    cluster = {"structure": "cluster", "weighting": "per_group"}
    assert pick(weights, **cluster, parameter="sigma_8")["share_percent"] == pytest.approx(70)
    assert pick(orders, **void)["heavier_for"] == "omega_matter"
    assert pick(orders, **cluster)["heavier_for"] == "sigma_8"
    assert pick(orders, **cluster)["difference_percent"] == pytest.approx(-60)


def test_weightings_differ_as_they_say() -> None:
    """Two maps: one with one void group of weight 1, one with three of which one is a void."""
    maps = np.random.default_rng(1).normal(0, 1e-4, (2, PIXELS, PIXELS))
    maps[:, :, :4] -= 0.02
    maps[:, :, 8:] += 0.01
    masks = np.zeros((2, 3, PIXELS, PIXELS))
    masks[:, 0, :, :4] = 1
    masks[:, 1, :, 8:12] = 1
    masks[:, 2, :, 12:] = 1
    scores = np.zeros((2, 3, 2))
    scores[0, 0] = 1.0
    scores[1] = [[0.4, 0.4], [0.3, 0.3], [0.3, 0.3]]
    weights, _ = weights_of(maps, made_up(scores, masks))
    where = {"structure": "void", "parameter": "sigma_8"}
    assert pick(weights, **where, weighting="per_group")["weight_percent"] == pytest.approx(70)
    assert pick(weights, **where, weighting="per_map")["weight_percent"] == pytest.approx(70)
    released = pick(weights, **where, weighting="released")["weight_percent"]
    assert released == pytest.approx(100 * (1 * 1.0 + 3 * 0.4) / (1 + 3))


def test_no_void_no_cluster_and_an_empty_mask_are_reported_and_never_nan() -> None:
    maps = np.zeros((2, PIXELS, PIXELS))
    maps[1] = 0.01
    masks = np.zeros((2, 2, PIXELS, PIXELS))
    masks[:, 0] = 1.0  # group 1 is empty
    scores = np.zeros((2, 2, 2))
    scores[:, 0], scores[:, 1] = 0.8, 0.2
    weights, orders = weights_of(maps, made_up(scores, masks))
    for row in [*weights, *orders]:
        assert not any(isinstance(value, float) and np.isnan(value) for value in row.values()), row
    for row in weights:
        assert row["weight_percent"] == "" and row["groups"] == 0 and row["maps_with"] == 0
        assert row["share_percent"] == 0
    assert {row["heavier_for"] for row in orders} == {""}


def test_kinds_are_the_heaviest_of_their_kind(one_map) -> None:
    maps, parts = one_map
    found = structures.kinds(parts, maps, {"void": 0.0, "cluster": 2.0})
    assert found["void"][0] == 0 and found["cluster"][0] == 1
    none = structures.kinds(parts, maps, {"void": -50.0, "cluster": 50.0})
    assert none["void"][0] == none["cluster"][0] == -1


def test_a_histogram_holds_every_group_once(one_map) -> None:
    maps, parts = one_map
    rows = list(structures.group_rows(parts, maps, np.zeros(1, int), 0))
    groups = structures.Groups.of(rows, np.arange(1), 1)
    histogram = list(structures.histogram_rows(groups, {"void": 0.0, "cluster": 2.0}, seed=1))
    for structure in structures.STRUCTURES:
        for parameter in structures.PARAMETERS:
            mine = [
                row
                for row in histogram
                if (row["structure"], row["parameter"]) == (structure, parameter)
            ]
            assert len(mine) == 10
            assert sum(row["percent"] for row in mine) == pytest.approx(100)
    heavy = [
        row["percent"]
        for row in histogram
        if row["structure"] == "void" and row["low"] < 0.65 < row["high"]
    ]
    # 0.7 for Ω_m stands on the edge above; 0.3 for σ8 is far away.
    assert heavy in ([100.0, 0.0], [0.0, 0.0])


def test_a_sweep_of_thresholds_takes_in_less_and_less(one_map) -> None:
    weights, _ = weights_of(*one_map, void=[-2.0, -0.5, 0.0], cluster=[0.5, 2.0, 9.0])
    for structure, order in (("void", 1), ("cluster", -1)):
        shares = [
            row["share_percent"]
            for row in weights
            if (row["structure"], row["parameter"], row["weighting"])
            == (structure, "sigma_8", "per_group")
        ]
        assert (np.diff(shares) * order >= 0).all()


def test_errors_of_the_histogram_count_light_cones_and_not_groups() -> None:
    """Ten copies of a light cone's groups are no ten times as many."""
    cones = np.repeat(np.arange(40), 10)
    score = np.repeat(np.where(np.arange(40) % 2, 0.95, 0.05), 10)
    none = np.zeros(len(cones), int)
    rows = np.arange(len(cones))
    errors = []
    for light_cone in (cones, rows):
        groups = structures.Groups(none, rows, none, score, none - 1.0, light_cone, 1)
        listed = list(structures.histogram_rows(groups, {"void": 0.0}, seed=1))
        high = pick(listed, parameter="omega_matter", low=0.9)
        assert high["percent"] == pytest.approx(50) and high["groups"] == 400
        errors.append(high["error"])
    assert errors[0] == pytest.approx(50 / np.sqrt(40), rel=0.15)
    assert errors[1] == pytest.approx(50 / np.sqrt(400), rel=0.15)

"""Insertion, deletion, groups from attributions, purity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.faithfulness import perturbation


def test_grouped_area_has_the_worked_value() -> None:
    curve, pixels = np.array([0.9, 0.6, 0.5, 0.1]), np.array([10, 30, 60])
    assert perturbation.grouped_area(curve, pixels) == pytest.approx(0.42)
    assert perturbation.grouped_area(curve, np.ones(3)) == pytest.approx(0.5333, abs=1e-4)
    assert perturbation.area(curve) == pytest.approx(0.5333, abs=1e-4)


def test_steps_that_cover_nothing_new_count_for_nothing() -> None:
    curve = np.array([0.9, 0.6, 0.6, 0.1])
    skipped = perturbation.grouped_area(curve, np.array([10, 0, 90]))
    assert skipped == pytest.approx(perturbation.grouped_area(curve[[0, 1, 3]], np.array([10, 90])))
    assert perturbation.grouped_area(np.array([0.7]), np.zeros(0)) == 0.7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 20))
def test_pixels_come_in_by_importance_and_all_in_the_end(seed: int, steps: int) -> None:
    attribution = np.random.default_rng(seed).normal(size=(9, 7))
    inside = perturbation.pixel_steps(attribution, steps)
    assert inside.shape == (steps + 1, 9, 7)
    assert not inside[0].any() and inside[-1].all()
    assert (np.diff(inside.sum((1, 2))) >= 0).all()
    for step in inside:
        if step.any() and not step.all():
            assert attribution[step].min() >= attribution[~step].max()


def test_groups_come_in_by_score_and_cover_their_union() -> None:
    masks = np.zeros((3, 4, 4), bool)
    masks[0, 0], masks[1, 1], masks[2, :2] = True, True, True
    inside = perturbation.group_steps(masks, np.array([0.1, 0.7, 0.2]))
    np.testing.assert_array_equal(inside.sum((1, 2)), [0, 4, 8, 8])
    np.testing.assert_array_equal(inside[1], masks[1])


def test_cells_of_an_attribution_become_disjoint_groups_of_equal_size() -> None:
    attribution = np.zeros((20, 20))
    attribution[4:8, 12:16] = 1.0
    groups = perturbation.top_cells(attribution, 4, 5)
    np.testing.assert_array_equal(groups.sum(0), 1)
    np.testing.assert_array_equal(groups.sum((1, 2)), 80)
    assert groups[0][4:8, 12:16].all()


def test_more_groups_than_cells_leave_some_empty() -> None:
    groups = perturbation.top_cells(np.random.default_rng(0).normal(size=(8, 8)), 8, 5)
    assert groups.sum() == 64 and (groups.sum((1, 2)) == 0).sum() == 4


def test_a_linear_network_has_known_curves() -> None:
    """For f = Σ x the distance when the top half is in is the sum of the rest."""
    map_ = np.arange(16.0).reshape(4, 4)
    inside = perturbation.pixel_steps(map_, 2)
    seen = perturbation.altered(map_, inside)
    insertion, deletion = perturbation.curves(map_.sum(), seen.sum((1, 2)))
    np.testing.assert_allclose(insertion, [120, 28, 0])
    np.testing.assert_allclose(deletion, [0, 92, 120])


def test_purity_of_voids_clusters_mixtures_and_nothing() -> None:
    generator = np.random.default_rng(1)
    map_ = generator.normal(0, 1, (40, 40))
    map_[:10, :10] = -2.0
    map_[20:24, 20:24] = 12.0
    region = np.zeros((40, 40), bool)
    assert perturbation.purity(region, map_) == (False, 0.0)
    void = region.copy()
    void[:10, :10] = True
    assert perturbation.purity(void, map_) == (True, 1.0)
    cluster = region.copy()
    cluster[20:24, 20:24] = True
    assert perturbation.purity(cluster, map_) == (True, 1.0)
    both = void | cluster
    pure, alignment = perturbation.purity(both, map_)
    assert pure and alignment < 1.0
    neither = (map_ > 0) & (map_ < 1)
    assert perturbation.purity(neither, map_) == (False, 0.0)

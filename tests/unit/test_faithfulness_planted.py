"""Objects that were planted, and maps that point at them or do not."""

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.faithfulness import planted

SIDE = 24


def discs(count: int, radius: float = 2.5) -> np.ndarray:
    """Masks (image, y, x) of one disc each, somewhere."""
    generator = np.random.default_rng(2)
    y, x = np.mgrid[:SIDE, :SIDE]
    centres = generator.integers(4, SIDE - 4, (count, 2, 1, 1))
    return np.hypot(y - centres[:, 0], x - centres[:, 1]) < radius


def test_a_map_of_the_object_finds_it_in_every_image() -> None:
    truth = discs(30)
    row = planted.judged(-3.0 * truth, truth)
    assert (row["hits_percent"], row["mass_percent"], row["pointing_percent"]) == (100, 100, 100)
    assert 0 < row["error"] < 10 and row["images"] == 30
    assert row["area_percent"] == pytest.approx(100 * truth.mean())


def test_maps_that_know_nothing_find_it_as_often_as_chance() -> None:
    truth = discs(2000)
    noise = np.random.default_rng(3).normal(size=truth.shape)
    row = planted.judged(noise, truth)
    assert row["hits_percent"] == pytest.approx(5, abs=4 * row["error"])
    assert row["mass_percent"] == pytest.approx(row["area_percent"], rel=0.03)
    assert row["pointing_percent"] == pytest.approx(row["area_percent"], abs=4)


def test_the_centre_is_no_find_where_objects_lie_elsewhere() -> None:
    truth = np.roll(discs(200), SIDE // 2, 1)
    y, x = np.mgrid[:SIDE, :SIDE]
    centre = np.exp(-((y - SIDE / 2) ** 2 + (x - SIDE / 2) ** 2) / 18.0)
    row = planted.judged(np.broadcast_to(centre, truth.shape), truth)
    assert row["hits_percent"] < 15


def test_empty_and_even_maps_find_nothing_and_no_object_no_image() -> None:
    truth = discs(6)
    truth[0] = False
    for value in (0.0, 1.0):
        row = planted.judged(np.full(truth.shape, value), truth)
        assert row["hits_percent"] == 0 and row["images"] == 5
    assert planted.judged(np.zeros(truth.shape), truth)["mass_percent"] == 0
    np.testing.assert_allclose(planted.ranks(np.ones((1, SIDE, SIDE)), truth[1:2]), 0.5)


@settings(max_examples=30, deadline=None)
@given(
    hypothesis.extra.numpy.arrays(np.float64, (2, 8, 8), elements=st.floats(-1e3, 1e3, width=16)),
    st.integers(0, 7),
    st.integers(0, 7),
    st.floats(0.1, 1e6),
)
def test_ranks_keep_under_shifts_of_both_and_under_scale_and_sign(maps, dy, dx, scale) -> None:
    truth = np.zeros((2, 8, 8), bool)
    truth[:, 1:3, 2:5] = True
    own = planted.ranks(maps, truth)
    assert ((own >= 0) & (own <= 1)).all()
    moved = planted.ranks(
        np.roll(-scale * maps, (dy, dx), (1, 2)), np.roll(truth, (dy, dx), (1, 2))
    )
    np.testing.assert_allclose(moved, own, atol=1e-6)

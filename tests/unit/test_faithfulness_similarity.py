"""Similarity of saliency maps: independent values, laws, and p-values that mean what they say."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from kappascope.faithfulness.similarity import (
    Correlations,
    correlations,
    quantile_levels,
    shift_p_values,
    shifted_correlations,
    shifted_tables,
    structural_similarity,
    tau_b,
)

PAIRS = 60
SMOOTHING_PIXELS = 2.44  # 1 arcmin on 512 pixels of 3.5 degrees, as in Matilla et al. (2020)
COEFFICIENTS = ("pearson", "spearman", "kendall")
ALL_SHIFTS = 10**6

lawful = settings(deadline=None, max_examples=15, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(1e-3, 1e3)
offsets = st.floats(-5.0, 5.0)


def two_maps(seed: int, shape: tuple[int, int] = (12, 10), ties: bool = False) -> np.ndarray:
    """Two maps (2, y, x), related in part; with ties, zero in the half that a ReLU would cut."""
    first, second = np.random.default_rng(seed).standard_normal((2, *shape))
    maps = np.stack([first, 0.3 * first + second])
    return np.maximum(maps, 0.0) if ties else maps


def smooth_maps(seed: int) -> np.ndarray:
    """Return unrelated maps (pair, 2, 64, 64), smooth on a torus."""
    noise = np.random.default_rng(seed).standard_normal((PAIRS, 2, 64, 64))
    return gaussian_filter(noise, SMOOTHING_PIXELS, mode="wrap", axes=(-2, -1))


def average_ranks(map_: np.ndarray) -> np.ndarray:
    return scipy.stats.rankdata(map_).reshape(map_.shape)


def shift_p(first: np.ndarray, second: np.ndarray, shifts: int = 99) -> np.ndarray:
    return np.array(shift_p_values(first, second, np.random.default_rng(7), shifts))


def test_coefficients_and_p_values_match_stored_ones(reference: Path) -> None:
    folder = reference / "attribution"
    stored = json.loads((folder / "correlations.json").read_text())
    assert len(stored["pairs"]) == 10
    for pair in stored["pairs"]:
        maps = []
        for side in (pair["a"], pair["b"]):
            with np.load(folder / side["network"] / "reference.npz") as arrays:
                array = arrays[side["array"]]
            maps.append(array[side["output"], side["image"], :, :, pair["channel"]])
        found = correlations(*maps)._asdict()
        for name in COEFFICIENTS:
            assert found[name] == pytest.approx(pair[name]["statistic"], abs=1e-13)
            assert found[f"{name}_p"] == pytest.approx(pair[name]["pvalue"], rel=1e-9, abs=1e-300)


@lawful
@given(seeds, st.booleans())
def test_swapping_the_maps_changes_nothing(seed: int, ties: bool) -> None:
    first, second = two_maps(seed, ties=ties)
    np.testing.assert_allclose(
        correlations(first, second), correlations(second, first), rtol=1e-9, atol=1e-13
    )
    # all shifts, because the random ones of a swapped pair are others
    np.testing.assert_allclose(
        shift_p(first, second, ALL_SHIFTS), shift_p(second, first, ALL_SHIFTS), rtol=1e-12
    )
    assert structural_similarity(first, second) == pytest.approx(
        structural_similarity(second, first), rel=1e-12
    )


@lawful
@given(seeds, scales, offsets, scales, offsets)
def test_scale_and_offset_of_either_map_do_not_matter(
    seed: int, scale: float, offset: float, other_scale: float, other_offset: float
) -> None:
    first, second = two_maps(seed)
    moved = scale * (first + offset), other_scale * (second + other_offset)
    np.testing.assert_allclose(
        correlations(*moved), correlations(first, second), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(shift_p(*moved), shift_p(first, second), rtol=1e-12)
    assert structural_similarity(scale * first, other_scale * second) == pytest.approx(
        structural_similarity(first, second), rel=1e-9
    )


@lawful
@given(seeds)
def test_flipping_one_sign_flips_the_coefficients_and_keeps_the_p_values(seed: int) -> None:
    # 128 pixels: none lies on the border of two of the 64 levels, where a flip would move it
    first, second = two_maps(seed, shape=(16, 8))
    before, after = correlations(first, second), correlations(first, -second)
    np.testing.assert_allclose(after[::2], -np.array(before[::2]), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(after[1::2], before[1::2], rtol=1e-9)
    np.testing.assert_allclose(shift_p(first, -second), shift_p(first, second), rtol=1e-12)
    assert structural_similarity(-first, -second) == pytest.approx(
        structural_similarity(first, second), rel=1e-12
    )


def test_p_values_survive_values_whose_squares_leave_the_range_of_floats() -> None:
    first, second = two_maps(3)
    expected = shift_p(first, second)
    assert 0.0 < expected.min()
    np.testing.assert_array_equal(shift_p(1e250 * first, 1e-250 * second), expected)


@lawful
@given(seeds, st.booleans())
def test_fourier_correlations_are_those_of_rolled_maps(seed: int, ties: bool) -> None:
    first, second = two_maps(seed, shape=(7, 10), ties=ties)
    rolled = [
        [
            np.corrcoef(first.ravel(), np.roll(second, (y, x), (0, 1)).ravel())[0, 1]
            for x in range(10)
        ]
        for y in range(7)
    ]
    np.testing.assert_allclose(shifted_correlations(first, second), rolled, atol=1e-12)


@lawful
@given(seeds, st.booleans())
def test_kendall_from_tables_is_that_of_the_rolled_levels(seed: int, ties: bool) -> None:
    first, second = two_maps(seed, shape=(24, 16), ties=ties)
    levels = [quantile_levels(average_ranks(map_)) for map_ in (first, second)]
    shifts = np.array([(0, 0), (1, 0), (0, 15), (23, 1), (11, 7)])
    expected = [
        scipy.stats.kendalltau(levels[0], np.roll(levels[1], shift, (0, 1))).statistic
        for shift in shifts
    ]
    np.testing.assert_allclose(tau_b(shifted_tables(*levels, shifts)), expected, atol=1e-12)


def test_levels_hold_equally_many_pixels_and_keep_ties_together() -> None:
    map_ = two_maps(0, shape=(32, 32))[0]
    np.testing.assert_array_equal(np.bincount(quantile_levels(average_ranks(map_)).ravel()), 16)
    cut = np.maximum(map_, 0.0)
    assert len(np.unique(quantile_levels(average_ranks(cut))[cut == 0.0])) == 1
    lone = np.zeros((32, 32))
    lone[3, 4] = 1.0
    assert len(np.unique(quantile_levels(average_ranks(lone)))) == 2


@lawful
@given(seeds, st.booleans())
def test_p_values_are_the_fraction_of_rolls_that_agree_as_well(seed: int, ties: bool) -> None:
    first, second = two_maps(seed, shape=(6, 9), ties=ties)
    rolls = [np.roll(second, (y, x), (0, 1)) for y in range(6) for x in range(9)]
    tests = (scipy.stats.pearsonr, scipy.stats.spearmanr, scipy.stats.kendalltau)
    sizes = np.array(
        [[abs(test(first.ravel(), one.ravel()).statistic) for test in tests] for one in rolls]
    )
    expected = np.mean(sizes >= sizes[0] - 1e-9, axis=0)
    # 54 pixels in 64 levels: no two values share one, so binning loses nothing
    np.testing.assert_allclose(shift_p(first, second, ALL_SHIFTS), expected, rtol=1e-12)


def test_a_shift_that_agrees_as_well_counts_although_rounding_disagrees() -> None:
    tile = two_maps(5, shape=(7, 5))
    first, second = np.tile(tile, (1, 3, 3))
    # every alignment of the repeated tile occurs nine times
    p_values = shift_p(first, second, ALL_SHIFTS) * first.size
    np.testing.assert_allclose(p_values / 9, np.rint(p_values / 9), atol=1e-9)
    np.testing.assert_allclose(shift_p(first, first, ALL_SHIFTS) * first.size, 9)


def test_kendall_draws_as_many_shifts_as_asked_and_never_the_identity() -> None:
    map_ = two_maps(2, shape=(16, 16))[0]
    for shifts in (1, 19, 199):
        assert shift_p(map_, map_, shifts)[2] == pytest.approx(1 / (shifts + 1))


def test_unrelated_smooth_maps_fool_the_usual_p_values_but_not_shifts() -> None:
    pairs = smooth_maps(1)
    generator = np.random.default_rng(2)
    usual = np.array([correlations(*pair)[1::2] for pair in pairs])
    shifted = np.array([shift_p_values(*pair, generator) for pair in pairs])
    assert (np.sum(usual < 0.05, axis=0) > 0.5 * PAIRS).all()
    # binomial: of 60 at 5 %, more than 8 are rejected with probability 0.003
    assert (np.sum(shifted < 0.05, axis=0) <= 8).all()
    # and not because p is always large: a uniform p has mean 0.5 +- 0.037, here within 4 sigma
    np.testing.assert_allclose(shifted.mean(axis=0), 0.5, atol=0.15)


def test_related_smooth_maps_are_found() -> None:
    for first, second in smooth_maps(3)[:10]:
        related = 0.8 * first + 0.6 * second
        assert (shift_p(first, related) <= 0.01).all()
        assert (shift_p(first, -related) <= 0.01).all()


@pytest.mark.parametrize(
    "spoiled",
    [
        np.zeros((16, 16)),
        np.full((16, 16), 0.1),
        np.full((16, 16), 0.1) + 1e-17 * two_maps(0, (16, 16))[0],
        np.where(np.eye(16) > 0, np.nan, 1.0 - np.eye(16)),
        np.where(np.eye(16) > 0, np.inf, 1.0 - np.eye(16)),
    ],
    ids=["zero", "constant", "constant to rounding", "nan", "infinite"],
)
def test_undefined_coefficients_are_nan_without_a_warning(spoiled: np.ndarray) -> None:
    map_ = two_maps(4, shape=(16, 16))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pair in ((map_, spoiled), (spoiled, map_), (spoiled, spoiled)):
            assert np.isnan(correlations(*pair)).all()
            assert np.isnan(shift_p_values(*pair, np.random.default_rng(0))).all()


def test_structural_similarity_is_one_for_equal_maps_and_undefined_for_zero() -> None:
    first, second = two_maps(6, shape=(32, 32))
    assert structural_similarity(first, 3.0 * first) == pytest.approx(1.0)
    assert 0.0 < structural_similarity(first, second) < 1.0
    for spoiled in (np.zeros((32, 32)), np.full((32, 32), np.nan), np.full((32, 32), np.inf)):
        assert np.isnan(structural_similarity(first, spoiled))
        assert np.isnan(structural_similarity(spoiled, first))


def test_structural_similarity_takes_an_inverted_smooth_map_for_a_similar_one() -> None:
    # why it must not be read without a correlation beside it
    first = smooth_maps(4)[0, 0]
    assert correlations(first, -first).pearson == pytest.approx(-1.0)
    assert structural_similarity(first, -first) > 0.5


def test_structural_similarity_is_the_mean_over_windows_of_seven_pixels() -> None:
    first, second = (map_ / np.abs(map_).max() for map_ in two_maps(8, shape=(15, 11)))
    windows = [
        np.lib.stride_tricks.sliding_window_view(map_, (7, 7)).reshape(-1, 49)
        for map_ in (first, second)
    ]
    mean = [window.mean(axis=1) for window in windows]
    variance = [window.var(axis=1, ddof=1) for window in windows]
    covariance = 49 / 48 * ((windows[0] * windows[1]).mean(axis=1) - mean[0] * mean[1])
    # Wang et al. (2004), equation 13, with constants (0.01 x 2)^2 and (0.03 x 2)^2
    expected = ((2 * mean[0] * mean[1] + 0.0004) * (2 * covariance + 0.0036)) / (
        (mean[0] ** 2 + mean[1] ** 2 + 0.0004) * (variance[0] + variance[1] + 0.0036)
    )
    assert structural_similarity(first, second) == pytest.approx(expected.mean(), rel=1e-9)


def test_single_precision_maps_are_taken_and_maps_that_do_not_match_are_not() -> None:
    first, second = two_maps(9).astype(np.float32)
    found = correlations(first, second)
    assert isinstance(found, Correlations)
    assert all(type(value) is float for value in found)
    assert found == correlations(first.astype(np.float64), second.astype(np.float64))
    for wrong in (second[:-1], second[0], second[None]):
        with pytest.raises(ValueError, match="one shape"):
            correlations(first, wrong)

"""Shape noise and smoothing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed import typed

from kappascope.maps.dataset import MapSet
from kappascope.maps.noise import add_shape_noise, shape_noise, shape_noise_sigma
from kappascope.maps.smoothing import smooth, smooth_masked
from kappascope.networks import prediction

lawful = settings(deadline=None, max_examples=10, derandomize=True)


def a_set(number: int = 4, pixels: int = 64) -> MapSet:
    return MapSet(
        convergence=np.zeros((number, pixels, pixels), dtype=np.float32),
        split=np.array(["training", "testing", "covariance", "training"])[:number],
        cosmology=np.array([0, 0, 0, 1])[:number],
        realization=np.array([0, 0, 0, 0])[:number],
        omega_matter=np.full(number, 0.26),
        sigma_8=np.full(number, 0.8),
        pixel_arcmin=210 / 512,
        source_redshift=1.0,
    )


def test_noise_of_a_pixel_and_after_smoothing_is_that_of_the_paper() -> None:
    # matilla2020 Eq. 1: 0.1259 in a pixel of 0.41', 0.01457 after smoothing by 1'; that is the
    # noise in the effective area 4 pi sigma^2 of the Gaussian.
    sigma = shape_noise_sigma(210 / 512, 30.0, 0.4)
    assert sigma == pytest.approx(0.1259, abs=5e-5)
    noise = np.stack([shape_noise(1, "training", 0, row, 256, sigma) for row in range(4)])
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    smoothed = np.asarray(smooth(noise, 512 / 210))
    assert 0.4 / np.sqrt(2 * 30 * 4 * np.pi) == pytest.approx(0.01457, abs=5e-6)
    # 4 maps hold about 4 * 256^2 / (4 pi 2.44^2) = 3,500 independent patches: 1.2 per cent.
    assert smoothed.std() == pytest.approx(0.01457, rel=0.05)


def test_noise_depends_on_the_map_and_on_nothing_else() -> None:
    maps = a_set()
    together = add_shape_noise(maps, 7, 30.0, 0.4)
    for row in range(4):
        alone = add_shape_noise(maps.select(slice(row, row + 1)), 7, 30.0, 0.4)
        np.testing.assert_array_equal(alone[0], together[row])
    for first in range(4):
        for second in range(first):
            correlation = np.corrcoef(together[first].ravel(), together[second].ravel())[0, 1]
            assert abs(correlation) < 5 / 64
    assert not np.array_equal(together, add_shape_noise(maps, 8, 30.0, 0.4))
    assert together.dtype == np.float32
    assert maps.convergence is not None and not maps.convergence.any()


@lawful
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 4.0))
def test_smoothing_keeps_the_mean_and_lowers_the_scatter(seed: int, sigma: float) -> None:
    maps = np.random.default_rng(seed).standard_normal((2, 32, 32)).astype(np.float32)
    smoothed = np.asarray(smooth(maps, sigma))
    np.testing.assert_allclose(smoothed.mean((1, 2)), maps.mean((1, 2)), atol=1e-6)
    assert np.all(smoothed.std((1, 2)) < maps.std((1, 2)))


def test_the_width_is_a_standard_deviation() -> None:
    maps = np.zeros((1, 64, 64), dtype=np.float32)
    maps[0, 32, 32] = 1
    profile = np.asarray(smooth(maps, 2.5))[0].sum(axis=0)
    place = np.arange(64) - 32
    assert np.sqrt((profile * place**2).sum()) == pytest.approx(2.5, rel=1e-3)
    np.testing.assert_allclose(
        profile, np.exp(-(place**2) / 12.5) / np.sqrt(2 * np.pi) / 2.5, atol=1e-6
    )


def test_widths_add_in_squares() -> None:
    maps = np.random.default_rng(1).standard_normal((1, 32, 32)).astype(np.float32)
    twice = np.asarray(smooth(smooth(maps, 1.5), 2.0))
    np.testing.assert_allclose(twice, np.asarray(smooth(maps, 2.5)), atol=1e-6)


def test_masked_smoothing_does_not_see_masked_pixels() -> None:
    mask = np.ones((32, 32), dtype=bool)
    mask[10:20, 10:20] = False
    flat = np.where(mask, 3.0, 100.0).astype(np.float32)[None]
    smoothed, kept = smooth_masked(flat, mask, 2.0)
    kept = np.asarray(kept)
    np.testing.assert_allclose(np.asarray(smoothed)[0][kept], 3.0, rtol=1e-5)
    assert np.all(np.asarray(smoothed)[0][~kept] == 0)
    assert not (kept & ~mask).any()


def test_pixels_with_little_under_their_gaussian_are_masked() -> None:
    mask = np.ones((32, 32), dtype=bool)
    mask[:, 16:] = False
    maps = np.ones((1, 32, 32), dtype=np.float32)
    half = np.asarray(smooth_masked(maps, mask, 2.0, 0.5)[1])
    strict = np.asarray(smooth_masked(maps, mask, 2.0, 0.9)[1])
    np.testing.assert_array_equal(half, mask)  # at a straight edge half of the Gaussian is left
    assert strict.sum() < half.sum()
    np.testing.assert_array_equal(np.asarray(smooth_masked(maps, mask | True, 2.0, 0.99)[1]), True)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(("data_set", "rebin"), [("noiseless", 1), ("noisy", 2)])
def test_maps_are_the_same_however_many_are_smoothed_together(
    monkeypatch: pytest.MonkeyPatch, data_set: str, rebin: int, at_once: int
) -> None:
    spec = {
        "seed": 3,
        "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
        "maps": {"smoothing_arcmin": 1.0},
    }
    drawn = np.random.default_rng(0).normal(size=(4, 64, 64)).astype(np.float32)
    maps = dataclasses.replace(a_set(), convergence=drawn)
    together = prediction.observed(maps, data_set, typed(spec), rebin)
    assert together.shape == (4, 64 // rebin, 64 // rebin)
    monkeypatch.setattr(prediction, "AT_ONCE", at_once)
    np.testing.assert_array_equal(prediction.observed(maps, data_set, typed(spec), rebin), together)
    none = maps.select(np.zeros(4, bool))
    assert prediction.observed(none, data_set, typed(spec), rebin).shape == (0, *together.shape[1:])

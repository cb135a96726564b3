"""Laws that the kernels must obey on any map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.statistics.kernels import (
    average_over_modes,
    minkowski_functionals,
    modes_in_bins,
    peak_counts,
    power_spectrum,
)
from kappascope.statistics.settings import Settings

PIXELS = 32
EDGES = np.linspace(-0.03, 0.05, 17)
ELL_EDGES = np.geomspace(700, 20000, 9)
PIXEL_ARCMIN = 0.8203125
WIDTH = EDGES[1] - EDGES[0]

lawful = settings(deadline=None, max_examples=12, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
shifts = st.tuples(st.integers(0, PIXELS - 1), st.integers(0, PIXELS - 1))


def a_map(seed: int) -> np.ndarray:
    """A map (1, y, x) with structure on several scales, no two pixels alike."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.standard_normal((8, 8)), np.ones((4, 4)))
    fine = rng.standard_normal((PIXELS, PIXELS))
    return (0.01 * (coarse + fine)[None]).astype(np.float32)


def every_statistic(maps: np.ndarray, **options: object) -> list[np.ndarray]:
    found = [power_spectrum(maps, PIXEL_ARCMIN, ELL_EDGES, mask=options.get("mask"))]
    found.append(peak_counts(maps, EDGES, **options))
    found.extend(minkowski_functionals(maps, EDGES, **options))
    return [np.asarray(one) for one in found]


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5 * np.abs(one).max())


@lawful
@given(seeds)
def test_v0_falls_from_one_to_zero(seed: int) -> None:
    v0 = np.asarray(minkowski_functionals(a_map(seed), np.linspace(-1, 1, 21))[0][0])
    assert np.all(np.diff(v0) <= 0)
    assert v0[0] == 1.0 and v0[-1] == 0.0


@lawful
@given(seeds, shifts)
def test_a_periodic_map_has_no_origin(seed: int, shift: tuple[int, int]) -> None:
    maps = a_map(seed)
    assert_same(every_statistic(maps), every_statistic(np.roll(maps, shift, (1, 2))))


@lawful
@given(seeds, st.sampled_from(["flip x", "flip y", "transpose"]), st.booleans())
def test_a_map_has_no_orientation(seed: int, how: str, periodic: bool) -> None:
    maps = a_map(seed)
    turned = {
        "flip x": maps[:, :, ::-1],
        "flip y": maps[:, ::-1],
        "transpose": maps.transpose(0, 2, 1),
    }[how]
    assert_same(
        every_statistic(maps, periodic=periodic), every_statistic(turned, periodic=periodic)
    )


@lawful
@given(seeds, st.sampled_from([0.1, 0.7, 10.0]))
def test_scaling_a_map_scales_its_statistics(seed: int, factor: float) -> None:
    maps = a_map(seed)
    scaled = (maps * np.float32(factor)).astype(np.float32)
    power = np.asarray(power_spectrum(maps, PIXEL_ARCMIN, ELL_EDGES))
    np.testing.assert_allclose(
        np.asarray(power_spectrum(scaled, PIXEL_ARCMIN, ELL_EDGES)), factor**2 * power, rtol=1e-4
    )
    # V1 and V2 are per unit of length alone, peaks per unit of convergence. Rounding may move a
    # pixel or two over an edge.
    peaks, wider = np.asarray(peak_counts(maps, EDGES)), peak_counts(scaled, EDGES * factor)
    assert np.abs(np.asarray(wider) * factor - peaks).sum() * WIDTH <= 2.001
    before, after = (
        minkowski_functionals(maps, EDGES),
        minkowski_functionals(scaled, EDGES * factor),
    )
    assert np.abs(np.asarray(after[0]) - np.asarray(before[0])).max() <= 1.001 / PIXELS**2


@lawful
@given(seeds)
def test_no_two_peaks_touch(seed: int) -> None:
    counts = np.asarray(peak_counts(a_map(seed), np.linspace(-1, 1, 5))) * 0.5
    assert 1 <= counts.sum() <= PIXELS**2 / 4
    assert np.all(counts == np.round(counts))


@lawful
@given(seeds, st.integers(0, 2**32 - 1))
def test_what_a_mask_hides_does_not_count(seed: int, other: int) -> None:
    mask = np.zeros((PIXELS, PIXELS), dtype=bool)
    mask[3:25, 5:30] = True
    mask[10:13, 10:13] = False
    maps = a_map(seed)
    elsewhere = np.where(mask, maps, a_map(other) + 1)
    first, second = every_statistic(maps, mask=mask), every_statistic(elsewhere, mask=mask)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@lawful
@given(seeds)
def test_a_whole_mask_changes_nothing(seed: int) -> None:
    maps, mask = a_map(seed), np.ones((PIXELS, PIXELS), dtype=bool)
    for one, two in zip(every_statistic(maps), every_statistic(maps, mask=mask), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def test_a_map_without_periodic_edges_is_a_map_in_a_larger_mask() -> None:
    small = a_map(3)
    wide = np.full((1, PIXELS + 8, PIXELS + 8), 7.0, dtype=np.float32)
    wide[:, 4:-4, 4:-4] = small
    mask = wide[0] != 7.0
    inside = [peak_counts(small, EDGES, periodic=False)]
    inside += minkowski_functionals(small, EDGES, periodic=False)
    masked = [peak_counts(wide, EDGES, mask=mask), *minkowski_functionals(wide, EDGES, mask=mask)]
    for one, two in zip(inside, masked, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=1e-5, atol=1e-7)


def test_a_single_hill_is_one_peak_in_its_bin() -> None:
    maps = np.zeros((1, PIXELS, PIXELS), dtype=np.float32)
    maps[0, 5, 6] = 0.0123
    counts = np.asarray(peak_counts(maps, EDGES))[0] * WIDTH
    assert counts.sum() == pytest.approx(1)
    assert counts[np.searchsorted(EDGES, 0.0123) - 1] == pytest.approx(1)
    maps[0, 5, 7] = 0.0123  # a tie is no peak
    assert np.asarray(peak_counts(maps, EDGES)).sum() == 0


def test_a_peak_at_the_edge_counts_only_in_a_periodic_map() -> None:
    maps = np.zeros((1, PIXELS, PIXELS), dtype=np.float32)
    maps[0, 0, 9] = 0.01
    assert np.asarray(peak_counts(maps, EDGES, periodic=True)).sum() > 0
    assert np.asarray(peak_counts(maps, EDGES, periodic=False)).sum() == 0


def test_total_power_is_the_variance() -> None:
    # Parseval: with bins that hold every mode, the sum over modes of P / side^2 is the variance.
    maps = a_map(5) - a_map(5).mean()
    side = np.radians(PIXEL_ARCMIN * PIXELS / 60)
    power = np.asarray(power_spectrum(maps, PIXEL_ARCMIN, [1.0, 1e6]))[0, 0]
    assert power * (PIXELS**2 - 1) / side**2 == pytest.approx(maps.var(), rel=1e-4)


def test_power_of_a_masked_map_is_that_of_its_pixels_over_f_sky() -> None:
    mask = np.random.default_rng(1).random((PIXELS, PIXELS)) < 0.7
    maps = a_map(5)
    direct = power_spectrum(np.where(mask, maps, np.float32(0)), PIXEL_ARCMIN, ELL_EDGES)
    found = power_spectrum(maps, PIXEL_ARCMIN, ELL_EDGES, mask=mask)
    np.testing.assert_allclose(found, np.asarray(direct) / mask.mean(), rtol=1e-5)


@pytest.mark.parametrize(("estimator", "modes"), [("full", [4, 4]), ("lenstools", [3, 2])])
def test_a_multipole_bin_holds_its_upper_edge(estimator: str, modes: list[int]) -> None:
    # One degree: modes lie at multiples of 360, four of them at 360 and four at 360 sqrt 2.
    bins = Settings(60 / PIXELS, (100.0, 360.0, 600.0), (0.0, 1.0), estimator)
    assert list(modes_in_bins(PIXELS, bins)) == modes


@pytest.mark.parametrize("pixels", [31, 32])
def test_a_model_averaged_over_modes_is_the_power_of_a_map_made_from_it(pixels: int) -> None:
    pixel_arcmin, edges = 1.5, np.geomspace(400.0, 8000.0, 12)
    rows = np.minimum(np.arange(pixels), pixels - np.arange(pixels))
    ell = np.hypot(rows[:, None], rows[None]) * 21600 / (pixels * pixel_arcmin)

    def model(multipole: np.ndarray) -> np.ndarray:
        return (1 + multipole) ** -1.3

    side = np.radians(pixels * pixel_arcmin / 60)
    phases = np.fft.fft2(np.random.default_rng(1).normal(size=(pixels, pixels)))
    modes = phases / np.abs(phases) * np.sqrt(model(ell)) * pixels**2 / side
    measured = np.asarray(power_spectrum(np.fft.ifft2(modes).real[None], pixel_arcmin, edges))[0]
    averaged = average_over_modes(
        lambda multipole: (1 + multipole) ** -1.3, pixels, pixel_arcmin, edges
    )
    held = np.isfinite(averaged)
    assert 5 < held.sum()
    np.testing.assert_allclose(measured[held], averaged[held], rtol=2e-4)
    assert (measured[~held] == 0).all()


def test_bins_beyond_the_field_are_zero_not_nan() -> None:
    power = np.asarray(power_spectrum(a_map(1), PIXEL_ARCMIN, [1.0, 10.0, 1e5, 1e6]))
    assert power[0, 0] == 0 and power[0, 2] == 0 and power[0, 1] > 0


def test_uneven_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="evenly"):
        peak_counts(a_map(1), [0.0, 0.1, 0.3])

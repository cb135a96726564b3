"""Statistics of Gaussian random fields against what theory says of them.

The fields live on a periodic grid with a known spectrum, so that the moments which the formulas
need are sums over modes, with the finite differences' own wave number sin(k): they hold exactly on
the grid, and what differs from them is the scatter of the sample. A mean over M independent fields
may be off by a few of its standard errors, scatter / sqrt(M); with 20 bins and 3 functionals a
correct kernel goes beyond 5 of them once in 10^4 runs (seeds are fixed: it either does or not).
"""

import itertools

import numpy as np
import pytest
from scipy.special import erfc, ndtr
from scipy.stats import multivariate_normal

from kappascope.statistics.kernels import minkowski_functionals, peak_counts, power_spectrum

PIXELS = 128
FIELDS = 96
SIGMA = 0.0117
EDGES = np.linspace(-3, 3, 21) * SIGMA
CENTRES = 0.5 * (EDGES[1:] + EDGES[:-1])
STANDARD_ERRORS = 5.0


def spectrum(width: float) -> np.ndarray:
    """Power of each mode (y, x // 2 + 1): white noise smoothed by ``width``, variance SIGMA^2."""
    k_y = 2 * np.pi * np.fft.fftfreq(PIXELS)[:, None]
    k_x = 2 * np.pi * np.fft.rfftfreq(PIXELS)[None, :]
    power = np.exp(-(width**2) * (k_x**2 + k_y**2))
    power[0, 0] = 0.0
    return power * SIGMA**2 / (power * weights()).sum()


def weights() -> np.ndarray:
    """How many modes of the full plane each mode of the half plane stands for."""
    weight = np.full((PIXELS, PIXELS // 2 + 1), 2.0)
    weight[:, [0, -1]] = 1.0
    return weight


def fields(width: float, seed: int, number: int = FIELDS) -> np.ndarray:
    """Gaussian fields (field, y, x) of that spectrum, float32."""
    white = np.random.default_rng(seed).standard_normal((number, PIXELS, PIXELS))
    modes = np.fft.rfft2(white) * np.sqrt(spectrum(width)) * PIXELS
    return np.fft.irfft2(modes, s=(PIXELS, PIXELS)).astype(np.float32)


def correlation(width: float) -> np.ndarray:
    """Covariance of pixels by their displacement (y, x), periodic."""
    return np.fft.irfft2(spectrum(width), s=(PIXELS, PIXELS)) * PIXELS**2


def assert_agrees(
    values: np.ndarray, truth: np.ndarray, relative: float = 0.0, count: float = 0.0
) -> None:
    """Compare the mean over fields (first axis) with the truth.

    ``count`` is what one object in one field adds to the mean: the Poisson error of rare ones.
    """
    mean = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    error = np.maximum(error, np.sqrt(np.abs(truth) * count)) + count
    floor = 1e-6 * np.abs(truth).max()
    allowed = STANDARD_ERRORS * error + floor + relative * np.abs(truth)
    worst = np.max(np.abs(mean - truth) / allowed)
    assert worst < 1, f"off by {worst:.2f} of what is allowed: {mean} {truth}"
    # The comparison means something only where the errors are small.
    assert np.max(STANDARD_ERRORS * error) < 0.2 * np.abs(truth).max()


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return fields(width=2.0, seed=1)


def gradient_variance(width: float) -> float:
    """Variance of the finite-difference gradient, both components together."""
    k_y = 2 * np.pi * np.fft.fftfreq(PIXELS)[:, None]
    k_x = 2 * np.pi * np.fft.rfftfreq(PIXELS)[None, :]
    return float((spectrum(width) * weights() * (np.sin(k_x) ** 2 + np.sin(k_y) ** 2)).sum())


def test_minkowski_functionals_of_a_gaussian_field(sample: np.ndarray) -> None:
    v0, v1, v2 = map(np.asarray, minkowski_functionals(sample, EDGES))
    gradient = np.sqrt(gradient_variance(2.0)) / SIGMA
    threshold = EDGES / SIGMA
    # V1 and V2 at a threshold, averaged over the bin that stands for the delta function.
    probability = np.diff(ndtr(threshold)) / np.diff(threshold)
    slope = -np.diff(np.exp(-0.5 * threshold**2)) / np.sqrt(2 * np.pi) / np.diff(threshold)
    assert_agrees(v0, 0.5 * erfc(CENTRES / SIGMA / np.sqrt(2)))
    assert_agrees(v1, gradient * np.sqrt(np.pi) / 8 * probability)
    assert_agrees(v2, gradient**2 / (4 * np.pi) * slope)


def test_v1_and_v2_take_the_textbook_form_at_narrow_bins() -> None:
    # matilla2020 Eq. 3 for a Gaussian field: V1 = sigma_1 / (8 sqrt 2 sigma_0) exp(-nu^2/2) and
    # V2 = sigma_1^2 / (2 sigma_0^2) nu exp(-nu^2/2) / (2 pi)^(3/2) (Tomita 1986).
    maps = fields(width=3.0, seed=2)
    edges = np.linspace(-2.1, 2.1, 43) * SIGMA
    nu = 0.5 * (edges[1:] + edges[:-1]) / SIGMA
    _, v1, v2 = map(np.asarray, minkowski_functionals(maps, edges))
    ratio = np.sqrt(gradient_variance(3.0)) / SIGMA
    fall = np.exp(-0.5 * nu**2)
    # Bins of 0.1 sigma change the mean of exp(-nu^2/2) by up to 0.1^2 / 24 * 3.4 = 0.14 per cent.
    assert_agrees(v1, ratio / (8 * np.sqrt(2)) * fall, relative=0.0015)
    assert_agrees(v2, ratio**2 / 2 * nu * fall / (2 * np.pi) ** 1.5, relative=0.0015)


def test_density_of_peaks_is_the_probability_to_exceed_eight_neighbours(
    sample: np.ndarray,
) -> None:
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    covariance = correlation(2.0)
    # The differences between a pixel and its neighbours, all positive at a peak.
    differences = np.array(
        [
            [
                covariance[0, 0]
                - covariance[first]
                - covariance[second]
                + covariance[first[0] - second[0], first[1] - second[1]]
                for second in steps
            ]
            for first in steps
        ]
    )
    truth = multivariate_normal(
        np.zeros(8), differences / SIGMA**2, allow_singular=True, seed=3, maxpts=400_000
    ).cdf(np.zeros(8))
    edges = np.linspace(-6, 6, 13) * SIGMA
    counts = np.asarray(peak_counts(sample, edges)).sum(axis=1) * np.diff(edges)[0]
    assert_agrees(counts[:, None] / PIXELS**2, np.array([truth]), relative=0.002)


def test_heights_of_peaks_follow_bond_and_efstathiou() -> None:
    # Bond & Efstathiou (1987), Eq. A1.9: differential density of maxima of a 2D Gaussian field. The
    # grid misses maxima that lie too close together, 1.4 per cent of all for a smoothing of three
    # pixels (4.4 for two, 0.6 for four) by the probability of the test above.
    width = 3.0
    k_y = 2 * np.pi * np.fft.fftfreq(PIXELS)[:, None]
    k_x = 2 * np.pi * np.fft.rfftfreq(PIXELS)[None, :]
    modes = spectrum(width) * weights()
    squared = k_x**2 + k_y**2
    sigma_1, sigma_2 = np.sqrt((modes * squared).sum()), np.sqrt((modes * squared**2).sum())
    gamma, scale = sigma_1**2 / (SIGMA * sigma_2), np.sqrt(2) * sigma_1 / sigma_2
    nu = CENTRES / SIGMA
    density = (
        np.exp(-0.5 * nu**2) * _curvature_integral(gamma, gamma * nu) / (2 * np.pi) ** 1.5
    ) / scale**2
    counts = np.asarray(peak_counts(fields(width, seed=4), EDGES)) * SIGMA / PIXELS**2
    one = SIGMA / np.diff(EDGES)[0] / PIXELS**2 / FIELDS
    assert_agrees(counts, density, relative=0.03, count=one)


def _curvature_integral(gamma: float, x: np.ndarray) -> np.ndarray:
    """G(gamma, x) of Bond & Efstathiou (1987)."""
    rest = 1 - gamma**2
    wide = 3 - 2 * gamma**2
    return (
        (x**2 - gamma**2) * (1 - 0.5 * erfc(x / np.sqrt(2 * rest)))
        + x * rest * np.exp(-(x**2) / (2 * rest)) / np.sqrt(2 * np.pi * rest)
        + np.exp(-(x**2) / wide) / np.sqrt(wide) * (1 - 0.5 * erfc(x / np.sqrt(2 * rest * wide)))
    )


@pytest.mark.parametrize("estimator", ["full", "lenstools"])
def test_power_of_a_known_spectrum(sample: np.ndarray, estimator: str) -> None:
    pixel_arcmin = 0.8203125
    side = np.radians(pixel_arcmin * PIXELS / 60)
    edges = np.geomspace(400, 9000, 9)
    ell = (
        2
        * np.pi
        / side
        * np.hypot(
            np.fft.fftfreq(PIXELS, 1 / PIXELS)[:, None],
            np.fft.rfftfreq(PIXELS, 1 / PIXELS)[None, :],
        )
    )
    weight = weights() if estimator == "full" else np.ones_like(weights())
    truth = [
        np.average((spectrum(2.0) * side**2)[inside], weights=weight[inside])
        for inside in ((ell > low) & (ell <= high) for low, high in itertools.pairwise(edges))
    ]
    measured = np.asarray(power_spectrum(sample, pixel_arcmin, edges, estimator))
    for place, value in enumerate(truth):
        assert_agrees(measured[:, [place]], np.array([value]))

"""Emulator, likelihood, credible areas, MCMC: each against what is known without them."""

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CloughTocher2DInterpolator

from kappascope.errors import InputError
from kappascope.inference import credible, mcmc
from kappascope.inference.emulator import Emulator
from kappascope.inference.likelihood import (
    kept_bins,
    likelihood,
    precision_factor,
    uninformative_bins,
    weighted_covariance,
    whitening,
)
from kappascope.inference.measurements import Measurements

FIDUCIAL = np.array([0.26, 0.8])


def cosmologies(number: int = 30, seed: int = 0) -> np.ndarray:
    """Random cosmologies around the fiducial one, which comes first."""
    draws = np.random.default_rng(seed)
    corners = np.array([[0.1, 0.3], [0.1, 1.3], [0.6, 0.3], [0.6, 1.3]])
    inner = draws.uniform([0.12, 0.35], [0.58, 1.25], size=(number - 5, 2))
    return np.concatenate([FIDUCIAL[None], corners, inner])


def gaussian(
    parameters: np.ndarray, response: np.ndarray, sigma: float, maps: int = 100_000, **options
):
    """Likelihood of a vector linear in the parameters, with white noise."""
    means = parameters @ response
    return likelihood(means, means[0], sigma**2 * np.eye(response.shape[1]), maps=maps, **options)


def exact_areas(response: np.ndarray, sigma: float) -> np.ndarray:
    """π Δχ² sqrt(det F⁻¹) at 68 and 95 percent, F the Fisher matrix."""
    fisher = response @ response.T / sigma**2
    return np.pi * -2.0 * np.log(1.0 - np.array([0.68, 0.95])) / np.sqrt(np.linalg.det(fisher))


# ---------------------------------------------------------------------------- emulator


def test_emulator_weights_are_the_interpolant_itself():
    parameters = cosmologies()
    values = np.random.default_rng(1).normal(size=(len(parameters), 4))
    points = np.random.default_rng(2).uniform([0.11, 0.31], [0.59, 1.29], size=(200, 2))
    direct = CloughTocher2DInterpolator(parameters, values, tol=1e-13, maxiter=5000)(points)
    weights = Emulator(parameters).weights(points)
    np.testing.assert_allclose(weights @ values, direct, atol=1e-10)
    # SciPy's tolerance is absolute for small values: interpolating 1e-9 directly would not do.
    np.testing.assert_allclose(weights @ (1e-9 * values), 1e-9 * direct, atol=1e-19)


def test_emulator_is_exact_at_its_nodes_and_for_a_plane():
    parameters = cosmologies()
    emulator = Emulator(parameters)
    np.testing.assert_allclose(emulator.weights(parameters), np.eye(len(parameters)), atol=1e-9)
    plane = parameters @ np.array([[1.0, -2.0], [0.5, 3.0]])
    expected = np.array([0.33, 0.71]) @ np.array([[1.0, -2.0], [0.5, 3.0]])
    np.testing.assert_allclose(emulator.predict(plane, 0.33, 0.71), expected, rtol=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(0.1, 0.6), st.floats(0.3, 1.3))
def test_weights_sum_to_one_inside_the_hull(omega_matter, sigma_8):
    weights = Emulator(cosmologies()).weights(np.array([[omega_matter, sigma_8]]))
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)


def test_outside_the_hull_is_refused_and_has_no_weights():
    emulator = Emulator(cosmologies())
    assert np.isnan(emulator.weights(np.array([[0.9, 0.8]]))).all()
    assert not emulator.contains(np.array([[0.9, 0.8]]))[0]
    with pytest.raises(InputError, match=r"\(0\.9, 0\.8\) lies outside the hull.*0\.1 to 0\.6"):
        emulator.predict(np.zeros((30, 1)), 0.9, 0.8)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (np.array([[0.2, 0.7], [0.3, 0.8], [0.4, 0.9]]), "at least 4"),
        (np.array([[0.2, 0.7], [0.3, 0.8], [0.4, 0.9], [0.5, 1.0]]), "on one line"),
        (np.concatenate([cosmologies(), cosmologies()[:1]]), "two cosmologies"),
    ],
)
def test_impossible_sets_of_cosmologies_are_refused(parameters, told):
    with pytest.raises(InputError, match=told) as raised:
        Emulator(parameters)
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------- likelihood


def test_precision_factor_of_the_paper():
    # matilla2020 §III: N = 120,000 maps and d = 102 bins
    assert precision_factor(120_000, 102) == pytest.approx(0.99914, abs=5e-6)


@pytest.mark.parametrize("maps", [50, 102, 104])
def test_too_few_covariance_maps_are_refused(maps):
    with pytest.raises(InputError, match=rf"maps\.covariance: {maps} .* more than 104"):
        precision_factor(maps, 102)


def test_inverse_covariance_is_unbiased():
    """The debiased inverse of estimated covariances averages to the inverse of the true one."""
    draws = np.random.default_rng(3)
    length, maps = 12, 40
    inverses = []
    for _ in range(400):
        root = whitening(weighted_covariance(draws.normal(size=(maps, length))))
        inverses.append(precision_factor(maps, length) * root @ root.T)
    diagonal = np.diag(np.mean(inverses, axis=0))
    assert diagonal.mean() == pytest.approx(1.0, abs=0.02)


def test_whitening_survives_nine_decades():
    """An AR(1) correlation has a known tridiagonal inverse; scale it over nine decades."""
    length, rho = 20, 0.9
    lag = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    scale = np.logspace(-18, -9, length)
    tridiagonal = np.diag(np.r_[1.0, np.full(length - 2, 1.0 + rho**2), 1.0])
    tridiagonal -= rho * (np.eye(length, k=1) + np.eye(length, k=-1))
    expected = tridiagonal / (1.0 - rho**2) / np.outer(scale, scale)
    root = whitening(rho**lag * np.outer(scale, scale))
    assert root.shape == (length, length)
    np.testing.assert_allclose(
        root @ root.T * np.outer(scale, scale), expected * np.outer(scale, scale), atol=1e-10
    )


def test_a_bin_that_repeats_another_adds_nothing():
    maps = np.random.default_rng(4).normal(size=(500, 3))
    repeated = np.concatenate([maps, maps[:, :1] * 7.0], axis=1)
    assert whitening(weighted_covariance(repeated)).shape == (4, 3)
    step = np.array([0.3, -0.2, 0.5])
    once = np.sum((step @ whitening(weighted_covariance(maps))) ** 2)
    twice = np.sum((np.r_[step, 2.1] @ whitening(weighted_covariance(repeated))) ** 2)
    assert twice == pytest.approx(once, rel=1e-9)


def test_weighted_covariance_is_numpys_for_equal_weights():
    maps = np.random.default_rng(5).normal(size=(50, 3))
    np.testing.assert_allclose(weighted_covariance(maps), np.cov(maps.T), rtol=1e-12)
    np.testing.assert_allclose(weighted_covariance(maps, np.full(50, 3.0)), np.cov(maps.T))


def test_bins_without_variance_or_signal_are_found():
    maps = np.random.default_rng(6).normal(size=(100, 6))
    maps[:, 1] = 0.3  # constant
    maps[:, 2] = 0.0  # no signal
    maps[:, 3] = 0.0
    maps[:9, 3] = 1.0  # nine maps in a hundred are no variance
    maps[5, 4] = np.nan
    np.testing.assert_array_equal(uninformative_bins(maps), [False, True, True, True, True, False])
    kept = kept_bins({"PS": maps}, ["PS"])
    np.testing.assert_array_equal(kept["PS"], [0, 5])


def test_a_statistic_without_any_variance_is_refused():
    with pytest.raises(InputError, match="zero variance in every bin of PC") as raised:
        kept_bins({"PC": np.ones((100, 4))}, ["PC"])
    assert "\n" not in str(raised.value)


def test_unknown_likelihood_is_refused():
    with pytest.raises(InputError, match=r"constraints\.likelihood: 'student'"):
        gaussian(cosmologies(), np.eye(2), 0.01, kind="student")


def test_sellentin_heavens_is_gaussian_for_many_maps_and_wider_for_few():
    parameters = cosmologies()
    weights = Emulator(parameters).weights(np.array([[0.27, 0.8], [0.5, 1.2], [0.9, 0.9]]))
    many = [
        gaussian(parameters, np.eye(2), 0.02, maps=10**7, kind=kind)(weights)
        for kind in ("gaussian", "sellentin_heavens")
    ]
    np.testing.assert_allclose(many[0], many[1], rtol=1e-3)
    assert many[0][2] == -np.inf
    few = [
        gaussian(parameters, np.eye(2), 0.02, maps=10, kind=kind)(weights)[:2]
        for kind in ("gaussian", "sellentin_heavens")
    ]
    assert few[1][1] > few[0][1]  # far from the peak the t-distribution falls more slowly


def test_noise_in_means_does_not_lengthen_chi_squared():
    """On average over universes, where units weigh differently and share nothing or much."""
    draws = np.random.default_rng(11)
    truth = 0.4 * draws.normal(size=(5, 8))
    weights = draws.dirichlet(np.ones(5), size=3)
    exact = np.sum((weights @ (truth - truth[0])) ** 2, axis=1)
    corrected, plain = [], []
    for _ in range(1500):
        shared, own = draws.normal(size=(6, 1, 8)), draws.normal(size=(6, 5, 8))
        maps = (truth + shared + own).swapaxes(0, 1).reshape(30, 8)
        measured = Measurements(
            "noiseless", np.zeros((5, 2)), np.arange(5), 0, {}, np.repeat(np.arange(5), 6),
            np.tile(np.arange(6), 5), {}, np.zeros((1, 30, 2)), np.zeros((1, 30, 2)), {},
        )  # fmt: skip
        each = draws.gamma(4.0, size=6)
        means, scatter = measured.averaging(each) @ maps, measured.scatter(maps, each)
        pair = means, means[0], np.eye(8)
        moved = scatter - scatter[:, :1]
        corrected.append(likelihood(*pair, maps=1000, scatter=moved).chi_squared(weights))
        plain.append(likelihood(*pair, maps=1000).chi_squared(weights))
    error = np.std(corrected, axis=0) / np.sqrt(len(corrected))
    assert np.all(np.abs(np.mean(corrected, axis=0) - exact) < 4 * error)
    assert np.all(np.mean(plain, axis=0) > exact + 10 * error)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.permutations(range(6)),
    numpy_strategies.arrays(float, 6, elements=st.floats(1e-6, 1e6)),
    st.integers(0, 1000),
)
def test_order_and_units_of_bins_do_not_matter(order, units, seed):
    draws = np.random.default_rng(seed)
    parameters, maps = cosmologies(8, seed), draws.normal(size=(60, 6))
    means = draws.normal(size=(8, 6))
    weights = np.eye(8)
    plain = likelihood(means, means[0], weighted_covariance(maps), maps=60)(weights)
    changed = likelihood(
        (means * units)[:, order],
        (means * units)[0, order],
        weighted_covariance((maps * units)[:, order]),
        maps=60,
    )(weights)
    assert len(parameters) == 8
    np.testing.assert_allclose(changed, plain, rtol=1e-7, atol=1e-9)


def test_both_ways_to_chi_squared_agree():
    """Long data vectors are contracted over cosmologies first, short ones over bins."""
    draws = np.random.default_rng(8)
    parameters = cosmologies(12)
    weights = Emulator(parameters).weights(draws.uniform([0.2, 0.5], [0.5, 1.1], size=(50, 2)))
    long = likelihood(draws.normal(size=(12, 40)), np.zeros(40), np.eye(40), maps=1000)
    direct = np.sum((weights @ long.residuals) ** 2, axis=1)
    np.testing.assert_allclose(long.chi_squared(weights), direct, rtol=1e-10)


# ---------------------------------------------------------------------------- areas


@pytest.mark.parametrize("sigma", [2e-2, 5e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_area_is_the_fisher_ellipse_whatever_its_size(sigma, angle):
    response = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    response = response * [3.0, 0.4]  # a thin, tilted ellipse
    parameters = cosmologies()
    emulator = Emulator(parameters)
    log_posterior = gaussian(parameters, response.T @ np.eye(2), sigma)
    cells = credible.refine(emulator, log_posterior, grid=200)
    found = credible.regions(emulator, cells, log_posterior)
    if not found[1].hull_touched:
        expected = exact_areas(response.T, sigma)
        np.testing.assert_allclose([region.area for region in found], expected, rtol=0.01)
    else:
        assert sigma == 2e-2


def test_region_border_is_the_gaussian_one():
    parameters = cosmologies()
    emulator = Emulator(parameters)
    log_posterior = gaussian(parameters, np.eye(2), 0.01)
    cells = credible.refine(emulator, log_posterior, grid=200)
    borders = [region.threshold for region in credible.regions(emulator, cells, log_posterior)]
    np.testing.assert_allclose(borders, np.log(1.0 - np.array([0.68, 0.95])), rtol=0.01)


def test_the_hull_is_noticed():
    parameters = cosmologies()
    emulator = Emulator(parameters)
    narrow = gaussian(parameters, np.eye(2), 0.01)
    wide = gaussian(parameters, np.eye(2), 0.5)
    for log_posterior, expected in ((narrow, False), (wide, True)):
        cells = credible.refine(emulator, log_posterior, grid=100)
        found = credible.regions(emulator, cells, log_posterior)
        assert [region.hull_touched for region in found] == [expected, expected]
    assert found[1].area < 0.5 * 1.0  # never more than the hull's box


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_adding_data_shrinks_the_area(seed, strength):
    draws = np.random.default_rng(seed)
    parameters = cosmologies(20)
    emulator = Emulator(parameters)
    first, more = draws.normal(size=(2, 3)), strength * draws.normal(size=(2, 2))
    areas = []
    for response in (first, np.concatenate([first, more], axis=1)):
        log_posterior = gaussian(parameters, response, 0.02)
        cells = credible.refine(emulator, log_posterior, grid=80)
        areas.append(credible.areas(cells, log_posterior))
    assert (areas[1] < 1.01 * areas[0]).all()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.permutations(range(20)))
def test_order_of_cosmologies_does_not_matter(order):
    parameters = cosmologies(20)
    means = np.stack([parameters[:, 0] ** 2, parameters.prod(axis=1)], axis=1)
    areas = []
    for chosen in (np.arange(20), np.array(order)):
        emulator = Emulator(parameters[chosen])
        log_posterior = likelihood(means[chosen], means[0], 1e-4 * np.eye(2), maps=1000)
        cells = credible.refine(emulator, log_posterior, grid=80)
        areas.append(credible.areas(cells, log_posterior))
    np.testing.assert_allclose(areas[0], areas[1], rtol=1e-3)


def test_picture_encloses_the_region():
    parameters = cosmologies()
    emulator = Emulator(parameters)
    log_posterior = gaussian(parameters, np.eye(2), 0.01)
    cells = credible.refine(emulator, log_posterior, grid=80)
    omega_matter, sigma_8, field = credible.picture(emulator, cells, log_posterior)
    assert field.shape == (len(sigma_8), len(omega_matter))
    inside = field > np.log(0.05)
    assert not (inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any())
    pixel = np.diff(omega_matter)[0] * np.diff(sigma_8)[0]
    assert inside.sum() * pixel == pytest.approx(exact_areas(np.eye(2), 0.01)[1], rel=0.02)


# ---------------------------------------------------------------------------- MCMC


def test_emcee_agrees_with_the_grid_and_repeats_itself():
    parameters = cosmologies()
    emulator = Emulator(parameters)
    means = np.stack([parameters[:, 0] ** 0.6 * parameters[:, 1], parameters[:, 0]], axis=1)
    log_posterior = likelihood(means, means[0], np.diag([1e-4, 4e-3]), maps=2000)
    cells = credible.refine(emulator, log_posterior, grid=120)
    grid = credible.areas(cells, log_posterior)
    options = {"steps": 500, "walkers": 128, "purpose": "test"}
    points, values = mcmc.sample(emulator, cells, log_posterior, seed=1, **options)
    np.testing.assert_allclose(mcmc.areas(cells, log_posterior, values), grid, rtol=0.05)
    assert emulator.contains(points).all()
    again, _ = mcmc.sample(emulator, cells, log_posterior, seed=1, **options)
    other, _ = mcmc.sample(emulator, cells, log_posterior, seed=2, **options)
    np.testing.assert_array_equal(points, again)
    assert not np.array_equal(points, other)

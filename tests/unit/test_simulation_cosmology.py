"""Background, growth and power spectra against direct integration and CAMB."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate

from kappascope.cosmology.model import (
    HUBBLE_DISTANCE_MPC_H,
    Cosmology,
    MatterPower,
    lensing_weight,
    limber_power,
    matter_power,
)

FIDUCIAL = Cosmology(0.26, 0.8)
MODELS = (FIDUCIAL, Cosmology(0.16, 1.2), Cosmology(0.6, 0.5))


@pytest.fixture(scope="module")
def power() -> MatterPower:
    return matter_power(FIDUCIAL)


@pytest.fixture(scope="module")
def camb_results() -> Any:
    camb = pytest.importorskip("camb")
    h = FIDUCIAL.hubble
    parameters = camb.CAMBparams()
    parameters.set_cosmology(
        H0=100 * h,
        ombh2=FIDUCIAL.omega_baryon * h**2,
        omch2=(FIDUCIAL.omega_matter - FIDUCIAL.omega_baryon) * h**2,
        mnu=0,
        omk=0,
    )
    # This primordial amplitude gives sigma_8 = 0.8 in this cosmology; asserted below.
    parameters.InitPower.set_params(ns=FIDUCIAL.spectral_index, As=2.19901e-9)
    parameters.set_matter_power(redshifts=[0.0, 0.2, 0.43, 0.7, 1.0], kmax=40.0, silent=True)
    parameters.NonLinear = camb.model.NonLinear_both
    parameters.NonLinearModel.set_params(halofit_version="takahashi")
    results = camb.get_results(parameters)
    assert results.get_sigma8_0() == pytest.approx(0.8, rel=1e-4)
    return results


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("redshift", [0.01, 0.43, 1.0, 2.5])
def test_distance_is_the_integral_of_the_expansion(model: Cosmology, redshift: float) -> None:
    def inverse(z: float) -> float:
        return 1 / np.sqrt(model.omega_matter * (1 + z) ** 3 + 1 - model.omega_matter)

    expected = 2997.92458 * integrate.quad(inverse, 0, redshift, epsrel=1e-12)[0]
    # Linear interpolation of 4001 nodes in a: second differences are below 1e-6 of a step.
    assert model.comoving_distance(1 / (1 + redshift)) == pytest.approx(expected, rel=1e-5)
    assert model.scale_factor(expected) == pytest.approx(1 / (1 + redshift), rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("a", [0.05, 0.1, 0.5, 0.9, 1.0])
def test_growth_is_the_growing_solution(model: Cosmology, a: float) -> None:
    def integrand(x: float) -> float:
        return (x * float(model.expansion(x))) ** -3

    def unnormalised(b: float) -> float:  # Heath (1977)
        return float(model.expansion(b)) * integrate.quad(integrand, 0, b, epsrel=1e-12)[0]

    assert model.growth(a) == pytest.approx(unnormalised(a) / unnormalised(1.0), rel=1e-8)
    step = 1e-4
    slope = (model.growth(a + step) - model.growth(a - step)) / (2 * step)
    assert model.growth_derivative(a) == pytest.approx(float(slope), rel=1e-6)


def test_growth_of_matter_alone_is_the_scale_factor() -> None:
    model = Cosmology(1.0 - 1e-12, 0.8)
    a = np.linspace(0.05, 1.0, 7)
    np.testing.assert_allclose(model.growth(a), a, rtol=1e-9)
    np.testing.assert_allclose(model.growth_derivative(a), 1.0, rtol=1e-9)


def test_background_agrees_with_camb(camb_results: Any) -> None:
    redshift = np.array([0.2, 0.43, 1.0])
    distance = camb_results.comoving_radial_distance(redshift) * FIDUCIAL.hubble
    # CAMB counts radiation, which we leave out: 1e-4 of the distance to z = 1.
    np.testing.assert_allclose(FIDUCIAL.comoving_distance(1 / (1 + redshift)), distance, rtol=3e-4)
    k, z, linear = camb_results.get_linear_matter_power_spectrum(hubble_units=True)
    place = np.argmin(np.abs(k - 0.1))
    growth = np.sqrt(linear[:, place] / linear[0, place])
    # Radiation again, and the growth of baryons: 2e-3 by z = 1.
    np.testing.assert_allclose(FIDUCIAL.growth(1 / (1 + np.asarray(z))), growth, rtol=3e-3)


def test_linear_power_agrees_with_camb(camb_results: Any, power: MatterPower) -> None:
    k, _, linear = camb_results.get_linear_matter_power_spectrum(hubble_units=True)
    kept = (k > 1.2e-3) & (k < 30)
    ratio = power.linear_today(k[kept]) / linear[0, kept]
    # Eisenstein & Hu's fit: its baryon wiggles are off by up to 5 %, its broad shape by less.
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02)


def test_halofit_agrees_with_camb(camb_results: Any, power: MatterPower) -> None:
    k, redshifts, nonlinear = camb_results.get_matter_power_spectrum(
        minkh=1.2e-3, maxkh=30.0, npoints=80
    )
    for redshift, expected in zip(redshifts, nonlinear, strict=True):
        ratio = power.nonlinear(k, 1 / (1 + redshift)) / expected
        # The linear fit's wiggles and the shape around them.
        np.testing.assert_allclose(ratio, 1.0, atol=0.05)
        # Where lensing by 1' looks most, only the shape of the linear fit is left.
        np.testing.assert_allclose(ratio[k > 0.5], 1.0, atol=0.03)


@pytest.mark.parametrize("model", MODELS)
def test_linear_power_has_the_amplitude_asked_for(model: Cosmology) -> None:
    table = matter_power(model)
    # A finer grid than the table's own.
    k = np.logspace(-3, 2, 4000)
    x = 8.0 * k
    window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    variance = np.trapezoid(table.linear_today(k) * window**2 * k**3, np.log(k)) / (2 * np.pi**2)
    # Below k = 0.001 lies 1e-5 of the variance; log-log interpolation of 400 nodes errs by less
    # than 1e-3. A map's label is this number: an error here is an error of the training target.
    assert np.sqrt(variance) == pytest.approx(model.sigma_8, rel=1e-3)


def test_nonlinear_power_meets_linear_on_large_scales_and_exceeds_it_on_small(
    power: MatterPower,
) -> None:
    for a in (0.5, 0.8, 1.0):
        linear = power.linear_today([0.002, 5.0]) * float(FIDUCIAL.growth(a)) ** 2
        large, small = power.nonlinear([0.002, 5.0], a) / linear
        assert large == pytest.approx(1.0, abs=0.01)
        assert small > 5
    assert power.linear_today(0.0) == 0


def test_lensing_weight_is_that_of_a_source_plane() -> None:
    source = float(FIDUCIAL.comoving_distance(0.5))
    distance = np.array([0.0, 300.0, 1200.0, source, source + 100])
    a = FIDUCIAL.scale_factor(distance)
    expected = 1.5 * 0.26 / 2997.92458**2 * distance * (source - distance) / source / a
    weight = lensing_weight(FIDUCIAL, distance, source)
    np.testing.assert_allclose(weight[:4], expected[:4], rtol=1e-12, atol=1e-18)
    assert weight[4] == 0
    assert HUBBLE_DISTANCE_MPC_H == pytest.approx(299792.458 / 100)


def test_limber_power_agrees_with_an_integral_over_camb(
    camb_results: Any, power: MatterPower
) -> None:
    """Independent of our distances, weights, interpolation and rule of integration."""
    interpolator = camb_results.get_matter_power_interpolator(
        nonlinear=True, hubble_units=True, k_hunit=True
    )
    h = FIDUCIAL.hubble
    source = camb_results.comoving_radial_distance(1.0) * h
    nodes, weights = np.polynomial.legendre.leggauss(60)
    distance = 0.5 * source * (nodes + 1)
    redshift = camb_results.redshift_at_comoving_radial_distance(distance / h)
    prefactor = 1.5 * FIDUCIAL.omega_matter * (100 / 299792.458) ** 2
    lensing = prefactor * (1 + redshift) * distance * (1 - distance / source)
    for ell in (200.0, 700.0, 2000.0, 6000.0):
        k = (ell + 0.5) / distance
        matter = np.array(
            [interpolator.P(z, min(one, 39.0)) for z, one in zip(redshift, k, strict=True)]
        )
        integrand = (lensing / distance) ** 2 * np.where(k < 39.0, matter, 0.0)
        expected = 0.5 * source * np.sum(weights * integrand)
        ours = limber_power(FIDUCIAL, power, [ell], 1.0)[0]
        assert ours == pytest.approx(expected, rel=0.03), ell

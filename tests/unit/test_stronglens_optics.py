"""Ray shooting and light against lenstronomy and against closed forms."""

import warnings

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.stronglens import optics
from kappascope.stronglens.optics import Deflector, Light

GRID = np.linspace(-3.05, 3.07, 41)
X, Y = (np.ravel(a) for a in np.meshgrid(GRID, GRID))


@pytest.fixture(scope="module")
def lenstronomy():
    with warnings.catch_warnings():
        # What it and its own dependencies say at import is not ours to mend.
        warnings.simplefilter("ignore")
        from lenstronomy.LensModel.lens_model import LensModel
        from lenstronomy.LightModel.light_model import LightModel
        from lenstronomy.Util.param_util import phi_q2_ellipticity
    return LensModel, LightModel, phi_q2_ellipticity


def theirs(deflector: Deflector, ellipticity) -> list[dict[str, float]]:
    e1, e2 = ellipticity(deflector.angle, deflector.axis_ratio)
    sie = {
        "theta_E": deflector.einstein_radius,
        "e1": e1,
        "e2": e2,
        "center_x": deflector.x,
        "center_y": deflector.y,
    }
    shear = {
        "gamma1": deflector.shear_1,
        "gamma2": deflector.shear_2,
        "ra_0": deflector.x,
        "dec_0": deflector.y,
    }
    return [sie, shear]


NEAR = Deflector(1.3, 0.7, 0.6, 0.11, -0.2, 0.04, -0.03)
FAR = Deflector(0.5, 0.85, 2.0, -0.1, 0.15, -0.02, 0.01)


@pytest.mark.parametrize("q", [0.5, 0.75, 0.97])
def test_deflection_is_lenstronomys(lenstronomy, q: float) -> None:
    lens_model, _, ellipticity = lenstronomy
    deflector = NEAR._replace(axis_ratio=q)
    found = optics.deflection(deflector, X, Y)
    expected = lens_model(["SIE", "SHEAR"]).alpha(X, Y, theirs(deflector, ellipticity))
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-3)


def test_two_planes_are_lenstronomys(lenstronomy) -> None:
    from astropy.cosmology import FlatLambdaCDM

    from kappascope.stronglens.populations import plane_scaling

    lens_model, _, ellipticity = lenstronomy
    redshifts, source = (0.3, 0.9), 3.5
    with warnings.catch_warnings():
        # Of a given cosmology, and of an old name in astropy.
        warnings.simplefilter("ignore")
        model = lens_model(
            ["SIE", "SHEAR", "SIE", "SHEAR"],
            multi_plane=True,
            lens_redshift_list=[redshifts[0]] * 2 + [redshifts[1]] * 2,
            z_source=source,
            cosmo=FlatLambdaCDM(H0=70, Om0=0.3),
        )
        both = theirs(NEAR, ellipticity) + theirs(FAR, ellipticity)
        expected = model.ray_shooting(X, Y, both)
    scaling = plane_scaling(*redshifts, source)
    _, found = optics.shoot([NEAR, FAR], scaling, X, Y)
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-3)


@pytest.mark.parametrize("index", [0.8, 1.0, 2.5, 4.0])
def test_light_is_lenstronomys(lenstronomy, index: float) -> None:
    _, light_model, ellipticity = lenstronomy
    light = Light(0.8, index, 0.6, 0.9, 0.1, -0.05)
    e1, e2 = ellipticity(light.angle, light.axis_ratio)
    keys = {"amp": 1.0, "R_sersic": 0.8, "n_sersic": index, "e1": e1, "e2": e2}
    keys |= {"center_x": light.x, "center_y": light.y}
    expected = light_model(["SERSIC_ELLIPSE"]).surface_brightness(X, Y, [keys])
    np.testing.assert_allclose(optics.brightness(light, X, Y), expected, rtol=1e-3)


def test_all_of_a_profiles_light_is_its_effective_area() -> None:
    fine = np.linspace(-40, 40, 2001)
    x, y = np.meshgrid(fine, fine)
    for index in (0.8, 1.0, 2.0):
        light = Light(1.0, index, 0.6, 0.4, 0.013, 0.007)
        total = np.asarray(optics.brightness(light, x, y)).sum() * (fine[1] - fine[0]) ** 2
        np.testing.assert_allclose(total, optics.effective_area(light), rtol=3e-3)


def test_half_of_the_light_lies_within_the_radius() -> None:
    fine = np.linspace(-30, 30, 3001)
    x, y = np.meshgrid(fine, fine)
    light = Light(1.0, 1.0, 0.7, 0.3, 0.0, 0.0)
    shining = np.asarray(optics.brightness(light, x, y))
    inside = np.asarray(optics.elliptical_radius(light, x, y)) <= 1.0
    assert shining[inside].sum() / shining.sum() == pytest.approx(0.5, abs=0.01)


def test_a_round_deflector_deflects_by_its_einstein_radius() -> None:
    round_ = Deflector(1.2, 0.9999, 0.0, 0.0, 0.0, 0.0, 0.0)
    size = np.hypot(*optics.deflection(round_, X, Y))
    np.testing.assert_allclose(size, 1.2, rtol=2e-3)


def test_divergence_is_twice_the_convergence() -> None:
    lens = Deflector(1.1, 0.7, 0.5, 0.0, 0.0, 0.05, 0.02)
    points = np.array([[1.0, 0.3], [-0.7, 1.4], [0.2, -2.0]])

    def alpha(point):
        return jax.numpy.stack(optics.deflection(lens, point[0], point[1]))

    for point in points:
        jacobian = np.asarray(jax.jacobian(alpha)(jax.numpy.asarray(point)))
        along = np.cos(0.5) * point[0] + np.sin(0.5) * point[1]
        across = np.cos(0.5) * point[1] - np.sin(0.5) * point[0]
        kappa = 1.1 / 2 / np.sqrt(0.7 * along**2 + across**2 / 0.7)
        assert np.trace(jacobian) == pytest.approx(2 * kappa, rel=1e-3)
        # No rotation behind one plane.
        assert jacobian[0, 1] == pytest.approx(jacobian[1, 0], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.3, 2.0),
    st.floats(0.4, 0.97),
    st.floats(0, np.pi),
    st.floats(-0.1, 0.1),
    st.floats(-0.1, 0.1),
)
def test_without_far_mass_two_planes_are_one(
    radius: float, q: float, angle: float, shear_1: float, shear_2: float
) -> None:
    near = Deflector(radius, q, angle, 0.1, -0.1, shear_1, shear_2)
    nothing = Deflector(0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0)
    _, twice = optics.shoot([near, nothing], 0.6, X, Y)
    (once,) = optics.shoot([near], 0.0, X, Y)
    np.testing.assert_allclose(twice, once, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 0.95), st.floats(-5, 5))
def test_arms_move_light_and_leave_none_negative(strength: float, winding: float) -> None:
    disc = Light(1.0, 1.0, 0.6, 0.7, 0.0, 0.0)
    factor = np.asarray(optics.spiral_arms(disc, X, Y, strength, winding))
    assert (factor > 0).all()
    assert factor.max() > 1 > factor.min()

"""Physics of simulated lenses: rings, magnifications, brightness, two source planes."""

import dataclasses

import numpy as np
import pytest

from kappascope.stronglens import imaging, optics, populations, surveys
from kappascope.stronglens.imaging import Camera
from kappascope.stronglens.optics import Deflector, Light
from kappascope.stronglens.populations import Population, Scene

CAMERA = Camera(96, 0.1, ("VIS", "H"), 4, surveys.read("euclid"))
POPULATION = Population(0.0, (21.5, 23.0), 0.2)


def scene(radius: float, x: float, size: float, second: float = 0.0, scaling: float = 0.0) -> Scene:
    """Return a round lens in the middle with one source at (x, 0), and no light of its own."""
    usual = POPULATION.draw(1, "testing", "lens", 0, 0).scene

    def pair(one: float, other: float) -> np.ndarray:
        return np.array([one, other], np.float32)

    return usual._replace(
        deflectors=Deflector(
            pair(radius, second),
            pair(0.9999, 0.9999),
            *(pair(0.0, 0.0) for _ in range(5)),
        ),
        scaling=np.float32(scaling),
        foreground_flux=np.zeros_like(usual.foreground_flux),
        background=Light(
            pair(size, size), pair(1, 1), pair(0.9999, 0.9999), pair(0, 0), pair(x, x), pair(0, 0)
        ),
        background_flux=np.stack([np.zeros(5), np.ones(5)]).astype(np.float32),
    )


def seen(*scenes: Scene) -> imaging.Observed:
    return imaging.observe(CAMERA, scenes, True)


def radii(light: np.ndarray) -> np.ndarray:
    """Return each pixel's distance from the middle [arcsec]."""
    axis = CAMERA.pixel_centres()
    return np.hypot(*np.meshgrid(axis, axis))


@pytest.mark.parametrize("radius", [0.8, 1.4, 2.0])
def test_a_source_behind_the_middle_is_a_ring_of_the_einstein_radius(radius: float) -> None:
    ring = seen(scene(radius, 0.0, 0.05)).arcs[0, ..., 0]
    distance = radii(ring)
    mean = (ring * distance).sum() / ring.sum()
    assert mean == pytest.approx(radius, rel=0.05)
    around = [
        ring[(distance > radius - 0.2) & (distance < radius + 0.2) & half].sum()
        for half in (CAMERA.pixel_centres()[None, :] > 0, CAMERA.pixel_centres()[None, :] < 0)
    ]
    assert around[0] == pytest.approx(around[1], rel=1e-3)


@pytest.mark.parametrize("offset", [0.2, 0.4, 0.7])
def test_an_isothermal_sphere_magnifies_by_two_radii_over_the_offset(offset: float) -> None:
    radius = 1.2
    found = seen(scene(radius, offset, 0.04))
    # A small source: the magnification of its centre, 2 θ_E / β.
    assert found.magnification[0] == pytest.approx(2 * radius / offset, rel=0.05)
    light = found.arcs[0, ..., 0]
    assert light.sum() == pytest.approx(2 * radius / offset, rel=0.05)


def test_images_lie_at_the_radius_plus_and_minus_the_offset() -> None:
    light = seen(scene(1.2, 0.5, 0.04)).arcs[0, ..., 0]
    axis = CAMERA.pixel_centres()
    row = light[47:49].sum(0)
    right, left = axis[axis > 0][row[axis > 0].argmax()], axis[axis < 0][row[axis < 0].argmax()]
    assert right == pytest.approx(1.7, abs=0.1)
    assert left == pytest.approx(-0.7, abs=0.1)


def test_lensing_keeps_surface_brightness() -> None:
    sharp = dataclasses.replace(CAMERA, psf_factor=1e-3)
    one, other = scene(1.2, 0.0, 0.4), scene(0.0, 0.0, 0.4)
    lensed, plain = (imaging.observe(sharp, [s], True).arcs[0, ..., 0] for s in (one, other))
    source = Light(0.4, 1.0, 1.0, 0.0, 0.0, 0.0)
    middle = float(optics.brightness(source, 0.0, 0.0) / optics.effective_area(source))
    assert lensed.max() <= middle * CAMERA.pixel_arcsec**2
    assert lensed.max() > plain.max()
    assert lensed.sum() > 3 * plain.sum()


def test_a_farther_source_has_the_larger_ring() -> None:
    scaling = populations.plane_scaling(0.3, 0.9, 3.5)
    assert 0 < scaling < 1
    both = scene(1.4, 0.0, 0.05, 0.0, scaling)
    fluxes = {"near": [1.0, 0.0], "far": [0.0, 1.0]}
    found = {}
    for name, share in fluxes.items():
        flux = np.stack([np.full(4, value, np.float32) for value in share])
        ring = seen(both._replace(background_flux=flux)).arcs[0, ..., 0]
        found[name] = (ring * radii(ring)).sum() / ring.sum()
    assert found["near"] == pytest.approx(1.4 * scaling, rel=0.06)
    assert found["far"] == pytest.approx(1.4, rel=0.06)


def test_mass_at_the_second_plane_adds_to_the_far_ring() -> None:
    alone, heavier = (
        seen(scene(1.2, 0.0, 0.05, second, 0.6)).arcs[0, ..., 0] for second in (0, 0.4)
    )
    mean = [(ring * radii(ring)).sum() / ring.sum() for ring in (alone, heavier)]
    assert mean[1] > mean[0] + 0.2


def test_einstein_radius_follows_dispersion_and_distance() -> None:
    usual = populations.isothermal_radius(250.0, 0.4, 2.0)
    assert populations.isothermal_radius(500.0, 0.4, 2.0) == pytest.approx(4 * usual)
    assert populations.isothermal_radius(250.0, 0.4, 1.0) < usual
    # 4π (σ/c)² is 1.8 arcsec at 250 km/s; the source at 2 sees about 0.7 of it.
    assert usual == pytest.approx(1.8 * (1 - 1534.8 / 5179.9), rel=0.02)

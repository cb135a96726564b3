"""Maps of a small light cone have the power and the variance that Limber and halofit ask for."""

import dataclasses
import math

import numpy as np
import pytest

from kappascope.chapters.matilla2020.validation import expected_sigma
from kappascope.cosmology.model import Cosmology, limber_power, matter_power
from kappascope.maps.smoothing import smooth
from kappascope.simulation import campaign, lightcone

PIXELS, PIXEL_ARCMIN, MAPS = 128, 0.8203125, 80
SMALL = lightcone.Settings(
    box_mpc_h=60.0,
    particles=40,
    mesh=80,
    steps=12,
    snapshots=6,
    start_redshift=9.0,
    plane_pixels=384,
    fixed_amplitude=True,
    sigma_8_in_box=True,
    sharpening=0.003,
    transfer_function=True,
)


def seen_through(
    box: campaign.Box,
    cosmology: Cosmology,
    ray_tracing: str,
    settings: lightcone.Settings = SMALL,
) -> np.ndarray:
    power = matter_power(cosmology)
    pieces = campaign.simulate_maps(
        box, cosmology, power, settings, 1, PIXELS, PIXEL_ARCMIN, 1.0, ray_tracing
    )
    return np.concatenate(list(pieces)).astype(float)


@pytest.fixture(scope="module", params=[(0.26, 0.8), (0.45, 0.7)], ids=str)
def cosmology(request: pytest.FixtureRequest) -> Cosmology:
    return Cosmology(*request.param)


@pytest.fixture(scope="module")
def maps(cosmology: Cosmology) -> np.ndarray:
    box = campaign.Box("testing", 0, 0, tuple(range(MAPS)))
    simulated = seen_through(box, cosmology, "born")
    return simulated - simulated.mean((1, 2), keepdims=True)


def over_limber(cosmology: Cosmology, maps: np.ndarray) -> dict[tuple[int, int], float]:
    """Power of maps over that of Limber and halofit, in ranges of multipoles."""
    side = math.radians(PIXELS * PIXEL_ARCMIN / 60)
    measured = (np.abs(np.fft.fft2(maps)) ** 2).mean(0) * side**2 / PIXELS**4
    frequency = 2 * math.pi / side * PIXELS * np.fft.fftfreq(PIXELS)
    ell = np.hypot(frequency[:, None], frequency)
    power = matter_power(cosmology)
    ratios = {}
    for low, high in ((300, 500), (500, 900), (900, 1600), (1600, 3000)):
        ring = (ell > low) & (ell < high)
        limber = limber_power(cosmology, power, ell[ring], 1.0)
        ratios[low, high] = float(measured[ring].mean() / limber.mean())
    return ratios


def test_power_of_the_maps_is_limbers(cosmology: Cosmology, maps: np.ndarray) -> None:
    for ring, ratio in over_limber(cosmology, maps).items():
        # 80 maps look at one small box: its own few long waves leave several per cent.
        assert ratio == pytest.approx(1.0, abs=0.1), ring


def test_gravity_alone_makes_the_power_that_the_mesh_resolves() -> None:
    """Without the transfer function, which would hide a simulation that does not cluster."""
    cosmology = Cosmology(0.26, 0.8)
    box = campaign.Box("testing", 0, 0, tuple(range(MAPS)))
    bare = dataclasses.replace(SMALL, transfer_function=False)
    maps = seen_through(box, cosmology, "born", bare)
    ratios = over_limber(cosmology, maps - maps.mean((1, 2), keepdims=True))
    # Linear theory would have a third of the power at the highest multipoles; what sharpening adds
    # to the box's own waves is what the transfer function takes off.
    for ring, ratio in ratios.items():
        assert 0.8 < ratio < 1.45, ring


def test_scatter_of_smoothed_maps_is_the_expected_one(
    cosmology: Cosmology, maps: np.ndarray
) -> None:
    smoothed = np.asarray(smooth(maps.astype(np.float32), 1.0 / PIXEL_ARCMIN), float)
    smoothed -= smoothed.mean((1, 2), keepdims=True)
    expected = expected_sigma(cosmology, 1.0, 1.0, PIXELS * PIXEL_ARCMIN)
    assert np.sqrt((smoothed**2).mean()) == pytest.approx(expected, rel=0.06)
    # Overdensities collapse: a Gaussian field has none.
    skewness = (smoothed**3).mean() / (smoothed**2).mean() ** 1.5
    assert 1.0 < skewness < 3.0


def test_bending_and_coupling_of_planes_change_little_at_redshift_one(
    cosmology: Cosmology, maps: np.ndarray
) -> None:
    box = campaign.Box("testing", 0, 0, (0, 1))
    bent = seen_through(box, cosmology, "multi_plane")
    bent -= bent.mean((1, 2), keepdims=True)
    soft = [
        np.asarray(smooth(one.astype(np.float32), 4.0 / PIXEL_ARCMIN), float).ravel()
        for one in (bent, maps[:2])
    ]
    # Rays arrive up to an arcminute or two from where straight ones do: the sky moves a little,
    # and its statistics less (Petri et al. 2017).
    correlation = np.corrcoef(*soft)[0, 1]
    assert 0.98 < correlation < 0.99999
    assert np.std(soft[0]) == pytest.approx(np.std(soft[1]), rel=0.03)

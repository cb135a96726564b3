"""Maps of a small light cone have the power and the variance that Limber and halofit ask for."""

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


def seen_through(box: campaign.Box, cosmology: Cosmology, ray_tracing: str) -> np.ndarray:
    power = matter_power(cosmology)
    pieces = campaign.simulate_maps(
        box, cosmology, power, SMALL, 1, PIXELS, PIXEL_ARCMIN, 1.0, ray_tracing
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


def test_power_of_the_maps_is_limbers(cosmology: Cosmology, maps: np.ndarray) -> None:
    side = math.radians(PIXELS * PIXEL_ARCMIN / 60)
    measured = (np.abs(np.fft.fft2(maps)) ** 2).mean(0) * side**2 / PIXELS**4
    frequency = 2 * math.pi / side * PIXELS * np.fft.fftfreq(PIXELS)
    ell = np.hypot(frequency[:, None], frequency)
    power = matter_power(cosmology)
    for low, high in ((300, 500), (500, 900), (900, 1600), (1600, 3000)):
        ring = (ell > low) & (ell < high)
        limber = limber_power(cosmology, power, ell[ring], 1.0)
        # 80 maps look at one small box: its own few long waves leave several per cent.
        assert measured[ring].mean() / limber.mean() == pytest.approx(1.0, abs=0.1), (low, high)


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

"""Real lenses brought to the survey: nothing lost, nothing invented without being told."""

import json

import numpy as np
import pytest
from astropy.io import fits

from kappascope.chapters.wilde2022 import observed
from kappascope.chapters.wilde2022.observed import Exposure
from kappascope.errors import InputError
from kappascope.networks import classification
from kappascope.stronglens import classifiers, surveys
from kappascope.stronglens.cutouts import corner_noise
from kappascope.stronglens.imaging import Camera

CAMERA = Camera(48, 0.2, ("VIS", "Y", "J", "H"), 2, surveys.read("euclid"))


def blob(side: int, pixel: float, width: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Return a Gaussian of a standard deviation [arcsec] with a total of 1."""
    axis = (np.arange(side) - (side - 1) / 2) * pixel
    found = np.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * width**2))
    return found / found.sum()


def test_resampling_keeps_light_place_and_brings_the_psf() -> None:
    image = 7 * blob(281, 0.05, 0.2, 0.6, -0.4)
    exposure = Exposure(image, 0.05, 0.1)
    axis = CAMERA.pixel_centres()
    for band in ("VIS", "H"):
        found = observed.resampled(exposure, image, CAMERA, band)
        assert found.sum() == pytest.approx(7, rel=1e-3)
        assert (found.sum(0) * axis).sum() / 7 == pytest.approx(0.6, abs=0.01)
        assert (found.sum(1) * axis).sum() / 7 == pytest.approx(-0.4, abs=0.01)
        spread = (found.sum(0) * (axis - 0.6) ** 2).sum() / 7
        wider = (CAMERA.band(band).psf_fwhm_arcsec ** 2 - 0.1**2) / 2.3548**2
        assert spread == pytest.approx(0.2**2 + wider + 0.2**2 / 12, rel=0.03)


def test_noise_is_measured_in_the_corners_and_not_on_the_lens() -> None:
    draw = np.random.default_rng(1)
    noise = np.array([1.0, 3.0]) * draw.normal(size=(48, 48, 2))
    lens = 1e4 * blob(48, 0.2, 0.5)[..., None]
    np.testing.assert_allclose(corner_noise(noise + lens), [1, 3], rtol=0.15)


def test_noise_is_added_where_the_observation_has_less() -> None:
    sky = CAMERA.sky_noise()
    draw = np.random.default_rng(2)
    lens = 50 * blob(48, 0.2, 0.3)[..., None] * np.ones(4)
    # Half of the survey's in two bands, twice as much in the others.
    own = sky * np.array([0.5, 0.5, 2.0, 2.0])
    image = 0.1 * (lens + own * draw.normal(size=(48, 48, 4)))
    light = 10 * image[..., 0].sum()
    found, own_light = observed.brought("it", {"as it is": image}, CAMERA, light, 1, 24.0, 1.4)
    assert own_light.treatment == "as it is, at its own brightness"
    assert found.einstein_radius == own_light.einstein_radius == 1.4
    flux = np.sinh(found.x.astype(float)) * 3 * sky
    spread = corner_noise(flux) / sky
    np.testing.assert_allclose(spread[:2], 1, rtol=0.15)
    np.testing.assert_allclose(spread[2:], 2, rtol=0.15)
    assert found.own_noise == pytest.approx(0.5, rel=0.15)


def test_an_image_at_its_own_brightness_has_the_magnitude_of_its_zero_point() -> None:
    image = 200 * blob(48, 0.2, 0.3)[..., None] * np.ones(4)
    for zero_point in (24.0, 26.5):
        _, found = observed.brought("it", {"": image}, CAMERA, 1.0, 1, zero_point)
        flux = np.sinh(found.x[..., 0].astype(float)) * 3 * CAMERA.sky_noise()[0]
        inside = blob(48, 0.2, 0.3) > 1e-4
        magnitude = 24.0 - 2.5 * np.log10(flux[inside].sum())
        expected = zero_point - 2.5 * np.log10(image[inside, 0].sum())
        assert magnitude == pytest.approx(expected, abs=0.1)
    # One MJy/sr on a pixel of 0.06 arcsec is 8.5e-8 Jy.
    assert observed.surface_zero_point(0.06) == pytest.approx(26.58, abs=0.01)


def test_the_galaxy_is_told_from_its_arcs() -> None:
    galaxy = blob(141, 0.05, 0.4)
    arc = np.zeros_like(galaxy)
    arc[70, 98:104] = galaxy.max()
    smooth = observed.smooth_galaxy(galaxy + arc)
    # A ring is a pixel wide: half a pixel times the steepest slope, 0.6 of the maximum a width.
    np.testing.assert_allclose(smooth, galaxy, atol=0.06 * galaxy.max())
    left = (galaxy + arc - smooth)[70, 98:104]
    np.testing.assert_allclose(left, galaxy.max(), rtol=0.06)
    assert (np.diff(smooth[70, 70:]) <= 0).all()


def test_width_of_a_gaussian_psf() -> None:
    assert observed.psf_width(blob(61, 0.02, 0.1), 0.02) == pytest.approx(0.23548, rel=0.02)


def test_assumed_colours_are_the_colours_of_what_comes_out() -> None:
    image = blob(281, 0.05, 0.3) + 0.2 * blob(281, 0.05, 0.05, 1.3)
    exposure = Exposure(image, 0.05, 0.1)
    found = observed.assumed(exposure, CAMERA)
    red = found["arcs as red as the galaxy"].sum((0, 1))
    expected = 10 ** (0.4 * np.cumsum([0, *observed.EARLY_COLOURS[:3]]))
    np.testing.assert_allclose(red / red[0], expected, rtol=2e-3)
    blue = found["arcs blue"].sum((0, 1))
    assert (blue[1:] < red[1:]).all()
    assert blue[0] == pytest.approx(red[0], rel=1e-6)
    both = observed.between(exposure, exposure, CAMERA)
    np.testing.assert_allclose(both.sum((0, 1)), image.sum(), rtol=2e-3)


def write(folder, prefix="", **changed) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "data": blob(200, 0.06, 0.4) + 1e-6 * np.random.default_rng(1).normal(size=(200, 200)),
        "psf": blob(31, 0.06, 0.06),
    } | changed
    for name, values in content.items():
        fits.writeto(folder / f"{prefix}{name}.fits", values, overwrite=True)
    (folder / f"{prefix}info.json").write_text(json.dumps({"pixel_scale": 0.06}), encoding="utf-8")


def test_systems_are_scaled_to_the_simulated_light(tmp_path) -> None:
    write(tmp_path / "jackpot")
    for prefix in ("F277W_", "F444W_"):
        write(tmp_path / "cosmos_web_ring", prefix)
    found = observed.systems(tmp_path, CAMERA, 50.0, 1)
    assert [each.name.split()[0] for each in found] == ["SLACS"] * 4 + ["COSMOS-Web"] * 6
    for each in found:
        assert each.x.shape == (48, 48, 4)
        assert np.isfinite(each.x).all()
        assert each.own_noise > 0
    again = observed.systems(tmp_path, CAMERA, 50.0, 1)
    np.testing.assert_array_equal(found[0].x, again[0].x)


SAME = np.zeros((9, 9))
UNSEEN = blob(200, 0.06, 0.4)
UNSEEN[0, 0] = -1.6375e30
NO_DATA = {
    "unseen": ({"data": UNSEEN}, r"data\.fits: not an image of finite numbers"),
    "nothing": ({"data": SAME}, r"data\.fits: the same number everywhere"),
    "no light": ({"psf": -blob(31, 0.06, 0.06)}, r"a point-spread function without light"),
}


@pytest.mark.parametrize("case", NO_DATA)
def test_observations_that_hold_nothing_are_told_in_one_line(tmp_path, case: str) -> None:
    changed, message = NO_DATA[case]
    write(tmp_path / "jackpot", **changed)
    with pytest.raises(InputError, match=message):
        observed.read_exposure(tmp_path / "jackpot")


@pytest.mark.parametrize("scale", ["0.05", None, True, [0.05, 0.05], 0, float("inf")])
def test_a_pixel_scale_is_one_number(tmp_path, scale) -> None:
    write(tmp_path / "jackpot")
    told = json.dumps({"pixel_scale": scale})
    (tmp_path / "jackpot" / "info.json").write_text(told, encoding="utf-8")
    with pytest.raises(InputError, match=r"info\.json: pixel_scale is .*; give one number"):
        observed.read_exposure(tmp_path / "jackpot")


@pytest.mark.parametrize("broken", ["missing", "shape", "nan", "info"])
def test_broken_observations_are_told_in_one_line(tmp_path, broken: str) -> None:
    write(tmp_path / "jackpot")
    folder = tmp_path / "jackpot"
    if broken == "missing":
        (folder / "psf.fits").unlink()
        message = r"psf\.fits: no image to read"
    elif broken == "info":
        (folder / "info.json").write_text("{}", encoding="utf-8")
        message = r"info\.json: says no pixel_scale"
    else:
        write(folder, data=np.ones(10) if broken == "shape" else np.full((9, 9), np.nan))
        message = r"data\.fits: not an image of finite numbers"
    with pytest.raises(InputError, match=message):
        observed.read_exposure(tmp_path / "jackpot")


def test_the_real_lenses_are_read_and_scored(real_data) -> None:
    found = observed.systems(real_data / "stronglens", CAMERA, 50.0, 1)
    assert len(found) == 10
    assert {each.einstein_radius for each in found if "Jackpot" in each.name} == {1.38}
    models = {}
    for task in ("finder", "locator", "sorter"):
        network = classifiers.network_for(task, 48, 4, 4)
        models[task] = network, classification.initial_parameters(network, 1, 0)
    rows = observed.real_rows(found, [models["finder"]] * 2, models["locator"], models["sorter"])
    assert [row["system"] for row in rows] == [each.name for each in found]
    for row in rows:
        assert 0 <= row["lens_percent"] <= 100
        # As deep as the survey, within a factor of two; bright systems are scaled down to it.
        if "own brightness" not in row["treatment"]:
            assert 0 < row["own_noise"] < 2
    assert observed.real_rows([], [], models["locator"], models["sorter"]) == []

"""Surveys as files: what they say, what scenes look like in their bands, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from kappascope.errors import InputError
from kappascope.stronglens import images, populations, surveys
from kappascope.stronglens.imaging import Camera
from kappascope.stronglens.populations import FLUX_UNIT_AB, SPECTRUM_UM, Population
from kappascope.workflow import configuration

POPULATION = Population(0.8, (21.5, 23.5), 0.5)


@pytest.mark.parametrize("name", surveys.available())
def test_a_survey_has_the_depth_that_it_is_said_to_have(name: str) -> None:
    survey = surveys.read(name)
    assert len(survey.bands) > 2
    for band in survey.bands.values():
        assert 21 < band.depth < 30
        if band.depth_ab is not None:
            assert band.depth == pytest.approx(band.depth_ab, abs=0.03)


def test_noise_of_a_point_source_at_the_depth() -> None:
    survey = surveys.read("des")
    band = survey.bands["r"]
    # On the camera's own pixels: weighted by a Gaussian, five times the noise.
    camera = Camera(65, band.pixel_arcsec, ("r",), 1, survey)
    sigma = band.psf_fwhm_arcsec / 2.3548
    axis = camera.pixel_centres()
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2))
    psf /= psf.sum()
    electrons = 10 ** (0.4 * (band.zero_point_ab - band.depth))
    signal = electrons * np.sqrt((psf**2).sum()) / camera.sky_noise()[0]
    assert signal == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize("name", ("des", "hst"))
def test_lenses_can_be_seen_in_other_surveys(name: str) -> None:
    survey = surveys.read(name)
    camera = Camera(32, 0.25, survey.names, 2, survey)
    simulated = images.simulate(POPULATION, camera, 5, "testing", {"lens": 2, "spiral": 1})
    assert simulated.x.shape == (3, 32, 32, len(survey.names))
    assert np.isfinite(simulated.x).all() and simulated.arc_mask[:2].any((1, 2)).all()


def test_bands_get_the_spectrum_and_their_zero_point() -> None:
    spectrum = populations.fluxes(22.0, [0.5, 0.3, 0.2, 1.5], 0)
    magnitudes = FLUX_UNIT_AB - 2.5 * np.log10(spectrum)
    np.testing.assert_allclose(magnitudes, [22.0, 21.5, 21.2, 21.0, 23.5])
    euclid = surveys.read("euclid")
    camera = Camera(8, 0.2, euclid.names, 1, euclid)
    np.testing.assert_array_equal(camera.flux(spectrum), spectrum[:4])
    # In the middle (in log wavelength) the flux is the geometric mean; beyond, the same slope.
    band = euclid.bands["VIS"].model_dump()
    between = float(np.sqrt(SPECTRUM_UM[0] * SPECTRUM_UM[4]))
    bluer = SPECTRUM_UM[4] ** 2 / between
    made = surveys.Survey.model_validate(
        {
            "name": "made up",
            "bands": {
                "u": {**band, "wavelength_um": bluer},
                "r": {**band, "wavelength_um": between, "zero_point_ab": 26.5},
            },
        }
    )
    found = Camera(8, 0.2, made.names, 1, made).flux(spectrum)
    mean = np.sqrt(spectrum[0] * spectrum[4])
    np.testing.assert_allclose(found, [spectrum[4] ** 2 / mean, 10 * mean])
    dark = Camera(8, 0.2, made.names, 1, made).flux(np.zeros((3, 5), np.float32))
    np.testing.assert_array_equal(dark, np.zeros((3, 2)))
    assert dark.dtype == np.float32


def test_red_galaxies_are_redder_in_every_survey() -> None:
    for name in surveys.available():
        survey = surveys.read(name)
        camera = Camera(8, 0.2, survey.names, 1, survey)
        early, blue = (
            camera.flux(populations.fluxes(22.0, colours, 0))
            for colours in (populations.early_colours(0.5), populations.mean_colours("blue"))
        )
        assert (np.diff(np.log(early / blue)) > -1e-9).all(), name


def changed(place: Path, change) -> Path:
    content = yaml.safe_load(surveys.path_of("euclid").read_text())
    change(content)
    path = place / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


BAD = {
    "an unknown key": (lambda c: c["bands"]["Y"].update(seeing=1), "bands.Y.seeing: unknown key"),
    "a missing key": (lambda c: c["bands"]["Y"].pop("exposure_s"), "bands.Y.exposure_s: missing"),
    "a word": (
        lambda c: c["bands"]["Y"].update(exposure_s="long"),
        'bands.Y.exposure_s: got "long"',
    ),
    "no size": (
        lambda c: c["bands"]["H"].update(pixel_arcsec=0),
        "bands.H.pixel_arcsec: got 0: input should be greater than 0",
    ),
    "not a number": (
        lambda c: c["bands"]["H"].update(sky_ab_arcsec2=float("nan")),
        "bands.H.sky_ab_arcsec2",
    ),
    "no bands": (lambda c: c.update(bands={}), "bands: got {}"),
    "red to blue": (
        lambda c: c.update(bands=dict(reversed(c["bands"].items()))),
        "list them from blue to red",
    ),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_surveys_end_in_one_line(tmp_path: Path, problem: str) -> None:
    change, words = BAD[problem]
    path = changed(tmp_path, change)
    with pytest.raises(InputError) as refused:
        surveys.read(str(path))
    said = str(refused.value)
    assert said.startswith(f"{path}: ") and words in said and "\n" not in said


def test_the_config_names_a_survey_and_its_bands(tmp_path: Path) -> None:
    def refused(**images: object) -> str:
        with pytest.raises(InputError) as error:
            configuration.load("smoke", overrides={"wilde2022": {"images": images}})
        return str(error.value)

    assert "did you mean euclid?" in refused(survey="euclidd")
    assert "there is des, euclid, hsc, hst, lsst" in refused(survey="sdss")
    said = refused(survey="hsc")
    assert "wilde2022.images.bands: got VIS" in said and "hsc has g, r, i, z, y" in said
    assert "from blue to red, as g, r, i, z, y" in refused(survey="hsc", bands=["i", "g"])
    own = changed(tmp_path, lambda content: content.update(name="mine"))
    for survey, bands in (("hsc", ["g", "r", "i"]), (str(own), ["VIS", "H"])):
        overrides = {"wilde2022": {"images": {"survey": survey, "bands": bands}}}
        section = configuration.load("smoke", overrides=overrides).wilde2022.images
        camera = images.camera_of(section)
        assert camera.survey is surveys.read(survey) and camera.bands == tuple(bands)
        assert camera.sky_noise().shape == (len(bands),)

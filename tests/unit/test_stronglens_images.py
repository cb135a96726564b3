"""Simulated images: what a lens is, what noise is, the same bytes from the same names."""

import dataclasses

import numpy as np
import pytest

from kappascope.errors import InputError
from kappascope.stronglens import images, imaging, populations, surveys
from kappascope.stronglens.imaging import Camera
from kappascope.stronglens.populations import COMPOUND, KINDS, NON_LENSES, Population

CAMERA = Camera(32, 0.2, ("VIS", "H"), 2, surveys.read("euclid"))
POPULATION = Population(0.8, (21.5, 24.5), 0.3)


@pytest.fixture(scope="module")
def simulated() -> images.Images:
    return images.simulate(POPULATION, CAMERA, 5, "testing", {kind: 6 for kind in KINDS})


def test_every_image_has_its_kind_and_is_finite(simulated) -> None:
    assert simulated.x.shape == (6 * len(KINDS), 32, 32, 2)
    assert np.isfinite(simulated.x).all()
    assert [str(kind) for kind in dict.fromkeys(simulated.kind)] == list(KINDS)
    assert (simulated.lenses == ~np.isin(simulated.kind, NON_LENSES)).all()
    assert (np.abs(simulated.place) <= 0.8 / 0.2 + 1e-6).all()


def test_lenses_are_magnified_and_have_arcs_and_others_have_none(simulated) -> None:
    assert (simulated.arc_mask.sum((1, 2))[simulated.lenses] >= images.LEAST_PIXELS).all()
    assert not simulated.arc_mask[~simulated.lenses].any()
    for kind in ("lens", *COMPOUND):
        scenes, light, _ = images.drawn(POPULATION, CAMERA, 5, "testing", kind, 6)
        assert (light.magnification > images.LEAST_MAGNIFICATION).all()
        radii = [each.einstein_radius for each in scenes]
        assert min(radii) > 0
    low, high = populations.LEAST_EINSTEIN_RADIUS, populations.LARGEST_EINSTEIN_RADIUS
    mine = simulated.einstein_radius[simulated.kind == "lens"]
    assert ((mine >= low) & (mine <= high)).all()


def test_an_image_depends_on_its_own_name_only(simulated) -> None:
    again = images.simulate(POPULATION, CAMERA, 5, "testing", {"spiral": 3, "lens": 2})
    for kind, number in (("spiral", 3), ("lens", 2)):
        np.testing.assert_array_equal(again.of(kind).x, simulated.of(kind).x[:number])
    other = images.simulate(POPULATION, CAMERA, 5, "training", {"spiral": 3})
    assert (other.x != simulated.of("spiral").x[:3]).any()


def test_images_do_not_depend_on_how_many_are_in_memory(
    simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "AT_ONCE", 4)
    weak = dataclasses.replace(POPULATION, source_magnitudes=(24.0, 26.5))
    for population in (POPULATION, weak):
        kinds = {kind: 6 for kind in KINDS} if population is POPULATION else {"lens": 6}
        some = images.simulate(population, CAMERA, 5, "testing", kinds)
        monkeypatch.setattr(images, "AT_ONCE", 1024)
        wanted = images.simulate(population, CAMERA, 5, "testing", kinds)
        monkeypatch.setattr(images, "AT_ONCE", 4)
        for field in dataclasses.fields(images.Images):
            one, other = (getattr(made, field.name) for made in (some, wanted))
            np.testing.assert_array_equal(one, other)
        assert some.index.tolist()[:6] == [0, 1, 2, 3, 4, 5]


def test_faint_scenes_are_drawn_again_and_hopeless_ones_refused() -> None:
    weak = dataclasses.replace(POPULATION, source_magnitudes=(24.0, 26.5))
    _, light, attempt = images.drawn(weak, CAMERA, 5, "testing", "lens", 12)
    assert attempt.max() > 0
    assert images.is_lens(light, CAMERA).all()
    hopeless = dataclasses.replace(POPULATION, source_magnitudes=(34.0, 35.0))
    with pytest.raises(
        InputError, match=r"^wilde2022.images.source_magnitudes: 3 of 3 sources show no arcs"
    ):
        images.drawn(hopeless, CAMERA, 5, "testing", "lens", 3)


def test_released_sources_are_wide_in_compound_lenses_only_and_none_is_drawn_again() -> None:
    released = dataclasses.replace(POPULATION, compound_sources="released")
    for kind in COMPOUND:
        scenes, light, attempt = images.drawn(released, CAMERA, 5, "testing", kind, 24)
        radius, index = (
            np.array([getattr(each.scene.background, field)[1] for each in scenes])
            for field in ("radius", "index")
        )
        assert radius.min() >= 0.2 and radius.max() <= 7 and 2.5 < radius.mean() < 4.7
        assert index.min() >= 1.5 and index.max() <= 4
        assert not attempt.any() and not images.is_lens(light, CAMERA).all()
        # The light of the second deflector is that of a small galaxy all the same.
        assert max(each.scene.background.radius[0] for each in scenes) <= 0.6
        compact = [POPULATION.draw(5, "testing", kind, k, 0).scene for k in range(24)]
        assert max(scene.background.radius[1] for scene in compact) <= 0.6
    one, other = (p.draw(5, "testing", "lens", 3, 0) for p in (POPULATION, released))
    for field, same in zip(one.scene.background, other.scene.background, strict=True):
        np.testing.assert_array_equal(field, same)


def test_light_of_a_galaxy_is_its_flux_whatever_the_psf() -> None:
    camera = Camera(64, 0.2, ("VIS", "H"), 4, surveys.read("euclid"))
    one = POPULATION.draw(3, "testing", "isolated", 0, 0)
    compact = one.scene.foreground._replace(
        radius=np.full(5, 0.3, np.float32), index=np.ones(5, np.float32)
    )
    scene = one.scene._replace(foreground=compact)
    wide = dataclasses.replace(camera, psf_factor=2.0)
    for some in (camera, wide):
        light = imaging.observe(some, [scene], False).light[0].sum((0, 1))
        np.testing.assert_allclose(light, scene.foreground_flux[0][[0, 3]], rtol=0.01)


def test_the_psf_has_its_width() -> None:
    camera = Camera(48, 0.05, ("VIS", "H"), 2, surveys.read("euclid"))
    point = np.zeros(len(camera.fine_grid()))
    point[len(point) // 2] = 1.0
    centres = camera.pixel_centres()
    for spread, name in zip(camera.spread(), camera.bands, strict=True):
        found = spread @ point
        mean = (found * centres).sum() / found.sum()
        width = np.sqrt((found * (centres - mean) ** 2).sum() / found.sum())
        sigma = camera.band(name).psf_fwhm_arcsec / 2.3548
        assert width == pytest.approx(np.sqrt(sigma**2 + 0.05**2 / 12), rel=0.02)


def test_noise_has_the_level_it_should(simulated) -> None:
    camera = Camera(32, 0.2, ("VIS", "Y", "J", "H"), 2, surveys.read("euclid"))
    bright = np.full((4, 32, 32, 4), 0.5)
    for light in (np.zeros_like(bright), bright):
        found = camera.noise(light, 3, "noise of a test", range(4))
        np.testing.assert_allclose(
            found.std((0, 1, 2)), camera.noise_level(light)[0, 0, 0], rtol=0.04
        )
    exposure = camera.band("VIS").exposure_s
    expected = np.sqrt(camera.sky_noise()[0] ** 2 + 0.5 / exposure)
    assert camera.noise_level(bright)[0, 0, 0, 0] == pytest.approx(expected)


def test_stretching_is_undone() -> None:
    noise = np.array([0.01, 0.03])
    flux = np.random.default_rng(0).normal(0.2, 0.3, (5, 4, 4, 2))
    found = imaging.unstretched(imaging.stretched(flux, noise), noise)
    np.testing.assert_allclose(found, flux, atol=1e-5)


def test_what_is_saved_is_read_again(simulated, tmp_path) -> None:
    images.save(tmp_path / "images.h5", {"testing": simulated})
    again = images.load(tmp_path / "images.h5", "testing")
    for field in dataclasses.fields(images.Images):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(simulated, field.name))


def test_turned_images_keep_the_lens_where_the_target_says() -> None:
    x = np.zeros((200, 9, 9, 1))
    draw = np.random.default_rng(4)
    column, row = draw.integers(-4, 5, (2, 200))
    x[np.arange(200), 4 + row, 4 + column] = 1
    targets = np.stack([np.ones(200), column, row, np.full(200, 1.3)], 1)
    found, told = images.turned(x, targets, np.random.default_rng(1))
    for image, (_, c, r, radius) in zip(found, told, strict=True):
        assert image[4 + int(r), 4 + int(c), 0] == 1
        assert radius == 1.3
    assert (found != x).any()
    labels = np.arange(200)
    np.testing.assert_array_equal(images.turned(x, labels, draw)[1], labels)


# ---- users' images -------------------------------------------------------------------------------


def own(tmp_path, **changed):
    content = {
        "images": np.random.default_rng(0).normal(size=(3, 32, 32, 2)),
        "noise": np.array([1.0, 2.0]),
        "bands": np.array(["VIS", "H"]),
        "pixel_arcsec": np.array(0.2),
        "names": np.array(["a", "b", "c"]),
    }
    content |= changed
    path = tmp_path / "mine.npz"
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def test_own_images_are_stretched_by_their_own_noise(tmp_path) -> None:
    found = images.read_own(own(tmp_path), CAMERA)
    assert found.names == ["a", "b", "c"]
    content = np.load(tmp_path / "mine.npz")
    np.testing.assert_allclose(found.x, imaging.stretched(content["images"], content["noise"]))
    assert images.read_own(own(tmp_path, names=None), CAMERA).names == ["0", "1", "2"]
    as_bytes = {"names": np.array([b"a", b"b", b"c"]), "bands": np.array([b"VIS", b"H"])}
    assert images.read_own(own(tmp_path, **as_bytes), CAMERA).names == ["a", "b", "c"]


def sky() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 32, 32, 2))


def spoilt(value: float) -> np.ndarray:
    found = sky()
    found[1, 3, 3, 0] = value
    return found


def flat_band() -> np.ndarray:
    found = sky()
    found[2, ..., 1] = 0
    return found


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"images": np.zeros((3, 40, 40, 2))},
            r"images of shape \(3, 40, 40, 2\), the networks re",
        ),
        ({"images": np.zeros((3, 32, 32))}, r"images of shape \(3, 32, 32\)"),
        ({"images": np.zeros((3, 32, 32, 4))}, "4 bands, called VIS, H; the networks read VIS, H"),
        ({"bands": np.array(["H", "VIS"])}, "2 bands, called H, VIS; the networks read VIS, H"),
        ({"pixel_arcsec": np.array(0.1)}, "pixel_arcsec is 0.1, the networks read pixels of 0.2"),
        ({"images": spoilt(np.nan)}, "1 pixels of image b are NaN or infinite or hold what no sky"),
        (
            {"images": spoilt(-1.6375e30)},
            r"image b are .* \(-1.64e\+30 times the noise\); fill them",
        ),
        ({"images": spoilt(-99.0)}, r"image b are .* \(-99 times the noise\)"),
        ({"images": spoilt(1e20)}, r"image b are .* \(1e\+20 times the noise\)"),
        ({"images": flat_band()}, "image c is the same everywhere in band H; leave it out"),
        ({"pixel_arcsec": np.array([0.2, 0.3])}, r"pixel_arcsec is \[0.2, 0.3\]; give one number"),
        ({"noise": np.array([1.0, 0.0])}, "noise is .*; give one positive number for each band"),
        ({"names": np.array(["a"])}, "1 names for 3 images"),
        ({"noise": None}, "holds no array 'noise'"),
        ({"noise": np.array(["a", "b"])}, "noise holds no real numbers"),
        ({"pixel_arcsec": np.array([])}, "pixel_arcsec holds no real numbers"),
        ({"images": np.zeros((3, 32, 32, 2), complex)}, "images holds no real numbers"),
        ({"names": np.array("a")}, "1 names for 3 images"),
        ({"names": np.array([["a"], ["b"], ["c"]])}, r"names has shape \(3, 1\); give one text"),
    ],
)
def test_other_images_are_refused_in_one_line(tmp_path, changed, message: str) -> None:
    path = own(tmp_path, **changed)
    with pytest.raises(InputError, match=message) as told:
        images.read_own(path, CAMERA)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="kind 'quasar' of image: allowed are isolated"):
        POPULATION.draw(1, "testing", "quasar", 0, 0)

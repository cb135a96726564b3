"""Real cut-outs: flux and place are kept, bands are matched, and what cannot be is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope import command_line
from kappascope.errors import InputError
from kappascope.networks import description
from kappascope.networks.architectures import lens_finder
from kappascope.networks.classification import initial_parameters
from kappascope.networks.evaluate import evaluate
from kappascope.stronglens import cutouts, finders
from kappascope.stronglens.cutouts import Cutout, Exposure, bring, overlap, resampled
from kappascope.stronglens.finders import ARCSINH, UNIT_RANGE, Finder

PIXELS, SIDE = 16, 0.3
BANDS = ("VIS", "H")


def sky(number: int, pixels: int = 60, x: float = 0.0, y: float = 0.0, side: float = 0.1):
    """Return a galaxy at (x, y) [arcsec] on noise, (y, x)."""
    axis = (np.arange(pixels) - (pixels - 1) / 2) * side
    distance = np.hypot(axis[None, :] - x, axis[:, None] - y)
    noise = np.random.default_rng(number).normal(0, 0.01, (pixels, pixels))
    return np.exp(-((distance / 0.5) ** 2)) + noise


def header_of(
    side: float,
    pixels: int,
    angle: float = 0.0,
    flip: float = -1.0,
    off: float = 0.0,
    up: float = 0.0,
) -> fits.Header:
    """Return a celestial header; (10, 5) degrees lie ``off`` and ``up`` from the middle [pixel]."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [10.0, 5.0]
    wcs.wcs.crpix = [(pixels + 1) / 2 + off, (pixels + 1) / 2 + up]
    turn = np.radians(angle)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wcs.wcs.cd = turned @ np.diag([flip * side / 3600, side / 3600])
    return wcs.to_header()


def write(path: Path, data: np.ndarray, header: fits.Header | None = None, **more: Any) -> Path:
    header = header_of(0.1, len(data)) if header is None else header
    for key, value in more.items():
        header[key] = value
    fits.writeto(path, data, header)
    return path


def network(folder: Path, **about: object) -> Path:
    graph = lens_finder(PIXELS, len(BANDS), 2, 2)
    description.save(folder, graph, initial_parameters(graph, 1, 0))
    content = {"bands": list(BANDS), "pixels": PIXELS, "pixel_arcsec": SIDE, "scaling": UNIT_RANGE}
    (folder / "about.json").write_text(json.dumps(content | about))
    return folder


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    (tmp_path / "net").mkdir()
    return finders.read(network(tmp_path / "net"))


# ---- resampling ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    native=st.integers(3, 30),
    native_side=st.floats(0.03, 0.5),
    side=st.floats(0.03, 0.5),
    shift=st.floats(-1, 1),
)
def test_flux_is_kept_and_so_is_its_place(native, native_side, side, shift) -> None:
    middle = (native - 1) / 2 + shift
    pixels = 2 * int(np.ceil((native + 3) * native_side / side)) + 1
    shares = overlap(pixels, side, native, native_side, middle)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-9)
    centres = (np.arange(pixels) - (pixels - 1) / 2) * side
    light = np.random.default_rng(native).uniform(0, 1, native)
    place = (np.arange(native) - middle) * native_side
    assert (shares @ light * centres).sum() / light.sum() == pytest.approx(
        (light * place).sum() / light.sum(), abs=side / 2
    )


def test_whole_factors_add_pixels_up_and_one_changes_nothing() -> None:
    image = sky(1, 48)
    exposure = Exposure("it", image, 0.1)
    middle = (23.5, 23.5)
    np.testing.assert_allclose(resampled(exposure, 48, 0.1, middle), image)
    found = resampled(exposure, 16, 0.3, middle)
    np.testing.assert_allclose(found, image.reshape(16, 3, 16, 3).sum((1, 3)))
    # Smaller pixels share a native one's light.
    fine = resampled(exposure, 96, 0.05, middle)
    np.testing.assert_allclose(fine, np.kron(image, np.ones((2, 2))) / 4)


def test_pixels_of_which_half_is_not_known_have_no_data_and_others_are_made_up_for() -> None:
    image = np.ones((12, 12))
    image[:, 6] = np.nan
    image[:, 10:] = np.nan
    found = resampled(Exposure("it", image, 0.1), 4, 0.3, (5.5, 5.5))
    np.testing.assert_allclose(found[:, :3], 9)
    assert np.isnan(found[:, 3]).all()


def test_bands_of_other_pixels_meet_where_their_coordinates_do(finder, tmp_path) -> None:
    # The galaxy stands at the reference position, 5 and 2 pixels beside the middle.
    one = write(tmp_path / "a_VIS.fits", sky(1, 70, 0.5), header_of(0.1, 70, off=5))
    other = write(
        tmp_path / "a_H.fits", sky(2, 40, 0.6, -0.9, side=0.3), header_of(0.3, 40, off=2, up=-3)
    )
    (cutout,) = cutouts.read([str(one), str(other)], BANDS, {})
    found = bring(cutout, finder)
    assert found.native_arcsec == pytest.approx((0.1, 0.3)) and found.filled_percent == 0
    # Of the second image, the place 0.1 arcsec beside and 0.9 below its middle.
    assert found.shift_arcsec == pytest.approx(np.hypot(0.1, 0.9), abs=1e-3)
    axis = (np.arange(PIXELS) - (PIXELS - 1) / 2) * SIDE
    for band in range(2):
        light = found.light[..., band]
        light = np.where(light > 0.2 * light.max(), light, 0)
        assert (light.sum(0) * axis).sum() / light.sum() == pytest.approx(0.5, abs=0.12)
        assert (light.sum(1) * axis).sum() / light.sum() == pytest.approx(0.0, abs=0.12)


def test_light_is_scaled_as_the_network_learned_it(tmp_path, finder) -> None:
    exposures = {band: Exposure(band, 7 + 100 * sky(k), 0.1) for k, band in enumerate(BANDS)}
    found = bring(Cutout("it", exposures), finder)
    assert found.x.min((0, 1)).tolist() == [0, 0] and found.x.max((0, 1)).tolist() == [1, 1]
    (tmp_path / "stretched").mkdir()
    stretched = finders.read(network(tmp_path / "stretched", scaling=ARCSINH))
    found = bring(Cutout("it", exposures), stretched)
    # Nine native pixels of noise 1 are one of noise 3 (seen in corners of four); no sky of 63.
    assert ((found.noise > 0.9) & (found.noise < 4.5)).all()
    corner = np.sinh(found.x.astype(float)[:3, :3]) * 3 * found.noise
    assert np.abs(corner.mean((0, 1))).max() < 4
    np.testing.assert_allclose(
        np.sinh(found.x.astype(float)) * 3 * found.noise + 63, found.light, atol=5
    )


def test_what_holds_no_data_is_filled_with_sky_and_noise_and_told(finder) -> None:
    image = 5 + sky(3)
    image[:, :18] = np.nan
    exposures = {"VIS": Exposure("it", image, 0.1), "H": Exposure("it", sky(4), 0.1)}
    with pytest.raises(InputError, match=r"^it: 25 % of the 4.8 arcsec that net reads hold no dat"):
        bring(Cutout("it", exposures), finder)
    found = bring(Cutout("it", exposures), finder, fill=True)
    again = bring(Cutout("it", exposures), finder, fill=True)
    np.testing.assert_array_equal(found.x, again.x)
    assert found.filled_percent == pytest.approx(25)
    part = found.light[:, :4, 0]
    assert part.mean() == pytest.approx(45, abs=0.2) and 0.01 < part.std() < 0.1
    other = bring(Cutout("another", exposures), finder, fill=True)
    assert (other.light[:, :4, 0] != part).all()


# ---- reading -------------------------------------------------------------------------------------


def names_say_it(place: Path) -> list[str]:
    # How a cut-out was turned is not how large its pixels are.
    turned = {"ANGLE": 37.2}
    return [str(write(place / f"one_{band}.fits", sky(1), **turned)) for band in BANDS]


def filters_say_it(place: Path) -> list[str]:
    for band in BANDS:
        write(place / f"one-{band}.fits", sky(1), FILTER=f"EUC_{band}".replace("EUC_H", "H"))
    return [str(place / f"one-{band}.fits") for band in BANDS]


def told_on_the_line(place: Path) -> list[str]:
    return [f"{band}={write(place / f'{k}.fits', sky(1))}" for k, band in enumerate(BANDS)]


def extensions(place: Path) -> list[str]:
    units = [fits.ImageHDU(sky(k), header_of(0.1, 60), name=b) for k, b in enumerate(BANDS)]
    errors = fits.ImageHDU(sky(5), name="VIS_ERR")
    fits.HDUList([fits.PrimaryHDU(), *units, errors]).writeto(place / "one.fits")
    return [str(place / "one.fits")]


def archive(place: Path) -> list[str]:
    images = np.stack([sky(k) for k in range(3)], -1)[None]
    bands = ["H", "Y", "VIS"]
    sides = [0.1, 0.3, 0.1]
    np.savez(place / "one.npz", images=images, bands=bands, pixel_arcsec=sides, names=["one"])
    return [str(place / "one.npz")]


@pytest.mark.parametrize(
    "made", [names_say_it, filters_say_it, told_on_the_line, extensions, archive]
)
def test_bands_are_found_by_name(tmp_path, made) -> None:
    (found,) = cutouts.read(made(tmp_path), BANDS, {})
    assert set(found.bands) == set(BANDS)
    assert found.name == ("0" if made is told_on_the_line else "one")
    assert [found.bands[band].pixel_arcsec for band in BANDS] == pytest.approx([0.1, 0.1])


def test_files_may_call_bands_otherwise_and_hold_several_objects(tmp_path) -> None:
    files = []
    for number, name in enumerate(("a", "b")):
        files += [
            str(write(tmp_path / f"{name}_{band}.fits", sky(number))) for band in ("F814W", "F160W")
        ]
    found = cutouts.read(files, BANDS, {"VIS": "F814W", "H": "F160W"})
    assert [each.name for each in found] == ["a", "b"]
    assert all(each.bands["H"].source.endswith("F160W.fits") for each in found)


def test_the_band_is_what_stands_last_in_a_name(tmp_path) -> None:
    files = [str(write(tmp_path / f"y_dwarf_h_{band}.fits", sky(1))) for band in ("Y", "H")]
    for bands in (("Y", "H"), ("H", "Y")):
        (found,) = cutouts.read(files, bands, {})
        assert found.name == "y_dwarf_h"
        assert [found.bands[band].source for band in ("Y", "H")] == files


def test_masks_weights_and_sentinels_hide_pixels(tmp_path) -> None:
    image = sky(1)
    image[0] = -1.6375e30
    image[1] = np.nan
    mask, weight = np.zeros((60, 60)), np.ones((60, 60))
    mask[2], weight[3], weight[4] = 2, 0, np.nan
    units = [
        fits.PrimaryHDU(image, header_of(0.1, 60)),
        fits.ImageHDU(mask, name="DQ"),
        fits.ImageHDU(weight, name="WHT"),
    ]
    fits.HDUList(units).writeto(tmp_path / "one_VIS.fits")
    extra = np.zeros((60, 60))
    extra[5] = 1
    fits.writeto(tmp_path / "mask.fits", extra)
    files = [str(tmp_path / "one_VIS.fits")]
    (found,) = cutouts.read(files, ("VIS",), {}, tmp_path / "mask.fits")
    hidden = np.isnan(found.bands["VIS"].data).all(1)
    assert hidden.tolist() == [True] * 6 + [False] * 54


def truncated(place: Path) -> list[str]:
    files = names_say_it(place)
    Path(files[0]).write_bytes(Path(files[0]).read_bytes()[:9000])
    return files


def a_cube(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[0], np.ones((2, 60, 60)), overwrite=True)
    return files


def no_scale(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[0], sky(1), overwrite=True)
    return files


def the_same(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[0], np.zeros((60, 60)), header_of(0.1, 60), overwrite=True)
    return files


def no_data(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[0], np.full((60, 60), np.nan), header_of(0.1, 60), overwrite=True)
    return files


def turned(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[1], sky(1), header_of(0.1, 60, angle=30), overwrite=True)
    return files


def mirrored(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[1], sky(1), header_of(0.1, 60, flip=1), overwrite=True)
    return files


def elsewhere(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[1], sky(1), header_of(0.1, 60, off=400), overwrite=True)
    return files


def small(place: Path) -> list[str]:
    files = names_say_it(place)
    fits.writeto(files[1], sky(1)[:40, :40], header_of(0.1, 40), overwrite=True)
    return files


def spoilt(**arrays: object):
    def make(place: Path) -> list[str]:
        (file,) = archive(place)
        content = {**np.load(file), **arrays}
        np.savez(file, **{name: value for name, value in content.items() if value is not None})
        return [file]

    return make


BAD = {
    "no such file": (lambda place: ["nowhere_VIS.fits"], "nowhere_VIS.fits: there is no such file"),
    "another kind": (lambda place: [str(network(place) / "about.json")], "give FITS images or an"),
    "a band is missing": (lambda place: names_say_it(place)[:1], "one has no band H, only VIS"),
    "no band is named": (
        lambda place: [str(write(place / "one.fits", sky(1)))],
        "one of the bands VIS, H; give BAND=FILE",
    ),
    "a band twice": (
        lambda place: [*names_say_it(place), str(place / "one_VIS.fits")],
        "band VIS of one again",
    ),
    "cut short": (truncated, "one_VIS.fits: not a whole FITS file"),
    "a cube": (a_cube, "3 axes; give images of two"),
    "no pixel scale": (no_scale, "one_VIS.fits: its header does not say the pixel scale"),
    "nothing on it": (the_same, "one_VIS.fits: the same number everywhere"),
    "no data": (no_data, "one_VIS.fits: no pixel holds data"),
    "turned bands": (turned, "turned against"),
    "mirrored bands": (mirrored, "(mirrored)"),
    "another place": (elsewhere, "hold no data"),
    "a small image": (small, "one_H.fits: 4 x 4 arcsec, smaller than the 4.8 that net reads"),
    "archive without bands": (spoilt(bands=None), "holds no array 'bands'"),
    "archive of other bands": (spoilt(bands=["g", "r", "VIS"]), "no band H, only g, r, VIS"),
    "archive of three axes": (spoilt(images=np.ones((1, 60, 60))), "give (image, y, x, band)"),
    "archive without scale": (spoilt(pixel_arcsec=None), "pixel_arcsec is [nan"),
    "archive of two scales": (spoilt(pixel_arcsec=[0.1, 0.2]), "pixel_arcsec has 2 values"),
    "archive with a small mask": (spoilt(mask=np.zeros((1, 5, 5))), "mask of shape (1, 5, 5)"),
    "archive with more names": (spoilt(names=["a", "b"]), "2 names for 1 images"),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_images_end_in_one_line(finder, tmp_path, capsys, problem) -> None:
    make, words = BAD[problem]
    (tmp_path / "in").mkdir()
    files = make(tmp_path / "in")
    arguments = ["--network", str(tmp_path / "net"), "-o", str(tmp_path / "out.csv")]
    drawn = ["--figure", str(tmp_path / "out.png")]
    assert command_line.main(["find-lenses", *files, *arguments, *drawn]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and said.startswith("kappascope: error: ")
    assert not list(tmp_path.glob("*out*"))


ABOUT = {
    "bands": ({"bands": "VIS"}, 'bands: got "VIS"; give the names'),
    "twice": ({"bands": ["H", "H"]}, "bands: got"),
    "pixels": ({"pixels": 16.0}, "pixels: got 16.0; give the number"),
    "other pixels": ({"pixels": 18}, "the network reads (16, 16, 2)"),
    "side": ({"pixel_arcsec": 0}, "pixel_arcsec: got 0; give the side"),
    "outputs": ({"outputs": ["yes", "no"]}, "outputs: got"),
    "scaling": ({"scaling": "log"}, 'scaling: got "log"; give'),
}


@pytest.mark.parametrize("problem", ABOUT)
def test_bad_descriptions_end_in_one_line(tmp_path, problem) -> None:
    about, words = ABOUT[problem]
    with pytest.raises(InputError) as refused:
        finders.read(network(tmp_path, **about))
    assert words in str(refused.value) and "about.json" in str(refused.value)


def test_a_network_without_description_or_without_name_is_refused(tmp_path, monkeypatch) -> None:
    (network(tmp_path) / "about.json").unlink()
    with pytest.raises(InputError, match=r"about.json: not found; it says which bands"):
        finders.named(str(tmp_path))
    monkeypatch.setenv("KAPPASCOPE_REAL_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"^--network: OU-67: no folder of a network"):
        finders.named("OU-67")
    (tmp_path / "about.json").write_text("{")
    with pytest.raises(InputError, match=r"about.json: not JSON"):
        finders.read(tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--band", "VIS"], "--band: got VIS; give BAND=NAME"),
        (["--band", "g=F475W"], "a band of the network (VIS, H)"),
        (["--pixel-arcsec", "-1"], "--pixel-arcsec: got -1"),
        (["--mask", "nowhere.fits"], "--mask: nowhere.fits: there is no such file"),
        (["--method", "grad_cam.conv9"], "conv9"),
        (["--network", "OU-67"], "--network: OU-67"),
    ],
)
def test_bad_options_end_in_one_line(finder, tmp_path, capsys, given, words) -> None:
    files = names_say_it(tmp_path)
    arguments = ["--network", str(tmp_path / "net"), "-o", str(tmp_path / "out.csv"), *given]
    arguments += ["--figure", str(tmp_path / "out.png")]
    assert command_line.main(["find-lenses", *files, *arguments]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_a_name_with_an_equals_sign_is_a_name(finder, tmp_path, capsys) -> None:
    images = np.stack([sky(k) for k in range(2)], -1)[None]
    file = tmp_path / "z=0.5.npz"
    np.savez(file, images=images, bands=list(BANDS), pixel_arcsec=0.1)
    out = tmp_path / "z=0.5.csv"
    arguments = ["find-lenses", str(file), "--network", str(tmp_path / "net"), "-o", str(out)]
    assert command_line.main(arguments) == 0
    assert out.read_text().splitlines()[1].startswith("0,")


def test_inputs_are_not_written_over(finder, tmp_path, capsys) -> None:
    files = names_say_it(tmp_path)
    before = Path(files[0]).read_bytes()
    assert (
        command_line.main(
            ["find-lenses", *files, "--network", str(tmp_path / "net"), "-o", files[0]]
        )
        == 1
    )
    assert "is one of the files to read" in capsys.readouterr().err
    assert Path(files[0]).read_bytes() == before


def test_the_command_scores_and_draws(finder, tmp_path, capsys) -> None:
    files = [
        *names_say_it(tmp_path),
        *(str(write(tmp_path / f"two_{band}.fits", sky(k + 7))) for k, band in enumerate(BANDS)),
    ]
    written = []
    for name in ("first", "second"):
        arguments = ["--network", str(tmp_path / "net"), "-o", str(tmp_path / f"{name}.csv")]
        arguments += ["--figure", str(tmp_path / f"{name}.png")]
        assert command_line.main(["find-lenses", *files, *arguments]) == 0
        written.append((tmp_path / f"{name}.csv").read_bytes())
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert written[0] == written[1]
    lines = written[0].decode().splitlines()
    assert lines[0].startswith("name,lens_percent,network,bands") and len(lines) == 3
    x = np.stack([bring(each, finder).x for each in cutouts.read(files, BANDS, {})])
    logits = evaluate(*finder.model, x).astype(float)
    expected = 100 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    found = [float(line.split(",")[1]) for line in lines[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "one: " in capsys.readouterr().out


@pytest.mark.realdata
def test_released_networks_score_a_real_lens(real_data, tmp_path, capsys) -> None:
    image = real_data / "stronglens" / "jackpot" / "data.fits"
    arguments = ["find-lenses", f"VIS={image}", "--network", "OU-VIS", "--pixel-arcsec", "0.05"]
    out = tmp_path / "scores.csv"
    assert command_line.main([*arguments, "-o", str(out)]) == 1
    assert "14.1 x 14.1 arcsec, smaller than the 20 that OU-VIS reads" in capsys.readouterr().err
    assert command_line.main([*arguments, "--fill", "-o", str(out)]) == 0
    row = out.read_text().splitlines()[1].split(",")
    assert float(row[1]) > 50 and row[2] == "OU-VIS"

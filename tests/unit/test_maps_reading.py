"""Maps and masks as people have them: the right number, or one line and nothing written."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from kappascope.command_line import main
from kappascope.errors import InputError
from kappascope.maps.reading import UNSEEN, open_map, open_mask

PIXELS = 64
K = np.random.default_rng(1).normal(0, 0.02, (PIXELS, PIXELS)).astype(np.float32)
P = 0.5 / 60  # degrees: pixels of half an arcminute
SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
DISC = np.hypot(*(np.indices(K.shape) - 31.5)) < 28


@pytest.fixture(autouse=True)
def precision_as_before() -> Any:
    # The command switches its process to float64; other tests share this one.
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def written(path: Path, array: np.ndarray = K, header: Any = None) -> Path:
    unit = fits.PrimaryHDU(array)
    for key, value in dict(header or {}).items():
        unit.header[key] = value
    unit.writeto(path, output_verify="ignore")
    return path


def of_wcs(matrix: list[list[float]], increment: tuple[float, float]) -> dict[str, Any]:
    """Header as astropy writes it: PCi_j and CDELTi."""
    system = WCS(naxis=2)
    system.wcs.ctype = list(SKY.values())
    system.wcs.pc, system.wcs.cdelt = matrix, increment
    return dict(system.to_header())


def rotated(degrees: float, along: float = P, across: float = P) -> dict[str, Any]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return {
        **SKY,
        "CD1_1": -along * c,
        "CD1_2": across * s,
        "CD2_1": along * s,
        "CD2_2": across * c,
    }


def both(increment: float, unit: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"CDELT1": increment, "CDELT2": increment, **more}
    return found if unit is None else {**found, "CUNIT1": unit, "CUNIT2": unit}


HALF_AN_ARCMINUTE = {
    "PC without CDELT, as WCS.to_header writes": of_wcs([[-P, 0], [0, P]], (1, 1)),
    "CDELT": of_wcs([[1, 0], [0, 1]], (-P, P)),
    "CD, straight": rotated(0),
    "CD, rotated by 30 degrees": rotated(30),
    "CD, rotated by 90 degrees": rotated(90),
    "CROTA": {**SKY, **both(P, CROTA2=30.0)},
    "galactic": both(P, CTYPE1="GLON-CAR", CTYPE2="GLAT-CAR"),
    "arcmin": both(0.5, "arcmin"),
    "arcmin, said of one axis": {"CDELT1": 0.5, "CUNIT1": "arcmin"},
    "arcsec": both(30.0, "arcsec"),
    "arcsec, on the sky": {**SKY, **both(30.0, "arcsec")},
    "radians": both(math.radians(P), "rad"),
    "ANGLE": {"ANGLE": P * PIXELS},
    "on the sky, far from the reference": {
        **{**SKY, "CRVAL1": 150.0, "CRVAL2": 2.2},
        **both(P, CRPIX1=300.0, CRPIX2=-200.0),
    },
    "latitude first": {**both(P), "CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 40.0},
    "ANGLE and the same again": {"ANGLE": P * PIXELS, **SKY, **both(P)},
}


@pytest.mark.parametrize("case", HALF_AN_ARCMINUTE)
def test_the_pixel_scale_of_a_header(tmp_path: Path, case: str) -> None:
    path = written(tmp_path / "a.fits", header=HALF_AN_ARCMINUTE[case])
    assert open_map(path)[1] == pytest.approx(0.5, rel=1e-9)


def test_a_projection_that_stretches_evenly_has_the_scale_of_the_maps_middle(
    tmp_path: Path,
) -> None:
    latitude = math.radians(50)
    up = math.degrees(math.log(math.tan(math.pi / 4 + latitude / 2)))  # Mercator's ordinate
    place = {"CRVAL1": 0.0, "CRVAL2": 0.0, "CRPIX1": 32.0, "CRPIX2": 32.5 - up / P}
    header = {"CTYPE1": "RA---MER", "CTYPE2": "DEC--MER", **both(P), **place}
    path = written(tmp_path / "a.fits", header=header)
    assert open_map(path)[1] == pytest.approx(0.5 * math.cos(latitude), rel=1e-3)


NO_SCALE = {
    "Mpc": (both(0.03, "Mpc"), "its pixels are in Mpc, which is no angle"),
    "no unit": (both(1.0), "its world coordinates have no unit"),
    "no unit, small": (both(P), "its world coordinates have no unit"),
    "unknown unit": (both(1.0, "bananas"), "its pixels are in bananas, which is no angle"),
    "oblong": ({**SKY, "CDELT1": P, "CDELT2": 2 * P}, "its pixels are not square, 0.5 by 1 arcmin"),
    "oblong, rotated": (rotated(30, P, 2 * P), "its pixels are not square, 0.5 by 1 arcmin"),
    "skewed": (
        {**SKY, "CD1_1": P, "CD1_2": 0.6 * P, "CD2_1": 0.0, "CD2_2": 0.8 * P},
        "its pixels are not square, their sides not perpendicular",
    ),
    "stretched by the projection": (
        {
            **{"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL1": 0.0, "CRVAL2": 0.0},
            **{"CDELT1": -P, "CDELT2": P, "CRPIX1": 32.0, "CRPIX2": 6032.0},
        },
        "its pixels are not square, 0.32",
    ),
    "ANGLE true": ({"ANGLE": True}, "ANGLE is True, not the side of a map"),
    "one of two axes": ({**SKY, "CD1_1": P}, "its world coordinates cannot be read"),
    "ANGLE contradicts": (
        {"ANGLE": 37.2, **SKY, **both(P)},
        "ANGLE = 37.2 degrees makes pixels of 34.88 arcmin, the world coordinates say 0.5",
    ),
    "ANGLE with a comma": ({"ANGLE": "0,53"}, "ANGLE is '0,53', not the side of a map in degrees"),
    "ANGLE negative": ({"ANGLE": -3.5}, "ANGLE is -3.5, not the side of a map"),
    "CDELT as text": ({**SKY, **both(P), "CDELT1": "fine"}, "CDELT1 is 'fine', not a number"),
}


@pytest.mark.parametrize("case", NO_SCALE)
def test_a_header_that_says_no_one_scale(tmp_path: Path, case: str) -> None:
    header, told = NO_SCALE[case]
    path = written(tmp_path / "a.fits", header=header)
    with pytest.raises(InputError) as caught:
        open_map(path)
    assert told in str(caught.value) and "--pixel-arcmin" in str(caught.value)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    # What the user says is enough, whatever the header holds.
    assert open_map(path, pixel_arcmin=0.5)[1] == 0.5


def test_a_scale_of_nan_is_refused_unless_one_is_given(tmp_path: Path) -> None:
    path = written(tmp_path / "a.fits", header={**SKY, **both(P)})
    text = path.read_bytes()
    card = text[text.index(b"CDELT1") :][:80]
    path.write_bytes(text.replace(card, b"CDELT1  =                  NaN".ljust(80)))
    with pytest.raises(InputError, match=r"a\.fits: "):
        open_map(path)
    assert open_map(path, pixel_arcmin=0.5)[1] == 0.5


# ---- pixels without data -------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [np.nan, np.inf, UNSEEN, -99.0, 1e20, -9999.0])
def test_marks_of_missing_data_are_masked_or_refused(tmp_path: Path, mark: float) -> None:
    spoilt = K.copy()
    spoilt[:8] = mark
    path = written(tmp_path / "a.fits", spoilt, {"ANGLE": P * PIXELS})
    with pytest.raises(InputError, match=r"a\.fits: 512 pixels are NaN or infinite or hold") as got:
        open_map(path)
    assert "\n" not in str(got.value)
    seen = np.ones(K.shape, bool)
    seen[:8] = False
    map_, _ = open_map(path, mask=seen)
    np.testing.assert_array_equal(map_, np.where(seen, K, 0))


@pytest.mark.parametrize("value", [0.0, 0.01])
def test_a_constant_map_is_refused(tmp_path: Path, value: float) -> None:
    path = written(tmp_path / "a.fits", np.full(K.shape, value), {"ANGLE": 1.0})
    with pytest.raises(InputError, match=rf"every pixel holds {value:g}; there is nothing"):
        open_map(path)


MASKS: dict[str, tuple[np.ndarray, str | None]] = {
    "0 and 1": (DISC.astype(float), None),
    "truth values": (DISC.astype(np.uint8), None),
    "NaN": (np.where(DISC, 1, np.nan), None),
    "UNSEEN": (np.where(DISC, 1, UNSEEN).astype(np.float32), None),
    "-1": (np.where(DISC, 1.0, -1.0), "hold neither 0 nor 1 but, for example, -1"),
    "-99": (np.where(DISC, 1.0, -99.0), "hold neither 0 nor 1 but, for example, -99"),
    "weights": (np.where(DISC, 0.7, 0.0), "hold neither 0 nor 1 but, for example, 0.7"),
    "tiny weights": (np.where(DISC, 1.0, 1e-12), "hold neither 0 nor 1 but, for example, 1e-12"),
    "infinity": (np.where(DISC, 1.0, np.inf), "hold neither 0 nor 1 but, for example, inf"),
    "nothing seen": (np.zeros(K.shape), "the mask hides every pixel"),
}


@pytest.mark.parametrize("case", MASKS)
def test_a_mask_is_0_and_1(tmp_path: Path, case: str) -> None:
    array, told = MASKS[case]
    path = written(tmp_path / "mask.fits", array)
    if told is None:
        np.testing.assert_array_equal(open_mask(path), DISC)
        return
    with pytest.raises(InputError, match=told) as caught:
        open_mask(path)
    assert "\n" not in str(caught.value)


# ---- several images ------------------------------------------------------------------------------


def several(path: Path, *names: str) -> Path:
    """A FITS file of images: the n-th holds K + n."""
    units = [fits.ImageHDU(K + n, name=name) for n, name in enumerate(names)]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)
    return path


SEVERAL: dict[str, tuple[list[str], str | None, int | str]] = {
    "kappa last": (["GAMMA1", "GAMMA2", "KAPPA"], None, 2),
    "in small letters": (["gamma1", "convergence"], None, 1),
    "one image": (["ANYTHING"], None, 0),
    "chosen by name": (["GAMMA1", "GAMMA2"], "gamma2", 1),
    "chosen by number": (["GAMMA1", "GAMMA2"], "2", 1),
    "none by name": (
        ["E", "B"],
        None,
        "holds 2 images (1:E, 2:B), and none is called convergence or kappa; choose one by --image",
    ),
    "two by name": (["KAPPA", "CONVERGENCE"], None, "more than one is called"),
    "no such name": (["E", "B"], "KAPPA", "has no extension 'KAPPA', only 1:E, 2:B"),
    "a name twice": (["E", "E"], "E", "has 2 extensions 'E'; give the number of one"),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_an_image_among_several(tmp_path: Path, case: str) -> None:
    names, asked, wanted = SEVERAL[case]
    path = several(tmp_path / "a.fits", *names)
    if isinstance(wanted, int):
        np.testing.assert_array_equal(open_map(path, image=asked)[0], K + wanted)
        return
    with pytest.raises(InputError) as caught:
        open_map(path, image=asked)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


def test_a_mask_beside_its_map_is_found_by_name(tmp_path: Path) -> None:
    units = [fits.PrimaryHDU(), fits.ImageHDU(K, name="KAPPA")]
    units.append(fits.ImageHDU(DISC.astype(np.uint8), name="MASK"))
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        handle["convergence"], handle["mask"] = K, DISC
    for name in ("a.fits", "a.h5"):
        np.testing.assert_array_equal(open_map(tmp_path / name)[0], K)
        np.testing.assert_array_equal(open_mask(tmp_path / name), DISC)


def test_an_image_in_a_group_of_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        handle["z1/kappa"] = K
        handle["z1"].attrs["pixel_arcmin"] = 0.4
    map_, pixel_arcmin = open_map(tmp_path / "a.h5", image="z1/kappa")
    np.testing.assert_array_equal(map_, K)
    assert pixel_arcmin == 0.4
    with pytest.raises(InputError, match=r"a\.h5: holds no image, only z1"):
        open_map(tmp_path / "a.h5")


# ---- files that are not what they seem -----------------------------------------------------------


def virtual(path: Path) -> None:
    layout = h5py.VirtualLayout(K.shape, np.float32)
    layout[:] = h5py.VirtualSource("gone.h5", "kappa", K.shape)
    with h5py.File(path, "w") as handle:
        handle.create_virtual_dataset("kappa", layout)


def virtual_of_unwritten(path: Path) -> None:
    with h5py.File(path.with_name("part.h5"), "w") as handle:
        handle.create_dataset("kappa", K.shape, np.float32)
    layout = h5py.VirtualLayout(K.shape, np.float32)
    layout[:] = h5py.VirtualSource("part.h5", "kappa", K.shape)
    with h5py.File(path, "w") as handle:
        handle.create_virtual_dataset("kappa", layout)


def unwritten(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        handle.create_dataset("kappa", K.shape, np.float32)


def partly_written(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        made = handle.create_dataset("kappa", K.shape, np.float32, chunks=(16, 16))
        made[:16] = K[:16]


def dangling(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        handle["kappa"] = h5py.SoftLink("/nowhere")


def dangling_outside(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        handle["kappa"] = h5py.ExternalLink("gone.h5", "/kappa")


def zeroed_tail(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        for number in range(9):
            handle[f"other{number}"] = K
        handle["kappa"] = K
    content = path.read_bytes()
    path.write_bytes(content[:2048] + bytes(len(content) - 2048))


def external(path: Path) -> None:
    path.with_name("raw.bin").write_bytes(bytes(K.nbytes // 2))
    with h5py.File(path, "w") as handle:
        handle.create_dataset("kappa", K.shape, "f4", external=[(b"raw.bin", 0, K.nbytes)])


def contradicting(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        handle["kappa"] = K
        handle["kappa"].attrs["pixel_arcmin"], handle.attrs["pixel_arcmin"] = 1.0, 0.4


def two_arrays(path: Path) -> None:
    with open(path, "wb") as handle:
        np.save(handle, K)
        np.save(handle, K)


def attribute(value: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as handle:
            handle["kappa"] = K
            handle.attrs["pixel_arcmin"] = value

    return write


def in_an_archive(path: Path) -> None:
    with open(path, "wb") as handle:
        np.savez(handle, kappa=K)


def an_object(path: Path) -> None:
    np.save(path, np.array([{"kappa": 1}]), allow_pickle=True)


def table_only(path: Path) -> None:
    column = fits.Column("T", "1E", array=K.ravel())
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)


def cut(keep: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        written(path)
        path.write_bytes(path.read_bytes()[:keep])

    return write


def cut_before_packing(path: Path) -> None:
    whole = written(path.with_name("whole.fits")).read_bytes()
    path.write_bytes(gzip.compress(whole[:9000]))


def rubbish_behind(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes() + b"<html>" * 100)


def empty(path: Path) -> None:
    np.save(path, np.zeros((0, 0)))


BROKEN: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "virtual, source gone": ("a.h5", virtual, "is made of other files, of which"),
    "virtual, source unwritten": ("a.h5", virtual_of_unwritten, "was made but never wholly"),
    "never written": ("a.h5", unwritten, "was made but never wholly written"),
    "written in part": ("a.h5", partly_written, "was made but never wholly written"),
    "link to nowhere": ("a.h5", dangling, "is a link to something that is not there"),
    "link to another file": ("a.h5", dangling_outside, "is a link to something that is not there"),
    "tail of zeros": ("a.h5", zeroed_tail, "not a whole HDF5 file"),
    "scale in an array": ("a.h5", attribute([0.5, 0.5]), "its attribute pixel_arcmin is ['0.5',"),
    "scale in words": ("a.h5", attribute("half"), "its attribute pixel_arcmin is 'half', not one"),
    "scale of zero": ("a.h5", attribute(0.0), "its attribute pixel_arcmin is '0.0', not one"),
    "data in another file, cut": ("a.h5", external, "which is not there or too short"),
    "scales that differ": ("a.h5", contradicting, "pixel_arcmin contradict each other, 1 and 0.4"),
    "two arrays": ("a.npy", two_arrays, "it holds more than one array; save each to a file of"),
    "a folder": ("a.fits", Path.mkdir, "is a folder; name the files in it"),
    "npz called npy": ("a.npy", in_an_archive, "is an NPZ archive under the name of an NPY file"),
    "pickled": ("a.npy", an_object, "not a whole NPY file"),
    "no pixels": ("a.npy", empty, "holds no pixels"),
    "HEALPix": ("a.fits", table_only, "holds no image, but 1 tables; a HEALPix map must be"),
    "cut in the data": ("a.fits", cut(9000), "it ends 10264 bytes before its data do"),
    "cut in the header": ("a.fits", cut(800), "not a whole FITS file"),
    "cut, then packed": ("a.fits.gz", cut_before_packing, "it ends 10264 bytes before its data do"),
    "more behind": ("a.fits", rubbish_behind, "600 bytes at its end are no part of it"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_does_not_hold_what_it_promises(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, told = BROKEN[case]
    make(tmp_path / name)
    output = tmp_path / "out.json"
    scale = [] if "scale" in case else ["--pixel-arcmin", "0.5"]
    assert main(["measure", str(tmp_path / name), *scale, "-o", str(output)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kappascope: error: {tmp_path / name}: ") and told in error
    assert error.count("\n") == 1 and not output.exists()


def padding_missing(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[: 2880 + K.nbytes])


def padding_extra(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes() + bytes(4000))


def accented(path: Path) -> None:
    written(path, header={"OBSERVER": "Zwicky"})
    path.write_bytes(path.read_bytes().replace(b"Zwicky", "Zwický".encode("latin-1")))


def packed(path: Path) -> None:
    whole = written(path.with_suffix(".plain.fits")).read_bytes()
    path.with_suffix(".plain.fits").unlink()
    path.write_bytes(gzip.compress(whole))


def compressed(path: Path) -> None:
    image = fits.CompImageHDU(K, compression_type="GZIP_1", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)


READ_ALL_THE_SAME = {
    "padding missing": ("a.fits", padding_missing),
    "padding extra": ("a.fits", padding_extra),
    "a character that is no ASCII": ("a.fits", accented),
    "packed": ("a.fits.gz", packed),
    "compressed image": ("a.fits", compressed),
}


@pytest.mark.parametrize("case", READ_ALL_THE_SAME)
def test_files_that_other_programs_read_are_read(tmp_path: Path, case: str) -> None:
    name, make = READ_ALL_THE_SAME[case]
    make(tmp_path / name)
    np.testing.assert_array_equal(open_map(tmp_path / name)[0], K)


def test_a_file_that_another_program_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as handle:
        handle["kappa"] = K
        handle.flush()
        # Within one process HDF5 shares the open file; another one meets the lock.
        import subprocess
        import sys

        code = f"from kappascope.maps.reading import open_map; open_map({str(path)!r})"
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert "is open for writing in another program; close it there" in ended.stderr


def test_an_array_without_a_name_has_no_image_to_choose(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", K)
    with pytest.raises(InputError, match=r"a\.npy: holds one array without a name; there is no im"):
        open_map(tmp_path / "a.npy", image="KAPPA")


def test_a_file_of_several_masks_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is called mask; give a file with one mask"):
        open_mask(several(tmp_path / "a.fits", "WEIGHT", "FLAGS"))


def test_names_of_any_length_and_with_braces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("kappa_{z1.0}.npy", K)
    assert main(["measure", "kappa_{z1.0}.npy", "--pixel-arcmin", "0.5", "-o", "out.json"]) == 0
    assert list(json.loads(Path("out.json").read_text())["maps"]) == ["kappa_{z1.0}.npy"]
    quoted = " ".join(["kappa_{z1.0}.npy"] * 300)
    assert main(["measure", quoted, "--pixel-arcmin", "0.5", "-o", "new.json"]) == 1
    assert "give each file as an argument of its own" in capsys.readouterr().err

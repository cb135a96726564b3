"""Maps of others: one file, known archives, folders with a table."""

import csv
import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from kappascope.cosmology.model import sigma_8_from_amplitude
from kappascope.errors import InputError
from kappascope.maps.archives import assign_splits, import_maps, list_source, load_source
from kappascope.maps.dataset import read_maps
from kappascope.maps.reading import mean_pooled, open_map, open_mask

PIXELS = 16


def a_map(seed: int = 1, pixels: int = PIXELS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (pixels, pixels)).astype(np.float32)


def write_fits(path: Path, array: np.ndarray, **header: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unit = fits.PrimaryHDU(array)
    unit.header.update(header)
    unit.writeto(path)
    return path


def one_line(caught: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- one file ------------------------------------------------------------------------------------


def test_fits_with_the_header_of_lenstools(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "a.fit", a_map(), ANGLE=3.5)
    map_, pixel_arcmin = open_map(path)
    np.testing.assert_array_equal(map_, a_map())
    assert map_.dtype == np.float32 and map_.dtype.isnative
    assert pixel_arcmin == pytest.approx(210 / PIXELS)


def test_fits_with_a_wcs_and_without(tmp_path: Path) -> None:
    header = {"CDELT1": -0.01, "CDELT2": 0.01, "CUNIT1": "deg", "CUNIT2": "deg"}
    path = write_fits(tmp_path / "a.fits", a_map().astype(np.float64), **header)
    assert open_map(path)[1] == pytest.approx(0.6)
    assert open_map(path)[0].dtype == np.float64
    assert open_map(write_fits(tmp_path / "b.fits", a_map()))[1] is None


def test_npy_and_hdf5(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", a_map())
    np.save(tmp_path / "many.npy", np.stack([a_map(1), a_map(2)]))
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        handle["kappa"] = a_map()
        handle["other"] = 1.0
        handle["kappa"].attrs["pixel_arcmin"] = 0.5
    np.testing.assert_array_equal(open_map(tmp_path / "a.npy")[0], a_map())
    np.testing.assert_array_equal(open_map(tmp_path / "many.npy", index=1)[0], a_map(2))
    map_, pixel_arcmin = open_map(tmp_path / "a.h5")
    np.testing.assert_array_equal(map_, a_map())
    assert pixel_arcmin == pytest.approx(0.5)


def test_real_maps_open_with_their_scale(real_data: Path) -> None:
    map_, pixel_arcmin = open_map(real_data / "kappa" / "convergence_z99.fit")
    assert map_.shape == (512, 512) and pixel_arcmin == pytest.approx(0.41015625)
    mask = open_mask(real_data / "kappa" / "mask.fit")
    noisy, pixel_arcmin = open_map(real_data / "kappa" / "unmasked.fit", mask=mask)
    assert pixel_arcmin == pytest.approx(3.464101615137754 * 60 / 512)
    assert 0.5 < mask.mean() < 1 and not noisy[~mask].any()
    cosmos = open_mask(real_data / "kappa" / "cosmos_full_mask_0.29arcmin360.fits")
    shear = open_map(real_data / "kappa" / "ks_e_0.29arcmin360.fits", mask=cosmos)
    assert shear[0].shape == (360, 360) and shear[1] is None


@pytest.mark.parametrize("keep", [100, 2880, 3000])
def test_a_truncated_fits_file(tmp_path: Path, keep: int) -> None:
    path = write_fits(tmp_path / "a.fits", a_map(pixels=64))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.fits: not a whole FITS file") as caught:
        open_map(path)
    one_line(caught)


@pytest.mark.parametrize("name", ["a.fits", "a.npy", "a.h5"])
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<html>404</html>\n" * 300)
    with pytest.raises(InputError, match=f"{name}: not a whole") as caught:
        open_map(tmp_path / name)
    one_line(caught)


def test_files_that_are_missing_or_unknown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        open_map(tmp_path / "a.fits")
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="unknown kind of file"):
        open_map(tmp_path / "a.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    map_ = a_map()
    map_[3, 4] = bad
    path = write_fits(tmp_path / "a.fits", map_)
    with pytest.raises(InputError, match=r"a\.fits: 1 pixels are NaN or infinite") as caught:
        open_map(path)
    one_line(caught)
    mask = np.ones((PIXELS, PIXELS), dtype=bool)
    mask[3, 4] = False
    assert np.isfinite(open_map(path, mask=mask)[0]).all()


def test_a_map_that_is_not_square(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "a.fits", a_map()[:10])
    with pytest.raises(InputError, match=r"a\.fits: got 10x16 pixels; only square"):
        open_map(path)


def test_masks_that_do_not_fit_or_hide_everything(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "a.fits", a_map())
    with pytest.raises(InputError, match=r"a\.fits: the map has 16x16 pixels but its mask 8x8"):
        open_map(path, mask=np.ones((8, 8), dtype=bool))
    with pytest.raises(InputError, match=r"m\.fits: the mask hides every pixel"):
        open_mask(write_fits(tmp_path / "m.fits", np.zeros((PIXELS, PIXELS))))


def test_pooling_keeps_the_mean_and_refuses_remainders() -> None:
    pooled = mean_pooled(a_map(), 4, "a")
    assert pooled.shape == (4, 4)
    assert pooled[0, 1] == pytest.approx(a_map()[:4, 4:8].mean(), rel=1e-5)
    with pytest.raises(InputError, match="cannot be averaged to 5x5"):
        mean_pooled(a_map(), 5, "a")


# ---- archives ------------------------------------------------------------------------------------


def columbia(root: Path) -> Path:
    for om, si in ((0.26, 0.8), (0.3, 0.75)):
        for number in range(1, 5):
            name = f"Om{om:.3f}_si{si:.3f}/WLconv_z1.00_{number:04d}r.fits"
            write_fits(root / name, a_map(number, 32))
    (root / "notes.txt").touch()
    return root


def test_columbia(tmp_path: Path) -> None:
    columbia(tmp_path)
    (maps,) = load_source("columbia", tmp_path, pixels=16)
    assert maps.convergence is not None and maps.convergence.shape == (8, 16, 16)
    np.testing.assert_allclose(
        maps.convergence[1], mean_pooled(a_map(2, 32), 16, "a"), rtol=1e-6, atol=1e-9
    )
    assert maps.pixel_arcmin == pytest.approx(210 / 16)
    assert maps.source_redshift == 1.0
    assert list(maps.omega_matter) == [0.26] * 4 + [0.3] * 4
    assert list(maps.sigma_8) == [0.8] * 4 + [0.75] * 4
    assert list(maps.cosmology) == [0] * 4 + [1] * 4
    assert list(maps.split[:4]) == ["covariance", "training", "testing", "covariance"]
    assert list(maps.split[4:]) == ["training", "testing"] * 2
    assert list(maps.realization[4:]) == [0, 0, 1, 1]


def test_massivenus(tmp_path: Path) -> None:
    folder = "convergence_gal_mnv0.10000_om0.30000_As2.1000"
    write_fits(tmp_path / folder / "Maps10" / "WLconv_z1.00_0001r.fits", a_map())
    (maps,) = load_source("massivenus", tmp_path)
    assert maps.omega_matter[0] == 0.3
    # The value of the archive's own table for its fiducial cosmology is 0.8295.
    assert maps.sigma_8[0] == pytest.approx(0.8295, rel=0.02)
    # The folder of one cosmology will do, and packed files.
    packed = gzip.compress((tmp_path / folder / "Maps10" / "WLconv_z1.00_0001r.fits").read_bytes())
    (tmp_path / folder / "Maps10" / "WLconv_z1.00_0002r.fits.gz").write_bytes(packed)
    twin = tmp_path / folder / "Maps10" / "WLconv_z1.00_0001r.fits.gz"
    twin.write_bytes(packed)  # the same map as the file beside it
    (both,) = load_source("massivenus", tmp_path / folder)
    assert len(both) == 2 and both.sigma_8[1] == maps.sigma_8[0]
    table = tmp_path / "sigma_8.csv"
    table.write_text("folder,sigma_8\nconvergence_gal,0.9\n")
    with pytest.raises(InputError, match="row 1: there is no folder 'convergence_gal' in"):
        list_source("massivenus", tmp_path, table)
    table.write_text(f"folder,sigma_8\n{folder}/,0.8295\n")
    (maps,) = load_source("massivenus", tmp_path, table)
    assert maps.sigma_8[0] == 0.8295


@pytest.mark.parametrize(
    ("amplitude", "omega_matter", "mass"), [(2.1e-9, 0.3, 0.0), (1.3e-9, 0.4, 0.3)]
)
def test_sigma_8_against_camb(amplitude: float, omega_matter: float, mass: float) -> None:
    camb = pytest.importorskip("camb")
    neutrinos = mass / 93.14
    parameters = camb.set_params(
        H0=70,
        ombh2=0.046 * 0.49,
        omch2=(omega_matter - 0.046) * 0.49 - neutrinos,
        mnu=mass,
        num_massive_neutrinos=3 if mass else 0,
        As=amplitude,
        ns=0.97,
        WantTransfer=True,
    )
    parameters.set_matter_power(redshifts=[0], kmax=20)
    truth = camb.get_results(parameters).get_sigma8_0()
    # Eisenstein & Hu's shape is good to a few per cent in power.
    assert sigma_8_from_amplitude(amplitude, omega_matter, mass) == pytest.approx(truth, rel=0.02)


def test_cosmogrid_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nside 512.*6\.9 arcmin") as caught:
        list_source("cosmogrid", tmp_path)
    one_line(caught)


def test_unknown_or_empty_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"maps\.source: got 'planck'"):
        list_source("planck", tmp_path)
    with pytest.raises(
        InputError, match=r"columbia has them, Om0\.260_si0\.800/WLconv_z1\.00_0001r"
    ):
        list_source("columbia", tmp_path)
    for redshift in ("Maps05", "Maps10"):
        write_fits(tmp_path / redshift / "WLconv_z1.00_0001r.fits", a_map())
    wanted = r"Maps10/WLconv_z1\.00.*; Maps05, Maps10 lie there without the folder that names their"
    with pytest.raises(InputError, match=wanted) as caught:
        list_source("massivenus", tmp_path)
    one_line(caught)
    with pytest.raises(InputError, match="is no folder"):
        list_source("columbia", tmp_path / "nowhere")


# ---- folders with a table ------------------------------------------------------------------------


def table_of(root: Path, rows: list[dict[str, Any]]) -> Path:
    path = root / "table.csv"
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def a_row(file: str = "a.fits", **more: Any) -> dict[str, Any]:
    return {"file": file, "Omega_m": 0.3, "sigma_8": 0.8, "pixel_arcmin": 0.82, **more}


def test_a_folder_with_a_table(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", a_map(1))
    np.save(tmp_path / "b.npy", np.stack([a_map(2), a_map(3)]))
    mask = np.ones((PIXELS, PIXELS))
    mask[:4] = 0
    write_fits(tmp_path / "m.fits", mask)
    shared = {"mask": "m.fits", "split": "", "simulation": "one"}
    rows = [
        a_row(index="", **shared),
        a_row("b.npy", index=0, **shared),
        a_row("b.npy", index=1, **{**shared, "simulation": "two"}),
    ]
    (maps,) = load_source("folder", tmp_path, table_of(tmp_path, rows))
    assert maps.convergence is not None and maps.mask is not None
    np.testing.assert_array_equal(maps.convergence[2][4:], a_map(3)[4:])
    assert not maps.convergence[:, :4].any() and not maps.mask[:4].any() and maps.mask[4:].all()
    assert list(maps.split) == ["training", "training", "testing"]
    assert maps.pixel_arcmin == 0.82 and np.isnan(maps.source_redshift)


def test_import_writes_the_workflows_batches(tmp_path: Path) -> None:
    paths = [tmp_path / "out" / f"batch_{number}.h5" for number in range(3)]
    archive = columbia(tmp_path / "in")
    import_maps("columbia", archive, None, paths, pixels=16, attrs={"seed": 1, "spec": "x"})
    back = read_maps(paths)
    (direct,) = load_source("columbia", archive, pixels=16)
    np.testing.assert_array_equal(back.convergence, direct.convergence)
    np.testing.assert_array_equal(back.split, direct.split)
    assert back.attrs["spec"] == "x"
    import_maps("columbia", archive, None, paths[:1], pixels=16, limits={"training": 1})
    assert list(read_maps(paths[0]).split) == ["training"] * 2
    with pytest.raises(InputError, match="2 maps for 3 batches"):
        import_maps("columbia", archive, None, paths, pixels=16, limits={"training": 1})


def test_a_simulation_stays_in_one_split(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.stack([a_map(seed) for seed in range(40)]))
    rows = [
        a_row(
            "a.npy",
            index=20 * half + number,
            simulation=f"box {number % 5}",
            Omega_m=om,
            sigma_8=0.8,
            split="",
        )
        for half, om in enumerate((0.26, 0.3))
        for number in range(20)
    ]
    entries = assign_splits(list_source("folder", tmp_path, table_of(tmp_path, rows)))
    splits: dict[str, set[str]] = {}
    for entry in entries:
        splits.setdefault(entry.simulation, set()).add(entry.split)
    assert all(len(split) == 1 for split in splits.values())
    assert set.union(*splits.values()) == {"training", "testing", "covariance"}
    again = assign_splits(list_source("folder", tmp_path, table_of(tmp_path, rows)))
    assert again == entries


BAD_TABLES = {
    "names no such file": (
        [a_row(), a_row("gone.fits")],
        r"table\.csv row 2: file 'gone\.fits' is not in",
    ),
    "names no mask": ([a_row(mask="gone.fits")], r"row 1: mask 'gone\.fits' is not in"),
    "two scales": (
        [a_row(), a_row("b.fits", pixel_arcmin=0.41)],
        r"b\.fits: its pixels are 0\.41 arcmin, those of .*a\.fits 0\.82",
    ),
    "no scale": ([a_row(pixel_arcmin="")], r"row 1: neither the file nor the table.*pixel_arcmin"),
    "no number": ([a_row(Omega_m="dense")], r"row 1: Omega_m is 'dense'"),
    "negative": ([a_row(sigma_8=-1)], r"row 1: sigma_8 is '-1'"),
    "unknown split": ([a_row(split="validation")], r"row 1: split is 'validation'; allowed"),
    "simulation in two splits": (
        [
            a_row(simulation="box", split="training"),
            a_row("b.fits", simulation="box", split="testing"),
        ],
        r"row 2: split is 'testing', but other maps of simulation 'box' are in 'training'",
    ),
    "no column": ([{"file": "a.fits", "Omega_m": 0.3}], r"no column 'sigma_8'"),
    "mask hides everything": ([a_row(mask="dark.fits")], r"dark\.fits: the mask hides every"),
    "two sizes": ([a_row(), a_row("large.fits")], r"large\.fits: got 32x32 pixels, but 16x16"),
    "a map twice": (
        [a_row(split="training"), a_row("b.fits"), a_row("./a.fits", split="testing")],
        r"row 3: names the same map as .*row 1, which would be in two splits",
    ),
    "a map by two names": (
        [a_row("n.fits", image="KAPPA", split="training"), a_row("n.fits", image="kappa")],
        r"row 2: names the same map as .*row 1",
    ),
    "a map by name and number": (
        [a_row("n.fits", image=""), a_row("n.fits", image="1")],
        r"row 2: names the same map as .*row 1",
    ),
    "two redshifts": (
        [a_row(source_redshift=0.5), a_row("b.fits", source_redshift=2)],
        r"row 2: source_redshift is 2, but 0\.5 elsewhere",
    ),
    "a redshift for one": (
        [a_row(source_redshift=0.5), a_row("b.fits", source_redshift="")],
        r"row 2: source_redshift is nan, but 0\.5 elsewhere",
    ),
    "a column in capitals": (
        [{**a_row(), "Mask": "dark.fits"}],
        r"has a column 'Mask', which is not read; call it 'mask'",
    ),
    "a long name": ([a_row("a" * 300)], r"row 1: file 'aaa"),
    "a name of an archive's": (
        [a_row("WLconv_z1.00_0001r.fits", pixel_arcmin="")],
        r"row 1: neither the file nor the table says the pixel scale",
    ),
    "per cent": ([a_row(), a_row("b.fits", Omega_m=26)], r"row 2: Omega_m is '26', more than 1"),
    "eighty": ([a_row(sigma_8=80)], r"row 1: sigma_8 is '80', more than 3; correct its unit"),
    "degrees": ([a_row(pixel_arcmin=210)], r"row 1: pixel_arcmin is '210', more than 60"),
    "half a map": ([a_row(index=0.5)], r"row 1: index is '0\.5'; give a whole number"),
    "before the first": ([a_row(index=-1)], r"row 1: index is '-1'; give a whole number"),
    "no such image": ([a_row(image="KAPPA")], r"a\.fits: has no extension 'KAPPA'"),
    "UNSEEN": ([a_row("unseen.fits")], r"unseen\.fits: 1 pixels are NaN or infinite or hold what"),
}


@pytest.mark.parametrize("problem", BAD_TABLES)
def test_bad_tables(tmp_path: Path, problem: str) -> None:
    rows, message = BAD_TABLES[problem]
    write_fits(tmp_path / "a.fits", a_map(1))
    write_fits(tmp_path / "b.fits", a_map(2))
    write_fits(tmp_path / "large.fits", a_map(2, 32))
    write_fits(tmp_path / "dark.fits", np.zeros((PIXELS, PIXELS)))
    write_fits(tmp_path / "WLconv_z1.00_0001r.fits", a_map(3))
    named = [fits.PrimaryHDU(), fits.ImageHDU(a_map(4), name="KAPPA")]
    fits.HDUList(named).writeto(tmp_path / "n.fits")
    unseen = a_map()
    unseen[2, 2] = -1.6375e30
    write_fits(tmp_path / "unseen.fits", unseen)
    with pytest.raises(InputError, match=message) as caught:
        import_maps("folder", tmp_path, table_of(tmp_path, rows), [tmp_path / "out.h5"])
    one_line(caught)
    assert not (tmp_path / "out.h5").exists()


def test_nothing_that_is_read_is_written_over(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as handle:
        handle["kappa"] = a_map()
    write_fits(tmp_path / "b.fits", a_map(2))
    before = (tmp_path / "in.h5").read_bytes()
    table = table_of(tmp_path, [a_row("in.h5"), a_row("b.fits")])
    with pytest.raises(InputError, match=r"in\.h5 is one of the files to read and would be"):
        import_maps("folder", tmp_path, table, [tmp_path / "in.h5"])
    assert (tmp_path / "in.h5").read_bytes() == before
    with pytest.raises(InputError, match=r"out\.h5 stands twice among the files to write"):
        import_maps("folder", tmp_path, table, [tmp_path / "out.h5"] * 2)
    assert not (tmp_path / "out.h5").exists()


def test_a_mask_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", a_map())
    table = table_of(tmp_path, [a_row(mask="m.fits")])
    for hidden in (8, 2):
        mask = np.ones((PIXELS, PIXELS))
        mask[:hidden] = 0
        (tmp_path / "m.fits").unlink(missing_ok=True)
        write_fits(tmp_path / "m.fits", mask)
        (maps,) = load_source("folder", tmp_path, table)
        assert maps.mask is not None and maps.mask.sum() == mask.sum()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,Omega_m,sigma_8,pixel_arcmin\na.fits,0.3,0.8,0.82,\n", None),
        ("file,Omega_m,sigma_8,pixel_arcmin,\na.fits,0.3,0.8,0.82,\n", None),
        ("file,Omega_m,sigma_8\na.fits,0.3,0.8,0.82\n", "row 1: has more cells than the table has"),
        ("file,Omega_m,sigma_8,sigma_8\na.fits,0.3,0.8,0.9\n", "has two columns 'sigma_8'"),
    ],
)
def test_commas_too_many(tmp_path: Path, text: str, told: str | None) -> None:
    write_fits(tmp_path / "a.fits", a_map())
    (tmp_path / "table.csv").write_text(text)
    if told is None:
        (entry,) = list_source("folder", tmp_path, tmp_path / "table.csv")
        assert (entry.omega_matter, entry.sigma_8, entry.pixel_arcmin) == (0.3, 0.8, 0.82)
        return
    with pytest.raises(InputError, match=told) as caught:
        list_source("folder", tmp_path, tmp_path / "table.csv")
    one_line(caught)


def test_an_image_can_be_named_in_the_table(tmp_path: Path) -> None:
    units = [
        fits.PrimaryHDU(),
        fits.ImageHDU(a_map(1), name="E"),
        fits.ImageHDU(a_map(2), name="B"),
    ]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    table = table_of(tmp_path, [a_row(image="E"), a_row(image="B")])
    (maps,) = load_source("folder", tmp_path, table)
    assert maps.convergence is not None
    np.testing.assert_array_equal(maps.convergence, [a_map(1), a_map(2)])


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"maps\.table: a folder of maps needs a CSV"):
        list_source("folder", tmp_path)
    with pytest.raises(InputError, match=r"maps\.table: .*cannot be read"):
        list_source("folder", tmp_path, tmp_path / "gone.csv")


def test_masks_that_together_hide_everything(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", a_map())
    upper = np.zeros((PIXELS, PIXELS))
    upper[:8] = 1
    write_fits(tmp_path / "upper.fits", upper)
    write_fits(tmp_path / "lower.fits", 1 - upper)
    write_fits(tmp_path / "b.fits", a_map(2))
    rows = [a_row(mask="upper.fits"), a_row("b.fits", mask="lower.fits")]
    with pytest.raises(InputError, match="together hide every pixel"):
        list(load_source("folder", tmp_path, table_of(tmp_path, rows)))

"""Mistakes end in one clear line, before anything half-made is left."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from checkouts import SMOKE, Checkout, assert_one_line, tiny_disk
from snakemake.cli import parse_config
from test_own_maps import PIXELS, a_folder, a_map, options, write_table

from kappascope.errors import InputError
from kappascope.maps.archives import import_maps
from kappascope.workflow import configuration

pytestmark = pytest.mark.workflow


BAD_CONFIG = {
    "a run named by a number": (("run=2.10",), ("run", "got 2.1", "quote it")),
    "a run named by a day": (("run=2024_11_30",), ("run", "got 20241130", "quote it")),
    "a run named by zeros": (("run=010",), ("run", "got 10", "quote it")),
    "an unknown key": (("bogus=1",), ("bogus", "unknown key")),
    "a misspelt section": (("netwrok={width: 4}",), ("netwrok", "did you mean network?")),
    "a misspelt key": (("network={widht: 4}",), ("network.widht", "network.width?")),
    "an impossible number": (("network={width: -1}",), ("network.width", "-1", ">= 1")),
    "a word for a number": (("noise={galaxies_per_arcmin2: many}",), ("noise.galaxies", "many")),
    "an unknown choice": (("maps={source: colombia}",), ("maps.source", "columbia?")),
    "an unknown tier": (("tier=smok",), ("tier", "smok", "did you mean smoke?")),
    "an unknown variant": (("variants=noise_10",), ("variants", "noise_10_per_arcmin2?")),
    "an unknown statistic": (("statistics={beyond: [pfd]}",), ("statistics.beyond", "pdf?")),
    "CosmoGrid": (("maps={source: cosmogrid}",), ("maps.source", "cosmogrid", "6.87 arcmin")),
    "an archive that is nowhere": (("maps={source: columbia}",), ("maps.path", "null")),
    "images that are nowhere": (
        ("wilde2022={own_images: n.npz}",),
        ("wilde2022.own_images", "n.npz"),
    ),
    "images of an odd size": (
        ("wilde2022={images: {pixels: 50}}",),
        ("wilde2022.images.pixels", "50", "multiple of 8"),
    ),
    "sources faint to bright": (
        ("wilde2022={images: {source_magnitudes: [25, 22]}}",),
        ("wilde2022.images.source_magnitudes", "[25, 22]"),
    ),
    "a folder without a table": (("maps={source: folder, path: .}",), ("maps.table", "Omega_m")),
}


def test_a_box_that_repeats_inside_a_map_is_told(pristine: Checkout) -> None:
    ended = pristine.run("maps", "--dry-run", *SMOKE, "simulation={box_mpc_h: 10}")
    assert ended.status == 0
    assert "kappascope: warning: simulation.box_mpc_h: got 10, but the field is" in ended.text


def test_names_that_snakemake_takes_for_patterns_are_refused(
    fresh: Checkout, tmp_path: Path
) -> None:
    folder, rows = a_folder(tmp_path / "maps", stem="kappa_{z1.0}_")
    table = write_table(tmp_path / "maps.csv", rows)
    ended = fresh.run("statistics", "--cores", "1", *options(folder, table))
    assert_one_line(ended, "kappa_{z1.0}_0.npy", "has braces in its name", "rename it")
    (fresh.root / "lens_{z1}.npz").write_bytes(b"never read")
    chosen = (*SMOKE, 'wilde2022={own_images: "lens_{z1}.npz"}')
    assert_one_line(fresh.run("--cores", "1", *chosen), "lens_{z1}.npz", "has braces in its name")
    assert not (fresh.root / "results").exists()


@pytest.mark.parametrize("problem", BAD_CONFIG)
def test_config_is_refused_in_one_line(problem: str) -> None:
    given, words = BAD_CONFIG[problem]
    with pytest.raises(InputError) as refused:
        configuration.from_command_line(parse_config(given))
    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("problem", ("a run named by a number", "a misspelt key", "CosmoGrid"))
def test_config_is_refused_before_any_job(pristine: Checkout, problem: str) -> None:
    given, words = BAD_CONFIG[problem]
    ended = pristine.run("--cores", "1", "--config", *given)
    assert_one_line(ended, *words)
    assert ended.told[0].startswith("kappascope: error: ")
    assert "Building DAG" not in ended.text
    assert not (pristine.root / "results").exists()


def truncated(folder: Path, rows: list) -> str:
    (folder / "map1.fits").write_bytes((folder / "map1.fits").read_bytes()[:6000])
    return "map1.fits"


def no_fits(folder: Path, rows: list) -> str:
    (folder / "map1.fits").write_text("These are not the maps you are looking for.\n")
    return "map1.fits"


def truncated_npy(folder: Path, rows: list) -> str:
    (folder / "map0.npy").write_bytes((folder / "map0.npy").read_bytes()[:900])
    return "map0.npy"


def truncated_hdf5(folder: Path, rows: list) -> str:
    (folder / "map2.h5").write_bytes((folder / "map2.h5").read_bytes()[:900])
    return "map2.h5"


def not_a_number(folder: Path, rows: list) -> str:
    values = a_map(3)
    values[5, 6] = np.nan
    np.save(folder / "map3.npy", values)
    return "map3.npy"


def infinite(folder: Path, rows: list) -> str:
    values = a_map(3)
    values[5, 6] = np.inf
    np.save(folder / "map3.npy", values)
    return "map3.npy"


def not_square(folder: Path, rows: list) -> str:
    np.save(folder / "map3.npy", a_map(3)[:-1])
    return "map3.npy"


def another_pixel_scale(folder: Path, rows: list) -> str:
    rows[2]["pixel_arcmin"] = 0.5
    return "map2.h5"


def no_pixel_scale(folder: Path, rows: list) -> str:
    rows[0]["pixel_arcmin"] = ""
    return "row 1"


def no_such_file(folder: Path, rows: list) -> str:
    rows[2]["file"] = "map_two.h5"
    return "map_two.h5"


def all_masked(folder: Path, rows: list) -> str:
    fits.writeto(folder / "mask.fits", np.zeros((64, 64), np.float32))
    rows[1]["mask"] = "mask.fits"
    return "mask.fits"


def no_column(folder: Path, rows: list) -> str:
    for row in rows:
        row["omega"] = row.pop("Omega_m")
    return "Omega_m"


BAD_MAPS = (
    truncated,
    no_fits,
    truncated_npy,
    truncated_hdf5,
    not_a_number,
    infinite,
    not_square,
    another_pixel_scale,
    no_pixel_scale,
    no_such_file,
    all_masked,
    no_column,
)


def left_over(checkout: Checkout) -> list[Path]:
    """Files under results that are neither logs nor what runs remember of themselves."""
    return checkout.results()


@pytest.mark.parametrize("spoil", BAD_MAPS, ids=lambda spoil: spoil.__name__)
def test_bad_maps_are_named(tmp_path: Path, spoil) -> None:
    folder, rows = a_folder(tmp_path / "maps")
    name = spoil(folder, rows)
    table = write_table(tmp_path / "maps.csv", rows)
    batch = tmp_path / "made" / "batch_0.h5"
    with pytest.raises(InputError) as refused:
        import_maps("folder", folder, table, [batch], pixels=PIXELS)
    assert name in str(refused.value) and "\n" not in str(refused.value)
    assert not [path for path in batch.parent.rglob("*") if path.is_file()]


@pytest.mark.parametrize("spoil", (truncated, no_such_file, no_column))
def test_bad_maps_end_a_run_in_one_line(pristine: Checkout, tmp_path: Path, spoil) -> None:
    folder, rows = a_folder(tmp_path / "maps")
    name = spoil(folder, rows)
    table = write_table(tmp_path / "maps.csv", rows)
    ended = pristine.run("statistics", "--cores", "1", *options(folder, table))
    assert_one_line(ended, name)
    assert not left_over(pristine)
    shutil.rmtree(pristine.root / "results", ignore_errors=True)


def test_a_mistake_that_was_corrected_goes_on(fresh: Checkout, tmp_path: Path) -> None:
    folder, rows = a_folder(tmp_path / "maps")
    whole = (folder / "map1.fits").read_bytes()
    truncated(folder, rows)
    chosen = options(folder, write_table(tmp_path / "maps.csv", rows))
    assert fresh.run("statistics", "--cores", "1", *chosen).status != 0
    (folder / "map1.fits").write_bytes(whole)
    target = (str(path) for path in (fresh.root / "results/maps").glob("*"))
    relative = os.path.relpath(next(target), fresh.root)
    ended = fresh.run(f"{relative}/batch_0.h5", "--cores", "1", *chosen)
    assert ended.status == 0, ended.text


def test_a_full_disk_while_maps_are_simulated(fresh: Checkout) -> None:
    before = tiny_disk(fresh.root / "results/maps")
    ended = fresh.run("maps", "--cores", "1", *SMOKE, before=before)
    assert_one_line(ended, "results/maps", "the disk is full")


def test_a_device_that_is_not_there_is_told_by_the_job(
    fresh: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    ended = fresh.run("maps", "--cores", "1", *SMOKE)
    assert_one_line(ended, "rule simulate_maps", "JAX_PLATFORMS: got 'cuda'", "unset it")

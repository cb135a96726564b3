"""Maps from outside, from files to the table and figure of the target ``statistics``."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from checkouts import Checkout, rows_of

pytestmark = pytest.mark.workflow

PIXELS = 64
PIXEL_ARCMIN = 0.8


def a_map(number: int, pixels: int = PIXELS) -> np.ndarray:
    """White noise of the r.m.s. of convergence at this pixel scale, (y, x) float32."""
    generator = np.random.default_rng(number)
    return generator.normal(0, 0.03, (pixels, pixels)).astype(np.float32)


def write_table(place: Path, rows: list[Mapping[str, object]]) -> Path:
    with open(place, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return place


def a_folder(
    place: Path, count: int = 4, stem: str = "map"
) -> tuple[Path, list[dict[str, object]]]:
    """Make a folder of maps in three formats and the rows of its table."""
    place.mkdir()
    rows: list[dict[str, object]] = []
    for number in range(count):
        name = f"{stem}{number}" + (".npy", ".fits", ".h5")[number % 3]
        values = a_map(number)
        if name.endswith(".npy"):
            np.save(place / name, values)
        elif name.endswith(".fits"):
            fits.writeto(place / name, values)
        else:
            with h5py.File(place / name, "w") as handle:
                handle["convergence"] = values
        rows.append(
            {
                "file": name,
                "Omega_m": 0.26 if number % 2 == 0 else 0.3,
                "sigma_8": 0.8,
                "pixel_arcmin": PIXEL_ARCMIN,
                "mask": "",
            }
        )
    return place, rows


def options(folder: Path, table: Path | None, **maps: object) -> tuple[str, ...]:
    """Config that reads maps from a folder into the run ``mine``."""
    section = {"source": "folder", "path": str(folder), "pixels": PIXELS, **maps}
    if table is not None:
        section["table"] = str(table)
    given = (f"{key}: {json.dumps(value)}" for key, value in section.items())
    return ("--config", "run=mine", f"maps={{{', '.join(given)}}}")


def statistics(checkout: Checkout, *arguments: str) -> list[dict[str, str]]:
    """Make the target ``statistics`` of the run ``mine``; return its table's rows."""
    ended = checkout.run("statistics", "--cores", "2", *arguments)
    assert ended.status == 0, ended.text
    folder = checkout.root / "results/mine/matilla2020"
    assert (folder / "statistics.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "statistics.png").read_bytes().startswith(b"\x89PNG")
    rows = rows_of(folder / "statistics.csv")
    # Bins of power without a mode are the only ones without a number.
    assert all(np.isfinite(float(row["mean"])) for row in rows if row["statistic"] != "PS")
    return rows


@pytest.mark.realdata
def test_a_folder_of_real_maps(fresh: Checkout, real_data: Path, tmp_path: Path) -> None:
    names = [f"convergence_z{number}.fit" for number in (49, 99, 150)]
    rows = [{"file": name, "Omega_m": 0.26, "sigma_8": 0.8} for name in names]
    table = write_table(tmp_path / "maps.csv", rows)
    found = statistics(
        fresh,
        *options(real_data / "kappa", table, pixels=256),
        "data_sets=[noiseless]",
    )
    assert {row["data_set"] for row in found} == {"noiseless"}
    assert {row["maps"] for row in found} == {"3"}
    assert {"PS", "PC", "V0", "V1", "V2"} <= {row["statistic"] for row in found}
    v0 = [float(row["mean"]) for row in found if row["statistic"] == "V0"]
    assert len(v0) == 20 and 0 <= v0[-1] < v0[0] <= 1 and v0 == sorted(v0, reverse=True)


def test_a_folder_of_all_formats_with_a_mask_and_shape_noise(
    fresh: Checkout, tmp_path: Path
) -> None:
    folder, rows = a_folder(tmp_path / "maps")
    mask = np.ones((PIXELS, PIXELS))
    mask[:8] = 0
    np.save(folder / "mask.npy", mask)
    rows = [{**row, "mask": "mask.npy"} for row in rows]
    table = write_table(tmp_path / "maps.csv", rows)
    chosen = (*options(folder, table), "statistics={beyond: [pdf]}")
    found = statistics(fresh, *chosen)
    assert {row["data_set"] for row in found} == {"noiseless", "noisy"}
    assert {(row["omega_matter"], row["maps"]) for row in found} == {("0.26", "2"), ("0.3", "2")}
    assert fresh.planned("statistics", *chosen) == {}
    # A map that changed is read again; smoothing comes after the maps.
    np.save(folder / "map0.npy", a_map(7))
    assert fresh.planned("statistics", *chosen)["import_maps"] == 1
    np.save(folder / "map0.npy", a_map(0))


def test_maps_are_held_against_theory_in_their_own_cosmologies(
    fresh: Checkout, tmp_path: Path
) -> None:
    folder, rows = a_folder(tmp_path / "maps", 6)
    table = write_table(tmp_path / "maps.csv", rows)
    other = "cosmology={fiducial: {omega_matter: 0.3, sigma_8: 0.8}}"
    noiseless = "data_sets=[noiseless]"
    ended = fresh.run("maps", "--cores", "2", *options(folder, table), other, noiseless)
    assert ended.status == 0, ended.text
    found = rows_of(fresh.root / "results/mine/matilla2020/map_properties.csv")
    assert {row["omega_matter"] for row in found} == {"0.3"}


@pytest.mark.parametrize("source", ["columbia", "massivenus"])
def test_the_layouts_of_archives(fresh: Checkout, tmp_path: Path, source: str) -> None:
    folders = {
        "columbia": ("Om0.260_si0.800", "Om0.300_si0.750"),
        "massivenus": (
            "convergence_gal_mnv0.00000_om0.30000_As2.1000/Maps10",
            "convergence_gal_mnv0.10000_om0.30000_As2.1000/Maps10",
        ),
    }
    archive = tmp_path / "archive"
    for place, folder in enumerate(folders[source]):
        (archive / folder).mkdir(parents=True)
        for number in range(1, 4):
            # 3.5 degrees on a side in both archives.
            values = a_map(10 * place + number)
            fits.writeto(archive / folder / f"WLconv_z1.00_{number:04d}r.fits", values)
    found = statistics(
        fresh,
        *options(archive, None, source=source, smoothing_arcmin=4.0),
        "statistics={beyond: []}",
        "data_sets=[noiseless]",
    )
    assert len({row["sigma_8"] for row in found}) == 2
    assert {row["maps"] for row in found} == {"3"}

"""Measuring a data set from disk."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from typed import typed

from kappascope.errors import InputError
from kappascope.maps.archives import import_maps
from kappascope.maps.dataset import MapSet, write_maps
from kappascope.maps.noise import add_shape_noise
from kappascope.maps.smoothing import double_map, smooth, smooth_masked
from kappascope.statistics.measure import measure, measure_dataset
from kappascope.statistics.storage import read_statistics, write_statistics
from kappascope.statistics.summary import MEANS, mean_rows

PIXEL_ARCMIN = 0.8203125


def a_set(number: int = 7, pixels: int = 32, **changes: Any) -> MapSet:
    rng = np.random.default_rng(1)
    whole = MapSet(
        convergence=(0.02 * rng.standard_normal((number, pixels, pixels))).astype(np.float32),
        split=np.array(["training", "testing", "covariance"] * 10)[:number],
        cosmology=np.arange(number) // 3,
        realization=np.arange(number) % 3,
        omega_matter=0.2 + 0.01 * np.arange(number),
        sigma_8=0.7 + 0.01 * np.arange(number),
        pixel_arcmin=PIXEL_ARCMIN,
        source_redshift=1.0,
    )
    return dataclasses.replace(whole, **changes)


def a_spec(**changes: Any) -> dict[str, Any]:
    return {
        "seed": 3,
        "maps": {"smoothing_arcmin": 1.0},
        "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
        "statistics": {
            "names": ["power_spectrum", "peaks", "v0", "v1", "v2"],
            "beyond": ["pdf"],
            "bins": 20,
            "ell_range": [100.0, 15000.0],
            "kappa_range_noiseless": [-0.0235, 0.0704],
            "kappa_range_noisy": [-0.05, 0.10],
            "estimator": "full",
            "doubling": False,
            "periodic_peaks": False,
        },
        **changes,
    }


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "batch_0.h5", tmp_path / "batch_1.h5"]
    write_maps(found[0], a_set().select(slice(0, 4)))
    write_maps(found[1], a_set().select(slice(4, 7)))
    return found


def test_layout_is_that_of_the_documentation(paths: list[Path], tmp_path: Path) -> None:
    write_statistics(measure_dataset(paths, "noiseless", typed(a_spec())), tmp_path / "s.nc")
    stored = read_statistics(tmp_path / "s.nc")
    assert stored["v2"].dims == ("map", "v2_bin") and stored["v2"].shape == (7, 20)
    assert stored["v2"].attrs["label"] == "V2"
    assert {"units", "bin_units", "label"} <= set(stored["power_spectrum"].attrs)
    np.testing.assert_array_equal(stored["split"].values.astype(str), a_set().split)
    np.testing.assert_array_equal(stored["cosmology"], a_set().cosmology)
    np.testing.assert_array_equal(stored["omega_matter"], a_set().omega_matter)
    assert set(stored.data_vars) == {"power_spectrum", "peaks", "v0", "v1", "v2", "pdf"}
    np.testing.assert_allclose(np.diff(stored["v0_bin"]), 0.0939 / 20, rtol=1e-6)
    assert stored.attrs["data_set"] == "noiseless" and stored.attrs["estimator"] == "full"


def test_values_are_those_of_smoothed_maps(paths: list[Path]) -> None:
    found = measure_dataset(paths, "noiseless", typed(a_spec()))
    smoothed = smooth(np.asarray(a_set().convergence), 1.0 / PIXEL_ARCMIN)
    direct = measure(smoothed, pixel_arcmin=PIXEL_ARCMIN, periodic=False)
    for name, (values, centres, units) in direct.items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-4, atol=1e-6 * values.max(), err_msg=name
        )
        np.testing.assert_array_equal(found[f"{name}_bin"], centres)
        assert found[name].attrs["units"] == units


def doubled() -> dict[str, Any]:
    spec = a_spec()
    return {**spec, "statistics": {**spec["statistics"], "doubling": True}}


def test_coarse_maps_are_doubled_for_what_compares_neighbours(paths: list[Path]) -> None:
    found = measure_dataset(paths, "noiseless", typed(doubled()))
    as_they_are = measure_dataset(paths, "noiseless", typed(a_spec()))
    smoothed = smooth(np.asarray(a_set().convergence), 1.0 / PIXEL_ARCMIN)
    fine = np.stack([np.asarray(double_map(map_)) for map_ in smoothed])
    direct = measure(
        fine, ["peaks", "v0", "v1", "v2"], pixel_arcmin=PIXEL_ARCMIN / 2, periodic=False
    )
    for name, (values, _, _) in direct.items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-3, atol=1e-5 * values.max(), err_msg=name
        )
        assert found[name].attrs["pixel_arcmin"] == PIXEL_ARCMIN / 2
        assert np.abs(found[name] - as_they_are[name]).max() > 1e-3 * values.max()
    for name in ("power_spectrum", "pdf"):
        np.testing.assert_array_equal(found[name], as_they_are[name])
        assert "pixel_arcmin" not in found[name].attrs


def test_fine_pixels_and_masked_maps_are_not_doubled(tmp_path: Path) -> None:
    mask = np.ones((32, 32), dtype=bool)
    mask[:5] = False
    for number, changes in enumerate(({"pixel_arcmin": 0.33}, {"mask": mask})):
        path = tmp_path / f"{number}.h5"
        write_maps(path, a_set(**changes))
        found = measure_dataset([path], "noiseless", typed(doubled()))
        as_they_are = measure_dataset([path], "noiseless", typed(a_spec()))
        xarray.testing.assert_identical(found, as_they_are)
        seen = 27 / 32 if number else 1.0
        pixel = changes.get("pixel_arcmin", PIXEL_ARCMIN)
        assert found.attrs["map_deg2"] == pytest.approx(seen * (32 * pixel / 60) ** 2)


@pytest.mark.parametrize("pixels", [8, 9])
def test_doubling_is_exact_for_what_pixels_resolve(pixels: int) -> None:
    def wave(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        turn = 2 * np.pi / pixels
        return np.cos(turn * (2 * x + y) + 0.3) + np.sin(turn * 3 * y) * np.cos(turn * x)

    coarse = np.indices((pixels, pixels))
    fine = np.indices((2 * pixels, 2 * pixels)) / 2
    found = double_map(jnp.asarray(wave(*coarse), jnp.float32))
    np.testing.assert_allclose(found, wave(*fine), atol=1e-5)
    noise = np.random.default_rng(0).normal(size=(pixels, pixels)).astype(np.float32)
    np.testing.assert_allclose(double_map(jnp.asarray(noise))[::2, ::2], noise, atol=1e-5)


def test_boxes_come_with_the_maps(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_maps(path, a_set(box=np.arange(7) % 2))
    found = measure_dataset([path], "noiseless", typed(a_spec()))
    np.testing.assert_array_equal(found["box"], np.arange(7) % 2)
    # Files without it, as others write them: each map is by itself.
    with h5py.File(path, "r+") as file:
        del file["box"]
    found = measure_dataset([path], "noiseless", typed(a_spec()))
    np.testing.assert_array_equal(found["box"], a_set().realization)


def test_noise_comes_before_smoothing(paths: list[Path]) -> None:
    found = measure_dataset(paths, "noisy", typed(a_spec()))
    noisy = add_shape_noise(a_set(), 3, 30.0, 0.4)
    smoothed = smooth(noisy, 1.0 / PIXEL_ARCMIN)
    direct = measure(
        smoothed, ["v0"], pixel_arcmin=PIXEL_ARCMIN, kappa_range=(-0.05, 0.10), periodic=False
    )
    np.testing.assert_allclose(found["v0"], direct["v0"].values, atol=2.1 / 32**2)
    assert found["v0_bin"][0] == pytest.approx(-0.05 + 0.15 / 40)


@pytest.mark.parametrize("data_set", ["noiseless", "noisy"])
def test_batches_do_not_change_a_byte(tmp_path: Path, paths: list[Path], data_set: str) -> None:
    whole = tmp_path / "whole.h5"
    write_maps(whole, a_set())
    files = []
    for number, (given, batch) in enumerate([(paths, 32), (paths, 3), ([whole], 2)]):
        files.append(tmp_path / f"{number}.nc")
        write_statistics(measure_dataset(given, data_set, typed(a_spec()), batch), files[-1])
    assert len({file.read_bytes() for file in files}) == 1


def test_masked_pixels_leave_every_statistic(tmp_path: Path) -> None:
    mask = np.ones((32, 32), dtype=bool)
    mask[:9, 5:] = False
    maps = np.asarray(a_set().convergence)
    changed = np.where(mask, maps, np.float32(9))
    found = []
    for number, values in enumerate((maps, changed)):
        path = tmp_path / f"{number}.h5"
        write_maps(path, a_set(convergence=values, mask=mask))
        found.append(measure_dataset([path], "noiseless", typed(a_spec())))
    xarray.testing.assert_identical(found[0], found[1])
    smoothed, kept = smooth_masked(maps, mask, 1.0 / PIXEL_ARCMIN)
    direct = measure(smoothed, ["v1"], pixel_arcmin=PIXEL_ARCMIN, mask=kept, periodic=False)
    np.testing.assert_allclose(found[0]["v1"], direct["v1"].values, rtol=1e-4, atol=1e-6)


def test_maps_smoothed_already_are_smoothed_by_the_rest(tmp_path: Path) -> None:
    sigma = 0.6 / PIXEL_ARCMIN
    before = np.asarray(smooth(np.asarray(a_set().convergence), sigma))
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    write_maps(paths[0], a_set())
    write_maps(paths[1], a_set(convergence=before, smoothing_arcmin=0.6))
    once, rest = (measure_dataset([path], "noiseless", typed(a_spec()))["v0"] for path in paths)
    np.testing.assert_allclose(once, rest, atol=2.1 / 32**2)
    with pytest.raises(InputError, match=r"smoothing_arcmin: got 0\.5.*already smoothed by 0\.6"):
        measure_dataset(paths[1:], "noiseless", typed(a_spec(maps={"smoothing_arcmin": 0.5})))
    with pytest.raises(InputError, match="noise: these maps"):
        measure_dataset(paths[1:], "noisy", typed(a_spec()))


def test_means_by_cosmology(paths: list[Path]) -> None:
    dataset = measure_dataset(paths, "noiseless", typed(a_spec()))
    rows = mean_rows(dataset)
    assert len(rows) == 6 * 3 * 20 and tuple(rows[0]) == MEANS.columns
    chosen = [row for row in rows if row["statistic"] == "V1" and row["cosmology"] == 1]
    maps = dataset["v1"].values[3:6].astype(np.float64)
    np.testing.assert_allclose([row["mean"] for row in chosen], maps.mean(axis=0))
    np.testing.assert_allclose([row["scatter"] for row in chosen], maps.std(axis=0, ddof=1))
    assert {row["maps"] for row in chosen} == {3}
    assert {row["maps"] for row in rows if row["cosmology"] == 2} == {1}


@pytest.mark.realdata
def test_a_folder_of_real_maps_becomes_statistics(
    real_data: Path, reference: Path, tmp_path: Path
) -> None:
    table = tmp_path / "maps.csv"
    names = ["convergence_z99.fit", "convergence_z150.fit"]
    table.write_text(
        "file,Omega_m,sigma_8,simulation\n"
        + "".join(f"{name},0.26,0.8,light cone\n" for name in names)
    )
    import_maps("folder", real_data / "kappa", table, [tmp_path / "maps.h5"])
    spec = a_spec()
    spec["statistics"].update(estimator="lenstools", periodic_peaks=True)
    found = measure_dataset([tmp_path / "maps.h5"], "noiseless", typed(spec))
    assert len(set(found["split"].values)) == 1  # one light cone stays in one split
    wanted = json.loads((reference / "lenstools_statistics.json").read_text())["maps"]
    for row, name in enumerate(names):
        theirs = wanted[name]["smoothed_1arcmin_fft"]
        for ours, key in (("v1", "V1_per_pixel"), ("v2", "V2_per_pixel2")):
            scale = np.abs(theirs[key]).max()
            np.testing.assert_allclose(found[ours][row], theirs[key], rtol=1e-4, atol=1e-6 * scale)


def test_an_unknown_statistic_or_data_set_is_one_line(paths: list[Path]) -> None:
    spec = a_spec()
    with pytest.raises(InputError, match="data_set: got 'clean'"):
        measure_dataset(paths, "clean", typed(spec))
    spec["statistics"]["names"] = ["v3"]
    with pytest.raises(InputError, match=r"got 'v3', .* did you mean v2\?"):
        measure_dataset(paths, "noiseless", typed(spec))


def test_a_truncated_file_of_statistics_is_one_line(paths: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "s.nc"
    write_statistics(measure_dataset(paths, "noiseless", typed(a_spec())), path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"s\.nc: not a whole netCDF file"):
        read_statistics(path)

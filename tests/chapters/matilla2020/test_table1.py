"""From files to tables: reading, bootstrap, Table I, checks, correlations and accuracy."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray

from kappascope.chapters.matilla2020 import accuracy, checks, correlations, latex, table1
from kappascope.chapters.matilla2020.config import Constraints
from kappascope.errors import InputError
from kappascope.files import write_arrays
from kappascope.inference import measurements
from kappascope.inference.emulator import Emulator

FIDUCIAL = {"omega_matter": 0.26, "sigma_8": 0.8}
COSMOLOGIES, TESTING, COVARIANCE, BINS = 14, 40, 200, 4
LABELS = {"power_spectrum": "PS", "peaks": "PC", "v0": "V0", "v1": "V1", "v2": "V2"}


def parameters() -> np.ndarray:
    draws = np.random.default_rng(0)
    corners = np.array([[0.1, 0.3], [0.1, 1.3], [0.6, 0.3], [0.6, 1.3]])
    inner = draws.uniform([0.15, 0.4], [0.55, 1.2], size=(COSMOLOGIES - 5, 2))
    return np.concatenate([[list(FIDUCIAL.values())], corners, inner])


def files(
    folder: Path, seeds: int = 2, order: np.ndarray | None = None, constant: int | None = 0
) -> tuple[Path, Path]:
    """Write statistics and predictions of a Gaussian world; ``constant`` bin of PC never varies."""
    draws = np.random.default_rng(1)
    index = np.r_[np.repeat(np.arange(COSMOLOGIES), TESTING), np.zeros(COVARIANCE, int)]
    realization = np.r_[np.tile(np.arange(TESTING), COSMOLOGIES), np.arange(COVARIANCE)]
    split = np.repeat(["testing", "covariance"], [COSMOLOGIES * TESTING, COVARIANCE])
    place = parameters()[index]
    shared = draws.normal(size=(TESTING + COVARIANCE, 2))
    common = shared[np.where(split == "testing", realization, TESTING + realization)]
    coordinates = {
        "split": ("map", split),
        "cosmology": ("map", index + 3),
        "realization": ("map", realization),
        "omega_matter": ("map", place[:, 0]),
        "sigma_8": ("map", place[:, 1]),
    }
    measured = xarray.Dataset(coords=coordinates)
    for name, label in LABELS.items():
        response = draws.normal(size=(2, BINS)) * (1e-9 if label == "PS" else 1.0)
        noise = draws.normal(size=(len(index), BINS)) + common @ draws.normal(size=(2, BINS))
        values = place @ response + 0.05 * np.abs(response).max() * noise
        if label == "PC" and constant is not None:
            values[:, constant] = 0.5
        measured[name] = (("map", f"{name}_bin"), values, {"label": label})
        measured = measured.assign_coords({f"{name}_bin": np.linspace(0.0, 1.0, BINS)})
    outputs = [
        place + [0.02, 0.05] * (0.8 * common + 0.6 * draws.normal(size=place.shape))
        for _ in range(seeds)
    ]
    predicted = xarray.Dataset(
        {"prediction": (("seed", "map", "parameter"), np.array(outputs))},
        coords={**coordinates, "parameter": ["omega_matter", "sigma_8"]},
    )
    if order is not None:
        measured, predicted = measured.isel(map=order), predicted.isel(map=order)
    paths = folder / "noiseless.nc", folder / "noiseless_predictions.nc"
    measured.to_netcdf(paths[0], engine="h5netcdf")
    predicted.to_netcdf(paths[1], engine="h5netcdf")
    return paths


def load(paths: tuple[Path, Path], **options) -> measurements.Measurements:
    return measurements.load(
        *paths, **{"data_set": "noiseless", "fiducial": FIDUCIAL, "names": list(LABELS), **options}
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return load(files(tmp_path_factory.mktemp("measured")))


SETTINGS = table1.Settings(
    grid=60, bootstrap=6, mcmc_steps=60, mcmc_walkers=16, seed=1, map_deg2=3.0
)


@pytest.fixture(scope="module")
def constrained(measured):
    vectors = table1.DataVectors(measured, list(LABELS.values()))
    return vectors, table1.constrain(vectors, Emulator(measured.parameters), SETTINGS)


# ---------------------------------------------------------------------------- reading


def test_splits_and_shapes(measured):
    assert measured.testing["PS"].shape == (COSMOLOGIES * TESTING, BINS)
    assert measured.covariance["V2"].shape == (COVARIANCE, BINS)
    assert measured.network_testing.shape == (2, COSMOLOGIES * TESTING, 2)
    assert measured.network_covariance.shape == (2, COVARIANCE, 2)
    np.testing.assert_allclose(measured.parameters[measured.fiducial], [0.26, 0.8])
    assert measured.cosmology[measured.fiducial] == 3


def test_order_of_maps_in_the_files_does_not_matter(measured, tmp_path):
    order = np.random.default_rng(5).permutation(COSMOLOGIES * TESTING + COVARIANCE)
    shuffled = load(files(tmp_path, order=order))
    np.testing.assert_array_equal(shuffled.testing["V0"], measured.testing["V0"])
    np.testing.assert_array_equal(shuffled.network_covariance, measured.network_covariance)


def test_averaging_weighs_the_same_realizations_everywhere(measured):
    weights = np.random.default_rng(2).exponential(size=TESTING)
    found = measured.averaging(weights) @ measured.testing["PS"]
    block = measured.testing["PS"].reshape(COSMOLOGIES, TESTING, BINS)
    np.testing.assert_allclose(found, np.average(block, axis=1, weights=weights), rtol=1e-12)


def test_bad_files_are_told_in_one_line(tmp_path):
    paths = files(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        load((tmp_path / "absent.nc", paths[1]))
    with pytest.raises(InputError, match="no statistic 'moments'"):
        load(paths, names=["moments"])
    with pytest.raises(InputError, match="0 cosmologies of the testing split are the fiducial"):
        load(paths, fiducial={"omega_matter": 0.3, "sigma_8": 0.8})
    broken = tmp_path / "broken.nc"
    broken.write_bytes(paths[0].read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as netCDF") as raised:
        load((broken, paths[1]))
    assert "\n" not in str(raised.value)


def test_predictions_of_other_maps_or_with_nan_are_refused(tmp_path):
    statistics, predictions = files(tmp_path)
    with xarray.open_dataset(predictions) as opened:
        loaded = opened.load()
    loaded.isel(map=slice(1, None)).to_netcdf(tmp_path / "fewer.nc", engine="h5netcdf")
    loaded.isel(map=slice(None, None, -1)).to_netcdf(tmp_path / "turned.nc", engine="h5netcdf")
    loaded["prediction"][0, 3, 1] = np.nan
    loaded.to_netcdf(tmp_path / "nan.nc", engine="h5netcdf")
    for name, told in (("fewer", "not those of"), ("turned", "not those of"), ("nan", "NaN")):
        with pytest.raises(InputError, match=told):
            load((statistics, tmp_path / f"{name}.nc"))


# ---------------------------------------------------------------------------- Table I


def test_a_bin_without_variance_is_dropped_and_told(measured, caplog):
    vectors = table1.DataVectors(measured, list(LABELS.values()))
    assert [(row["statistic"], row["bin"]) for row in vectors.dropped()] == [("PC", 0)]
    assert "1 bins of PC hold no signal" in caplog.text
    assert len(vectors.select("PC", 0)) == BINS - 1
    assert len(vectors.select("All+DNN", 1)) == 5 * BINS - 1 + 2


def test_every_data_vector_has_an_area_and_the_network_shrinks_it(constrained):
    vectors, found = constrained
    rows = table1.area_rows("noiseless", found, SETTINGS)
    assert len(rows) == 2 * 13
    assert {row["data_vector"] for row in rows} == set(vectors.names)
    assert all(row["area"] > 0 and row["error"] > 0 for row in rows)
    changes = table1.change_rows("noiseless", found, table1.TABLE1_STATISTICS)
    assert [row["statistic"] for row in changes[:6]] == list(table1.TABLE1_STATISTICS)
    assert all(row["area_change_percent"] < 0 and row["sign"] == "negative" for row in changes)
    assert all(row["network_seeds"] == 2 for row in changes)
    single = {row["data_vector"]: row["area"] for row in rows if row["credibility"] == 68}
    assert single["All"] < min(single[name] for name in LABELS.values())


def test_change_is_the_papers_definition(constrained):
    _, found = constrained
    row = table1.change_rows("noiseless", found, ["PS"])[0]
    each = found["PS+DNN"].areas[:, 0] / found["PS"].areas[0, 0]
    assert row["area_change_percent"] == pytest.approx(100.0 * (each.mean() - 1.0))


def test_positive_changes_are_called_noise_or_bug():
    def constraint(area, scatter):
        drawn = area * (1.0 + scatter * np.array([-1.0, 1.0]))[:, None, None]
        flat = np.full((1, 2), area)
        resampled = np.broadcast_to(drawn, (2, 1, 2))
        return table1.Constraint(
            flat, resampled, (resampled, resampled[:0]), resampled, flat, flat, flat[0] > 9, ()
        )

    found = {
        "PS": constraint(1.0, 0.0),
        "PS+DNN": constraint(1.02, 0.1),
        "PC": constraint(1.0, 0.0),
        "PC+DNN": constraint(1.3, 0.1),
    }
    signs = [row["sign"] for row in table1.change_rows("noisy", found, ["PS", "PC"])]
    assert signs == ["positive_within_error", "positive_beyond_error"] * 2


def test_errors_add_bootstrap_and_seed_scatter_in_quadrature():
    each = np.array([[1.0], [3.0]])
    resampled = np.array([[[1.0], [3.0]], [[2.0], [4.0]]])  # means 2 and 3
    assert table1.combined_error(each, resampled)[0] == pytest.approx(np.sqrt(0.5 + 1.0))
    assert np.isnan(table1.combined_error(each[:1], resampled[:0, :1])[0])


def test_bootstrap_depends_on_its_number_only(measured):
    vectors = table1.DataVectors(measured, ["PS"])
    later = [
        table1.moments(vectors, SETTINGS, table1.bootstrap_weights(vectors, SETTINGS, number)).means
        for number in (3, 1, 3)
    ]
    np.testing.assert_array_equal(later[0], later[2])
    assert not np.array_equal(later[0], later[1])


def in_boxes(measured, boxes):
    return dataclasses.replace(
        measured,
        covariance_box=np.arange(COVARIANCE) % boxes,
        testing_box=np.arange(TESTING) % boxes,
    )


@pytest.mark.parametrize(("boxes", "units"), [(5, 5), (3, None)])
def test_maps_of_a_box_share_its_weight(measured, boxes, units):
    vectors = table1.DataVectors(in_boxes(measured, boxes), ["PS"])
    of_realizations, of_maps = table1.bootstrap_weights(vectors, SETTINGS, 0)
    for weights, number in ((of_realizations, TESTING), (of_maps, COVARIANCE)):
        # Of fewer boxes no scatter can be had: light cones count.
        assert len(np.unique(weights)) == (units or number)
        if units:
            np.testing.assert_array_equal(weights, weights[np.arange(number) % boxes])


def test_the_jackknife_leaves_out_whole_boxes(measured):
    vectors = table1.DataVectors(in_boxes(measured, 5), ["PS"])
    testing, covariance = table1.jackknife_weights(vectors)
    assert len(testing) == len(covariance) == 5
    for part, (of_realizations, of_maps) in enumerate(covariance):
        assert of_realizations is None
        np.testing.assert_array_equal(of_maps == 0, np.arange(COVARIANCE) % 5 == part)
    testing, covariance = table1.jackknife_weights(table1.DataVectors(measured, ["PS"]))
    assert len(testing) == len(covariance) == table1.JACKKNIFE_PARTS
    left_out = np.sum([weights[1] == 0 for weights in covariance], axis=0)
    assert (left_out == 1).all()


def test_a_change_cut_by_the_hull_is_a_limit(constrained):
    _, found = constrained
    cut = {
        **found,
        "PS": dataclasses.replace(found["PS"], hull_touched=np.array([True, True])),
        "PS+DNN": dataclasses.replace(found["PS+DNN"], hull_touched=np.array([False, True])),
    }
    rows = table1.change_rows("noiseless", cut, ["PS"])
    assert [row["limit"] for row in rows] == ["upper", ""]


def test_contours_of_a_larger_sky(constrained, measured):
    vectors, found = constrained
    settings = dataclasses.replace(SETTINGS, maps_of_sky=4.0, map_deg2=3.0)
    larger = table1.constrain(vectors, Emulator(measured.parameters), settings)
    rows = {
        (row["data_vector"], row["credibility"]): row
        for row in table1.area_rows("noiseless", larger, settings)
    }
    for name in ("DNN", "All+DNN"):
        row = rows[name, 68]
        assert row["sky_deg2"] == 12.0
        # A linear world: the area of an ellipse goes with the covariance's scale.
        assert row["area"] == pytest.approx(found[name].area[0] / 4, rel=0.03)
        assert row["area_of_map"] == pytest.approx(found[name].area[0], rel=0.02)
    section = Constraints.part(
        {
            **{"likelihood": "gaussian", "sky_deg2": 12.25, "grid": 50, "bootstrap": 2},
            **{"mcmc_steps": 10, "mcmc_walkers": 4},
        }
    )
    assert table1.Settings.of(section, 1, 3.0625).maps_of_sky == pytest.approx(4.0)
    assert table1.Settings.of(section, 1).maps_of_sky == 1.0


def test_constraints_repeat_to_the_byte(constrained, measured, tmp_path):
    vectors, found = constrained
    again = table1.constrain(vectors, Emulator(measured.parameters), SETTINGS)
    assert table1.area_rows("noiseless", again, SETTINGS) == table1.area_rows(
        "noiseless", found, SETTINGS
    )
    for name, result in (("first", found), ("second", again)):
        write_arrays(tmp_path / f"{name}.npz", table1.pictures(vectors, result))
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_table1_as_latex(constrained):
    _, found = constrained
    text = latex.table1(table1.change_rows("noiseless", found, table1.TABLE1_STATISTICS))
    body = [line for line in text.splitlines() if "&" in line]
    assert len(body) == 3
    assert all(line.count("&") == 7 for line in body)
    assert r"Noiseless & 68\%" in text and "nan" not in text
    for limit in ("upper", ""):
        rows = [
            {**row, "limit": limit}
            for row in table1.change_rows("noiseless", found, table1.TABLE1_STATISTICS)
        ]
        assert latex.table1(rows).count(r"$\leq -") == (12 if limit else 0)


# ---------------------------------------------------------------------------- checks


def test_leave_one_out_is_exact_for_a_plane_and_silent_on_the_hull():
    places = parameters()
    plane = places @ np.array([[1.0, 2.0], [3.0, -1.0]]) + 0.3
    found = checks.leave_one_out(places, plane)
    hull = Emulator(places).hull
    assert np.isnan(found[hull]).all()
    inner = np.setdiff1d(np.arange(len(places)), hull)
    assert inner.size >= 5
    np.testing.assert_allclose(found[inner], plane[inner], rtol=1e-9)


def test_leave_one_out_tells_interpolation_from_bias(measured):
    vectors = table1.DataVectors(measured, [])
    rows = checks.leave_one_out_rows(vectors)
    assert len(rows) == 2 * COSMOLOGIES
    inner = [row for row in rows if not row["on_hull"]]
    assert all(abs(row["error_percent"]) < 20 for row in inner)
    home = [row for row in rows if row["distance_to_fiducial"] == 0.0]
    assert {row["cosmology"] for row in home} == {3}
    for row in inner:
        # Half of an output's scatter is shared by all cosmologies, half of it is its own.
        scatter = {"omega_matter": 0.02, "sigma_8": 0.05}[row["parameter"]]
        expected = 100 * scatter / row[row["parameter"]] / np.sqrt(TESTING)
        assert 0.3 * expected < row["standard_error_percent"] < 3 * expected
    outer = [row for row in rows if row["on_hull"]]
    assert np.isnan([row["standard_error_percent"] for row in outer]).all()


def test_half_surrounds_the_fiducial(measured):
    for seed in range(5):
        kept = checks.half_of(measured.parameters, measured.fiducial, seed)
        assert len(kept) == COSMOLOGIES // 2
        assert Emulator(measured.parameters[kept]).contains(measured.parameters[[0]])[0]


def test_emulator_checks_and_thirds(measured):
    vectors = table1.DataVectors(measured, list(LABELS.values()))
    found = checks.emulator_checks(vectors, SETTINGS)
    rows = checks.emulator_check_rows("noiseless", found)
    assert [row["emulator"] for row in rows[::2]] == list(checks.EMULATORS)
    # The world is linear in the parameters, so cosmologies left out change nothing.
    areas = {(row["emulator"], row["credibility"]): row["area"] for row in rows}
    assert areas["without_fiducial", 68] == pytest.approx(areas["all", 68], rel=0.05)
    thirds = checks.covariance_convergence(vectors, Emulator(measured.parameters), SETTINGS)
    assert [row["third"] for row in thirds] == [1, 1, 2, 2, 3, 3]
    assert all(row["area"] > 0 for row in thirds)


def test_no_box_serves_two_thirds(measured):
    """Boxes that differ must show: cut by map number, thirds would share all of them."""
    draws = np.random.default_rng(4)
    box = np.arange(COVARIANCE) % 6
    wide = 1.0 + 3.0 * (box < 2)
    covariance = {name: draws.normal(size=(COVARIANCE, BINS)) * wide[:, None] for name in ("PS",)}
    outputs = draws.normal(size=(1, COVARIANCE, 2))
    world = dataclasses.replace(
        measured.select(["PS"]),
        covariance={"PS": 1e-10 * covariance["PS"]},
        network_covariance=outputs,
        network_testing=measured.network_testing[:1],
        covariance_box=box,
    )
    vectors = table1.DataVectors(world, ["PS"])
    rows = checks.covariance_convergence(vectors, Emulator(world.parameters), SETTINGS)
    areas = {row["third"]: row["area"] for row in rows if row["credibility"] == 68}
    assert areas[1] > 4 * areas[2] and areas[3] == pytest.approx(areas[2], rel=0.4)


def test_too_small_thirds_are_not_a_number(measured, caplog):
    few = dataclasses.replace(
        measured,
        covariance={name: value[:45] for name, value in measured.covariance.items()},
        network_covariance=measured.network_covariance[:, :45],
        covariance_box=None,
    )
    vectors = table1.DataVectors(few, list(LABELS.values()))
    rows = checks.covariance_convergence(vectors, Emulator(few.parameters), SETTINGS)
    assert all(np.isnan(row["area"]) for row in rows)
    assert "convergence is not tested" in caplog.text


# ---------------------------------------------------------------------------- correlations


def test_pearson_is_numpys_and_nan_without_variance():
    draws = np.random.default_rng(3)
    first, second = draws.normal(size=(50, 2)), draws.normal(size=(50, 3)) + 1e6
    second[:, 2] = 7.0
    found = correlations.pearson(first, second)
    expected = np.corrcoef(first.T, second[:, :2].T)[:2, 2:]
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-8)
    assert np.isnan(found[:, 2]).all()


def test_average_ignores_undefined_cosmologies_but_not_most_of_them():
    values = np.array([[1.0, 1.0], [3.0, np.nan], [np.nan, np.nan], [2.0, np.nan]])
    mean = correlations.average(values)
    assert mean[0] == pytest.approx(2.0)
    assert np.isnan(mean[1])


def test_errors_of_correlations_are_those_of_universes_whose_cosmologies_share_light_cones():
    """The scatter over cosmologies over the root of their number would be a fifth of it."""
    found, told = [], []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        shared = draws.normal(size=(64, 2))
        maps = shared[None] + 0.05 * draws.normal(size=(30, 64, 2))
        world = measurements.Measurements(
            "noisy", np.zeros((30, 2)), np.arange(30), 0, {"PS": maps.reshape(-1, 2)[:, :1]},
            np.repeat(np.arange(30), 64), np.tile(np.arange(64), 30), {},
            maps.reshape(1, -1, 2), np.zeros((1, 2, 2)), {"PS": np.zeros(1)},
        )  # fmt: skip
        row = correlations.correlation_rows(world)[1]
        found.append(row["pearson"])
        told.append(row["standard_error"])
    assert np.mean(told) / np.std(found, ddof=1) == pytest.approx(1.0, abs=0.3)


def test_correlation_rows_cover_every_bin(measured):
    rows = correlations.correlation_rows(measured)
    assert len(rows) == len(LABELS) * BINS * 2
    constant = [row for row in rows if row["statistic"] == "PC" and row["bin_centre"] == 0.0]
    assert all(np.isnan(row["pearson"]) for row in constant)
    others = [row["pearson"] for row in rows if np.isfinite(row["pearson"])]
    assert len(others) == len(rows) - 2 and np.abs(others).max() < 1.0


def test_networks_that_disagree_widen_the_errors(measured):
    outputs = measured.network_testing.copy()
    alike = dataclasses.replace(measured, network_testing=np.stack([outputs[0], outputs[0]]))
    apart = dataclasses.replace(measured, network_testing=np.stack([outputs[0], -outputs[0]]))
    rows = correlations.correlation_rows
    for one, other in zip(rows(alike), rows(apart), strict=True):
        if np.isfinite(one["pearson"]):
            assert other["pearson"] == pytest.approx(0.0, abs=1e-12)
            assert other["standard_error"] == pytest.approx(abs(one["pearson"]))


def linear_world(strength: float) -> measurements.Measurements:
    draws = np.random.default_rng(7)
    number, maps, bins = 6, 60, 50
    home = np.repeat(np.arange(number), maps)
    statistics = draws.normal(size=(len(home), bins))
    signal = statistics @ draws.normal(size=(bins, 2)) / np.sqrt(bins)
    outputs = strength * signal + (1.0 - strength) * draws.normal(size=signal.shape)
    return measurements.Measurements(
        data_set="noisy",
        parameters=parameters()[:number],
        cosmology=np.arange(number),
        fiducial=0,
        testing={"PS": statistics},
        testing_cosmology=home,
        testing_realization=np.tile(np.arange(maps), number),
        covariance={"PS": statistics},
        network_testing=outputs[None],
        network_covariance=outputs[None],
        bin_centres={"PS": np.arange(bins)},
    )


def diagonal(rows, sample):
    return [
        row["pearson"]
        for row in rows
        if row["sample"] == sample and row["network"] == row["linear"]
    ]


def test_linear_model_on_pure_noise_fits_but_does_not_predict():
    rows = correlations.linear_model_rows(linear_world(0.0))
    assert min(diagonal(rows, "fitted")) > 0.8
    assert max(np.abs(diagonal(rows, "held_out"))) < 0.25


def test_linear_model_finds_a_linear_network():
    rows = correlations.linear_model_rows(linear_world(1.0))
    assert min(diagonal(rows, "fitted")) > 0.999
    assert min(diagonal(rows, "held_out")) > 0.5
    text = latex.linear_model(rows)
    assert text.count(r"\\") == 5 and "held-out maps" in text


def test_ridge_equals_least_squares_without_noise():
    draws = np.random.default_rng(9)
    features = draws.normal(size=(80, 5))
    features -= features.mean(axis=0)
    truth = draws.normal(size=(5, 2))
    np.testing.assert_allclose(correlations.ridge(features, features @ truth), truth, rtol=1e-3)


# ---------------------------------------------------------------------------- accuracy


def test_accuracy_recovers_planted_scatter_and_bias(measured):
    rows = accuracy.accuracy_rows("ours", measured, bootstrap=20, seed=1)
    for row, planted in zip(rows, (0.02, 0.05), strict=True):
        assert row["scatter_fiducial"] == pytest.approx(planted, abs=4 * row["scatter_error"])
        assert abs(row["bias_fiducial"]) < planted
        assert row["rmse"] == pytest.approx(planted, abs=4 * row["rmse_error"])
        assert 0.9 < row["r2"] < 1.0


def test_published_outputs_are_checked(tmp_path):
    with pytest.raises(InputError, match="KAPPASCOPE_REAL_DATA"):
        accuracy.load_published(tmp_path / "absent.npz", 0.26, 0.8)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="cannot be read"):
        accuracy.load_published(tmp_path / "text.npz", 0.26, 0.8)
    np.savez(tmp_path / "shape.npz", true=np.zeros((5, 2)), pred=np.zeros((4, 2)))
    with pytest.raises(InputError, match="must both be"):
        accuracy.load_published(tmp_path / "shape.npz", 0.26, 0.8)
    np.savez(tmp_path / "other.npz", true=np.zeros((5, 2)), pred=np.zeros((5, 2)))
    with pytest.raises(InputError, match="no maps of the fiducial"):
        accuracy.load_published(tmp_path / "other.npz", 0.26, 0.8)

"""The whole chain on Gaussian worlds whose constraints are known beforehand."""

import dataclasses

import numpy as np
import pytest

from kappascope.chapters.matilla2020 import table1
from kappascope.inference import credible
from kappascope.inference.emulator import Emulator
from kappascope.inference.likelihood import likelihood
from kappascope.inference.measurements import Measurements
from kappascope.reporting.errorbars import jackknife_errors

SIGMA = np.array([0.012, 0.03])  # scatter of the network's outputs from map to map
CORRELATION = -0.6
RESPONSE = np.array([[1.0, 0.2, -0.5], [0.4, 1.0, 0.3]])
NOISE = 0.05
SHARED = 0.5  # correlation of the first bin with the network's first output


def parameters(number: int = 30) -> np.ndarray:
    draws = np.random.default_rng(0)
    corners = np.array([[0.1, 0.3], [0.1, 1.3], [0.6, 0.3], [0.6, 1.3]])
    inner = draws.uniform([0.12, 0.35], [0.58, 1.25], size=(number - 5, 2))
    return np.concatenate([[[0.26, 0.8]], corners, inner])


def covariance_matrix() -> np.ndarray:
    """Of three bins and two network outputs, (5, 5)."""
    matrix = np.diag(np.r_[np.full(3, NOISE), SIGMA] ** 2)
    matrix[3, 4] = matrix[4, 3] = CORRELATION * SIGMA.prod()
    matrix[0, 3] = matrix[3, 0] = SHARED * NOISE * SIGMA[0]
    return matrix


def world(seed: int, testing: int = 60, covariance: int = 2000) -> Measurements:
    """Maps of one random universe; realizations share their draws between cosmologies."""
    draws = np.random.default_rng(seed)
    places = parameters()
    root = np.linalg.cholesky(covariance_matrix())
    noise = draws.normal(size=(testing, 5)) @ root.T
    independent = draws.normal(size=(covariance, 5)) @ root.T
    means = np.concatenate([places @ RESPONSE, places], axis=1)
    maps = (means[:, None] + noise).reshape(-1, 5)
    fiducial = means[0] + independent
    return Measurements(
        data_set="noiseless",
        parameters=places,
        cosmology=np.arange(len(places)),
        fiducial=0,
        testing={"PS": maps[:, :3]},
        testing_cosmology=np.repeat(np.arange(len(places)), testing),
        testing_realization=np.tile(np.arange(testing), len(places)),
        covariance={"PS": fiducial[:, :3]},
        network_testing=maps[None, :, 3:],
        network_covariance=fiducial[None, :, 3:],
        bin_centres={"PS": np.arange(3.0)},
    )


BOXES = 12


def world_of_boxes(seed: int, testing: int = 48, covariance: int = 480) -> Measurements:
    """Simulations that differ: each box has a scatter of its own in all of its maps."""
    draws = np.random.default_rng(seed)
    measured = world(seed, testing, covariance)
    box = np.arange(covariance) % BOXES
    loud = draws.gamma(8.0, 1 / 8.0, size=BOXES)[box] ** 0.5
    centre = measured.covariance["PS"].mean(0)
    return dataclasses.replace(
        measured,
        covariance={"PS": centre + loud[:, None] * (measured.covariance["PS"] - centre)},
        covariance_box=box,
    )


def exact(columns: list[int]) -> np.ndarray:
    jacobian = np.concatenate([RESPONSE, np.eye(2)], axis=1)[:, columns]
    fisher = jacobian @ np.linalg.inv(covariance_matrix()[np.ix_(columns, columns)]) @ jacobian.T
    return np.pi * -2.0 * np.log([0.32, 0.05]) / np.sqrt(np.linalg.det(fisher))


COLUMNS = {"DNN": [3, 4], "PS": [0, 1, 2], "PS+DNN": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("name", COLUMNS)
def test_areas_of_a_gaussian_world(name):
    """With many covariance maps the area is the Fisher ellipse of the true covariance."""
    measured = world(1, covariance=200_000)
    vectors = table1.DataVectors(measured, ["PS"])
    emulator = Emulator(measured.parameters)
    log_posterior = table1.posterior(vectors, table1.moments(vectors, table1.Settings()), name, 0)
    cells = credible.refine(emulator, log_posterior, grid=200)
    np.testing.assert_allclose(
        credible.areas(cells, log_posterior), exact(COLUMNS[name]), rtol=0.02
    )


def test_change_in_area_of_a_gaussian_world():
    measured = world(2, covariance=200_000)
    vectors = table1.DataVectors(measured, ["PS"])
    settings = table1.Settings(grid=120, bootstrap=0, mcmc_steps=0)
    found = table1.constrain(vectors, Emulator(measured.parameters), settings)
    expected = 100.0 * (exact(COLUMNS["PS+DNN"]) / exact(COLUMNS["PS"]) - 1.0)
    changes = [row["area_change_percent"] for row in table1.change_rows("noiseless", found, ["PS"])]
    np.testing.assert_allclose(changes, expected, atol=1.5)


def test_bootstrap_error_is_the_scatter_between_universes():
    settings = table1.Settings(grid=50, bootstrap=40, mcmc_steps=0)
    areas, errors = [], []
    for seed in range(24):
        measured = world(100 + seed, testing=30, covariance=300)
        vectors = table1.DataVectors(measured, ["PS"])
        found = table1.constrain(vectors, Emulator(measured.parameters), settings, ["PS+DNN"])
        areas.append(found["PS+DNN"].area[0])
        errors.append(found["PS+DNN"].error[0])
    # 24 universes fix their scatter to 15 percent.
    assert np.mean(errors) / np.std(areas, ddof=1) == pytest.approx(1.0, abs=0.45)


def test_errors_are_those_of_boxes_where_boxes_differ():
    """Bootstrap and jackknife over boxes give the scatter of universes; over maps they miss it."""
    settings = table1.Settings(grid=50, bootstrap=40, mcmc_steps=0)
    areas, by_box, by_map, jackknifed = [], [], [], []
    for seed in range(20):
        measured = world_of_boxes(500 + seed)
        emulator = Emulator(measured.parameters)
        vectors = table1.DataVectors(measured, ["PS"])
        found = table1.constrain(vectors, emulator, settings, ["PS"])["PS"]
        areas.append(found.area[0])
        by_box.append(found.error[0])
        parts = [jackknife_errors(part[:, :, 0].mean(1)) for part in found.jackknifed]
        jackknifed.append(np.hypot(*parts))
        alone = dataclasses.replace(measured, covariance_box=None)
        vectors = table1.DataVectors(alone, ["PS"])
        found = table1.constrain(vectors, emulator, settings, ["PS"])["PS"]
        by_map.append(found.error[0])
    scatter = np.std(areas, ddof=1)
    assert np.mean(by_box) / scatter == pytest.approx(1.0, abs=0.4)
    assert np.mean(jackknifed) / np.mean(by_box) == pytest.approx(1.0, abs=0.3)
    assert np.mean(by_map) / scatter < 0.65


def test_noise_in_the_emulators_means_is_taken_off():
    """Forty bins that know nothing, each cosmology's maps by themselves, add no information."""
    areas: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(30):
        measured = world(700 + seed, testing=30, covariance=2000)
        draws = np.random.default_rng(seed)
        empty = {
            split: draws.normal(size=(len(getattr(measured, split)["PS"]), 40))
            for split in ("testing", "covariance")
        }
        measured = dataclasses.replace(
            measured,
            testing={**measured.testing, "PC": empty["testing"]},
            covariance={**measured.covariance, "PC": empty["covariance"]},
            bin_centres={**measured.bin_centres, "PC": np.arange(40.0)},
        )
        vectors = table1.DataVectors(measured, ["PS", "PC"])
        emulator = Emulator(measured.parameters)
        means = table1.moments(vectors, table1.Settings())
        for corrected, found in areas.items():
            log_posterior = table1.posterior(vectors, means, "All", 0, corrected=corrected)
            cells = credible.refine(emulator, log_posterior, grid=60)
            found.append(credible.areas(cells, log_posterior)[0] / exact(COLUMNS["PS"])[0])
    assert np.mean(areas[False]) < 0.75
    spread = np.std(areas[True]) / np.sqrt(len(areas[True]))
    assert spread < 0.08
    assert np.mean(areas[True]) == pytest.approx(1.0, abs=3.0 * spread)


def test_regions_hold_the_truth_as_often_as_they_say():
    """200 universes, each seen by one map of the fiducial cosmology."""
    held = np.zeros(2)
    columns = COLUMNS["PS+DNN"]
    for seed in range(200):
        measured = world(2000 + seed, testing=40, covariance=120)
        vectors = table1.DataVectors(measured, ["PS"])
        sample = table1.moments(vectors, table1.Settings())
        root = np.linalg.cholesky(covariance_matrix())
        truth = measured.parameters[0]
        seen = np.concatenate([truth @ RESPONSE, truth])
        seen = seen + root @ np.random.default_rng(9000 + seed).normal(size=5)
        log_posterior = likelihood(
            sample.means[:, columns], seen, sample.covariance, maps=120, kind="gaussian"
        )
        emulator = Emulator(measured.parameters)
        cells = credible.refine(emulator, log_posterior, grid=40)
        at_truth = log_posterior(emulator.weights(truth[None]))[0]
        regions = credible.regions(emulator, cells, log_posterior)
        held += [at_truth >= region.threshold for region in regions]
    assert 0.60 <= held[0] / 200 <= 0.76
    assert 0.90 <= held[1] / 200 <= 0.99


def test_areas_do_not_depend_on_the_number_of_covariance_maps():
    """The debiased precision makes few maps as good as many, on average."""
    areas = []
    for seed in range(12):
        measured = world(300 + seed, testing=30, covariance=60)
        vectors = table1.DataVectors(measured, ["PS"])
        settings = table1.Settings(grid=60)
        log_posterior = table1.posterior(vectors, table1.moments(vectors, settings), "PS+DNN", 0)
        cells = credible.refine(Emulator(measured.parameters), log_posterior, grid=60)
        areas.append(credible.areas(cells, log_posterior)[0])
    spread = np.std(areas) / np.sqrt(len(areas))
    assert np.mean(areas) == pytest.approx(exact(COLUMNS["PS+DNN"])[0], abs=3.0 * spread)

"""The published network's own outputs give the published numbers."""

from pathlib import Path

import numpy as np
import pytest

from kappascope.chapters.matilla2020 import accuracy, checks, table1
from kappascope.inference.emulator import Emulator

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def measured(real_data: Path):
    path = real_data / "cnn_outputs" / "ribli2019_noiseless.npz"
    return accuracy.load_published(path, 0.26, 0.8)


def test_what_the_file_holds(measured):
    assert measured.network_testing.shape == (1, 12_083, 2)
    assert len(measured.parameters) == 79
    assert measured.network_covariance.shape == (1, 153, 2)


def test_accuracy_and_scatter(measured):
    rows = accuracy.accuracy_rows("published_network", measured, bootstrap=30, seed=1)
    for row, rmse, scatter in zip(rows, (0.0104, 0.0212), (0.0070, 0.0213), strict=True):
        assert row["rmse"] == pytest.approx(rmse, abs=5e-5)
        assert row["scatter_fiducial"] == pytest.approx(scatter, abs=5e-5)
        assert row["scatter_error"] < 0.1 * scatter
        assert row["rmse_error"] < 0.02 * rmse


def test_contour_is_the_gaussian_one(measured):
    """A nearly unbiased output has the area of its own covariance's ellipse."""
    vectors = table1.DataVectors(measured, [])
    settings = table1.Settings(grid=120, bootstrap=0, mcmc_steps=1000, mcmc_walkers=128)
    found = table1.constrain(vectors, Emulator(measured.parameters), settings)
    assert list(found) == ["DNN"]
    covariance = np.cov(measured.network_covariance[0].T)
    expected = -2.0 * np.pi * np.log([0.32, 0.05]) * np.sqrt(np.linalg.det(covariance))
    np.testing.assert_allclose(found["DNN"].area, expected, rtol=0.1)
    np.testing.assert_allclose(found["DNN"].mcmc[0], found["DNN"].area, rtol=0.05)
    assert not found["DNN"].hull_touched.any()


def test_leave_one_out_is_as_small_as_published(measured):
    """matilla2020 Appendix A: at most 1.89 % for σ8, within about 1 % near the fiducial.

    The file lacks 22 of the paper's 101 cosmologies, so the emulator is a little coarser.
    """
    rows = checks.leave_one_out_rows(table1.DataVectors(measured, []))
    inner = [row for row in rows if not row["on_hull"]]
    errors = [
        abs(row["error_from_truth_percent"]) for row in inner if row["parameter"] == "sigma_8"
    ]
    assert max(errors) == pytest.approx(1.89, abs=0.1)
    near = [row for row in inner if row["distance_to_fiducial"] < 0.15]
    assert len(near) >= 10
    assert max(abs(row["error_percent"]) for row in near) < 1.0


def test_emulators_with_cosmologies_left_out_give_the_same_contour(measured):
    """matilla2020 Fig. 7: indistinguishable without the fiducial, slightly perturbed with half."""
    vectors = table1.DataVectors(measured, [])
    settings = table1.Settings(grid=120, bootstrap=0, mcmc_steps=0, seed=1)
    found = checks.emulator_checks(vectors, settings)
    whole = found["all"].areas
    np.testing.assert_allclose(found["without_fiducial"].areas, whole, rtol=0.01)
    np.testing.assert_allclose(found["half"].areas, whole, rtol=0.05)

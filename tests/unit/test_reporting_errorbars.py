"""Standard errors against what repeated draws scatter by."""

import math

import numpy as np
import pytest

from kappascope.reporting import errorbars


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_shares_error_is_its_scatter(share: float) -> None:
    draws = np.random.default_rng(1).binomial(400, share, 4000) / 400
    assert errorbars.proportion_error(share, 400) == pytest.approx(draws.std(), rel=0.05)


def test_a_share_of_all_or_none_has_an_error() -> None:
    none, every = (errorbars.proportion_error(share, 20) for share in (0.0, 1.0))
    assert none == pytest.approx(every) and none > 0.04
    assert errorbars.proportion_error(1.0, 2000) < 0.001


def test_the_bootstrap_finds_the_error_of_a_mean_and_depends_on_its_name() -> None:
    values = np.random.default_rng(2).normal(size=500)

    def mean(pick: np.ndarray) -> float:
        return float(values[pick].mean())

    found = errorbars.bootstrap_error(mean, 500, 1, "a mean", 400)
    assert found == pytest.approx(errorbars.error_of_mean(values), rel=0.15)
    assert found == errorbars.bootstrap_error(mean, 500, 1, "a mean", 400)
    assert found != errorbars.bootstrap_error(mean, 500, 1, "another", 400)


def test_one_value_has_no_spread() -> None:
    assert errorbars.error_of_mean(np.array([3.0])) is None
    assert errorbars.scatter([3.0]) is None
    assert np.isnan(errorbars.errors_of_means(np.ones((1, 4)))).all()
    assert errorbars.error_of_mean(np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert errorbars.scatter([1.0, 3.0]) == pytest.approx(2**0.5)
    np.testing.assert_allclose(errorbars.errors_of_means(np.array([[1.0], [3.0]])), [1.0])


def test_errors_add_as_far_as_they_are_known() -> None:
    assert errorbars.combined(3.0, 4.0) == 5.0
    assert errorbars.combined(3.0, None) == 3.0
    assert errorbars.combined(None) == 0.0


def test_rounding_is_no_scatter() -> None:
    assert errorbars.is_scatter(100.0, 0.01)
    assert not errorbars.is_scatter(100.0, 1e-4)
    assert not errorbars.is_scatter(100.0, None)


def test_a_proportion_of_one_has_an_error() -> None:
    assert math.isfinite(errorbars.proportion_error(0.5, 1))


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=12)
    without = (values.sum() - values) / 11
    found = errorbars.jackknife_errors(without[:, None])
    assert found == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    assert np.isnan(errorbars.jackknife_errors(without[:1, None])).all()


def test_arrays_of_errors_add_as_far_as_they_are_known() -> None:
    nan = np.nan
    found = errorbars.combined_errors(
        np.array([3.0, nan, 3.0, nan]), np.array([4.0, 4.0, nan, nan])
    )
    np.testing.assert_allclose(found, [5.0, 4.0, 3.0, nan])

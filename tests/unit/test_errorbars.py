"""Standard errors against what repeated draws scatter by."""

import math

import numpy as np
import pytest

from kappascope import errorbars


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
    assert errorbars.error_of_mean(np.array([3.0])) == 0
    assert errorbars.error_of_mean(np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert math.isfinite(errorbars.proportion_error(0.5, 1))

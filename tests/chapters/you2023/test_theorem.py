"""Errors of the best attribution of single features: closed form, linear program, definition."""

import itertools
import math

import numpy as np
import pytest

from kappascope.chapters.you2023 import theorem


@pytest.mark.parametrize("features", range(2, 17))
def test_deleting_from_a_monomial_costs_a_central_binomial_coefficient(features: int) -> None:
    """For even d the best attribution is 2/(d + 2) each, and its error C(d, d/2) - 1."""
    error, value = theorem.best("monomial", "deletion", features)
    if features % 2 == 0:
        assert error == math.comb(features, features // 2) - 1
        assert value in (1 / (features // 2), 2 / (features + 2)) or float(value) == pytest.approx(
            2 / (features + 2)
        )
    # It grows like the number of subsets, less a square root.
    assert 0.3 < float(error) / 2**features * math.sqrt(features) < 0.9 or features < 4


@pytest.mark.parametrize("features", range(2, 11))
@pytest.mark.parametrize("error", theorem.ERRORS)
@pytest.mark.parametrize("function", theorem.FUNCTIONS)
def test_linear_program_and_symmetry_agree(function: str, error: str, features: int) -> None:
    if function == "binomial" and features % 2:
        pytest.skip("halves")
    found, _ = theorem.best(function, error, features)
    assert theorem.linear_program(function, error, features) == pytest.approx(
        float(found), rel=1e-9, abs=1e-9
    )


def by_definition(function: str, error: str, alpha: np.ndarray) -> float:
    """Sum |change - attribution| over subsets, from values of the function alone."""
    features = len(alpha)
    half = features // 2

    def f(x: np.ndarray) -> float:
        return float(x.prod() if function == "monomial" else x[:half].prod() + x[half:].prod())

    total = 0.0
    for subset in itertools.product((0, 1), repeat=features):
        inside = np.array(subset)
        if error == "deletion":
            change = f(np.ones(features)) - f(1 - inside)
        else:
            change = f(inside) - f(np.zeros(features))
        total += abs(change - inside @ alpha)
    return total


@pytest.mark.parametrize("error", theorem.ERRORS)
@pytest.mark.parametrize("function", theorem.FUNCTIONS)
def test_no_other_attribution_does_better(function: str, error: str) -> None:
    features, generator = 6, np.random.default_rng(1)
    least, value = theorem.best(function, error, features)
    assert by_definition(function, error, np.full(features, float(value))) == pytest.approx(
        float(least)
    )
    for _ in range(200):
        alpha = float(value) + generator.normal(0, generator.choice([0.01, 0.1, 1.0]), features)
        assert by_definition(function, error, alpha) >= float(least) - 1e-9


def test_groups_make_no_error_and_single_features_do() -> None:
    for row in theorem.rows(10, 4):
        assert row["grouped_error"] == 0
        if row["function"] == "monomial":
            assert row["total_error"] >= 1


def test_growth_is_exponential_but_for_inserting_into_a_monomial() -> None:
    growth = {
        (row["function"], row["error"]): row["factor_a_feature"]
        for row in theorem.growth_rows(list(theorem.rows(16, 2)))
    }
    assert growth["monomial", "deletion"] == pytest.approx(1.93, abs=0.03)
    assert growth["monomial", "insertion"] == 1.0
    assert growth["binomial", "insertion"] == pytest.approx(math.sqrt(2), abs=1e-9)
    assert growth["binomial", "deletion"] > 1.9

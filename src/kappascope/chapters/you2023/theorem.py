"""How badly numbers for single features must fail, and groups need not (you2023).

For f on {0,1}^d, an attribution α of the input x = (1, ..., 1) and a subset S of its features,

    deletion error  |f(x) - f(x without S) - Σ_{i∈S} α_i|
    insertion error |f(S alone) - f(0) - Σ_{i∈S} α_i|

are added up over all subsets, and α is the best there is. The functions:

- ``monomial`` ∏ x_i: its deletion error grows exponentially with d. Its insertion error does not:
  α = 0 misses the full subset alone, by one.
- ``binomial``, the product of the first half plus the product of the second: both errors grow.

A sum of errors is convex in α, and permuting features that play the same role changes nothing, so
the mean over such permutations of a best α is best too: one number for the monomial and one for
the binomial (halves may be swapped), which leaves a function of one variable that is linear between
the points where a term vanishes. A linear program over all subsets finds the same.

A grouped attribution, groups G with scores c, stands for the sum over groups of which something is
deleted (all of which is inserted). One group a product, with score one, makes no error at all.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from kappascope.tables import Table

FUNCTIONS = ("monomial", "binomial")
ERRORS = ("deletion", "insertion")
GROWTH = Table(
    "you2023/theorem_growth.csv",
    "function × error",
    """function, error, from_features, to_features, factor_a_feature (of the total error),
    factor_of_a_subset (of the error a subset, of which every feature doubles the number)""",
)
THEOREM = Table(
    "you2023/theorem.csv",
    "function × error × features",
    """function (monomial, binomial), error (deletion, insertion), features, best_attribution (of
    each feature), total_error (over all subsets), error_a_subset, linear_program (the same by
    linear program; up to `you2023.theorem.program_features`), grouped_error (one group a
    product)""",
)


def products(function: str, features: int) -> list[tuple[int, ...]]:
    """Return the features of each product of a function."""
    if function == "monomial":
        return [tuple(range(features))]
    half = features // 2
    return [tuple(range(half)), tuple(range(half, features))]


def change(function: str, error: str, sizes: tuple[int, ...], chosen: tuple[int, ...]) -> int:
    """Return what deleting or inserting does to f.

    Parameters
    ----------
    sizes : features of each product.
    chosen : how many of each product's features the subset holds.

    """
    pairs = zip(sizes, chosen, strict=True)
    if error == "deletion":
        return sum(part > 0 for _, part in pairs)
    return sum(part == size for size, part in pairs)


def best(function: str, error: str, features: int) -> tuple[Fraction, Fraction]:
    """Return the least total error and the attribution of each feature that reaches it."""
    sizes = tuple(map(len, products(function, features)))
    terms = [
        (
            math.prod(math.comb(size, part) for size, part in zip(sizes, chosen, strict=True)),
            change(function, error, sizes, chosen),
            sum(chosen),
        )
        for chosen in itertools.product(*(range(size + 1) for size in sizes))
    ]

    def total(value: Fraction) -> Fraction:
        return sum(
            (many * abs(there - number * value) for many, there, number in terms), Fraction()
        )

    corners = {Fraction(there, number) for _, there, number in terms if number}
    return min((total(value), value) for value in corners)


def linear_program(function: str, error: str, features: int) -> float:
    """Return the least total error over all attributions, one number a feature, by linear program.

    Minimizes Σ_S t_S with -t_S ≤ change(S) - Σ_{i∈S} α_i ≤ t_S.
    """
    inside = np.array(list(itertools.product((0, 1), repeat=features)))
    parts = products(function, features)
    sizes = tuple(map(len, parts))
    there = np.array(
        [
            change(function, error, sizes, tuple(int(row[list(part)].sum()) for part in parts))
            for row in inside
        ]
    )
    subsets = scipy.sparse.csr_matrix(inside)
    slack = scipy.sparse.identity(len(inside), format="csr")
    bounds = scipy.sparse.bmat([[subsets, -slack], [-subsets, -slack]], format="csr")
    solved = scipy.optimize.linprog(
        np.concatenate([np.zeros(features), np.ones(len(inside))]),
        A_ub=bounds,
        b_ub=np.concatenate([there, -there]),
        bounds=[(None, None)] * features + [(0, None)] * len(inside),
        method="highs",
    )
    assert solved.success, solved.message
    return float(solved.fun)


def grouped_error(function: str, error: str, features: int) -> float:
    """Return the total error of one group a product with scores of one, from f of every subset."""
    inside = np.array(list(itertools.product((False, True), repeat=features)))
    parts = [list(part) for part in products(function, features)]

    def value(x: np.ndarray) -> np.ndarray:
        """Evaluate f for each row."""
        return np.sum([x[:, part].prod(1) for part in parts], 0)

    if error == "deletion":
        changed = value(np.ones_like(inside)) - value(~inside)
        attributed = np.sum([inside[:, part].any(1) for part in parts], 0)
    else:
        changed = value(inside) - value(np.zeros_like(inside))
        attributed = np.sum([inside[:, part].all(1) for part in parts], 0)
    return float(np.abs(changed - attributed).sum())


def rows(most: int, by_program: int) -> Iterator[dict[str, Any]]:
    """Yield the table: every function and error for 2 to ``most`` features.

    Parameters
    ----------
    by_program : largest number of features for which the linear program is solved too.

    """
    for function, error in itertools.product(FUNCTIONS, ERRORS):
        for features in range(2, most + 1):
            if function == "binomial" and features % 2:
                continue
            total, value = best(function, error, features)
            program = linear_program(function, error, features) if features <= by_program else None
            yield {
                "function": function,
                "error": error,
                "features": features,
                "best_attribution": float(value),
                "total_error": float(total),
                "error_a_subset": float(total) / 2**features,
                "linear_program": "" if program is None else program,
                "grouped_error": grouped_error(function, error, features),
            }


def growth_rows(table: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return by what factor each error grows with every feature, over the larger half of the table.

    An exponential has the same factor everywhere; 1 is no growth, 2 that of the number of subsets.
    The total counts subsets: a total that grows by less than 2 means an error a subset that falls.
    """
    rows = []
    for function, error in itertools.product(FUNCTIONS, ERRORS):
        selected = [row for row in table if (row["function"], row["error"]) == (function, error)]
        first, last = selected[len(selected) // 2], selected[-1]
        span = last["features"] - first["features"]
        factor = (last["total_error"] / first["total_error"]) ** (1 / span) if span else 1.0
        rows.append(
            {
                "function": function,
                "error": error,
                "from_features": first["features"],
                "to_features": last["features"],
                "factor_a_feature": factor,
                "factor_of_a_subset": factor / 2,
            }
        )
    return rows

"""Standard errors of shares and of anything else."""

import math
from collections.abc import Callable

import numpy as np

from kappascope import randomness

ROUNDING = 1e-5
"""An error smaller than this share of its value is what single precision makes of equal numbers."""


def is_scatter(value: float, error: float | None) -> bool:
    """Return whether an error says more than that numbers were rounded."""
    return error is not None and error > ROUNDING * abs(value)


def proportion_error(share: float, number: int) -> float:
    """Return the standard error of a share among ``number`` (Agresti & Coull 1998).

    Two successes and two failures are added: where all or none succeed the error is not zero.
    """
    shrunk = (share * number + 2) / (number + 4)
    return math.sqrt(shrunk * (1 - shrunk) / (number + 4))


def bootstrap_error(
    measure: Callable[[np.ndarray], float], number: int, seed: int, purpose: str, draws: int = 200
) -> float:
    """Return the standard deviation of a measure over draws with replacement.

    Parameters
    ----------
    measure : indices (number,) → the measure of these.
    purpose : what the numbers are drawn for.

    """
    draw = randomness.generator(seed, f"bootstrap of {purpose}")
    return float(np.std([measure(draw.integers(number, size=number)) for _ in range(draws)]))


def error_of_mean(values: np.ndarray) -> float:
    """Return the standard error of a mean; zero for a single value, which has no spread."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0

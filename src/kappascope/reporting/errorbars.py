"""Standard errors of shares and of anything else, in one place.

A single value has no spread: its error is not known, which is None (an empty cell), never zero.
"""

import math
from collections.abc import Callable, Sequence

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


def scatter(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the standard deviation of a sample; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_and_scatter(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return mean and standard deviation of the defined values, None where there are too few."""
    defined = np.array([value for value in values if math.isfinite(value)])
    mean = float(defined.mean()) if len(defined) else None
    return mean, scatter(defined)


def error_of_mean(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the standard error of a mean; None for fewer than two values."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def errors_of_means(values: np.ndarray) -> np.ndarray:
    """Return standard errors of means along the first axis, NaN of fewer than two values."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(0, ddof=1) / math.sqrt(len(values)))


def jackknife_errors(values: np.ndarray) -> np.ndarray:
    """Return standard errors from measurements that leave out one part each; NaN of fewer than two.

    Parameters
    ----------
    values : (part, ...), each without one of as many equal parts (Quenouille 1956; Tukey 1958).

    """
    number = len(values)
    if number < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(np.sqrt((number - 1) * values.var(0)))


def combined_errors(*errors: np.ndarray) -> np.ndarray:
    """Add independent errors in quadrature, as far as they are known; NaN where none is."""
    squares = np.square(np.stack(errors))
    unknown = np.isnan(squares).all(0)
    return np.where(unknown, np.nan, np.sqrt(np.nansum(squares, axis=0)))


def combined(*errors: float | None) -> float:
    """Add independent errors in quadrature, as far as they are known."""
    return math.hypot(*(error for error in errors if error is not None))

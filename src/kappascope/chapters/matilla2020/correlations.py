"""How much of the network's output the statistics explain (matilla2020 Fig. 3 and Eq. 5).

Everything is computed at fixed true parameters, one cosmology at a time, from testing maps, and
then averaged over cosmologies: what correlates is how output and statistic scatter from map to map.
Cosmologies share their light cones, so that the paper's error, the scatter over cosmologies over
the root of their number, is too small; here light cones are left out, a part of them at a time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.inference.measurements import Measurements
from kappascope.reporting.errorbars import combined_errors, errors_of_means, jackknife_errors
from kappascope.tables import Table

CORRELATIONS = Table(
    "matilla2020/correlations.csv",
    "data set × statistic × bin × output",
    "data_set, statistic, bin_centre, parameter, pearson, standard_error",
)
LINEAR_MODEL = Table(
    "matilla2020/linear_model.csv",
    "data set × sample × output × prediction",
    "data_set, sample (fitted, held_out), network, linear, pearson, standard_error",
)

FOLDS = 5
_PENALTIES = np.logspace(-2, 6, 33)  # of standardised statistics, in units of one map
_SHARE_OF_COSMOLOGIES = 0.5  # a bin that is constant in more cosmologies has no mean correlation


def pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of every column of one array with every column of another.

    Parameters
    ----------
    first : (map, a).
    second : (map, b).

    Returns
    -------
    (a, b), NaN for a column without variance.

    """
    return _standard(first).T @ _standard(second)


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    length = np.sqrt(np.sum(centred**2, axis=0))
    held = length > 1e-12 * np.sqrt(len(values)) * np.abs(values).max(axis=0)
    return centred / np.where(held, length, np.nan)


JACKKNIFE_PARTS = 8
"""Simulations, or light cones, are left out in so many equal parts."""


def average(values: np.ndarray) -> np.ndarray:
    """Average over cosmologies (matilla2020 Fig. 3).

    Parameters
    ----------
    values : (cosmology, ...), NaN where undefined.

    Returns
    -------
    (...), NaN where too few cosmologies are defined.

    """
    defined = np.isfinite(values)
    number = defined.sum(axis=0)
    enough = number >= max(2, _SHARE_OF_COSMOLOGIES * len(values))
    count = np.where(enough, number, np.nan)
    return np.asarray(np.where(defined, values, 0.0).sum(axis=0) / count)


def correlation_rows(measurements: Measurements) -> list[dict[str, Any]]:
    """Correlate the network's outputs with every bin of every statistic: ``correlations.csv``.

    With several networks, their correlations are averaged within each cosmology first.
    """
    rows = []
    for name, values in measurements.testing.items():
        mean, error = _averaged(measurements, values, lambda some, out: pearson(out, some))
        rows += [
            {
                "data_set": measurements.data_set,
                "statistic": name,
                "bin_centre": centre,
                "parameter": parameter,
                "pearson": mean[axis, index],
                "standard_error": error[axis, index],
            }
            for axis, parameter in enumerate(PARAMETERS)
            for index, centre in enumerate(measurements.bin_centres[name])
        ]
    return rows


def linear_model_rows(measurements: Measurements) -> list[dict[str, Any]]:
    """Correlate the network's outputs with a linear model's of all statistics (Eq. 5).

    ``fitted`` is the paper's: ordinary least squares, correlated on the very maps it was fitted
    on. With as many coefficients as maps that is close to 1 whatever the maps hold, so
    ``held_out`` is the number to read: ridge regression fitted on four fifths of the maps, its
    penalty chosen there too, correlated on the last fifth, averaged over the five.

    Returns
    -------
    Rows of ``linear_model.csv``.

    """
    statistics = np.concatenate(list(measurements.testing.values()), axis=1)
    rows = []
    for sample, correlate in (("fitted", _in_sample), ("held_out", _held_out)):
        mean, error = _averaged(measurements, statistics, correlate)
        rows += [
            {
                "data_set": measurements.data_set,
                "sample": sample,
                "network": actual,
                "linear": modelled,
                "pearson": mean[row, column],
                "standard_error": error[row, column],
            }
            for row, actual in enumerate(PARAMETERS)
            for column, modelled in enumerate(PARAMETERS)
        ]
    return rows


def _averaged(
    measurements: Measurements,
    values: np.ndarray,
    correlate: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Correlate values (map, bin) with each network's outputs: mean and standard error.

    The error is that over light cones (or simulations) and, of several networks, over networks.
    """
    units = measurements.testing_units[measurements.testing_realization]
    parts = min(int(units.max()) + 1, JACKKNIFE_PARTS)

    def of_networks(kept: np.ndarray) -> np.ndarray:
        """(network, ...) means over cosmologies of the maps kept (map,)."""
        some = [maps[kept[maps]] for maps in _by_cosmology(measurements)]
        return np.stack(
            [
                average(np.stack([correlate(values[maps], out[maps]) for maps in some]))
                for out in measurements.network_testing
            ]
        )

    networks = of_networks(np.ones(len(units), bool))
    without = [of_networks(units % parts != part).mean(0) for part in range(parts)]
    errors = jackknife_errors(np.stack(without)), errors_of_means(networks)
    return networks.mean(0), combined_errors(*errors)


def _by_cosmology(measurements: Measurements) -> list[np.ndarray]:
    home = measurements.testing_cosmology
    return [np.flatnonzero(home == index) for index in range(len(measurements.parameters))]


def _in_sample(statistics: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    scaled, centre = _scaled(statistics, statistics), outputs.mean(axis=0)
    coefficients = np.linalg.lstsq(scaled, outputs - centre, rcond=1e-10)[0]
    return pearson(outputs, scaled @ coefficients)


def _held_out(statistics: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    number = len(outputs)
    scores = []
    for fold in range(FOLDS):
        aside = np.arange(number) % FOLDS == fold
        learn, check = statistics[~aside], statistics[aside]
        coefficients = ridge(_scaled(learn, learn), outputs[~aside] - outputs[~aside].mean(axis=0))
        scores.append(pearson(outputs[aside], _scaled(check, learn) @ coefficients))
    return average(np.stack(scores))


def _scaled(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    deviation = reference.std(axis=0)
    held = deviation > 1e-12 * np.abs(reference).max(axis=0)
    return np.where(held, (values - reference.mean(axis=0)) / np.where(held, deviation, 1.0), 0.0)


def ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fit a linear model with the quadratic penalty that generalised cross-validation prefers.

    Parameters
    ----------
    features : (map, bin), centred.
    targets : (map, output), centred.

    Returns
    -------
    (bin, output) coefficients; each output has a penalty of its own.

    """
    left, singular, right = np.linalg.svd(features, full_matrices=False)
    projected = left.T @ targets
    beyond = np.sum(targets**2, axis=0) - np.sum(projected**2, axis=0)
    shrink = singular**2 / (singular**2 + _PENALTIES[:, None])  # (penalty, mode)
    residual = np.einsum("pm,mo->po", (1.0 - shrink) ** 2, projected**2) + beyond
    freedom = len(features) - 1.0 - shrink.sum(axis=1)
    score = residual / freedom[:, None] ** 2  # Golub, Heath and Wahba 1979
    best = shrink[np.argmin(score, axis=0)].T  # (mode, output)
    safe = np.where(singular > 0, singular, 1.0)[:, None]
    return right.T @ (best * projected / safe)

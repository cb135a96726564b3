"""How well a network recovers the parameters of maps it never saw, ours and the published one."""

import os
import zipfile
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.chapters.matilla2020.table1 import combined_error
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.inference.likelihood import weighted_covariance
from kappascope.inference.measurements import FIDUCIAL_TOLERANCE, Measurements
from kappascope.tables import Table

ACCURACY = Table(
    "matilla2020/network_accuracy.csv, published_network_accuracy.csv",
    "source × data set × parameter",
    """source (ours, published_network), data_set, parameter, rmse, rmse_error, r2,
    scatter_fiducial, scatter_error, bias_fiducial""",
)


def accuracy_rows(
    source: str, measurements: Measurements, *, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Summarise a network's errors on the testing split: rows of ``network_accuracy.csv``.

    Parameters
    ----------
    source : ``ours`` or ``published_network``.
    measurements : holds the network's outputs.
    bootstrap : number of resamplings behind the errors.
    seed : ``seed`` of the config.

    Returns
    -------
    One row a parameter, in its own units. ``scatter_fiducial`` is the standard deviation over maps
    of the fiducial cosmology.

    """
    outputs = measurements.network_testing
    truth = measurements.parameters[measurements.testing_cosmology]
    at_fiducial = measurements.testing_cosmology == measurements.fiducial
    realization = measurements.testing_realization

    def measure(weights: np.ndarray) -> np.ndarray:
        return np.stack([_measure(each, truth, at_fiducial, weights) for each in outputs])

    nominal = measure(np.ones(len(truth)))  # (network seed, quantity, 2)
    resampled = []
    for number in range(bootstrap):
        draws = randomness.generator(seed, "bootstrap network accuracy", number)
        resampled.append(measure(draws.exponential(size=measurements.realizations)[realization]))
    error = combined_error(nominal, np.array(resampled).reshape(-1, *nominal.shape))
    mean = nominal.mean(axis=0)
    return [
        {
            "source": source,
            "data_set": measurements.data_set,
            "parameter": name,
            "rmse": mean[0, axis],
            "rmse_error": error[0, axis],
            "r2": mean[1, axis],
            "scatter_fiducial": mean[2, axis],
            "scatter_error": error[2, axis],
            "bias_fiducial": mean[3, axis],
        }
        for axis, name in enumerate(PARAMETERS)
    ]


def _measure(
    outputs: np.ndarray, truth: np.ndarray, at_fiducial: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    error = outputs - truth
    squared = np.average(error**2, axis=0, weights=weights)
    spread = truth - np.average(truth, axis=0, weights=weights)
    r2 = 1.0 - squared / np.average(spread**2, axis=0, weights=weights)
    there = weights[at_fiducial]
    scatter = np.sqrt(np.diag(weighted_covariance(outputs[at_fiducial], there)))
    bias = np.average(error[at_fiducial], axis=0, weights=there)
    return np.stack([np.sqrt(squared), r2, scatter, bias])


PUBLISHED_DEG2 = 12.25
"""Sky area of a published map (matilla2020 §II)."""


def load_published(
    path: str | os.PathLike[str], omega_matter: float, sigma_8: float
) -> Measurements:
    """Read the outputs of the network of Ribli et al. (2019) on noiseless 3.5° test maps.

    Parameters
    ----------
    path : ``.npz`` with ``true`` and ``pred``, (map, 2) each, in the parameters' own units.
    omega_matter, sigma_8 : the fiducial cosmology.

    Returns
    -------
    Measurements without any statistic. The file holds one set of maps, so those of the fiducial
    cosmology serve for its mean and for the covariance; every map is a realization of its own.

    """
    try:
        with np.load(path) as arrays:
            truth, outputs = arrays["true"].astype(float), arrays["pred"].astype(float)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; set KAPPASCOPE_REAL_DATA to the folder that holds the "
            "published network's outputs"
        ) from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as an .npz with arrays 'true' and 'pred'; fetch it again"
        ) from error
    if truth.shape != outputs.shape or truth.ndim != 2 or truth.shape[1] != 2:
        raise InputError(f"{path}: 'true' and 'pred' must both be (map, 2); fetch it again")
    parameters, cosmology = np.unique(truth, axis=0, return_inverse=True)
    cosmology = cosmology.reshape(-1)
    near = np.abs(parameters - [omega_matter, sigma_8]).max(axis=1) < FIDUCIAL_TOLERANCE
    if near.sum() != 1:
        raise InputError(
            f"{path}: holds no maps of the fiducial cosmology ({omega_matter:g}, {sigma_8:g}); "
            "correct cosmology.fiducial"
        )
    fiducial = int(np.flatnonzero(near)[0])
    order = np.argsort(cosmology, kind="stable")
    return Measurements(
        data_set="noiseless",
        parameters=parameters,
        cosmology=np.arange(len(parameters)),
        fiducial=fiducial,
        testing={},
        testing_cosmology=cosmology[order],
        testing_realization=np.arange(len(order)),
        testing_box=np.arange(len(order)),
        map_deg2=PUBLISHED_DEG2,
        covariance={},
        covariance_box=np.arange(int((cosmology == fiducial).sum())),
        network_testing=outputs[order][None],
        network_covariance=outputs[cosmology == fiducial][None],
        bin_centres={},
    )

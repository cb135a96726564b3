"""Whether the constraints can be trusted: interpolation and convergence (matilla2020 App. A).

Leave-one-out errors of the network's emulator, contours from emulators with cosmologies left out
(Fig. 7) and from three disjoint thirds of the covariance maps (§III).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.chapters.matilla2020.table1 import (
    COMBINED,
    NETWORK,
    DataVectors,
    Moments,
    Settings,
    bootstrap_weights,
    combined_error,
    jackknife_weights,
    moments,
)
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.inference import credible
from kappascope.inference.credible import CREDIBILITIES
from kappascope.inference.emulator import Emulator
from kappascope.inference.likelihood import likelihood, weighted_covariance
from kappascope.reporting.errorbars import combined_errors, errors_of_means, jackknife_errors
from kappascope.tables import Table

logger = logging.getLogger(__name__)

EMULATORS = ("all", "without_fiducial", "half")
LEAVE_ONE_OUT = Table(
    "matilla2020/leave_one_out.csv, published_network_leave_one_out.csv",
    "data set × cosmology × parameter",
    """data_set, cosmology, omega_matter, sigma_8, parameter, error_percent (against the network's
    own output), error_from_truth_percent, standard_error_percent (of the latter, over realizations
    and networks), on_hull, distance_to_fiducial""",
)
EMULATOR_CHECK = Table(
    "matilla2020/emulator_check.csv",
    "data set × emulator × credibility",
    "data_set, emulator (all, without_fiducial, half), credibility, area, error",
)
THIRDS = Table(
    "matilla2020/covariance_convergence.csv",
    "data set × third × credibility",
    "data_set, third, credibility, area",
)

_TRIES = 1000


def leave_one_out(parameters: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate at each cosmology from all the others.

    Parameters
    ----------
    parameters : (cosmology, 2).
    values : (cosmology, value) at the cosmologies.

    Returns
    -------
    (cosmology, value); NaN on the hull, where nothing can be interpolated without the node itself.

    """
    predicted = np.full(values.shape, np.nan)
    for index in np.setdiff1d(np.arange(len(parameters)), Emulator(parameters).hull):
        others = np.delete(np.arange(len(parameters)), index)
        predicted[index] = Emulator(parameters[others]).predict(values[others], *parameters[index])
    return predicted


def leave_one_out_rows(vectors: DataVectors) -> list[dict[str, Any]]:
    """Interpolate the networks' mean outputs at each cosmology from all others.

    Returns
    -------
    Rows of ``leave_one_out.csv``, averaged over networks. ``error_percent`` compares the
    interpolated output with the network's own there: the error of the interpolation.
    ``error_from_truth_percent`` compares it with the true parameter, as matilla2020 Appendix A
    does, so it holds the network's bias too; its standard error is that of a jackknife over
    realizations, which all cosmologies share, and of the mean over networks. All are NaN on the
    hull. ``distance_to_fiducial`` is that of the parameters in units of the fiducial ones.

    """
    measurements = vectors.measurements
    parameters, outputs = measurements.parameters, measurements.network_testing
    means = [measurements.averaging() @ each for each in outputs]
    jackknifed = [
        measurements.averaging(kept) @ outputs.mean(0)
        for kept, _ in jackknife_weights(vectors)[0]
        if kept is not None
    ]
    # All of them at once: each cosmology's emulator is made only once.
    every = leave_one_out(parameters, np.concatenate([*means, *jackknifed], axis=1))
    parts = np.stack(np.split(every, len(means) + len(jackknifed), axis=1))
    predicted, without = parts[: len(means)], parts[len(means) :]
    spread = combined_errors(jackknife_errors(without), errors_of_means(predicted))
    ratios = zip(predicted, means, strict=True)
    from_network = 100.0 * np.mean([each / mean - 1.0 for each, mean in ratios], axis=0)
    from_truth = 100.0 * (np.mean(predicted, axis=0) / parameters - 1.0)
    fiducial = parameters[measurements.fiducial]
    return [
        {
            "data_set": measurements.data_set,
            "cosmology": int(measurements.cosmology[index]),
            "omega_matter": point[0],
            "sigma_8": point[1],
            "parameter": name,
            "error_percent": from_network[index, axis],
            "error_from_truth_percent": from_truth[index, axis],
            "standard_error_percent": 100.0 * spread[index, axis] / point[axis],
            "on_hull": bool(np.isnan(from_network[index, axis])),
            "distance_to_fiducial": float(np.hypot(*(point / fiducial - 1.0))),
        }
        for index, point in enumerate(parameters)
        for axis, name in enumerate(PARAMETERS)
    ]


def half_of(parameters: np.ndarray, fiducial: int, seed: int) -> np.ndarray:
    """Choose half the cosmologies at random, such that the fiducial one lies inside their hull.

    Parameters
    ----------
    parameters : (cosmology, 2).
    fiducial : index of the fiducial cosmology.
    seed : ``seed`` of the config.

    Returns
    -------
    (cosmology // 2,) sorted indices.

    """
    number = len(parameters) // 2
    for attempt in range(_TRIES):
        draws = randomness.generator(seed, "half of the cosmologies", attempt)
        chosen = np.sort(draws.choice(len(parameters), number, replace=False))
        if number >= 4 and Emulator(parameters[chosen]).contains(parameters[[fiducial]])[0]:
            return chosen
    raise InputError(
        f"cosmology.number: no half of the {len(parameters)} cosmologies surrounds the fiducial "
        "one, so the emulator cannot be checked; simulate more"
    )


@dataclass(frozen=True)
class EmulatorCheck:
    """Contours of the network from one choice of cosmologies.

    Attributes
    ----------
    kept : (kept cosmology,) indices.
    areas : (seed, credibility).
    resampled : (bootstrap, seed, credibility).
    picture : as in :class:`kappascope.chapters.matilla2020.table1.Constraint`.

    """

    kept: np.ndarray
    areas: np.ndarray
    resampled: np.ndarray
    picture: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def emulator_checks(vectors: DataVectors, settings: Settings) -> dict[str, EmulatorCheck]:
    """Measure the network's contours with every, all but the fiducial and half the cosmologies."""
    network = DataVectors(vectors.measurements.select([]), ())
    parameters = network.measurements.parameters
    fiducial = network.measurements.fiducial
    everything = np.arange(len(parameters))
    choices = {
        "all": everything,
        "without_fiducial": np.delete(everything, fiducial),
        "half": half_of(parameters, fiducial, settings.seed),
    }
    drawn = [
        moments(network, settings, bootstrap_weights(network, settings, number))
        for number in range(settings.bootstrap)
    ]
    nominal = moments(network, settings)
    return {name: _check(network, kept, nominal, drawn, settings) for name, kept in choices.items()}


def _check(
    vectors: DataVectors,
    kept: np.ndarray,
    nominal: Moments,
    drawn: Sequence[Moments],
    settings: Settings,
) -> EmulatorCheck:
    emulator = Emulator(vectors.measurements.parameters[kept])
    areas, resampled, pictures = [], [], []
    for seed in vectors.seeds(NETWORK):
        columns = vectors.select(NETWORK, seed)

        def of(sample_moments: Moments, columns: np.ndarray = columns) -> credible.LogPosterior:
            return likelihood(
                sample_moments.means[np.ix_(kept, columns)],
                sample_moments.means[vectors.measurements.fiducial, columns],
                sample_moments.covariance[np.ix_(columns, columns)],
                maps=len(vectors.covariance),
                kind=settings.likelihood,
                scatter=sample_moments.scatter[:, kept][..., columns],
            )

        log_posterior = of(nominal)
        cells = credible.refine(emulator, log_posterior, grid=settings.grid)
        regions = credible.regions(emulator, cells, log_posterior)
        areas.append([region.area for region in regions])
        resampled.append([credible.areas(cells, of(draw)) for draw in drawn])
        peak = log_posterior(cells.weights).max()
        borders = np.round([region.threshold - peak for region in regions], 5)
        pictures.append((*credible.picture(emulator, cells, log_posterior), borders))
    shape = (len(areas), len(drawn), len(CREDIBILITIES))
    return EmulatorCheck(
        kept,
        np.array(areas),
        np.array(resampled).reshape(shape).transpose(1, 0, 2),
        pictures[0],
    )


def emulator_check_rows(data_set: str, checks: Mapping[str, EmulatorCheck]) -> list[dict[str, Any]]:
    """Rows of ``emulator_check.csv``."""
    return [
        {
            "data_set": data_set,
            "emulator": name,
            "credibility": credibility,
            "area": check.areas[:, index].mean(),
            "error": combined_error(check.areas, check.resampled)[index],
        }
        for name, check in checks.items()
        for index, credibility in enumerate(CREDIBILITIES)
    ]


def emulator_check_pictures(
    vectors: DataVectors, checks: Mapping[str, EmulatorCheck]
) -> dict[str, np.ndarray]:
    """Arrays for Fig. 7, named as in :func:`kappascope.chapters.matilla2020.table1.pictures`.

    Each emulator also has ``{emulator}/kept``, indices into ``parameters``.
    """
    measurements = vectors.measurements
    arrays = {
        "parameters": measurements.parameters,
        "fiducial": measurements.parameters[measurements.fiducial],
        "credibilities": np.array(CREDIBILITIES),
    }
    for name, check in checks.items():
        parts = ("omega_matter", "sigma_8", "log_posterior", "borders")
        arrays[f"{name}/kept"] = check.kept
        for part, value in zip(parts, check.picture, strict=True):
            arrays[f"{name}/{part}"] = value
    return arrays


def covariance_convergence(
    vectors: DataVectors, emulator: Emulator, settings: Settings
) -> list[dict[str, Any]]:
    """Constrain with ``All`` from each of three disjoint thirds of the covariance simulations.

    No box serves two thirds, as long as there are three.

    Returns
    -------
    Rows of ``covariance_convergence.csv``; the areas are NaN where a third holds too few maps for
    the length of the data vector.

    """
    data_set = vectors.measurements.data_set
    nominal = moments(vectors, settings)
    columns = vectors.select(COMBINED, 0)
    means = nominal.means[:, columns]
    rows = []
    units = vectors.measurements.covariance_units
    thirds = np.array_split(np.unique(units), 3)
    for third, chosen in enumerate(thirds, start=1):
        maps = vectors.covariance[np.ix_(np.isin(units, chosen), columns)]
        areas = np.full(len(CREDIBILITIES), np.nan)
        varies = maps.std(axis=0) > 0
        if len(maps) > varies.sum() + 2:
            log_posterior = likelihood(
                means[:, varies],
                means[vectors.measurements.fiducial, varies],
                weighted_covariance(maps[:, varies]) / settings.maps_of_sky,
                maps=len(maps),
                kind=settings.likelihood,
                scatter=nominal.scatter[..., columns[varies]],
            )
            cells = credible.refine(emulator, log_posterior, grid=settings.grid)
            areas = credible.areas(cells, log_posterior)
        else:
            logger.warning(
                "%s: a third of the covariance maps is %d maps, too few for %d bins: convergence "
                "is not tested; raise maps.covariance", data_set, len(maps), len(columns),
            )  # fmt: skip
        rows += [
            {"data_set": data_set, "third": third, "credibility": credibility, "area": area}
            for credibility, area in zip(CREDIBILITIES, areas, strict=True)
        ]
    return rows

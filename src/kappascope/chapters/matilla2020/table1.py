"""Credible areas of every data vector, with and without the network (matilla2020 Table I).

The observed vector is the mean at the fiducial cosmology, so each contour is the one expected of
as many maps as make the sky area asked for, whose covariance is that of one map over their number.
Errors come from a Bayesian bootstrap (Rubin 1981) over simulations: random weights instead of
draws with replacement, so that none ever drops out and the covariance keeps its rank. Covariance
maps of one box share its weight, and so do testing maps of one box, or of one light cone where
there are few boxes; the same in every cosmology, because their maps share their random phases and
shifts. Every data vector sees the same weights. A jackknife that leaves out one box at a time goes
beside it. Noise in the means of cosmologies, which would count as information, is taken off chi
squared (:meth:`kappascope.inference.likelihood.Likelihood.chi_squared`).
"""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.chapters.matilla2020.config import Constraints
from kappascope.inference import credible, mcmc
from kappascope.inference.credible import CREDIBILITIES, Cells
from kappascope.inference.emulator import Emulator
from kappascope.inference.likelihood import (
    Likelihood,
    kept_bins,
    likelihood,
    weighted_covariance,
)
from kappascope.inference.measurements import Measurements
from kappascope.reporting.errorbars import combined, error_of_mean, jackknife_errors
from kappascope.tables import Table

logger = logging.getLogger(__name__)

NETWORK = "DNN"
COMBINED = "All"
TABLE1_STATISTICS = ("PS", "PC", "V0", "V1", "V2", COMBINED)

AREAS = Table(
    "matilla2020/areas.csv, published_network_areas.csv",
    "data set × credibility × data vector",
    """data_set, credibility, data_vector (DNN, PS, PS+DNN, ...), area (for the sky area asked for),
    error, area_mcmc, hull_touched (cut by the edge of the simulated cosmologies: a lower limit),
    sky_deg2, area_of_map (for the sky area of one map), emulator_noise (area if noise in the
    emulator's means were left in, over area: information that is none makes it smaller)""",
)
CHANGES = Table(
    "matilla2020/table1.csv, beyond_the_paper.csv (statistics that the paper does not have)",
    "data set × credibility × statistic",
    """data_set, credibility (68, 95), statistic (PS, PC, V0, V1, V2, All), area_change_percent,
    error_percent, jackknife_percent (the same error, leaving out one simulation at a time),
    area_without, area_with, error_without, error_with, network_seeds, sign, limit (upper: the area
    without the network is cut by the edge of the simulated cosmologies, so that the true change is
    below), change_of_map_percent (for the sky area of one map)""",
)
DROPPED_BINS = Table(
    "matilla2020/dropped_bins.csv",
    "data set × statistic × bin that no data vector holds",
    "data_set, statistic, bin (from 0), bin_centre",
)

BOOTSTRAP_DEPTH = 20.0
"""Log-posterior below the peak that is kept: a resampled one is wider or lies beside it."""


@dataclass(frozen=True)
class Settings:
    """Options of the constraints; see ``constraints`` in ``config/README.md``.

    ``maps_of_sky``: maps that make the sky area contours are for; ``map_deg2``: sky area of one.
    """

    likelihood: str = "gaussian"
    grid: int = 200
    bootstrap: int = 100
    mcmc_steps: int = 2000
    mcmc_walkers: int = 32
    seed: int = 0
    maps_of_sky: float = 1.0
    map_deg2: float = math.nan

    @classmethod
    def of(cls, section: Constraints, seed: int, map_deg2: float = math.nan) -> "Settings":
        """Take the options from the config; without ``sky_deg2`` contours are those of one map."""
        options = section.model_dump()
        maps = maps_of_sky(options.pop("sky_deg2"), map_deg2)
        return cls(**options, seed=seed, maps_of_sky=maps, map_deg2=map_deg2)


def maps_of_sky(sky_deg2: float | None, map_deg2: float) -> float:
    """Return how many maps make the sky area that contours are for; 1 where neither is known."""
    return sky_deg2 / map_deg2 if sky_deg2 is not None and math.isfinite(map_deg2) else 1.0


class DataVectors:
    """All bins of all statistics and networks side by side, and which belong to a data vector.

    Arguments
    ---------
    measurements : what was measured.
    combined : statistics that make up ``All``.
    """

    def __init__(self, measurements: Measurements, combined: Sequence[str]) -> None:
        self.measurements = measurements
        self.combined = tuple(combined)
        self.kept = kept_bins(measurements.covariance, list(measurements.covariance))
        self.columns: dict[str, np.ndarray] = {}
        testing, covariance, width = [], [], 0
        for name, bins in self.kept.items():
            testing.append(measurements.testing[name][:, bins])
            covariance.append(measurements.covariance[name][:, bins])
            self.columns[name] = np.arange(width, width + len(bins))
            width += len(bins)
        for seed in range(measurements.seeds):
            testing.append(measurements.network_testing[seed])
            covariance.append(measurements.network_covariance[seed])
            self.columns[f"{NETWORK}/{seed}"] = np.arange(width, width + 2)
            width += 2
        self.testing = np.concatenate(testing, axis=1)
        self.covariance = np.concatenate(covariance, axis=1)

    @property
    def statistics(self) -> list[str]:
        """Statistics by their labels, ``All`` last; empty where only the network was measured."""
        return [*self.kept, COMBINED] if self.kept else []

    @property
    def names(self) -> list[str]:
        """Every data vector: the network, each statistic, and each with the network."""
        pairs = [[name, f"{name}+{NETWORK}"] for name in self.statistics]
        return [NETWORK, *(name for pair in pairs for name in pair)]

    def seeds(self, name: str) -> range:
        """Network seeds that a data vector is made with; one where it holds no network."""
        return range(self.measurements.seeds if NETWORK in name.split("+") else 1)

    def select(self, name: str, seed: int) -> np.ndarray:
        """Columns of one data vector, (bin,)."""
        parts: list[str] = []
        for part in name.split("+"):
            if part == COMBINED:
                parts.extend(self.combined)
            else:
                parts.append(f"{NETWORK}/{seed}" if part == NETWORK else part)
        return np.concatenate([self.columns[part] for part in parts])

    def dropped(self) -> list[dict[str, Any]]:
        """Rows of the bins left out because they hold no signal, also told to the log."""
        rows = []
        for name, bins in self.kept.items():
            centres = self.measurements.bin_centres[name]
            gone = np.setdiff1d(np.arange(len(centres)), bins)
            if gone.size:
                positions = ", ".join(f"{centres[index]:.4g}" for index in gone)
                logger.warning(
                    "%s: %d bins of %s hold no signal and are left out (at %s)",
                    self.measurements.data_set, gone.size, name, positions,
                )  # fmt: skip
            rows += [
                {
                    "data_set": self.measurements.data_set,
                    "statistic": name,
                    "bin": int(index),
                    "bin_centre": centres[index],
                }
                for index in gone
            ]
        return rows


@dataclass(frozen=True)
class Moments:
    """Means and covariance of every column, of the maps as they are or of a bootstrap.

    Attributes
    ----------
    means : (cosmology, column).
    covariance : (column, column).
    scatter : (unit, cosmology, column) by how much each simulation moves the means, less how it
        moves the fiducial one's.

    """

    means: np.ndarray
    covariance: np.ndarray
    scatter: np.ndarray


Weights = tuple[np.ndarray | None, np.ndarray | None]
"""Of testing realizations and of covariance maps; None for equal ones."""

EQUAL: Weights = (None, None)


def bootstrap_weights(vectors: DataVectors, settings: Settings, number: int) -> Weights:
    """Draw weights of simulations, the same for all their maps.

    Gamma variates of shape (n - 2)/n, with which the variance of a weighted mean of n is, on
    average, that of the mean; exponential ones, of shape 1, fall short by (n - 1)/(n + 1).
    """
    drawn = []
    for purpose, units in (
        ("bootstrap realizations", vectors.measurements.testing_units),
        ("bootstrap covariance maps", vectors.measurements.covariance_units),
    ):
        draws = randomness.generator(settings.seed, purpose, number)
        many = units.max() + 1
        drawn.append(draws.gamma(max(many - 2, 1) / many, size=many)[units])
    return drawn[0], drawn[1]


JACKKNIFE_PARTS = 16
"""Simulations, or light cones, are left out in at most so many equal parts."""


def jackknife_weights(vectors: DataVectors) -> tuple[list[Weights], list[Weights]]:
    """Return weights that leave out one part of the testing simulations, and of the others each."""
    parts: tuple[list[Weights], list[Weights]] = ([], [])
    measurements = vectors.measurements
    for place, units in enumerate((measurements.testing_units, measurements.covariance_units)):
        number = min(units.max() + 1, JACKKNIFE_PARTS)
        for part in range(number if number > 1 else 0):
            weights: list[np.ndarray | None] = [None, None]
            weights[place] = np.where(units % number == part, 0.0, 1.0)
            parts[place].append((weights[0], weights[1]))
    return parts


def moments(vectors: DataVectors, settings: Settings, weights: Weights = EQUAL) -> Moments:
    """Average the maps; the covariance is that of the mean of ``settings.maps_of_sky`` maps."""
    of_realizations, of_maps = weights
    measurements = vectors.measurements
    scatter = measurements.scatter(vectors.testing, of_realizations)
    return Moments(
        measurements.averaging(of_realizations) @ vectors.testing,
        weighted_covariance(vectors.covariance, of_maps) / settings.maps_of_sky,
        scatter - scatter[:, [measurements.fiducial]],
    )


def posterior(
    vectors: DataVectors,
    sample_moments: Moments,
    name: str,
    seed: int,
    kind: str = "gaussian",
    *,
    corrected: bool = True,
) -> Likelihood:
    """Return the posterior expected of data vector ``name`` with network ``seed``.

    ``corrected=False`` leaves noise in the means in.
    """
    columns = vectors.select(name, seed)
    means = sample_moments.means[:, columns]
    return likelihood(
        means,
        means[vectors.measurements.fiducial],
        sample_moments.covariance[np.ix_(columns, columns)],
        maps=len(vectors.covariance),
        kind=kind,
        scatter=sample_moments.scatter[..., columns] if corrected else None,
    )


@dataclass(frozen=True)
class Constraint:
    """Credible areas of one data vector.

    Attributes
    ----------
    areas : (seed, credibility).
    resampled : (bootstrap, seed, credibility).
    jackknifed : (part, seed, credibility) without each part of the testing simulations, and the
        same of those for the covariance.
    uncorrected : (seed, credibility) with noise in the emulator's means left in.
    of_map : (seed, credibility) for the sky area of one map.
    mcmc : (seed, credibility), NaN where it was not asked for.
    hull_touched : (credibility,).
    picture : omega_matter (x,), sigma_8 (y,), log-posterior below its peak (y, x) and the same on
        the borders (credibility,), of the first network.

    """

    areas: np.ndarray
    resampled: np.ndarray
    jackknifed: tuple[np.ndarray, np.ndarray]
    uncorrected: np.ndarray
    of_map: np.ndarray
    mcmc: np.ndarray
    hull_touched: np.ndarray
    picture: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    @property
    def area(self) -> np.ndarray:
        """Mean over network seeds, (credibility,)."""
        return self.areas.mean(axis=0)

    @property
    def error(self) -> np.ndarray:
        """Standard error of :attr:`area`, (credibility,)."""
        return combined_error(self.areas, self.resampled)


def combined_error(each: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """Add the bootstrap's scatter and that between network seeds in quadrature.

    Parameters
    ----------
    each : (seed, ...) one value a network seed.
    resampled : (bootstrap, seed, ...).

    Returns
    -------
    (...), the standard error of the mean over seeds; NaN without bootstrap and with one seed.

    """
    if len(resampled) < 2 and len(each) < 2:
        return np.full(each.shape[1:], np.nan)
    variance = np.zeros(each.shape[1:])
    if len(resampled) > 1:
        variance = resampled.mean(axis=1).var(axis=0, ddof=1)
    if len(each) > 1:
        variance = variance + each.var(axis=0, ddof=1) / len(each)
    return np.sqrt(variance)


def constrain(
    vectors: DataVectors,
    emulator: Emulator,
    settings: Settings,
    names: Sequence[str] | None = None,
) -> dict[str, Constraint]:
    """Measure the credible areas of every data vector of one data set, or of those named.

    Returns
    -------
    Data vector -> constraint, in the order of ``names``.

    """
    nominal = moments(vectors, settings)
    of_map = moments(vectors, dataclasses.replace(settings, maps_of_sky=1.0))
    names = vectors.names if names is None else names
    pairs = [(name, seed) for name in names for seed in vectors.seeds(name)]
    coarse: dict[tuple[str, int], Cells] = {}
    single = {}
    for order, (name, seed) in enumerate(pairs):
        log_posterior = posterior(vectors, nominal, name, seed, settings.likelihood)
        cells = credible.refine(emulator, log_posterior, grid=settings.grid)
        coarse[name, seed] = credible.refine(
            emulator, log_posterior, grid=max(settings.grid // 2, 16), depth=BOOTSTRAP_DEPTH
        )
        alone = posterior(vectors, of_map, name, seed, settings.likelihood)
        wide = credible.refine(emulator, alone, grid=settings.grid)
        one = _one(emulator, cells, log_posterior, settings, order)
        kind = settings.likelihood
        plain = posterior(vectors, nominal, name, seed, kind, corrected=False)
        single[name, seed] = (*one, credible.areas(wide, alone), credible.areas(cells, plain))
    drawn = [bootstrap_weights(vectors, settings, b) for b in range(settings.bootstrap)]
    without = jackknife_weights(vectors)
    resampled = _resampled(vectors, coarse, settings, drawn)
    jackknifed = [_resampled(vectors, coarse, settings, weights) for weights in without]
    constraints = {}
    for name in names:
        seeds = vectors.seeds(name)
        constraints[name] = Constraint(
            areas=np.stack([single[name, seed][0] for seed in seeds]),
            resampled=_stacked(resampled, name, seeds),
            jackknifed=(_stacked(jackknifed[0], name, seeds), _stacked(jackknifed[1], name, seeds)),
            uncorrected=np.stack([single[name, seed][5] for seed in seeds]),
            of_map=np.stack([single[name, seed][4] for seed in seeds]),
            mcmc=np.stack([single[name, seed][1] for seed in seeds]),
            hull_touched=np.any([single[name, seed][2] for seed in seeds], axis=0),
            picture=single[name, 0][3],
        )
        _tell(vectors.measurements.data_set, name, constraints[name])
    return constraints


def _one(
    emulator: Emulator, cells: Cells, log_posterior: Likelihood, settings: Settings, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    regions = credible.regions(emulator, cells, log_posterior)
    areas = np.array([region.area for region in regions])
    touched = np.array([region.hull_touched for region in regions])
    sampled = np.full(len(CREDIBILITIES), np.nan)
    if settings.mcmc_steps:
        _, values = mcmc.sample(
            emulator,
            cells,
            log_posterior,
            steps=settings.mcmc_steps,
            walkers=settings.mcmc_walkers,
            seed=settings.seed,
            purpose="constraints",
            index=order,
        )
        sampled = mcmc.areas(cells, log_posterior, values)
    peak = log_posterior(cells.weights).max()
    borders = np.round([region.threshold - peak for region in regions], 5)
    return areas, sampled, touched, (*credible.picture(emulator, cells, log_posterior), borders)


def _stacked(
    areas: Mapping[tuple[str, int], np.ndarray], name: str, seeds: Sequence[int]
) -> np.ndarray:
    return np.stack([areas[name, seed] for seed in seeds], axis=1)


def _resampled(
    vectors: DataVectors,
    coarse: Mapping[tuple[str, int], Cells],
    settings: Settings,
    weighted: Sequence[Weights],
) -> dict[tuple[str, int], np.ndarray]:
    """Measure areas anew for each weighting, (weighting, credibility)."""
    areas: dict[tuple[str, int], list[np.ndarray]] = {pair: [] for pair in coarse}
    for weights in weighted:
        drawn = moments(vectors, settings, weights)
        for (name, seed), cells in coarse.items():
            log_posterior = posterior(vectors, drawn, name, seed, settings.likelihood)
            areas[name, seed].append(credible.areas(cells, log_posterior))
    empty = np.zeros((0, len(CREDIBILITIES)))
    return {pair: np.array(values) if values else empty for pair, values in areas.items()}


def _tell(data_set: str, name: str, constraint: Constraint) -> None:
    for index, credibility in enumerate(CREDIBILITIES):
        if constraint.hull_touched[index]:
            logger.warning(
                "%s: the %d %% region of %s reaches the edge of the simulated cosmologies; its "
                "area is a lower limit", data_set, credibility, name,
            )  # fmt: skip
        grid, sampled = constraint.area[index], constraint.mcmc[:, index].mean()
        if abs(sampled / grid - 1.0) > 0.05:
            logger.warning(
                "%s: the %d %% area of %s is %.3g from the grid and %.3g from emcee; raise "
                "matilla2020.constraints.grid or matilla2020.constraints.mcmc_steps",
                data_set, credibility, name, grid, sampled,
            )  # fmt: skip


def area_rows(
    data_set: str, constraints: Mapping[str, Constraint], settings: Settings
) -> list[dict[str, Any]]:
    """Rows of ``areas.csv``."""
    return [
        {
            "data_set": data_set,
            "credibility": credibility,
            "data_vector": name,
            "area": constraint.area[index],
            "error": constraint.error[index],
            "area_mcmc": constraint.mcmc[:, index].mean(),
            "hull_touched": bool(constraint.hull_touched[index]),
            "sky_deg2": settings.maps_of_sky * settings.map_deg2,
            "area_of_map": constraint.of_map[:, index].mean(),
            "emulator_noise": constraint.uncorrected[:, index].mean() / constraint.area[index],
        }
        for index, credibility in enumerate(CREDIBILITIES)
        for name, constraint in constraints.items()
    ]


def change_rows(
    data_set: str, constraints: Mapping[str, Constraint], statistics: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of ``table1.csv``: the change in area when the network's output is added.

    Data can only shrink an expected contour, but for noise in what is expected, so ``sign`` is
    ``negative`` or says whether a positive change stays within its error
    (``positive_within_error``: noise) or not (``positive_beyond_error``: noise in the emulator's
    means, or a bug).
    """
    rows = []
    for index, credibility in enumerate(CREDIBILITIES):
        for name in statistics:
            without, joined = constraints[name], constraints[f"{name}+{NETWORK}"]
            each = _changes(joined.areas, without.areas, index)
            resampled = _changes(joined.resampled, without.resampled, index)
            change, error = each.mean(), combined_error(each, resampled)
            left_out = [
                jackknife_errors(_changes(one, other, index).mean(1))
                for one, other in zip(joined.jackknifed, without.jackknifed, strict=True)
                if len(one)
            ]
            cut = without.hull_touched[index]
            rows.append(
                {
                    "data_set": data_set,
                    "credibility": credibility,
                    "statistic": name,
                    "area_change_percent": change,
                    "error_percent": error,
                    "area_without": without.area[index],
                    "area_with": joined.area[index],
                    "error_without": without.error[index],
                    "error_with": joined.error[index],
                    "network_seeds": len(each),
                    "sign": _sign(float(change), float(error)),
                    "jackknife_percent": combined(*map(float, left_out), error_of_mean(each)),
                    "limit": "upper" if cut and not joined.hull_touched[index] else "",
                    "change_of_map_percent": _changes(joined.of_map, without.of_map, index).mean(),
                }
            )
            if change > 0:
                logger.warning(
                    "%s: the network widens the %d %% contour of %s by %.1f ± %.1f %%: %s",
                    data_set, credibility, name, change, error,
                    "within its error" if change <= error
                    else "more than its error: noise in the emulator's means, or a bug",
                )  # fmt: skip
    return rows


def _changes(joined: np.ndarray, without: np.ndarray, index: int) -> np.ndarray:
    """Return the change in area [%] at one credibility, the last axis (matilla2020 §III)."""
    return 100.0 * (joined[..., index] / without[..., index] - 1.0)


def _sign(change: float, error: float) -> str:
    if change <= 0.0:
        return "negative"
    return "positive_within_error" if change <= error else "positive_beyond_error"


def pictures(vectors: DataVectors, constraints: Mapping[str, Constraint]) -> dict[str, np.ndarray]:
    """Arrays for drawing contours, four a data vector.

    ``{data vector}/omega_matter`` (x,), ``/sigma_8`` (y,), ``/log_posterior`` (y, x) below its
    peak, ``/borders`` (credibility,) and ``/hull_touched`` (credibility,); also ``parameters``
    (cosmology, 2), ``fiducial`` (2,) and ``credibilities``.
    """
    measurements = vectors.measurements
    arrays = {
        "parameters": measurements.parameters,
        "fiducial": measurements.parameters[measurements.fiducial],
        "credibilities": np.array(CREDIBILITIES),
    }
    for name, constraint in constraints.items():
        parts = ("omega_matter", "sigma_8", "log_posterior", "borders")
        for part, value in zip(parts, constraint.picture, strict=True):
            arrays[f"{name}/{part}"] = value
        arrays[f"{name}/hull_touched"] = constraint.hull_touched
    return arrays

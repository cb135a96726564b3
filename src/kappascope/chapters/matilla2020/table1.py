"""Credible areas of every data vector, with and without the network (matilla2020 Table I).

The observed vector is the mean at the fiducial cosmology, so each contour is the one expected of a
single map. Errors come from a Bayesian bootstrap (Rubin 1981) over testing realizations and
covariance maps: exponential weights instead of draws with replacement, so that no map ever drops
out and the covariance keeps its rank. Every data vector sees the same weights, and a realization
has the same weight in every cosmology because its maps share their random phases and shifts.
"""

import logging
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
from kappascope.tables import Table

logger = logging.getLogger(__name__)

NETWORK = "DNN"
COMBINED = "All"
TABLE1_STATISTICS = ("PS", "PC", "V0", "V1", "V2", COMBINED)

AREAS = Table(
    "matilla2020/areas.csv, published_network_areas.csv",
    "data set × credibility × data vector",
    """data_set, credibility, data_vector (DNN, PS, PS+DNN, ...), area, error, area_mcmc,
    hull_touched""",
)
CHANGES = Table(
    "matilla2020/table1.csv, beyond_the_paper.csv (statistics that the paper does not have)",
    "data set × credibility × statistic",
    """data_set, credibility (68, 95), statistic (PS, PC, V0, V1, V2, All), area_change_percent,
    error_percent, area_without, area_with, error_without, error_with, network_seeds, sign""",
)
DROPPED_BINS = Table(
    "matilla2020/dropped_bins.csv",
    "data set × statistic × bin that no data vector holds",
    "data_set, statistic, bin (from 0), bin_centre",
)

_BOOTSTRAP_DEPTH = 20.0  # a resampled posterior is wider or lies beside the nominal one


@dataclass(frozen=True)
class Settings:
    """Options of the constraints; see ``constraints`` in ``config/README.md``."""

    likelihood: str = "gaussian"
    grid: int = 200
    bootstrap: int = 100
    mcmc_steps: int = 2000
    mcmc_walkers: int = 32
    seed: int = 0

    @classmethod
    def of(cls, section: Constraints, seed: int) -> "Settings":
        """Take the options from the config."""
        return cls(**section.model_dump(), seed=seed)


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

    """

    means: np.ndarray
    covariance: np.ndarray


def moments(vectors: DataVectors, settings: Settings, bootstrap: int | None = None) -> Moments:
    """Average the maps, with random weights where ``bootstrap`` numbers a resampling."""
    measurements = vectors.measurements
    if bootstrap is None:
        of_realizations = of_maps = None
    else:
        draws = randomness.generator(settings.seed, "bootstrap realizations", bootstrap)
        of_realizations = draws.exponential(size=measurements.realizations)
        draws = randomness.generator(settings.seed, "bootstrap covariance maps", bootstrap)
        of_maps = draws.exponential(size=len(vectors.covariance))
    return Moments(
        measurements.averaging(of_realizations) @ vectors.testing,
        weighted_covariance(vectors.covariance, of_maps),
    )


def posterior(
    vectors: DataVectors, sample_moments: Moments, name: str, seed: int, kind: str = "gaussian"
) -> Likelihood:
    """Return the posterior expected of data vector ``name`` with network ``seed``."""
    columns = vectors.select(name, seed)
    means = sample_moments.means[:, columns]
    return likelihood(
        means,
        means[vectors.measurements.fiducial],
        sample_moments.covariance[np.ix_(columns, columns)],
        maps=len(vectors.covariance),
        kind=kind,
    )


@dataclass(frozen=True)
class Constraint:
    """Credible areas of one data vector.

    Attributes
    ----------
    areas : (seed, credibility).
    resampled : (bootstrap, seed, credibility).
    mcmc : (seed, credibility), NaN where it was not asked for.
    hull_touched : (credibility,).
    picture : omega_matter (x,), sigma_8 (y,), log-posterior below its peak (y, x) and the same on
        the borders (credibility,), of the first network.

    """

    areas: np.ndarray
    resampled: np.ndarray
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
    vectors: DataVectors, emulator: Emulator, settings: Settings
) -> dict[str, Constraint]:
    """Measure the credible areas of every data vector of one data set.

    Returns
    -------
    Data vector -> constraint, in the order of ``vectors.names``.

    """
    nominal = moments(vectors, settings)
    pairs = [(name, seed) for name in vectors.names for seed in vectors.seeds(name)]
    coarse: dict[tuple[str, int], Cells] = {}
    single = {}
    for order, (name, seed) in enumerate(pairs):
        log_posterior = posterior(vectors, nominal, name, seed, settings.likelihood)
        cells = credible.refine(emulator, log_posterior, grid=settings.grid)
        coarse[name, seed] = credible.refine(
            emulator, log_posterior, grid=max(settings.grid // 2, 16), depth=_BOOTSTRAP_DEPTH
        )
        single[name, seed] = _one(emulator, cells, log_posterior, settings, order)
    resampled = _bootstrap(vectors, coarse, settings)
    constraints = {}
    for name in vectors.names:
        seeds = vectors.seeds(name)
        constraints[name] = Constraint(
            areas=np.stack([single[name, seed][0] for seed in seeds]),
            resampled=np.stack([resampled[name, seed] for seed in seeds], axis=1),
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


def _bootstrap(
    vectors: DataVectors, coarse: Mapping[tuple[str, int], Cells], settings: Settings
) -> dict[tuple[str, int], np.ndarray]:
    areas: dict[tuple[str, int], list[np.ndarray]] = {pair: [] for pair in coarse}
    for number in range(settings.bootstrap):
        drawn = moments(vectors, settings, number)
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


def area_rows(data_set: str, constraints: Mapping[str, Constraint]) -> list[dict[str, Any]]:
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
        }
        for index, credibility in enumerate(CREDIBILITIES)
        for name, constraint in constraints.items()
    ]


def change_rows(
    data_set: str, constraints: Mapping[str, Constraint], statistics: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of ``table1.csv``: the change in area when the network's output is added.

    Data can only shrink an expected contour, so ``sign`` is ``negative`` or says whether a
    positive change stays within its error (``positive_within_error``: noise) or not
    (``positive_beyond_error``: a bug).
    """
    rows = []
    for index, credibility in enumerate(CREDIBILITIES):
        for name in statistics:
            without, joined = constraints[name], constraints[f"{name}+{NETWORK}"]
            # matilla2020 §III: ΔArea = 100 (Area with DNN / Area without DNN - 1)
            each = 100.0 * (joined.areas[:, index] / without.areas[:, index] - 1.0)
            resampled = 100.0 * (
                joined.resampled[:, :, index] / without.resampled[:, :, index] - 1.0
            )
            change, error = each.mean(), combined_error(each, resampled)
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
                }
            )
            if change > 0:
                logger.warning(
                    "%s: the network widens the %d %% contour of %s by %.1f ± %.1f %%: %s",
                    data_set, credibility, name, change, error,
                    "noise" if change <= error else "more than its error, so a bug",
                )  # fmt: skip
    return rows


def _sign(change: float, error: float) -> str:
    if change <= 0.0:
        return "negative"
    return "positive_within_error" if change <= error else "positive_beyond_error"


def pictures(vectors: DataVectors, constraints: Mapping[str, Constraint]) -> dict[str, np.ndarray]:
    """Arrays for drawing contours, four a data vector.

    ``{data vector}/omega_matter`` (x,), ``/sigma_8`` (y,), ``/log_posterior`` (y, x) below its peak
    and ``/borders`` (credibility,); also ``parameters`` (cosmology, 2), ``fiducial`` (2,) and
    ``credibilities``.
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
    return arrays

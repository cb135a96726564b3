"""Where is the information? Parts of maps are replaced, and what is lost is measured.

Squared saliency says how much an output would change with a pixel, not what the pixel tells. Here
the pixels above 3σ, below zero, around peaks, ... give way to a Gaussian field of the same power
spectrum (or to the map's mean), and networks and statistics read what is left: how much variance of
the parameters is still explained, and by how much do credible areas grow? Edges of the replaced
parts and their mere area are answered for by a control: the same parts, moved elsewhere.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope import progress, randomness
from kappascope.chapters.matilla2020 import table1
from kappascope.chapters.matilla2020.config import Information
from kappascope.chapters.matilla2020.correlations import ridge
from kappascope.chapters.matilla2020.regions import REGIONS, over_rms
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.inference import credible
from kappascope.inference.emulator import Emulator
from kappascope.inference.measurements import Measurements, arrange
from kappascope.maps.dataset import COLUMNS, MapSet, SplitMaps, first_of_each, joined
from kappascope.networks import prediction
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.reporting.errorbars import combined, error_of_mean
from kappascope.sections import Spec
from kappascope.statistics.measure import map_deg2, measure_seen
from kappascope.statistics.registry import STATISTICS
from kappascope.tables import Table

INFORMATION = Table(
    "matilla2020/information.csv",
    "data set × region × filler × place × reader",
    """data_set, region (troughs, negative, slopes, above_3_sigma, peaks; none for maps as they
    are), filler (gaussian, mean), place (own, shifted: the same parts of other places), reader
    (DNN, PS, PC, V0, V1, V2), pixel_percent (replaced), area (68 %), area_change_percent (against
    maps as they are), area_change_error, r2_omega_matter, r2_sigma_8 (of a linear fit to the
    reader's numbers, fitted to and tested on altered maps), r2_omega_matter_error,
    r2_sigma_8_error, r2_lost (mean of both parameters, against maps as they are), r2_lost_error""",
)
NONE = "none"
PLACES = ("own", "shifted")
VARIANTS = [
    *itertools.product(REGIONS, ("gaussian",), PLACES),
    *itertools.product(REGIONS, ("mean",), ("own",)),
]


# ---- altered maps --------------------------------------------------------------------------------


def same_power(map_: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a Gaussian field whose Fourier modes have the sizes of a map's (y, x)."""
    modes = np.fft.rfft2(map_)
    noise = np.fft.rfft2(generator.normal(size=map_.shape))
    size = np.abs(noise)
    turned = np.abs(modes) * noise / np.where(size > 0, size, 1.0)
    turned[0, 0] = modes[0, 0]
    return np.fft.irfft2(turned, s=map_.shape).astype(map_.dtype)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Maps as a network sees them, and what replaces parts of them.

    Attributes
    ----------
    columns : what is known of each map.
    seen : (map, y, x).
    gaussian : (map, y, x) fields of the same power; maps of one realization share their phases.
    shifts : (map, 2) by how many pixels the control moves a region.

    """

    columns: MapSet
    seen: np.ndarray
    gaussian: np.ndarray
    shifts: np.ndarray

    @classmethod
    def of(cls, maps: MapSet, data_set: str, spec: Spec) -> "Seen":
        """Smooth maps, with noise where the data set has it, and draw what replaces them."""
        seen = prediction.observed(maps, data_set, spec)
        gaussian, shifts = np.empty_like(seen), np.empty((len(seen), 2), int)
        side = seen.shape[1]
        each = zip(maps.split, maps.realization, strict=True)
        for number, (split, realization) in enumerate(each):
            draw = randomness.generator(spec.seed, f"filler {split}", int(realization))
            gaussian[number] = same_power(seen[number], draw)
            # At least a quarter away, so that what stands beside a region is not taken for it.
            shifts[number] = draw.integers(side // 4, side - side // 4 + 1, size=2)
        return cls(dataclasses.replace(maps, convergence=None), seen, gaussian, shifts)

    def altered(self, region: str, filler: str, place: str) -> tuple[np.ndarray, float]:
        """Replace a region; also return the share of pixels that it is."""
        if region == NONE:
            return self.seen, 0.0
        where = REGIONS[region](over_rms(self.seen))
        if place == "shifted":
            moved = zip(where, self.shifts, strict=True)
            where = np.stack([np.roll(each, shift, (0, 1)) for each, shift in moved])
        if self.columns.mask is not None:
            where &= self.columns.mask
        fill = self.gaussian if filler == "gaussian" else self.seen.mean((1, 2), keepdims=True)
        return np.where(where, fill, self.seen), float(where.mean())


# ---- what is lost --------------------------------------------------------------------------------


def _chosen(paths: Sequence[str], section: Information) -> MapSet:
    """Return some testing maps of each cosmology and some covariance maps of each box."""
    testing, covariance = SplitMaps(paths, "testing"), SplitMaps(paths, "covariance")
    rows = first_of_each(testing.columns.cosmology, section.maps)
    many = min(section.covariance, len(covariance))
    some = np.linspace(0, len(covariance) - 1, many).round().astype(int)
    return joined([testing.select(rows), covariance.select(some)])


def readings(
    paths: Sequence[str], models: Sequence[tuple[Any, Any, np.ndarray]], data_set: str, spec: Spec
) -> Iterator[tuple[tuple[str, str, str], Measurements, float]]:
    """Alter maps and read them; the first reading is that of maps as they are.

    Parameters
    ----------
    paths : batches of maps.
    models : (network, parameters, target scale (2,)) of each network.
    spec : config sections ``seed``, ``cosmology``, ``maps``, ``noise``, ``statistics``,
        ``information``.

    Yields
    ------
    (region, filler, place), what was measured, and the share of pixels replaced.

    """
    maps = Seen.of(_chosen(paths, spec.information), data_set, spec)
    columns = maps.columns
    variants = [(NONE, NONE, "own"), *VARIANTS]
    with progress.bar(len(variants), f"information {data_set}", unit="kind of maps") as shown:
        for variant in variants:
            altered, share = maps.altered(*variant)
            measured = measure_seen(altered, columns, data_set, spec)
            outputs = [
                evaluate(network, weights, altered[..., None], MAPS_AT_ONCE) * scale
                for network, weights, scale in models
            ]
            yield (
                variant,
                arrange(
                    {name: getattr(columns, name) for name in COLUMNS},
                    {
                        STATISTICS.label(name): each.values.astype(np.float64)
                        for name, each in measured.items()
                    },
                    np.stack(outputs).astype(np.float64),
                    {STATISTICS.label(name): each.centres for name, each in measured.items()},
                    data_set=data_set,
                    fiducial=spec.cosmology.fiducial.model_dump(),
                    map_deg2=map_deg2(columns, altered.shape[1]),
                    source="matilla2020.information",
                ),
                share,
            )
            shown.update()


DECADES = 100.0
"""What spans more, as power does, is fitted in logarithms."""


def explained_variance(
    features: np.ndarray, truth: np.ndarray, fold: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return R² of a linear fit, fitted to one half of the maps and tested on the other.

    Parameters
    ----------
    features : (map, number).
    truth : (map, parameter).
    fold : (map,) bool, the half a map is in.
    weights : (weighting, map) of squared errors.

    Returns
    -------
    (weighting, parameter)

    """
    if features.min() > 0 and features.max() > DECADES * features.min():
        features = np.log(features)
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1.0)
    predicted = np.empty_like(truth)
    for half in (fold, ~fold):
        centre, mean = scaled[half].mean(0), truth[half].mean(0)
        coefficients = ridge(scaled[half] - centre, truth[half] - mean)
        predicted[~half] = mean + (scaled[~half] - centre) @ coefficients
    share = weights / weights.sum(axis=1, keepdims=True)
    missed = share @ np.square(predicted - truth)
    mean = share @ truth
    return np.asarray(1.0 - missed / (share @ np.square(truth) - mean**2))


def losses(
    paths: Sequence[str], models: Sequence[tuple[Any, Any, np.ndarray]], data_set: str, spec: Spec
) -> list[dict[str, Any]]:
    """Compare what readers know of altered maps with what they know of maps as they are.

    Parameters
    ----------
    paths, models, data_set, spec : as of :func:`readings`; of the config also ``constraints``.

    Returns
    -------
    Rows of ``information.csv``. Errors of changes are those of weighted simulations, the same for
    both, and between networks.

    """
    rows: list[dict[str, Any]] = []
    whole: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for (region, filler, place), measured, share in readings(paths, models, data_set, spec):
        settings = _settings(spec, measured.map_deg2)
        vectors = table1.DataVectors(measured, list(measured.testing))
        found = _with_variance(vectors, _areas(vectors, settings), settings)
        if region == NONE:
            whole = found
        for reader, (area, variance) in found.items():
            change = 100.0 * (area / whole[reader][0] - 1.0)  # (network, weighting)
            lost = (whole[reader][1] - variance).mean(-1)
            row = {
                "data_set": measured.data_set,
                "region": region,
                "filler": filler,
                "place": place,
                "reader": reader,
                "pixel_percent": 100.0 * share,
                "area": float(area[:, 0].mean()),
                "area_change_percent": float(change[:, 0].mean()),
                "area_change_error": None if region == NONE else _error(change),
                "r2_lost": float(lost[:, 0].mean()),
                "r2_lost_error": None if region == NONE else _error(lost),
            }
            for axis, name in enumerate(PARAMETERS):
                row[f"r2_{name}"] = float(variance[:, 0, axis].mean())
                row[f"r2_{name}_error"] = _error(variance[..., axis])
            rows.append(row)
    return rows


def _error(values: np.ndarray) -> float:
    """Error of a mean over networks (network, weighting), the first weighting of equal weights."""
    return combined(float(values[:, 1:].mean(0).std(ddof=1)), error_of_mean(values[:, 0]))


def _settings(spec: Spec, map_deg2: float) -> table1.Settings:
    """As of Table I, on a coarser grid and without the cross-check."""
    section: Information = spec.information
    return table1.Settings(
        likelihood=spec.constraints.likelihood,
        grid=section.grid,
        bootstrap=section.bootstrap,
        mcmc_steps=0,
        seed=spec.seed,
        maps_of_sky=table1.maps_of_sky(spec.constraints.sky_deg2, map_deg2),
        map_deg2=map_deg2,
    )


def _readers(vectors: table1.DataVectors) -> list[str]:
    return [table1.NETWORK, *vectors.kept]


def _weightings(vectors: table1.DataVectors, settings: table1.Settings) -> list[table1.Weights]:
    """Equal weights, and those of the bootstrap."""
    drawn = [table1.bootstrap_weights(vectors, settings, b) for b in range(settings.bootstrap)]
    return [table1.EQUAL, *drawn]


def _areas(vectors: table1.DataVectors, settings: table1.Settings) -> dict[str, np.ndarray]:
    """68 % areas of each reader: (network, weighting), the first of equal weights."""
    emulator = Emulator(vectors.measurements.parameters)
    moments = [
        table1.moments(vectors, settings, weights) for weights in _weightings(vectors, settings)
    ]
    out = {}
    for reader in _readers(vectors):
        each = []
        for seed in vectors.seeds(reader):
            varies = np.ptp(vectors.covariance[:, vectors.select(reader, seed)], axis=0) > 0
            posteriors: list[credible.LogPosterior] = [
                table1.posterior(vectors, one, reader, seed, settings.likelihood)
                if varies.all()
                else _flat
                for one in moments
            ]
            cells = credible.refine(
                emulator, posteriors[0], grid=settings.grid, depth=table1.BOOTSTRAP_DEPTH
            )
            each.append([credible.areas(cells, one)[0] for one in posteriors])
        out[reader] = np.array(each)
    return out


def _flat(weights: np.ndarray) -> np.ndarray:
    """Posterior of a reader whose numbers never change: (point, cosmology) → (point,)."""
    return np.where(np.isnan(weights[:, 0]), -np.inf, 0.0)


def _with_variance(
    vectors: table1.DataVectors, areas: Mapping[str, np.ndarray], settings: table1.Settings
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    measured = vectors.measurements
    truth = measured.parameters[measured.testing_cosmology]
    fold = measured.testing_realization % 2 == 0
    equal = np.ones(measured.realizations)
    weights = np.stack(
        [
            (equal if each is None else each)[measured.testing_realization]
            for each, _ in _weightings(vectors, settings)
        ]
    )
    return {
        reader: (
            areas[reader],
            np.stack(
                [
                    explained_variance(
                        vectors.testing[:, vectors.select(reader, seed)], truth, fold, weights
                    )
                    for seed in vectors.seeds(reader)
                ]
            ),
        )
        for reader in _readers(vectors)
    }

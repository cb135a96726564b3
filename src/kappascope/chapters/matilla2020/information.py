"""Where is the information? Parts of maps are replaced, and what is lost is measured.

Squared saliency says how much an output would change with a pixel, not what the pixel tells. Here
the pixels above 3σ, below zero, around peaks, ... give way to a Gaussian field of the same power
spectrum (or to the map's mean), and networks and statistics read what is left: how much variance of
the parameters is still explained, and by how much do credible areas grow? Edges of the replaced
parts and their mere area are answered for by a control: the same parts, moved elsewhere.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.stats

from kappascope import progress, randomness
from kappascope.attribution.labels import label
from kappascope.chapters.matilla2020 import table1
from kappascope.chapters.matilla2020.config import Information
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.inference import credible
from kappascope.inference.emulator import Emulator
from kappascope.inference.measurements import FIDUCIAL_TOLERANCE, Measurements
from kappascope.maps.dataset import MapSet, SplitMaps
from kappascope.networks import prediction
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.reporting.errorbars import combined, error_of_mean
from kappascope.sections import Spec
from kappascope.statistics.measure import measure_seen
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
METHOD_SHARES = Table(
    "matilla2020/method_shares.csv",
    "data set × method × region",
    """data_set, method, region, share_percent (of squared saliency), error (over maps and
    networks), pixel_percent""",
)
RANKING = Table(
    "matilla2020/information_ranking.csv",
    "data set × method",
    """data_set, method, label, spearman (between relevance per pixel of a region and what the
    network loses by it beyond the control), error (of losses and shares), p (of as large a
    correlation by chance), regions""",
)

TROUGH, SLOPE, HIGH = -1.0, 1.0, 3.0
"""κ over the r.m.s. of the map: edges of regions."""


def _peaks(u: np.ndarray) -> np.ndarray:
    """Tell which pixels are peaks above the r.m.s. or touch one: (map, y, x) bool."""
    highest = scipy.ndimage.maximum_filter(u, (0, 3, 3)) == u
    return np.asarray(scipy.ndimage.maximum_filter(highest & (u > SLOPE), (0, 3, 3)))


REGIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "troughs": lambda u: u < TROUGH,
    "negative": lambda u: u < 0,
    "slopes": lambda u: (u >= SLOPE) & (u < HIGH),
    "above_3_sigma": lambda u: u > HIGH,
    "peaks": _peaks,
}
"""Region → where it is, of κ over the r.m.s. of its map (map, y, x)."""

NONE = "none"
FILLERS = ("gaussian", "mean")
PLACES = ("own", "shifted")
VARIANTS = [
    *itertools.product(REGIONS, ("gaussian",), PLACES),
    *itertools.product(REGIONS, ("mean",), ("own",)),
]


def over_rms(kappa: np.ndarray) -> np.ndarray:
    """Return maps (map, y, x) in units of the r.m.s. of each."""
    rms = np.sqrt(np.mean(np.square(kappa, dtype=np.float64), axis=(1, 2), keepdims=True))
    return np.asarray(kappa / np.where(rms > 0, rms, 1.0))


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
class Part:
    """Maps of one split as a network sees them, and what replaces parts of them.

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
    def of(cls, maps: SplitMaps, rows: np.ndarray, data_set: str, spec: Spec) -> "Part":
        """Read the maps of ``rows``."""
        chosen = maps.select(rows)
        seen = prediction.observed(chosen, data_set, spec)
        split = str(chosen.split[0])
        gaussian, shifts = np.empty_like(seen), np.empty((len(seen), 2), int)
        for number, realization in enumerate(chosen.realization):
            draw = randomness.generator(spec.seed, f"filler {split}", int(realization))
            gaussian[number] = same_power(seen[number], draw)
            side = seen.shape[1]
            # At least a quarter away, so that what stands beside a region is not taken for it.
            shifts[number] = draw.integers(side // 4, side - side // 4 + 1, size=2)
        return cls(dataclasses.replace(chosen, convergence=None), seen, gaussian, shifts)

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


@dataclasses.dataclass(frozen=True)
class Reading:
    """What readers make of maps of one kind.

    Attributes
    ----------
    measured : statistics and network outputs.
    pixel_share : share of pixels replaced.

    """

    measured: Measurements
    pixel_share: float


def readings(
    paths: Sequence[str], models: Sequence[tuple[Any, Any, np.ndarray]], data_set: str, spec: Spec
) -> Iterator[tuple[tuple[str, str, str], Reading]]:
    """Alter maps and read them; the first reading is that of maps as they are.

    Parameters
    ----------
    paths : batches of maps.
    models : (network, parameters, target scale (2,)) of each network.
    spec : config sections ``seed``, ``cosmology``, ``maps``, ``noise``, ``statistics``,
        ``information``.

    Yields
    ------
    (region, filler, place) and its reading.

    """
    section: Information = spec.information
    testing, covariance = SplitMaps(paths, "testing"), SplitMaps(paths, "covariance")
    places = np.stack([testing.columns.omega_matter, testing.columns.sigma_8], -1)
    ids, first, index = np.unique(testing.columns.cosmology, return_index=True, return_inverse=True)
    _, realization = np.unique(testing.columns.realization, return_inverse=True)
    rows = np.flatnonzero(realization < section.maps)
    point = np.array([getattr(spec.cosmology.fiducial, name) for name in PARAMETERS])
    fiducial = np.flatnonzero(np.all(np.abs(places[first] - point) < FIDUCIAL_TOLERANCE, axis=1))
    if len(fiducial) != 1 or not len(covariance):
        raise InputError(
            "matilla2020.information: needs testing and covariance maps of cosmology.fiducial; "
            "simulate them or correct the key"
        )
    number = min(section.covariance, len(covariance))
    some = np.linspace(0, len(covariance) - 1, number).round().astype(int)
    parts = [Part.of(testing, rows, data_set, spec), Part.of(covariance, some, data_set, spec)]
    columns = parts[0].columns
    pixel_deg = columns.pixel_arcmin / 60.0
    seen = 1.0 if columns.mask is None else float(columns.mask.mean())
    box = np.zeros(section.maps, int)
    box[realization[rows]] = columns.box
    variants = [(NONE, NONE, "own"), *VARIANTS]
    with progress.bar(len(variants), f"information {data_set}", unit="kind of maps") as shown:
        for variant in variants:
            altered, shares = zip(*(part.altered(*variant) for part in parts), strict=True)
            values = [
                {
                    STATISTICS.label(name): each.values.astype(np.float64)
                    for name, each in measure_seen(maps, part.columns, data_set, spec).items()
                }
                for maps, part in zip(altered, parts, strict=True)
            ]
            outputs = [
                np.stack(
                    [
                        evaluate(network, weights, maps[..., None], MAPS_AT_ONCE) * scale
                        for network, weights, scale in models
                    ]
                ).astype(np.float64)
                for maps in altered
            ]
            measured = Measurements(
                data_set=data_set,
                parameters=places[first],
                cosmology=ids,
                fiducial=int(fiducial[0]),
                testing=values[0],
                testing_cosmology=index[rows],
                testing_realization=realization[rows],
                covariance=values[1],
                network_testing=outputs[0],
                network_covariance=outputs[1],
                bin_centres={name: np.arange(each.shape[1]) for name, each in values[0].items()},
                covariance_box=parts[1].columns.box,
                testing_box=box,
                map_deg2=seen * (altered[0].shape[1] * pixel_deg) ** 2,
            )
            yield variant, Reading(measured, float(shares[0]))
            shown.update()


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
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1.0)
    design = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
    predicted = np.empty_like(truth)
    for half in (fold, ~fold):
        # A little ridge: bins that never fill have nothing to be fitted to.
        inside = design[half]
        matrix = inside.T @ inside + 1e-3 * len(inside) * np.eye(design.shape[1])
        predicted[~half] = design[~half] @ np.linalg.solve(matrix, inside.T @ truth[half])
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
    for (region, filler, place), reading in readings(paths, models, data_set, spec):
        measured = reading.measured
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
                "pixel_percent": 100.0 * reading.pixel_share,
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
    usual = table1.Settings.of(spec.constraints, spec.seed, map_deg2)
    section: Information = spec.information
    return dataclasses.replace(usual, grid=section.grid, bootstrap=section.bootstrap, mcmc_steps=0)


def _readers(vectors: table1.DataVectors) -> list[str]:
    return [table1.NETWORK, *vectors.kept]


def _areas(vectors: table1.DataVectors, settings: table1.Settings) -> dict[str, np.ndarray]:
    """68 % areas of each reader: (network, weighting), the first of equal weights."""
    emulator = Emulator(vectors.measurements.parameters)
    weightings = [
        table1.EQUAL,
        *(table1.bootstrap_weights(vectors, settings, b) for b in range(settings.bootstrap)),
    ]
    moments = [table1.moments(vectors, settings, weights) for weights in weightings]
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
    of_realizations = [
        table1.bootstrap_weights(vectors, settings, number)[0]
        for number in range(settings.bootstrap)
    ]
    weights = np.stack(
        [
            np.ones(len(truth)),
            *(each[measured.testing_realization] for each in of_realizations if each is not None),
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


# ---- what explanations say -----------------------------------------------------------------------


def share_rows(
    data_set: str, kappa: np.ndarray, explained: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """Add up squared saliency by region: rows of ``method_shares.csv``.

    Parameters
    ----------
    kappa : (map, y, x) as networks see them.
    explained : of each network, method → (map, y, x).

    """
    where = {name: region(over_rms(kappa)) for name, region in REGIONS.items()}
    rows = []
    for method in explained[0]:
        squared = np.square(np.stack([each[method] for each in explained]).astype(np.float64))
        total = squared.sum((2, 3))
        # A map without relevance has no shares: left out.
        weight = squared / np.where(total > 0, total, np.nan)[..., None, None]
        for name, inside in where.items():
            shares = 100.0 * (weight * inside).sum((2, 3))
            shares[total == 0] = np.nan
            known = np.isfinite(shares)
            means = [
                [float(one[np.isfinite(one)].mean()) for one in each if np.isfinite(one).any()]
                for each in (shares, shares.T)
            ]
            rows.append(
                {
                    "data_set": data_set,
                    "method": method,
                    "region": name,
                    "share_percent": float(shares[known].mean()) if known.any() else None,
                    "error": combined(*map(error_of_mean, means)) if known.any() else None,
                    "pixel_percent": float(100.0 * inside.mean()),
                }
            )
    return rows


_DRAWS = 400


def ranking(
    information: Sequence[Mapping[str, Any]], shares: Sequence[Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Say how well relevance per pixel orders the regions by what the network loses with them.

    Parameters
    ----------
    information, shares : rows of ``information.csv`` and of ``method_shares.csv``, numbers or text.
    seed : ``seed`` of the config.

    Returns
    -------
    Rows of ``information_ranking.csv``. Losses are those of R² by a Gaussian filler, less those by
    the same regions moved elsewhere.

    """
    rows = []
    for data_set in dict.fromkeys(row["data_set"] for row in shares):
        lost = {
            (row["region"], row["place"]): row
            for row in information
            if (row["data_set"], row["filler"], row["reader"])
            == (data_set, "gaussian", table1.NETWORK)
        }
        regions = [name for name in REGIONS if (name, "own") in lost and (name, "shifted") in lost]
        pairs = [(lost[name, "own"], lost[name, "shifted"]) for name in regions]
        loss = _column([own["r2_lost"] for own, _ in pairs]) - _column(
            [moved["r2_lost"] for _, moved in pairs]
        )
        error = np.hypot(
            _column([own["r2_lost_error"] for own, _ in pairs]),
            _column([moved["r2_lost_error"] for _, moved in pairs]),
        )
        methods = dict.fromkeys(row["method"] for row in shares if row["data_set"] == data_set)
        for method in methods:
            cells = {
                row["region"]: row
                for row in shares
                if (row["data_set"], row["method"]) == (data_set, method)
            }
            share, share_error, pixels = (
                _column([cells[name][column] for name in regions])
                for column in ("share_percent", "error", "pixel_percent")
            )
            pixels = np.where(pixels > 0, pixels, np.nan)  # a region that no map has
            draw = randomness.generator(seed, f"ranking {data_set} {method}")
            drawn = [
                _spearman(
                    (share + share_error * draw.normal(size=len(share))) / pixels,
                    loss + error * draw.normal(size=len(loss)),
                )
                for _ in range(_DRAWS)
            ]
            nominal = _spearman(share / pixels, loss)
            chance = [
                _spearman(share / pixels, loss[list(order)])
                for order in itertools.permutations(range(len(loss)))
            ]
            rows.append(
                {
                    "data_set": data_set,
                    "method": method,
                    "label": label(method),
                    "spearman": nominal if np.isfinite(nominal) else None,
                    "error": float(np.std(drawn)) if np.isfinite(drawn).all() else None,
                    "p": float(np.mean(np.array(chance) >= nominal - 1e-9)),
                    "regions": len(regions),
                }
            )
    return rows


def _column(cells: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if cell in (None, "") else float(cell) for cell in cells])


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3:
        return float("nan")
    ranks = [scipy.stats.rankdata(each[known]) for each in (one, other)]
    if min(np.ptp(each) for each in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])

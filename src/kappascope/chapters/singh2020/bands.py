"""Which scales does a network read? Band curves of a κ network (singh2020 4, Figs. 3, 4, S1).

The score of a band is what the part of a map inside it contributes to an output, divided by the
output, s = r_band / f(x): by contextual decomposition, as published, and for comparison by
gradient methods through the Fourier transform. Bands overlap and a part of a map is no map that
the network has seen, so scores do not add up to one; their sum over bands that tile all
frequencies stands beside them.

Frequencies are in Nyquist units, b; their multipole is ℓ = b π / pixel. The published axis has
twice that, see :func:`kappascope.transforms.fourier.multipole_of_band`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress, randomness
from kappascope.attribution import contextual, trim
from kappascope.attribution.methods import Method, Model
from kappascope.chapters.singh2020 import config
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.faithfulness.randomization import configured
from kappascope.maps.dataset import SplitMaps, spread_of_each
from kappascope.networks import prediction
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.reporting.errorbars import errors_of_means, scatter
from kappascope.sections import Spec
from kappascope.tables import Table
from kappascope.transforms import fourier

BATCH = 33
GROUPS = 4
WHOLE = np.sqrt(2.0) + 1e-6
"""Where the corners of a map's frequencies end, in Nyquist units."""

ACCURACY = Table(
    "singh2020/band_accuracy.csv",
    "parameter",
    """parameter, r_squared (mean over networks), error (over cosmologies), scatter_networks, maps,
    cosmologies, networks""",
)
CURVES = Table(
    "singh2020/band_curves.csv",
    "parameter × method × group × band",
    """parameter, method (cd: contextual decomposition; cd_rest: with all biases left to the rest;
    cd_fair: with a ReLU that favours no order), group (all, or 1 to 4 by the true
    parameter), value_low, value_high (of the group), band (centre, Nyquist units), ell,
    ell_published_axis, score (over the output), error (over cosmologies), cosmologies, maps""",
)
PEAKS = Table(
    "singh2020/band_peaks.csv",
    "parameter × method × group",
    """parameter, method, group, value (mean), band, ell, error (over cosmologies and networks),
    scatter_networks, ell_published_axis, contrast (peak over the mean of the curve, less one),
    contrast_error, tiles_sum, tiles_sum_scatter (scores of bands that tile all frequencies,
    added up), cosmologies, networks""",
)
TRENDS = Table(
    "singh2020/band_trends.csv",
    "parameter × method × quantity",
    """parameter, method, quantity (peak_ell, contrast, score_at_peak), slope (a unit of the
    parameter), error, cosmologies, networks""",
)


@dataclasses.dataclass(frozen=True)
class Curves:
    """Band scores of test maps.

    Attributes
    ----------
    bands : (band,) centres, in Nyquist units.
    scores : method → (network, parameter, map, band).
    tiles : method → (network, parameter, map) sum of the scores of bands that tile all frequencies.
    cosmology : (map,) number of each map's cosmology.
    values : (parameter, map) true parameters.
    pixel_arcmin : side of a pixel.

    """

    bands: np.ndarray
    scores: Mapping[str, np.ndarray]
    tiles: Mapping[str, np.ndarray]
    cosmology: np.ndarray
    values: np.ndarray
    pixel_arcmin: float

    def ell(self, band: Any) -> Any:
        """Return the multipole of a frequency in Nyquist units."""
        return fourier.multipole_of_band(band, self.pixel_arcmin)


# ---- measuring -----------------------------------------------------------------------------------


def explained_maps(
    paths: Sequence[str | Path], spec: Spec, each: int
) -> tuple[np.ndarray, SplitMaps, np.ndarray]:
    """Return testing maps of every cosmology, of many light cones, as the network sees them.

    Parameters
    ----------
    spec : config sections ``seed``, ``noise`` and ``maps``.
    each : maps of a cosmology.

    Returns
    -------
    (map, y, x, 1), the testing split, and the rows of the maps in it.

    """
    split = SplitMaps(paths, "testing")
    if not len(split):
        raise InputError("singh2020.bands: there are no testing maps")
    rows = spread_of_each(split.columns.cosmology, each)
    seen = prediction.observed(split.select(rows), "noiseless", spec)
    return seen[..., None], split, rows


def accuracy(
    models: Sequence[Model],
    scale: np.ndarray,
    split: SplitMaps,
    spec: Spec,
    draws: int = 200,
) -> list[dict[str, Any]]:
    """R² of networks on maps of simulations they have not seen, with a bootstrap over cosmologies.

    Parameters
    ----------
    scale : (parameter,) units of the outputs.

    """
    outputs: list[list[np.ndarray]] = [[] for _ in models]
    with progress.bar(len(split), "evaluate", unit="map") as shown:
        for start in range(0, len(split), 256):
            rows = np.arange(start, min(start + 256, len(split)))
            seen = prediction.observed(split.select(rows), "noiseless", spec)
            for pieces, (network, parameters) in zip(outputs, models, strict=True):
                pieces.append(evaluate(network, dict(parameters), seen, MAPS_AT_ONCE) * scale)
            shown.update(len(rows))
    truth = split.targets
    missed = np.stack([np.concatenate(pieces) for pieces in outputs]) - truth
    number = split.columns.cosmology
    names = np.unique(number)
    rows_of = [np.flatnonzero(number == name) for name in names]

    def r_squared(chosen: np.ndarray) -> np.ndarray:
        """Return (network, parameter) of some maps."""
        return 1 - (missed[:, chosen] ** 2).mean(1) / truth[chosen].var(0)

    generator = randomness.generator(spec.seed, "bootstrap of cosmologies")
    again = []
    for _ in range(draws):
        drawn = generator.integers(len(names), size=len(names))
        if len(np.unique(drawn)) > 1:  # one cosmology has no variance to explain
            again.append(r_squared(np.concatenate([rows_of[k] for k in drawn])))
    if not again:
        raise InputError("singh2020.bands: R² needs testing maps of two cosmologies or more")
    scores, error = r_squared(np.arange(len(truth))), np.std(np.mean(again, 1), 0)
    return [
        {
            "parameter": name,
            "r_squared": scores[:, k].mean(),
            "error": error[k],
            "scatter_networks": scatter(scores[:, k]),
            "maps": len(truth),
            "cosmologies": len(names),
            "networks": len(models),
        }
        for k, name in enumerate(PARAMETERS)
    ]


def curves(
    models: Sequence[Model],
    maps: np.ndarray,
    split: SplitMaps,
    rows: np.ndarray,
    section: config.Bands,
    seed: int,
) -> Curves:
    """Score bands of maps by contextual decomposition and by other methods.

    Parameters
    ----------
    maps : (map, y, x, 1), rows ``rows`` of ``split``.

    """
    low, high = section.band_range
    centres = np.linspace(low, high, section.bands)
    width = section.band_width
    asked = {
        "scores": fourier.bands_around(centres.tolist(), width),
        "tiles": [(at, at + width) for at in np.arange(0, WHOLE, width)],
    }
    methods = {name: configured(name, section, models[0][0]) for name in section.methods}
    names = (*section.decompositions, *methods)
    # Both sets of bands in one go: a network is evaluated once for all of them.
    every = [*asked["scores"], *asked["tiles"]]
    results: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with progress.bar(len(maps) * len(names) * len(models), "bands", unit="map") as shown:
        for model in models:
            parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
            for start in range(0, len(maps), BATCH):
                piece = maps[start : start + BATCH]
                padded = np.pad(piece, [(0, BATCH - len(piece)), *[(0, 0)] * 3], "wrap")
                outputs = evaluate(model[0], dict(model[1]), padded[..., 0], MAPS_AT_ONCE).T
                for name in names:
                    values = _band_scores(methods.get(name, name), model, padded, every, seed)
                    parts[name].append((values / outputs[..., None])[:, : len(piece)])
                    shown.update(len(piece))
            for name in names:
                results[name].append(np.concatenate(parts[name], 1))
    whole = {name: np.stack(each) for name, each in results.items()}
    split_at = len(asked["scores"])
    scores = {name: values[..., :split_at] for name, values in whole.items()}
    tiles = {name: values[..., split_at:].sum(-1) for name, values in whole.items()}
    columns = split.columns.select(rows)
    return Curves(
        centres,
        scores,
        tiles,
        columns.cosmology,
        np.stack([columns.omega_matter, columns.sigma_8]),
        float(columns.pixel_arcmin),
    )


def _band_scores(
    method: Method | str,
    model: Model,
    maps: np.ndarray,
    bands: Sequence[tuple[float, float]],
    seed: int,
) -> np.ndarray:
    """Scores (output, map, band) in units of the outputs; a name is of a decomposition."""
    if isinstance(method, str):
        convention = contextual.CONVENTIONS[method]
        relevant = np.asarray(trim.decomposed_bands(model, maps, bands, convention)[0])
        return np.transpose(relevant, (2, 1, 0))
    outputs = list(range(model[0].outputs))
    return np.asarray(trim.band_relevance(method, model, maps, bands, outputs, seed))


# ---- summaries -----------------------------------------------------------------------------------


def by_cosmology(curves: Curves, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average over the maps of each cosmology: (map, ...) → (cosmology, ...), and the numbers."""
    names = np.unique(curves.cosmology)
    return np.array([values[curves.cosmology == name].mean(0) for name in names]), names


def _groups(truth: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """All cosmologies, and as many groups of neighbours in the true parameter as there can be."""
    order = np.argsort(truth, kind="stable")
    parts = [part for part in np.array_split(order, min(GROUPS, len(order))) if len(part)]
    return [("all", order), *((str(k + 1), part) for k, part in enumerate(parts))]


def curve_rows(curves: Curves) -> list[dict[str, Any]]:
    """Mean curves over all cosmologies and over groups of them: rows of ``band_curves.csv``."""
    rows = []
    each = len(curves.cosmology) // len(np.unique(curves.cosmology))
    for p, parameter in enumerate(PARAMETERS):
        truth, _ = by_cosmology(curves, curves.values[p])
        for method, scores in curves.scores.items():
            mean, _ = by_cosmology(curves, scores[:, p].mean(0))
            for group, chosen in _groups(truth):
                error = errors_of_means(mean[chosen]) if len(chosen) > 1 else None
                for k, band in enumerate(curves.bands):
                    rows.append(
                        {
                            "parameter": parameter,
                            "method": method,
                            "group": group,
                            "value_low": truth[chosen].min(),
                            "value_high": truth[chosen].max(),
                            "band": band,
                            "ell": curves.ell(band),
                            "ell_published_axis": 2 * curves.ell(band),
                            "score": mean[chosen, k].mean(),
                            "error": None if error is None else error[k],
                            "cosmologies": len(chosen),
                            "maps": each * len(chosen),
                        }
                    )
    return rows


def peak(bands: np.ndarray, curve: np.ndarray) -> float:
    """Return where a curve is highest: the top of a parabola through the highest band's five."""
    top = int(curve.argmax())
    near = slice(max(top - 2, 0), top + 3)
    if top in (0, len(bands) - 1) or len(bands[near]) < 3:
        return float(bands[top])
    square, slope, _ = np.polyfit(bands[near] - bands[top], curve[near], 2)
    if square >= 0:
        return float(bands[top])
    inside = bands[near]
    return float(np.clip(bands[top] - slope / (2 * square), inside[0], inside[-1]))


def contrast(curve: np.ndarray) -> np.ndarray:
    """Return how far curves (..., band) rise over their mean, in units of the mean's size."""
    mean = curve.mean(-1)
    return (curve.max(-1) - mean) / np.abs(mean)


def peak_rows(curves: Curves, seed: int, draws: int = 200) -> list[dict[str, Any]]:
    """Where mean curves peak: rows of ``band_peaks.csv``.

    Errors are from a bootstrap over cosmologies and networks.
    """
    rows = []
    for p, parameter in enumerate(PARAMETERS):
        truth, _ = by_cosmology(curves, curves.values[p])
        for method, scores in curves.scores.items():
            mean = _each_network(curves, scores[:, p])
            tiles = _each_network(curves, curves.tiles[method][:, p]).mean(0)
            for group, chosen in _groups(truth):
                generator = randomness.generator(seed, f"peaks {parameter} {method} {group}")
                group_curves = mean[:, chosen]
                again = np.array(
                    [_drawn(group_curves, generator).mean((0, 1)) for _ in range(draws)]
                )
                curve = group_curves.mean((0, 1))
                band = peak(curves.bands, curve)
                spread = scatter(
                    np.array([peak(curves.bands, one) for one in group_curves.mean(1)])
                )
                many = group_curves.shape[0] * group_curves.shape[1] > 1
                error = np.std([peak(curves.bands, one) for one in again])
                rows.append(
                    {
                        "parameter": parameter,
                        "method": method,
                        "group": group,
                        "value": truth[chosen].mean(),
                        "band": band,
                        "ell": curves.ell(band),
                        "error": curves.ell(error) if many else None,
                        "scatter_networks": None if spread is None else curves.ell(spread),
                        "ell_published_axis": 2 * curves.ell(band),
                        "contrast": contrast(curve),
                        "contrast_error": np.std(contrast(again)) if many else None,
                        "tiles_sum": tiles[chosen].mean(),
                        "tiles_sum_scatter": scatter(tiles[chosen]),
                        "cosmologies": len(chosen),
                        "networks": len(mean),
                    }
                )
    return rows


def _each_network(curves: Curves, values: np.ndarray) -> np.ndarray:
    """Average over the maps of each cosmology: (network, map, ...) → (network, cosmology, ...)."""
    return np.stack([by_cosmology(curves, network_values)[0] for network_values in values])


def _drawn(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw networks and cosmologies again: (network, cosmology, band), with repetitions."""
    networks, cosmologies = (generator.integers(size, size=size) for size in values.shape[:2])
    return values[networks][:, cosmologies]


def trend_rows(curves: Curves, seed: int, draws: int = 200) -> list[dict[str, Any]]:
    """How peak and contrast move with the parameter: rows of ``band_trends.csv``.

    Slopes of straight lines through the cosmologies' own mean curves, a unit of the parameter,
    averaged over networks, with a bootstrap over cosmologies and networks.
    """
    quantities: dict[str, Callable[[np.ndarray], float]] = {
        "peak_ell": lambda curve: float(curves.ell(peak(curves.bands, curve))),
        "contrast": lambda curve: float(contrast(curve)),
        "score_at_peak": lambda curve: float(curve.max()),
    }
    rows = []
    for p, parameter in enumerate(PARAMETERS):
        truth, names = by_cosmology(curves, curves.values[p])
        if len(names) < 3:
            continue
        for method, scores in curves.scores.items():
            mean = _each_network(curves, scores[:, p])
            for name, measure in quantities.items():
                values = np.array(
                    [[measure(curve) for curve in network_curves] for network_curves in mean]
                )
                generator = randomness.generator(seed, f"trend {parameter} {method} {name}")
                again = []
                for _ in range(draws):
                    networks = generator.integers(len(mean), size=len(mean))
                    drawn = generator.integers(len(names), size=len(names))
                    if np.ptp(truth[drawn]):
                        line = np.polyfit(truth[drawn], values[networks].mean(0)[drawn], 1)
                        again.append(line[0])
                rows.append(
                    {
                        "parameter": parameter,
                        "method": method,
                        "quantity": name,
                        "slope": np.polyfit(truth, values.mean(0), 1)[0],
                        "error": np.std(again),
                        "cosmologies": len(names),
                        "networks": len(mean),
                    }
                )
    return rows


def pictures(maps: np.ndarray, bands: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return a map and its parts in a few bands, (1 + band, y, x)."""
    one = maps[:1]
    parts = [fourier.filtered(one, mask) for mask in fourier.band_masks(one.shape[1:], bands)]
    return np.stack([np.asarray(part)[0, ..., 0] for part in (one, *parts)])

"""Where relevance lies by convergence: Figures 5 and 6 of Matilla et al. (2020).

Saliencies are squared, so that signs do not cancel, and added over the outputs; pixels are sorted
by the convergence they show, in units of the r.m.s. of their own map.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.chapters.matilla2020 import regions
from kappascope.chapters.matilla2020.regions import over_rms
from kappascope.reporting.errorbars import combined, error_of_mean, scatter
from kappascope.tables import Table

EDGES = np.linspace(-2.5, 5.0, 21)
"""Edges of the 20 bins in κ/σ (§IV B)."""
REGIONS = ("negative", "above_3_sigma")
METHODS = ("gradient", "input_x_gradient")
RELEVANCE = Table(
    "matilla2020/relevance.csv",
    "data set × method × cosmology × bin",
    """data_set, method, cosmology, omega_matter, sigma_8, bin_low, bin_high (κ over the map's
    r.m.s.), share, share_error, per_pixel (over the map's mean), per_pixel_error""",
)
SHARES = Table(
    "matilla2020/relevance_shares.csv",
    "data set × method × region",
    """data_set, method, region (negative, above_3_sigma), share_percent, error (over maps),
    scatter_cosmologies, scatter_networks, uncertainty, pixel_percent, networks, cosmologies,
    maps""",
)


def squared(relevance: np.ndarray) -> np.ndarray:
    """Add squared saliencies over outputs: (output, map, y, x, channel) → (map, y, x)."""
    return np.square(relevance.astype(np.float64)).sum((0, -1))


def sorted_by_convergence(kappa: np.ndarray, saliency: np.ndarray) -> dict[str, np.ndarray]:
    """Sort the squared saliency of maps by the convergence of its pixels.

    Parameters
    ----------
    kappa : (map, y, x) maps as the network sees them.
    saliency : (map, y, x) squared saliency.

    Returns
    -------
    ``share`` (map, bin) of all squared saliency; ``per_pixel`` (map, bin) mean over the bin's
    pixels in units of the map's mean, NaN where there is none; ``negative``, ``above_3_sigma``
    (map) shares of κ < 0 and κ > 3σ, and ``negative_pixels``, ``above_3_sigma_pixels`` (map) the
    shares of pixels.

    """
    flat = kappa.reshape(len(kappa), -1).astype(np.float64)
    weight = saliency.reshape(len(kappa), -1)
    total = weight.sum(1)
    # A map without relevance has no shares: NaN, left out and counted by who averages.
    weight = weight / np.where(total > 0, total, np.nan)[:, None]
    over = over_rms(kappa)
    u = over.reshape(flat.shape)
    bins = len(EDGES) - 1
    share, count = np.zeros((2, len(kappa), bins))
    for number, (place, map_weights) in enumerate(zip(u, weight, strict=True)):
        share[number] = np.histogram(place, EDGES, weights=map_weights)[0]
        count[number] = np.histogram(place, EDGES)[0]
    share[total == 0] = np.nan  # a histogram of NaN is zero where no pixel lies
    per_pixel = np.where(count > 0, share / np.maximum(count, 1), np.nan) * flat.shape[1]
    out = {"share": share, "per_pixel": per_pixel}
    for name in REGIONS:
        where = regions.REGIONS[name](over).reshape(flat.shape)
        out[name] = (weight * where).sum(1)
        out[f"{name}_pixels"] = where.mean(1)
    return out


def relevance_rows(
    named: Mapping[str, Any], measures: Mapping[str, np.ndarray], networks: int = 1
) -> list[dict[str, Any]]:
    """Average the maps of one cosmology: rows of ``relevance.csv``.

    Parameters
    ----------
    named : data_set, method, cosmology, omega_matter, sigma_8.
    measures : from :func:`sorted_by_convergence`, networks one after another along the maps.
    networks : how many; their errors are those over maps and over networks.

    """
    rows = []
    for k in range(len(EDGES) - 1):
        row: dict[str, Any] = {**named, "bin_low": EDGES[k], "bin_high": EDGES[k + 1]}
        for name in ("share", "per_pixel"):
            values = measures[name][:, k].reshape(networks, -1)
            sound = np.isfinite(values)
            errors = [error_of_mean(_finite_means(values, axis)) for axis in (1, 0)]
            known = [error for error in errors if error is not None]
            row[name] = float(values[sound].mean()) if sound.any() else None
            row[f"{name}_error"] = combined(*known) if known else None
        rows.append(row)
    return rows


def share_rows(
    data_set: str, method: str, shares: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Average shares over maps, cosmologies and networks: rows of ``relevance_shares.csv``.

    Parameters
    ----------
    shares : region → (network, cosmology, map) share of relevance, and region + ``_pixels`` of
        pixels. Maps of one number look through the same corners of the box in every cosmology: the
        error over maps comes from the means of each number.

    """
    rows = []
    for region in REGIONS:
        values = 100 * shares[region]
        networks, cosmologies, _ = values.shape
        of_maps, of_networks, of_cosmologies = (_finite_means(values, axis) for axis in (2, 0, 1))
        error = error_of_mean(of_maps)
        spread = scatter(of_networks)
        sound = np.isfinite(values)
        rows.append(
            {
                "data_set": data_set,
                "method": method,
                "region": region,
                "share_percent": float(values[sound].mean()) if sound.any() else None,
                "error": error,
                "scatter_cosmologies": scatter(of_cosmologies),
                "scatter_networks": spread,
                "uncertainty": combined(error, error_of_mean(of_networks)) if sound.any() else None,
                "pixel_percent": float(100 * shares[f"{region}_pixels"].mean()),
                "networks": networks,
                "cosmologies": cosmologies,
                "maps": int(sound.any((0, 1)).sum()),
            }
        )
    return rows


def _finite_means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means of what is finite, along one axis; places without anything finite are left out."""
    turned = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    return np.array([row[np.isfinite(row)].mean() for row in turned if np.isfinite(row).any()])


def stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join results of several networks along the maps."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

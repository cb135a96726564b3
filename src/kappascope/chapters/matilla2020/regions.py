"""Regions of maps by their convergence, and the share of an explanation that lies there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from kappascope.reporting.errorbars import combined, error_of_mean
from kappascope.tables import Table

METHOD_SHARES = Table(
    "matilla2020/method_shares.csv",
    "data set × method × region",
    """data_set, method, region, share_percent (of squared saliency), error (over maps and
    networks), pixel_percent""",
)
TROUGH, SLOPE, HIGH = -1.0, 1.0, 3.0
"""κ over the r.m.s. of the map: edges of regions."""


def _peaks(u: np.ndarray) -> np.ndarray:
    """Tell which pixels are peaks above the r.m.s. or touch one: (map, y, x) bool."""
    highest = scipy.ndimage.maximum_filter(u, (1, 3, 3)) == u
    return np.asarray(scipy.ndimage.maximum_filter(highest & (u > SLOPE), (1, 3, 3)))


REGIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "troughs": lambda u: u < TROUGH,
    "negative": lambda u: u < 0,
    "slopes": lambda u: (u >= SLOPE) & (u < HIGH),
    "above_3_sigma": lambda u: u > HIGH,
    "peaks": _peaks,
}
"""Region → where it is, of κ over the r.m.s. of its map (map, y, x)."""


def over_rms(kappa: np.ndarray) -> np.ndarray:
    """Return maps (map, y, x) in units of the r.m.s. of each."""
    rms = np.sqrt(np.mean(np.square(kappa, dtype=np.float64), axis=(1, 2), keepdims=True))
    return np.asarray(kappa / np.where(rms > 0, rms, 1.0))


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

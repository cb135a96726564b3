"""Credible regions of a posterior in (omega_matter, sigma_8), flat prior within the hull.

The smallest region that holds a given share of the posterior is a set of grid cells. Contours
differ in area by a factor of a thousand between statistics and some are long and thin, so the grid
refines itself: cells that matter are split in four until there are enough of them, and the rest is
thrown away. Areas are in units of omega_matter times sigma_8.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kappascope.inference.emulator import Emulator

logger = logging.getLogger(__name__)

CREDIBILITIES = (68, 95)  # percent; matilla2020 Table I
DEPTH = 12.0  # log-posterior below the peak that is kept: exp(-12) of the peak's density
_LEVELS = 24

LogPosterior = Callable[[np.ndarray], np.ndarray]
"""(point, cosmology) emulator weights -> (point,) log-posterior."""


@dataclass(frozen=True)
class Cells:
    """Equal cells that cover where a posterior is not negligible.

    Attributes
    ----------
    centres : (cell, 2) omega_matter and sigma_8.
    width : (2,) of every cell.
    weights : (cell, cosmology) emulator weights at the centres.

    """

    centres: np.ndarray
    width: np.ndarray
    weights: np.ndarray

    @property
    def area(self) -> float:
        """Area of one cell."""
        return float(np.prod(self.width))


@dataclass(frozen=True)
class Region:
    """The smallest region that holds ``credibility`` percent of a posterior.

    Attributes
    ----------
    credibility : percent.
    area : omega_matter times sigma_8.
    threshold : log-posterior on its border.
    hull_touched : True where the hull of the cosmologies cuts the region off, so that the area is
        a lower limit.

    """

    credibility: int
    area: float
    threshold: float
    hull_touched: bool


def refine(
    emulator: Emulator, log_posterior: LogPosterior, *, grid: int, depth: float = DEPTH
) -> Cells:
    """Cover a posterior with cells, splitting in four those that matter.

    Parameters
    ----------
    emulator : where points can be evaluated.
    log_posterior : the posterior.
    grid : refinement ends when at least ``grid**2 / 4`` cells lie within ``depth`` of the peak.
    depth : log-posterior below the peak at which a cell stops to matter.

    """
    low, high = emulator.bounds
    start = max(grid // 4, 8)
    width = (high - low) / start
    indices = np.stack(np.meshgrid(np.arange(start), np.arange(start), indexing="ij"), axis=-1)
    indices = indices.reshape(-1, 2)
    # A peak narrower than a cell is missed by its centre: the best cells are always kept.
    best = max(grid**2 // 16, 1)
    for _ in range(_LEVELS):
        weights = emulator.weights(low + (indices + 0.5) * width)
        values = log_posterior(weights)
        matters = values > values.max() - depth
        if matters.sum() >= grid**2 / 4:
            break
        if values.size > best:
            matters |= values >= np.partition(values, -best)[-best]
        else:
            matters[:] = True
        indices = _split(_dilate(indices[matters & np.isfinite(values)]))
        width = width / 2.0
    centres = low + (indices[matters] + 0.5) * width
    return Cells(centres, width, weights[matters])


def _dilate(indices: np.ndarray) -> np.ndarray:
    steps = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    grown = (indices[:, None] + steps).reshape(-1, 2).astype(np.int64)
    # Sorting one integer a cell is ten times faster than sorting pairs.
    offset, span = grown.min(axis=0), np.ptp(grown, axis=0) + 1
    flat = np.unique(np.ravel_multi_index(tuple((grown - offset).T), tuple(span)))
    return np.stack(np.unravel_index(flat, tuple(span)), axis=1) + offset


def _split(indices: np.ndarray) -> np.ndarray:
    quarters = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return (2 * indices[:, None] + quarters).reshape(-1, 2)


def thresholds(
    log_posterior: np.ndarray, credibilities: Sequence[int] = CREDIBILITIES
) -> tuple[np.ndarray, np.ndarray]:
    """Find how many of the densest cells hold each share of the posterior.

    Parameters
    ----------
    log_posterior : (cell,) on cells of equal area.
    credibilities : percent.

    Returns
    -------
    (credibility,) number of cells, with a fraction for the last one, and (credibility,)
    log-posterior on the region's border.

    """
    ordered = np.sort(log_posterior)[::-1]
    held = np.cumsum(np.exp(ordered - ordered[0]))
    held /= held[-1]
    shares = np.asarray(credibilities) / 100.0
    rank = np.arange(1, len(held) + 1, dtype=np.float64)
    count = np.interp(shares, np.r_[0.0, held], np.r_[0.0, rank])
    # The n-th densest cell spans ranks n - 1 to n, so its own density stands at n - 1/2.
    return count, np.interp(count, rank - 0.5, ordered)


def areas(
    cells: Cells, log_posterior: LogPosterior, credibilities: Sequence[int] = CREDIBILITIES
) -> np.ndarray:
    """Return the area of each credible region, (credibility,)."""
    return thresholds(log_posterior(cells.weights), credibilities)[0] * cells.area


def regions(
    emulator: Emulator,
    cells: Cells,
    log_posterior: LogPosterior,
    credibilities: Sequence[int] = CREDIBILITIES,
) -> list[Region]:
    """Return each credible region with its border and whether the hull cuts it off."""
    values = log_posterior(cells.weights)
    counts, borders = thresholds(values, credibilities)
    steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]) * cells.width
    results = []
    for credibility, count, border in zip(credibilities, counts, borders, strict=True):
        inside = cells.centres[values >= border]
        touched = not emulator.contains((inside[:, None] + steps).reshape(-1, 2)).all()
        results.append(Region(credibility, float(count * cells.area), float(border), touched))
    return results


def picture(
    emulator: Emulator, cells: Cells, log_posterior: LogPosterior, *, pixels: int = 140
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate a posterior on a regular grid around its 95 percent region, for drawing contours.

    Returns
    -------
    omega_matter (x,), sigma_8 (y,) and the log-posterior below its peak (y, x), NaN outside the
    hull.

    """
    values = log_posterior(cells.weights)
    peak = values.max()
    drawn = cells.centres[values > thresholds(values)[1].min() - 1.0]
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    margin = 0.02 * (high - low) + cells.width
    axes = [np.linspace(low[i] - margin[i], high[i] + margin[i], pixels) for i in range(2)]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    field = log_posterior(emulator.weights(points)) - peak
    # Rounded, so that the last bits of a sum's order do not reach the figures' bytes.
    field = np.round(np.where(np.isfinite(field), field, np.nan), 5)
    return axes[0], axes[1], field.reshape(pixels, pixels)

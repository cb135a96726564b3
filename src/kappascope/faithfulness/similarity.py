"""How alike two saliency maps are, and whether chance explains it.

A map from a trained network is compared with one from a network whose weights were drawn anew: a
method whose map survives shows the input rather than what was learned (Adebayo et al. 2018). The
coefficients are those of Matilla et al. (2020), Table II, and so are their p-values, which take
pixels for independent draws. In a smoothed map they are not: of unrelated maps smoothed with
2.44 pixels, most are "correlated" at the 5 % level. :func:`shift_p_values` asks instead how often
two maps agree as well when one is displaced.

Coefficients are undefined, and NaN, where a map is constant (to 1e-12 of its largest value) or
holds values that are not finite. Edges are the caller's to crop.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft

CORRELATIONS = ("pearson", "spearman", "kendall")
_LEVELS = 64
_ROUNDING = 1e-9
_CONSTANT = 1e-12


class Correlations(NamedTuple):
    """Coefficients of two maps, each with its two-sided p-value for independent pixels.

    Attributes
    ----------
    pearson, pearson_p : linear correlation.
    spearman, spearman_p : correlation of average ranks.
    kendall, kendall_p : tau-b, which allows for ties.

    """

    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float
    kendall: float
    kendall_p: float


class ShiftPValues(NamedTuple):
    """Two-sided p-values against displaced maps, one a coefficient."""

    pearson: float
    spearman: float
    kendall: float


def correlations(first: np.ndarray, second: np.ndarray) -> Correlations:
    """Correlate two signed maps pixel by pixel, with the p-values of the paper.

    Parameters
    ----------
    first, second : (y, x) signed maps, any units.

    """
    first, second = _pair(first, second)
    if not (_varies(first) and _varies(second)):
        return Correlations(*[np.nan] * 6)
    flat = first.ravel(), second.ravel()
    from scipy import stats

    # Matilla et al. (2020), Table II
    tests = (stats.pearsonr, stats.spearmanr, stats.kendalltau)
    return Correlations(*[float(value) for test in tests for value in test(*flat)])


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Return the linear correlation of two signed maps (y, x)."""
    first, second = _pair(first, second)
    if not (_varies(first) and _varies(second)):
        return float("nan")
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def shift_p_values(
    first: np.ndarray, second: np.ndarray, generator: np.random.Generator, kendall_shifts: int = 99
) -> ShiftPValues:
    """Test whether two maps agree better than the same maps displaced against each other.

    The usual p-values overstate the evidence: neighbours in a smoothed map repeat each other, so
    there are fewer independent numbers than pixels and chance correlations are larger than the
    formulas expect. Circular shifts of the second map keep the smoothness and the values of both
    and break only their alignment. The p-value is the fraction of shifts, the identity among them,
    whose coefficient is at least as large in absolute value.

    Shifting is exact for maps that are homogeneous on a torus. Shifted maps with borders have a
    seam where opposite edges meet, and p comes out somewhat small: at the 5 % level unrelated cuts
    of maps smoothed with 2.44 pixels are rejected in 5.6 +- 0.4 % of pairs at 128 and 64 pixels a
    side, in 7.4 +- 0.4 % at 32. What stands still while the map moves, such as dimmer edges or a
    trend in both maps, counts as agreement: crop or remove it first.

    Pearson and Spearman see all shifts, so p >= 1 / pixels. Kendall sees random ones, with both
    maps in 64 quantile levels, so p >= 1 / (kendall_shifts + 1) and comes in steps of that: of 99
    shifts, p < 0.05 happens by chance in 4 % of pairs.

    Parameters
    ----------
    first, second : (y, x) signed maps, any units.
    generator : draws the shifts for Kendall.
    kendall_shifts : how many, each different and none the identity; all there are if fewer.

    """
    first, second = _pair(first, second)
    if not (_varies(first) and _varies(second)):
        return ShiftPValues(np.nan, np.nan, np.nan)
    ranks = _ranks(first), _ranks(second)
    others = first.size - 1
    offsets = 1 + generator.choice(others, min(kendall_shifts, others), replace=False)
    shifts = np.stack(np.unravel_index(offsets, first.shape), axis=-1)
    identity = np.zeros((1, 2), dtype=shifts.dtype)
    tables = shifted_tables(
        quantile_levels(ranks[0]), quantile_levels(ranks[1]), np.concatenate([identity, shifts])
    )
    return ShiftPValues(
        _fraction_as_large(shifted_correlations(first, second).ravel()),
        _fraction_as_large(shifted_correlations(*ranks).ravel()),
        _fraction_as_large(tau_b(tables)),
    )


def structural_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity (SSIM) of two maps, NaN where a map is zero.

    Each map is divided by its largest absolute value, so the data range is 2. As scikit-image has
    it: a uniform window of 7 x 7 pixels, K1 = 0.01, K2 = 0.03, sample covariances, the mean over
    pixels at least 3 from an edge.

    Made for images that are not negative, it is no measure of agreement in sign: where a map is
    inverted, local means and covariance both change sign and their product does not. A map smoothed
    with 2.44 pixels and its negative have a similarity of 0.7, unrelated maps 0.02 +- 0.01.

    Parameters
    ----------
    first, second : (y, x) signed maps of at least 7 x 7 pixels, any units.

    """
    from skimage import metrics

    first, second = _pair(first, second)
    largest = [float(np.abs(one).max()) for one in (first, second)]
    if not all(0.0 < one < np.inf for one in largest):
        return float("nan")
    return float(
        metrics.structural_similarity(first / largest[0], second / largest[1], data_range=2.0)
    )


def shifted_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Pearson's r of a map with every circular shift of another.

    Parameters
    ----------
    first, second : (y, x) maps that are not constant.

    Returns
    -------
    (y, x) : entry [dy, dx] belongs to the second map rolled by (dy, dx).

    """
    one, other = (scipy.fft.rfft2(_standardized(map_)) for map_ in (first, second))
    return scipy.fft.irfft2(one * other.conj(), s=first.shape)


def quantile_levels(ranks: np.ndarray) -> np.ndarray:
    """Sort pixels into 64 levels of equally many, ties together.

    Parameters
    ----------
    ranks : (y, x) average ranks from 1 to the number of pixels.

    Returns
    -------
    (y, x) integers from 0 to 63.

    """
    return ((ranks - 0.5) * _LEVELS / ranks.size).astype(np.intp)


def shifted_tables(first: np.ndarray, second: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Count pixels by their levels in a map and in circular shifts of another.

    Parameters
    ----------
    first, second : (y, x) integer levels from 0 to 63.
    shifts : (shift, 2) integers (dy, dx), 0 <= dy < y and 0 <= dx < x.

    Returns
    -------
    (shift, level of first, level of second) pixel counts, the second map rolled by (dy, dx).

    """
    rows, columns = first.shape
    scaled = first * _LEVELS
    tiled = np.tile(second, (2, 2))
    tables = np.empty((len(shifts), _LEVELS, _LEVELS), dtype=np.int64)
    for table, (dy, dx) in zip(tables, shifts, strict=True):
        rolled = tiled[rows - dy : 2 * rows - dy, columns - dx : 2 * columns - dx]
        counts = np.bincount((scaled + rolled).ravel(), minlength=_LEVELS**2)
        table[:] = counts.reshape(_LEVELS, _LEVELS)
    return tables


def tau_b(tables: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b of contingency tables.

    Parameters
    ----------
    tables : (..., level of first, level of second) counts, more than one level of each occupied.

    Returns
    -------
    (...) : concordant minus discordant pairs, over the geometric mean of the pairs not tied in the
        first and not tied in the second.

    """
    lower = np.cumsum(tables, axis=-2) - tables
    lower_left = np.cumsum(lower, axis=-1)
    # pairs with a lower first level: those with a lower second level less those with a higher one
    balance = 2 * lower_left - lower - lower_left[..., -1:]
    concordance = np.sum(tables * balance, axis=(-2, -1))
    pixels = np.sum(tables, axis=(-2, -1))
    untied = [(pixels**2 - np.sum(tables.sum(axis=axis) ** 2, axis=-1)) / 2 for axis in (-1, -2)]
    return concordance / (np.sqrt(untied[0]) * np.sqrt(untied[1]))


def _fraction_as_large(coefficients: np.ndarray) -> float:
    """Return the share of coefficients (shift) at least as large as the first, itself included."""
    sizes = np.abs(coefficients)
    # a shift that ties with the identity must count, whichever way the last digit fell
    return float(np.mean(sizes >= sizes[0] - _ROUNDING))


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two maps (y, x) in double precision."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"two maps (y, x) of one shape are needed, not {first.shape}, {second.shape}"
        )
    return first, second


def _varies(map_: np.ndarray) -> bool:
    """Say whether a map (y, x) is finite and not constant to rounding."""
    largest = np.abs(map_).max()
    return bool(np.isfinite(largest) and np.ptp(map_ / (largest or 1.0)) > _CONSTANT)


def _ranks(map_: np.ndarray) -> np.ndarray:
    """Return average ranks (y, x) of a map's pixels."""
    from scipy import stats

    return stats.rankdata(map_).reshape(map_.shape)


def _standardized(map_: np.ndarray) -> np.ndarray:
    """Return a map (y, x) of mean zero whose squares sum to one."""
    # scaled first: squares of very large or small maps would leave the range of floats
    scaled = map_ / np.abs(map_).max()
    centred = scaled - scaled.mean()
    return centred / np.linalg.norm(centred)

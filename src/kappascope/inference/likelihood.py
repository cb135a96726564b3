"""The likelihood of a data vector with a covariance estimated from simulations.

matilla2020 Eq. 4 with the precision matrix debiased by (N - d - 2)/(N - 1) (Hartlap, Simon and
Schneider 2007), or the multivariate t of Sellentin and Heavens (2016). Bins are divided by their
standard deviation before anything is inverted: the noiseless power spectrum spans nine decades.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kappascope.errors import InputError

LIKELIHOODS = ("gaussian", "sellentin_heavens")

MINIMUM_INFORMED_MAPS = 10
"""A bin that departs from its usual value in fewer covariance maps has no measurable variance."""

_CONSTANT = 1e-12  # standard deviation / mean below which a bin is constant to rounding
_DEGENERATE = 1e-12  # eigenvalue of the correlation matrix / largest: rounding, not signal


def precision_factor(maps: int, length: int) -> float:
    """Return (N - d - 2)/(N - 1), which removes the bias of an inverted covariance estimate.

    Parameters
    ----------
    maps : N, independent maps behind the covariance.
    length : d, bins of the data vector.

    """
    if maps <= length + 2:
        raise InputError(
            f"maps.covariance: {maps} covariance maps cannot fix the covariance of a data vector "
            f"of {length} bins, more than {length + 2} are needed; raise it or measure fewer bins"
        )
    return (maps - length - 2) / (maps - 1)


def uninformative_bins(maps: np.ndarray) -> np.ndarray:
    """Tell which bins have no variance to speak of, or values that are not finite.

    Parameters
    ----------
    maps : (map, bin) measured on covariance maps.

    Returns
    -------
    (bin,) bool, True for a bin to drop.

    """
    finite = np.isfinite(maps).all(axis=0)
    values = np.where(finite, maps, 0.0)
    constant = values.std(axis=0) <= _CONSTANT * np.abs(values).max(axis=0)
    usual = np.median(values, axis=0)
    informed = np.sum(values != usual, axis=0)
    return ~finite | constant | (informed < min(MINIMUM_INFORMED_MAPS, len(maps)))


def kept_bins(covariance: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Choose the bins of each statistic that carry signal.

    Parameters
    ----------
    covariance : statistic -> (map, bin) on covariance maps.
    names : statistics to look at.

    Returns
    -------
    Statistic -> (kept bin,) indices.

    Raises
    ------
    InputError
        When a statistic has no bin left.

    """
    kept = {}
    for name in names:
        kept[name] = np.flatnonzero(~uninformative_bins(covariance[name]))
        if not kept[name].size:
            raise InputError(
                f"zero variance in every bin of {name}: its range misses the maps; correct "
                "statistics.ell_range or statistics.kappa_range, or drop it from statistics.names"
            )
    return kept


def weighted_covariance(maps: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the unbiased covariance matrix of weighted maps.

    Parameters
    ----------
    maps : (map, bin).
    weights : (map,) reliability weights; ``None`` for equal ones.

    Returns
    -------
    (bin, bin)

    """
    share = np.full(len(maps), 1.0 / len(maps)) if weights is None else weights / weights.sum()
    centred = maps - share @ maps
    return (centred * share[:, None]).T @ centred / (1.0 - share @ share)


def whitening(covariance: np.ndarray) -> np.ndarray:
    """Return R with R Rᵀ the inverse of ``covariance``, leaving degenerate directions out.

    Parameters
    ----------
    covariance : (bin, bin), no zero on its diagonal.

    Returns
    -------
    (bin, mode), one column a direction of unit variance. There are fewer modes than bins where
    bins depend linearly on each other.

    """
    deviation = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    held = values > _DEGENERATE * values[-1]
    return vectors[:, held] / np.sqrt(values[held]) / deviation[:, None]


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihood of one observed vector as a function of emulator weights.

    Attributes
    ----------
    residuals : (cosmology, mode) whitened difference of each cosmology's mean from the observed
        vector.
    maps : N, covariance maps.
    length : d, modes of the data vector.
    kind : one of :data:`LIKELIHOODS`.
    scatter : (unit, cosmology, mode) by how much each simulation moves the residuals; ``None``
        where they are exact.

    """

    residuals: np.ndarray
    maps: int
    length: int
    kind: str = "gaussian"
    scatter: np.ndarray | None = None

    def chi_squared(self, weights: np.ndarray) -> np.ndarray:
        """Return rᵀ S⁻¹ r with the estimated covariance S, not debiased.

        Noise in the means makes r longer: on average by the variance of its mean, which is taken
        off. That is the same as rᵀ S⁻¹ r' averaged over all pairs of simulations, r of one and r'
        of the other, so that the result may lie below zero.

        Parameters
        ----------
        weights : (point, cosmology); NaN outside the hull.

        Returns
        -------
        (point,)

        """
        nodes, modes = self.residuals.shape
        if self.scatter is None and modes <= nodes:
            return np.sum((weights @ self.residuals) ** 2, axis=1)
        return np.sum((weights @ self._products) * weights, axis=1)

    @functools.cached_property
    def _products(self) -> np.ndarray:
        """Scalar products of the residuals, without their noise: (cosmology, cosmology)."""
        products = self.residuals @ self.residuals.T
        if self.scatter is not None:
            each = self.scatter.swapaxes(0, 1).reshape(len(products), -1)
            products -= each @ each.T
        return products

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the log-likelihood (point,) up to a constant; -inf outside the hull."""
        chi_squared = self.chi_squared(weights)
        if self.kind == "gaussian":
            # matilla2020 Eq. 4
            logarithm = -0.5 * precision_factor(self.maps, self.length) * chi_squared
        else:
            # Sellentin and Heavens 2016, Eq. 12
            logarithm = -0.5 * self.maps * np.log1p(chi_squared / (self.maps - 1))
        return np.where(np.isnan(logarithm), -np.inf, logarithm)


def likelihood(
    means: np.ndarray,
    observed: np.ndarray,
    covariance: np.ndarray,
    *,
    maps: int,
    kind: str = "gaussian",
    scatter: np.ndarray | None = None,
) -> Likelihood:
    """Build the likelihood of ``observed``.

    Parameters
    ----------
    means : (cosmology, bin) mean data vector of each cosmology.
    observed : (bin,).
    covariance : (bin, bin) estimated from ``maps`` maps of the fiducial cosmology.
    maps : N.
    kind : ``gaussian`` (matilla2020 Eq. 4) or ``sellentin_heavens``.
    scatter : (unit, cosmology, bin) by how much each simulation moves ``means - observed``, scaled
        so that the sum of squares is the variance; ``None`` leaves noise in the means uncorrected.

    """
    if kind not in LIKELIHOODS:
        raise InputError(
            f"matilla2020.constraints.likelihood: {kind!r} is not one of {', '.join(LIKELIHOODS)}"
        )
    precision_factor(maps, len(observed))
    root = whitening(covariance)
    moved = None if scatter is None else scatter @ root
    return Likelihood((means - observed) @ root, maps, root.shape[1], kind, moved)

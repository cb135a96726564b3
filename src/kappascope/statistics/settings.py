"""What a measurement needs to know beside the maps; importable without jax."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from kappascope.errors import InputError

ESTIMATORS = ("full", "lenstools")
"""``full`` averages every Fourier mode once; ``lenstools`` averages the half plane that a real
transform returns, in which the conjugate pairs of two columns stand twice, and compares peaks in
single precision."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Bins and conventions of a measurement; hashable, so that kernels compile once for each.

    Attributes
    ----------
    pixel_arcmin : side of a pixel [arcmin].
    ell_edges : (bins + 1) edges of the multipole bins, ell_k < ell <= ell_{k+1}.
    kappa_edges : (bins + 1) evenly spaced edges in convergence, kappa_k <= kappa < kappa_{k+1}.
    estimator : of the power spectrum and of peaks, one of :data:`ESTIMATORS`.
    periodic : whether opposite edges of the map touch. If not, peaks leave out the outermost
        pixel and V1 and V2 the two outermost, where neighbours are missing.

    """

    pixel_arcmin: float
    ell_edges: tuple[float, ...]
    kappa_edges: tuple[float, ...]
    estimator: str = "full"
    periodic: bool = True

    @classmethod
    def from_ranges(
        cls,
        pixel_arcmin: float,
        bins: int,
        ell_range: Sequence[float],
        kappa_range: Sequence[float],
        estimator: str = "full",
        periodic: bool = True,
    ) -> "Settings":
        """Space ``bins`` bins evenly in log(ell) and in convergence, as matilla2020 (§II) does."""
        _check(pixel_arcmin, bins, ell_range, kappa_range, estimator)
        ell_edges = np.logspace(np.log10(ell_range[0]), np.log10(ell_range[1]), bins + 1)
        kappa_edges = np.linspace(kappa_range[0], kappa_range[1], bins + 1)
        return cls(
            float(pixel_arcmin),
            tuple(ell_edges.tolist()),
            tuple(kappa_edges.tolist()),
            estimator,
            periodic,
        )

    @functools.cached_property
    def ell_centres(self) -> np.ndarray:
        """(bins) arithmetic middle of each multipole bin."""
        return _centres(self.ell_edges)

    @functools.cached_property
    def kappa_centres(self) -> np.ndarray:
        """(bins) middle of each convergence bin."""
        return _centres(self.kappa_edges)


def _centres(edges: Sequence[float]) -> np.ndarray:
    array = np.asarray(edges)
    return 0.5 * (array[1:] + array[:-1])


SMALLEST_ARCMIN, LARGEST_ARCMIN = 1e-6, 60.0 * 180.0
"""Sides of pixels that make sense: from microarcminutes to half the sky."""


def check_pixel_arcmin(pixel_arcmin: float) -> None:
    """Refuse a side of a pixel [arcmin] that is not positive and finite."""
    if not SMALLEST_ARCMIN < pixel_arcmin < LARGEST_ARCMIN:
        raise InputError(
            f"pixel_arcmin: got {pixel_arcmin:g}; give a positive number of arcmin, from "
            f"{SMALLEST_ARCMIN:g} to {LARGEST_ARCMIN:g}"
        )


def _check(
    pixel_arcmin: float,
    bins: int,
    ell_range: Sequence[float],
    kappa_range: Sequence[float],
    estimator: str,
) -> None:
    check_pixel_arcmin(pixel_arcmin)
    if bins < 1:
        raise InputError(f"bins: got {bins}; at least one is needed")
    if not 0 < ell_range[0] < ell_range[1] < np.inf:
        raise InputError(
            f"ell_range: got {ell_range[0]:g} {ell_range[1]:g}; "
            "give two increasing positive numbers"
        )
    if not -np.inf < kappa_range[0] < kappa_range[1] < np.inf:
        raise InputError(
            f"kappa_range: got {kappa_range[0]:g} {kappa_range[1]:g}; give two increasing numbers"
        )
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator: got {estimator!r}; allowed: {', '.join(ESTIMATORS)}")

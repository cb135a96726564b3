"""The paper's five statistics: power spectrum, peaks and three Minkowski functionals.

One pass over a map finds each pixel's bin, its gradient and curvature, and whether it is a peak;
one scatter-add sums all of that at once. Bins are halved in that pass, because V0 counts from the
middle of a bin and everything else from its edges. Sums run over groups of rows first: a single
float32 accumulator would lose digits over the 262,144 pixels of a 512² map. Maps of a batch are
worked on one by one, so that a map stays in the cache and its numbers do not depend on the batch.

Lengths are in pixels throughout; the definitions are those of LensTools (Petri 2016).
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.statistics.settings import Settings

_ROW_GROUPS = 64


class Observed(NamedTuple):
    """Where a map can be used; each (y, x) bool, or None where that is everywhere.

    Attributes
    ----------
    pixel : the pixel is observed.
    neighbours : so are its 8 neighbours: it may be a peak.
    stencil : so are all pixels of the finite differences: V1 and V2 may use it.

    """

    pixel: jax.Array | None
    neighbours: jax.Array | None
    stencil: jax.Array | None


_EIGHT = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
_STENCIL = (*_EIGHT, (0, 2), (0, -2), (2, 0), (-2, 0))


class _Shifted:
    """A map (y, x) and its copies displaced by up to two pixels."""

    def __init__(self, map_: jax.Array, **padding: object) -> None:
        self._shape = map_.shape
        self._padded = jnp.pad(map_, 2, **padding)  # type: ignore[arg-type]

    def __call__(self, y: int, x: int) -> jax.Array:
        rows, columns = self._shape
        return self._padded[2 + y : 2 + y + rows, 2 + x : 2 + x + columns]


def observed(mask: jax.Array | None, pixels: int, periodic: bool) -> Observed:
    """Find where peaks and derivatives are defined.

    Parameters
    ----------
    mask : (y, x) bool, True where observed, or None.
    pixels : pixels on a side.
    periodic : whether opposite edges touch.

    """
    if mask is None and periodic:
        return Observed(None, None, None)
    everywhere = jnp.ones((pixels, pixels), dtype=bool)
    pixel = everywhere if mask is None else jnp.asarray(mask, dtype=bool)
    shifted = _Shifted(pixel, **({"mode": "wrap"} if periodic else {"constant_values": False}))
    neighbours = functools.reduce(jnp.logical_and, (shifted(*step) for step in _EIGHT), pixel)
    stencil = functools.reduce(jnp.logical_and, (shifted(*step) for step in _STENCIL), pixel)
    return Observed(None if mask is None else pixel, neighbours, stencil)


def masked(map_: jax.Array, pixel: jax.Array | None) -> jax.Array:
    """Return a map (y, x) with zeros where it is not observed."""
    return map_ if pixel is None else jnp.where(pixel, map_, 0.0)


def binned_sum(values: jax.Array, index: jax.Array, slots: int) -> jax.Array:
    """Sum values by slot.

    Parameters
    ----------
    values : (y, x, quantity).
    index : (y, x) int, slot of each pixel, 0 <= index < slots.
    slots : number of slots.

    Returns
    -------
    (slots, quantity).

    """
    rows, _, quantities = values.shape
    groups = min(rows, _ROW_GROUPS)
    offset = (jnp.arange(rows, dtype=jnp.int32) % groups)[:, None] * slots
    flat = (index + offset).ravel()
    sums = jnp.zeros((groups * slots, quantities), values.dtype)
    sums = sums.at[flat].add(values.reshape(-1, quantities), mode="promise_in_bounds")
    return sums.reshape(groups, slots, quantities).sum(axis=0)


# ---- power spectrum ------------------------------------------------------------------------------


def _mode_multipoles(pixels: int, pixel_arcmin: float) -> np.ndarray:
    """Multipole of each mode of a real transform, (y, x // 2 + 1)."""
    fundamental = 360.0 / (pixel_arcmin * pixels / 60.0)  # 2 pi / side [1/rad]
    rows = np.arange(pixels)
    ell_y = np.minimum(rows, pixels - rows)[:, None] * fundamental
    ell_x = np.arange(pixels // 2 + 1)[None, :] * fundamental
    return np.hypot(ell_y, ell_x)


@functools.lru_cache(maxsize=16)
def _ell_bins(pixels: int, settings: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slot and weight of each mode (y, x // 2 + 1), and the weight in each bin (bins)."""
    bins = len(settings.ell_edges) - 1
    ell = _mode_multipoles(pixels, settings.pixel_arcmin)
    slot = np.searchsorted(settings.ell_edges, ell, side="left") - 1
    slot = np.where((slot >= 0) & (slot < bins), slot, bins)
    weight = np.ones(slot.shape)
    if settings.estimator == "full":
        # Each column stands for its conjugate as well, except the first and, for an even number
        # of pixels, the last.
        weight[:, 1 : (pixels + 1) // 2] = 2.0
    total = np.bincount(slot.ravel(), weights=weight.ravel(), minlength=bins + 1)[:bins]
    return slot.astype(np.int32), weight, total


def modes_in_bins(pixels: int, settings: Settings) -> np.ndarray:
    """Return how many Fourier modes each multipole bin averages, (bins)."""
    return _ell_bins(pixels, settings)[2]


def average_over_modes(
    spectrum: Callable[[np.ndarray], np.ndarray],
    pixels: int,
    pixel_arcmin: float,
    ell_edges: Sequence[float],
) -> np.ndarray:
    """Average a model over the Fourier modes that each multipole bin of a map averages.

    The first bins of a small map hold four modes each, all near one edge: the model at a bin's
    middle is then off by 10 %.

    Parameters
    ----------
    spectrum : (ell) → (ell) power.
    pixels, pixel_arcmin, ell_edges : as for :func:`power_spectrum`.

    Returns
    -------
    (bins) average; NaN where a bin holds no mode.

    """
    settings = Settings(float(pixel_arcmin), tuple(map(float, ell_edges)), (0.0, 1.0), "full")
    slot, weight, total = _ell_bins(pixels, settings)
    ell = _mode_multipoles(pixels, settings.pixel_arcmin)
    inside = slot < len(total)
    distinct, which = np.unique(ell[inside], return_inverse=True)
    values = np.asarray(spectrum(distinct))[which]
    sums = np.bincount(slot[inside], weights=weight[inside] * values, minlength=len(total))
    return np.where(total > 0, sums / np.maximum(total, 1), np.nan)


def power_of_map(map_: jax.Array, pixel: jax.Array | None, settings: Settings) -> jax.Array:
    """Measure the power spectrum of one map.

    Parameters
    ----------
    map_ : (y, x), zero where masked.
    pixel : (y, x) bool mask or None. With a mask, the power of the masked map is divided by the
        observed fraction f_sky; the modes that the mask couples are not unmixed.
    settings : bins and estimator.

    Returns
    -------
    (bins) power [sr]; zero in bins that hold no mode.

    """
    pixels = map_.shape[-1]
    slot, weight, total = _ell_bins(pixels, settings)
    transform = jnp.fft.rfft2(map_)
    power = (transform.real**2 + transform.imag**2) * jnp.asarray(weight, map_.dtype)
    sums = binned_sum(power[..., None], jnp.asarray(slot), len(total) + 1)[:-1, 0]
    side_radian = np.radians(settings.pixel_arcmin * pixels / 60.0)
    scale = (side_radian / pixels**2) ** 2 / np.maximum(total, 1.0)
    spectrum = sums * jnp.asarray(scale, map_.dtype)
    return spectrum if pixel is None else spectrum / jnp.mean(pixel, dtype=map_.dtype)


# ---- excursion sets and peaks --------------------------------------------------------------------


class ExcursionSums(NamedTuple):
    """Sums over one map that peaks, Minkowski functionals and the one-point PDF share.

    Attributes
    ----------
    above : (bins) pixels at or above the middle of each bin.
    pixels : (bins) pixels in each bin.
    peaks : (bins) peaks in each bin.
    boundary : (bins) sum of |grad kappa| / 4 [1/pixel].
    curvature : (bins) sum of the integrand of V2 [1/pixel^2].
    observed : number of observed pixels.
    stencil : number of pixels that ``boundary`` and ``curvature`` are sums over.

    """

    above: jax.Array
    pixels: jax.Array
    peaks: jax.Array
    boundary: jax.Array
    curvature: jax.Array
    observed: jax.Array | float
    stencil: jax.Array | float


def local_maxima(shifted: _Shifted, single_precision: bool = False) -> jax.Array:
    """Find the pixels above all 8 neighbours, (y, x) bool; of equal ones none.

    Parameters
    ----------
    single_precision : compare a single-precision copy of the pixel with its neighbours, as
        LensTools does: in float64 maps half of all ties, and of pairs that agree to seven digits,
        then come out as peaks.

    """
    centre = shifted(0, 0)
    if single_precision:
        centre = centre.astype(jnp.float32).astype(centre.dtype)
    return functools.reduce(jnp.logical_and, (centre > shifted(*step) for step in _EIGHT))


def _integrands(shifted: _Shifted) -> tuple[jax.Array, jax.Array]:
    """Return the integrands of V1 and V2 (matilla2020 Eq. 3), (y, x) each."""
    gradient_x = (shifted(0, 1) - shifted(0, -1)) / 2
    gradient_y = (shifted(1, 0) - shifted(-1, 0)) / 2
    twice = 2 * shifted(0, 0)
    second_xx = (shifted(0, 2) + shifted(0, -2) - twice) / 4
    second_yy = (shifted(2, 0) + shifted(-2, 0) - twice) / 4
    second_xy = (shifted(1, 1) + shifted(-1, -1) - shifted(-1, 1) - shifted(1, -1)) / 4
    squared = gradient_x**2 + gradient_y**2
    numerator = (
        2 * gradient_x * gradient_y * second_xy
        - gradient_x**2 * second_yy
        - gradient_y**2 * second_xx
    )
    # Where the gradient vanishes, its limit along the diagonal, as LensTools takes it.
    limit = (2 * second_xy - second_xx - second_yy) / (4 * jnp.pi)
    flat = squared == 0
    curvature = jnp.where(flat, limit, numerator / jnp.where(flat, 1.0, squared) / (2 * jnp.pi))
    return jnp.sqrt(squared) / 4, curvature


def _half_bins(map_: jax.Array, settings: Settings) -> jax.Array:
    """Return each pixel's half bin, (y, x) int: 0 below all bins, 2 bins + 1 above them."""
    low, high = settings.kappa_edges[0], settings.kappa_edges[-1]
    halves = 2 * (len(settings.kappa_edges) - 1)
    place = jnp.floor((map_ - low) * (halves / (high - low)))
    return jnp.clip(place, -1, halves).astype(jnp.int32) + 1


def excursion_sums(map_: jax.Array, where: Observed, settings: Settings) -> ExcursionSums:
    """Sum over the pixels of one map (y, x), zero where masked, by convergence bin."""
    shifted = _Shifted(map_, mode="wrap")
    boundary, curvature = _integrands(shifted)
    peaks = local_maxima(shifted, settings.estimator == "lenstools")
    columns = [
        jnp.ones_like(map_) if where.pixel is None else where.pixel.astype(map_.dtype),
        (peaks if where.neighbours is None else peaks & where.neighbours).astype(map_.dtype),
        boundary if where.stencil is None else jnp.where(where.stencil, boundary, 0.0),
        curvature if where.stencil is None else jnp.where(where.stencil, curvature, 0.0),
    ]
    halves = 2 * (len(settings.kappa_edges) - 1)
    sums = binned_sum(jnp.stack(columns, axis=-1), _half_bins(map_, settings), halves + 2)
    whole = sums[1:-1].reshape(-1, 2, len(columns)).sum(axis=1)
    from_here_up = jnp.cumsum(sums[::-1, 0])[::-1]
    return ExcursionSums(
        above=from_here_up[2:-1:2],
        pixels=whole[:, 0],
        peaks=whole[:, 1],
        boundary=whole[:, 2],
        curvature=whole[:, 3],
        observed=_count(where.pixel, map_),
        stencil=_count(where.stencil, map_),
    )


def _count(where: jax.Array | None, map_: jax.Array) -> jax.Array | float:
    if where is None:
        return float(map_.size)
    # A mask may leave no pixel whose stencil is whole; the sums are zero then, and so is the mean.
    return jnp.clip(jnp.sum(where, dtype=map_.dtype), 1.0)


def bin_width(settings: Settings) -> float:
    """Return the width of a convergence bin."""
    edges = settings.kappa_edges
    return (edges[-1] - edges[0]) / (len(edges) - 1)


# ---- batched front doors -------------------------------------------------------------------------


def power_spectrum(
    maps: jax.Array,
    pixel_arcmin: float,
    ell_edges: Sequence[float],
    estimator: str = "full",
    mask: jax.Array | None = None,
) -> jax.Array:
    """Measure power spectra.

    Parameters
    ----------
    maps : (batch, y, x).
    pixel_arcmin : side of a pixel [arcmin].
    ell_edges : (bins + 1) edges of the multipole bins.
    estimator : ``full`` or ``lenstools``.
    mask : (y, x) bool or None.

    Returns
    -------
    (batch, bins) power [sr].

    """
    edges = tuple(float(edge) for edge in ell_edges)
    return _power(maps, mask, Settings(float(pixel_arcmin), edges, (0.0, 1.0), estimator))


def peak_counts(
    maps: jax.Array,
    kappa_edges: Sequence[float],
    periodic: bool = True,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Count local maxima by height.

    Parameters
    ----------
    maps : (batch, y, x).
    kappa_edges : (bins + 1) evenly spaced edges.
    periodic : whether opposite edges touch; if not, the outermost pixels are no peaks.
    mask : (y, x) bool or None; pixels next to a masked one are no peaks.

    Returns
    -------
    (batch, bins) peaks of the whole map per unit of convergence, as LensTools counts.

    """
    settings = _kappa_settings(kappa_edges, periodic)
    return _excursions(maps, mask, settings).peaks / bin_width(settings)


def minkowski_functionals(
    maps: jax.Array,
    kappa_edges: Sequence[float],
    periodic: bool = True,
    mask: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Measure the Minkowski functionals V0, V1 and V2 (matilla2020 Eq. 3).

    Parameters
    ----------
    maps : (batch, y, x).
    kappa_edges : (bins + 1) evenly spaced edges; V0 is taken at the bins' middles, the delta
        functions of V1 and V2 as wide as a bin.
    periodic : whether opposite edges touch; if not, V1 and V2 leave out the two outermost pixels.
    mask : (y, x) bool or None.

    Returns
    -------
    Three (batch, bins): V0 [1], V1 [1/pixel], V2 [1/pixel^2].

    """
    settings = _kappa_settings(kappa_edges, periodic)
    sums = _excursions(maps, mask, settings)
    return minkowski_from_sums(sums, settings)


def minkowski_from_sums(
    sums: ExcursionSums, settings: Settings
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return V0, V1 and V2 of maps from their sums, (..., bins) each."""
    observed_pixels = jnp.expand_dims(jnp.asarray(sums.observed), -1)
    area = jnp.expand_dims(jnp.asarray(sums.stencil), -1) * bin_width(settings)
    return sums.above / observed_pixels, sums.boundary / area, sums.curvature / area


def _kappa_settings(kappa_edges: Sequence[float], periodic: bool) -> Settings:
    edges = np.asarray(kappa_edges, dtype=float)
    if not np.allclose(np.diff(edges), (edges[-1] - edges[0]) / (len(edges) - 1), rtol=1e-6):
        raise ValueError("the edges in convergence must be evenly spaced")
    return Settings(1.0, (1.0, 2.0), tuple(edges.tolist()), periodic=periodic)


@functools.partial(jax.jit, static_argnames="settings")
def _power(maps: jax.Array, mask: jax.Array | None, settings: Settings) -> jax.Array:
    return jax.lax.map(lambda map_: power_of_map(masked(map_, mask), mask, settings), maps)


@functools.partial(jax.jit, static_argnames="settings")
def _excursions(maps: jax.Array, mask: jax.Array | None, settings: Settings) -> ExcursionSums:
    where = observed(mask, maps.shape[-1], settings.periodic)
    return jax.lax.map(lambda map_: excursion_sums(masked(map_, mask), where, settings), maps)

"""Gaussian smoothing of maps; widths are standard deviations, not full widths at half maximum."""

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.errors import InputError

if TYPE_CHECKING:
    from kappascope.maps.dataset import MapSet


@functools.lru_cache(maxsize=16)
def _transfer(pixels: int, sigma_pixels: float) -> np.ndarray:
    squared = np.fft.fftfreq(pixels)[:, None] ** 2 + np.fft.rfftfreq(pixels)[None, :] ** 2
    return np.exp(-0.5 * (2.0 * np.pi * sigma_pixels) ** 2 * squared)


def smooth_map(map_: jax.Array, sigma_pixels: float) -> jax.Array:
    """Smooth one map (y, x) with a periodic Gaussian of ``sigma_pixels``; traceable."""
    if sigma_pixels == 0:
        return map_
    pixels = map_.shape[-1]
    transfer = jnp.asarray(_transfer(pixels, sigma_pixels), map_.dtype)
    return jnp.fft.irfft2(jnp.fft.rfft2(map_) * transfer, s=(pixels, pixels))


def double_map(map_: jax.Array) -> jax.Array:
    """Return one map (y, x) on pixels half as large, (2y, 2x), by Fourier zero-padding; traceable.

    Exact for a periodic map without power beyond its Nyquist frequency, which a smoothed one nearly
    is; its pixels stay as they are, between them come others.
    """
    pixels = map_.shape[-1]
    modes = jnp.fft.fft2(map_)
    half = pixels // 2
    wide = jnp.zeros((2 * pixels, 2 * pixels), modes.dtype)
    # Rows and columns of positive frequencies stay in front, negative ones go to the end. What lies
    # at the Nyquist frequency of an even number is shared between both signs.
    rows = jnp.arange(pixels)
    place = jnp.where(rows < pixels - half, rows, rows + pixels)
    wide = wide.at[place[:, None], place[None, :]].set(modes)
    if pixels % 2 == 0:
        edge = pixels + half
        wide = wide.at[edge].multiply(0.5).at[half].set(0.5 * wide[edge])
        wide = wide.at[:, edge].multiply(0.5).at[:, half].set(0.5 * wide[:, edge])
    return (4.0 * jnp.fft.ifft2(wide).real).astype(map_.dtype)


@functools.partial(jax.jit, static_argnames="sigma_pixels")
def smooth(maps: jax.Array, sigma_pixels: float) -> jax.Array:
    """Smooth maps with a Gaussian, opposite edges joined.

    Parameters
    ----------
    maps : (batch, y, x).
    sigma_pixels : standard deviation of the Gaussian [pixels].

    Returns
    -------
    (batch, y, x), of the same type.

    """
    return jax.lax.map(functools.partial(smooth_map, sigma_pixels=sigma_pixels), maps)


def smoothed_mask(
    mask: jax.Array, sigma_pixels: float, minimum_weight: float = 0.5
) -> tuple[jax.Array, jax.Array]:
    """Return the weight under the Gaussian and the mask that smoothed maps have; traceable.

    Parameters
    ----------
    mask : (y, x) bool, True where observed.
    sigma_pixels : standard deviation of the Gaussian [pixels].
    minimum_weight : an observed pixel whose Gaussian lies to less than this on observed pixels
        is masked out.

    Returns
    -------
    (y, x) weight and (y, x) bool mask.

    """
    weight = smooth_map(mask.astype(jnp.result_type(float)), sigma_pixels)
    return weight, mask & (weight >= minimum_weight)


@functools.partial(jax.jit, static_argnames=("sigma_pixels", "minimum_weight"))
def smooth_masked(
    maps: jax.Array, mask: jax.Array, sigma_pixels: float, minimum_weight: float = 0.5
) -> tuple[jax.Array, jax.Array]:
    """Smooth maps over their observed pixels only (normalised convolution).

    Parameters
    ----------
    maps : (batch, y, x).
    mask, sigma_pixels, minimum_weight : as in :func:`smoothed_mask`.

    Returns
    -------
    (batch, y, x) maps, zero where masked, and their (y, x) mask.

    """
    weight, kept = smoothed_mask(mask, sigma_pixels, minimum_weight)
    gain = jnp.where(kept, 1.0 / weight, 0.0).astype(maps.dtype)

    def one(map_: jax.Array) -> jax.Array:
        return smooth_map(jnp.where(mask, map_, 0.0), sigma_pixels) * gain

    return jax.lax.map(one, maps), kept


LEAST_PIXELS = 1.2
"""Pixels a Gaussian's standard deviation must span for its map to be sampled well enough."""


def remaining_smoothing(maps: "MapSet", wanted_arcmin: float) -> float:
    """Return the Gaussian still to apply [pixels]: widths add in squares.

    Asked for 0, maps stay as they are.

    Raises
    ------
    InputError
        When the maps are smoothed by more already, or their pixels are too coarse.

    """
    already = maps.smoothing_arcmin
    if wanted_arcmin < already:
        raise InputError(
            f"maps.smoothing_arcmin: got {wanted_arcmin:g}, but the maps are already smoothed "
            f"by {already:g} arcmin; ask for at least that"
        )
    if wanted_arcmin == 0:
        return 0.0
    if wanted_arcmin < LEAST_PIXELS * maps.pixel_arcmin * (1 - 1e-6):
        raise InputError(
            f"maps.smoothing_arcmin: got {wanted_arcmin:g}, but these maps have pixels of "
            f"{maps.pixel_arcmin:.3g} arcmin; ask for at least {LEAST_PIXELS} pixels, or raise "
            "maps.pixels"
        )
    return float(np.sqrt(wanted_arcmin**2 - already**2) / maps.pixel_arcmin)

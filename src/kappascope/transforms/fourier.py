"""Fourier transforms of vectors and maps, and bands of multipoles."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.errors import InputError
from kappascope.transforms.registry import TRANSFORMS

Array = Any


@dataclasses.dataclass(frozen=True)
class RealFourier:
    """Discrete Fourier transform of vectors: (batch, size) ↔ (batch, size // 2 + 1, 2).

    The last axis holds real and imaginary parts.
    """

    size: int

    def forward(self, x: Array) -> Array:
        """Return coefficients."""
        s = jnp.fft.rfft(x, axis=-1)
        return jnp.stack([s.real, s.imag], -1)

    def inverse(self, s: Array) -> Array:
        """Return vectors."""
        return jnp.fft.irfft(jax.lax.complex(s[..., 0], s[..., 1]), self.size, axis=-1)


@TRANSFORMS.add("fft", label="Fourier transform")
@dataclasses.dataclass(frozen=True)
class Fourier:
    """Discrete Fourier transform of maps: (batch, y, x, channel) ↔ (..., 2), real and imaginary."""

    def forward(self, x: Array) -> Array:
        """Return coefficients, zero frequency first."""
        s = jnp.fft.fft2(x, axes=(1, 2))
        return jnp.stack([s.real, s.imag], -1)

    def inverse(self, s: Array) -> Array:
        """Return the real part of the maps."""
        return jnp.fft.ifft2(jax.lax.complex(s[..., 0], s[..., 1]), axes=(1, 2)).real


LARGEST_BAND = 10.0
"""Edges in units of the Nyquist frequency: nobody means larger ones."""


def parse_bands(text: str, pixel_arcmin: float | None = None) -> tuple[tuple[float, float], ...]:
    """Read bands written LO:HI,LO:HI,... in units of the Nyquist frequency.

    Parameters
    ----------
    pixel_arcmin : where given, edges are multipoles of maps with such pixels.

    Returns
    -------
    (low, high) of each band in units of the Nyquist frequency.

    Raises
    ------
    InputError
        When a band is not two rising numbers; corners of a map reach √2.

    """
    bands = []
    for part in text.split(","):
        try:
            low, high = map(float, part.split(":"))
        except ValueError:
            raise InputError(
                f"--bands: got {part!r}; write LO:HI,LO:HI,... in units of the Nyquist frequency"
            ) from None
        if not 0 <= low < high:
            raise InputError(f"--bands: got {part!r}; edges must rise from 0 on")
        bands.append((low, high))
    edges = [edge for band in bands for edge in band if math.isfinite(edge)]
    if pixel_arcmin is None and max(edges, default=0.0) > LARGEST_BAND:
        raise InputError(
            f"--bands: got {text!r}, whose edges look like multipoles; give --pixel-arcmin, or "
            "units of the Nyquist frequency (corners of a map reach 1.41)"
        )
    unit = 1.0 if pixel_arcmin is None else multipole_of_band(1.0, pixel_arcmin)
    return tuple((low / unit, high / unit) for low, high in bands)


def bands_around(centres: Sequence[float], width: float) -> tuple[tuple[float, float], ...]:
    """Return bands of one width around centres, not below zero; units as given."""
    return tuple((max(centre - width / 2, 0.0), centre + width / 2) for centre in centres)


def ring_masks(pixels: int, bands: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return (band, y, x) masks in the order of the transform: low ≤ d < high.

    d = √(f_y² + f_x²), f = 2 fftfreq: 1 is the Nyquist frequency. The released code of Singh et al.
    (2020) divides by the largest frequency along an axis, the same for an even number of pixels.
    """
    frequency = 2 * np.fft.fftfreq(pixels)
    distance = np.hypot(frequency[:, None], frequency[None, :])
    return np.array([(low <= distance) & (distance < high) for low, high in bands])


def multipole_of_band(band: float, pixel_arcmin: float) -> float:
    """Return the multipole of a frequency in Nyquist units: ℓ = band · π / pixel [rad].

    Singh et al. multiplied by 2π / pixel, twice that.
    """
    return band * 180 * 60 / pixel_arcmin


def band_masks(shape: tuple[int, ...], bands: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return masks of an input's transform: (band, y, x) for maps, (band, frequency) for vectors.

    Maps of one row are series, (1, sample, channel), and their masks are (band, 1, frequency).

    Raises
    ------
    InputError
        When maps are not square, or a band holds no coefficient.

    """
    if len(shape) == 1 or shape[0] == 1:
        frequency = 2 * np.abs(np.fft.fftfreq(max(shape)))
        masks = np.array([(low <= frequency) & (frequency < high) for low, high in bands])
        masks = masks if len(shape) == 1 else masks[:, None]
    elif shape[0] != shape[1]:
        raise InputError(f"--transform fft: maps of {shape[0]}×{shape[1]} pixels are not square")
    else:
        masks = ring_masks(shape[0], bands)
    for (low, high), mask in zip(bands, masks, strict=True):
        if not mask.any():
            hint = "too high" if low > 1.41 else "narrower than the steps between frequencies"
            raise InputError(
                f"band {low:g}:{high:g} holds no coefficient of the transform, whose frequencies "
                f"reach {1 if min(shape[:2]) == 1 or len(shape) == 1 else math.sqrt(2):.3g} in "
                f"units of the Nyquist frequency; {hint}"
            )
    return masks


@jax.jit
def filtered(x: Array, mask: Array) -> Array:
    """Return the part of inputs in a band.

    Parameters
    ----------
    x : (batch, y, x, channel) or (batch, feature).
    mask : (y, x) or (frequency) in the order of the transform.

    """
    axes = (1, 2) if x.ndim == 4 else (1,)
    shape = (1, *mask.shape, *[1] * (x.ndim - 1 - mask.ndim))
    modes = jnp.fft.fftn(x, axes=axes) * mask.reshape(shape)
    return jnp.fft.ifftn(modes, axes=axes).real.astype(x.dtype)

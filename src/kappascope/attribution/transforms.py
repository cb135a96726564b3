"""Attribution to a transformation of the input (TRIM, Singh et al. 2020).

A linear transformation has an inverse that takes coefficients s to inputs, x = T⁻¹(s) + rest, and a
network f is explained as f(T⁻¹(s) + rest) at s = T(x) (Definition 1). What T cannot represent stays
in the rest, which no coefficient is credited with. Masks M choose coefficients; the part of the
input that they stand for is T⁻¹(M ⊙ T(x)).
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.attribution import contextual
from kappascope.attribution.methods import (
    GradientShap,
    IntegratedGradients,
    Method,
    Model,
    Propagation,
    SmoothGrad,
    attribute,
    find,
)
from kappascope.attribution.rules import divide
from kappascope.errors import InputError
from kappascope.maps.wavelets import starlet

Array = Any


class Transform(Protocol):
    """A linear transformation with a (pseudo-)inverse."""

    def forward(self, x: Array) -> Array:
        """Return coefficients (batch, ...) of inputs (batch, ...)."""
        ...

    def inverse(self, s: Array) -> Array:
        """Return inputs of coefficients; linear in s."""
        ...


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


@dataclasses.dataclass(frozen=True)
class Starlet:
    """Isotropic wavelets of maps: (batch, y, x, channel) ↔ (batch, scale, y, x, channel).

    Detail scales from the finest on and the coarse map last, which add up to the map; opposite
    edges are joined. Redundant: the inverse undoes the transformation, not the other way round.
    """

    scales: int = 4

    def forward(self, x: Array) -> Array:
        """Return the scales."""
        planes = jnp.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:3])
        parts = jax.vmap(lambda plane: jnp.stack(starlet(plane, self.scales)))(planes)
        parts = parts.reshape(len(x), x.shape[-1], self.scales + 1, *x.shape[1:3])
        return jnp.moveaxis(parts, 1, -1)

    def inverse(self, s: Array) -> Array:
        """Return maps."""
        return s.sum(1)


_SQRT3 = math.sqrt(3)
WAVELETS = {
    "haar": np.array([1, 1]) / math.sqrt(2),
    "db2": np.array([1 + _SQRT3, 3 + _SQRT3, 3 - _SQRT3, 1 - _SQRT3]) / (4 * math.sqrt(2)),
}
"""Low-pass filters of orthogonal wavelets (Daubechies 1992, Table 6.1)."""


@dataclasses.dataclass(frozen=True)
class Wavelet:
    """Orthogonal wavelets with joined edges: (batch, size) or (batch, y, x, channel), same shape.

    Coefficients lie as usual: coarse ones first, then details from coarse to fine; of maps the
    coarse corner first.

    Attributes
    ----------
    name : ``haar`` or ``db2``.
    levels : how often the coarse part is split; each halves it.

    """

    name: str = "db2"
    levels: int = 3

    def __post_init__(self) -> None:
        if self.name not in WAVELETS:
            raise InputError(f"wavelet: got {self.name!r}, allowed are {', '.join(WAVELETS)}")

    def _matrix(self, size: int, dtype: Any) -> Array:
        """Return one level: (size, size), low-pass rows above high-pass rows."""
        low = WAVELETS[self.name]
        high = low[::-1] * (-1.0) ** np.arange(len(low))
        rows = np.zeros((size, size))
        for half, taps in enumerate((low, high)):
            for number in range(size // 2):
                np.add.at(
                    rows[half * size // 2 + number],
                    (2 * number + np.arange(len(taps))) % size,
                    taps,
                )
        return jnp.asarray(rows, dtype)

    def _axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axes = (1,) if len(shape) == 2 else (1, 2)
        for axis in axes:
            if shape[axis] % 2**self.levels:
                raise InputError(
                    f"wavelet: {shape[axis]} is no multiple of {2**self.levels}, which "
                    f"{self.levels} levels need"
                )
        return axes

    def _apply(self, x: Array, level: int, back: bool) -> Array:
        axes = self._axes(x.shape)
        corner = tuple(
            slice(0, size >> level) if axis in axes else slice(None)
            for axis, size in enumerate(x.shape)
        )
        part = x[corner]
        for axis in axes:
            matrix = self._matrix(part.shape[axis], x.dtype)
            matrix = matrix.T if back else matrix
            part = jnp.moveaxis(jnp.tensordot(matrix, part, (1, axis)), 0, axis)
        return jnp.asarray(x).at[corner].set(part)

    def forward(self, x: Array) -> Array:
        """Return coefficients."""
        for level in range(self.levels):
            x = self._apply(x, level, back=False)
        return x

    def inverse(self, s: Array) -> Array:
        """Return inputs."""
        for level in reversed(range(self.levels)):
            s = self._apply(s, level, back=True)
        return s


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """Coefficients of basis vectors: x = s · basis, over the flattened input.

    Attributes
    ----------
    basis : (coefficient, feature).
    shape : of one input.
    fit : inputs (batch, feature) → coefficients (batch, coefficient), for example a fit with
        constraints (NMF, topics); products with the pseudo-inverse of the basis unless given.

    """

    basis: np.ndarray
    shape: tuple[int, ...]
    fit: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if self.basis.ndim != 2 or self.basis.shape[1] != int(np.prod(self.shape)):
            raise InputError(
                f"basis of shape {self.basis.shape}: its rows must be inputs of "
                f"{int(np.prod(self.shape))} features"
            )

    @functools.cached_property
    def _analysis(self) -> np.ndarray:
        return np.linalg.pinv(self.basis)

    def forward(self, x: Array) -> Array:
        """Return coefficients."""
        flat = x.reshape(len(x), -1)
        if self.fit is not None:
            return jnp.asarray(self.fit(np.asarray(flat)), x.dtype)
        return flat @ jnp.asarray(self._analysis, x.dtype)

    def inverse(self, s: Array) -> Array:
        """Return inputs."""
        return (s @ jnp.asarray(self.basis, s.dtype)).reshape(len(s), *self.shape)


# ---- Fourier bands -------------------------------------------------------------------------------


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


def decomposed_bands(
    model: Model, x: Array, bands: Sequence[tuple[float, float]]
) -> tuple[Array, Array]:
    """Follow each band of the inputs through a network by contextual decomposition.

    Returns
    -------
    Relevant and irrelevant part of the outputs, (band, batch, output) each.

    """
    x = jnp.asarray(x)
    masks = band_masks(x.shape[1:], bands)
    return _followed(model, x, (filtered(x, jnp.asarray(mask)) for mask in masks))


def decomposed(
    model: Model, x: Array, transform: Transform, masks: Sequence[Array] | None = None
) -> tuple[Array, Array]:
    """Follow parts of the transformed inputs through a network by contextual decomposition.

    The relevant part is T⁻¹(M ⊙ T(x)); what T cannot represent is in the irrelevant part.

    Parameters
    ----------
    masks : each in the shape of one input's coefficients; each coefficient by itself unless given.

    Returns
    -------
    Relevant and irrelevant part of the outputs, (mask, batch, output) each.

    """
    x = jnp.asarray(x)
    coefficients = transform.forward(x)
    chosen = _one_by_one(coefficients.shape[1:]) if masks is None else masks
    parts = (transform.inverse(jnp.where(jnp.asarray(mask), coefficients, 0)) for mask in chosen)
    return _followed(model, x, parts)


def _one_by_one(shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    return np.eye(size, dtype=bool).reshape(size, *shape)


def _followed(model: Model, x: Array, parts: Iterable[Array]) -> tuple[Array, Array]:
    network, parameters = model[0], dict(model[1])
    values = contextual.evaluated(network, parameters, x)
    scores = [contextual.scores(network, parameters, values, part) for part in parts]
    relevant, irrelevant = zip(*scores, strict=True)
    return jnp.stack(relevant), jnp.stack(irrelevant)


def band_relevance(
    method: str | Method,
    model: Model,
    x: Array,
    bands: Sequence[tuple[float, float]],
    output: Sequence[int],
    seed: int = 0,
) -> Array:
    """Attribute outputs to bands: relevance of their coefficients, added up.

    With r the part of the input in a band and m what the method multiplies the input with, the
    relevance is Σ r ⊙ m, as attribution through the inverse transform gives it. A method that does
    not multiply by the input (the gradient) tells how the output changes as the band grows.

    Returns
    -------
    (output, batch, band).

    """
    found = find(method, model[0]) if isinstance(method, str) else method
    x = jnp.asarray(x)
    slopes, _ = _slopes(found, model, x, output, seed)
    axes = tuple(range(2, slopes.ndim))
    scores = [
        (filtered(x, jnp.asarray(mask)) * slopes).sum(axes)
        for mask in band_masks(x.shape[1:], bands)
    ]
    return jnp.stack(scores, -1)


# ---- attribution in the transformed space --------------------------------------------------------


def transformed(
    method: str | Method,
    model: Model,
    x: Array,
    transform: Transform,
    output: int | Sequence[int] | None = None,
    seed: int = 0,
) -> Array:
    """Attribute an output to coefficients: attr(f ∘ T⁻¹, s) at s = T(x), baseline s = 0.

    T⁻¹ stands before the network as a linear layer. Gradients go through its transpose; methods
    that multiply by the input multiply by s; relevance of x is handed on in proportion, as LRP does
    through a layer without activation.

    Parameters
    ----------
    x : (batch, *input_shape).

    Returns
    -------
    (batch, *coefficients), with the output in front if several are asked for.

    """
    found = find(method, model[0]) if isinstance(method, str) else method
    x = jnp.asarray(x)
    coefficients = transform.forward(x)
    _, transpose = jax.vjp(transform.inverse, coefficients)
    slopes, times = _slopes(found, model, x, output, seed)
    one_output = output is not None and np.ndim(output) == 0
    each = slopes[None] if one_output else slopes
    back = jnp.stack([transpose(slope)[0] for slope in each])
    back = back * coefficients if times else back
    return back[0] if one_output else back


def _slopes(
    method: Method, model: Model, x: Array, output: int | Sequence[int] | None, seed: int
) -> tuple[Array, bool]:
    """Return what multiplies the input in a method's map, and whether the method multiplies it."""
    procedure = method.procedure
    if isinstance(procedure, SmoothGrad) or (
        isinstance(procedure, Propagation) and procedure.seed == "one" and not procedure.times_input
    ):
        return attribute(method, model, x, output, seed), False
    if isinstance(procedure, IntegratedGradients | GradientShap):
        plain = dataclasses.replace(method, procedure=dataclasses.replace(procedure, times=False))
        return attribute(plain, model, x, output, seed), True
    if isinstance(procedure, Propagation) and procedure.times_input:
        plain = dataclasses.replace(
            method, procedure=dataclasses.replace(procedure, times_input=False)
        )
        return attribute(plain, model, x, output, seed), True
    if isinstance(procedure, Propagation) and procedure.target == "x":
        return divide(attribute(method, model, x, output, seed), x), True
    raise InputError(
        f"{method.name}: has no map over input pixels to transform; use a gradient or LRP method"
    )

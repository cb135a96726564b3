"""Attribution to a transformation of the input (TRIM, Singh et al. 2020).

A linear transformation has an inverse that takes coefficients s to inputs, x = T⁻¹(s) + rest, and a
network f is explained as f(T⁻¹(s) + rest) at s = T(x) (Definition 1). What T cannot represent stays
in the rest, which no coefficient is credited with. Masks M choose coefficients; the part of the
input that they stand for is T⁻¹(M ⊙ T(x)).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.attribution import contextual
from kappascope.attribution.methods import (
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


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """Coefficients of basis vectors: x = s · basis, over the flattened input.

    Attributes
    ----------
    basis : (coefficient, feature).
    analysis : (feature, coefficient); the pseudo-inverse of the basis unless given, for example a
        fit with constraints.

    """

    basis: np.ndarray
    shape: tuple[int, ...]
    analysis: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.basis.ndim != 2 or self.basis.shape[1] != int(np.prod(self.shape)):
            raise InputError(
                f"basis of shape {self.basis.shape}: its rows must be inputs of "
                f"{int(np.prod(self.shape))} features"
            )
        if self.analysis is None:
            object.__setattr__(self, "analysis", np.linalg.pinv(self.basis))

    def forward(self, x: Array) -> Array:
        """Return coefficients."""
        return x.reshape(len(x), -1) @ jnp.asarray(self.analysis, x.dtype)

    def inverse(self, s: Array) -> Array:
        """Return inputs."""
        return (s @ jnp.asarray(self.basis, s.dtype)).reshape(len(s), *self.shape)


# ---- Fourier bands -------------------------------------------------------------------------------


def parse_bands(text: str) -> tuple[tuple[float, float], ...]:
    """Read bands written LO:HI,LO:HI,... in units of the Nyquist frequency.

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
    return tuple(bands)


def ring_masks(pixels: int, bands: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return (band, y, x) masks in the order of the transform: low ≤ d < high.

    d = √(f_y² + f_x²), f = fftfreq / max abs(fftfreq): 1 is the largest frequency along an axis,
    Nyquist's for an even number of pixels (Singh et al. 2020, released code).
    """
    frequency = np.fft.fftfreq(pixels)
    frequency = frequency / np.abs(frequency).max()
    distance = np.hypot(frequency[:, None], frequency[None, :])
    return np.array([(low <= distance) & (distance < high) for low, high in bands])


def multipole_of_band(band: float, pixel_arcmin: float) -> float:
    """Return the multipole of a frequency in Nyquist units: ℓ = band · π / pixel [rad].

    Singh et al. multiplied by 2π / pixel, twice that.
    """
    return band * 180 * 60 / pixel_arcmin


def band_masks(shape: tuple[int, ...], bands: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return masks of an input's transform: (band, y, x) for maps, (band, frequency) for vectors.

    Raises
    ------
    InputError
        When maps are not square.

    """
    if len(shape) == 1:
        return ring_masks(shape[0], bands)[:, 0]
    if shape[0] != shape[1]:
        raise InputError(f"--transform fft: maps of {shape[0]}×{shape[1]} pixels are not square")
    return ring_masks(shape[0], bands)


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
    network, parameters = model
    x = jnp.asarray(x)
    scores = [
        contextual.scores(network, dict(parameters), x, filtered(x, jnp.asarray(mask)))
        for mask in band_masks(x.shape[1:], bands)
    ]
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
    if isinstance(procedure, IntegratedGradients):
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

"""Attribution to a transformation of the input (TRIM, Singh et al. 2020).

A linear transformation has an inverse that takes coefficients s to inputs, x = T⁻¹(s) + rest, and a
network f is explained as f(T⁻¹(s) + rest) at s = T(x) (Definition 1). What T cannot represent stays
in the rest, which no coefficient is credited with. Masks M choose coefficients; the part of the
input that they stand for is T⁻¹(M ⊙ T(x)).
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
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
from kappascope.transforms.fourier import band_masks, filtered

Array = Any


class Transform(Protocol):
    """A linear transformation with a (pseudo-)inverse."""

    def forward(self, x: Array) -> Array:
        """Return coefficients (batch, ...) of inputs (batch, ...)."""
        ...

    def inverse(self, s: Array) -> Array:
        """Return inputs of coefficients; linear in s."""
        ...


def decomposed_bands(
    model: Model,
    x: Array,
    bands: Sequence[tuple[float, float]],
    convention: contextual.Convention = contextual.PUBLISHED,
) -> tuple[Array, Array]:
    """Follow each band of the inputs through a network by contextual decomposition.

    Returns
    -------
    Relevant and irrelevant part of the outputs, (band, batch, output) each.

    """
    x = jnp.asarray(x)
    masks = band_masks(x.shape[1:], bands)
    return _followed(model, x, (filtered(x, jnp.asarray(mask)) for mask in masks), convention)


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


def _followed(
    model: Model,
    x: Array,
    parts: Iterable[Array],
    convention: contextual.Convention = contextual.PUBLISHED,
) -> tuple[Array, Array]:
    network, parameters = model[0], dict(model[1])
    values = contextual.evaluated(network, parameters, x)
    scores = [contextual.scores(network, parameters, values, part, convention) for part in parts]
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
    resolved = find(method, model[0]) if isinstance(method, str) else method
    x = jnp.asarray(x)
    slopes, _ = _slopes(resolved, model, x, output, seed)
    axes = tuple(range(2, slopes.ndim))
    scores = [
        (filtered(x, jnp.asarray(mask)) * slopes).sum(axes)
        for mask in band_masks(x.shape[1:], bands)
    ]
    return jnp.stack(scores, -1)


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
    resolved = find(method, model[0]) if isinstance(method, str) else method
    x = jnp.asarray(x)
    coefficients = transform.forward(x)
    _, transpose = jax.vjp(transform.inverse, coefficients)
    slopes, times = _slopes(resolved, model, x, output, seed)
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

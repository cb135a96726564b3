"""Coefficients of basis vectors: NMF, topics, dictionaries."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from kappascope.errors import InputError

Array = Any


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

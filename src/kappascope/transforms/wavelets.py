"""Wavelets: the starlet (Starck et al. 2007) and orthogonal ones (Daubechies 1992)."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.errors import InputError
from kappascope.transforms.registry import TRANSFORMS
from kappascope.transforms.starlet import starlet

Array = Any


@TRANSFORMS.add("starlet", label="Starlet (Starck et al. 2007)")
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


TRANSFORMS.add("haar", label="Haar wavelets, three levels")(lambda: Wavelet("haar"))
TRANSFORMS.add("db2", label="Daubechies wavelets of two moments, three levels")(Wavelet)

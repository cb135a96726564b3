"""The starlet (Starck et al. 2007), apart from transformations that its statistic does not need."""

import jax
import jax.numpy as jnp

_SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def _spline_smoothed(map_: jax.Array, step: int) -> jax.Array:
    for axis in (0, 1):
        map_ = sum(  # type: ignore[assignment]
            weight * jnp.roll(map_, (place - 2) * step, axis)
            for place, weight in enumerate(_SPLINE)
        )
    return map_


def starlet(map_: jax.Array, scales: int) -> list[jax.Array]:
    """Decompose a map (y, x), opposite edges joined.

    Returns
    -------
    ``scales`` detail maps (y, x), finest first, then the coarse map; their sum is the map.

    """
    parts = []
    for scale in range(scales):
        coarse = _spline_smoothed(map_, 2**scale)
        parts.append(map_ - coarse)
        map_ = coarse
    return [*parts, map_]

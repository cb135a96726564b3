"""The starlet l1-norm: how much amplitude the wavelet coefficients of each scale hold.

Its l1-norm by scale and amplitude bin as a statistic of convergence maps is Ajani et al. (2021).
"""

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.statistics.field import Field
from kappascope.statistics.kernels import binned_sum, masked
from kappascope.statistics.registry import STATISTICS
from kappascope.statistics.settings import Settings
from kappascope.transforms.starlet import starlet

SCALES = 4
"""Number of detail scales; what is left is one coarse map."""


def _places(settings: Settings) -> np.ndarray:
    return np.arange((SCALES + 1) * (len(settings.kappa_edges) - 1), dtype=float)


@STATISTICS.add(
    "starlet_l1",
    label="SL1",
    description="starlet l1-norm per scale and amplitude bin, finest scale first, over pixels",
    units="convergence",
    bin_units="scale * bins + amplitude bin",
    centres=_places,
)
def starlet_l1(field: Field) -> jax.Array:
    """Measure the mean of |coefficient| by scale and amplitude bin, ((scales + 1) * bins).

    The bins in amplitude are those of convergence; the two outermost take what lies beyond, so
    that the sum over bins is the whole l1-norm of a scale.
    """
    low, high = field.settings.kappa_edges[0], field.settings.kappa_edges[-1]
    bins = len(field.settings.kappa_edges) - 1
    norms = []
    for part in starlet(field.map, SCALES):
        coefficients = masked(part, field.where.pixel)
        place = jnp.floor((coefficients - low) * (bins / (high - low)))
        index = jnp.clip(place, 0, bins - 1).astype(jnp.int32)
        norms.append(binned_sum(jnp.abs(coefficients)[..., None], index, bins)[:, 0])
    return jnp.concatenate(norms) / field.sums.observed

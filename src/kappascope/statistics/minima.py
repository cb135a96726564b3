"""Counts of local minima, the voids' counterpart of peaks."""

import dataclasses

import jax
import jax.numpy as jnp

from kappascope.statistics import kernels
from kappascope.statistics.field import Field
from kappascope.statistics.registry import STATISTICS


@STATISTICS.add(
    "minima",
    label="MC",
    description="minima of one map per unit of convergence",
    units="1 / convergence",
    of_neighbours=True,
)
def minima(field: Field) -> jax.Array:
    """Count pixels below all 8 neighbours by depth, (bins), per unit of convergence."""
    # A minimum of kappa is a peak of -kappa.
    edges = tuple(-edge for edge in reversed(field.settings.kappa_edges))
    settings = dataclasses.replace(field.settings, kappa_edges=edges)
    sums = kernels.excursion_sums(-field.map, field.where, settings)
    return jnp.flip(sums.peaks, axis=-1) / kernels.bin_width(settings)

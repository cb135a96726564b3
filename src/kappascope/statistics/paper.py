"""The five statistics of matilla2020 (§II): power spectrum, peaks, V0, V1, V2."""

import jax

from kappascope.statistics import kernels
from kappascope.statistics.field import Field
from kappascope.statistics.registry import STATISTICS, ell_centres


@STATISTICS.add(
    "power_spectrum",
    label="PS",
    description="convergence power spectrum",
    units="sr",
    bin_units="multipole",
    centres=ell_centres,
)
def power_spectrum(field: Field) -> jax.Array:
    """Measure the power spectrum, (bins) [sr]; zero in bins that hold no mode."""
    return kernels.power_of_map(field.map, field.where.pixel, field.settings)


@STATISTICS.add(
    "peaks",
    label="PC",
    description="peaks of one map per unit of convergence",
    units="1 / convergence",
    of_neighbours=True,
)
def peaks(field: Field) -> jax.Array:
    """Count peaks by height, (bins), in the whole map and per unit of convergence."""
    return field.sums.peaks / kernels.bin_width(field.settings)


@STATISTICS.add(
    "v0",
    label="V0",
    description="area fraction above the threshold",
    units="1",
    of_neighbours=True,  # measured with the other two
)
def v0(field: Field) -> jax.Array:
    """Measure the first Minkowski functional, (bins)."""
    return field.minkowski[0]


@STATISTICS.add(
    "v1",
    label="V1",
    description="boundary length of the excursion set",
    units="1 / pixel",
    of_neighbours=True,
)
def v1(field: Field) -> jax.Array:
    """Measure the second Minkowski functional, (bins) [1/pixel]."""
    return field.minkowski[1]


@STATISTICS.add(
    "v2",
    label="V2",
    description="genus of the excursion set",
    units="1 / pixel^2",
    of_neighbours=True,
)
def v2(field: Field) -> jax.Array:
    """Measure the third Minkowski functional, (bins) [1/pixel^2]."""
    return field.minkowski[2]

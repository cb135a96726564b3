"""The one-point probability density of the convergence."""

import jax

from kappascope.statistics.field import Field
from kappascope.statistics.kernels import bin_width
from kappascope.statistics.registry import STATISTICS


@STATISTICS.add("pdf", label="PDF", description="one-point PDF", units="1 / convergence")
def pdf(field: Field) -> jax.Array:
    """Measure the density of pixels in convergence, (bins); pixels outside the bins count too."""
    return field.sums.pixels / (field.sums.observed * bin_width(field.settings))

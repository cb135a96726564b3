"""One map under measurement, with what several statistics share computed once."""

import dataclasses
import functools

import jax

from kappascope.statistics import kernels
from kappascope.statistics.settings import Settings


@dataclasses.dataclass(frozen=True)
class Field:
    """A map as statistics see it.

    Attributes
    ----------
    map : (y, x) convergence, zero where masked.
    where : where pixels, their neighbours and their stencils are observed.
    settings : bins and conventions.

    """

    map: jax.Array
    where: kernels.Observed
    settings: Settings

    @functools.cached_property
    def sums(self) -> kernels.ExcursionSums:
        """Sums that peaks, Minkowski functionals and the PDF are made of."""
        return kernels.excursion_sums(self.map, self.where, self.settings)

    @functools.cached_property
    def minkowski(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """V0, V1 and V2, (bins) each."""
        return kernels.minkowski_from_sums(self.sums, self.settings)

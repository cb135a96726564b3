"""The registry of statistics, each a function from a map to a vector.

To add one: write a module with a function decorated by ``@STATISTICS.add`` and a test. The config,
``kappascope measure``, the files and everything downstream take it from here. Listing names needs
no JAX; a statistic's module is imported when it is used.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from kappascope.errors import InputError, nearest
from kappascope.registry import Registry
from kappascope.statistics.settings import Settings

if TYPE_CHECKING:
    import jax

    from kappascope.statistics.field import Field

Compute = Callable[["Field"], "jax.Array"]
"""Field (one map) → (bins)."""

STATISTICS: Registry[Compute] = Registry(
    "statistic", "kappascope.statistics.*:STATISTICS", ("label", "description", "units")
)
"""``label`` (short, for tables), ``description`` (a phrase for axes), ``units``; ``bin_units``
unless the bins are of convergence, and ``centres`` of bins that are not those; ``of_neighbours``
where it compares neighbouring pixels and so asks for fine ones."""

PAPER = ("power_spectrum", "peaks", "v0", "v1", "v2")
"""The five statistics of matilla2020, in the order of its Table I."""


@dataclasses.dataclass(frozen=True)
class Statistic:
    """One statistic and how to print it.

    Attributes
    ----------
    name : as in the configuration and in files.
    label : short, for tables (``PS``).
    description : a phrase for axes and captions.
    units, bin_units : of the values and of the bin centres.
    of_neighbours : whether it compares neighbouring pixels; then coarse maps are doubled first.
    centres : function from settings to the (bins) centres.
    compute : function from a :class:`~kappascope.statistics.field.Field` (one map) to (bins).

    """

    name: str
    label: str
    description: str
    units: str
    bin_units: str
    of_neighbours: bool
    centres: Callable[[Settings], np.ndarray]
    compute: Callable[["Field"], "jax.Array"]


def kappa_centres(settings: Settings) -> np.ndarray:
    """Return the middles of the convergence bins, (bins)."""
    return settings.kappa_centres


def ell_centres(settings: Settings) -> np.ndarray:
    """Return the middles of the multipole bins, (bins)."""
    return settings.ell_centres


def names() -> tuple[str, ...]:
    """Return the names of all statistics, the paper's first."""
    return (*PAPER, *(name for name in STATISTICS.names() if name not in PAPER))


def check_names(wanted: Iterable[str]) -> None:
    """Raise InputError if a name is that of no statistic."""
    known = names()
    for name in wanted:
        if name not in known:
            raise InputError(
                f"statistics: got {name!r}, allowed are {', '.join(known)}{nearest(name, known)}"
            )


def statistic(name: str) -> Statistic:
    """Return the statistic of that name."""
    check_names([name])
    given = STATISTICS.given(name)
    return Statistic(
        name,
        label=given["label"],
        description=given["description"],
        units=given["units"],
        bin_units=given.get("bin_units", "convergence"),
        of_neighbours=given.get("of_neighbours", False),
        centres=given.get("centres", kappa_centres),
        compute=STATISTICS[name],
    )

"""The registry of statistics, each a function from a map to a vector.

To add one: write a module with a function decorated by :func:`register`, add a line to ``_MODULES``
below, and a test. The configuration, ``kappascope measure``, the files and everything downstream
take it from here. Listing names needs no jax; a statistic's module is imported when it is used.
"""

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kappascope.errors import InputError
from kappascope.statistics.settings import Settings

if TYPE_CHECKING:
    import jax

    from kappascope.statistics.field import Field

_MODULES = {
    "power_spectrum": "kappascope.statistics.paper",
    "peaks": "kappascope.statistics.paper",
    "v0": "kappascope.statistics.paper",
    "v1": "kappascope.statistics.paper",
    "v2": "kappascope.statistics.paper",
    "pdf": "kappascope.statistics.pdf",
    "minima": "kappascope.statistics.minima",
    "starlet_l1": "kappascope.statistics.starlet",
}

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
    centres : function from settings to the (bins) centres.
    compute : function from a :class:`~kappascope.statistics.field.Field` (one map) to (bins).

    """

    name: str
    label: str
    description: str
    units: str
    bin_units: str
    centres: Callable[[Settings], np.ndarray]
    compute: Callable[["Field"], "jax.Array"]


_registered: dict[str, Statistic] = {}
_Function = TypeVar("_Function", bound=Callable[["Field"], "jax.Array"])


def kappa_centres(settings: Settings) -> np.ndarray:
    """Return the middles of the convergence bins, (bins)."""
    return settings.kappa_centres


def ell_centres(settings: Settings) -> np.ndarray:
    """Return the middles of the multipole bins, (bins)."""
    return settings.ell_centres


def register(
    name: str,
    *,
    label: str,
    description: str,
    units: str,
    bin_units: str = "convergence",
    centres: Callable[[Settings], np.ndarray] = kappa_centres,
) -> Callable[[_Function], _Function]:
    """Enter the decorated function, from a field (one map) to (bins), as the statistic ``name``."""

    def enter(compute: _Function) -> _Function:
        _registered[name] = Statistic(name, label, description, units, bin_units, centres, compute)
        return compute

    return enter


def names() -> tuple[str, ...]:
    """Return the names of all statistics."""
    return tuple(_MODULES)


def check_names(wanted: Iterable[str]) -> None:
    """Raise InputError if a name is that of no statistic."""
    for name in wanted:
        if name not in _MODULES:
            near = difflib.get_close_matches(name, _MODULES, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"statistics: got {name!r}, allowed are {', '.join(_MODULES)}{hint}")


def statistic(name: str) -> Statistic:
    """Return the statistic of that name."""
    check_names([name])
    if name not in _registered:
        importlib.import_module(_MODULES[name])
    return _registered[name]

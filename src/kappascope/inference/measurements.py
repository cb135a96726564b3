"""The measured data vectors of one data set, split by what they are used for.

Means come from the ``testing`` split, the covariance from the ``covariance`` split (independent
simulations of the fiducial cosmology); no map that the network was trained on enters either.
"""

import functools
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse
import xarray

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.sections import Spec

logger = logging.getLogger(__name__)

FIDUCIAL_TOLERANCE = 1e-4  # tables of cosmologies give three or four decimals


@dataclass(frozen=True)
class Measurements:
    """Data vectors of one data set.

    Attributes
    ----------
    data_set : ``noiseless`` or ``noisy``.
    parameters : (cosmology, 2) omega_matter and sigma_8.
    cosmology : (cosmology,) row of the table of cosmologies.
    fiducial : index of the fiducial cosmology along ``cosmology``.
    testing : statistic -> (map, bin), maps sorted by cosmology, then realization.
    testing_cosmology : (map,) index along ``cosmology``.
    testing_realization : (map,) index of the realization; maps of different cosmologies with
        one index share random phases, shifts and noise.
    covariance : statistic -> (map, bin) at the fiducial cosmology.
    covariance_box : (map,) index of the simulation that a covariance map looks through; None where
        each is by itself.
    testing_box : (realization,) the same of testing realizations.
    map_deg2 : sky area of one map; NaN where it is not known.
    network_testing : (seed, map, 2) network outputs, in the parameters' own units.
    network_covariance : (seed, map, 2).
    bin_centres : statistic -> (bin,).

    """

    data_set: str
    parameters: np.ndarray
    cosmology: np.ndarray
    fiducial: int
    testing: Mapping[str, np.ndarray]
    testing_cosmology: np.ndarray
    testing_realization: np.ndarray
    covariance: Mapping[str, np.ndarray]
    network_testing: np.ndarray
    network_covariance: np.ndarray
    bin_centres: Mapping[str, np.ndarray]
    covariance_box: np.ndarray | None = None
    testing_box: np.ndarray | None = None
    map_deg2: float = math.nan

    @property
    def seeds(self) -> int:
        """Number of networks trained from different seeds."""
        return int(self.network_testing.shape[0])

    @functools.cached_property
    def realizations(self) -> int:
        """Number of testing realizations."""
        return int(self.testing_realization.max()) + 1

    @functools.cached_property
    def covariance_units(self) -> np.ndarray:
        """(map,) what varies by itself among covariance maps: their simulations."""
        return _units(self.covariance_box, self.network_covariance.shape[1])

    @functools.cached_property
    def testing_units(self) -> np.ndarray:
        """(realization,) what varies by itself among testing maps: simulations or light cones."""
        return _units(self.testing_box, self.realizations)

    def averaging(self, weights: np.ndarray | None = None) -> scipy.sparse.csr_array:
        """Matrix that takes testing maps to the mean of each cosmology.

        Parameters
        ----------
        weights : (realization,) weight of each realization, the same in every cosmology because
            realizations share their random draws; ``None`` for the plain mean.

        Returns
        -------
        Sparse (cosmology, map).

        """
        each = np.ones(self.realizations) if weights is None else weights
        values = each[self.testing_realization]
        total = np.bincount(self.testing_cosmology, values, minlength=len(self.parameters))
        values = values / total[self.testing_cosmology]
        shape = (len(self.parameters), len(values))
        return scipy.sparse.csr_array(
            (values, (self.testing_cosmology, np.arange(len(values)))), shape=shape
        )

    def scatter(self, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return by how much each simulation moves the mean of each cosmology.

        Parameters
        ----------
        values : (map, value) of testing maps.
        weights : (realization,) as in :meth:`averaging`.

        Returns
        -------
        (unit, cosmology, value), units as in ``testing_units``; the sum of squares over units is
        an unbiased estimate of the variance of a mean of independent units, whatever the weights.

        """
        averaging = self.averaging(weights).tocoo()
        centred = values - (averaging @ values)[self.testing_cosmology]
        share = np.zeros(len(values))
        share[averaging.col] = averaging.data
        units = self.testing_units[self.testing_realization]
        number, nodes = int(units.max()) + 1, len(self.parameters)
        place = units * nodes + self.testing_cosmology
        shape = (number * nodes, len(values))
        adding = scipy.sparse.csr_array((share, (place, np.arange(len(values)))), shape=shape)
        moved = np.asarray(adding @ centred).reshape(number, nodes, -1)
        each = np.ones(self.realizations) if weights is None else weights
        of_unit = np.bincount(self.testing_units, each) / each.sum()
        second, third = np.sum(of_unit**2), np.sum(of_unit**3)
        # The mean that is taken off follows its own members: of n equal ones, by n / (n - 1).
        kept = 1.0 - 2.0 * third / second + second
        return moved / np.sqrt(kept) if kept > 0 else np.zeros_like(moved)

    def select(self, names: Sequence[str]) -> "Measurements":
        """Keep only the named statistics."""
        return replace(
            self,
            testing={name: self.testing[name] for name in names},
            covariance={name: self.covariance[name] for name in names},
            bin_centres={name: self.bin_centres[name] for name in names},
        )


def load(
    statistics: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    *,
    data_set: str,
    fiducial: Mapping[str, float],
    names: Sequence[str] | None = None,
) -> Measurements:
    """Read the statistics and network outputs of one data set.

    Parameters
    ----------
    statistics, predictions : netCDF files laid out as in ``docs/reference/files.md``.
    data_set : name for the tables.
    fiducial : ``omega_matter`` and ``sigma_8`` of the fiducial cosmology.
    names : variables to read; ``None`` for every statistic in the file. In the result each goes by
        its ``label`` attribute (``PS``, ``PC``, ``V0``, ...).

    """
    measured = _open(statistics)
    predicted = _open(predictions)
    if "prediction" not in predicted:
        raise InputError(f"{predictions}: holds no variable 'prediction'; run the networks again")
    if measured.sizes["map"] != predicted.sizes["map"] or any(
        not np.array_equal(measured[name].values, predicted[name].values)
        for name in ("split", "cosmology", "realization")
    ):
        raise InputError(
            f"{predictions}: its maps are not those of {statistics}, in the same order; "
            "predict again from the same maps"
        )
    ordered = predicted["prediction"].transpose("seed", "map", "parameter")
    outputs = ordered.sel(parameter=list(PARAMETERS)).values.astype(np.float64)
    # Training maps are not predicted: their outputs stay NaN and are never looked at.
    used = predicted["split"].values.astype(str) != "training"
    if not np.isfinite(outputs[:, used]).all():
        raise InputError(f"{predictions}: the network's outputs hold NaN; train it again")

    variables = _statistics(measured, names, statistics)
    box = (measured["box"] if "box" in measured.variables else measured["realization"]).values
    return arrange(
        {name: measured[name].values for name in ("split", "cosmology", "realization", *PARAMETERS)}
        | {"box": box},
        {label: measured[name].values.astype(np.float64) for label, name in variables.items()},
        outputs,
        {
            label: measured[f"{name}_bin"].values.astype(np.float64)
            for label, name in variables.items()
        },
        data_set=data_set,
        fiducial=fiducial,
        map_deg2=float(measured.attrs.get("map_deg2", math.nan)),
        source=str(statistics),
    )


def arrange(
    columns: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    outputs: np.ndarray,
    bin_centres: Mapping[str, np.ndarray],
    *,
    data_set: str,
    fiducial: Mapping[str, float],
    map_deg2: float,
    source: str,
) -> Measurements:
    """Split measured maps by what they are used for.

    Parameters
    ----------
    columns : split, cosmology, realization, box, omega_matter and sigma_8 of each map (map,).
    values : statistic -> (map, bin).
    outputs : (seed, map, 2) of networks.
    fiducial : ``omega_matter`` and ``sigma_8`` of the fiducial cosmology.
    source : what errors name: where the maps are from.

    Raises
    ------
    InputError
        When the testing maps lack the fiducial cosmology, or there are no covariance maps of it.

    """
    splits = columns["split"].astype(str)
    point = np.array([fiducial[name] for name in PARAMETERS])
    place = np.stack([columns[name] for name in PARAMETERS], axis=1).astype(np.float64)
    at_fiducial = np.all(np.abs(place - point) < FIDUCIAL_TOLERANCE, axis=1)

    testing = _rows(columns, splits == "testing")
    covariance = _rows(columns, (splits == "covariance") & at_fiducial)
    ids, first, index = np.unique(
        columns["cosmology"][testing], return_index=True, return_inverse=True
    )
    _, realization = np.unique(columns["realization"][testing], return_inverse=True)
    home = np.flatnonzero(at_fiducial[testing][first])
    text = f"(omega_matter, sigma_8) = ({point[0]:g}, {point[1]:g})"
    if home.size != 1:
        raise InputError(
            f"{source}: {home.size} cosmologies of the testing split are the fiducial {text}, "
            "one is needed; set cosmology.fiducial to a cosmology of the maps"
        )
    if covariance.size < 2:
        raise InputError(
            f"{source}: {covariance.size} covariance maps at the fiducial {text}, many are "
            "needed; raise maps.covariance"
        )

    box = columns["box"]
    testing_box = np.zeros(int(realization.max()) + 1, np.int64)
    testing_box[realization] = box[testing]
    return Measurements(
        data_set=data_set,
        covariance_box=box[covariance],
        testing_box=testing_box,
        map_deg2=map_deg2,
        parameters=place[testing][first],
        cosmology=ids,
        fiducial=int(home[0]),
        testing={label: value[testing] for label, value in values.items()},
        testing_cosmology=index,
        testing_realization=realization,
        covariance={label: value[covariance] for label, value in values.items()},
        network_testing=outputs[:, testing],
        network_covariance=outputs[:, covariance],
        bin_centres=bin_centres,
    )


def load_all(
    statistics: str | Sequence[str],
    predictions: str | Sequence[str],
    *,
    data_sets: Sequence[str],
    fiducial: Mapping[str, float],
    names: Sequence[str] | None = None,
) -> list[Measurements]:
    """Read several data sets; ``statistics`` and ``predictions`` hold one file for each."""
    measured, predicted = listed(statistics), listed(predictions)
    return [
        load(one, other, data_set=data_set, fiducial=fiducial, names=names)
        for one, other, data_set in zip(measured, predicted, data_sets, strict=True)
    ]


def load_run(inputs: Any, spec: Spec) -> list[Measurements]:
    """Read all data sets of a run as a rule hands them to its script.

    Parameters
    ----------
    inputs : with ``statistics`` and ``predictions``, a file for each data set.
    spec : with ``data_sets``, ``fiducial`` and, where statistics are wanted, ``statistics.names``.

    """
    return load_all(
        inputs.statistics,
        inputs.predictions,
        data_sets=spec.data_sets,
        fiducial=spec.fiducial.model_dump(),
        names=spec.statistics.names if hasattr(spec, "statistics") else [],
    )


FEWEST_BOXES = 4
"""From fewer simulations no error can be had; then every light cone counts by itself."""


def _units(box: np.ndarray | None, number: int) -> np.ndarray:
    if box is None:
        return np.arange(number)
    numbers, units = np.unique(box, return_inverse=True)
    return units if len(numbers) >= FEWEST_BOXES else np.arange(len(box))


def listed(paths: str | Sequence[str]) -> list[str]:
    """Return one path or several as a list: Snakemake hands over a bare string for one."""
    return [paths] if isinstance(paths, str) else [str(path) for path in paths]


def _open(path: str | os.PathLike[str]) -> xarray.Dataset:
    try:
        with xarray.open_dataset(path) as opened:
            loaded = opened.load()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; make it first") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as netCDF; delete it and run again") from error
    missing = {"split", "cosmology", "realization", *PARAMETERS} - set(loaded.variables)
    if missing:
        raise InputError(f"{path}: has no coordinate {sorted(missing)[0]!r}; make it again")
    return loaded


def _rows(columns: Mapping[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(chosen)
    order = np.lexsort((columns["realization"][rows], columns["cosmology"][rows]))
    return rows[order]


def _statistics(
    measured: xarray.Dataset, names: Sequence[str] | None, path: str | os.PathLike[str]
) -> dict[str, str]:
    known = [str(name) for name in measured.data_vars if f"{name}_bin" in measured[name].dims]
    chosen = known if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise InputError(
                f"{path}: holds no statistic {name!r} (it has {', '.join(known)}); "
                "correct statistics.names or measure again"
            )
    return {str(measured[name].attrs.get("label", name)): name for name in chosen}

"""Means of measured statistics over the maps of each cosmology, for a table and a figure."""

from typing import Any

import numpy as np
import xarray

from kappascope.tables import Table

MEANS = Table(
    "matilla2020/statistics.csv",
    "data set × statistic × cosmology × bin",
    """data_set, statistic, cosmology, omega_matter, sigma_8, maps, bin_centre, mean, scatter (of
    one map)""",
)


def mean_rows(dataset: xarray.Dataset) -> list[dict[str, Any]]:
    """Average each bin over all maps of a cosmology, whatever their split.

    Parameters
    ----------
    dataset : statistics of one data set, variables (map, bin).

    Returns
    -------
    Rows with the keys :data:`MEANS`: one for each statistic, cosmology and bin; ``scatter`` is
    the standard deviation from map to map, zero where there is one map.

    """
    rows = []
    cosmologies = dataset["cosmology"].values
    for name, values in dataset.data_vars.items():
        for cosmology in np.unique(cosmologies):
            chosen = np.flatnonzero(cosmologies == cosmology)
            maps = values.values[chosen].astype(np.float64)
            scatter = maps.std(axis=0, ddof=1) if len(maps) > 1 else np.zeros(maps.shape[1])
            shared = {
                "data_set": dataset.attrs["data_set"],
                "statistic": values.attrs["label"],
                "cosmology": int(cosmology),
                "omega_matter": float(dataset["omega_matter"][chosen[0]]),
                "sigma_8": float(dataset["sigma_8"][chosen[0]]),
                "maps": len(maps),
            }
            centres = dataset[f"{name}_bin"].values
            rows += [
                {**shared, "bin_centre": centre, "mean": mean, "scatter": spread}
                for centre, mean, spread in zip(centres, maps.mean(axis=0), scatter, strict=True)
            ]
    return rows

"""Write the mean of every statistic at every cosmology and draw it."""

import numpy as np
import xarray

from kappascope.figures.statistics import statistics_panels
from kappascope.figures.style import provenance, save_figure
from kappascope.files import write_csv
from kappascope.workflow_script import run


def mean_rows(path, data_set):
    """Rows of statistic × cosmology × bin: mean over the testing maps (or all) and its error."""
    with xarray.open_dataset(path, engine="h5netcdf") as stored:
        measured = stored.load()
    used = measured["split"].values.astype(str) == "testing"
    if not used.any():
        used[:] = True
    measured = measured.isel(map=np.flatnonzero(used))
    cosmology = measured["cosmology"].values
    for name, values in measured.data_vars.items():
        centres = measured[f"{name}_bin"].values
        for number in np.unique(cosmology):
            rows = np.flatnonzero(cosmology == number)
            mine = values.values[rows].astype(float)
            error = mine.std(0) / np.sqrt(len(mine))
            for centre, mean, scatter in zip(centres, mine.mean(0), error, strict=True):
                yield {
                    "data_set": data_set,
                    "statistic": name,
                    "label": values.attrs["label"],
                    "units": values.attrs["units"],
                    "bin_units": values.attrs["bin_units"],
                    "cosmology": int(number),
                    "omega_matter": float(measured["omega_matter"].values[rows[0]]),
                    "sigma_8": float(measured["sigma_8"].values[rows[0]]),
                    "maps": len(rows),
                    "bin_centre": float(centre),
                    "mean": float(mean),
                    "standard_error": float(scatter),
                }


def main(inputs, outputs, spec):
    names = spec["data_sets"]
    rows = [row for name, path in zip(names, inputs, strict=True) for row in mean_rows(path, name)]
    save_figure(statistics_panels(rows, names), outputs.pdf, provenance(list(inputs)))
    write_csv(outputs.table, rows)


if "snakemake" in globals():
    run(main, snakemake)

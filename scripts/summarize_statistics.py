"""Average every statistic over the maps of each cosmology: statistics.csv of matilla2020."""

import xarray

from kappascope.statistics.summary import MEANS, mean_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for path in inputs:
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            rows += mean_rows(stored.load())
    MEANS.write(outputs[0], rows)


if __name__ == "__main__":
    run(main)

"""Average every statistic over the maps of each cosmology: statistics.csv of matilla2020."""

import xarray

from kappascope.files import write_csv
from kappascope.statistics.summary import COLUMNS, mean_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for path in inputs:
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            rows += mean_rows(stored.load())
    write_csv(outputs[0], rows, COLUMNS)


if __name__ == "__main__":
    run(main)

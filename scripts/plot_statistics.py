"""Write and draw the mean of each statistic over the maps of each cosmology."""

import xarray

from kappascope.chapters.matilla2020.figures.statistics import statistics_panels
from kappascope.files import write_csv
from kappascope.reporting.style import provenance, save_figure
from kappascope.statistics.summary import COLUMNS, mean_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for path in inputs:
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            rows += mean_rows(stored.load())
    write_csv(outputs.csv, rows, COLUMNS)
    figure = statistics_panels(rows, spec.data_sets)
    save_figure(figure, outputs.pdf, provenance(list(inputs)))


if __name__ == "__main__":
    run(main)

"""Measure the credible areas of every data vector of one data set, with and without the network.

matilla2020 §III: Gaussian likelihood (Eq. 4), Clough-Tocher emulator of the testing maps' means,
covariance from independent simulations of the fiducial cosmology.
"""

from kappascope.chapters.matilla2020 import table1
from kappascope.files import write_arrays
from kappascope.inference import measurements
from kappascope.inference.emulator import Emulator
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    names = [*spec.statistics.names, *spec.statistics.beyond]
    measured = measurements.load(
        inputs.statistics,
        inputs.predictions,
        data_set=spec.data_set,
        fiducial=spec.fiducial.model_dump(),
        names=names,
    )
    combined = list(measured.testing)[: len(spec.statistics.names)]
    vectors = table1.DataVectors(measured, combined)
    dropped = vectors.dropped()
    settings = table1.Settings.of(spec.constraints, spec.seed, measured.map_deg2)
    found = table1.constrain(vectors, Emulator(measured.parameters), settings)
    changes = table1.change_rows(measured.data_set, found, vectors.statistics)
    write_arrays(outputs.posteriors, table1.pictures(vectors, found))
    table1.DROPPED_BINS.write(outputs.dropped_bins, dropped)
    table1.CHANGES.write(outputs.changes, changes)
    table1.AREAS.write(outputs.areas, table1.area_rows(measured.data_set, found, settings))


if __name__ == "__main__":
    run(main)

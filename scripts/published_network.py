"""Constrain the cosmology with the outputs of the published network (Ribli et al. 2019).

Real input: what the very network of matilla2020 predicted for 12,083 noiseless 3.5° test maps of 79
cosmologies. Gives its accuracy, its credible areas, its emulator's leave-one-out errors and the
red contour of Fig. 1.
"""

from kappascope.chapters.matilla2020 import accuracy, checks, table1
from kappascope.files import write_arrays
from kappascope.inference.emulator import Emulator
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    fiducial = spec.fiducial
    measured = accuracy.load_published(inputs.network, fiducial.omega_matter, fiducial.sigma_8)
    settings = table1.Settings.of(spec.constraints, spec.seed, measured.map_deg2)
    vectors = table1.DataVectors(measured, [])
    found = table1.constrain(vectors, Emulator(measured.parameters), settings)
    rows = accuracy.accuracy_rows(
        "published_network", measured, bootstrap=settings.bootstrap, seed=settings.seed
    )
    write_arrays(outputs.posteriors, table1.pictures(vectors, found))
    checks.LEAVE_ONE_OUT.write(outputs.leave_one_out, checks.leave_one_out_rows(vectors))
    table1.AREAS.write(outputs.areas, table1.area_rows("noiseless", found, settings))
    accuracy.ACCURACY.write(outputs.accuracy, rows)


if __name__ == "__main__":
    run(main)

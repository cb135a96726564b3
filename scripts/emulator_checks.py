"""Test the emulator and the covariance (matilla2020 Appendix A, Fig. 7, and §III).

Leave-one-out interpolation errors, contours from emulators with cosmologies left out, and areas
from three disjoint thirds of the covariance maps.
"""

from kappascope.chapters.matilla2020 import checks, table1
from kappascope.files import write_arrays
from kappascope.inference import measurements
from kappascope.inference.emulator import Emulator
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    left_out, emulators, thirds, arrays = [], [], [], {}
    for measured in measurements.load_run(inputs, spec):
        name = measured.data_set
        settings = table1.Settings.of(spec.constraints, spec.seed, measured.map_deg2)
        vectors = table1.DataVectors(measured, list(measured.testing))
        left_out += checks.leave_one_out_rows(vectors)
        found = checks.emulator_checks(vectors, settings)
        emulators += checks.emulator_check_rows(name, found)
        thirds += checks.covariance_convergence(vectors, Emulator(measured.parameters), settings)
        pictures = checks.emulator_check_pictures(vectors, found)
        arrays.update({f"{name}/{key}": value for key, value in pictures.items()})
    write_arrays(outputs.posteriors, arrays)
    checks.LEAVE_ONE_OUT.write(outputs.leave_one_out, left_out)
    checks.THIRDS.write(outputs.covariance_convergence, thirds)
    checks.EMULATOR_CHECK.write(outputs.emulator_check, emulators)


if __name__ == "__main__":
    run(main)

"""Hold the maps against Limber and halofit: power, r.m.s., skewness, one-point distribution."""

from kappascope import validation
from kappascope.files import write_csv
from kappascope.inference.tables import write_arrays
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    moments, power, arrays = validation.validate(inputs, spec)
    fiducial = [row for row in moments if row["cosmology"] == spec["fiducial"]]
    write_arrays(outputs.arrays, arrays)
    write_csv(outputs.power, power, validation.POWER_COLUMNS)
    write_csv(outputs.moments, moments, validation.MOMENT_COLUMNS)
    write_csv(outputs.properties, fiducial, validation.MOMENT_COLUMNS)


if "snakemake" in globals():
    run(main, snakemake)

"""Hold the maps against Limber and halofit: power, r.m.s., skewness, one-point distribution."""

import math

from kappascope.chapters.matilla2020 import validation
from kappascope.errors import InputError
from kappascope.files import write_arrays
from kappascope.maps.dataset import read_maps
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = cosmologies(inputs)
    wanted = (spec.fiducial.omega_matter, spec.fiducial.sigma_8)
    fiducial = min(rows, key=lambda row: math.dist(row[1:], wanted))[0]
    moments, power, arrays = validation.validate(inputs, spec, rows, fiducial)
    write_arrays(outputs.arrays, arrays)
    validation.POWER.write(outputs.power, power)
    validation.MOMENTS.write(outputs.moments, moments)
    validation.MOMENTS.write(
        outputs.properties, [row for row in moments if row["cosmology"] == fiducial]
    )


def cosmologies(paths):
    """List (number, omega_matter, sigma_8) of the maps: an archive numbers them in its own way."""
    testing = read_maps(list(paths), split="testing", columns_only=True)
    if not len(testing):
        raise InputError(
            "maps: none is for testing; give maps of more simulations, or the column split in "
            "maps.table"
        )
    columns = zip(testing.cosmology, testing.omega_matter, testing.sigma_8, strict=True)
    return sorted({(int(number), float(om), float(s8)) for number, om, s8 in columns})


if __name__ == "__main__":
    run(main)

"""Draw the gallery of maps and the maps against theory."""

import numpy as np

from kappascope.chapters.matilla2020.figures import maps
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    with np.load(inputs.arrays) as stored:
        arrays = dict(stored)
    names = spec.data_sets
    origin = provenance([inputs.arrays, inputs.power, inputs.moments])
    pictures = {name: arrays[f"gallery_{name}"] for name in names}
    save_figure(maps.gallery(pictures, float(arrays["field_arcmin"])), outputs.gallery, origin)
    figure = maps.validation(
        read_rows(inputs.power),
        read_rows(inputs.moments),
        {name: arrays[f"pdf_{name}"] for name in names},
        arrays["pdf_edges"],
    )
    save_figure(figure, outputs.validation, origin)


if __name__ == "__main__":
    run(main)

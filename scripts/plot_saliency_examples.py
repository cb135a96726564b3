"""Draw one patch as every method explains it, trained and randomized: matilla2020 Fig. 4."""

import numpy as np

from kappascope.chapters.matilla2020.figures.saliency import examples
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    with np.load(inputs.examples) as stored:
        figure = examples(
            stored["kappa"], stored["methods"], stored["maps"], float(stored["pixel_arcmin"])
        )
    save_figure(figure, outputs.pdf, provenance([inputs.examples], data_set=spec.data_set))


if __name__ == "__main__":
    run(main)

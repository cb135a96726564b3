"""Draw what the parameters of LRP-αβ and LRP-ε change."""

import numpy as np

from kappascope.chapters.matilla2020.figures.saliency import sensitivity
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    patches = {}
    for data_set, path in zip(spec.data_sets, inputs.examples, strict=True):
        with np.load(path) as stored:
            patches[data_set] = dict(stored)
    figure = sensitivity(read_rows(inputs.sensitivity), patches)
    save_figure(figure, outputs.pdf, provenance([inputs.sensitivity, *inputs.examples]))


if __name__ == "__main__":
    run(main)

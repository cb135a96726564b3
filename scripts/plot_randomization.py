"""Draw the similarity of maps from trained and re-initialised networks, layer by layer."""

from kappascope.chapters.matilla2020.figures.saliency import randomization_curves
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = randomization_curves(read_rows(inputs.randomization), spec.data_set)
    save_figure(figure, outputs.pdf, provenance([inputs.randomization], data_set=spec.data_set))


if __name__ == "__main__":
    run(main)

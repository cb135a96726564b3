"""Draw the correlations of the network's outputs with each bin: matilla2020 Fig. 3."""

from kappascope.chapters.matilla2020.figures.correlations import correlation_panels
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = correlation_panels(read_rows(inputs.correlations), spec.data_sets)
    save_figure(figure, outputs.pdf, provenance([inputs.correlations]))


if __name__ == "__main__":
    run(main)

"""Draw which frequencies a classifier of sounds listens to: singh2020 Fig. S2."""

from kappascope.chapters.singh2020.figures.sounds import importance_of_frequencies
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = importance_of_frequencies(read_rows(inputs.curves), read_rows(inputs.shares))
    save_figure(figure, outputs.pdf, provenance([inputs.curves, inputs.shares]))


if __name__ == "__main__":
    run(main)

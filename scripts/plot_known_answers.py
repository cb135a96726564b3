"""Draw which method finds the range of convergence that a network was made to read."""

from kappascope.chapters.matilla2020.figures.saliency import known_answers
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = known_answers(read_rows(inputs.known_answers))
    save_figure(figure, outputs.pdf, provenance([inputs.known_answers]))


if __name__ == "__main__":
    run(main)

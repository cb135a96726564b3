"""Draw which method finds the range of convergence that a network was made to read."""

from kappascope.figures.saliency import known_answers
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows


def main(inputs, outputs, spec):
    figure = known_answers(read_rows(inputs.known_answers))
    save_figure(figure, outputs.pdf, provenance([inputs.known_answers]))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

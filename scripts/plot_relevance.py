"""Draw relevance against convergence: matilla2020 Fig. 5 (noiseless) or Fig. 6 (noisy)."""

from kappascope.chapters.matilla2020.figures.saliency import relevance_by_convergence
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = relevance_by_convergence(read_rows(inputs.relevance), spec.data_set)
    save_figure(figure, outputs.pdf, provenance([inputs.relevance], data_set=spec.data_set))


if __name__ == "__main__":
    run(main)

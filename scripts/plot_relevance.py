"""Draw relevance against convergence: matilla2020 Fig. 5 (noiseless) or Fig. 6 (noisy)."""

from kappascope.figures.saliency import relevance_by_convergence
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows


def main(inputs, outputs, spec):
    figure = relevance_by_convergence(read_rows(inputs.relevance), spec["data_set"])
    save_figure(figure, outputs.pdf, provenance([inputs.relevance], data_set=spec["data_set"]))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

"""Draw the similarity of maps from trained and re-initialised networks, layer by layer."""

from kappascope.figures.saliency import randomization_curves
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows


def main(inputs, outputs, spec):
    figure = randomization_curves(read_rows(inputs.randomization), spec["data_set"])
    save_figure(figure, outputs.pdf, provenance([inputs.randomization], data_set=spec["data_set"]))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

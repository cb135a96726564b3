"""Draw the attribution of topics: singh2020 Fig. 2."""

from kappascope.figures.style import provenance, save_figure
from kappascope.figures.topics import attribution_of_topics
from kappascope.files import read_rows


def main(inputs, outputs, spec):
    figure = attribution_of_topics(read_rows(inputs.topics), read_rows(inputs.accuracy)[0])
    save_figure(figure, outputs.pdf, provenance([inputs.topics, inputs.accuracy]))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

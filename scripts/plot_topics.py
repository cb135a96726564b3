"""Draw the attribution of topics: singh2020 Fig. 2."""

from kappascope.chapters.singh2020.figures.topics import attribution_of_topics
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = attribution_of_topics(read_rows(inputs.topics), read_rows(inputs.accuracy)[0])
    save_figure(figure, outputs.pdf, provenance([inputs.topics, inputs.accuracy]))


if __name__ == "__main__":
    run(main)

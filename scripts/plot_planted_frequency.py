"""Draw how often each method misses a planted frequency: singh2020 Table 1."""

from kappascope.chapters.singh2020.figures.planted_frequency import error_by_method
from kappascope.files import read_rows
from kappascope.reporting.claims import published_by
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    published = published_by(inputs.claims, "singh2020/table1.csv", "error_percent", "method")
    figure = error_by_method(read_rows(inputs.table1), published)
    save_figure(figure, outputs.pdf, provenance([inputs.table1, inputs.claims]))


if __name__ == "__main__":
    run(main)

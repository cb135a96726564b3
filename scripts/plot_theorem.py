"""Draw the least errors of attributions of single features."""

from kappascope.chapters.you2023 import figures
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    save_figure(figures.theorem(read_rows(inputs.table)), outputs.png, provenance([inputs.table]))


if __name__ == "__main__":
    run(main)

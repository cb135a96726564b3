"""Draw how attributions do in tests of faith, sum-of-parts among them."""

from kappascope.figures import groups
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    save_figure(groups.compared(read_rows(inputs.table)), outputs.png, provenance([inputs.table]))


if "snakemake" in globals():
    run(main, snakemake)

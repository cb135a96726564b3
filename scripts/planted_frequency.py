"""Find a planted frequency with every method: Table 1 of singh2020."""

from kappascope.chapters.singh2020 import planted_frequency
from kappascope.files import write_text
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    inverses = planted_frequency.INVERSES
    for design in planted_frequency.designs(spec.planted_frequency):
        rows += planted_frequency.simulate(design, inverses, spec.seed, spec.learns)
    table = planted_frequency.table1(rows)
    planted_frequency.DATA_SETS.write(outputs.data_sets, rows)
    write_text(outputs.latex, planted_frequency.latex(table))
    planted_frequency.TABLE1.write(outputs.table1, table)


if __name__ == "__main__":
    run(main)

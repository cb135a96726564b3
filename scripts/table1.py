"""Gather the constraints of all data sets: credible areas and Table I of matilla2020.

Changes for statistics beyond the paper's go to a table of their own.
"""

from kappascope.chapters.matilla2020 import latex, table1
from kappascope.files import read_rows, write_text
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    changes = read_rows(inputs.changes)
    published = [row for row in changes if row["statistic"] in table1.TABLE1_STATISTICS]
    beyond = [row for row in changes if row["statistic"] not in table1.TABLE1_STATISTICS]
    table1.AREAS.write(outputs.areas, read_rows(inputs.areas))
    table1.DROPPED_BINS.write(outputs.dropped_bins, read_rows(inputs.dropped_bins))
    table1.CHANGES.write(outputs.beyond, beyond)
    write_text(outputs.latex, latex.table1(published))
    table1.CHANGES.write(outputs.table1, published)


if __name__ == "__main__":
    run(main)

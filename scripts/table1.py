"""Gather the constraints of all data sets: credible areas and Table I of matilla2020.

Changes for statistics beyond the paper's go to a table of their own.
"""

from kappascope.chapters.matilla2020 import latex, table1
from kappascope.files import read_rows, write_csv, write_text
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    changes = read_rows(inputs.changes)
    published = [row for row in changes if row["statistic"] in table1.TABLE1_STATISTICS]
    beyond = [row for row in changes if row["statistic"] not in table1.TABLE1_STATISTICS]
    write_csv(outputs.areas, read_rows(inputs.areas), table1.AREA_COLUMNS)
    write_csv(outputs.dropped_bins, read_rows(inputs.dropped_bins), table1.DROPPED_COLUMNS)
    write_csv(outputs.beyond, beyond, table1.TABLE1_COLUMNS)
    write_text(outputs.latex, latex.table1(published))
    write_csv(outputs.table1, published, table1.TABLE1_COLUMNS)


if __name__ == "__main__":
    run(main)

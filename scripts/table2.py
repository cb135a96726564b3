"""Gather the randomization test of all data sets: Table II of matilla2020."""

from kappascope.chapters.matilla2020 import latex, relevance, table2
from kappascope.files import read_rows, write_text
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    maps = read_rows(inputs.full)
    summary = table2.table2(maps)
    table2.CURVES.write(outputs.curves, read_rows(inputs.curves))
    table2.TABLE2_MAPS.write(outputs.maps, maps)
    table2.NULL_TEST.write(outputs.null_test, table2.null_test(summary))
    table2.AGREEMENT.write(outputs.agreement, read_rows(inputs.agreement))
    table2.SENSITIVITY.write(outputs.sensitivity, read_rows(inputs.sensitivity))
    relevance.RELEVANCE.write(outputs.bins, read_rows(inputs.bins))
    relevance.SHARES.write(outputs.shares, read_rows(inputs.shares))
    write_text(outputs.latex, latex.table2(summary))
    table2.TABLE2.write(outputs.table2, summary)


if __name__ == "__main__":
    run(main)

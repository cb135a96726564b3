"""Gather the randomization test of all data sets: Table II of matilla2020."""

from kappascope.chapters.matilla2020 import latex, relevance, table2
from kappascope.files import read_rows, write_csv, write_text
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    maps = read_rows(inputs.full)
    summary = table2.table2(maps)
    write_csv(outputs.curves, read_rows(inputs.curves), table2.CURVE_COLUMNS)
    write_csv(outputs.maps, maps, table2.TABLE2_MAP_COLUMNS)
    write_csv(outputs.null_test, table2.null_test(summary), table2.NULL_TEST_COLUMNS)
    write_csv(outputs.agreement, read_rows(inputs.agreement), table2.AGREEMENT_COLUMNS)
    write_csv(outputs.sensitivity, read_rows(inputs.sensitivity), table2.SENSITIVITY_COLUMNS)
    write_csv(outputs.bins, read_rows(inputs.bins), relevance.RELEVANCE_COLUMNS)
    write_csv(outputs.shares, read_rows(inputs.shares), relevance.SHARE_COLUMNS)
    write_text(outputs.latex, latex.table2(summary))
    write_csv(outputs.table2, summary, table2.TABLE2_COLUMNS)


if __name__ == "__main__":
    run(main)

"""Gather the randomization test of all data sets: Table II of matilla2020."""

from kappascope.attribution import relevance, tables
from kappascope.files import read_rows, write_csv, write_text
from kappascope.inference import latex


def main(inputs, outputs, spec):
    maps = read_rows(inputs.full)
    summary = tables.table2(maps)
    write_csv(outputs.curves, read_rows(inputs.curves), tables.CURVE_COLUMNS)
    write_csv(outputs.maps, maps, tables.TABLE2_MAP_COLUMNS)
    write_csv(outputs.null_test, tables.null_test(summary), tables.NULL_TEST_COLUMNS)
    write_csv(outputs.agreement, read_rows(inputs.agreement), tables.AGREEMENT_COLUMNS)
    write_csv(outputs.sensitivity, read_rows(inputs.sensitivity), tables.SENSITIVITY_COLUMNS)
    write_csv(outputs.bins, read_rows(inputs.bins), relevance.RELEVANCE_COLUMNS)
    write_csv(outputs.shares, read_rows(inputs.shares), relevance.SHARE_COLUMNS)
    write_text(outputs.latex, latex.table2(summary))
    write_csv(outputs.table2, summary, tables.TABLE2_COLUMNS)


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

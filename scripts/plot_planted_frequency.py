"""Draw how often each method misses a planted frequency: singh2020 Table 1."""

from kappascope.claims import load_claims
from kappascope.figures.planted_frequency import error_by_method
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows


def published_errors(path):
    """Return method → published error [%] from the ledger of claims."""
    found = {}
    for claim in load_claims(path):
        select = claim.select or {}
        method = select.get("where", {}).get("method")
        table1 = claim.id.startswith("singh2020.table1.") and "reduce" not in select
        if table1 and select.get("column") == "error_percent" and method:
            found[method] = float(claim.published)
    return found


def main(inputs, outputs, spec):
    figure = error_by_method(read_rows(inputs.table1), published_errors(inputs.claims))
    save_figure(figure, outputs.pdf, provenance([inputs.table1, inputs.claims]))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)

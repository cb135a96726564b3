"""Draw weights of voids and clusters, and maps with their groups."""

import numpy as np

from kappascope.claims import load_claims
from kappascope.figures import groups
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows
from kappascope.workflow_script import run


def published_weights(path):
    """Return (structure, parameter) → published mean weight [%] from the ledger of claims."""
    found = {}
    for claim in load_claims(path):
        select = claim.select or {}
        where = select.get("where", {})
        if claim.id.startswith("you2023.weights.") and select.get("column") == "weight_percent":
            if {"structure", "parameter"} <= set(where) and "reduce" not in select:
                found[where["structure"], where["parameter"]] = float(claim.published)
    return found


def main(inputs, outputs, spec):
    weights = read_rows(inputs.weights)
    published = published_weights(inputs.claims)
    with np.load(inputs.examples) as stored:
        examples = dict(stored)
    histogram = groups.weight_histograms(read_rows(inputs.histogram), weights, published)
    sweep = groups.threshold_sweep(read_rows(inputs.sweep), spec["thresholds"])
    side = spec["field_arcmin"]
    drawn = provenance([inputs.histogram, inputs.weights, inputs.sweep])
    save_figure(histogram, outputs.weights, drawn)
    save_figure(sweep, outputs.sweep, drawn)
    drawn = provenance([inputs.examples])
    save_figure(groups.gallery(examples, side), outputs.gallery, drawn)
    save_figure(groups.structures(examples, side), outputs.structures, drawn)


if "snakemake" in globals():
    run(main, snakemake)

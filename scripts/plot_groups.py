"""Draw weights of voids and clusters, and maps with their groups."""

import numpy as np

from kappascope.chapters.you2023 import figures
from kappascope.files import read_rows
from kappascope.reporting.claims import published_by
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    weights = read_rows(inputs.weights)
    published = published_by(
        inputs.claims, "you2023/weights.csv", "weight_percent", "structure", "parameter"
    )
    with np.load(inputs.examples) as stored:
        examples = dict(stored)
    histogram = figures.weight_histograms(read_rows(inputs.histogram), weights, published)
    sweep = figures.threshold_sweep(read_rows(inputs.sweep), spec.thresholds)
    side = spec.field_arcmin
    drawn = provenance([inputs.histogram, inputs.weights, inputs.sweep])
    save_figure(histogram, outputs.weights, drawn)
    save_figure(sweep, outputs.sweep, drawn)
    drawn = provenance([inputs.examples])
    save_figure(figures.gallery(examples, side), outputs.gallery, drawn)
    save_figure(figures.structures(examples, side), outputs.structures, drawn)


if __name__ == "__main__":
    run(main)

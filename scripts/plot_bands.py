"""Draw band curves: singh2020 Figs. 3, 4 and S1."""

import numpy as np

from kappascope.chapters.singh2020.figures.bands import band_curves, curves_by_parameter
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    with np.load(inputs.arrays) as stored:
        arrays = {name: stored[name] for name in stored.files}
    published = np.loadtxt(inputs.published) if "published" in inputs.keys() else None
    rows = read_rows(inputs.curves)
    sources = [inputs.arrays, inputs.curves]
    save_figure(band_curves(arrays, published), outputs.fig3, provenance(sources))
    save_figure(curves_by_parameter(rows, ["omega_matter"]), outputs.fig4, provenance(sources))
    both = curves_by_parameter(rows, ["omega_matter", "sigma_8"])
    save_figure(both, outputs.fig_s1, provenance(sources))


if __name__ == "__main__":
    run(main)

"""Draw the figures of strong lenses."""

from pathlib import Path

import numpy as np

from kappascope.claims import published_by
from kappascope.figures import lenses
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_arrays, read_rows
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    folder = Path(outputs[0]).parent

    def table(name):
        return read_rows(folder / f"{name}.csv")

    examples, scores = read_arrays(inputs.examples), read_arrays(inputs.scores)
    mine = scores["kind"] == "lens"
    published = published_by(inputs.claims, "wilde2022/recall.csv", "called_lens_percent", "kind")
    figures = {
        "gallery": lenses.gallery(examples),
        "finder": lenses.performance(
            table("roc"), table("recall"), table("completeness"), table("finder"), published
        ),
        "position": lenses.position(
            scores["places"][mine],
            scores["true_places"][mine],
            scores["einstein_radii"][mine],
            table("position"),
            table("agreement"),
        ),
        "maps": lenses.maps(examples),
        "dreams": lenses.dreams(examples, table("dreams")),
        "probes": lenses.probes(table("probes"), table("shares")),
        "real": lenses.real(read_arrays(inputs.systems), table("real")),
    }
    told = provenance([*np.atleast_1d(inputs.tables), inputs.examples])
    for name, figure in figures.items():
        save_figure(figure, folder / name, told)


if "snakemake" in globals():
    run(main, snakemake)

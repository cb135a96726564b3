"""Draw the figures of strong lenses."""

from pathlib import Path

import numpy as np

from kappascope.chapters.wilde2022 import figures
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.claims import published_by
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    folder = Path(outputs[0]).parent

    def table(name):
        return read_rows(folder / f"{name}.csv")

    examples, scores = read_arrays(inputs.examples), read_arrays(inputs.scores)
    mine = scores["kind"] == "lens"
    published = published_by(inputs.claims, "wilde2022/recall.csv", "called_lens_percent", "kind")
    drawn = {
        "gallery": figures.gallery(examples),
        "finder": figures.performance(
            table("roc"), table("recall"), table("completeness"), table("finder"), published
        ),
        "position": figures.position(
            scores["places"][mine],
            scores["true_places"][mine],
            scores["einstein_radii"][mine],
            table("position"),
            table("agreement"),
        ),
        "maps": figures.maps(examples),
        "dreams": figures.dreams(examples, table("dreams")),
        "probes": figures.probes(table("probes"), table("shares")),
        "real": figures.real(read_arrays(inputs.systems), table("real")),
    }
    told = provenance([*np.atleast_1d(inputs.tables), inputs.examples])
    for name, figure in drawn.items():
        save_figure(figure, folder / name, told)


if __name__ == "__main__":
    run(main)

"""Draw learned dictionaries, and sparsity against reconstruction (singh2020 S4)."""

import numpy as np

from kappascope.chapters.singh2020.figures.dictionary import atoms, trade_off
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    with np.load(inputs.atoms) as stored:
        arrays = dict(stored)
    save_figure(atoms(arrays), outputs.atoms, provenance([inputs.atoms]))
    save_figure(trade_off(read_rows(inputs.table)), outputs.trade_off, provenance([inputs.table]))


if __name__ == "__main__":
    run(main)

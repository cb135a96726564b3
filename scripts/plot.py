"""Draw the figures of a rule, as PDF and PNG, with what they were drawn from in their metadata."""

from pathlib import Path

from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    drawn = FIGURES[spec.figure](inputs, spec)
    folder, made_from = Path(outputs[0]).parent, provenance(map(str, inputs))
    for stem, figure in drawn.items():
        save_figure(figure, folder / stem, made_from)


if __name__ == "__main__":
    run(main)

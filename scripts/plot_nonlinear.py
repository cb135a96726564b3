"""Draw the figures of nonlinear saliency maps."""

from pathlib import Path

from kappascope.chapters.rosenzweig2021 import figures
from kappascope.files import read_arrays, read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    folder, arrays = Path(outputs[0]).parent, read_arrays(inputs.arrays)
    examples, trajectories = read_rows(inputs.examples), read_rows(inputs.trajectories)
    blurring, kappa = read_rows(inputs.blurring), read_rows(inputs.kappa)
    drawn = {"kappa": figures.kappa(arrays, kappa)}
    for subject in ("galaxies", "digits"):
        drawn |= {
            f"fig1_{subject}": figures.modifications(subject, arrays, examples, trajectories),
            f"fig2_{subject}": figures.trajectories(subject, arrays, examples, trajectories),
            f"fig3_{subject}": figures.comparison(subject, arrays, examples),
            f"fig4_{subject}": figures.selective_blurring(subject, arrays, blurring),
        }
    told = provenance([inputs.arrays, inputs.examples, inputs.trajectories])
    for name, figure in drawn.items():
        save_figure(figure, folder / name, told)


if __name__ == "__main__":
    run(main)

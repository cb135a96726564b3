"""Draw the figures of nonlinear saliency maps."""

from pathlib import Path

from kappascope.figures import nonlinear
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_arrays, read_rows
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    folder, arrays = Path(outputs[0]).parent, read_arrays(inputs.arrays)
    examples, trajectories = read_rows(inputs.examples), read_rows(inputs.trajectories)
    blurring, kappa = read_rows(inputs.blurring), read_rows(inputs.kappa)
    figures = {"kappa": nonlinear.kappa(arrays, kappa)}
    for subject in ("galaxies", "digits"):
        figures |= {
            f"fig1_{subject}": nonlinear.modifications(subject, arrays, examples, trajectories),
            f"fig2_{subject}": nonlinear.trajectories(subject, arrays, examples, trajectories),
            f"fig3_{subject}": nonlinear.comparison(subject, arrays, examples),
            f"fig4_{subject}": nonlinear.selective_blurring(subject, arrays, blurring),
        }
    told = provenance([inputs.arrays, inputs.examples, inputs.trajectories])
    for name, figure in figures.items():
        save_figure(figure, folder / name, told)


if "snakemake" in globals():
    run(main, snakemake)

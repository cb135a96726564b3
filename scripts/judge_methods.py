"""Explain the networks whose answer is known: which method finds it."""

from pathlib import Path

from kappascope.attribution import judging, known_answers
from kappascope.files import write_csv
from kappascope.networks import description
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    rows, truth = [], None
    for path in inputs:  # the network of the true labels first: others are compared with it
        control = Path(path).parent.name
        network, parameters, extra = description.load(Path(path).parent)
        patches = extra["x"][..., 0]
        maps = known_answers.relevance_maps(
            network, parameters, patches, spec["saliency"], spec["seed"]
        )
        truth = maps if truth is None else truth
        compared = truth if control in known_answers.SHUFFLED else None
        rows += judging.rows(
            control, float(extra["r_squared"]), patches, maps, spec["seed"], compared
        )
    write_csv(outputs[0], rows, judging.COLUMNS)


if "snakemake" in globals():
    run(main, snakemake)

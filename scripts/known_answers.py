"""Train a network on a task whose answer is known; the patches to explain lie beside it."""

import shutil
from pathlib import Path

import numpy as np

from kappascope.attribution import known_answers
from kappascope.networks import description
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    section, control, scratch = spec["known_answers"], spec["control"], Path(spec["scratch"])
    given = known_answers.task(control, list(inputs), section, spec)
    network, parameters, r_squared = known_answers.train(control, given, section, spec, scratch)
    shown = given.testing
    if control == "noise_only":
        # Judged on convergence, as the network of the true labels.
        shown = known_answers.task("true_labels", list(inputs), section, spec).testing
    folder = Path(outputs.network).parent
    description.save(folder, network, parameters, x=shown[..., None], r_squared=np.array(r_squared))
    shutil.rmtree(scratch, ignore_errors=True)


if "snakemake" in globals():
    run(main, snakemake)

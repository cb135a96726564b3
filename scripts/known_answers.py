"""Train networks on a task whose answer is known; the patches to explain lie beside each."""

import shutil
from pathlib import Path

import numpy as np

from kappascope.faithfulness import controls
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, control = spec.known_answers, spec.control
    given = controls.task(control, list(inputs), section, spec)
    shown = given.testing
    if control == "noise_only":
        # Judged on convergence, as the network of the true labels.
        shown = controls.task("true_labels", list(inputs), section, spec).testing
    for number, path in enumerate(outputs.networks):
        scratch = Path(spec.scratch) / str(number)
        network, parameters, r_squared = controls.train(
            control, given, section, spec, scratch, number
        )
        described = {"x": shown[..., None], "r_squared": np.array(r_squared)}
        description.save(Path(path).parent, network, parameters, **described)
    shutil.rmtree(spec.scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)

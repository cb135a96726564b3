"""Train one network that reads images of galaxies."""

import shutil
from pathlib import Path

from kappascope.networks import description
from kappascope.stronglens import classifiers, images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    task, scratch = spec.task, Path(spec.scratch)
    learned = images.load(inputs.images, "training")
    if task == "sorter":
        learned = images.joined(learned, images.load(inputs.images, "compound_training"))
    network, parameters = classifiers.train(
        task, learned, spec.networks, spec.seed, spec.index, scratch, spec.learns
    )
    description.save(Path(outputs.network).parent, network, parameters)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)

"""Train one network that reads images of galaxies."""

import shutil
from pathlib import Path

from kappascope.networks import description
from kappascope.stronglens import classifiers, finders, images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    task, scratch = spec.task, Path(spec.scratch)
    learned = images.load(inputs.images, "training")
    if task == "sorter":
        learned = images.joined(learned, images.load(inputs.images, "compound_training"))
    network, parameters = classifiers.train(
        task, learned, spec.networks, spec.seed, spec.index, scratch, spec.learns
    )
    folder, seen = Path(outputs.network).parent, spec.images
    description.save(folder, network, parameters)
    classes = classifiers.CLASSES[task]
    finders.describe(folder, seen.bands, seen.pixels, seen.pixel_arcsec, classes)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)

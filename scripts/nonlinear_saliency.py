"""Drive classes up along nonlinear and linear saliency: galaxies, digits, convergence maps."""

import numpy as np

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import arms, experiments, subjects
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.files import write_arrays
from kappascope.networks import description, digits, prediction
from kappascope.stronglens import images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed = spec.rosenzweig2021, spec.seed
    settings = {
        name: NonlinearSaliency(steps=section.steps, step=step, sigma=section.blur_pixels)
        for name, step in section.step.model_dump().items()
    }
    (sorter,) = description.load_all([inputs.sorter])
    tested = images.load(inputs.images, "testing")
    if found := getattr(inputs, "digits", None):
        pictures = digits.read_mnist(found, inputs.labels)
    else:
        pictures = digits.bundled_digits()
    settings_of_digits = spec.digits
    chosen = [
        subjects.galaxies(sorter, tested, section.images),
        subjects.pictures(pictures, settings_of_digits, seed, section.digits, spec.learns),
    ]
    trajectories, examples, blurring, summary, halves, arrays = [], [], [], [], [], {}
    for subject in chosen:
        followed = experiments.follow(subject, settings[subject.name])
        mine = experiments.blurring_rows(subject, followed, section.blur_pixels, seed)
        trajectories += experiments.trajectory_rows(subject, followed)
        examples += experiments.example_rows(subject, followed)
        blurring += mine
        summary += experiments.summary_rows(subject, followed, mine, seed)
        halves += arms.rows(subject, settings[subject.name], seed)
        arrays |= experiments.packed(subject, followed, section.examples)
    # The range is that of all fiducial maps, however many are moved.
    maps, _ = prediction.fiducial_maps(inputs.maps, spec.data_set, spec, spec.maps.testing)
    network, parameters, extra = description.load(inputs.network.rsplit("/", 1)[0])
    kappa, more = experiments.kappa_rows(
        (network, parameters),
        maps[: section.kappa_maps],
        np.asarray(extra["target_scale"]),
        PARAMETERS,
        settings["kappa"],
        float(maps.min()),
        float(maps.max()),
    )
    experiments.TRAJECTORIES.write(outputs.trajectories, trajectories)
    experiments.EXAMPLES.write(outputs.examples, examples)
    experiments.BLURRING.write(outputs.blurring, blurring)
    arms.TABLE.write(outputs.arms, halves)
    experiments.SUMMARY.write(outputs.summary, summary)
    experiments.KAPPA.write(outputs.kappa, kappa)
    write_arrays(outputs.arrays, {**arrays, **more})


if __name__ == "__main__":
    run(main)

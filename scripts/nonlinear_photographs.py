"""Drive classes of an ImageNet classifier up in photographs, where its weights are at hand."""

from pathlib import Path

import numpy as np

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import experiments, photographs
from kappascope.files import write_arrays
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed = spec.photographs, spec.seed
    settings = NonlinearSaliency(steps=section.steps, step=section.step, sigma=section.blur_pixels)
    trajectories, examples, blurring, summary, unlikely, arrays = [], [], [], [], [], {}
    if network := getattr(inputs, "network", None):
        subject = photographs.read(Path(network).parent, section.number, seed, spec.learns)
        followed = experiments.follow(subject, settings)
        trajectories = experiments.trajectory_rows(subject, followed)
        examples = experiments.example_rows(subject, followed)
        blurring = experiments.blurring_rows(subject, followed, section.blur_pixels, seed)
        summary = experiments.summary_rows(subject, followed, blurring, seed)
        unlikely = list(photographs.unlikely(subject, settings))
        summary.append(photographs.driven_row(unlikely))
        arrays = experiments.packed(subject, followed, section.number)
        for name in ("x", "images"):
            stored = f"{subject.name}.{name}"
            arrays[stored] = photographs.as_colours(arrays[stored]).astype(np.float32)
    experiments.TRAJECTORIES.write(outputs.trajectories, trajectories)
    experiments.EXAMPLES.write(outputs.examples, examples)
    experiments.BLURRING.write(outputs.blurring, blurring)
    experiments.SUMMARY.write(outputs.summary, summary)
    photographs.UNLIKELY.write(outputs.unlikely, unlikely)
    write_arrays(outputs.arrays, arrays)


if __name__ == "__main__":
    run(main)

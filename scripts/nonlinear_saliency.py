"""Drive classes up along nonlinear and linear saliency: galaxies, digits, convergence maps."""

import numpy as np

from kappascope.attribution import experiments, nonlinear
from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.files import write_arrays, write_csv
from kappascope.networks import description
from kappascope.networks.prediction import PARAMETERS
from kappascope.stronglens import finder, images
from kappascope.trim import digits
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    section, seed = spec["nonlinear"], spec["seed"]
    settings = NonlinearSaliency(
        steps=section["steps"], step=section["step"], sigma=section["blur_pixels"]
    )
    (sorter,) = finder.load_all([inputs.sorter])
    tested = images.load(inputs.images, "testing")
    if found := getattr(inputs, "digits", None):
        pictures = digits.read_mnist(found, inputs.labels)
    else:
        pictures = digits.bundled_digits()
    subjects = [
        finder.subject(sorter, tested, section["images"]),
        digits.subject(pictures, digits.Settings(**spec["digits"]), seed, section["digits"]),
    ]
    trajectories, examples, blurring, summary, arrays = [], [], [], [], {}
    for subject in subjects:
        followed = nonlinear.follow(subject, settings)
        mine = nonlinear.blurring_rows(subject, followed, settings.sigma, seed)
        trajectories += nonlinear.trajectory_rows(subject, followed)
        examples += nonlinear.example_rows(subject, followed)
        blurring += mine
        summary += nonlinear.summary_rows(subject, followed, mine)
        arrays |= nonlinear.packed(subject, followed, section["examples"])
    maps, _ = experiments.fiducial_maps(inputs.maps, spec["data_set"], spec, section["kappa_maps"])
    network, parameters, extra = description.load(inputs.network.rsplit("/", 1)[0])
    kappa, more = nonlinear.kappa_rows(
        (network, parameters), maps, np.asarray(extra["target_scale"]), PARAMETERS, settings
    )
    write_csv(outputs.trajectories, trajectories, nonlinear.TRAJECTORY_COLUMNS)
    write_csv(outputs.examples, examples, nonlinear.EXAMPLE_COLUMNS)
    write_csv(outputs.blurring, blurring, nonlinear.BLURRING_COLUMNS)
    write_csv(outputs.summary, summary, nonlinear.SUMMARY_COLUMNS)
    write_csv(outputs.kappa, kappa, nonlinear.KAPPA_COLUMNS)
    write_arrays(outputs.arrays, {**arrays, **more})


if "snakemake" in globals():
    run(main, snakemake)

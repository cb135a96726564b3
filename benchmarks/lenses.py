"""Time simulated lens images and nonlinear saliency trajectories.

python benchmarks/lenses.py [--threads 1] [--repeats 3]
"""

import numpy as np
from run import options, report, seconds_of


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--trajectories", type=int, default=16)
    arguments = parser.parse_args()
    from kappascope import runtime
    from kappascope.workflow import configuration

    runtime.configure(threads=arguments.threads)
    from kappascope.attribution.ascent import NonlinearSaliency
    from kappascope.networks import classification
    from kappascope.stronglens import classifiers, images

    section = configuration.load().wilde2022.images
    camera, population = images.camera_of(section), images.population_of(section)
    numbers = {"lens": arguments.images // 2, "companions": arguments.images // 2}

    def simulated(wanted) -> images.Images:
        return images.simulate(population, camera, 1, "benchmark", wanted)

    x = simulated({"lens": 16, "companions": 16}).x[: arguments.trajectories].astype(np.float32)
    seconds = seconds_of(lambda: simulated(numbers), arguments.repeats)
    report(
        f"lenses: images of {camera.pixels}² in {len(camera.bands)} bands",
        "images/s",
        [arguments.images / each for each in seconds],
        "20,000 in ≤ 3 minutes",
        threads=arguments.threads,
        oversampling=camera.oversampling,
    )
    network = classifiers.network_for(
        "sorter", camera.pixels, len(camera.bands), configuration.load().wilde2022.networks.width
    )
    parameters = classification.initial_parameters(network, 1, 0)
    low, high = x.min((0, 1, 2)), x.max((0, 1, 2))
    method = NonlinearSaliency(objective="log_odds", step=0.003)

    def followed() -> None:
        method.trajectory(network, parameters, x, 1, low, high)

    followed()
    report(
        "lenses: nonlinear saliency trajectories of 64 steps",
        "trajectories/s",
        [len(x) / each for each in seconds_of(followed, arguments.repeats)],
        None,
        threads=arguments.threads,
    )


if __name__ == "__main__":
    main()

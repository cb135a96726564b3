"""Time 100 bands of 64 maps through ResNet-18, and Table 1's networks, trained and explained.

python benchmarks/transformations.py [--threads 1] [--repeats 3]
"""

import dataclasses

from attribution import weights
from run import options, report, seconds_of


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--maps", type=int, default=64)
    parser.add_argument("--bands", type=int, default=100)
    parser.add_argument("--networks", type=int, default=25, help="of Table 1; scaled to 500")
    arguments = parser.parse_args()
    from kappascope import runtime

    runtime.configure(threads=arguments.threads)
    import jax
    import numpy as np

    from kappascope.attribution import trim
    from kappascope.chapters.singh2020 import planted_frequency
    from kappascope.networks.architectures import resnet18
    from kappascope.transforms import fourier
    from kappascope.workflow import configuration

    generator = np.random.default_rng(1)
    network = resnet18(arguments.pixels, arguments.width, 2)
    model = network, weights(network, generator)
    shape = (arguments.maps, *network.input_shape)
    maps = generator.standard_normal(shape, dtype=np.float32)
    bands = fourier.bands_around(np.linspace(0.1, 0.9, arguments.bands).tolist(), 0.05)

    def followed(some) -> None:
        jax.block_until_ready(trim.decomposed_bands(model, maps, some))

    followed(bands[:1])
    standard = (arguments.pixels, arguments.maps, arguments.bands) == (128, 64, 100)
    report(
        f"transformations: {arguments.bands} bands of {arguments.maps} maps of {arguments.pixels}²",
        "s",
        seconds_of(lambda: followed(bands), arguments.repeats),
        "≤ 30" if standard else None,
        threads=arguments.threads,
        width=arguments.width,
    )
    section = configuration.load().singh2020.planted_frequency
    (told,) = [d for d in planted_frequency.designs(section) if d.name == "as_told"]

    def simulated(count: int) -> None:
        design = dataclasses.replace(told, data_sets=count)
        planted_frequency.simulate(design, planted_frequency.INVERSES, 1)

    simulated(1)
    seconds = seconds_of(lambda: simulated(arguments.networks), arguments.repeats)
    report(
        f"transformations: {told.data_sets} data sets of Table 1, both inverses",
        "s",
        [each * told.data_sets / arguments.networks for each in seconds],
        "≤ 90",
        threads=arguments.threads,
    )


if __name__ == "__main__":
    main()

"""Time every method of one forward and one backward pass on the 18-convolution network.

Maps a second of each, and the median of its time over that of the plain gradient, measured in turn
in the same process, so that what else the machine does falls on both.

python benchmarks/attribution.py [--threads 2] [--repeats 5] [--methods lrp_epsilon ...]
"""

import math
import statistics
import time

from run import options, report, seconds_of

RATIO = 3.0


def weights(network, generator):
    """Draw kernels from Glorot's distribution, and batch normalizations away from (0, 1)."""
    channels, parameters = {"x": network.input_shape[-1]}, {}
    for node in network.nodes:
        inside = channels[node["inputs"][0]]
        channels[node["name"]] = outside = node.get("features", inside)
        for field, name in node.get("params", {}).items():
            if field == "kernel":
                window = node.get("window", ())
                limit = math.sqrt(6 / (math.prod(window) * (inside + outside)))
                shape = (*window, inside, outside)
                values = generator.uniform(-limit, limit, shape)
            elif field in ("scale", "var"):
                values = generator.uniform(0.5, 1.5, outside)
            else:
                values = generator.normal(0.0, 0.1, outside)
            parameters[name] = values.astype("float32")
    return parameters


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=5)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--methods", nargs="+", help="default: all of one pass")
    arguments = parser.parse_args()
    from kappascope import runtime

    runtime.configure(threads=arguments.threads)
    import numpy as np

    from kappascope.attribution.methods import METHODS, Propagation, attribute, find
    from kappascope.networks.architectures import convergence_cnn

    generator = np.random.default_rng(1)
    network = convergence_cnn(arguments.pixels, arguments.width, "SAME")
    model = network, weights(network, generator)
    shape = (arguments.batch, *network.input_shape)
    maps = generator.standard_normal(shape, dtype=np.float32)
    named = {"threads": arguments.threads, "width": arguments.width, "batch": arguments.batch}
    standard = (arguments.pixels, arguments.width, arguments.batch) == (128, 8, 16)

    def run(name: str) -> None:
        # It checks its result, and so waits for it.
        attribute(name, model, maps, output=0)

    start = time.perf_counter()
    run("gradient")
    first = time.perf_counter() - start
    seconds = seconds_of(lambda: run("gradient"), 2 * arguments.repeats)
    report("attribution: compilation of the gradient", "s", [first - min(seconds)], **named)
    report(
        f"attribution: gradient, {arguments.pixels}²",
        "maps/s",
        [arguments.batch / each for each in seconds],
        "≥ 266" if standard and arguments.threads == 2 else None,
        **named,
    )
    fixed = [e.name for e in METHODS.entries().values() if "pattern" not in e.info]
    procedures = {find(name).procedure: name for name in reversed(fixed)}
    known = [name for kind, name in procedures.items() if isinstance(kind, Propagation)]
    for name in arguments.methods or known[-2::-1]:
        run(name)
        seconds, ratios = [], []
        for _ in range(arguments.repeats):
            plain = seconds_of(lambda: run("gradient"), 1)[0]
            seconds += seconds_of(lambda name=name: run(name), 1)
            ratios.append(seconds[-1] / plain)
        report(
            f"attribution: {name}, {arguments.pixels}²",
            "maps/s",
            [arguments.batch / each for each in seconds],
            f"time ≤ {RATIO:g} gradients",
            time_over_gradient=round(statistics.median(ratios), 2),
            **named,
        )


if __name__ == "__main__":
    main()

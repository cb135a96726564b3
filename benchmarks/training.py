"""Time training of the 18-convolution network: one process, or several side by side on a core each.

python benchmarks/training.py [--processes 2] [--repeats 5] [--width 8] [--pixels 128]
"""

import json
import subprocess
import sys
import time

from run import options, report


def one_process(arguments) -> None:
    """Compile, say so, wait for the word, and print the seconds of each repeat."""
    from kappascope import runtime

    runtime.configure(threads=arguments.threads)
    import jax
    import numpy as np
    import optax

    from kappascope.networks import prediction, training
    from kappascope.networks.architectures import convergence_cnn
    from kappascope.networks.module import GraphNetwork

    count, batch = 512, 32
    generator = np.random.default_rng(1)
    shape = (count, arguments.pixels, arguments.pixels)
    maps = 0.02 * generator.standard_normal(shape, dtype=np.float32)
    targets = generator.uniform(0.2, 0.9, (count, 2))
    network = convergence_cnn(arguments.pixels, arguments.width, "SAME")
    module = GraphNetwork(network, 0.99)
    variables = training.initial_variables(module, generator)
    optimiser = optax.sgd(1e-3, 0.9, nesterov=True)
    state = {"variables": variables, "moments": optimiser.init(variables["params"])}
    observe = prediction.observer(0.06, 1.22)
    advance = training.compiled_step(module, optimiser, observe, 5e-5)
    keys = jax.random.split(jax.random.key(1), 2)

    def steps(number: int) -> None:
        nonlocal state
        for _ in range(number):
            rows = np.sort(generator.permutation(count)[:batch])
            state, loss = advance(state, maps[rows], targets[rows].astype(np.float32), keys)
        float(loss)

    start = time.perf_counter()
    steps(1)
    first = time.perf_counter() - start
    start = time.perf_counter()
    steps(1)
    compilation = first - (time.perf_counter() - start)
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        steps(arguments.steps)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"compilation": compilation, "seconds": seconds}), flush=True)


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=5)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6, help="steps a repeat")
    parser.add_argument("--child", action="store_true", help="used by this script itself")
    arguments = parser.parse_args()
    if arguments.child:
        one_process(arguments)
        return
    children = [
        subprocess.Popen(
            [sys.executable, *sys.argv, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(arguments.processes)
    ]
    for child in children:
        assert child.stdout.readline().strip() == "ready"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    measured = [json.loads(child.stdout.readline()) for child in children]
    for child in children:
        child.wait()
    maps = 32 * arguments.steps
    together = zip(*(one["seconds"] for one in measured), strict=True)
    rates = [sum(maps / seconds for seconds in repeat) for repeat in together]
    named = {
        "width": arguments.width,
        "threads": arguments.threads,
        "processes": arguments.processes,
    }
    report(f"training, {arguments.pixels}²", "maps/s", rates, **named)
    report("training: compilation", "s", [one["compilation"] for one in measured], **named)


if __name__ == "__main__":
    main()

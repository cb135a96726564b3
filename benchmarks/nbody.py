"""Time the particle mesh: 96³ particles on a 192³ mesh, 27 steps; compilation apart.

python benchmarks/nbody.py [--threads 2] [--repeats 3] [--particles 96] [--steps 27]
"""

import time

from run import options, report, seconds_of


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--particles", type=int, default=96)
    parser.add_argument("--steps", type=int, default=27)
    arguments = parser.parse_args()
    from kappascope import randomness, runtime

    runtime.configure(threads=arguments.threads)
    import jax
    import numpy as np

    from kappascope.cosmology.model import Cosmology, matter_power
    from kappascope.simulation import nbody

    cosmology = Cosmology(0.26, 0.8)
    power = matter_power(cosmology)
    side = arguments.particles
    size = nbody.ParticleMesh(80.0, side, 2 * side)
    modes = nbody.white_noise(randomness.generator(1, "phases"), side, True)

    def simulate(steps: int) -> None:
        times = np.linspace(0.1, 1.0, arguments.steps + 1)[: steps + 1]
        ((_, positions),) = nbody.evolve(size, cosmology, power, modes, times, np.array([steps]))
        jax.block_until_ready(positions)

    start = time.perf_counter()
    simulate(1)
    first = time.perf_counter() - start
    again = seconds_of(lambda: simulate(1), 1)[0]
    named = {"particles": side, "mesh": 2 * side, "threads": arguments.threads}
    standard = (side, arguments.steps) == (96, 27)
    report("particle mesh: compilation", "s", [max(first - again, 0.0)], **named)
    report(
        f"particle mesh: {arguments.steps} steps",
        "s",
        seconds_of(lambda: simulate(arguments.steps), arguments.repeats),
        "≤ 8 (pmwd 7.8)" if standard and arguments.threads == 2 else None,
        **named,
    )


if __name__ == "__main__":
    main()

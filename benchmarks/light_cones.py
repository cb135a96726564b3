"""Time maps from lens planes: Born and multi-plane, at the default tier's sizes.

python benchmarks/light_cones.py [--threads 1] [--repeats 5] [--maps 128]
"""

from run import options, report, seconds_of


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=5)
    parser.add_argument("--maps", type=int, default=128)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--plane-pixels", type=int, default=768)
    arguments = parser.parse_args()
    from kappascope import randomness, runtime

    runtime.configure(threads=arguments.threads)
    import jax
    import numpy as np

    from kappascope.cosmology.model import Cosmology, matter_power
    from kappascope.simulation import lightcone, raytracing

    box, snapshots, pixel_arcmin = 80.0, 8, 0.8203125
    cosmology = Cosmology(0.26, 0.8)
    power = matter_power(cosmology)
    cone = lightcone.slabs(cosmology, box, 1.0, snapshots)
    shape = (snapshots, 3, arguments.plane_pixels, arguments.plane_pixels)
    projections = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)

    def planes_of_a_box() -> list:
        planes = list(lightcone.corrected_planes(projections, cone, cosmology, power, box, True))
        return jax.block_until_ready(planes)

    planes = planes_of_a_box()
    named = {"threads": arguments.threads, "plane_pixels": arguments.plane_pixels}

    def look(maps: int, how) -> None:
        generators = [randomness.generator(1, "light cone", number) for number in range(maps)]
        draws = lightcone.draw(generators, len(cone.distance))
        how(planes, cone, box, draws, arguments.pixels, pixel_arcmin)

    for name, how, maps, target in (
        ("Born maps", lightcone.born_maps, arguments.maps, "≥ 300"),
        ("multi-plane maps", raytracing.multi_plane_maps, 4, None),
    ):
        look(maps, how)
        seconds = seconds_of(lambda maps=maps, how=how: look(maps, how), arguments.repeats)
        rates = [maps / one for one in seconds]
        report(f"{name}, {arguments.pixels}²", "maps/s", rates, target, **named)
    seconds = seconds_of(planes_of_a_box, arguments.repeats)
    report("lens planes of a box", "s", seconds, slabs=len(cone.distance), **named)


if __name__ == "__main__":
    main()

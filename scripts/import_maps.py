"""Bring the maps of an archive, or a user's own, into the layout of simulated ones."""

from kappascope.maps.archives import import_maps
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    maps, fiducial = spec.maps, spec.fiducial
    import_maps(
        maps.source,
        maps.path,
        maps.table,
        list(outputs),
        pixels=maps.pixels,
        fiducial=(fiducial.omega_matter, fiducial.sigma_8),
        limits={split: getattr(maps, split) for split in ("training", "testing", "covariance")},
        attrs={"seed": spec.seed, "spec": spec.code},
    )


if __name__ == "__main__":
    run(main)

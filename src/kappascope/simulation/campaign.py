"""Which boxes a run simulates and which maps come out of each.

Training, testing and covariance maps come from different boxes. Within a split all cosmologies
share the initial phases. Testing maps also share their light-cone draws: map 17 looks through the
same corners of the box in every cosmology, so that what changes from one mean to the next is
cosmology and not luck.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress, randomness
from kappascope.errors import InputError
from kappascope.maps.dataset import SPLITS, MapWriter
from kappascope.simulation import lightcone
from kappascope.simulation.cosmology import Cosmology, MatterPower, matter_power


@dataclasses.dataclass(frozen=True)
class Box:
    """One simulation and the maps it serves.

    Attributes
    ----------
    split : what its maps are for.
    cosmology : row of the table of cosmologies.
    number : which box of this (split, cosmology).
    realizations : (map,) numbers of its maps within (split, cosmology).

    """

    split: str
    cosmology: int
    number: int
    realizations: tuple[int, ...]


def boxes(
    cosmologies: Sequence[int],
    fiducial: int,
    boxes_by_split: Mapping[str, int],
    maps_by_split: Mapping[str, int],
) -> list[Box]:
    """List all boxes of a run: training and testing everywhere, covariance at the fiducial."""
    listed = []
    for split in SPLITS:
        count, maps = boxes_by_split[split], maps_by_split[split]
        for cosmology in [fiducial] if split == "covariance" else cosmologies:
            for number in range(count):
                served = tuple(range(number, maps, count))
                if served:
                    listed.append(Box(split, cosmology, number, served))
    return listed


def share(listed: Sequence[Box], batch: int, batches: int) -> list[Box]:
    """Return the boxes of one batch; batches differ by at most one box."""
    return list(listed[batch::batches])


def light_cone_generator(seed: int, box: Box, realization: int) -> np.random.Generator:
    """Return the generator of one map's light cone; testing maps share it across cosmologies."""
    cosmology = 0 if box.split == "testing" else box.cosmology + 1
    return randomness.generator(seed, "light cone", SPLITS.index(box.split), cosmology, realization)


def simulate_maps(
    box: Box,
    cosmology: Cosmology,
    power: MatterPower,
    settings: lightcone.Settings,
    seed: int,
    pixels: int,
    pixel_arcmin: float,
    source_redshift: float,
    multi_plane: bool,
) -> np.ndarray:
    """Run one box and look through it: (map, pixels, pixels) float32 convergence."""
    cone = lightcone.slabs(cosmology, settings.box_mpc_h, source_redshift, settings.snapshots)
    phases = randomness.generator(seed, "phases", SPLITS.index(box.split), box.number)
    projections = lightcone.simulate_projections(settings, cosmology, power, cone, phases)
    planes = lightcone.corrected_planes(
        projections, cone, cosmology, power, settings.box_mpc_h, settings.transfer_function
    )
    generators = [light_cone_generator(seed, box, number) for number in box.realizations]
    draws = lightcone.draw(generators, len(cone.distance))
    if multi_plane:
        from kappascope.simulation.raytracing import multi_plane_maps as look
    else:
        from kappascope.simulation.lightcone import born_maps as look
    return look(planes, cone, settings.box_mpc_h, draws, pixels, pixel_arcmin)


def write_batch(
    path: str | Path,
    listed: Sequence[Box],
    parameters: Mapping[int, tuple[float, float]],
    spec: Mapping[str, Any],
) -> None:
    """Simulate the boxes of a batch and write their maps.

    Parameters
    ----------
    parameters : (Ω_m, σ8) of each row of the table of cosmologies.
    spec : the config's ``seed``, ``cosmology``, ``maps`` and ``simulation``.

    """
    maps, cosmology_section = spec["maps"], spec["cosmology"]
    settings = lightcone.Settings.of(spec["simulation"])
    powers: dict[int, tuple[Cosmology, MatterPower]] = {}
    with MapWriter(
        path,
        maps=sum(len(box.realizations) for box in listed),
        pixels=maps["pixels"],
        pixel_arcmin=maps["pixel_arcmin"],
        source_redshift=maps["source_redshift"],
        attrs={"seed": spec["seed"], "spec": spec["code"]},
    ) as writer:
        for box in progress.track(listed, len(listed), f"simulate {Path(path).stem}", "box"):
            omega_matter, sigma_8 = parameters[box.cosmology]
            if box.cosmology not in powers:
                model = Cosmology(
                    omega_matter,
                    sigma_8,
                    cosmology_section["hubble"],
                    cosmology_section["omega_baryon"],
                    cosmology_section["spectral_index"],
                )
                powers[box.cosmology] = (model, matter_power(model))
            model, power = powers[box.cosmology]
            convergence = simulate_maps(
                box,
                model,
                power,
                settings,
                spec["seed"],
                maps["pixels"],
                maps["pixel_arcmin"],
                maps["source_redshift"],
                spec["simulation"]["ray_tracing"] == "multi_plane",
            )
            if not np.isfinite(convergence).all():
                raise InputError(
                    f"simulation: box {box.number} of cosmology {box.cosmology} ({box.split}) has "
                    "convergence that is no number; raise simulation.steps or lower "
                    "simulation.sharpening"
                )
            writer.append(
                convergence,
                split=box.split,
                cosmology=box.cosmology,
                realization=np.array(box.realizations),
                omega_matter=omega_matter,
                sigma_8=sigma_8,
            )

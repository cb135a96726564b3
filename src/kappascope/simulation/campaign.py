"""Which boxes a run simulates and which maps come out of each.

Training, testing and covariance maps come from different boxes. Within a split all cosmologies
share the initial phases. Testing maps also share their light-cone draws: map 17 looks through the
same corners of the box in every cosmology, so that what changes from one mean to the next is
cosmology and not luck.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kappascope import progress, randomness
from kappascope.cosmology.model import Cosmology, MatterPower, matter_power
from kappascope.errors import InputError
from kappascope.maps.dataset import SPLITS, MapWriter
from kappascope.sections import Spec
from kappascope.simulation import lightcone


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


PIECE_SHARE = 0.25
"""Memory of the maps that look through a box at a time, over that of the box's projections."""

_FLOATS_A_PIXEL = {"born": 1, "multi_plane": 12}  # multi-plane carries rays and their Jacobians


def simulate_maps(
    box: Box,
    cosmology: Cosmology,
    power: MatterPower,
    settings: lightcone.Settings,
    seed: int,
    pixels: int,
    pixel_arcmin: float,
    source_redshift: float,
    ray_tracing: str,
) -> Iterator[np.ndarray]:
    """Run one box and look through it, some maps at a time, so that memory does not grow with them.

    Parameters
    ----------
    ray_tracing : ``born`` or ``multi_plane``.

    Yields
    ------
    (map, pixels, pixels) float32 convergence of the next realizations; which maps come together
    changes none of them.

    """
    cone = lightcone.slabs(cosmology, settings.box_mpc_h, source_redshift, settings.snapshots)
    phases = randomness.generator(seed, "phases", SPLITS.index(box.split), box.number)
    projections = lightcone.simulate_projections(settings, cosmology, power, cone, phases)
    if ray_tracing == "multi_plane":
        from kappascope.simulation.raytracing import multi_plane_maps as look
    else:
        from kappascope.simulation.lightcone import born_maps as look
    generators = [light_cone_generator(seed, box, number) for number in box.realizations]
    a_map = 4 * pixels**2 * _FLOATS_A_PIXEL[ray_tracing]
    most = max(1, int(PIECE_SHARE * projections.nbytes) // a_map)
    # All pieces of one size, the last one filled up: another size would be compiled anew.
    size = math.ceil(len(generators) / math.ceil(len(generators) / most))
    for start in range(0, len(generators), size):
        some = generators[start : start + size]
        filled = some + some[-1:] * (size - len(some))
        draws = lightcone.draw(filled, len(cone.distance))
        planes = lightcone.corrected_planes(
            projections, cone, cosmology, power, settings.box_mpc_h, settings.transfer_function
        )
        yield look(planes, cone, settings.box_mpc_h, draws, pixels, pixel_arcmin)[: len(some)]


def write_batch(
    path: str | Path,
    listed: Sequence[Box],
    parameters: Mapping[int, tuple[float, float]],
    spec: Spec,
) -> None:
    """Simulate the boxes of a batch and write their maps.

    Parameters
    ----------
    parameters : (Ω_m, σ8) of each row of the table of cosmologies.
    spec : the config's ``seed``, ``cosmology``, ``maps`` and ``simulation``.

    """
    maps, cosmology_section = spec.maps, spec.cosmology
    settings = lightcone.Settings.of(spec.simulation)
    powers: dict[int, tuple[Cosmology, MatterPower]] = {}
    with MapWriter(
        path,
        maps=sum(len(box.realizations) for box in listed),
        pixels=maps.pixels,
        pixel_arcmin=maps.pixel_arcmin,
        source_redshift=maps.source_redshift,
        attrs={"seed": spec.seed, "spec": spec.code},
    ) as writer:
        for box in progress.track(listed, len(listed), f"simulate {Path(path).stem}", "box"):
            omega_matter, sigma_8 = parameters[box.cosmology]
            if box.cosmology not in powers:
                model = Cosmology(
                    omega_matter,
                    sigma_8,
                    cosmology_section.hubble,
                    cosmology_section.omega_baryon,
                    cosmology_section.spectral_index,
                )
                powers[box.cosmology] = (model, matter_power(model))
            model, power = powers[box.cosmology]
            first = 0
            for convergence in simulate_maps(
                box,
                model,
                power,
                settings,
                spec.seed,
                maps.pixels,
                maps.pixel_arcmin,
                maps.source_redshift,
                spec.simulation.ray_tracing,
            ):
                if not np.isfinite(convergence).all():
                    raise InputError(
                        f"simulation: box {box.number} of cosmology {box.cosmology} ({box.split}) "
                        "has convergence that is no number; raise simulation.steps or lower "
                        "simulation.sharpening"
                    )
                last = first + len(convergence)
                writer.append(
                    convergence,
                    split=box.split,
                    cosmology=box.cosmology,
                    realization=np.array(box.realizations[first:last]),
                    box=box.number,
                    omega_matter=omega_matter,
                    sigma_8=sigma_8,
                )
                first = last

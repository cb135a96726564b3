"""What the config says of the simulation."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope import costs
from kappascope.costs import Work
from kappascope.sections import Problem, Section, key


class Simulation(Section):
    """Particle-mesh light cones. Read only when maps.source is simulation."""

    box_mpc_h: float = key("Side of a periodic box.", "Mpc/h", gt=0)
    particles: int = key("Particles along a side of the box.", "particle", ge=8)
    mesh: int = key(
        "Cells of the force mesh along a side of the box; even, and at least as many as particles.",
        "cell",
        ge=8,
        multiple_of=2,
    )
    steps: int = key(
        "Time steps between the start and the last snapshot, about: steps stop at every snapshot.",
        "count",
        ge=3,
    )
    snapshots: int = key(
        "How many times a box is projected between the source and today; each projection "
        "serves the neighbouring slabs of the light cone.",
        "count",
        ge=1,
    )
    start_redshift: float = key(
        "Redshift at which second-order perturbation theory hands over to the particle mesh.",
        ge=3,
        le=200,
    )
    plane_pixels: int = key("Pixels along a side of a lens plane.", "pixel", ge=32)
    boxes_training: int = key("Boxes of each cosmology behind the training maps.", "box", ge=1)
    boxes_testing: int = key("Boxes of each cosmology behind the testing maps.", "box", ge=1)
    boxes_covariance: int = key(
        "Boxes of the fiducial cosmology behind the covariance maps.",
        "box",
        ge=1,
    )
    fixed_amplitude: bool = key(
        "Give every initial mode its expected amplitude (random phase only): takes most of a "
        "small box's sample variance away.",
    )
    sigma_8_in_box: bool = key(
        "Raise the initial amplitude so that the box's own modes carry the full sigma_8: "
        "makes up for the waves longer than a small box.",
    )
    sharpening: float = key(
        "Displacement of particles down the small-scale potential before projection "
        "(potential gradient descent), which undoes the mesh's blur of haloes; 0 leaves it "
        "out.",
        "cell2",
        ge=0,
        le=1,
    )
    transfer_function: bool = key(
        "Multiply each plane by the isotropic function that brings its power to halofit of "
        "its own cosmology: restores power that a coarse mesh loses, and keeps the loss from "
        "leaking Omega_m.",
    )
    ray_tracing: Literal["born", "multi_plane"] = key(
        "born: sum the planes along straight lines; multi_plane: deflect the rays at every plane.",
    )
    batches: int = key(
        "Jobs over which the cosmologies are spread; each compiles once.",
        "job",
        ge=1,
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        if config.maps.source != "simulation":
            return
        if self.mesh < self.particles:
            yield (
                "simulation.mesh",
                f"got {self.mesh}, but simulation.particles is {self.particles}; a force mesh is "
                "at least as fine as the particles",
            )
        if self.batches > config.cosmology.number:
            yield (
                "simulation.batches",
                f"got {self.batches} jobs for {config.cosmology.number} cosmologies; use at most "
                "one job a cosmology",
            )


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("simulate_maps", common=True)
def _simulate_maps(config: Any) -> Work:
    simulation = config.simulation
    boxes = config.cosmology.number * (simulation.boxes_training + simulation.boxes_testing)
    boxes += simulation.boxes_covariance
    mesh = (simulation.mesh / 160) ** 3
    planes = simulation.snapshots / 8 * (simulation.plane_pixels / 768) ** 2
    deflected = simulation.ray_tracing == "multi_plane"
    seen = costs.maps(config) * costs.pixels(config) * 80 / simulation.box_mpc_h
    each = simulation.batches
    units = {
        "step": boxes * simulation.steps * mesh / each,
        "planes": boxes * planes / each,
        "map": 0 if deflected else seen / each,
        "deflected_map": seen / each if deflected else 0,
        "mesh_held": mesh,
        "planes_held": planes,
        "deflection": int(deflected),
    }
    return Work(each, units)

"""Lens planes from snapshots, and convergence maps from planes.

The whole box is projected along each axis, so a plane is one box thick and, with periodic sides,
holds exactly the modes Limber's approximation asks for. A light cone stacks box-thick slabs up to
the source; each map draws for each slab an axis, a periodic shift and flips (Petri et al. 2016: one
small box serves up to 10⁴ maps).
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kappascope.cosmology.model import Cosmology, MatterPower, lensing_weight
from kappascope.simulation import nbody
from kappascope.simulation.config import Simulation

Array = Any


@dataclasses.dataclass(frozen=True)
class Slabs:
    """Geometry of a light cone cut into box-thick slabs.

    Attributes
    ----------
    distance : (slab,) effective comoving distance of each slab, Mpc/h.
    scale_factor : (slab,) scale factor there.
    weight : (slab,) ∫ W dχ over the slab: κ = Σ weight δ, with δ the slab's mean contrast.
    snapshot : (slab,) which snapshot serves the slab.
    snapshot_scale_factor : (snapshot,) ascending.
    source_distance : comoving distance of the source plane, Mpc/h.

    """

    distance: npt.NDArray[np.float64]
    scale_factor: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    snapshot: npt.NDArray[np.int64]
    snapshot_scale_factor: npt.NDArray[np.float64]
    source_distance: float


def slabs(cosmology: Cosmology, box_mpc_h: float, source_redshift: float, snapshots: int) -> Slabs:
    """Cut the light cone to one source plane into slabs of one box length.

    Parameters
    ----------
    snapshots : how many times the simulation is projected; each serves neighbouring slabs.

    """
    source = float(cosmology.comoving_distance(1.0 / (1.0 + source_redshift)))
    edges = np.append(np.arange(0.0, source, box_mpc_h), source)
    fine = [np.linspace(low, high, 65) for low, high in itertools.pairwise(edges)]
    weights = [lensing_weight(cosmology, distance, source) for distance in fine]
    weight = np.array([np.trapezoid(w, d) for w, d in zip(weights, fine, strict=True)])
    # W²/χ² is what a slab adds to the power at fixed ℓ: its mean distance is the slab's place.
    power = [(w / np.maximum(d, 1.0)) ** 2 for w, d in zip(weights, fine, strict=True)]
    distance = np.array([np.sum(p * d) / np.sum(p) for p, d in zip(power, fine, strict=True)])
    groups = np.array_split(np.arange(len(distance)), snapshots)
    snapshot = np.concatenate([np.full(len(g), i) for i, g in enumerate(groups)])
    times = np.array(
        [cosmology.scale_factor(distance[g].mean()) for g in groups if len(g)], dtype=float
    )
    order = len(times) - 1 - snapshot  # the farthest slabs come from the earliest snapshot
    return Slabs(
        distance,
        np.asarray(cosmology.scale_factor(distance)),
        weight,
        order,
        np.asarray(times)[::-1],
        source,
    )


def time_steps(cone: Slabs, start_redshift: float, steps: int) -> npt.NDArray[np.float64]:
    """Scale factors of a run that stops at every snapshot: ascending, about ``steps`` + 1.

    Steps are as even in a as the stops allow. Late steps matter as much as early ones: haloes that
    are stepped over coarsely puff up, and skewness is the first to suffer.
    """
    stops = np.concatenate([[1.0 / (1.0 + start_redshift)], cone.snapshot_scale_factor])
    wanted = (stops[-1] - stops[0]) / steps
    pieces = [
        np.linspace(low, high, max(round((high - low) / wanted), 1) + 1)[1:]
        for low, high in itertools.pairwise(stops)
    ]
    return np.concatenate([stops[:1], *pieces])


@partial(jax.jit, static_argnames=("pixels", "mesh", "axis"))
def project(positions: Array, pixels: int, mesh: int, axis: int) -> Array:
    """Mean density contrast along one axis of the box: (pixels, pixels), cloud-in-cell."""
    kept = [i for i in range(3) if i != axis]
    scaled = positions[:, jnp.array(kept)] * (pixels / mesh)
    lower = jnp.floor(scaled)
    fraction = scaled - lower
    cell = jnp.mod(lower.astype(jnp.int32), pixels)
    beyond = jnp.mod(cell + 1, pixels)
    field = jnp.zeros(pixels * pixels, positions.dtype)
    for x, wx in ((cell[:, 0], 1 - fraction[:, 0]), (beyond[:, 0], fraction[:, 0])):
        for y, wy in ((cell[:, 1], 1 - fraction[:, 1]), (beyond[:, 1], fraction[:, 1])):
            field = field.at[x * pixels + y].add(wx * wy, mode="promise_in_bounds")
    return (field * (pixels**2 / positions.shape[0]) - 1.0).reshape(pixels, pixels)


def _plane_wavenumbers(pixels: int, box_mpc_h: float) -> npt.NDArray[np.float64]:
    spacing = box_mpc_h / pixels
    kx = 2 * np.pi * np.fft.fftfreq(pixels, spacing)[:, None]
    ky = 2 * np.pi * np.fft.rfftfreq(pixels, spacing)[None, :]
    return np.hypot(kx, ky)


def _assignment_window(pixels: int) -> npt.NDArray[np.float64]:
    full, half = np.sinc(np.fft.fftfreq(pixels)), np.sinc(np.fft.rfftfreq(pixels))
    return np.asarray((full[:, None] * half[None, :]) ** 2)


@dataclasses.dataclass(frozen=True)
class PowerBins:
    """Rings of a plane's Fourier modes, fine at low k and logarithmic above."""

    index: npt.NDArray[np.int64]
    centre: npt.NDArray[np.float64]
    count: npt.NDArray[np.float64]

    @classmethod
    def of(cls, pixels: int, box_mpc_h: float) -> "PowerBins":
        """Bins of a plane of ``pixels``² over ``box_mpc_h``."""
        k = _plane_wavenumbers(pixels, box_mpc_h)
        fundamental = 2 * np.pi / box_mpc_h
        growth = 1.12
        edges = [0.5 * fundamental]
        while edges[-1] < k.max() * 1.01:
            edges.append(max(edges[-1] + fundamental, edges[-1] * growth))
        # A ring without modes has no power to compare: close the gaps. The mean gets -1.
        ring = np.digitize(k, edges) - 1
        present, renumbered = np.unique(ring, return_inverse=True)
        index = renumbered.reshape(k.shape) - int(present[0] == -1)
        size = int(index.max()) + 1
        weight = _hermitian_weight(pixels) * (index >= 0)
        safe = np.maximum(index, 0).ravel()
        count = np.bincount(safe, weight.ravel(), minlength=size).astype(float)
        centre = np.bincount(safe, (weight * k).ravel(), minlength=size) / np.maximum(count, 1)
        return cls(index, centre, count)

    def average(self, modes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Ring averages of abs(modes)²: rfft2 modes → (bin,)."""
        weight = _hermitian_weight(modes.shape[0]) * (self.index >= 0)
        safe = np.maximum(self.index, 0).ravel()
        total = np.bincount(safe, (weight * np.abs(modes) ** 2).ravel(), minlength=len(self.count))
        return total / np.maximum(self.count, 1)


def _hermitian_weight(pixels: int) -> npt.NDArray[np.float64]:
    weight = np.full((pixels, pixels // 2 + 1), 2.0)
    weight[:, 0] = 1.0
    weight[:, -1] = 1.0
    return weight


def corrected_planes(
    projections: npt.NDArray[np.float32],
    cone: Slabs,
    cosmology: Cosmology,
    power: MatterPower,
    box_mpc_h: float,
    transfer_function: bool,
) -> Iterator[Array]:
    """Make each slab's planes from the projections of its snapshot.

    The mass-assignment window is divided out. With ``transfer_function`` the planes of a snapshot
    are also multiplied by an isotropic function of k that brings their mean power to halofit of
    their own cosmology at the slab's own time; without it only linear growth carries them from the
    snapshot's time to the slab's. The force resolution of a particle mesh is fixed in Mpc/h, so
    without the function its cut-off sits at an angle that depends on Ω_m.

    Parameters
    ----------
    projections : (snapshot, axis, pixels, pixels) mean contrast.

    Yields
    ------
    (axis, pixels, pixels) float32 for each slab, nearest first.

    """
    pixels = projections.shape[-1]
    bins = PowerBins.of(pixels, box_mpc_h)
    k = _plane_wavenumbers(pixels, box_mpc_h)
    norm = box_mpc_h**3 / pixels**4
    window = _assignment_window(pixels)
    # Near the plane's Nyquist there is little but shot noise: let it fade. The blur of reading maps
    # is left in: it balances the power that point sampling folds back from beyond a map's Nyquist.
    fade = np.exp(-((k * box_mpc_h / (np.pi * pixels)) ** 4)) / window
    modes = [_transform(jnp.asarray(snapshot)) for snapshot in projections]
    measured = np.array(
        [
            np.mean([bins.average(np.asarray(axis) / window) for axis in snapshot], 0)
            for snapshot in modes
        ]
    )
    for slab in range(len(cone.distance)):
        snapshot = int(cone.snapshot[slab])
        a, a_snapshot = cone.scale_factor[slab], cone.snapshot_scale_factor[snapshot]
        if transfer_function:
            target = power.nonlinear(bins.centre, a)
            ratio = np.sqrt(target / (measured[snapshot] * norm))
            filled = np.interp(np.log(np.maximum(k, bins.centre[0])), np.log(bins.centre), ratio)
        else:
            filled = np.full(k.shape, float(cosmology.growth(a) / cosmology.growth(a_snapshot)))
        yield _filtered(modes[snapshot], jnp.asarray(filled * fade, jnp.float32))


@jax.jit
def _transform(planes: Array) -> Array:
    return jnp.fft.rfft2(planes)


@jax.jit
def _filtered(modes: Array, transfer: Array) -> Array:
    pixels = modes.shape[-2]
    return jnp.fft.irfft2(modes * transfer, s=(pixels, pixels))


@dataclasses.dataclass(frozen=True)
class Settings:
    """How light cones are simulated; the ``simulation`` section of the config.

    Attributes
    ----------
    box_mpc_h, particles, mesh : the box and its sampling along one side.
    steps : time steps from the start to the last snapshot, about.
    snapshots : how many times a box is projected.
    plane_pixels : side of a lens plane.
    fixed_amplitude : initial modes have the mean amplitude (see :func:`nbody.white_noise`).
    sigma_8_in_box : see :func:`nbody.variance_boost`.
    sharpening : strength of :func:`nbody.sharpen` in cells²; 0 leaves it out.
    transfer_function : see :func:`corrected_planes`.

    """

    box_mpc_h: float
    particles: int
    mesh: int
    steps: int
    snapshots: int
    start_redshift: float
    plane_pixels: int
    fixed_amplitude: bool
    sigma_8_in_box: bool
    sharpening: float
    transfer_function: bool

    @classmethod
    def of(cls, section: Simulation) -> "Settings":
        """Take the keys a simulation needs from a config section."""
        return cls(
            **{field.name: getattr(section, field.name) for field in dataclasses.fields(cls)}
        )

    @property
    def size(self) -> nbody.ParticleMesh:
        """Box, particles and mesh."""
        return nbody.ParticleMesh(self.box_mpc_h, self.particles, self.mesh)


SHARPENING_BAND_H_MPC = (0.5, 10.0)
"""Wavenumbers between which particles are drawn together, h/Mpc (decisions: sharpening)."""


def simulate_projections(
    settings: Settings,
    cosmology: Cosmology,
    power: MatterPower,
    cone: Slabs,
    generator: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Run one box and project every snapshot along three axes.

    Parameters
    ----------
    generator : draws the initial phases.

    Returns
    -------
    (snapshot, 3, plane_pixels, plane_pixels) mean density contrast.

    """
    size, pixels = settings.size, settings.plane_pixels
    modes = nbody.white_noise(generator, size.particles, settings.fixed_amplitude)
    times = time_steps(cone, settings.start_redshift, settings.steps)
    wanted = np.searchsorted(times, cone.snapshot_scale_factor - 1e-9)
    planes = np.empty((len(wanted), 3, pixels, pixels), np.float32)
    cell = size.box_mpc_h / size.mesh
    low, high = (k * cell for k in SHARPENING_BAND_H_MPC)
    for snapshot, (_, positions) in enumerate(
        nbody.evolve(size, cosmology, power, modes, times, wanted, settings.sigma_8_in_box)
    ):
        if settings.sharpening:
            positions = nbody.sharpen(positions, settings.sharpening, low, high, size.mesh)
        for axis in range(3):
            planes[snapshot, axis] = project(positions, pixels, size.mesh, axis)
    return planes


@dataclasses.dataclass(frozen=True)
class Draws:
    """How each map looks through the planes.

    Attributes
    ----------
    axis : (map, slab) which projection.
    shift : (map, slab, 2) periodic shift in units of the box.
    flip : (map, slab, 2) ±1 along each side.

    """

    axis: npt.NDArray[np.int32]
    shift: npt.NDArray[np.float32]
    flip: npt.NDArray[np.float32]


def draw(generators: list[np.random.Generator], slab_count: int) -> Draws:
    """Draw axis, shift and flips of every slab, one generator a map."""
    # More slabs than any cosmology has: a map's slab keeps its draw in all of them.
    most = max(slab_count, 256)
    axis, shift, flip = [], [], []
    for generator in generators:
        axis.append(generator.integers(0, 3, most)[:slab_count])
        shift.append(generator.random((most, 2), dtype=np.float32)[:slab_count])
        flip.append(1.0 - 2.0 * generator.integers(0, 2, (most, 2))[:slab_count])
    return Draws(np.array(axis, np.int32), np.array(shift, np.float32), np.array(flip, np.float32))


@partial(jax.jit, static_argnames=("pixels",))
def _slab_maps(
    plane: Array, axis: Array, shift: Array, flip: Array, scale: Array, pixels: int
) -> Array:
    """Sample one slab's planes for a batch of maps, bilinear and separable.

    plane (3, p, p); axis (map,), shift (map, 2), flip (map, 2); ``scale`` = plane pixels a map
    pixel → (map, pixels, pixels). The first axis picks whole rows, so memory is read in order.
    """
    side = plane.shape[-1]
    offset = jnp.arange(pixels, dtype=jnp.float32) - 0.5 * (pixels - 1)

    def place(shift_one: Array, flip_one: Array) -> tuple[Array, Array, Array]:
        position = offset * scale * flip_one + shift_one * side
        lower = jnp.floor(position)
        index = jnp.mod(lower.astype(jnp.int32), side)
        return index, jnp.mod(index + 1, side), position - lower

    def one(arguments: tuple[Array, Array, Array]) -> Array:
        axis_one, shift_one, flip_one = arguments
        rows, rows_next, fraction_rows = place(shift_one[0], flip_one[0])
        columns, columns_next, fraction_columns = place(shift_one[1], flip_one[1])
        chosen = plane[axis_one]
        band = (
            chosen[rows] * (1 - fraction_rows)[:, None] + chosen[rows_next] * fraction_rows[:, None]
        ).T
        return (
            band[columns] * (1 - fraction_columns)[:, None]
            + band[columns_next] * fraction_columns[:, None]
        ).T

    return jax.lax.map(one, (axis, shift, flip))


def born_maps(
    planes: Iterable[Array],
    cone: Slabs,
    box_mpc_h: float,
    draws: Draws,
    pixels: int,
    pixel_arcmin: float,
) -> npt.NDArray[np.float32]:
    """Convergence in the Born approximation: κ = Σ_slab weight δ along straight rays.

    Parameters
    ----------
    planes : a (3, p, p) array for each slab, nearest first.

    Returns
    -------
    (map, pixels, pixels) float32.

    """
    total = jnp.zeros((len(draws.axis), pixels, pixels), jnp.float32)
    pixel = math.radians(pixel_arcmin / 60.0)
    for slab, plane in enumerate(planes):
        scale = pixel * cone.distance[slab] / box_mpc_h * plane.shape[-1]
        total = total + np.float32(cone.weight[slab]) * _slab_maps(
            jnp.asarray(plane),
            draws.axis[:, slab],
            draws.shift[:, slab],
            draws.flip[:, slab],
            jnp.float32(scale),
            pixels,
        )
    return np.asarray(total)

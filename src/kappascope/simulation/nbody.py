"""Particle-mesh N-body in JAX: 2LPT start, FastPM steps (Feng et al. 2016).

Lengths are in mesh cells, time is the scale factor, momentum is p = a³ E(a) dx/da with H0 = 1.
Forces are F = -∇φ with ∇²φ = δ, so that a linear density contrast moves particles by D(a) ψ and
the FastPM kick is F (G(a₁) - G(a₀)) / D(a_c) with G = a³ E dD/da. With these factors a linear mode
grows exactly, whatever the number of steps.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kappascope.cosmology.model import (
    SIGMA_8_RADIUS_MPC_H,
    Cosmology,
    MatterPower,
    sigma_8_of,
    top_hat,
)

Array = Any


@dataclasses.dataclass(frozen=True)
class ParticleMesh:
    """Size of a simulation: box [Mpc/h], particles and mesh cells along one side."""

    box_mpc_h: float
    particles: int
    mesh: int


def _corners(positions: Array, mesh: int) -> tuple[Array, Array]:
    """Lower cell (n, 3) int32 in [0, mesh) and the cloud-in-cell weights (n, 3, 2)."""
    lower = jnp.floor(positions)
    fraction = positions - lower
    cell = jnp.mod(lower.astype(jnp.int32), mesh)
    return cell, jnp.stack([1.0 - fraction, fraction], -1)


@partial(jax.jit, static_argnames="mesh")
def cloud_in_cell(positions: Array, mesh: int) -> Array:
    """Paint particles of unit mass: positions (n, 3) in cells → (mesh, mesh, mesh).

    Adds two neighbours along the last axis at a time on a mesh with one ghost layer, which is
    nearly twice as fast on a CPU as eight wrapped scatters.
    """
    cell, weight = _corners(positions, mesh)
    ghost = mesh + 1
    field = jnp.zeros(ghost**3, positions.dtype)
    pairs = lax.ScatterDimensionNumbers(
        update_window_dims=(1,), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,)
    )
    for i in (0, 1):
        for j in (0, 1):
            index = ((cell[:, 0] + i) * ghost + cell[:, 1] + j) * ghost + cell[:, 2]
            amount = (weight[:, 0, i] * weight[:, 1, j])[:, None] * weight[:, 2]
            field = lax.scatter_add(
                field, index[:, None], amount, pairs, mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS
            )
    field = field.reshape(ghost, ghost, ghost)
    field = field.at[0].add(field[mesh])[:mesh]
    field = field.at[:, 0].add(field[:, mesh])[:, :mesh]
    return field.at[:, :, 0].add(field[:, :, mesh])[:, :, :mesh]


def _interpolate(field: Array, positions: Array) -> Array:
    """Cloud-in-cell read-out of a (mesh, mesh, mesh, c) field at positions (n, 3) → (n, c)."""
    mesh = field.shape[0]
    cell, weight = _corners(positions, mesh)
    flat = field.reshape(mesh**3, -1)
    total = jnp.zeros((positions.shape[0], flat.shape[1]), flat.dtype)
    for i in (0, 1):
        for j in (0, 1):
            row = ((cell[:, 0] + i) % mesh) * mesh + (cell[:, 1] + j) % mesh
            for k in (0, 1):
                index = row * mesh + (cell[:, 2] + k) % mesh
                share = weight[:, 0, i] * weight[:, 1, j] * weight[:, 2, k]
                total += share[:, None] * flat.at[index].get(mode="promise_in_bounds")
    return total


def _frequencies(mesh: int) -> tuple[Array, Array, Array]:
    """Angular wavenumbers per cell along the axes of an rfftn."""
    full = 2 * np.pi * np.fft.fftfreq(mesh)
    half = 2 * np.pi * np.fft.rfftfreq(mesh)
    return (
        jnp.asarray(full[:, None, None], jnp.float32),
        jnp.asarray(full[None, :, None], jnp.float32),
        jnp.asarray(half[None, None, :], jnp.float32),
    )


def _centred_difference(field: Array, axis: int) -> Array:
    """Fourth-order derivative along one periodic axis, per cell."""
    near = jnp.roll(field, -1, axis) - jnp.roll(field, 1, axis)
    far = jnp.roll(field, -2, axis) - jnp.roll(field, 2, axis)
    return near * (2.0 / 3.0) - far / 12.0


def _gradient(density: Array, kernel: Array, positions: Array, mesh: int) -> Array:
    """∇(kernel * density), read out at positions (n, 3) → (n, 3), per cell."""
    field = jnp.fft.irfftn(jnp.fft.rfftn(density) * kernel, s=(mesh,) * 3)
    gradient = jnp.stack([_centred_difference(field, axis) for axis in range(3)], -1)
    return _interpolate(gradient, positions)


def _contrast(positions: Array, mesh: int) -> Array:
    return cloud_in_cell(positions, mesh) * (mesh**3 / positions.shape[0])


@partial(jax.jit, static_argnames="mesh")
def force(positions: Array, mesh: int) -> Array:
    """-∇φ at the particles, ∇²φ = δ: positions (n, 3) in cells → (n, 3)."""
    kx, ky, kz = _frequencies(mesh)
    squared = kx**2 + ky**2 + kz**2
    # The mass assignment smooths when painting and when reading. Undoing one of the two keeps the
    # pull of two particles six cells apart within 1 % of Newton's in any direction; undoing both
    # rings (3 %).
    window = jnp.sinc(kx / (2 * jnp.pi)) * jnp.sinc(ky / (2 * jnp.pi)) * jnp.sinc(kz / (2 * jnp.pi))
    green = jnp.where(squared > 0, -1.0 / jnp.where(squared > 0, squared, 1.0) / window**2, 0.0)
    return -_gradient(_contrast(positions, mesh), green, positions, mesh)


@partial(jax.jit, static_argnames="mesh")
def sharpen(
    positions: Array, strength: Array, long_wavenumber: Array, short_wavenumber: Array, mesh: int
) -> Array:
    """Move particles down the potential of small scales (Dai, Feng & Seljak 2018, Eq. 3-5).

    A particle mesh blurs haloes over a cell or two; a displacement along the band-passed
    potential's gradient draws them together again, and leaves large scales alone.

    Parameters
    ----------
    positions : (n, 3) in mesh cells.
    strength : displacement a unit of gradient, cells².
    long_wavenumber, short_wavenumber : the band, radians a cell.

    """
    kx, ky, kz = _frequencies(mesh)
    squared = kx**2 + ky**2 + kz**2
    safe = jnp.where(squared > 0, squared, 1.0)
    band = jnp.exp(-(long_wavenumber**2) / safe - (squared / short_wavenumber**2) ** 2)
    kernel = jnp.where(squared > 0, band / safe, 0.0)
    towards = _gradient(_contrast(positions, mesh), kernel, positions, mesh)
    return jnp.mod(positions + strength * towards, mesh)


@partial(jax.jit, static_argnames="mesh", donate_argnums=(0, 1, 2))
def _step(
    positions: Array, momenta: Array, forces: Array, factors: Array, mesh: int
) -> tuple[Array, Array, Array]:
    """One kick-drift-kick; ``factors`` = (first kick, drift, second kick)."""
    momenta = momenta + forces * factors[0]
    positions = jnp.mod(positions + momenta * factors[1], mesh)
    forces = force(positions, mesh)
    return positions, momenta + forces * factors[2], forces


def white_noise(generator: np.random.Generator, particles: int, fixed_amplitude: bool) -> Array:
    """Fourier-space white noise of unit power for an rfftn of side ``particles``.

    Parameters
    ----------
    fixed_amplitude : every mode gets the mean amplitude and keeps its random phase (Angulo &
        Pontzen 2016), which takes most of a small box's sample variance away.

    Returns
    -------
    (particles, particles, particles//2 + 1) complex64.

    """
    noise = generator.standard_normal((particles,) * 3, dtype=np.float32)
    modes = np.fft.rfftn(noise) / particles**1.5
    if fixed_amplitude:
        modes /= np.maximum(np.abs(modes), 1e-12)
    return modes.astype(np.complex64)


@partial(jax.jit, static_argnames=("particles",))
def _displacements(modes: Array, amplitude: Array, particles: int) -> tuple[Array, Array]:
    """First- and second-order Lagrangian displacements at D = 1, in particle spacings."""
    kx, ky, kz = _frequencies(particles)
    wave = (kx, ky, kz)
    squared = kx**2 + ky**2 + kz**2
    inverse = jnp.where(squared > 0, 1.0 / jnp.where(squared > 0, squared, 1.0), 0.0)
    potential = -modes * amplitude * inverse  # ∇²φ = δ

    def back(field: Array) -> Array:
        return jnp.fft.irfftn(field, s=(particles,) * 3)

    first = jnp.stack([back(-1j * k * potential) for k in wave], -1)
    second = {
        (i, j): back(-wave[i] * wave[j] * potential)
        for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    }
    source = sum(
        second[i, i] * second[j, j] - second[i, j] ** 2 for i, j in ((0, 1), (0, 2), (1, 2))
    )
    other = -jnp.fft.rfftn(source) * inverse
    return first, jnp.stack([back(1j * k * other) for k in wave], -1)


def _lattice_wavenumbers(size: ParticleMesh) -> np.ndarray:
    """Wavenumbers of the particle lattice's rfftn modes, h/Mpc."""
    full, half = np.fft.fftfreq(size.particles), np.fft.rfftfreq(size.particles)
    spacing = size.box_mpc_h / size.particles
    return (2 * np.pi / spacing) * np.sqrt(
        full[:, None, None] ** 2 + full[None, :, None] ** 2 + half[None, None, :] ** 2
    )


def variance_boost(size: ParticleMesh, power: MatterPower) -> float:
    """Return the factor on the initial power that gives the box's own modes the full σ8².

    A small box has no waves longer than itself; without their variance fewer haloes collapse and
    every nonlinear scale lacks power. Raising the rest by a few per cent makes up for it.
    """
    modes = _lattice_wavenumbers(size)
    weight = np.full(modes.shape, 2.0)
    weight[..., 0] = 1.0
    weight[..., -1] = 1.0
    window = top_hat(SIGMA_8_RADIUS_MPC_H * modes)
    inside = np.sum(weight * power.linear_today(modes) * window**2) / size.box_mpc_h**3
    return float(sigma_8_of(power.linear) ** 2 / inside)


def start(
    size: ParticleMesh,
    cosmology: Cosmology,
    power: MatterPower,
    modes: Array,
    a: float,
    sigma_8_in_box: bool = False,
) -> tuple[Array, Array]:
    """Second-order Lagrangian positions and momenta at scale factor a.

    Parameters
    ----------
    modes : white noise from :func:`white_noise`.
    sigma_8_in_box : raise the amplitude by :func:`variance_boost`.

    Returns
    -------
    positions (particles³, 3) in mesh cells and momenta of the same shape.

    """
    side = size.particles
    spacing = size.box_mpc_h / side
    wavenumber = _lattice_wavenumbers(size)
    amplitude = np.sqrt(power.linear_today(wavenumber) / spacing**3) * side**1.5
    if sigma_8_in_box:
        amplitude *= np.sqrt(variance_boost(size, power))
    first, second = _displacements(jnp.asarray(modes), jnp.asarray(amplitude, jnp.float32), side)
    growth = float(cosmology.growth(a))
    # Second-order growth to 0.1 % (Bouchet et al. 1995); ψ₂ = -3/7 D² Ω^(-1/143) ∇φ₂.
    omega = cosmology.omega_matter / a**3 / float(cosmology.expansion(a)) ** 2
    growth_second = -3.0 / 7.0 * growth**2 * omega ** (-1.0 / 143.0)
    momentum = a**3 * float(cosmology.expansion(a)) * float(cosmology.growth_derivative(a))
    cells = size.mesh / side
    # Particles start at cell centres: on a node cloud-in-cell has a kink, and a cold lattice there
    # answers to the size of its displacements and not to their sign.
    side_by_side = jnp.arange(side, dtype=jnp.float32) * cells + 0.5
    lattice = jnp.stack(jnp.meshgrid(*[side_by_side] * 3, indexing="ij"), -1)
    positions = lattice + cells * (growth * first + growth_second * second)
    momenta = cells * momentum * (first + 2.0 * growth_second / growth * second)
    return jnp.mod(positions, size.mesh).reshape(-1, 3), momenta.reshape(-1, 3)


def fastpm_factors(cosmology: Cosmology, a0: float, a1: float) -> tuple[float, float, float]:
    """Kick, drift and kick of one kick-drift-kick step from a0 to a1 (Feng et al. 2016, Eq. 14)."""
    middle = np.sqrt(a0 * a1)

    def momentum(a: float) -> float:
        return float(a**3 * cosmology.expansion(a) * cosmology.growth_derivative(a))

    drift = float(cosmology.growth(a1) - cosmology.growth(a0)) / momentum(middle)
    first = (momentum(middle) - momentum(a0)) / float(cosmology.growth(a0))
    second = (momentum(a1) - momentum(middle)) / float(cosmology.growth(a1))
    return first, drift, second


def evolve(
    size: ParticleMesh,
    cosmology: Cosmology,
    power: MatterPower,
    modes: Array,
    scale_factors: np.ndarray,
    snapshots: np.ndarray,
    sigma_8_in_box: bool = False,
) -> Iterator[tuple[int, Array]]:
    """Run one simulation and hand out its snapshots.

    Parameters
    ----------
    scale_factors : (step + 1,) ascending; the first is the start.
    snapshots : indices into ``scale_factors`` at which particles are handed out.

    Yields
    ------
    (index, positions (particles³, 3) in mesh cells).

    """
    positions, momenta = start(
        size, cosmology, power, modes, float(scale_factors[0]), sigma_8_in_box
    )
    forces = force(positions, size.mesh)
    wanted = {int(index) for index in snapshots}
    for index in range(1, len(scale_factors)):
        factors = fastpm_factors(
            cosmology, float(scale_factors[index - 1]), float(scale_factors[index])
        )
        positions, momenta, forces = _step(
            positions, momenta, forces, jnp.asarray(factors, jnp.float32), size.mesh
        )
        if index in wanted:
            yield index, positions

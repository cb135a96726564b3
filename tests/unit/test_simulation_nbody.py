"""The particle mesh: mass, momentum, steps and starts."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope import randomness
from kappascope.cosmology.model import Cosmology, MatterPower, matter_power
from kappascope.simulation import nbody

lawful = settings(deadline=None, max_examples=10, derandomize=True)
FIDUCIAL = Cosmology(0.26, 0.8)
MESH = 8


@pytest.fixture(scope="module")
def power() -> MatterPower:
    return matter_power(FIDUCIAL)


def particles(seed: int, count: int = 200, mesh: int = MESH) -> np.ndarray:
    # Whole 256ths of a cell: weights and shifts by whole cells are exact in single precision.
    whole = np.random.default_rng(seed).integers(0, mesh * 256, (count, 3))
    return (whole / 256).astype(np.float32)


def momentum_factor(model: Cosmology, a: float) -> float:
    """G(a) = a³ E dD/da."""
    return float(a**3 * model.expansion(a) * model.growth_derivative(a))


@lawful
@given(st.integers(0, 2**32 - 1))
def test_painting_conserves_mass_and_its_centre(seed: int) -> None:
    # Away from the edge, so that the centre of mass is not wrapped.
    positions = 1 + particles(seed, mesh=MESH - 2)
    field = np.asarray(nbody.cloud_in_cell(positions, MESH), float)
    assert field.sum() == pytest.approx(len(positions), rel=1e-6)
    assert field.min() >= 0
    cells = np.stack(np.meshgrid(*[np.arange(MESH)] * 3, indexing="ij"), -1)
    centre = (field[..., None] * cells).sum((0, 1, 2)) / len(positions)
    np.testing.assert_allclose(centre, positions.astype(float).mean(0), rtol=1e-6)


@lawful
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(-MESH, MESH)] * 3))
def test_painting_moves_with_the_particles(seed: int, shift: tuple[int, int, int]) -> None:
    positions = particles(seed)
    field = np.asarray(nbody.cloud_in_cell(positions, MESH))
    moved = np.mod(positions + np.array(shift, np.float32), MESH)
    np.testing.assert_allclose(
        nbody.cloud_in_cell(moved, MESH), np.roll(field, shift, (0, 1, 2)), atol=1e-5
    )


def test_one_particle_is_shared_among_eight_cells_and_wraps_around() -> None:
    position = np.array([[7.75, 2.5, 0.0]], np.float32)
    field = np.asarray(nbody.cloud_in_cell(position, MESH))
    expected = np.zeros((MESH,) * 3)
    for (i, wi), (j, wj) in itertools.product(((7, 0.25), (0, 0.75)), ((2, 0.5), (3, 0.5))):
        expected[i, j, 0] = wi * wj
    np.testing.assert_allclose(field, expected, atol=1e-7)


@lawful
@given(st.integers(0, 2**32 - 1))
def test_forces_sum_to_nothing(seed: int) -> None:
    forces = np.asarray(nbody.force(jnp.asarray(particles(seed)), MESH), float)
    assert np.abs(forces.sum(0)).max() < 1e-5 * np.abs(forces).sum()


def test_two_particles_attract_each_other_along_their_line_as_newton_said() -> None:
    mesh, separation = 32, 6.0
    generator = np.random.default_rng(1)
    along, across = [], []
    for _ in range(20):
        line = generator.normal(size=3)
        line /= np.linalg.norm(line)
        one = generator.uniform(0, mesh, 3)
        positions = np.mod([one, one + separation * line], mesh)
        forces = np.asarray(nbody.force(jnp.asarray(positions, jnp.float32), mesh), float)
        np.testing.assert_allclose(forces[0], -forces[1], atol=1e-5 * np.abs(forces).max())
        along.append(forces[0] @ line)  # towards the other particle
        across.append(np.linalg.norm(forces[0] - along[-1] * line))
    # ∇²φ = δ: mass m pulls with m/(4πr²), and the homogeneous background pushes with m r/(3L³).
    mass = mesh**3 / 2
    expected = mass / (4 * np.pi * separation**2) - mass * separation / (3 * mesh**3)
    assert np.mean(along) == pytest.approx(expected, rel=0.02)
    assert np.std(along) < 0.03 * expected
    assert np.mean(across) < 0.03 * expected


def test_force_of_a_plane_wave_is_that_of_poisson() -> None:
    # A cold lattice displaced by ψ = A sin(kx) has δ = -A k cos(kx), and F = ψ to first order.
    mesh, amplitude = 32, 0.02
    edge = np.arange(mesh) + 0.5
    positions = np.stack(np.meshgrid(edge, edge, edge, indexing="ij"), -1).reshape(-1, 3)
    displacement = amplitude * np.sin(2 * np.pi * positions[:, 0] / mesh)
    moved = positions.copy()
    moved[:, 0] += displacement
    forces = np.asarray(nbody.force(jnp.asarray(moved, jnp.float32), mesh))
    np.testing.assert_allclose(forces[:, 0], displacement, atol=0.01 * amplitude)
    np.testing.assert_allclose(forces[:, 1:], 0.0, atol=0.001 * amplitude)


@pytest.mark.parametrize("model", [FIDUCIAL, Cosmology(0.6, 0.5)])
@pytest.mark.parametrize(("a0", "a1"), [(0.1, 0.15), (0.1, 1.0), (0.5, 0.9)])
def test_one_step_of_any_length_grows_a_linear_mode(model: Cosmology, a0: float, a1: float) -> None:
    # F = D ψ, and the Zel'dovich momentum is G ψ: FastPM's factors keep both (Feng et al. 2016).
    first, drift, second = nbody.fastpm_factors(model, a0, a1)
    growth0, growth1 = float(model.growth(a0)), float(model.growth(a1))
    momentum = momentum_factor(model, a0) + first * growth0
    position = growth0 + drift * momentum
    assert position == pytest.approx(growth1, rel=1e-12)
    assert momentum + second * position == pytest.approx(momentum_factor(model, a1), rel=1e-12)


def test_short_steps_are_newtons() -> None:
    # dx/da = p / (a³E), dp/da = (3/2) Ω_m / (a²E) F.
    a, short = 0.4, 1e-4
    first, drift, second = nbody.fastpm_factors(FIDUCIAL, a, a + short)
    expansion = float(FIDUCIAL.expansion(a))
    assert drift / short == pytest.approx(1 / (a**3 * expansion), rel=1e-3)
    kick = 1.5 * FIDUCIAL.omega_matter / (a**2 * expansion)
    assert (first + second) / short == pytest.approx(kick, rel=1e-3)
    assert first == pytest.approx(second, rel=1e-3)


def test_white_noise_has_unit_power_and_fixed_amplitudes_have_it_in_every_mode() -> None:
    side = 16
    free = nbody.white_noise(randomness.generator(3, "phases"), side, False)
    fixed = nbody.white_noise(randomness.generator(3, "phases"), side, True)
    assert free.shape == fixed.shape == (side, side, side // 2 + 1)
    assert free.dtype == np.complex64
    np.testing.assert_allclose(np.abs(fixed), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.angle(fixed), np.angle(free), atol=1e-5)
    # An exponential variable has scatter 1: 2304 modes give 2 per cent.
    assert np.mean(np.abs(free) ** 2) == pytest.approx(1.0, abs=0.08)
    assert np.std(np.abs(free) ** 2) == pytest.approx(1.0, abs=0.15)
    # Both are the transform of a real field.
    for modes in (free, fixed):
        again = np.fft.rfftn(np.fft.irfftn(modes, s=(side,) * 3, axes=(0, 1, 2)))
        np.testing.assert_allclose(again, modes, atol=1e-5)


def test_small_boxes_lack_variance_and_large_ones_do_not(power: MatterPower) -> None:
    boosts = [
        nbody.variance_boost(nbody.ParticleMesh(box, side, 2 * side), power)
        for box, side in ((40.0, 32), (80.0, 32), (600.0, 96))
    ]
    assert boosts[0] > boosts[1] > 1.02
    assert boosts[2] == pytest.approx(1.0, abs=0.01)


def contrast_modes(positions: np.ndarray, mesh: int) -> np.ndarray:
    """Modes of the density contrast, the mass assignment's window divided out."""
    field = np.asarray(nbody.cloud_in_cell(positions, mesh)) * (mesh**3 / len(positions))
    full, half = np.sinc(np.fft.fftfreq(mesh)), np.sinc(np.fft.rfftfreq(mesh))
    window = full[:, None, None] * full[None, :, None] * half[None, None, :]
    return np.fft.rfftn(field) / window**2


def harmonics(mesh: int) -> np.ndarray:
    """|k| of an rfftn in units of the fundamental wavenumber."""
    full, half = mesh * np.fft.fftfreq(mesh), mesh * np.fft.rfftfreq(mesh)
    return np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half[None, None, :] ** 2)


@pytest.mark.parametrize("cells", [1, 2])
def test_a_start_has_the_linear_power_of_its_time(power: MatterPower, cells: int) -> None:
    side, box, a = 32, 640.0, 0.1
    mesh = cells * side
    size = nbody.ParticleMesh(box, side, mesh)
    modes = nbody.white_noise(randomness.generator(1, "phases"), side, True)
    positions, _ = nbody.start(size, FIDUCIAL, power, modes, a)
    measured = np.abs(contrast_modes(positions, mesh)) ** 2 * box**3 / mesh**6
    n = harmonics(mesh)
    for low, high in ((0.5, 1.5), (1.5, 2.5), (2.5, 4.5)):
        ring = (n > low) & (n < high)
        target = power.linear_today(2 * np.pi / box * n[ring]) * float(FIDUCIAL.growth(a)) ** 2
        # Fixed amplitudes leave no scatter; second order and the lattice leave 1 or 2 per cent.
        assert np.mean(measured[ring] / target) == pytest.approx(1.0, abs=0.03), low


def test_raising_the_amplitude_raises_the_power_by_the_boost(power: MatterPower) -> None:
    size = nbody.ParticleMesh(60.0, 16, 16)
    modes = nbody.white_noise(randomness.generator(1, "phases"), 16, True)
    plain, raised = (
        nbody.start(size, FIDUCIAL, power, modes, 0.02, sigma_8_in_box=boost)[0]
        for boost in (False, True)
    )
    low = (harmonics(16) > 0) & (harmonics(16) < 2.5)
    ratio = np.abs(contrast_modes(raised, 16)[low]) ** 2
    ratio = ratio.sum() / (np.abs(contrast_modes(plain, 16)[low]) ** 2).sum()
    boost = nbody.variance_boost(size, power)
    assert boost > 1.05
    assert ratio == pytest.approx(boost, rel=0.01)


def wrapped(difference: np.ndarray, mesh: int) -> np.ndarray:
    return np.mod(np.asarray(difference, float) + mesh / 2, mesh) - mesh / 2


def test_second_order_start_is_where_a_run_from_earlier_times_arrives(
    power: MatterPower,
) -> None:
    side, late = 32, 0.4
    size = nbody.ParticleMesh(64.0, side, side)
    # Long waves only: what is left is what perturbation theory describes.
    modes = nbody.white_noise(randomness.generator(2, "phases"), side, True)
    modes = np.where(harmonics(side) < 3.5, modes, 0.0).astype(np.complex64)
    times = np.linspace(0.02, late, 21)
    ((_, evolved),) = nbody.evolve(size, FIDUCIAL, power, modes, times, np.array([20]))
    arrived = np.asarray(evolved)
    start, _ = nbody.start(size, FIDUCIAL, power, modes, late)
    # At a = 1e-4 the second order is a ten-thousandth of the first.
    early, early_momenta = nbody.start(size, FIDUCIAL, power, modes, 1e-4)
    first = np.asarray(early_momenta, float) / momentum_factor(FIDUCIAL, 1e-4)
    growth = float(FIDUCIAL.growth(late))
    zeldovich = np.asarray(early) + (growth - float(FIDUCIAL.growth(1e-4))) * first
    second = wrapped(start - zeldovich, size.mesh)
    beyond = wrapped(arrived - zeldovich, size.mesh)
    # The run's departure from straight lines is the second order, but for a tenth or two that the
    # third order and a mesh of one cell a particle take; a wrong sign or factor shows.
    slope = np.sum(beyond * second) / np.sum(second**2)
    assert 0.7 < slope < 1.15
    assert np.std(beyond - second) < 0.7 * np.std(beyond)


def test_momenta_of_a_start_are_the_derivative_of_its_positions(power: MatterPower) -> None:
    size, a = nbody.ParticleMesh(64.0, 16, 32), 0.3
    modes = nbody.white_noise(randomness.generator(2, "phases"), 16, True)
    _, momenta = nbody.start(size, FIDUCIAL, power, modes, a)
    before, after = (
        np.asarray(nbody.start(size, FIDUCIAL, power, modes, one)[0])
        for one in (a * 0.98, a * 1.02)
    )
    velocity = wrapped(after - before, size.mesh) / (0.04 * a)
    expected = np.asarray(momenta) / (a**3 * float(FIDUCIAL.expansion(a)))
    # Second-order growth goes as D² Ω^(-1/143), its momentum as 2 D dD: 1e-3 apart.
    np.testing.assert_allclose(velocity, expected, atol=3e-3 * np.abs(expected).max())


def test_a_run_hands_out_the_snapshots_asked_for(power: MatterPower) -> None:
    size = nbody.ParticleMesh(64.0, 8, 8)
    modes = nbody.white_noise(randomness.generator(1, "phases"), 8, True)
    times = np.linspace(0.1, 1.0, 7)
    handed = [
        (index, np.asarray(positions))
        for index, positions in nbody.evolve(size, FIDUCIAL, power, modes, times, np.array([2, 6]))
    ]
    assert [index for index, _ in handed] == [2, 6]
    for _, positions in handed:
        assert positions.shape == (512, 3)
        assert 0 <= positions.min() and positions.max() <= 8
    # The earlier snapshot is what a run that ends there gives.
    ((_, alone),) = nbody.evolve(size, FIDUCIAL, power, modes, times[:3], np.array([2]))
    np.testing.assert_array_equal(handed[0][1], alone)


def test_sharpening_raises_small_scales_and_leaves_large_ones(power: MatterPower) -> None:
    side, mesh, box = 32, 64, 32.0
    size = nbody.ParticleMesh(box, side, mesh)
    modes = nbody.white_noise(randomness.generator(5, "phases"), side, True)
    times = np.linspace(0.1, 0.7, 8)
    ((_, positions),) = nbody.evolve(size, FIDUCIAL, power, modes, times, np.array([7]))
    cell = box / mesh
    sharp = nbody.sharpen(positions, 0.003, 0.5 * cell, 10.0 * cell, mesh)
    before, after = (np.abs(contrast_modes(x, mesh)) ** 2 for x in (positions, sharp))
    n = harmonics(mesh)
    large, small = (n > 0) & (n < 1.5), (n > 16) & (n < 32)
    assert after[large].sum() / before[large].sum() == pytest.approx(1.0, abs=0.01)
    assert after[small].sum() / before[small].sum() > 1.02
    still = nbody.sharpen(positions, 0.0, 0.5 * cell, 10.0 * cell, mesh)
    np.testing.assert_allclose(wrapped(still - positions, mesh), 0.0, atol=1e-6)

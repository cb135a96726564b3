"""Structure grows in the particle mesh as linear theory says, whatever the number of steps."""

import numpy as np
import pytest

from kappascope import randomness
from kappascope.cosmology.model import Cosmology, matter_power
from kappascope.simulation import nbody

SIDE, MESH, BOX = 32, 64, 1000.0


def _modes(positions: np.ndarray, mesh: int) -> tuple[np.ndarray, np.ndarray]:
    """Modes of the contrast, mass assignment divided out, and |k| in fundamental wavenumbers."""
    field = np.asarray(nbody.cloud_in_cell(positions, mesh)) * (mesh**3 / len(positions))
    full, half = np.fft.fftfreq(mesh), np.fft.rfftfreq(mesh)
    window = np.sinc(full[:, None, None]) * np.sinc(full[None, :, None]) * np.sinc(half)
    number = mesh * np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half**2)
    return np.fft.rfftn(field) / window**2, number


@pytest.mark.parametrize("steps", [3, 12])
def test_linear_modes_grow_by_the_growth_factor(steps: int) -> None:
    """In a box so large and smooth that nothing is nonlinear, each mode keeps its phase and grows
    from linear theory at z = 9 to linear theory today."""
    cosmology = Cosmology(0.26, 0.05)
    power = matter_power(cosmology)
    size = nbody.ParticleMesh(BOX, SIDE, MESH)
    noise = nbody.white_noise(randomness.generator(1, "phases"), SIDE, True)
    times = np.linspace(0.1, 1.0, steps + 1)
    ((_, final),) = nbody.evolve(size, cosmology, power, noise, times, np.array([steps]))
    start, _ = nbody.start(size, cosmology, power, noise, 0.1)
    (end, number), (begin, _) = _modes(final, size.mesh), _modes(start, size.mesh)
    expected = np.sqrt(power.linear_today(2 * np.pi / BOX * number) / BOX**3) * size.mesh**3
    for low, high in ((0.5, 1.5), (1.5, 2.5), (2.5, 4.5)):
        ring = (number > low) & (number < high)
        grown = np.abs(end[ring]) / expected[ring]
        # A cold lattice that stands on the nodes of the mesh fails here: mass assignment is not
        # smooth there, and modes mix by tens of per cent.
        assert np.mean(grown) == pytest.approx(1.0, abs=0.01), (low, high)
        assert np.std(grown) < 0.03, (low, high)
        turned = np.angle(end[ring] / begin[ring])
        assert np.abs(turned).max() < 0.03, (low, high)


def test_growth_slows_with_dark_energy() -> None:
    """Against the particle mesh and not against the formula alone: the same start grows less where
    there is less matter."""
    grown = []
    for omega_matter in (0.2, 0.9):
        cosmology = Cosmology(omega_matter, 0.05)
        power = matter_power(cosmology)
        size = nbody.ParticleMesh(BOX, SIDE, MESH)
        noise = nbody.white_noise(randomness.generator(1, "phases"), SIDE, True)
        start, _ = nbody.start(size, cosmology, power, noise, 0.1)
        times = np.linspace(0.1, 1.0, 7)
        ((_, final),) = nbody.evolve(size, cosmology, power, noise, times, np.array([6]))
        (end, number), (begin, _) = _modes(final, MESH), _modes(start, MESH)
        low = (number > 0) & (number < 2.5)
        measured = np.sqrt((np.abs(end[low]) ** 2).sum() / (np.abs(begin[low]) ** 2).sum())
        assert measured == pytest.approx(1 / float(cosmology.growth(0.1)), rel=0.02)
        grown.append(measured)
    assert grown[0] < 0.85 * grown[1]

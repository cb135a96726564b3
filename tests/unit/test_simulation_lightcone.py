"""Slabs, projections, planes and the maps seen through them."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from kappascope import randomness
from kappascope.cosmology.model import Cosmology, lensing_weight, matter_power
from kappascope.simulation import lightcone
from kappascope.simulation.raytracing import multi_plane_maps

lawful = settings(deadline=None, max_examples=10, derandomize=True)
FIDUCIAL = Cosmology(0.26, 0.8)
PLANE, PIXELS, PIXEL_ARCMIN, BOX = 256, 16, 2.0, 80.0


@pytest.mark.parametrize("model", [FIDUCIAL, Cosmology(0.6, 0.5), Cosmology(0.16, 1.2)])
@pytest.mark.parametrize(("box", "snapshots"), [(80.0, 8), (48.0, 4), (400.0, 20)])
def test_slabs_fill_the_cone_and_carry_all_of_its_weight(
    model: Cosmology, box: float, snapshots: int
) -> None:
    cone = lightcone.slabs(model, box, 1.0, snapshots)
    source = float(model.comoving_distance(0.5))
    assert cone.source_distance == source
    assert len(cone.distance) == math.ceil(source / box)
    whole = integrate.quad(lambda x: float(lensing_weight(model, x, source)), 0, source)[0]
    assert cone.weight.sum() == pytest.approx(whole, rel=1e-4)
    slab = np.arange(len(cone.distance))
    assert np.all(cone.distance > slab * box)
    assert np.all(cone.distance < np.minimum((slab + 1) * box, source))
    # Each slab is served by a snapshot, nearest in time, farther slabs by earlier ones.
    assert np.all(np.diff(cone.snapshot) <= 0)
    assert set(cone.snapshot) == set(range(len(cone.snapshot_scale_factor)))
    assert np.all(np.diff(cone.snapshot_scale_factor) > 0)
    served = cone.snapshot_scale_factor[cone.snapshot]
    nearest = np.abs(cone.scale_factor[:, None] - cone.snapshot_scale_factor).min(1)
    spread = np.abs(cone.scale_factor - served) - nearest
    assert spread.max() < 0.5 * np.diff(cone.scale_factor).__abs__().max()


@pytest.mark.parametrize("steps", [1, 8, 20, 60])
def test_time_steps_stop_at_every_snapshot(steps: int) -> None:
    cone = lightcone.slabs(FIDUCIAL, 80.0, 1.0, 8)
    times = lightcone.time_steps(cone, 9.0, steps)
    assert times[0] == pytest.approx(0.1)
    assert times[-1] == cone.snapshot_scale_factor[-1]
    assert np.all(np.diff(times) > 0)
    for stop in cone.snapshot_scale_factor:
        assert np.abs(times - stop).min() < 1e-9
    assert abs(len(times) - 1 - steps) <= 8
    # No step is much longer than asked for.
    assert np.diff(times).max() < 1.6 * max((times[-1] - 0.1) / steps, 0.0) or steps == 1


@lawful
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_projection_conserves_mass_and_sees_along_its_axis(seed: int, axis: int) -> None:
    mesh, pixels, count = 8, 16, 300
    positions = np.random.default_rng(seed).uniform(0, mesh, (count, 3)).astype(np.float32)
    plane = np.asarray(lightcone.project(positions, pixels, mesh, axis), float)
    assert plane.min() >= -1
    assert plane.mean() == pytest.approx(0.0, abs=1e-5)
    moved = positions.copy()
    moved[:, axis] = 0.0  # the line of sight
    np.testing.assert_allclose(
        lightcone.project(moved, pixels, mesh, axis), plane, rtol=1e-5, atol=1e-5
    )


def test_projection_puts_a_particle_where_it_is() -> None:
    mesh, pixels = 8, 16
    plane = np.asarray(
        lightcone.project(np.array([[1.0, 2.25, 7.75]], np.float32), pixels, mesh, 0)
    )
    expected = np.full((pixels, pixels), -1.0)
    for i, wi in ((4, 0.5), (5, 0.5)):  # y = 2.25 cells = 4.5 pixels
        expected[i, 15] += 0.5 * 2 * wi * pixels**2 / 2  # z = 7.75 cells = 15.5 pixels: wraps
        expected[i, 0] += 0.5 * 2 * wi * pixels**2 / 2
    np.testing.assert_allclose(plane, expected, rtol=1e-6)


@lawful
@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 32, 96]))
def test_rings_hold_every_mode_once(seed: int, pixels: int) -> None:
    bins = lightcone.PowerBins.of(pixels, 80.0)
    field = np.random.default_rng(seed).standard_normal((pixels, pixels))
    modes = np.fft.rfft2(field)
    assert bins.count.sum() == pixels**2 - 1
    assert np.all(bins.count > 0)
    assert np.all(np.diff(bins.centre) > 0)
    # Parseval: all rings and the mean hold the variance.
    total = np.sum(bins.count * bins.average(modes)) + np.abs(modes[0, 0]) ** 2
    assert total == pytest.approx(pixels**2 * np.sum(field**2), rel=1e-10)


def test_white_noise_is_flat_in_every_ring() -> None:
    pixels, number = 64, 40
    bins = lightcone.PowerBins.of(pixels, 80.0)
    fields = np.random.default_rng(1).standard_normal((number, pixels, pixels))
    average = np.mean([bins.average(np.fft.rfft2(field)) for field in fields], 0) / pixels**2
    # Half the modes of a ring are independent.
    scatter = np.sqrt(2 / bins.count / number)
    assert np.all(np.abs(average - 1) < 5 * scatter)


def smooth_projections(snapshots: int, pixels: int, box: float) -> npt.NDArray[np.float32]:
    """Planes with a red power law, fixed amplitudes, painted through the mass assignment."""
    generator = np.random.default_rng(4)
    noise = np.fft.rfft2(generator.standard_normal((snapshots, 3, pixels, pixels)))
    k = np.hypot(np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels)[None, :])
    k[0, 0] = 1.0
    full, half = np.sinc(np.fft.fftfreq(pixels)), np.sinc(np.fft.rfftfreq(pixels))
    window = (full[:, None] * half) ** 2
    modes = noise / np.abs(noise) * k**-0.7 * window
    modes[..., 0, 0] = 0
    return np.fft.irfft2(modes, s=(pixels, pixels)).astype(np.float32)


def test_planes_get_the_halofit_power_of_their_own_time() -> None:
    pixels, box = 128, 60.0
    power = matter_power(FIDUCIAL)
    cone = lightcone.slabs(FIDUCIAL, box, 1.0, 2)
    projections = smooth_projections(2, pixels, box)
    planes = list(lightcone.corrected_planes(projections, cone, FIDUCIAL, power, box, True))
    assert len(planes) == len(cone.distance)
    frequency = 2 * np.pi / box * pixels * np.fft.fftfreq(pixels)
    k = np.hypot(frequency[:, None], frequency[None, :])
    # The planes fade towards their own Nyquist wavenumber.
    fade = np.exp(-2 * (k * box / (np.pi * pixels)) ** 4)
    fundamental = 2 * np.pi / box
    for slab in (0, 1, len(planes) // 2, len(planes) - 1):
        assert planes[slab].shape == (3, pixels, pixels)
        assert planes[slab].dtype == np.float32
        contrast = np.abs(np.fft.fft2(planes[slab].astype(float))) ** 2
        measured = contrast.mean(0) * box**3 / pixels**4
        for low, high in ((0.9, 2.6), (2.6, 6.0), (6.0, 15.0), (15.0, 30.0), (30.0, 60.0)):
            ring = (k > low * fundamental) & (k < high * fundamental)
            target = power.nonlinear(k[ring], cone.scale_factor[slab]) * fade[ring]
            assert measured[ring].sum() / target.sum() == pytest.approx(1.0, abs=0.04), (slab, low)


def test_without_a_transfer_function_planes_only_grow() -> None:
    pixels, box = 64, 60.0
    cone = lightcone.slabs(FIDUCIAL, box, 1.0, 3)
    projections = smooth_projections(3, pixels, box)
    planes = list(
        lightcone.corrected_planes(projections, cone, FIDUCIAL, matter_power(FIDUCIAL), box, False)
    )
    for slab, plane in enumerate(planes):
        snapshot = cone.snapshot[slab]
        ratio = np.fft.rfft2(plane) / np.fft.rfft2(projections[snapshot])
        growth = FIDUCIAL.growth(cone.scale_factor[slab]) / FIDUCIAL.growth(
            cone.snapshot_scale_factor[snapshot]
        )
        # The window is undone; fading matters only beyond these wavenumbers.
        full, half = np.sinc(np.fft.fftfreq(pixels)), np.sinc(np.fft.rfftfreq(pixels))
        ratio *= (full[:, None] * half) ** 2
        np.testing.assert_allclose(ratio[:, 1:8, 1:8], growth, rtol=0.01)


def generators(numbers: list[int]) -> list[np.random.Generator]:
    return [randomness.generator(1, "light cone", number) for number in numbers]


def test_a_map_draws_the_same_in_any_company_and_any_depth() -> None:
    together = lightcone.draw(generators([0, 1, 2, 3]), 30)
    for number in range(4):
        alone = lightcone.draw(generators([number]), 22)
        np.testing.assert_array_equal(alone.axis[0], together.axis[number, :22])
        np.testing.assert_array_equal(alone.shift[0], together.shift[number, :22])
        np.testing.assert_array_equal(alone.flip[0], together.flip[number, :22])


def test_draws_are_uniform() -> None:
    draws = lightcone.draw(generators(list(range(400))), 30)
    count = draws.axis.size
    assert draws.axis.shape == (400, 30)
    assert draws.shift.shape == draws.flip.shape == (400, 30, 2)
    np.testing.assert_allclose(
        np.bincount(draws.axis.ravel(), minlength=3) / count, 1 / 3, atol=0.02
    )
    assert set(np.unique(draws.flip)) == {-1.0, 1.0}
    assert abs(draws.flip.mean()) < 0.03
    assert 0 <= draws.shift.min() and draws.shift.max() < 1
    np.testing.assert_allclose(
        np.histogram(draws.shift, 10, (0, 1))[0] / draws.shift.size, 0.1, atol=0.01
    )


def a_cone(distance: list[float], weight: list[float], source: float) -> lightcone.Slabs:
    number = len(distance)
    return lightcone.Slabs(
        np.array(distance),
        np.ones(number),
        np.array(weight),
        np.zeros(number, int),
        np.ones(1),
        source,
    )


def some_draws(maps: int, slabs: int, seed: int = 3) -> lightcone.Draws:
    return lightcone.draw(
        [randomness.generator(seed, "light cone", number) for number in range(maps)], slabs
    )


# Waves along each side of a plane, one pair for each axis of projection.
WAVES = ((2, 0), (0, 3), (1, -2))


def wave_planes(phase: float) -> npt.NDArray[np.float32]:
    place = 2 * np.pi * np.arange(PLANE) / PLANE
    return np.stack(
        [np.cos(n * place[:, None] + m * place[None, :] + phase) for n, m in WAVES]
    ).astype(np.float32)


def directions() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    pixel = math.radians(PIXEL_ARCMIN / 60)
    offset = (np.arange(PIXELS) - 0.5 * (PIXELS - 1)) * pixel
    x, y = np.meshgrid(offset, offset, indexing="ij")
    return x, y


def test_born_maps_of_plane_waves_have_a_closed_form() -> None:
    cone = a_cone([800.0, 1500.0], [0.03, 0.02], 2300.0)
    draws = some_draws(12, 2)
    assert set(draws.axis.ravel()) == {0, 1, 2}
    phases = (0.3, 1.1)
    maps = lightcone.born_maps(
        [wave_planes(phase) for phase in phases], cone, BOX, draws, PIXELS, PIXEL_ARCMIN
    )
    assert maps.shape == (12, PIXELS, PIXELS)
    assert maps.dtype == np.float32
    x, y = directions()
    for number in range(12):
        expected = np.zeros((PIXELS, PIXELS))
        for slab in range(2):
            n, m = WAVES[draws.axis[number, slab]]
            shift, flip = draws.shift[number, slab], draws.flip[number, slab]
            place_x = x * cone.distance[slab] / BOX * flip[0] + shift[0]
            place_y = y * cone.distance[slab] / BOX * flip[1] + shift[1]
            argument = 2 * np.pi * (n * place_x + m * place_y) + phases[slab]
            expected += cone.weight[slab] * np.cos(argument)
        # Bilinear reading of three waves on 256 pixels errs by (2π 3/256)²/8.
        np.testing.assert_allclose(maps[number], expected, atol=1e-3 * 0.05)


@pytest.mark.parametrize("look", [lightcone.born_maps, multi_plane_maps])
def test_maps_are_the_same_in_one_call_or_several(look) -> None:  # type: ignore[no-untyped-def]
    cone = a_cone([800.0, 1500.0], [0.03, 0.02], 2300.0)
    draws = some_draws(5, 2)
    generator = np.random.default_rng(1)
    planes = [generator.standard_normal((3, 64, 64)).astype(np.float32) for _ in range(2)]
    together = look(planes, cone, BOX, draws, PIXELS, PIXEL_ARCMIN)
    for rows in (slice(0, 1), slice(1, 3), slice(3, 5)):
        part = lightcone.Draws(draws.axis[rows], draws.shift[rows], draws.flip[rows])
        np.testing.assert_array_equal(
            look(planes, cone, BOX, part, PIXELS, PIXEL_ARCMIN), together[rows]
        )
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_weak_lensing_by_many_planes_is_born() -> None:
    cone = lightcone.slabs(FIDUCIAL, 200.0, 1.0, 4)
    draws = some_draws(3, len(cone.distance))
    generator = np.random.default_rng(2)
    frequency = 128 * np.fft.fftfreq(128)
    red = 1 / np.maximum(np.hypot(frequency[:, None], frequency[None, :]), 1.0)
    red[0, 0] = 0.0
    red[32:97] = red[:, 32:97] = 0.0  # smooth on the scale of a pixel, as bilinear reading asks
    planes = [
        np.fft.ifft2(np.fft.fft2(generator.standard_normal((3, 128, 128))) * red).real.astype(
            np.float32
        )
        for _ in cone.distance
    ]
    difference = []
    for strength in (100.0, 1.0):  # convergence of 0.07 and 0.0007
        weak = [np.float32(strength) * plane for plane in planes]
        many = multi_plane_maps(weak, cone, 200.0, draws, 32, PIXEL_ARCMIN)
        born = lightcone.born_maps(weak, cone, 200.0, draws, 32, PIXEL_ARCMIN)
        # Born samples the contrast; rays sample second derivatives: both bilinear.
        difference.append(1 - np.corrcoef(many.ravel(), born.ravel())[0, 1])
    assert np.std(many) == pytest.approx(np.std(born), rel=5e-3)
    assert difference[1] < 1e-4 < difference[0]


def test_rays_bent_by_two_plane_waves_follow_the_lens_equation() -> None:
    """β_k = θ - Σ_{i<k} (χ_k - χ_i)/χ_k α_i(β_i), differentiated numerically: written as a sum over
    planes, not as the recursion."""
    source, distance, weight = 2300.0, (700.0, 1400.0), (0.25, 0.2)
    cone = a_cone(list(distance), list(weight), source)
    draws = some_draws(6, 2, seed=8)
    phases = (0.3, 1.1)
    planes = [wave_planes(phase) for phase in phases]
    maps = multi_plane_maps(planes, cone, BOX, draws, PIXELS, PIXEL_ARCMIN)
    born = lightcone.born_maps(planes, cone, BOX, draws, PIXELS, PIXEL_ARCMIN)

    def deflection(
        number: int, slab: int, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        n, m = WAVES[draws.axis[number, slab]]
        shift, flip = draws.shift[number, slab], draws.flip[number, slab]
        scale = distance[slab] / BOX
        wave = 2 * np.pi * scale * np.array([n * flip[0], m * flip[1]])  # a radian
        phase = wave[0] * x + wave[1] * y + 2 * np.pi * (n * shift[0] + m * shift[1])
        # ∇·α = 2 κ_∞, of which the source at χ_s sees (χ_s - χ)/χ_s: that is weight × δ.
        strength = 2 * weight[slab] * source / (source - distance[slab])
        amplitude = strength * np.sin(phase + phases[slab]) / np.sum(wave**2)
        return amplitude * wave[0], amplitude * wave[1]

    def source_position(
        number: int, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        first = deflection(number, 0, x, y)
        share = (distance[1] - distance[0]) / distance[1]
        second = deflection(number, 1, x - share * first[0], y - share * first[1])
        near, far = ((source - one) / source for one in distance)
        return (
            x - near * first[0] - far * second[0],
            y - near * first[1] - far * second[1],
        )

    x, y = directions()
    step = 1e-6
    departures = []
    for number in range(6):
        j00 = (
            source_position(number, x + step, y)[0] - source_position(number, x - step, y)[0]
        ) / (2 * step)
        j11 = (
            source_position(number, x, y + step)[1] - source_position(number, x, y - step)[1]
        ) / (2 * step)
        np.testing.assert_allclose(maps[number], 1 - (j00 + j11) / 2, atol=2e-3)
        departures.append(np.abs(maps[number] - born[number]).max())
    # The test sees what Born leaves out: ten times its tolerance.
    assert max(departures) > 0.02

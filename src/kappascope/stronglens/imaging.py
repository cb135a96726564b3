"""From scenes to images: rays, light, point-spread function, pixels, noise.

Images are (y, x, band) in electrons per second. The point-spread function of each band is a
Gaussian; it and the square pixels are integrated together, exactly, between the fine grid on which
light is evaluated and the pixels.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erf

from kappascope import randomness
from kappascope.stronglens import optics
from kappascope.stronglens.populations import DISC, FLUX_UNIT_AB, SPECTRUM_UM, Drawn, Scene
from kappascope.stronglens.surveys import Band, Survey

Array = Any
MARGIN = 2
"""Pixels around the image whose light is spread into it."""


@dataclasses.dataclass(frozen=True)
class Camera:
    """How scenes are observed.

    Attributes
    ----------
    pixels : side of the images.
    pixel_arcsec : side of a pixel, the same in every band.
    bands : names of the bands, of those of the survey.
    oversampling : points of the fine grid along a pixel's side.
    survey : how each band is observed.
    psf_factor : all widths of point-spread functions are multiplied by this.

    """

    pixels: int
    pixel_arcsec: float
    bands: tuple[str, ...]
    oversampling: int
    survey: Survey
    psf_factor: float = 1.0

    def band(self, name: str) -> Band:
        """Return how a band is observed."""
        return self.survey.bands[name]

    def flux(self, spectra: np.ndarray) -> np.ndarray:
        """Return electrons per second (..., band) of fluxes (..., wavelength) of scenes.

        Between wavelengths the flux is a power law, beyond them the nearest one's.
        """
        return np.stack([self._flux(spectra, self.band(name)) for name in self.bands], -1)

    def _flux(self, spectra: np.ndarray, band: Band) -> np.ndarray:
        electrons = 10 ** (0.4 * (band.zero_point_ab - FLUX_UNIT_AB))
        at = band.wavelength_um
        if at in SPECTRUM_UM:
            return np.asarray(spectra[..., SPECTRUM_UM.index(at)] * spectra.dtype.type(electrons))
        order = np.argsort(SPECTRUM_UM)
        known = np.log(np.take(SPECTRUM_UM, order))
        right = int(np.clip(np.searchsorted(known, math.log(at)), 1, len(known) - 1))
        part = (math.log(at) - known[right - 1]) / (known[right] - known[right - 1])
        one, other = (spectra[..., order[k]] for k in (right - 1, right))
        with np.errstate(divide="ignore", invalid="ignore"):
            mixed = np.exp((1 - part) * np.log(one) + part * np.log(other))
        # What has no light has none in any band.
        shining = (one > 0) & (other > 0)
        return np.asarray(np.where(shining, mixed, 0) * electrons, spectra.dtype)

    def fine_grid(self) -> np.ndarray:
        """Return the fine grid's coordinates along one axis [arcsec], the middle at zero."""
        number = (self.pixels + 2 * MARGIN) * self.oversampling
        step = self.pixel_arcsec / self.oversampling
        return (np.arange(number) - (number - 1) / 2) * step

    def pixel_centres(self) -> np.ndarray:
        """Return the pixels' coordinates along one axis [arcsec]."""
        return (np.arange(self.pixels) - (self.pixels - 1) / 2) * self.pixel_arcsec

    def spread(self) -> np.ndarray:
        """Return (band, pixel, fine point): the share of a point's light that a pixel gets."""
        widths = [self.psf_factor * self.band(name).psf_fwhm_arcsec for name in self.bands]
        return np.stack(
            [
                spreading(self.fine_grid(), self.pixel_centres(), self.pixel_arcsec, width)
                for width in widths
            ]
        )

    def sky_noise(self) -> np.ndarray:
        """Return the standard deviation of an empty pixel [electrons/s], (band,)."""
        return np.sqrt(self._variance() / np.square(self._exposures()))

    def _exposures(self) -> np.ndarray:
        return np.array([self.band(name).exposure_s for name in self.bands], float)

    def _variance(self) -> np.ndarray:
        """Return the variance of an empty pixel [electrons²]: sky and read noise."""
        area = self.pixel_arcsec**2
        variances = []
        for name in self.bands:
            band = self.band(name)
            brightness = 10 ** (0.4 * (band.zero_point_ab - band.sky_ab_arcsec2))
            sky = brightness * area * band.exposure_s
            reads = band.reads * band.read_noise_electrons**2 * area / band.pixel_arcsec**2
            variances.append(sky + reads)
        return np.array(variances)

    def noise(self, light: np.ndarray, seed: int, purpose: str, names: Sequence[int]) -> np.ndarray:
        """Draw the noise of images (image, y, x, band), each from its own name."""
        drawn = [
            randomness.generator(seed, purpose, int(name)).standard_normal(image.shape)
            for name, image in zip(names, light, strict=True)
        ]
        return (self.noise_level(light) * np.reshape(drawn, light.shape)).astype(np.float32)

    def noise_level(self, light: np.ndarray) -> np.ndarray:
        """Return the noise's standard deviation in images (..., band): sky, detector, photons."""
        exposure, variance = self._exposures(), self._variance()
        return np.sqrt(variance + np.maximum(light, 0) * exposure) / exposure


def spreading(points: np.ndarray, centres: np.ndarray, side: float, fwhm: float) -> np.ndarray:
    """Return (pixel, point): the share of a point's light within a pixel along one axis.

    Parameters
    ----------
    points, centres : coordinates of points and of pixels.
    side : of a pixel.
    fwhm : of the Gaussian that a point is spread to; 0 for none.

    """
    offset = points[None, :] - centres[:, None]
    if fwhm <= 0:
        return (np.abs(offset) <= side / 2).astype(np.float32)
    width = fwhm / math.sqrt(8 * math.log(2)) * math.sqrt(2)
    return (0.5 * (erf((offset + side / 2) / width) - erf((offset - side / 2) / width))).astype(
        np.float32
    )


@dataclasses.dataclass(frozen=True)
class Observed:
    """Images and what is known of them.

    Attributes
    ----------
    light : (image, y, x, band) without noise [electrons/s].
    arcs : the part of it that comes from behind deflectors.
    magnification : (image,) lensed over unlensed light of the last source; 0 without one.

    """

    light: np.ndarray
    arcs: np.ndarray
    magnification: np.ndarray

    def arc_mask(self, camera: Camera) -> np.ndarray:
        """Return (image, y, x): where lensed light exceeds the noise in any band."""
        return np.any(self.arcs > camera.noise_level(self.light), -1)

    def arc_signal(self, camera: Camera) -> np.ndarray:
        """Return (image,): signal-to-noise of the arcs, all pixels and bands in quadrature."""
        return np.sqrt(((self.arcs / camera.noise_level(self.light)) ** 2).sum((1, 2, 3)))


def observe(camera: Camera, scenes: Sequence[Scene], lensed: bool) -> Observed:
    """Render scenes without noise.

    Parameters
    ----------
    lensed : whether any of them has light behind deflectors; False saves shooting rays.

    """
    spread = jnp.asarray(camera.spread())
    grid = jnp.asarray(camera.fine_grid(), jnp.float32)
    batches = []
    for start in range(0, len(scenes), _AT_ONCE):
        some = list(scenes[start : start + _AT_ONCE])
        kept = len(some)
        # Always as many: compiled once.
        some += [some[-1]] * (_AT_ONCE - kept)
        joined = jax.tree.map(lambda *leaves: np.stack(leaves), *some)
        joined = joined._replace(
            foreground_flux=camera.flux(joined.foreground_flux),
            background_flux=camera.flux(joined.background_flux),
        )
        parts = _render(joined, grid, spread, lensed)
        batches.append([np.asarray(part)[:kept] for part in parts])
    return Observed(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


_AT_ONCE = 16


@functools.partial(jax.jit, static_argnames="lensed")
def _render(scenes: Scene, grid: Array, spread: Array, lensed: bool) -> tuple[Array, Array, Array]:
    """Render scenes whose fluxes are (..., band)."""
    x, y = jnp.meshgrid(grid, grid)
    step = grid[1] - grid[0]

    def pixels(profiles: Array, flux: Array) -> Array:
        """(profile, fine, fine) and (profile, band) → (pixel, pixel, band)."""
        # Picked out, though all are: fused otherwise, XLA rounds in another way than it did.
        fine = jnp.einsum("pyx,pb->byx", profiles, flux[:, list(range(flux.shape[1]))])
        return jnp.einsum("biy,byx,bjx->ijb", spread, fine, spread) * step**2

    def one(scene: Scene) -> tuple[Array, Array, Array]:
        shapes = jax.vmap(optics.brightness, (0, None, None))(scene.foreground, x, y)
        disc = jax.tree.map(lambda field: field[DISC], scene.foreground)
        arms = optics.spiral_arms(disc, x, y, scene.arm_strength, scene.arm_winding)
        shapes = shapes.at[DISC].multiply(arms)
        flux = scene.foreground_flux / optics.effective_area(scene.foreground)[:, None]
        image = pixels(shapes, flux)
        if not lensed:
            return image, jnp.zeros_like(image), jnp.zeros(())
        deflectors = [jax.tree.map(lambda field, k=k: field[k], scene.deflectors) for k in range(2)]
        planes = optics.shoot(deflectors, scene.scaling, x, y)
        lights = [jax.tree.map(lambda field, k=k: field[k], scene.background) for k in range(2)]
        behind = jnp.stack(
            [optics.brightness(light, *plane) for light, plane in zip(lights, planes, strict=True)]
        )
        area = optics.effective_area(scene.background)
        arcs = pixels(behind, scene.background_flux / area[:, None])
        magnified = behind[1].sum() * step**2 / area[1]
        return image + arcs, arcs, jnp.where(scene.background_flux[1].sum() > 0, magnified, 0)

    return jax.vmap(one)(scenes)


def stretched(images: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return images as networks see them: arcsinh(I / 3σ), σ an empty pixel's noise.

    The same stretch in every band and image keeps brightness and colour.

    Parameters
    ----------
    images : (..., band).
    noise : (band,), in the same units.

    """
    return np.arcsinh(images / (3 * noise)).astype(np.float32)


def scenes_of(drawn: Sequence[Drawn]) -> list[Scene]:
    """Return the scenes alone."""
    return [each.scene for each in drawn]


def unstretched(x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Undo :func:`stretched`."""
    return np.sinh(x.astype(np.float64)) * 3 * noise

"""Real lenses, brought to the pixels, bands and depth of the simulated survey.

What is done to an observation, each step kept in the table beside its score:

1. every native pixel's light is spread to the network's pixels, through the Gaussian that brings
   the observation's point-spread function to that of the band (none where it is wider already);
2. bands that were not observed are made up from those that were, by named assumptions on colour;
3. the whole is multiplied by one number, so that its light in the first band is the median of the
   simulated lenses' or, from its own zero point, what it is on the sky; and noise is added where
   the observation's own is less than the survey's.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from scipy.special import softmax

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.maps.reading import without_data
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.reporting.errorbars import scatter
from kappascope.stronglens import classifiers, imaging, populations
from kappascope.stronglens.cutouts import LARGEST, corner_noise
from kappascope.stronglens.images import Images, Own
from kappascope.tables import Table

Model = tuple[Network, Parameters]

OWN_BRIGHTNESS = ", at its own brightness"
ELECTRONS_F814W = 25.94
"""AB magnitude of an electron a second in ACS's F814W, the image's unit: its total is 17.2."""


def surface_zero_point(pixel_arcsec: float) -> float:
    """Return the AB magnitude of one MJy/sr on a pixel, the unit of JWST's images."""
    jansky = 1e6 * math.radians(pixel_arcsec / 3600) ** 2
    return 8.90 - 2.5 * math.log10(jansky)


EARLY_COLOURS = populations.early_colours(0.25)
"""Colours of an early-type galaxy at redshift 0.25 in the simulations."""
BLUE_COLOURS = populations.mean_colours("blue")
"""The same for the blue sources."""


@dataclasses.dataclass(frozen=True)
class Exposure:
    """One band of a real observation.

    Attributes
    ----------
    data : (y, x), north up or not.
    pixel_arcsec : side of a pixel.
    psf_fwhm : of the point-spread function [arcsec].
    einstein_radius : as published [arcsec]; NaN where the file says none.

    """

    data: np.ndarray
    pixel_arcsec: float
    psf_fwhm: float
    einstein_radius: float = math.nan


@dataclasses.dataclass(frozen=True)
class System:
    """A real lens as networks see it, under one assumption.

    Attributes
    ----------
    name, treatment : what it is and what was assumed.
    x : (y, x, band).
    own_noise : noise of the observation, after all steps, over the survey's, in the first band.
    einstein_radius : as published [arcsec], or NaN.

    """

    name: str
    treatment: str
    x: np.ndarray
    own_noise: float
    einstein_radius: float = math.nan


def read_exposure(folder: Path, prefix: str = "") -> Exposure:
    """Read ``data.fits``, ``psf.fits`` and ``info.json`` of a folder.

    Parameters
    ----------
    prefix : of the files' names, for example ``F277W_``.

    Raises
    ------
    InputError
        When a file is missing or no image.

    """
    images = {}
    for name in ("data", "psf"):
        path = folder / f"{prefix}{name}.fits"
        try:
            images[name] = np.asarray(fits.getdata(path), np.float64)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: no image to read ({error})") from None
        image = images[name]
        if image.ndim != 2 or not image.size or without_data(image, LARGEST).any():
            raise InputError(f"{path}: not an image of finite numbers; fetch the file again")
        if image.min() == image.max():
            raise InputError(f"{path}: the same number everywhere; fetch the file again")
    if images["psf"].max() <= 0:
        raise InputError(f"{path}: a point-spread function without light; fetch the file again")
    path = folder / f"{prefix}info.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        pixel = told["pixel_scale"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: says no pixel_scale ({error}); fetch the file again") from None
    if isinstance(pixel, bool) or not isinstance(pixel, int | float) or not 0 < pixel < math.inf:
        raise InputError(f"{path}: pixel_scale is {pixel!r}; give one number of arcsec")
    radius = told.get("einstein_radius", math.nan)
    radius = float(radius) if isinstance(radius, int | float) and radius > 0 else math.nan
    return Exposure(images["data"], pixel, psf_width(images["psf"], pixel), radius)


def psf_width(psf: np.ndarray, pixel_arcsec: float) -> float:
    """Return the diameter [arcsec] of the disc as large as the part above half of the maximum."""
    above = (psf >= psf.max() / 2).sum()
    return float(2 * math.sqrt(above / math.pi) * pixel_arcsec)


def resampled(
    exposure: Exposure, image: np.ndarray, camera: imaging.Camera, band: str
) -> np.ndarray:
    """Bring an image to the camera's pixels and to a band's point-spread function: (y, x)."""
    rows, columns = _matrices(exposure, camera, band)
    return rows @ image @ columns.T


def _matrices(
    exposure: Exposure, camera: imaging.Camera, band: str
) -> tuple[np.ndarray, np.ndarray]:
    wider = camera.band(band).psf_fwhm_arcsec ** 2 - exposure.psf_fwhm**2
    # A native pixel is not a point: it is spread over its own side at least.
    fwhm = math.sqrt(max(wider, (0.5 * exposure.pixel_arcsec) ** 2))

    def matrix(side: int) -> np.ndarray:
        points = (np.arange(side) - (side - 1) / 2) * exposure.pixel_arcsec
        return imaging.spreading(points, camera.pixel_centres(), camera.pixel_arcsec, fwhm)

    height, width = exposure.data.shape
    return matrix(height), matrix(width)


def smooth_galaxy(image: np.ndarray) -> np.ndarray:
    """Return the light of the galaxy in the middle without its arcs.

    At each radius the lower quartile around the centre, never rising outwards.
    """
    side = np.indices(image.shape) - np.array([(n - 1) / 2 for n in image.shape])[:, None, None]
    radii, ring = np.unique(np.rint(np.hypot(*side)).astype(int), return_inverse=True)
    ring = ring.reshape(image.shape)
    profile = [float(np.quantile(image[ring == k], 0.25)) for k in range(len(radii))]
    return np.maximum(np.minimum.accumulate(profile), 0.0)[ring]


def _relative_flux(colours: np.ndarray, camera: imaging.Camera) -> np.ndarray:
    """Return electrons per second (band,) of what has a flux of 1 at the first wavelength."""
    return camera.flux(populations.fluxes(populations.FLUX_UNIT_AB, colours, 0))


def assumed(exposure: Exposure, camera: imaging.Camera) -> dict[str, np.ndarray]:
    """Return images (y, x, band) of a lens seen in one band, by assumption on its colours."""
    galaxy = smooth_galaxy(exposure.data)
    arcs = exposure.data - galaxy

    def coloured(of_arcs: np.ndarray) -> np.ndarray:
        one = _relative_flux(EARLY_COLOURS, camera)
        other = _relative_flux(of_arcs, camera)
        return np.stack(
            [
                resampled(exposure, galaxy * a + arcs * b, camera, band)
                for band, a, b in zip(camera.bands, one, other, strict=True)
            ],
            -1,
        )

    return {
        "arcs as red as the galaxy": coloured(EARLY_COLOURS),
        "arcs blue": coloured(BLUE_COLOURS),
    }


def between(short: Exposure, long: Exposure, camera: imaging.Camera) -> np.ndarray:
    """Return an image (y, x, band) of a lens seen in two bands, put in place of the survey's ends.

    Bands between them are geometric means where both are positive, else linear ones.
    """
    names, band_images = camera.survey.names, []
    for band in camera.bands:
        part = names.index(band) / max(len(names) - 1, 1)
        one, other = (resampled(e, e.data, camera, band) for e in (short, long))
        floor = 1e-3 * max(one.max(), other.max())
        mixed = np.exp(
            (1 - part) * np.log(np.maximum(one, floor)) + part * np.log(np.maximum(other, floor))
        )
        linear = (1 - part) * one + part * other
        band_images.append(np.where((one > floor) & (other > floor), mixed, linear))
    return np.stack(band_images, -1)


def brought(
    name: str,
    images: dict[str, np.ndarray],
    camera: imaging.Camera,
    light: float,
    seed: int,
    zero_point: float,
    einstein_radius: float = math.nan,
) -> list[System]:
    """Scale images and bring them to the survey's noise: to a total light, and to their own.

    Parameters
    ----------
    light : in the first band, median of the simulated lenses [electrons/s].
    zero_point : AB magnitude of a unit of the images.

    """
    sky, scaled_systems = camera.sky_noise(), []
    own_light = 10 ** (0.4 * (populations.FLUX_UNIT_AB - zero_point))
    cases = [
        (
            f"{treatment}{brightness}",
            image,
            own_light if brightness else light / image[..., 0].sum(),
        )
        for treatment, image in images.items()
        for brightness in ("", OWN_BRIGHTNESS)
    ]
    for treatment, image, factor in cases:
        scaled = image * factor
        draw = randomness.generator(seed, f"survey noise on {name}")
        own = corner_noise(scaled)
        missing = np.sqrt(np.maximum(camera.noise_level(scaled) ** 2 - own**2, 0))
        noisy = scaled + missing * draw.standard_normal(scaled.shape)
        x = imaging.stretched(noisy, sky)
        noise = float(own[0] / sky[0])
        scaled_systems.append(System(name, treatment, x, noise, einstein_radius))
    return scaled_systems


def systems(folder: Path, camera: imaging.Camera, light: float, seed: int) -> list[System]:
    """Return all real lenses below a folder, under each assumption.

    Raises
    ------
    InputError
        When files are missing.

    """
    first = read_exposure(folder / "jackpot")
    short, long = (
        read_exposure(folder / "cosmos_web_ring", prefix) for prefix in ("F277W_", "F444W_")
    )
    return [
        *brought(
            "SLACS J0946+1006 (Jackpot)",
            {f"F814W, {name}": image for name, image in assumed(first, camera).items()},
            camera,
            light,
            seed,
            ELECTRONS_F814W,
            first.einstein_radius,
        ),
        *brought(
            "COSMOS-Web ring",
            {
                "F277W and F444W for the ends of the survey's bands": between(short, long, camera),
                **{f"F277W, {name}": image for name, image in assumed(short, camera).items()},
            },
            camera,
            light,
            seed,
            surface_zero_point(short.pixel_arcsec),
            short.einstein_radius,
        ),
    ]


def typical_light(images: Images, camera: imaging.Camera) -> float:
    """Return the median light of images in the first band [electrons/s]."""
    flux = imaging.unstretched(images.x[..., 0], camera.sky_noise()[0])
    return float(np.median(flux.sum((1, 2))))


def own_systems(own: Own) -> list[System]:
    """Return a user's images, nothing done to them."""
    return [System(name, "as given", x, math.nan) for name, x in zip(own.names, own.x, strict=True)]


REAL = Table(
    "wilde2022/real.csv",
    "real lens × assumption; none where there are no real images",
    """system, treatment, lens_percent (mean over finders), error (over finders), column_pixels,
    row_pixels (from the middle), einstein_radius_arcsec, published_radius_arcsec,
    compound_percent, own_noise (of the observation over the survey's, first band)""",
)


def real_rows(
    real_systems: Sequence[System], finders: Sequence[Model], locator: Model, sorter: Model
) -> list[dict[str, Any]]:
    """Return rows of ``real.csv``: the finders' scores, the locator's place, the sorter's class."""
    if not real_systems:
        return []
    x = np.stack([system.x for system in real_systems])
    scores = np.stack([classifiers.probability(model, x) for model in finders])
    where = classifiers.places(locator, x)
    sorted_ = softmax(evaluate(*sorter, x).astype(float), 1)
    rows = []
    for number, system in enumerate(real_systems):
        each = scores[:, number]
        rows.append(
            {
                "system": system.name,
                "treatment": system.treatment,
                "lens_percent": 100 * float(each.mean()),
                "error": scatter(100 * each),
                "column_pixels": float(where[number, 0]),
                "row_pixels": float(where[number, 1]),
                "einstein_radius_arcsec": float(where[number, 2]),
                "published_radius_arcsec": _or_none(system.einstein_radius),
                "compound_percent": 100 * float(sorted_[number, 2]),
                "own_noise": _or_none(system.own_noise),
            }
        )
    return rows


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def packed(real_systems: Sequence[System], camera: imaging.Camera) -> dict[str, np.ndarray]:
    """Return real images for figures, as arrays by name."""
    side = camera.pixels
    return {
        "x": np.array([s.x for s in real_systems], np.float32).reshape(
            -1, side, side, len(camera.bands)
        ),
        "system": np.array([s.name for s in real_systems], "U"),
        "treatment": np.array([s.treatment for s in real_systems], "U"),
        "pixel_arcsec": np.array(camera.pixel_arcsec),
        "bands": np.array(camera.bands),
    }

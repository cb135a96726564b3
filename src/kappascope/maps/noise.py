"""Shape noise: the scatter of the galaxies' own ellipticities, white from pixel to pixel."""

from typing import TYPE_CHECKING

import numpy as np

from kappascope.maps.dataset import SPLITS
from kappascope.randomness import generator

if TYPE_CHECKING:
    from kappascope.maps.dataset import MapSet


def shape_noise_sigma(
    pixel_arcmin: float, galaxies_per_arcmin2: float, ellipticity_rms: float
) -> float:
    """Return the standard deviation of the shape noise in one pixel.

    Parameters
    ----------
    pixel_arcmin : side of a pixel [arcmin].
    galaxies_per_arcmin2 : density of the lensed galaxies [arcmin^-2].
    ellipticity_rms : scatter of both components of a galaxy's ellipticity together.

    """
    galaxies_per_pixel = galaxies_per_arcmin2 * pixel_arcmin**2
    return float(ellipticity_rms / np.sqrt(2.0 * galaxies_per_pixel))  # matilla2020 Eq. 1


def shape_noise(
    seed: int, split: str, cosmology: int, realization: int, pixels: int, sigma: float
) -> np.ndarray:
    """Draw the noise of one map.

    Parameters
    ----------
    seed : the run's seed.
    split, cosmology, realization : what names the map; the draw depends on nothing else, and for
        ``testing`` maps not on the cosmology.
    pixels : pixels on a side.
    sigma : standard deviation in a pixel, :func:`shape_noise_sigma`.

    Returns
    -------
    (y, x) float32.

    """
    # Testing maps of one realization share their noise in all cosmologies, as they share phases
    # and light cone: differences between their means are cosmology, not luck.
    place = 0 if split == "testing" else int(cosmology) + 1
    draws = generator(seed, "shape noise", SPLITS.index(split), place, int(realization))
    return draws.standard_normal((pixels, pixels), dtype=np.float32) * np.float32(sigma)


def add_shape_noise(
    maps: "MapSet", seed: int, galaxies_per_arcmin2: float, ellipticity_rms: float
) -> np.ndarray:
    """Return the convergence maps of a set with shape noise added, unsmoothed.

    Parameters
    ----------
    maps : a set with its maps read.
    seed : the run's seed.
    galaxies_per_arcmin2, ellipticity_rms : as in :func:`shape_noise_sigma`.

    Returns
    -------
    (map, y, x) float32: the same for any batch the maps came in.

    """
    if maps.convergence is None:
        raise ValueError("the maps of this set were not read")
    sigma = shape_noise_sigma(maps.pixel_arcmin, galaxies_per_arcmin2, ellipticity_rms)
    noisy = np.array(maps.convergence, dtype=np.float32)
    for row in range(len(maps)):
        noisy[row] += shape_noise(
            seed,
            str(maps.split[row]),
            int(maps.cosmology[row]),
            int(maps.realization[row]),
            noisy.shape[-1],
            sigma,
        )
    return noisy

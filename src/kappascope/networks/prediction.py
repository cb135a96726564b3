"""Apply trained networks to maps as observed, and keep the outputs with the maps' names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import progress
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.maps.config import Noise
from kappascope.maps.dataset import COLUMNS, MapSet, SplitMaps, iterate_maps, read_maps
from kappascope.maps.noise import add_shape_noise, shape_noise_sigma
from kappascope.maps.smoothing import remaining_smoothing, smooth_map
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.sections import Spec

if TYPE_CHECKING:
    import xarray

Array = Any

AT_ONCE = 256
"""Maps that are smoothed together."""


def noise_sigma(data_set: str, pixel_arcmin: float, noise: Noise) -> float:
    """Shape noise a pixel of a data set, zero for ``noiseless``."""
    if data_set == "noiseless":
        return 0.0
    return shape_noise_sigma(pixel_arcmin, noise.galaxies_per_arcmin2, noise.ellipticity_rms)


def observer(
    sigma_noise: float,
    sigma_pixels: float,
    mask: np.ndarray | None = None,
    rebin: int = 1,
    hidden: float = 0.0,
) -> Callable[[Array, Array], Array]:
    """Return the function that adds fresh shape noise and smooths: (maps, key) → maps.

    Parameters
    ----------
    sigma_noise : shape noise a pixel.
    sigma_pixels : width of the Gaussian.
    mask : (y, x) bool, True where observed; a network sees zero elsewhere.
    rebin : pixels along a side that are averaged to one in the end.
    hidden : share of the maps of which random blobs are set to zero, for networks that are to read
        parts of maps.

    """
    seen = None if mask is None else jnp.asarray(mask)

    def observe(maps: Array, key: Array) -> Array:
        if sigma_noise:
            maps = maps + sigma_noise * jax.random.normal(key, maps.shape, maps.dtype)
        if seen is None:
            maps = smooth_map(maps, sigma_pixels)
        else:
            maps = jnp.where(seen, smooth_map(jnp.where(seen, maps, 0.0), sigma_pixels), 0.0)
        maps = rebinned(maps, rebin)
        return _with_holes(maps, hidden, jax.random.fold_in(key, 1)) if hidden else maps

    return observe


def rebinned(maps: Array, rebin: int) -> Array:
    """Average ``rebin`` × ``rebin`` pixels of maps (map, y, x); what fills no pixel is dropped."""
    if rebin == 1:
        return maps
    side = maps.shape[-1] // rebin
    cut = maps[:, : side * rebin, : side * rebin]
    return cut.reshape(len(maps), side, rebin, side, rebin).mean((2, 4))


def _with_holes(maps: Array, share: float, key: Array) -> Array:
    """Set blobs of a random share of the maps to zero: where smooth noise is below a level."""
    keys, count = jax.random.split(key, 3), len(maps)
    coarse = jax.random.normal(keys[0], (count, 8, 8), maps.dtype)
    smooth = jax.image.resize(coarse, maps.shape, "linear")
    level = jax.random.uniform(keys[1], (count, 1, 1), minval=-1.2, maxval=1.0)
    holes = smooth < level * smooth.std((1, 2), keepdims=True)
    chosen = jax.random.bernoulli(keys[2], share, (count, 1, 1))
    return jnp.where(chosen & holes, 0.0, maps)


def observed(maps: MapSet, data_set: str, spec: Spec, rebin: int = 1) -> np.ndarray:
    """Return maps of a set as statistics measure them: the same noise, smoothed.

    Parameters
    ----------
    spec : config sections ``seed``, ``noise`` and ``maps``.
    rebin : pixels along a side that are averaged to one in the end.

    Returns
    -------
    (map, y, x) float32.

    """
    noise = spec.noise
    sigma_pixels = remaining_smoothing(maps, spec.maps.smoothing_arcmin)
    seen = observer(0.0, sigma_pixels, maps.mask, rebin)
    results = []
    # Transforms of all maps at once would take several times what the maps do.
    for start in range(0, max(len(maps), 1), AT_ONCE):
        piece = maps.select(slice(start, start + AT_ONCE))
        kappa = piece.convergence
        if data_set == "noisy":
            kappa = add_shape_noise(
                piece, spec.seed, noise.galaxies_per_arcmin2, noise.ellipticity_rms
            )
        results.append(np.asarray(seen(jnp.asarray(kappa), None)))
    return np.concatenate(results)


def predict_dataset(
    paths: Sequence[str | Path],
    networks: Sequence[tuple[Network, Parameters, np.ndarray]],
    data_set: str,
    spec: Spec,
    batch: int = 32,
) -> "xarray.Dataset":
    """Apply networks to every testing and covariance map; training maps come out as NaN.

    Parameters
    ----------
    paths : batches of maps, in the order of the statistics.
    networks : (network, parameters, target scale (output,)) of each seed.

    Returns
    -------
    ``prediction`` (seed, map, parameter) in the parameters' own units, laid out as in
    ``docs/reference/files.md``.

    """
    columns = read_maps([Path(path) for path in paths], columns_only=True)
    out = np.full((len(networks), len(columns), len(PARAMETERS)), np.nan, np.float32)
    place = 0
    with progress.bar(len(columns), f"predict {data_set}", unit="map") as shown:
        for path in paths:
            for piece in iterate_maps(Path(path), batch):
                rows = np.flatnonzero(piece.split != "training")
                if len(rows):
                    maps = observed(piece.select(rows), data_set, spec)
                    for number, (network, parameters, scale) in enumerate(networks):
                        outputs = evaluate(network, parameters, maps, batch)
                        out[number, place + rows] = outputs * scale
                place += len(piece)
                shown.update(len(piece))
    coordinates = {name: ("map", getattr(columns, name)) for name in COLUMNS}
    import xarray  # a third of a second, and only those who write predictions need it

    return xarray.Dataset(
        {"prediction": (("seed", "map", "parameter"), out)},
        {**coordinates, "parameter": list(PARAMETERS)},
        {"data_set": data_set},
    )


def fiducial_maps(
    paths: Sequence[str | Path], data_set: str, spec: Spec, count: int
) -> tuple[np.ndarray, float]:
    """Return testing maps of the cosmology nearest to the fiducial, as the network sees them.

    Returns
    -------
    (map, y, x, 1) and the side of a pixel [arcmin].

    """
    maps = SplitMaps(paths, "testing")
    if not len(maps):
        raise InputError("maps.testing: there are no testing maps")
    fiducial = spec.cosmology.fiducial
    away = np.hypot(
        maps.columns.omega_matter - fiducial.omega_matter,
        maps.columns.sigma_8 - fiducial.sigma_8,
    )
    rows = np.flatnonzero(away <= away.min() + 1e-9)[:count]
    seen = observed(maps.select(rows), data_set, spec)
    return seen[..., None], float(maps.columns.pixel_arcmin)

"""Apply trained networks to maps as observed, and keep the outputs with the maps' names."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import xarray

from kappascope import progress
from kappascope.maps.dataset import COLUMNS, MapSet, iterate_maps, read_maps
from kappascope.maps.noise import add_shape_noise, shape_noise_sigma
from kappascope.maps.smoothing import remaining_smoothing, smooth_map
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import forward

Array = Any
PARAMETERS = ("omega_matter", "sigma_8")


IN_MEMORY_BYTES = 4 * 2**30
"""Splits up to this size are held in memory; larger ones are read from disk as they are needed."""


class SplitMaps:
    """The maps of one split over several files, read by row.

    Attributes
    ----------
    columns : what is known of each map, without the maps; sorted by cosmology, then realization.
    pixels : pixels on a side.

    """

    def __init__(self, paths: Sequence[str | Path], split: str) -> None:
        found = [read_maps([Path(path)], columns_only=True) for path in paths]
        everything = read_maps([Path(path) for path in paths], columns_only=True)
        file = np.repeat(np.arange(len(found)), [len(each) for each in found])
        row = np.concatenate([np.arange(len(each)) for each in found])
        chosen = np.flatnonzero(everything.split == split)
        order = np.lexsort((everything.realization[chosen], everything.cosmology[chosen]))
        self._place = np.stack([file, row], -1)[chosen[order]]
        self._files = [h5py.File(path, "r") for path in paths]
        self.columns: MapSet = everything.select(chosen[order])
        self.pixels = int(self._files[0]["convergence"].shape[-1])
        self._held: np.ndarray | None = None
        if len(chosen) * self.pixels**2 * 4 <= IN_MEMORY_BYTES:
            self._held = self._from_disk(np.arange(len(chosen)))

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def targets(self) -> np.ndarray:
        """(map, 2) Ω_m and σ8."""
        return np.stack([self.columns.omega_matter, self.columns.sigma_8], -1)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return maps (row, y, x)."""
        return self._from_disk(rows) if self._held is None else self._held[rows]

    def select(self, rows: np.ndarray) -> MapSet:
        """Return a set of the maps of ``rows``."""
        return dataclasses.replace(self.columns.select(rows), convergence=self.read(rows))

    def _from_disk(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.pixels, self.pixels), np.float32)
        place = self._place[rows]
        for number in np.unique(place[:, 0]):
            mine = np.flatnonzero(place[:, 0] == number)
            mine = mine[np.argsort(place[mine, 1])]  # HDF5 wants ascending rows
            out[mine] = self._files[number]["convergence"][place[mine, 1]]
        return out


def noise_sigma(data_set: str, pixel_arcmin: float, noise: Mapping[str, float]) -> float:
    """Shape noise a pixel of a data set, zero for ``noiseless``."""
    if data_set == "noiseless":
        return 0.0
    return shape_noise_sigma(pixel_arcmin, noise["galaxies_per_arcmin2"], noise["ellipticity_rms"])


def observer(
    sigma_noise: float, sigma_pixels: float, mask: np.ndarray | None = None
) -> Callable[[Array, Array], Array]:
    """Return the function that adds fresh shape noise and smooths: (maps, key) → maps.

    Parameters
    ----------
    sigma_noise : shape noise a pixel.
    sigma_pixels : width of the Gaussian.
    mask : (y, x) bool, True where observed; a network sees zero elsewhere.

    """
    seen = None if mask is None else jnp.asarray(mask)

    def observe(maps: Array, key: Array) -> Array:
        if sigma_noise:
            maps = maps + sigma_noise * jax.random.normal(key, maps.shape, maps.dtype)
        if seen is None:
            return smooth_map(maps, sigma_pixels)
        return jnp.where(seen, smooth_map(jnp.where(seen, maps, 0.0), sigma_pixels), 0.0)

    return observe


def observed(maps: MapSet, data_set: str, spec: Mapping[str, Any]) -> np.ndarray:
    """Return maps of a set as statistics measure them: the same noise, smoothed.

    Parameters
    ----------
    spec : config sections ``seed``, ``noise`` and ``maps``.

    Returns
    -------
    (map, y, x) float32.

    """
    noise = spec["noise"]
    kappa = maps.convergence
    if data_set == "noisy":
        kappa = add_shape_noise(
            maps, spec["seed"], noise["galaxies_per_arcmin2"], noise["ellipticity_rms"]
        )
    sigma_pixels = remaining_smoothing(maps, spec["maps"]["smoothing_arcmin"])
    return np.asarray(observer(0.0, sigma_pixels, maps.mask)(jnp.asarray(kappa), None))


def evaluate_in_batches(
    network: Network, parameters: Parameters, maps: np.ndarray, batch: int = 32
) -> np.ndarray:
    """Apply a network to maps (map, y, x): (map, output) in units of its target scale."""
    function = jax.jit(functools.partial(forward, network))
    outputs = []
    for start in range(0, len(maps), batch):
        piece = maps[start : start + batch]
        padded = np.pad(piece, ((0, batch - len(piece)), (0, 0), (0, 0)))[..., None]
        outputs.append(np.asarray(function(parameters, padded))[: len(piece)])
    return np.concatenate(outputs)


def predict_dataset(
    paths: Sequence[str | Path],
    networks: Sequence[tuple[Network, Parameters, np.ndarray]],
    data_set: str,
    spec: Mapping[str, Any],
    batch: int = 32,
) -> xarray.Dataset:
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
    functions = [jax.jit(functools.partial(forward, network)) for network, _, _ in networks]
    place = 0
    with progress.bar(len(columns), f"predict {data_set}", unit="map") as shown:
        for path in paths:
            for piece in iterate_maps(Path(path), batch):
                rows = np.flatnonzero(piece.split != "training")
                if len(rows):
                    maps = observed(piece.select(rows), data_set, spec)
                    padded = np.pad(maps, ((0, batch - len(maps)), (0, 0), (0, 0)))[..., None]
                    for number, (_, parameters, scale) in enumerate(networks):
                        outputs = np.asarray(functions[number](parameters, padded))
                        out[number, place + rows] = outputs[: len(rows)] * scale
                place += len(piece)
                shown.update(len(piece))
    coordinates = {name: ("map", getattr(columns, name)) for name in COLUMNS}
    return xarray.Dataset(
        {"prediction": (("seed", "map", "parameter"), out)},
        {**coordinates, "parameter": list(PARAMETERS)},
        {"data_set": data_set},
    )

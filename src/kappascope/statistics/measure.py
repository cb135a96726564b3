"""Apply statistics to maps: to an array of them, or to a data set streamed from disk."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import progress
from kappascope.errors import InputError
from kappascope.maps.dataset import COLUMNS, MapSet, iterate_maps, read_maps
from kappascope.maps.noise import add_shape_noise
from kappascope.maps.smoothing import double_map, remaining_smoothing, smooth_map, smoothed_mask
from kappascope.sections import Spec
from kappascope.statistics import kernels
from kappascope.statistics.config import Statistics
from kappascope.statistics.field import Field
from kappascope.statistics.registry import PAPER, check_names, statistic
from kappascope.statistics.settings import Settings

if TYPE_CHECKING:
    import xarray


class Measured(NamedTuple):
    """A statistic of several maps.

    Attributes
    ----------
    values : (map, bins).
    centres : (bins).
    units : of the values.

    """

    values: np.ndarray
    centres: np.ndarray
    units: str


@functools.partial(jax.jit, static_argnames=("names", "settings", "sigma_pixels", "doubled"))
def _measured(
    maps: jax.Array,
    mask: jax.Array | None,
    names: tuple[str, ...],
    settings: Settings,
    sigma_pixels: float = 0.0,
    doubled: bool = False,
) -> dict[str, jax.Array]:
    """Smooth maps (batch, y, x) and measure them: name to (batch, bins).

    With ``doubled`` what looks at neighbouring pixels is measured on pixels half as large.
    """
    kept, gain = mask, None
    if mask is not None and sigma_pixels:
        weight, kept = smoothed_mask(mask, sigma_pixels)
        gain = jnp.where(kept, 1.0 / weight, 0.0).astype(maps.dtype)
    where = kernels.observed(kept, maps.shape[-1], settings.periodic)
    halves = dataclasses.replace(settings, pixel_arcmin=settings.pixel_arcmin / 2)
    where_fine = kernels.observed(None, 2 * maps.shape[-1], settings.periodic)

    def one(map_: jax.Array) -> dict[str, jax.Array]:
        map_ = smooth_map(kernels.masked(map_, mask), sigma_pixels)
        map_ = kernels.masked(map_, kept) if gain is None else map_ * gain
        field = Field(map_, where, settings)
        fine = Field(double_map(map_), where_fine, halves) if doubled else field
        return {
            name: statistic(name).compute(fine if statistic(name).of_neighbours else field)
            for name in names
        }

    return jax.lax.map(one, maps)


def measure(
    maps: np.ndarray | jax.Array,
    names: Sequence[str] = PAPER,
    *,
    pixel_arcmin: float,
    bins: int = 20,
    ell_range: Sequence[float] = (100.0, 15000.0),
    kappa_range: Sequence[float] = (-0.0235, 0.0704),
    estimator: str = "full",
    periodic: bool = True,
    mask: np.ndarray | jax.Array | None = None,
) -> dict[str, Measured]:
    """Measure statistics of maps, all in one compiled pass.

    Parameters
    ----------
    maps : (map, y, x), float32 or, with x64 enabled, float64.
    names : of statistics in the registry.
    pixel_arcmin : side of a pixel [arcmin].
    bins : number of bins, evenly spaced in log(ell) and in convergence.
    ell_range, kappa_range : outer edges of the bins.
    estimator : of the power spectrum, ``full`` or ``lenstools``.
    periodic : whether opposite edges of a map touch; for every statistic that looks at neighbours.
    mask : (y, x) bool, True where observed, or None.

    Returns
    -------
    Name to (values (map, bins), centres (bins), units).

    """
    settings = Settings.from_ranges(pixel_arcmin, bins, ell_range, kappa_range, estimator, periodic)
    return measure_with(maps, settings, names, mask)


def measure_with(
    maps: np.ndarray | jax.Array,
    settings: Settings,
    names: Sequence[str] = PAPER,
    mask: np.ndarray | jax.Array | None = None,
) -> dict[str, Measured]:
    """Measure statistics of maps with given settings; otherwise as :func:`measure`."""
    check_names(names)
    known = None if mask is None else jnp.asarray(mask, dtype=bool)
    values = _measured(jnp.asarray(maps), known, tuple(names), settings)
    return {name: _labelled(name, values[name], settings) for name in names}


def _labelled(name: str, values: jax.Array | np.ndarray, settings: Settings) -> Measured:
    entry = statistic(name)
    return Measured(np.asarray(values), entry.centres(settings), entry.units)


def measure_dataset(
    paths: Sequence[str | os.PathLike[str]],
    data_set: str,
    spec: Spec,
    batch: int = 32,
) -> "xarray.Dataset":
    """Measure every map of a run, laid out as "Statistics" in ``docs/reference/files.md``.

    The result depends neither on ``batch`` nor on how maps are spread over files.

    Parameters
    ----------
    paths : batches of maps, in order.
    data_set : ``noiseless`` (smoothed) or ``noisy`` (shape noise added, then smoothed).
    spec : the slice of the configuration with ``maps`` (``smoothing_arcmin``), ``noise``
        (``galaxies_per_arcmin2``, ``ellipticity_rms``), ``statistics`` and ``seed``.
    batch : maps in memory at a time.

    Returns
    -------
    Dimension ``map`` with coordinates split, cosmology, realization, box, omega_matter and sigma_8;
    one variable (map, {name}_bin) a statistic.

    """
    columns = read_maps([Path(path) for path in paths], columns_only=True)
    chosen = spec.statistics
    names = (*chosen.names, *chosen.beyond)
    settings, doubled = _conventions(columns, data_set, spec, names)
    sigma_pixels = remaining_smoothing(columns, spec.maps.smoothing_arcmin)
    mask = None if columns.mask is None else jnp.asarray(columns.mask)
    # Filled in place: small arrays kept from every batch would pin the memory between them.
    arrays: dict[str, np.ndarray] = {}
    done = pixels = 0
    for piece in _progress(paths, batch, len(columns), data_set):
        maps = _prepared(piece, data_set, spec, batch)
        pixels = maps.shape[-1]
        values = _measured(maps, mask, names, settings, sigma_pixels, doubled)
        for name in names:
            one = np.asarray(values[name])
            if name not in arrays:
                arrays[name] = np.empty((len(columns), *one.shape[1:]), one.dtype)
            arrays[name][done : done + len(piece)] = one[: len(piece)]
        done += len(piece)
    measured = {name: _labelled(name, arrays[name], settings) for name in names}
    dataset = _as_dataset(measured, columns, settings, data_set, spec, pixels)
    for name in names if doubled else ():
        if statistic(name).of_neighbours:
            dataset[name].attrs["pixel_arcmin"] = settings.pixel_arcmin / 2
    return dataset


def measure_seen(
    seen: np.ndarray, columns: MapSet, data_set: str, spec: Spec, batch: int = 32
) -> dict[str, Measured]:
    """Measure the paper's statistics of maps that are smoothed, as :func:`measure_dataset` does.

    Parameters
    ----------
    seen : (map, y, x) as a network sees them, perhaps altered.
    columns : what is known of the maps: pixel scale, mask, smoothing before.
    spec : the slice of the configuration with ``maps`` and ``statistics``.

    Returns
    -------
    Name to (values (map, bins), centres (bins), units).

    """
    names = tuple(spec.statistics.names)
    settings, doubled = _conventions(columns, data_set, spec, names)
    mask = None if columns.mask is None else jnp.asarray(columns.mask)
    sigma_pixels = remaining_smoothing(columns, spec.maps.smoothing_arcmin)
    if mask is not None and sigma_pixels:
        mask = smoothed_mask(mask, sigma_pixels)[1]
    pieces = [
        _measured(_filled(seen[start : start + batch], batch), mask, names, settings, 0.0, doubled)
        for start in range(0, len(seen), batch)
    ]
    joined = {name: np.concatenate([np.asarray(piece[name]) for piece in pieces]) for name in names}
    return {name: _labelled(name, joined[name][: len(seen)], settings) for name in names}


def _conventions(
    columns: MapSet, data_set: str, spec: Spec, names: Sequence[str]
) -> tuple[Settings, bool]:
    """Return the settings of a run's statistics, and whether its maps are doubled."""
    check_names(names)
    chosen = spec.statistics
    settings = Settings.from_ranges(
        columns.pixel_arcmin,
        chosen.bins,
        chosen.ell_range,
        _kappa_range(chosen, data_set),
        chosen.estimator,
        chosen.periodic_peaks,
    )
    coarse = is_coarse(columns.pixel_arcmin, spec)
    return settings, chosen.doubling and columns.mask is None and coarse


COARSE_SHARE = 1 / 3
"""Of the smoothing: larger pixels blur second derivatives, by a tenth and more of an area."""


def is_coarse(pixel_arcmin: float, spec: Spec) -> bool:
    """Return whether a pixel exceeds a third of the smoothing, so that maps are doubled."""
    smoothing = float(spec.maps.smoothing_arcmin)
    return smoothing > 0 and pixel_arcmin > COARSE_SHARE * smoothing


def _kappa_range(chosen: Statistics, data_set: str) -> Sequence[float]:
    if data_set not in ("noiseless", "noisy"):
        raise InputError(f"data_set: got {data_set!r}; allowed: noiseless, noisy")
    edges: Sequence[float] = getattr(chosen, f"kappa_range_{data_set}")
    return edges


def _progress(
    paths: Sequence[str | os.PathLike[str]], batch: int, total: int, data_set: str
) -> Iterator[MapSet]:
    with progress.bar(total, f"statistics, {data_set}", unit="map") as bar:
        for path in paths:
            for piece in iterate_maps(Path(path), batch):
                yield piece
                bar.update(len(piece))


def _prepared(piece: MapSet, data_set: str, spec: Spec, batch: int) -> jax.Array:
    assert piece.convergence is not None
    maps = piece.convergence
    if data_set == "noisy":
        noise = spec.noise
        if piece.galaxies_per_arcmin2 or piece.smoothing_arcmin:
            raise InputError(
                "noise: these maps hold shape noise or are smoothed already, so that none can "
                "be added; leave `noisy` out of data_sets"
            )
        maps = add_shape_noise(piece, spec.seed, noise.galaxies_per_arcmin2, noise.ellipticity_rms)
    return _filled(maps, batch)


def _filled(maps: np.ndarray, batch: int) -> jax.Array:
    # A last piece of another size would compile everything again.
    missing = batch - len(maps)
    return jnp.asarray(np.pad(maps, ((0, missing), (0, 0), (0, 0))) if missing else maps)


def map_deg2(columns: MapSet, pixels: int) -> float:
    """Return the observed sky area of one map."""
    seen = 1.0 if columns.mask is None else float(columns.mask.mean())
    return seen * (pixels * columns.pixel_arcmin / 60) ** 2


def _as_dataset(
    measured: Mapping[str, Measured],
    columns: MapSet,
    settings: Settings,
    data_set: str,
    spec: Spec,
    pixels: int,
) -> "xarray.Dataset":
    coordinates: dict[str, Any] = {name: ("map", getattr(columns, name)) for name in COLUMNS}
    variables: dict[str, Any] = {}
    for name, (values, centres, units) in measured.items():
        entry = statistic(name)
        attributes = {
            "units": units,
            "bin_units": entry.bin_units,
            "label": entry.label,
            "long_name": entry.description,
        }
        coordinates[f"{name}_bin"] = (f"{name}_bin", centres, {"units": entry.bin_units})
        variables[name] = (("map", f"{name}_bin"), values, attributes)
    import xarray

    return xarray.Dataset(
        variables,
        coordinates,
        {
            "data_set": data_set,
            "pixel_arcmin": settings.pixel_arcmin,
            "map_deg2": map_deg2(columns, pixels),
            "smoothing_arcmin": float(spec.maps.smoothing_arcmin),
            "estimator": settings.estimator,
            "periodic": int(settings.periodic),
        },
    )

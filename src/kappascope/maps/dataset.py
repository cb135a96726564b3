"""Sets of convergence maps in memory and as HDF5 batches; layout in ``docs/reference/files.md``.

One file is one batch, one chunk is one map, so that reading a single map touches a single chunk.
The same maps give the same bytes: no time stamps, a fixed library version, chunks written in
order.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from kappascope.errors import InputError, reason
from kappascope.files import atomic_path

SPLITS = ("training", "testing", "covariance")
"""What a map may be used for; a split's place in this list seeds its shape noise."""

COLUMNS = ("split", "cosmology", "realization", "box", "omega_matter", "sigma_8")
"""What is known of each map, in the order of ``docs/reference/files.md``."""

_COLUMN_TYPES = {
    "cosmology": np.int64,
    "realization": np.int64,
    "box": np.int64,
    "omega_matter": np.float64,
    "sigma_8": np.float64,
}
_VERSION = ("v110", "v110")
_SCALARS = ("pixel_arcmin", "source_redshift", "smoothing_arcmin", "galaxies_per_arcmin2")


@dataclasses.dataclass(frozen=True)
class MapSet:
    """Maps of one pixel scale and what is known of each of them.

    Attributes
    ----------
    convergence : (map, y, x) float32, or None where only the columns were read.
    split : (map) text, each of :data:`SPLITS`.
    cosmology : (map) int, row of the table of cosmologies.
    realization : (map) int, number of the map within (split, cosmology).
    omega_matter, sigma_8 : (map) float64.
    pixel_arcmin : side of a pixel [arcmin].
    source_redshift : redshift of the lensed galaxies; NaN where it is not known.
    smoothing_arcmin : standard deviation of the Gaussian the maps were smoothed with [arcmin].
    galaxies_per_arcmin2 : density of the galaxies behind the shape noise in the maps; 0 is none.
    mask : (y, x) bool, True where the maps are observed, or None where they all are.
    attrs : further attributes (``seed``, ``spec``).
    box : (map) int, number within the split of the simulation that a map looks through, which is
        what errors count; without one each map is by itself.

    """

    convergence: np.ndarray | None
    split: np.ndarray
    cosmology: np.ndarray
    realization: np.ndarray
    omega_matter: np.ndarray
    sigma_8: np.ndarray
    pixel_arcmin: float
    source_redshift: float
    smoothing_arcmin: float = 0.0
    galaxies_per_arcmin2: float = 0.0
    mask: np.ndarray | None = None
    attrs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    box: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.box is None:
            object.__setattr__(self, "box", self.realization)

    def __len__(self) -> int:
        return len(self.split)

    def select(self, rows: np.ndarray | slice) -> "MapSet":
        """Return the maps of ``rows`` ((map) bool, indices or a slice)."""
        parts = {name: getattr(self, name)[rows] for name in COLUMNS}
        maps = None if self.convergence is None else self.convergence[rows]
        return dataclasses.replace(self, convergence=maps, **parts)

    @property
    def scalars(self) -> dict[str, float]:
        """What all maps share: pixel scale, source redshift, smoothing, galaxy density."""
        return {name: float(getattr(self, name)) for name in _SCALARS}


class MapWriter:
    """Write a batch of a known number of maps piece by piece, so that all never sit in memory.

    Parameters
    ----------
    path : the HDF5 file; it appears under this name when the ``with`` block ends without error.
    maps, pixels : number of maps and pixels on a side.
    pixel_arcmin, source_redshift, smoothing_arcmin, galaxies_per_arcmin2 : as in :class:`MapSet`.
    mask : (y, x) bool or None.
    attrs : further attributes of the file (``seed``, ``spec``).

    """

    def __init__(
        self,
        path: str | Path,
        *,
        maps: int,
        pixels: int,
        pixel_arcmin: float,
        source_redshift: float,
        smoothing_arcmin: float = 0.0,
        galaxies_per_arcmin2: float = 0.0,
        mask: np.ndarray | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._shape = (maps, pixels, pixels)
        self._mask = mask
        self._attributes = {
            "pixel_arcmin": float(pixel_arcmin),
            "source_redshift": float(source_redshift),
            "smoothing_arcmin": float(smoothing_arcmin),
            "galaxies_per_arcmin2": float(galaxies_per_arcmin2),
            **(attrs or {}),
        }
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._written = 0
        self._context = self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator["MapWriter"]:
        with atomic_path(self._path) as scratch:
            self._lay_out(scratch)
            with h5py.File(scratch, "r+", libver=_VERSION) as self._file:
                self._maps = self._file["convergence"]
                yield self
                self._finish()

    def _lay_out(self, scratch: Path) -> None:
        """Make the empty file and claim the space it will need.

        HDF5 takes the process down with it when a disk fills up under an open file, so that must
        come to light before it opens one.
        """
        with h5py.File.in_memory(libver=_VERSION) as image:
            image.create_dataset(
                "convergence",
                shape=self._shape,
                dtype=np.float32,
                chunks=(1, *self._shape[1:]),
                track_times=False,
            )
            image.flush()
            layout = image.id.get_file_image()
        maps, rows, columns = self._shape
        mask_bytes = 0 if self._mask is None else rows * columns
        with open(scratch, "r+b") as handle:
            handle.write(layout)
            handle.flush()
            size = len(layout) + maps * (4 * rows * columns + 128) + mask_bytes + 65536
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(handle.fileno(), 0, size)

    def __enter__(self) -> "MapWriter":
        return self._context.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._context.__exit__(kind, error, trace)

    def append(
        self,
        convergence: np.ndarray,
        *,
        split: str | Sequence[str] | np.ndarray,
        cosmology: int | np.ndarray,
        realization: int | np.ndarray,
        omega_matter: float | np.ndarray,
        sigma_8: float | np.ndarray,
        box: int | np.ndarray | None = None,
    ) -> None:
        """Write the next maps; a column given as one value holds for all of them.

        Parameters
        ----------
        convergence : (map, y, x).
        split, cosmology, realization, box, omega_matter, sigma_8 : (map) or one value.

        """
        count = len(convergence)
        if self._written + count > self._shape[0]:
            raise ValueError(f"{self._path}: more maps than the {self._shape[0]} announced")
        given = {
            "split": np.asarray(split, dtype=str),
            "cosmology": cosmology,
            "realization": realization,
            "box": realization if box is None else box,
            "omega_matter": omega_matter,
            "sigma_8": sigma_8,
        }
        unknown = set(np.unique(given["split"])) - set(SPLITS)
        if unknown:
            raise ValueError(f"{self._path}: split {sorted(unknown)} is none of {SPLITS}")
        for name, value in given.items():
            self._columns[name].append(np.broadcast_to(np.asarray(value), (count,)))
        self._maps[self._written : self._written + count] = convergence
        self._written += count

    def _finish(self) -> None:
        if self._written != self._shape[0]:
            raise ValueError(f"{self._path}: {self._written} maps of {self._shape[0]} written")
        for name, parts in self._columns.items():
            column = np.concatenate(parts)
            if name == "split":
                column = column.astype("S10")
            else:
                column = column.astype(_COLUMN_TYPES[name])
            self._file.create_dataset(name, data=column, track_times=False)
        if self._mask is not None:
            self._file.create_dataset(
                "mask", data=np.asarray(self._mask, dtype=bool), track_times=False
            )
        for name in sorted(self._attributes):
            self._file.attrs[name] = self._attributes[name]


def write_maps(path: str | Path, maps: MapSet) -> None:
    """Write a whole :class:`MapSet` as one batch file."""
    if maps.convergence is None:
        raise ValueError("a map set without maps cannot be written")
    with MapWriter(
        path,
        maps=len(maps),
        pixels=maps.convergence.shape[1],
        mask=maps.mask,
        attrs=maps.attrs,
        **maps.scalars,
    ) as writer:
        writer.append(maps.convergence, **{name: getattr(maps, name) for name in COLUMNS})


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    try:
        handle = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file of maps") from error
    except OSError as error:
        raise InputError(
            f"{path}: not a whole HDF5 file of maps ({reason(error)}); make it again"
        ) from error
    with handle:
        needed = ("convergence", *(name for name in COLUMNS if name != "box"))
        missing = [name for name in needed if name not in handle]
        missing += [name for name in _SCALARS if name not in handle.attrs]
        if missing:
            raise InputError(
                f"{path}: no {missing[0]!r} in this file; docs/reference/files.md has the layout"
            )
        try:
            yield handle
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({reason(error)}); make it again") from error


def _columns_of(handle: h5py.File) -> MapSet:
    attributes = dict(handle.attrs)
    scalars = {name: float(attributes.pop(name)) for name in _SCALARS}
    columns: dict[str, Any] = {name: handle[name][:] for name in COLUMNS if name in handle}
    columns["split"] = columns["split"].astype(str)
    mask = handle["mask"][:].astype(bool) if "mask" in handle else None
    columns.update(scalars)
    return MapSet(convergence=None, mask=mask, attrs=attributes, **columns)


def _agree(first: MapSet, other: MapSet, path: str | Path, first_path: str | Path) -> None:
    for name, value in first.scalars.items():
        got = other.scalars[name]
        if not np.isclose(got, value, rtol=1e-9, atol=0, equal_nan=True):
            raise InputError(
                f"{path}: {name} is {got:g} but {value:g} in {first_path}; "
                "maps that are used together must agree"
            )
    if not _same_mask(first.mask, other.mask):
        raise InputError(f"{path}: another mask than {first_path}; use one mask for all maps")


def _same_mask(first: np.ndarray | None, other: np.ndarray | None) -> bool:
    if first is None or other is None:
        return first is other
    return np.array_equal(first, other)


def read_maps(
    paths: str | Path | Sequence[str | Path],
    split: str | None = None,
    columns_only: bool = False,
) -> MapSet:
    """Read batches into one set, in the order of ``paths``.

    Parameters
    ----------
    paths : one batch file or several.
    split : keep the maps of this split only (``training``, ``testing`` or ``covariance``).
    columns_only : leave the maps themselves on disk (``convergence`` is None).

    Raises
    ------
    InputError
        When a file is not whole, not HDF5, or does not fit the others.

    """
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    if not listed:
        raise InputError("no files of maps were given")
    pieces: list[MapSet] = []
    for path in listed:
        with _opened(path) as handle:
            piece = _columns_of(handle)
            if pieces:
                _agree(pieces[0], piece, path, listed[0])
            keep = np.ones(len(piece), dtype=bool) if split is None else piece.split == split
            pieces.append(piece.select(keep))
            if not columns_only:
                maps = handle["convergence"][:] if keep.all() else _rows(handle, keep)
                pieces[-1] = dataclasses.replace(pieces[-1], convergence=maps)
    return joined(pieces, columns_only)


def _rows(handle: h5py.File, keep: np.ndarray) -> np.ndarray:
    maps = np.empty((int(keep.sum()), *handle["convergence"].shape[1:]), dtype=np.float32)
    for row, source in enumerate(np.flatnonzero(keep)):
        maps[row] = handle["convergence"][source]
    return maps


def joined(pieces: Sequence[MapSet], columns_only: bool = False) -> MapSet:
    """Join sets of maps of one kind, with their maps or without."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in COLUMNS
    }
    maps = None if columns_only else np.concatenate([piece.convergence for piece in pieces])
    return dataclasses.replace(pieces[0], convergence=maps, **columns)


def iterate_maps(path: str | Path, batch: int) -> Iterator[MapSet]:
    """Yield the maps of one file in pieces of up to ``batch`` maps, in order."""
    with _opened(path) as handle:
        columns = _columns_of(handle)
        for start in range(0, len(columns), batch):
            rows = slice(start, start + batch)
            maps = handle["convergence"][rows]
            yield dataclasses.replace(columns.select(rows), convergence=maps)


def first_of_each(numbers: np.ndarray, each: int) -> np.ndarray:
    """Return the rows of the first ``each`` maps of every number (map), for example cosmology."""
    return np.concatenate([np.flatnonzero(numbers == k)[:each] for k in np.unique(numbers)])


def spread_of_each(numbers: np.ndarray, each: int) -> np.ndarray:
    """Return rows of ``each`` maps of every number (map), of every number other ones.

    Cosmologies share their light cones: the first maps of all of them show the same few. Here each
    cosmology goes on where the one before it ended, and after its last map with its first.
    """
    rows = []
    for place, number in enumerate(np.unique(numbers)):
        there = np.flatnonzero(numbers == number)
        wanted = place * each + np.arange(min(each, len(there)))
        rows.append(np.sort(there[wanted % len(there)]))
    return np.concatenate(rows)


IN_MEMORY_BYTES = 4 * 2**30
"""Splits up to this size are held in memory; larger ones are read from disk as they are needed."""


class SplitMaps:
    """The maps of one split over several files, read by row.

    Parameters
    ----------
    most_bytes : a split up to this size is held in memory.

    Attributes
    ----------
    columns : what is known of each map, without the maps; sorted by cosmology, then realization.
    pixels : pixels on a side.

    """

    def __init__(
        self, paths: Sequence[str | Path], split: str, most_bytes: int = IN_MEMORY_BYTES
    ) -> None:
        map_sets = [read_maps([Path(path)], columns_only=True) for path in paths]
        everything = read_maps([Path(path) for path in paths], columns_only=True)
        file = np.repeat(np.arange(len(map_sets)), [len(each) for each in map_sets])
        row = np.concatenate([np.arange(len(each)) for each in map_sets])
        chosen = np.flatnonzero(everything.split == split)
        order = np.lexsort((everything.realization[chosen], everything.cosmology[chosen]))
        self._place = np.stack([file, row], -1)[chosen[order]]
        self._files = [h5py.File(path, "r") for path in paths]
        self.columns: MapSet = everything.select(chosen[order])
        self.pixels = int(self._files[0]["convergence"].shape[-1])
        self._held: np.ndarray | None = None
        if len(chosen) * self.pixels**2 * 4 <= most_bytes:
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
            indices = np.flatnonzero(place[:, 0] == number)
            indices = indices[np.argsort(place[indices, 1])]  # HDF5 wants ascending rows
            out[indices] = self._files[number]["convergence"][place[indices, 1]]
        return out

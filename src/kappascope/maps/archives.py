"""Maps that others made: known archives, and any folder of maps with a table.

Every source ends in the same list of :class:`Entry` (one map each, not yet read), from which
:func:`load_source` yields maps and :func:`import_maps` writes the workflow's own HDF5 batches, so
that everything after works as with simulated maps.

Maps of one simulation share its structures: they are never spread over two splits.
"""

import csv
import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.cosmology.model import sigma_8_from_amplitude
from kappascope.errors import InputError
from kappascope.files import check_output
from kappascope.maps.dataset import COLUMNS, SPLITS, MapSet, MapWriter
from kappascope.maps.reading import image_read, mean_pooled, open_map, open_mask

SOURCES = ("columbia", "massivenus", "folder", "cosmogrid")
"""Names of the sources that are not simulated here."""

FIDUCIAL = (0.26, 0.8)
"""Omega_m and sigma_8 of matilla2020's covariance (§II)."""

_FIELD_DEGREES = 3.5  # Columbia and MassiveNuS


@dataclasses.dataclass(frozen=True)
class Entry:
    """One map of an archive.

    Attributes
    ----------
    file : FITS, NPY or HDF5 file.
    index : place of the map in the file's stack (map, y, x), or None for a file of one map.
    image : name of the image in a file of several, or None: the one called kappa.
    field_degrees : side of the map where the archive says it and the files do not.
    omega_matter, sigma_8 : parameters of its cosmology.
    pixel_arcmin : side of a pixel as the table or the archive gives it [arcmin], or None: then the
        file's header must.
    mask : file of the mask, or None.
    split : what the map is for, or empty: assigned by :func:`assign_splits`.
    simulation : name of the simulation it comes from; maps of one stay together.
    source_redshift : of the lensed galaxies; NaN where unknown.
    where : what to call the entry in messages (``table.csv row 3``).

    """

    file: Path
    index: int | None
    image: str | None
    omega_matter: float
    sigma_8: float
    pixel_arcmin: float | None
    mask: Path | None
    split: str
    simulation: str
    source_redshift: float
    where: str
    field_degrees: float | None = None


# ---- archives ------------------------------------------------------------------------------------


def list_source(
    source: str, path: str | Path, table: str | Path | None = None, smoothing_arcmin: float = 1.0
) -> list[Entry]:
    """List the maps of an archive without reading them.

    Parameters
    ----------
    source : ``columbia``, ``massivenus``, ``folder`` or ``cosmogrid``.
    path : the archive's folder; files of ``folder`` are relative to it.
    table : CSV. For ``folder`` a row a map: ``file``, ``Omega_m``, ``sigma_8``, and optional
        ``pixel_arcmin``, ``mask``, ``split``, ``simulation``, ``source_redshift``, ``index`` (of
        the map in a file of many), ``image`` (its name in a file of several). For ``massivenus``
        optional: ``folder``, ``sigma_8``.
    smoothing_arcmin : smoothing asked for [arcmin], for the archives that are too coarse for it.

    """
    if source not in SOURCES:
        raise InputError(f"maps.source: got {source!r}; allowed: simulation, {', '.join(SOURCES)}")
    if source == "cosmogrid":
        raise InputError(
            "maps.source: CosmoGrid maps have nside 512, that is pixels of 6.9 arcmin, and cannot "
            f"be smoothed by {smoothing_arcmin:g} arcmin; use columbia, massivenus or folder"
        )
    root = Path(path)
    if not os.path.isdir(root):
        raise InputError(f"maps.path: {str(root)[:200]} is no folder")
    listing = {
        "columbia": lambda: _list_columbia(root),
        "massivenus": lambda: _list_massivenus(root, table),
        "folder": lambda: _list_folder(root, table),
    }
    entries = listing[source]()
    if not entries:
        raise InputError(
            f"maps.path: {root} holds no maps where {source} has them"
            + (f", {_LAYOUTS[source]}{_bare(root)}" if source in _LAYOUTS else "")
        )
    return entries


_LAYOUTS = {
    "columbia": "Om0.260_si0.800/WLconv_z1.00_0001r.fits",
    "massivenus": "convergence_gal_mnv0.00000_om0.30000_As2.1000/Maps10/WLconv_z1.00_0001r.fits",
}
"""An example of each archive's files, for messages; any may end in ``.gz``."""


def _bare(root: Path) -> str:
    """Say what is missing where MassiveNuS's folders of redshifts lie bare, as its tars unpack."""
    bare = sorted(folder.name for folder in root.glob("Maps[0-9][0-9]"))
    if not bare:
        return ""
    return (
        f"; {', '.join(bare)} lie there without the folder that names their cosmology: make it and "
        "move them there"
    )


_COLUMBIA = re.compile(r"Om(?P<om>\d\.\d{3})_si(?P<si>\d\.\d{3})$")
_MASSIVENUS = re.compile(
    r"convergence_gal_mnv(?P<mnv>\d\.\d{5})_om(?P<om>\d\.\d{5})_As(?P<a_s>\d\.\d{4})$"
)
_REALIZATION = re.compile(r"WLconv_z1\.00_(?P<number>\d{4,})r\.fits(\.gz)?$")


def _in_layout(root: Path, folder_name: re.Pattern[str], below: str) -> Iterator[Any]:
    """Yield (folder, its match, file, its match) in order of cosmology and realization."""
    # The folder of one cosmology may be given as well as the one around them.
    one = folder_name.match(root.resolve().name)
    for folder in [root.resolve()] if one else sorted(root.iterdir()):
        cosmology = folder_name.match(folder.name)
        if cosmology is None or not (folder / below).is_dir():
            continue
        for file in sorted((folder / below).iterdir()):
            realization = _REALIZATION.match(file.name)
            # Unpacked beside its packed twin, a map is one map.
            twin = file.suffix == ".gz" and file.with_suffix("").exists()
            if realization is not None and not twin:
                yield folder, cosmology, file, realization


def _archive_entry(folder: Path, file: Path, omega_matter: float, sigma_8: float) -> Entry:
    return Entry(
        file=file,
        index=None,
        image=None,
        omega_matter=omega_matter,
        sigma_8=sigma_8,
        pixel_arcmin=None,
        mask=None,
        split="",
        simulation=f"{folder.name}/{file.name}",
        source_redshift=1.0,
        where=str(file),
        field_degrees=_FIELD_DEGREES,
    )


def _list_columbia(root: Path) -> list[Entry]:
    return [
        _archive_entry(folder, file, float(cosmology["om"]), float(cosmology["si"]))
        for folder, cosmology, file, _ in _in_layout(root, _COLUMBIA, ".")
    ]


def _list_massivenus(root: Path, table: str | Path | None) -> list[Entry]:
    tabled = {}
    if table is not None:
        for number, row in _rows(table, ("folder", "sigma_8")):
            where = f"{table} row {number}"
            name = row["folder"].rstrip("/")
            if name in tabled:
                raise InputError(f"{where}: names folder {name!r} again; leave one out")
            if not (root / name).is_dir() and root.resolve().name != name:
                raise InputError(f"{where}: there is no folder {name!r} in {root}; correct it")
            tabled[name] = _number(row, "sigma_8", where)
    entries = []
    for folder, cosmology, file, _ in _in_layout(root, _MASSIVENUS, "Maps10"):
        omega_matter = float(cosmology["om"])
        sigma_8 = tabled.get(folder.name)
        if sigma_8 is None:
            sigma_8 = sigma_8_from_amplitude(
                float(cosmology["a_s"]) * 1e-9, omega_matter, float(cosmology["mnv"])
            )
        entries.append(_archive_entry(folder, file, omega_matter, sigma_8))
    return entries


# ---- folders with a table ------------------------------------------------------------------------


def _rows(table: str | Path, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    path = Path(table)
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            columns = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"maps.table: {path} cannot be read as CSV ({error})") from error
    known = (*_COLUMNS, *required)
    for name in columns:
        meant = [one for one in known if one.lower() == name.lower() and one != name]
        if meant and name not in known:
            raise InputError(
                f"maps.table: {path} has a column {name!r}, which is not read; call it {meant[0]!r}"
            )
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"maps.table: {path} has no column {missing[0]!r}, only {', '.join(columns) or 'none'}"
        )
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise InputError(f"maps.table: {path} has two columns {twice[0]!r}; rename one")
    for number, row in enumerate(rows, start=1):
        # A comma at the end of a row makes an empty cell more, which says nothing.
        more = [cell for cell in row.pop(None, None) or [] if cell.strip()]
        if more:
            raise InputError(
                f"{table} row {number}: has more cells than the table has columns ({more[0]!r}); "
                "quote cells that hold commas"
            )
    return [
        (number, {(key or "").strip(): (value or "").strip() for key, value in row.items()})
        for number, row in enumerate(rows, start=1)
    ]


_COLUMNS = (
    *("file", "Omega_m", "sigma_8", "pixel_arcmin", "mask", "split", "simulation"),
    *("source_redshift", "index", "image"),
)
_LIMITS = {"Omega_m": 1.0, "sigma_8": 3.0, "pixel_arcmin": 60.0, "source_redshift": 1100.0}
"""Largest values that make sense; beyond them a unit or a column is another than thought."""


def _number(row: Mapping[str, str], name: str, where: str, default: float | None = None) -> Any:
    text = row.get(name, "")
    if not text and name not in ("Omega_m", "sigma_8"):
        return default
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if name == "index":
        if not value >= 0 or value % 1:
            raise InputError(f"{where}: index is {text!r}; give a whole number from 0 on")
        return int(value)
    if not np.isfinite(value) or value <= 0:
        raise InputError(f"{where}: {name} is {text!r}; give a positive number")
    if value > _LIMITS[name]:
        raise InputError(
            f"{where}: {name} is {text!r}, more than {_LIMITS[name]:g}; correct its unit or column"
        )
    return value


def _list_folder(root: Path, table: str | Path | None) -> list[Entry]:
    if table is None:
        raise InputError(
            "maps.table: a folder of maps needs a CSV with the columns file, Omega_m, sigma_8 and, "
            "where the files do not say it, pixel_arcmin"
        )
    entries = [
        _folder_entry(root, row, f"{table} row {number}")
        for number, row in _rows(table, ("file", "Omega_m", "sigma_8"))
    ]
    files = [entry.file.resolve() for entry in entries]
    first: dict[tuple[Path, int | None, str | None], str] = {}
    for entry, file in zip(entries, files, strict=True):
        # An image may be named in several ways.
        image = image_read(file, entry.image) if files.count(file) > 1 else None
        place = (file, entry.index, image)
        if place in first:
            raise InputError(
                f"{entry.where}: names the same map as {first[place]}, which would be in two "
                "splits or count twice; leave one out"
            )
        first[place] = entry.where
    return entries


def _named_file(root: Path, row: Mapping[str, str], column: str, where: str) -> Path | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        there = (root / text).is_file()
    except OSError:  # longer than a name can be
        there = False
    if not there:
        raise InputError(f"{where}: {column} {text[:200]!r} is not in {root}; correct the name")
    return root / text


def _folder_entry(root: Path, row: Mapping[str, str], where: str) -> Entry:
    file = _named_file(root, row, "file", where)
    if file is None:
        raise InputError(f"{where}: names no file")
    split = row.get("split", "")
    if split and split not in SPLITS:
        raise InputError(f"{where}: split is {split!r}; allowed: {', '.join(SPLITS)}, or empty")
    index = _number(row, "index", where)
    return Entry(
        file=file,
        index=index,
        image=row.get("image", "") or None,
        omega_matter=_number(row, "Omega_m", where),
        sigma_8=_number(row, "sigma_8", where),
        pixel_arcmin=_number(row, "pixel_arcmin", where),
        mask=_named_file(root, row, "mask", where),
        split=split,
        simulation=row.get("simulation", "") or where,
        source_redshift=_number(row, "source_redshift", where, np.nan),
        where=where,
    )


# ---- splits --------------------------------------------------------------------------------------


def assign_splits(
    entries: Sequence[Entry], fiducial: tuple[float, float] = FIDUCIAL
) -> list[Entry]:
    """Give every map a split, simulation by simulation.

    A simulation with a split in the table keeps it, for all its maps. The others go, in order of
    first mention, in turn to ``covariance``, ``training`` and ``testing`` where they hold maps of
    the fiducial cosmology, and to ``training`` and ``testing`` where they hold none.

    Parameters
    ----------
    entries : as listed.
    fiducial : (Omega_m, sigma_8) at which the covariance is measured.

    """
    given: dict[str, str] = {}
    at_fiducial: dict[str, bool] = {}
    for entry in entries:
        known = given.setdefault(entry.simulation, entry.split)
        if entry.split and known and entry.split != known:
            raise InputError(
                f"{entry.where}: split is {entry.split!r}, but other maps of simulation "
                f"{entry.simulation!r} are in {known!r}; keep a simulation in one split"
            )
        given[entry.simulation] = known or entry.split
        near = np.allclose((entry.omega_matter, entry.sigma_8), fiducial, atol=1e-6)
        at_fiducial[entry.simulation] = bool(near) or at_fiducial.get(entry.simulation, False)
    turns = {True: ("covariance", "training", "testing"), False: ("training", "testing")}
    seen = {True: 0, False: 0}
    for simulation, split in given.items():
        if not split:
            fiducial_here = at_fiducial[simulation]
            turn = turns[fiducial_here]
            given[simulation] = turn[seen[fiducial_here] % len(turn)]
            seen[fiducial_here] += 1
    return [dataclasses.replace(entry, split=given[entry.simulation]) for entry in entries]


# ---- reading and importing -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Listed:
    """An archive ready to be read: its maps and what they all share."""

    entries: list[Entry]
    columns: MapSet
    pixels: int | None
    size: int

    def read(self, row: int) -> np.ndarray:
        """Return map ``row``, (y, x) float32, checked against the first."""
        entry = self.entries[row]
        mask = None if entry.mask is None else _cached_mask(entry.mask)
        map_, pixel_arcmin = _scaled(entry, mask, self.pixels)
        if not np.isclose(pixel_arcmin, self.columns.pixel_arcmin, rtol=1e-4, atol=0):
            raise InputError(
                f"{entry.file}: its pixels are {pixel_arcmin:.6g} arcmin, those of "
                f"{self.entries[0].file} {self.columns.pixel_arcmin:.6g}; maps that are used "
                "together need one pixel scale"
            )
        if len(map_) != self.size:
            raise InputError(
                f"{entry.file}: got {len(map_)}x{len(map_)} pixels, but {self.size}x{self.size} in "
                f"{self.entries[0].file}; maps that are used together need one size"
            )
        return map_.astype(np.float32)

    def pieces(self, rows: range, batch: int) -> Iterator[MapSet]:
        """Yield maps ``rows`` in pieces of up to ``batch``."""
        for start in range(rows.start, rows.stop, batch):
            chosen = range(start, min(start + batch, rows.stop))
            maps = np.stack([self.read(row) for row in chosen])
            if self.columns.mask is not None:
                maps = np.where(self.columns.mask, maps, np.float32(0))
            part = self.columns.select(slice(chosen.start, chosen.stop))
            yield dataclasses.replace(part, convergence=maps)


@functools.lru_cache(maxsize=8)
def _mask_as_it_was(file: Path, modified: int, size: int) -> np.ndarray:
    return open_mask(file)


def _cached_mask(file: Path) -> np.ndarray:
    now = file.stat()
    return _mask_as_it_was(file.resolve(), now.st_mtime_ns, now.st_size)


def _scaled(entry: Entry, mask: np.ndarray | None, pixels: int | None) -> tuple[np.ndarray, float]:
    """Return a map, averaged down to ``pixels``, and the side of its pixels [arcmin]."""
    map_, pixel_arcmin = open_map(entry.file, entry.index, mask, entry.image, entry.pixel_arcmin)
    if pixel_arcmin is None and entry.field_degrees is not None:
        pixel_arcmin = entry.field_degrees * 60.0 / len(map_)
    if pixel_arcmin is None:
        raise InputError(
            f"{entry.where}: neither the file nor the table says the pixel scale; add a column "
            "pixel_arcmin"
        )
    pooled = mean_pooled(map_, pixels, entry.file)
    return pooled, pixel_arcmin * len(map_) / len(pooled)


def _prepare(
    source: str,
    path: str | Path,
    table: str | Path | None,
    pixels: int | None,
    fiducial: tuple[float, float],
    smoothing_arcmin: float,
    limits: Mapping[str, int] | None,
) -> _Listed:
    if source == "columbia" and pixels is None:
        pixels = 512
    entries = assign_splits(list_source(source, path, table, smoothing_arcmin), fiducial)
    kept, cosmology, realization = _numbered(entries, limits)
    redshifts = {entry.source_redshift for entry in kept if not np.isnan(entry.source_redshift)}
    unknown = [entry for entry in kept if np.isnan(entry.source_redshift)]
    if len(redshifts) > 1 or (redshifts and unknown):
        other = next(iter(unknown), max(kept, key=lambda entry: entry.source_redshift))
        raise InputError(
            f"{other.where}: source_redshift is {other.source_redshift:g}, but {min(redshifts):g} "
            "elsewhere; maps that are used together need one"
        )
    first_mask = None if kept[0].mask is None else _cached_mask(kept[0].mask)
    first, pixel_arcmin = _scaled(kept[0], first_mask, pixels)
    columns = MapSet(
        convergence=None,
        split=np.array([entry.split for entry in kept]),
        cosmology=np.array(cosmology),
        realization=np.array(realization),
        omega_matter=np.array([entry.omega_matter for entry in kept]),
        sigma_8=np.array([entry.sigma_8 for entry in kept]),
        pixel_arcmin=pixel_arcmin,
        source_redshift=kept[0].source_redshift,
        mask=_common_mask(kept, pixels),
    )
    return _Listed(kept, columns, pixels, len(first))


def _numbered(
    entries: Iterable[Entry], limits: Mapping[str, int] | None
) -> tuple[list[Entry], list[int], list[int]]:
    """Return the entries within the limits, their cosmologies' numbers and their own."""
    cosmologies: dict[tuple[float, float], int] = {}
    counts: dict[tuple[str, int], int] = {}
    kept, cosmology, realization = [], [], []
    for entry in entries:
        parameters = (entry.omega_matter, entry.sigma_8)
        number = cosmologies.setdefault(parameters, len(cosmologies))
        place = counts.get((entry.split, number), 0)
        if limits is not None and place >= limits.get(entry.split, 0):
            continue
        counts[entry.split, number] = place + 1
        kept.append(entry)
        cosmology.append(number)
        realization.append(place)
    if not kept:
        raise InputError(
            "maps: no map is left; raise maps.training, maps.testing or maps.covariance"
        )
    return kept, cosmology, realization


def _common_mask(entries: Iterable[Entry], pixels: int | None) -> np.ndarray | None:
    """Return the one mask of all maps: a pixel must be observed in each of them."""
    files = sorted({entry.mask for entry in entries if entry.mask is not None})
    if not files:
        return None
    common: np.ndarray | None = None
    for file in files:
        mask = _cached_mask(file)
        if common is not None and mask.shape != common.shape:
            raise InputError(f"{file}: the mask has shape {mask.shape}, others {common.shape}")
        common = mask if common is None else common & mask
    assert common is not None
    # A pixel that averages over a masked one is masked.
    common = mean_pooled(common.astype(float), pixels, "mask") > 1 - 1e-9
    if not common.any():
        raise InputError("mask: the masks of all maps together hide every pixel; use fewer maps")
    return common


def load_source(
    source: str,
    path: str | Path,
    table: str | Path | None = None,
    *,
    pixels: int | None = None,
    fiducial: tuple[float, float] = FIDUCIAL,
    smoothing_arcmin: float = 1.0,
    limits: Mapping[str, int] | None = None,
    batch: int = 64,
) -> Iterator[MapSet]:
    """Yield the maps of an archive in pieces of up to ``batch``.

    Parameters
    ----------
    source, path, table, smoothing_arcmin : as in :func:`list_source`.
    pixels : average maps down to this many on a side; None leaves them (Columbia: 512).
    fiducial : as in :func:`assign_splits`.
    limits : at most this many maps of each cosmology by split; None takes all.
    batch : maps in a piece.

    """
    listed = _prepare(source, path, table, pixels, fiducial, smoothing_arcmin, limits)
    yield from listed.pieces(range(len(listed.entries)), batch)


def import_maps(
    source: str,
    path: str | Path,
    table: str | Path | None,
    destinations: Sequence[str | Path],
    *,
    pixels: int | None = None,
    fiducial: tuple[float, float] = FIDUCIAL,
    smoothing_arcmin: float = 1.0,
    limits: Mapping[str, int] | None = None,
    attrs: Mapping[str, Any] | None = None,
    batch: int = 64,
) -> None:
    """Write the maps of an archive as the workflow's HDF5 batches, near equal parts in order.

    Parameters
    ----------
    source, path, table, pixels, fiducial, smoothing_arcmin, limits, batch : as in
        :func:`load_source`.
    destinations : the batch files to write.
    attrs : further attributes of the files (``seed``, ``spec``).

    """
    listed = _prepare(source, path, table, pixels, fiducial, smoothing_arcmin, limits)
    columns = listed.columns
    read = {entry.file for entry in listed.entries} | {entry.mask for entry in listed.entries}
    for number, destination in enumerate(destinations):
        check_output(
            Path(destination),
            "maps",
            (".h5", ".hdf5"),
            [*read, None if table is None else Path(table)],
        )
        if destination in destinations[:number]:
            raise InputError(f"maps: {destination} stands twice among the files to write")
    if len(columns) < len(destinations):
        raise InputError(
            f"maps.path: {len(columns)} maps for {len(destinations)} batches; set "
            f"simulation.batches to {len(columns)} or less"
        )
    edges = np.linspace(0, len(columns), len(destinations) + 1).astype(int)
    for destination, low, high in zip(destinations, edges[:-1], edges[1:], strict=True):
        with MapWriter(
            destination,
            maps=int(high - low),
            pixels=listed.size,
            mask=columns.mask,
            attrs=attrs,
            **columns.scalars,
        ) as writer:
            for piece in listed.pieces(range(low, high), batch):
                assert piece.convergence is not None
                writer.append(piece.convergence, **{name: getattr(piece, name) for name in COLUMNS})

"""Reading one map or mask from a FITS, NPY or HDF5 file, with every check that it can be used.

The rules, told to users in docs/how-to/own-maps.md: NaN, infinity and numbers that no convergence
has mark pixels without data (:func:`without_data`), which must be masked; a file of several images
is read by name or not at all; what a file promises and does not hold is refused.
"""

import gzip
import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kappascope.errors import InputError, reason
from kappascope.maps import pixel_scale

LARGEST_CONVERGENCE = 50.0
"""Whatever is further from zero marks a pixel without data: -99, 1e20, HEALPix's -1.6375e30."""

UNSEEN = -1.6375e30
"""HEALPix's mark of pixels without data; the only number besides 0 and 1 that a mask may hold."""

SCALE = "pixel_arcmin"
"""HDF5 attribute of the side of a pixel [arcmin]."""

MAP_NAMES = ("convergence", "kappa")
MASK_NAMES = ("mask",)


class _Image(NamedTuple):
    """What a file holds: the array, and what says the side [arcmin] of pixels, so many on a side.

    The scale is asked for only where the user does not give it.
    """

    array: np.ndarray
    scale: Callable[[int], float | None]
    name: str = ""


def open_map(
    file: str | Path,
    index: int | None = None,
    mask: np.ndarray | None = None,
    image: str | None = None,
    pixel_arcmin: float | None = None,
) -> tuple[np.ndarray, float | None]:
    """Read one square map.

    Parameters
    ----------
    file : FITS, NPY or HDF5. Of several images the one called ``convergence`` or ``kappa``.
    index : which map of a stack (map, y, x).
    mask : (y, x) bool, True where observed; elsewhere the map may hold anything.
    image : name of the image in a file of several: a FITS extension (or its number) or an HDF5
        dataset.
    pixel_arcmin : side of a pixel [arcmin]; what the file says of it is then not asked.

    Returns
    -------
    (y, x) map as float32 or float64, as stored, zero where masked; and the side of a pixel
    [arcmin] from the header (``maps.pixel_scale``), or None where there is none.

    Raises
    ------
    InputError
        When the file is missing, truncated, of another format, not a square map, constant, or
        holds NaN, infinity or marks of missing data where it is not masked.

    """
    path = Path(file)
    stored = _read(path, MAP_NAMES, image)
    array = stored.array
    if index is not None:
        if array.ndim != 3 or not 0 <= index < len(array):
            raise InputError(f"{path}: no map number {index} in an array of shape {array.shape}")
        array = array[index]
    array = _square(path, array)
    if mask is not None:
        if mask.shape != array.shape:
            raise InputError(
                f"{path}: the map has {_size(array)} pixels but its mask {_size(mask)}; "
                "give a mask of the same size"
            )
        array = np.where(mask, array, 0)
    bad = without_data(array, LARGEST_CONVERGENCE)
    if bad.any():
        raise InputError(
            f"{path}: {np.count_nonzero(bad)} pixels are NaN or infinite or hold what no "
            f"convergence does ({array[bad][0]:g}); mask them (0 in a mask file) or repair the map"
        )
    seen = array if mask is None else array[mask]
    if seen.size > 1 and seen.min() == seen.max():
        raise InputError(f"{path}: every pixel holds {seen.min():g}; there is nothing to measure")
    if pixel_arcmin is not None:
        return array, pixel_arcmin
    try:
        return array, stored.scale(len(array))
    except ValueError as error:
        raise InputError(
            f"{path}: {error}; give the side of a pixel yourself (--pixel-arcmin, or a column "
            "pixel_arcmin in a table)"
        ) from error


def image_read(file: str | Path, image: str | None = None) -> str:
    """Return the full name of the image that :func:`open_map` reads of a file."""
    return _read(Path(file), MAP_NAMES, image).name


def open_mask(file: str | Path, image: str | None = None) -> np.ndarray:
    """Read a mask, (y, x) bool: observed where the file holds 1, masked where 0, NaN or UNSEEN.

    Raises
    ------
    InputError
        When it holds anything else (weights, -1, ...), hides every pixel, or cannot be read.

    """
    path = Path(file)
    array = _square(path, _read(path, MASK_NAMES, image).array)
    hidden = np.isnan(array) | (array == 0) | np.isclose(array, UNSEEN, rtol=1e-4, atol=0)
    other = ~hidden & (array != 1)
    if other.any():
        raise InputError(
            f"{path}: {np.count_nonzero(other)} pixels hold neither 0 nor 1 but, for example, "
            f"{array[other][0]:g}; a mask is 1 where the map is seen and 0 or NaN where not: write "
            "one, for example weight > 0.5"
        )
    if hidden.all():
        raise InputError(f"{path}: the mask hides every pixel; it must be 1 where the map is seen")
    return ~hidden


def without_data(array: np.ndarray, largest: float) -> np.ndarray:
    """Return where an array holds NaN, infinity or a number further from zero than ``largest``."""
    with np.errstate(invalid="ignore"):
        return np.asarray(~(np.abs(array) <= largest))


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "single"


def _square(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"{path}: got {_size(array)} pixels; only square maps can be used")
    if not array.size:
        raise InputError(f"{path}: holds no pixels")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: holds {array.dtype}, not numbers")
    # Native byte order: FITS files are big-endian. Integers become float64.
    double = array.dtype.kind != "f" or array.dtype.itemsize > 4
    return np.ascontiguousarray(array, dtype=np.float64 if double else np.float32)


def _read(path: Path, wanted: tuple[str, ...], image: str | None) -> _Image:
    try:
        there = path.is_file()
    except OSError:  # the name is longer than a name can be
        there = False
    if not there:
        name = str(path)
        if len(path.name) < 256 and path.is_dir():
            raise InputError(f"{path}: is a folder; name the files in it")
        hint = "; give each file as an argument of its own" if len(name.split()) > 1 else ""
        raise InputError(f"{name[:200]}: there is no such file{hint}")
    for kind, (endings, reader) in _READERS.items():
        if path.name.lower().endswith(endings):
            try:
                return reader(path, wanted, image)
            except _UnreadableError as error:
                raise InputError(f"{path}: {error}") from error
            except PermissionError as error:
                raise InputError(f"{path}: may not be read ({error.strerror})") from error
            except MemoryError:
                raise
            # A file that is not what it says can raise anything inside a library.
            except Exception as error:
                raise InputError(
                    f"{path}: not a whole {kind} file ({reason(error)}); fetch or make it again"
                ) from error
    raise InputError(f"{path}: unknown kind of file; use .fits, .npy or .h5")


class _UnreadableError(Exception):
    """What is wrong with a file, where we know it."""


def _unscaled(pixels: int) -> None:
    return None


def _chosen(names: list[str], wanted: tuple[str, ...], image: str | None, kind: str) -> str:
    """Return which of a file's images to read; names are compared without regard to case."""
    if image is not None:
        if image in names:
            return image
        raise _UnreadableError(f"has no {kind} {image!r}, only {', '.join(names) or 'none'}")
    if len(names) == 1:
        return names[0]
    fitting = [name for name in names if name.rsplit(":", 1)[-1].lower() in wanted]
    if len(fitting) != 1:
        raise _UnreadableError(
            f"holds {len(names)} images ({', '.join(names)}), and "
            f"{'more than one' if fitting else 'none'} is called {' or '.join(wanted)}; "
            + (
                "give a file with one mask, or call it so"
                if wanted == MASK_NAMES
                else "choose one by --image NAME, or a column image in a table"
            )
        )
    return fitting[0]


# ---- FITS ----------------------------------------------------------------------------------------


def _read_fits(path: Path, wanted: tuple[str, ...], image: str | None) -> _Image:
    from astropy.io import fits

    packed = path.name.lower().endswith(".gz")
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    with warnings.catch_warnings():
        # astropy warns of much that ds9 reads as well (padding, characters that are no ASCII). What
        # matters, whether all data are there, is checked here.
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(content), memmap=False) as units:
            _check_whole(units, content)
            images = {
                f"{number}:{unit.name}" if unit.name else str(number): unit
                for number, unit in enumerate(units)
                if unit.is_image and unit.header["NAXIS"] > 0
            }
            if not images:
                tables = sum(not unit.is_image for unit in units)
                more = (
                    f", but {tables} tables; a HEALPix map must be projected to a flat one first"
                    if tables
                    else ""
                )
                raise _UnreadableError(f"holds no image{more}")
            name = _fits_image(list(images), wanted, image)
            array, header = np.asarray(images[name].data), images[name].header.copy()
    return _Image(array, lambda pixels: pixel_scale.pixel_arcmin(header, pixels), name)


def _fits_image(names: list[str], wanted: tuple[str, ...], image: str | None) -> str:
    """Return the extension to read, ``number:NAME``, asked for by its number or its name."""
    if image is not None:
        asked = [name for name in names if image.lower() in (name.lower(), *_parts(name))]
        if len(asked) > 1:
            raise _UnreadableError(f"has {len(asked)} extensions {image!r}; give the number of one")
        return _chosen(names, wanted, asked[0] if asked else image, "extension")
    return _chosen(names, wanted, None, "extension")


def _parts(name: str) -> list[str]:
    return name.lower().split(":", 1)


def _check_whole(units: Any, content: bytes) -> None:
    """Refuse a file that ends within its data, or goes on behind them with more than padding."""
    end = 0
    for unit in units:
        info = unit.fileinfo()
        end = info["datLoc"] + info["datSpan"]
        # Padding after the last data may be missing: the data are whole all the same. (What is
        # compressed has no size of its own, and does not unpack when it is cut.)
        data = info["datLoc"] + (unit.size if not hasattr(unit, "compressed_data") else 0)
        if data > len(content):
            raise ValueError(f"it ends {data - len(content)} bytes before its data do")
    if content[end:].strip(b"\0 \r\n"):
        raise ValueError(f"{len(content) - end} bytes at its end are no part of it")


# ---- NPY -----------------------------------------------------------------------------------------


def _read_npy(path: Path, wanted: tuple[str, ...], image: str | None) -> _Image:
    if image is not None:
        raise _UnreadableError(f"holds one array without a name; there is no image {image!r} in it")
    with open(path, "rb") as handle:
        if handle.read(2) == b"PK":
            raise _UnreadableError(
                "is an NPZ archive under the name of an NPY file; use numpy.save"
            )
        handle.seek(0)
        return _Image(one_array(handle), _unscaled)


def one_array(handle: BinaryIO) -> np.ndarray:
    """Read the one array of an open NPY file; ValueError where it is none or not the only one."""
    array = np.load(handle, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays")
    if handle.read(1):
        raise ValueError("it holds more than one array; save each to a file of its own")
    return array


# ---- HDF5 ----------------------------------------------------------------------------------------


def _read_hdf5(path: Path, wanted: tuple[str, ...], image: str | None) -> _Image:
    import h5py

    try:
        handle = h5py.File(path, "r")
    except BlockingIOError:
        raise _UnreadableError("is open for writing in another program; close it there") from None
    with handle:
        datasets = {name: handle.get(name) for name in handle}
        images = [
            name
            for name, item in datasets.items()
            if item is None or (isinstance(item, h5py.Dataset) and item.ndim >= 2)
        ]
        if image is not None and isinstance(handle.get(image), h5py.Dataset):
            images = [image]  # in a group, too
        if not images:
            raise _UnreadableError(f"holds no image, only {', '.join(datasets) or 'nothing'}")
        name = _chosen(images, wanted, image, "dataset")
        dataset = handle.get(name)
        if dataset is None:
            raise _UnreadableError(f"dataset {name!r} is a link to something that is not there")
        _check_written(path, dataset)
        # The dataset, the groups around it, the file: whichever say it must agree.
        around = [dataset, dataset.parent]
        while around[-1].name != "/":
            around.append(around[-1].parent)
        said = [place.attrs[SCALE] for place in around if SCALE in place.attrs]
        return _Image(dataset[:], lambda pixels: _agreed(said), dataset.name)


def _agreed(said: list[Any]) -> float | None:
    numbers = [_positive(value) for value in said]
    for number in numbers:
        if not math.isclose(number, numbers[0], rel_tol=pixel_scale.TOLERANCE):
            raise ValueError(
                f"its attributes {SCALE} contradict each other, {numbers[0]:g} and {number:g}"
            )
    return numbers[0] if numbers else None


def _positive(said: Any) -> float:
    value = np.asarray(said)
    if value.size != 1 or value.dtype.kind not in "fiu" or not 0 < value.item() < np.inf:
        text = value.astype(str).tolist()
        raise ValueError(f"its attribute {SCALE} is {text!r}, not one positive number")
    return float(value.item())


def _check_written(path: Path, dataset: Any) -> None:
    """Refuse a dataset that HDF5 would read as zeros because nothing, or not all, was written."""
    import h5py

    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            # Relative to the file; a name with %b stands for a series of files.
            names = [path.resolve().parent / source.file_name]
            if source.file_name == ".":
                names = [path]
            elif "%b" in source.file_name:
                names = sorted(names[0].parent.glob(names[0].name.replace("%b", "*")))
            for name in names:
                if not name.is_file():
                    raise _UnreadableError(f"is made of other files, of which {name} is not there")
                with h5py.File(name, "r") as other:
                    part = other.get(source.dset_name)
                    if part is None:
                        raise _UnreadableError(
                            f"is made of {name}, which has no {source.dset_name!r}"
                        )
                    _check_written(name, part)
            if not names:
                raise _UnreadableError(
                    f"is made of files {source.file_name}, none of which is there"
                )
        return
    if not dataset.size or dataset.shape == ():
        return
    missing = dataset.id.get_storage_size() == 0 and dataset.external is None
    for name, offset, size in dataset.external or ():
        raw = path.resolve().parent / name
        if not raw.is_file() or raw.stat().st_size < offset + min(size, dataset.nbytes):
            raise _UnreadableError(f"keeps its data in {raw}, which is not there or too short")
    if dataset.chunks is not None and not missing:
        chunks = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
        missing = dataset.id.get_num_chunks() < chunks
    if missing:
        raise _UnreadableError(
            f"dataset {dataset.name!r} was made but never wholly written; it would read as zeros"
        )


_READERS: dict[str, tuple[tuple[str, ...], Callable[[Path, tuple[str, ...], str | None], _Image]]]
_READERS = {
    "FITS": ((".fits", ".fit", ".fits.gz", ".fit.gz"), _read_fits),
    "NPY": ((".npy",), _read_npy),
    "HDF5": ((".h5", ".hdf5"), _read_hdf5),
}


def mean_pooled(map_: np.ndarray, pixels: int | None, name: str | Path) -> np.ndarray:
    """Average a map (y, x) down to ``pixels`` on a side; None leaves it as it is."""
    if pixels is None or pixels == len(map_):
        return map_
    factor, rest = divmod(len(map_), pixels) if pixels > 0 else (0, 1)
    if rest or factor < 1:
        raise InputError(
            f"{name}: {_size(map_)} pixels cannot be averaged to {pixels}x{pixels}; "
            f"set maps.pixels to a divisor of {len(map_)}"
        )
    return map_.reshape(pixels, factor, pixels, factor).mean(axis=(1, 3))

"""Reading one map or mask from a FITS, NPY or HDF5 file, with every check that it can be used."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError

_Read = tuple[np.ndarray, float | None, float | None]
"""Array of a file, degrees per pixel and degrees on a side, where the file says so."""


def open_map(
    file: str | Path, index: int | None = None, mask: np.ndarray | None = None
) -> tuple[np.ndarray, float | None]:
    """Read one square map.

    Parameters
    ----------
    file : FITS (the first image), NPY or HDF5 (dataset ``convergence`` or ``kappa``, or the only
        one).
    index : which map of a stack (map, y, x).
    mask : (y, x) bool, True where observed; elsewhere the map may hold anything.

    Returns
    -------
    (y, x) map as float32 or float64, as stored, zero where masked; and the side of a pixel
    [arcmin] from the header (``ANGLE``, or the scale of a WCS), or None where there is none.

    Raises
    ------
    InputError
        When the file is missing, truncated, of another format, not a square map or not finite.

    """
    path = Path(file)
    array, degrees_per_pixel, degrees = _read(path)
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
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"{path}: {bad} pixels are NaN or infinite; mask them (0 in a mask file) or repair "
            "the map"
        )
    if degrees is not None:
        return array, degrees * 60.0 / len(array)
    return array, None if degrees_per_pixel is None else degrees_per_pixel * 60.0


def open_mask(file: str | Path) -> np.ndarray:
    """Read a mask, (y, x) bool: observed where the file holds 1, masked where 0 or NaN."""
    path = Path(file)
    array = _square(path, _read(path)[0])
    mask = np.isfinite(array) & (array != 0)
    if not mask.any():
        raise InputError(f"{path}: the mask hides every pixel; it must be 1 where the map is seen")
    return mask


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))


def _square(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"{path}: got {_size(array)} pixels; only square maps can be used")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: holds {array.dtype}, not numbers")
    # Native byte order: FITS files are big-endian. Integers become float64.
    double = array.dtype.kind != "f" or array.dtype.itemsize > 4
    return np.ascontiguousarray(array, dtype=np.float64 if double else np.float32)


def _read(path: Path) -> _Read:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    for kind, (endings, reader) in _READERS.items():
        if path.name.lower().endswith(endings):
            try:
                return reader(path)
            except (OSError, ValueError, TypeError, EOFError) as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise InputError(
                    f"{path}: not a whole {kind} file ({reason}); fetch or make it again"
                ) from error
    raise InputError(f"{path}: unknown kind of file; use .fits, .npy or .h5")


def _read_fits(path: Path) -> _Read:
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        # astropy only warns of a truncated file.
        warnings.simplefilter("error", AstropyWarning)
        try:
            # Opened here, because astropy leaves files open that it cannot read.
            with open(path, "rb") as handle, fits.open(handle, memmap=False) as units:
                images = [unit for unit in units if unit.is_image and unit.data is not None]
                if not images:
                    raise ValueError("it holds no image")
                return np.asarray(images[0].data), *_fits_scale(images[0].header)
        except AstropyWarning as warning:
            raise ValueError(str(warning)) from warning


def _fits_scale(header: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if "ANGLE" in header:  # side of the map in degrees, as LensTools writes it
        return None, float(header["ANGLE"])
    for key in ("CD1_1", "CDELT1"):
        if key in header and float(header[key]) != 0:
            return abs(float(header[key])), None
    return None, None


def _read_npy(path: Path) -> _Read:
    return np.load(path, allow_pickle=False), None, None


def _read_hdf5(path: Path) -> _Read:
    import h5py

    with h5py.File(path, "r") as handle:
        names = [name for name in handle if isinstance(handle[name], h5py.Dataset)]
        wanted = [name for name in ("convergence", "kappa") if name in names] or names
        if not wanted or (len(wanted) > 1 and wanted == names):
            raise ValueError(f"no dataset 'convergence' among {', '.join(names) or 'none'}")
        scale = handle.attrs.get("pixel_arcmin", handle[wanted[0]].attrs.get("pixel_arcmin"))
        return handle[wanted[0]][:], None if scale is None else float(scale) / 60.0, None


_READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], _Read]]] = {
    "FITS": ((".fits", ".fit", ".fits.gz", ".fit.gz"), _read_fits),
    "NPY": ((".npy",), _read_npy),
    "HDF5": ((".h5", ".hdf5"), _read_hdf5),
}


def mean_pooled(map_: np.ndarray, pixels: int | None, name: str | Path) -> np.ndarray:
    """Average a map (y, x) down to ``pixels`` on a side; None leaves it as it is."""
    if pixels is None or pixels == len(map_):
        return map_
    factor, rest = divmod(len(map_), pixels)
    if rest or factor < 1:
        raise InputError(
            f"{name}: {_size(map_)} pixels cannot be averaged to {pixels}x{pixels}; "
            f"set maps.pixels to a divisor of {len(map_)}"
        )
    return map_.reshape(pixels, factor, pixels, factor).mean(axis=(1, 3))

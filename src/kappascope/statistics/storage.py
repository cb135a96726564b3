"""Measured statistics as netCDF files; layout in ``docs/reference/files.md``.

Apart from measuring, so that what only reads or writes such files depends on no kernel.
"""

import os
from typing import Any

import xarray

from kappascope.errors import InputError
from kappascope.files import atomic_path


def write_statistics(dataset: xarray.Dataset, path: str | os.PathLike[str]) -> None:
    """Write statistics as netCDF, atomically; the same numbers give the same bytes."""
    # Fixed-width text: netCDF's variable-length strings lie in a heap.
    encoding: dict[str, Any] = {"split": {"dtype": "S1"}} if "split" in dataset.coords else {}
    # Through memory, because HDF5 takes the process down when a disk fills up under an open file.
    image = dataset.to_netcdf(None, engine="h5netcdf", encoding=encoding)
    with atomic_path(path) as scratch:
        scratch.write_bytes(image)


def read_statistics(path: str | os.PathLike[str]) -> xarray.Dataset:
    """Read what :func:`write_statistics` wrote, whole, into memory."""
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{os.fspath(path)}: not a whole netCDF file of statistics; make it again"
        ) from error

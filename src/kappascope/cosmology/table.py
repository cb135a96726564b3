"""The table of cosmologies, config/cosmologies.csv or a user's own."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kappascope.errors import InputError

COLUMNS = ("cosmology", "omega_matter", "sigma_8", "origin", "order")


def is_fiducial(row: Mapping[str, Any], fiducial: Any) -> bool:
    """Whether a row is the config's ``cosmology.fiducial``, to the table's three digits."""
    pair = (("omega_matter", fiducial.omega_matter), ("sigma_8", fiducial.sigma_8))
    return all(abs(row[name] - value) < 5e-4 for name, value in pair)


def read(path: Path) -> list[dict[str, Any]]:
    """Read a table of cosmologies; rows sorted by the column ``order``.

    Raises
    ------
    InputError
        For a file that cannot be read, a missing column, a row that is no cosmology or stands
        twice.

    """
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path}: has no column {missing[0]}; add it")
            rows = [_row(path, line, row) for line, row in enumerate(reader, start=2)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    for name in ("cosmology", "order"):
        if len({row[name] for row in rows}) < len(rows):
            raise InputError(f"{path}: two rows have the same {name}; make them different")
    return sorted(rows, key=lambda row: row["order"])


def _row(path: Path, line: int, row: Mapping[str, str]) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = {
            "cosmology": int(row["cosmology"]),
            "omega_matter": float(row["omega_matter"]),
            "sigma_8": float(row["sigma_8"]),
            "origin": row["origin"],
            "order": int(row["order"]),
        }
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: {error}; correct the number") from error
    if not (0 < parsed["omega_matter"] < 1 and 0 < parsed["sigma_8"] < 3):
        pair = (parsed["omega_matter"], parsed["sigma_8"])
        raise InputError(
            f"{path}, line {line}: got (Omega_m, sigma_8) = {pair}, outside (0, 1) x (0, 3)"
        )
    return parsed

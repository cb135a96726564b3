"""How large a pixel of a FITS image is, from its header.

Two things may say it: ``ANGLE``, the side of the map in degrees, as LensTools writes it, and a
world coordinate system (FITS standard 4.0, §8) by whichever cards: ``CDELTi`` with or without
``PCi_j`` or ``CROTAi``, or ``CDi_j``, rotated or not, in any angular unit. Degrees are understood
without a unit only where ``CTYPEi`` names a celestial coordinate, as the standard says. Whatever is
no one angle, or contradicts itself, is refused: a wrong scale shifts every multipole in silence.
"""

import math
import re
import warnings
from typing import Any

import numpy as np

TOLERANCE = 0.01
"""By how much the sides of a pixel, or two statements of one scale, may differ."""

_SCALE_CARDS = re.compile(r"(CD|PC)\d_\d|CDELT\d|PC00\d00\d")


def pixel_arcmin(header: Any, pixels: int) -> float | None:
    """Return the side of a pixel [arcmin], or None where the header does not say it.

    Parameters
    ----------
    header : of an astropy image.
    pixels : on a side of the map.

    Raises
    ------
    ValueError
        When the header says something that is no one angle; the message says what.

    """
    of_angle = _from_angle(header, pixels)
    of_wcs, has_unit = _from_wcs(header)
    if of_angle is None and not has_unit:
        raise ValueError("its world coordinates have no unit (CUNIT1)")
    if of_angle is None or of_wcs is None:
        return of_wcs if of_angle is None else of_angle
    if not math.isclose(of_angle, of_wcs, rel_tol=TOLERANCE):
        raise ValueError(
            f"ANGLE = {header['ANGLE']:g} degrees makes pixels of {of_angle:.4g} arcmin, the "
            f"world coordinates say {of_wcs:.4g}: they contradict each other"
        )
    return of_angle


def _from_angle(header: Any, pixels: int) -> float | None:
    if "ANGLE" not in header:
        return None
    angle = _value(header, "ANGLE")
    if not isinstance(angle, int | float) or not 0 < angle < math.inf:
        raise ValueError(f"ANGLE is {angle!r}, not the side of a map in degrees")
    return float(angle) * 60.0 / pixels


def _value(header: Any, key: str) -> Any:
    try:
        return header[key]
    except Exception as error:  # a card that astropy cannot parse, for example NaN
        raise ValueError(f"{key} cannot be read") from error


def _from_wcs(header: Any) -> tuple[float | None, bool]:
    """Return the side of a pixel [arcmin], and whether that is a unit the header names.

    Without a unit the side is what it would be if degrees were meant.
    """
    cards = {key: _value(header, key) for key in header if _SCALE_CARDS.fullmatch(key)}
    for key, value in cards.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{key} is {value!r}, not a number")
    if not any(cards.values()):
        return None, True
    matrix, units = _to_world(_both_axes(header))
    has_unit = all(units)
    matrix *= _arcmin(units[0] or "deg"), _arcmin(units[1] or "deg")
    sides = np.hypot(*matrix.T)
    return _side(matrix.T / sides, sides), has_unit


def _both_axes(header: Any) -> Any:
    """Read the second axis as the first where nothing, or not its unit, is said of it."""
    copied = header.copy()
    second = re.compile(r"(CDELT|CTYPE|CUNIT|CROTA)2|(CD|PC)(\d_2|2_\d)")
    if not any(second.fullmatch(key) for key in header):
        for one, two in (("CDELT1", "CDELT2"), ("CD1_1", "CD2_2"), ("PC1_1", "PC2_2")):
            if one in header:
                copied[two] = header[one]
    if "CUNIT1" in header and not {"CUNIT2", "CTYPE2"} & set(header):
        copied["CUNIT2"] = header["CUNIT1"]
    return copied


def _to_world(header: Any) -> tuple[np.ndarray, list[str]]:
    """Return the matrix (pixel axis, world axis) and the world axes' units, empty where none."""
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        # Repairs of old spellings are announced as warnings.
        warnings.simplefilter("ignore")
        try:
            system = WCS(header, naxis=2)
            return np.array(system.pixel_scale_matrix).T, [str(u) for u in system.wcs.cunit]
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise ValueError(f"its world coordinates cannot be read ({reason})") from error


def _arcmin(unit: str) -> float:
    from astropy import units

    try:
        return float(units.Unit(unit).to(units.arcmin))
    except (units.UnitConversionError, ValueError):
        raise ValueError(f"its pixels are in {unit}, which is no angle") from None


def _side(directions: np.ndarray, sides: np.ndarray) -> float:
    """Return the one side of square pixels; directions are unit vectors in its columns."""
    if not math.isclose(*sides, rel_tol=TOLERANCE):
        raise ValueError(
            f"its pixels are not square, {sides[0]:.4g} by {sides[1]:.4g} arcmin; resample the map"
        )
    if abs(directions[:, 0] @ directions[:, 1]) > TOLERANCE:
        raise ValueError("its pixels are not square, their sides not perpendicular; resample it")
    return float(math.sqrt(sides.prod()))

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
    with warnings.catch_warnings():
        # Repairs of old spellings and unknown units are announced as warnings.
        warnings.simplefilter("ignore")
        of_wcs, has_unit = _from_wcs(header, pixels)
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
    if isinstance(angle, bool) or not isinstance(angle, int | float) or not 0 < angle < math.inf:
        raise ValueError(f"ANGLE is {angle!r}, not the side of a map in degrees")
    return float(angle) * 60.0 / pixels


def _value(header: Any, key: str) -> Any:
    try:
        return header[key]
    except Exception as error:  # a card that astropy cannot parse, for example NaN
        raise ValueError(f"{key} cannot be read") from error


def _from_wcs(header: Any, pixels: int) -> tuple[float | None, bool]:
    """Return the side of a pixel [arcmin], and whether that is a unit the header names.

    Without a unit the side is what it would be if degrees were meant.
    """
    cards = {key: _value(header, key) for key in header if _SCALE_CARDS.fullmatch(key)}
    for key, value in cards.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{key} is {value!r}, not a number")
    if not any(cards.values()):
        return None, True
    system = _system(_both_axes(header))
    matrix = np.array(system.pixel_scale_matrix).T  # (pixel axis, world axis)
    units = [str(unit) or "deg" for unit in system.wcs.cunit]
    side = _side(matrix * [_arcmin(unit) for unit in units])
    if system.has_celestial:
        # Far from its reference point a projection may stretch pixels.
        there = _side(60.0 * _steps_on_the_sky(system, (pixels - 1) / 2))
        side = side if math.isclose(side, there, rel_tol=TOLERANCE) else there
    return side, all(map(str, system.wcs.cunit))


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


def _system(header: Any) -> Any:
    from astropy.wcs import WCS

    try:
        system = WCS(header, naxis=2)
        np.linalg.inv(system.pixel_scale_matrix)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ValueError(f"its world coordinates cannot be read ({reason})") from error
    return system


def _steps_on_the_sky(system: Any, middle: float) -> np.ndarray:
    """Return how far a pixel along each axis leads in the middle of a map [degrees], (2, 2)."""
    points = middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    try:
        world = system.wcs_pix2world(points, 0)
    except Exception as error:
        raise ValueError("its world coordinates cannot be read") from error
    if system.wcs.lng == 1:
        world = world[:, ::-1]
    steps = (world[1:] - world[0] + 180.0) % 360.0 - 180.0
    steps[:, 0] *= np.cos(np.radians(world[0, 1]))
    if not np.isfinite(steps).all():
        raise ValueError("its world coordinates do not reach the middle of the map")
    return np.asarray(steps)


def _arcmin(unit: str) -> float:
    from astropy import units

    try:
        return float(units.Unit(unit).to(units.arcmin))
    except (units.UnitConversionError, ValueError):
        raise ValueError(f"its pixels are in {unit}, which is no angle") from None


def _side(matrix: np.ndarray) -> float:
    """Return the one side of square pixels, whose sides are the rows of a matrix [arcmin]."""
    one, other = np.hypot(*matrix.T)
    if not math.isclose(one, other, rel_tol=TOLERANCE):
        raise ValueError(
            f"its pixels are not square, {one:.4g} by {other:.4g} arcmin; resample the map"
        )
    if abs(matrix[0] @ matrix[1]) > TOLERANCE * one * other:
        raise ValueError("its pixels are not square, their sides not perpendicular; resample it")
    return math.sqrt(one * other)

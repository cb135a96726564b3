"""Cut-outs of real images, brought to the pixels, bands and scaling that a network reads.

An object is seen in several bands, each from an image of its own pixel scale. What is done to it:

1. bands are matched by name, and their middles by their world coordinates where all have them;
2. each image is resampled: a pixel of the network takes from every native pixel the share that lies
   within it, so that flux is kept;
3. pixels without data (NaN, beyond 1e10, masked, outside the image) get the sky's median and noise;
4. light is scaled as the network's ``about.json`` says.

Nothing is done about point-spread functions. Noise is correlated where pixels become smaller.
"""

import dataclasses
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.errors import InputError, reason
from kappascope.files import read_arrays
from kappascope.maps import pixel_scale
from kappascope.maps.reading import without_data
from kappascope.stronglens.finders import SCALINGS, Finder

LARGEST = 1e10
"""Of the units of an observation; larger ones, as HEALPix's -1.6e30, mark pixels without data."""
MOST_FILLED_PERCENT = 10.0
"""Of a network's field, that may hold no data unless the user says otherwise."""
SAME_DIRECTION_DEGREES = 2.0

ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz")
BAD_WHERE_SET = ("mask", "dq", "bad", "flags")
BAD_WHERE_ZERO = ("wht", "weight", "ivar")
"""Names of extensions that say which pixels are bad."""
NO_LIGHT = ("err", "error", "sigma", "rms", "noise", "psf", "var", "variance")
"""Names of extensions that are no light."""
FILTER_KEYS = ("FILTER", "BAND", "FILTNAM", "FILTER1", "FILTER2")


@dataclasses.dataclass(frozen=True)
class Exposure:
    """One band of one object.

    Attributes
    ----------
    source : where it was read, for messages and tables.
    data : (y, x); NaN where there is none.
    pixel_arcsec : side of a pixel.
    wcs : celestial world coordinates, or None.

    """

    source: str
    data: np.ndarray
    pixel_arcsec: float
    wcs: Any = None


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One object.

    Attributes
    ----------
    name : what to call it.
    bands : network's band → its image.

    """

    name: str
    bands: Mapping[str, Exposure]


@dataclasses.dataclass(frozen=True)
class Brought:
    """An object as a network reads it, and what was done.

    Attributes
    ----------
    name : what to call it.
    x : (y, x, band) as the network sees it.
    light : (y, x, band) resampled, in the unit of the files.
    filled_percent : share of pixels that held no data, the worst band's.
    shift_arcsec : the largest by which a band's middle was moved.
    sources, native_arcsec : (band,) where each came from, and its pixels.
    noise : (band,) of an empty pixel after resampling, in the unit of the files.

    """

    name: str
    x: np.ndarray
    light: np.ndarray
    filled_percent: float
    shift_arcsec: float
    sources: tuple[str, ...]
    native_arcsec: tuple[float, ...]
    noise: np.ndarray


# ---- reading -------------------------------------------------------------------------------------


def read(
    files: Sequence[str],
    bands: Sequence[str],
    called: Mapping[str, str],
    mask: Path | None = None,
    pixel_arcsec: float | None = None,
) -> list[Cutout]:
    """Read cut-outs: FITS files, one a band or with extensions, or NPZ archives.

    Parameters
    ----------
    files : paths, or BAND=PATH.
    bands : of the network.
    called : network's band → its name in the files, where that is another.
    mask : FITS image, 0 where the pixels are good.
    pixel_arcsec : for images that do not say it.

    Raises
    ------
    InputError
        When a file cannot be read, a band is missing or stands twice, or a pixel scale is not said.

    """
    names = {band: called.get(band, band) for band in bands}
    masked = None if mask is None else _mask(mask)
    archives: list[Cutout] = []
    objects: dict[str, dict[str, Exposure]] = {}
    for file in files:
        band, path = given(file, bands)
        if path.suffix == ".npz":
            archives += _archive(path, names, pixel_arcsec)
            continue
        for found, stem, exposure in _fits(path, band, names, masked, pixel_arcsec):
            seen = objects.setdefault(stem, {})
            if found in seen:
                raise InputError(
                    f"{path}: band {found} of {stem} again, after {seen[found].source}; call files "
                    "OBJECT_BAND.fits"
                )
            seen[found] = exposure
    objects = _one_object(objects, bands)
    for name, seen in objects.items():
        missing = [band for band in bands if band not in seen]
        if missing:
            raise InputError(
                f"{next(iter(seen.values())).source}: {name} has no band {', '.join(missing)}, "
                f"only {', '.join(seen)}; the network reads {', '.join(bands)} (BAND=FILE, "
                f"or --band {missing[0]}=NAME where the files call it otherwise)"
            )
    return archives + [Cutout(name, seen) for name, seen in objects.items()]


def given(file: str, bands: Sequence[str]) -> tuple[str | None, Path]:
    """Return the band, or None, and the path of BAND=PATH or PATH."""
    band, found, path = file.partition("=")
    chosen, place = (band, Path(path)) if found and band in bands else (None, Path(file))
    if not place.is_file():
        raise InputError(f"{str(place)[:200]}: there is no such file")
    if not place.name.lower().endswith((*ENDINGS, ".npz")):
        raise InputError(f"{place}: unknown kind of file; give FITS images or an NPZ archive")
    return chosen, place


def _one_object(
    objects: dict[str, dict[str, Exposure]], bands: Sequence[str]
) -> dict[str, dict[str, Exposure]]:
    """Join files whose names do not say what belongs together, where one object is left."""
    if len(objects) != len(bands) or any(len(seen) != 1 for seen in objects.values()):
        return objects
    joined = {band: exposure for seen in objects.values() for band, exposure in seen.items()}
    return {next(iter(objects)): joined} if len(joined) == len(bands) else objects


def _fits(
    path: Path,
    band: str | None,
    names: Mapping[str, str],
    mask: np.ndarray | None,
    pixel_arcsec: float | None,
) -> Iterable[tuple[str, str, Exposure]]:
    """Yield (band, object, image) for every band of the network that a file holds."""
    units = _images(path)
    bad = [(name, data) for name, data, _ in units if _is(name, (*BAD_WHERE_SET, *BAD_WHERE_ZERO))]
    light = [unit for unit in units if not _is(unit[0], (*BAD_WHERE_SET, *BAD_WHERE_ZERO))]
    light = [unit for unit in light if not _is(unit[0], NO_LIGHT)]
    if not light:
        raise InputError(f"{path}: holds no image of light")
    stem = re.sub(r"\.(fits?|gz)", "", path.name, flags=re.IGNORECASE)
    found = []
    for name, data, header in light:
        matched, rest = (band, stem) if band is not None else _matched(name, header, stem, names)
        if matched is not None:
            found.append((matched, rest, name, data, header))
    if band is not None and len(found) > 1:
        raise InputError(f"{path}: holds {len(found)} images of light; leave {band}= out")
    if not found:
        wanted = ", ".join(names.values())
        raise InputError(
            f"{path}: neither its name nor its extensions ({', '.join(n for n, *_ in light)}) nor "
            f"FILTER name one of the bands {wanted}; give BAND=FILE"
        )
    for matched, rest, name, data, header in found:
        source = f"{path}[{name}]" if len(light) > 1 else str(path)
        good = _without(source, data, [*bad, *([] if mask is None else [("mask", mask)])])
        side = _scale(source, header, data, pixel_arcsec)
        yield matched, rest, Exposure(source, good, side, _celestial(header))


def _is(name: str, kinds: Sequence[str]) -> bool:
    return any(part in kinds for part in re.split(r"[^a-z]+", name.lower()))


def _matched(name: str, header: Any, stem: str, names: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the network's band of an image, and the object's name; None where nothing says it."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    headers = [str(header.get(key, "")) for key in FILTER_KEYS]
    for band, called in names.items():
        if called.lower() in (word.lower() for word in words):
            return band, stem
    for band, called in names.items():
        if called.lower() in (word.lower() for text in headers for word in re.split(r"\W+", text)):
            return band, _stripped(stem, called)
    # OBJECT_BAND: an object's own name may hold what is a band elsewhere (y_dwarf_H).
    places = {band: _places(stem, called) for band, called in names.items()}
    last = max(places, key=lambda band: places[band][-1:] or [-1])
    return (last, _stripped(stem, names[last])) if places[last] else (None, stem)


def _places(stem: str, called: str) -> list[int]:
    """Return where a band stands in a file's name as a word."""
    word = rf"(?i)(?<![A-Za-z0-9]){re.escape(called)}(?![A-Za-z0-9])"
    return [match.start() for match in re.finditer(word, stem)]


def _stripped(stem: str, called: str) -> str:
    """Take a band off a file's name, where it stands last."""
    places = _places(stem, called)
    if not places:
        return stem
    left, right = stem[: places[-1]].rstrip("_-. "), stem[places[-1] + len(called) :]
    return f"{left}{right}".strip("_-. ") or stem


def _images(path: Path) -> list[tuple[str, np.ndarray, Any]]:
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as units:
                read = [
                    (unit.name or str(number), np.asarray(unit.data, np.float64), unit.header)
                    for number, unit in enumerate(units)
                    if unit.is_image and unit.header["NAXIS"] > 0
                ]
    except Exception as error:  # a file that is not what it says can raise anything
        raise InputError(
            f"{path}: not a whole FITS file ({reason(error)}); fetch it again"
        ) from None
    if not read:
        raise InputError(f"{path}: holds no image")
    for name, data, _ in read:
        if data.ndim != 2:
            raise InputError(f"{path}[{name}]: {data.ndim} axes; give images of two")
    return read


def _mask(path: Path) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"--mask: {path}: there is no such file")
    return _images(path)[0][1]


def _without(source: str, data: np.ndarray, bad: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Return data, NaN where they are bad or no light at all."""
    hidden = without_data(data, LARGEST)
    for name, array in bad:
        if array.shape != data.shape:
            continue
        zero = _is(name, BAD_WHERE_ZERO)
        hidden = hidden | (~(array > 0) if zero else (np.isnan(array) | (array != 0)))
    if hidden.all():
        raise InputError(f"{source}: no pixel holds data")
    good = data[~hidden]
    if good.min() == good.max():
        raise InputError(f"{source}: the same number everywhere; leave it out")
    return np.where(hidden, np.nan, data)


def _scale(source: str, header: Any, data: np.ndarray, pixel_arcsec: float | None) -> float:
    if pixel_arcsec is not None:
        return pixel_arcsec
    plain = header.copy()
    plain.remove("ANGLE", ignore_missing=True)  # of a cut-out: how it was turned
    try:
        side = pixel_scale.pixel_arcmin(plain, len(data))
    except ValueError as error:
        raise InputError(f"{source}: {error}; give --pixel-arcsec") from None
    if side is None:
        raise InputError(f"{source}: its header does not say the pixel scale; give --pixel-arcsec")
    return 60 * side


def _celestial(header: Any) -> Any:
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = WCS(header)
        except Exception:  # cards that no library understands: then there are none
            return None
    return found if found.naxis == 2 and found.has_celestial else None


def _archive(path: Path, names: Mapping[str, str], pixel_arcsec: float | None) -> list[Cutout]:
    """Read an NPZ of images (image, y, x, band), bands, pixel_arcsec, names and mask."""
    data = read_arrays(path)
    for name in ("images", "bands"):
        if name not in data:
            raise InputError(f"{path}: holds no array {name!r}; see docs/how-to/find-lenses.md")
    images = data["images"]
    called = [str(name) for name in np.atleast_1d(data["bands"]).astype("U")]
    if images.ndim != 4 or images.dtype.kind not in "fiu" or images.shape[3] != len(called):
        raise InputError(
            f"{path}: images of shape {images.shape} and {len(called)} bands; give (image, y, x, "
            "band)"
        )
    missing = [name for name in names.values() if name not in called]
    if missing:
        raise InputError(
            f"{path}: no band {', '.join(missing)}, only {', '.join(called)}; the network reads "
            f"{', '.join(names)} (--band BAND=NAME where the file calls it otherwise)"
        )
    sides = np.atleast_1d(data.get("pixel_arcsec", np.array(pixel_arcsec or math.nan)))
    if sides.dtype.kind not in "fiu" or sides.size not in (1, len(called)):
        raise InputError(f"{path}: pixel_arcsec has {sides.size} values; give one, or one a band")
    sides = np.broadcast_to(np.asarray(sides, float).ravel(), len(called))
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise InputError(f"{path}: pixel_arcsec is {sides.tolist()}; give the side of a pixel")
    hidden = data.get("mask", np.zeros(images.shape[:3], bool))
    if hidden.shape not in (images.shape, images.shape[:3]):
        raise InputError(f"{path}: mask of shape {hidden.shape} for images of {images.shape}")
    hidden = np.broadcast_to(hidden if hidden.ndim == 4 else hidden[..., None], images.shape)
    titles = [str(name) for name in np.atleast_1d(data.get("names", np.arange(len(images))))]
    if len(titles) != len(images):
        raise InputError(f"{path}: {len(titles)} names for {len(images)} images")
    cutouts = []
    for title, image, bad in zip(titles, images, hidden, strict=True):
        seen = {}
        for band, name in names.items():
            k = called.index(name)
            source = f"{path}[{title}, {name}]"
            good = _without(source, np.asarray(image[..., k], float), [("mask", bad[..., k])])
            seen[band] = Exposure(source, good, float(sides[k]))
        cutouts.append(Cutout(title, seen))
    return cutouts


# ---- to the network's pixels ---------------------------------------------------------------------


def overlap(pixels: int, side: float, native: int, native_side: float, middle: float) -> np.ndarray:
    """Return (pixel, native pixel): the share of a native pixel that lies within a pixel, one axis.

    Parameters
    ----------
    middle : native pixel, from the first one's centre, on which the pixels' middle lies.

    """
    edges = (np.arange(pixels + 1) - pixels / 2) * side
    native_edges = (np.arange(native + 1) - 0.5 - middle) * native_side
    low = np.maximum(edges[:-1, None], native_edges[None, :-1])
    high = np.minimum(edges[1:, None], native_edges[None, 1:])
    return np.maximum(high - low, 0) / native_side


def resampled(
    exposure: Exposure, pixels: int, side: float, middle: tuple[float, float]
) -> np.ndarray:
    """Bring an image to pixels of another side, flux kept: (y, x), NaN where half is not known.

    Parameters
    ----------
    middle : column and row, from the first pixel's centre, of what comes to the middle.

    """
    height, width = exposure.data.shape
    columns = overlap(pixels, side, width, exposure.pixel_arcsec, middle[0])
    rows = overlap(pixels, side, height, exposure.pixel_arcsec, middle[1])
    known = np.isfinite(exposure.data)
    light = rows @ np.where(known, exposure.data, 0) @ columns.T
    # Native pixels in a pixel, were all of them known.
    covered = rows @ known @ columns.T / (side / exposure.pixel_arcsec) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(covered > 0.5, light / covered, np.nan)


def corner_noise(image: np.ndarray) -> np.ndarray:
    """Return the noise of an image (y, x, band), (band,): the spread within its four corners.

    1.4826 times the median distance from each corner's median, mean over corners: neighbours' noise
    may be correlated, and noise maps of pipelines may be floors. Pixels without data do not count.
    """
    spread = []
    for corner in _corners(image):
        distance = np.abs(corner - np.nanmedian(corner, 0))
        spread.append(np.nanmedian(distance, 0))
    return np.asarray(1.4826 * np.nanmean(spread, 0))


def _corners(image: np.ndarray) -> list[np.ndarray]:
    side = max(image.shape[0] // 6, 2)
    cut = slice(None, side), slice(-side, None)
    return [image[rows, columns].reshape(-1, image.shape[-1]) for rows in cut for columns in cut]


def bring(cutout: Cutout, finder: Finder, fill: bool = False, seed: int = 0) -> Brought:
    """Bring an object to what a network reads.

    Parameters
    ----------
    fill : whether any share of the network's field may hold no data.
    seed : of the noise there.

    Raises
    ------
    InputError
        When an image is smaller than the network's field or holds too little, or bands are turned
        against each other.

    """
    exposures = [cutout.bands[band] for band in finder.bands]
    middles, shift = _middles(cutout.name, exposures)
    light = np.stack(
        [
            resampled(exposure, finder.pixels, finder.pixel_arcsec, middle)
            for exposure, middle in zip(exposures, middles, strict=True)
        ],
        -1,
    )
    missing = np.isnan(light)
    filled = 100 * missing.mean((0, 1))
    worst = int(filled.argmax())
    if filled[worst] > MOST_FILLED_PERCENT and not fill:
        raise InputError(_too_little(exposures[worst], finder, float(filled[worst])))
    if filled[worst] == 100:
        raise InputError(f"{exposures[worst].source}: nothing of it lies in the network's field")
    light, noise = _filled(light, cutout.name, seed)
    sky = np.median(np.concatenate(_corners(light)), 0)
    return Brought(
        cutout.name,
        SCALINGS[finder.scaling](light - sky, noise),
        light,
        float(filled[worst]),
        shift,
        tuple(exposure.source for exposure in exposures),
        tuple(exposure.pixel_arcsec for exposure in exposures),
        noise,
    )


def _too_little(exposure: Exposure, finder: Finder, filled: float) -> str:
    height, width = (n * exposure.pixel_arcsec for n in exposure.data.shape)
    if min(height, width) < finder.field_arcsec:
        return (
            f"{exposure.source}: {width:.3g} x {height:.3g} arcsec, smaller than the "
            f"{finder.field_arcsec:.3g} that {finder.name} reads; cut it out larger, or let the "
            "rest be filled with noise (--fill)"
        )
    return (
        f"{exposure.source}: {filled:.0f} % of the {finder.field_arcsec:.3g} arcsec that "
        f"{finder.name} reads hold no data; cut it out anew, or let them be filled with noise "
        "(--fill)"
    )


def _filled(light: np.ndarray, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Put sky and noise where there are no data; return the noise, (band,), too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # corners without data
        noise = corner_noise(light)
        sky = np.nanmedian(np.concatenate(_corners(light)), 0)
    # Corners may all be without data; then what is there must do.
    known = np.array([np.isfinite(noise), np.isfinite(sky)]).all(0) & (noise > 0)
    every = light.reshape(-1, light.shape[-1])
    middle = np.nanmedian(every, 0)
    spread = 1.4826 * np.nanmedian(np.abs(every - middle), 0)
    noise = np.where(known, noise, np.maximum(spread, 1e-12 * np.nanmax(np.abs(every), 0)))
    sky = np.where(known, sky, middle)
    drawn = randomness.generator(seed, f"no data in {name}").standard_normal(light.shape)
    return np.where(np.isnan(light), sky + noise * drawn, light), noise


def _middles(name: str, exposures: Sequence[Exposure]) -> tuple[list[tuple[float, float]], float]:
    """Return the (column, row) of each image that come together, and by how much they moved."""
    middles = [((e.data.shape[1] - 1) / 2, (e.data.shape[0] - 1) / 2) for e in exposures]
    if any(exposure.wcs is None for exposure in exposures):
        return middles, 0.0
    first = _direction(exposures[0].wcs)
    for exposure in exposures[1:]:
        turned = (_direction(exposure.wcs)[0] - first[0] + 180) % 360 - 180
        if abs(turned) > SAME_DIRECTION_DEGREES or _direction(exposure.wcs)[1] != first[1]:
            how = "mirrored" if _direction(exposure.wcs)[1] != first[1] else f"{turned:.0f} degrees"
            raise InputError(
                f"{exposure.source}: turned against {exposures[0].source} ({how}); bring the bands "
                f"of {name} to one direction first, for example with reproject"
            )
    sky = exposures[0].wcs.pixel_to_world(*middles[0])
    moved, shift = [], 0.0
    for exposure, middle in zip(exposures, middles, strict=True):
        column, row = (float(value) for value in exposure.wcs.world_to_pixel(sky))
        distance = math.hypot(column - middle[0], row - middle[1]) * exposure.pixel_arcsec
        if not math.isfinite(distance):
            raise InputError(f"{exposure.source}: does not lie where {exposures[0].source} does")
        moved.append((column, row))
        shift = max(shift, distance)
    return moved, shift


def _direction(wcs: Any) -> tuple[float, bool]:
    """Return the angle of the second axis [degrees], and whether the image is mirrored."""
    matrix = wcs.pixel_scale_matrix
    angle = math.degrees(math.atan2(-matrix[0, 1] * np.sign(matrix[0, 0] or 1), matrix[1, 1]))
    return angle, bool(np.linalg.det(matrix) > 0)

"""Sets of images: simulated ones, and those that users bring.

A lens is what the Lens Finding Challenge 2.0 calls one: magnified more than 1.6 times and with arcs
on at least twenty pixels. Scenes whose arcs are less than that are drawn again, but for compound
lenses with the sources of a released code, which took what it drew.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kappascope import progress
from kappascope.errors import InputError
from kappascope.files import atomic_path, read_arrays
from kappascope.stronglens import imaging, surveys
from kappascope.stronglens.config import Images as ImageSettings
from kappascope.stronglens.populations import NON_LENSES, Drawn, Population

LEAST_MAGNIFICATION = 1.6
LEAST_PIXELS = 20
ATTEMPTS = 40
NOISE = "strong lens noise"
AT_ONCE = 1024
"""Images whose light is in memory at a time."""


@dataclasses.dataclass(frozen=True)
class Images:
    """Images as networks see them, and what is known of each.

    Attributes
    ----------
    x : (image, y, x, band) float16, from :func:`imaging.stretched`.
    kind : (image,) names of :data:`populations.KINDS`.
    colour : (image,) of the source, or empty.
    einstein_radius, source_magnitude : (image,); 0 and NaN without a lens.
    place : (image, 2) column and row of the main galaxy, from the image's middle [pixel].
    index, attempt : (image,) what each scene was drawn from.
    arc_mask : (image, y, x) where lensed light exceeds the noise.
    arc_signal : (image,) signal-to-noise of all lensed light.

    """

    x: np.ndarray
    kind: np.ndarray
    colour: np.ndarray
    einstein_radius: np.ndarray
    source_magnitude: np.ndarray
    place: np.ndarray
    index: np.ndarray
    attempt: np.ndarray
    arc_mask: np.ndarray
    arc_signal: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.x)

    def select(self, rows: Any) -> "Images":
        """Return some of the images."""
        return Images(**{f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)})

    def of(self, *kinds: str) -> "Images":
        """Return the images of some kinds."""
        return self.select(np.isin(self.kind, kinds))

    @property
    def lenses(self) -> np.ndarray:
        """Return which images show a lens of any kind, (image,) bool."""
        return ~np.isin(self.kind, NON_LENSES)


def camera_of(section: ImageSettings) -> imaging.Camera:
    """Return the camera of the config."""
    names = ("pixels", "pixel_arcsec", "oversampling")
    survey = surveys.read(section.survey)
    given = {k: getattr(section, k) for k in names}
    return imaging.Camera(**given, bands=tuple(section.bands), survey=survey)


def population_of(section: ImageSettings) -> Population:
    """Return the population of the config."""
    bright, faint = section.source_magnitudes
    return Population(
        section.reach_arcsec, (bright, faint), section.red_sources, section.compound_sources
    )


def drawn(
    population: Population,
    camera: imaging.Camera,
    seed: int,
    split: str,
    kind: str,
    number: int,
    first: int = 0,
) -> tuple[list[Drawn], imaging.Observed, np.ndarray]:
    """Draw scenes of one kind and observe them, those that are no lens again.

    Parameters
    ----------
    number : of scenes.
    first : index of the first of them.

    Returns
    -------
    The scenes, their light, and each one's attempt.

    Raises
    ------
    InputError
        When scenes remain that are no lens: sources too faint for the noise.

    """
    lensed = kind not in NON_LENSES
    attempt = np.zeros(number, int)
    scenes = [population.draw(seed, split, kind, first + k, 0) for k in range(number)]
    light = imaging.observe(camera, imaging.scenes_of(scenes), lensed)
    while population.must_show_arcs(kind):
        weak = np.flatnonzero(~is_lens(light, camera))
        if not len(weak):
            break
        attempt[weak] += 1
        if attempt.max() > ATTEMPTS:
            raise InputError(
                f"wilde2022.images.source_magnitudes: {len(weak)} of {number} sources show no arcs "
                f"of {LEAST_PIXELS} pixels in {ATTEMPTS} draws; make sources brighter"
            )
        for k in weak:
            scenes[k] = population.draw(seed, split, kind, first + int(k), int(attempt[k]))
        again = imaging.observe(camera, [scenes[k].scene for k in weak], lensed)
        for field in dataclasses.fields(imaging.Observed):
            getattr(light, field.name)[weak] = getattr(again, field.name)
    return scenes, light, attempt


def is_lens(light: imaging.Observed, camera: imaging.Camera) -> np.ndarray:
    """Return which images show a lens, (image,)."""
    pixels = light.arc_mask(camera).sum((1, 2))
    return (light.magnification > LEAST_MAGNIFICATION) & (pixels >= LEAST_PIXELS)


def simulate(
    population: Population,
    camera: imaging.Camera,
    seed: int,
    split: str,
    numbers: Mapping[str, int],
) -> Images:
    """Simulate images of several kinds.

    Parameters
    ----------
    split : ``training`` or ``testing``: other scenes, other noise.
    numbers : kind → how many.

    """
    pieces: list[dict[str, np.ndarray]] = []
    with progress.bar(sum(numbers.values()), f"{split} images", unit="image") as shown:
        # Light is in memory for some images at a time; each depends on its own index only.
        for kind, first, number in (
            (kind, first, min(AT_ONCE, total - first))
            for kind, total in numbers.items()
            for first in range(0, total, AT_ONCE)
        ):
            indices = range(first, first + number)
            scenes, light, attempt = drawn(population, camera, seed, split, kind, number, first)
            noise = camera.noise(light.light, seed, f"{NOISE}: {split} {kind}", indices)
            seen = imaging.stretched(light.light + noise, camera.sky_noise())
            pieces.append(
                {
                    "x": seen.astype(np.float16),
                    "kind": np.full(number, kind),
                    "colour": np.array([each.colour for each in scenes]),
                    "einstein_radius": np.array([each.einstein_radius for each in scenes]),
                    "source_magnitude": np.array([each.source_magnitude for each in scenes]),
                    "place": np.array([each.place for each in scenes]) / camera.pixel_arcsec,
                    "index": np.array(indices),
                    "attempt": attempt,
                    "arc_mask": light.arc_mask(camera),
                    "arc_signal": light.arc_signal(camera),
                }
            )
            shown.update(number)
    return Images(**{name: np.concatenate([p[name] for p in pieces]) for name in pieces[0]})


def save(path: str | Path, sets: Mapping[str, Images]) -> None:
    """Write sets of images as HDF5."""
    with atomic_path(path) as scratch, h5py.File(scratch, "w", track_order=False) as handle:
        for name, images in sets.items():
            group = handle.create_group(name)
            for field in dataclasses.fields(images):
                values = getattr(images, field.name)
                if values.dtype.kind == "U":
                    values = values.astype("S")
                group.create_dataset(field.name, data=values)


def load(path: str | Path, name: str) -> Images:
    """Read one set of what :func:`save` wrote."""
    with h5py.File(path) as handle:
        arrays = {field.name: handle[name][field.name][:] for field in dataclasses.fields(Images)}
    return Images(**{k: v.astype("U") if v.dtype.kind == "S" else v for k, v in arrays.items()})


def spread(rows: np.ndarray, number: int) -> np.ndarray:
    """Take some rows, at equal steps through all of them: every kind in its share."""
    return rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)]


def joined(*sets: Images) -> Images:
    """Return the images of several sets."""
    return Images(
        **{
            field.name: np.concatenate([getattr(one, field.name) for one in sets])
            for field in dataclasses.fields(Images)
        }
    )


# ---- augmentation --------------------------------------------------------------------------------


def turned(
    x: np.ndarray, targets: np.ndarray, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror and transpose images at random; places in targets follow.

    Parameters
    ----------
    x : (image, y, x, band).
    targets : (image,) class numbers, or (image, 4) whether a lens, column, row, θ_E.

    """
    left, up, swap = draw.uniform(size=(3, len(x))) < 0.5
    x = np.where(left[:, None, None, None], x[:, :, ::-1], x)
    x = np.where(up[:, None, None, None], x[:, ::-1], x)
    x = np.where(swap[:, None, None, None], x.swapaxes(1, 2), x)
    if targets.ndim == 1:
        return x, targets
    targets = targets.copy()
    targets[left, 1] *= -1
    targets[up, 2] *= -1
    targets[swap, 1:3] = targets[swap, 2:0:-1]
    return x, targets


# ---- users' images -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Own:
    """Images that a user brings, as networks see them.

    Attributes
    ----------
    names : (image,).
    x : (image, y, x, band) float32.

    """

    names: list[str]
    x: np.ndarray


DARKEST, BRIGHTEST = -50.0, 1e7
"""Light of a pixel over its noise: whatever is beyond marks a pixel without data."""


def _check_light(
    path: str | Path, names: Sequence[str], light: np.ndarray, bands: Sequence[str]
) -> None:
    """Refuse images (image, y, x, band), in units of their noise, that are not all light."""
    for name, image in zip(names, light, strict=True):
        bad = ~((image >= DARKEST) & (image <= BRIGHTEST))
        if bad.any():
            raise InputError(
                f"{path}: {np.count_nonzero(bad)} pixels of image {name} are NaN or infinite or "
                f"hold what no sky does ({image[bad][0]:.3g} times the noise); fill them or leave "
                "the image out"
            )
        flat = np.ptp(image, axis=(0, 1)) == 0
        if flat.any():
            band = bands[int(np.flatnonzero(flat)[0])]
            raise InputError(
                f"{path}: image {name} is the same everywhere in band {band}; leave it out"
            )


def _texts(path: str | Path, field: str, values: np.ndarray) -> list[str]:
    """Read a list of texts; FITS and HDF5 keep them as bytes."""
    listed = np.atleast_1d(values)
    if listed.ndim != 1:
        raise InputError(f"{path}: {field} has shape {listed.shape}; give one text for each")
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in listed.tolist()
    ]


def read_own(path: str | Path, camera: imaging.Camera) -> Own:
    """Read a user's images, an ``.npz`` with what the networks need to know.

    Arrays: ``images`` (image, y, x, band), ``noise`` (band,) standard deviation of an empty pixel
    in the same units, ``bands`` their names, ``pixel_arcsec``; ``names`` (image,) where wanted.

    Raises
    ------
    InputError
        When something is missing, of another size, band or pixel scale, or an image holds NaN,
        marks of missing data or nothing.

    """
    data = read_arrays(path)
    for name in ("images", "noise", "bands", "pixel_arcsec"):
        if name not in data:
            raise InputError(f"{path}: holds no array {name!r}; see docs/how-to/find-lenses.md")
    images, side, wanted = data["images"], camera.pixels, list(camera.bands)
    bands = _texts(path, "bands", data["bands"])
    for name in ("images", "noise", "pixel_arcsec"):
        if data[name].dtype.kind not in "fiu" or not data[name].size:
            raise InputError(f"{path}: {name} holds no real numbers")
    if images.ndim != 4 or images.shape[1:3] != (side, side):
        raise InputError(
            f"{path}: images of shape {images.shape}, the networks read (image, {side}, {side}, "
            f"{len(wanted)}); cut them out anew, or set wilde2022.images.pixels and train again"
        )
    if images.shape[3] != len(wanted) or bands != wanted:
        raise InputError(
            f"{path}: {images.shape[3]} bands, called {', '.join(bands)}; the networks read "
            f"{', '.join(wanted)} in this order"
        )
    if data["pixel_arcsec"].size != 1:
        raise InputError(
            f"{path}: pixel_arcsec is {data['pixel_arcsec'].tolist()}; give one number, which all "
            "bands share"
        )
    scale = float(data["pixel_arcsec"].item())
    if not math.isclose(scale, camera.pixel_arcsec, rel_tol=0.02):
        raise InputError(
            f"{path}: pixel_arcsec is {scale:g}, the networks read pixels of "
            f"{camera.pixel_arcsec:g} arcsec; resample the images"
        )
    noise = np.asarray(data["noise"], float)
    if noise.shape != (len(wanted),) or not (np.isfinite(noise).all() and (noise > 0).all()):
        raise InputError(f"{path}: noise is {noise}; give one positive number for each band")
    names = _texts(path, "names", data.get("names", np.arange(len(images))))
    if len(names) != len(images):
        raise InputError(f"{path}: {len(names)} names for {len(images)} images")
    _check_light(path, names, images / noise, wanted)
    return Own(names, imaging.stretched(images, noise))

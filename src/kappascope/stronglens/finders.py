"""Networks that find lenses, and what they read: ``about.json`` beside a network.

It names the bands in the network's order, the images' pixels and their side, the classes of the
outputs, and how light becomes what the network sees. The released networks of Wilde et al. (2022)
have one, and so have the networks of a run.
"""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError, nearest, shown
from kappascope.files import checkout, write_json
from kappascope.networks import description
from kappascope.networks.description import Network, Parameters
from kappascope.stronglens import imaging

ABOUT = "about.json"
LENS = "lens"

UNIT_RANGE = "each band of each image to [0, 1] by its own minimum and maximum"
ARCSINH = "arcsinh(I / 3 sigma), sigma the noise of an empty pixel, sky subtracted"


def unit_range(light: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """Bring each band of each image (..., y, x, band) from its own range to [0, 1]."""
    low, high = light.min((-3, -2), keepdims=True), light.max((-3, -2), keepdims=True)
    return np.asarray((light - low) / np.where(high > low, high - low, 1), np.float32)


SCALINGS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    UNIT_RANGE: unit_range,
    ARCSINH: imaging.stretched,
}
"""What about.json may say of light → (image (y, x, band), noise (band,)) → what networks see."""


@dataclasses.dataclass(frozen=True)
class Finder:
    """A network and the images that it reads.

    Attributes
    ----------
    name : what to call it.
    model : the network and its parameters.
    bands : that it reads, in its order.
    pixels, pixel_arcsec : of the images that it reads.
    outputs : classes of its first outputs.
    scaling : a key of :data:`SCALINGS`.

    """

    name: str
    model: tuple[Network, Parameters]
    bands: tuple[str, ...]
    pixels: int
    pixel_arcsec: float
    outputs: tuple[str, ...] = ("non-lens", LENS)
    scaling: str = UNIT_RANGE

    @property
    def sampling(self) -> tuple[int, float]:
        """Number and side of the pixels."""
        return self.pixels, self.pixel_arcsec

    @property
    def field_arcsec(self) -> float:
        """Side of the images."""
        return self.pixels * self.pixel_arcsec

    @property
    def lens(self) -> int:
        """The output for lenses."""
        return self.outputs.index(LENS)


def describe(
    folder: Path, bands: Sequence[str], pixels: int, pixel_arcsec: float, outputs: Sequence[str]
) -> None:
    """Write ``about.json`` for a network that reads stretched images."""
    content = {
        "bands": list(bands),
        "pixels": pixels,
        "pixel_arcsec": pixel_arcsec,
        "outputs": list(outputs),
        "scaling": ARCSINH,
    }
    write_json(folder / ABOUT, content)


def read(folder: Path) -> Finder:
    """Read a network and what ``about.json`` says of its images.

    Raises
    ------
    InputError
        When a file is missing, or the description does not fit the network.

    """
    network, parameters, _ = description.load(folder)
    path = folder / ABOUT
    if not path.is_file():
        raise InputError(
            f"{path}: not found; it says which bands, pixels and scaling the network reads "
            "(docs/how-to/find-lenses.md)"
        )
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not JSON ({error}); correct it") from None
    return _described(path, about, (network, parameters))


def _described(path: Path, about: Any, model: tuple[Network, Parameters]) -> Finder:
    network = model[0]

    def refuse(key: str, wanted: str) -> InputError:
        got = shown(about.get(key)) if key in about else "nothing"
        return InputError(f"{path}: {key}: got {got}; give {wanted}")

    if not isinstance(about, dict):
        raise InputError(f"{path}: holds {shown(about)}; give bands, pixels, pixel_arcsec, scaling")
    bands: Any = about.get("bands")
    if not _texts(bands) or len(set(bands)) != len(bands):
        raise refuse("bands", "the names of the bands in the network's order")
    pixels, side = about.get("pixels"), about.get("pixel_arcsec")
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 1:
        raise refuse("pixels", "the number of pixels on a side")
    if isinstance(side, bool) or not isinstance(side, int | float) or not 0 < side < math.inf:
        raise refuse("pixel_arcsec", "the side of a pixel [arcsec]")
    outputs: Any = about.get("outputs", ["non-lens", LENS])
    if not _texts(outputs) or outputs.count(LENS) != 1 or len(outputs) > network.outputs:
        raise refuse("outputs", f"the classes of the outputs, one of them {LENS!r}")
    scaling = about.get("scaling", UNIT_RANGE)
    if scaling not in SCALINGS:
        raise refuse("scaling", " or ".join(repr(name) for name in SCALINGS))
    shape = (pixels, pixels, len(bands))
    if network.input_shape != shape:
        raise InputError(
            f"{path}: {shape} of bands {', '.join(bands)}; the network reads {network.input_shape}"
        )
    folder = path.parent
    # Networks of a run are numbered: finder/0.
    name = f"{folder.parent.name}/{folder.name}" if folder.name.isdigit() else folder.name
    return Finder(name, model, tuple(bands), pixels, float(side), tuple(outputs), scaling)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def released_folder() -> Path:
    """Return the folder of the released finders, beside the repository unless set otherwise."""
    beside = checkout().parent / "shared" / "realdata"
    real = Path(os.environ.get("KAPPASCOPE_REAL_DATA", beside))
    return real / "published_networks" / "wilde2022"


def named(network: str) -> Finder:
    """Read a finder by its folder, or by the name of a released one.

    Raises
    ------
    InputError
        When there is neither.

    """
    if Path(network).is_dir():
        return read(Path(network))
    folder = released_folder()
    known = sorted(path.name for path in folder.glob("*") if (path / ABOUT).is_file())
    if network in known:
        return read(folder / network)
    there = f"{', '.join(known)}{nearest(network, known)}" if known else "none here"
    raise InputError(
        f"--network: {network[:200]}: no folder of a network, and of the released ones there is "
        f"{there} (set KAPPASCOPE_REAL_DATA to the folder that holds published_networks)"
    )

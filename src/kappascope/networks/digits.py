"""Images of digits, and networks that read them: the LeNet of Singh et al. (2020), own ones."""

import dataclasses
import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.files import read_arrays
from kappascope.networks import classification, learning
from kappascope.networks.architectures import digit_cnn, lenet
from kappascope.networks.config import Digits as DigitNetworks
from kappascope.networks.description import Network, Parameters
from kappascope.networks.learning import Learns

MNIST, BUNDLED = "MNIST test digits", "scikit-learn's digits, 8×8"
RELEASED, OWN = "released LeNet", "own network"
PIXELS, LENET_PIXELS, CLASSES = 28, 32, 10

_LENET_ARRAYS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "c1": ("convnet.c1", (6, 1, 5, 5)),
    "c2": ("convnet.c3", (16, 6, 5, 5)),
    "c3": ("convnet.c5", (120, 16, 5, 5)),
    "f4": ("fc.f6", (84, 120)),
    "f5": ("fc.f7", (10, 84)),
}
"""Our nodes → names of the released arrays and shapes of the weights."""


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images and what they show.

    Attributes
    ----------
    images : (digit, 28, 28) from 0 to 1.
    labels : (digit,).
    source : what they are, as tables and figures say it.

    """

    images: np.ndarray
    labels: np.ndarray
    source: str


@dataclasses.dataclass(frozen=True)
class Reader:
    """A network and how it wants its digits.

    Attributes
    ----------
    name : as tables and figures say it.
    resize : (pixel, 28) matrix that acts on rows and columns.

    """

    name: str
    network: Network
    parameters: Parameters
    resize: np.ndarray

    def see(self, images: np.ndarray) -> np.ndarray:
        """Return (digit, y, x, 1) inputs of (digit, 28, 28) images; linear."""
        return resized(images, self.resize)[..., None]


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """Read an array of bytes from a gzipped IDX file, the format of MNIST.

    Raises
    ------
    InputError
        When the file is something else, damaged or has another number of dimensions.

    """
    try:
        with gzip.open(path) as handle:
            content = handle.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); fetch the file again") from None
    expected = bytes([0, 0, 8, dimensions])
    if content[:4] != expected or len(content) < 4 + 4 * dimensions:
        raise InputError(
            f"{path}: starts with {content[:4].hex()}, an IDX file of {dimensions} dimensions of "
            f"bytes with {expected.hex()}; give a file of MNIST"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if len(values) != math.prod(shape):
        raise InputError(
            f"{path}: holds {len(values)} bytes, its header says "
            f"{'×'.join(map(str, shape))}; fetch the file again"
        )
    return values.reshape(shape)


def read_mnist(images_path: str | Path, labels_path: str | Path) -> Digits:
    """Read digits and labels of MNIST."""
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (PIXELS, PIXELS):
        raise InputError(f"{images_path}: digits of {images.shape[1:]} pixels, MNIST has 28×28")
    if len(images) != len(labels) or labels.max(initial=0) >= CLASSES:
        raise InputError(
            f"{labels_path}: {len(labels)} labels up to {labels.max(initial=0)} for {len(images)} "
            "digits; give the labels of the same digits, 0 to 9"
        )
    return Digits(images.astype(np.float32) / 255, labels.astype(int), MNIST)


def bundled_digits() -> Digits:
    """Return the digits that scikit-learn brings, made as large as MNIST's."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = resized(digits.images.astype(np.float32) / 16, bilinear(8, PIXELS))
    return Digits(images, digits.target, BUNDLED)


def bilinear(pixels: int, wanted: int) -> np.ndarray:
    """Return the (wanted, pixels) matrix of bilinear enlargement.

    Pixel i of the larger image looks at (i + 1/2) · pixels / wanted − 1/2, not past the edge.
    """
    place = np.clip((np.arange(wanted) + 0.5) * pixels / wanted - 0.5, 0, pixels - 1)
    weight = 1 - np.abs(place[:, None] - np.arange(pixels))
    return np.maximum(weight, 0).astype(np.float32)


def resized(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Act on rows and columns: (digit, y, x) → (digit, wanted, wanted)."""
    return matrix @ images @ matrix.T


def divided(digits: Digits, settings: DigitNetworks, seed: int) -> tuple[Digits, Digits]:
    """Return digits for training and for testing."""
    order = randomness.generator(seed, "training digits").permutation(len(digits.labels))
    cut = round(len(order) * settings.training_percent / 100)
    training, test = (
        dataclasses.replace(digits, images=digits.images[rows], labels=digits.labels[rows])
        for rows in (order[:cut], order[cut:])
    )
    return training, test


def released_lenet(path: str | Path) -> Reader:
    """Load the weights that Singh et al. released.

    They learned from digits enlarged to 32×32 pixels (bilinear), from 0 to 1.

    Raises
    ------
    InputError
        When arrays are missing or of other shapes.

    """
    arrays = read_arrays(path)
    parameters: Parameters = {}
    for node, (theirs, shape) in _LENET_ARRAYS.items():
        for name, expected in ((f"{theirs}.weight", shape), (f"{theirs}.bias", shape[:1])):
            got = arrays[name].shape if name in arrays else "nothing"
            if got != expected:
                raise InputError(
                    f"{path}: {name} is {got}, the released LeNet has {expected}; give its weights"
                )
        kernel = arrays[f"{theirs}.weight"]
        # (out, in, y, x) → (y, x, in, out); (out, in) → (in, out).
        parameters[f"{node}.kernel"] = kernel.transpose(*range(2, kernel.ndim), 1, 0)
        parameters[f"{node}.bias"] = arrays[f"{theirs}.bias"]
    network = lenet(LENET_PIXELS, CLASSES)
    return Reader(RELEASED, network, parameters, bilinear(PIXELS, LENET_PIXELS))


def own_network(
    digits: Digits,
    settings: DigitNetworks,
    seed: int,
    index: int,
    learns: Learns = learning.LABELS,
) -> Reader:
    """Train a small network on digits."""
    network = digit_cnn(PIXELS, CLASSES)
    name = OWN if settings.networks == 1 else f"{OWN} {index + 1}"
    parameters = classification.train(
        network,
        digits.images[..., None],
        digits.labels,
        classification.Settings(settings.epochs, settings.batch, settings.learning_rate),
        seed,
        index,
        f"digits: {name}",
        learns=learns,
    )
    return Reader(name, network, parameters, np.eye(PIXELS, dtype=np.float32))

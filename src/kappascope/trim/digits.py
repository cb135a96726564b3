"""Which digit a part of a digit speaks for: Figure S3 of Singh et al. (2020).

Non-negative matrix factorization writes a digit as x ≈ s · H with few non-negative images H. The
part s_k H_k of each digit is followed through a network by contextual decomposition; the basis
image H_k is named after the class that its parts speak for most, on average over all test digits.
"""

import dataclasses
import gzip
import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from kappascope import randomness
from kappascope.attribution.transforms import Matrix, decomposed, transformed
from kappascope.errorbars import error_of_mean
from kappascope.errors import InputError
from kappascope.files import read_arrays
from kappascope.networks import classification
from kappascope.networks.architectures import digit_cnn, lenet
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate

MNIST, BUNDLED = "MNIST test digits", "scikit-learn's digits, 8×8"
RELEASED, OWN = "released LeNet", "own network"
PIXELS, LENET_PIXELS, CLASSES = 28, 32, 10
METHODS = ("cd", "input_x_gradient")
REMOVAL, USE = "removal", "use"
COLUMNS = (
    "model",
    "method",
    "component",
    "class",
    "score",
    "error",
    "runner_up",
    "runner_up_score",
    "margin",
    "margin_error",
    "class_by_removal",
    "class_by_use",
    "digits",
)
ACCURACY_COLUMNS = ("model", "source", "accuracy_percent", "error_percent", "digits")
AGREEMENT_COLUMNS = (
    "first",
    "second",
    "agreement_percent",
    "error_percent",
    "chance_percent",
    "components",
)

_LENET_ARRAYS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "c1": ("convnet.c1", (6, 1, 5, 5)),
    "c2": ("convnet.c3", (16, 6, 5, 5)),
    "c3": ("convnet.c5", (120, 16, 5, 5)),
    "f4": ("fc.f6", (84, 120)),
    "f5": ("fc.f7", (10, 84)),
}
"""Our nodes → names of the released arrays and shapes of the weights."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Section ``digits`` of the config.

    Attributes
    ----------
    components : basis images.
    training_percent : of the digits, for the basis and the own networks; the others are tests.
    attributed : test digits to average attributions over.
    networks : own networks, from different initial weights.
    epochs, batch, learning_rate : of their training.

    """

    components: int
    training_percent: float
    attributed: int
    networks: int
    epochs: int
    batch: int
    learning_rate: float


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


# ---- digits --------------------------------------------------------------------------------------


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
    found = load_digits()
    images = resized(found.images.astype(np.float32) / 16, bilinear(8, PIXELS))
    return Digits(images, found.target, BUNDLED)


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


# ---- networks ------------------------------------------------------------------------------------


def released_lenet(path: str | Path) -> Reader:
    """Load the weights that Singh et al. released.

    They learned from digits enlarged to 32×32 pixels (bilinear), from 0 to 1.

    Raises
    ------
    InputError
        When arrays are missing or of other shapes.

    """
    found = read_arrays(path)
    parameters: Parameters = {}
    for node, (theirs, shape) in _LENET_ARRAYS.items():
        for name, expected in ((f"{theirs}.weight", shape), (f"{theirs}.bias", shape[:1])):
            got = found[name].shape if name in found else "nothing"
            if got != expected:
                raise InputError(
                    f"{path}: {name} is {got}, the released LeNet has {expected}; give its weights"
                )
        kernel = found[f"{theirs}.weight"]
        # (out, in, y, x) → (y, x, in, out); (out, in) → (in, out).
        parameters[f"{node}.kernel"] = kernel.transpose(*range(2, kernel.ndim), 1, 0)
        parameters[f"{node}.bias"] = found[f"{theirs}.bias"]
    network = lenet(LENET_PIXELS, CLASSES)
    return Reader(RELEASED, network, parameters, bilinear(PIXELS, LENET_PIXELS))


def own_network(digits: Digits, settings: Settings, seed: int, index: int) -> Reader:
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
    )
    return Reader(name, network, parameters, np.eye(PIXELS, dtype=np.float32))


def accuracy_row(reader: Reader, digits: Digits) -> dict[str, Any]:
    """Return a row of ``digits_accuracy.csv``, with the binomial error."""
    outputs = evaluate(reader.network, reader.parameters, reader.see(digits.images))
    share = np.mean(outputs.argmax(1) == digits.labels)
    return {
        "model": reader.name,
        "source": digits.source,
        "accuracy_percent": 100 * share,
        "error_percent": 100 * math.sqrt(share * (1 - share) / len(digits.labels)),
        "digits": len(digits.labels),
    }


# ---- basis and attribution -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Basis:
    """Non-negative images and how much of each some digits hold.

    Attributes
    ----------
    images : (component, 28, 28), the largest pixel of each 1.
    coefficients : (digit, component).

    """

    images: np.ndarray
    coefficients: np.ndarray


def fit_basis(training: np.ndarray, test: np.ndarray, components: int, seed: int) -> Basis:
    """Factorize training digits and find the coefficients of test digits.

    Parameters
    ----------
    training, test : (digit, 28, 28).

    """
    if not 1 <= components <= len(training):
        raise InputError(
            f"digits.components: got {components}, allowed are 1 to {len(training)}, "
            "the number of training digits"
        )
    number = int(randomness.generator(seed, "basis of digits").integers(2**31))
    # Zeros of the start stay zeros; half of the pixels and components would never be used.
    model = NMF(components, init="nndsvda", max_iter=100, random_state=number)
    with warnings.catch_warnings():
        # The last digits of the basis do not matter: parts and residual add up to the digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(training.reshape(len(training), -1))
        coefficients = model.transform(test.reshape(len(test), -1))
    largest = model.components_.max(1)
    largest = np.where(largest > 0, largest, 1)
    images = (model.components_ / largest[:, None]).reshape(-1, PIXELS, PIXELS)
    return Basis(images.astype(np.float32), (coefficients * largest).astype(np.float32))


def component_scores(reader: Reader, images: np.ndarray, basis: Basis, method: str) -> np.ndarray:
    """Attribute every class to the basis images' parts of digits.

    Returns
    -------
    (digit, component, class).

    """
    seen = reader.see(images)
    # Enlarging is linear: the basis of enlarged digits is the enlarged basis.
    transform = Matrix(
        reader.see(basis.images).reshape(len(basis.images), -1),
        seen.shape[1:],
        fit=lambda x: basis.coefficients,
    )
    model = reader.network, reader.parameters
    if method == "cd":
        relevant, _ = decomposed(model, seen, transform)
        return np.asarray(relevant).transpose(1, 0, 2)
    scores = transformed(method, model, seen, transform, tuple(range(CLASSES)))
    return np.asarray(scores).transpose(1, 2, 0)


def removal_scores(reader: Reader, images: np.ndarray, basis: Basis) -> np.ndarray:
    """Return how far each output falls when a basis image's part is taken out of digits.

    Returns
    -------
    (digit, component, class).

    """

    def outputs(images: np.ndarray) -> np.ndarray:
        return evaluate(reader.network, reader.parameters, reader.see(images))

    whole = outputs(images)
    parts = zip(basis.coefficients.T, basis.images, strict=True)
    return np.stack([whole - outputs(images - s[:, None, None] * h) for s, h in parts], 1)


def class_by_use(basis: Basis, labels: np.ndarray) -> np.ndarray:
    """Return the class whose digits hold most of each basis image, (component,)."""
    means = [
        basis.coefficients[labels == number].mean(0)
        if (labels == number).any()
        else np.full(len(basis.images), -np.inf)
        for number in range(CLASSES)
    ]
    return np.argmax(means, 0)


def component_rows(
    reader: Reader, method: str, scores: np.ndarray, removed: np.ndarray, used: np.ndarray
) -> list[dict[str, Any]]:
    """Name each basis image after the class with the highest mean score: rows of ``digits.csv``.

    Parameters
    ----------
    scores : (digit, component, class).
    removed, used : (component,) classes by removal and by use.

    """
    rows = []
    for component, found in enumerate(scores.swapaxes(0, 1).astype(np.float64)):
        second, first = np.argsort(found.mean(0), kind="stable")[-2:]
        margin = found[:, first] - found[:, second]
        rows.append(
            {
                "model": reader.name,
                "method": method,
                "component": component,
                "class": int(first),
                "score": found[:, first].mean(),
                "error": error_of_mean(found[:, first]),
                "runner_up": int(second),
                "runner_up_score": found[:, second].mean(),
                "margin": margin.mean(),
                "margin_error": error_of_mean(margin),
                "class_by_removal": int(removed[component]),
                "class_by_use": int(used[component]),
                "digits": len(scores),
            }
        )
    return rows


def agreement_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Compare the names of basis images: rows of ``digits_agreement.csv``.

    Names by contextual decomposition, of one model against another's, against what removal and
    input×gradient say of the same model, and against the class whose digits hold most of it.
    ``chance_percent`` is what unrelated names as frequent as these would reach.
    """
    names: dict[str, dict[str, np.ndarray]] = {}
    for row in rows:
        names.setdefault(row["model"], {}).setdefault(row["method"], [])  # type: ignore[arg-type]
    for model, methods in names.items():
        mine = [row for row in rows if row["model"] == model]
        for method in methods:
            methods[method] = np.array([r["class"] for r in mine if r["method"] == method])
        cd = [row for row in mine if row["method"] == "cd"]
        methods[REMOVAL] = np.array([row["class_by_removal"] for row in cd])
        methods[USE] = np.array([row["class_by_use"] for row in cd])
    out = []
    for one, other in combinations(names, 2):
        out.append(_agreement(f"{one}, cd", f"{other}, cd", names[one]["cd"], names[other]["cd"]))
    for model, methods in names.items():
        for method in methods:
            if method != "cd":
                out.append(
                    _agreement(f"{model}, cd", f"{model}, {method}", methods["cd"], methods[method])
                )
    return out


def _agreement(first: str, second: str, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    share = np.mean(one == other)
    chance = (
        np.sum(np.bincount(one, minlength=CLASSES) * np.bincount(other, minlength=CLASSES))
        / len(one) ** 2
    )
    return {
        "first": first,
        "second": second,
        "agreement_percent": 100 * share,
        "error_percent": 100 * math.sqrt(share * (1 - share) / len(one)),
        "chance_percent": 100 * chance,
        "components": len(one),
    }


@dataclasses.dataclass(frozen=True)
class Explained:
    """Everything Figure S3 and its tables need."""

    rows: list[dict[str, Any]]
    accuracy: list[dict[str, Any]]
    agreement: list[dict[str, Any]]
    basis: Basis


def divided(digits: Digits, settings: Settings, seed: int) -> tuple[Digits, Digits]:
    """Return digits for training and for testing."""
    order = randomness.generator(seed, "training digits").permutation(len(digits.labels))
    cut = round(len(order) * settings.training_percent / 100)
    training, test = (
        dataclasses.replace(digits, images=digits.images[rows], labels=digits.labels[rows])
        for rows in (order[:cut], order[cut:])
    )
    return training, test


def explain(
    digits: Digits, settings: Settings, seed: int, weights: str | Path | None = None
) -> Explained:
    """Do the whole of Figure S3.

    Parameters
    ----------
    weights : of the released LeNet, which never learned from MNIST's test digits.

    """
    training, test = divided(digits, settings, seed)
    readers, accuracy = [], []
    if weights is not None:
        readers.append(released_lenet(weights))
        accuracy.append(accuracy_row(readers[0], digits))
    for index in range(settings.networks):
        readers.append(own_network(training, settings, seed, index))
        accuracy.append(accuracy_row(readers[-1], test))
    images, labels = test.images[: settings.attributed], test.labels[: settings.attributed]
    basis = fit_basis(training.images, images, settings.components, seed)
    used, rows = class_by_use(basis, labels), []
    for reader in readers:
        removed = removal_scores(reader, images, basis).mean(0).argmax(1)
        for method in METHODS:
            scores = component_scores(reader, images, basis, method)
            rows += component_rows(reader, method, scores, removed, used)
    return Explained(rows, accuracy, agreement_rows(rows), basis)

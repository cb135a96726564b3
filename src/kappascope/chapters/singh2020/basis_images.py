"""Which digit a part of a digit speaks for: Figure S3 of Singh et al. (2020).

Non-negative matrix factorization writes a digit as x ≈ s · H with few non-negative images H. The
part s_k H_k of each digit is followed through a network by contextual decomposition; the basis
image H_k is named after the class that its parts speak for most, on average over all test digits.
"""

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from kappascope import randomness
from kappascope.attribution.trim import decomposed, transformed
from kappascope.chapters.singh2020.config import BasisImages
from kappascope.errors import InputError
from kappascope.networks import learning
from kappascope.networks.config import Digits as DigitNetworks
from kappascope.networks.digits import (
    CLASSES,
    PIXELS,
    Digits,
    Reader,
    divided,
    own_network,
    released_lenet,
)
from kappascope.networks.evaluate import evaluate
from kappascope.networks.learning import Learns
from kappascope.reporting.errorbars import error_of_mean
from kappascope.tables import Table
from kappascope.transforms.matrix import Matrix

METHODS = ("cd", "input_x_gradient")
REMOVAL, USE = "removal", "use"
COMPONENTS = Table(
    "singh2020/digits.csv",
    "network × method × basis image",
    """model, method, component, class, score, error, runner_up, runner_up_score, margin,
    margin_error, class_by_removal, class_by_use, digits""",
)
ACCURACY = Table(
    "singh2020/digits_accuracy.csv",
    "network",
    "model, source, accuracy_percent, error_percent, digits",
)
AGREEMENT = Table(
    "singh2020/digits_agreement.csv",
    "pair of ways to name a class",
    "first, second, agreement_percent, error_percent, chance_percent, components",
)


# ---- digits --------------------------------------------------------------------------------------


# ---- networks ------------------------------------------------------------------------------------


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
            f"singh2020.basis_images.components: got {components}, allowed are 1 to "
            f"{len(training)}, the number of training digits"
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
    for component, class_scores in enumerate(scores.swapaxes(0, 1).astype(np.float64)):
        second, first = np.argsort(class_scores.mean(0), kind="stable")[-2:]
        margin = class_scores[:, first] - class_scores[:, second]
        rows.append(
            {
                "model": reader.name,
                "method": method,
                "component": component,
                "class": int(first),
                "score": class_scores[:, first].mean(),
                "error": error_of_mean(class_scores[:, first]),
                "runner_up": int(second),
                "runner_up_score": class_scores[:, second].mean(),
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
        model_rows = [row for row in rows if row["model"] == model]
        for method in methods:
            methods[method] = np.array([r["class"] for r in model_rows if r["method"] == method])
        cd = [row for row in model_rows if row["method"] == "cd"]
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


def explain(
    digits: Digits,
    settings: DigitNetworks,
    section: BasisImages,
    seed: int,
    weights: str | Path | None = None,
    learns: Learns = learning.LABELS,
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
        readers.append(own_network(training, settings, seed, index, learns))
        accuracy.append(accuracy_row(readers[-1], test))
    images, labels = test.images[: section.attributed], test.labels[: section.attributed]
    basis = fit_basis(training.images, images, section.components, seed)
    used, rows = class_by_use(basis, labels), []
    for reader in readers:
        removed = removal_scores(reader, images, basis).mean(0).argmax(1)
        for method in METHODS:
            scores = component_scores(reader, images, basis, method)
            rows += component_rows(reader, method, scores, removed, used)
    return Explained(rows, accuracy, agreement_rows(rows), basis)

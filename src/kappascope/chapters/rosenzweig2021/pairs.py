"""Two digits side by side: do the maps of the two classes separate? A planted truth.

A network learns images of two different digits, one in each half, and is to give one half of the
probability to each. What tells of one class then lies on one digit. A map separates a pair where
that of each class has more on its own digit than on the other; by chance one pair in four.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import progress, randomness
from kappascope.attribution import methods
from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.attribution.labels import label
from kappascope.chapters.rosenzweig2021 import config, experiments
from kappascope.chapters.rosenzweig2021.experiments import METHODS, RANKS, Subject
from kappascope.faithfulness import planted
from kappascope.networks import classification, digits
from kappascope.networks.architectures import digit_cnn
from kappascope.networks.config import Digits as DigitNetworks
from kappascope.reporting.errorbars import error_of_mean, proportion_error
from kappascope.tables import Table

Array = Any
HALF = digits.PIXELS // 2
LABELS = {
    "nonlinear": "Nonlinear saliency",
    "linear": "Linear (log-odds, probability)",
    "jacobian": "Linear (outputs)",
    "random": "Random pixels",
}

TABLE = Table(
    "rosenzweig2021/pairs.csv",
    "method",
    f"""method, label, separates_percent (pairs whose two maps each have more on their own digit),
    separates_error, by_chance_percent, own_percent (of a map, on its own digit's square),
    own_error, other_percent (on the other's), other_error, {planted.COLUMNS}, pairs (both digits
    among the network's first two classes), seen_percent (of all pairs)""",
)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Images of two digits.

    Attributes
    ----------
    x : (pair, y, x, 1).
    labels : (pair, 2) of the left and the right digit.
    boxes : (pair, 2, y, x) bool, the square that each stands in.

    """

    x: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray


def drawn(source: digits.Digits, number: int, seed: int, split: str) -> Pairs:
    """Put digits of half the size side by side, each somewhere along its half.

    Parameters
    ----------
    split : what they are for; other pairs for each.

    """
    small = source.images.reshape(-1, HALF, 2, HALF, 2).mean((2, 4))
    generator = randomness.generator(seed, f"pairs of digits, {split}")
    x = np.zeros((number, digits.PIXELS, digits.PIXELS, 1), np.float32)
    boxes = np.zeros((number, 2, digits.PIXELS, digits.PIXELS), bool)
    labels = np.zeros((number, 2), int)
    for pair in range(number):
        first = generator.integers(len(small))
        others = np.flatnonzero(source.labels != source.labels[first])
        for side, which in enumerate((first, generator.choice(others))):
            top = generator.integers(HALF + 1)
            place = slice(top, top + HALF), slice(side * HALF, (side + 1) * HALF)
            x[pair, *place, 0] = small[which]
            boxes[pair, side, *place] = True
            labels[pair, side] = source.labels[which]
    return Pairs(x, labels, boxes)


def half_each(outputs: Array, labels: Array) -> Array:
    """Return the mean cross-entropy with both digits (pair, 2) of each pair."""
    logarithms = jax.nn.log_softmax(outputs)
    return -jnp.take_along_axis(logarithms, labels, 1).mean()


def trained(
    source: digits.Digits, section: config.Pairs, settings: DigitNetworks, seed: int
) -> experiments.Model:
    """Train a network that calls both digits of a pair."""
    pairs = drawn(source, section.training, seed, "training")
    network = digit_cnn(digits.PIXELS, digits.CLASSES)
    parameters = classification.train(
        network,
        pairs.x,
        pairs.labels,
        classification.Settings(section.epochs, settings.batch, settings.learning_rate),
        seed,
        0,
        "digits, side by side",
        half_each,
    )
    return network, parameters


def maps_of(
    model: experiments.Model,
    pairs: Pairs,
    saliency: NonlinearSaliency,
    section: config.Pairs,
    seed: int,
) -> dict[str, np.ndarray]:
    """Explain the class of each digit: method → (pair, 2, y, x), kept pixels or what speaks for it.

    Of maps with a sign the positive part: the other digit speaks against a class.
    """
    subject = Subject(
        "pairs",
        model,
        pairs.x,
        pairs.labels[:, 0],
        tuple(map(str, range(digits.CLASSES))),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )
    followed = experiments.follow(subject, saliency)
    # Classes come by rank: which digit each is.
    left = followed.classes == pairs.labels[:, 0]
    found: dict[str, np.ndarray] = {}
    kept = {name: followed.kept[:, m, -1] for m, name in enumerate(METHODS)}
    kept["jacobian"] = np.stack(
        [experiments.linear_masks(subject, classes, followed) for classes in followed.classes]
    )
    kept["random"] = np.stack(
        [
            experiments.at_random(followed.kept[rank, 0, -1], seed, "pairs", rank)
            for rank in range(len(RANKS))
        ]
    )
    for name, masks in kept.items():
        found[name] = np.where(
            left[0][:, None, None, None], masks.swapaxes(0, 1), masks[::-1].swapaxes(0, 1)
        )
    with progress.bar(len(section.methods), "attribute, pairs", unit="method") as shown:
        for name in section.methods:
            method = methods.configured(name, section, model[0])
            pieces = methods.in_batches(method, model, pairs.x, None, seed, experiments.BATCH)
            every = np.concatenate([part for _, part in pieces], 1)[..., 0]
            of_each = every[pairs.labels.T, np.arange(len(pairs.labels))]
            found[name] = np.maximum(of_each, 0).swapaxes(0, 1)
            shown.update()
    return found


def seen(model: experiments.Model, pairs: Pairs) -> np.ndarray:
    """Return which pairs have their two digits as the network's first two classes, (pair,)."""
    outputs = experiments.evaluate(*model, pairs.x)
    first_two = np.sort(np.argsort(-outputs, 1, kind="stable")[:, :2], 1)
    return np.asarray((first_two == np.sort(pairs.labels, 1)).all(1))


def selected(pairs: Pairs, rows: np.ndarray) -> Pairs:
    """Return some of the pairs."""
    return Pairs(pairs.x[rows], pairs.labels[rows], pairs.boxes[rows])


def rows(
    maps: Mapping[str, np.ndarray], pairs: Pairs, seen_percent: float
) -> Iterator[dict[str, Any]]:
    """Yield rows of ``pairs.csv``.

    Parameters
    ----------
    maps : from :func:`maps_of`.
    seen_percent : of all pairs, those that ``pairs`` are.

    """
    number = len(pairs.labels)
    for name, found in maps.items():
        total = np.maximum(found.sum((2, 3), dtype=float), 1e-300)
        # (pair, class, digit): share of a class's map on each digit.
        share = np.einsum("pcyx,pdyx->pcd", found.astype(float), pairs.boxes) / total[..., None]
        own, other = share[:, [0, 1], [0, 1]], share[:, [0, 1], [1, 0]]
        both = float((own > other).all(1).mean())
        yield {
            "method": name,
            "label": LABELS.get(name) or label(name),
            "separates_percent": 100 * both,
            "separates_error": 100 * proportion_error(both, number),
            "by_chance_percent": 25.0,
            "own_percent": 100 * float(own.mean()),
            "own_error": error_of_mean(100 * own.mean(1)),
            "other_percent": 100 * float(other.mean()),
            "other_error": error_of_mean(100 * other.mean(1)),
            **planted.judged(*_flat(found, pairs.boxes)),
            "pairs": number,
            "seen_percent": seen_percent,
        }


def _flat(*arrays: np.ndarray) -> Sequence[np.ndarray]:
    """Put both classes of all pairs one after the other: (pair × class, y, x)."""
    return [each.reshape(-1, *each.shape[2:]) for each in arrays]

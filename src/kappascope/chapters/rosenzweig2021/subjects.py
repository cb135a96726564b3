"""Whose classes are driven up: galaxies with the sorter of strong lenses, digits with a network."""

import numpy as np
from scipy.special import softmax

from kappascope.chapters.rosenzweig2021.experiments import UNLIKELY_PERCENT, Subject
from kappascope.networks import digits, learning
from kappascope.networks.config import Digits as DigitNetworks
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.networks.learning import Learns
from kappascope.stronglens import classifiers
from kappascope.stronglens.images import Images, spread

MOST = 2000
"""Digits that are looked at to choose from."""


def chosen(outputs: np.ndarray, true: np.ndarray, number: int) -> np.ndarray:
    """Return rows of as many images of each class, two thirds with a second class below 1 %.

    Figure 1 of the paper shows classes of that kind; where there are too few, others stand in.

    Parameters
    ----------
    outputs : (image, class) of the network that is to be explained.
    true : (image,) class numbers.

    """
    second = np.sort(softmax(outputs.astype(float), 1), 1)[:, -2]
    rare = second <= UNLIKELY_PERCENT / 100
    names = np.unique(true)
    each = -(-number // len(names))
    rows: list[np.ndarray] = []
    for name in names:
        mine = np.flatnonzero(true == name)
        first = spread(mine[rare[mine]], -(-2 * each // 3))
        others = np.setdiff1d(mine, first)
        others = others[np.argsort(rare[others], kind="stable")]
        rows += [first, others[: each - len(first)]]
    return np.concatenate(rows)


def galaxies(model: tuple[Network, Parameters], images: Images, number: int) -> Subject:
    """Return images of the sorter's three classes, as many of each, to drive classes up in."""
    true = classifiers.targets_of("sorter", images)
    x = images.x.astype(np.float32)
    rows = chosen(evaluate(*model, x), true, number)
    return Subject(
        "galaxies",
        model,
        x[rows],
        true[rows],
        classifiers.CLASSES["sorter"],
        x.min((0, 1, 2)),
        x.max((0, 1, 2)),
    )


def pictures(
    data: digits.Digits,
    settings: DigitNetworks,
    seed: int,
    number: int,
    learns: Learns = learning.LABELS,
) -> Subject:
    """Return testing digits and the first own network, to drive classes up in."""
    training, test = digits.divided(data, settings, seed)
    reader = digits.own_network(training, settings, seed, 0, learns)
    model = (reader.network, reader.parameters)
    x = test.images[:MOST, ..., None].astype(np.float32)
    rows = chosen(evaluate(*model, x), test.labels[:MOST], number)[:number]
    return Subject(
        "digits",
        model,
        x[rows],
        test.labels[rows],
        tuple(map(str, range(digits.CLASSES))),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )

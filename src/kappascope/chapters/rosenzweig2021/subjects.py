"""Whose classes are driven up: galaxies with the sorter of strong lenses, digits with a network."""

import numpy as np

from kappascope.chapters.rosenzweig2021.experiments import Subject
from kappascope.networks import digits, learning
from kappascope.networks.config import Digits as DigitNetworks
from kappascope.networks.description import Network, Parameters
from kappascope.networks.learning import Learns
from kappascope.stronglens import classifiers
from kappascope.stronglens.images import Images, spread


def galaxies(model: tuple[Network, Parameters], images: Images, number: int) -> Subject:
    """Return images of the sorter's three classes, as many of each, to drive classes up in."""
    true = classifiers.targets_of("sorter", images)
    each = -(-number // len(classifiers.CLASSES["sorter"]))
    rows = np.concatenate(
        [spread(np.flatnonzero(true == k), each) for k in range(len(classifiers.CLASSES["sorter"]))]
    )
    x = images.x.astype(np.float32)
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
    return Subject(
        "digits",
        (reader.network, reader.parameters),
        test.images[:number, ..., None].astype(np.float32),
        test.labels[:number],
        tuple(map(str, range(digits.CLASSES))),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )

"""Which maps find a cue that was planted: a coloured dot, a ring of one radius (wilde2022).

Images of galaxies that are no lens, a third of them with a blue dot and a third with a faint ring,
each at a place drawn by itself; a network tells the three apart. The galaxy stays in the middle and
the cue does not: a method that shows what the network looks at points at the cue, one that shows
the middle does not.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress, randomness
from kappascope.attribution.labels import family
from kappascope.attribution.methods import image_relevance
from kappascope.chapters.wilde2022 import config
from kappascope.chapters.wilde2022.explaining import Model
from kappascope.faithfulness import planted
from kappascope.networks import classification
from kappascope.networks.evaluate import evaluate
from kappascope.stronglens import classifiers
from kappascope.stronglens.config import Classifiers
from kappascope.stronglens.images import Images
from kappascope.tables import Table

CUES = ("dot", "ring")
"""Classes 1 and 2; class 0 has neither."""
DOT_PIXELS, RING_PIXELS, RING_WIDTH = 1.5, 5.0, 0.8
"""Width of the dot, radius and width of the ring."""
DOT_SIGNAL, RING_SIGNAL = 30.0, 8.0
"""Of the brightest pixel, over the noise of an empty one, in the first band for the dot."""

PLANTED = Table(
    "wilde2022/planted.csv",
    "cue × method",
    f"""cue (dot, ring), method, label, called_percent (of testing images with the cue, rightly),
    {planted.COLUMNS}""",
)


@dataclasses.dataclass(frozen=True)
class Cued:
    """Images with cues.

    Attributes
    ----------
    x : (image, y, x, band), as networks see them.
    cue : (image,) 0 for none, 1 for a dot, 2 for a ring.
    truth : (image, y, x) bool, where it is.

    """

    x: np.ndarray
    cue: np.ndarray
    truth: np.ndarray


def drawn(images: Images, number: int, seed: int, split: str) -> Cued:
    """Put cues into images of galaxies that are no lens.

    Parameters
    ----------
    number : of images; galaxies are used more than once where there are fewer.
    split : what they are for; other places for each.

    """
    plain = images.select(np.isin(images.kind, ("isolated", "spiral")))
    generator = randomness.generator(seed, f"planted cues, {split}")
    rows = np.resize(generator.permutation(len(plain)), number)
    x = plain.x[rows].astype(np.float32)
    cue = np.arange(number) % (1 + len(CUES))
    truth = np.zeros(x.shape[:3], bool)
    side = np.arange(x.shape[1])
    for k, kind in enumerate(cue):
        room = int(np.ceil(RING_PIXELS + 2))
        row, column = generator.uniform(room, x.shape[1] - 1 - room, 2)
        distance = np.hypot(side[:, None] - row, side[None, :] - column)
        if kind == 0:
            continue
        if CUES[kind - 1] == "dot":
            shape = np.exp(-0.5 * (distance / DOT_PIXELS) ** 2)
            # Blue: all of it in the first band, a quarter in the next, nothing beyond.
            colour = np.array([1.0, 0.25, *[0.0] * x.shape[3]])[: x.shape[3]]
            signal = DOT_SIGNAL
            truth[k] = distance < 2 * DOT_PIXELS
        else:
            shape = np.exp(-0.5 * ((distance - RING_PIXELS) / RING_WIDTH) ** 2)
            colour, signal = np.ones(x.shape[3]), RING_SIGNAL
            truth[k] = np.abs(distance - RING_PIXELS) < 2 * RING_WIDTH
        # Images are arcsinh of light over three times the noise.
        added = signal / 3 * shape[..., None] * colour
        x[k] = np.arcsinh(np.sinh(x[k]) + added)
    return Cued(x, cue, truth)


def train(given: Cued, section: config.Cues, usual: Classifiers, seed: int, scratch: Path) -> Model:
    """Train a network that tells the cues apart."""
    network = classifiers.network_for("sorter", given.x.shape[2], given.x.shape[3], usual.width)
    parameters = classification.train(
        network,
        given.x,
        given.cue,
        classification.Settings(section.epochs, usual.batch, section.learning_rate),
        seed,
        0,
        "planted cues",
        scratch=scratch,
    )
    return network, parameters


def maps_of(
    model: Model, given: Cued, section: config.Explanation, seed: int
) -> dict[str, np.ndarray]:
    """Explain the class of each image's own cue: method → (image, y, x), without cue zero."""
    found = {name: np.zeros(given.truth.shape) for name in section.methods}
    total = len(section.methods) * len(CUES)
    with progress.bar(total, "explain planted cues", unit="map set") as shown:
        for name in section.methods:
            for output in range(1, 1 + len(CUES)):
                rows = np.flatnonzero(given.cue == output)
                if len(rows):
                    found[name][rows] = image_relevance(name, model, given.x[rows], output, seed)
                shown.update()
    return found


def rows(
    maps: Mapping[str, np.ndarray], given: Cued, called: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yield rows of ``planted.csv``: of images whose cue the network calls.

    Parameters
    ----------
    called : (image,) classes that the network gives.

    """
    for output, name in enumerate(CUES, start=1):
        there = given.cue == output
        right = there & (called == output)
        if not right.any():
            continue
        for method, found in maps.items():
            yield {
                "cue": name,
                "method": method,
                "label": family(method),
                "called_percent": 100 * float(right.sum() / there.sum()),
                **planted.judged(found[right], given.truth[right]),
            }


def called(model: Model, given: Cued) -> np.ndarray:
    """Return the class that a network gives each image, (image,)."""
    return np.asarray(evaluate(*model, given.x).argmax(1))

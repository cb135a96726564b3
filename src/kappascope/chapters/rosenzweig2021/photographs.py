"""Photographs and an ImageNet classifier: the paper's own kind of network and images.

EfficientNet-Lite0 (Apache-2.0) stands for the paper's Xception, photographs that scikit-image and
scikit-learn bring along for ImageNet's. Their subjects are often none of the thousand classes; what
is followed is what the network gives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import skimage.io
import skimage.transform

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import arms
from kappascope.chapters.rosenzweig2021.experiments import SURE_PERCENT, UNLIKELY_PERCENT, Subject
from kappascope.errors import InputError
from kappascope.faithfulness import randomization
from kappascope.networks import description
from kappascope.networks.evaluate import evaluate
from kappascope.networks.learning import LABELS, Learns
from kappascope.reporting.errorbars import proportion_error
from kappascope.tables import Table

FILES = {
    "cat": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "cameraman": ("skimage.data", "camera.png"),
    "palace": ("sklearn.datasets.images", "china.jpg"),
    "flower": ("sklearn.datasets.images", "flower.jpg"),
    "motorcycle": ("skimage.data", "motorcycle_left.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "astronaut": ("skimage.data", "astronaut.png"),
    "clock": ("skimage.data", "clock_motion.png"),
}
"""Photograph → package and file."""
CENTRAL = 0.875
"""Share of a photograph's side that the network sees, as it was evaluated."""
MIDDLE, HALF = 127.0, 128.0
"""Values of 0 to 255 are seen as (value - 127) / 128."""

UNLIKELY = Table(
    "rosenzweig2021/photographs_unlikely.csv",
    "photograph",
    """photograph, class (the most likely one below 1 %), start_percent, best_percent (on the way),
    threshold_percent (blurred at the first step above 95 %; empty: none)""",
)


def photograph(name: str, pixels: int) -> np.ndarray:
    """Return a photograph as the network sees it, (y, x, 3) float32.

    The largest centred square, of it the central 87.5 %, resized by cubic splines.
    """
    package, file = FILES[name]
    with resources.as_file(resources.files(package) / file) as path:
        values = skimage.io.imread(path)
    values = np.repeat(values[..., None], 3, 2) if values.ndim == 2 else values[..., :3]
    side = min(values.shape[:2])
    inner = int(CENTRAL * side)
    top, left = ((n - side) // 2 + (side - inner) // 2 for n in values.shape[:2])
    cut = values[top : top + inner, left : left + inner].astype(np.float64)
    small = skimage.transform.resize(
        cut, (pixels, pixels, 3), order=3, anti_aliasing=True, preserve_range=True
    )
    return ((np.clip(small, 0, 255) - MIDDLE) / HALF).astype(np.float32)


def as_colours(x: np.ndarray) -> np.ndarray:
    """Return (..., 3) between 0 and 1 of what the network sees."""
    return np.clip((np.asarray(x, float) * HALF + MIDDLE) / 255, 0, 1)


def read(folder: Path, number: int, seed: int, learns: Learns = LABELS) -> Subject:
    """Return photographs and the network, to drive classes up in.

    Parameters
    ----------
    folder : ``network.json``, ``network.npz`` and ``class_names.txt``, a name a line.
    number : of photographs.
    learns : what the network has learned; anything but labels draws its layers anew.

    Raises
    ------
    InputError
        When there are not as many names as classes, or the network reads no photographs.

    """
    network, parameters, _ = description.load(folder)
    path = folder / "class_names.txt"
    names = path.read_text(encoding="utf-8").splitlines()
    pixels = network.input_shape[0]
    if network.input_shape != (pixels, pixels, 3):
        raise InputError(f"{folder}: the network reads {network.input_shape}; give one of colours")
    if len(names) != network.outputs:
        raise InputError(f"{path}: {len(names)} names for {network.outputs} classes")
    x = np.stack([photograph(name, pixels) for name in list(FILES)[:number]])
    if learns != LABELS:
        every = range(len(randomization.layers(network)))
        drawn = randomization.reinitialized(network, parameters, every, seed, 0)
        parameters = randomization.with_estimated_statistics(network, drawn, x)
    low, high = (np.full(3, (value - MIDDLE) / HALF, np.float32) for value in (0, 255))
    classes = [name.split(",")[0] for name in names]
    # They have no labels: what the network calls them is what is compared.
    called = evaluate(network, parameters, x).argmax(1)
    return Subject("photographs", (network, parameters), x, called, classes, low, high)


def driven_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row of a summary on unlikely classes, from rows of :func:`unlikely`."""
    share = float(np.mean([row["best_percent"] >= SURE_PERCENT for row in rows]))
    return {
        "subject": "photographs",
        "rank": "unlikely",
        "method": "nonlinear",
        "statement": "driven from 1 % above 95 %",
        "value": 100 * share,
        "error": 100 * proportion_error(share, len(rows)),
        "unit": "% of examples",
        "examples": len(rows),
    }


def unlikely(subject: Subject, settings: NonlinearSaliency) -> Iterator[dict[str, Any]]:
    """Drive the most likely class below 1 % up: rows of ``photographs_unlikely.csv``."""
    probabilities = subject.probabilities()
    rare = np.where(probabilities < UNLIKELY_PERCENT / 100, probabilities, -1)
    # A network that is unsure of everything has none: its least likely class then.
    classes = np.where(rare.max(1) > 0, rare.argmax(1), probabilities.argmin(1))
    arm = arms.followed(subject, settings, classes)
    for k, name in enumerate(list(FILES)[: len(subject.x)]):
        yield {
            "photograph": name,
            "class": subject.classes[classes[k]],
            "start_percent": 100 * float(probabilities[k, classes[k]]),
            "best_percent": float(arm.best[k]),
            "threshold_percent": None if np.isnan(arm.threshold[k]) else float(arm.threshold[k]),
        }

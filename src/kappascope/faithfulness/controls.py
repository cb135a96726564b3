"""Methods on networks whose answer is known: planted signals, shuffled labels, noise.

Small networks learn five tasks from the same patches of convergence:

``true_labels``      Ω_m, for comparison
``permuted_labels``  Ω_m of another map (the data randomization test of Adebayo et al. 2018)
``noise_only``       Ω_m of another map, from smoothed white noise instead of convergence
``planted_low``      a number that depends only on pixels with κ in a low range
``planted_high``     the same with a high range

A planted label is the mean over pixels of a tent f(κ/σ), zero outside the range, so its gradient
lies inside the range; σ is the r.m.s. of each patch, and patches are divided by it, so that their
amplitude tells nothing. A method that can be believed finds the range, and its maps for true and
for permuted labels differ.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.attribution.methods import in_batches
from kappascope.errors import InputError
from kappascope.faithfulness.config import KnownAnswers
from kappascope.faithfulness.judging import PLANTED
from kappascope.faithfulness.randomization import configured
from kappascope.maps.dataset import SplitMaps
from kappascope.maps.smoothing import smooth
from kappascope.networks import architectures, prediction, training
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.sections import Spec

CONTROLS = ("true_labels", "permuted_labels", "noise_only", "planted_low", "planted_high")
SHUFFLED = ("permuted_labels", "noise_only")


@dataclasses.dataclass(frozen=True)
class Task:
    """Patches, what to learn from them, and patches to explain.

    Attributes
    ----------
    training, testing : (map, y, x) float32.
    training_labels, testing_labels : (map, 1).

    """

    training: np.ndarray
    training_labels: np.ndarray
    testing: np.ndarray
    testing_labels: np.ndarray


def tent(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 1 in the middle of the range, falling linearly to 0 at its ends and beyond."""
    return np.maximum(1 - np.abs(2 * u - low - high) / (high - low), 0)


def task(control: str, paths: Sequence[str | Path], section: KnownAnswers, spec: Spec) -> Task:
    """Cut patches of convergence and label them.

    Parameters
    ----------
    paths : batches of maps.
    spec : config sections ``seed``, ``maps``, ``noise``.

    Returns
    -------
    Training patches from the training simulations, the others from the testing simulations.

    """
    parts: list[np.ndarray] = []
    for split, count in (("training", section.training), ("testing", section.testing)):
        maps = SplitMaps(paths, split)
        if not len(maps):
            raise InputError(f"known_answers: there are no {split} maps")
        rows = np.linspace(0, len(maps) - 1, min(count, len(maps))).astype(int)
        side = min(section.pixels, maps.pixels)
        start = (maps.pixels - side) // 2
        seen = prediction.observed(maps.select(rows), "noiseless", spec)
        patches = seen[:, start : start + side, start : start + side]
        labels = maps.targets[rows, :1]
        generator = randomness.generator(spec.seed, "known answers", int(split == "testing"))
        if control in SHUFFLED:
            labels = generator.permutation(labels)
        if control == "noise_only":
            sigma = float(seen.std())
            white = generator.normal(size=patches.shape).astype(np.float32)
            pixel = maps.columns.pixel_arcmin
            patches = np.asarray(smooth(white, spec.maps.smoothing_arcmin / pixel))
            patches = patches * (sigma / patches.std())
        if control in PLANTED:
            patches = patches / np.sqrt((patches**2).mean((1, 2), keepdims=True))
            labels = tent(patches, *PLANTED[control]).mean((1, 2), keepdims=True)[..., 0]
        parts += [np.ascontiguousarray(patches, np.float32), labels]
    return Task(*parts)


def train(
    control: str,
    given: Task,
    section: KnownAnswers,
    spec: Spec,
    scratch: Path,
    number: int = 0,
) -> tuple[Network, Parameters, float]:
    """Train a control's network.

    Parameters
    ----------
    number : networks of one number start from the same weights whatever the control, so that
        their maps can be compared.

    Returns
    -------
    network, parameters, and R² on the testing patches.

    """
    side = given.training.shape[-1]
    network = architectures.convergence_cnn(
        side, section.width, "SAME", outputs=1, blocks=section.blocks
    )
    trained = training.train_as_they_are(
        network,
        given.training,
        given.training_labels,
        spec.network,
        section.epochs,
        spec.seed,
        number,
        scratch,
        f"train {control} {number}",
        (given.testing[:64], given.testing_labels[:64]),
    )
    outputs = evaluate(network, trained.parameters, given.testing, MAPS_AT_ONCE)
    predicted = outputs * trained.target_scale
    residual = np.square(predicted - given.testing_labels).mean()
    return network, trained.parameters, float(1 - residual / given.testing_labels.var())


def relevance_maps(
    network: Network,
    parameters: Parameters,
    patches: np.ndarray,
    section: Any,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return method → (map, y, x) relevance, with methods and budgets of the config."""
    out = {}
    for name in section.methods:
        method = configured(name, section, network)
        pieces = [
            piece
            for _, piece in in_batches(method, (network, parameters), patches[..., None], 0, seed)
        ]
        out[name] = np.concatenate(pieces)[..., 0]
    return out

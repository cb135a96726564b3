"""Networks that read images of galaxies.

``finder`` tells lenses from the rest and never sees a compound lens. ``locator`` says the same, and
where the lens is and how large. ``sorter`` tells non-lenses, lenses and compound lenses apart: the
classes between which nonlinear saliency maps move images.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from kappascope.errors import InputError
from kappascope.networks import classification, learning
from kappascope.networks.architectures import lens_finder
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.networks.learning import Learns
from kappascope.stronglens.config import Classifiers
from kappascope.stronglens.images import Images, turned
from kappascope.stronglens.populations import COMPOUND

Array = Any

CLASSES: Mapping[str, tuple[str, ...]] = {
    "finder": ("non-lens", "lens"),
    "locator": ("non-lens", "lens"),
    "sorter": ("non-lens", "lens", "compound lens"),
}
"""Tasks and the classes of their networks, in the order of outputs."""

LENS = 1
"""The output for lenses."""

PLACE = slice(2, 5)
"""The locator's further outputs: column, row, θ_E, in units of :data:`PLACE_SCALE`."""

PLACE_SCALE = np.array([4.0, 4.0, 1.0], np.float32)
"""Pixels, pixels, arcsec."""

PLACE_WEIGHT = 2.0

WARM_UP = 0.1
"""Share of the steps with a rising learning rate: without, some networks never learn."""


def located(outputs: Array, targets: Array) -> Array:
    """Return the locator's loss: cross-entropy, and for lenses the mean error of place and θ_E.

    Parameters
    ----------
    targets : (batch, 4) whether a lens, column, row, θ_E.

    """
    lens = targets[:, 0]
    cross_entropy = classification.cross_entropy(outputs[:, :2], lens.astype(jnp.int32))
    error = jnp.abs(outputs[:, PLACE] - targets[:, 1:] / PLACE_SCALE).mean(1)
    return cross_entropy + PLACE_WEIGHT * (lens * error).sum() / jnp.maximum(lens.sum(), 1)


def network_for(task: str, pixels: int, bands: int, width: int) -> Network:
    """Return the network of a task, its name with it: tasks draw other weights."""
    if task not in CLASSES:
        raise InputError(f"task {task!r}: allowed are {', '.join(CLASSES)}")
    outputs = len(CLASSES[task]) + (3 if task == "locator" else 0)
    return dataclasses.replace(lens_finder(pixels, bands, width, outputs), name=task)


def targets_of(task: str, images: Images) -> np.ndarray:
    """Return what a task's network learns for each image."""
    if task == "sorter":
        return images.lenses.astype(int) + np.isin(images.kind, COMPOUND)
    if task == "finder":
        return images.lenses.astype(int)
    columns = [images.lenses, *images.place.T, images.einstein_radius]
    return np.stack(columns, 1).astype(np.float32)


def train(
    task: str,
    images: Images,
    section: Classifiers,
    seed: int,
    index: int,
    scratch: Path | None = None,
    learns: Learns = learning.LABELS,
) -> tuple[Network, Parameters]:
    """Train the network of a task.

    Parameters
    ----------
    images : to learn from; compound lenses for the sorter only.
    learns : their labels, the same in another order, or nothing.

    Raises
    ------
    InputError
        When the finder or the locator is shown compound lenses.

    """
    if task != "sorter" and np.isin(images.kind, COMPOUND).any():
        raise InputError(f"{task}: compound lenses are for testing, leave them out of training")
    network = network_for(task, images.x.shape[1], images.x.shape[3], section.width)
    parameters = classification.train(
        network,
        images.x,
        targets_of(task, images),
        classification.Settings(section.epochs, section.batch, section.learning_rate, WARM_UP),
        seed,
        index,
        f"{task} {index}",
        located if task == "locator" else classification.cross_entropy,
        turned,
        scratch,
        learns=learns,
    )
    return network, parameters


def margin(model: tuple[Network, Parameters], x: np.ndarray) -> np.ndarray:
    """Return the lens output less the other one, (image,)."""
    outputs = evaluate(*model, x)
    return outputs[:, LENS] - outputs[:, 1 - LENS]


def probability(model: tuple[Network, Parameters], x: np.ndarray) -> np.ndarray:
    """Return the probability of a lens, (image,), from a finder or a locator."""
    return expit(margin(model, x).astype(float))


def places(model: tuple[Network, Parameters], x: np.ndarray) -> np.ndarray:
    """Return a locator's column, row [pixel] and θ_E [arcsec], (image, 3)."""
    return evaluate(*model, x)[:, PLACE] * PLACE_SCALE

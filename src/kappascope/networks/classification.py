"""Small classifiers, trained in seconds: cross-entropy and Adam, without checkpoints.

Everything drawn comes from (seed, purpose, index). Batch normalization is not supported: these
networks are trained by the same function that evaluates them.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kappascope import progress, randomness
from kappascope.errors import InputError
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import GraphNetwork, flatten, forward
from kappascope.networks.training import initial_variables

Array = Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    epochs : passes over the training inputs.
    batch : inputs a step.
    learning_rate : of Adam, at the start; it falls to zero along a cosine.

    """

    epochs: int
    batch: int
    learning_rate: float


def initial_parameters(network: Network, seed: int, index: int) -> Parameters:
    """Draw Glorot-uniform kernels; biases are zero."""
    if any(node["kind"] == "batch_norm" for node in network.nodes):
        raise InputError(
            f"network {network.name!r}: classifiers here have no batch normalization; "
            "train it with networks.training"
        )
    generator = randomness.generator(seed, f"initial weights of {network.name}", index)
    return flatten(network, initial_variables(GraphNetwork(network), generator))


@functools.lru_cache(maxsize=16)
def _optimiser(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """Return one and the same object for the same settings: a step is compiled for each."""
    return optax.adam(optax.cosine_decay_schedule(learning_rate, steps))


@functools.partial(jax.jit, static_argnames=("network", "optimiser"))
def _advance(
    network: Network,
    optimiser: optax.GradientTransformation,
    parameters: Any,
    moments: Any,
    x: Array,
    labels: Array,
) -> tuple[Any, Any, Array]:
    def loss(parameters: Any) -> Array:
        outputs = forward(network, parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()

    error, slope = jax.value_and_grad(loss)(parameters)
    change, moments = optimiser.update(slope, moments, parameters)
    return optax.apply_updates(parameters, change), moments, error


def train(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    settings: Settings,
    seed: int,
    index: int,
    label: str,
) -> Parameters:
    """Train a classifier.

    Parameters
    ----------
    x : (input, *input_shape).
    labels : (input,) class numbers.
    index : tells networks of one architecture apart.
    label : what the progress bar says.

    Raises
    ------
    InputError
        When there are fewer inputs than one batch, or the loss stops being finite.

    """
    if len(x) < settings.batch:
        raise InputError(f"{label}: {len(x)} inputs, fewer than one batch of {settings.batch}")
    x, labels = np.asarray(x, np.float32), np.asarray(labels)
    steps = len(x) // settings.batch
    optimiser = _optimiser(settings.learning_rate, steps * settings.epochs)
    parameters: Any = {
        name: jnp.asarray(value) for name, value in initial_parameters(network, seed, index).items()
    }
    moments = optimiser.init(parameters)
    with progress.bar(steps * settings.epochs, label, unit="step") as shown:
        for epoch in range(settings.epochs):
            purpose = f"order of inputs of {network.name}"
            order = randomness.generator(seed, purpose, index, epoch).permutation(len(x))
            error = jnp.zeros(())
            for step in range(steps):
                rows = order[step * settings.batch : (step + 1) * settings.batch]
                parameters, moments, error = _advance(
                    network, optimiser, parameters, moments, x[rows], labels[rows]
                )
                shown.update()
            if not np.isfinite(error):
                raise InputError(f"{label}: the loss became {error}; lower the learning rate")
    return {name: np.asarray(value) for name, value in parameters.items()}


@functools.partial(jax.jit, static_argnames="network")
def _outputs(network: Network, parameters: Any, x: Array) -> Array:
    return forward(network, parameters, x)


def evaluate(network: Network, parameters: Parameters, x: np.ndarray) -> np.ndarray:
    """Return outputs (input, class), no softmax; 256 inputs at a time."""
    pieces = []
    for start in range(0, len(x), 256):
        piece = np.asarray(x[start : start + 256], np.float32)
        padded = np.pad(piece, [(0, 256 - len(piece)), *[(0, 0)] * (piece.ndim - 1)])
        pieces.append(np.asarray(_outputs(network, parameters, padded))[: len(piece)])
    return np.concatenate(pieces)

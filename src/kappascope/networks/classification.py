"""Small networks without batch normalization, trained by Adam on inputs that fit into memory.

Classifiers by default; another loss makes them anything else. Everything drawn comes from (seed,
purpose, index). Training that takes longer than seconds keeps a checkpoint.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.networks import learning
from kappascope.networks.description import Network, Parameters
from kappascope.networks.fit import fit
from kappascope.networks.learning import Learns
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
    warm_up : share of the steps in which the rate first rises to that from zero, with gradients cut
        to a norm of one throughout; 0 for neither.

    """

    epochs: int
    batch: int
    learning_rate: float
    warm_up: float = 0.0


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
def _optimiser(
    learning_rate: float, steps: int, warm_up: float = 0.0
) -> optax.GradientTransformation:
    """Return one and the same object for the same settings: a step is compiled for each."""
    if steps < 2:
        return optax.adam(learning_rate)
    if not warm_up:
        return optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    rising = max(round(warm_up * steps), 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, rising, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


Loss = Callable[[Array, Array], Array]
"""(outputs (batch, output), targets (batch, ...)) → a number."""

Alter = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""(inputs, targets, generator) → what a step learns from: augmentation."""


def cross_entropy(outputs: Array, labels: Array) -> Array:
    """Return the mean cross-entropy of outputs before softmax with class numbers."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()


def unaltered(
    x: np.ndarray, targets: np.ndarray, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Leave inputs as they are."""
    return x, targets


@functools.partial(jax.jit, static_argnames=("network", "optimiser", "loss"))
def _advance(
    network: Network,
    optimiser: optax.GradientTransformation,
    loss: Loss,
    parameters: Any,
    moments: Any,
    x: Array,
    targets: Array,
) -> tuple[Any, Any, Array]:
    def error_of(parameters: Any) -> Array:
        return loss(forward(network, parameters, x), targets)

    error, slope = jax.value_and_grad(error_of)(parameters)
    change, moments = optimiser.update(slope, moments, parameters)
    return optax.apply_updates(parameters, change), moments, error


def train(
    network: Network,
    x: np.ndarray,
    targets: np.ndarray,
    settings: Settings,
    seed: int,
    index: int,
    label: str,
    loss: Loss = cross_entropy,
    alter: Alter = unaltered,
    scratch: Path | None = None,
    checkpoint_every_seconds: float = 30.0,
    learns: Learns = learning.LABELS,
) -> Parameters:
    """Train a network.

    Parameters
    ----------
    x : (input, *input_shape).
    targets : (input, ...), class numbers for the usual loss.
    index : tells networks of one architecture apart.
    label : what the progress bar says.
    loss : a function with a name, compiled for each.
    alter : changes the inputs of each step.
    scratch : folder of the checkpoint; None for none.
    learns : the targets, the same in another order, or nothing: the initial weights.

    Raises
    ------
    InputError
        When there are fewer inputs than one batch, or the loss stops being finite.

    """
    if len(x) < settings.batch:
        raise InputError(f"{label}: {len(x)} inputs, fewer than one batch of {settings.batch}")
    targets = learning.given(learns, np.asarray(targets), seed, network.name, index)
    total = len(x) // settings.batch * settings.epochs
    optimiser = _optimiser(settings.learning_rate, total, settings.warm_up)
    parameters: Any = {
        name: jnp.asarray(value) for name, value in initial_parameters(network, seed, index).items()
    }

    def advance(state: Any, rows: np.ndarray, step: int) -> tuple[Any, Array]:
        draw = randomness.generator(seed, f"altered inputs of {network.name}", index, step)
        some, wanted = alter(np.asarray(x[rows], np.float32), targets[rows], draw)
        parameters, moments, error = _advance(
            network, optimiser, loss, state["parameters"], state["moments"], some, wanted
        )
        return {"parameters": parameters, "moments": moments}, error

    purpose = f"order of inputs of {network.name}"
    state, _ = fit(
        advance,
        {"parameters": parameters, "moments": optimiser.init(parameters)},
        inputs=len(x),
        batch=settings.batch,
        epochs=0 if learns == learning.NOTHING else settings.epochs,
        order=lambda epoch: randomness.generator(seed, purpose, index, epoch),
        label=label,
        advice=f"{label}; lower the learning rate",
        scratch=scratch,
        checkpoint_every_seconds=checkpoint_every_seconds,
    )
    return {name: np.asarray(value) for name, value in state["parameters"].items()}

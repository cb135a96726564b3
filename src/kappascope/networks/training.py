"""Training with Optax: resumable to the bit, the same for any number of cores.

Everything a step draws (order of the maps, flips, shape noise) comes from (seed, purpose, step),
and a checkpoint holds parameters, running averages and optimiser state in full: a run that was
killed at any step and started again ends with the same weights as one that was not.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.networks import learning
from kappascope.networks.config import Regressor
from kappascope.networks.description import Network, Parameters
from kappascope.networks.fit import fit
from kappascope.networks.learning import Learns
from kappascope.networks.module import GraphNetwork, flatten, with_statistics

Array = Any


class MapSource(Protocol):
    """What training reads maps from."""

    def __len__(self) -> int:
        """Return the number of maps."""
        ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return maps (row, y, x) float32."""
        ...


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Maps (map, y, x) in memory."""

    maps: np.ndarray

    def __len__(self) -> int:
        return len(self.maps)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return some of the maps."""
        return self.maps[rows]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to train; the ``network`` section of the config.

    Attributes
    ----------
    epochs : passes over the training maps.
    batch : maps a step.
    schedule : ``one_cycle`` (cosine, to ``peak_learning_rate`` and back) or ``steps`` (divided by
        ten at epochs 10 and 20, what the code released with Ribli et al. 2019 does).
    kernel_l2 : weight of the sum of squared convolution kernels in the loss.
    output_bias : what the outputs' biases start from: ``mean`` of the targets or ``zero``.

    """

    epochs: int
    batch: int
    peak_learning_rate: float
    schedule: str
    momentum: float
    kernel_l2: float
    batch_norm_momentum: float
    output_bias: str
    checkpoint_every_seconds: float

    @classmethod
    def of(cls, section: Regressor) -> "Settings":
        """Take the keys training needs from a config section."""
        return cls(
            **{field.name: getattr(section, field.name) for field in dataclasses.fields(cls)}
        )


def learning_rate(settings: Settings, steps_an_epoch: int) -> optax.Schedule:
    """Return the schedule over all steps."""
    if settings.schedule == "steps":
        drops = {10 * steps_an_epoch: 0.1, 20 * steps_an_epoch: 0.1}
        return optax.piecewise_constant_schedule(settings.peak_learning_rate, drops)
    return optax.cosine_onecycle_schedule(
        settings.epochs * steps_an_epoch, settings.peak_learning_rate, pct_start=0.3
    )


def _loss(
    variables: Any, statistics: Any, module: GraphNetwork, maps: Array, targets: Array, l2: float
) -> tuple[Array, Any]:
    """Mean absolute error plus L2 on convolution kernels only (Ribli et al. 2019)."""
    outputs, updated = module.apply(
        {"params": variables, "batch_stats": statistics},
        maps[..., None],
        train=True,
        mutable=["batch_stats"],
    )
    kernels = [value["kernel"] for value in variables.values() if "kernel" in value]
    penalty = sum(jnp.sum(kernel**2) for kernel in kernels if kernel.ndim == 4)
    error = jnp.mean(jnp.abs(outputs - targets))
    return error + l2 * penalty, (error, updated["batch_stats"])


def _augment(maps: Array, key: Array) -> Array:
    """Flip left-right, up-down and transpose each map with probability 1/2."""
    choices = jax.random.bernoulli(key, 0.5, (3, maps.shape[0], 1, 1))
    maps = jnp.where(choices[0], maps[:, :, ::-1], maps)
    maps = jnp.where(choices[1], maps[:, ::-1], maps)
    return jnp.where(choices[2], maps.transpose(0, 2, 1), maps)


def initial_variables(module: GraphNetwork, generator: np.random.Generator) -> Any:
    """Glorot-uniform kernels, drawn outside JAX, which compiles 18 draws in ten seconds."""
    empty = jnp.zeros((1, *module.network.input_shape), jnp.float32)
    shapes = flax.core.unfreeze(jax.eval_shape(module.init, jax.random.key(0), empty))

    def draw(path: Any, leaf: Any) -> Array:
        name = path[-1].key
        if name == "kernel":
            *window, inside, outside = leaf.shape
            limit = math.sqrt(6.0 / (math.prod(window) * (inside + outside)))
            return jnp.asarray(generator.uniform(-limit, limit, leaf.shape), jnp.float32)
        return jnp.full(leaf.shape, 1.0 if name in ("scale", "var") else 0.0, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


Observe = Callable[[Array, Array], Array]
"""(maps (batch, y, x), key) → maps as the network sees them: noise added, smoothed."""


@dataclasses.dataclass
class Trained:
    """A trained network.

    Attributes
    ----------
    parameters : by the description's names; outputs are in units of ``target_scale``.
    target_scale : (output,) standard deviation of each target over the training maps.
    history : (epoch, 2) training and held-out mean absolute error, in units of the scale.

    """

    parameters: Parameters
    target_scale: np.ndarray
    history: np.ndarray


def train(
    network: Network,
    source: MapSource,
    targets: np.ndarray,
    observe: Observe,
    settings: Settings,
    seed: int,
    index: int,
    scratch: Path,
    label: str,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    learns: Learns = learning.LABELS,
) -> Trained:
    """Train ``network`` and return its parameters.

    Parameters
    ----------
    source : maps as simulated.
    targets : (map, output) in the parameters' own units; divided by their standard deviation and
        not centred, so that outputs stay positive (deep Taylor and guided backpropagation need it).
    observe : adds shape noise and smooths, afresh at every step.
    seed, index : the config's seed and the number of this network among its like.
    scratch : folder of the checkpoint, removed at the end.
    held_out : maps as the network sees them (map, y, x) and their targets; looked at only.
    learns : labels of the maps, the same in another order, or nothing: the initial weights, with
        normalizations that have seen :data:`SEEN` maps.

    Raises
    ------
    InputError
        When there are fewer maps than one batch, or the loss stops being finite.

    """
    if len(source) < settings.batch:
        raise InputError(
            f"network.batch: got {settings.batch}, more than the {len(source)} training maps; "
            "lower it or simulate more maps"
        )
    targets = learning.given(learns, targets, seed, "maps", index)
    module = GraphNetwork(network, settings.batch_norm_momentum)
    variables = initial_variables(module, randomness.generator(seed, "initial weights", index))
    scale = targets.std(0).astype(np.float32)
    if settings.output_bias == "mean":
        # Saves the steps that would only lift the outputs there.
        bias = jnp.asarray(targets.mean(0) / scale, jnp.float32)
        variables["params"][network.nodes[-1]["name"]]["bias"] = bias
    if learns == learning.NOTHING:
        some = randomness.generator(seed, "order of maps", index, 0).permutation(len(source))
        maps = jnp.asarray(source.read(np.sort(some[:SEEN])))
        seen = observe(maps, randomness.key(seed, "training noise", index, 0))
        normalized = with_statistics(network, flatten(network, variables), seen[..., None])
        return Trained(normalized, scale, np.zeros((0, 2)))
    steps = len(source) // settings.batch
    optimiser = optax.sgd(learning_rate(settings, steps), settings.momentum, nesterov=True)
    step_of = compiled_step(module, optimiser, observe, settings.kernel_l2)
    outputs_of = jax.jit(lambda variables, x: module.apply(variables, x[..., None]))

    def advance(state: _State, rows: np.ndarray, step: int) -> tuple[_State, Array]:
        rows = np.sort(rows)
        purposes = ("augmentation", "training noise")
        keys = jnp.stack([randomness.key(seed, purpose, index, step) for purpose in purposes])
        maps, wanted = source.read(rows), targets[rows] / scale
        state, error = step_of(state, jnp.asarray(maps), jnp.asarray(wanted, jnp.float32), keys)
        return state, error

    def close_epoch(state: _State, epoch: int, losses: np.ndarray) -> tuple[_State, str]:
        outside = float("nan")
        if held_out is not None:
            outputs = _in_pieces(outputs_of, state["variables"], held_out[0])
            outside = float(np.mean(np.abs(outputs - held_out[1] / scale)))
        history = np.array(state["history"])
        history[epoch] = float(np.mean(losses)), outside
        return {**state, "history": history}, f"loss {history[epoch, 0]:.4f}"

    state: _State = {
        "variables": variables,
        "moments": optimiser.init(variables["params"]),
        "history": np.full((settings.epochs, 2), np.nan),
    }
    state, _ = fit(
        advance,
        state,
        inputs=len(source),
        batch=settings.batch,
        epochs=settings.epochs,
        order=lambda epoch: randomness.generator(seed, "order of maps", index, epoch),
        label=label,
        advice="network.peak_learning_rate; lower the rate",
        scratch=scratch,
        checkpoint_every_seconds=settings.checkpoint_every_seconds,
        close_epoch=close_epoch,
    )
    return Trained(flatten(network, state["variables"]), scale, np.array(state["history"]))


SEEN = 64
"""Maps behind the normalization of a network that learns nothing."""


_State = dict[str, Any]
"""``variables``, the optimiser's ``moments``, and the ``history`` of :class:`Trained`."""


def train_as_they_are(
    network: Network,
    maps: np.ndarray,
    targets: np.ndarray,
    section: Regressor,
    epochs: int,
    seed: int,
    index: int,
    scratch: Path,
    label: str,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> Trained:
    """Train on maps (map, y, x) in memory to which nothing is done; else as :func:`train`.

    Parameters
    ----------
    section : of the config, how to train; but for so many ``epochs``.

    """
    settings = Settings.of(section.model_copy(update={"epochs": epochs}))
    return train(
        network,
        InMemory(maps),
        targets,
        _as_they_are,
        settings,
        seed,
        index,
        scratch,
        label,
        held_out,
    )


def _as_they_are(maps: Array, key: Array) -> Array:
    return maps


def compiled_step(
    module: GraphNetwork, optimiser: optax.GradientTransformation, observe: Observe, l2: float
) -> Callable[..., tuple[_State, Array]]:
    """Return one step: (state, maps (batch, y, x), scaled targets, two keys) → state and loss."""

    @jax.jit
    def advance(
        params: Any, statistics: Any, moments: Any, maps: Array, targets: Array, keys: Array
    ) -> tuple[Any, Any, Any, Array]:
        seen = observe(_augment(maps, keys[0]), keys[1])
        slope, (error, updated) = jax.grad(_loss, has_aux=True)(
            params, statistics, module, seen, targets, l2
        )
        change, moments = optimiser.update(slope, moments, params)
        params = optax.apply_updates(params, change)
        # A ReLU of the compiled step can turn NaN into 0: the loss answers for the weights too.
        sound = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((params, updated))]
        return params, updated, moments, jnp.where(jnp.stack(sound).all(), error, jnp.nan)

    def run(state: _State, maps: Array, targets: Array, keys: Array) -> tuple[_State, Array]:
        params, statistics = state["variables"]["params"], state["variables"]["batch_stats"]
        params, statistics, moments, error = advance(
            params, statistics, state["moments"], maps, targets, keys
        )
        variables = {"params": params, "batch_stats": statistics}
        return {**state, "variables": variables, "moments": moments}, error

    return run


def _in_pieces(outputs_of: Callable[..., Array], variables: Any, maps: np.ndarray) -> np.ndarray:
    """Apply a compiled function to 32 maps at a time."""
    starts = range(0, len(maps), 32)
    pieces = [outputs_of(variables, jnp.asarray(maps[start : start + 32])) for start in starts]
    return np.concatenate([np.asarray(piece) for piece in pieces])

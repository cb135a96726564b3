"""Sum-of-parts models over any trained network (you2023): faithful by construction.

A generator joins segments of the map to groups, each a mask between 0 and 1; the network reads the
map through each mask; a selector gives each group a score c_i, for each output a set of scores that
add up to one, most of them zero; and the prediction is Σ c_i y_i. Nothing else of the map reaches
the prediction, and what each group adds to it is known.

Both generator and selector are attention with sparsemax, the projection onto the simplex (Martins &
Astudillo 2016), in place of softmax. With E features before the network's last layer:

- group i joins segments S_j with weights A_ij = sparsemax_j(q_i · k_j), where queries q and keys k
  are two linear maps of the features the network has of each segment alone; the mask Σ_j A_ij S_j
  is divided by its maximum.
- score c_ik = sparsemax_i(w_k · z_i) for output k, where w_k is a linear map of the last layer's
  weights of that output, and z_i one of the features of the map seen through mask i.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from kappascope import progress, randomness
from kappascope.chapters.you2023 import config
from kappascope.errors import InputError
from kappascope.files import read_arrays, write_arrays
from kappascope.networks import learning
from kappascope.networks.description import Network
from kappascope.networks.evaluate import in_batches
from kappascope.networks.fit import fit
from kappascope.networks.learning import Learns
from kappascope.networks.module import activations
from kappascope.transforms import segments

Array = Any
WIDE = 0.2
"""Share of the generator's sharpness that training starts with."""
NEVER = -1e9
"""A score that sparsemax turns into zero."""


def sparsemax(scores: Array) -> Array:
    """Project the last axis onto the simplex: non-negative, adding up to one, often zero."""
    flat = scores.reshape(-1, scores.shape[-1])
    return jax.vmap(optax.projections.projection_simplex)(flat).reshape(scores.shape)


def last_dense(network: Network) -> Mapping[str, Any]:
    """Return the node that turns features into outputs.

    Raises
    ------
    InputError
        When the network does not end in a dense layer.

    """
    last = network.nodes[-1]
    if last["kind"] != "dense":
        raise InputError(
            f"network {network.name!r}: sum-of-parts needs a dense layer at the end, this one ends "
            f"in {last['kind']}"
        )
    return last


def features(network: Network, parameters: Mapping[str, Array], x: Array) -> Array:
    """Return what the last layer reads: (batch, y, x, channel) → (batch, feature)."""
    (source,) = last_dense(network)["inputs"]
    return activations(network, parameters, x)[source]


@dataclasses.dataclass(frozen=True)
class Parts:
    """A prediction and what it is made of.

    Attributes
    ----------
    prediction : (map, output).
    masks : (map, group, y, x) between 0 and 1.
    scores : (map, group, output) c, adding up to one over groups; zero for empty groups.
    partial : (map, group, output) y, what the network says of the map through each mask.

    """

    prediction: Array
    masks: Array
    scores: Array
    partial: Array


jax.tree_util.register_dataclass(Parts)


def _unit(values: Array) -> Array:
    """Scale each feature vector to the length √E, so that no feature is too faint to attend to."""
    return values * jax.lax.rsqrt((values**2).mean(-1, keepdims=True) + 1e-6)


class GroupGenerator(nn.Module):
    """Segments to groups.

    Attributes
    ----------
    sharpness : a number for each head, an independent attention that makes one group around each
        segment; it multiplies the scores before sparsemax: the larger, the fewer segments a group.

    """

    sharpness: tuple[float, ...] = (1.0,)

    @nn.compact
    def __call__(self, known: Array, there: Array, narrowing: Array) -> Array:
        """Return the weight of each segment in each group.

        Parameters
        ----------
        known : (map, segment, feature) of each segment alone.
        there : (map, segment) bool; maps with fewer segments are filled up.
        narrowing : multiplies every sharpness.

        Returns
        -------
        (map, head × segment, segment), rows adding up to one.

        """
        size = known.shape[-1]
        start = nn.initializers.xavier_uniform()
        known = _unit(known)
        rows = []
        for head, sharpness in enumerate(self.sharpness):
            query = nn.Dense(size, use_bias=False, kernel_init=start, name=f"query{head}")(known)
            key = nn.Dense(size, use_bias=False, kernel_init=start, name=f"key{head}")(known)
            scores = narrowing * sharpness * jnp.einsum("mie,mje->mij", query, key) / size
            rows.append(sparsemax(jnp.where(there[:, None, :], scores, NEVER)))
        return jnp.concatenate(rows, 1)


class GroupSelector(nn.Module):
    """Groups to scores and predictions."""

    outputs: int
    sharpness: float = 1.0

    @nn.compact
    def __call__(self, seen: Array, there: Array) -> tuple[Array, Array]:
        """Return scores c and partial predictions y, both (map, group, output).

        Parameters
        ----------
        seen : (map, group, feature) of the map through each mask.
        there : (map, group) bool.

        """
        size = seen.shape[-1]
        start = nn.initializers.xavier_uniform()
        classes = self.param("classes", start, (self.outputs, size))
        last = nn.Dense(self.outputs, name="last")
        query = nn.Dense(size, use_bias=False, kernel_init=start, name="query")(_unit(classes))
        key = nn.Dense(size, use_bias=False, kernel_init=start, name="key")(_unit(seen))
        scores = self.sharpness * jnp.einsum("ke,mge->mkg", query, key) / size
        chosen = sparsemax(jnp.where(there[:, None, :], scores, NEVER))
        return chosen.transpose(0, 2, 1), last(seen)


class SumOfParts(nn.Module):
    """A sum-of-parts model over a frozen network."""

    network: Network
    generator_sharpness: tuple[float, ...] = (1.0,)
    selector_sharpness: float = 1.0

    @property
    def heads(self) -> int:
        """Groups around each segment."""
        return len(self.generator_sharpness)

    @nn.compact
    def __call__(
        self,
        backbone: Mapping[str, Array],
        maps: Array,
        labels: Array,
        known: Array,
        count: Array,
        asked: Array,
        narrowing: Array = 1.0,
    ) -> Parts:
        """Predict, and keep the parts.

        Parameters
        ----------
        backbone : parameters of the network.
        maps : (map, y, x).
        labels : (map, y, x) segment of each pixel.
        known : (map, segment, feature) of each segment alone, from :func:`segment_features`.
        count : (map) number of segments.
        asked : (map, group) numbers of the groups to use, head × segment; negative for none.
        narrowing : multiplies the generator's sharpness.

        """
        segments = known.shape[1]
        there = jnp.arange(segments) < count[:, None]
        generator = GroupGenerator(self.generator_sharpness, name="generator")
        weights = generator(known, there, narrowing)
        number = jnp.maximum(asked, 0)
        rows = jnp.take_along_axis(weights, number[..., None], 1)
        # Each pixel belongs to one segment: its weight is a look-up.
        masks = jax.vmap(lambda weight, label: weight[:, label])(rows, labels)
        masks = masks / jnp.maximum(masks.max((2, 3), keepdims=True), 1e-12)
        real = (asked >= 0) & jnp.take_along_axis(jnp.tile(there, (1, self.heads)), number, 1)
        through = (maps[:, None] * masks).reshape(-1, *maps.shape[1:], 1)
        seen = features(self.network, backbone, through).reshape(*asked.shape, -1)
        scores, partial = GroupSelector(
            self.network.outputs, self.selector_sharpness, name="selector"
        )(seen, real)
        return Parts((scores * partial).sum(1), masks, scores, partial)


def initial(
    model: SumOfParts, backbone: Mapping[str, Array], size: int, key: Array
) -> dict[str, Any]:
    """Draw a model's parameters; the last layer and the classes start from the network's own.

    Parameters
    ----------
    size : features before the last layer.

    """
    side = model.network.input_shape[0]
    empty = (
        jnp.zeros((1, side, side)),
        jnp.zeros((1, side, side), jnp.int32),
        jnp.zeros((1, 2, size)),
        jnp.ones((1,), jnp.int32),
        jnp.zeros((1, 1), jnp.int32),
    )
    drawn: dict[str, Any] = model.init(key, backbone, *empty)["params"]
    names = last_dense(model.network)["params"]
    kernel = jnp.asarray(backbone[names["kernel"]])
    selector = drawn["selector"]
    selector["last"]["kernel"] = kernel
    if "bias" in names:
        selector["last"]["bias"] = jnp.asarray(backbone[names["bias"]])
    selector["classes"] = kernel.T
    return drawn


@functools.partial(jax.jit, static_argnames="network")
def features_of(network: Network, parameters: Any, x: Array) -> Array:
    """Return :func:`features`, compiled once for a network and a shape."""
    return features(network, parameters, x)


def segment_features(
    network: Network,
    parameters: Mapping[str, Array],
    maps: np.ndarray,
    labels: np.ndarray,
    most: int,
    batch: int = 512,
) -> np.ndarray:
    """Return what the network knows of each segment alone: (map, segment, feature) float32.

    Parameters
    ----------
    maps : (map, y, x).
    labels : (map, y, x) segment of each pixel, below ``most``.
    most : segments of a map; where there are fewer, the rest is zero.

    """
    count = labels.max((1, 2)) + 1
    pairs = np.array([(row, one) for row in range(len(maps)) for one in range(count[row])])
    features_each = len(parameters[last_dense(network)["params"]["kernel"]])
    out = np.zeros((len(maps), most, features_each), np.float32)
    for rows, (row, segment) in ((r, piece.T) for r, piece in in_batches(pairs, batch)):
        alone = maps[row] * (labels[row] == segment[:, None, None])
        batch_features = np.asarray(
            features_of(network, dict(parameters), jnp.asarray(alone[..., None]))
        )
        kept = slice(rows.stop - rows.start)
        out[row[kept], segment[kept]] = batch_features[kept]
    return out


# ---- training ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    epochs : passes over the training maps.
    batch : maps a step.
    learning_rate : of AdamW, after a rise over the first tenth; falls along a cosine.
    sampled_groups : groups of a map in a step, drawn anew each time.
    generator_sharpness, selector_sharpness : as in :class:`SumOfParts`.
    checkpoint_every_seconds : time between checkpoints.

    """

    epochs: int
    batch: int
    learning_rate: float
    sampled_groups: int
    generator_sharpness: tuple[float, ...]
    selector_sharpness: float
    checkpoint_every_seconds: float

    @property
    def heads(self) -> int:
        """Groups around each segment."""
        return len(self.generator_sharpness)

    @classmethod
    def of(cls, section: config.Model, checkpoint_every_seconds: float) -> "Settings":
        """Take what training needs from the config."""
        return cls(
            section.epochs,
            section.batch,
            section.learning_rate,
            section.sampled_groups,
            tuple(section.generator_sharpness),
            section.selector_sharpness,
            checkpoint_every_seconds,
        )


@dataclasses.dataclass(frozen=True)
class Divided:
    """Maps, their segments, and what a network knows of each segment.

    Attributes
    ----------
    maps : (map, y, x).
    labels : (map, y, x) segment of each pixel.
    known : (map, segment, feature).

    """

    maps: np.ndarray
    labels: np.ndarray
    known: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Segments of each map (map)."""
        return np.asarray(self.labels.max((1, 2)) + 1)

    def select(self, rows: np.ndarray | slice) -> "Divided":
        """Return some of the maps."""
        return Divided(self.maps[rows], self.labels[rows], self.known[rows])


def divided(
    network: Network,
    parameters: Mapping[str, Array],
    maps: np.ndarray,
    settings: segments.Settings,
) -> Divided:
    """Divide maps (map, y, x) and look at each segment with the network."""
    labels = segments.divide_all(maps, settings)
    known = segment_features(network, parameters, maps, labels, settings.most)
    return Divided(maps, labels, known)


def asked_groups(
    count: np.ndarray, groups: int, heads: int, most: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw groups of each map for one step: (map, group), negative where a map has fewer.

    Parameters
    ----------
    count : (map) segments.
    heads : groups around each segment, from all of which is drawn.
    most : segments that ``known`` has room for.

    """
    asked = np.full((len(count), groups), -1)
    for row, there in enumerate(count):
        drawn = np.sort(generator.permutation(there * heads)[:groups])
        asked[row, : len(drawn)] = drawn // there * most + drawn % there
    return asked


@functools.partial(jax.jit, static_argnames=("model", "optimiser"))
def _advance(
    model: SumOfParts,
    optimiser: optax.GradientTransformation,
    parameters: Any,
    moments: Any,
    backbone: Any,
    inputs: tuple[Array, ...],
    targets: Array,
) -> tuple[Any, Any, Array]:
    def loss(parameters: Any) -> Array:
        parts: Any = model.apply({"params": parameters}, backbone, *inputs)
        return jnp.mean((parts.prediction - targets) ** 2)

    error, slope = jax.value_and_grad(loss)(parameters)
    change, moments = optimiser.update(slope, moments, parameters)
    return optax.apply_updates(parameters, change), moments, error


@functools.lru_cache(maxsize=4)
def _optimiser(learning_rate: float, steps: int) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, max(steps // 10, 1), max(steps, 2), 0.01 * learning_rate
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.01))


def narrowing(done: float) -> np.float32:
    """Return what multiplies the generator's sharpness at a share of the training that is done.

    Sparsemax hands no gradient to segments that a group leaves out, so that groups that start
    narrow cannot find what they lack: they start wide and are narrow from half way on.
    """
    return np.float32(min(1.0, WIDE + 2.0 * (1.0 - WIDE) * done))


def build(network: Network, settings: Settings) -> SumOfParts:
    """Return the model that the settings ask for."""
    return SumOfParts(network, settings.generator_sharpness, settings.selector_sharpness)


def train(
    network: Network,
    backbone: Mapping[str, Array],
    data: Divided,
    targets: np.ndarray,
    settings: Settings,
    seed: int,
    index: int,
    scratch: Path,
    label: str,
    learns: Learns = learning.LABELS,
) -> tuple[dict[str, Any], np.ndarray]:
    """Train generator, selector and a copy of the last layer over a frozen network.

    Parameters
    ----------
    targets : (map, output) in the units of the network's outputs.
    scratch : folder of the checkpoint.
    learns : the targets, the same in another order, or nothing: the initial weights.

    Returns
    -------
    Parameters of :class:`SumOfParts`, and the mean squared error of each epoch (epoch).

    Raises
    ------
    InputError
        When there are fewer maps than one batch, or the loss stops being a number.

    """
    if len(data.maps) < settings.batch:
        raise InputError(
            f"you2023.model.batch: got {settings.batch}, more than the {len(data.maps)} training "
            "maps; lower it"
        )
    targets = learning.given(learns, targets, seed, "groups", index)
    model, most = build(network, settings), data.known.shape[1]
    frozen = {name: jnp.asarray(array) for name, array in backbone.items()}
    total = settings.epochs * (len(data.maps) // settings.batch)
    optimiser = _optimiser(settings.learning_rate, total)
    parameters = initial(
        model, frozen, data.known.shape[2], randomness.key(seed, "sum of parts", index)
    )

    def advance(state: Any, rows: np.ndarray, step: int) -> tuple[Any, Array]:
        draw = randomness.generator(seed, "groups of a step", index, step)
        count = data.count[rows]
        asked = asked_groups(count, settings.sampled_groups, settings.heads, most, draw)
        inputs = (
            *(data.maps[rows], data.labels[rows], data.known[rows], count, asked),
            narrowing(step / total),
        )
        parameters, moments, error = _advance(
            model,
            optimiser,
            state["parameters"],
            state["moments"],
            frozen,
            tuple(map(jnp.asarray, inputs)),
            jnp.asarray(targets[rows], jnp.float32),
        )
        return {"parameters": parameters, "moments": moments}, error

    state, errors = fit(
        advance,
        {"parameters": parameters, "moments": optimiser.init(parameters)},
        inputs=len(data.maps),
        batch=settings.batch,
        epochs=0 if learns == learning.NOTHING else settings.epochs,
        order=lambda epoch: randomness.generator(seed, "order of divided maps", index, epoch),
        label=label,
        advice="you2023.model.learning_rate; lower it",
        scratch=scratch,
        checkpoint_every_seconds=settings.checkpoint_every_seconds,
    )
    return jax.tree.map(np.asarray, state["parameters"]), errors.mean(1)


def evaluate(
    network: Network,
    backbone: Mapping[str, Array],
    parameters: Mapping[str, Any],
    data: Divided,
    settings: Settings,
    batch: int = 8,
) -> Parts:
    """Apply a trained model to maps, with all their groups.

    Returns
    -------
    :class:`Parts` with NumPy arrays; a map's groups beyond head × its own segments have score 0
    and an empty mask.

    """
    most = data.known.shape[1]
    run = _compiled_evaluation(build(network, settings))
    everything = []
    with progress.bar(len(data.maps), "groups", unit="map") as shown:
        for start in range(0, len(data.maps), batch):
            rows = np.minimum(np.arange(start, start + batch), len(data.maps) - 1)
            some = data.select(rows)
            number = np.arange(settings.heads * most)
            asked = np.where(number % most < some.count[:, None], number, -1)
            arrays = (some.maps, some.labels, some.known, some.count, asked)
            parts = run(dict(parameters), dict(backbone), *map(jnp.asarray, arrays))
            kept = min(batch, len(data.maps) - start)
            everything.append(jax.tree.map(lambda a, kept=kept: np.asarray(a)[:kept], parts))
            shown.update(kept)
    joined: Parts = jax.tree.map(lambda *arrays: np.concatenate(arrays), *everything)
    empty = np.arange(settings.heads * most) % most >= data.count[:, None]
    joined.masks[empty] = 0.0
    # What is kept is what adds up: the sum again, in double precision.
    total = (joined.scores.astype(float) * joined.partial).sum(1)
    return dataclasses.replace(joined, prediction=total)


@functools.lru_cache(maxsize=4)
def _compiled_evaluation(model: SumOfParts) -> Callable[..., Parts]:
    return jax.jit(lambda parameters, *inputs: model.apply({"params": parameters}, *inputs))


def attribution(parts: Parts, output: int) -> np.ndarray:
    """Return how much each pixel is read: Σ_i c_i mask_i (map, y, x)."""
    return np.einsum("mg,mgyx->myx", parts.scores[..., output], parts.masks)


def save(path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Write a model's parameters as ``.npz``, by their place in the model."""
    write_arrays(path, flax.traverse_util.flatten_dict(dict(parameters), sep="."))


def load(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save` wrote.

    Raises
    ------
    InputError
        When the file is not one of those.

    """
    flat = read_arrays(path)
    tree: dict[str, Any] = flax.traverse_util.unflatten_dict(flat, sep=".")
    if set(tree) != {"generator", "selector"}:
        raise InputError(f"{path}: not a sum-of-parts model; it holds {', '.join(sorted(tree))}")
    return tree

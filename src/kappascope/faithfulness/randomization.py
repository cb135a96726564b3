"""Does a map depend on what the network learned? Weights drawn anew, layer by layer.

The test of Adebayo et al. (2018), as Matilla et al. (2020, §IV A) use it: compare the map of the
trained network with maps of the same input from networks whose layers have been re-initialised,
*cascading* from the output to the first convolution or one layer at a time (*independent*). A
method whose maps survive shows the input, not the network.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import progress, randomness
from kappascope.attribution import labels, methods
from kappascope.attribution.methods import (
    Method,
    Model,
    in_batches,
)
from kappascope.errors import InputError
from kappascope.faithfulness import similarity
from kappascope.networks import kinds
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import KINDS
from kappascope.networks.module import forward, with_statistics

Array = Any
EXPLAINED = 0
"""The output that the test explains: Ω_m, as in Table II."""
MODES = ("cascading", "independent")


def configured(name: str, section: Any, network: Network | None = None) -> Method:
    """Return a method with the budget of the config; refuse one without a value for every pixel."""
    method = methods.configured(name, section, network)
    if labels.coarse(name):
        raise InputError(
            f"{name} has no value for every pixel; kappascope attribute --list has the methods "
            "that give one"
        )
    return method


# ---- weights drawn anew --------------------------------------------------------------------------


def layers(network: Network) -> list[tuple[Mapping[str, Any], ...]]:
    """Return the layers from the output inwards: a conv or dense node and its normalizations.

    A normalization belongs to the node it reads, or else to the last conv or dense node before it.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for node in network.nodes:
        role = KINDS[node["kind"]].role
        if role == kinds.AFFINE:
            by_name[node["name"]] = [node]
        elif role in (kinds.NORMALIZATION, kinds.STANDARDIZATION) and by_name:
            source = node["inputs"][0]
            by_name[source if source in by_name else list(by_name)[-1]].append(node)
    return [tuple(nodes) for nodes in reversed(by_name.values())]


def chosen_layers(mode: str, stage: int) -> range:
    """Return which layers a stage draws anew: all up to it, or it alone (stages count from 1)."""
    return range(stage) if mode == "cascading" else range(stage - 1, stage)


def reinitialized(
    network: Network, parameters: Parameters, chosen: Iterable[int], seed: int, repeat: int
) -> Parameters:
    """Return parameters with some layers as before training.

    Kernels are drawn from Glorot's uniform distribution, biases are zero, batch normalization has
    scale 1, shift 0, mean 0 and variance 1. A layer's draw depends on (seed, layer, repeat) only.

    Parameters
    ----------
    chosen : indices of :func:`layers`.
    repeat : which draw.

    """
    out = dict(parameters)
    layer_nodes = layers(network)
    for index in chosen:
        generator = randomness.generator(seed, "re-initialised weights", index, repeat)
        for node in layer_nodes[index]:
            for field, name in node["params"].items():
                old = np.asarray(parameters[name])
                if field == "kernel":
                    *window, inside, outside = old.shape
                    limit = math.sqrt(6.0 / (math.prod(window) * (inside + outside)))
                    out[name] = generator.uniform(-limit, limit, old.shape).astype(old.dtype)
                else:
                    out[name] = np.full_like(old, 1.0 if field in ("scale", "var") else 0.0)
    return out


def with_estimated_statistics(
    network: Network, parameters: Parameters, x: Array, chosen: Iterable[int] | None = None
) -> Parameters:
    """Return parameters whose batch normalizations have the means and variances of ``x``.

    Parameters
    ----------
    x : (batch, *input_shape) what to average over.
    chosen : indices of :func:`layers` to do this for; None for all.

    """
    if chosen is None:
        return with_statistics(network, parameters, x)
    layer_nodes = layers(network)
    return with_statistics(
        network, parameters, x, {node["name"] for index in chosen for node in layer_nodes[index]}
    )


def positive(
    network: Network, parameters: Parameters, outputs: np.ndarray, output: int = EXPLAINED
) -> Parameters:
    """Return parameters whose output is positive on average.

    A last layer drawn anew is as likely the other way round. Where the output is negative, methods
    that hand on positive relevance give an empty map, and the sign of others is a coin's: with the
    kernel turned every draw counts.

    Parameters
    ----------
    parameters : with the last layer drawn anew, its biases zero.
    outputs : (map,) what they give.

    """
    if outputs.mean() >= 0:
        return parameters
    name = layers(network)[0][0]["params"]["kernel"]
    kernel = np.array(parameters[name])
    kernel[..., output] *= -1
    return {**parameters, name: kernel}


# ---- the test ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One map of a trained network beside that of a network drawn anew.

    Attributes
    ----------
    method, mode, stage, layer : what was drawn anew; ``layer`` names the last or only node.
    realization, repeat : which map, which draw.
    trained, randomized : (y, x) relevance.
    output_trained, output_randomized : value of the explained output.

    """

    method: str
    mode: str
    stage: int
    layer: str
    realization: int
    repeat: int
    trained: np.ndarray
    randomized: np.ndarray
    output_trained: float
    output_randomized: float

    @property
    def empty(self) -> bool:
        """Whether one of the maps is zero everywhere."""
        return not (self.randomized.any() and self.trained.any())

    def without_border(self, pixels: int) -> "Comparison":
        """Leave out the edges, which maps of a network that pads have in common."""
        return dataclasses.replace(
            self, trained=cropped(self.trained, pixels), randomized=cropped(self.randomized, pixels)
        )


def cropped(map_: np.ndarray, pixels: int) -> np.ndarray:
    """Leave out ``pixels`` along each edge of a map (y, x), as long as something is left."""
    kept = min(map_.shape) - 2 * pixels
    return map_[pixels : pixels + kept, pixels : pixels + kept] if kept > 0 and pixels else map_


def explained(
    method: Method,
    model: Model,
    maps: np.ndarray,
    seed: int,
    batch: int,
    output: int = EXPLAINED,
) -> np.ndarray:
    """Explain an output for maps (map, y, x, channel): (map, y, x), added up over channels."""
    pieces = in_batches(method, model, maps, output, seed, batch)
    return np.concatenate([relevance for _, relevance in pieces]).sum(-1)


@functools.partial(jax.jit, static_argnames=("network", "output"))
def _compiled_outputs(network: Network, parameters: Any, maps: Array, output: int) -> Array:
    return forward(network, parameters, maps)[:, output]


def _on_device(parameters: Mapping[str, Any]) -> dict[str, Any]:
    # Once, and not for every method.
    return {name: jnp.asarray(value) for name, value in parameters.items()}


def _outputs(
    network: Network, parameters: Mapping[str, Any], maps: np.ndarray, output: int
) -> np.ndarray:
    return np.asarray(_compiled_outputs(network, parameters, maps, output))


def compare(
    model: Model,
    maps: np.ndarray,
    methods: Sequence[Method],
    stages: Sequence[tuple[str, int]],
    repeats: int,
    seed: int,
    statistics: str,
    label: str,
    batch: int,
    seen: np.ndarray | None = None,
    output: int = EXPLAINED,
    first: int = 0,
) -> Iterator[Comparison]:
    """Attribute maps with the trained and with re-initialised networks.

    Parameters
    ----------
    maps : (map, y, x, channel) as the network sees them.
    stages : (mode, stage) pairs; see :func:`chosen_layers`.
    statistics : of batch normalization in layers drawn anew: ``initial`` (mean 0, variance 1) or
        ``estimated`` from ``seen``, the maps themselves unless given. A last layer drawn anew is
        turned so that the output is positive on average over them.
    label : of the progress bar.
    batch : maps at a time; the same everywhere saves compilation.
    output : which one to explain.
    first : number of the first draw, so that other networks may have draws of their own.

    """
    network, parameters = model
    model = network, _on_device(parameters)
    names = [nodes[0]["name"] for nodes in layers(network)]
    trained = {
        method.name: explained(method, model, maps, seed, batch, output) for method in methods
    }
    before = _outputs(network, dict(parameters), maps, output)
    total = repeats * len(stages) * len(methods)
    with progress.bar(total, label, unit="map set") as shown:
        for repeat in range(first, first + repeats):
            for mode, stage in stages:
                chosen = chosen_layers(mode, stage)
                weights = reinitialized(network, dict(parameters), chosen, seed, repeat)
                examples = maps if seen is None else seen
                if statistics == "estimated":
                    weights = with_estimated_statistics(network, weights, examples, chosen)
                if 0 in chosen:
                    outputs = _outputs(network, weights, examples, output)
                    weights = positive(network, weights, outputs, output)
                weights = _on_device(weights)
                after = _outputs(network, weights, maps, output)
                for method in methods:
                    randomized = explained(method, (network, weights), maps, seed, batch, output)
                    for number, relevance in enumerate(randomized):
                        yield Comparison(
                            method.name,
                            mode,
                            stage,
                            names[stage - 1],
                            number,
                            repeat,
                            trained[method.name][number],
                            relevance,
                            float(before[number]),
                            float(after[number]),
                        )
                    shown.update()


def curve_row(comparison: Comparison) -> dict[str, Any]:
    """Return the similarity of one comparison, a row of ``randomization.csv``."""
    correlations = similarity.correlations(comparison.trained, comparison.randomized)
    return {
        **{key: getattr(comparison, key) for key in ("method", "mode", "stage", "layer")},
        "realization": comparison.realization,
        "repeat": comparison.repeat,
        **{name: _cell(getattr(correlations, name)) for name in similarity.CORRELATIONS},
        "ssim": _cell(similarity.structural_similarity(comparison.trained, comparison.randomized)),
        "output": comparison.output_randomized,
        "empty": int(comparison.empty),
    }


def table2_row(
    comparison: Comparison, kappa: np.ndarray, seed: int, kendall_shifts: int
) -> dict[str, Any]:
    """Return coefficients and p-values of one comparison, a row of ``table2_maps.csv``.

    Parameters
    ----------
    kappa : (y, x) the input, whose own correlation with the trained map is kept beside.

    """
    one, other = comparison.trained, comparison.randomized
    correlations = similarity.correlations(one, other)
    generator = randomness.generator(
        seed, "circular shifts", comparison.realization, comparison.repeat
    )
    shifted = similarity.shift_p_values(one, other, generator, kendall_shifts)
    row: dict[str, Any] = {
        "method": comparison.method,
        "realization": comparison.realization,
        "repeat": comparison.repeat,
        "output_trained": comparison.output_trained,
        "output_randomized": comparison.output_randomized,
        "empty": int(comparison.empty),
    }
    for name in similarity.CORRELATIONS:
        row[name] = _cell(getattr(correlations, name))
        row[f"{name}_p"] = _cell(getattr(correlations, f"{name}_p"))
        row[f"{name}_shift_p"] = _cell(getattr(shifted, name))
    row["ssim"] = _cell(similarity.structural_similarity(one, other))
    row["pearson_input"] = _cell(similarity.pearson(one, kappa))
    return row


def null_row(one: np.ndarray, other: np.ndarray) -> dict[str, float | None]:
    """Return how alike maps (y, x) of two networks drawn anew are, the null of :func:`table2_row`.

    What the two have in common is not what either learned.
    """
    coefficients = similarity.correlations(one, other)._asdict()
    coefficients["ssim"] = similarity.structural_similarity(one, other)
    return {name: _cell(coefficients[column]) for column, name in NULLS.items()}


NULLS = {name: f"null_{name}" for name in (*similarity.CORRELATIONS, "ssim")}
"""Coefficient → its column for two networks drawn anew."""


def _cell(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

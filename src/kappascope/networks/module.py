"""A network description as a Flax module for training, and as plain functions afterwards."""

import functools
from collections.abc import Container, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from kappascope.errors import InputError
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import ACTIVATION, KINDS, RECTIFIER, value
from kappascope.networks.operations import PARAMETER_FREE, apply_node

Array = Any


class GraphNetwork(nn.Module):
    """Flax module of a description: (batch, y, x, channel) → (batch, output).

    Kernels start from Glorot's uniform distribution and biases from zero, as in Ribli et al.
    (2019); batch normalization keeps running averages with ``momentum``.
    """

    network: Network
    momentum: float = 0.99

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Evaluate all nodes; ``train`` uses the batch's own statistics."""
        values = {"x": x}
        for node in self.network.nodes:
            inputs = [values[name] for name in node["inputs"]]
            values[node["name"]] = self._evaluate(node, inputs, train)
        return values[self.network.nodes[-1]["name"]]

    def _evaluate(self, node: Mapping[str, Any], inputs: list[Array], train: bool) -> Array:
        kind, name = node["kind"], node["name"]
        start = nn.initializers.glorot_uniform()
        if kind == "conv":
            return nn.Conv(
                node["features"],
                tuple(node["window"]),
                tuple(node["strides"]),
                padding=[tuple(side) for side in node["padding"]],
                kernel_dilation=tuple(value(node, "dilation")),
                feature_group_count=value(node, "groups"),
                use_bias="bias" in node["params"],
                kernel_init=start,
                name=name,
            )(inputs[0])
        if kind == "batch_norm":
            return nn.BatchNorm(
                use_running_average=not train,
                momentum=self.momentum,
                epsilon=node["eps"],
                name=name,
            )(inputs[0])
        if kind == "dense":
            return nn.Dense(
                node["features"],
                use_bias="bias" in node["params"],
                kernel_init=start,
                name=name,
            )(inputs[0])
        if kind not in PARAMETER_FREE:
            raise InputError(
                f"node {name!r}: a {kind} is read with its weights, it cannot be trained here"
            )
        return PARAMETER_FREE[kind](inputs, node)


def flatten(network: Network, variables: Mapping[str, Any]) -> Parameters:
    """Turn a Flax module's variables into parameters by the description's names."""
    parameters: Parameters = {}
    for node in network.nodes:
        for field, name in node.get("params", {}).items():
            collection = "batch_stats" if field in ("mean", "var") else "params"
            parameters[name] = np.asarray(variables[collection][node["name"]][field])
    return parameters


def activations(network: Network, parameters: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """Evaluate the network and keep every node's output by name, ``x`` included.

    Parameters
    ----------
    x : (batch, *input_shape).

    """
    values = {"x": x}
    for node in network.nodes:
        inputs = [values[name] for name in node["inputs"]]
        values[node["name"]] = apply_node(node, parameters, *inputs)
    return values


def forward(network: Network, parameters: Mapping[str, Array], x: Array) -> Array:
    """Evaluate the network: (batch, *input_shape) → (batch, output), no softmax."""
    return activations(network, parameters, x)[network.nodes[-1]["name"]]


def last_map(network: Network, parameters: Mapping[str, Array]) -> str | None:
    """Return the last activation that still has pixels, Grad-CAM's usual node; None without one."""
    x = jax.ShapeDtypeStruct((1, *network.input_shape), np.float32)
    shapes = jax.eval_shape(functools.partial(activations, network), dict(parameters), x)
    found = [
        node["name"]
        for node in network.nodes
        if KINDS[node["kind"]].role in (RECTIFIER, ACTIVATION)
        and len(shapes[node["name"]].shape) == 4
        and max(shapes[node["name"]].shape[1:3]) > 1
    ]
    return found[-1] if found else None


def with_statistics(
    network: Network, parameters: Parameters, x: Array, chosen: Container[str] | None = None
) -> Parameters:
    """Return parameters whose batch normalizations have the means and variances of what they read.

    Parameters
    ----------
    x : (batch, *input_shape) what to average over.
    chosen : names of the normalizations to do this for; None for all.

    """
    names = [node["name"] for node in network.nodes if node["kind"] == "batch_norm"]
    flags = {name: chosen is None or name in chosen for name in names}
    estimated = _estimated(network, parameters, x, flags)
    return {**parameters, **{name: np.asarray(value) for name, value in estimated.items()}}


@functools.partial(jax.jit, static_argnames="network")
def _estimated(
    network: Network, parameters: Mapping[str, Array], x: Array, chosen: Mapping[str, Any]
) -> dict[str, Array]:
    values, out = {"x": x}, {}
    for node in network.nodes:
        inputs = [values[name] for name in node["inputs"]]
        if node["kind"] == "batch_norm":
            axes = tuple(range(inputs[0].ndim - 1))
            for field, moment in (("mean", jnp.mean), ("var", jnp.var)):
                name = node["params"][field]
                here = moment(inputs[0], axes)
                out[name] = jnp.where(chosen[node["name"]], here, parameters[name])
        values[node["name"]] = apply_node(node, {**parameters, **out}, *inputs)
    return out


@functools.partial(jax.jit, static_argnames="network")
def outputs_of(network: Network, parameters: Mapping[str, Array], x: Array) -> Array:
    """Return :func:`forward` in full precision, compiled once for a network and a shape."""
    # On a GPU the default would round factors to ten bits.
    with jax.default_matmul_precision("highest"):
        return forward(network, parameters, x)

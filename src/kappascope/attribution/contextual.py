"""Contextual decomposition: what part of an output comes from a part of the input.

The input is split into a relevant part r and the rest i, and both are carried through the network
so that r + i is the activation everywhere (Murdoch et al. 2018; Singh et al. 2019, with the rules
of its code for convolutional networks). The score of the part is r at the output, without softmax.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.module import apply_kernel, apply_node

Array = Any
Pair = tuple[Array, Array]
_TINY = 1e-20


def _linear(node: Mapping[str, Any], parameters: Mapping[str, Array], r: Array, i: Array) -> Pair:
    """Split a conv or dense node: the bias in proportion to abs(Wr) and abs(Wi)."""
    kernel = parameters[node["params"]["kernel"]]
    r, i = apply_kernel(node, kernel, r), apply_kernel(node, kernel, i)
    if "bias" not in node["params"]:
        return r, i
    bias = parameters[node["params"]["bias"]]
    p, q = jnp.abs(r) + _TINY, jnp.abs(i) + _TINY
    share = p / (p + q)
    return r + share * bias, i + (1 - share) * bias


def _batch_norm(
    node: Mapping[str, Any], parameters: Mapping[str, Array], r: Array, i: Array
) -> Pair:
    """Split batch normalization: the value at zero in proportion, the rest as it was."""
    whole = apply_node(node, parameters, r + i)
    shift = apply_node(node, parameters, jnp.zeros_like(r[:1]))
    r, i = (apply_node(node, parameters, part) - shift for part in (r, i))
    p, q = jnp.abs(r), jnp.abs(i)
    share = jnp.where(p + q > 0, p / jnp.where(p + q > 0, p + q, 1), 0)
    r = r + share * shift
    return r, whole - r


def _relu(node: Mapping[str, Any], parameters: Mapping[str, Array], r: Array, i: Array) -> Pair:
    """Split ReLU: the relevant part goes first, the other gets what is left."""
    kept = jax.nn.relu(r)
    return kept, jax.nn.relu(r + i) - kept


def _max_pool(node: Mapping[str, Any], parameters: Mapping[str, Array], r: Array, i: Array) -> Pair:
    """Split max pooling: both parts at the place where their sum is largest."""
    pool = functools.partial(apply_node, node, parameters)
    # Along r the derivative of the maximum is r at the winner.
    whole, r = jax.jvp(pool, (r + i,), (r,))
    return r, whole - r


_RULES = {
    "conv": _linear,
    "dense": _linear,
    "batch_norm": _batch_norm,
    "relu": _relu,
    "max_pool": _max_pool,
}
_EACH_PART = ("avg_pool", "global_avg_pool", "add")


def decompose(
    network: Network, parameters: Mapping[str, Array], x: Array, relevant: Array
) -> dict[str, Pair]:
    """Carry a part of the input through a network.

    Parameters
    ----------
    x : (batch, *input_shape).
    relevant : part of x, the same shape.

    Returns
    -------
    node → (relevant, irrelevant), ``x`` included; their sum is the node's output.

    Raises
    ------
    InputError
        When the network has a kind of node that has no rule.

    """
    values: dict[str, Pair] = {"x": (relevant, x - relevant)}
    for node in network.nodes:
        parts = [values[name] for name in node["inputs"]]
        if node["kind"] in _RULES:
            values[node["name"]] = _RULES[node["kind"]](node, parameters, *parts[0])
        elif node["kind"] in _EACH_PART:
            one, other = (apply_node(node, parameters, *side) for side in zip(*parts, strict=True))
            values[node["name"]] = one, other
        else:
            raise InputError(
                f"node {node['name']!r}: contextual decomposition has no rule for {node['kind']}"
            )
    return values


@functools.partial(jax.jit, static_argnames="network")
def scores(network: Network, parameters: Mapping[str, Array], x: Array, relevant: Array) -> Pair:
    """Return the relevant and the irrelevant part of the outputs, (batch, output) each."""
    with jax.default_matmul_precision("highest"):
        return decompose(network, parameters, x, relevant)[network.nodes[-1]["name"]]

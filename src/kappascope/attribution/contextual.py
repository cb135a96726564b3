"""Contextual decomposition: what part of an output comes from a part of the input.

The input is split into a relevant part r and the rest i, and both are carried through the network
so that r + i is the activation everywhere (Murdoch et al. 2018; Singh et al. 2019, with the rules
of its code for convolutional networks). The score of the part is r at the output, without softmax.

Two of the rules are choices (:class:`Convention`): who gets a bias, and which part goes through a
ReLU first. As published, both parts share a bias in proportion to their size, so that the smallest
part of an input is credited with a share of all biases; and the relevant part goes first.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kappascope.errors import InputError
from kappascope.networks import kinds
from kappascope.networks.description import Network
from kappascope.networks.kinds import KINDS
from kappascope.networks.module import activations
from kappascope.networks.operations import apply_kernel, apply_node

Array = Any
Pair = tuple[Array, Array]
_TINY = 1e-20


class Convention(NamedTuple):
    """What the method leaves open.

    Attributes
    ----------
    biases : ``shared`` in proportion to the size of the parts, or all to the ``rest``.
    relu : ``first`` takes the relevant part alone, ``fair`` the mean of that and of what it adds to
        the other part, which no order favours.

    """

    biases: str = "shared"
    relu: str = "first"


PUBLISHED = Convention()
CONVENTIONS = {
    "cd": PUBLISHED,
    "cd_rest": Convention(biases="rest"),
    "cd_fair": Convention(relu="fair"),
}
"""Name of a method → its convention."""


class _Split(NamedTuple):
    """A node of an evaluated network, and the relevant part of its inputs.

    Attributes
    ----------
    whole : its inputs.
    output : its output.
    relevant : part of the inputs; the rest of them is irrelevant.
    convention : who gets biases, which part goes first.

    """

    node: Mapping[str, Any]
    parameters: Mapping[str, Array]
    whole: tuple[Array, ...]
    output: Array
    relevant: tuple[Array, ...]
    convention: Convention


def _linear(at: _Split) -> Array:
    """Split an affine node: the bias in proportion to abs(Wr) and abs(Wi)."""
    names = at.node["params"]
    r = apply_kernel(at.node, at.parameters[names["kernel"]], at.relevant[0])
    if "bias" not in names or at.convention.biases == "rest":
        return r
    bias = at.parameters[names["bias"]]
    p, q = jnp.abs(r) + _TINY, jnp.abs(at.output - bias - r) + _TINY
    return r + p / (p + q) * bias


def _batch_norm(at: _Split) -> Array:
    """Split batch normalization: the value at zero in proportion."""
    shift = apply_node(at.node, at.parameters, jnp.zeros_like(at.relevant[0][:1]))
    r = apply_node(at.node, at.parameters, at.relevant[0]) - shift
    if at.convention.biases == "rest":
        return r
    p, q = jnp.abs(r), jnp.abs(at.output - shift - r)
    return r + jnp.where(p + q > 0, p / jnp.where(p + q > 0, p + q, 1), 0) * shift


def _activation(at: _Split) -> Array:
    """Split ReLU and its like: the relevant part goes first, the other gets what is left."""
    first = apply_node(at.node, at.parameters, at.relevant[0])
    if at.convention.relu == "first":
        return first
    last = at.output - apply_node(at.node, at.parameters, at.whole[0] - at.relevant[0])
    return 0.5 * (first + last)


def _maximum(at: _Split) -> Array:
    """Split max pooling: both parts at the place where their sum is largest."""
    pool = functools.partial(apply_node, at.node, at.parameters)
    # Along r the derivative of the maximum is r at the winner.
    return jax.jvp(pool, at.whole, at.relevant)[1]


def _alone(at: _Split) -> Array:
    """Each part by itself through a linear node; what a border holds goes to the rest."""
    node = {**at.node, "value": 0.0} if at.node["kind"] == "pad" else at.node
    return apply_node(node, at.parameters, *at.relevant)


RULES: dict[str, Callable[[_Split], Array]] = {
    kinds.AFFINE: _linear,
    kinds.NORMALIZATION: _batch_norm,
    kinds.RECTIFIER: _activation,
    kinds.ACTIVATION: _activation,
    kinds.MAXIMUM: _maximum,
    kinds.AVERAGE: _alone,
    kinds.SELECTION: _alone,
}
"""Role of a node → how its output is split."""


def decompose(
    network: Network,
    parameters: Mapping[str, Array],
    values: Mapping[str, Array],
    relevant: Array,
    convention: Convention = PUBLISHED,
) -> dict[str, Pair]:
    """Carry a part of the input through a network.

    The irrelevant part is what the relevant one leaves of each node's output, which is the same for
    every part of one input: evaluating the network once serves all of them.

    Parameters
    ----------
    values : output of every node for the inputs, ``x`` included, from ``module.activations``.
    relevant : part of x, the same shape.

    Returns
    -------
    node → (relevant, irrelevant), ``x`` included; their sum is the node's output.

    Raises
    ------
    InputError
        When the network has a kind of node that has no rule.

    """
    parts = {"x": relevant}
    for node in network.nodes:
        role = KINDS[node["kind"]].role
        if role not in RULES:
            raise InputError(
                f"node {node['name']!r}: contextual decomposition has no rule for {node['kind']}"
            )
        names = node["inputs"]
        parts[node["name"]] = RULES[role](
            _Split(
                node,
                parameters,
                tuple(values[name] for name in names),
                values[node["name"]],
                tuple(parts[name] for name in names),
                convention,
            )
        )
    return {name: (part, values[name] - part) for name, part in parts.items()}


@functools.partial(jax.jit, static_argnames="network")
def evaluated(network: Network, parameters: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """Return the output of every node for inputs (batch, *input_shape), as scores need it."""
    with jax.default_matmul_precision("highest"):
        return activations(network, parameters, x)


@functools.partial(jax.jit, static_argnames=("network", "convention"))
def scores(
    network: Network,
    parameters: Mapping[str, Array],
    values: Mapping[str, Array],
    relevant: Array,
    convention: Convention = PUBLISHED,
) -> Pair:
    """Return the relevant and the irrelevant part of the outputs, (batch, output) each.

    Parameters
    ----------
    values : of every node, from :func:`evaluated`.
    relevant : part of the inputs, in their shape.

    """
    with jax.default_matmul_precision("highest"):
        parts = decompose(network, parameters, values, relevant, convention)
        return parts[network.nodes[-1]["name"]]

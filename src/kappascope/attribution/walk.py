"""Through a network with relevance rules, and batch normalization folded into convolutions."""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from kappascope.attribution.rules import Composite, Step
from kappascope.networks import kinds
from kappascope.networks.description import Network
from kappascope.networks.kinds import KINDS
from kappascope.networks.module import activations
from kappascope.networks.operations import apply_node

Array = Any


@functools.lru_cache(maxsize=64)
def nonnegative_nodes(network: Network) -> frozenset[str]:
    """Return the nodes whose outputs cannot be negative: ReLUs, and sums and pools of them."""
    nonnegative: set[str] = set()
    for node in network.nodes:
        negative = KINDS[node["kind"]].negative
        if negative == kinds.NEVER or (
            negative == kinds.KEPT and all(name in nonnegative for name in node["inputs"])
        ):
            nonnegative.add(node["name"])
    return frozenset(nonnegative)


_BETWEEN = (kinds.AVERAGE, kinds.SELECTION, kinds.NORMALIZATION)


@functools.lru_cache(maxsize=64)
def first_layers(network: Network) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """Return the affine nodes that read the input before any other of them does.

    Returns
    -------
    Name to the nodes, in order, that stand between ``x`` and it: selections, batch normalization,
    averages and sums, which hand on what a rule for the input needs to know.

    """
    behind: dict[str, tuple[Mapping[str, Any], ...]] = {"x": ()}
    first = {}
    for node in network.nodes:
        if not all(name in behind for name in node["inputs"]):
            continue
        before = tuple({id(n): n for name in node["inputs"] for n in behind[name]}.values())
        role = KINDS[node["kind"]].role
        if role in _BETWEEN:
            behind[node["name"]] = (*before, node)
        elif role == kinds.AFFINE:
            first[node["name"]] = before
    return first


def _read_through(
    network: Network, parameters: Mapping[str, Array], node: Mapping[str, Any], value: float
) -> Array:
    """Return what a first layer reads of an input that is ``value`` everywhere, batch 1."""
    values = {"x": jnp.full((1, *network.input_shape), value, jnp.result_type(float))}
    for between in first_layers(network)[node["name"]]:
        inputs = (values[name] for name in between["inputs"])
        values[between["name"]] = apply_node(between, parameters, *inputs)
    return values[node["inputs"][0]]


def backward(
    network: Network,
    parameters: Mapping[str, Array],
    values: Mapping[str, Array],
    seed: Array,
    composite: Composite,
    target: str = "x",
    baseline: Mapping[str, Array] | None = None,
) -> Array:
    """Hand relevance back from the output to a node.

    Parameters
    ----------
    values : output of every node, from ``module.activations``.
    seed : (batch, output) relevance of the outputs.
    target : where to stop: a node's name, or ``x``.
    baseline : outputs of every node for the baseline, batch 1, for rules that need it.

    Returns
    -------
    Relevance of the target, in its shape.

    """
    safe, first = nonnegative_nodes(network), first_layers(network)
    relevance = {network.nodes[-1]["name"]: seed}
    for node in reversed(network.nodes):
        if node["name"] == target or node["name"] not in relevance:
            continue
        names = node["inputs"]
        step = Step(
            node,
            parameters,
            tuple(values[name] for name in names),
            values[node["name"]],
            all(name in safe for name in names),
            None
            if baseline is None
            else (tuple(baseline[name] for name in names), baseline[node["name"]]),
            functools.partial(_read_through, network, parameters, node)
            if node["name"] in first
            else None,
        )
        shares = composite.rule(node, node["name"] in first)(step, relevance.pop(node["name"]))
        for name, share in zip(names, shares, strict=True):
            if share is None:
                continue
            relevance[name] = relevance[name] + share if name in relevance else share
    return relevance.get(target, jnp.zeros_like(values[target]))


@functools.lru_cache(maxsize=64)
def _foldings(network: Network) -> tuple[tuple[str, str], ...]:
    """(convolution, batch normalization) pairs that can be one convolution.

    Not those that share a parameter with another node: folding would change that node as well.
    """
    nodes = {node["name"]: node for node in network.nodes}
    readers: dict[str, list[str]] = {}
    for node in network.nodes:
        for source in node["inputs"]:
            readers.setdefault(source, []).append(node["name"])
    used = collections.Counter(network.parameter_names)
    pairs = []
    for node in network.nodes:
        source = nodes.get(node["inputs"][0]) if node["kind"] == "batch_norm" else None
        if source is None or KINDS[source["kind"]].role != kinds.AFFINE:
            continue
        alone = readers[source["name"]] == [node["name"]]
        own = (*source["params"].values(), *node["params"].values())
        if alone and all(used[name] == 1 for name in own):
            pairs.append((source["name"], node["name"]))
    return tuple(pairs)


@functools.lru_cache(maxsize=64)
def folded_network(network: Network) -> Network:
    """Return the network without the batch normalizations that follow a convolution.

    Convolutions keep their names, with a bias each. A batch normalization after anything else, or
    after a convolution that other nodes read as well, stays.
    """
    pairs = _foldings(network)
    convolution = {norm: conv for conv, norm in pairs}
    nodes = []
    for node in network.nodes:
        if node["name"] in convolution:
            continue
        changed: dict[str, Any] = {
            **node,
            "inputs": [convolution.get(name, name) for name in node["inputs"]],
        }
        if node["name"] in convolution.values():
            bias = node["params"].get("bias", f"{node['name']}.bias")
            changed["params"] = {**node["params"], "bias": bias}
        nodes.append(changed)
    return Network(network.name, network.input_shape, network.outputs, tuple(nodes))


def fold(network: Network, parameters: Mapping[str, Array]) -> tuple[Network, dict[str, Array]]:
    """Fold batch normalizations into the convolutions before them.

    W' = W s and b' = (b - mean) s + shift with s = scale/√(var + eps): the same outputs, and one
    bias for relevance rules to see.

    Returns
    -------
    The folded network and its parameters.

    """
    nodes = {node["name"]: node for node in network.nodes}
    out = dict(parameters)
    for conv, norm in _foldings(network):
        names = nodes[norm]["params"]
        scale, shift, mean, var = (parameters[names[f]] for f in ("scale", "bias", "mean", "var"))
        slope = scale / (var + nodes[norm]["eps"]) ** 0.5
        kernel = nodes[conv]["params"]["kernel"]
        bias = nodes[conv]["params"].get("bias")
        before = 0.0 if bias is None else parameters[bias]
        out[kernel] = parameters[kernel] * slope
        out[bias or f"{conv}.bias"] = (before - mean) * slope + shift
        for name in names.values():
            del out[name]
    return folded_network(network), out


def evaluate(
    network: Network, parameters: Mapping[str, Array], x: Array, outputs: Sequence[int]
) -> tuple[dict[str, Array], Array]:
    """Evaluate a network once for several explained outputs.

    Returns
    -------
    values : output of every node.
    hot : (explained, 1, output) one for the explained output, zero for the others.

    """
    values = activations(network, parameters, x)
    last = values[network.nodes[-1]["name"]]
    hot = jnp.asarray(
        [[[float(k == output) for k in range(last.shape[-1])]] for output in outputs], last.dtype
    )
    return values, hot

"""Every attribution method by name, and one call for all of them: :func:`attribute`.

A method's name fixes its conventions, which differ between libraries: what the backward pass starts
from (``seed``), whether batch normalization is folded into the convolution before it or has a rule
of its own (``batch_norm``), which part of the bias counts (``bias``), how pooling and ReLU hand
relevance back. :meth:`Method.conventions` lists them, for people and for files. The ``inn_*`` and
``deep_taylor_bn_*`` names are iNNvestigate's conventions, the library of Matilla et al. (2020).

k is the explained output and y_k its value, x the input, S the map.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import randomness
from kappascope.attribution import labels
from kappascope.attribution.ascent import DeepDream, NonlinearSaliency
from kappascope.attribution.gradients import (
    GradCam,
    GradientShap,
    IntegratedGradients,
    SmoothGrad,
)
from kappascope.attribution.propagation import Propagation, compiled
from kappascope.attribution.registry import METHODS
from kappascope.attribution.sampling import Fresh, KernelShap, Lime, Occlusion, Rise
from kappascope.errors import InputError, nearest, reason
from kappascope.networks.description import Network

Array = Any
Model = tuple[Network, Mapping[str, Array]]
"""A network's description and its parameters by name."""


Drawing = SmoothGrad | GradientShap | Lime | KernelShap | Rise
"""Procedures that draw random numbers."""

Ascent = DeepDream | NonlinearSaliency
"""Procedures that change the input until the output rises."""

Procedure = Propagation | IntegratedGradients | GradCam | Occlusion | Fresh | Drawing | Ascent


@dataclasses.dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes
    ----------
    name : by which it is called.
    procedure : what computes it.
    text : its equation, source, and what it conserves.

    """

    name: str
    procedure: Procedure
    text: str

    def conventions(self) -> dict[str, Any]:
        """Return the choices that libraries make differently, to be kept with each map."""
        return {"method": self.name, **self.procedure.conventions()}


def find(name: str, network: Network | None = None) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    network : where given, nodes in the name must be its own.

    Raises
    ------
    InputError
        When there is no such method.

    """
    entry, groups = labels.declaration(name)
    if entry is None:
        raise InputError(
            f"method {name!r} is unknown{nearest(name, METHODS.names())}; "
            "kappascope attribute --list names all"
        )
    asked = groups.get("node")
    if asked is not None and network is not None:
        known = [node["name"] for node in network.nodes]
        if asked not in known:
            raise InputError(f"{name}: the network has no node {asked!r}{nearest(asked, known)}")
    made = METHODS[entry.name]
    procedure = made(**groups) if groups or isinstance(made, type) else made
    return Method(name, procedure, " ".join(METHODS.given(entry.name)["text"].split()))


def configured(name: str, section: Any, network: Network | None = None) -> Method:
    """Return a method with as many nodes and samples as a section of the config gives it."""
    method = find(name, network)
    entry, _ = labels.declaration(name)
    budget = {} if entry is None else entry.info.get("budget") or {}
    changes = {
        field: getattr(section, key) for field, key in budget.items() if hasattr(section, key)
    }
    procedure = dataclasses.replace(method.procedure, **changes) if changes else method.procedure
    return dataclasses.replace(method, procedure=procedure)


def of_function(function: Callable[[Array], Array], x: Array) -> Model:
    """Return a JAX function as a network whose inside is not known.

    Parameters
    ----------
    function : (batch, ...) → (batch, output), or (batch,) for one output; each input by itself.
    x : (batch, ...) inputs, for their shape.

    """
    shape = jnp.shape(x)[1:]
    kind = jnp.result_type(float)
    try:
        given = jax.eval_shape(function, jax.ShapeDtypeStruct((2, *shape), kind)).shape
    except Exception as error:
        raise InputError(
            f"the function does not take inputs of shape (batch, {', '.join(map(str, shape))}) "
            f"({reason(error)})"
        ) from error
    if len(given) not in (1, 2) or given[0] != 2:
        raise InputError(
            f"the function gives {given} for 2 inputs; it must give (batch, output) or (batch,)"
        )
    outputs = given[1] if len(given) == 2 else 1
    node = {"name": "function", "kind": "function", "inputs": ["x"]}
    nodes = ({**node, "call": function, "features": outputs},)
    return Network(getattr(function, "__name__", "function"), shape, outputs, nodes), {}


def attribute(
    method: str | Method,
    network: Model | Callable[[Array], Array],
    x: Array,
    output: int | Sequence[int] | None = None,
    seed: int = 0,
    names: Sequence[int] | None = None,
) -> Array:
    """Say how much each pixel counts for an output of a network.

    Parameters
    ----------
    method : its name, or a :class:`Method`.
    network : (description, parameters), from ``description.load``; or a JAX function (batch, ...) →
        (batch, output), for methods that need no layers.
    x : (batch, y, x, channel) or (batch, feature), in the network's own size.
    output : which output to explain; several or None (all) add an axis in front.
    seed, names : of what SmoothGrad, gradient SHAP, LIME, kernel SHAP and RISE draw: (seed, method,
        name of the map). Names are 0, 1, ... unless given.

    Returns
    -------
    (batch, ...) relevance in the input's shape (Grad-CAM: in the node's), or (output, batch, ...).

    Raises
    ------
    InputError
        Unknown method, output, node or rule; another size than the network's; input or relevance
        that is not finite.

    """
    graph, parameters = of_function(network, x) if callable(network) else network
    resolved = find(method, graph) if isinstance(method, str) else method
    outputs = _outputs(graph, output)
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    named = np.arange(len(x)) if names is None else np.asarray(names)
    check_inputs(graph, parameters, x, named)
    weights = {name: jnp.asarray(parameters[name], x.dtype) for name in graph.parameter_names}
    keys = None
    if isinstance(resolved.procedure, Drawing):
        keys = jnp.stack([randomness.key(seed, resolved.name, int(name)) for name in named])
    if isinstance(resolved.procedure, Propagation | GradCam):
        relevance = compiled(resolved.procedure, graph, weights, x, outputs)
    else:
        relevance = resolved.procedure(graph, weights, x, outputs, keys)
    sound = np.isfinite(np.asarray(relevance)).all(tuple(range(2, relevance.ndim)))
    if not sound.all():
        bad = np.argwhere(~sound)[0]
        raise InputError(
            f"{resolved.name}: the relevance of input {named[bad[1]]} for output {outputs[bad[0]]} "
            "is not finite; the network's values overflow, use --x64 or scale its inputs"
        )
    return relevance if _several(output) else relevance[0]


def in_batches(
    method: str | Method,
    network: Model | Callable[[Array], Array],
    maps: np.ndarray,
    output: int | Sequence[int] | None = None,
    seed: int = 0,
    batch: int = 16,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Attribute many maps, a batch at a time.

    Parameters
    ----------
    maps : (map, y, x, channel).

    Yields
    ------
    The rows of ``maps``, and their relevance as from :func:`attribute`.

    """
    for start in range(0, len(maps), batch):
        rows = slice(start, min(start + batch, len(maps)))
        # The last batch is filled up with copies: one shape, compiled once.
        names = [min(start + i, len(maps) - 1) for i in range(batch)]
        relevance = np.asarray(attribute(method, network, maps[names], output, seed, names))
        kept = rows.stop - rows.start
        yield rows, relevance[:, :kept] if _several(output) else relevance[:kept]


def image_relevance(
    name: str, model: Model, x: np.ndarray, output: int, seed: int, batch: int = 16
) -> np.ndarray:
    """Explain an output for images: (image, y, x), at the image's size and added up over channels.

    Grad-CAM is enlarged to the nearest neighbour.
    """
    method = find(name, model[0])
    maps = np.concatenate([part for _, part in in_batches(method, model, x, output, seed, batch)])
    if labels.coarse(name):
        rows, columns = (
            np.arange(n) * m // n for n, m in zip(x.shape[1:3], maps.shape[1:3], strict=True)
        )
        return maps[:, rows][:, :, columns]
    return np.asarray(maps.sum(-1))


def _several(output: int | Sequence[int] | None) -> bool:
    return output is None or np.ndim(output) > 0


def _outputs(network: Network, output: int | Sequence[int] | None) -> tuple[int, ...]:
    if output is None:
        return tuple(range(network.outputs))
    asked = tuple(map(int, np.atleast_1d(np.asarray(output, int))))
    if not asked:
        raise InputError(f"output: none given; network {network.name!r} has {network.outputs}")
    for k in asked:
        if not 0 <= k < network.outputs:
            raise InputError(
                f"output {k}: network {network.name!r} has outputs 0 to {network.outputs - 1}"
            )
    return asked


def check_inputs(
    network: Network, parameters: Mapping[str, Array], x: Array, names: np.ndarray | None = None
) -> None:
    """Refuse inputs (batch, ...) and parameters that a network cannot be explained with.

    Parameters
    ----------
    names : of the inputs, for messages; 0, 1, ... unless given.

    Raises
    ------
    InputError
        Another size than the network's, or numbers that are not finite.

    """
    names = np.arange(len(x)) if names is None else names
    if x.shape[1:] != network.input_shape or not len(x):
        raise InputError(
            f"inputs of shape {x.shape}: network {network.name!r} reads "
            f"(batch, {', '.join(map(str, network.input_shape))})"
        )
    for name in network.parameter_names:
        if name not in parameters:
            raise InputError(f"network {network.name!r}: parameter {name} is missing")
        if not np.isfinite(np.asarray(parameters[name])).all():
            raise InputError(f"network {network.name!r}: parameter {name} is not finite")
    for node in network.nodes:
        if node["kind"] == "batch_norm":
            var = node["params"]["var"]
            if (np.asarray(parameters[var]) + node["eps"] <= 0).any():
                raise InputError(f"network {network.name!r}: {var} + eps is not positive")
    finite = np.isfinite(np.asarray(x)).all(tuple(range(1, x.ndim)))
    if not finite.all():
        bad = names[np.flatnonzero(~finite)[0]]
        raise InputError(f"inputs: number {bad} has NaN or infinity")

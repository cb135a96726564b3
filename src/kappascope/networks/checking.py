"""Does a network description make sense? Fields, inputs and shapes, before anything is computed.

Descriptions come from users as well; without this a wrong field would end in a traceback of the
compiler, or in numbers of another network.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.errors import InputError

Shape = tuple[int, ...]
FORMAT = 1
"""Version of ``network.json`` that is read."""

_TOP = ("name", "format", "input", "output", "outputs", "nodes")
_FIELDS = {
    "conv": ("strides", "padding", "params"),
    "dense": ("params",),
    "batch_norm": ("eps", "params"),
    "avg_pool": ("window", "strides", "padding"),
    "max_pool": ("window", "strides", "padding"),
}
_PARAMETERS = {
    "conv": ("kernel",),
    "dense": ("kernel",),
    "batch_norm": ("scale", "bias", "mean", "var"),
}


_OPTIONAL = {"conv": (("features", "window"), ("bias",)), "dense": (("features",), ("bias",))}
"""Fields, and entries of ``params``, that a kind may have besides those it needs."""


def check_content(content: Any) -> None:
    """Refuse what ``network.json`` holds if it is of another format than ours.

    Raises
    ------
    InputError
        With the first field that is missing, unknown or of the wrong form.

    """
    if not isinstance(content, Mapping):
        raise InputError("holds no fields; it must be one {...}")
    _only(content, _TOP, "it")
    for field in ("name", "input", "outputs", "nodes"):
        if field not in content:
            raise InputError(f"has no {field!r}")
    if content.get("format", FORMAT) != FORMAT:
        raise InputError(f"is of format {content['format']!r}; this version reads {FORMAT}")
    if not isinstance(content["input"], Mapping):
        raise InputError(f"input is {content['input']!r}, not name and shape")
    _only(content["input"], ("name", "shape"), "input")
    if content["input"].get("name", "x") != "x":
        raise InputError(f"the input is called {content['input']['name']!r}; it must be 'x'")
    shape = content["input"].get("shape")
    if not isinstance(shape, list) or len(shape) not in (1, 3) or not all(map(_counts, shape)):
        raise InputError(
            f"the input's shape is {shape!r}; it must be [y, x, channel] or [feature], whole "
            "numbers from 1 on"
        )
    if not _counts(content["outputs"]):
        raise InputError(f"outputs is {content['outputs']!r}; it must be a whole number from 1 on")
    nodes = content["nodes"]
    if not isinstance(nodes, list) or not nodes or not all(isinstance(n, Mapping) for n in nodes):
        raise InputError("nodes must be a list of {...}, at least one")
    if content.get("output", nodes[-1].get("name")) != nodes[-1].get("name"):
        raise InputError(
            f"output is {content['output']!r}; it must be the last node, {nodes[-1].get('name')!r}"
        )


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _only(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse fields that nothing here reads: the network would be another than described."""
    unknown = [field for field in content if field not in known]
    if unknown:
        raise InputError(
            f"{where} has {unknown[0]!r} ({content[unknown[0]]!r}), which is not supported and may "
            f"not be ignored; known are {', '.join(known)}"
        )


def check_node(where: str, node: Mapping[str, Any]) -> None:
    """Refuse a node whose fields are missing, unknown or of the wrong form.

    Parameters
    ----------
    where : how to name the node in the message.

    """
    kind, inputs = node["kind"], node.get("inputs")
    more, more_parameters = _OPTIONAL.get(kind, ((), ()))
    _only(node, ("name", "kind", "inputs", *_FIELDS.get(kind, ()), *more), f"{where}: {kind}")
    if not isinstance(node.get("name"), str):
        raise InputError(f"{where}: name must be text")
    if isinstance(inputs, str) or not isinstance(inputs, Sequence) or not inputs:
        raise InputError(f"{where}: inputs must be a list of names, got {inputs!r}")
    least, most = (2, math.inf) if kind == "add" else (1, 1)
    if not least <= len(inputs) <= most:
        raise InputError(
            f"{where}: {kind} takes {'two or more inputs' if kind == 'add' else 'one input'}, "
            f"got {len(inputs)}"
        )
    for field in _FIELDS.get(kind, ()):
        if field not in node:
            raise InputError(f"{where}: {kind} needs {field!r}")
    _check_parameter_names(where, node, more_parameters)
    for field in ("strides", "window"):
        if field in node and not _pair(node[field], 1):
            raise InputError(f"{where}: {field} must be two numbers from 1 on, got {node[field]!r}")
    padding = node.get("padding", [[0, 0], [0, 0]])
    if not isinstance(padding, list | tuple) or [_pair(p, 0) for p in padding] != [True, True]:
        raise InputError(
            f"{where}: padding must be [[top, bottom], [left, right]] in pixels, got {padding!r}"
        )
    eps = node.get("eps", 0)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps < math.inf:
        raise InputError(f"{where}: eps must be a number from 0 on, got {eps!r}")
    if "features" in node and not _counts(node["features"]):
        raise InputError(f"{where}: features must be a whole number, got {node['features']!r}")


def _check_parameter_names(where: str, node: Mapping[str, Any], optional: Sequence[str]) -> None:
    kind = node["kind"]
    if "params" not in _FIELDS.get(kind, ()):
        return
    needed, params = _PARAMETERS[kind], node["params"]
    if not isinstance(params, Mapping):
        raise InputError(f"{where}: params must name arrays of network.npz, got {params!r}")
    for field in needed:
        if field not in params:
            raise InputError(f"{where}: params of {kind} need {field!r}")
    _only(params, (*needed, *optional), f"{where}: params")
    for field, name in params.items():
        if not isinstance(name, str):
            raise InputError(
                f"{where}: {field} must name an array of network.npz, got {name!r}; leave it out "
                "where there is none"
            )


def _pair(value: Any, least: int) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in value)
        and min(value) >= least
    )


def check_shapes(
    name: str,
    input_shape: Shape,
    outputs: int,
    nodes: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, np.ndarray],
) -> None:
    """Refuse parameters that do not fit, and nodes that would have nothing to work on.

    Parameters
    ----------
    parameters : by the names the nodes give.

    Raises
    ------
    InputError
        With the first node where something does not fit.

    """
    for key, value in parameters.items():
        kinds = (np.floating, np.integer)
        if not any(np.issubdtype(value.dtype, kind) for kind in kinds):
            raise InputError(
                f"network {name!r}: parameter {key} is {value.dtype}, not real numbers"
            )
    shapes: dict[str, Shape] = {"x": input_shape}
    for node in nodes:
        where = f"network {name!r}, node {node['name']!r}"
        inside = [shapes[source] for source in node["inputs"]]
        arrays = {field: parameters[key] for field, key in node.get("params", {}).items()}
        shapes[node["name"]] = _shape(where, node, inside, arrays)
    last = shapes[nodes[-1]["name"]]
    if last != (outputs,):
        raise InputError(
            f"network {name!r}: outputs is {outputs}, but the last node "
            f"{nodes[-1]['name']!r} gives {_text(last)} for each input"
        )


def _shape(
    where: str,
    node: Mapping[str, Any],
    inside: Sequence[Shape],
    arrays: Mapping[str, np.ndarray],
) -> Shape:
    kind, shape = node["kind"], inside[0]
    if kind == "add":
        if len(set(inside)) > 1:
            raise InputError(
                f"{where}: inputs of different shapes, {' and '.join(map(_text, inside))}"
            )
        return shape
    if kind in ("conv", "avg_pool", "max_pool", "global_avg_pool") and len(shape) != 3:
        raise InputError(f"{where}: {kind} needs maps (y, x, channel), gets {_text(shape)}")
    if kind == "dense" and len(shape) != 1:
        raise InputError(
            f"{where}: dense needs a vector, gets {_text(shape)}; put flatten or global_avg_pool "
            "before it"
        )
    if kind == "flatten":
        return (math.prod(shape),)
    if kind in ("conv", "dense"):
        axes = 4 if kind == "conv" else 2
        kernel = arrays["kernel"].shape
        if len(kernel) != axes or kernel[-2] != shape[-1]:
            form = "(height, width, in, out)" if kind == "conv" else "(in, out)"
            raise InputError(
                f"{where}: kernel of shape {_text(kernel)}, needs {form} with {shape[-1]} in"
            )
        _check_sizes(where, node, kernel)
        _vectors(where, {k: v for k, v in arrays.items() if k != "kernel"}, kernel[-1])
        if kind == "dense":
            return (kernel[1],)
        return (*_windows(where, node, shape, kernel[:2]), kernel[3])
    if kind == "batch_norm":
        _vectors(where, arrays, shape[-1])
        if (arrays["var"] + node["eps"] <= 0).any():
            raise InputError(f"{where}: var + eps is not positive everywhere")
    if kind in ("avg_pool", "max_pool"):
        return (*_windows(where, node, shape, tuple(node["window"])), shape[2])
    return (shape[2],) if kind == "global_avg_pool" else shape


def _check_sizes(where: str, node: Mapping[str, Any], kernel: Shape) -> None:
    """Refuse sizes that the description gives and the kernel contradicts."""
    sizes = {"features": kernel[-1], "window": list(kernel[:-2])}
    for field, size in sizes.items():
        given = list(node[field]) if field == "window" and field in node else node.get(field)
        if given is not None and given != size:
            raise InputError(f"{where}: {field} is {given}, but its kernel says {size}")


def _windows(
    where: str, node: Mapping[str, Any], shape: Shape, window: Sequence[int]
) -> tuple[int, int]:
    sides = [
        (side + sum(margin) - size) // stride + 1
        for side, margin, size, stride in zip(
            shape[:2], node["padding"], window, node["strides"], strict=True
        )
    ]
    if min(sides) < 1:
        raise InputError(
            f"{where}: a window of {_text(window)} does not fit into {_text(shape[:2])} pixels"
        )
    return sides[0], sides[1]


def _vectors(where: str, arrays: Mapping[str, np.ndarray], channels: int) -> None:
    for field, array in arrays.items():
        if array.shape != (channels,):
            raise InputError(
                f"{where}: {field} of shape {_text(array.shape)}, needs {channels} values"
            )


def _text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "one number"

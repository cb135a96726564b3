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


def check_node(where: str, node: Mapping[str, Any]) -> None:
    """Refuse a node whose fields are missing or of the wrong form.

    Parameters
    ----------
    where : how to name the node in the message.

    """
    kind, inputs = node["kind"], node.get("inputs")
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
    for field in _PARAMETERS.get(kind, ()):
        if field not in node["params"]:
            raise InputError(f"{where}: params of {kind} need {field!r}")
    for field in ("strides", "window"):
        if field in node and not _pair(node[field], 1):
            raise InputError(f"{where}: {field} must be two numbers from 1 on, got {node[field]!r}")
    padding = node.get("padding", [[0, 0], [0, 0]])
    if isinstance(padding, str) or len(padding) != 2 or not all(_pair(p, 0) for p in padding):
        raise InputError(
            f"{where}: padding must be [[top, bottom], [left, right]] in pixels, got {padding!r}"
        )


def _pair(value: Any, least: int) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(isinstance(v, int | np.integer) and v >= least for v in value)
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
            f"{nodes[-1]['name']!r} gives {_told(last)} for each input"
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
                f"{where}: inputs of different shapes, {' and '.join(map(_told, inside))}"
            )
        return shape
    if kind in ("conv", "avg_pool", "max_pool", "global_avg_pool") and len(shape) != 3:
        raise InputError(f"{where}: {kind} needs maps (y, x, channel), gets {_told(shape)}")
    if kind == "dense" and len(shape) != 1:
        raise InputError(
            f"{where}: dense needs a vector, gets {_told(shape)}; put flatten or global_avg_pool "
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
                f"{where}: kernel of shape {_told(kernel)}, needs {form} with {shape[-1]} in"
            )
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
            f"{where}: a window of {_told(window)} does not fit into {_told(shape[:2])} pixels"
        )
    return sides[0], sides[1]


def _vectors(where: str, arrays: Mapping[str, np.ndarray], channels: int) -> None:
    for field, array in arrays.items():
        if array.shape != (channels,):
            raise InputError(
                f"{where}: {field} of shape {_told(array.shape)}, needs {channels} values"
            )


def _told(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "one number"

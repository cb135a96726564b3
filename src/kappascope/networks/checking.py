"""Does a network description make sense? Fields, inputs and shapes, before anything is computed.

Descriptions come from users as well; without this a wrong field would end in a traceback of the
compiler, or in numbers of another network.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.errors import InputError
from kappascope.networks.kinds import CHECKS, KINDS, Kind, Shape, is_count, text

FORMAT = 1
"""Version of ``network.json`` that is read."""

_TOP = ("name", "format", "input", "output", "outputs", "nodes")


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
    if not isinstance(shape, list) or len(shape) not in (1, 3) or not all(map(is_count, shape)):
        raise InputError(
            f"the input's shape is {shape!r}; it must be [y, x, channel] or [feature], whole "
            "numbers from 1 on"
        )
    if not is_count(content["outputs"]):
        raise InputError(f"outputs is {content['outputs']!r}; it must be a whole number from 1 on")
    nodes = content["nodes"]
    if not isinstance(nodes, list) or not nodes or not all(isinstance(n, Mapping) for n in nodes):
        raise InputError("nodes must be a list of {...}, at least one")
    if content.get("output", nodes[-1].get("name")) != nodes[-1].get("name"):
        raise InputError(
            f"output is {content['output']!r}; it must be the last node, {nodes[-1].get('name')!r}"
        )


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
    kind, inputs = KINDS[node["kind"]], node.get("inputs")
    known = ("name", "kind", "inputs", *kind.fields, *kind.options)
    if kind.params:
        known = (*known, "params")
    _only(node, known, f"{where}: {kind.name}")
    if not isinstance(node.get("name"), str):
        raise InputError(f"{where}: name must be text")
    if isinstance(inputs, str) or not isinstance(inputs, Sequence) or not inputs:
        raise InputError(f"{where}: inputs must be a list of names, got {inputs!r}")
    least, most = kind.inputs
    if not least <= len(inputs) <= most:
        wanted = {1: "one input", 2: "two inputs"}.get(int(most) if most < 3 else 0)
        wanted = wanted or "two or more inputs"
        raise InputError(f"{where}: {kind.name} takes {wanted}, got {len(inputs)}")
    for field in (*kind.fields, *(("params",) if kind.params else ())):
        if field not in node:
            raise InputError(f"{where}: {kind.name} needs {field!r}")
    _check_parameter_names(where, node, kind)
    for field, check in CHECKS.items():
        if field in node and (problem := check(node[field])):
            raise InputError(f"{where}: {field} {problem}, got {node[field]!r}")


def _check_parameter_names(where: str, node: Mapping[str, Any], kind: Kind) -> None:
    if not kind.params:
        return
    params = node["params"]
    if not isinstance(params, Mapping):
        raise InputError(f"{where}: params must name arrays of network.npz, got {params!r}")
    for field in kind.params:
        if field not in params:
            raise InputError(f"{where}: params of {kind.name} need {field!r}")
    _only(params, (*kind.params, *kind.more_params), f"{where}: params")
    for field, name in params.items():
        if not isinstance(name, str):
            raise InputError(
                f"{where}: {field} must name an array of network.npz, got {name!r}; leave it out "
                "where there is none"
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
        shapes[node["name"]] = KINDS[node["kind"]].shape(where, node, inside, arrays)
    last = shapes[nodes[-1]["name"]]
    if last != (outputs,):
        raise InputError(
            f"network {name!r}: outputs is {outputs}, but the last node "
            f"{nodes[-1]['name']!r} gives {text(last)} for each input"
        )

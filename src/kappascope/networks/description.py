"""The description of a network: a list of nodes in order of evaluation, and its files.

A node is a small mapping with ``name``, ``kind``, ``inputs`` and the fields of its kind, which
:mod:`kappascope.networks.kinds` declares; docs/how-to/explain-your-network.md has the table.

``params`` names arrays of ``network.npz``. ``features`` and ``window`` of conv and dense can be
left out of a file: they are read off the kernels. A field that is not in the table is refused. Maps
are (batch, y, x, channel), ``x`` is the input's name, paddings are [[top, bottom], [left, right]].
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError
from kappascope.files import atomic_path, read_arrays, write_json
from kappascope.networks.checking import FORMAT, check_content, check_node, check_shapes
from kappascope.networks.kinds import KINDS

Parameters = dict[str, np.ndarray]
"""Flat parameters by the names the nodes give, for example ``conv1.kernel``."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A network's graph.

    Attributes
    ----------
    name : what to call it.
    input_shape : (y, x, channel), or (feature,) for a plain vector.
    outputs : number of outputs.
    nodes : in order of evaluation; see the module's table.

    """

    name: str
    input_shape: tuple[int, ...]
    outputs: int
    nodes: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        known = {"x"}
        for node in self.nodes:
            where = f"network {self.name!r}, node {node.get('name', '?')!r}"
            if node.get("kind") not in KINDS:
                raise InputError(
                    f"{where}: kind {node.get('kind')!r} is not one of {', '.join(KINDS)}"
                )
            check_node(where, node)
            for source in node["inputs"]:
                if source not in known:
                    raise InputError(f"{where}: input {source!r} is no earlier node")
            if node["name"] in known:
                raise InputError(f"{where}: the name stands twice")
            known.add(node["name"])

    def __hash__(self) -> int:
        """Hash the nodes, so that compiled functions are kept by network."""
        return hash(json.dumps(self.as_json(), sort_keys=True, default=id))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of all parameter arrays."""
        return tuple(name for node in self.nodes for name in node.get("params", {}).values())

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``network.json``."""
        return {
            "name": self.name,
            "format": FORMAT,
            "input": {"name": "x", "shape": list(self.input_shape)},
            "outputs": self.outputs,
            "nodes": [dict(node) for node in self.nodes],
        }


def save(folder: str | Path, network: Network, parameters: Parameters, **extra: np.ndarray) -> None:
    """Write ``network.json`` and ``network.npz`` into ``folder``.

    Parameters
    ----------
    extra : further arrays of the npz, for example inputs ``x``.

    """
    missing = [name for name in network.parameter_names if name not in parameters]
    if missing:
        raise InputError(f"network {network.name!r}: no parameters {', '.join(missing)}")
    with (
        atomic_path(Path(folder) / "network.npz") as scratch,
        open(scratch, "wb") as handle,
    ):
        arrays: dict[str, Any] = {name: parameters[name] for name in network.parameter_names}
        arrays.update(extra)
        np.savez(handle, **arrays)
    write_json(Path(folder) / "network.json", network.as_json())


def load(folder: str | Path) -> tuple[Network, Parameters, dict[str, np.ndarray]]:
    """Read a network that :func:`save` or another program wrote.

    Returns
    -------
    network, its parameters, and the npz file's other arrays (``x``, ...).

    Raises
    ------
    InputError
        When a file is missing or does not fit the other.

    """
    described, stored = Path(folder) / "network.json", Path(folder) / "network.npz"
    for path in (described, stored):
        if not os.path.isfile(path):
            raise InputError(
                f"{str(path)[:200]}: not found; a network is a folder with this file in it"
            )
    try:
        content = json.loads(described.read_text(encoding="utf-8"))
        check_content(content)
        network = Network(
            content["name"],
            tuple(content["input"]["shape"]),
            int(content["outputs"]),
            tuple(content["nodes"]),
        )
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{described}: not a network description ({error})") from error
    loaded = read_arrays(stored)
    missing = [name for name in network.parameter_names if name not in loaded]
    if missing:
        raise InputError(f"{stored}: lacks {', '.join(missing)}, which {described.name} names")
    parameters = {name: loaded[name] for name in network.parameter_names}
    extra = {name: array for name, array in loaded.items() if name not in parameters}
    try:
        check_shapes(network.name, network.input_shape, network.outputs, network.nodes, parameters)
    except InputError as error:
        raise InputError(f"{folder}: description and parameters do not fit ({error})") from error
    nodes = tuple(_with_sizes(node, parameters) for node in network.nodes)
    return dataclasses.replace(network, nodes=nodes), parameters, extra


def load_all(paths: Sequence[str | Path]) -> list[tuple[Network, Parameters]]:
    """Read networks by the paths of their ``network.npz``, as rules hand them over."""
    return [load(Path(path).parent)[:2] for path in paths]


def load_scaled(
    paths: Sequence[str | Path],
) -> list[tuple[Network, Parameters, np.ndarray]]:
    """Read networks with the scale of their targets (output,), in which they give outputs."""
    loaded = [load(Path(path).parent) for path in paths]
    return [(network, weights, extra["target_scale"]) for network, weights, extra in loaded]


def _with_sizes(node: Mapping[str, Any], parameters: Parameters) -> Mapping[str, Any]:
    """Add what a file may leave out, features and window, from the node's kernel."""
    if "kernel" not in node.get("params", {}):
        return node
    *window, _, features = parameters[node["params"]["kernel"]].shape
    sizes = {"features": features, "window": window} if window else {"features": features}
    return {**node, **sizes}

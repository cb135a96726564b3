"""From the nodes of an ONNX graph to a network's, one after the other.

ONNX says shapes, not what axes mean. Here every tensor that depends on the input knows which of its
axes is the channel and which are rows and columns, and so weights and orders of flattening are
turned to (y, x, channel). What is a constant, or arithmetic with shapes, is folded: the batch is a
number that stands for itself (:data:`BATCH`).

Operators register themselves in :data:`OPERATORS`, by files beside this one.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.errors import InputError
from kappascope.exchange import onnx_files
from kappascope.exchange.onnx_files import Graph
from kappascope.networks import kinds
from kappascope.networks.checking import check_node
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import KINDS

BATCH = 7919
"""Stands for the batch in arithmetic with shapes: a prime that no layer has as its size."""

LAYOUTS: Mapping[int, Mapping[str, tuple[str, ...]]] = {
    1: {"nc": ("c",)},
    2: {"ncw": ("c", "x"), "nwc": ("x", "c")},
    3: {"nchw": ("c", "y", "x"), "nhwc": ("y", "x", "c")},
}
"""Axes after the batch → name of a layout → what they are, the likelier first."""


class LayoutError(Exception):
    """The axes are not what they were taken for: another layout may fit."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a node of the network gives, as ONNX sees it.

    Attributes
    ----------
    name : of the network's node, ``x`` for the input.
    shape : as the network has it, (y, x, channel) or (feature,).
    axes : what ONNX's axes after the batch are: ``c``, ``y``, ``x``, or ``1`` for one of length one
        that the network does not have.

    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Number of channels or features."""
        return self.shape[-1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of ONNX's axes after the batch."""
        known = {"c": self.channels, "1": 1}
        if len(self.shape) == 3:
            known |= {"y": self.shape[0], "x": self.shape[1]}
        return tuple(known[axis] for axis in self.axes)

    @property
    def spatial(self) -> tuple[str, ...]:
        """The axes but the channel."""
        return tuple(axis for axis in self.axes if axis != "c")


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of what several ONNX nodes spell out, such as a GELU or a normalization.

    Attributes
    ----------
    what : which piece.
    tensor : of what.
    numbers : that belong to it.

    """

    what: str
    tensor: Tensor
    numbers: tuple[Any, ...] = ()


Value = np.ndarray | Tensor | Part | None


class Conversion:
    """The network as far as it has come.

    Attributes
    ----------
    graph : that is read.
    notes : what was done that a user should know.
    batch : size of the batch axis in arithmetic with shapes.

    """

    def __init__(self, graph: Graph, layout: str | None = None) -> None:
        self.graph = graph
        self.notes: list[str] = []
        self.nodes: list[dict[str, Any]] = []
        self.parameters: Parameters = {}
        self.affine: dict[str, tuple[Tensor, np.ndarray, np.ndarray]] = {}
        self.polynomial: dict[str, tuple[str, dict[int, float]]] = {}
        self.made: dict[str, tuple[str, str]] = {}
        self.counts: dict[str, int] = {}
        first, *sizes = graph.input_shape or (None,)
        where = f"{graph.path}: input {graph.input!r}"
        if len(sizes) not in LAYOUTS:
            raise InputError(
                f"{where}: has {len(sizes) + 1} axes; networks here read (n, features), "
                "(n, channel, time) or images of four axes"
            )
        if None in sizes:
            shown = ", ".join("?" if size is None else str(size) for size in sizes)
            raise InputError(
                f"{where}: leaves its size open (n, {shown}); export with the images' size fixed, "
                "only the batch open"
            )
        known = LAYOUTS[len(sizes)]
        if layout is not None and layout not in known:
            raise InputError(
                f"--layout: got {layout}, but {graph.path} has {len(sizes) + 1} axes; give "
                f"{' or '.join(known)}"
            )
        self.layout = layout or next(iter(known))
        self.batch = first or BATCH
        axes = known[self.layout]
        by_axis = dict(zip(axes, map(int, filter(None, sizes)), strict=True))
        shape: tuple[int, ...] = (by_axis["c"],)
        if len(sizes) > 1:
            shape = (by_axis.get("y", 1), by_axis["x"], by_axis["c"])
        self.input = Tensor("x", shape, axes)
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}
        self.values: dict[str, Value] = {**graph.constants, graph.input: self.input}
        self.polynomial["x"] = ("x", {1: 1.0})

    # ---- building ----

    def add(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        axes: Sequence[str],
        arrays: Mapping[str, np.ndarray] | None = None,
        **fields: Any,
    ) -> Tensor:
        """Add a node and return what it gives."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        name = f"{kind}{self.counts[kind]}"
        node: dict[str, Any] = {
            "name": name,
            "kind": kind,
            "inputs": [tensor.name for tensor in inputs],
            **fields,
        }
        arrays = {field: np.asarray(a, np.float32) for field, a in (arrays or {}).items()}
        if KINDS[kind].params:
            node["params"] = {field: f"{name}.{field}" for field in arrays}
        check_node(f"{kind} from it", node)
        shape = KINDS[kind].shape(
            f"{kind} from it", node, [self.shapes[tensor.name] for tensor in inputs], arrays
        )
        self.parameters |= {f"{name}.{field}": array for field, array in arrays.items()}
        self.nodes.append(node)
        self.shapes[name] = shape
        self.polynomial[name] = (name, {1: 1.0})
        if len(inputs) == 1:
            self.made[name] = (kind, inputs[0].name)
        return Tensor(name, shape, tuple(axes))

    def scaled(self, tensor: Tensor, scale: Any, shift: Any) -> Tensor:
        """Multiply channels by a scale and add a shift, as one node with those before it."""
        scale, shift = (np.broadcast_to(v, tensor.channels).astype(float) for v in (scale, shift))
        if (scale == 1).all() and (shift == 0).all():
            return tensor
        source, before, offset = self.affine.get(tensor.name, (tensor, np.ones(1), np.zeros(1)))
        total, moved = before * scale, offset * scale + shift
        zero = np.zeros(tensor.channels)
        arrays = {"scale": total + zero, "bias": moved + zero, "mean": zero, "var": zero + 1}
        made = self.add("batch_norm", [source], tensor.axes, arrays, eps=0.0)
        self.affine[made.name] = (source, total, moved)
        if np.ptp(scale) == 0 and np.ptp(shift) == 0:
            base, powers = self.polynomial[tensor.name]
            out = {power: factor * scale[0] for power, factor in powers.items()}
            out[0] = out.get(0, 0.0) + shift[0]
            self.polynomial[made.name] = (base, {k: v for k, v in out.items() if v})
        return made

    def flat(self, tensor: Tensor) -> Tensor:
        """Return a tensor as a vector, in the order in which ONNX has its values."""
        if len(tensor.shape) == 1:
            return dataclasses.replace(tensor, axes=("c",))
        letters = tuple(axis for axis in tensor.axes if axis != "1")
        orders = {"cyx": "cyx", "cx": "cyx", "yxc": "yxc", "xc": "yxc"}
        order = orders.get("".join(letters))
        if order is None:
            raise LayoutError(f"flattens axes in the order {', '.join(letters)}")
        return self.add("flatten", [tensor], ("c",), order=order)

    def channel_vector(self, constant: np.ndarray, tensor: Tensor) -> np.ndarray:
        """Return a constant that is broadcast to a tensor as one value for each channel.

        Raises
        ------
        LayoutError
            When it varies along another axis.

        """
        shape = (1,) * (len(tensor.axes) + 1 - constant.ndim) + constant.shape
        if len(shape) != len(tensor.axes) + 1 or shape[0] != 1:
            raise LayoutError(f"has a constant of shape {list(constant.shape)} beside a batch")
        for axis, size, there in zip(tensor.axes, shape[1:], tensor.sizes, strict=True):
            if size != 1 and (axis != "c" or size != there):
                raise LayoutError(
                    f"has a constant of shape {list(constant.shape)}, which varies along more than "
                    "channels"
                )
        return np.broadcast_to(constant.astype(float).ravel(), tensor.channels)

    def single(self, constant: np.ndarray | None) -> float | None:
        """Return a constant of one number as that number, None for another."""
        if constant is None or constant.size != 1:
            return None
        return float(constant.ravel()[0])

    def dims(self, tensor: Tensor) -> list[int]:
        """Return ONNX's shape of a tensor."""
        return [self.batch, *tensor.sizes]

    # ---- the end ----

    def network(self, name: str, output: Tensor) -> tuple[Network, Parameters]:
        """Return the network that ends in a tensor, without what it does not need."""
        if len(output.shape) > 1:
            sizes = "×".join(map(str, output.sizes))
            output = self.flat(output)
            self.notes.append(f"its output is an image, {sizes}: {output.channels} outputs")
        elif output.name == "x":
            raise InputError(f"{self.graph.path}: gives its input back; there is nothing to import")
        needed = {output.name}
        kept = []
        for node in reversed(self.nodes):
            if node["name"] in needed:
                needed |= set(node["inputs"])
                kept.append(node)
        nodes = _with_biases(kept[::-1], self.parameters)
        network = Network(name, self.input.shape, output.channels, tuple(nodes))
        arrays = {key: self.parameters[key] for key in network.parameter_names}
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.graph.path}: weights {key} hold NaN or infinity; export a network that "
                    "has been trained"
                )
        return network, arrays


def _with_biases(nodes: list[dict[str, Any]], parameters: Parameters) -> list[dict[str, Any]]:
    """Turn a shift after a layer without bias into its bias, where nothing else reads the layer."""
    readers: dict[str, int] = {}
    for node in nodes:
        for source in node["inputs"]:
            readers[source] = readers.get(source, 0) + 1
    by_name = {node["name"]: node for node in nodes}
    renamed: dict[str, str] = {}
    kept = []
    for node in nodes:
        node = {**node, "inputs": [renamed.get(source, source) for source in node["inputs"]]}
        source = by_name.get(node["inputs"][0])
        if (
            node["kind"] == "batch_norm"
            and source is not None
            and KINDS[source["kind"]].role == kinds.AFFINE
            and "bias" not in source["params"]
            and readers[source["name"]] == 1
            and (parameters[node["params"]["scale"]] == 1).all()
            and not parameters[node["params"]["mean"]].any()
            and (parameters[node["params"]["var"]] == 1).all()
            and node["eps"] == 0
        ):
            name = f"{source['name']}.bias"
            parameters[name] = parameters[node["params"]["bias"]]
            source["params"] = {**source["params"], "bias": name}
            renamed[node["name"]] = source["name"]
            continue
        by_name[node["name"]] = node
        kept.append(node)
    return kept


Handler = Callable[[Conversion, list[Value], dict[str, Any]], Value]
OPERATORS: dict[str, Handler] = {}
"""Operator → what makes nodes of it: (conversion, inputs, attributes) → value."""


def operator(*names: str) -> Callable[[Handler], Handler]:
    """Register what follows for operators."""

    def enter(handler: Handler) -> Handler:
        OPERATORS.update(dict.fromkeys(names, handler))
        return handler

    return enter


class RefusedError(Exception):
    """Why a node cannot be imported, and what to do."""


def convert(graph: Graph, layout: str | None = None) -> tuple[Network, Parameters, list[str]]:
    """Turn a graph into a network.

    Parameters
    ----------
    layout : of the input, from :data:`LAYOUTS`; None tries them.

    Returns
    -------
    The network, its parameters, and what a user should know.

    Raises
    ------
    InputError
        With the first node that is not supported.

    """
    axes = len(graph.input_shape) - 1
    tried = [layout] if layout else list(LAYOUTS.get(axes, {"": ()}))
    first: InputError | None = None
    for name in tried:
        try:
            return _converted(graph, name or None)
        except _WrongLayoutError as error:
            first = first or error.told
    assert first is not None
    raise first


class _WrongLayoutError(Exception):
    def __init__(self, told: InputError) -> None:
        self.told = told


def _converted(graph: Graph, layout: str | None) -> tuple[Network, Parameters, list[str]]:
    conversion = Conversion(graph, layout)
    # Said first: what such a node reads is seldom supported either, and not the reason.
    described = [(node, onnx_files.attributes(node, graph.path)) for node in graph.nodes]
    for node, given in described:
        where = f"{graph.path}: node {onnx_files.label(node)}: {node.op_type}"
        missing = [name for name in node.input if name and name not in conversion.values]
        if missing:
            raise InputError(f"{where} reads {missing[0]!r}, which nothing gives; export again")
        inputs = [conversion.values[name] if name else None for name in node.input]
        try:
            results = _results(conversion, node, inputs, given)
        except LayoutError as error:
            told = InputError(
                f"{where} {error}; only layouts of (n, channel, y, x) and (n, y, x, channel) are "
                "read"
            )
            raise _WrongLayoutError(told) from error
        except RefusedError as error:
            raise InputError(f"{where} {error}") from error
        except InputError as error:
            told = error if str(graph.path) in str(error) else InputError(f"{where}: {error}")
            raise told from error
        for name, value in zip(node.output, results, strict=False):
            if name:
                conversion.values[name] = value
    last = conversion.values.get(graph.output)
    if isinstance(last, Part) and last.what in ("softmax", "log softmax"):
        conversion.notes.append(f"the {last.what} at its end is taken off: outputs are logits")
        last = last.tensor
    if not isinstance(last, Tensor):
        raise InputError(
            f"{graph.path}: output {graph.output!r} does not depend on the input as a network's "
            "does; export the network alone"
        )
    name = graph.path.stem
    network, parameters = conversion.network(name, last)
    return network, parameters, [_reading(conversion), *conversion.notes]


def _reading(conversion: Conversion) -> str:
    shape = ", ".join(map(str, conversion.input.shape))
    turns = {
        "nchw": "x.transpose(0, 2, 3, 1) of its own (n, channel, y, x)",
        "nhwc": "as before",
        "ncw": "x.transpose(0, 2, 1)[:, None] of its own (n, channel, time)",
        "nwc": "x[:, None] of its own (n, time, channel)",
        "nc": "as before",
    }
    return f"it reads (n, {shape}), {turns[conversion.layout]}"


def _results(
    conversion: Conversion, node: Any, inputs: list[Value], given: dict[str, Any]
) -> Sequence[Value]:
    if all(value is None or isinstance(value, np.ndarray) for value in inputs):
        if node.op_type == "Constant":
            return [_constant(given)]
        if node.op_type not in ("RandomNormal", "RandomUniform", "Bernoulli"):
            arrays = [value for value in inputs if not isinstance(value, Tensor | Part)]
            graph = conversion.graph
            return onnx_files.folded(node, arrays, graph.opset, graph.path)
    handler = OPERATORS.get(node.op_type)
    if handler is None:
        raise RefusedError(
            "is not supported; docs/how-to/import-networks.md lists the operators that are, and "
            "what to use in place of others"
        )
    return [handler(conversion, inputs, given)]


def _constant(given: Mapping[str, Any]) -> np.ndarray:
    if "value" in given:
        return np.asarray(given["value"])
    for field, kind in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if field in given:
            return np.asarray(given[field], kind)
    raise RefusedError("holds no numbers; export a network without texts")

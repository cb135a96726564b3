"""A network as an ONNX file, for other programs: channels first, as PyTorch has them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError
from kappascope.files import atomic_path
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import KINDS, value

OPSET = 21
"""Group normalization with a scale for each channel stands in this version of ONNX's operators."""

Node = Mapping[str, Any]


class _Writer:
    """Nodes and weights of the graph so far."""

    def __init__(self, network: Network, parameters: Parameters) -> None:
        self.network, self.parameters = network, parameters
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.shapes: dict[str, tuple[int, ...]] = {"x": network.input_shape}

    def emit(self, kind: str, inputs: list[str], output: str, **given: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **given))

    def weight(self, name: str, array: Any) -> str:
        from onnx import numpy_helper

        array = np.ascontiguousarray(array)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def parameter(self, node: Node, field: str) -> np.ndarray:
        return np.asarray(self.parameters[node["params"][field]], np.float32)


def _pads(node: Node) -> list[int]:
    (top, bottom), (left, right) = node["padding"]
    return [top, left, bottom, right]


def _kernel_inputs(out: _Writer, node: Node, kernel: np.ndarray) -> list[str]:
    inputs = [node["inputs"][0], out.weight(f"{node['name']}.kernel", kernel)]
    if "bias" in node["params"]:
        inputs.append(out.weight(f"{node['name']}.bias", out.parameter(node, "bias")))
    return inputs


def _windowed(out: _Writer, node: Node, kind: str, kernel: np.ndarray, **more: Any) -> None:
    out.emit(
        kind,
        _kernel_inputs(out, node, kernel),
        node["name"],
        strides=list(node["strides"]),
        pads=_pads(node),
        dilations=list(value(node, "dilation")),
        **more,
    )


def _conv(out: _Writer, node: Node) -> None:
    kernel = out.parameter(node, "kernel").transpose(3, 2, 0, 1)
    _windowed(out, node, "Conv", kernel, group=value(node, "groups"))


def _conv_transpose(out: _Writer, node: Node) -> None:
    kernel = out.parameter(node, "kernel").transpose(2, 3, 0, 1)
    extra = list(value(node, "output_padding"))
    _windowed(out, node, "ConvTranspose", kernel, output_padding=extra)


def _dense(out: _Writer, node: Node) -> None:
    out.emit("Gemm", _kernel_inputs(out, node, out.parameter(node, "kernel")), node["name"])


def _norm_inputs(out: _Writer, node: Node) -> list[str]:
    fields = KINDS[node["kind"]].params
    weights = [out.weight(f"{node['name']}.{f}", out.parameter(node, f)) for f in fields]
    return [node["inputs"][0], *weights]


def _batch_norm(out: _Writer, node: Node) -> None:
    inputs = _norm_inputs(out, node)
    out.emit("BatchNormalization", inputs, node["name"], epsilon=float(node["eps"]))


def _group_norm(out: _Writer, node: Node) -> None:
    inputs = _norm_inputs(out, node)
    given = {"epsilon": float(node["eps"]), "num_groups": node["groups"]}
    out.emit("GroupNormalization", inputs, node["name"], **given)


def _layer_norm(out: _Writer, node: Node) -> None:
    name, (source, *weights) = node["name"], _norm_inputs(out, node)
    if len(out.shapes[node["inputs"][0]]) == 1:
        out.emit("LayerNormalization", [source, *weights], name, epsilon=float(node["eps"]))
        return
    out.emit("Transpose", [source], f"{name}.last", perm=[0, 2, 3, 1])
    inputs = [f"{name}.last", *weights]
    out.emit("LayerNormalization", inputs, f"{name}.normal", epsilon=float(node["eps"]))
    out.emit("Transpose", [f"{name}.normal"], name, perm=[0, 3, 1, 2])


def _clip(out: _Writer, node: Node) -> None:
    low, high = (0.0, 6.0) if node["kind"] == "relu6" else (node["low"], node["high"])
    inputs = [node["inputs"][0]]
    for field, bound in (("low", low), ("high", high)):
        array = None if bound is None else np.float32(bound)
        name = f"{node['name']}.{field}"
        inputs.append("" if array is None else out.weight(name, array))
    out.emit("Clip", inputs, node["name"])


def _silu(out: _Writer, node: Node) -> None:
    (source,) = node["inputs"]
    out.emit("Sigmoid", [source], f"{node['name']}.gate")
    out.emit("Mul", [source, f"{node['name']}.gate"], node["name"])


def _elu(out: _Writer, node: Node) -> None:
    gain = value(node, "gain")
    kind, given = ("Elu", {}) if gain == 1 else ("Selu", {"gamma": float(gain)})
    out.emit(kind, node["inputs"], node["name"], alpha=float(node["alpha"]), **given)


def _pool(out: _Writer, node: Node) -> None:
    given: dict[str, Any] = {"kernel_shape": list(node["window"]), "strides": list(node["strides"])}
    given |= {"pads": _pads(node), "ceil_mode": int(value(node, "ceil_mode"))}
    if node["kind"] == "avg_pool":
        given["count_include_pad"] = int(value(node, "count_include_pad"))
    kind = "AveragePool" if node["kind"] == "avg_pool" else "MaxPool"
    out.emit(kind, node["inputs"], node["name"], **given)


def _global(kind: str) -> Callable[[_Writer, Node], None]:
    def write(out: _Writer, node: Node) -> None:
        name = node["name"]
        out.emit(kind, node["inputs"], f"{name}.pixel")
        out.emit("Flatten", [f"{name}.pixel"], name)

    return write


def _multiply(out: _Writer, node: Node) -> None:
    inputs, axes = list(node["inputs"]), max(len(out.shapes[name]) for name in node["inputs"])
    for place, source in enumerate(inputs):
        if len(out.shapes[source]) < axes:
            name = f"{node['name']}.gate"
            shape = out.weight(f"{name}.shape", np.array([0, 0, 1, 1]))
            out.emit("Reshape", [source, shape], name)
            inputs[place] = name
    out.emit("Mul", inputs, node["name"])


def _flatten(out: _Writer, node: Node) -> None:
    (source,) = node["inputs"]
    if value(node, "order") == "yxc" and len(out.shapes[source]) == 3:
        out.emit("Transpose", [source], f"{node['name']}.last", perm=[0, 2, 3, 1])
        source = f"{node['name']}.last"
    out.emit("Flatten", [source], node["name"])


def _pad(out: _Writer, node: Node) -> None:
    (top, bottom), (left, right) = node["padding"]
    name = node["name"]
    pads = out.weight(f"{name}.pads", np.array([0, 0, top, left, 0, 0, bottom, right]))
    filled = out.weight(f"{name}.value", np.float32(value(node, "value")))
    out.emit("Pad", [node["inputs"][0], pads, filled], name)


def _resize(out: _Writer, node: Node) -> None:
    scales = out.weight(f"{node['name']}.scales", np.array([1, 1, *node["scale"]], np.float32))
    given: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"}
    placed = "asymmetric"
    if node["mode"] == "bilinear":
        given = {"mode": "linear"}
        placed = "align_corners" if value(node, "align_corners") else "half_pixel"
    inputs = [node["inputs"][0], "", scales]
    out.emit("Resize", inputs, node["name"], coordinate_transformation_mode=placed, **given)


def _plain(kind: str, **fields: str) -> Callable[[_Writer, Node], None]:
    """Write a node that ONNX has too; ``fields`` are its attributes and what we call them."""

    def write(out: _Writer, node: Node) -> None:
        given = {name: value(node, field) for name, field in fields.items()}
        out.emit(kind, list(node["inputs"]), node["name"], **given)

    return write


def _add(out: _Writer, node: Node) -> None:
    out.emit("Add" if len(node["inputs"]) == 2 else "Sum", list(node["inputs"]), node["name"])


def _concat(out: _Writer, node: Node) -> None:
    out.emit("Concat", list(node["inputs"]), node["name"], axis=1)


WRITERS: Mapping[str, Callable[[_Writer, Node], None]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "dense": _dense,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "relu": _plain("Relu"),
    "relu6": _clip,
    "clip": _clip,
    "leaky_relu": _plain("LeakyRelu", alpha="slope"),
    "elu": _elu,
    "silu": _silu,
    "gelu": _plain("Gelu", approximate="approximate"),
    "tanh": _plain("Tanh"),
    "hard_swish": _plain("HardSwish"),
    "sigmoid": _plain("Sigmoid"),
    "softplus": _plain("Softplus"),
    "hard_sigmoid": _plain("HardSigmoid", alpha="slope", beta="offset"),
    "avg_pool": _pool,
    "max_pool": _pool,
    "global_avg_pool": _global("GlobalAveragePool"),
    "global_max_pool": _global("GlobalMaxPool"),
    "resize": _resize,
    "add": _add,
    "multiply": _multiply,
    "concat": _concat,
    "flatten": _flatten,
    "pad": _pad,
}
"""Kind → what writes a node of it."""


def write(
    path: Path, network: Network, parameters: Parameters, scale: np.ndarray | None = None
) -> None:
    """Write a network as an ONNX file, batch first and open, images (n, channel, y, x).

    Parameters
    ----------
    scale : (output,) by which outputs are multiplied, the units of a regressor's targets.

    """
    import onnx
    from onnx import TensorProto, helper

    out = _Writer(network, parameters)
    for node in network.nodes:
        if node["kind"] not in WRITERS:
            raise InputError(
                f"network {network.name!r}, node {node['name']!r}: no ONNX for {node['kind']}"
            )
        WRITERS[node["kind"]](out, node)
        arrays = {field: parameters[name] for field, name in node.get("params", {}).items()}
        shapes = [out.shapes[source] for source in node["inputs"]]
        out.shapes[node["name"]] = KINDS[node["kind"]].shape("", node, shapes, arrays)
    last = network.nodes[-1]["name"]
    if scale is not None:
        factors = out.weight("outputs.scale", np.asarray(scale, np.float32))
        out.emit("Mul", [last, factors], "outputs")
        last = "outputs"
    shape = list(network.input_shape)
    if len(shape) == 3:
        shape = [shape[2], *shape[:2]]
    graph = helper.make_graph(
        out.nodes,
        network.name or "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", network.outputs])],
        out.weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="kappascope"
    )
    model.ir_version = 10
    onnx.checker.check_model(model)
    with atomic_path(path) as scratch, open(scratch, "wb") as handle:
        handle.write(model.SerializeToString())

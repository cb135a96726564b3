"""ONNX files: what may be read of them, and their weights as arrays.

Weights may lie in files beside the model, in its own folder only. Nothing of a model is executed
that depends on the data; constants are folded by the reference implementation of ONNX.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError, reason

LARGEST_BYTES = 2**31
"""Of a model, of its weights, of a constant that is folded."""
DOMAINS = ("", "ai.onnx")


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model's graph.

    Attributes
    ----------
    path : of the file, for messages.
    nodes : of the graph, in order.
    constants : initializers by name.
    input, output : their names.
    input_shape : sizes of the input, None where the file leaves one open.
    opset : version of ONNX's own operators.

    """

    path: Path
    nodes: Sequence[Any]
    constants: Mapping[str, np.ndarray]
    input: str
    output: str
    input_shape: tuple[int | None, ...]
    opset: int


def read(path: Path) -> Graph:
    """Read a model.

    Raises
    ------
    InputError
        When the file is no whole ONNX model, holds what may not be read, or has several inputs or
        outputs.

    """
    import onnx

    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path}: larger than 2 GiB, which no ONNX file is")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's own, whose package nothing else here names
        raise InputError(f"{path}: not a whole ONNX model; export it again") from error
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(f"{path}: not a whole ONNX model, it has no graph; export it again")
    graph = model.graph
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    version = opsets.get("", opsets.get("ai.onnx"))
    if version is None:
        raise InputError(f"{path}: says no version of ONNX's operators; export it again")
    if model.functions:
        names = ", ".join(sorted({function.name for function in model.functions})[:3])
        raise InputError(
            f"{path}: has functions of its own ({names}); export with them inlined "
            "(onnx.inliner.inline_local_functions)"
        )
    if graph.sparse_initializer:
        raise InputError(f"{path}: has sparse weights, which are not supported; export dense ones")
    constants = {
        tensor.name: array_of(tensor, path, f"weights {tensor.name!r}")
        for tensor in graph.initializer
    }
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        what, listed = ("inputs", inputs) if len(inputs) != 1 else ("outputs", graph.output)
        names = ", ".join(value.name for value in listed) or "none"
        raise InputError(f"{path}: has {len(listed)} {what} ({names}); export a model with one")
    for node in graph.node:
        if node.domain not in DOMAINS:
            raise InputError(
                f"{path}: node {label(node)}: operator {node.op_type} of domain {node.domain!r} is "
                "not ONNX's and its meaning is not known; export with standard operators"
            )
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
    ):
        raise InputError(f"{path}: input {inputs[0].name!r} is not of real numbers")
    sizes = tuple(
        size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else None
        for size in kind.shape.dim
    )
    return Graph(
        path, graph.node, constants, inputs[0].name, graph.output[0].name, sizes, int(version)
    )


def label(node: Any) -> str:
    """Return how messages name a node."""
    return repr(str(node.name or (node.output[0] if node.output else "?"))[:80])


def array_of(tensor: Any, path: Path, what: str) -> np.ndarray:
    """Return a tensor's values, from the model or from a file beside it.

    Raises
    ------
    InputError
        When the values are not all there, or lie elsewhere.

    """
    import onnx

    wanted = math.prod(tensor.dims)
    if min(tensor.dims, default=0) < 0 or wanted * 8 > 4 * LARGEST_BYTES:
        raise InputError(f"{path}: {what} of shape {list(tensor.dims)} is no weight; export again")
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError as error:
        raise InputError(f"{path}: {what} is of an unknown type {tensor.data_type}") from error
    if kind.hasobject:
        raise InputError(f"{path}: {what} holds text, not numbers")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        values = np.frombuffer(_beside(tensor, path, what), kind.newbyteorder("<"))
    else:
        try:
            values = onnx.numpy_helper.to_array(tensor).ravel()
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: {what} is not whole ({reason(error)}); export again"
            ) from error
    if values.size != wanted:
        raise InputError(
            f"{path}: {what} of shape {list(tensor.dims)} has {values.size} values; export again"
        )
    values = values.reshape(tuple(tensor.dims))
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _beside(tensor: Any, path: Path, what: str) -> bytes:
    """Return the bytes of a tensor in a file beside the model."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    name = fields.get("location", "")
    file = path.parent / name
    if not name or Path(name).name != name or name in (".", ".."):
        raise InputError(
            f"{path}: {what} lies in {name[:80]!r}; only files in the model's own folder are read"
        )
    advice = "bring both files, or export with external_data=False"
    if file.is_symlink() or not file.is_file():
        raise InputError(f"{path}: {what} lies in {name[:80]!r}, which is not beside it; {advice}")
    try:
        start = int(fields.get("offset", 0))
        length = int(fields.get("length", -1))
    except ValueError as error:
        raise InputError(f"{path}: {what} says no place in {name!r}; export again") from error
    size = file.stat().st_size
    length = size - start if length < 0 else length
    if start < 0 or start + length > size or length > LARGEST_BYTES:
        raise InputError(f"{path}: {what} reaches beyond the end of {name!r}; {advice}")
    with open(file, "rb") as handle:
        handle.seek(start)
        return handle.read(length)


def attributes(node: Any, path: Path) -> dict[str, Any]:
    """Return a node's attributes as numbers, texts, lists and arrays.

    Raises
    ------
    InputError
        When one is a graph: the network would depend on its input's values.

    """
    import onnx

    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise InputError(
                f"{path}: node {label(node)}: {node.op_type} is control flow, which is not "
                "supported; export a network whose nodes do not depend on the data"
            )
        if attribute.type == onnx.AttributeProto.TENSOR:
            found[attribute.name] = array_of(attribute.t, path, f"node {label(node)}")
        else:
            value = onnx.helper.get_attribute_value(attribute)
            found[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return found


_MAKES = ("ConstantOfShape", "Expand", "Tile", "Pad", "Range", "Resize", "OneHot", "EyeLike")
"""Operators whose output can be much larger than their inputs."""


def folded(node: Any, inputs: Sequence[np.ndarray | None], opset: int, path: Path) -> list[Any]:
    """Evaluate a node of constants by ONNX's reference implementation.

    Raises
    ------
    InputError
        When it cannot be evaluated, or would be larger than a network.

    """
    import onnx
    from onnx.reference import ReferenceEvaluator

    if node.op_type in _MAKES:
        _check_size(node, inputs, path)
    given = [value for value in inputs if value is not None]
    names = [name for name, value in zip(node.input, inputs, strict=True) if value is not None]
    listed = dict(zip(names, given, strict=True))
    graph = onnx.helper.make_graph(
        [node],
        "constants",
        [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in listed.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        results = ReferenceEvaluator(model).run(None, listed)
    except Exception as error:
        raise InputError(
            f"{path}: node {label(node)}: {node.op_type} of constants cannot be evaluated "
            f"({reason(error)}); simplify the model"
        ) from error
    return [np.asarray(result) for result in results]


def _check_size(node: Any, inputs: Sequence[np.ndarray | None], path: Path) -> None:
    wanted: float
    given = [value for value in inputs if value is not None]
    if node.op_type in ("ConstantOfShape", "Expand"):
        wanted = float(np.prod(np.asarray(given[-1], float)))
    elif node.op_type == "Range":
        start, limit, delta = (float(np.ravel(value)[0]) for value in given)
        wanted = abs((limit - start) / delta) if delta else math.inf
    else:
        counts = [float(np.abs(np.asarray(v, float)).sum()) for v in given[1:] if v.size < 64]
        wanted = given[0].size * max([1.0, *counts])
    if not wanted * 8 < LARGEST_BYTES:
        raise InputError(
            f"{path}: node {label(node)}: {node.op_type} makes a constant of {wanted:.3g} numbers; "
            "no network needs that"
        )

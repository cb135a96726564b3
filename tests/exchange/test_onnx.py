"""ONNX without reference models: what is written is read back, and files that are not sound."""

import dataclasses
from pathlib import Path
from typing import Any

import kind_networks as kinds
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from kappascope.command_line import main
from kappascope.errors import InputError
from kappascope.exchange import onnx_export
from kappascope.exchange.onnx_import import read
from kappascope.networks import description
from kappascope.networks.description import Network
from kappascope.networks.kinds import FUNCTION, KINDS
from kappascope.networks.module import outputs_of

DRAW = np.random.default_rng(2)


def model_of(nodes: list[Any], weights: dict[str, np.ndarray], **more: Any) -> onnx.ModelProto:
    """A model that reads (n, 2, 6, 6) and gives y."""
    shape = more.pop("shape", ["n", 2, 6, 6])
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", more.pop("kind", TensorProto.FLOAT), shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in more.pop("y", "y")
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = helper.make_opsetid("", more.pop("opset", 18))
    model = helper.make_model(graph, opset_imports=[opset], **more)
    model.ir_version = 10
    return model


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def small() -> tuple[list[Any], dict[str, np.ndarray]]:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["y"]),
    ]
    return nodes, {"w": DRAW.normal(size=(3, 2, 3, 3)).astype(np.float32)}


def test_every_kind_can_be_written() -> None:
    known = {name for name, kind in KINDS.items() if kind.role != FUNCTION}
    assert set(onnx_export.WRITERS) == known


def test_written_networks_give_the_same_outputs_elsewhere_and_when_read(tmp_path: Path) -> None:
    norm = {"scale": (7,), "bias": (7,)}
    for activation in kinds.ACTIVATIONS:
        network, arrays = kinds.every_kind(activation, bias=True)
        found = _there_and_back(network, arrays, tmp_path)
        assert [n["kind"] for n in found.nodes].count("conv_transpose") == 1
    for gate in ("sigmoid", "hard_sigmoid", "softplus"):
        _there_and_back(*kinds.gated(gate), tmp_path)
    build = kinds.Builder(9)
    build.conv(kernel=(3, 3, 2, 7))
    build.add("layer_norm", eps=1e-3, shapes=norm)
    build.add("group_norm", eps=1e-3, groups=7, shapes=norm)
    pooled = build.add("max_pool", window=[3, 2], strides=[2, 2], padding=[[1, 0], [0, 0]],
                       ceil_mode=True)  # fmt: skip
    build.add("add", pooled, pooled, pooled)
    build.add("elu", alpha=1.2, gain=1.1)
    build.add("resize", mode="bilinear", scale=[2, 2], align_corners=True)
    build.add("flatten")
    build.add("dense", shapes={"kernel": (build_size(build), 2)})
    _there_and_back(*build.model(), tmp_path)


def build_size(build: Any) -> int:
    shapes: dict[str, Any] = {"x": (6, 8, 2)}
    for node in build.nodes:
        given = {f: build.arrays[name] for f, name in node.get("params", {}).items()}
        inside = [shapes[name] for name in node["inputs"]]
        shapes[node["name"]] = KINDS[node["kind"]].shape("", node, inside, given)
    return int(shapes[build.nodes[-1]["name"]][0])


def _there_and_back(network: Network, arrays: Any, folder: Path) -> Network:
    onnx_export.write(folder / "m.onnx", network, arrays)
    x = DRAW.normal(size=(3, *network.input_shape)).astype(np.float32)
    weights = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    wanted = np.asarray(outputs_of(network, weights, x))
    session = onnxruntime.InferenceSession(
        str(folder / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, 1e-4, 1e-5 * scale)
    again, parameters, _ = read(folder / "m.onnx")
    np.testing.assert_allclose(outputs_of(again, parameters, x), wanted, 1e-4, 1e-5 * scale)
    return again


def test_units_of_targets_go_with_the_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, arrays = kinds.every_kind()
    scale = np.float32([0.3, 0.8])
    description.save(tmp_path / "net", network, arrays, target_scale=scale)
    assert main(["export", str(tmp_path / "net"), "-o", str(tmp_path / "m.onnx")]) == 0
    assert "in the units of its targets" in capsys.readouterr().out
    x = DRAW.normal(size=(2, 6, 8, 2)).astype(np.float32)
    weights = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(found, np.asarray(outputs_of(network, weights, x)) * scale, 1e-4)


def test_a_shift_after_a_layer_becomes_its_bias_and_scalings_one_node(tmp_path: Path) -> None:
    shift = DRAW.normal(size=(3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["x1"]),
        helper.make_node("Div", ["x1", "s"], ["x2"]),
        helper.make_node("Conv", ["x2", "w"], ["a"]),
        helper.make_node("Add", ["shift", "a"], ["b"]),
        helper.make_node("Mul", ["b", "two"], ["c"]),
        # One that has a bias keeps it.
        helper.make_node("Conv", ["c", "w2", "bias"], ["d"]),
        helper.make_node("Add", ["d", "shift"], ["e"]),
        helper.make_node("ReduceMean", ["e", "axes"], ["y"], keepdims=0),
    ]
    weights = {**small()[1], "shift": shift, "m": np.float32(1.5), "s": np.float32([[[2]], [[4]]])}
    weights |= {"two": np.float32(2), "axes": np.array([2, 3])}
    weights |= {"w2": DRAW.normal(size=(3, 3, 1, 1)).astype(np.float32)}
    weights |= {"bias": np.float32([1, 2, 3])}
    network, arrays, _ = read(saved(tmp_path / "m.onnx", model_of(nodes, weights)))
    assert [node["kind"] for node in network.nodes] == [
        "batch_norm",
        "conv",
        "batch_norm",
        "conv",
        "batch_norm",
        "global_avg_pool",
    ]
    x = DRAW.normal(size=(2, 6, 6, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    (wanted,) = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(outputs_of(network, arrays, x), wanted, 1e-4, 1e-5)


@pytest.mark.parametrize(
    "kind", ["LeakyRelu", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus"]
)
def test_what_an_activation_is_without_attributes(kind: str, tmp_path: Path) -> None:
    nodes = [helper.make_node(kind, ["x"], ["a"]), helper.make_node("Flatten", ["a"], ["y"])]
    network, arrays, _ = read(saved(tmp_path / "m.onnx", model_of(nodes, {})))
    x = 2 * DRAW.normal(size=(2, 6, 6, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    (wanted,) = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(outputs_of(network, arrays, x), wanted, 1e-5, 1e-6)


def node(kind: str, inputs: list[str], **given: Any) -> Any:
    return helper.make_node(kind, inputs, ["y"], name="it", **given)


W = {"w": np.ones((3, 2, 3, 3), np.float32)}
BAD_NODES: list[tuple[Any, dict[str, np.ndarray], str]] = [
    (node("Einsum", ["x"], equation="nchw->n"), {}, "is not supported; docs/how-to/import"),
    (node("Softmax", ["x"]), {}, "stands inside the network"),
    (node("Conv", ["x", "x"]), {}, "has weights that depend on the network's input"),
    (node("Conv", ["x", "nothing"]), {}, "reads 'nothing', which nothing gives"),
    (node("Conv", ["x", "w"], pads=[-1, 0, 0, 0]), W, "has negative pads"),
    (node("Conv", ["x", "w"], group=2), W, "kernel of shape"),
    (node("MaxPool", ["x"], kernel_shape=[2, 2], dilations=[2, 2]), {}, "is dilated"),
    (node("MaxPool", ["x"], kernel_shape=[9, 9]), {}, "a window of 9×9 does not fit into 6×6"),
    (node("MaxPool", ["x"], kernel_shape=[1, 1, 2, 2]), {}, "window over 4 axes .* not valid ONNX"),
    (node("MatMul", ["x", "x"]), {}, "multiplies two matrices that both depend"),
    (node("Exp", ["x"]), {}, "is not supported"),
    (node("Erf", ["x"]), {}, "as part of a GELU only"),
    (node("Sqrt", ["x"]), {}, "as part of a normalization only"),
    (node("Reshape", ["x", "to"]), {"to": np.array([-1, 2])}, "inputs of a batch have to stay"),
    (node("Reshape", ["x", "to"]), {"to": np.array([0, 5, 5])}, "which does not fit"),
    (node("Transpose", ["x"], perm=[1, 0, 2, 3]), {}, "moves the batch"),
    (node("Concat", ["x", "x"], axis=0), {}, "joins batches"),
    (node("Resize", ["x", "", "s"], mode="cubic"), {"s": np.float32([1, 1, 2, 2])}, "by cubic"),
    (node("Resize", ["x", "", "s"], mode="nearest"), {"s": np.float32([1, 1, 1.5, 2])},
     "whole numbers are supported"),
    (node("Pad", ["x", "p"], mode="reflect"), {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
     "pads by reflect"),
    (node("Add", ["x", "c"]), {"c": np.ones((6, 6), np.float32) * np.arange(6, dtype="f4")},
     "varies along more than"),
    (node("BatchNormalization", ["x", "v", "v", "v", "v"], training_mode=1),
     {"v": np.ones(2, np.float32)}, "is in training mode"),
    (node("Div", ["x", "z"]), {"z": np.float32(0)}, "divides by zero"),
    (node("Gemm", ["x", "w"]), {"w": np.ones((2, 3), np.float32)}, "flatten them first"),
    (node("ReduceMean", ["x"], keepdims=0), {}, "averages over the batch"),
    (node("Cast", ["x"], to=TensorProto.INT64), {}, "turns real numbers into others"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "weights", "told"), BAD_NODES)
def test_a_node_that_is_not_supported_is_named(
    bad: Any, weights: dict[str, np.ndarray], told: str, tmp_path: Path
) -> None:
    path = saved(tmp_path / "m.onnx", model_of([bad], weights))
    with pytest.raises(InputError, match=rf"m\.onnx: node 'it': {bad.op_type}.*{told}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def _external(location: str, **fields: Any) -> onnx.ModelProto:
    model = model_of(*small())
    tensor = model.graph.initializer[0]
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 0, "length": length, **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def _bomb() -> onnx.ModelProto:
    nodes, weights = small()
    made = helper.make_node("ConstantOfShape", ["big"], ["a lot"], name="bomb")
    used = helper.make_node("Add", ["y0", "a lot"], ["y"])
    nodes[-1].output[0] = "y0"
    return model_of([made, *nodes, used], {**weights, "big": np.array([10**6, 10**6])})


def _with(field: str, value: Any) -> onnx.ModelProto:
    model = model_of(*small())
    tensor = model.graph.initializer[0]
    if field == "dims":
        del tensor.dims[:]
        tensor.dims.extend(value)
    else:
        setattr(tensor, field, value)
    return model


BAD_FILES: list[tuple[Any, str]] = [
    (
        lambda: model_of(*small(), shape=["n", 2, "h", "w"]),
        r"leaves its size open \(n, 2, \?, \?\)",
    ),
    (lambda: model_of(*small(), shape=["n", 2, 6, 6, 6]), "has 5 axes"),
    (lambda: model_of(*small(), kind=TensorProto.INT64), "is not of real numbers"),
    (lambda: model_of(*small(), y=("y", "b")), r"has 2 outputs \(y, b\)"),
    (lambda: model_of(small()[0], {"w": small()[1]["w"] * np.nan}), "hold NaN or infinity"),
    (lambda: _external("../weights"), r"lies in '\.\./weights'; only files in the model's own"),
    (lambda: _external("/etc/passwd"), r"lies in '/etc/passwd'; only files"),
    (lambda: _external("gone"), "lies in 'gone', which is not beside it"),
    (lambda: _external("short"), "reaches beyond the end of 'short'"),
    (lambda: _external("short", offset=-8), "reaches beyond the end of 'short'"),
    (lambda: _external("whole", offset=-8), "reaches beyond the end of 'whole'"),
    (lambda: _external("short", offset="far"), "says no place in 'short'"),
    (lambda: _external("link"), "lies in 'link', which is not beside it"),
    (_bomb, "node 'bomb': ConstantOfShape makes a constant of 1e\\+12 numbers"),
    (lambda: _with("dims", [10**6, 10**6]), "of shape .* is no weight"),
    (lambda: _with("dims", [3, 2, 3, 4]), "is not whole|has 54 values"),
    (lambda: _with("dims", [-3, 2]), "is no weight"),
    (lambda: _with("data_type", 8), "holds text|is not whole"),
    (lambda: _with("data_type", 99), "is of an unknown type 99"),
]


@pytest.mark.parametrize(("make", "told"), BAD_FILES)
def test_a_file_that_is_not_sound_is_refused(
    make: Any, told: str, tmp_path: Path, refused: Any
) -> None:
    (tmp_path / "short").write_bytes(b"\0" * 16)
    (tmp_path / "whole").write_bytes(b"\0" * 216)
    (tmp_path / "link").symlink_to(tmp_path / "whole")
    saved(tmp_path / "m.onnx", make())
    refused(rf"m\.onnx: .*({told})", "m.onnx")


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    nodes, weights = small()
    (tmp_path / "weights").write_bytes(b"\0" * 4 + weights["w"].astype("<f4").tobytes())
    _, arrays, _ = read(saved(tmp_path / "m.onnx", _external("weights", offset=4)))
    kernel = next(iter(arrays.values()))
    np.testing.assert_array_equal(kernel, weights["w"].transpose(2, 3, 1, 0))
    assert len(nodes) == 4


@pytest.mark.parametrize(
    ("arguments", "output", "told"),
    [
        (("gone.onnx",), "net", "gone.onnx: not found"),
        (("m.onnx",), "m.onnx", "--output: m.onnx is a file; give a folder"),
        (("m.onnx", "--like", "net"), "net", "--like: an ONNX file holds its network"),
        (("m.onnx", "--layout", "ncw"), "net", "--layout: got ncw, but m.onnx has 4 axes"),
    ],
)
def test_arguments_that_do_not_go_together(
    arguments: tuple[str, ...], output: str, told: str, tmp_path: Path, refused: Any
) -> None:
    saved(tmp_path / "m.onnx", model_of(*small()))
    refused(told, *arguments, output=output)


def test_an_import_is_a_network_that_commands_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "m.onnx", model_of(*small()))
    assert main(["import", str(path), "-o", str(tmp_path / "net")]) == 0
    told = capsys.readouterr().out
    assert "m: 3 nodes, 54 weights, 3 outputs" in told
    assert "it reads (n, 6, 6, 2), x.transpose(0, 2, 3, 1) of its own" in told
    network, arrays, _ = description.load(tmp_path / "net")
    assert dataclasses.replace(network, name="m") == network and len(arrays) == 1

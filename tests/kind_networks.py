"""Small networks with nodes of every kind."""

from typing import Any

import numpy as np

from kappascope.networks.checking import check_shapes
from kappascope.networks.description import Network

Model = tuple[Network, dict[str, Any]]
NONE = [[0, 0], [0, 0]]
ACTIVATIONS: dict[str, dict[str, Any]] = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {"slope": 0.2},
    "elu": {"alpha": 1.0},
    "silu": {},
    "gelu": {},
    "tanh": {},
    "hard_swish": {},
    "clip": {"low": -0.5, "high": 2.0},
}


class Builder:
    """A network of 6 × 8 maps with two channels, node by node."""

    def __init__(self, seed: int = 0, bias: bool = False) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.draw, self.bias = np.random.default_rng(seed), bias

    def add(self, kind: str, *inputs: str, shapes: Any = None, **fields: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        last = self.nodes[-1]["name"] if self.nodes else "x"
        node = {"name": name, "kind": kind, "inputs": list(inputs or (last,)), **fields}
        if shapes:
            node["params"] = {field: f"{name}.{field}" for field in shapes}
            for field, shape in shapes.items():
                self.arrays[f"{name}.{field}"] = self.draw.normal(size=shape)
        self.nodes.append(node)
        return name

    def conv(self, *inputs: str, kernel: tuple[int, ...], **fields: Any) -> str:
        shapes: dict[str, Any] = {"kernel": kernel}
        if self.bias:
            shapes["bias"] = (kernel[-1],)
        kind = fields.pop("kind", "conv")
        usual = {"strides": [1, 1], "padding": [[1, 1], [1, 1]]}
        return self.add(kind, *inputs, shapes=shapes, **{**usual, **fields})

    def model(self, outputs: int = 2) -> Model:
        shape = (6, 8, 2)
        network = Network("n", shape, outputs, tuple(self.nodes))
        check_shapes("n", shape, outputs, self.nodes, self.arrays)
        return network, self.arrays


def every_kind(activation: str = "relu", bias: bool = False, seed: int = 0) -> Model:
    """Grouped, depthwise, dilated and transposed convolutions, enlargement, joins, pools."""
    build = Builder(seed, bias)
    build.conv(kernel=(3, 3, 1, 4), groups=2)
    first = build.add(activation, **ACTIVATIONS[activation])
    build.conv(kernel=(3, 3, 1, 4), groups=4)
    build.add(activation, **ACTIVATIONS[activation])
    build.conv(kernel=(2, 2, 4, 3), dilation=[2, 1], padding=[[1, 1], [0, 1]])
    deep = build.add(activation, **ACTIVATIONS[activation])
    joined = build.add("concat", first, deep)
    build.add("avg_pool", joined, window=[2, 2], strides=[2, 2], padding=NONE)
    build.conv(kind="conv_transpose", kernel=(2, 2, 7, 3), strides=[2, 2], padding=NONE)
    build.add(activation, **ACTIVATIONS[activation])
    build.add("pad", padding=[[0, 1], [1, 0]])
    build.add("resize", mode="bilinear", scale=[2, 1])
    build.add("resize", mode="nearest", scale=[1, 2])
    build.add("avg_pool", window=[3, 3], strides=[2, 3], padding=[[1, 1], [0, 0]],
              ceil_mode=True, count_include_pad=False)  # fmt: skip
    build.add("flatten", order="cyx")
    size = 144
    build.add("dense", shapes={"kernel": (size, 2), **({"bias": (2,)} if bias else {})})
    return build.model()


def gated(kind: str = "sigmoid") -> Model:
    """Squeeze and excitation: a map times one number a channel that the map decides."""
    build = Builder(2)
    signal = build.conv(kernel=(3, 3, 2, 4))
    build.add("global_avg_pool")
    build.add("dense", shapes={"kernel": (4, 4)})
    fields = {"slope": 0.2, "offset": 0.5} if kind == "hard_sigmoid" else {}
    gate = build.add(kind, **fields)
    build.add("multiply", signal, gate)
    build.add("global_max_pool")
    build.add("dense", shapes={"kernel": (4, 2)})
    return build.model()

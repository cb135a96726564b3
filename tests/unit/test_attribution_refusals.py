"""What attribution refuses, and what it must not get silently wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_attribute_command import small_network, some_inputs
from test_attribution_rules import Builder, chain, inputs

from kappascope.attribution import labels, rules, walk
from kappascope.attribution.methods import attribute, in_batches
from kappascope.errors import InputError
from kappascope.networks import description
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import forward


@pytest.mark.parametrize(
    ("method", "coarse", "family"),
    [
        ("grad_cam.relu4", True, "Grad-CAM"),
        ("grad_cam_raw.relu4", True, "Grad-CAM, not rectified"),
        ("guided_grad_cam.relu4", False, "Guided Grad-CAM"),
        ("occlusion_w4s4", False, "Occlusion"),
        ("gradient", False, "Gradient"),
        ("lrp_0", False, "lrp_0"),
        ("nothing.x", False, "nothing.x"),
    ],
)
def test_what_a_name_with_a_node_or_window_is(method: str, coarse: bool, family: str) -> None:
    assert labels.coarse(method) == coarse and labels.family(method) == family


def with_shared_parameters(norms: tuple[str, str]) -> tuple[Network, Parameters]:
    """Two convolutions with one kernel, and batch normalizations of the given names."""
    generator = np.random.default_rng(0)

    def conv(name: str, source: str) -> dict[str, Any]:
        fields = {"strides": [1, 1], "padding": [[1, 1], [1, 1]], "params": {"kernel": "k"}}
        return {"name": name, "kind": "conv", "inputs": [source], **fields}

    def norm(name: str, source: str, prefix: str) -> dict[str, Any]:
        params = {field: f"{prefix}.{field}" for field in ("scale", "bias", "mean", "var")}
        fields = {"eps": 1e-3, "params": params}
        return {"name": name, "kind": "batch_norm", "inputs": [source], **fields}

    nodes = (
        conv("conv1", "x"),
        norm("norm1", "conv1", norms[0]),
        {"name": "relu", "kind": "relu", "inputs": ["norm1"]},
        conv("conv2", "relu"),
        norm("norm2", "conv2", norms[1]),
        {"name": "pool", "kind": "global_avg_pool", "inputs": ["norm2"]},
        {"name": "dense", "kind": "dense", "inputs": ["pool"], "params": {"kernel": "d"}},
    )
    parameters = {"k": generator.normal(size=(3, 3, 1, 1)), "d": generator.normal(size=(1, 2))}
    for prefix in sorted(set(norms)):
        for field in ("scale", "bias", "mean", "var"):
            parameters[f"{prefix}.{field}"] = generator.uniform(0.5, 2, 1)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    return Network("shared", (6, 6, 1), 2, nodes), single


@pytest.mark.parametrize("norms", [("a", "b"), ("a", "a")])
def test_folding_leaves_shared_parameters_alone(norms: tuple[str, str], tmp_path: Path) -> None:
    network, parameters = with_shared_parameters(norms)
    description.save(tmp_path, network, parameters)
    network, parameters, _ = description.load(tmp_path)
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 1)).astype(np.float32)
    folded = forward(*walk.fold(network, parameters), x)
    np.testing.assert_allclose(folded, forward(network, parameters, x), rtol=1e-4)


@pytest.mark.parametrize("denominator", [np.nan, np.inf])
def test_quotients_do_not_hide_what_is_no_number(denominator: float) -> None:
    assert np.isnan(rules.divide(jnp.ones(1), jnp.full(1, denominator)))[0]


@pytest.mark.parametrize(
    "name", ["gradient", "input_x_gradient", "integrated_gradients", "guided_backprop", "lrp_0"]
)
def test_a_map_of_an_output_that_is_no_number_is_refused(name: str) -> None:
    network, parameters = small_network()
    parameters = {**parameters, "conv.kernel": np.full((3, 3, 1, 4), 1e38, np.float32)}
    assert not np.isfinite(forward(network, parameters, some_inputs())).all()
    with pytest.raises(InputError, match=f"{name}: the relevance of input 0 for output 0"):
        attribute(name, (network, parameters), some_inputs())


def test_outputs_inputs_and_names_of_any_sensible_kind() -> None:
    model = chain()
    x = inputs(model)
    one = attribute("gradient", model, x, 1)
    np.testing.assert_array_equal(attribute("gradient", model, x, np.int64(1)), one)
    np.testing.assert_array_equal(attribute("gradient", model, x, np.array([1]))[0], one)
    assert attribute("smoothgrad", model, x, 0, names=np.arange(len(x))).shape == x.shape
    assert attribute("gradient", model, np.ones((1, *x.shape[1:]), int), 0).dtype == np.float32
    with jax.enable_x64(True):
        assert attribute("gradient", model, x.astype(float), 0).dtype == np.float64


def test_no_output_at_all_is_refused() -> None:
    model = chain()
    with pytest.raises(InputError, match="output: none given"):
        attribute("gradient", model, inputs(model), [])


def test_a_missing_parameter_is_named() -> None:
    network, parameters = chain()
    name = network.parameter_names[0]
    short = {key: value for key, value in parameters.items() if key != name}
    with pytest.raises(InputError, match=f"parameter {re.escape(name)} is missing"):
        attribute("gradient", (network, short), inputs((network, parameters)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_alpha_and_beta_must_be_numbers(value: float) -> None:
    with pytest.raises(InputError, match="alpha, beta"):
        rules.AlphaBeta(value, value)


def test_inputs_are_numbered_through_all_batches() -> None:
    model = chain()
    x = inputs(model, 20)
    x[17] = np.nan
    with pytest.raises(InputError, match="inputs: number 17 "):
        list(in_batches("gradient", model, x, batch=16))


def test_a_negative_variance_is_named() -> None:
    builder = Builder((6, 6, 1), 0)
    builder.conv(2)
    norm = builder.norm()
    builder.add("global_avg_pool")
    builder.dense(2)
    network, parameters = builder.model(np.float32)
    parameters = {**parameters, f"{norm}.var": -parameters[f"{norm}.var"]}
    with pytest.raises(InputError, match=r"var \+ eps is not positive"):
        attribute("gradient", (network, parameters), np.ones((1, 6, 6, 1), np.float32))


# ---- descriptions as people may write them -------------------------------------------------------


def drop(index: int, field: str) -> Callable[[Any], Any]:
    return lambda content: content["nodes"][index].pop(field)


def put(index: int, field: str, value: Any) -> Callable[[Any], Any]:
    return lambda content: content["nodes"][index].__setitem__(field, value)


def top(field: str, value: Any) -> Callable[[Any], Any]:
    return lambda content: content.__setitem__(field, value)


DESCRIPTIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no strides": (drop(0, "strides"), "conv needs 'strides'"),
    "no padding": (drop(0, "padding"), "conv needs 'padding'"),
    "no params": (drop(0, "params"), "conv needs 'params'"),
    "no kernel": (put(0, "params", {"bias": "conv.bias"}), "params of conv need 'kernel'"),
    "one stride": (put(0, "strides", 2), "strides must be two numbers from 1 on, got 2"),
    "padding by name": (put(0, "padding", "SAME"), "padding must be"),
    "a pool without strides": (drop(2, "strides"), "needs 'strides'"),
    "no inputs": (put(1, "inputs", []), "inputs must be a list of names"),
    "inputs as text": (put(1, "inputs", "conv"), "inputs must be a list of names, got 'conv'"),
    "a ReLU of two": (put(1, "inputs", ["conv", "conv"]), "relu takes one input, got 2"),
    "dense on a map": (put(4, "inputs", ["pool"]), "put flatten or global_avg_pool before it"),
    "more outputs than there are": (lambda content: content.update(outputs=5), "outputs is 5"),
    "fewer outputs": (lambda content: content.update(outputs=1), "outputs is 1"),
    "a map at the end": (
        lambda content: content.update(nodes=content["nodes"][:3]),
        "but the last node",
    ),
    "a pool larger than the map": (put(2, "window", [9, 9]), "9×9 does not fit"),
    "dilation of nothing": (put(0, "dilation", [0, 2]), "dilation must be two numbers from 1 on"),
    "groups that do not fit": (put(0, "groups", 2), "groups is 2, which does not divide 1"),
    "padding mode": (put(0, "padding_mode", "circular"), "has 'padding_mode' ('circular')"),
    "a leaky ReLU": (put(1, "negative_slope", 0.1), "relu has 'negative_slope' (0.1)"),
    "padding counted": (put(2, "count_include_pad", 0), "count_include_pad must be true or false"),
    "windows in part": (put(2, "ceil_mode", "up"), "ceil_mode must be true or false, got 'up'"),
    "a function": (put(1, "kind", "function"), "function needs 'call'"),
    "a shift of batch norm's": (
        put(0, "params", {"kernel": "conv.kernel", "scale": "conv.bias"}),
        "params has 'scale' ('conv.bias')",
    ),
    "another format": (top("format", 2), "is of format 2; this version reads 1"),
    "unknown at the top": (top("softmax", True), "it has 'softmax' (True), which is not supported"),
    "another output": (
        top("output", "conv"),
        "output is 'conv'; it must be the last node, 'dense'",
    ),
    "another input": (top("input", {"name": "image", "shape": [8, 8, 1]}), "called 'image'"),
    "a shape of nothing": (
        top("input", {"name": "x", "shape": [None, None, 1]}),
        "the input's shape is [None, None, 1]; it must be [y, x, channel]",
    ),
    "outputs as text": (top("outputs", "2"), "outputs is '2'; it must be a whole number"),
    "no nodes": (top("nodes", []), "nodes must be a list"),
    "a list": (lambda content: [content.clear()], "has no 'name'"),
    "params null": (put(0, "params", None), "params must name arrays of network.npz, got None"),
    "bias null": (
        put(0, "params", {"kernel": "conv.kernel", "bias": None}),
        "bias must name an array of network.npz, got None; leave it out where there is none",
    ),
    "features of another network": (put(0, "features", 7), "features is 7, but its kernel says 4"),
    "window of another network": (
        put(0, "window", [5, 5]),
        "window is [5, 5], but its kernel says",
    ),
    "stride of true": (put(0, "strides", [True, True]), "strides must be two numbers from 1 on"),
    "padding of nothing": (put(0, "padding", None), "padding must be"),
}


@pytest.mark.parametrize("eps", ["1e-3", None, True, -1e-3, float("nan")])
def test_eps_must_be_a_number(eps: Any) -> None:
    network, _ = with_shared_parameters(("a", "b"))
    norm = {**network.nodes[1], "eps": eps}
    with pytest.raises(InputError, match=r"'norm1': eps must be a number from 0 on, got"):
        Network("n", network.input_shape, 2, (network.nodes[0], norm, *network.nodes[2:]))


@pytest.mark.parametrize("content", ["[]", "null", "3", "{", ""])
def test_a_description_that_is_none_is_one_line(tmp_path: Path, content: str) -> None:
    description.save(tmp_path, *small_network())
    (tmp_path / "network.json").write_text(content)
    with pytest.raises(InputError, match="not a network description") as caught:
        description.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_description_that_cannot_work_is_one_line(tmp_path: Path, case: str) -> None:
    change, told = DESCRIPTIONS[case]
    description.save(tmp_path, *small_network())
    path = tmp_path / "network.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        description.load(tmp_path)
    assert "\n" not in str(caught.value)


PARAMETERS = {
    "channels": ("conv.kernel", np.ones((3, 3, 2, 4), np.float32), "with 1 in"),
    "axes": ("conv.kernel", np.ones((3, 3), np.float32), "kernel of shape 3×3"),
    "text": ("conv.kernel", np.array(["a"]), "not real numbers"),
    "bias": ("conv.bias", np.ones(3, np.float32), "bias of shape 3, needs 4 values"),
    "complex": ("conv.bias", np.ones(4, np.complex64), "not real numbers"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_do_not_fit_are_one_line(tmp_path: Path, case: str) -> None:
    name, value, told = PARAMETERS[case]
    network, parameters = small_network()
    description.save(tmp_path, network, {**parameters, name: value})
    with pytest.raises(InputError, match=re.escape(told)):
        description.load(tmp_path)

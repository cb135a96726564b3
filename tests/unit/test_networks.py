"""Descriptions of networks, their files and their two evaluations."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kappascope.errors import InputError
from kappascope.networks import description
from kappascope.networks.architectures import convergence_cnn
from kappascope.networks.description import Network, load, save
from kappascope.networks.module import GraphNetwork, activations, flatten, forward
from kappascope.networks.operations import pool_sum

REFERENCE_NETWORKS = ("chain", "chain_nobias", "mlp", "residual")


def small_parameters(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters of every kind away from their usual starting values."""
    empty = jnp.zeros((1, *network.input_shape))
    shapes = jax.eval_shape(GraphNetwork(network).init, jax.random.key(0), empty)
    generator = np.random.default_rng(seed)
    parameters = {}
    for node in network.nodes:
        for field, name in node.get("params", {}).items():
            collection = "batch_stats" if field in ("mean", "var") else "params"
            shape = shapes[collection][node["name"]][field].shape
            drawn = generator.standard_normal(shape).astype(np.float32)
            if field == "kernel":
                drawn *= np.float32(math.sqrt(2 / math.prod(shape[:-1])))
            parameters[name] = 0.5 + np.abs(drawn) if field in ("scale", "var") else drawn
    return parameters


def as_variables(network: Network, parameters: dict[str, np.ndarray]) -> dict[str, Any]:
    """Write flat parameters as Flax variables: the inverse of ``flatten``."""
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for node in network.nodes:
        for field, name in node.get("params", {}).items():
            collection = "batch_stats" if field in ("mean", "var") else "params"
            variables[collection].setdefault(node["name"], {})[field] = parameters[name]
    return variables


def residual_network() -> Network:
    """A small graph with every kind of node and two paths."""
    conv = {"kind": "conv", "strides": [1, 1], "padding": [[1, 1], [1, 1]]}

    def named(name: str, *fields: str) -> dict[str, str]:
        return {field: f"{name}.{field}" for field in fields}

    nodes = (
        {
            **conv,
            "name": "conv1",
            "inputs": ["x"],
            "features": 4,
            "window": [3, 3],
            "params": named("conv1", "kernel", "bias"),
        },
        {
            "name": "bn1",
            "kind": "batch_norm",
            "inputs": ["conv1"],
            "eps": 1e-3,
            "params": named("bn1", "scale", "bias", "mean", "var"),
        },
        {"name": "relu1", "kind": "relu", "inputs": ["bn1"]},
        {
            **conv,
            "name": "conv2",
            "inputs": ["relu1"],
            "features": 4,
            "window": [3, 3],
            "params": named("conv2", "kernel"),
        },
        {"name": "sum", "kind": "add", "inputs": ["conv2", "relu1"]},
        {
            "name": "max",
            "kind": "max_pool",
            "inputs": ["sum"],
            "window": [3, 3],
            "strides": [2, 2],
            "padding": [[1, 1], [1, 1]],
        },
        {
            "name": "average",
            "kind": "avg_pool",
            "inputs": ["max"],
            "window": [2, 2],
            "strides": [2, 2],
            "padding": [[0, 0], [0, 0]],
        },
        {"name": "all", "kind": "global_avg_pool", "inputs": ["average"]},
        {"name": "flat", "kind": "flatten", "inputs": ["all"]},
        {"name": "gate", "kind": "sigmoid", "inputs": ["flat"]},
        {
            "name": "dense",
            "kind": "dense",
            "inputs": ["gate"],
            "features": 3,
            "params": named("dense", "kernel", "bias"),
        },
    )
    return Network("residual", (12, 12, 1), 3, nodes)


# The published network.


@pytest.mark.parametrize(("width", "trainable"), [(32, 8327586), (16, 2085330), (8, 523050)])
def test_published_network_has_the_published_number_of_parameters(
    width: int, trainable: int
) -> None:
    network = convergence_cnn(512, width, "VALID")
    module = GraphNetwork(network)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 512, 512, 1)))

    def count(collection: str) -> int:
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes[collection]))

    assert count("params") == trainable
    if width == 32:
        assert trainable + count("batch_stats") == 8335522
    kinds = [node["kind"] for node in network.nodes]
    assert [kinds.count(kind) for kind in ("conv", "batch_norm", "relu", "dense")] == [
        18,
        17,
        18,
        1,
    ]
    # Five average pools between the blocks and a global one at the end: six poolings.
    assert kinds.count("avg_pool") + kinds.count("global_avg_pool") == 6
    assert kinds[-2:] == ["global_avg_pool", "dense"]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_width_four_and_either_padding_have_the_same_parameters(padding: str) -> None:
    network = convergence_cnn(512, 4, padding)
    shapes = jax.eval_shape(
        GraphNetwork(network).init, jax.random.key(0), jnp.zeros((1, 512, 512, 1))
    )
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) == 131622


def last_map_side(network: Network) -> int:
    shapes = jax.eval_shape(
        lambda x: activations_shape(network, x), jnp.zeros((1, *network.input_shape))
    )
    return int(shapes.shape[1])


def activations_shape(network: Network, x: jax.Array) -> jax.Array:
    parameters = {}
    channels = {"x": network.input_shape[-1]}
    for node in network.nodes:
        inside = channels[node["inputs"][0]]
        channels[node["name"]] = node.get("features", inside)
        for field, name in node.get("params", {}).items():
            shape: tuple[int, ...] = (channels[node["name"]],)
            if field == "kernel":
                shape = (*node.get("window", ()), inside, node["features"])
            parameters[name] = jnp.ones(shape)
    return activations(network, parameters, x)["relu18"]


@pytest.mark.parametrize(
    ("pixels", "padding", "side"),
    [
        (512, "VALID", 6),
        (384, "VALID", 2),
        (348, "VALID", 1),
        (128, "SAME", 4),
        (64, "SAME", 2),
        (32, "SAME", 1),
    ],
)
def test_last_map_has_the_side_that_convolutions_and_pools_leave(
    pixels: int, padding: str, side: int
) -> None:
    assert last_map_side(convergence_cnn(pixels, 8, padding)) == side


@pytest.mark.parametrize(
    ("pixels", "padding", "told"),
    [
        (256, "VALID", r"network\.padding: VALID needs maps of at least 348 pixels, got 256"),
        (347, "VALID", r"at least 348 pixels, got 347; use SAME or larger maps"),
        (31, "SAME", r"SAME needs maps of at least 32 pixels, got 31"),
        (128, "same", r"network\.padding: got 'same', allowed are VALID and SAME"),
    ],
)
def test_maps_that_are_too_small_are_refused_in_one_line(
    pixels: int, padding: str, told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        convergence_cnn(pixels, 8, padding)
    assert "\n" not in str(caught.value)


# Two evaluations of one description.


@pytest.mark.parametrize("name", ["cnn", "residual"])
def test_the_flax_module_and_the_plain_functions_agree(name: str) -> None:
    network = convergence_cnn(32, 2, "SAME") if name == "cnn" else residual_network()
    parameters = small_parameters(network)
    x = np.random.default_rng(1).standard_normal((3, *network.input_shape)).astype(np.float32)
    expected = jax.jit(GraphNetwork(network).apply)(as_variables(network, parameters), x)
    outputs = jax.jit(partial(forward, network))(parameters, x)
    assert outputs.shape == (3, network.outputs)
    np.testing.assert_allclose(outputs, expected, rtol=2e-5, atol=1e-5)
    assert np.std(outputs) > 1e-3
    # flatten is as_variables backwards.
    again = flatten(network, as_variables(network, parameters))
    assert set(again) == set(network.parameter_names)
    for key, value in parameters.items():
        np.testing.assert_array_equal(again[key], value)


def test_training_mode_uses_the_batchs_own_statistics_and_moves_the_averages() -> None:
    network = residual_network()
    module = GraphNetwork(network, momentum=0.9)
    variables = as_variables(network, small_parameters(network))
    x = np.random.default_rng(1).standard_normal((8, 12, 12, 1)).astype(np.float32)
    _, updated = module.apply(variables, x, train=True, mutable=["batch_stats"])
    before = np.asarray(variables["batch_stats"]["bn1"]["mean"])
    first = network.nodes[0]
    convolved = np.asarray(
        activations(Network("one", (12, 12, 1), 4, (first,)), flatten(network, variables), x)[
            "conv1"
        ]
    )
    np.testing.assert_allclose(
        updated["batch_stats"]["bn1"]["mean"],
        0.9 * before + 0.1 * convolved.mean((0, 1, 2)),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", REFERENCE_NETWORKS)
@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-6), (False, 1e-5)])
def test_networks_of_other_programs_give_their_outputs(
    reference: Path, name: str, double: bool, tolerance: float
) -> None:
    network, parameters, extra = load(reference / "attribution" / name)
    with np.load(reference / "attribution" / name / "reference.npz") as arrays:
        expected = arrays["output"]
    kind = np.float64 if double else np.float32
    with jax.enable_x64(double):
        outputs = jax.jit(partial(forward, network))(
            {key: jnp.asarray(value, kind) for key, value in parameters.items()},
            jnp.asarray(extra["x"], kind),
        )
    assert outputs.dtype == kind
    error = np.abs(np.asarray(outputs) - expected).max() / np.abs(expected).max()
    assert error < tolerance


@pytest.mark.parametrize("name", REFERENCE_NETWORKS)
def test_networks_of_other_programs_can_be_trained_on(reference: Path, name: str) -> None:
    """Files may leave out what stands in the kernels: features and window."""
    network, parameters, extra = load(reference / "attribution" / name)
    module = GraphNetwork(network)
    outputs = module.apply(as_variables(network, parameters), extra["x"])
    expected = forward(network, parameters, extra["x"])
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["chain", "mlp"])
def test_activations_hold_every_node(reference: Path, name: str) -> None:
    network, parameters, extra = load(reference / "attribution" / name)
    values = activations(network, parameters, extra["x"])
    assert list(values) == ["x", *(node["name"] for node in network.nodes)]
    relus = [node for node in network.nodes if node["kind"] == "relu"]
    for node in relus:
        np.testing.assert_array_equal(
            values[node["name"]], np.maximum(values[node["inputs"][0]], 0)
        )


def test_the_slope_of_relu_at_zero_is_zero() -> None:
    node = {"name": "relu", "kind": "relu", "inputs": ["x"]}
    network = Network("relu", (3,), 3, (node,))
    slope = jax.grad(lambda x: forward(network, {}, x[None]).sum())(jnp.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(slope, [0.0, 0.0, 1.0])
    module = GraphNetwork(network)
    slope = jax.grad(lambda x: module.apply({}, x[None]).sum())(jnp.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(slope, [0.0, 0.0, 1.0])


@pytest.mark.parametrize("padding", [[[0, 0], [0, 0]], [[1, 0], [0, 1]]])
@pytest.mark.parametrize(
    ("window", "strides"), [([2, 2], [2, 2]), ([3, 2], [3, 2]), ([3, 3], [2, 1])]
)
def test_pools_sum_whole_windows_only(
    window: list[int], strides: list[int], padding: list[list[int]]
) -> None:
    x = np.random.default_rng(0).standard_normal((2, 7, 8, 3)).astype(np.float32)
    node = {"window": window, "strides": strides, "padding": padding}
    padded = np.pad(x, ((0, 0), *map(tuple, padding), (0, 0)))
    rows = range(0, padded.shape[1] - window[0] + 1, strides[0])
    columns = range(0, padded.shape[2] - window[1] + 1, strides[1])
    expected = np.stack(
        [
            np.stack(
                [padded[:, i : i + window[0], j : j + window[1]].sum((1, 2)) for j in columns], 1
            )
            for i in rows
        ],
        1,
    )
    np.testing.assert_allclose(pool_sum(x, node), expected, rtol=1e-5, atol=1e-5)


# Files.


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    network = residual_network()
    parameters = small_parameters(network)
    save(tmp_path / "net", network, parameters, target_scale=np.array([0.1, 0.2]))
    again, loaded, extra = load(tmp_path / "net")
    assert again.as_json() == json.loads(json.dumps(network.as_json()))
    assert again.input_shape == network.input_shape
    assert set(loaded) == set(parameters)
    for name, value in parameters.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].dtype == value.dtype
    np.testing.assert_array_equal(extra["target_scale"], [0.1, 0.2])
    x = np.random.default_rng(1).standard_normal((2, 12, 12, 1)).astype(np.float32)
    np.testing.assert_array_equal(forward(again, loaded, x), forward(network, parameters, x))
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "network.json",
        "network.npz",
    ]


def test_the_same_network_is_the_same_files(tmp_path: Path) -> None:
    network = residual_network()
    for name in ("a", "b"):
        save(tmp_path / name, network, small_parameters(network))
    for name in ("network.json", "network.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_network_without_all_its_parameters_is_not_saved(tmp_path: Path) -> None:
    network = residual_network()
    parameters = small_parameters(network)
    del parameters["bn1.mean"]
    with pytest.raises(InputError, match=r"no parameters bn1\.mean"):
        save(tmp_path / "net", network, parameters)
    assert not (tmp_path / "net").exists()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "net"
    save(folder, residual_network(), small_parameters(residual_network()))
    return folder


def edited(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps({**content, **changes}))


def test_missing_files_are_named(saved: Path) -> None:
    with pytest.raises(InputError, match=r"elsewhere/network\.json: not found"):
        load(saved / "elsewhere")
    (saved / "network.npz").unlink()
    with pytest.raises(InputError, match=r"net/network\.npz: not found"):
        load(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"name": "a", "input": {"shape": [3]}, "outputs": 1}',
        '{"name": "a", "input": {"shape": [3]}, "outputs": 1, "nodes": ["conv"]}',
        '{"name": "a", "input": {"shape": [3]}, "outputs": 1, "nodes": [{"kind": "relu"}]}',
        '{"name": "a", "input": [3], "outputs": 1, "nodes": []}',
        '{"name": "a", "input": {"shape": [3]}, "outputs": 1, "nodes": []}',
    ],
)
def test_a_file_that_is_no_description_is_named(saved: Path, text: str) -> None:
    (saved / "network.json").write_text(text)
    with pytest.raises(InputError, match=r"network\.json: not a network description") as caught:
        load(saved)
    assert "\n" not in str(caught.value)


def test_nodes_that_make_no_graph_are_named(saved: Path) -> None:
    nodes = [dict(node) for node in residual_network().nodes]
    for change, told in (
        (
            {"kind": "attention"},
            r"node 'relu1': kind 'attention' is not one of conv, conv_transpose",
        ),
        ({"inputs": ["bn2"]}, r"node 'relu1': input 'bn2' is no earlier node"),
        ({"inputs": ["dense"]}, r"node 'relu1': input 'dense' is no earlier node"),
        ({"name": "conv1"}, r"node 'conv1': the name stands twice"),
    ):
        edited(saved, nodes=[*nodes[:2], {**nodes[2], **change}, *nodes[3:]])
        with pytest.raises(InputError, match=told):
            load(saved)


def test_a_parameter_file_that_is_not_whole_is_named(saved: Path) -> None:
    path = saved / "network.npz"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:10], b"", b"no npz at all"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"network\.npz: not a whole npz file") as caught:
            load(saved)
        assert "\n" not in str(caught.value)


def test_a_parameter_that_is_not_there_is_named(saved: Path) -> None:
    with np.load(saved / "network.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "conv2.kernel"}
    np.savez(saved / "network.npz", **kept)
    with pytest.raises(InputError, match=r"network\.npz: lacks conv2\.kernel"):
        load(saved)


def test_kinds_that_are_trained_here_are_known_to_both_evaluations() -> None:
    kinds = {node["kind"] for node in residual_network().nodes}
    assert kinds <= set(description.KINDS)
    with_weights = {name for name, kind in description.KINDS.items() if kind.params}
    read_only = {"conv_transpose", "layer_norm", "group_norm"}
    assert with_weights - read_only <= kinds and not read_only & kinds

"""Small classifiers and the networks of the transformation chapter."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typed import section

from kappascope.attribution.methods import attribute
from kappascope.errors import InputError
from kappascope.networks import architectures, classification, description, learning
from kappascope.networks.evaluate import evaluate
from kappascope.networks.module import GraphNetwork, activations, flatten, forward
from kappascope.networks.training import initial_variables

SETTINGS = classification.Settings(epochs=15, batch=16, learning_rate=0.01)


def two_clouds(count: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    labels = generator.integers(2, size=count)
    return generator.normal(size=(count, 4)) + 2 * labels[:, None], labels


def test_a_classifier_learns_and_learns_the_same_again() -> None:
    network = architectures.multilayer_perceptron(4, (8,), 2)
    x, labels = two_clouds(256)
    first = classification.train(network, x, labels, SETTINGS, 1, 0, "train")
    found = evaluate(network, first, x)
    assert found.shape == (256, 2)
    assert (found.argmax(1) == labels).mean() > 0.95
    again = classification.train(network, x, labels, SETTINGS, 1, 0, "train")
    other = classification.train(network, x, labels, SETTINGS, 1, 1, "train")
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert np.abs(other["dense1.kernel"] - first["dense1.kernel"]).max() > 0.01


def test_a_classifier_of_permuted_labels_and_one_that_learned_nothing() -> None:
    network = architectures.multilayer_perceptron(4, (8,), 2)
    x, labels = two_clouds(256)
    train = (network, x, labels, SETTINGS, 1, 0, "train")
    permuted = classification.train(*train, learns=learning.PERMUTED)
    assert abs((evaluate(network, permuted, x).argmax(1) == labels).mean() - 0.5) < 0.15
    nothing = classification.train(*train, learns=learning.NOTHING)
    for name, value in classification.initial_parameters(network, 1, 0).items():
        np.testing.assert_array_equal(nothing[name], value)


def test_outputs_do_not_depend_on_the_batch() -> None:
    network = architectures.multilayer_perceptron(4, (8,), 2)
    parameters = classification.initial_parameters(network, 1, 0)
    x, _ = two_clouds(300)
    whole = evaluate(network, parameters, x)
    np.testing.assert_allclose(whole, forward(network, parameters, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        evaluate(network, parameters, x[:7]), whole[:7], rtol=1e-5, atol=1e-6
    )


def test_what_cannot_be_trained_is_refused() -> None:
    network = architectures.multilayer_perceptron(4, (8,), 2)
    x, labels = two_clouds(8)
    with pytest.raises(InputError, match="8 inputs, fewer than one batch of 16"):
        classification.train(network, x, labels, SETTINGS, 1, 0, "train")
    with pytest.raises(InputError, match="no batch normalization"):
        classification.initial_parameters(architectures.resnet18(32, 4, 2), 1, 0)
    x, labels = two_clouds(32)
    with pytest.raises(InputError, match="the loss became nan"):
        classification.train(network, np.nan * x, labels, SETTINGS, 1, 0, "train")


def drawn(network: description.Network) -> dict[str, np.ndarray]:
    return flatten(network, initial_variables(GraphNetwork(network), np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        # Those of torchvision's resnet18 with one channel in and three outputs.
        (architectures.resnet18(64, 64, 3), 11_171_779),
        (architectures.digit_cnn(), 21_840),  # of PyTorch's example
        (architectures.lenet(), 61_706),
        (architectures.multilayer_perceptron(100, (100,), 2), 10_302),
    ],
)
def test_networks_have_the_published_number_of_parameters(
    network: description.Network, parameters: int
) -> None:
    empty = jnp.zeros((1, *network.input_shape))
    shapes = jax.eval_shape(GraphNetwork(network).init, jax.random.key(0), empty)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == parameters


def test_residual_stages_halve_the_maps() -> None:
    network = architectures.resnet18(64, 4, 2)
    values = activations(network, drawn(network), np.zeros((1, 64, 64, 1), np.float32))
    shapes = [values[f"block{stage}_2.relu2"].shape[1:] for stage in (1, 2, 3, 4)]
    assert shapes == [(16, 16, 4), (8, 8, 8), (4, 4, 16), (2, 2, 32)]
    assert sum(node["kind"] == "add" for node in network.nodes) == 8


def test_the_config_chooses_the_network() -> None:
    for name in ("resnet18", "convergence_cnn"):
        network = architectures.regressor(
            64, section("network", width=4, padding="SAME", architecture=name)
        )
        assert (network.name, network.outputs) == (name, 2)


def test_a_series_passes_the_waveform_network() -> None:
    network = architectures.waveform_cnn(1000, 4, 3)
    x = np.random.default_rng(1).normal(size=(2, 1, 1000, 1)).astype(np.float32)
    assert forward(network, drawn(network), x).shape == (2, 3)


def test_flattened_maps_keep_channels_fastest() -> None:
    nodes = ({"name": "f", "kind": "flatten", "inputs": ["x"]},)
    network = description.Network("flat", (2, 3, 4), 24, nodes)
    x = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    np.testing.assert_array_equal(forward(network, {}, x), x.reshape(2, 24))


def probability() -> Any:
    """Sigmoid of one dense unit, whose attributions are known."""
    nodes = (
        {"name": "d", "kind": "dense", "inputs": ["x"], "params": {"kernel": "w", "bias": "b"}},
        {"name": "p", "kind": "sigmoid", "inputs": ["d"]},
    )
    network = description.Network("probability", (3,), 1, nodes)
    weights = np.array([[1.0], [-2.0], [0.5]], np.float32)
    return network, {"w": weights, "b": np.array([0.3], np.float32)}


def test_attributions_of_a_probability() -> None:
    model = probability()
    x = np.array([[1.0, 0.5, -1.0], [0.0, 0.0, 0.0], [2.0, -1.0, 3.0]], np.float32)
    w, z = model[1]["w"][:, 0], x @ model[1]["w"][:, 0] + 0.3
    p, base = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-0.3))
    slope = p * (1 - p)
    np.testing.assert_allclose(attribute("gradient", model, x, 0), slope[:, None] * w, rtol=1e-5)
    # Rescale: the change of the output shared out as the change of the sum.
    share = np.where(z == np.float32(0.3), base * (1 - base), (p - base) / (z - 0.3 + 1e-30))
    found = np.asarray(attribute("deep_lift", model, x, 0))
    np.testing.assert_allclose(found, share[:, None] * w * x, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), p - base, rtol=1e-4, atol=1e-6)


def test_shap_is_the_gradient_along_the_path_on_average() -> None:
    model = probability()
    x = np.tile(np.array([[1.0, 0.5, -1.0]], np.float32), (800, 1))
    found = np.asarray(attribute("gradient_shap", model, x, 0, seed=4))
    path = np.asarray(attribute("integrated_gradients", model, x[:1], 0))[0]
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - path) < 4 * error).all()
    assert np.ptp(found[:, 0]) > 0, "each input has its own draws"
    again = np.asarray(attribute("gradient_shap", model, x[:2], 0, seed=4, names=[5, 0]))
    np.testing.assert_allclose(again, found[[5, 0]], rtol=1e-6)
    linear = description.Network("linear", (3,), 1, model[0].nodes[:1])
    np.testing.assert_allclose(
        attribute("gradient_shap", (linear, model[1]), x[:1], 0),
        x[:1] * model[1]["w"][:, 0],
        rtol=1e-5,
    )


def test_with_a_warm_up_the_rate_rises_from_nothing() -> None:
    plain, rising = (classification._optimiser(0.1, 100, share) for share in (0.0, 0.1))
    parameters = {"w": np.ones(3, np.float32)}
    slope = {"w": np.array([3.0, -4.0, 0.0], np.float32)}
    first, _ = plain.update(slope, plain.init(parameters), parameters)
    np.testing.assert_allclose(first["w"], [-0.1, 0.1, 0], atol=1e-5)
    state = rising.init(parameters)
    first, state = rising.update(slope, state, parameters)
    np.testing.assert_array_equal(first["w"], 0)
    sizes = []
    for _ in range(99):
        change, state = rising.update(slope, state, parameters)
        sizes.append(float(np.abs(change["w"]).max()))
    # Adam's steps are as long as the rate: up in a tenth of the steps, then down to nothing.
    assert np.argmax(sizes) == 9 and max(sizes) == pytest.approx(0.1, rel=1e-3)
    assert sizes[-1] < 1e-3 * max(sizes)

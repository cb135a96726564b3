"""Methods on networks of every kind: what sums up, what is refused, plain functions."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kind_networks import Builder, every_kind, gated

from kappascope.attribution import contextual, methods
from kappascope.attribution.methods import attribute
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.kinds import KINDS
from kappascope.networks.module import activations, forward

DRAW = np.random.default_rng(5)


def inputs(number: int = 2) -> np.ndarray:
    return DRAW.normal(size=(number, 6, 8, 2))


@pytest.fixture(autouse=True)
def double() -> Any:
    with jax.enable_x64(True):
        yield


def total(relevance: Any) -> np.ndarray:
    relevance = np.asarray(relevance)
    return relevance.sum(tuple(range(2, relevance.ndim)))


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
def test_relevance_adds_up_to_the_output(activation: str) -> None:
    """LRP-0 conserves through every linear kind and every activation that passes on.

    z⁺ does where every unit that has relevance has a positive contribution, as behind ReLU.
    """
    model, x = every_kind(activation), inputs()
    y = np.asarray(forward(*model, x)).T
    np.testing.assert_allclose(total(attribute("lrp_0", model, x)), y, 1e-6)
    if activation == "relu":
        np.testing.assert_allclose(total(attribute("lrp_zplus_nobias", model, x)), y, 1e-6)


def test_relevance_of_groups_is_that_of_the_same_convolution_without_groups() -> None:
    """A grouped kernel is a full one with zeros: every rule must give the same map."""
    build = Builder(3, bias=True)
    build.conv(kernel=(3, 3, 1, 4), groups=2)
    build.add("relu")
    build.conv(kernel=(3, 3, 2, 6), groups=2)
    build.add("relu")
    build.add("global_avg_pool")
    build.add("dense", shapes={"kernel": (6, 2)})
    grouped = build.model()
    arrays = dict(grouped[1])
    nodes = []
    for node in grouped[0].nodes:
        if node.get("groups"):
            name, groups = node["params"]["kernel"], node["groups"]
            small = arrays[name]
            inside, outside = small.shape[2] * groups, small.shape[3]
            full = np.zeros((3, 3, inside, outside))
            for k in range(groups):
                there = slice(k * small.shape[2], (k + 1) * small.shape[2])
                out = slice(k * outside // groups, (k + 1) * outside // groups)
                full[:, :, there, out] = small[..., out]
            arrays[name] = full
            node = {key: v for key, v in node.items() if key != "groups"}
        nodes.append(node)
    plain = Network("p", grouped[0].input_shape, 2, tuple(nodes)), arrays
    x = inputs()
    for name in ("lrp_alpha2beta1", "lrp_gamma", "deep_taylor"):
        np.testing.assert_allclose(
            attribute(name, grouped, x), attribute(name, plain, x), 1e-6, 1e-9, err_msg=name
        )


@pytest.mark.parametrize("activation", ["relu6", "elu", "silu", "clip"])
def test_deep_lift_is_complete_and_decompositions_add_up(activation: str) -> None:
    model, x = every_kind(activation, bias=True, seed=1), inputs()
    change = np.asarray(forward(*model, x) - forward(*model, 0 * x)).T
    np.testing.assert_allclose(total(attribute("deep_lift", model, x)), change, 1e-6)
    values = activations(*model, jnp.asarray(x))
    mask = np.zeros_like(x)
    mask[:, :3] = 1
    for convention in contextual.CONVENTIONS.values():
        parts = contextual.decompose(*model, values, x * mask, convention)
        for name, (relevant, rest) in parts.items():
            np.testing.assert_allclose(relevant + rest, values[name], 1e-6, 1e-9)
    # Nothing relevant and no bias for it: no score.
    nothing = contextual.decompose(*model, values, 0 * x, contextual.CONVENTIONS["cd_rest"])
    assert np.abs(nothing[model[0].nodes[-1]["name"]][0]).max() < 1e-12
    # All of it, the biases to the rest: the output less what biases alone do downstream of it.
    every = contextual.decompose(*model, values, jnp.asarray(x), contextual.CONVENTIONS["cd"])
    assert np.isfinite(every[model[0].nodes[-1]["name"]][0]).all()


def test_the_signal_takes_all_of_a_product() -> None:
    """With the gate's values as fixed factors the network is linear: the same relevance."""
    model, x = gated(), inputs()
    values = activations(*model, jnp.asarray(x))
    gate = next(node["name"] for node in model[0].nodes if node["kind"] == "sigmoid")
    signal = model[0].nodes[0]["name"]

    def fixed(x: Any) -> Any:
        from kappascope.networks.operations import apply_node

        conv, *_ = model[0].nodes
        product = apply_node(conv, model[1], x) * values[gate][:, None, None]
        return product.max((1, 2)) @ model[1][model[0].nodes[-1]["params"]["kernel"]]

    y = np.asarray(forward(*model, x))
    for k in range(2):
        wanted = x * np.asarray(jax.grad(lambda x, k=k: fixed(x)[:, k].sum())(jnp.asarray(x)))
        found = attribute("lrp_0", model, x, k)
        np.testing.assert_allclose(found, wanted, 1e-6, 1e-9)
        np.testing.assert_allclose(np.asarray(found).sum((1, 2, 3)), y[:, k], 1e-6)
    assert values[signal].shape[1:] == (6, 8, 4)


def test_a_held_standard_deviation_leaves_a_linear_map() -> None:
    build = Builder(4)
    build.conv(kernel=(3, 3, 2, 4))
    norm = {"scale": (4,), "bias": (4,)}
    build.add("group_norm", eps=1e-5, groups=2, shapes=norm)
    build.add("layer_norm", eps=1e-5, shapes=norm)
    build.add("global_avg_pool")
    build.add("dense", shapes={"kernel": (4, 2)})
    network, arrays = build.model()
    for name in arrays:
        if name.endswith("bias"):
            arrays[name] = np.zeros(4)
    x = inputs()
    found = total(attribute("lrp_0", (network, arrays), x))
    np.testing.assert_allclose(found, np.asarray(forward(network, arrays, x)).T, 1e-6)


REFUSALS = [
    ("squash", "lrp_0", "relevance propagation has no rule for sigmoid"),
    ("squash", "deep_taylor", "deep Taylor decomposition has no rule for sigmoid"),
    ("activation", "guided_backprop", "guided backpropagation has no rule for silu"),
    ("activation", "deconvnet", "the deconvnet has no rule for silu"),
    ("activation", "deep_taylor", "deep Taylor decomposition has no rule for silu"),
    ("product", "deep_lift", "deep_lift has no rule for multiply"),
    ("standardization", "deep_lift", "deep_lift has no rule for layer_norm"),
    ("maximum", "deep_lift", "deep_lift has no rule for global_max_pool"),
]


@pytest.mark.parametrize(("role", "method", "told"), REFUSALS)
def test_what_a_method_has_no_rule_for_is_named(role: str, method: str, told: str) -> None:
    kind = re.search(r"for (\w+)$", told)[1]  # type: ignore[index]
    assert KINDS[kind].role == role
    build = Builder(6)
    signal = build.conv(kernel=(3, 3, 2, 4))
    norm = {"scale": (4,), "bias": (4,)}
    if kind == "multiply":
        gate = build.add("global_avg_pool")
        build.add(kind, signal, gate)
    elif kind == "layer_norm":
        build.add(kind, eps=1e-5, shapes=norm)
    elif kind != "global_max_pool":
        build.add(kind)
    build.add("global_max_pool" if kind == "global_max_pool" else "global_avg_pool")
    build.add("dense", shapes={"kernel": (4, 2)})
    with pytest.raises(InputError, match=rf"node '{kind}\d': {told}") as caught:
        attribute(method, build.model(), inputs())
    assert "\n" not in str(caught.value)


def test_what_a_border_holds_is_nobodys_part() -> None:
    build = Builder(1)
    build.add("pad", padding=[[1, 1], [1, 1]], value=2.0)
    build.add("flatten")
    build.add("dense", shapes={"kernel": (8 * 10 * 2, 2)})
    model, x = build.model(), jnp.asarray(inputs())
    values = activations(*model, x)
    last = model[0].nodes[-1]["name"]
    relevant, rest = contextual.decompose(*model, values, 0 * x)[last]
    np.testing.assert_array_equal(relevant, 0)
    np.testing.assert_allclose(rest, values[last], 1e-9)


def test_decompositions_refuse_what_they_cannot_split_and_equal_factors_have_no_gate() -> None:
    model = gated()
    values = activations(*model, jnp.asarray(inputs()))
    with pytest.raises(InputError, match="contextual decomposition has no rule for sigmoid"):
        contextual.decompose(*model, values, 0 * values["x"])
    build = Builder(8)
    first = build.conv(kernel=(3, 3, 2, 4))
    second = build.conv("x", kernel=(3, 3, 2, 4))
    build.add("multiply", first, second)
    build.add("global_avg_pool")
    build.add("dense", shapes={"kernel": (4, 2)})
    with pytest.raises(InputError, match="cannot tell which is the gate"):
        attribute("lrp_0", build.model(), inputs())


# Plain functions.


def test_a_function_is_explained_as_the_network_that_it_is() -> None:
    model, x = every_kind(bias=True), inputs(3)

    def function(x: Any) -> Any:
        return forward(*model, x)

    for name in ("input_x_gradient", "occlusion_w3s3"):
        np.testing.assert_allclose(
            attribute(name, function, x), attribute(name, model, x), 1e-6, 1e-9, err_msg=name
        )
    for name in ("lime_w4", "deep_dream"):
        one, other = (attribute(name, what, x, 1, seed=3) for what in (function, model))
        np.testing.assert_allclose(one, other, 1e-6, 1e-9, err_msg=name)


def test_a_function_of_vectors_with_one_output() -> None:
    x = DRAW.normal(size=(4, 5))
    relevance = attribute("integrated_gradients", lambda x: (x**2).sum(1), x, 0)
    np.testing.assert_allclose(relevance, x**2, 1e-6)


@pytest.mark.parametrize("name", ["lrp_epsilon", "deep_taylor", "guided_backprop", "deep_lift"])
def test_what_needs_layers_says_so_of_a_function(name: str) -> None:
    with pytest.raises(InputError, match="needs a network's layers, which a function does not"):
        attribute(name, lambda x: x.reshape(len(x), -1)[:, :2], inputs())


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x: x.sum(), r"the function gives \(\) for 2 inputs"),
        (lambda x: x, r"the function gives \(2, 6, 8, 2\) for 2 inputs"),
        (lambda x: x @ np.ones((3, 3)), r"the function does not take inputs of shape \(batch, 6"),
    ],
)
def test_functions_of_another_form_are_refused(function: Any, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        methods.of_function(function, inputs())
    assert "\n" not in str(caught.value)

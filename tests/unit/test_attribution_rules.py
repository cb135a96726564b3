"""Relevance rules and methods: closed forms, laws, and two ways to the same map."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from registered import METHODS

from kappascope.attribution import methods, rules, walk
from kappascope.attribution.methods import Method, Model, attribute, in_batches
from kappascope.attribution.propagation import GUIDED
from kappascope.attribution.sampling import Occlusion
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.module import activations, forward
from kappascope.networks.operations import apply_node

Array = Any


@pytest.fixture
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


# Networks.


class Builder:
    """Adds nodes with random parameters; ``biases`` is any, none or negative."""

    def __init__(self, shape: tuple[int, ...], seed: int, biases: str = "any") -> None:
        self.shape, self.biases = shape, biases
        self.generator = np.random.default_rng(seed)
        self.nodes: list[dict[str, Any]] = []
        self.parameters: dict[str, np.ndarray] = {}
        self.shapes = {"x": shape}

    def add(self, kind: str, *inputs: str, **fields: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        if not inputs:
            inputs = (self.nodes[-1]["name"] if self.nodes else "x",)
        node = {"name": name, "kind": kind, "inputs": list(inputs), **fields}
        self.nodes.append(node)
        single = functools.partial(jax.ShapeDtypeStruct, dtype=np.float32)
        parameters = {key: single(value.shape) for key, value in self.parameters.items()}
        before = [single((1, *self.shapes[one])) for one in inputs]
        after = jax.eval_shape(functools.partial(apply_node, node), parameters, *before)
        self.shapes[name] = after.shape[1:]
        return name

    def kernel(self, kind: str, features: int, inputs: tuple[str, ...], **fields: Any) -> str:
        source = inputs[0] if inputs else (self.nodes[-1]["name"] if self.nodes else "x")
        window = tuple(fields.get("window", ()))
        shape = (*window, self.shapes[source][-1], features)
        name = f"{kind}{len(self.nodes)}"
        names = {"kernel": f"{name}.kernel"}
        scale = np.prod(shape[:-1]) ** -0.5
        self.parameters[names["kernel"]] = scale * self.generator.standard_normal(shape)
        if self.biases != "none":
            names["bias"] = f"{name}.bias"
            bias = 0.3 * self.generator.standard_normal(features)
            self.parameters[names["bias"]] = -abs(bias) if self.biases == "negative" else bias
        return self.add(kind, *inputs, features=features, params=names, **fields)

    def conv(
        self, features: int, side: int = 3, stride: int = 1, pad: int = 0, inputs: Any = ()
    ) -> str:
        fields = {"window": [side, side], "strides": [stride, stride], "padding": [[pad, pad]] * 2}
        return self.kernel("conv", features, inputs, **fields)

    def dense(self, features: int) -> str:
        return self.kernel("dense", features, ())

    def norm(self, *inputs: str) -> str:
        source = inputs[0] if inputs else (self.nodes[-1]["name"] if self.nodes else "x")
        channels = self.shapes[source][-1]
        name = f"batch_norm{len(self.nodes)}"
        uniform, normal = self.generator.uniform, self.generator.standard_normal
        values = {
            "scale": uniform(0.5, 1.5, channels),
            "bias": 0.3 * normal(channels),
            "mean": 0.3 * normal(channels),
            "var": uniform(0.5, 2, channels),
        }
        if self.biases == "negative":
            values["bias"], values["mean"] = -abs(values["bias"]), abs(values["mean"])
        else:
            values["scale"][0] *= -1
        self.parameters |= {f"{name}.{field}": value for field, value in values.items()}
        params = {field: f"{name}.{field}" for field in values}
        return self.add("batch_norm", *inputs, eps=1e-3, params=params)

    def pool(self, kind: str, side: int = 2, stride: int = 2, pad: int = 0) -> str:
        fields = {"window": [side, side], "strides": [stride, stride], "padding": [[pad, pad]] * 2}
        return self.add(kind, **fields)

    def model(self, dtype: Any = None) -> Model:
        dtype = dtype or jnp.result_type(float)
        network = Network("random", self.shape, self.shapes[self.last][-1], tuple(self.nodes))
        return network, {name: value.astype(dtype) for name, value in self.parameters.items()}

    @property
    def last(self) -> str:
        return self.nodes[-1]["name"]


def chain(seed: int = 0, biases: str = "any", normed: bool = False, side: int = 10) -> Model:
    """Two convolutions, each with ReLU, average pooling between them, and a dense head."""
    build = Builder((side, side, 1), seed, biases)
    for number in range(2):
        build.conv(4, pad=1)
        if normed:
            build.norm()
        build.add("relu")
        if number == 0:
            build.pool("avg_pool")
    build.add("global_avg_pool")
    build.dense(2)
    return build.model()


def residual(seed: int = 0, biases: str = "any", kind: str = "max_pool") -> Model:
    """A block with a shortcut that is convolved, max pooling before it."""
    build = Builder((12, 12, 1), seed, biases)
    build.conv(4, 3, 2, 1)
    build.norm()
    build.add("relu")
    start = build.pool(kind, 3, 1, 1)
    build.conv(5, pad=1)
    build.norm()
    build.add("relu")
    build.conv(5, pad=1)
    first = build.norm()
    build.conv(5, 1, inputs=(start,))
    build.add("add", first, build.norm())
    build.add("relu")
    build.add("global_avg_pool")
    build.dense(3)
    return build.model()


def linear_network() -> Model:
    build = Builder((6, 6, 1), 3)
    build.conv(3, pad=1)
    build.pool("avg_pool")
    build.norm()
    build.conv(4, 2)
    build.add("global_avg_pool")
    build.dense(2)
    return build.model()


def one_layer() -> Model:
    """Seed 5: biases and outputs of both signs."""
    build = Builder((7,), 5)
    build.dense(2)
    return build.model()


def inputs(model: Model, batch: int = 2, seed: int = 9) -> np.ndarray:
    shape = (batch, *model[0].input_shape)
    values = np.random.default_rng(seed).standard_normal(shape)
    dtypes = [value.dtype for value in model[1].values()] or [np.float64]
    return values.astype(dtypes[0])


def outputs_of(model: Model, x: np.ndarray) -> np.ndarray:
    """(output, batch), as the sums of maps are."""
    return np.asarray(forward(*model, x)).T


def coefficients(model: Model) -> np.ndarray:
    """Return those of a network without ReLU, by trying every pixel: (output, *input)."""
    shape = model[0].input_shape
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    found = np.asarray(forward(*model, basis) - forward(*model, 0 * basis[:1]))
    return found.T.reshape(-1, *shape)


def total(maps: Array) -> np.ndarray:
    found = np.asarray(maps)
    return found.sum(tuple(range(2, found.ndim)))


def close(ours: Array, theirs: Array, tolerance: float = 1e-10) -> None:
    """Agree to a fraction of the largest value."""
    theirs = np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


# Rules in matrix form.


def quotient(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p, q = np.broadcast_arrays(p, q)
    return np.divide(p, q, out=np.zeros_like(p), where=q != 0)


def by_matrix(
    rule: Any, a: np.ndarray, matrix: np.ndarray, reads: np.ndarray, b: np.ndarray, r: np.ndarray
) -> np.ndarray:
    """Apply a rule to z = a W + b written out: a (n), W and what reads what (n, m), b and R (m)."""
    given = a[:, None] * matrix
    z = given.sum(0) + b
    above, below = np.maximum(given, 0), np.minimum(given, 0)
    b_above, b_below = np.maximum(b, 0), np.minimum(b, 0)
    if isinstance(rule, rules.Epsilon):
        return quotient(given, z + rule.epsilon * np.where(z < 0, -1, 1)) @ r
    if isinstance(rule, rules.AlphaBeta):
        biases = {"sign": (b_above, b_below), "both": (b, b), "ignore": (0 * b, 0 * b)}
        first, second = biases[rule.bias]
        plus = quotient(above, above.sum(0) + first) @ r
        return rule.alpha * plus - rule.beta * (quotient(below, below.sum(0) + second) @ r)
    if isinstance(rule, rules.Gamma):
        own = np.where(z > 0, above, below)
        weighed = z + rule.gamma * (own.sum(0) + np.where(z > 0, b_above, b_below))
        return quotient(given + rule.gamma * own, weighed) @ r
    if isinstance(rule, rules.SquaredWeights):
        return quotient(matrix**2, (matrix**2).sum(0)) @ r
    if isinstance(rule, rules.Flat):
        return quotient(reads, reads.sum(0)) @ r
    assert isinstance(rule, rules.Box)
    shifted = given - rule.low * np.maximum(matrix, 0) - rule.high * np.minimum(matrix, 0)
    return quotient(shifted, shifted.sum(0)) @ r


KERNEL_RULES = (
    rules.Epsilon(0),
    rules.Epsilon(0.1),
    *(rules.AlphaBeta(alpha, alpha - 1, bias) for alpha in (1, 2) for bias in ("sign", "both")),
    rules.AlphaBeta(1, 0, "ignore"),
    rules.AlphaBeta(2, 1, "ignore"),
    rules.Gamma(0.25),
    rules.Gamma(0),
    rules.SquaredWeights(),
    rules.Flat(),
    rules.Box(-4, 5),
)


def written_out(node: Mapping[str, Any], parameters: Any, shape: tuple[int, ...]) -> Any:
    """Return matrix (n, m) and constant (m) of a linear node."""
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    constant = np.asarray(apply_node(node, parameters, 0 * basis[:1])).reshape(1, -1)
    matrix = np.asarray(apply_node(node, parameters, basis)).reshape(len(basis), -1) - constant
    return matrix, constant[0]


def step_of(
    network: Network, parameters: Any, a: np.ndarray, nonnegative: bool = False
) -> rules.Step:
    (node,) = network.nodes
    return rules.Step(node, parameters, (a,), apply_node(node, parameters, a), nonnegative)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("sign", ["both signs", "nonnegative"])
@pytest.mark.parametrize("kind", ["conv", "dense"])
@pytest.mark.parametrize("rule", KERNEL_RULES, ids=str)
def test_a_rule_is_its_matrix_form(rule: Any, kind: str, sign: str) -> None:
    build = Builder((5, 6, 2) if kind == "conv" else (9,), 2)
    if kind == "conv":
        build.conv(3, 3, 2, 1)
    else:
        build.dense(4)
    network, parameters = build.model()
    a = inputs((network, parameters))
    if sign == "nonnegative":
        a = np.maximum(a, 0)
    step = step_of(network, parameters, a, sign == "nonnegative")
    r = np.random.default_rng(4).standard_normal(step.output.shape)
    matrix, bias = written_out(step.node, parameters, network.input_shape)
    ones = {name: np.ones_like(value) for name, value in parameters.items()}
    reads = written_out(step.node, ones, network.input_shape)[0]
    (found,) = rule(step, r)
    for row in range(len(a)):
        wanted = by_matrix(rule, a[row].ravel(), matrix, reads, bias, r[row].ravel())
        close(np.ravel(found[row]), wanted)
    if isinstance(rule, rules.SquaredWeights | rules.Flat | rules.Box):
        close(np.sum(found), r.sum())
    elif isinstance(rule, rules.AlphaBeta) and rule.bias == "ignore":
        # All of R but α where nothing is positive and -β where nothing is negative.
        given = np.stack([each.ravel()[:, None] * matrix for each in a])
        kept = rule.alpha * (given > 0).any(1) - rule.beta * (given < 0).any(1)
        close(np.sum(found), np.sum(kept * r.reshape(kept.shape)))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", ["avg_pool", "global_avg_pool", "batch_norm"])
def test_sums_hand_back_in_proportion(kind: str) -> None:
    build = Builder((7, 6, 3), 5)
    if kind == "batch_norm":
        build.norm("x")
    elif kind == "avg_pool":
        build.pool(kind, 3, 2, 1)
    else:
        build.add(kind)
    network, parameters = build.model()
    a = inputs((network, parameters))
    step = step_of(network, parameters, a)
    r = np.random.default_rng(4).standard_normal(step.output.shape)
    matrix, shift = written_out(step.node, parameters, network.input_shape)
    (found,) = rules.Proportional()(step, r)
    for row in range(len(a)):
        given = a[row].ravel()[:, None] * matrix
        wanted = quotient(given, given.sum(0) + shift) @ r[row].ravel()
        close(np.ravel(found[row]), wanted)


@pytest.mark.usefixtures("double")
def test_a_sum_of_two_hands_back_in_proportion() -> None:
    node = {"name": "add", "kind": "add", "inputs": ["a", "b"]}
    a, b = np.array([[1.0, -2.0, 0.0, 3.0]]), np.array([[3.0, 1.0, 0.0, -3.0]])
    step = rules.Step(node, {}, (a, b), a + b, False)
    found = rules.Proportional()(step, np.array([[8.0, 5.0, 7.0, 6.0]]))
    np.testing.assert_array_equal(found[0], [[2, 10, 0, 0]])
    np.testing.assert_array_equal(found[1], [[6, -5, 0, 0]])


def test_max_pooling_hands_all_to_the_winner() -> None:
    build = Builder((2, 4, 1), 0)
    build.pool("max_pool")
    x = np.array([[1.0, 2.0, -1.0, -2.0], [4.0, 3.0, -4.0, -3.0]])[None, :, :, None]
    (found,) = rules.Derivative()(
        step_of(*build.model(), x), jnp.array([5.0, -7.0]).reshape(1, 1, 2, 1)
    )
    np.testing.assert_array_equal(found[0, ..., 0], [[0, 0, -7, 0], [5, 0, 0, 0]])


def dense_network(*kernels: Any, bias: Any = None) -> Model:
    """Dense layers with ReLU between them."""
    nodes: list[dict[str, Any]] = []
    parameters = {}
    for number, kernel in enumerate(kernels):
        name = f"dense{number}"
        nodes.append(
            {
                "name": name,
                "kind": "dense",
                "inputs": [nodes[-1]["name"] if nodes else "x"],
                "params": {"kernel": f"{name}.kernel"} | ({"bias": "bias"} if bias else {}),
            }
        )
        parameters[f"{name}.kernel"] = np.array(kernel, dtype=float)
        if number < len(kernels) - 1:
            nodes.append({"name": f"relu{number}", "kind": "relu", "inputs": [name]})
    if bias is not None:
        parameters["bias"] = np.array(bias)
    sizes = parameters["dense0.kernel"].shape[0], parameters[f"{name}.kernel"].shape[1]
    return Network("by hand", sizes[:1], sizes[1], tuple(nodes)), parameters


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (rules.Epsilon(0), (2, -1)),
        (rules.Epsilon(1e-3), (1.9984627, -0.9992314)),
        (rules.AlphaBeta(1, 0, "both"), (1.1304348, 0)),
        (rules.AlphaBeta(2, 1, "both"), (2.2608696, -1.8571429)),
        (rules.AlphaBeta(2, 1), (2.2608696, -1.3)),
        # Z⁺ = 2, z + γ(Z⁺ + b) = 1.3 + 0.25 · 2.3 = 1.875: 1.3 (2.5, -1)/1.875.
        (rules.Gamma(0.25), (1.7333333, -0.6933333)),
        # (4, 0.25)/4.25 of 1.3.
        (rules.SquaredWeights(), (1.2235294, 0.0764706)),
        (rules.Flat(), (0.65, 0.65)),
        # l = -3, h = 3: (2 + 6, -1 + 1.5), a share of 1.3/8.5 each.
        (rules.Box(-3, 3), (1.2235294, 0.0764706)),
    ],
    ids=str,
)
def test_one_neuron_by_hand(rule: Any, wanted: tuple[float, float]) -> None:
    """x = (1, -2), w = (2, 0.5), b = 0.3: y = 1.3 = 2 - 1 + 0.3."""
    model = dense_network([[2], [0.5]], bias=[0.3])
    method = Method("by hand", methods.Propagation(rules.propagation(rule), "output"), "")
    found = attribute(method, model, np.array([[1.0, -2.0]]), 0)
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=5e-8)


@pytest.mark.usefixtures("double")
def test_the_sign_of_zero_is_positive() -> None:
    """x = (1, -2), w = (2, 1): z = 0, and R = 3 over ε = 0.1 is 30 for each unit of x w."""
    network, parameters = dense_network([[2], [1]])
    step = step_of(network, parameters, np.array([[1.0, -2.0]]))
    (found,) = rules.Epsilon(0.1)(step, np.array([[3.0]]))
    np.testing.assert_allclose(found, [[60, -60]])
    (found,) = rules.Epsilon(0)(step, np.array([[3.0]]))
    np.testing.assert_array_equal(found, [[0, 0]])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        # Behind ReLU: (2, -3, 0) and (-2, 1, 0).
        ("gradient", (5, -1), (-3, -1)),
        # Positive and open: (2, 0, 0) and (0, 1, 0).
        ("guided_backprop", (2, 2), (-1, 1)),
        # Dense layers keep their derivative.
        ("lens_guided_backprop", (5, -1), (-3, -1)),
        # Positive: (2, 0, 4) and (0, 1, 1).
        ("deconvnet", (10, -4), (1, -0.5)),
        # Times y = 3; times -5, positive and open: (10, 0, 0).
        ("inn_guided_backprop", (6, 6), (10, 10)),
        # Times y = 3; times -5, positive: (10, 0, 0).
        ("inn_deconvnet", (30, -12), (10, 10)),
        # Shares of (6, -3, 0) and of (-6, 1, 0) by x ⊙ W: the same as x times the gradient.
        ("lrp_0", (5, -2), (-3, -2)),
    ],
)
def test_two_layers_by_hand(
    name: str, first: tuple[float, float], second: tuple[float, float]
) -> None:
    """Two layers: z = (1, 2) W = (3, 1, -1), so a = (3, 1, 0), y = (6 - 3, -6 + 1) = (3, -5)."""
    model = dense_network([[1, -1, 2], [1, 1, -1.5]], [[2, -2], [-3, 1], [4, 1]])
    x = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(forward(*model, x), [[3, -5]])
    np.testing.assert_allclose(attribute(name, model, x)[:, 0], [first, second], rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_rescaled_relu_by_hand() -> None:
    """At 0: z = (1, -1), a = (1, 0), y = 1; at x = 2: z = (-3, 3), a = (0, 3), y = 6.

    Multipliers of ReLU: (0 - 1)/(-3 - 1) = 1/4 and (3 - 0)/(3 + 1) = 3/4. Through to x:
    -2 · 1/4 · 1 + 2 · 3/4 · 2 = 2.5; times x: 5 = 6 - 1.
    """
    network, parameters = dense_network([[-2, 2]], [[1], [2]])
    node = {**network.nodes[0], "params": {**network.nodes[0]["params"], "bias": "bias"}}
    network = dataclasses.replace(network, nodes=(node, *network.nodes[1:]))
    model = network, {**parameters, "bias": np.array([1.0, -1.0])}
    np.testing.assert_allclose(attribute("deep_lift", model, np.array([[2.0]]), 0), [[5]])
    # An input that does not change has the derivative: 1 for z = 1, 0 for z = -1.
    slope = Method("m", dataclasses.replace(METHODS["deep_lift"].procedure, times_input=False), "")
    np.testing.assert_allclose(attribute(slope, model, np.array([[0.0]]), 0), [[-2]])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: rules.AlphaBeta(1, 1), "alpha, beta: got 1 and 1; alpha - beta must be 1"),
        (lambda: rules.AlphaBeta(0.5, -0.5), "alpha at least 1"),
        (lambda: rules.AlphaBeta(2, 0), "alpha, beta: got 2 and 0"),
        (lambda: rules.AlphaBeta(1, 0, "zennit"), "bias: got 'zennit', allowed are sign, both"),
        (lambda: rules.Epsilon(-1e-3), "epsilon: got -0.001; give 0 or more"),
        (lambda: rules.Epsilon(float("nan")), "epsilon: got nan"),
        (lambda: rules.Epsilon(float("inf")), "epsilon: got inf"),
        (lambda: rules.Gamma(-0.25), "gamma: got -0.25; give 0 or more"),
        (lambda: rules.Box(1, 1), "low, high: got 1 and 1; low must be less"),
        (lambda: rules.Box(float("nan"), 1), "low, high: got nan and 1"),
    ],
)
def test_rules_that_are_none_are_refused(make: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_rule_for_another_kind_of_node_is_refused() -> None:
    network, parameters = chain()
    composite = rules.Composite(rectifier=rules.AlphaBeta(1, 0))
    with pytest.raises(InputError, match="'relu4': this rule is for conv and dense nodes, not for"):
        attribute(
            Method("m", methods.Propagation(composite), ""), (network, parameters), inputs_32()
        )
    with pytest.raises(InputError, match="node 'a': no relevance rule for kind 'attention'"):
        composite.rule({"name": "a", "kind": "attention", "inputs": ["x"]})
    with pytest.raises(InputError, match="'max_pool3': deep_lift has no rule for max_pool; use"):
        attribute("deep_lift", residual(), np.zeros((1, 12, 12, 1), np.float32))


def inputs_32() -> np.ndarray:
    return np.zeros((1, 10, 10, 1), np.float32)


def test_the_first_rule_is_for_what_reads_the_input() -> None:
    composite = rules.Composite(first=rules.Flat())
    for first, wanted in ((True, rules.Flat()), (False, rules.Derivative())):
        node = {"name": "a", "kind": "conv", "inputs": ["x"]}
        assert composite.rule(node, first) == wanted
        assert rules.Composite().rule(node, first) == rules.Derivative()


def first_of(*kinds: str) -> list[str]:
    """Names of the first layers of a chain of nodes."""
    builder = Builder((8, 8, 1), 0)
    for kind in kinds:
        if kind == "conv":
            builder.conv(2)
        elif kind == "dense":
            builder.dense(2)
        elif kind == "batch_norm":
            builder.norm()
        else:
            builder.add(kind)
    network, _ = builder.model(np.float32)
    return list(walk.first_layers(network))


@pytest.mark.parametrize(
    "kinds",
    [
        ("conv", "relu", "conv", "flatten", "dense"),
        ("flatten", "dense", "relu", "dense"),
        ("batch_norm", "conv", "relu", "flatten", "dense"),
        ("batch_norm", "flatten", "dense", "dense"),
        ("global_avg_pool", "dense", "relu", "dense"),
    ],
)
def test_the_first_layer_is_found_behind_what_is_none(kinds: tuple[str, ...]) -> None:
    (found,) = first_of(*kinds)
    place = next(n for n, kind in enumerate(kinds) if kind in ("conv", "dense"))
    assert found == f"{kinds[place]}{place}"


def test_no_first_layer_stands_behind_a_rectifier() -> None:
    assert first_of("relu", "conv", "flatten", "dense") == []


def with_identity(model: Model) -> Model:
    """Put a batch normalization that changes nothing in front of a network."""
    network, parameters = model
    channels = network.input_shape[-1]
    fields = ("scale", "bias", "mean", "var")
    values = dict(zip(fields, (1.0, 0.0, 0.0, 1.0), strict=True))
    node = {
        "name": "identity",
        "kind": "batch_norm",
        "inputs": ["x"],
        "eps": 0.0,
        "params": {field: f"identity.{field}" for field in fields},
    }
    moved = [
        {**each, "inputs": ["identity" if name == "x" else name for name in each["inputs"]]}
        for each in network.nodes
    ]
    more = {
        f"identity.{field}": np.full(channels, value, np.float32) for field, value in values.items()
    }
    changed = Network("identity", network.input_shape, network.outputs, (node, *moved))
    return changed, {**parameters, **more}


BOUNDED = Method(
    "box",
    methods.Propagation(
        rules.propagation(rules.AlphaBeta(1, 0, "ignore"), first=rules.Box(-4.0, 4.0)), "output"
    ),
    "",
)


@pytest.mark.parametrize("method", ["lrp_composite", "lrp_epsilon", BOUNDED], ids=str)
def test_an_identity_in_front_moves_no_relevance(method: Any) -> None:
    model = chain()
    x = inputs(model)
    one = np.asarray(attribute(method, model, x, 0))
    other = np.asarray(attribute(method, with_identity(model), x, 0))
    np.testing.assert_allclose(other, one, atol=1e-5 * np.abs(one).max())


def test_the_composite_is_not_the_epsilon_rule_on_dense_networks() -> None:
    builder = Builder((6, 6, 1), 0)
    builder.add("flatten")
    builder.dense(5)
    builder.add("relu")
    builder.dense(2)
    model = builder.model(np.float32)
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 1)).astype(np.float32)
    flat = np.asarray(attribute("lrp_composite", model, x, 0))
    # The flat rule spreads relevance evenly over what a unit reads, here over all pixels.
    assert np.ptp(flat, axis=(1, 2, 3)).max() < 1e-6 * np.abs(flat).max()
    assert np.ptp(np.asarray(attribute("lrp_epsilon", model, x, 0))) > 0


# Closed forms of the methods.


def dense_forms(x: np.ndarray, w: np.ndarray, b: float) -> dict[str, np.ndarray]:
    """Every method for y = x·w + b, with c = x w."""
    c = x * w
    y = c.sum() + b
    plus, minus = np.maximum(c, 0), np.minimum(c, 0)
    b_plus, b_minus = max(b, 0), min(b, 0)
    own, b_own = (plus, b_plus) if y > 0 else (minus, b_minus)
    alpha1 = y * plus / (plus.sum() + b_plus)
    without = y * plus / plus.sum()
    both = y * plus / (plus.sum() + b)
    taylor = np.zeros_like(both) if y < 0 else both
    linear = ("gradient", "smoothgrad", "guided_backprop", "deconvnet", "lens_guided_backprop")
    return {
        **dict.fromkeys(linear, w),
        **dict.fromkeys(("inn_guided_backprop", "inn_deconvnet"), y * w),
        **dict.fromkeys(("input_x_gradient", "integrated_gradients", "lrp_0"), c),
        **dict.fromkeys(("deep_lift", "captum_deep_lift"), c),
        "gradient_shap": c,
        **dict.fromkeys(
            ("lrp_epsilon", "inn_lrp_epsilon_bn_z"), c * y / (y + 1e-3 * (1 if y > 0 else -1))
        ),
        **dict.fromkeys(("lrp_alpha1beta0", "lrp_zplus"), alpha1),
        "lrp_alpha2beta1": 2 * alpha1 - y * minus / (minus.sum() + b_minus),
        "lrp_zplus_nobias": without,
        "lrp_gamma": y * (c + 0.25 * own) / (y + 0.25 * (own.sum() + b_own)),
        "lrp_composite": np.full_like(c, y / len(c)),
        "inn_lrp_alpha1beta0_bn_z": both,
        "inn_lrp_alpha2beta1_bn_z": 2 * both - y * minus / (minus.sum() + b),
        **dict.fromkeys(("deep_taylor", "deep_taylor_bn_identity"), taylor),
        **dict.fromkeys(("deep_taylor_bn_gradient", "deep_taylor_folded"), without * (y > 0)),
        "occlusion_w1s1": c,
        "occlusion_w7s1": np.full_like(c, c.sum()),
    }


SAMPLED = ("lime", "kernel_shap", "rise", "fresh")
ASCENDING = ("deep_dream", "nonlinear_saliency", "nonlinear_saliency_down", "linear_saliency")
"""Methods for images only; their closed forms stand in test_attribution_sampling.py and
test_attribution_ascent.py."""
FOR_VECTORS = [name for name in METHODS if name not in (*SAMPLED, *ASCENDING)]


def test_every_method_has_a_closed_form_here() -> None:
    forms = dense_forms(np.array([1.0, -1.0]), np.array([1.0, 2.0]), 0.1)
    assert {*FOR_VECTORS, "occlusion_w1s1", "occlusion_w7s1"} == set(forms)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [*FOR_VECTORS, "occlusion_w1s1", "occlusion_w7s1"])
def test_one_dense_layer_has_the_closed_form(name: str) -> None:
    model = one_layer()
    x = inputs(model)
    w, b = model[1]["dense0.kernel"], model[1]["dense0.bias"]
    found = attribute(name, model, x)
    assert np.unique(np.sign(outputs_of(model, x))).tolist() == [-1, 1]
    assert np.unique(np.sign(b)).tolist() == [-1, 1]
    for k in range(2):
        for row in range(len(x)):
            wanted = dense_forms(x[row], w[:, k], b[k])[name]
            np.testing.assert_allclose(found[k, row], wanted, rtol=1e-10, atol=1e-12)


def occluded(contributions: np.ndarray, window: int, stride: int) -> np.ndarray:
    """Mean over the windows that cover a pixel of what they hide; contributions (y, x)."""
    side = contributions.shape[0]
    sums, count = np.zeros_like(contributions), np.zeros_like(contributions)
    # The last window may reach over the edge: every pixel is hidden by one.
    corners = range(0, side - window + stride, stride)
    for i in corners:
        for j in corners:
            here = np.s_[i : i + window, j : j + window]
            sums[here] += contributions[here].sum()
            count[here] += 1
    return sums / np.maximum(count, 1)


@pytest.mark.usefixtures("double")
def test_a_network_without_relu_has_closed_forms() -> None:
    model = linear_network()
    x = inputs(model)
    slopes = coefficients(model)[:, None]
    y = outputs_of(model, x)[:, :, None, None, None]
    every = np.broadcast_to(slopes, (2, *x.shape))
    wanted = {
        **dict.fromkeys(("gradient", "smoothgrad", "guided_backprop", "deconvnet"), every),
        "lens_guided_backprop": every,
        **dict.fromkeys(("inn_guided_backprop", "inn_deconvnet"), every * y),
        **dict.fromkeys(
            ("input_x_gradient", "integrated_gradients", "deep_lift", "captum_deep_lift", "lrp_0"),
            every * x,
        ),
    }
    for window, stride in ((2, 2), (3, 2), (4, 3), (6, 1)):
        wanted[f"occlusion_w{window}s{stride}"] = np.stack(
            [[occluded(one[..., 0], window, stride) for one in each] for each in every * x]
        )[..., None]
    # Global average pooling and the head: each pixel of channel c has the slope W_ck / pixels.
    inner = model[0].nodes[3]["name"]
    values = np.asarray(activations(*model, x)[inner])
    head = model[1]["dense5.kernel"] / (values.shape[1] * values.shape[2])
    raw = np.einsum("ck,bijc->kbij", head, values)
    wanted |= {f"grad_cam_raw.{inner}": raw, f"grad_cam.{inner}": np.maximum(raw, 0)}
    place = np.arange(6) * raw.shape[2] // 6
    nearest = np.maximum(raw, 0)[:, :, place][..., place, None]
    wanted[f"guided_grad_cam.{inner}"] = every * nearest
    # Released code of Wilde et al.: the sum over channels starts from one.
    wanted[f"lens_grad_cam.{inner}"] = np.maximum(raw + 1, 0)
    wanted[f"lens_guided_grad_cam.{inner}"] = (
        every * np.maximum(raw + 1, 0)[:, :, place][..., place, None]
    )
    for name, maps in wanted.items():
        close(attribute(name, model, x), maps, 1e-9)


# Second routes.


@jax.custom_vjp
def guided(z: Array) -> Array:
    return jax.nn.relu(z)


guided.defvjp(lambda z: (jax.nn.relu(z), z > 0), lambda on, r: (jnp.where(on, r.clip(0), 0),))


@jax.custom_vjp
def deconvnet(z: Array) -> Array:
    return jax.nn.relu(z)


deconvnet.defvjp(lambda z: (jax.nn.relu(z), None), lambda _, r: (r.clip(0),))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("name", "rectifier"),
    [("gradient", jax.nn.relu), ("guided_backprop", guided), ("deconvnet", deconvnet)],
)
def test_walking_back_is_differentiating_with_another_relu(name: str, rectifier: Any) -> None:
    model = residual()
    x = inputs(model)

    @jax.jit
    def evaluate(x: Array) -> Array:
        values = {"x": x}
        for node in model[0].nodes:
            given = [values[source] for source in node["inputs"]]
            relu = node["kind"] == "relu"
            values[node["name"]] = rectifier(*given) if relu else apply_node(node, model[1], *given)
        return values[model[0].nodes[-1]["name"]]

    wanted = [jax.grad(lambda x, k=k: evaluate(x)[:, k].sum())(x) for k in range(3)]
    close(attribute(name, model, x), np.stack(wanted))


@pytest.mark.usefixtures("double")
def test_released_guided_backpropagation_guides_convolutions_only() -> None:
    build = Builder((6, 6, 1), 3)
    build.conv(4)
    build.add("relu")
    build.add("flatten")
    build.dense(8)
    build.add("relu")
    build.dense(2)
    model = build.model()
    x = inputs(model)

    def wanted(x: Array, dense: Any) -> Array:
        values = {"x": x}
        for node in model[0].nodes:
            given = [values[source] for source in node["inputs"]]
            if node["kind"] == "relu":
                rectifier = guided if given[0].ndim > 2 else dense
                values[node["name"]] = rectifier(*given)
            else:
                values[node["name"]] = apply_node(node, model[1], *given)
        return values[model[0].nodes[-1]["name"]]

    for name, dense in (("lens_guided_backprop", jax.nn.relu), ("guided_backprop", guided)):
        slopes = [jax.grad(lambda x, k=k, d=dense: wanted(x, d)[:, k].sum())(x) for k in range(2)]
        close(attribute(name, model, x), np.stack(slopes))
    one, other = (attribute(f"{name}guided_backprop", model, x) for name in ("", "lens_"))
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


@pytest.mark.usefixtures("double")
def test_the_gradient_is_the_quotient_of_differences() -> None:
    model = residual()
    x, step = inputs(model, 1), 1e-6
    found = np.asarray(attribute("gradient", model, x))[:, 0].reshape(3, -1)
    basis = step * np.eye(x.size).reshape(-1, *x.shape[1:])
    difference = np.asarray(forward(*model, x + basis) - forward(*model, x - basis)) / (2 * step)
    close(found, difference.T, 1e-6)


@pytest.mark.parametrize("name", ["lrp_alpha2beta1", "lrp_gamma", "deep_taylor"])
@pytest.mark.usefixtures("double")
def test_the_short_cut_for_nonnegative_inputs_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = residual(kind="avg_pool")
    x = inputs(model)
    steps: list[rules.Step] = []

    def noted(*fields: Any) -> rules.Step:
        steps.append(rules.Step(*fields))
        return steps[-1]

    def relevance() -> Array:
        procedure = functools.partial(METHODS[name].procedure, model[0], outputs=(0, 1), keys=None)
        return jax.jit(lambda parameters, x: procedure(parameters, x))(model[1], x)

    monkeypatch.setattr(walk, "Step", noted)
    short = relevance()
    taken = {step.nonnegative for step in steps if step.node["kind"] == "conv"}
    assert taken == {True, False}
    steps.clear()
    monkeypatch.setattr(walk, "nonnegative_nodes", lambda network: frozenset())
    close(relevance(), short)
    assert steps and not any(step.nonnegative for step in steps)


def test_the_nodes_that_cannot_be_negative() -> None:
    network, _ = residual()
    kinds = {node["name"]: node["kind"] for node in network.nodes}
    safe = walk.nonnegative_nodes(network)
    assert sorted(kinds[name] for name in safe) == [
        "global_avg_pool",
        "max_pool",
        "relu",
        "relu",
        "relu",
    ]
    build = Builder((8, 8, 1), 0)
    one = build.add("relu")
    two = build.conv(1, pad=1)
    three = build.add("relu")
    four = build.add("add", one, three)
    build.add("add", two, three)
    build.pool("avg_pool")
    assert walk.nonnegative_nodes(build.model()[0]) == {one, three, four}


# Laws.


CONSERVING = (
    "input_x_gradient",
    "integrated_gradients",
    "deep_lift",
    "lrp_0",
    "lrp_alpha1beta0",
    "lrp_zplus_nobias",
    "lrp_gamma",
)


@st.composite
def random_chains(draw: Any, biases: str, normed: bool = False) -> Model:
    build = Builder((draw(st.integers(7, 9)),) * 2 + (1,), draw(st.integers(0, 10**6)), biases)
    for number in range(draw(st.integers(1, 2))):
        build.conv(draw(st.integers(3, 5)), 3, draw(st.integers(1, 2)), 1)
        if normed and draw(st.booleans()):
            build.norm()
        build.add("relu")
        if number == 0 and draw(st.booleans()):
            build.pool("avg_pool")
    build.add("global_avg_pool")
    build.dense(2)
    return build.model(np.float64)


RANDOMLY = settings(deadline=None, max_examples=6, derandomize=True, database=None)


def with_positive_head(model: Model, x: np.ndarray) -> np.ndarray:
    """(output, batch): which outputs have a positive contribution; z⁺ hands back nothing else."""
    last = model[0].nodes[-1]
    a = np.asarray(activations(*model, x)[last["inputs"][0]])
    kernel = np.asarray(model[1][last["params"]["kernel"]])
    return (a[:, :, None] * kernel > 0).any(1).T


@RANDOMLY
@given(model=random_chains("none"), name=st.sampled_from(CONSERVING))
def test_without_biases_the_sum_of_relevance_is_the_output(model: Model, name: str) -> None:
    with jax.enable_x64(True):
        x = inputs(model)
        y = outputs_of(model, x)
        if name in ("lrp_alpha1beta0", "lrp_zplus_nobias"):
            y = np.where(with_positive_head(model, x), y, 0)
        np.testing.assert_allclose(
            total(attribute(name, model, x)), y, rtol=0, atol=1e-8 * np.abs(y).max()
        )


@RANDOMLY
@given(model=random_chains("negative", normed=True))
def test_zplus_that_ignores_biases_keeps_the_sum(model: Model) -> None:
    # Biases that are not positive leave no active unit without a positive contribution.
    with jax.enable_x64(True):
        x = inputs(model)
        y = np.where(with_positive_head(model, x), outputs_of(model, x), 0)
        found = total(attribute("lrp_zplus_nobias", model, x))
        np.testing.assert_allclose(found, y, rtol=0, atol=1e-8 * np.abs(y).max())


@RANDOMLY
@given(model=random_chains("any", normed=True))
def test_lrp_0_is_input_times_gradient(model: Model) -> None:
    with jax.enable_x64(True):
        x = inputs(model)
        close(attribute("lrp_0", model, x), attribute("input_x_gradient", model, x), 1e-7)


@pytest.mark.usefixtures("double")
def test_relevance_through_shortcuts_and_maxima_keeps_the_sum() -> None:
    build = Builder((8, 8, 1), 2, "none")
    build.conv(4, pad=1)
    one = build.add("relu")
    build.conv(4, pad=1)
    build.add("add", one, build.add("relu"))
    build.pool("max_pool")
    build.add("global_avg_pool")
    build.dense(2)
    model = build.model()
    x = inputs(model)
    y = outputs_of(model, x)
    assert with_positive_head(model, x).all()
    for name in ("lrp_zplus_nobias", "lrp_0", "lrp_gamma"):
        close(total(attribute(name, model, x)), y, 1e-9)


@pytest.mark.usefixtures("double")
def test_lrp_epsilon_approaches_input_times_gradient() -> None:
    model = chain(normed=True)
    x = inputs(model)
    wanted = np.asarray(attribute("input_x_gradient", model, x))
    errors = []
    for epsilon in (1e-3, 1e-5, 1e-7, 1e-9):
        procedure = methods.Propagation(rules.propagation(rules.Epsilon(epsilon)), "output", True)
        found = attribute(Method("m", procedure, ""), model, x)
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
    assert errors[0] > 1e-3 and errors[-1] < 1e-5
    assert all(b < 0.1 * a for a, b in itertools.pairwise(errors))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("seed", range(3))
def test_differences_from_the_baseline_are_complete(seed: int) -> None:
    model = chain(seed, normed=True)
    x = inputs(model)
    change = outputs_of(model, x) - outputs_of(model, 0 * x)
    close(total(attribute("deep_lift", model, x)), change, 1e-9)
    few = METHODS["integrated_gradients"]
    many = Method("many", dataclasses.replace(few.procedure, nodes=500), "")
    for method, tolerance in ((few, 1e-2), (many, 1e-3)):
        found = np.asarray(attribute(method, model, x))
        assert (np.abs(total(found) - change) < tolerance * total(np.abs(found))).all()


@pytest.mark.usefixtures("double")
def test_deep_taylor_is_positive_and_holds_at_most_the_output() -> None:
    model = chain(4, "negative", normed=True)
    x = 5 * inputs(model, 8)
    y = outputs_of(model, x)
    assert (y > 0).any() and (y < 0).any()
    for name in ("deep_taylor_folded", "deep_taylor_bn_identity"):
        found = np.asarray(attribute(name, model, x))
        assert (found[y <= 0] == 0).all() and (np.abs(found[y > 0]).max((1, 2, 3)) > 0).all()
    found = np.asarray(attribute("deep_taylor_folded", model, x))
    assert (found >= 0).all() and (total(found) <= np.maximum(y, 0) * (1 + 1e-9)).all()


# Folding.


@settings(RANDOMLY, max_examples=4)
@given(model=random_chains("any", normed=True))
def test_folding_leaves_outputs_as_they_were(model: Model) -> None:
    network, parameters = model
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    x = inputs((network, single))
    folded, found = walk.fold(network, single)
    assert "batch_norm" not in {node["kind"] for node in folded.nodes}
    assert set(folded.parameter_names) == set(found)
    close(forward(folded, found, x), forward(network, single, x), 1e-5)


@pytest.mark.usefixtures("double")
def test_batch_normalization_that_cannot_be_folded_stays() -> None:
    build = Builder((8, 8, 1), 1)
    alone = {build.norm("x")}
    build.conv(3, pad=1)
    build.pool("avg_pool")
    alone.add(build.norm())
    twice = build.conv(3, pad=1)
    alone.add(build.norm(twice))
    build.add("add", build.last, twice)
    build.conv(4, 2)
    gone = {build.norm()}
    build.add("relu")
    build.add("global_avg_pool")
    build.dense(5)
    gone.add(build.norm())
    build.dense(2)
    network, parameters = build.model()
    folded, found = walk.fold(network, parameters)
    names = {node["name"] for node in network.nodes}
    assert names - {node["name"] for node in folded.nodes} == gone
    assert alone <= {node["name"] for node in folded.nodes}
    assert set(found) == set(folded.parameter_names)
    x = inputs((network, parameters))
    close(forward(folded, found, x), forward(network, parameters, x))
    # What stays has a rule of its own.
    model = network, parameters
    close(attribute("lrp_0", model, x), attribute("input_x_gradient", model, x), 1e-7)


def test_folding_gives_convolutions_without_bias_one() -> None:
    build = Builder((6, 6, 1), 1, "none")
    conv = build.conv(3)
    build.norm()
    build.add("global_avg_pool")
    build.dense(2)
    network, parameters = build.model()
    folded, found = walk.fold(network, parameters)
    assert folded.nodes[0]["params"]["bias"] == f"{conv}.bias"
    assert found[f"{conv}.bias"].shape == (3,)
    assert f"{conv}.bias" not in parameters and "bias" not in network.nodes[0]["params"]


# One call, many maps, names.


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("deep_lift", 1),
        ("integrated_gradients", 2),
        ("smoothgrad", 1),
        ("smoothgrad", 2),
        ("lrp_alpha2beta1", 1),
        ("lrp_gamma", 2),
        ("lrp_composite", 1),
        ("inn_lrp_epsilon_bn_z", 2),
        ("guided_grad_cam.relu6", 1),
        ("grad_cam_raw.relu6", 2),
        ("occlusion_w3s2", 1),
    ],
)
def test_a_map_does_not_depend_on_its_batch(name: str, batch: int) -> None:
    model = chain(1, normed=True)
    x = inputs(model, 3)
    rows, maps = zip(*in_batches(name, model, x, batch=batch), strict=True)
    starts = range(0, 3, batch)
    assert [(row.start, row.stop) for row in rows] == [(i, min(i + batch, 3)) for i in starts]
    close(np.concatenate(maps, 1), attribute(name, model, x), 1e-5 if "epsilon" in name else 1e-6)


def test_outputs_are_those_asked_for() -> None:
    model = chain()
    x = inputs(model)
    every = np.asarray(attribute("gradient", model, x))
    assert every.shape == (2, *x.shape)
    close(attribute("gradient", model, x, 1), every[1], 1e-6)
    close(attribute("gradient", model, x, [1]), every[1:], 1e-6)
    close(attribute("gradient", model, x, (1, 0)), every[::-1], 1e-6)
    for asked, shape in ((0, (2, 10, 10, 1)), ([0], (1, 2, 10, 10, 1))):
        ((_, found),) = in_batches("gradient", model, x, asked, batch=5)
        assert found.shape == shape


def test_noise_follows_the_seed_and_the_maps_name() -> None:
    model = chain()
    x = np.repeat(inputs(model, 1), 2, 0)
    first = np.asarray(attribute("smoothgrad", model, x, 0))
    again = np.asarray(attribute("smoothgrad", model, x, 0))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])  # the same map under two names
    other = np.asarray(attribute("smoothgrad", model, x, 0, seed=1))
    assert not np.allclose(first, other)
    swapped = np.asarray(attribute("smoothgrad", model, x, 0, names=[1, 0]))
    close(swapped, first[::-1], 1e-6)


@pytest.mark.usefixtures("double")
def test_noise_is_drawn_for_each_sample_and_scaled_by_the_inputs_range() -> None:
    """y = ReLU(x₁ + 0.3) at x = (0, 2): open for noise above -1 σ, σ = 0.15 · 2; Φ(1) = 0.8413."""
    network, parameters = dense_network([[1], [0]], [[1]])
    node = {**network.nodes[0], "params": {**network.nodes[0]["params"], "bias": "bias"}}
    network = dataclasses.replace(network, nodes=(node, *network.nodes[1:]))
    model = network, {**parameters, "bias": np.array([0.3])}
    many = Method("many", methods.SmoothGrad(samples=4000), "")
    found = attribute(many, model, np.array([[0.0, 2.0]]), 0)
    np.testing.assert_allclose(found, [[0.8413, 0]], rtol=0, atol=0.02)


def extremes(model: Model, x: np.ndarray) -> Iterator[tuple[str, Model, np.ndarray]]:
    network, parameters = model
    tiny = np.float32(1e-30)
    yield "nothing to see", model, 0 * x
    yield "tiny input", model, tiny * x
    for scale in (np.float32(0), tiny):
        kernels = {
            name: scale * value if name.endswith(("kernel", "bias")) else value
            for name, value in parameters.items()
        }
        yield f"kernels times {scale}", (network, kernels), x
    dead = {**parameters, "conv3.bias": parameters["conv3.bias"] - np.float32(1e6)}
    yield "all channels dead", (network, dead), x


@pytest.mark.parametrize("name", METHODS)
def test_relevance_is_finite_where_sums_vanish(name: str) -> None:
    build = Builder((8, 8, 1), 1)
    build.conv(3, pad=1)
    build.norm()
    build.add("relu")
    build.conv(3)
    build.add("relu")
    build.pool("avg_pool")
    build.add("global_avg_pool")
    build.dense(2)
    model = build.model(np.float32)
    x = inputs(model, 1)
    for case, changed, seen in extremes(model, x):
        found = np.asarray(attribute(name, changed, seen))
        assert found.dtype == np.float32 and np.isfinite(found).all(), case
        if case == "all channels dead":
            # RISE shows the constant output too; LIME's regression rounds.
            quiet = np.abs(found).max() <= (1e-6 if name == "lime" else 0.0)
            assert quiet or name in ("deconvnet", "inn_deconvnet", "rise"), case


def test_names_are_found() -> None:
    network, _ = chain()
    for name in METHODS:
        assert methods.find(name) == METHODS[name]
    assert methods.find("occlusion_w4s2").procedure == Occlusion(4, 2)
    assert methods.find("grad_cam.relu1", network).procedure == methods.GradCam("relu1")
    assert methods.find("grad_cam_raw.a.b").procedure == methods.GradCam("a.b", rectified=False)
    assert methods.find("guided_grad_cam.a").procedure == methods.GradCam("a", guided=GUIDED)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lrp_epsilom", r"method 'lrp_epsilom' is unknown; did you mean lrp_epsilon\?; kappascope"),
        ("@@@", "'@@@' is unknown; kappascope attribute --list names all"),
        ("occlusion_w4", r"did you mean occlusion_wNsM\?"),
        ("grad_cam.", r"did you mean grad_cam\.NODE\?"),
        ("grad_cam.relu", r"grad_cam\.relu: the network has no node 'relu'; did you mean relu\d\?"),
        ("grad_cam.dense6", r"node 'dense6': Grad-CAM needs a node of \(batch, y, x, channel\)"),
        ("occlusion_w11s1", "the window must fit into the input of 10x10"),
        ("occlusion_w2s0", "the stride must be from 1 to the window's 2"),
        ("occlusion_w2s5", "occlusion_w2s5: windows 5 pixels apart; the stride must be from 1 to"),
    ],
)
def test_names_that_are_none_are_refused(name: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        attribute(name, chain(), inputs_32())
    assert "\n" not in str(caught.value)


def test_conventions_tell_methods_apart() -> None:
    told: dict[str, list[str]] = {}
    for name, method in METHODS.items():
        conventions = method.conventions()
        assert conventions.pop("method") == name
        told.setdefault(json.dumps(conventions), []).append(name)
        assert method.text == " ".join(method.text.split()) and method.text.endswith(".")
    assert sorted(names for names in told.values() if len(names) > 1) == [
        ["deep_taylor", "deep_taylor_bn_identity"],
        ["lrp_alpha1beta0", "lrp_zplus"],
    ]


def nan_at(model: Model, name: str) -> Model:
    return model[0], {**model[1], name: model[1][name] * np.float32("nan")}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m, x: (m, x[:, :8]), r"inputs of shape \(2, 8, 10, 1\): network 'random' reads"),
        (lambda m, x: (m, x[0]), r"inputs of shape \(10, 10, 1\)"),
        (lambda m, x: (m, x[:0]), r"inputs of shape \(0, 10, 10, 1\)"),
        (lambda m, x: (m, np.where(x == x[1].max(), np.nan, x)), "number 1 has NaN or infinity"),
        (lambda m, x: (nan_at(m, "dense6.bias"), x), r"parameter dense6\.bias is not finite"),
    ],
)
def test_inputs_that_cannot_be_explained_are_refused(change: Any, told: str) -> None:
    model = chain()
    model, x = change(model, inputs(model))
    with pytest.raises(InputError, match=told):
        attribute("gradient", model, x)
    for output in (2, -1, [0, 7]):
        with pytest.raises(InputError, match=r"network 'random' has outputs 0 to 1"):
            attribute("gradient", chain(), inputs_32(), output)


def test_relevance_that_is_no_number_is_refused() -> None:
    network, parameters = chain(biases="none")
    huge = {name: value * np.float32(1e15) for name, value in parameters.items()}
    x = inputs((network, huge))
    x[0] = 0
    with pytest.raises(InputError, match=r"gradient: the relevance of input 1 for output 0 is not"):
        attribute("gradient", (network, huge), x)

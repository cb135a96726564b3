"""Kinds of nodes: what they compute against loops and laws, and what descriptions may say."""

import functools
import math
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax

from kappascope.errors import InputError
from kappascope.networks import kinds
from kappascope.networks.description import Network
from kappascope.networks.kinds import KINDS
from kappascope.networks.operations import PARAMETER_FREE, apply_kernel, apply_node

DRAW = np.random.default_rng(7)


def node(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "it", "kind": kind, "inputs": ["x"], **fields}


def evaluated(described: dict[str, Any], *inputs: np.ndarray, **arrays: Any) -> np.ndarray:
    """The node's output, whose shape must be the one that its kind says."""
    names = {field: f"it.{field}" for field in arrays}
    described = {**described, **({"params": names} if names else {})}
    weights = {f"it.{field}": np.asarray(a) for field, a in arrays.items()}
    compiled = jax.jit(lambda *given: apply_node(described, weights, *given))
    out = np.asarray(compiled(*map(jnp.asarray, inputs)))
    shapes = [x.shape[1:] for x in inputs]
    told = KINDS[described["kind"]].shape("here", described, shapes, arrays)
    assert out.shape[1:] == told
    return out


def test_every_kind_computes_something_and_has_a_role() -> None:
    roles = {"affine", "normalization", "standardization"}
    assert {name for name, kind in KINDS.items() if kind.role not in roles} == set(PARAMETER_FREE)
    for name, kind in KINDS.items():
        assert kind.name == name and kind.text
        assert set(kind.fields) | set(kind.options) <= set(kinds.CHECKS)


@pytest.mark.parametrize(
    ("kind", "fields", "formula"),
    [
        ("relu6", {}, lambda a: min(max(a, 0), 6)),
        ("leaky_relu", {"slope": 0.1}, lambda a: a if a > 0 else 0.1 * a),
        ("elu", {"alpha": 0.7}, lambda a: a if a > 0 else 0.7 * (math.exp(a) - 1)),
        ("elu", {"alpha": 2.0, "gain": 1.5}, lambda a: 1.5 * (a if a > 0 else 2 * math.expm1(a))),
        ("silu", {}, lambda a: a / (1 + math.exp(-a))),
        ("gelu", {}, lambda a: a * (1 + math.erf(a / math.sqrt(2))) / 2),
        (
            "gelu",
            {"approximate": "tanh"},
            lambda a: a * (1 + math.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))) / 2,
        ),
        ("tanh", {}, math.tanh),
        ("hard_swish", {}, lambda a: a * min(max(a + 3, 0), 6) / 6),
        ("clip", {"low": -1.0, "high": 2.0}, lambda a: min(max(a, -1), 2)),
        ("clip", {"low": None, "high": 2.0}, lambda a: min(a, 2)),
        ("sigmoid", {}, lambda a: 1 / (1 + math.exp(-a))),
        ("softplus", {}, lambda a: math.log1p(math.exp(a))),
        ("hard_sigmoid", {"slope": 0.2, "offset": 0.5}, lambda a: min(max(0.2 * a + 0.5, 0), 1)),
    ],
)
def test_functions_of_one_number(kind: str, fields: dict[str, Any], formula: Any) -> None:
    values = np.array([[-7.0, -3.1, -1.0, -0.2, 0.0, 0.3, 1.0, 2.5, 3.2, 8.0]], np.float32)
    wanted = [formula(float(a)) for a in values[0]]
    np.testing.assert_allclose(evaluated(node(kind, **fields), values)[0], wanted, 1e-5, 1e-6)
    if KINDS[kind].role in (kinds.ACTIVATION, kinds.RECTIFIER):
        assert formula(0.0) == 0
    if KINDS[kind].negative == kinds.NEVER:
        assert min(wanted) >= 0


@pytest.mark.parametrize(("step", "stride"), [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((1, 3), (2, 2))])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_convolutions_in_groups_and_with_gaps(
    step: tuple[int, int], stride: tuple[int, int], groups: int
) -> None:
    x = DRAW.normal(size=(2, 9, 8, 6)).astype(np.float32)
    kernel = DRAW.normal(size=(3, 2, 6 // groups, 6)).astype(np.float32)
    fields = {"strides": list(stride), "padding": [[1, 0], [2, 1]], "groups": groups}
    out = evaluated(node("conv", **fields, dilation=list(step)), x, kernel=kernel)
    padded = np.pad(x, ((0, 0), (1, 0), (2, 1), (0, 0)))
    each = 6 // groups
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            for k in range(6):
                total = np.zeros(2)
                first = k // each * each
                for i in range(3):
                    for j in range(2):
                        there = padded[:, row * stride[0] + i * step[0]]
                        there = there[:, column * stride[1] + j * step[1], first : first + each]
                        total += there @ kernel[i, j, :, k]
                np.testing.assert_allclose(out[:, row, column, k], total, 1e-4, 1e-4)


@pytest.mark.parametrize("window", [(3, 5), (3, 3)])
def test_depthwise_convolution_is_the_compilers_grouped_one(window: tuple[int, int]) -> None:
    x = DRAW.normal(size=(2, 11, 10, 5)).astype(np.float32)
    kernel = DRAW.normal(size=(*window, 1, 5)).astype(np.float32)
    described = node("conv", strides=[2, 1], padding=[[1, 2], [0, 3]], groups=5, dilation=[2, 1])
    wanted = lax.conv_general_dilated(
        x,
        kernel,
        (2, 1),
        [(1, 2), (0, 3)],
        rhs_dilation=(2, 1),
        feature_group_count=5,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    ours = jax.jit(functools.partial(apply_kernel, described))(kernel, x)
    np.testing.assert_allclose(ours, wanted, 1e-5, 1e-5)


@settings(deadline=None, max_examples=20)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(2, 4)),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.integers(1, 2),
)
def test_a_transposed_convolution_is_the_transpose_of_a_convolution(
    stride: tuple[int, int], window: tuple[int, int], margin: tuple[int, int], step: int
) -> None:
    """⟨conv(a), b⟩ = ⟨a, conv_transpose(b)⟩ with in and out exchanged."""
    draw = np.random.default_rng(3)
    b = draw.normal(size=(1, 4, 5, 2))
    kernel = draw.normal(size=(*window, 2, 3))
    padding = [[margin[0], 0], [margin[1], margin[1]]]
    fields = {"strides": list(stride), "padding": padding, "dilation": [step, 1]}
    sides = [
        (side - 1) * s + (size - 1) * d + 1 - sum(pad)
        for side, s, size, d, pad in zip((4, 5), stride, window, (step, 1), padding, strict=True)
    ]
    if min(sides) < 1:
        return
    out = evaluated(node("conv_transpose", **fields), b, kernel=kernel)
    a = draw.normal(size=out.shape)
    turned = kernel.transpose(0, 1, 3, 2)
    forward = evaluated(node("conv", **fields), a, kernel=turned)
    assert forward.shape == b.shape
    np.testing.assert_allclose((forward * b).sum(), (a * out).sum(), 1e-4, 1e-4)


def test_a_transposed_convolution_can_be_longer_on_one_side() -> None:
    x, kernel = np.ones((1, 2, 2, 1), np.float32), np.ones((2, 2, 1, 1), np.float32)
    fields = {"strides": [2, 2], "padding": [[0, 0], [0, 0]]}
    short = evaluated(node("conv_transpose", **fields), x, kernel=kernel)
    long = evaluated(node("conv_transpose", **fields, output_padding=[1, 0]), x, kernel=kernel)
    assert short.shape == (1, 4, 4, 1) and long.shape == (1, 5, 4, 1)
    np.testing.assert_array_equal(long[:, :4], short)
    assert not long[:, 4].any()


@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("margin", [[0, 0], [1, 1], [0, 1]])
def test_windows_over_the_edge(side: int, counted: bool, up: bool, margin: list[int]) -> None:
    x = DRAW.normal(size=(1, side, side, 1)).astype(np.float32)
    fields = {"window": [3, 2], "strides": [2, 2], "padding": [margin, [0, margin[1]]]}
    fields["ceil_mode"] = up
    average = evaluated(node("avg_pool", **fields, count_include_pad=counted), x)[0, ..., 0]
    largest = evaluated(node("max_pool", **fields), x)[0, ..., 0]
    for row in range(average.shape[0]):
        for column in range(average.shape[1]):
            rows = [r for r in range(row * 2 - margin[0], row * 2 - margin[0] + 3)]
            columns = [c for c in range(column * 2, column * 2 + 2)]
            inside = [
                x[0, r, c, 0] for r in rows for c in columns if 0 <= r < side and 0 <= c < side
            ]
            # What lies beyond the padding never counts.
            end = side + margin[1]
            cells = sum(r < end for r in rows) * sum(c < end for c in columns)
            total = cells if counted else len(inside)
            np.testing.assert_allclose(average[row, column], sum(inside) / total, 1e-5, 1e-6)
            assert largest[row, column] == max(inside)
    # The next window would not fit; with ceil_mode it would see nothing new.
    after, room = average.shape[0] * 2, side + sum(margin)
    if up:
        assert after >= side + margin[0] or after + 1 >= room
    else:
        assert after + 3 > room


def test_enlarging_keeps_values_and_slopes() -> None:
    ramp = np.arange(6, dtype=np.float32)
    x = np.broadcast_to(ramp[None, :, None, None], (1, 6, 4, 2))
    nearest = evaluated(node("resize", mode="nearest", scale=[3, 2]), x)
    np.testing.assert_array_equal(nearest[0, :, 0, 0], np.repeat(ramp, 3))
    linear = evaluated(node("resize", mode="bilinear", scale=[2, 1]), x)[0, :, 0, 1]
    np.testing.assert_allclose(linear, np.clip((np.arange(12) + 0.5) / 2 - 0.5, 0, 5), atol=1e-6)
    corners = evaluated(node("resize", mode="bilinear", scale=[2, 1], align_corners=True), x)
    np.testing.assert_allclose(corners[0, :, 0, 0], np.arange(12) * 5 / 11, atol=1e-6)


def test_standardizations_have_mean_zero_and_variance_one() -> None:
    x = DRAW.normal(3, 5, size=(2, 4, 5, 6)).astype(np.float32)
    ones, zeros = np.ones(6, np.float32), np.zeros(6, np.float32)
    by_pixel = evaluated(node("layer_norm", eps=1e-6), x, scale=ones, bias=zeros)
    np.testing.assert_allclose(by_pixel.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(by_pixel.var(-1), 1, rtol=1e-4)
    grouped = evaluated(node("group_norm", eps=1e-6, groups=3), x, scale=ones, bias=zeros)
    parts = grouped.reshape(2, 4, 5, 3, 2)
    np.testing.assert_allclose(parts.mean((1, 2, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(parts.var((1, 2, 4)), 1, rtol=1e-4)
    scale, shift = np.arange(6, dtype=np.float32), np.full(6, 2, np.float32)
    moved = evaluated(node("group_norm", eps=1e-6, groups=3), x, scale=scale, bias=shift)
    np.testing.assert_allclose(moved, grouped * scale + 2, 1e-5, 1e-5)


def test_factors_channels_orders_and_borders() -> None:
    x = DRAW.normal(size=(2, 3, 4, 5)).astype(np.float32)
    gate, pixel = DRAW.normal(size=(2, 5)), DRAW.normal(size=(2, 3, 4, 1))
    for factor, wanted in ((gate, x * gate[:, None, None]), (pixel, x * pixel), (x, x * x)):
        for inputs in ((x, factor), (factor, x)):
            product = evaluated(node("multiply"), *inputs)
            np.testing.assert_allclose(product, wanted, 1e-5)
    joined = evaluated(node("concat"), x, x[..., :2])
    np.testing.assert_array_equal(joined, np.concatenate([x, x[..., :2]], -1))
    flat = evaluated(node("flatten", order="cyx"), x)
    np.testing.assert_array_equal(flat, x.transpose(0, 3, 1, 2).reshape(2, -1))
    np.testing.assert_array_equal(evaluated(node("flatten"), x), x.reshape(2, -1))
    framed = evaluated(node("pad", padding=[[1, 0], [0, 2]], value=3.0), x)
    wanted = np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=3)
    np.testing.assert_array_equal(framed, wanted)
    np.testing.assert_array_equal(evaluated(node("global_max_pool"), x), x.max((1, 2)))


@pytest.mark.parametrize(
    ("described", "told"),
    [
        (node("conv", strides=[1, 1], padding=[[0, 0]] * 2, params={"kernel": "k"}, groups=0),
         "groups must be a whole number, got 0"),
        (node("conv", strides=[1, 1], padding=[[0, 0]] * 2, params={"kernel": "k"}, dilation=2),
         "dilation must be two numbers from 1 on, got 2"),
        (node("leaky_relu"), "leaky_relu needs 'slope'"),
        (node("leaky_relu", slope=None), "slope must be a number, got None"),
        (node("elu", alpha=math.inf), "alpha must be a number, got inf"),
        (node("gelu", approximate="erf"), "approximate must be none or tanh, got 'erf'"),
        (node("resize", mode="cubic", scale=[2, 2]), "mode must be nearest or bilinear"),
        (node("resize", mode="nearest", scale=[2, 0]), "scale must be two numbers from 1 on"),
        (node("avg_pool", window=[2, 2], strides=[2, 2], padding=[[0, 0]] * 2, ceil_mode=1),
         "ceil_mode must be true or false, got 1"),
        (node("flatten", order="xyc"), "order must be yxc or cyx"),
        (node("multiply"), "multiply takes two inputs, got 1"),
        (node("concat"), "concat takes two or more inputs, got 1"),
        (node("relu", slope=0.1), "relu has 'slope'"),
    ],
)  # fmt: skip
def test_fields_that_make_no_sense_are_named(described: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=rf"node 'it': .*{told}"):
        Network("n", (4, 4, 2), 1, (described,))


@pytest.mark.parametrize(
    ("described", "shapes", "arrays", "told"),
    [
        (node("conv", strides=[1, 1], padding=[[0, 0]] * 2, groups=3), [(4, 4, 4)],
         {"kernel": np.ones((1, 1, 1, 3))}, "groups is 3, which does not divide 4 channels"),
        (node("conv", strides=[1, 1], padding=[[0, 0]] * 2, groups=2), [(4, 4, 4)],
         {"kernel": np.ones((1, 1, 2, 3))}, "groups is 2, which does not divide 3 features"),
        (node("conv", strides=[1, 1], padding=[[0, 0]] * 2, dilation=[2, 2]), [(4, 4, 1)],
         {"kernel": np.ones((3, 3, 1, 1))}, "a window of 3×3 does not fit into 4×4 pixels"),
        (node("conv_transpose", strides=[1, 1], padding=[[3, 3], [0, 0]]), [(4, 4, 1)],
         {"kernel": np.ones((2, 2, 1, 1))}, "padding leaves no pixels of 4×4"),
        (node("multiply"), [(4, 4, 2), (4, 3, 2)], {}, "inputs that do not fit, 4×4×2 and 4×3×2"),
        (node("concat"), [(4, 4, 2), (4, 3, 2)], {}, "inputs that differ in more than channels"),
        (node("group_norm", eps=1e-5, groups=3), [(4, 4, 4)],
         {"scale": np.ones(4), "bias": np.ones(4)}, "groups is 3, which does not divide 4"),
        (node("layer_norm", eps=1e-5), [(4, 4, 4)],
         {"scale": np.ones(3), "bias": np.ones(4)}, "scale of shape 3, needs 4 values"),
        (node("clip", low=2.0, high=1.0), [(4,)], {}, "low is 2.0 and high 1.0"),
        (node("resize", mode="nearest", scale=[2, 2]), [(4,)], {}, "resize needs maps"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_named(
    described: dict[str, Any], shapes: list[Any], arrays: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=f"here: .*{told}"):
        KINDS[described["kind"]].shape("here", described, shapes, arrays)

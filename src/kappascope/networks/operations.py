"""What the kinds of nodes compute, as plain functions of JAX arrays (batch, y, x, channel)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kappascope.networks.kinds import KINDS, value, window_count

Array = Any
Node = Mapping[str, Any]


# ---- kernels -------------------------------------------------------------------------------------


def apply_kernel(node: Node, kernel: Array, x: Array) -> Array:
    """Evaluate an affine node with another kernel of its shape and without bias."""
    if node["kind"] == "dense":
        return x @ kernel
    if node["kind"] == "conv_transpose":
        return _transposed(node, kernel, x)
    groups, dilation = value(node, "groups"), tuple(value(node, "dilation"))
    if groups == x.shape[-1] == kernel.shape[-1] and groups > 1:
        return _depthwise(node, kernel, x)
    return lax.conv_general_dilated(
        x,
        kernel,
        tuple(node["strides"]),
        [tuple(side) for side in node["padding"]],
        rhs_dilation=dilation,
        feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _depthwise(node: Node, kernel: Array, x: Array) -> Array:
    """Add up shifted products: XLA's grouped convolution takes three times as long on a CPU."""
    (down, right), (step_y, step_x) = node["strides"], value(node, "dilation")
    padded = jnp.pad(x, ((0, 0), *map(tuple, node["padding"]), (0, 0)))
    height, width = kernel.shape[:2]
    rows = window_count(padded.shape[1], (0, 0), (height - 1) * step_y + 1, down, False)
    columns = window_count(padded.shape[2], (0, 0), (width - 1) * step_x + 1, right, False)
    out = 0.0
    for i in range(height):
        for j in range(width):
            top, left = i * step_y, j * step_x
            part = padded[
                :,
                top : top + (rows - 1) * down + 1 : down,
                left : left + (columns - 1) * right + 1 : right,
            ]
            out = out + part * kernel[i, j, 0]
    return out


def _transposed(node: Node, kernel: Array, x: Array) -> Array:
    steps = value(node, "dilation")
    sides = [
        ((size - 1) * step - margin[0], (size - 1) * step - margin[1] + more)
        for size, step, margin, more in zip(
            kernel.shape[:2], steps, node["padding"], value(node, "output_padding"), strict=True
        )
    ]
    return lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        sides,
        lhs_dilation=tuple(node["strides"]),
        rhs_dilation=tuple(steps),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


# ---- windows -------------------------------------------------------------------------------------


def _margins(x: Array, node: Node) -> list[tuple[int, int]]:
    """Return the padding, and what the last windows of ``ceil_mode`` reach beyond it."""
    if not value(node, "ceil_mode"):
        return [tuple(side) for side in node["padding"]]
    margins = []
    for side, size, stride, (low, high) in zip(
        x.shape[1:3], node["window"], node["strides"], node["padding"], strict=True
    ):
        count = window_count(side, (low, high), size, stride, True)
        margins.append((low, max(high, (count - 1) * stride + size - side - low)))
    return margins


def pool_sum(x: Array, node: Node) -> Array:
    """Window sums of x (batch, y, x, channel) with the node's window, strides and padding."""
    height, width = node["window"]
    margins = _margins(x, {"kind": "avg_pool", **node})
    if [height, width] == list(node["strides"]) and not np.any(margins):
        # Windows that tile: adding strided slices is many times faster on a CPU.
        rows, columns = x.shape[1] // height * height, x.shape[2] // width * width
        tiles = x[:, :rows, :columns].reshape(
            x.shape[0], rows // height, height, columns // width, width, x.shape[3]
        )
        return tiles.sum((2, 4))
    return _window_sums(x, node, margins)


def _window_sums(x: Array, node: Node, margins: Sequence[tuple[int, int]]) -> Array:
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        (1, *node["window"], 1),
        (1, *node["strides"], 1),
        ((0, 0), *margins, (0, 0)),
    )


def _average_pool(inputs: Sequence[Array], node: Node) -> Array:
    (x,) = inputs
    counted = value(node, "count_include_pad")
    if counted and not value(node, "ceil_mode"):
        return pool_sum(x, node) / float(np.prod(node["window"]))
    if counted:
        # Padding counts, what windows reach beyond it does not.
        shape = [side + sum(pad) for side, pad in zip(x.shape[1:3], node["padding"], strict=True)]
        beyond = [
            (0, margin[1] - pad[1])
            for margin, pad in zip(_margins(x, node), node["padding"], strict=True)
        ]
        ones = jnp.ones((1, *shape, 1), x.dtype)
        return pool_sum(x, node) / _window_sums(ones, node, beyond)
    return pool_sum(x, node) / pool_sum(jnp.ones((1, *x.shape[1:3], 1), x.dtype), node)


def _max_pool(inputs: Sequence[Array], node: Node) -> Array:
    (x,) = inputs
    return lax.reduce_window(
        x,
        np.full((), -np.inf, x.dtype),
        lax.max,
        (1, *node["window"], 1),
        (1, *node["strides"], 1),
        ((0, 0), *_margins(x, node), (0, 0)),
    )


def _global_max_pool(inputs: Sequence[Array], node: Node) -> Array:
    # As a window: its derivative goes to the first of several largest values.
    whole = {"kind": "max_pool", "padding": [[0, 0], [0, 0]], "strides": [1, 1]}
    pooled = _max_pool(inputs, {**whole, "window": list(inputs[0].shape[1:3])})
    return pooled[:, 0, 0]


def _resize(inputs: Sequence[Array], node: Node) -> Array:
    (x,) = inputs
    if node["mode"] == "nearest":
        for axis, factor in enumerate(node["scale"], start=1):
            x = jnp.repeat(x, factor, axis)
        return x
    for axis, factor in enumerate(node["scale"], start=1):
        weights = jnp.asarray(_between(x.shape[axis], factor, value(node, "align_corners")))
        x = jnp.moveaxis(jnp.tensordot(weights.astype(x.dtype), x, (1, axis)), 0, axis)
    return x


def _between(side: int, factor: int, align_corners: bool) -> np.ndarray:
    """Return (side × factor, side) weights of linear interpolation along an axis."""
    places = np.arange(side * factor)
    if align_corners:
        at = places * ((side - 1) / max(side * factor - 1, 1))
    else:
        at = np.clip((places + 0.5) / factor - 0.5, 0, side - 1)
    low = np.minimum(at.astype(int), side - 1)
    share = at - low
    weights = np.zeros((len(places), side))
    weights[places, low] += 1 - share
    weights[places, np.minimum(low + 1, side - 1)] += share
    return weights


# ---- averages of the input's own -----------------------------------------------------------------


def standardized(node: Node, x: Array, held: bool = False) -> Array:
    """Return x over its own mean and standard deviation, by pixel or by group of channels.

    Parameters
    ----------
    held : whether the standard deviation is taken for a constant, in derivatives.

    """
    shape = x.shape
    axes: tuple[int, ...] = (-1,)
    if node["kind"] == "group_norm":
        x = x.reshape(*shape[:-1], node["groups"], shape[-1] // node["groups"])
        axes = (1, 2, 4)
    variance = x.var(axes, keepdims=True)
    if held:
        variance = lax.stop_gradient(variance)
    scaled = (x - x.mean(axes, keepdims=True)) / jnp.sqrt(variance + node["eps"])
    return scaled.reshape(shape)


# ---- the rest ------------------------------------------------------------------------------------


def _multiply(inputs: Sequence[Array], node: Node) -> Array:
    large = max(value.ndim for value in inputs)
    one, other = (
        a.reshape(len(a), *[1] * (large - a.ndim), *a.shape[1:]) if a.ndim < large else a
        for a in inputs
    )
    return one * other


def _flatten(inputs: Sequence[Array], node: Node) -> Array:
    (x,) = inputs
    if value(node, "order") == "cyx" and x.ndim == 4:
        x = x.transpose(0, 3, 1, 2)
    return x.reshape(len(x), -1)


def _pad(inputs: Sequence[Array], node: Node) -> Array:
    margins = ((0, 0), *map(tuple, node["padding"]), (0, 0))
    return jnp.pad(inputs[0], margins, constant_values=value(node, "value"))


def _elementwise(function: Callable[[Array, Node], Array]) -> Callable[..., Array]:
    return lambda inputs, node: function(inputs[0], node)


def _elu(a: Array, node: Node) -> Array:
    below = node["alpha"] * jnp.expm1(jnp.minimum(a, 0))
    return value(node, "gain") * jnp.where(a > 0, a, below)


def _gelu(a: Array, node: Node) -> Array:
    return jax.nn.gelu(a, approximate=value(node, "approximate") == "tanh")


def _between_bounds(a: Array, low: float | None, high: float | None) -> Array:
    # Derivative 0 at a bound, as of ReLU.
    open_ = jnp.ones_like(a, bool)
    for bound, inside in ((low, jnp.greater), (high, jnp.less)):
        if bound is not None:
            open_ &= inside(a, bound)
    clipped = jnp.clip(lax.stop_gradient(a), low, high)
    return jnp.where(open_, a, clipped)


def _hard_sigmoid(a: Array, node: Node) -> Array:
    return _between_bounds(node["slope"] * a + node["offset"], 0.0, 1.0)


PARAMETER_FREE: dict[str, Callable[[Sequence[Array], Node], Array]] = {
    # jax.nn.relu has derivative 0 at 0; maximum(x, 0) would have 1/2.
    "relu": _elementwise(lambda a, node: jax.nn.relu(a)),
    "relu6": _elementwise(lambda a, node: _between_bounds(a, 0.0, 6.0)),
    "leaky_relu": _elementwise(lambda a, node: jnp.where(a > 0, a, node["slope"] * a)),
    "elu": _elementwise(_elu),
    "silu": _elementwise(lambda a, node: jax.nn.silu(a)),
    "gelu": _elementwise(_gelu),
    "tanh": _elementwise(lambda a, node: jnp.tanh(a)),
    "hard_swish": _elementwise(lambda a, node: a * _between_bounds(a / 6 + 0.5, 0.0, 1.0)),
    "clip": _elementwise(lambda a, node: _between_bounds(a, node["low"], node["high"])),
    "sigmoid": _elementwise(lambda a, node: jax.nn.sigmoid(a)),
    "softplus": _elementwise(lambda a, node: jax.nn.softplus(a)),
    "hard_sigmoid": _elementwise(_hard_sigmoid),
    "avg_pool": _average_pool,
    "max_pool": _max_pool,
    "global_avg_pool": lambda inputs, node: inputs[0].mean((1, 2)),
    "global_max_pool": _global_max_pool,
    "resize": _resize,
    "add": lambda inputs, node: sum(inputs[1:], inputs[0]),
    "multiply": _multiply,
    "concat": lambda inputs, node: jnp.concatenate(inputs, -1),
    "flatten": _flatten,
    "pad": _pad,
    "function": lambda inputs, node: node["call"](inputs[0]).reshape(len(inputs[0]), -1),
}
"""Kind → (inputs, node) → output, of the kinds without parameters."""


def apply_node(
    node: Node, parameters: Mapping[str, Array], *inputs: Array, held: bool = False
) -> Array:
    """Evaluate one node with stored parameters, batch normalization on its running averages.

    Parameters
    ----------
    held : whether a standardization by the input's own averages takes its standard deviation for
        a constant, in derivatives.

    """
    kind, names = KINDS[node["kind"]], node.get("params", {})
    if kind.role == "affine":
        out = apply_kernel(node, parameters[names["kernel"]], inputs[0])
        return out + parameters[names["bias"]] if "bias" in names else out
    if kind.role == "normalization":
        scale, bias, mean, var = (parameters[names[f]] for f in kind.params)
        return (inputs[0] - mean) * (scale / jnp.sqrt(var + node["eps"])) + bias
    if kind.role == "standardization":
        scale, bias = (parameters[names[f]] for f in kind.params)
        return standardized(node, inputs[0], held) * scale + bias
    return PARAMETER_FREE[node["kind"]](inputs, node)

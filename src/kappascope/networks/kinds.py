"""The kinds of nodes that networks are made of: their fields, the shapes they give, what they are.

One declaration each. What a kind computes is in :mod:`kappascope.networks.operations`; what methods
do with it follows from its role. Maps are (y, x, channel), vectors (feature,), without the batch.

Nothing here needs JAX.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.errors import InputError

Shape = tuple[int, ...]
Node = Mapping[str, Any]
Check = Callable[[Any], str | None]
"""A value → what it should be, or None where it is."""


# ---- what fields may hold ------------------------------------------------------------------------


def is_count(value: Any, least: int = 1) -> bool:
    """Return whether a value is a whole number from ``least`` on."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and value >= least


def _pair(value: Any, least: int) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return listed and len(value) == 2 and all(is_count(v, least) for v in value)


def _sizes(value: Any) -> str | None:
    return None if _pair(value, 1) else "must be two numbers from 1 on"


def _extra(value: Any) -> str | None:
    return None if _pair(value, 0) else "must be two numbers from 0 on"


def _margins(value: Any) -> str | None:
    listed = isinstance(value, list | tuple)
    if listed and [_pair(side, 0) for side in value] == [True, True]:
        return None
    return "must be [[top, bottom], [left, right]] in pixels"


def _count(value: Any) -> str | None:
    return None if is_count(value) else "must be a whole number"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _number(value: Any) -> str | None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return None if real and math.isfinite(value) else "must be a number"


def _bound(value: Any) -> str | None:
    return None if value is None else _number(value)


def _eps(value: Any) -> str | None:
    return None if _number(value) is None and value >= 0 else "must be a number from 0 on"


def _one_of(*allowed: str) -> Check:
    text = " or ".join(allowed)
    return lambda value: None if value in allowed else f"must be {text}"


def _call(value: Any) -> str | None:
    return None if callable(value) else "must be a function, which no file holds"


CHECKS: Mapping[str, Check] = {
    "call": _call,
    "strides": _sizes,
    "window": _sizes,
    "dilation": _sizes,
    "scale": _sizes,
    "padding": _margins,
    "output_padding": _extra,
    "features": _count,
    "groups": _count,
    "eps": _eps,
    "ceil_mode": _flag,
    "count_include_pad": _flag,
    "align_corners": _flag,
    "slope": _number,
    "offset": _number,
    "alpha": _number,
    "gain": _number,
    "value": _number,
    "low": _bound,
    "high": _bound,
    "mode": _one_of("nearest", "bilinear"),
    "order": _one_of("yxc", "cyx"),
    "approximate": _one_of("none", "tanh"),
}
"""Field of a node → what it may hold."""


# ---- roles ---------------------------------------------------------------------------------------

AFFINE = "affine"
"""Kernel and bias: relevance has rules of its own."""
RECTIFIER = "rectifier"
"""ReLU and ReLU6."""
ACTIVATION = "activation"
"""Other functions of one number that are zero at zero."""
SQUASH = "squash"
"""Functions of one number that are not: they have an output for no input."""
AVERAGE = "average"
"""Sums and averages with fixed weights."""
MAXIMUM = "maximum"
SELECTION = "selection"
"""Values handed on, in another order or place."""
PRODUCT = "product"
NORMALIZATION = "normalization"
"""By fixed averages (an affine map of each channel)."""
STANDARDIZATION = "standardization"
"""By the input's own averages."""

FUNCTION = "function"
"""Whatever a JAX function computes: nothing is known of its inside."""

NEVER, KEPT, ANY = "never", "kept", "any"
"""Whether outputs can be negative: never; only where an input can; any."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of node.

    Attributes
    ----------
    name : as ``kind`` of a node.
    role : what methods take it for.
    shape : (where, node, shapes of the inputs, arrays by field) → shape of the output.
    fields : that a node must have.
    options : that it may have, and what they are otherwise; None where the kernel says it.
    params, more_params : arrays it must and may have.
    inputs : how many inputs, least and most.
    negative : :data:`NEVER`, :data:`KEPT` or :data:`ANY`.
    text : for the documents.

    """

    name: str
    role: str
    shape: Callable[[str, Node, Sequence[Shape], Mapping[str, np.ndarray]], Shape]
    text: str
    fields: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    params: tuple[str, ...] = ()
    more_params: tuple[str, ...] = ()
    inputs: tuple[int, float] = (1, 1)
    negative: str = ANY

    def value(self, node: Node, field: str) -> Any:
        """Return a field of a node, or what it is where the node does not say."""
        return node.get(field, self.options.get(field))


def value(node: Node, field: str) -> Any:
    """Return a field of a node, or what its kind takes it to be."""
    return KINDS[node["kind"]].value(node, field)


# ---- shapes --------------------------------------------------------------------------------------


def text(shape: Sequence[int]) -> str:
    """Return a shape as messages print it."""
    return "×".join(map(str, shape)) or "one number"


def _same(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    return inside[0]


def _maps(where: str, node: Node, shape: Shape) -> None:
    if len(shape) != 3:
        raise InputError(f"{where}: {node['kind']} needs maps (y, x, channel), gets {text(shape)}")


def _vectors(where: str, arrays: Mapping[str, np.ndarray], channels: int) -> None:
    for field, array in arrays.items():
        if array.shape != (channels,):
            raise InputError(
                f"{where}: {field} of shape {text(array.shape)}, needs {channels} values"
            )


def _conv(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    groups, kernel = value(node, "groups"), arrays["kernel"].shape
    if shape[2] % groups:
        raise InputError(f"{where}: groups is {groups}, which does not divide {shape[2]} channels")
    _kernel(where, kernel, 4, shape[2] // groups, "(height, width, in, out)")
    if kernel[3] % groups:
        raise InputError(f"{where}: groups is {groups}, which does not divide {kernel[3]} features")
    _agrees(where, node, kernel)
    _vectors(where, {k: v for k, v in arrays.items() if k != "kernel"}, kernel[3])
    return (*windows(where, node, shape, kernel[:2]), kernel[3])


def _conv_transpose(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    kernel = arrays["kernel"].shape
    _kernel(where, kernel, 4, shape[2], "(height, width, in, out)")
    _agrees(where, node, kernel)
    _vectors(where, {k: v for k, v in arrays.items() if k != "kernel"}, kernel[3])
    sides = [
        (side - 1) * stride + (size - 1) * step + 1 - sum(margin) + more
        for side, stride, size, step, margin, more in zip(
            shape[:2],
            node["strides"],
            kernel[:2],
            value(node, "dilation"),
            node["padding"],
            value(node, "output_padding"),
            strict=True,
        )
    ]
    if min(sides) < 1:
        raise InputError(f"{where}: padding leaves no pixels of {text(shape[:2])}")
    return (sides[0], sides[1], kernel[3])


def _dense(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    if len(shape) != 1:
        raise InputError(
            f"{where}: dense needs a vector, gets {text(shape)}; put flatten or global_avg_pool "
            "before it"
        )
    kernel = arrays["kernel"].shape
    _kernel(where, kernel, 2, shape[0], "(in, out)")
    _agrees(where, node, kernel)
    _vectors(where, {k: v for k, v in arrays.items() if k != "kernel"}, kernel[1])
    return (kernel[1],)


def _kernel(where: str, kernel: Shape, axes: int, channels: int, form: str) -> None:
    if len(kernel) != axes or kernel[-2] != channels:
        raise InputError(
            f"{where}: kernel of shape {text(kernel)}, needs {form} with {channels} in"
        )


def _agrees(where: str, node: Node, kernel: Shape) -> None:
    """Refuse sizes that the description gives and the kernel contradicts."""
    sizes = {"features": kernel[-1], "window": list(kernel[:-2])}
    for field, size in sizes.items():
        given = list(node[field]) if field == "window" and field in node else node.get(field)
        if given is not None and given != size:
            raise InputError(f"{where}: {field} is {given}, but its kernel says {size}")


def windows(where: str, node: Node, shape: Shape, window: Sequence[int]) -> tuple[int, int]:
    """Return how many windows fit along each axis."""
    kind = KINDS[node["kind"]]
    steps = kind.value(node, "dilation") or (1, 1)
    up = bool(kind.value(node, "ceil_mode"))
    sides = [
        window_count(side, margin, (size - 1) * step + 1, stride, up)
        for side, margin, size, step, stride in zip(
            shape[:2], node["padding"], window, steps, node["strides"], strict=True
        )
    ]
    if min(sides) < 1:
        raise InputError(
            f"{where}: a window of {text(window)} does not fit into {text(shape[:2])} pixels"
        )
    return sides[0], sides[1]


def window_count(side: int, margin: Sequence[int], size: int, stride: int, up: bool) -> int:
    """Return how many windows of ``size`` fit along an axis, the margin included.

    Parameters
    ----------
    up : whether a last window may reach beyond the end, where it starts before it.

    """
    room = side + sum(margin) - size
    if not up:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - ((count - 1) * stride >= side + margin[0])


def _pool(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    return (*windows(where, node, shape, node["window"]), shape[2])


def _global(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    return (shape[2],)


def _add(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    if len(set(inside)) > 1:
        raise InputError(f"{where}: inputs of different shapes, {' and '.join(map(text, inside))}")
    return inside[0]


def _concat(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    if len({shape[:-1] for shape in inside}) > 1:
        raise InputError(
            f"{where}: inputs that differ in more than channels, {' and '.join(map(text, inside))}"
        )
    return (*inside[0][:-1], sum(shape[-1] for shape in inside))


def _multiply(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    large, small = sorted(inside, key=len, reverse=True)
    if len(small) == 1:
        small = (*[1] * (len(large) - 1), *small)
    sides = tuple(max(pair) for pair in zip(large, small, strict=True))
    for one, other in zip(large, small, strict=True):
        if one != other and 1 not in (one, other):
            raise InputError(
                f"{where}: inputs that do not fit, {' and '.join(map(text, inside))}; a factor has "
                "the map's shape, one value a channel or one a pixel"
            )
    return sides


def _flatten(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    return (math.prod(inside[0]),)


def _pad(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    sides = [side + sum(margin) for side, margin in zip(shape[:2], node["padding"], strict=True)]
    return (sides[0], sides[1], shape[2])


def _resize(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    return (shape[0] * node["scale"][0], shape[1] * node["scale"][1], shape[2])


def _normalized(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _vectors(where, arrays, shape[-1])
    if "var" in arrays and (arrays["var"] + node["eps"] <= 0).any():
        raise InputError(f"{where}: var + eps is not positive everywhere")
    return shape


def _grouped(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    (shape,) = inside
    _maps(where, node, shape)
    if shape[2] % node["groups"]:
        raise InputError(
            f"{where}: groups is {node['groups']}, which does not divide {shape[2]} channels"
        )
    return _normalized(where, node, inside, arrays)


def _called(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    return (node["features"],)


def _clip(where: str, node: Node, inside: Sequence[Shape], arrays: Any) -> Shape:
    low, high = node["low"], node["high"]
    if low is not None and high is not None and not low < high:
        raise InputError(f"{where}: low is {low} and high {high}; low must be less")
    return inside[0]


# ---- the kinds -----------------------------------------------------------------------------------

_WINDOW = ("window", "strides", "padding")
_KERNEL: Mapping[str, Any] = {"features": None, "window": None}

_LISTED = (
    Kind(
        "conv",
        AFFINE,
        _conv,
        "convolution, kernel (height, width, in / groups, out)",
        ("strides", "padding"),
        {**_KERNEL, "dilation": (1, 1), "groups": 1},
        ("kernel",),
        ("bias",),
    ),
    Kind(
        "conv_transpose",
        AFFINE,
        _conv_transpose,
        "transposed convolution, kernel (height, width, in, out); padding is cut off",
        ("strides", "padding"),
        {**_KERNEL, "dilation": (1, 1), "output_padding": (0, 0)},
        ("kernel",),
        ("bias",),
    ),
    Kind(
        "dense",
        AFFINE,
        _dense,
        "dense layer, kernel (in, out)",
        (),
        {"features": None},
        ("kernel",),
        ("bias",),
    ),
    Kind(
        "batch_norm",
        NORMALIZATION,
        _normalized,
        "(a - mean) scale / √(var + eps) + bias, by channel",
        ("eps",),
        params=("scale", "bias", "mean", "var"),
    ),
    Kind(
        "layer_norm",
        STANDARDIZATION,
        _normalized,
        "each pixel over its channels to mean 0 and variance 1, then scale and bias",
        ("eps",),
        params=("scale", "bias"),
    ),
    Kind(
        "group_norm",
        STANDARDIZATION,
        _grouped,
        "each group of channels of a map to mean 0 and variance 1, then scale and bias",
        ("eps", "groups"),
        params=("scale", "bias"),
    ),
    Kind("relu", RECTIFIER, _same, "max(a, 0)", negative=NEVER),
    Kind("relu6", RECTIFIER, _same, "min(max(a, 0), 6)", negative=NEVER),
    Kind("leaky_relu", ACTIVATION, _same, "a, and slope × a below 0", ("slope",)),
    Kind("elu", ACTIVATION, _same, "gain × a, and gain × alpha (eᵃ - 1) below 0", ("alpha",),
         {"gain": 1.0}),
    Kind("silu", ACTIVATION, _same, "a / (1 + e⁻ᵃ)"),
    Kind("gelu", ACTIVATION, _same, "a Φ(a), or its approximation by tanh", (),
         {"approximate": "none"}),
    Kind("tanh", ACTIVATION, _same, "tanh a"),
    Kind("hard_swish", ACTIVATION, _same, "a min(max(a + 3, 0), 6) / 6"),
    Kind("clip", ACTIVATION, _clip, "min(max(a, low), high); null for no bound", ("low", "high")),
    Kind("sigmoid", SQUASH, _same, "1 / (1 + e⁻ᵃ)", negative=NEVER),
    Kind("softplus", SQUASH, _same, "log(1 + eᵃ)", negative=NEVER),
    Kind("hard_sigmoid", SQUASH, _same, "min(max(slope a + offset, 0), 1)", ("slope", "offset"),
         negative=NEVER),
    Kind("avg_pool", AVERAGE, _pool,
         "mean of a window; without count_include_pad, of the pixels in it", _WINDOW,
         {"ceil_mode": False, "count_include_pad": True}, negative=KEPT),
    Kind("global_avg_pool", AVERAGE, _global, "mean of each channel, a vector", negative=KEPT),
    Kind("max_pool", MAXIMUM, _pool, "largest value of a window", _WINDOW,
         {"ceil_mode": False}, negative=KEPT),
    Kind("global_max_pool", MAXIMUM, _global, "largest value of each channel, a vector",
         negative=KEPT),
    Kind("resize", AVERAGE, _resize, "enlarged by whole numbers", ("mode", "scale"),
         {"align_corners": False}, negative=KEPT),
    Kind("add", AVERAGE, _add, "sum of two or more", inputs=(2, math.inf), negative=KEPT),
    Kind("multiply", PRODUCT, _multiply,
         "product of two; a factor may have one value a channel or one a pixel", inputs=(2, 2),
         negative=KEPT),
    Kind("concat", SELECTION, _concat, "channels one after the other", inputs=(2, math.inf),
         negative=KEPT),
    Kind("flatten", SELECTION, _flatten,
         "to a vector, channels fastest (yxc) or slowest (cyx)", (), {"order": "yxc"},
         negative=KEPT),
    Kind("function", FUNCTION, _called, "a JAX function", ("call", "features")),
    Kind("pad", SELECTION, _pad, "a border of zeros, or of another value", ("padding",),
         {"value": 0.0}),
)  # fmt: skip
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _LISTED}
"""Name → kind."""

"""What each ONNX operator becomes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.exchange.onnx_graph import (
    Conversion,
    Handler,
    LayoutError,
    Part,
    RefusedError,
    Tensor,
    Value,
    operator,
)

Given = dict[str, Any]


def tensor(value: Value, what: str = "input") -> Tensor:
    """Return a value that has to depend on the network's input."""
    if isinstance(value, Part):
        raise RefusedError(
            f"reads a {value.what}, which is supported as part of a known activation or "
            "normalization only"
        )
    if not isinstance(value, Tensor):
        raise RefusedError(f"has a constant for its {what}; simplify the model")
    return value


def constant(inputs: Sequence[Value], place: int, what: str) -> np.ndarray | None:
    """Return an input that has to be a constant, None where it is left out."""
    value = inputs[place] if place < len(inputs) else None
    if value is None or isinstance(value, np.ndarray):
        return value
    raise RefusedError(
        f"has {what} that depend on the network's input; only fixed ones are supported"
    )


def needed(inputs: Sequence[Value], place: int, what: str) -> np.ndarray:
    """Return an input that has to be there and a constant."""
    value = constant(inputs, place, what)
    if value is None:
        raise RefusedError(f"has no {what}; export again")
    return value


def listed(given: Given, name: str, default: Sequence[int]) -> list[int]:
    """Return an attribute that is a list of whole numbers."""
    return [int(v) for v in given.get(name, default)]


def map_of(value: Tensor) -> Tensor:
    """Return a tensor of maps, its channels first as ONNX has them."""
    if value.axes[0] != "c" or len(value.axes) < 2:
        raise LayoutError(f"reads axes {', '.join(value.axes)} where channels come first")
    if len(value.axes) > 3:
        raise RefusedError("works on more than two axes of space; images have two")
    return value


def _pixels(value: Tensor, sizes: Sequence[int], one: int) -> list[int]:
    """Return numbers by axis of space as two, for one axis with the other's filled in."""
    spatial = value.axes[1:]
    if len(sizes) != len(spatial):
        raise RefusedError(
            f"has a window over {len(sizes)} axes on images of {len(spatial)}, which is not valid "
            "ONNX; export with another version of the framework"
        )
    return list(sizes) if len(sizes) == 2 else [one, *sizes]


def _space(value: Tensor) -> list[int]:
    return list(value.shape[:2])


def _padding(
    given: Given, value: Tensor, window: list[int], strides: list[int], dilation: list[int]
) -> list[list[int]]:
    """Return [[top, bottom], [left, right]] from pads or auto_pad."""
    auto = given.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        margins = []
        for side, size, stride, step in zip(_space(value), window, strides, dilation, strict=True):
            count = -(-side // stride)
            total = max((count - 1) * stride + (size - 1) * step + 1 - side, 0)
            small, large = total // 2, total - total // 2
            margins.append([small, large] if auto == "SAME_UPPER" else [large, small])
        return margins
    pads = listed(given, "pads", [0] * 2 * len(value.axes[1:])) if auto != "VALID" else []
    if not any(pads):
        return [[0, 0], [0, 0]]
    half = len(pads) // 2
    starts, ends = _pixels(value, pads[:half], 0), _pixels(value, pads[half:], 0)
    if min(pads) < 0:
        raise RefusedError(f"has negative pads {pads}; crop the input instead")
    return [list(pair) for pair in zip(starts, ends, strict=True)]


# ---- affine --------------------------------------------------------------------------------------


@operator("Conv")
def _conv(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x, kernel = tensor(inputs[0]), needed(inputs, 1, "weights")
    bias = constant(inputs, 2, "biases")
    arrays = {} if bias is None else {"bias": bias}
    if x.axes[0] == "c" and len(x.shape) == 1:
        # One pixel: a vector.
        if any(size != 1 for size in kernel.shape[2:]) or any(given.get("pads", ())):
            raise RefusedError("has a window on images of one pixel; leave it out")
        if given.get("group", 1) != 1:
            raise RefusedError("has groups on images of one pixel; leave it out")
        kernel = kernel.reshape(kernel.shape[:2]).T
        return made.add("dense", [x], x.axes, {"kernel": kernel, **arrays})
    x = map_of(x)
    window = _pixels(x, kernel.shape[2:], 1)
    strides = _pixels(x, listed(given, "strides", [1] * (kernel.ndim - 2)), 1)
    dilation = _pixels(x, listed(given, "dilations", [1] * (kernel.ndim - 2)), 1)
    kernel = kernel.reshape(*kernel.shape[:2], *window).transpose(2, 3, 1, 0)
    fields: dict[str, Any] = {"strides": strides}
    if dilation != [1, 1]:
        fields["dilation"] = dilation
    if (groups := int(given.get("group", 1))) != 1:
        fields["groups"] = groups
    fields["padding"] = _padding(given, x, window, strides, dilation)
    return made.add("conv", [x], x.axes, {"kernel": kernel, **arrays}, **fields)


@operator("ConvTranspose")
def _conv_transpose(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x, kernel = map_of(tensor(inputs[0])), needed(inputs, 1, "weights")
    bias = constant(inputs, 2, "biases")
    if int(given.get("group", 1)) != 1:
        raise RefusedError("has groups; only transposed convolutions without are supported")
    if "output_shape" in given or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise RefusedError("gives its output's shape in place of pads; export with pads")
    window = _pixels(x, kernel.shape[2:], 1)
    ones = [1] * (kernel.ndim - 2)
    strides = _pixels(x, listed(given, "strides", ones), 1)
    dilation = _pixels(x, listed(given, "dilations", ones), 1)
    extra = _pixels(x, listed(given, "output_padding", [0] * len(ones)), 0)
    kernel = kernel.reshape(*kernel.shape[:2], *window).transpose(2, 3, 0, 1)
    fields: dict[str, Any] = {"strides": strides}
    if dilation != [1, 1]:
        fields["dilation"] = dilation
    if any(extra):
        fields["output_padding"] = extra
    fields["padding"] = _padding(given, x, window, strides, dilation)
    arrays = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
    return made.add("conv_transpose", [x], x.axes, arrays, **fields)


@operator("Gemm")
def _gemm(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x, kernel = tensor(inputs[0]), needed(inputs, 1, "weights")
    if given.get("transA", 0) or x.axes != ("c",):
        raise RefusedError(
            f"reads axes (n, {', '.join(x.axes)}), not (n, features); flatten them first"
        )
    kernel = (kernel.T if given.get("transB", 0) else kernel) * given.get("alpha", 1.0)
    bias = constant(inputs, 2, "biases")
    arrays = {"kernel": kernel}
    if bias is not None:
        if bias.ndim > 1 and bias.shape[0] != 1:
            raise RefusedError("has a bias for each input of a batch; export with one for all")
        arrays["bias"] = np.broadcast_to(bias * given.get("beta", 1.0), (1, kernel.shape[1]))[0]
    return made.add("dense", [x], x.axes, arrays)


@operator("MatMul")
def _matmul(made: Conversion, inputs: list[Value], given: Given) -> Value:
    if not isinstance(inputs[1], np.ndarray):
        raise RefusedError(
            "multiplies two matrices that both depend on the input, as attention does; networks of "
            "convolutions and dense layers are supported"
        )
    x, kernel = tensor(inputs[0]), inputs[1]
    if kernel.ndim != 2:
        raise RefusedError(f"has weights of shape {list(kernel.shape)}; two axes are supported")
    if x.axes[-1] != "c":
        raise LayoutError("multiplies another axis than the channels")
    if len(x.shape) == 1:
        return made.add("dense", [x], x.axes, {"kernel": kernel})
    arrays = {"kernel": kernel[None, None]}
    return made.add("conv", [x], x.axes, arrays, strides=[1, 1], padding=[[0, 0], [0, 0]])


# ---- normalizations ------------------------------------------------------------------------------


def _first_is_channel(x: Tensor) -> None:
    if x.axes[0] != "c":
        raise LayoutError(f"reads axes {', '.join(x.axes)} where channels come first")


@operator("BatchNormalization")
def _batch_norm(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    _first_is_channel(x)
    if given.get("training_mode", 0):
        raise RefusedError("is in training mode; export the network after model.eval()")
    fields = ("scale", "bias", "mean", "var")
    arrays = {field: needed(inputs, k, field) for k, field in enumerate(fields, start=1)}
    return made.add("batch_norm", [x], x.axes, arrays, eps=float(given.get("epsilon", 1e-5)))


def _as_channels(made: Conversion, x: Tensor, values: np.ndarray | None, default: float) -> Any:
    if values is None:
        return np.full(x.channels, default)
    return made.channel_vector(values, x)


@operator("LayerNormalization")
def _layer_norm(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    scale, bias = needed(inputs, 1, "scale"), constant(inputs, 2, "bias")
    axis, rank = int(given.get("axis", -1)), len(x.axes) + 1
    axis = axis + rank if axis < 0 else axis
    normalized = x.axes[axis - 1 :]
    arrays = {
        "scale": _as_channels(made, x, scale, 1.0),
        "bias": _as_channels(made, x, bias, 0.0),
    }
    eps = float(given.get("epsilon", 1e-5))
    if normalized == ("c",):
        return made.add("layer_norm", [x], x.axes, arrays, eps=eps)
    if axis == 1 and len(x.shape) == 3:
        return made.add("group_norm", [x], x.axes, arrays, eps=eps, groups=1)
    raise LayoutError(f"averages over {', '.join(normalized)}")


@operator("GroupNormalization")
def _group_norm(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x, groups = map_of(tensor(inputs[0])), int(given["num_groups"])
    arrays = {}
    for k, field in enumerate(("scale", "bias"), start=1):
        values = needed(inputs, k, field)
        if made.graph.opset < 21:
            # One for each group.
            values = np.repeat(values, x.channels // groups)
        arrays[field] = values
    eps = float(given.get("epsilon", 1e-5))
    return made.add("group_norm", [x], x.axes, arrays, eps=eps, groups=groups)


@operator("InstanceNormalization")
def _instance_norm(made: Conversion, inputs: list[Value], given: Given) -> Value:
    scale, bias = needed(inputs, 1, "scale"), needed(inputs, 2, "bias")
    eps = float(given.get("epsilon", 1e-5))
    if isinstance(inputs[0], Part) and inputs[0].what == "map in groups":
        (groups,) = inputs[0].numbers
        if np.ptp(scale) or np.ptp(bias) or scale[0] != 1 or bias[0] != 0:
            raise RefusedError("scales groups of channels; export a GroupNormalization")
        x = inputs[0].tensor
        arrays = {"scale": np.ones(x.channels), "bias": np.zeros(x.channels)}
        normalized = made.add("group_norm", [x], x.axes, arrays, eps=eps, groups=groups)
        return Part("map in groups", normalized, (groups,))
    x = map_of(tensor(inputs[0]))
    arrays = {"scale": scale, "bias": bias}
    return made.add("group_norm", [x], x.axes, arrays, eps=eps, groups=x.channels)


# ---- activations ---------------------------------------------------------------------------------


# Operator → kind, and its fields: the attribute that says it, and what ONNX takes without.
_FUNCTIONS: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "Relu": ("relu", {}),
    "Sigmoid": ("sigmoid", {}),
    "HardSwish": ("hard_swish", {}),
    "Softplus": ("softplus", {}),
    "LeakyRelu": ("leaky_relu", {"slope": ("alpha", 0.01)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "Selu": (
        "elu",
        {"alpha": ("alpha", 1.6732632423543772), "gain": ("gamma", 1.0507009873554805)},
    ),
    "HardSigmoid": ("hard_sigmoid", {"slope": ("alpha", 0.2), "offset": ("beta", 0.5)}),
}


def _function(kind: str, fields: Mapping[str, tuple[str, float]]) -> Handler:
    def handle(made: Conversion, inputs: list[Value], given: Given) -> Value:
        x = tensor(inputs[0])
        said: Any = {field: float(given.get(*usual)) for field, usual in fields.items()}
        return made.add(kind, [x], x.axes, **said)

    return handle


for _name, (_kind, _fields) in _FUNCTIONS.items():
    operator(_name)(_function(_kind, _fields))


@operator("PRelu")
def _prelu(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x, slope = tensor(inputs[0]), made.single(needed(inputs, 1, "slopes"))
    if slope is None:
        raise RefusedError("has a slope for each channel; one for all is supported (LeakyRelu)")
    return made.add("leaky_relu", [x], x.axes, slope=slope)


@operator("Gelu")
def _gelu(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    return _gelu_of(made, x, given.get("approximate", "none"))


def _gelu_of(made: Conversion, x: Tensor, approximate: str) -> Tensor:
    fields: dict[str, Any] = {} if approximate == "none" else {"approximate": approximate}
    return made.add("gelu", [x], x.axes, **fields)


@operator("Clip")
def _clip(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    bounds = []
    for k, field in enumerate(("min", "max"), start=1):
        bound = constant(inputs, k, "bounds")
        value = made.single(bound) if bound is not None else given.get(field)
        # Without a bound some exporters write the largest number there is.
        bounds.append(None if value is None or abs(value) > 1e38 else float(value))
    if bounds == [0.0, None]:
        return made.add("relu", [x], x.axes)
    if bounds == [0.0, 6.0]:
        return made.add("relu6", [x], x.axes)
    return made.add("clip", [x], x.axes, low=bounds[0], high=bounds[1])


@operator("Softmax", "LogSoftmax")
def _softmax(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    axis = int(given.get("axis", -1 if made.graph.opset >= 13 else 1))
    if x.axes != ("c",) or axis not in (-1, 1):
        raise RefusedError(
            "stands inside the network; only one over the outputs at the end is read"
        )
    return Part("softmax", x)


@operator("Tanh")
def _tanh(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    base, powers = made.polynomial[x.name]
    root = math.sqrt(2 / math.pi)
    if set(powers) == {1, 3} and np.allclose([powers[1], powers[3]], [root, 0.044715 * root], 1e-4):
        return Part("gelu", _base(made, x, base), ("tanh", 1.0, 0.0, False))
    return made.add("tanh", [x], x.axes)


@operator("Erf")
def _erf(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    base, powers = made.polynomial[x.name]
    if set(powers) == {1} and math.isclose(powers[1], math.sqrt(0.5), rel_tol=1e-5):
        return Part("gelu", _base(made, x, base), ("none", 1.0, 0.0, False))
    raise RefusedError("is supported as part of a GELU only")


def _base(made: Conversion, x: Tensor, base: str) -> Tensor:
    return Tensor(base, made.shapes[base], x.axes)


# ---- sums and products ---------------------------------------------------------------------------


@operator("Add", "Sum")
def _add(made: Conversion, inputs: list[Value], given: Given) -> Value:
    if len(inputs) == 1:
        return inputs[0]
    if len(inputs) > 2 and not all(isinstance(value, Tensor) for value in inputs):
        raise RefusedError("adds constants among more than two inputs; add two at a time")
    one, other = inputs[:2]
    if isinstance(one, np.ndarray):
        one, other = other, one
    if isinstance(one, Part) and isinstance(other, np.ndarray):
        return _part_plus(made, one, made.single(other))
    first = tensor(one)
    if isinstance(other, np.ndarray):
        return made.scaled(first, 1.0, made.channel_vector(other, first))
    terms = [tensor(value) for value in inputs]
    if len({(term.axes, term.shape) for term in terms}) > 1:
        shapes = " and ".join(str(list(term.sizes)) for term in terms)
        raise RefusedError(
            f"adds values of different shapes, {shapes}; only equal ones are supported"
        )
    total = made.add("add", terms, first.axes)
    bases = {made.polynomial[term.name][0] for term in terms}
    if len(bases) == 1:
        powers: dict[int, float] = {}
        for term in terms:
            for power, factor in made.polynomial[term.name][1].items():
                powers[power] = powers.get(power, 0.0) + factor
        made.polynomial[total.name] = (bases.pop(), powers)
    return total


def _part_plus(made: Conversion, part: Part, number: float | None) -> Value:
    if part.what == "gelu" and number is not None:
        which, factor, shift, times_x = part.numbers
        if not times_x:
            return Part("gelu", part.tensor, (which, factor, shift + number, False))
    if part.what == "variance" and number is not None:
        return Part("variance", part.tensor, (part.numbers[0] + number,))
    raise RefusedError(f"adds to a {part.what}; that is no activation or normalization known here")


@operator("Sub")
def _sub(made: Conversion, inputs: list[Value], given: Given) -> Value:
    one, other = inputs
    if isinstance(other, Part) and other.what == "mean of channels" and other.tensor == one:
        return Part("centred", other.tensor)
    if isinstance(other, np.ndarray):
        first = tensor(one)
        return made.scaled(first, 1.0, -made.channel_vector(other, first))
    second = tensor(other)
    negative = made.scaled(second, -1.0, 0.0)
    return _add(made, [one, negative], given)


@operator("Neg")
def _neg(made: Conversion, inputs: list[Value], given: Given) -> Value:
    return made.scaled(tensor(inputs[0]), -1.0, 0.0)


@operator("Mul")
def _mul(made: Conversion, inputs: list[Value], given: Given) -> Value:
    one, other = inputs
    if isinstance(one, np.ndarray):
        one, other = other, one
    if isinstance(other, Part) and isinstance(one, Tensor):
        one, other = other, one
    if isinstance(one, Part):
        return _part_times(made, one, other)
    first = tensor(one)
    if isinstance(other, np.ndarray):
        return made.scaled(first, made.channel_vector(other, first), 0.0)
    second = tensor(other)
    return _gated(made, first, second) or _product(made, first, second)


def _gated(made: Conversion, first: Tensor, second: Tensor) -> Tensor | None:
    """Return x · sigmoid(x) as what it is called."""
    for x, gate in ((first, second), (second, first)):
        kind, source = made.made.get(gate.name, ("", ""))
        if source != x.name or x.axes != gate.axes:
            continue
        if kind == "sigmoid":
            return made.add("silu", [x], x.axes)
        node = next(node for node in made.nodes if node["name"] == gate.name)
        if kind == "hard_sigmoid" and np.allclose([node["slope"], node["offset"]], [1 / 6, 0.5]):
            return made.add("hard_swish", [x], x.axes)
    return None


def _product(made: Conversion, first: Tensor, second: Tensor) -> Tensor:
    if len(first.axes) != len(second.axes):
        raise RefusedError("multiplies values with different numbers of axes; reshape the gate")
    axes = []
    for one, other in zip(first.axes, second.axes, strict=True):
        if one != other and "1" not in (one, other):
            raise LayoutError(f"multiplies axis {one} by axis {other}")
        axes.append(other if one == "1" else one)
    product = made.add("multiply", [first, second], axes)
    bases = {made.polynomial[value.name][0] for value in (first, second)}
    if len(bases) == 1:
        powers: dict[int, float] = {}
        for p, a in made.polynomial[first.name][1].items():
            for q, b in made.polynomial[second.name][1].items():
                powers[p + q] = powers.get(p + q, 0.0) + a * b
        made.polynomial[product.name] = (bases.pop(), powers)
    return product


def _part_times(made: Conversion, part: Part, other: Value) -> Value:
    if part.what == "centred" and isinstance(other, Part) and other == part:
        return Part("squared", part.tensor)
    if part.what == "gelu":
        which, factor, shift, times_x = part.numbers
        number = made.single(other) if isinstance(other, np.ndarray) else None
        if number is not None:
            return _gelu_or_part(made, part.tensor, which, factor * number, shift * number, times_x)
        if isinstance(other, Tensor) and not times_x:
            base, powers = made.polynomial[other.name]
            if base == part.tensor.name and set(powers) == {1}:
                k = powers[1]
                return _gelu_or_part(made, part.tensor, which, factor * k, shift * k, True)
    raise RefusedError(
        f"multiplies a {part.what}; that is no activation or normalization known here"
    )


def _gelu_or_part(
    made: Conversion, x: Tensor, which: str, factor: float, shift: float, times_x: bool
) -> Value:
    """Return x (1 + erf)/2 once all of it is there."""
    if times_x and math.isclose(factor, 0.5) and math.isclose(shift, 0.5):
        return _gelu_of(made, x, which)
    return Part("gelu", x, (which, factor, shift, times_x))


@operator("Div")
def _div(made: Conversion, inputs: list[Value], given: Given) -> Value:
    one, other = inputs
    if isinstance(other, np.ndarray):
        with np.errstate(divide="ignore"):
            inverse = np.asarray(1 / other.astype(float))
        if not np.isfinite(inverse).all():
            raise RefusedError("divides by zero; export a network that has been trained")
        return _mul(made, [one, inverse], given)
    if (
        isinstance(one, Part)
        and isinstance(other, Part)
        and (one.what, other.what) == ("centred", "deviation")
        and one.tensor == other.tensor
    ):
        x = one.tensor
        arrays = {"scale": np.ones(x.channels), "bias": np.zeros(x.channels)}
        return made.add("layer_norm", [x], x.axes, arrays, eps=other.numbers[0])
    raise RefusedError("divides by what depends on the input; that is no normalization known here")


@operator("Pow")
def _pow(made: Conversion, inputs: list[Value], given: Given) -> Value:
    power = made.single(needed(inputs, 1, "exponents"))
    if isinstance(inputs[0], Part) and inputs[0].what == "centred" and power == 2:
        return Part("squared", inputs[0].tensor)
    x = tensor(inputs[0])
    if power not in (2, 3):
        raise RefusedError(f"raises to the power of {power}; 2 and 3 are supported")
    out = _product(made, x, x)
    return out if power == 2 else _product(made, out, x)


@operator("Sqrt")
def _sqrt(made: Conversion, inputs: list[Value], given: Given) -> Value:
    part = inputs[0]
    if isinstance(part, Part) and part.what == "variance":
        return Part("deviation", part.tensor, part.numbers)
    raise RefusedError("is supported as part of a normalization only")


@operator("Greater", "GreaterOrEqual")
def _greater(made: Conversion, inputs: list[Value], given: Given) -> Value:
    bound = made.single(needed(inputs, 1, "bounds"))
    return Part("comparison", tensor(inputs[0]), (bound,))


@operator("Where")
def _where(made: Conversion, inputs: list[Value], given: Given) -> Value:
    condition, above, below = inputs
    if isinstance(condition, Part) and condition.what == "comparison":
        kind, source = made.made.get(getattr(below, "name", ""), ("", ""))
        x = tensor(above)
        # log(1 + e^x) is x from there on, to float32's last digit.
        far = condition.numbers[0] is not None and condition.numbers[0] >= 16
        if kind == "softplus" and source == x.name == condition.tensor.name and far:
            return below
    raise RefusedError("chooses by the data; it is supported as part of a softplus only")


# ---- pools ---------------------------------------------------------------------------------------


def _pooled(kind: str, made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = map_of(tensor(inputs[0]))
    if len(x.shape) == 1:
        if any(size != 1 for size in given["kernel_shape"]):
            raise RefusedError("has a window on images of one pixel; leave it out")
        return x
    sizes = listed(given, "kernel_shape", [])
    window = _pixels(x, sizes, 1)
    strides = _pixels(x, listed(given, "strides", [1] * len(sizes)), 1)
    if any(step != 1 for step in listed(given, "dilations", [1])):
        raise RefusedError("is dilated; pools without dilation are supported")
    fields: dict[str, Any] = {"window": window, "strides": strides}
    fields["padding"] = _padding(given, x, window, strides, [1, 1])
    if given.get("ceil_mode", 0):
        fields["ceil_mode"] = True
    if kind == "avg_pool" and not given.get("count_include_pad", 0):
        fields["count_include_pad"] = False
        if not np.any(fields["padding"]) and "ceil_mode" not in fields:
            del fields["count_include_pad"]
    return made.add(kind, [x], x.axes, **fields)


@operator("AveragePool")
def _average_pool(made: Conversion, inputs: list[Value], given: Given) -> Value:
    return _pooled("avg_pool", made, inputs, given)


@operator("MaxPool")
def _max_pool(made: Conversion, inputs: list[Value], given: Given) -> Value:
    return _pooled("max_pool", made, inputs, given)


def _global(kind: str, made: Conversion, x: Tensor, keep: bool) -> Tensor:
    axes = tuple("c" if axis == "c" else "1" for axis in x.axes) if keep else ("c",)
    if len(x.shape) == 1:
        return Tensor(x.name, x.shape, axes)
    return made.add(kind, [x], axes)


@operator("GlobalAveragePool")
def _global_average(made: Conversion, inputs: list[Value], given: Given) -> Value:
    return _global("global_avg_pool", made, map_of(tensor(inputs[0])), True)


@operator("GlobalMaxPool")
def _global_max(made: Conversion, inputs: list[Value], given: Given) -> Value:
    return _global("global_max_pool", made, map_of(tensor(inputs[0])), True)


def _reduced(inputs: list[Value], given: Given, x: Tensor) -> tuple[list[str], bool]:
    """Return the axes that are averaged over, and whether they stay with length one."""
    axes = constant(inputs, 1, "axes")
    numbers = given.get("axes") if axes is None else axes.tolist()
    rank = len(x.axes) + 1
    if numbers is None:
        numbers = range(rank)
    places = [int(n) % rank for n in numbers]
    if 0 in places:
        raise RefusedError("averages over the batch; inputs have to stay apart")
    return [x.axes[place - 1] for place in places], bool(given.get("keepdims", 1))


@operator("ReduceMean")
def _reduce_mean(made: Conversion, inputs: list[Value], given: Given) -> Value:
    part = inputs[0] if isinstance(inputs[0], Part) else None
    x = part.tensor if part is not None else tensor(inputs[0])
    letters, keep = _reduced(inputs, given, x)
    if letters == ["c"] and keep:
        if part is None:
            return Part("mean of channels", x)
        if part.what == "squared":
            return Part("variance", x, (0.0,))
    if part is not None:
        raise RefusedError(f"averages a {part.what}; that is no normalization known here")
    return _over_pixels("global_avg_pool", made, x, letters, keep)


@operator("ReduceMax")
def _reduce_max(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    return _over_pixels("global_max_pool", made, x, *_reduced(inputs, given, x))


def _over_pixels(kind: str, made: Conversion, x: Tensor, letters: list[str], keep: bool) -> Tensor:
    if "c" in letters or set(letters) != set(x.spatial):
        raise LayoutError(f"goes over axes {', '.join(letters)}, not over all pixels")
    return _global(kind, made, x, keep)


# ---- shapes --------------------------------------------------------------------------------------


@operator("Identity", "Dropout", "Cast", "CastLike")
def _same(made: Conversion, inputs: list[Value], given: Given) -> Value:
    kind = given.get("to", 1)
    if kind not in (1, 10, 11):
        raise RefusedError("turns real numbers into others; networks of real numbers are supported")
    return inputs[0]


@operator("Shape")
def _shape(made: Conversion, inputs: list[Value], given: Given) -> Value:
    dims = np.array(made.dims(tensor(inputs[0])), np.int64)
    return dims[given.get("start", 0) : given.get("end", len(dims))]


@operator("Transpose")
def _transpose(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    order = listed(given, "perm", range(len(x.axes), -1, -1))
    if order[0] != 0:
        raise RefusedError(
            "moves the batch, as attention does; networks of convolutions and dense layers are "
            "supported, whose inputs stay apart"
        )
    return Tensor(x.name, x.shape, tuple(x.axes[place - 1] for place in order[1:]))


@operator("Flatten")
def _flatten(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    if given.get("axis", 1) not in (1, -len(x.axes)):
        raise RefusedError("flattens some axes only; flatten all but the batch")
    return made.flat(x)


@operator("Reshape")
def _reshape(made: Conversion, inputs: list[Value], given: Given) -> Value:
    target = [int(v) for v in needed(inputs, 1, "target").ravel()]
    if isinstance(inputs[0], Part) and inputs[0].what == "map in groups":
        x = inputs[0].tensor
        if _resolved(target, made.dims(x), given) != made.dims(x):
            raise RefusedError("does not bring groups back to the map's shape")
        return x
    x = tensor(inputs[0])
    before = made.dims(x)
    wanted = _resolved(target, before, given)
    if wanted == before:
        return x
    if not wanted or wanted[0] != made.batch:
        raise RefusedError(
            f"makes a shape of {wanted} of {before}: inputs of a batch have to stay apart"
        )
    if len(wanted) == 2:
        return made.flat(x)
    if x.channels == math.prod(x.sizes):
        # Only the channels are longer than one.
        if len(x.shape) > 1:
            x = made.flat(x)
        if wanted.count(x.channels) == 1 and math.prod(wanted[1:]) == x.channels:
            axes = tuple("c" if size == x.channels else "1" for size in wanted[1:])
            return Tensor(x.name, x.shape, axes)
    if x.axes == ("c", "y", "x") and len(wanted) == 3 and x.channels % wanted[1] == 0:
        return Part("map in groups", x, (wanted[1],))
    raise RefusedError(
        f"makes a shape of {wanted[1:]} of {before[1:]}; flattening is supported, making images of "
        "vectors is not"
    )


def _resolved(target: list[int], before: list[int], given: Given) -> list[int]:
    """Return a shape without 0 (as before) and -1 (what is left)."""
    wanted = list(target)
    if not given.get("allowzero", 0):
        wanted = [
            before[k] if size == 0 and k < len(before) else size for k, size in enumerate(wanted)
        ]
    if -1 in wanted:
        rest = math.prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = math.prod(before) // max(rest, 1)
    if math.prod(wanted) != math.prod(before):
        raise RefusedError(f"makes a shape of {target} of {before}, which does not fit")
    return wanted


@operator("Squeeze")
def _squeeze(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    axes = constant(inputs, 1, "axes")
    numbers = given.get("axes") if axes is None else axes.ravel().tolist()
    rank, sizes = len(x.axes) + 1, made.dims(x)
    if numbers is None:
        numbers = [k for k in range(1, rank) if sizes[k] == 1]
    places = {int(n) % rank for n in numbers}
    if 0 in places or any(sizes[place] != 1 for place in places):
        raise RefusedError("takes away axes that are longer than one")
    if len(x.shape) > 1 and x.channels == math.prod(x.sizes):
        flat = made.flat(x)
        kept = [axis for k, axis in enumerate(x.axes, start=1) if k not in places]
        return Tensor(flat.name, flat.shape, tuple("c" if a == "c" else "1" for a in kept))
    kept = [axis for k, axis in enumerate(x.axes, start=1) if k not in places]
    if any(x.axes[place - 1] != "1" for place in places):
        raise RefusedError("takes away an axis of an image; keep images of (y, x)")
    return Tensor(x.name, x.shape, tuple(kept))


@operator("Unsqueeze")
def _unsqueeze(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    axes = constant(inputs, 1, "axes")
    numbers = given.get("axes") if axes is None else axes.ravel().tolist()
    if numbers is None:
        raise RefusedError("says no axes; export again")
    rank = len(x.axes) + 1 + len(numbers)
    places = {int(n) % rank for n in numbers}
    if 0 in places:
        raise RefusedError(
            "puts an axis before the batch, as Keras on JAX does before pools; export with tf2onnx"
        )
    letters = iter(x.axes)
    out = tuple("1" if k in places else next(letters) for k in range(1, rank))
    return Tensor(x.name, x.shape, out)


@operator("Concat")
def _concat(made: Conversion, inputs: list[Value], given: Given) -> Value:
    terms = [tensor(value) for value in inputs]
    if len({term.axes for term in terms}) > 1:
        raise RefusedError("joins values with different axes; reshape them alike")
    axis = int(given["axis"]) % (len(terms[0].axes) + 1)
    if axis == 0:
        raise RefusedError("joins batches; inputs have to stay apart")
    if terms[0].axes[axis - 1] != "c":
        raise LayoutError("joins along another axis than the channels")
    return terms[0] if len(terms) == 1 else made.add("concat", terms, terms[0].axes)


@operator("Pad")
def _pad(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    if given.get("mode", "constant") != "constant":
        raise RefusedError(f"pads by {given['mode']}; pads of a constant are supported")
    pads = constant(inputs, 1, "pads")
    numbers = listed(given, "pads", []) if pads is None else [int(v) for v in pads.ravel()]
    axes = constant(inputs, 3, "axes")
    rank = len(x.axes) + 1
    places = list(range(rank)) if axes is None else [int(v) % rank for v in axes.ravel()]
    half = len(numbers) // 2
    if half != len(places):
        raise RefusedError("has another number of pads than axes; export again")
    value = constant(inputs, 2, "value")
    filled = given.get("value", 0.0) if value is None else made.single(value)
    margins = {"y": [0, 0], "x": [0, 0]}
    for place, low, high in zip(places, numbers[:half], numbers[half:], strict=True):
        if not low and not high:
            continue
        letter = "n" if place == 0 else x.axes[place - 1]
        if letter not in margins or len(x.shape) == 1:
            raise LayoutError("pads another axis than rows and columns")
        if min(low, high) < 0:
            raise RefusedError("has negative pads; crop the input instead")
        margins[letter] = [low, high]
    fields: dict[str, Any] = {"padding": [margins["y"], margins["x"]]}
    if filled:
        fields["value"] = float(filled)
    return made.add("pad", [x], x.axes, **fields)


@operator("Resize", "Upsample")
def _resize(made: Conversion, inputs: list[Value], given: Given) -> Value:
    x = tensor(inputs[0])
    if len(x.shape) == 1:
        raise RefusedError("enlarges what is no image")
    factors = _factors(made, inputs, given, x)
    mode = given.get("mode", "nearest")
    placed = given.get(
        "coordinate_transformation_mode", "half_pixel" if len(inputs) > 2 else "asymmetric"
    )
    if given.get("antialias", 0) or mode not in ("nearest", "linear", "bilinear"):
        raise RefusedError(f"enlarges by {mode} interpolation; nearest and linear are supported")
    if mode == "nearest":
        rounded = given.get("nearest_mode", "round_prefer_floor" if len(inputs) > 2 else "floor")
        if not all(
            _repeats(size, factor, placed, rounded)
            for size, factor in zip(x.shape[:2], factors, strict=True)
        ):
            raise RefusedError(f"takes the nearest pixel by {placed} and {rounded}; use asymmetric")
        return made.add("resize", [x], x.axes, mode="nearest", scale=factors)
    if placed not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise RefusedError(f"interpolates by {placed}; half_pixel and align_corners are supported")
    fields: dict[str, Any] = {"mode": "bilinear", "scale": factors}
    if placed == "align_corners":
        fields["align_corners"] = True
    return made.add("resize", [x], x.axes, **fields)


def _factors(made: Conversion, inputs: list[Value], given: Given, x: Tensor) -> list[int]:
    """Return by how much rows and columns are enlarged, whole numbers."""
    before = made.dims(x)
    scales = constant(inputs, 2 if len(inputs) > 2 else 1, "scales")
    sizes = constant(inputs, 3, "sizes")
    if sizes is not None and sizes.size:
        by_axis = [float(size) / old for size, old in zip(sizes.ravel(), before, strict=True)]
    elif scales is not None and scales.size:
        by_axis = [float(v) for v in scales.ravel()]
    else:
        by_axis = [float(v) for v in given.get("scales", ())]
    if len(by_axis) != len(before):
        raise RefusedError("says no scales; export again")
    found = {"y": 1.0, "x": 1.0}
    for letter, factor in zip(("n", *x.axes), by_axis, strict=True):
        if letter in found:
            found[letter] = factor
        elif factor != 1:
            raise LayoutError("enlarges another axis than rows and columns")
    factors = [found["y"], found["x"]]
    if any(factor < 1 or factor != int(factor) for factor in factors):
        raise RefusedError(f"enlarges by {factors}; whole numbers are supported")
    return [int(factor) for factor in factors]


def _repeats(side: int, factor: int, placed: str, rounded: str) -> bool:
    """Return whether taking the nearest pixel repeats each one ``factor`` times."""
    places = np.arange(side * factor)
    if placed == "asymmetric":
        at = places / factor
    elif placed in ("half_pixel", "pytorch_half_pixel"):
        at = (places + 0.5) / factor - 0.5
    else:
        return factor == 1
    if rounded.startswith("round"):
        at = np.ceil(at - 0.5) if rounded == "round_prefer_floor" else np.floor(at + 0.5)
    nearest = np.ceil(at) if rounded == "ceil" else np.floor(at)
    return bool((np.clip(nearest, 0, side - 1) == places // factor).all())

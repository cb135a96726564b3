"""How one node hands the relevance of its output back to its inputs.

A rule is a small frozen object, called with a :class:`Step` and the relevance R at the node's
output; it returns the relevance at each input. :class:`Composite` maps the kinds of nodes to rules.

Notation: a input, z = Wa + b output, a⁺ = max(a, 0), a⁻ = min(a, 0), Wᵀ the transposed linear map,
⊙ the product element by element, p/q = 0 where q vanishes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from kappascope.errors import InputError
from kappascope.networks import kinds
from kappascope.networks.kinds import KINDS
from kappascope.networks.operations import apply_kernel, apply_node

Array = Any


class Step(NamedTuple):
    """One node of an evaluated network.

    Attributes
    ----------
    node : of the description.
    parameters : of the network, by name.
    inputs : (batch, ...) each.
    output : (batch, ...).
    nonnegative : whether the inputs cannot be negative, whatever the network reads.
    baseline : inputs and output for the baseline, batch 1, where a method has one.
    from_input : for the layers that read the network's input first: what they read, batch 1, of an
        input of one value everywhere, through the flattening, normalization or pooling between.

    """

    node: Mapping[str, Any]
    parameters: Mapping[str, Array]
    inputs: tuple[Array, ...]
    output: Array
    nonnegative: bool
    baseline: tuple[tuple[Array, ...], Array] | None = None
    from_input: Callable[[float], Array] | None = None

    @property
    def kernel(self) -> Array:
        """Kernel of an affine node."""
        if KINDS[self.node["kind"]].role != kinds.AFFINE:
            raise InputError(
                f"node {self.node['name']!r}: this rule is for conv and dense nodes, not for "
                f"{self.node['kind']}; give that kind another rule"
            )
        return self.parameters[self.node["params"]["kernel"]]

    @property
    def bias(self) -> Array:
        """Bias of an affine node, zero where it has none."""
        name = self.node["params"].get("bias")
        return jnp.zeros((), self.output.dtype) if name is None else self.parameters[name]

    def linear(self, kernel: Array, a: Array) -> Array:
        """Evaluate the node with another kernel and no bias."""
        return apply_kernel(self.node, kernel, a)

    def transposed(self, kernel: Array, s: Array) -> Array:
        """Apply the transpose of :meth:`linear`: from outputs to inputs."""
        like = jax.ShapeDtypeStruct(self.inputs[0].shape, self.output.dtype)
        return jax.linear_transpose(lambda a: self.linear(kernel, a), like)(s)[0]


class Rule(Protocol):
    """A relevance rule."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array | None, ...]:
        """Return the relevance at each input; None hands nothing on."""
        ...


def divide(p: Array, q: Array) -> Array:
    """Return p/q, 0 where q is too small for the quotient to be a number, NaN for an infinite q."""
    # Relevance may be 1e19 times larger than float32's smallest number before this overflows.
    vanishing = jnp.abs(q) <= jnp.finfo(q.dtype).tiny ** 0.5
    quotient = jnp.where(vanishing, 0.0, p / jnp.where(vanishing, 1.0, q))
    # A sum that overflowed would pass for one without relevance.
    return jnp.where(jnp.isinf(q), jnp.nan, quotient)


def _sign(z: Array) -> Array:
    return jnp.where(z < 0, -1.0, 1.0).astype(z.dtype)


def _split(values: Array) -> tuple[Array, Array]:
    return jnp.maximum(values, 0), jnp.minimum(values, 0)


# ---- gradients and their relatives ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Derivative:
    """R_in = (∂z/∂a)ᵀ R; ReLU has derivative 0 at 0, max pooling passes to the winner."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""

        def evaluate(*inputs: Array) -> Array:
            return apply_node(step.node, step.parameters, *inputs)

        return jax.vjp(evaluate, *step.inputs)[1](relevance)


@dataclasses.dataclass(frozen=True)
class PassThrough:
    """R_in = R."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        return (relevance,)


@dataclasses.dataclass(frozen=True)
class GuidedRectifier:
    """ReLU of guided backpropagation: R_in = R [R > 0] [z > 0] (Springenberg et al. 2015).

    Of ReLU6 nothing passes where z is above 6.

    Attributes
    ----------
    everywhere : False leaves the ReLUs after dense layers their derivative.

    """

    everywhere: bool = True

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        if self.everywhere or step.inputs[0].ndim > 2:
            relevance = jnp.maximum(relevance, 0)
        return Derivative()(step, relevance)


@dataclasses.dataclass(frozen=True)
class DeconvnetRectifier:
    """ReLU of the deconvnet: R_in = max(R, 0), whatever came forward (Zeiler & Fergus 2014)."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        return (jnp.maximum(relevance, 0),)


@dataclasses.dataclass(frozen=True)
class Rescale:
    """DeepLift's rescale rule for functions of one number: R_in = R Δz/Δa, from the baseline.

    The derivative where |Δa| < ``smallest`` (Shrikumar et al. 2017, §3.5.2).
    """

    smallest: float = 1e-10

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        assert step.baseline is not None
        change = step.inputs[0] - step.baseline[0][0]
        steep = jnp.abs(change) < self.smallest
        slope = (step.output - step.baseline[1]) / jnp.where(steep, 1.0, change)
        (derivative,) = Derivative()(step, jnp.ones_like(relevance))
        return (relevance * jnp.where(steep, derivative, slope),)


# ---- layer-wise relevance propagation ------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Epsilon:
    """LRP-ε: R_in = a ⊙ Wᵀ[R / (z + ε sgn z)], sgn 0 = 1, the bias inside z.

    ε = 0 is LRP-0. Bach et al. (2015), eq. 58; what ε and the bias absorb is lost.
    """

    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < float("inf"):
            raise InputError(f"epsilon: got {self.epsilon}; give 0 or more")

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        share = divide(relevance, step.output + self.epsilon * _sign(step.output))
        return (step.inputs[0] * step.transposed(step.kernel, share),)


@dataclasses.dataclass(frozen=True)
class AlphaBeta:
    """LRP-αβ: R_in = αA - βB, positive and negative contributions apart (Bach et al. 2015, eq. 60).

    A = a⁺⊙W⁺ᵀ[R/Z⁺] + a⁻⊙W⁻ᵀ[R/Z⁺], Z⁺ = W⁺a⁺ + W⁻a⁻ (+ bias), and
    B = a⁺⊙W⁻ᵀ[R/Z⁻] + a⁻⊙W⁺ᵀ[R/Z⁻], Z⁻ = W⁻a⁺ + W⁺a⁻ (+ bias).
    α - β = 1 keeps the sum of relevance; (1, 0) is the z⁺ rule and excitation backpropagation.

    Attributes
    ----------
    bias : ``sign`` puts b⁺ into Z⁺ and b⁻ into Z⁻, ``both`` puts b into both (iNNvestigate),
        ``ignore`` leaves it out, the only choice that conserves relevance.

    """

    alpha: float = 1.0
    beta: float = 0.0
    bias: str = "sign"

    def __post_init__(self) -> None:
        if not (abs(self.alpha - self.beta - 1) <= 1e-9 and 1 <= self.alpha < float("inf")):
            raise InputError(
                f"alpha, beta: got {self.alpha:g} and {self.beta:g}; alpha - beta must be 1 and "
                "alpha at least 1, or relevance is not conserved; (1, 0) and (2, 1) are customary"
            )
        if self.bias not in ("sign", "both", "ignore"):
            raise InputError(f"bias: got {self.bias!r}, allowed are sign, both, ignore")

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        a = step.inputs[0]
        above, below = _split(step.kernel)
        parts = {"sign": _split(step.bias), "both": (step.bias,) * 2, "ignore": (0.0, 0.0)}
        # Each sign is (kernel for a⁺, kernel for a⁻, bias, weight).
        signs = [(above, below, parts[self.bias][0], self.alpha)]
        if self.beta:
            signs.append((below, above, parts[self.bias][1], -self.beta))
        shares: list[Array] = []
        if step.nonnegative and kinds.value(step.node, "groups") in (None, 1):
            # Both signs in one convolution with twice the channels.
            kernels = jnp.concatenate([each[0] for each in signs], -1)
            sums = jnp.split(step.linear(kernels, a), len(signs), -1)
            for total, (_, _, bias, weight) in zip(sums, signs, strict=True):
                shares.append(weight * divide(relevance, total + bias))
            return (a * step.transposed(kernels, jnp.concatenate(shares, -1)),)
        high, low = _split(a)
        out = jnp.zeros_like(a)
        for one, other, bias, weight in signs:
            total = step.linear(one, high) + step.linear(other, low) + bias
            share = weight * divide(relevance, total)
            out = out + high * step.transposed(one, share) + low * step.transposed(other, share)
        return (out,)


@dataclasses.dataclass(frozen=True)
class Gamma:
    """LRP-γ: contributions of the output's own sign weigh 1 + γ (Montavon et al. 2019, §10.2).

    R_in = a⁺⊙Uᵀ[R/D] + a⁻⊙Vᵀ[R/D], D = Ua⁺ + Va⁻ + c; where z > 0: U = W + γW⁺, V = W + γW⁻,
    c = b + γb⁺; where z < 0: U = W + γW⁻, V = W + γW⁺, c = b + γb⁻. For a ≥ 0 this is the rule as
    published; the rest is its extension to negative inputs and outputs.
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf"):
            raise InputError(f"gamma: got {self.gamma}; give 0 or more")

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        a, z, kernel = step.inputs[0], step.output, step.kernel
        above, below = _split(kernel)
        high, low = (a, None) if step.nonnegative else _split(a)
        supporting = step.linear(above, high)
        if low is not None:
            supporting = supporting + step.linear(below, low)
        bias_above, bias_below = _split(step.bias)
        # Where z < 0 the opposing sum is the larger one: this difference does not cancel.
        opposing = z - step.bias - supporting
        weighed = jnp.where(z > 0, supporting + bias_above, opposing + bias_below)
        share = divide(relevance, z + self.gamma * weighed)
        shares = jnp.where(z > 0, share, 0), jnp.where(z < 0, share, 0)
        stronger = kernel + self.gamma * above, kernel + self.gamma * below
        out = high * sum(map(step.transposed, stronger, shares))
        if low is not None:
            out = out + low * sum(map(step.transposed, stronger[::-1], shares))
        return (out,)


@dataclasses.dataclass(frozen=True)
class SquaredWeights:
    """w² rule: R_in = (W²)ᵀ[R / Σ W²], blind to the input (Montavon et al. 2017, eq. 12)."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        return (_by_weight(step, step.kernel**2, relevance),)


@dataclasses.dataclass(frozen=True)
class Flat:
    """Flat rule: relevance spread evenly over what the output reads (Lapuschkin et al. 2017)."""

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        return (_by_weight(step, jnp.ones_like(step.kernel), relevance),)


def _by_weight(step: Step, weights: Array, relevance: Array) -> Array:
    total = step.linear(weights, jnp.ones_like(step.inputs[0]))
    return step.transposed(weights, divide(relevance, total))


@dataclasses.dataclass(frozen=True)
class Box:
    """z^B rule for inputs within [low, high] (Montavon et al. 2017, eq. 14).

    R_in = a⊙Wᵀs - low W⁺ᵀs - high W⁻ᵀs, s = R / (Wa - W⁺low - W⁻high). The bounds are those of the
    network's input; where the first layer reads it normalized, they are normalized with it.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError(f"low, high: got {self.low} and {self.high}; low must be less")

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        a = step.inputs[0]
        above, below = _split(step.kernel)
        low, high = self._bounds(step)
        terms = ((step.kernel, a), (above, -low), (below, -high))
        share = divide(relevance, sum(step.linear(kernel, part) for kernel, part in terms))
        return (sum(part * step.transposed(kernel, share) for kernel, part in terms),)

    def _bounds(self, step: Step) -> tuple[Array, Array]:
        a = step.inputs[0]
        if step.from_input is None:
            return jnp.full_like(a, self.low), jnp.full_like(a, self.high)
        ends = (step.from_input(end).astype(a.dtype) for end in (self.low, self.high))
        low, high = (jnp.broadcast_to(end, a.shape) for end in ends)
        return jnp.minimum(low, high), jnp.maximum(low, high)


@dataclasses.dataclass(frozen=True)
class Proportional:
    """Each input gets what it contributed to the sum: R_in = a R/z.

    For average pooling and addition, and for batch normalization with its slope s: R_in = a s R/z,
    what its running mean and shift contributed being absorbed (LRP-0 of the layer).
    """

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        slopes = Derivative()(step, divide(relevance, step.output))
        return tuple(a * slope for a, slope in zip(step.inputs, slopes, strict=True))


@dataclasses.dataclass(frozen=True)
class Held:
    """LRP-0 of a standardization whose standard deviation counts as a constant (Ali et al. 2022).

    R_in = a ⊙ (∂z/∂a)ᵀ[R/z] with σ held: centring and scale share relevance as a linear layer, what
    the shift contributed is absorbed.
    """

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""

        def evaluate(a: Array) -> Array:
            return apply_node(step.node, step.parameters, a, held=True)

        (slopes,) = jax.vjp(evaluate, *step.inputs)[1](divide(relevance, step.output))
        return (step.inputs[0] * slopes,)


@dataclasses.dataclass(frozen=True)
class SignalTakesAll:
    """Of a product the signal gets all relevance, the gate none (Arras et al. 2017).

    The gate is the factor with fewer values, one a channel or one a pixel.
    """

    def __call__(self, step: Step, relevance: Array) -> tuple[Array | None, ...]:
        """Return the relevance of the signal, None of the gate: nothing is asked of its nodes."""
        sizes = [a.size for a in step.inputs]
        if sizes[0] == sizes[1]:
            raise InputError(
                f"node {step.node['name']!r}: of two factors of one shape relevance propagation "
                "cannot tell which is the gate; use gradients for this network"
            )
        return (None, relevance) if sizes[1] > sizes[0] else (relevance, None)


# ---- composites ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Refused:
    """No rule: say so when a network needs one."""

    method: str

    def __call__(self, step: Step, relevance: Array) -> tuple[Array, ...]:
        """Return the relevance at each input."""
        if step.node["kind"] == kinds.FUNCTION:
            raise InputError(
                f"{self.method} needs a network's layers, which a function does not show; use "
                "gradients, samples or occlusion"
            )
        raise InputError(
            f"node {step.node['name']!r}: {self.method} has no rule for {step.node['kind']}; "
            "use another method for this network"
        )


@dataclasses.dataclass(frozen=True)
class Composite:
    """A rule for each role of nodes (:mod:`kappascope.networks.kinds`).

    Attributes
    ----------
    conv, dense : affine nodes that read maps, and those that read vectors.
    first : for the affine nodes that read the network's input, as it is or flattened, normalized,
        averaged or added (``walk.first_layers``); None takes their kind's.

    """

    conv: Rule = Derivative()
    dense: Rule = Derivative()
    normalization: Rule = Derivative()
    standardization: Rule = Derivative()
    rectifier: Rule = Derivative()
    activation: Rule = Derivative()
    squash: Rule = Derivative()
    average: Rule = Derivative()
    maximum: Rule = Derivative()
    selection: Rule = Derivative()
    product: Rule = Derivative()
    function: Rule = Derivative()
    first: Rule | None = None

    def rule(self, node: Mapping[str, Any], is_first: bool = False) -> Rule:
        """Return the rule of a node; ``is_first`` where it is one of the network's first layers."""
        kind = KINDS.get(node["kind"])
        if kind is None:
            raise InputError(f"node {node['name']!r}: no relevance rule for kind {node['kind']!r}")
        if self.first is not None and is_first:
            return self.first
        if kind.role == kinds.AFFINE:
            return self.dense if kind.name == "dense" else self.conv
        return getattr(self, kind.role)


def propagation(rule: Rule, **others: Rule) -> Composite:
    """Return LRP with ``rule`` on every affine node.

    Activations pass relevance on, sums and averages hand it back in proportion, maxima to the
    winner, a product to its signal. Batch normalization, where it was not folded away, is the
    ``Proportional`` rule.
    """
    sums, through = Proportional(), PassThrough()
    return Composite(
        **{
            "conv": rule,
            "dense": rule,
            "normalization": sums,
            "standardization": Held(),
            "rectifier": through,
            "activation": through,
            "squash": Refused("relevance propagation"),
            "average": sums,
            "product": SignalTakesAll(),
            "function": Refused("relevance propagation"),
            **others,
        }
    )

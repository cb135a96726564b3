"""One forward and one backward pass through a network: gradients and their relatives by rules."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kappascope.attribution import rules
from kappascope.attribution.registry import METHODS
from kappascope.attribution.walk import backward, evaluate, fold
from kappascope.networks.description import Network
from kappascope.networks.module import activations

Array = Any

_EVERYWHERE_DERIVATIVE = rules.Composite()


@dataclasses.dataclass(frozen=True)
class Propagation:
    """One forward and one backward pass through the network's nodes.

    Attributes
    ----------
    composite : a rule for each kind of node.
    seed : relevance of the explained output: ``one``, ``output`` (y_k) or ``positive_output``
        (max(y_k, 0)).
    fold : whether batch normalization is folded into convolutions first.
    times_input : whether the map is multiplied by the input.
    target : the node whose relevance is returned.
    from_baseline : whether rules compare with the network's values for an input of zero.

    """

    composite: rules.Composite = _EVERYWHERE_DERIVATIVE
    seed: str = "one"
    fold: bool = False
    times_input: bool = False
    target: str = "x"
    from_baseline: bool = False

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...) relevance of the target."""
        if self.fold:
            network, parameters = fold(network, parameters)
        values, hot = evaluate(network, parameters, x, outputs)
        last = values[network.nodes[-1]["name"]]
        start = {
            "one": jnp.ones_like(last),
            "output": last,
            "positive_output": jax.nn.relu(last),
        }[self.seed]
        baseline = None
        if self.from_baseline:
            baseline = activations(network, parameters, jnp.zeros_like(x[:1]))

        def one(seed: Array) -> Array:
            return backward(
                network, parameters, values, seed, self.composite, self.target, baseline
            )

        relevance = jax.vmap(one)(hot * start)
        # Masks can hide an overflow on the way: an output that is not finite has no map.
        sound = jnp.isfinite(last).all(-1).reshape(-1, *[1] * (relevance.ndim - 2))
        relevance = jnp.where(sound, relevance, jnp.nan)
        return relevance * values[self.target] if self.times_input else relevance

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        conventions = {
            "seed": {"one": "1", "output": "y_k", "positive_output": "max(y_k, 0)"}[self.seed],
            "batch_norm": "folded" if self.fold else _rule_text(self.composite.normalization),
        }
        for kind in ("conv", "dense", "relu", "avg_pool", "global_avg_pool", "max_pool", "add"):
            conventions[kind] = _rule_text(self.composite.rule({"kind": kind}))
        if self.composite.first is not None:
            conventions["first"] = _rule_text(self.composite.first)
        return {**conventions, "times_input": self.times_input}


def _rule_text(rule: rules.Rule) -> str:
    return str(rule).replace("()", "")


GRADIENT = Propagation()


def _guided(rectifier: rules.Rule, method: str) -> Propagation:
    refused = rules.Refused(method)
    return Propagation(rules.Composite(rectifier=rectifier, activation=refused, function=refused))


GUIDED = _guided(rules.GuidedRectifier(), "guided backpropagation")
"""Guided backpropagation."""

CONVOLUTIONS_GUIDED = _guided(rules.GuidedRectifier(everywhere=False), "guided backpropagation")
"""Guided backpropagation whose dense layers have their derivative."""


@functools.partial(jax.jit, static_argnames=("procedure", "network", "outputs"))
def _compiled(
    procedure: Callable[..., Array],
    network: Network,
    parameters: Any,
    x: Array,
    outputs: tuple[int, ...],
    keys: Array,
) -> Array:
    # On a GPU the default would round factors to ten bits, and relevance divides by sums.
    with jax.default_matmul_precision("highest"):
        return procedure(network, parameters, x, outputs, keys)


def compiled(
    procedure: Callable[..., Array],
    network: Network,
    parameters: Any,
    x: Array,
    outputs: Sequence[int],
) -> Array:
    """Run a procedure of one pass: (explained, batch, ...)."""
    return _compiled(procedure, network, parameters, x, tuple(outputs), None)


# ---- methods -------------------------------------------------------------------------------------

_Z = rules.propagation
_PROPORTIONAL = "Average pooling, addition and batch normalization give in proportion."


def _lrp(rule: rules.Rule) -> Propagation:
    return Propagation(_Z(rule), "output", fold=True)


def _innvestigate(rule: rules.Rule) -> Propagation:
    return Propagation(_Z(rule), "output")


METHODS.add(
    "gradient",
    label="Gradient",
    text="""S = ∂y_k/∂x (Simonyan et al. 2014). For a linear network its coefficients; Σ x S = y_k
    on a network without biases.""",
)(GRADIENT)
METHODS.add(
    "input_x_gradient",
    label="Input×gradient",
    text="""S = x ⊙ ∂y_k/∂x (Shrikumar et al. 2016). Σ S = y_k on a ReLU network without biases.""",
)(Propagation(times_input=True))
_rescaled = rules.Composite(
    function=rules.Refused("DeepLIFT"),
    **dict.fromkeys(("rectifier", "activation", "squash"), rules.Rescale()),
)
METHODS.add(
    "deep_lift",
    label="DeepLift",
    text="""Rescale rule, baseline 0 (Shrikumar et al. 2017): activations multiply by Δout/Δin, the
    rest by its derivative, and S = x ⊙ product. Complete: Σ S = y_k(x) - y_k(0).""",
)(
    Propagation(
        dataclasses.replace(
            _rescaled,
            **dict.fromkeys(("maximum", "product", "standardization"), rules.Refused("deep_lift")),
        ),
        times_input=True,
        from_baseline=True,
    )
)
METHODS.add(
    "captum_deep_lift",
    label="DeepLift, Captum",
    text="""DeepLift as Captum has it: maxima, products and normalizations by averages of their own
    have their derivative at x, and Σ S misses y_k(x) - y_k(0) by as much.""",
)(Propagation(_rescaled, times_input=True, from_baseline=True))
_deconvnet = _guided(rules.DeconvnetRectifier(), "the deconvnet")
METHODS.add(
    "guided_backprop",
    label="Guided backpropagation",
    text="""The gradient, with ReLU handing back R [R > 0] [z > 0] (Springenberg et al. 2015).
    Conserves nothing.""",
)(GUIDED)
METHODS.add(
    "lens_guided_backprop",
    label="Guided backpropagation, released",
    text="""Guided backpropagation as the released code of Wilde et al. (2022) has it: ReLUs after
    dense layers keep their derivative.""",
)(CONVOLUTIONS_GUIDED)
METHODS.add(
    "deconvnet",
    label="Deconvnet",
    text="""The gradient, with ReLU handing back max(R, 0) (Zeiler & Fergus 2014). Conserves
    nothing.""",
)(_deconvnet)
METHODS.add(
    "inn_guided_backprop",
    label="Guided backpropagation",
    text="""Guided backpropagation started from y_k, as iNNvestigate does: y_k times
    `guided_backprop` where y_k > 0; for y_k < 0 other paths survive.""",
)(dataclasses.replace(GUIDED, seed="output"))
METHODS.add(
    "inn_deconvnet",
    label="Deconvnet",
    text="The deconvnet started from y_k, as iNNvestigate does.",
)(dataclasses.replace(_deconvnet, seed="output"))
METHODS.add("lrp_0", text=f"LRP-0: equals input_x_gradient on ReLU networks. {_PROPORTIONAL}")(
    _lrp(rules.Epsilon(0.0))
)
METHODS.add(
    "lrp_epsilon",
    label="LRP-ε",
    text=f"""LRP-ε, ε = 0.001 (Bach et al. 2015). Σ S = y_k less what ε and the biases absorb.
    {_PROPORTIONAL}""",
)(_lrp(rules.Epsilon(1e-3)))
METHODS.add(
    "lrp_alpha1beta0",
    text=f"""LRP-αβ, α = 1, β = 0 (excitation backpropagation, Zhang et al. 2016). Σ S = y_k less
    what the biases absorb. {_PROPORTIONAL}""",
)(_lrp(rules.AlphaBeta(1, 0)))
METHODS.add(
    "lrp_alpha2beta1",
    text=f"""LRP-αβ, α = 2, β = 1 (Bach et al. 2015). As alpha1beta0, and more where a unit has no
    negative contributions. {_PROPORTIONAL}""",
)(_lrp(rules.AlphaBeta(2, 1)))
METHODS.add(
    "lrp_zplus",
    text=f"""The z⁺ rule (Montavon et al. 2017), the same numbers as lrp_alpha1beta0.
    {_PROPORTIONAL}""",
)(_lrp(rules.AlphaBeta(1, 0)))
METHODS.add(
    "lrp_zplus_nobias",
    text=f"The z⁺ rule without biases in the denominators: Σ S = y_k. {_PROPORTIONAL}",
)(_lrp(rules.AlphaBeta(1, 0, "ignore")))
METHODS.add(
    "lrp_gamma",
    text=f"""LRP-γ, γ = 0.25 (Montavon et al. 2019). Σ S = y_k less what the biases absorb.
    {_PROPORTIONAL}""",
)(_lrp(rules.Gamma(0.25)))
METHODS.add(
    "lrp_composite",
    text=f"""LRP with ε = 0.001 on dense nodes, z⁺ on convolutions and the flat rule on the first
    (zennit's EpsilonPlusFlat). {_PROPORTIONAL}""",
)(
    Propagation(
        _Z(rules.AlphaBeta(1, 0), dense=rules.Epsilon(1e-3), first=rules.Flat()),
        "output",
        fold=True,
    )
)
METHODS.add(
    "inn_lrp_epsilon_bn_z",
    label="LRP-ε",
    text=f"""iNNvestigate's LRP-ε: batch normalization has a rule of its own, R a s/y.
    {_PROPORTIONAL}""",
)(_innvestigate(rules.Epsilon(1e-3)))
_ALPHA_BETA = f"""iNNvestigate's LRP-αβ: batch normalization has a rule of its own, R a s/y; the
whole bias in Z⁺ and in Z⁻. {_PROPORTIONAL}"""
METHODS.add("inn_lrp_alpha1beta0_bn_z", label="LRP-αβ", text=_ALPHA_BETA)(
    _innvestigate(rules.AlphaBeta(1, 0, "both"))
)
METHODS.add("inn_lrp_alpha2beta1_bn_z", label="LRP-αβ, α = 2", text=_ALPHA_BETA)(
    _innvestigate(rules.AlphaBeta(2, 1, "both"))
)
_TAYLOR = """Deep Taylor decomposition (Montavon et al. 2017) as iNNvestigate has it: α = 1, β = 0
on conv and dense nodes, ReLU as in the gradient, pooling evenly; zero everywhere for y_k ≤ 0."""


def _taylor(bias: str, batch_norm: rules.Rule) -> Propagation:
    kernel = rules.AlphaBeta(1, 0, bias)
    refused = rules.Refused("deep Taylor decomposition")
    composite = rules.Composite(
        conv=kernel,
        dense=kernel,
        normalization=batch_norm,
        **dict.fromkeys(
            ("activation", "squash", "product", "standardization", "function"), refused
        ),
    )
    return Propagation(composite, "positive_output")


_identity = rules.PassThrough()
METHODS.add(
    "deep_taylor",
    label="Deep Taylor",
    text=f"{_TAYLOR} The same as deep_taylor_bn_identity.",
)(_taylor("both", _identity))
METHODS.add(
    "deep_taylor_bn_identity",
    label="Deep Taylor decomposition",
    text=f"{_TAYLOR} Batch normalization passes relevance on (iNNvestigate 1.0.8).",
)(_taylor("both", _identity))
METHODS.add(
    "deep_taylor_bn_gradient",
    text=f"""{_TAYLOR} No bias in the denominators, batch normalization as in the gradient
    (iNNvestigate 2.1).""",
)(_taylor("ignore", rules.Derivative()))
METHODS.add(
    "deep_taylor_folded",
    text=f"""{_TAYLOR} No bias in the denominators, batch normalization folded. Σ S ≤ y_k: pooling
    hands part to units that ReLU then masks.""",
)(dataclasses.replace(_taylor("ignore", _identity), fold=True))

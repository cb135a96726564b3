"""Every attribution method by name, and one call for all of them: :func:`attribute`.

A method's name fixes its conventions, which differ between libraries: what the backward pass starts
from (``seed``), whether batch normalization is folded into the convolution before it or has a rule
of its own (``batch_norm``), which part of the bias counts (``bias``), how pooling and ReLU hand
relevance back. :meth:`Method.conventions` lists them, for people and for files. The ``inn_*`` and
``deep_taylor_bn_*`` names are iNNvestigate's conventions, the library of Matilla et al. (2020).

k is the explained output and y_k its value, x the input, S the map.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import randomness
from kappascope.attribution import rules
from kappascope.attribution.ascent import DeepDream, NonlinearSaliency
from kappascope.attribution.sampling import Fresh, KernelShap, Lime, Rise
from kappascope.attribution.walk import backward, evaluate, fold
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.module import activations, outputs_of

Array = Any
Model = tuple[Network, Mapping[str, Array]]
"""A network's description and its parameters by name."""


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

        found = jax.vmap(one)(hot * start)
        # Masks can hide an overflow on the way: a map of an output that is no number is none.
        sound = jnp.isfinite(last).all(-1).reshape(-1, *[1] * (found.ndim - 2))
        found = jnp.where(sound, found, jnp.nan)
        return found * values[self.target] if self.times_input else found

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        told = {
            "seed": {"one": "1", "output": "y_k", "positive_output": "max(y_k, 0)"}[self.seed],
            "batch_norm": "folded" if self.fold else _told(self.composite.batch_norm),
        }
        for kind in ("conv", "dense", "relu", "avg_pool", "global_avg_pool", "max_pool", "add"):
            told[kind] = _told(getattr(self.composite, kind))
        if self.composite.first is not None:
            told["first"] = _told(self.composite.first)
        return {**told, "times_input": self.times_input}


def _told(rule: rules.Rule) -> str:
    return str(rule).replace("()", "")


GRADIENT = Propagation()


# Methods of many passes loop outside the compiler: inside its loops XLA's convolutions are three
# times slower on a CPU, and so every pass is the compiled gradient that others use as well.


@jax.jit
def _noisy(x: Array, keys: Array, sample: int, level: float) -> Array:
    """Add noise of ``level`` times each input's range, from each input's own key."""
    axes = tuple(range(1, x.ndim))
    sigma = level * (x.max(axes, keepdims=True) - x.min(axes, keepdims=True))
    mine = jax.vmap(lambda key: jax.random.fold_in(key, sample))(keys)
    return x + sigma * jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))(mine)


@dataclasses.dataclass(frozen=True)
class IntegratedGradients:
    """x times the mean gradient along the straight path from an input of zero.

    Attributes
    ----------
    nodes : gradients along the path.
    times : False leaves out the factor x.

    """

    nodes: int = 50
    times: bool = True

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...)."""
        places, weights = np.polynomial.legendre.leggauss(self.nodes)
        mean = jnp.zeros((len(outputs), *x.shape), x.dtype)
        for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
            there = _compiled(GRADIENT, network, parameters, place * x, tuple(outputs), None)
            mean = mean + weight * there
        return x * mean if self.times else mean

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"baseline": "0", "path": f"{self.nodes} Gauss-Legendre nodes"}


@dataclasses.dataclass(frozen=True)
class SmoothGrad:
    """Mean gradient over noisy copies of the input."""

    samples: int = 50
    level: float = 0.15

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...)."""
        mean = jnp.zeros((len(outputs), *x.shape), x.dtype)
        for sample in range(self.samples):
            noisy = _noisy(x, keys, sample, self.level)
            mean = mean + _compiled(GRADIENT, network, parameters, noisy, tuple(outputs), None)
        return mean / self.samples

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"samples": self.samples, "noise": f"{self.level:g} (max - min) of each input"}


@jax.jit
def _shrunk(x: Array, keys: Array, sample: int) -> Array:
    """Multiply each input by a number between 0 and 1 from its own key."""
    mine = jax.vmap(lambda key: jax.random.fold_in(key, sample))(keys)
    places = jax.vmap(lambda key: jax.random.uniform(key, (), x.dtype))(mine)
    return x * places.reshape(-1, *[1] * (x.ndim - 1))


@dataclasses.dataclass(frozen=True)
class GradientShap:
    """x times the mean gradient at random places of the straight path from an input of zero.

    Attributes
    ----------
    samples : places along the path.
    times : False leaves out the factor x.

    """

    samples: int = 5
    times: bool = True

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...)."""
        mean = jnp.zeros((len(outputs), *x.shape), x.dtype)
        for sample in range(self.samples):
            there = _shrunk(x, keys, sample)
            mean = mean + _compiled(GRADIENT, network, parameters, there, tuple(outputs), None)
        mean = mean / self.samples
        return x * mean if self.times else mean

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"baseline": "0", "path": f"{self.samples} random places"}


@dataclasses.dataclass(frozen=True)
class GradCam:
    """Channels of an inner node, weighed by the mean of their gradients.

    Attributes
    ----------
    node : name of the inner node.
    rectified : whether negative sums become zero.
    guided : whether the map is up-sampled and multiplied by guided backpropagation.

    """

    node: str
    rectified: bool = True
    guided: bool = False

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, h, w) at the node's size, or the input's shape if guided."""
        shape = jax.eval_shape(functools.partial(activations, network), parameters, x)
        if len(shape[self.node].shape) != 4:
            raise InputError(
                f"node {self.node!r}: Grad-CAM needs a node of (batch, y, x, channel), this one is "
                f"{shape[self.node].shape}"
            )
        gradient = dataclasses.replace(GRADIENT, target=self.node)
        slopes = gradient(network, parameters, x, outputs, keys)
        values = activations(network, parameters, x)[self.node]
        found = (slopes.mean((2, 3), keepdims=True) * values).sum(-1)
        if self.rectified:
            found = jax.nn.relu(found)
        if not self.guided:
            return found
        for axis, size in ((2, x.shape[1]), (3, x.shape[2])):
            nearest = np.arange(size) * found.shape[axis] // size
            found = jnp.take(found, nearest, axis)
        guided = METHODS["guided_backprop"].procedure
        return guided(network, parameters, x, outputs, keys) * found[..., None]

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        told = {"node": self.node, "seed": "1", "final_relu": self.rectified}
        return {**told, "upsampling": "nearest"} if self.guided else told


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """Change of the output when a window of the input is set to zero.

    Attributes
    ----------
    window, stride : [pixel].

    """

    window: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.window:
            raise InputError(
                f"occlusion_w{self.window}s{self.stride}: windows {self.stride} pixels apart; the "
                f"stride must be from 1 to the window's {self.window}, or pixels between windows "
                "would never be hidden"
            )

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...)."""
        sides = x.shape[1:-1] if x.ndim == 4 else x.shape[1:]
        if not 0 < self.window <= min(sides):
            raise InputError(
                f"occlusion_w{self.window}s{self.stride}: the window must fit into the input of "
                f"{'x'.join(map(str, sides))}"
            )
        chosen = np.asarray(outputs)
        before = outputs_of(network, parameters, x)[:, chosen]
        starts = [
            [k * self.stride for k in range(-(-(side - self.window) // self.stride) + 1)]
            for side in sides
        ]
        total = jnp.zeros((len(outputs), *x.shape), x.dtype)
        count = np.zeros((*sides, 1) if x.ndim == 4 else sides, np.float32)
        for corner in itertools.product(*starts):
            window = tuple(slice(at, at + self.window) for at in corner)
            hidden = np.zeros_like(count)
            hidden[window] = 1
            after = outputs_of(network, parameters, jnp.where(hidden > 0, 0, x))[:, chosen]
            change = (before - after).T.reshape(len(chosen), x.shape[0], *[1] * (x.ndim - 1))
            total = total + jnp.asarray(hidden, x.dtype) * change
            count += hidden
        return total / jnp.asarray(np.maximum(count, 1), x.dtype)

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {
            "value": "0",
            "window": self.window,
            "stride": self.stride,
            "sign": "f(x) - f(occluded)",
            "overlap": "mean over the windows that cover a pixel",
        }


Drawing = SmoothGrad | GradientShap | Lime | KernelShap | Rise
"""Procedures that draw random numbers."""

Ascent = DeepDream | NonlinearSaliency
"""Procedures that change the input until the output rises."""

Procedure = Propagation | IntegratedGradients | GradCam | Occlusion | Fresh | Drawing | Ascent


@dataclasses.dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes
    ----------
    name : by which it is called.
    procedure : what computes it.
    text : its equation, source, and what it conserves.

    """

    name: str
    procedure: Procedure
    text: str

    def conventions(self) -> dict[str, Any]:
        """Return the choices that libraries make differently, to be kept with each map."""
        return {"method": self.name, **self.procedure.conventions()}


METHODS: dict[str, Method] = {}
"""All methods with a fixed name."""

PATTERNS: dict[str, tuple[re.Pattern[str], Callable[..., Procedure], str]] = {}
"""Methods whose name holds a node or sizes: shown name → (pattern, maker, text)."""


def _named(name: str, procedure: Procedure, text: str) -> None:
    METHODS[name] = Method(name, procedure, " ".join(text.split()))


def _patterned(shown: str, pattern: str, make: Callable[..., Procedure], text: str) -> None:
    PATTERNS[shown] = (re.compile(pattern), make, " ".join(text.split()))


_Z = rules.propagation
_PROPORTIONAL = "Average pooling, addition and batch normalization give in proportion."

_named(
    "gradient",
    GRADIENT,
    """S = ∂y_k/∂x (Simonyan et al. 2014). For a linear network its coefficients; Σ x S = y_k on a
    network without biases.""",
)
_named(
    "input_x_gradient",
    Propagation(times_input=True),
    """S = x ⊙ ∂y_k/∂x (Shrikumar et al. 2016). Σ S = y_k on a ReLU network without biases.""",
)
_named(
    "smoothgrad",
    SmoothGrad(),
    """S = mean over noisy copies of x of ∂y_k/∂x (Smilkov et al. 2017), 50 samples with
    σ = 0.15 (max x - min x). The gradient itself for a linear network.""",
)
_named(
    "integrated_gradients",
    IntegratedGradients(),
    """S = x ⊙ ∫₀¹ ∂y_k/∂x(αx) dα (Sundararajan et al. 2017), baseline 0. Complete:
    Σ S = y_k(x) - y_k(0).""",
)
_named(
    "gradient_shap",
    GradientShap(),
    """S = x ⊙ mean of ∂y_k/∂x(αx) over random α in [0, 1], baseline 0 (Lundberg & Lee 2017; the
    expected gradients of Captum's GradientShap without noise), 5 draws. Complete on average.""",
)
_named(
    "deep_lift",
    Propagation(
        rules.Composite(
            relu=rules.Rescale(), sigmoid=rules.Rescale(), max_pool=rules.Refused("deep_lift")
        ),
        times_input=True,
        from_baseline=True,
    ),
    """Rescale rule, baseline 0 (Shrikumar et al. 2017): ReLU and sigmoid multiply by Δout/Δin, the
    rest by its derivative, and S = x ⊙ product. Complete: Σ S = y_k(x) - y_k(0).""",
)
_guided = rules.Composite(relu=rules.GuidedRectifier())
_deconvnet = rules.Composite(relu=rules.DeconvnetRectifier())
_named(
    "guided_backprop",
    Propagation(_guided),
    """The gradient, with ReLU handing back R [R > 0] [z > 0] (Springenberg et al. 2015). Conserves
    nothing.""",
)
_named(
    "deconvnet",
    Propagation(_deconvnet),
    """The gradient, with ReLU handing back max(R, 0) (Zeiler & Fergus 2014). Conserves nothing.""",
)
_named(
    "inn_guided_backprop",
    Propagation(_guided, seed="output"),
    """Guided backpropagation started from y_k, as iNNvestigate does: y_k times `guided_backprop`
    where y_k > 0; for y_k < 0 other paths survive.""",
)
_named(
    "inn_deconvnet",
    Propagation(_deconvnet, seed="output"),
    """The deconvnet started from y_k, as iNNvestigate does.""",
)
for _name, _rule, _text in (
    ("lrp_0", rules.Epsilon(0.0), "LRP-0: equals input_x_gradient on ReLU networks."),
    (
        "lrp_epsilon",
        rules.Epsilon(1e-3),
        "LRP-ε, ε = 0.001 (Bach et al. 2015). Σ S = y_k less what ε and the biases absorb.",
    ),
    (
        "lrp_alpha1beta0",
        rules.AlphaBeta(1, 0),
        "LRP-αβ, α = 1, β = 0 (excitation backpropagation, Zhang et al. 2016). Σ S = y_k less what "
        "the biases absorb.",
    ),
    (
        "lrp_alpha2beta1",
        rules.AlphaBeta(2, 1),
        "LRP-αβ, α = 2, β = 1 (Bach et al. 2015). As alpha1beta0, and more where a unit has no "
        "negative contributions.",
    ),
    (
        "lrp_zplus",
        rules.AlphaBeta(1, 0),
        "The z⁺ rule (Montavon et al. 2017), the same numbers as lrp_alpha1beta0.",
    ),
    (
        "lrp_zplus_nobias",
        rules.AlphaBeta(1, 0, "ignore"),
        "The z⁺ rule without biases in the denominators: Σ S = y_k.",
    ),
    (
        "lrp_gamma",
        rules.Gamma(0.25),
        "LRP-γ, γ = 0.25 (Montavon et al. 2019). Σ S = y_k less what the biases absorb.",
    ),
):
    _named(_name, Propagation(_Z(_rule), "output", fold=True), f"{_text} {_PROPORTIONAL}")
_named(
    "lrp_composite",
    Propagation(
        _Z(rules.AlphaBeta(1, 0), dense=rules.Epsilon(1e-3), first=rules.Flat()),
        "output",
        fold=True,
    ),
    f"""LRP with ε = 0.001 on dense nodes, z⁺ on convolutions and the flat rule on the first
    (zennit's EpsilonPlusFlat). {_PROPORTIONAL}""",
)
for _name, _rule in (
    ("inn_lrp_epsilon_bn_z", rules.Epsilon(1e-3)),
    ("inn_lrp_alpha1beta0_bn_z", rules.AlphaBeta(1, 0, "both")),
    ("inn_lrp_alpha2beta1_bn_z", rules.AlphaBeta(2, 1, "both")),
):
    _named(
        _name,
        Propagation(_Z(_rule), "output"),
        f"""iNNvestigate's {"LRP-ε" if "epsilon" in _name else "LRP-αβ"}: batch normalization has a
        rule of its own, R a s/y{"" if "epsilon" in _name else "; the whole bias in Z⁺ and in Z⁻"}.
        {_PROPORTIONAL}""",
    )
_TAYLOR = """Deep Taylor decomposition (Montavon et al. 2017) as iNNvestigate has it: α = 1, β = 0
on conv and dense nodes, ReLU as in the gradient, pooling evenly; zero everywhere for y_k ≤ 0."""


def _taylor(bias: str, batch_norm: rules.Rule) -> Propagation:
    kernel = rules.AlphaBeta(1, 0, bias)
    composite = rules.Composite(
        conv=kernel,
        dense=kernel,
        batch_norm=batch_norm,
        sigmoid=rules.Refused("deep Taylor decomposition"),
    )
    return Propagation(composite, "positive_output")


_identity = rules.PassThrough()
_named(
    "deep_taylor",
    _taylor("both", _identity),
    f"{_TAYLOR} The same as deep_taylor_bn_identity.",
)
_named(
    "deep_taylor_bn_identity",
    _taylor("both", _identity),
    f"{_TAYLOR} Batch normalization passes relevance on (iNNvestigate 1.0.8).",
)
_named(
    "deep_taylor_bn_gradient",
    _taylor("ignore", rules.Derivative()),
    f"""{_TAYLOR} No bias in the denominators, batch normalization as in the gradient (iNNvestigate
    2.1).""",
)
_named(
    "deep_taylor_folded",
    dataclasses.replace(_taylor("ignore", _identity), fold=True),
    f"""{_TAYLOR} No bias in the denominators, batch normalization folded. Σ S ≤ y_k: pooling hands
    part to units that ReLU then masks.""",
)
_named(
    "lime",
    Lime(),
    """Weighted ridge regression of y_k on which watershed segments are shown (Ribeiro et al. 2016),
    500 subsets; a pixel has its segment's coefficient over the segment's size.""",
)
_named(
    "kernel_shap",
    KernelShap(),
    """Shapley values of watershed segments by regression (Lundberg & Lee 2017), 500 coalitions.
    Complete: Σ S = y_k(x) - y_k(0).""",
)
_named(
    "rise",
    Rise(),
    """S = Σ_i y_k(x ⊙ m_i) m_i / (N p), N = 500 random masks that show a share p = 0.5 of an 8×8
    grid (Petsiuk et al. 2018).""",
)
_named(
    "fresh",
    Fresh(),
    """What FRESH's extractor hands on (Jain et al. 2020): the fifth of the tiles of 8 pixels with
    the largest Σ |x ∂y_k/∂x|, and zero elsewhere.""",
)
_named(
    "deep_dream",
    DeepDream(),
    """S = x* - x, x* after 50 smoothed steps along ∂y_k/∂x (Mordvintsev et al. 2015; Wilde et al.
    2022), each at most 0.02 of the input's range, within the range.""",
)
_named(
    "nonlinear_saliency",
    NonlinearSaliency(),
    """S = mean over steps of J [kept] / max |J|, J = ∂y_k/∂x at the present image, of which a
    growing share (0 to 95 %) with the smallest |J| is blurred while the rest moves along J
    (Rosenzweig et al. 2021).""",
)
_named(
    "nonlinear_saliency_down",
    NonlinearSaliency(objective="minus_output"),
    "nonlinear_saliency of -y_k: what lowers the output, for regressors.",
)
_named(
    "linear_saliency",
    NonlinearSaliency(linear=True),
    "nonlinear_saliency with the gradient at the input in every step.",
)
_patterned(
    "lime_wN",
    r"lime_w(?P<tile>[1-9]\d*)",
    lambda tile: Lime(tile=int(tile)),
    "LIME over square tiles of N pixels.",
)
_patterned(
    "kernel_shap_wN",
    r"kernel_shap_w(?P<tile>[1-9]\d*)",
    lambda tile: KernelShap(tile=int(tile)),
    "Kernel SHAP over square tiles of N pixels.",
)
_patterned(
    "grad_cam.NODE",
    r"grad_cam\.(?P<node>.+)",
    lambda node: GradCam(node),
    """S = max(0, Σ_c w_c A_c), w_c the mean over pixels of ∂y_k/∂A_c at a node (Selvaraju et al.
    2017), at the node's size.""",
)
_patterned(
    "grad_cam_raw.NODE",
    r"grad_cam_raw\.(?P<node>.+)",
    lambda node: GradCam(node, rectified=False),
    "Grad-CAM without the last ReLU.",
)
_patterned(
    "guided_grad_cam.NODE",
    r"guided_grad_cam\.(?P<node>.+)",
    lambda node: GradCam(node, guided=True),
    "guided_backprop times Grad-CAM, up-sampled to the nearest neighbour.",
)
_patterned(
    "occlusion_wNsM",
    r"occlusion_w(?P<window>\d+)s(?P<stride>\d+)",
    lambda window, stride: Occlusion(int(window), int(stride)),
    """S = y_k(x) - y_k(x with an N×N window set to 0), windows M pixels apart (Zeiler & Fergus
    2014).""",
)


def find(name: str, network: Network | None = None) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    network : where given, nodes in the name must be its own.

    Raises
    ------
    InputError
        When there is no such method.

    """
    if name in METHODS:
        return METHODS[name]
    for pattern, make, text in PATTERNS.values():
        match = pattern.fullmatch(name)
        if match:
            asked = match.groupdict().get("node")
            known = [] if network is None else [node["name"] for node in network.nodes]
            if asked is not None and network is not None and asked not in known:
                raise InputError(
                    f"{name}: the network has no node {asked!r}{_nearest(asked, known)}"
                )
            return Method(name, make(**match.groupdict()), text)
    raise InputError(
        f"method {name!r} is unknown{_nearest(name, [*METHODS, *PATTERNS])}; "
        "kappascope attribute --list names all"
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1, 0.4)
    return f"; did you mean {close[0]}?" if close else ""


@functools.partial(jax.jit, static_argnames=("procedure", "network", "outputs"))
def _compiled(
    procedure: Procedure,
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
    procedure: Propagation | GradCam,
    network: Network,
    parameters: Any,
    x: Array,
    outputs: Sequence[int],
) -> Array:
    """Run a procedure of one pass: (explained, batch, ...)."""
    return _compiled(procedure, network, parameters, x, tuple(outputs), None)


def attribute(
    method: str | Method,
    network: Model,
    x: Array,
    output: int | Sequence[int] | None = None,
    seed: int = 0,
    names: Sequence[int] | None = None,
) -> Array:
    """Say how much each pixel counts for an output of a network.

    Parameters
    ----------
    method : its name, see :data:`METHODS` and :data:`PATTERNS`, or a :class:`Method`.
    network : (description, parameters), from ``description.load``.
    x : (batch, y, x, channel) or (batch, feature), in the network's own size.
    output : which output to explain; several or None (all) add an axis in front.
    seed, names : of what SmoothGrad, gradient SHAP, LIME, kernel SHAP and RISE draw: (seed, method,
        name of the map). Names are 0, 1, ... unless given.

    Returns
    -------
    (batch, ...) relevance in the input's shape (Grad-CAM: in the node's), or (output, batch, ...).

    Raises
    ------
    InputError
        Unknown method, output, node or rule; another size than the network's; input or relevance
        that is not finite.

    """
    graph, parameters = network
    found = find(method, graph) if isinstance(method, str) else method
    outputs = _outputs(graph, output)
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    named = np.arange(len(x)) if names is None else np.asarray(names)
    check_inputs(graph, parameters, x, named)
    weights = {name: jnp.asarray(parameters[name], x.dtype) for name in graph.parameter_names}
    keys = None
    if isinstance(found.procedure, Drawing):
        keys = jnp.stack([randomness.key(seed, found.name, int(name)) for name in named])
    one_pass = isinstance(found.procedure, Propagation | GradCam)
    run = functools.partial(_compiled, found.procedure) if one_pass else found.procedure
    relevance = run(graph, weights, x, outputs, keys)
    sound = np.isfinite(np.asarray(relevance)).all(tuple(range(2, relevance.ndim)))
    if not sound.all():
        bad = np.argwhere(~sound)[0]
        raise InputError(
            f"{found.name}: the relevance of input {named[bad[1]]} for output {outputs[bad[0]]} is "
            "not finite; the network's values overflow, use --x64 or scale its inputs"
        )
    return relevance if _several(output) else relevance[0]


def in_batches(
    method: str | Method,
    network: Model,
    maps: np.ndarray,
    output: int | Sequence[int] | None = None,
    seed: int = 0,
    batch: int = 16,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Attribute many maps, a batch at a time.

    Parameters
    ----------
    maps : (map, y, x, channel).

    Yields
    ------
    The rows of ``maps``, and their relevance as from :func:`attribute`.

    """
    for start in range(0, len(maps), batch):
        rows = slice(start, min(start + batch, len(maps)))
        # The last batch is filled up with copies: one shape, compiled once.
        names = [min(start + i, len(maps) - 1) for i in range(batch)]
        found = np.asarray(attribute(method, network, maps[names], output, seed, names))
        kept = rows.stop - rows.start
        yield rows, found[:, :kept] if _several(output) else found[:kept]


def _several(output: int | Sequence[int] | None) -> bool:
    return output is None or np.ndim(output) > 0


def _outputs(network: Network, output: int | Sequence[int] | None) -> tuple[int, ...]:
    if output is None:
        return tuple(range(network.outputs))
    asked = tuple(map(int, np.atleast_1d(np.asarray(output, int))))
    if not asked:
        raise InputError(f"output: none given; network {network.name!r} has {network.outputs}")
    for k in asked:
        if not 0 <= k < network.outputs:
            raise InputError(
                f"output {k}: network {network.name!r} has outputs 0 to {network.outputs - 1}"
            )
    return asked


def check_inputs(
    network: Network, parameters: Mapping[str, Array], x: Array, names: np.ndarray | None = None
) -> None:
    """Refuse inputs (batch, ...) and parameters that a network cannot be explained with.

    Parameters
    ----------
    names : of the inputs, for messages; 0, 1, ... unless given.

    Raises
    ------
    InputError
        Another size than the network's, or numbers that are not finite.

    """
    names = np.arange(len(x)) if names is None else names
    if x.shape[1:] != network.input_shape or not len(x):
        raise InputError(
            f"inputs of shape {x.shape}: network {network.name!r} reads "
            f"(batch, {', '.join(map(str, network.input_shape))})"
        )
    for name in network.parameter_names:
        if name not in parameters:
            raise InputError(f"network {network.name!r}: parameter {name} is missing")
        if not np.isfinite(np.asarray(parameters[name])).all():
            raise InputError(f"network {network.name!r}: parameter {name} is not finite")
    for node in network.nodes:
        if node["kind"] == "batch_norm":
            var = node["params"]["var"]
            if (np.asarray(parameters[var]) + node["eps"] <= 0).any():
                raise InputError(f"network {network.name!r}: {var} + eps is not positive")
    finite = np.isfinite(np.asarray(x)).all(tuple(range(1, x.ndim)))
    if not finite.all():
        bad = names[np.flatnonzero(~finite)[0]]
        raise InputError(f"inputs: number {bad} has NaN or infinity")

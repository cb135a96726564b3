"""Every attribution method by name, and one call for all of them: :func:`attribute`.

A method's name fixes its conventions, which differ between libraries: what the backward pass starts
from (``seed``), whether batch normalization is folded into the convolution before it or has a rule
of its own (``batch_norm``), which part of the bias counts (``bias``), how pooling and ReLU hand
relevance back. :meth:`Method.conventions` lists them, for people and for files. The ``inn_*`` and
``deep_taylor_bn_*`` names are iNNvestigate's conventions, the library of Matilla et al. (2020).

k is the explained output and y_k its value, x the input, S the map.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kappascope import randomness
from kappascope.attribution import rules
from kappascope.attribution.ascent import DeepDream, NonlinearSaliency
from kappascope.attribution.gradients import (
    GradCam,
    GradientShap,
    IntegratedGradients,
    SmoothGrad,
)
from kappascope.attribution.propagation import GRADIENT, GUIDED, Propagation, compiled
from kappascope.attribution.sampling import Fresh, KernelShap, Lime, Occlusion, Rise
from kappascope.errors import InputError
from kappascope.networks.description import Network

Array = Any
Model = tuple[Network, Mapping[str, Array]]
"""A network's description and its parameters by name."""


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
_deconvnet = rules.Composite(relu=rules.DeconvnetRectifier())
_named(
    "guided_backprop",
    GUIDED,
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
    dataclasses.replace(GUIDED, seed="output"),
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
    if isinstance(found.procedure, Propagation | GradCam):
        relevance = compiled(found.procedure, graph, weights, x, outputs)
    else:
        relevance = found.procedure(graph, weights, x, outputs, keys)
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

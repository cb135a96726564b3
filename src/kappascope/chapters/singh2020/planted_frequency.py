"""Which method finds the one frequency that decides a label: Table 1 of Singh et al. (2020).

Inputs are standard normal vectors, and the label says whether the amplitude of one frequency is
above its median. A network learns the label; an explanation of it in Fourier space is right when
that frequency gets the most. The paper tells of 500 data sets (variant ``as_told``: each with a
frequency, a median and a network of its own); the released code trained one network, explained 500
inputs (``as_released``) and went back from frequencies with what is no inverse (``torch17``).
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kappascope import progress, randomness
from kappascope.attribution.contextual import decompose
from kappascope.attribution.labels import label
from kappascope.attribution.methods import (
    GradientShap,
    IntegratedGradients,
    Procedure,
    Propagation,
    find,
)
from kappascope.attribution.trim import Transform
from kappascope.chapters.singh2020 import config
from kappascope.errors import InputError
from kappascope.networks import learning
from kappascope.networks.architectures import multilayer_perceptron
from kappascope.networks.description import Network
from kappascope.networks.learning import Learns
from kappascope.networks.module import activations, forward
from kappascope.reporting.errorbars import error_of_mean
from kappascope.tables import Table
from kappascope.transforms.fourier import RealFourier

Array = Any
Rows = list[dict[str, Any]]

VARIANTS = ("as_released", "as_told")
INVERSES = ("exact", "torch17")
METHODS = (
    "cd",
    "deep_lift",
    "gradient_shap",
    "integrated_gradients",
    "input_x_gradient",
    "gradient",
    "cd_magnitude",
)
"""The table's four, two that the released code computed and the table left out, and contextual
decomposition without its sign, which all others are ranked without."""
TABLE1 = Table(
    "singh2020/table1.csv",
    "variant × inverse × method",
    """variant (as_released, as_told), inverse (exact, torch17), method, label, error_percent,
    standard_error_percent, data_sets, points, accuracy_percent, accuracy_error_percent""",
)
_MISSED = ", ".join(f"{method}_missed" for method in METHODS)
DATA_SETS = Table(
    "singh2020/planted_frequency.csv",
    "variant × inverse × data set",
    f"""variant, inverse, data_set, frequency (index of the planted one), points (explained),
    accuracy_percent, {_MISSED} (of how many points each method missed the frequency)""",
)


@dataclasses.dataclass(frozen=True)
class ReleasedFourier(RealFourier):
    """The released code's inverse: one sample too many asked for, and the last one dropped.

    ``torch.irfft`` of PyTorch 1.7 and before took 2 (n - 1) + 1 samples unless told otherwise, so
    every frequency comes back a little too low.
    """

    def inverse(self, s: Array) -> Array:
        """Return vectors."""
        # The highest frequency of an even number of samples has a real part only; here it has two.
        s = jnp.asarray(s).at[..., -1, 1].set(0.0)
        modes = jax.lax.complex(s[..., 0], s[..., 1])
        return jnp.fft.irfft(modes, self.size + 1, axis=-1)[..., :-1]


def fourier(inverse: str, features: int) -> Transform:
    """Return the transform of vectors with the inverse of that name.

    Raises
    ------
    InputError
        When there is no such inverse.

    """
    if inverse not in INVERSES:
        raise InputError(f"inverse: got {inverse!r}, allowed are {', '.join(INVERSES)}")
    return RealFourier(features) if inverse == "exact" else ReleasedFourier(features)


# ---- what is simulated ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Design:
    """One variant of the simulation.

    Attributes
    ----------
    name : of the variant; random numbers differ between variants.
    features : size of an input, even.
    hidden : units of the network's hidden layer.
    samples : inputs of a data set; a quarter of them is for testing.
    frequency : the planted one, in cycles per input; None draws one for each data set.
    data_sets : with a network each.
    points : test inputs explained of each data set.
    learning_rate : of stochastic gradient descent, at the start.
    schedule : ``constant`` learning rate, or falling to zero along a ``cosine``.
    batch, epochs : of the training; batch in inputs.

    """

    name: str
    features: int
    hidden: int
    samples: int
    frequency: int | None
    data_sets: int
    points: int
    learning_rate: float
    schedule: str
    batch: int
    epochs: int

    def __post_init__(self) -> None:
        counts = ("hidden", "data_sets", "points", "batch", "epochs")
        for field in counts:
            self._demand(getattr(self, field) >= 1, field, "give 1 or more")
        even = self.features >= 4 and self.features % 2 == 0
        self._demand(even, "features", "give an even number from 4 on")
        self._demand(
            self.samples >= 4 * self.points and self.training >= self.batch,
            "samples",
            f"a quarter must hold {self.points} points and the rest a batch of {self.batch}",
        )
        highest = self.features // 2 - 1
        self._demand(
            self.frequency is None or 1 <= self.frequency <= highest,
            "frequency",
            f"give 1 to {highest}, or null for a random one",
        )
        known = self.schedule in ("constant", "cosine")
        self._demand(known, "schedule", "allowed are constant and cosine")
        self._demand(0 < self.learning_rate < math.inf, "learning_rate", "give a positive number")

    def _demand(self, true: bool, field: str, advice: str) -> None:
        if not true:
            key = f"singh2020.planted_frequency.{self.name}.{field}"
            raise InputError(f"{key}: got {getattr(self, field)!r}; {advice}")

    @property
    def training(self) -> int:
        """How many inputs of a data set are trained on."""
        return self.samples - self.samples // 4

    @property
    def network(self) -> Network:
        """The classifier: one output (logit) for each class."""
        return multilayer_perceptron(self.features, (self.hidden,), 2)


def designs(section: config.PlantedFrequency) -> list[Design]:
    """Read both variants from the config.

    Raises
    ------
    InputError
        When a value is out of range.

    """
    return [
        Design(
            name=name,
            features=section.features,
            hidden=section.width,
            **getattr(section, name).model_dump(),
        )
        for name in VARIANTS
    ]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Inputs with a planted frequency, and where a network for them starts.

    Attributes
    ----------
    frequency : the planted one, in cycles per input.
    x : (sample, feature).
    labels : (sample,) 1 where the frequency's amplitude is above its median.
    given : (training sample,) the labels that the network learns from.
    order : (step, batch) numbers of the training inputs of each step.
    parameters : initial ones of the network.

    """

    frequency: int
    x: np.ndarray
    labels: np.ndarray
    given: np.ndarray
    order: np.ndarray
    parameters: dict[str, np.ndarray]


def draw(design: Design, seed: int, index: int, learns: Learns = learning.LABELS) -> DataSet:
    """Draw a data set and initial weights, from (seed, variant, index) alone."""
    purpose = f"planted frequency {design.name}"
    frequency = design.frequency
    if frequency is None:
        places = randomness.generator(seed, f"{purpose}: frequency", index)
        frequency = int(places.integers(1, design.features // 2))
    inputs = randomness.generator(seed, f"{purpose}: inputs", index)
    x = inputs.standard_normal((design.samples, design.features), np.float32)
    phase = 2 * math.pi * frequency * np.arange(design.features) / design.features
    parts = x @ np.stack([np.cos(phase), np.sin(phase)], -1).astype(np.float32)
    power = (parts**2).sum(-1)
    shuffled = randomness.generator(seed, f"{purpose}: order", index)
    steps = design.training // design.batch
    order = [shuffled.permutation(design.training) for _ in range(design.epochs)]
    batches = np.concatenate([each[: steps * design.batch] for each in order])
    labels = (power > np.median(power)).astype(np.int32)
    return DataSet(
        frequency,
        x,
        labels,
        learning.given(learns, labels[: design.training], seed, purpose, index),
        batches.reshape(-1, design.batch).astype(np.int32)[
            : 0 if learns == learning.NOTHING else None
        ],
        _initial(design.network, randomness.generator(seed, f"{purpose}: weights", index)),
    )


def _initial(network: Network, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw kernels and biases between ±1/√inputs, the released code's start (PyTorch's own)."""
    parameters = {}
    inputs = network.input_shape[0]
    for node in network.nodes:
        if node["kind"] == "dense":
            limit, outputs = 1 / math.sqrt(inputs), node["features"]
            for field, shape in (("kernel", (inputs, outputs)), ("bias", (outputs,))):
                drawn = generator.uniform(-limit, limit, shape).astype(np.float32)
                parameters[node["params"][field]] = drawn
            inputs = outputs
    return parameters


# ---- training ------------------------------------------------------------------------------------


def _optimiser(design: Design) -> optax.GradientTransformation:
    if design.schedule == "constant":
        return optax.sgd(design.learning_rate)
    steps = design.training // design.batch * design.epochs
    return optax.sgd(optax.cosine_decay_schedule(design.learning_rate, steps))


# One network after the other: all steps in one compiled loop take as long as those of many networks
# side by side (500 in 20 seconds on one core), and no network's rounding depends on the others.
@functools.partial(jax.jit, static_argnames="design")
def _trained(design: Design, parameters: Any, x: Array, labels: Array, order: Array) -> Any:
    network, optimiser = design.network, _optimiser(design)

    def loss(parameters: Any, x: Array, labels: Array) -> Array:
        outputs = forward(network, parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()

    def step(state: Any, rows: Array) -> tuple[Any, None]:
        parameters, moments = state
        slope = jax.grad(loss)(parameters, x[rows], labels[rows])
        change, moments = optimiser.update(slope, moments, parameters)
        return (optax.apply_updates(parameters, change), moments), None

    return jax.lax.scan(step, (parameters, optimiser.init(parameters)), order)[0][0]


@functools.partial(jax.jit, static_argnames="network")
def _outputs(network: Network, parameters: Any, x: Array) -> Array:
    return forward(network, parameters, x)


def train(design: Design, data: DataSet) -> tuple[dict[str, Array], float]:
    """Train the network of a data set.

    Returns
    -------
    Parameters, and the accuracy on the test inputs.

    Raises
    ------
    InputError
        When the network's outputs are not finite.

    """
    x = jnp.asarray(data.x)
    parameters = _trained(design, data.parameters, x, jnp.asarray(data.given), data.order)
    outputs = np.asarray(_outputs(design.network, parameters, x[design.training :]))
    if not np.isfinite(outputs).all():
        raise InputError(
            f"singh2020.planted_frequency.{design.name}.learning_rate: got {design.learning_rate}; "
            "the network's outputs stop being finite, lower it"
        )
    return parameters, float((outputs.argmax(-1) == data.labels[design.training :]).mean())


# ---- explaining ----------------------------------------------------------------------------------


def one_output(
    network: Network, parameters: Mapping[str, Array], sigmoid: bool
) -> tuple[Network, dict[str, Array]]:
    """Turn a classifier of two logits into a network of one output, which falls as class 1 rises.

    Without ``sigmoid`` the output is z₀ - z₁, the difference of logits, and with it the softmax
    probability of class 0. The probability of class 1 has the same attributions with the other
    sign; but it rounds to 1, and its slope to 0, at many inputs of class 1, and that of class 0 at
    few inputs (networks here say more firmly what is of class 1).
    """
    *before, last = network.nodes
    names = last["params"]
    kernel, bias = parameters[names["kernel"]], parameters[names["bias"]]
    fields = {"kernel": "difference.kernel", "bias": "difference.bias"}
    nodes = [*before, {**last, "name": "difference", "features": 1, "params": fields}]
    if sigmoid:
        nodes.append({"name": "sigmoid", "kind": "sigmoid", "inputs": ["difference"]})
    changed = {name: value for name, value in parameters.items() if name not in names.values()}
    changed["difference.kernel"] = kernel[:, :1] - kernel[:, 1:]
    changed["difference.bias"] = bias[:1] - bias[1:]
    return Network(f"{network.name}, one output", network.input_shape, 1, tuple(nodes)), changed


def _without_factor(method: str) -> tuple[Procedure, bool]:
    """Return what multiplies the input in a method's map, and whether the method multiplies it."""
    procedure = find(method).procedure
    if isinstance(procedure, Propagation):
        plain = dataclasses.replace(procedure, times_input=False)
        return plain, procedure.times_input
    assert isinstance(procedure, IntegratedGradients | GradientShap)
    return dataclasses.replace(procedure, times=False), True


@functools.partial(jax.jit, static_argnames=("network", "inverse"))
def _decomposed(network: Network, parameters: Any, s: Array, inverse: str) -> Array:
    """Return what each frequency gives to the logit of class 1, (point, frequency), signed."""
    points, frequencies = s.shape[:2]
    back = fourier(inverse, 2 * frequencies - 2).inverse
    with jax.default_matmul_precision("highest"):
        alone = jnp.eye(frequencies)[:, None, :, None] * s
        parts = back(alone.reshape(-1, *s.shape[1:]))
        values = activations(network, parameters, jnp.tile(back(s), (frequencies, 1)))
        relevant, _ = decompose(network, parameters, values, parts)[network.nodes[-1]["name"]]
    return relevant[:, 1].reshape(frequencies, points).T


@functools.partial(jax.jit, static_argnames=("procedure", "network"))
def _one_pass(procedure: Propagation, network: Network, parameters: Any, x: Array) -> Array:
    with jax.default_matmul_precision("highest"):
        return procedure(network, parameters, x, (0,), jnp.zeros(()))


@functools.partial(jax.jit, static_argnames=("inverse", "times"))
def _magnitudes(slopes: Array, s: Array, inverse: str, times: bool) -> Array:
    """Take slopes at inputs through the transpose of T⁻¹, and real and imaginary parts together."""
    transform = fourier(inverse, slopes.shape[-1])
    (back,) = jax.linear_transpose(transform.inverse, s)(slopes)
    return jnp.sqrt(((back * s if times else back) ** 2).sum(-1))


def explained(
    network: Network, parameters: Any, x: Array, inverse: str, key: Array
) -> dict[str, Array]:
    """Attribute class 1 to frequencies by every method.

    The explained function is f ∘ T⁻¹ at s = T(x), with baseline s = 0: logit 1 in contextual
    decomposition, the softmax probability in all else, as the released code has it. Methods of one
    backward pass explain the difference of logits instead: softmax gives every frequency the same
    factor then, which can round to 0.

    Parameters
    ----------
    parameters : of the two-class network.
    x : (point, feature).
    inverse : one of :data:`INVERSES`.
    key : of gradient SHAP's draws.

    Returns
    -------
    method → (point, frequency): signed scores of contextual decomposition, of the others
    √(real² + imaginary²).

    """
    transform = fourier(inverse, x.shape[-1])
    s = transform.forward(x)
    seen = transform.inverse(s)
    keys = jax.random.split(key, len(x))
    decomposed = _decomposed(network, parameters, s, inverse)
    scores = {"cd": decomposed, "cd_magnitude": jnp.abs(decomposed)}
    for method in METHODS:
        if method in scores:
            continue
        procedure, times = _without_factor(method)
        if isinstance(procedure, Propagation):
            slopes = _one_pass(procedure, *one_output(network, parameters, sigmoid=False), seen)
        else:
            probability = one_output(network, parameters, sigmoid=True)
            slopes = procedure(*probability, seen, (0,), keys)
        scores[method] = _magnitudes(slopes[0], s, inverse, times)
    return scores


# ---- the table -----------------------------------------------------------------------------------


def simulate(
    design: Design, inverses: Sequence[str], seed: int, learns: Learns = learning.LABELS
) -> Rows:
    """Train and explain the networks of one variant.

    Returns
    -------
    A row (:data:`DATA_SETS`) for each inverse and data set: accuracy on its test inputs [%],
    and how many of its explained points each method missed the frequency in.

    Raises
    ------
    InputError
        When a network's outputs stop being finite.

    """
    rows = []
    purpose = f"planted frequency {design.name}: gradient SHAP"
    for number in progress.track(
        range(design.data_sets), design.data_sets, f"networks {design.name}", "network"
    ):
        data = draw(design, seed, number, learns)
        parameters, accuracy = train(design, data)
        points = data.x[design.training :][: design.points]
        key = randomness.key(seed, purpose, number)
        for inverse in inverses:
            scores = explained(design.network, parameters, points, inverse, key)
            rows.append(
                {
                    "variant": design.name,
                    "inverse": inverse,
                    "data_set": number,
                    "frequency": data.frequency,
                    "points": design.points,
                    "accuracy_percent": 100 * accuracy,
                    **{
                        f"{method}_missed": missed(scores[method], data.frequency)
                        for method in METHODS
                    },
                }
            )
    return sorted(rows, key=lambda row: (inverses.index(row["inverse"]), row["data_set"]))


def missed(scores: Array, frequency: int) -> int:
    """Count the points (point, frequency) of which the planted frequency has not the most.

    Where all frequencies have the same, none was named.
    """
    scores = np.asarray(scores)
    others = np.delete(scores, frequency, axis=-1)
    return int((~(scores[:, frequency] > others.max(-1))).sum())


_LABELS = {"cd_magnitude": "Unsigned decomposition"}


def table1(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Summarise the data sets (singh2020 Table 1).

    Parameters
    ----------
    rows : of :func:`simulate`, any variants and inverses.

    Returns
    -------
    A row (:data:`TABLE1`) for each variant, inverse and method. Errors are over data sets, because
    points of one network are not independent, and never smaller than those of as many independent
    points (Agresti & Coull 1998: four points more, half of them missed, so that none missed is no
    certainty). The accuracy's error is the scatter over data sets by their square root.

    """
    out = []
    for variant, inverse in dict.fromkeys((row["variant"], row["inverse"]) for row in rows):
        selected = [row for row in rows if (row["variant"], row["inverse"]) == (variant, inverse)]
        points = np.array([int(row["points"]) for row in selected])
        accuracy = np.array([float(row["accuracy_percent"]) for row in selected])
        for method in METHODS:
            missed = np.array([int(row[f"{method}_missed"]) for row in selected])
            out.append(
                {
                    "variant": variant,
                    "inverse": inverse,
                    "method": method,
                    "label": _LABELS.get(method, label(method)),
                    "error_percent": 100 * missed.sum() / points.sum(),
                    "standard_error_percent": 100 * _standard_error(missed, points),
                    "data_sets": len(selected),
                    "points": int(points.sum()),
                    "accuracy_percent": accuracy.mean(),
                    "accuracy_error_percent": error_of_mean(accuracy),
                }
            )
    return out


def _standard_error(missed: np.ndarray, points: np.ndarray) -> float:
    total = points.sum() + 4
    fraction = (missed.sum() + 2) / total
    independent = math.sqrt(fraction * (1 - fraction) / total)
    return max(independent, error_of_mean(missed / points) or 0.0)


_VARIANTS = {"as_released": "one frequency", "as_told": "random frequencies"}
_INVERSES = {"exact": "exact", "torch17": "the code's"}
_LETTERS = {"×": r"$\times$", "_": r"\_"}


def latex(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the table (singh2020 Table 1).

    Parameters
    ----------
    rows : rows of ``table1.csv``, numbers or their text.

    Returns
    -------
    LaTeX text, plain ``tabular``; percent, with standard errors.

    """
    columns = list(dict.fromkeys((row["variant"], row["inverse"]) for row in rows))
    cells = {(row["variant"], row["inverse"], row["method"]): row for row in rows}
    heads = [
        " & ".join(["Simulation", *(_VARIANTS.get(variant, variant) for variant, _ in columns)]),
        " & ".join(
            ["Inverse transform", *(_INVERSES.get(inverse, inverse) for _, inverse in columns)]
        ),
    ]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\hline",
        *(rf"{head} \\" for head in heads),
        r"\hline",
    ]
    for method, name in {row["method"]: row["label"] for row in rows}.items():
        latex_label = "".join(_LETTERS.get(letter, letter) for letter in name)
        entries = [_cell(cells.get((*column, method))) for column in columns]
        lines.append(" & ".join([latex_label, *entries]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "--"
    error, scatter = (float(row[f"{name}_percent"]) for name in ("error", "standard_error"))
    return f"${error:.2f} \\pm {scatter:.2f}$"

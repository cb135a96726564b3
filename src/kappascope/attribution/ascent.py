"""Methods that change the input until an output rises: Deep Dream and nonlinear saliency maps.

Both are for images. Steps go along the gradient, which is taken anew at each: what they show is not
the tangent at the input but where the network leads from there.

Nonlinear saliency (Rosenzweig et al. 2021, Methods) repeats, for growing shares L of the pixels:
take the gradient J at the present image; blur the share L of the pixels where the norm of J over
channels is smallest; add h J / max |J| times the range to the others; stay within the range. The
linear counterpart keeps the first gradient. The published listing is lost; level by level, eight
steps each, and exact ranks (ties by position) are ours, see docs/decisions.md.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.attribution.registry import METHODS
from kappascope.attribution.sampling import images_only
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.module import forward

Array = Any

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 0.95)
"""Shares of blurred pixels (Rosenzweig et al. 2021, Fig. 1)."""

OBJECTIVES = ("output", "minus_output", "log_odds")
"""What rises: y_k, -y_k, or the log-odds of the softmax of y at k. The gradient of the probability
has the direction of the last one's, and is lost in rounding where a class is sure."""

TINY = 1e-30
_OBJECTIVES_TOLD = {"output": "y_k", "minus_output": "-y_k", "log_odds": "log p_k/(1 - p_k)"}


def blur_matrix(pixels: int, sigma: float) -> np.ndarray:
    """Return (pixel, pixel): a Gaussian of ``sigma`` pixels along one axis, mirrored at edges."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.eye(pixels), sigma, axis=0, mode="reflect").astype(np.float32)


def blurred(x: Array, sigma: float) -> Array:
    """Blur images (batch, y, x, channel) along both axes."""
    rows, columns = (jnp.asarray(blur_matrix(n, sigma), x.dtype) for n in x.shape[1:3])
    return jnp.einsum("iy,byxc,jx->bijc", rows, x, columns)


@functools.partial(jax.jit, static_argnames=("network", "objective"))
def value_and_gradient(
    network: Network, parameters: Any, x: Array, output: Array, objective: str
) -> tuple[Array, Array]:
    """Return what is to rise, (batch,), and its gradient in the input's shape.

    Parameters
    ----------
    output : one for all inputs, or (batch,).

    """

    def total(x: Array) -> tuple[Array, Array]:
        values = _objective(forward(network, parameters, x), output, objective)
        return values.sum(), values

    with jax.default_matmul_precision("highest"):
        (_, value), gradient = jax.value_and_grad(total, has_aux=True)(x)
    return value, gradient


@functools.partial(jax.jit, static_argnames=("network", "objective"))
def value_of(network: Network, parameters: Any, x: Array, output: Array, objective: str) -> Array:
    """Return what is to rise, (batch,), alone."""
    with jax.default_matmul_precision("highest"):
        return _objective(forward(network, parameters, x), output, objective)


def _objective(y: Array, output: Array, objective: str) -> Array:
    chosen = jnp.arange(y.shape[1]) == jnp.broadcast_to(output, len(y))[:, None]
    values = jnp.where(chosen, y, 0).sum(1)
    if objective == "log_odds":
        values = values - jax.nn.logsumexp(jnp.where(chosen, -jnp.inf, y), axis=1)
    return -values if objective == "minus_output" else values


def _own_range(x: Array) -> tuple[Array, Array]:
    """Return the least and largest value of each image's channels, to broadcast with it."""
    return x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)


def kept_pixels(gradient: Array, blurred_pixels: Array) -> Array:
    """Return (batch, y, x): pixels whose gradient's norm is not among the smallest.

    Parameters
    ----------
    gradient : (batch, y, x, channel).
    blurred_pixels : how many are not kept, exactly; ties go by position.

    """
    norm = jnp.sqrt(jnp.sum(gradient**2, -1))
    flat = norm.reshape(len(norm), -1)
    rank = jnp.argsort(jnp.argsort(flat, -1, stable=True), -1, stable=True)
    return (rank >= blurred_pixels).reshape(norm.shape)


OPTIMIZERS = ("plain", "momentum", "adam")
"""How a gradient becomes a direction: as it is, or with what earlier ones were."""
ARMS = ("both", "ascent", "blur")
"""Which half of a step is done: kept pixels moved, the others blurred, or both."""
_DECAY, _SQUARES = 0.9, 0.999


def _largest(values: Array) -> Array:
    return jnp.abs(values).max((1, 2, 3), keepdims=True) + TINY


def _direction(
    gradient: Array, moments: tuple[Array, Array], number: Array, optimizer: str
) -> tuple[Array, tuple[Array, Array]]:
    """Return where to go, at most 1 in size, and the moments of all gradients so far."""
    unit = gradient / _largest(gradient)
    if optimizer == "plain":
        return unit, moments
    mean, squares = moments
    if optimizer == "momentum":
        mean = _DECAY * mean + unit
        return mean / _largest(mean), (mean, squares)
    mean = _DECAY * mean + (1 - _DECAY) * unit
    squares = _SQUARES * squares + (1 - _SQUARES) * unit**2
    sized = jnp.sqrt(squares / (1 - _SQUARES**number)) + 1e-8
    step = mean / (1 - _DECAY**number) / sized
    return step / _largest(step), (mean, squares)


@functools.partial(jax.jit, static_argnames=("step", "sigma", "arm", "optimizer"))
def _step(
    x: Array,
    gradient: Array,
    moments: tuple[Array, Array],
    number: Array,
    blurred_pixels: Array,
    low: Array,
    high: Array,
    step: float,
    sigma: float,
    arm: str,
    optimizer: str,
) -> tuple[Array, Array, Array, tuple[Array, Array]]:
    keep = kept_pixels(gradient, blurred_pixels)
    change, moments = _direction(gradient, moments, number, optimizer)
    moved = x if arm == "blur" else jnp.clip(x + step * (high - low) * change, low, high)
    others = x if arm == "ascent" else blurred(x, sigma)
    here = jnp.where(keep[..., None], moved, others)
    return here, keep, change * keep[..., None], moments


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What happened to images on the way.

    Attributes
    ----------
    levels : (level,) share of blurred pixels.
    start : (image,) the objective at the input.
    values : (level, step, image) after each step.
    images : (level, image, y, x, channel) at the end of each level.
    kept : (level, image, y, x) pixels kept in the last step of each level.
    best : (image, y, x, channel) where the objective was largest, the input included.
    best_level : (image,) the level at which that was; -1 for the input itself.
    relevance : (image, y, x, channel) mean of what steps added, in units of the largest.
    inputs : (image, y, x, channel) where it began.
    low, high : (channel,) the range.

    """

    levels: np.ndarray
    start: np.ndarray
    values: np.ndarray
    images: np.ndarray
    kept: np.ndarray
    best: np.ndarray
    best_level: np.ndarray
    relevance: np.ndarray
    inputs: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def rises(self) -> np.ndarray:
        """Whether the objective ever was above its start, (image,)."""
        return self.values.max((0, 1)) > self.start

    def at_limits(self) -> np.ndarray:
        """Return the share of the best image's kept values driven to the range's ends, (image,).

        Steps that would leave the range are cut off there: a large share says that the method
        wanted out of it. Values that lay there from the beginning do not count.
        """

        def ended(x: np.ndarray) -> np.ndarray:
            return np.asarray((x <= self.low) | (x >= self.high))

        ends = ended(self.best) & ~ended(self.inputs)
        chosen = np.maximum(self.best_level, 0)
        kept = np.broadcast_to(self.kept[chosen, np.arange(len(chosen))][..., None], ends.shape)
        return (ends & kept).sum((1, 2, 3)) / np.maximum(kept.sum((1, 2, 3)), 1)

    def values_by_level(self) -> np.ndarray:
        """Return the objective at the end of each level, (level, image)."""
        return self.values[:, -1]


@METHODS.add(
    "nonlinear_saliency",
    label="Nonlinear saliency",
    text="""S = mean over steps of J [kept] / max |J|, J = ∂y_k/∂x at the present image, of which a
    growing share (0 to 95 %) with the smallest |J| is blurred while the rest moves along J
    (Rosenzweig et al. 2021).""",
)
@dataclasses.dataclass(frozen=True)
class NonlinearSaliency:
    """Nonlinear saliency maps, and their linear counterpart.

    As an attribution method the map is the mean over all steps of what a step adds: the gradient
    over its largest value, where pixels are kept.

    Attributes
    ----------
    linear : whether the first gradient is used throughout.
    objective : what rises.
    levels : shares of blurred pixels, in turn.
    steps : at each level.
    step : h, of the range.
    sigma : of the blur [pixel].
    arm : which half of each step is done, one of :data:`ARMS`.
    optimizer : one of :data:`OPTIMIZERS`.

    """

    linear: bool = False
    objective: str = "output"
    levels: tuple[float, ...] = LEVELS
    steps: int = 8
    step: float = 0.02
    sigma: float = 1.5
    arm: str = "both"
    optimizer: str = "plain"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("objective", OBJECTIVES),
            ("arm", ARMS),
            ("optimizer", OPTIMIZERS),
        ):
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                raise InputError(f"{name} {got!r}: allowed are {', '.join(allowed)}")

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...); each input's own range is kept."""
        images_only("nonlinear saliency", x)
        low, high = _own_range(x)
        return jnp.stack(
            [self._run(network, parameters, x, output, low, high).relevance for output in outputs]
        )

    def trajectory(
        self,
        network: Network,
        parameters: Mapping[str, Any],
        x: Array,
        output: Array,
        low: Array,
        high: Array,
    ) -> Trajectory:
        """Follow images (image, y, x, channel) within a range.

        Parameters
        ----------
        output : class that is driven up, one for all images or (image,).
        low, high : (channel,) or numbers, the range of the data.

        Raises
        ------
        InputError
            When there is no such output.

        """
        images_only("nonlinear saliency", x)
        unknown = [k for k in np.unique(output) if not 0 <= k < network.outputs]
        if unknown:
            raise InputError(
                f"class {unknown[0]}: network {network.name!r} has classes 0 to "
                f"{network.outputs - 1}"
            )
        return self._run(network, dict(parameters), jnp.asarray(x), output, low, high)

    def _run(
        self, network: Network, parameters: Any, x: Array, output: Array, low: Array, high: Array
    ) -> Trajectory:
        low, high = jnp.asarray(low, x.dtype), jnp.asarray(high, x.dtype)
        pixels = x.shape[1] * x.shape[2]
        start, first = value_and_gradient(network, parameters, x, output, self.objective)
        here, gradient, value = x, first, np.asarray(start)
        best, best_value = np.asarray(x), value
        best_level = np.full(len(x), -1)
        values: list[np.ndarray] = []
        images, kept, total = [], [], jnp.zeros_like(x)
        moments = (jnp.zeros_like(x), jnp.zeros_like(x))
        for number, level in enumerate(self.levels):
            for _ in range(self.steps):
                here, keep, added, moments = _step(
                    *(here, gradient, moments, len(values) + 1, round(level * pixels), low, high),
                    step=self.step,
                    sigma=self.sigma,
                    arm=self.arm,
                    optimizer=self.optimizer,
                )
                total = total + added
                if self.linear:
                    score = value_of(network, parameters, here, output, self.objective)
                else:
                    score, gradient = value_and_gradient(
                        network, parameters, here, output, self.objective
                    )
                value = np.asarray(score)
                better = value > best_value
                best = np.where(better[:, None, None, None], np.asarray(here), best)
                best_level = np.where(better, number, best_level)
                best_value = np.maximum(value, best_value)
                values.append(value)
            images.append(np.asarray(here))
            kept.append(np.asarray(keep))
        return Trajectory(
            np.asarray(self.levels),
            np.asarray(start),
            np.reshape(values, (len(self.levels), self.steps, len(x))),
            np.stack(images),
            np.stack(kept),
            best,
            best_level,
            np.asarray(total) / (len(self.levels) * self.steps),
            np.asarray(x),
            np.asarray(low),
            np.asarray(high),
        )

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {
            "objective": _OBJECTIVES_TOLD[self.objective],
            "gradient": "at the input" if self.linear else "at each step",
            "blurred_shares": list(self.levels),
            "steps": f"{self.steps} a share, {self.step:g} of the range each",
            "blur": f"Gaussian of {self.sigma:g} pixels, mirrored at edges",
            "range": "each input's own, by channel",
        }


@METHODS.add(
    "deep_dream",
    label="Deep Dream",
    text="""S = x* - x, x* after 50 smoothed steps along ∂y_k/∂x (Mordvintsev et al. 2015; Wilde et
    al. 2022), each at most 0.02 of the input's range, within the range.""",
)
@dataclasses.dataclass(frozen=True)
class DeepDream:
    """Regularised ascent: small smooth steps along the gradient, within the range.

    As an attribution method the map is what the ascent added to the input.

    Attributes
    ----------
    steps : of the ascent.
    step : of the range, along the gradient over its largest value.
    sigma : of the Gaussian that smooths each gradient [pixel]; 0 for none.

    """

    steps: int = 50
    step: float = 0.02
    sigma: float = 1.0

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...); each input's own range is kept."""
        images_only("deep_dream", x)
        low, high = _own_range(x)
        return jnp.stack(
            [self.dream(network, parameters, x, output, low, high)[0] - x for output in outputs]
        )

    def dream(
        self, network: Network, parameters: Any, x: Array, output: int, low: Array, high: Array
    ) -> tuple[Array, np.ndarray]:
        """Return the changed images and y_k before and after each step, (step + 1, image)."""
        values = []
        for _ in range(self.steps):
            value, gradient = value_and_gradient(network, parameters, x, output, "output")
            values.append(np.asarray(value))
            x = _dream_step(x, gradient, jnp.asarray(low), jnp.asarray(high), self.step, self.sigma)
        values.append(np.asarray(value_and_gradient(network, parameters, x, output, "output")[0]))
        return x, np.stack(values)

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {
            "steps": f"{self.steps}, {self.step:g} of the range each",
            "gradient": f"smoothed by a Gaussian of {self.sigma:g} pixels",
            "range": "each input's own, by channel",
        }


@functools.partial(jax.jit, static_argnames=("step", "sigma"))
def _dream_step(
    x: Array, gradient: Array, low: Array, high: Array, step: float, sigma: float
) -> Array:
    smooth = blurred(gradient, sigma) if sigma > 0 else gradient
    largest = jnp.abs(smooth).max((1, 2, 3), keepdims=True)
    return jnp.clip(x + step * (high - low) * smooth / (largest + TINY), low, high)


METHODS.add(
    "nonlinear_saliency_down",
    label="Nonlinear saliency, downwards",
    text="nonlinear_saliency of -y_k: what lowers the output, for regressors.",
)(NonlinearSaliency(objective="minus_output"))
METHODS.add(
    "linear_saliency",
    label="Linear saliency",
    text="nonlinear_saliency with the gradient at the input in every step.",
)(NonlinearSaliency(linear=True))

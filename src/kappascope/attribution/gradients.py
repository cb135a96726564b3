"""Methods made of several gradients, or of the gradient at an inner node."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.attribution.propagation import (
    CONVOLUTIONS_GUIDED,
    GRADIENT,
    GUIDED,
    Propagation,
    compiled,
)
from kappascope.attribution.registry import METHODS
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.module import activations

Array = Any

# Methods of many passes loop outside the compiler: inside its loops XLA's convolutions are three
# times slower on a CPU, and so every pass is the compiled gradient that others use as well.


@jax.jit
def _noisy(x: Array, keys: Array, sample: int, level: float) -> Array:
    """Add noise of ``level`` times each input's range, from each input's own key."""
    axes = tuple(range(1, x.ndim))
    sigma = level * (x.max(axes, keepdims=True) - x.min(axes, keepdims=True))
    subkeys = jax.vmap(lambda key: jax.random.fold_in(key, sample))(keys)
    return x + sigma * jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))(subkeys)


@METHODS.add(
    "integrated_gradients",
    label="Integrated gradients",
    budget={"nodes": "path_nodes"},
    text="""S = x ⊙ ∫₀¹ ∂y_k/∂x(αx) dα (Sundararajan et al. 2017), baseline 0. Complete: Σ S =
    y_k(x) - y_k(0).""",
)
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
            there = compiled(GRADIENT, network, parameters, place * x, outputs)
            mean = mean + weight * there
        return x * mean if self.times else mean

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"baseline": "0", "path": f"{self.nodes} Gauss-Legendre nodes"}


@METHODS.add(
    "smoothgrad",
    label="SmoothGrad",
    budget={"samples": "smoothgrad_samples"},
    text="""S = mean over noisy copies of x of ∂y_k/∂x (Smilkov et al. 2017), 50 samples with σ =
    0.15 (max x - min x). The gradient itself for a linear network.""",
)
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
            mean = mean + compiled(GRADIENT, network, parameters, noisy, outputs)
        return mean / self.samples

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"samples": self.samples, "noise": f"{self.level:g} (max - min) of each input"}


@jax.jit
def _shrunk(x: Array, keys: Array, sample: int) -> Array:
    """Multiply each input by a number between 0 and 1 from its own key."""
    subkeys = jax.vmap(lambda key: jax.random.fold_in(key, sample))(keys)
    places = jax.vmap(lambda key: jax.random.uniform(key, (), x.dtype))(subkeys)
    return x * places.reshape(-1, *[1] * (x.ndim - 1))


@METHODS.add(
    "gradient_shap",
    label="SHAP",
    text="""S = x ⊙ mean of ∂y_k/∂x(αx) over random α in [0, 1], baseline 0 (Lundberg & Lee 2017;
    the expected gradients of Captum's GradientShap without noise), 5 draws. Complete on
    average.""",
)
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
            mean = mean + compiled(GRADIENT, network, parameters, there, outputs)
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
    guided : guided backpropagation, by which the map is multiplied after up-sampling; None for the
        map alone.
    start : what the sum over channels starts from.

    """

    node: str
    rectified: bool = True
    guided: Propagation | None = None
    start: float = 0.0

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
        relevance = self.start + (slopes.mean((2, 3), keepdims=True) * values).sum(-1)
        if self.rectified:
            relevance = jax.nn.relu(relevance)
        if self.guided is None:
            return relevance
        for axis, size in ((2, x.shape[1]), (3, x.shape[2])):
            nearest = np.arange(size) * relevance.shape[axis] // size
            relevance = jnp.take(relevance, nearest, axis)
        return self.guided(network, parameters, x, outputs, keys) * relevance[..., None]

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        conventions = {"node": self.node, "seed": "1", "final_relu": self.rectified}
        if self.start:
            conventions["start"] = self.start
        return {**conventions, "upsampling": "nearest"} if self.guided else conventions


METHODS.add(
    "grad_cam.NODE",
    label="Grad-CAM",
    pattern=r"grad_cam\.(?P<node>.+)",
    coarse=True,
    text="""S = max(0, Σ_c w_c A_c), w_c the mean over pixels of ∂y_k/∂A_c at a node (Selvaraju et
    al. 2017), at the node's size.""",
)(lambda node: GradCam(node))
METHODS.add(
    "grad_cam_raw.NODE",
    label="Grad-CAM, not rectified",
    pattern=r"grad_cam_raw\.(?P<node>.+)",
    coarse=True,
    text="Grad-CAM without the last ReLU.",
)(lambda node: GradCam(node, rectified=False))
METHODS.add(
    "guided_grad_cam.NODE",
    label="Guided Grad-CAM",
    pattern=r"guided_grad_cam\.(?P<node>.+)",
    text="guided_backprop times Grad-CAM, up-sampled to the nearest neighbour.",
)(lambda node: GradCam(node, guided=GUIDED))
METHODS.add(
    "lens_grad_cam.NODE",
    label="Grad-CAM, released",
    pattern=r"lens_grad_cam\.(?P<node>.+)",
    coarse=True,
    text="""Grad-CAM as the released code of Wilde et al. (2022) has it: the sum over channels
    starts from one, S = max(0, 1 + Σ_c w_c A_c).""",
)(lambda node: GradCam(node, start=1.0))
METHODS.add(
    "lens_guided_grad_cam.NODE",
    label="Guided Grad-CAM, released",
    pattern=r"lens_guided_grad_cam\.(?P<node>.+)",
    text="lens_guided_backprop times lens_grad_cam, up-sampled to the nearest neighbour.",
)(lambda node: GradCam(node, guided=CONVOLUTIONS_GUIDED, start=1.0))

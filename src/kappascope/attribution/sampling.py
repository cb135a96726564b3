"""Methods that ask a network about altered inputs: LIME, kernel SHAP, RISE, and FRESH's extractor.

All are for images, hide what they hide with zero, and give every pixel a value. LIME and kernel
SHAP explain segments: those of the watershed (`kappascope.transforms.segments`), or square tiles.
A pixel gets the value of its segment over the segment's size, so that values add up over pixels as
they do over segments.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope.attribution.propagation import GRADIENT, compiled
from kappascope.attribution.registry import METHODS
from kappascope.errors import InputError
from kappascope.networks.description import Network
from kappascope.networks.evaluate import BATCH, in_batches
from kappascope.networks.module import outputs_of
from kappascope.transforms import segments

Array = Any


def masked_outputs(
    network: Network, parameters: Any, x: np.ndarray, masks: np.ndarray
) -> np.ndarray:
    """Evaluate one input through many masks.

    Parameters
    ----------
    x : (y, x, channel).
    masks : (mask, y, x), between 0 and 1.

    Returns
    -------
    (mask, output).

    """
    results = []
    for rows, piece in in_batches(masks, min(BATCH, len(masks))):
        through = jnp.asarray(x) * jnp.asarray(piece, x.dtype)[..., None]
        outputs = np.asarray(outputs_of(network, parameters, through))
        results.append(outputs[: rows.stop - rows.start])
    return np.concatenate(results)


def images_only(name: str, x: Array) -> np.ndarray:
    """Return inputs (batch, y, x, channel), refuse others."""
    if np.ndim(x) != 4 or min(x.shape[1:3]) < 2:
        raise InputError(f"{name}: reads images (batch, y, x, channel), got {tuple(np.shape(x))}")
    return np.asarray(x)


def _generator(keys: Array, row: int) -> np.random.Generator:
    words = np.asarray(jax.random.key_data(keys[row])).ravel()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(w) for w in words])))


def features_of(map_: np.ndarray, tile: int) -> np.ndarray:
    """Return the segment of each pixel (y, x): watershed for ``tile`` 0, else square tiles."""
    if tile == 0:
        return segments.divide(map_).astype(int)
    rows, columns = (np.arange(side) // tile for side in map_.shape)
    return np.asarray(rows[:, None] * (columns[-1] + 1) + columns)


def _spread(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give pixels the value of their segment over its size: (output, y, x)."""
    return np.asarray((values / np.bincount(labels.ravel()))[:, labels])


@METHODS.add(
    "lime",
    label="LIME",
    budget={"samples": "samples"},
    text="""Weighted ridge regression of y_k on which watershed segments are shown (Ribeiro et al.
    2016), 500 subsets; a pixel has its segment's coefficient over the segment's size.""",
)
@dataclasses.dataclass(frozen=True)
class Lime:
    """Ridge regression of the output on which segments are shown (Ribeiro et al. 2016).

    Attributes
    ----------
    samples : random subsets of the segments, each shown with probability 1/2.
    tile : side of square tiles [pixel], 0 for watershed segments.
    width : of the kernel exp(-D²/width²), D the cosine distance to all segments shown.
    ridge : strength of the regression's penalty.

    """

    samples: int = 500
    tile: int = 0
    width: float = 0.25
    ridge: float = 1.0

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, y, x, channel)."""
        return _by_segments("lime", self, network, parameters, x, outputs, keys)

    def values(self, shown: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return (output, segment) from subsets (sample, segment) and outputs (sample, output)."""
        share = np.sqrt(shown.mean(1))  # cosine between a subset and the whole
        weight = np.exp(-(((1 - share) / self.width) ** 2))
        total = weight.sum()
        centred = shown - weight @ shown / total
        change = outputs - weight @ outputs / total
        normal = centred.T @ (weight[:, None] * centred) + self.ridge * np.eye(shown.shape[1])
        return np.linalg.solve(normal, centred.T @ (weight[:, None] * change)).T

    def subsets(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw which segments are shown: (sample, segment), all of them first."""
        drawn = (generator.random((self.samples, count)) < 0.5).astype(float)
        drawn[0] = 1.0
        return drawn

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        conventions = {"samples": self.samples, "kernel": f"cosine, width {self.width:g}"}
        return {**conventions, "ridge": self.ridge, **_feature_conventions(self.tile)}


@METHODS.add(
    "kernel_shap",
    label="Kernel SHAP",
    budget={"samples": "samples"},
    text="""Shapley values of watershed segments by regression (Lundberg & Lee 2017), 500
    coalitions. Complete: Σ S = y_k(x) - y_k(0).""",
)
@dataclasses.dataclass(frozen=True)
class KernelShap:
    """Shapley values of segments by weighted regression (Lundberg & Lee 2017).

    Attributes
    ----------
    samples : random coalitions, half of them the complements of the other half.
    tile : side of square tiles [pixel], 0 for watershed segments.

    """

    samples: int = 500
    tile: int = 0

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, y, x, channel)."""
        return _by_segments("kernel_shap", self, network, parameters, x, outputs, keys)

    def subsets(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw coalitions by the Shapley kernel's sizes: (sample, segment), all and none first."""
        drawn = np.zeros((max(self.samples, 2), count))
        drawn[0] = 1.0
        if count > 1:
            sizes = np.arange(1, count)
            chance = 1.0 / (sizes * (count - sizes))
            chosen = generator.choice(
                sizes, size=(len(drawn) - 2 + 1) // 2, p=chance / chance.sum()
            )
            for place, size in enumerate(chosen):
                members = generator.permutation(count)[:size]
                drawn[2 + 2 * place, members] = 1.0
                if 3 + 2 * place < len(drawn):
                    drawn[3 + 2 * place] = 1.0 - drawn[2 + 2 * place]
        return drawn

    def values(self, shown: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return (output, segment); they add up to f(all) - f(none) exactly."""
        count = shown.shape[1]
        whole = outputs[0] - outputs[1]
        if count == 1:
            return whole[:, None]
        # Coalitions are drawn as often as the kernel weighs them, so all count alike. The last
        # segment's value follows from the sum.
        inside = shown[2:]
        reduced = inside[:, :-1] - inside[:, -1:]
        left = outputs[2:] - outputs[1] - inside[:, -1:] * whole
        normal = reduced.T @ reduced + 1e-9 * len(inside) * np.eye(count - 1)
        most = np.linalg.solve(normal, reduced.T @ left).T
        return np.concatenate([most, (whole - most.sum(1))[:, None]], 1)

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        return {"samples": self.samples, "baseline": "0", **_feature_conventions(self.tile)}


def _feature_conventions(tile: int) -> dict[str, Any]:
    return {"features": f"tiles of {tile} pixels" if tile else "watershed segments"}


def _by_segments(
    name: str,
    method: Lime | KernelShap,
    network: Network,
    parameters: Any,
    x: Array,
    outputs: Sequence[int],
    keys: Array,
) -> Array:
    images = images_only(name, x)
    maps = np.zeros((len(outputs), *images.shape), images.dtype)
    for row, image in enumerate(images):
        labels = features_of(image[..., 0], method.tile)
        shown = method.subsets(labels.max() + 1, _generator(keys, row))
        scores = masked_outputs(network, parameters, image, shown[:, labels])
        values = method.values(shown, scores[:, list(outputs)].astype(float))
        # A pixel's value is its own over all channels.
        maps[:, row] = (_spread(values, labels) / image.shape[-1])[..., None]
    return jnp.asarray(maps)


@METHODS.add(
    "rise",
    label="RISE",
    budget={"samples": "samples"},
    text="""S = Σ_i y_k(x ⊙ m_i) m_i / (N p), N = 500 random masks that show a share p = 0.5 of an
    8×8 grid (Petsiuk et al. 2018).""",
)
@dataclasses.dataclass(frozen=True)
class Rise:
    """Mean of random masks, weighed by the output seen through them (Petsiuk et al. 2018).

    Attributes
    ----------
    samples : masks.
    grid : cells of the coarse random grid along a side.
    shown : probability of a cell to be shown.

    """

    samples: int = 500
    grid: int = 8
    shown: float = 0.5

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, y, x, channel)."""
        images = images_only("rise", x)
        maps = np.zeros((len(outputs), *images.shape), images.dtype)
        for row, image in enumerate(images):
            masks = self.masks(image.shape[0], image.shape[1], _generator(keys, row))
            scores = masked_outputs(network, parameters, image, masks)[:, list(outputs)]
            mean = np.tensordot(scores.T.astype(float), masks, 1) / (len(masks) * self.shown)
            maps[:, row] = mean[..., None]
        return jnp.asarray(maps)

    def masks(self, rows: int, columns: int, generator: np.random.Generator) -> np.ndarray:
        """Draw masks (sample, y, x): a random grid, made finer bilinearly and shifted at random."""
        cell = [math.ceil(side / self.grid) for side in (rows, columns)]
        nodes = (self.samples, self.grid + 2, self.grid + 2)
        coarse = (generator.random(nodes) < self.shown) * 1.0
        shift = [generator.integers(0, size, self.samples) for size in cell]
        for axis, (side, size) in enumerate(zip((rows, columns), cell, strict=True)):
            place = (np.arange(side)[None] + shift[axis][:, None]) / size
            lower = place.astype(int)
            part = place - lower
            shape = [self.samples, 1, 1]
            shape[axis + 1] = side
            lower, part = lower.reshape(shape), part.reshape(shape)
            low = np.take_along_axis(coarse, lower, axis + 1)
            high = np.take_along_axis(coarse, lower + 1, axis + 1)
            coarse = low * (1 - part) + high * part
        return coarse

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        conventions = {"samples": self.samples, "grid": self.grid, "shown": self.shown}
        return {**conventions, "normalized by": "samples × shown"}


@METHODS.add(
    "fresh",
    label="FRESH",
    budget={"tile": "tile_pixels"},
    text="""What FRESH's extractor hands on (Jain et al. 2020): the fifth of the tiles of 8 pixels
    with the largest Σ |x ∂y_k/∂x|, and zero elsewhere.""",
)
@dataclasses.dataclass(frozen=True)
class Fresh:
    """The rationale that FRESH's extractor hands to its predictor (Jain et al. 2020).

    Attributes
    ----------
    tile : side of the tiles that take the place of words [pixel].
    kept : share of the tiles in the rationale.

    """

    tile: int = 8
    kept: float = 0.2

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, y, x, channel)."""
        images = images_only("fresh", x)
        slopes = np.asarray(compiled(GRADIENT, network, parameters, jnp.asarray(x), outputs))
        maps = np.zeros((len(outputs), *images.shape), images.dtype)
        for row, image in enumerate(images):
            labels = features_of(image[..., 0], self.tile)
            for place in range(len(outputs)):
                worth = np.abs(slopes[place, row] * image).sum(-1)
                sums = np.bincount(labels.ravel(), worth.ravel())
                kept = np.argsort(-sums, kind="stable")[: max(1, round(self.kept * len(sums)))]
                inside = np.isin(labels, kept)
                maps[place, row] = (np.where(inside, sums[labels], 0) / self.tile**2)[..., None]
        return jnp.asarray(maps)

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        conventions = {"support": "sum of |x ∂y_k/∂x| over a tile", "kept": self.kept}
        return {**conventions, **_feature_conventions(self.tile)}


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


METHODS.add(
    "lime_wN",
    pattern=r"lime_w(?P<tile>[1-9]\d*)",
    budget={"samples": "samples"},
    text="LIME over square tiles of N pixels.",
)(lambda tile: Lime(tile=int(tile)))
METHODS.add(
    "kernel_shap_wN",
    pattern=r"kernel_shap_w(?P<tile>[1-9]\d*)",
    budget={"samples": "samples"},
    text="Kernel SHAP over square tiles of N pixels.",
)(lambda tile: KernelShap(tile=int(tile)))
METHODS.add(
    "occlusion_wNsM",
    label="Occlusion",
    pattern=r"occlusion_w(?P<window>\d+)s(?P<stride>\d+)",
    text="""S = y_k(x) - y_k(x with an N×N window set to 0), windows M pixels apart (Zeiler & Fergus
    2014).""",
)(lambda window, stride: Occlusion(int(window), int(stride)))

"""Dictionaries learned so that codes and attributions are sparse (singh2020 §S4).

Maps are cut into tiles x, written with coefficients of atoms D of unit norm: T(x) = x Dᵀ and
T⁻¹(s) = s D, x = T⁻¹(T(x)) + rest. T⁻¹ is linear, so the attribution of a coefficient is

    TRIM_k = s_k (G Dᵀ)_k,    with G what a method multiplies x with.

G is the mean gradient of the network's output along the straight path from an empty map to the
whole map (integrated gradients without the factor x). The gradient at the map itself would not do:
in a network with biases, x ⊙ gradient does not add up to the output, and the sum of TRIM and of the
rest's share is to be Σ x ⊙ G = f(x) - f(0). The atoms are found by

    min  mean |T(x)| + λ mean (x - T⁻¹ T(x))² + μ mean |TRIM(T(x))|,

which is eq. (3) with the constraint (4) as a penalty, or eqs. (1) and (2) for μ = 0. Means are over
pixels: sums over coefficients are divided by the pixels of a tile. Tiles have unit r.m.s. and G is
scaled such that, with pixels as coefficients, |TRIM| has the same mean as |s|; so λ and μ have no
dimension.

T is the transpose of T⁻¹ and no matrix of its own: with one, a coefficient could be shared out
among equal atoms without changing any sum of moduli, and the objective would not make codes sparse.

Sparsity is measured by the effective number of coefficients of a tile, (Σ|s|)² / Σ s² (1 where one
coefficient holds everything, n where n share evenly), which no change of scale alters. What the
term of the attributions can do at best is Σ|TRIM| = |Σ TRIM|, no two coefficients of a tile against
each other; the ratio of the two is the cancellation.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.fft

from kappascope import progress, randomness
from kappascope.attribution.methods import IntegratedGradients, Model, find, in_batches
from kappascope.chapters.singh2020 import config
from kappascope.errors import InputError
from kappascope.maps.dataset import SplitMaps
from kappascope.networks import prediction
from kappascope.sections import Spec
from kappascope.tables import Table

Array = Any

TRADE_OFF = Table(
    "singh2020/dictionary.csv",
    "basis × weights",
    """basis, with_attribution, reconstruction_weight, coefficients, unexplained_percent,
    unexplained_error, code_effective_number, code_error, attribution_effective_number,
    attribution_error, attribution_cancellation, cancellation_error,
    attribution_in_rest_percent, attribution_in_rest_error""",
)
OMEGA_MATTER = 0
"""The explained output."""
_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Tiles of maps and what attribution multiplies them with.

    Attributes
    ----------
    values : (map, tile, pixel) float32.
    slopes : (map, tile, pixel) float32, G.
    side : pixels along a tile's side.

    """

    values: np.ndarray
    slopes: np.ndarray
    side: int

    def scaled(self, size: float, slope: float) -> "Tiles":
        """Return tiles and slopes divided by numbers."""
        return Tiles(self.values / size, self.slopes / slope, self.side)


# ---- tiles ---------------------------------------------------------------------------------------


def tiled(maps: np.ndarray, side: int) -> np.ndarray:
    """Cut maps (map, y, x) into tiles that do not overlap: (map, tile, pixel).

    Rows and columns that fill no tile are left out at the end.
    """
    rows, columns = maps.shape[1] // side, maps.shape[2] // side
    if not rows or not columns:
        raise InputError(
            f"singh2020.dictionary.tile_pixels: got {side}, more than the {maps.shape[1]} of a map"
        )
    kept = maps[:, : rows * side, : columns * side]
    cut = kept.reshape(len(maps), rows, side, columns, side).swapaxes(2, 3)
    return cut.reshape(len(maps), rows * columns, side * side)


def path_slopes(model: Model, maps: np.ndarray, nodes: int) -> np.ndarray:
    """Return G, the mean gradient of Ω_m along the path from an empty map.

    Parameters
    ----------
    maps : (map, y, x).
    nodes : gradients along the path.

    Returns
    -------
    (map, y, x).

    """
    procedure = IntegratedGradients(nodes, times=False)
    method = dataclasses.replace(find("integrated_gradients"), procedure=procedure)
    out = np.empty(maps.shape, np.float32)
    with progress.bar(len(maps), "gradients for dictionaries", unit="map") as shown:
        batches = in_batches(method, model, maps[..., None], OMEGA_MATTER, batch=_BATCH)
        for rows, gradients in batches:
            out[rows] = gradients[..., 0]
            shown.update(len(gradients))
    return out


def read_tiles(paths: Sequence[str | Path], split: str, model: Model, spec: Spec) -> Tiles:
    """Read maps of one split, evenly over its cosmologies, and cut them with their slopes.

    Parameters
    ----------
    paths : batches of maps.
    split : ``training`` or ``testing``; their simulations differ.
    spec : config sections ``seed``, ``maps``, ``noise`` and ``dictionary``.

    """
    section = spec.dictionary
    maps = SplitMaps(paths, split)
    if not len(maps):
        raise InputError(f"dictionary: there are no {split} maps")
    count = min(getattr(section, split), len(maps))
    # From the middle of equal stretches: ends alone would be maps of the extreme cosmologies.
    rows = ((np.arange(count) + 0.5) * len(maps) / count).astype(int)
    seen = prediction.observed(maps.select(rows), section.data_set, spec)
    slopes = path_slopes(model, seen, section.path_nodes)
    side = section.tile_pixels
    return Tiles(tiled(seen, side), tiled(slopes, side), side)


def scales(tiles: Tiles) -> tuple[float, float]:
    """Return what to divide tiles and slopes by: r.m.s. one, and mean |x ⊙ G| = mean |x|."""
    size = float(np.sqrt(np.square(tiles.values).mean()))
    share = float(np.abs(tiles.values * tiles.slopes).mean())
    if not size or not share:
        raise InputError("dictionary: maps or gradients are zero everywhere")
    return size, share / float(np.abs(tiles.values).mean())


# ---- learning ------------------------------------------------------------------------------------


def unit_atoms(free: Array) -> Array:
    """Return rows (coefficient, pixel) divided by their norms."""
    return free / jnp.linalg.norm(free, axis=-1, keepdims=True)


def attributions(codes: Array, slopes: Array, atoms: Array) -> Array:
    """Return TRIM (..., coefficient) of codes (..., coefficient): s ⊙ (G Dᵀ)."""
    return codes * (slopes @ atoms.T)


def loss(free: Array, x: Array, slopes: Array, weights: Array) -> Array:
    """Return the objective, singh2020 eq. (3) with (4) as a penalty.

    Parameters
    ----------
    free : (coefficient, pixel) atoms of any norm.
    x, slopes : (tile, pixel).
    weights : λ and μ.

    """
    atoms = unit_atoms(free)
    codes = x @ atoms.T
    rest = x - codes @ atoms
    terms = jnp.abs(codes).sum() + weights[0] * jnp.square(rest).sum()
    return (terms + weights[1] * jnp.abs(attributions(codes, slopes, atoms)).sum()) / x.size


_loss = jax.jit(loss)
_TURN = 0.1


def start(count: int, seed: int) -> np.ndarray:
    """Return an orthonormal basis (count, count) near the axes.

    Not the axes themselves, which are the principal components of the tiles: their coefficients
    have no correlations, and mixing two of them changes the objective only in second order.
    """
    generator = randomness.generator(seed, "first atoms of a dictionary")
    turned = np.eye(count) + _TURN * generator.standard_normal((count, count))
    turned, triangle = np.linalg.qr(turned)
    return (turned * np.sign(np.diag(triangle))).astype(np.float32)


@functools.partial(jax.jit, static_argnames="settings")
def _fitted(
    free: Array, x: Array, slopes: Array, weights: Array, order: Array, settings: tuple[float, int]
) -> Array:
    """Fit one dictionary for each pair of weights at once; ``order`` (step, batch) of tiles."""
    rate, steps = settings
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))
    gradient = jax.vmap(jax.grad(loss), (0, None, None, 0))

    def step(state: Any, rows: Array) -> tuple[Any, None]:
        free, moments = state
        change, moments = optimiser.update(gradient(free, x[rows], slopes[rows], weights), moments)
        # Projected at every step: norms that grow would slow Adam down.
        return (unit_atoms(optax.apply_updates(free, change)), moments), None

    several = jnp.repeat(free[None], len(weights), 0)
    (free, _), _ = jax.lax.scan(step, (several, optimiser.init(several)), order)
    return free


def learn(
    tiles: Tiles, weights: Sequence[tuple[float, float]], section: config.Dictionary, seed: int
) -> list[np.ndarray]:
    """Learn one dictionary for each pair of weights.

    An atom of unit norm cannot be switched off: with each pair, dictionaries of several sizes are
    learned, and the one with the least objective on the tiles is kept.

    Parameters
    ----------
    tiles : scaled, see :func:`scales`.
    weights : (λ, μ) of each dictionary.

    Returns
    -------
    (coefficient, pixel) atoms of unit norm of each dictionary.

    Raises
    ------
    InputError
        When there are more atoms than pixels, fewer tiles than one batch, or a fit is not finite.

    """
    pixels = tiles.values.shape[-1]
    flat = [part.reshape(-1, pixels) for part in (tiles.values, tiles.slopes)]
    order = _order(len(flat[0]), section, seed)
    pairs = np.array(weights, np.float32)
    candidates = []
    for count in section.atoms:
        if count > pixels:
            raise InputError(
                f"singh2020.dictionary.atoms: got {count}, more than the {pixels} pixels of a tile"
            )
        candidates.append(_learned(tiles, count, pairs, order, section, seed))
    objectives = [
        [float(_loss(atoms, *flat, pair)) for atoms, pair in zip(dictionaries, pairs, strict=True)]
        for dictionaries in candidates
    ]
    return [candidates[best][place] for place, best in enumerate(np.argmin(objectives, 0))]


def _order(count: int, section: config.Dictionary, seed: int) -> np.ndarray:
    """Return the numbers of the tiles of each step, (step, batch)."""
    batch, steps = section.batch, section.steps
    if count < batch:
        raise InputError(
            f"singh2020.dictionary.batch: got {batch}, but there are only {count} tiles"
        )
    generator = randomness.generator(seed, "order of tiles")
    each = count // batch
    epochs = [generator.permutation(count)[: each * batch] for _ in range(-(-steps // each))]
    return np.concatenate(epochs).reshape(-1, batch)[:steps].astype(np.int32)


def _learned(
    tiles: Tiles,
    count: int,
    weights: np.ndarray,
    order: np.ndarray,
    section: config.Dictionary,
    seed: int,
) -> np.ndarray:
    """Return (dictionary, count, pixel) atoms in the space of as many principal components.

    Smoothed maps have next to no power outside it, and atoms that are free to lean that way do: it
    makes codes small, not sparse, and the atoms show noise.
    """
    space = fixed_bases(tiles)["pca"][:count]
    x, slopes = (
        part.reshape(-1, part.shape[-1]) @ space.T for part in (tiles.values, tiles.slopes)
    )
    settings = (float(section.learning_rate), int(section.steps))
    atoms = np.asarray(_fitted(start(count, seed), x, slopes, weights, order, settings))
    if not np.isfinite(atoms).all():
        raise InputError(
            "singh2020.dictionary.learning_rate: a fit is not finite; choose a lower one"
        )
    return atoms @ space


# ---- yardsticks ----------------------------------------------------------------------------------


def fixed_bases(tiles: Tiles) -> dict[str, np.ndarray]:
    """Return orthonormal atoms (coefficient, pixel) by name, those of most variance first.

    ``pca`` has the principal components of the tiles (no mean is taken off), ``dct`` the discrete
    cosine transform, ``pixels`` the tiles as they are.
    """
    x = tiles.values.reshape(-1, tiles.values.shape[-1]).astype(np.float64)
    pixels = x.shape[1]
    waves = scipy.fft.idctn(
        np.eye(pixels).reshape(pixels, tiles.side, tiles.side), axes=(1, 2), norm="ortho"
    )
    bases = {
        "pca": np.linalg.eigh(x.T @ x)[1].T,
        "dct": waves.reshape(pixels, pixels),
        "pixels": np.eye(pixels),
    }
    for name, atoms in bases.items():
        variance = np.square(x @ atoms.T).mean(0)
        bases[name] = atoms[np.argsort(-variance, kind="stable")].astype(np.float32)
    return bases


# ---- judging -------------------------------------------------------------------------------------


def effective_number(values: np.ndarray) -> np.ndarray:
    """Return (Σ|s|)² / Σ s² along the last axis; NaN where all are zero."""
    squares = np.square(values).sum(-1)
    sums = np.square(np.abs(values).sum(-1))
    return np.where(squares > 0, sums / np.where(squares > 0, squares, 1), np.nan)


def judge(atoms: np.ndarray, tiles: Tiles, seed: int, draws: int) -> dict[str, float]:
    """Measure how well and how sparsely atoms write tiles and their attributions.

    Parameters
    ----------
    atoms : (coefficient, pixel) of unit norm.
    draws : bootstrap samples of the maps, for the errors.

    Returns
    -------
    The columns of the table from ``coefficients`` on.

    """
    codes = tiles.values @ atoms.T
    rest = tiles.values - codes @ atoms
    scores = attributions(codes, tiles.slopes, atoms)
    # One row a map: numerators and denominators of what is measured, so that maps can be drawn.
    sums = {
        ("unexplained_percent", "unexplained_error"): (
            100 * np.square(rest).sum((1, 2)),
            np.square(tiles.values).sum((1, 2)),
        ),
        ("code_effective_number", "code_error"): _finite_sums(effective_number(codes)),
        ("attribution_effective_number", "attribution_error"): _finite_sums(
            effective_number(scores)
        ),
        ("attribution_cancellation", "cancellation_error"): (
            np.abs(scores).sum((1, 2)),
            np.abs(scores.sum(-1)).sum(-1),
        ),
        ("attribution_in_rest_percent", "attribution_in_rest_error"): (
            100 * np.abs((rest * tiles.slopes).sum(-1)).sum(-1),
            np.abs((tiles.values * tiles.slopes).sum(-1)).sum(-1),
        ),
    }
    generator = randomness.generator(seed, "bootstrap of maps for dictionaries")
    drawn = generator.integers(0, len(codes), (draws, len(codes)))
    measures: dict[str, float] = {"coefficients": codes.shape[-1]}
    for (column, error), (above, below) in sums.items():
        measures[column] = float(above.sum() / below.sum())
        measures[error] = float((above[drawn].sum(1) / below[drawn].sum(1)).std(ddof=1))
    return measures


def _finite_sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums and numbers of the finite values of each map."""
    return np.nansum(values, -1), np.isfinite(values).sum(-1)


def attribution_shares(atoms: np.ndarray, tiles: Tiles) -> np.ndarray:
    """Return each coefficient's share of the sum of |TRIM| over tiles, (coefficient,)."""
    scores = attributions(tiles.values @ atoms.T, tiles.slopes, atoms)
    sizes = np.abs(scores).sum((0, 1))
    return sizes / sizes.sum()


def compare(
    training: Tiles, testing: Tiles, section: config.Dictionary, seed: int
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Learn dictionaries on training tiles and judge them, and fixed bases, on testing tiles.

    Parameters
    ----------
    training, testing : as read; they are scaled here, by the training tiles.

    Returns
    -------
    rows of the table, and arrays: ``reconstruction_weight`` (λ,), ``attribution_weight`` (2,),
    ``atoms`` (μ, λ, coefficient, y, x) and ``share`` (μ, λ, coefficient), largest share first,
    both without the term of the attributions (μ = 0) and with it, and zeros where a dictionary has
    fewer atoms than the largest.

    """
    by = scales(training)
    training, testing = training.scaled(*by), testing.scaled(*by)
    lambdas = sorted(map(float, section.reconstruction_weights))
    mus = (0.0, float(section.attribution_weight))
    pairs = [(weight, mu) for mu in mus for weight in lambdas]
    learned = learn(training, pairs, section, seed)
    rows: list[dict[str, Any]] = []
    most = max(map(len, learned))
    atoms = np.zeros((len(pairs), most, training.side**2), np.float32)
    shares = np.zeros((len(pairs), most), np.float32)
    for place, (dictionary, (weight, mu)) in enumerate(zip(learned, pairs, strict=True)):
        named = {"basis": "learned", "with_attribution": int(mu > 0)}
        judged = judge(dictionary, testing, seed, section.bootstrap)
        rows.append({**named, "reconstruction_weight": weight, **judged})
        share = attribution_shares(dictionary, testing)
        order = np.argsort(-share, kind="stable")
        shares[place, : len(dictionary)] = share[order]
        atoms[place, : len(dictionary)] = dictionary[order]
    for name, whole in fixed_bases(training).items():
        for count in _counts(len(whole), name):
            named = {"basis": name, "with_attribution": "", "reconstruction_weight": ""}
            judged = judge(whole[:count], testing, seed, section.bootstrap)
            rows.append({**named, **judged})
    side = training.side
    return rows, {
        "reconstruction_weight": np.array(lambdas),
        "attribution_weight": np.array(mus),
        "atoms": atoms.reshape(2, len(lambdas), -1, side, side),
        "share": shares.reshape(2, len(lambdas), -1),
    }


def _counts(whole: int, name: str) -> list[int]:
    """Return how many leading coefficients to keep: powers of two, and all; all the pixels."""
    powers = [2**k for k in range(whole.bit_length()) if 2**k < whole]
    return [whole] if name == "pixels" else [*powers, whole]

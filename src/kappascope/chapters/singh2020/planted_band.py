"""Which methods find the scales of a map that a network reads, where these are planted (singh2020).

Gaussian maps whose power in each of eight bands of frequency is drawn by itself; one network learns
the power of three of them, far apart. The target of an output then sits in one band, and what a
method credits the others with, a coefficient at a time, is not there. The counterpart for maps of
the published Table 1, which plants one frequency in numbers.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.attribution import contextual, trim
from kappascope.attribution.labels import label
from kappascope.attribution.methods import Model
from kappascope.chapters.singh2020 import config
from kappascope.faithfulness.randomization import configured, layers, reinitialized
from kappascope.networks import architectures, training
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.networks.module import with_statistics
from kappascope.reporting.errorbars import error_of_mean, proportion_error
from kappascope.tables import Table
from kappascope.transforms import fourier

PIXELS = 32
BANDS = 8
EDGES = np.linspace(0.05, 0.95, BANDS + 1)
"""Of the bands, in Nyquist units; what lies outside has no power."""
RINGS = tuple(zip(EDGES[:-1].tolist(), EDGES[1:].tolist(), strict=True))
TARGETS = (1, 3, 6)
"""Bands whose power is learned."""
BLOCKS = 2

PLANTED = Table(
    "singh2020/planted_band.csv",
    "target × method",
    """target (number of the band), low, high (of the band, Nyquist units), method, label,
    r_squared, hits_percent (maps whose largest score a coefficient, in size, is the planted
    band's), error, by_chance_percent, untrained_percent (hits of the same method for the same
    network before training), untrained_error, share_percent (of the sizes of scores a coefficient
    in the planted band), share_error, next_percent (the largest share of another band), maps""",
)


@dataclasses.dataclass(frozen=True)
class Planted:
    """Maps and the power of the bands that are learned.

    Attributes
    ----------
    maps : (map, y, x) float32.
    targets : (map, target) of mean one.

    """

    maps: np.ndarray
    targets: np.ndarray


def drawn(count: int, seed: int, split: str) -> Planted:
    """Draw maps of unit mean power a coefficient, times a number of its own in each band.

    Parameters
    ----------
    split : what they are for; other maps for each.

    """
    generator = randomness.generator(seed, f"planted bands, {split}")
    power = generator.uniform(0.2, 1.8, (count, BANDS))
    masks = fourier.ring_masks(PIXELS, RINGS)
    modes = np.fft.fft2(generator.normal(size=(count, PIXELS, PIXELS)))
    modes *= np.einsum("mb,byx->myx", np.sqrt(power), masks)
    # What a map has, not what it was drawn from: a function of one band's coefficients alone.
    there = np.einsum("myx,byx->mb", np.abs(modes) ** 2, masks[list(TARGETS)])
    targets = there / masks[list(TARGETS)].sum((1, 2)) / PIXELS**2
    return Planted(np.fft.ifft2(modes).real.astype(np.float32), targets)


def train(
    given: Planted, section: config.PlantedBand, network: Any, seed: int, scratch: Path
) -> tuple[Model, Model, np.ndarray]:
    """Train a network.

    Parameters
    ----------
    network : keys of how to train networks.

    Returns
    -------
    The network, the same with weights drawn anew, and (target) units of the outputs.

    """
    described = architectures.convergence_cnn(
        PIXELS, section.width, "SAME", outputs=len(TARGETS), blocks=BLOCKS
    )
    trained = training.train_as_they_are(
        described,
        given.maps,
        given.targets,
        network,
        section.epochs,
        seed,
        0,
        scratch,
        "train on planted bands",
    )
    everything = range(len(layers(described)))
    weights = reinitialized(described, trained.parameters, everything, seed, 0)
    untrained = with_statistics(described, weights, given.maps[:256, ..., None])
    return (described, trained.parameters), (described, untrained), trained.target_scale


def scores(
    name: str, model: Model, maps: np.ndarray, section: config.PlantedBand, seed: int
) -> np.ndarray:
    """Score the bands of maps (map, y, x) for every output: (output, map, band)."""
    x = maps[..., None]
    if name in contextual.CONVENTIONS:
        convention = contextual.CONVENTIONS[name]
        relevant = np.asarray(trim.decomposed_bands(model, x, RINGS, convention)[0])
        return np.transpose(relevant, (2, 1, 0))
    method = configured(name, section, model[0])
    outputs = list(range(model[0].outputs))
    return np.asarray(trim.band_relevance(method, model, x, RINGS, outputs, seed))


def judged(found: np.ndarray, band: int) -> dict[str, Any]:
    """Return how often and how sharply scores (map, band) of one output point at its band."""
    coefficients = fourier.ring_masks(PIXELS, RINGS).sum((1, 2))
    size = np.abs(found) / coefficients
    total = np.maximum(size.sum(1, keepdims=True), 1e-300)
    share = size / total
    # Where nothing is told no band is found.
    hit = float(((share.argmax(1) == band) & (size.max(1) > 0)).mean())
    others = np.delete(share.mean(0), band)
    return {
        "hits_percent": 100 * hit,
        "error": 100 * proportion_error(hit, len(found)),
        "share_percent": 100 * float(share[:, band].mean()),
        "share_error": error_of_mean(100 * share[:, band]),
        "next_percent": 100 * float(others.max()),
    }


def rows(
    model: Model,
    untrained: Model,
    scale: np.ndarray,
    testing: Planted,
    section: config.PlantedBand,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield how well each method finds each planted band, beside the network before training."""
    outputs = evaluate(*model, testing.maps, MAPS_AT_ONCE) * scale
    missed = ((outputs - testing.targets) ** 2).mean(0)
    r_squared = 1 - missed / testing.targets.var(0)
    names: Sequence[str] = (*section.decompositions, *section.methods)
    found = {name: scores(name, model, testing.maps, section, seed) for name in names}
    null = {name: scores(name, untrained, testing.maps, section, seed) for name in names}
    for output, band in enumerate(TARGETS):
        for name in names:
            by_null = judged(null[name][output], band)
            yield {
                "target": band,
                "low": RINGS[band][0],
                "high": RINGS[band][1],
                "method": name,
                "label": label(name),
                "r_squared": r_squared[output],
                **judged(found[name][output], band),
                "by_chance_percent": 100 / BANDS,
                "untrained_percent": by_null["hits_percent"],
                "untrained_error": by_null["error"],
                "maps": len(testing.maps),
            }

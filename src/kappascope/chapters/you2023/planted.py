"""Sum-of-parts models and other attributions of maps whose answer is planted (you2023).

Maps hold clusters (bright spots) and voids (wide shallow hollows) of independent numbers, depths
and places on a faint background. One network learns three numbers of each map:

``clusters``  what all clusters add up to, whatever the voids
``voids``     what all voids take away, whatever the clusters
``both``      the sum of the two, each in units of its standard deviation

Voids tell nothing of clusters here, unlike in convergence. A method that can be believed points at
clusters for the first output, at voids for the second and at both for the third, and a sum-of-parts
model must give its weights to groups of that kind. Nothing in its training asks for small groups:
whole maps predict as well, so that how sharply it is made to choose decides.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import randomness
from kappascope.attribution.methods import Model
from kappascope.chapters.you2023 import baselines, config, regions, structures, sum_of_parts
from kappascope.chapters.you2023.sum_of_parts import Parts
from kappascope.faithfulness import planted
from kappascope.networks import architectures, training
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.tables import Table
from kappascope.transforms import segments

TARGETS = ("clusters", "voids", "both")
PIXELS = 32
CELL = 8
"""Objects lie in cells of a square grid, one in a cell, so that none hides another [pixel]."""
CLUSTER_PIXELS, VOID_PIXELS = 2.0, 3.3
"""Radii inside which the pixels are the object's."""
BACKGROUND = 0.0005
"""R.m.s. of what is neither: below a level of the segments, so that these are the objects."""

PLANTED = Table(
    "you2023/planted.csv",
    "target × method",
    f"""target (clusters, voids, both), method, label, sharpness (of a sum-of-parts model's groups),
    r_squared (of what the method explains), {planted.COLUMNS}, elsewhere_percent (of the absolute
    relevance on objects of the other kind)""",
)
WEIGHTS = Table(
    "you2023/planted_weights.csv",
    "sharpness × target × structure",
    """sharpness, target, structure (void, cluster), share_percent (of the weight of a sum-of-parts
    model in such groups), error, null_percent (regions moved over their maps), null_error, maps""",
)


@dataclasses.dataclass(frozen=True)
class Planted:
    """Maps, what is to be learned of them, and where it is.

    Attributes
    ----------
    maps : (map, y, x) float32.
    targets : (map, target).
    truth : (target, map, y, x) bool.

    """

    maps: np.ndarray
    targets: np.ndarray
    truth: np.ndarray


def drawn(count: int, seed: int, split: str) -> Planted:
    """Draw maps with objects.

    Parameters
    ----------
    split : what they are for; other maps for each.

    """
    y, x = np.mgrid[:PIXELS, :PIXELS]
    cells = (PIXELS // CELL) ** 2
    maps = np.zeros((count, PIXELS, PIXELS), np.float32)
    amounts = np.zeros((count, 2))
    truth = np.zeros((len(TARGETS), count, PIXELS, PIXELS), bool)
    for number in range(count):
        generator = randomness.generator(seed, f"planted structures, {split}", number)
        clusters, voids = generator.integers(1, 5, 2)
        places = generator.permutation(cells)[: clusters + voids]
        map_ = generator.normal(0.0, BACKGROUND, (PIXELS, PIXELS))
        for which, cell in enumerate(places):
            corner = CELL * np.array(divmod(cell, PIXELS // CELL))
            centre = corner + (CELL - 1) / 2 + generator.uniform(-0.5, 0.5, 2)
            distance = np.hypot(y - centre[0], x - centre[1])
            kind = int(which >= clusters)
            if kind == 0:
                height = generator.uniform(0.05, 0.15)
                map_ += height * np.exp(-(distance**2) / 2)
                truth[0, number] |= distance < CLUSTER_PIXELS
            else:
                height = generator.uniform(0.01, 0.03)
                map_ -= height * (distance < VOID_PIXELS)
                truth[1, number] |= distance < VOID_PIXELS
            amounts[number, kind] += height
        maps[number] = map_
    truth[2] = truth[0] | truth[1]
    # Of the recipe and not of the sample, so that splits agree.
    unit = np.array([0.13, 0.026])
    both = (amounts / unit).sum(1, keepdims=True)
    return Planted(maps, np.concatenate([amounts / unit, both], 1), truth)


@dataclasses.dataclass(frozen=True)
class Learned:
    """A network that was trained on planted maps.

    Attributes
    ----------
    scale : (target) units of the outputs.

    """

    network: Network
    parameters: Parameters
    scale: np.ndarray

    @property
    def model(self) -> Model:
        """The network and its parameters."""
        return self.network, self.parameters


def train(
    given: Planted, section: config.Planted, network: Any, seed: int, scratch: Path
) -> Learned:
    """Train a network.

    Parameters
    ----------
    network : keys of how to train networks.

    """
    described = architectures.cosmogrid_cnn(PIXELS, section.width, len(TARGETS))
    trained = training.train_as_they_are(
        described,
        given.maps,
        given.targets,
        network,
        section.epochs,
        seed,
        0,
        scratch,
        "train on planted structures",
    )
    return Learned(described, trained.parameters, trained.target_scale)


def parts_of(
    learned: Learned,
    given: Planted,
    testing: Planted,
    sharpness: float,
    section: config.Chapter,
    seed: int,
    scratch: Path,
) -> Parts:
    """Train a sum-of-parts model of one sharpness on ``given``, apply it to ``testing``."""
    settings = dataclasses.replace(
        sum_of_parts.Settings.of(section.model, checkpoint_every_seconds=1e9),
        epochs=section.planted.parts_epochs,
        generator_sharpness=(sharpness,),
    )
    some = slice(0, section.planted.parts_training)
    model, _ = sum_of_parts.train(
        *learned.model,
        divided(learned, given.maps[some]),
        given.targets[some] / learned.scale,
        settings,
        seed,
        0,
        scratch,
        f"sum of parts, planted structures, sharpness {sharpness:g}",
    )
    seen = divided(learned, testing.maps)
    return sum_of_parts.evaluate(*learned.model, model, seen, settings)


def divided(learned: Learned, maps: np.ndarray) -> sum_of_parts.Divided:
    """Divide planted maps into their objects and the rest."""
    most = (PIXELS // CELL) ** 2 + 1
    settings = segments.Settings(separation=CELL // 2, most=most)
    return sum_of_parts.divided(*learned.model, maps, settings)


def rows(
    learned: Learned,
    parts: Mapping[float, Parts],
    given: Planted,
    section: config.Baselines,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield how often each method finds what was planted.

    Parameters
    ----------
    parts : of sum-of-parts models on ``given``, testing maps, by their sharpness.

    """
    targets, outputs = range(len(TARGETS)), evaluate(*learned.model, given.maps, MAPS_AT_ONCE)
    names = [baselines.RANDOM, *section.methods]
    read: list[tuple[str, float | str, np.ndarray, np.ndarray]] = [
        (name, "", baselines.attributed(name, learned.model, given.maps, section, seed), outputs)
        for name in names
    ]
    read += [
        (
            baselines.SUM_OF_PARTS,
            sharpness,
            np.stack([sum_of_parts.attribution(one, output) for output in targets]),
            one.prediction,
        )
        for sharpness, one in parts.items()
    ]
    variance = given.targets.var(0)
    for output, target in enumerate(TARGETS):
        for name, sharpness, relevance, predicted in read:
            missed = predicted[:, output] * learned.scale[output] - given.targets[:, output]
            other = (
                planted.judged(relevance[output], given.truth[1 - output])["mass_percent"]
                if target != "both"
                else ""
            )
            yield {
                "target": target,
                "method": name,
                "label": baselines.label(name),
                "sharpness": sharpness,
                "r_squared": 1 - (missed**2).mean() / variance[output],
                **planted.judged(relevance[output], given.truth[output]),
                "elsewhere_percent": other,
            }


def weight_rows(
    parts: Mapping[float, Parts], given: Planted, section: config.Structures, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the weight that groups of voids and of clusters have for each target."""
    count = len(given.maps)
    thresholds = {"void": section.void_below, "cluster": section.cluster_above}
    same = ("structure", "share_percent", "error", "null_percent", "null_error", "maps")
    for sharpness, one in parts.items():
        listed = list(structures.group_rows(one, given.maps, np.zeros(count, int), 0, TARGETS))
        groups = structures.Groups.of(listed, np.arange(count), 1, TARGETS)
        placed = regions.placed(
            [one], given.maps, groups, thresholds, section.area_cap_percent / 100
        )
        for row in regions.share_rows(placed, seed):
            if row["definition"] == "contrast":
                named = {"sharpness": sharpness, "target": row["parameter"]}
                yield {**named, **{name: row[name] for name in same}}

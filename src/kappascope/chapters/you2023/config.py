"""What the config says of You et al. (2023)."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope import costs
from kappascope.attribution import labels
from kappascope.costs import Work
from kappascope.sections import Distinct, Problem, Section, key

MINIMUM_PIXELS = 29  # three 4×4 convolutions, each followed by 2×2 pooling


class Network(Section):
    """The network that is explained."""

    width: int = key("Channels of the first convolution, 16 as published.", "count", ge=1)
    epochs: int = key("Passes over the training maps.", "count", ge=1)
    peak_learning_rate: float = key("At the top of the one-cycle schedule.", gt=0)
    masked_share: float = key(
        "Share of the training maps of which random blobs are hidden, so that the network "
        "reads parts of maps; 0 as published.",
        ge=0,
        le=1,
    )
    networks: int = key("Networks, each with a sum-of-parts model of its own.", "count", ge=1)


class Segments(Section):
    """Watershed segments, as in the released notebooks."""

    levels: float = key(
        "Steps of the map's values a unit of convergence; |kappa| < 1/levels is background.",
        gt=0,
    )
    separation: int = key("Least distance between centres of basins.", "pixel", ge=1)
    compactness: float = key("Of the basins.", ge=0)
    most: int = key(
        "Largest number of segments of a map; the smallest beyond it join the background.",
        "count",
        ge=2,
    )


class Model(Section):
    """Sum-of-parts models."""

    training: int = key("Training maps of each cosmology.", "map", ge=1)
    epochs: int = key("Passes over them.", "count", ge=1)
    batch: int = key("Maps a step.", "map", ge=1)
    learning_rate: float = key("Of AdamW.", gt=0)
    sampled_groups: int = key(
        "Groups of a map in a training step; all are used afterwards.",
        "count",
        ge=1,
    )
    generator_sharpness: Distinct[float] = key(
        "A number for each set of groups; the larger, the fewer segments a group.",
        min_length=1,
    )
    selector_sharpness: float = key("The larger, the fewer groups have a weight.", gt=0)


class Structures(Section):
    """Which groups are voids and clusters; thresholds in units of a map's r.m.s."""

    maps: int = key("Testing maps of each cosmology that are explained.", "map", ge=1)
    void_below: float = key("Mean convergence below which a group is a void.", "r.m.s.")
    cluster_above: float = key("Mean convergence above which a group is a cluster.", "r.m.s.")
    area_cap_percent: float = key(
        "Largest area of a void or cluster that counts as a region of its map; the published rule "
        "knows none.",
        "% of the map",
        gt=0,
        le=100,
    )
    void_thresholds: Distinct[float] = key(
        "Further thresholds of voids, for the sweep.",
        "r.m.s.",
        min_length=1,
    )
    cluster_thresholds: Distinct[float] = key(
        "Further thresholds of clusters, for the sweep.",
        "r.m.s.",
        min_length=1,
    )


class Baselines(Section):
    """Other attributions on the same maps."""

    methods: Distinct[str] = key("Names from kappascope attribute --list.")
    maps: int = key("Testing maps of each cosmology.", "map", ge=1)
    samples: int = key("Altered maps that LIME, kernel SHAP and RISE look at.", "count", ge=10)
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)
    tile_pixels: int = key("Side of the cells that attributions are summed on.", "pixel", ge=1)
    groups: int = key("Groups that the cells are ranked into.", "count", ge=1)
    steps: int = key("Steps of insertion and deletion by pixels.", "count", ge=1)
    mask_areas: Distinct[float] = key(
        "Areas of the masks of the most important cells, for curves of error and purity.",
        "% of the map",
        min_length=1,
    )
    readout_training: int = key(
        "Training maps of each cosmology, seen through a method's masks, that its last layer is "
        "fitted to.",
        "map",
        ge=1,
    )


class Planted(Section):
    """Maps with planted clusters and voids, and what methods find of them."""

    training: int = key("Maps that the network learns from.", "map", ge=64)
    testing: int = key("Maps that are explained.", "map", ge=2)
    width: int = key("Channels of the network's first convolution.", "count", ge=1)
    epochs: int = key("Passes of the network over the training maps.", "count", ge=1)
    sharpness: Distinct[float] = key(
        "Sharpness of the groups of sum-of-parts models, one model each.", min_length=1
    )
    parts_training: int = key("Training maps of the sum-of-parts model.", "map", ge=64)
    parts_epochs: int = key("Its passes over them.", "count", ge=1)


class Theorem(Section):
    """Errors of the best attribution of single features."""

    features: int = key("Largest number of features.", "count", ge=2, le=20)
    program_features: int = key(
        "Largest number for which the linear program is solved as well.",
        "count",
        ge=2,
        le=16,
    )


class Chapter(Section):
    """Which structures a network reads: sum-of-parts, voids and clusters (You et al. 2023)."""

    data_set: Literal["noiseless", "noisy"] = key("Maps: without or with shape noise.")
    rebin: int = key(
        "Pixels along a side that are averaged to one: 128 pixels by 2 come close to the "
        "published 66.",
        "pixel",
        ge=1,
    )
    network: Network
    segments: Segments
    model: Model
    structures: Structures
    baselines: Baselines
    planted: Planted
    theorem: Theorem

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        side = config.maps.pixels // self.rebin
        if side < MINIMUM_PIXELS:
            yield (
                "you2023.rebin",
                f"got {self.rebin}, which leaves maps of {side} pixels; the network needs "
                f"{MINIMUM_PIXELS}: rebin less",
            )
        if self.model.training > config.maps.training:
            yield (
                "you2023.model.training",
                f"got {self.model.training}, more than the {config.maps.training} training maps of "
                "a cosmology (maps.training)",
            )
        if max(self.planted.parts_training, self.model.batch) > self.planted.training:
            yield (
                "you2023.planted.parts_training",
                f"got {self.planted.parts_training}, more than the {self.planted.training} planted "
                "maps (you2023.planted.training)",
            )
        yield from labels.check("you2023.baselines.methods", self.baselines.methods, enlarged=True)
        if not all(0 < area <= 100 for area in self.baselines.mask_areas):
            yield (
                "you2023.baselines.mask_areas",
                f"got {self.baselines.mask_areas}; give shares of the map above 0 and up to 100",
            )
        if self.baselines.readout_training > config.maps.training:
            yield (
                "you2023.baselines.readout_training",
                f"got {self.baselines.readout_training}, more than the {config.maps.training} "
                "training maps of a cosmology (maps.training)",
            )


# ---- what the jobs do ----------------------------------------------------------------------------


def _group_pixels(config: Any) -> float:
    """Pixels of a rebinned map over those of the default tier."""
    return costs.pixels(config) * (2 / config.you2023.rebin) ** 2


def _group_cost(config: Any) -> float:
    """Cost of a pass through the explained network over that of the default tier."""
    return _group_pixels(config) * costs.width(config.you2023.network.width, 8)


@costs.of("theorem", common=True)
def _theorem(config: Any) -> Work:
    features = config.you2023.theorem.program_features
    return Work(1, {"program": 4 ** (features - 12)}, accelerated=False)


@costs.of("train_group_network")
def _train_group_network(config: Any) -> Work:
    section = config.you2023.network
    passes = costs.epochs(config, section) * costs.of_each(config, "training")
    held = costs.held(config, "training", "testing")
    return Work(section.networks, {"pass": passes * _group_cost(config), "held": held})


@costs.of("train_sum_of_parts")
def _train_sum_of_parts(config: Any) -> Work:
    groups = config.you2023
    section = groups.model
    maps = section.training * config.cosmology.number
    cost = maps * _group_cost(config)
    units = {
        "segmented_map": maps * _group_pixels(config),
        "segment": cost * groups.segments.most,
        "trained_group": cost * costs.epochs(config, section) * section.sampled_groups,
        "held": costs.held(config, "training"),
        "pixels_held": _group_pixels(config),
    }
    return Work(groups.network.networks, units)


@costs.of("planted_structures", common=True)
def _planted_structures(config: Any) -> Work:
    section, baselines = config.you2023.planted, config.you2023.baselines
    width = costs.width(section.width, 8)
    trained = section.parts_training * section.parts_epochs * len(section.sharpness)
    units = {
        "pass": section.training * section.epochs * width,
        "trained_group": trained * config.you2023.model.sampled_groups * width,
        "sample": section.testing * baselines.samples * width,
    }
    return Work(1, units)


@costs.of("explain_groups")
def _explain_groups(config: Any) -> Work:
    groups = config.you2023
    maps = groups.structures.maps * config.cosmology.number
    masks = maps * groups.segments.most * (1 + len(groups.model.generator_sharpness))
    units = {
        "group": masks * groups.network.networks * _group_cost(config),
        "mask": masks * _group_pixels(config),
        "held": costs.held(config, "testing"),
    }
    return Work(1, units)


@costs.of("compare_attributions")
def _compare_attributions(config: Any) -> Work:
    groups = config.you2023
    section = groups.baselines
    each = config.cosmology.number * _group_cost(config)
    attributed = each * (section.maps + section.readout_training)
    methods = len(section.methods) + 2
    units = {
        "sample": attributed * section.samples,
        "gradient": attributed * section.path_nodes,
        "test": each * section.maps * methods * (section.steps + 10)
        + attributed * methods * len(section.mask_areas),
        "held": costs.held(config, "training", "testing"),
    }
    return Work(groups.network.networks, units)

"""What the config says of the networks that more than one chapter uses."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope import costs
from kappascope.costs import Work
from kappascope.networks.registry import ARCHITECTURES
from kappascope.sections import Problem, Section, key

MINIMUM_PIXELS_VALID = 348  # receptive field of the 18 convolutions without padding


def check_padding(padding: str, pixels: int) -> Iterator[Problem]:
    """Yield a problem where 18 convolutions leave nothing of a map."""
    if padding == "VALID" and pixels < MINIMUM_PIXELS_VALID:
        yield (
            "network.padding",
            f"got VALID with maps of {pixels} pixels, which shrink to nothing in 18 convolutions; "
            f"use SAME, or maps.pixels of at least {MINIMUM_PIXELS_VALID}",
        )


class Regressor(Section):
    """The network of Ribli et al. (2019): 18 convolutions, 6 average poolings, and its training."""

    architecture: str = key(
        "Which network: the 18 convolutions of Matilla et al. (2020), ResNet-18 (He et al. 2016), "
        "or the CosmoGrid network of You et al. (2023).",
        choices=ARCHITECTURES.names(own=True),
    )
    width: int = key(
        "Channels of the first block; later blocks scale with it. 32 in the paper.",
        "channel",
        ge=1,
    )
    padding: Literal["SAME", "VALID"] = key(
        "SAME keeps the size in each convolution; VALID, as published, needs maps of at least "
        "348 pixels.",
    )
    networks: int = key(
        "Networks to train on each data set, from different random starts; 3 or more give "
        "Table I its error from training.",
        "count",
        ge=1,
    )
    epochs: int = key("Passes over the training maps.", "epoch", ge=1)
    batch: int = key("Maps of one optimiser step.", "map", ge=2)
    peak_learning_rate: float = key("Highest learning rate.", gt=0, le=10)
    schedule: Literal["one_cycle", "steps"] = key(
        "one_cycle: up to the peak rate and down again; steps: start at the peak rate and "
        "divide it by ten at epochs 10 and 20, as the code released with Ribli et al. (2019) "
        "does.",
    )
    momentum: float = key("Nesterov momentum of the stochastic gradient descent.", ge=0, lt=1)
    kernel_l2: float = key("Weight of the squared convolution kernels in the loss.", ge=0)
    batch_norm_momentum: float = key(
        "Share of the running mean and variance that each step keeps.",
        ge=0,
        lt=1,
    )
    output_bias: Literal["mean", "zero"] = key(
        "What the outputs' biases start from: the targets' mean, which saves steps, or zero.",
    )
    held_out_maps: int = key(
        "Testing maps whose error the learning curve shows; only looked at, nothing is chosen "
        "by it.",
        "map",
        ge=1,
    )
    checkpoint_every_seconds: float = key(
        "Time between checkpoints; a killed training resumes at the last one and gives the "
        "same weights. Changes no result.",
        "s",
        ge=0,
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from ARCHITECTURES.check("network.architecture", self.architecture)
        maps = config.maps
        if self.architecture == "convergence_cnn":
            yield from check_padding(self.padding, maps.pixels)
        total = maps.training * config.cosmology.number
        if self.batch > total:
            yield (
                "network.batch",
                f"got {self.batch}, more than the {total} training maps; lower it",
            )


class Digits(Section):
    """Networks that read digits, and how digits are divided."""

    training_percent: float = key(
        "Share of the digits for the basis and for own networks; the rest are for testing.",
        "%",
        gt=0,
        lt=100,
    )
    networks: int = key("Own networks beside the released one.", "count", ge=1)
    epochs: int = key("Passes over the digits.", "epoch", ge=1)
    batch: int = key("Digits a step.", "count", ge=1)
    learning_rate: float = key("Of Adam, at the start.", gt=0)


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("train_network")
def _train_network(config: Any) -> Work:
    section = config.network
    return Work(len(config.data_sets) * section.networks, costs.training(config, section, 8))


@costs.of("predict")
def _predict(config: Any) -> Work:
    section = config.network
    cost = section.networks * costs.pixels(config) * costs.width(section.width, 8)
    return Work(len(config.data_sets), {"map": costs.judged_maps(config) * cost})

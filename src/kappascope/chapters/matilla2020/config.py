"""What the config says of Matilla et al. (2020)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from kappascope import costs
from kappascope.attribution import labels
from kappascope.costs import Work
from kappascope.faithfulness.config import KnownAnswers
from kappascope.networks.learning import LABELS
from kappascope.sections import Distinct, Problem, Section, key


class Constraints(Section):
    """From statistics and network outputs to credible areas."""

    likelihood: Literal["gaussian", "sellentin_heavens"] = key(
        "gaussian with the debiased precision matrix, as in the paper; sellentin_heavens: the "
        "t-distribution that an estimated covariance calls for.",
    )
    grid: int = key(
        "Points along each parameter of the grid on which the posterior is evaluated.",
        "count",
        ge=20,
    )
    sky_deg2: float | None = key(
        "Sky area that contours are for, by as many maps as make it up: 12.25 as in the paper. "
        "null: that of one map, which stands beside it in any case.",
        "deg2",
        gt=0,
    )
    bootstrap: int = key("Resamplings of the simulations behind each error bar.", "count", ge=2)
    mcmc_steps: int = key(
        "Steps of each emcee walker in the cross-check of the areas.",
        "step",
        ge=10,
    )
    mcmc_walkers: int = key("Walkers of the cross-check; even.", "count", ge=4, multiple_of=2)


class Information(Section):
    """What networks and statistics lose without parts of the maps."""

    maps: int = key("Testing maps of each cosmology whose parts are replaced.", "map", ge=4)
    covariance: int = key("Maps of the fiducial cosmology behind the covariance.", "map", ge=4)
    grid: int = key(
        "Points along each parameter of the grid on which the posterior is evaluated.",
        "count",
        ge=20,
    )
    bootstrap: int = key("Resamplings of the simulations behind each error bar.", "count", ge=2)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        if self.covariance <= config.statistics.bins + 2:
            yield (
                "matilla2020.information.covariance",
                f"{self.covariance} maps cannot fix the covariance of statistics.bins: "
                f"{config.statistics.bins} numbers; take more than {config.statistics.bins + 2}",
            )


FEWEST_PIXELS = 7
"""A side of the window of structural similarity."""


class Saliency(Section):
    """Which pixels count: saliency maps, the randomization test, relevance by convergence."""

    methods: Distinct[str] = key(
        "Attribution methods under test, in the order of Figure 4; names from kappascope "
        "attribute --list. The default is the paper's seven with the conventions of its "
        "library, and two that it only looked at.",
        min_length=1,
    )
    path_nodes: int = key(
        "Points on the path of integrated gradients in the tests, each as costly as a gradient.",
        "count",
        ge=1,
    )
    smoothgrad_samples: int = key(
        "Noisy copies that SmoothGrad averages in the tests, each as costly as a gradient.",
        "count",
        ge=1,
    )
    maps: int = key("Maps of the fiducial cosmology behind Table II.", "map", ge=1)
    repeats: int = key(
        "Draws of new weights for all layers behind Table II, for each network.", "count", ge=1
    )
    curve_maps: int = key(
        "Maps behind the curves that follow the layers, and behind the sensitivity figure.",
        "map",
        ge=1,
    )
    curve_repeats: int = key(
        "Draws of new weights behind the curves; 0 where none are drawn, as in null runs.",
        "count",
        ge=0,
    )
    batch_norm_statistics: Literal["initial", "estimated"] = key(
        "Running mean and variance of batch normalization in layers drawn anew: estimated "
        "from the maps, or initial (0 and 1), with which relevance fades by many orders of "
        "magnitude.",
    )
    border_pixels: int = key(
        "Pixels along each edge that are left out before maps are compared: where a network pads, "
        "what its maps have in common there is the padding.",
        "pixel",
        ge=0,
    )
    kendall_shifts: int = key(
        "Circular shifts behind the permutation p-value of Kendall's tau; Pearson and "
        "Spearman use all shifts.",
        "count",
        ge=19,
    )
    patch_pixels: int = key(
        "Side of the patch shown in Figure 4; the whole map where that is smaller.",
        "pixel",
        ge=8,
    )
    betas: Distinct[Annotated[float, Field(ge=0)]] = key(
        "Values of beta, with alpha = 1 + beta, of the sensitivity figure; alpha = beta = 1, "
        "as the paper prints, would annihilate relevance.",
        min_length=1,
    )
    epsilons: Distinct[Annotated[float, Field(gt=0)]] = key(
        "Values of epsilon of the sensitivity figure.",
        min_length=1,
    )
    relevance_maps: int = key("Testing maps of each cosmology behind Figures 5 and 6.", "map", ge=1)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from labels.check("matilla2020.saliency.methods", self.methods)
        if not self.curve_repeats and config.learns == LABELS:
            yield (
                "matilla2020.saliency.curve_repeats",
                "0 leaves nothing for the figure of the randomization test; take at least 1",
            )
        most = (config.maps.pixels - FEWEST_PIXELS) // 2
        if self.border_pixels > most:
            yield (
                "matilla2020.saliency.border_pixels",
                f"{self.border_pixels} leaves less than {FEWEST_PIXELS} of maps of "
                f"{config.maps.pixels} pixels to compare; take at most {max(most, 0)}",
            )


class Chapter(Section):
    """Does a network know more than statistics, and which pixels count? (Matilla et al. 2020)."""

    constraints: Constraints
    saliency: Saliency
    information: Information
    known_answers: KnownAnswers


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("constrain")
def _constrain(config: Any) -> Work:
    section = config.matilla2020.constraints
    units = {
        "posterior": section.grid**2 * section.bootstrap,
        "step": section.mcmc_steps * section.mcmc_walkers,
    }
    return Work(len(config.data_sets), units, accelerated=False)


@costs.of("emulator_checks")
def _emulator_checks(config: Any) -> Work:
    section = config.matilla2020.constraints
    units = {"posterior": section.grid**2, "cosmology": config.cosmology.number}
    return Work(1, units, accelerated=False)


@costs.of("published_network", common=True)
def _published_network(config: Any) -> Work:
    return Work(1, {"posterior": config.matilla2020.constraints.grid**2}, accelerated=False)


@costs.of("randomize")
def _randomize(config: Any) -> Work:
    section = config.matilla2020.saliency
    gradients = costs.gradients(config, section.methods, section)
    stages = 2 * 19 * section.curve_maps * section.curve_repeats
    explained = section.maps * (1 + section.repeats) + stages
    shifted = section.maps * section.repeats * section.kendall_shifts
    units = {
        "gradient": explained * gradients * costs.explaining(config),
        "shift": shifted * len(section.methods) * config.network.networks,
        "pixels_held": costs.pixels(config),
    }
    return Work(len(config.data_sets), units)


@costs.of("relevance")
def _relevance(config: Any) -> Work:
    section = config.matilla2020.saliency
    maps = config.cosmology.number * section.relevance_maps
    units = {"gradient": maps * costs.explaining(config), "pixels_held": costs.pixels(config)}
    return Work(len(config.data_sets), units)


@costs.of("information")
def _information(config: Any) -> Work:
    section = config.matilla2020.information
    if config.learns != LABELS:
        return Work(0, {})  # no claim asks for it, so that null runs do not make it
    maps = config.cosmology.number * section.maps + section.covariance
    readers = len(config.statistics.names) + config.network.networks
    units = {
        "map": 16 * maps * costs.pixels(config),
        "posterior": 16 * readers * section.grid**2,
        "pixels_held": maps * costs.pixels(config),
    }
    return Work(len(config.data_sets), units)


@costs.of("known_answers", common=True)
def _known_answers(config: Any) -> Work:
    section = config.matilla2020.known_answers
    pixels = (section.pixels / 32) ** 2
    maps = section.networks * section.epochs * section.training
    units = {
        "pass": maps * pixels * costs.width(section.width, 8),
        "held": costs.held(config, "training", "testing"),
        "pixels_held": pixels,
    }
    return Work(5, units)


@costs.of("judge_methods", common=True)
def _judge_methods(config: Any) -> Work:
    section, saliency = config.matilla2020.known_answers, config.matilla2020.saliency
    gradients = costs.gradients(config, saliency.methods, saliency)
    maps = 5 * section.networks * section.testing
    return Work(1, {"gradient": maps * gradients * (section.pixels / 32) ** 2})

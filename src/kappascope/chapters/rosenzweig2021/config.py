"""What the config says of Rosenzweig et al. (2021)."""

from collections.abc import Iterator
from typing import Any

from kappascope import costs
from kappascope.attribution import labels
from kappascope.costs import Work
from kappascope.sections import Distinct, Problem, Section, key


class Step(Section):
    """Length of a step, of the range of the data."""

    galaxies: float = key(
        "For images of galaxies, whose classes turn within a few per cent of the range.",
        gt=0,
        le=1,
    )
    digits: float = key("For digits.", gt=0, le=1)
    kappa: float = key("For convergence maps.", gt=0, le=1)


class Pairs(Section):
    """Two digits side by side, and whether maps of the two classes separate."""

    training: int = key("Pairs that the network learns from.", "pair", ge=64)
    testing: int = key("Pairs that are drawn for testing.", "pair", ge=4)
    epochs: int = key("Passes over the training pairs.", "epoch", ge=1)
    methods: Distinct[str] = key(
        "Methods beside nonlinear and linear saliency; `kappascope attribute --list` names them.",
        "name",
    )
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from labels.check("rosenzweig2021.pairs.methods", self.methods)


class Photographs(Section):
    """Photographs and an ImageNet classifier, where its weights are among the real inputs."""

    number: int = key("Photographs, in the order of their module.", "image", ge=2, le=9)
    steps: int = key("Steps at each share of blurred pixels.", "count", ge=1)
    step: float = key("Length of a step, of the range of the data.", gt=0, le=1)
    blur_pixels: float = key("Width sigma of the Gaussian that blurs.", "pixel", gt=0)


class Chapter(Section):
    """Nonlinear saliency maps (Rosenzweig et al. 2021)."""

    images: int = key(
        "Testing images of galaxies, a third each of non-lenses, lenses and compound lenses.",
        "image",
        ge=3,
    )
    digits: int = key("Testing digits.", "digit", ge=1)
    examples: int = key("Examples that figures show.", "count", ge=2)
    steps: int = key("Steps at each share of blurred pixels.", "count", ge=1)
    step: Step
    blur_pixels: float = key("Width sigma of the Gaussian that blurs.", "pixel", gt=0)
    kappa_maps: int = key(
        "Convergence maps of the fiducial cosmology whose parameters are moved.",
        "map",
        ge=2,
    )
    pairs: Pairs
    photographs: Photographs


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("nonlinear_saliency")
def _nonlinear_saliency(config: Any) -> Work:
    section = config.rosenzweig2021
    steps = 8 * section.steps
    one_network = costs.explaining(config) / config.network.networks
    units = {
        # Four trajectories of each example, and one for each of five arms.
        "galaxy_step": 9 / 4 * steps * section.images * costs.lens_step(config),
        "digit_step": 9 / 4 * steps * section.digits,
        "kappa_step": steps * section.kappa_maps * one_network,
        "images_held": config.wilde2022.images.testing * costs.lens_pixels(config),
        "galaxies_held": section.images * costs.lens_pixels(config),
        "digits_held": section.digits,
        "pixels_held": costs.pixels(config),
    }
    return Work(1, units)


@costs.of("nonlinear_photographs")
def _nonlinear_photographs(config: Any) -> Work:
    section = config.rosenzweig2021.photographs
    # Nonlinear: two classes and an unlikely one; linear ones cost a third.
    steps = 8 * section.steps * section.number * (3 + 2 / 3)
    return Work(1, {"photograph_step": steps, "held": section.number})


@costs.of("planted_pairs", common=True)
def _planted_pairs(config: Any) -> Work:
    section = config.rosenzweig2021
    units = {
        "pass": section.pairs.training * section.pairs.epochs,
        "digit_step": 8 * section.steps * section.pairs.testing,
    }
    return Work(1, units)

"""What the config says of Rosenzweig et al. (2021)."""

from typing import Any

from kappascope import costs
from kappascope.costs import Work
from kappascope.sections import Section, key


class Step(Section):
    """Length of a step, of the range of the data."""

    galaxies: float = key(
        "For images of galaxies, whose classes turn within a few per cent of the range.",
        gt=0,
        le=1,
    )
    digits: float = key("For digits.", gt=0, le=1)
    kappa: float = key("For convergence maps.", gt=0, le=1)


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


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("nonlinear_saliency")
def _nonlinear_saliency(config: Any) -> Work:
    section = config.rosenzweig2021
    steps = 8 * section.steps
    one_network = costs.explaining(config) / config.network.networks
    units = {
        "galaxy_step": steps * section.images * costs.lens_step(config),
        "digit_step": steps * section.digits,
        "kappa_step": steps * section.kappa_maps * one_network,
        "images_held": config.wilde2022.images.testing * costs.lens_pixels(config),
        "galaxies_held": section.images * costs.lens_pixels(config),
        "digits_held": section.digits,
        "pixels_held": costs.pixels(config),
    }
    return Work(1, units)

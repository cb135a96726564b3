"""What the config says of images of galaxies and the networks that read them."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope.errors import InputError
from kappascope.sections import Distinct, Problem, Range, Section, key
from kappascope.stronglens import surveys


class Images(Section):
    """Simulated images: lenses, what looks like them, and compound lenses."""

    pixels: int = key(
        "Side of the images, a multiple of 8; Wilde et al. have 66.",
        "pixel",
        ge=16,
        multiple_of=8,
    )
    pixel_arcsec: float = key("Side of a pixel, the same in all bands.", "arcsec", gt=0)
    survey: str = key(
        "Bands, pixels, point-spread functions, exposures and sky: a name in config/surveys, or "
        "the path of a YAML file like those.",
        min_length=1,
    )
    bands: Distinct[str] = key(
        "Bands of the survey that networks see, in this order.",
        min_length=2,
    )
    oversampling: int = key(
        "Points along a pixel's side at which light is evaluated.",
        "count",
        ge=1,
    )
    training: int = key("Training images, half of them lenses.", "image", ge=16)
    testing: int = key("Testing images, half of them lenses.", "image", ge=16)
    compound: int = key(
        "Testing images of compound arcs, and as many of double rings.",
        "image",
        ge=4,
    )
    compound_training: int = key(
        "Compound lenses, half of them arcs, that only the network of three classes learns from.",
        "image",
        ge=2,
    )
    reach_arcsec: float = key(
        "Largest distance of the main galaxy from the middle, along each axis.",
        "arcsec",
        ge=0,
    )
    source_magnitudes: Range = key("Range of unlensed sources at 1.085 µm.", "AB mag")
    red_sources: float = key("Share of red sources; the others are blue.", ge=0, le=1)
    compound_sources: Literal["compact", "released"] = key(
        "Sources of compound lenses: compact as all others, or those of Wilde et al.'s released "
        "code, with radii from 0.2 to 7 arcsec.",
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        half = self.pixels * self.pixel_arcsec / 2
        if self.reach_arcsec > half - 1:
            yield (
                "wilde2022.images.reach_arcsec",
                f"got {self.reach_arcsec:g}, but images end {half:g} arcsec from the middle; leave "
                "1 arcsec around the galaxy",
            )
        low, high = self.source_magnitudes
        if not low < high:
            yield (
                "wilde2022.images.source_magnitudes",
                f"got [{low:g}, {high:g}], the first must be the brighter, the smaller number",
            )
        try:
            names = surveys.read(self.survey).names
        except InputError as error:
            yield "wilde2022.images.survey", str(error)
            return
        unknown = [name for name in self.bands if name not in names]
        if unknown:
            yield (
                "wilde2022.images.bands",
                f"got {unknown[0]}; the survey {self.survey} has {', '.join(names)}",
            )
        elif self.bands != sorted(self.bands, key=names.index):
            yield (
                "wilde2022.images.bands",
                f"got [{', '.join(self.bands)}]; give them from blue to red, as {', '.join(names)}",
            )


class Classifiers(Section):
    """Networks of the images."""

    width: int = key("Channels of the first convolution.", "count", ge=1)
    networks: int = key("Lens finders, from different initial weights.", "count", ge=1)
    epochs: int = key("Passes over the training images.", "epoch", ge=1)
    batch: int = key("Images a step.", "image", ge=1)
    learning_rate: float = key("Of Adam, after a tenth of the steps; it falls to zero.", gt=0)

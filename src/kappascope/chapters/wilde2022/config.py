"""What the config says of Wilde et al. (2022)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from kappascope import costs
from kappascope.attribution import labels
from kappascope.costs import Work
from kappascope.errors import shown
from kappascope.files import name_problem
from kappascope.sections import Distinct, Problem, Section, key
from kappascope.stronglens.config import Classifiers, Images

NODES = (  # of architectures.lens_finder: those that have pixels
    *(f"{kind}{number}" for number in (1, 2, 3, 4) for kind in ("conv", "relu")),
    *("pool1", "pool2", "pool4"),
)


class Explanation(Section):
    """What finders look at."""

    methods: Distinct[str] = key(
        "Names from kappascope attribute --list; grad_cam.NODE is enlarged to the images.",
        min_length=1,
    )
    explained: int = key(
        "Testing images to explain: lenses, and half as many non-lenses and compound lenses.",
        "image",
        ge=8,
    )
    probed: int = key("Lenses whose scenes are changed.", "image", ge=4)
    randomized: int = key("Lenses for the randomization test.", "image", ge=2)
    repeats: int = key("Draws of weights in the randomization test.", "count", ge=1)
    dream_steps: int = key("Steps of Deep Dream.", "count", ge=1)


class Cues(Section):
    """Planted cues, and which maps find them."""

    training: int = key("Images that the network learns from.", "image", ge=96)
    testing: int = key("Images, a third of them without a cue.", "image", ge=6)
    epochs: int = key("Passes over the training images.", "epoch", ge=1)
    learning_rate: float = key("Largest learning rate.", gt=0)


class Published(Section):
    """The finders that were released, on our images at their sampling."""

    networks: Distinct[Literal["OU-66", "OU-J", "OU-Y", "OU-H", "OU-JYH", "OU-200", "OU-VIS"]] = (
        key("Released networks, where the real inputs are; OU-66 is explained as well.")
    )
    images: int = key("Images of each kind that they score.", "image", ge=8)


class Chapter(Section):
    """Simulated strong lenses and the networks that find them (Wilde et al. 2022)."""

    images: Images
    networks: Classifiers
    explanation: Explanation
    cues: Cues
    published: Published
    own_images: str | None = key(
        "An npz of images to score beside the real lenses, see docs/how-to/find-lenses.md.",
        "path",
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        own = self.own_images
        if own is not None and not Path(own).is_file():
            yield (
                "wilde2022.own_images",
                f"got {shown(own)}, which is no file here; give an npz as "
                "docs/how-to/find-lenses.md describes it",
            )
        if own is not None and (problem := name_problem(own)):
            yield "wilde2022.own_images", f"got {shown(own)}: {problem}"
        if self.networks.batch > self.images.training:
            yield (
                "wilde2022.networks.batch",
                f"got {self.networks.batch}, more than the {self.images.training} training images; "
                "lower it",
            )
        chosen = self.explanation.methods
        yield from labels.check("wilde2022.explanation.methods", chosen, enlarged=True)
        for name in chosen:
            node = name.partition(".")[2]
            if node and node not in NODES:
                text = f"got {name}; the networks' nodes are {', '.join(NODES)}"
                yield "wilde2022.explanation.methods", text
            window = re.fullmatch(r"occlusion_w(\d+)s(\d+)", name)
            if window and not 0 < int(window[1]) <= self.images.pixels:
                text = f"got {name}, but images have {self.images.pixels} pixels"
                yield "wilde2022.explanation.methods", text


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("simulate_lenses", common=True)
def _simulate_lenses(config: Any) -> Work:
    section = config.wilde2022.images
    number = section.training + section.testing
    number += 2 * section.compound + section.compound_training
    units = {
        "image": number * costs.lens_pixels(config) * (section.oversampling / 3) ** 2,
        "held": number * costs.lens_pixels(config),
    }
    return Work(1, units)


@costs.of("train_lens_network")
def _train_lens_network(config: Any) -> Work:
    images, section = config.wilde2022.images, config.wilde2022.networks
    number = images.training + images.compound_training / 4
    units = {
        "pass": number * costs.epochs(config, section) * costs.lens_step(config),
        "held": number * costs.lens_pixels(config),
    }
    return Work(section.networks + 2, units)


@costs.of("planted_cues", common=True)
def _planted_cues(config: Any) -> Work:
    section = config.wilde2022.cues
    explained = 2 / 3 * section.testing * len(config.wilde2022.explanation.methods)
    units = {
        "pass": section.training * section.epochs * costs.lens_step(config),
        "map": explained * costs.lens_step(config),
        "held": config.wilde2022.images.training * costs.lens_pixels(config),
    }
    return Work(1, units)


@costs.of("find_lenses")
def _find_lenses(config: Any) -> Work:
    images, section = config.wilde2022.images, config.wilde2022.networks
    published = config.wilde2022.published
    number = images.testing + 2 * images.compound
    units = {
        "pass": number * (section.networks + 3) * costs.lens_step(config),
        # Seven kinds, and both of compound lenses once more.
        "published": 9 * published.images * len(published.networks),
        "held": number * costs.lens_pixels(config),
    }
    return Work(1, units)


@costs.of("explain_lenses")
def _explain_lenses(config: Any) -> Work:
    section = config.wilde2022.explanation
    explained = section.explained * 2 + section.randomized * (section.repeats + 1)
    units = {
        "map": explained * len(section.methods) * costs.lens_step(config),
        "dream_step": explained * section.dream_steps * costs.lens_step(config),
        "scene": 16 * section.probed * costs.lens_pixels(config),
        "held": config.wilde2022.images.testing * costs.lens_pixels(config),
    }
    return Work(1, units)

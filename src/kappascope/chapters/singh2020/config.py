"""What the config says of Singh et al. (2020)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from kappascope import costs
from kappascope.attribution import labels
from kappascope.costs import Work
from kappascope.maps.config import MINIMUM_PIXELS_PER_SMOOTHING
from kappascope.networks.config import check_padding
from kappascope.networks.registry import ARCHITECTURES
from kappascope.sections import Distinct, Problem, Section, check_range, key


class Bands(Section):
    """Which scales a κ network reads: frequency bands of its maps (Singh et al. 2020)."""

    architecture: str = key(
        "Network that is trained for it; keys of `network` that this section does not name hold.",
        choices=ARCHITECTURES.names(own=True),
    )
    width: int = key("Channels of its first stage (64 in ResNet-18).", "channel", ge=1)
    epochs: int = key("Passes over the training maps.", "epoch", ge=1)
    networks: int = key(
        "Networks, from other initial weights, whose curves are averaged.",
        "count",
        ge=1,
    )
    peak_learning_rate: float = key("Largest learning rate.", gt=0)
    smoothing_arcmin: float = key(
        "Standard deviation of the Gaussian that smooths the maps; 0 takes them as they are, "
        "as published.",
        "arcmin",
        ge=0,
    )
    maps: int = key("Testing maps of each cosmology that are explained.", "map", ge=1)
    bands: int = key("Frequency bands, their centres evenly spaced.", "count", ge=2)
    band_range: list[Annotated[float, Field(ge=0, le=1.4)]] = key(
        "Centres of the first and the last band.",
        "Nyquist frequency",
        min_length=2,
        max_length=2,
    )
    band_width: float = key("Width of a band.", "Nyquist frequency", gt=0, le=1.4)
    decompositions: Distinct[Literal["cd", "cd_rest", "cd_fair"]] = key(
        "Conventions of contextual decomposition: cd as published, cd_rest with all biases left to "
        "the rest, cd_fair with a ReLU that favours no order.",
        "name",
        min_length=1,
    )
    methods: Distinct[str] = key(
        "Methods beside contextual decomposition; `kappascope attribute --list` names them.",
        "name",
    )
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from check_range("singh2020.bands.band_range", self.band_range)
        yield from labels.check("singh2020.bands.methods", self.methods)
        yield from ARCHITECTURES.check("singh2020.bands.architecture", self.architecture)
        if self.architecture == "convergence_cnn":
            yield from check_padding(config.network.padding, config.maps.pixels)
        smoothing, pixel = self.smoothing_arcmin, config.maps.pixel_arcmin
        if 0 < smoothing < MINIMUM_PIXELS_PER_SMOOTHING * pixel:
            yield (
                "singh2020.bands.smoothing_arcmin",
                f"got {smoothing:g}, {smoothing / pixel:.2f} pixels; use 0 (as they are) or at "
                f"least {MINIMUM_PIXELS_PER_SMOOTHING} pixels",
            )


class PlantedBand(Section):
    """Maps whose target sits in one band of frequencies, and which methods find it."""

    training: int = key("Maps that the network learns from.", "map", ge=64)
    testing: int = key("Maps that are explained.", "map", ge=2)
    width: int = key("Channels of the network's first block.", "channel", ge=1)
    epochs: int = key("Passes over the training maps.", "epoch", ge=1)
    decompositions: Distinct[Literal["cd", "cd_rest", "cd_fair"]] = key(
        "Conventions of contextual decomposition.", "name", min_length=1
    )
    methods: Distinct[str] = key(
        "Methods beside it; `kappascope attribute --list` names them.", "name"
    )
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from labels.check("singh2020.planted_band.methods", self.methods)


class Topics(Section):
    """Which topics make a short statement look fake (Singh et al. 2020, Fig. 2)."""

    topics: int = key("Topics of latent Dirichlet allocation.", "count", ge=2, le=50)
    minimum_documents: int = key("Statements that a word must stand in to count.", "count", ge=1)
    generated_documents: int = key(
        "Documents to make where the real statements are not there.",
        "count",
        ge=100,
    )
    folds: int = key(
        "Parts of the cross-validation; each is judged by networks that did not learn from it.",
        "count",
        ge=2,
    )
    networks: int = key("Networks for each part, whose outputs are averaged.", "count", ge=1)
    hidden: list[Annotated[int, Field(ge=1)]] = key(
        "Units of the two hidden layers.",
        "count",
        min_length=2,
        max_length=2,
    )
    epochs: int = key(
        "Passes over the statements; few, so that none is learned by heart.",
        "epoch",
        ge=1,
    )
    batch: int = key("Statements a step.", "count", ge=1)
    learning_rate: float = key("Of Adam, at the start.", gt=0)


class BasisImages(Section):
    """Which basis images a network of digits reads (Singh et al. 2020, Fig. S3)."""

    components: int = key("Basis images of the non-negative factorization.", "count", ge=1)
    attributed: int = key("Testing digits that scores are averaged over.", "count", ge=2)


class Inputs(Section):
    """What the released code did: inputs of one network."""

    samples: int = key("Inputs of a data set; a quarter is for testing.", "count", ge=4)
    frequency: int | None = key(
        "Planted frequency; null draws one for each data set.",
        "cycles per input",
        ge=1,
    )
    data_sets: int = key("Data sets, each with a network of its own.", "count", ge=1)
    points: int = key("Test inputs explained of each data set.", "count", ge=1)
    learning_rate: float = key("Of stochastic gradient descent, at the start.", gt=0)
    schedule: Literal["constant", "cosine"] = key(
        "Learning rate held, or falling to zero along a cosine.",
    )
    batch: int = key("Inputs a step.", "count", ge=1)
    epochs: int = key("Passes over the training inputs.", "epoch", ge=1)


class PlantedFrequency(Section):
    """Which method finds the one frequency that decides a label (Singh et al. 2020, Table 1)."""

    features: int = key("Size of an input, even.", "count", ge=4, multiple_of=2)
    width: int = key("Units of the hidden layer.", "count", ge=1)
    as_released: Inputs
    as_told: Inputs


class Sounds(Section):
    """Which frequencies a classifier of sounds listens to (Singh et al. 2020, Fig. S2)."""

    source: Literal["generated", "urbansound8k"] = key(
        "Where the sounds come from: tones and chirps made here, whose bands are known, or a "
        "folder of UrbanSound8K.",
    )
    path: str | None = key("Folder of UrbanSound8K.")
    rate_hz: int = key("Samples a second; others are resampled.", "Hz", ge=100)
    seconds: float = key("Length of a clip; others are cut or filled up with silence.", "s", gt=0)
    training: int = key("Clips to learn from, of those made here.", "count", ge=10)
    testing: int = key("Clips to test with, of those made here.", "count", ge=10)
    width: int = key("Channels of the first layer.", "channel", ge=1)
    epochs: int = key("Passes over the clips.", "epoch", ge=1)
    batch: int = key("Clips a step.", "count", ge=1)
    learning_rate: float = key("Of Adam, at the start.", gt=0)
    band_width_hz: float = key("Width of the bands that are scored.", "Hz", gt=0)
    clips: int = key("Most testing clips of a class that are explained.", "count", ge=1)
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)
    methods: Distinct[str] = key(
        "`cd` for contextual decomposition, or methods of `kappascope attribute --list`.",
        min_length=1,
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from labels.check("singh2020.sounds.methods", self.methods, ("cd",))
        if self.source == "urbansound8k" and self.path is None:
            text = "got null, but singh2020.sounds.source is urbansound8k: give its folder"
            yield "singh2020.sounds.path", text


class Dictionary(Section):
    """Learned transformations of convergence (Singh et al. 2020, S4)."""

    data_set: Literal["noiseless", "noisy"] = key("Maps and network: without or with shape noise.")
    training: int = key("Maps to learn from.", "map", ge=2)
    testing: int = key("Maps to judge on, of other simulations.", "map", ge=2)
    path_nodes: int = key("Gradients along the path of integrated gradients.", "count", ge=1)
    tile_pixels: int = key("Side of the tiles that maps are cut into.", "pixel", ge=2)
    atoms: Distinct[Annotated[int, Field(ge=1)]] = key(
        "Sizes of dictionary that are tried; the one with the lowest objective is kept.",
        "count",
        min_length=1,
    )
    steps: int = key("Steps of Adam.", "count", ge=1)
    batch: int = key("Tiles a step.", "count", ge=1)
    learning_rate: float = key("Of Adam.", gt=0)
    reconstruction_weights: Distinct[Annotated[float, Field(gt=0)]] = key(
        "Weights of the reconstruction against the sparsity of codes.",
        min_length=1,
    )
    attribution_weight: float = key(
        "Weight of the sparsity of attributions, where it counts.",
        gt=0,
    )
    bootstrap: int = key("Samples of maps for the errors.", "count", ge=2)


class Chapter(Section):
    """Attribution in transformed spaces, TRIM (Singh et al. 2020)."""

    bands: Bands
    planted_band: PlantedBand
    topics: Topics
    basis_images: BasisImages
    planted_frequency: PlantedFrequency
    sounds: Sounds
    dictionary: Dictionary


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("train_band_network")
def _train_band_network(config: Any) -> Work:
    section = config.singh2020.bands
    return Work(section.networks, costs.training(config, section, 16))


@costs.of("band_curves")
def _band_curves(config: Any) -> Work:
    section = config.singh2020.bands
    maps = section.networks * section.maps * config.cosmology.number
    cost = maps * costs.pixels(config) * costs.width(section.width, 16)
    units = {
        "band": cost * section.bands * len(section.decompositions),
        "gradient": cost * section.path_nodes,
        "pixels_held": costs.pixels(config),
    }
    return Work(1, units)


@costs.of("planted_band", common=True)
def _planted_band(config: Any) -> Work:
    section = config.singh2020.planted_band
    width = costs.width(section.width, 12)
    units = {
        "pass": section.training * section.epochs * width,
        "map": section.testing * width * (len(section.decompositions) + len(section.methods)),
    }
    return Work(1, units)


@costs.of("planted_frequency")
def _planted_frequency(config: Any) -> Work:
    section = config.singh2020.planted_frequency
    variants = (section.as_released, section.as_told)
    passes = (v.data_sets * v.samples * costs.epochs(config, v) for v in variants)
    return Work(1, {"pass": sum(passes)})


@costs.of("topics", common=True)
def _topics(config: Any) -> Work:
    section = config.singh2020.topics
    return Work(1, {"network": section.networks * section.folds}, accelerated=False)


@costs.of("digits")
def _digits(config: Any) -> Work:
    section = config.digits
    units = {
        "epoch": section.networks * costs.epochs(config, section) * section.training_percent / 100,
        "digit": config.singh2020.basis_images.attributed * (section.networks + 1),
    }
    return Work(1, units)


@costs.of("sounds")
def _sounds(config: Any) -> Work:
    section = config.singh2020.sounds
    return Work(1, {"second": section.training * costs.epochs(config, section) * section.seconds})


@costs.of("learn_dictionaries", common=True)
def _learn_dictionaries(config: Any) -> Work:
    section = config.singh2020.dictionary
    searches = len(section.atoms) + 2 * len(section.reconstruction_weights)
    explained = (section.training + section.testing) * section.path_nodes
    units = {
        "tile": searches * section.steps * section.batch,
        "gradient": explained * costs.explaining(config),
    }
    return Work(1, units)

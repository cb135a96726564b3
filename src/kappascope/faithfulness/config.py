"""What the config says of synthetic controls."""

from kappascope.sections import Section, key


class KnownAnswers(Section):
    """Networks whose answer is known: planted signals, permuted labels, noise."""

    pixels: int = key("Side of the patches; the whole map where that is smaller.", "pixel", ge=16)
    training: int = key("Patches to learn from.", "map", ge=16)
    testing: int = key("Patches to explain, from other simulations.", "map", ge=2)
    width: int = key("Channels of the first block of the networks.", "channel", ge=1)
    blocks: int = key("Blocks of the 18-convolution network that are kept.", "count", ge=1, le=6)
    epochs: int = key("Passes over the training patches.", "epoch", ge=1)
    networks: int = key(
        "Networks of each kind, from other initial weights; a verdict needs at least two.",
        "count",
        ge=1,
    )

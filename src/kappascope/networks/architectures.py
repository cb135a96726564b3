"""The networks of the papers as descriptions."""

import math
from collections.abc import Sequence
from typing import Any

from kappascope.errors import InputError
from kappascope.networks.config import Regressor
from kappascope.networks.description import Network
from kappascope.networks.registry import ARCHITECTURES

BLOCKS: tuple[tuple[tuple[int, float], ...], ...] = (
    ((3, 1), (3, 1)),
    ((3, 2), (3, 2)),
    ((3, 4), (1, 2), (3, 4)),
    ((3, 8), (1, 4), (3, 8)),
    ((3, 16), (1, 8), (3, 16)),
    ((3, 16), (1, 8), (3, 16), (1, 8), (3, 16)),
)
"""(window, multiple of the width) of the 18 convolutions, block by block (Ribli et al. 2019)."""


class _Builder:
    """Nodes one after the other, each reading the one before unless told otherwise."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.last = "x"

    def add(self, name: str, kind: str, inputs: list[str] | None = None, **fields: Any) -> str:
        self.nodes.append({"name": name, "kind": kind, "inputs": inputs or [self.last], **fields})
        self.last = name
        return name

    def conv(
        self,
        name: str,
        features: int,
        window: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        margin: tuple[int, int] = (0, 0),
        bias: bool = True,
        inputs: list[str] | None = None,
    ) -> str:
        fields = ("kernel", "bias") if bias else ("kernel",)
        return self.add(
            name,
            "conv",
            inputs,
            features=features,
            window=list(window),
            strides=list(strides),
            padding=[[margin[0]] * 2, [margin[1]] * 2],
            params={field: f"{name}.{field}" for field in fields},
        )

    def batch_norm(self, name: str, eps: float = 1e-5) -> str:
        fields = ("scale", "bias", "mean", "var")
        params = {field: f"{name}.{field}" for field in fields}
        return self.add(name, "batch_norm", eps=eps, params=params)

    def max_pool(
        self, name: str, window: tuple[int, int], strides: tuple[int, int], margin: int = 0
    ) -> str:
        padding = [[margin, margin]] * 2
        return self.add(
            name, "max_pool", window=list(window), strides=list(strides), padding=padding
        )

    def dense(self, name: str, features: int) -> str:
        params = {field: f"{name}.{field}" for field in ("kernel", "bias")}
        return self.add(name, "dense", features=features, params=params)


def convergence_cnn(
    pixels: int, width: int, padding: str, outputs: int = 2, blocks: int = len(BLOCKS)
) -> Network:
    """Return the 18-convolution network of matilla2020 §II.

    Each convolution is followed by batch normalization (but the last) and ReLU; blocks end in 2×2
    average pooling, the last in global average pooling and a dense layer.

    Parameters
    ----------
    pixels : side of the maps.
    width : channels of the first block, 32 in the paper.
    padding : ``VALID`` as published, which needs at least 348 pixels, or ``SAME``.
    blocks : how many of the six blocks to keep; a smaller network for small tasks.

    Raises
    ------
    InputError
        When the maps are too small: the network would average over nothing and return NaN.

    """
    if padding not in ("VALID", "SAME"):
        raise InputError(f"network.padding: got {padding!r}, allowed are VALID and SAME")
    net, side, number = _Builder(), pixels, 0
    kept = BLOCKS[:blocks]
    for index, block in enumerate(kept, start=1):
        for window, multiple in block:
            number += 1
            margin = window // 2 if padding == "SAME" else 0
            side -= 0 if padding == "SAME" else window - 1
            net.conv(
                f"conv{number}", int(width * multiple), (window, window), margin=(margin, margin)
            )
            if number < sum(map(len, kept)):
                net.batch_norm(f"bn{number}", 1e-3)
            net.add(f"relu{number}", "relu")
        if index < blocks:
            nothing = [[0, 0], [0, 0]]
            net.add(f"pool{index}", "avg_pool", window=[2, 2], strides=[2, 2], padding=nothing)
            side = math.floor(side / 2)
    if side < 1:
        least = 348 if padding == "VALID" else 2 ** (blocks - 1)
        raise InputError(
            f"network.padding: {padding} needs maps of at least {least} pixels, got {pixels}; "
            "use SAME or larger maps"
        )
    net.add(f"pool{blocks}", "global_avg_pool")
    net.dense("dense", outputs)
    return Network("convergence_cnn", (pixels, pixels, 1), outputs, tuple(net.nodes))


@ARCHITECTURES.add(
    "convergence_cnn", label="18 convolutions", reference="Ribli et al. 2019, Matilla et al. 2020"
)
def _convergence_cnn(pixels: int, section: Regressor) -> Network:
    return convergence_cnn(pixels, section.width, section.padding)


@ARCHITECTURES.add("resnet18", label="ResNet-18", reference="He et al. 2016")
def _resnet18(pixels: int, section: Regressor) -> Network:
    return resnet18(pixels, section.width, 2)


@ARCHITECTURES.add("cosmogrid_cnn", label="CosmoGrid CNN", reference="You et al. 2023")
def _cosmogrid_cnn(pixels: int, section: Regressor) -> Network:
    return cosmogrid_cnn(pixels, section.width)


def regressor(pixels: int, section: Regressor) -> Network:
    """Return the network that a section of the config asks for, with Ω_m and σ8 out.

    Parameters
    ----------
    pixels : side of the maps as the network sees them.

    """
    return ARCHITECTURES[section.architecture](pixels, section)


def resnet18(pixels: int, width: int, outputs: int) -> Network:
    """Return ResNet-18 for maps of one channel (He et al. 2016; singh2020 section 4).

    Parameters
    ----------
    pixels : side of the maps.
    width : channels of the first stage, 64 as published.

    """
    net = _Builder()
    net.conv("conv1", width, (7, 7), (2, 2), (3, 3), bias=False)
    net.batch_norm("bn1")
    net.add("relu1", "relu")
    net.max_pool("pool1", (3, 3), (2, 2), 1)
    channels = width
    for stage in range(4):
        for block in range(2):
            name, before = f"block{stage + 1}_{block + 1}", net.last
            features, stride = width * 2**stage, 2 if stage and not block else 1
            net.conv(f"{name}.conv1", features, (3, 3), (stride, stride), (1, 1), bias=False)
            net.batch_norm(f"{name}.bn1")
            net.add(f"{name}.relu1", "relu")
            net.conv(f"{name}.conv2", features, (3, 3), (1, 1), (1, 1), bias=False)
            main = net.batch_norm(f"{name}.bn2")
            if features != channels:
                net.conv(
                    f"{name}.shortcut",
                    features,
                    (1, 1),
                    (stride, stride),
                    bias=False,
                    inputs=[before],
                )
                before = net.batch_norm(f"{name}.shortcut_bn")
            net.add(f"{name}.add", "add", [main, before])
            net.add(f"{name}.relu2", "relu")
            channels = features
    net.add("pool2", "global_avg_pool")
    net.dense("dense", outputs)
    return Network("resnet18", (pixels, pixels, 1), outputs, tuple(net.nodes))


def cosmogrid_cnn(pixels: int, width: int, outputs: int = 2) -> Network:
    """Return the network that you2023 explains, for maps of one channel.

    Three 4×4 convolutions with 2×2 max pooling, then four dense layers, the last but one of 2
    ``width``. Unlike the published one it normalizes over batches after convolutions: convergence
    is small, and training without takes many more steps; and ReLU stands for a leaky one (0.01).

    Parameters
    ----------
    pixels : side of the maps, 66 as published.
    width : channels of the first convolution, 16 as published.

    """
    net, side = _Builder(), pixels
    for number in (1, 2, 3):
        net.conv(f"conv{number}", number * width, (4, 4))
        net.batch_norm(f"bn{number}")
        net.add(f"relu{number}", "relu")
        net.max_pool(f"pool{number}", (2, 2), (2, 2))
        side = (side - 3) // 2
    if side < 1:
        raise InputError(
            f"cosmogrid_cnn: the network needs maps of at least 29 pixels, got {pixels}"
        )
    net.add("flatten", "flatten")
    for number, multiple in enumerate((8, 4, 2), start=4):
        net.dense(f"dense{number}", multiple * width)
        net.add(f"relu{number}", "relu")
    net.dense("dense7", outputs)
    return Network("cosmogrid_cnn", (pixels, pixels, 1), outputs, tuple(net.nodes))


def multilayer_perceptron(features: int, hidden: Sequence[int], outputs: int) -> Network:
    """Return dense layers with ReLU between them, for vectors."""
    net = _Builder()
    for number, size in enumerate(hidden, start=1):
        net.dense(f"dense{number}", size)
        net.add(f"relu{number}", "relu")
    net.dense(f"dense{len(hidden) + 1}", outputs)
    return Network("multilayer_perceptron", (features,), outputs, tuple(net.nodes))


def digit_cnn(pixels: int = 28, outputs: int = 10) -> Network:
    """Return a small network for digits: two convolutions, pooling, two dense layers.

    The example network of PyTorch that singh2020 (S3) took, smaller and without dropout.
    """
    net = _Builder()
    for number, features in enumerate((10, 20), start=1):
        net.conv(f"conv{number}", features, (5, 5))
        net.max_pool(f"pool{number}", (2, 2), (2, 2))
        net.add(f"relu{number}", "relu")
    net.add("flatten", "flatten")
    net.dense("dense1", 50)
    net.add("relu3", "relu")
    net.dense("dense2", outputs)
    return Network("digit_cnn", (pixels, pixels, 1), outputs, tuple(net.nodes))


def lenet(pixels: int = 32, outputs: int = 10) -> Network:
    """Return LeNet-5 with ReLU and max pooling, as the released weights of singh2020 have it."""
    net = _Builder()
    for number, features in enumerate((6, 16), start=1):
        net.conv(f"c{number}", features, (5, 5))
        net.add(f"relu{number}", "relu")
        net.max_pool(f"pool{number}", (2, 2), (2, 2))
    net.conv("c3", 120, (5, 5))
    net.add("relu3", "relu")
    net.add("flatten", "flatten")
    net.dense("f4", 84)
    net.add("relu4", "relu")
    net.dense("f5", outputs)
    return Network("lenet", (pixels, pixels, 1), outputs, tuple(net.nodes))


def lens_finder(pixels: int, bands: int, width: int, outputs: int) -> Network:
    """Return a network for images of galaxies in several bands.

    After the OU-66 network of Wilde et al. (2022), smaller: blocks of convolutions with pooling,
    then dense layers; margins of zeros, average in place of maximum pooling, no dropout. The last
    ReLU before the dense layers, ``relu4``, is what Grad-CAM looks at: a quarter of the image's
    resolution.

    Parameters
    ----------
    pixels : side of the images, a multiple of 8.
    width : channels of the first convolution.

    """
    if pixels < 16 or pixels % 8:
        raise InputError(
            f"wilde2022.images.pixels: got {pixels}; the networks need a multiple of 8 from 16"
        )
    net = _Builder()
    for number, (multiple, window, pooled) in enumerate(
        ((1, 5, True), (2, 3, True), (3, 3, False), (3, 3, True)), start=1
    ):
        net.conv(f"conv{number}", multiple * width, (window, window), margin=(window // 2,) * 2)
        net.add(f"relu{number}", "relu")
        if pooled:
            nothing = [[0, 0], [0, 0]]
            net.add(f"pool{number}", "avg_pool", window=[2, 2], strides=[2, 2], padding=nothing)
    net.add("flatten", "flatten")
    net.dense("dense1", 8 * width)
    net.add("relu5", "relu")
    net.dense("dense2", outputs)
    return Network("lens_finder", (pixels, pixels, bands), outputs, tuple(net.nodes))


def waveform_cnn(samples: int, width: int, outputs: int) -> Network:
    """Return a network for series (1, sample, 1): strided convolutions, pooled at the end.

    After M5 (Dai et al. 2017; singh2020 S2): a wide first window, then narrow ones, averaged over
    time at the end; strides in place of pooling and no batch normalization.
    """
    net = _Builder()
    layers = ((width, 81, 4), (width, 5, 4), (2 * width, 5, 4), (4 * width, 5, 4))
    for number, (features, window, stride) in enumerate(layers, start=1):
        net.conv(f"conv{number}", features, (1, window), (1, stride), (0, window // 2))
        net.add(f"relu{number}", "relu")
    net.add("pool", "global_avg_pool")
    net.dense("dense", outputs)
    return Network("waveform_cnn", (1, samples, 1), outputs, tuple(net.nodes))

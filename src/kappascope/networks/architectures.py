"""The networks of the papers as descriptions."""

import math
from typing import Any

from kappascope.errors import InputError
from kappascope.networks.description import Network

BLOCKS: tuple[tuple[tuple[int, float], ...], ...] = (
    ((3, 1), (3, 1)),
    ((3, 2), (3, 2)),
    ((3, 4), (1, 2), (3, 4)),
    ((3, 8), (1, 4), (3, 8)),
    ((3, 16), (1, 8), (3, 16)),
    ((3, 16), (1, 8), (3, 16), (1, 8), (3, 16)),
)
"""(window, multiple of the width) of the 18 convolutions, block by block (Ribli et al. 2019)."""


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
    nodes: list[dict[str, Any]] = []
    previous, side, number = "x", pixels, 0

    def add(name: str, kind: str, **fields: Any) -> None:
        nonlocal previous
        nodes.append({"name": name, "kind": kind, "inputs": [previous], **fields})
        previous = name

    kept = BLOCKS[:blocks]
    for index, block in enumerate(kept, start=1):
        for window, multiple in block:
            number += 1
            margin = window // 2 if padding == "SAME" else 0
            side -= 0 if padding == "SAME" else window - 1
            add(
                f"conv{number}",
                "conv",
                features=int(width * multiple),
                window=[window, window],
                strides=[1, 1],
                padding=[[margin, margin], [margin, margin]],
                params={"kernel": f"conv{number}.kernel", "bias": f"conv{number}.bias"},
            )
            if number < sum(map(len, kept)):
                names = ("scale", "bias", "mean", "var")
                add(
                    f"bn{number}",
                    "batch_norm",
                    eps=1e-3,
                    params={name: f"bn{number}.{name}" for name in names},
                )
            add(f"relu{number}", "relu")
        if index < blocks:
            nothing = [[0, 0], [0, 0]]
            add(f"pool{index}", "avg_pool", window=[2, 2], strides=[2, 2], padding=nothing)
            side = math.floor(side / 2)
    if side < 1:
        least = 348 if padding == "VALID" else 2 ** (blocks - 1)
        raise InputError(
            f"network.padding: {padding} needs maps of at least {least} pixels, got {pixels}; "
            "use SAME or larger maps"
        )
    add(f"pool{blocks}", "global_avg_pool")
    add(
        "dense",
        "dense",
        features=outputs,
        params={"kernel": "dense.kernel", "bias": "dense.bias"},
    )
    return Network("convergence_cnn", (pixels, pixels, 1), outputs, tuple(nodes))

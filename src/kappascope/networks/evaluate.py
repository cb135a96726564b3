"""Apply networks to many inputs, in batches of one size: compiled once, whatever the number."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kappascope.networks.description import Network
from kappascope.networks.module import outputs_of

BATCH = 256
"""Inputs at a time; of a deep network on large maps fewer, :data:`MAPS_AT_ONCE`."""

MAPS_AT_ONCE = 32


def in_batches(values: np.ndarray, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and as many values, the last piece filled up with zeros to ``size``.

    Fewer values than that are one piece, filled up to a power of two: few sizes to compile, and at
    most half of the work for nothing.
    """
    if len(values) < size:
        size = min(size, 1 << (len(values) - 1).bit_length()) if len(values) else size
    for start in range(0, len(values), size):
        piece = values[start : start + size]
        missing = size - len(piece)
        if missing:
            piece = np.pad(piece, [(0, missing), *[(0, 0)] * (values.ndim - 1)])
        yield slice(start, min(start + size, len(values))), piece


def evaluate(
    network: Network, parameters: Mapping[str, Any], x: np.ndarray, batch: int = BATCH
) -> np.ndarray:
    """Return the outputs of a network, in units of its target scale and without softmax.

    Parameters
    ----------
    x : (input, *input_shape), or without the last axis where there is one channel.
    batch : inputs at a time.

    Returns
    -------
    (input, output).

    """
    x = x[..., None] if x.ndim == len(network.input_shape) else x
    outputs = [
        np.asarray(outputs_of(network, parameters, np.asarray(piece, np.float32)))[
            : rows.stop - rows.start
        ]
        for rows, piece in in_batches(x, batch)
    ]
    return np.concatenate(outputs)

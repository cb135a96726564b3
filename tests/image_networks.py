"""Networks over images (y, x) whose answer is known, for tests of attributions."""

import itertools
from typing import Any

import numpy as np

from kappascope.networks.description import Network


def dense_layers(
    pixels: tuple[int, int], *layers: tuple[np.ndarray, np.ndarray]
) -> tuple[Network, dict[str, np.ndarray]]:
    """Return dense layers, with ReLU between them, of a flattened image.

    Parameters
    ----------
    layers : kernel (in, out) and bias (out,) of each.

    """
    nodes: list[dict[str, Any]] = [{"name": "flat", "kind": "flatten", "inputs": ["x"]}]
    parameters = {}
    for number, (kernel, bias) in zip(itertools.count(1), layers, strict=False):
        if number > 1:
            nodes.append({"name": f"relu{number}", "kind": "relu", "inputs": [nodes[-1]["name"]]})
        params = {"kernel": f"w{number}", "bias": f"b{number}"}
        size, source = {"features": kernel.shape[1]}, [nodes[-1]["name"]]
        node = {"name": f"dense{number}", "kind": "dense", "inputs": source}
        nodes.append({**node, **size, "params": params})
        parameters[params["kernel"]] = np.asarray(kernel, np.float32)
        parameters[params["bias"]] = np.asarray(bias, np.float32)
    outputs = layers[-1][0].shape[1]
    return Network("linear", (*pixels, 1), outputs, tuple(nodes)), parameters

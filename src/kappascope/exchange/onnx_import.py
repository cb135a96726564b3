"""A network from an ONNX file."""

from pathlib import Path

from kappascope.exchange import onnx_files, onnx_graph, onnx_operators
from kappascope.networks.description import Network, Parameters

OPERATORS = tuple(sorted(onnx_graph.OPERATORS))
"""Names of the operators that are read."""

__all__ = ["OPERATORS", "onnx_operators", "read"]


def read(path: str | Path, layout: str | None = None) -> tuple[Network, Parameters, list[str]]:
    """Read a network from an ONNX file.

    Parameters
    ----------
    layout : ``nchw``, ``nhwc``, ``ncw``, ``nwc`` of the model's input; None tries them.

    Returns
    -------
    The network, its parameters in float32, and what was done that a user should know.

    Raises
    ------
    InputError
        When the file is not whole, or with the first node that is not supported.

    """
    return onnx_graph.convert(onnx_files.read(Path(path)), layout)

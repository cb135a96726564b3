"""A network from an ONNX file."""

from pathlib import Path

from kappascope.exchange import onnx_files, onnx_graph
from kappascope.exchange import onnx_operators as _operators  # noqa: F401 (they register themselves)
from kappascope.networks.description import Network, Parameters


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

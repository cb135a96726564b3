"""Weights of PyTorch's state dicts, for a network whose description is known.

A ``.pt`` file is a pickle, which can run what it likes. Here its pickle may name a few harmless
things, by a list, and everything else is refused before it is looked up. Weights only.
"""

import collections
import dataclasses
import io
import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.errors import InputError, reason
from kappascope.networks import kinds
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import KINDS

LARGEST_BYTES = 2**31
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclasses.dataclass(frozen=True)
class _Storage:
    kind: str


def _tensor(
    storage: np.ndarray,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *unused: Any,
) -> np.ndarray:
    """Return a view of a storage, as torch._utils._rebuild_tensor_v2 does."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride), default=0) < 0 or (0 not in size and last >= storage.size):
        raise ValueError("a tensor reaches beyond its storage")
    if math.prod(size) * storage.itemsize > LARGEST_BYTES:
        # Strides of zero repeat a value as often as they like.
        raise ValueError(f"a tensor of {math.prod(size):.3g} numbers")
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False).copy()


def _parameter(data: np.ndarray, *unused: Any) -> np.ndarray:
    return data


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): _Storage(kind) for name, kind in _STORAGES.items()},
}


class _Reader(pickle.Unpickler):
    """Reads a state dict's pickle and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the harmless things."""
        if (module, name) not in _ALLOWED:
            raise ValueError(f"it asks for {module}.{name}, which is no weight")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Return a storage."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and isinstance(pid[1], _Storage)):
            raise ValueError("a storage of an unknown form")
        return np.frombuffer(self.archive.read(f"{self.folder}data/{pid[2]}"), pid[1].kind)


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict: name → array, in the file's order.

    Raises
    ------
    InputError
        When the file is no state dict of weights alone.

    """
    advice = "save weights alone: torch.save(model.state_dict(), FILE)"
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            total = sum(entry.file_size for entry in archive.infolist())
            if len(names) != 1:
                raise ValueError("it is no file of torch.save")
            if total > LARGEST_BYTES:
                raise ValueError(f"it unpacks to {total / 2**30:.1f} GiB")
            content = _Reader(archive, names[0].removesuffix("data.pkl")).load()
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except (
        OSError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        NotImplementedError,
        MemoryError,
    ) as error:
        raise InputError(f"{path}: no state dict of weights ({reason(error)}); {advice}") from error
    inner = content.get("state_dict") if isinstance(content, dict) else None
    content = inner if isinstance(inner, dict) else content
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, np.ndarray) for name, value in content.items()
    ):
        raise InputError(f"{path}: no state dict of weights; {advice}")
    return dict(content)


_FIELDS = {
    "weight": "kernel",
    "bias": "bias",
    "running_mean": "mean",
    "running_var": "var",
}


def _modules(weights: Mapping[str, np.ndarray]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield (module, its arrays by our fields), in the file's order."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, value in weights.items():
        module, _, field = name.rpartition(".")
        if field == "num_batches_tracked":
            continue
        if field not in _FIELDS:
            raise InputError(f"weights {name!r} are of no layer known here; use ONNX instead")
        modules.setdefault(module, {})[_FIELDS[field]] = value
    yield from modules.items()


def _turned(node: Mapping[str, Any], field: str, value: np.ndarray) -> np.ndarray:
    """Turn an array from PyTorch's axes to ours."""
    if field != "kernel":
        return value
    if node["kind"] == "dense":
        return value.T if value.ndim == 2 else value
    value = value[:, :, None] if value.ndim == 3 else value
    if value.ndim != 4:
        return value
    return (
        value.transpose(2, 3, 0, 1)
        if node["kind"] == "conv_transpose"
        else value.transpose(2, 3, 1, 0)
    )


def fill(
    network: Network, like: Parameters, weights: Mapping[str, np.ndarray], path: Path
) -> tuple[Parameters, list[str]]:
    """Return a network's parameters from a state dict, layer by layer in order.

    Parameters
    ----------
    like : parameters of the network, for their shapes.

    Returns
    -------
    The parameters, and one line for each layer: which module it took.

    Raises
    ------
    InputError
        When a layer and the module at its place differ in their arrays.

    """
    layers = [node for node in network.nodes if node.get("params")]
    modules = list(_modules(weights))
    if len(layers) != len(modules):
        raise InputError(
            f"{path}: has weights of {len(modules)} layers, the network has {len(layers)}; a "
            "network whose batch normalization was folded at export needs an export with "
            "training=torch.onnx.TrainingMode.PRESERVE"
        )
    parameters: Parameters = {}
    pairs = []
    for node, (module, arrays) in zip(layers, modules, strict=True):
        if KINDS[node["kind"]].role != kinds.AFFINE and "kernel" in arrays:
            arrays = {"scale": arrays.pop("kernel"), **arrays}
        where = f"{path}: module {module!r} for node {node['name']!r}"
        if set(arrays) != set(node["params"]):
            raise InputError(
                f"{where}: it has {', '.join(sorted(arrays))}, the node needs "
                f"{', '.join(sorted(node['params']))}; is this the network's state dict?"
            )
        for field, name in node["params"].items():
            value = _turned(node, field, arrays[field])
            if value.shape != like[name].shape:
                raise InputError(
                    f"{where}: {field} of shape {list(value.shape)}, the node needs "
                    f"{list(like[name].shape)}; is this the network's state dict?"
                )
            if value.dtype.kind != "f" or not np.isfinite(value).all():
                raise InputError(f"{where}: {field} holds NaN, infinity or no real numbers")
            parameters[name] = value.astype(np.float32)
        pairs.append(f"{node['name']} <- {module or 'the network'}")
    return parameters, pairs

"""State dicts: weights go where they belong, and nothing that runs is ever run."""

import collections
import io
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappascope.command_line import main
from kappascope.errors import InputError
from kappascope.exchange import state_dicts
from kappascope.networks import description
from kappascope.networks.description import Network

NONE = [[0, 0], [0, 0]]


class _Storage:
    """Pickled as torch does: by a persistent id."""

    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key, self.values = key, values


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _Storage):
            kind = sys.modules["torch"].FloatStorage
            return ("storage", kind, value.key, "cpu", value.values.size)
        return None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """As much of torch as a state dict's pickle names."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    class FloatStorage:
        __module__, __qualname__ = "torch", "FloatStorage"

    def _rebuild_tensor_v2(*given: Any) -> None:
        raise AssertionError("only ours is called")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    module.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return utils


class _Tensor:
    def __init__(self, values: np.ndarray, storage: _Storage, turned: bool = False) -> None:
        self.values, self.storage, self.turned = values, storage, turned

    def __reduce__(self) -> Any:
        shape = self.values.shape
        strides = tuple(step // 4 for step in np.empty(shape, np.float32).strides)
        if self.turned:
            shape, strides = shape[::-1], strides[::-1]
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, 0, shape, strides, False, collections.OrderedDict())


def saved(path: Path, weights: dict[str, np.ndarray], turned: str = "", **more: Any) -> Path:
    """Write weights as torch.save does."""
    storages = {name: _Storage(str(k), v) for k, (name, v) in enumerate(weights.items())}
    content: Any = collections.OrderedDict(
        (name, _Tensor(v, storages[name], name == turned)) for name, v in weights.items()
    )
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({**more, "state_dict": content} if more else content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        for storage in storages.values():
            data = storage.values.astype("<f4").tobytes()
            archive.writestr(f"archive/data/{storage.key}", data)
    return path


DRAW = np.random.default_rng(3)
WEIGHTS = {
    "features.0.weight": DRAW.normal(size=(4, 1, 3, 3)).astype(np.float32),
    "features.0.bias": DRAW.normal(size=4).astype(np.float32),
    "features.1.weight": DRAW.normal(size=4).astype(np.float32),
    "features.1.bias": DRAW.normal(size=4).astype(np.float32),
    "features.1.running_mean": DRAW.normal(size=4).astype(np.float32),
    "features.1.running_var": DRAW.uniform(1, 2, size=4).astype(np.float32),
    "features.1.num_batches_tracked": np.float32([7]),
    "head.weight": DRAW.normal(size=(2, 4)).astype(np.float32),
    "head.bias": DRAW.normal(size=2).astype(np.float32),
}


@pytest.fixture
def like(tmp_path: Path) -> Path:
    """The network that the weights are of, with other weights."""
    names = {"kernel": "c.k", "bias": "c.b"}
    norm = {field: f"n.{field}" for field in ("scale", "bias", "mean", "var")}
    nodes: tuple[dict[str, Any], ...] = (
        {"name": "c", "kind": "conv", "inputs": ["x"], "strides": [1, 1], "padding": NONE,
         "params": names},
        {"name": "n", "kind": "batch_norm", "inputs": ["c"], "eps": 1e-5, "params": norm},
        {"name": "g", "kind": "global_avg_pool", "inputs": ["n"]},
        {"name": "d", "kind": "dense", "inputs": ["g"], "params": {"kernel": "d.k", "bias": "d.b"}},
    )  # fmt: skip
    ones = {"c.k": (3, 3, 1, 4), "c.b": (4,), "d.k": (4, 2), "d.b": (2,)}
    ones |= dict.fromkeys(norm.values(), (4,))
    network = Network("like", (8, 8, 1), 2, nodes)
    description.save(tmp_path / "like", network, {k: np.ones(v, "f4") for k, v in ones.items()})
    return tmp_path / "like"


def run(*arguments: Any) -> int:
    return main(["import", *map(str, arguments)])


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("more", [{}, {"epoch": 3}])
def test_weights_fill_the_layers_in_order(
    like: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any]
) -> None:
    path = saved(tmp_path / "w.pt", WEIGHTS, **more)
    assert run(path, "--like", like, "-o", tmp_path / "new") == 0
    told = capsys.readouterr().out
    assert "c <- features.0" in told and "n <- features.1" in told and "d <- head" in told
    _, arrays, _ = description.load(tmp_path / "new")
    kernel = WEIGHTS["features.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(arrays["c.k"], kernel)
    np.testing.assert_array_equal(arrays["d.k"], WEIGHTS["head.weight"].T)
    np.testing.assert_array_equal(arrays["n.scale"], WEIGHTS["features.1.weight"])
    np.testing.assert_array_equal(arrays["n.var"], WEIGHTS["features.1.running_var"])


@pytest.mark.usefixtures("torch")
def test_a_tensor_may_be_a_turned_view_of_its_storage(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a.weight": WEIGHTS["head.weight"]}, turned="a.weight")
    (found,) = state_dicts.read(path).values()
    np.testing.assert_array_equal(found, WEIGHTS["head.weight"].T)


class _Runs:
    """What a hostile pickle does: it calls a function when it is read."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> Any:
        return self.function, self.given


@pytest.mark.parametrize("function", [open, __import__, eval, exec, getattr, print])
def test_nothing_that_a_file_names_is_run(function: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    given = {open: (str(victim), "w"), eval: (f"open({str(victim)!r}, 'w')",)}
    given |= {exec: (f"open({str(victim)!r}, 'w')",), __import__: ("antigravity",)}
    content = {"a.weight": _Runs(function, *given.get(function, (victim, "name")))}
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content, 2))
    with pytest.raises(
        InputError, match=r"no state dict of weights .*asks for .*which is no weight"
    ):
        state_dicts.read(tmp_path / "w.pt")
    assert not victim.exists()


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("head.weight"), "module 'head' for node 'd': it has bias, the node"),
        (lambda w: w.update({"more.weight": w["head.weight"]}), "has weights of 4 layers"),
        (lambda w: w.update({"head.weight": w["head.weight"][:, :3]}),
         r"kernel of shape \[3, 2\], the node needs \[4, 2\]"),
        (lambda w: w.update({"head.bias": w["head.bias"] * np.nan}), "bias holds NaN"),
        (lambda w: w.update({"head.weight_g": w["head.bias"]}), "'head.weight_g' are of no layer"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(
    change: Any, told: str, like: Path, tmp_path: Path, refused: Any
) -> None:
    weights = dict(WEIGHTS)
    change(weights)
    refused(told, saved(tmp_path / "w.pt", weights), "--like", like)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all", pickle.dumps({})])
def test_files_that_are_no_state_dict(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth: no state dict of weights") as caught:
        state_dicts.read(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("torch")
def test_storages_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a.weight": WEIGHTS["head.weight"]})
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", b"\0" * 12)
    with pytest.raises(InputError, match="a tensor reaches beyond its storage"):
        state_dicts.read(path)


@pytest.mark.parametrize(
    ("size", "stride", "told"),
    [
        ((10**6, 10**6), (0, 0), "a tensor of 1e\\+12 numbers"),
        ((4,), (-1,), "reaches beyond its storage"),
        ((4, 4), (1, 1), "reaches beyond its storage"),
    ],
)
def test_tensors_that_are_not_in_their_storage(
    size: tuple[int, ...], stride: tuple[int, ...], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        state_dicts._tensor(np.zeros(4, np.float32), 0, size, stride)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("w.pt",), "a state dict says no network; give --like DIR"),
        (("w.bin", "--like", "like"), "ends in .bin; give an ONNX file"),
        (("none.pt", "--like", "like"), "none.pt: not found"),
        (("w.pt", "--like", "like", "--layout", "nchw"), "--layout: only for ONNX"),
    ],
)
@pytest.mark.usefixtures("torch", "like")
def test_arguments_that_do_not_go_together(
    arguments: tuple[str, ...], told: str, tmp_path: Path, refused: Any
) -> None:
    for name in ("w.pt", "w.bin"):
        saved(tmp_path / name, WEIGHTS)
    refused(told, *arguments)

"""Reference models of ONNX, and how ours is held against them."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnxruntime

from kappascope.attribution.methods import attribute
from kappascope.exchange import onnx_export
from kappascope.exchange.onnx_import import read
from kappascope.networks.description import Network, Parameters
from kappascope.networks.kinds import KINDS
from kappascope.networks.module import outputs_of

IMPORTED = (
    "act_all act_elu act_gelu act_gelu_op20 act_gelu_tanh act_leaky act_silu act_softplus act_tanh "
    "avgpool_ceil avgpool_ceil_dynamo batchnorm_dynamo batchnorm_dynamo_raw convnext "
    "convnext_dynamo convnext_op17 dilated_asym external_data flax_cnn groupnorm groupnorm_dynamo "
    "handmade handmade_globalmax inception keras_cnn_tf keras_depthwise mlp_softmax "
    "mlp_softmax_dynamo mobilenet_v2 mobilenet_v2_op11 plain_dynamo plain_dynamo_raw plain_flatten "
    "plain_view pool_avg1 pool_avg1_dynamo pool_avg4 pool_avg4_dynamo pool_max1 pool_max1_dynamo "
    "resnet18_w8 resnet18_w8_bn resnet_small_dynamo senet senet_dynamo two_head unet unet_dynamo "
    "vgg_nobias wave_conv1d"
).split()
QUICK = (
    "plain_dynamo",
    "handmade",
    "senet",
    "keras_cnn_tf",
    "external_data",
    "unet",
    "wave_conv1d",
)
"""Of each trap one; tests/reference has all."""
METHODS = {
    "gradient": "gradient",
    "guided_backprop": "guided_backprop",
    "deep_lift": "captum_deep_lift",
}


def ours(x: np.ndarray, network: Network) -> np.ndarray:
    """Turn a model's own layout to (n, y, x, channel)."""
    if x.shape[1:] == network.input_shape:
        return x
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None]


def worst(values: Any, wanted: np.ndarray) -> float:
    """max |values - wanted| / max |wanted| of the worst input."""
    shape = (len(wanted), -1)
    one, other = (np.asarray(a, float).reshape(shape) for a in (values, wanted))
    size = np.abs(other).max(1)
    return float((np.abs(one - other).max(1) / np.where(size, size, 1)).max())


def run_by_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def check(name: str, models: Path, tmp_path: Path) -> None:
    """Hold outputs and maps of a model against the stored ones, there and back."""
    folder = models / name
    network, parameters, notes = read(folder / "model.onnx")
    x = ours(np.load(folder / "x.npy"), network)
    assert x.shape[1:] == network.input_shape
    assert notes[0].startswith("it reads (n, ")
    assert any("softmax" in note for note in notes) == ("softmax" in name or name == "keras_cnn_tf")
    stored = dict(np.load(folder / "reference.npz"))
    logits = stored.get("logits", stored["onnxruntime"])
    assert worst(outputs_of(network, parameters, x), logits) <= 1e-5
    for kind, method in METHODS.items():
        wanted = [stored[f"{kind}_{k}"] for k in range(2) if f"{kind}_{k}" in stored]
        if wanted:
            maps = attribute(method, (network, parameters), x, list(range(len(wanted))))
            for found, other in zip(maps, wanted, strict=True):
                assert worst(found, ours(other, network)) <= 1e-4
    if "gradient_sum" in stored:
        total = jax.grad(lambda x: outputs_of(network, parameters, x).sum())(x)
        assert worst(total, ours(stored["gradient_sum"], network)) <= 1e-4

    # And back, for another program.
    onnx_export.write(tmp_path / "again.onnx", network, parameters)
    channels_first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    assert worst(run_by_onnxruntime(tmp_path / "again.onnx", channels_first), logits) <= 1e-5
    again: tuple[Network, Parameters, list[str]] = read(tmp_path / "again.onnx")
    assert again[0].input_shape == network.input_shape
    kinds = [[node["kind"] for node in net.nodes] for net in (network, again[0])]
    if not any(KINDS[kind].role in ("selection", "standardization") for kind in kinds[0]):
        assert sorted(kinds[0]) == sorted(k for k in kinds[1] if k != "flatten")

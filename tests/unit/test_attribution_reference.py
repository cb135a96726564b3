"""Attribution maps against zennit, Captum and iNNvestigate on four small networks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from kappascope.attribution import methods, walk
from kappascope.attribution.methods import attribute
from kappascope.networks import description

LRP = ("lrp_0", "lrp_epsilon", "lrp_alpha1beta0", "lrp_alpha2beta1", "lrp_gamma")
LRP += ("lrp_zplus", "lrp_zplus_nobias")
GRADIENTS = ("gradient", "input_x_gradient", "integrated_gradients")
GUIDED = ("guided_backprop", "deconvnet")
INNVESTIGATE = (
    "inn_lrp_epsilon_bn_z",
    "inn_lrp_alpha1beta0_bn_z",
    "inn_lrp_alpha2beta1_bn_z",
    "deep_taylor_folded",
    "deep_taylor_bn_gradient",
    "deep_taylor_bn_identity",
)


def _grad_cam(*nodes: str, guided: bool = True) -> tuple[str, ...]:
    kinds = ("grad_cam", "grad_cam_raw", "guided_grad_cam")[: 3 if guided else 2]
    return tuple(f"{kind}.{node}" for kind in kinds for node in nodes)


MAPS: dict[str, tuple[str, ...]] = {
    "chain": (
        *GRADIENTS,
        *GUIDED,
        "deep_lift",
        *LRP,
        *INNVESTIGATE,
        *_grad_cam("relu3", "relu4"),
        "occlusion_w4s4",
        "occlusion_w6s3",
    ),
    "chain_nobias": (*GRADIENTS, *GUIDED, "deep_lift", *LRP, "deep_taylor"),
    "residual": (
        *GRADIENTS,
        *GUIDED,
        "lrp_epsilon",
        "lrp_alpha1beta0",
        *_grad_cam("block1_relu2", "block2_relu2", guided=False),
    ),
    "mlp": (*GRADIENTS, "deep_lift"),
}
"""Every stored map but those of contextual decomposition and of transformed inputs."""

TOLERANCE = {"float64": 1e-6, "float32": 1e-4}
"""max |ours - theirs| / max |theirs| of the worst map.

In float64 the rules agree to rounding (occlusion to Captum's single precision); 1e-4 is what
jitters of the parameters in the last float32 digit leave of relevance on these networks.
"""

pytestmark = pytest.mark.realdata


@pytest.fixture(params=["float64", "float32"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    with jax.enable_x64(request.param == "float64"):
        yield request.param


def load(folder: Path, precision: str) -> tuple[methods.Model, np.ndarray]:
    network, stored, extra = description.load(folder)
    parameters = {name: value.astype(precision) for name, value in stored.items()}
    return (network, parameters), extra["x"].astype(precision)


def worst(ours: Any, theirs: np.ndarray) -> float:
    """Return max |ours - theirs| / max |theirs|, each (output, batch, ...), of the worst map."""
    axes = tuple(range(2, theirs.ndim))
    error = np.abs(np.asarray(ours, np.float64) - theirs).max(axes)
    return float((error / np.abs(theirs).max(axes)).max())


@pytest.mark.parametrize(("network", "name"), [(n, name) for n in MAPS for name in MAPS[n]])
def test_the_map_is_that_of_the_library(
    reference: Path, precision: str, network: str, name: str
) -> None:
    folder = reference / "attribution" / network
    model, x = load(folder, precision)
    with np.load(folder / "reference.npz") as arrays:
        wanted = arrays[name]
    found = attribute(name, model, x)
    assert found.dtype == precision and found.shape == wanted.shape
    assert worst(found, wanted) < TOLERANCE[precision]


@pytest.mark.parametrize("network", MAPS)
def test_no_stored_map_is_left_out(reference: Path, network: str) -> None:
    stored = json.loads((reference / "attribution" / network / "reference.json").read_text())
    told = {name for name in stored if not name.startswith(("_", "cd.", "trim."))}
    assert told - {"output"} == set(MAPS[network])


@pytest.mark.parametrize("name", ["chain", "residual"])
def test_folded_convolutions_are_those_folded_elsewhere(
    reference: Path, precision: str, name: str
) -> None:
    (network, parameters), _ = load(reference / "attribution" / name, precision)
    folded, found = walk.fold(network, parameters)
    assert "batch_norm" not in {node["kind"] for node in folded.nodes}
    with np.load(reference / "attribution" / name / "folded.npz") as arrays:
        wanted = dict(arrays)
    assert set(wanted) | {"dense.kernel", "dense.bias"} == set(folded.parameter_names) == set(found)
    for key, values in wanted.items():
        rtol = 1e-12 if precision == "float64" else 2e-6
        np.testing.assert_allclose(
            found[key], values, rtol=rtol, atol=rtol * np.abs(values).max(), err_msg=key
        )

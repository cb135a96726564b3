"""Every reference model: outputs, gradients and maps as in the framework that wrote it."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import IMPORTED, QUICK, check, ours, run_by_onnxruntime, worst

from kappascope.command_line import main
from kappascope.errors import InputError
from kappascope.exchange import onnx_export
from kappascope.exchange.onnx_import import read
from kappascope.networks import description
from kappascope.networks.module import outputs_of
from kappascope.workflow import configuration

REFUSED = {
    "keras_avgpool": "puts an axis before the batch.*export with tf2onnx",
    "refuse_attention": "as attention does",
    "refuse_custom_op": "operator Relu of domain 'com.example.unknown'",
    "refuse_external": r"lies in 'model\.onnx\.data', which is not beside it.*external_data=False",
    "refuse_if": "If is control flow",
    "refuse_keras_maxpool": "puts an axis before the batch.*export with tf2onnx",
    "refuse_loop": "Loop is control flow",
    "refuse_random": "not a whole ONNX model",
    "refuse_truncated": "not a whole ONNX model",
    "refuse_two_inputs": r"has 2 inputs \(image, extra\)",
}
pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def models(reference: Path) -> Path:
    return reference / "onnx"


def test_no_reference_model_is_left_out(models: Path) -> None:
    told = {p.parent.name: json.loads(p.read_text())["expect"] for p in models.glob("*/about.json")}
    assert set(told) == {*IMPORTED, *REFUSED}
    assert {name for name, expect in told.items() if expect == "import"} == set(IMPORTED)


@pytest.mark.parametrize("name", QUICK)
def test_outputs_and_maps_are_the_frameworks_own(name: str, models: Path, tmp_path: Path) -> None:
    check(name, models, tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(name: str, models: Path) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        read(models / name / "model.onnx")
    assert "\n" not in str(caught.value) and "model.onnx" in str(caught.value)


PAGE = configuration.ROOT / "docs/how-to/import-networks.md"
STAND_INS = {
    "import torch": "plain_dynamo",
    "import tensorflow": "keras_cnn_tf",
    "jax2onnx": "flax_cnn",
}


def test_the_page_about_imports_is_true(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block is run, from the top; what a framework would write is one of its models."""
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|sh)\n(.*?)```", text, flags=re.S)
    assert text.count("```") == 2 * len(blocks)
    exported = {key: [b for _, b in blocks if key in b] for key in STAND_INS}
    assert all(len(found) == 1 for found in exported.values())
    for stand_in in STAND_INS.values():
        network, parameters, _ = read(models / stand_in / "model.onnx")
        stored = np.load(models / stand_in / "reference.npz")
        x = ours(np.load(models / stand_in / "x.npy"), network)
        logits = stored.get("logits", stored["output"])
        assert worst(outputs_of(network, parameters, x), logits) <= 1e-5
    for name in ("model.onnx", "x.npy"):
        shutil.copy(models / "plain_dynamo" / name, name)
    names: dict[str, Any] = {}
    for language, block in blocks:
        if language == "python" and not any(key in block for key in STAND_INS):
            exec(compile(block, "import-networks.md", "exec"), names)
        for line in block.splitlines() if language == "sh" else ():
            program, *arguments = shlex.split(line)
            assert program == "kappascope"
            if arguments[0] == "export":
                description.save(arguments[1], *read(Path("model.onnx"))[:2])
            if "new.pt" not in arguments:
                assert main(arguments) == 0
    stored = np.load(models / "plain_dynamo" / "reference.npz")
    assert worst(names["outputs"], stored["output"]) <= 1e-5
    assert np.load("relevance.npy").shape == (3, 3, 28, 20, 2)
    assert Path("noisy.onnx").is_file()


def test_published_lens_finders_survive_the_way_there_and_back(
    real_data: Path, tmp_path: Path
) -> None:
    for folder in sorted((real_data / "published_networks" / "wilde2022").iterdir()):
        network, parameters, _ = description.load(folder)
        onnx_export.write(tmp_path / "model.onnx", network, parameters)
        x = np.random.default_rng(1).random((2, *network.input_shape), np.float32)
        wanted = outputs_of(network, parameters, x)
        found = run_by_onnxruntime(tmp_path / "model.onnx", x.transpose(0, 3, 1, 2))
        assert worst(found, np.asarray(wanted)) <= 1e-5
        again = read(tmp_path / "model.onnx")
        assert worst(outputs_of(*again[:2], x), np.asarray(wanted)) <= 1e-5

"""``pip install .`` into an empty environment brings all that commands and a run need."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkouts import ROOT, SMOKE_ALONE, Checkout

pytestmark = pytest.mark.faults

MORE = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment into which the package was installed."""
    place = tmp_path_factory.mktemp("installed")
    source = place / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in MORE:
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    command = [place / "venv/bin/python", "-m", "pip", "install", "--quiet", source]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0 and "CI" not in os.environ and "connection" in ended.stderr.lower():
        pytest.skip("packages cannot be fetched here")
    assert ended.returncode == 0, ended.stderr
    return place / "venv/bin"


def run(installed: Path, folder: Path, *command: str | Path) -> str:
    program = [installed / command[0], *command[1:]]
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        program, cwd=folder, capture_output=True, text=True, check=False, env=surroundings
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_every_command_works(installed: Path, fresh: Checkout, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.random.default_rng(1).normal(0, 0.02, (64, 64)))
    measured = ("kappascope", "measure", "k.npy", "--pixel-arcmin", "0.5", "-o", "k.json")
    run(installed, tmp_path, *measured)
    assert "k.npy" in json.loads((tmp_path / "k.json").read_text())["maps"]
    assert "lrp_epsilon" in run(installed, tmp_path, "kappascope", "attribute", "--list")
    nodes = [
        {"name": "flat", "kind": "flatten", "inputs": ["x"]},
        {"name": "out", "kind": "dense", "inputs": ["flat"], "params": {"kernel": "k"}},
    ]
    network = {"name": "n", "input": {"name": "x", "shape": [64, 64, 1]}, "outputs": 1}
    (tmp_path / "network.json").write_text(json.dumps({**network, "nodes": nodes}))
    np.savez(tmp_path / "network.npz", k=np.ones((4096, 1)))
    for method in ("gradient", "lime_w16", "lrp_composite"):
        explain = ("attribute", "--network", ".", "--method", method, "--inputs", "stack.npy")
        np.save(tmp_path / "stack.npy", np.load(tmp_path / "k.npy")[None])
        run(installed, tmp_path, "kappascope", *explain, "-o", "out.npy")
    # What a tier needs stands in the repository.
    assert "Tier smoke" in run(installed, fresh.root, "kappascope", "doctor", "--tier", "smoke")


def test_a_run_of_statistics_ends(installed: Path, fresh: Checkout) -> None:
    run(installed, fresh.root, "snakemake", "statistics", "--cores", "2", *SMOKE_ALONE)
    assert (fresh.root / "results/smoke/matilla2020/statistics.pdf").is_file()
    # The checkout's own code ran, not what was installed.
    timing = fresh.root / "results/smoke/logs"
    assert list(timing.rglob("*.timing.json"))

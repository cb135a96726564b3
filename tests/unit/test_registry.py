"""Registries: declarations read from source, definitions imported when asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kappascope import registry
from kappascope.attribution.registry import METHODS
from kappascope.errors import InputError
from kappascope.networks.registry import ARCHITECTURES
from kappascope.registry import Registry
from kappascope.statistics.registry import STATISTICS
from kappascope.transforms.registry import TRANSFORMS
from kappascope.workflow import configuration, provenance

MEDIAN = """
import jax.numpy as jnp
import numpy as np
from kappascope.statistics.registry import STATISTICS

@STATISTICS.add(
    "median", label="MED", description="median", units="1", centres=lambda s: np.array([0.5])
)
def median(field):
    return jnp.median(field.map)[None]
"""
HALVED = """
from kappascope.attribution.gradients import IntegratedGradients
from kappascope.attribution.registry import METHODS

METHODS.add("rough_path", label="Rough path", text="Two nodes.")(IntegratedGradients(2))
"""

FLAT = """
from kappascope.networks.architectures import cosmogrid_cnn
from kappascope.networks.registry import ARCHITECTURES

@ARCHITECTURES.add("wide", label="Wide")
def wide(pixels, section):
    return cosmogrid_cnn(pixels, 4 * section.width)
"""

MIRRORED = """
import dataclasses
from kappascope.transforms.registry import TRANSFORMS

@TRANSFORMS.add("mirror", label="Mirror")
@dataclasses.dataclass(frozen=True)
class Mirror:
    def forward(self, x):
        return x[:, ::-1]
    def inverse(self, s):
        return s[:, ::-1]
"""


@pytest.mark.parametrize("of", [STATISTICS, METHODS, ARCHITECTURES, TRANSFORMS])
def test_what_is_declared_is_what_the_modules_define(of: Registry) -> None:
    for name, entry in of.entries().items():
        assert of[name] is not None and name in of
        assert {k: v for k, v in of.given(name).items() if entry.info[k] is not None} == {
            k: v for k, v in entry.info.items() if v is not None
        }
    assert sorted(of._defined) == sorted(of.names())


def test_names_and_labels_are_known_without_jax() -> None:
    code = (
        "import sys\n"
        "from kappascope.attribution.registry import METHODS\n"
        "from kappascope.statistics.registry import STATISTICS\n"
        "assert METHODS.label('lime') == 'LIME' and STATISTICS.label('v0') == 'V0'\n"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_one_line_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"statistic 'peak' is unknown; did you mean peaks\?"):
        STATISTICS["peak"]
    assert STATISTICS.label("peak") == "peak"


def test_a_file_of_the_users_own_is_known_to_command_and_config(tmp_path: Path) -> None:
    """One new file outside the package, and nothing else."""
    texts = {"median": MEDIAN, "rough": HALVED, "wide": FLAT, "mirror": MIRRORED}
    files = [tmp_path / f"{name}.py" for name in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text)
    code = """
import sys
import numpy as np
from kappascope.command_line import main
from kappascope.workflow import configuration
np.save("map.npy", np.random.default_rng(1).normal(0, 0.02, (32, 32)))
ended = main(["measure", "map.npy", "--pixel-arcmin", "1", "--also", "median", "-o", "o.json"])
ended += main(["attribute", "--list"])
from kappascope.networks import description
from kappascope.networks.architectures import lens_finder
from kappascope.networks.classification import initial_parameters
network = lens_finder(32, 1, 2, 2)
maps = np.random.default_rng(2).normal(0, 1, (1, 32, 32, 1))
description.save("net", network, initial_parameters(network, 1, 0), x=maps)
asked = ["attribute", "--network", "net", "--method", "gradient", "--transform"]
ended += main([*asked, "mirror", "-o", "m.npy"]) + main([*asked, "starlet", "-o", "s.npy"])
ended += main([*asked[:-1], "-o", "p.npy"])
mirrored, plain = np.load("m.npy"), np.load("p.npy")
assert np.array_equal(mirrored, plain[:, :, ::-1]) and np.load("s.npy").shape[2] == 5
ended += main([*asked, "mirorr", "-o", "q.npy"]) - 1
config = configuration.load("smoke", overrides={
    "extensions": sys.argv[1:],
    "network": {"architecture": "wide"},
    "statistics": {"beyond": ["median"]},
    "singh2020": {"bands": {"methods": ["rough_path"]}},
})
from kappascope.networks.architectures import regressor
assert regressor(32, config.network).nodes[0]["features"] == 4 * config.network.width
sys.exit(ended)
"""
    given = ":".join(map(str, files))
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)],
        cwd=tmp_path,
        env={**os.environ, registry.EXTENSIONS: given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert '"median"' in (tmp_path / "o.json").read_text() and "rough_path" in ran.stdout


def test_a_missing_or_broken_extension_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"extensions: .*none\.py is no file"):
        configuration.load(overrides={"extensions": [str(tmp_path / "none.py")]})
    (tmp_path / "half.py").write_text("def (")
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path / "half.py"))
    with pytest.raises(InputError, match=r"half\.py: not Python"):
        METHODS.names()


def test_extensions_are_part_of_what_results_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = provenance.source_hash("scripts/measure_statistics.py")
    (tmp_path / "median.py").write_text(MEDIAN)
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path / "median.py"))
    assert provenance.source_hash("scripts/measure_statistics.py") != before

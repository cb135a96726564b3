"""pip's lock, the conda environment and the container recipe install the same versions."""

import importlib.metadata
import re
import subprocess
import sys

import yaml

from kappascope import configuration, doctor

ENVS = configuration.ROOT / "envs"
LOCK = (ENVS / "requirements.lock").read_text(encoding="utf-8")


def pins(text: str) -> set[str]:
    """Pinned packages, with the platforms they are for."""
    found = re.findall(r"[A-Za-z0-9_.-]+==[^\\\n\"]+", text)
    return {" ".join(pin.split()) for pin in found}


def test_conda_lists_the_versions_of_the_lock_and_nothing_else() -> None:
    recipe = yaml.safe_load((ENVS / "environment.yaml").read_text(encoding="utf-8"))
    plain = [entry for entry in recipe["dependencies"] if isinstance(entry, str)]
    assert plain == ["python=3.11", "pip"]
    (listed,) = (entry["pip"] for entry in recipe["dependencies"] if isinstance(entry, dict))
    assert {" ".join(pin.split()) for pin in listed} == pins(LOCK)
    assert len(listed) == len(set(listed)) > 50


def test_the_container_installs_the_lock_itself_on_the_same_python() -> None:
    recipe = (ENVS / "kappascope.def").read_text(encoding="utf-8")
    copied = re.search(r"^ +envs/requirements\.lock +(\S+)$", recipe, flags=re.M)
    assert copied is not None
    installs = re.findall(r"pip install .*", recipe.split("%post")[1])
    assert installs == [f"pip install --no-cache-dir --require-hashes -r {copied[1]}"]
    assert not pins(recipe)
    assert re.search(r"^From: python:3\.11-slim$", recipe, flags=re.M)


def test_the_lock_is_what_runs_here() -> None:
    for name, version in doctor.read_lock().items():
        assert importlib.metadata.version(name) == version, name


def test_recipes_are_those_of_the_lock() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ENVS)!r}); import make_recipes as m; "
        f"print(m.recipe(open({str(ENVS / 'requirements.lock')!r}).read()), end='')"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout == (ENVS / "environment.yaml").read_text(encoding="utf-8")

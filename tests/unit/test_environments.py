"""pip's lock, the conda environment and the container recipe install the same versions."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from kappascope.workflow import configuration, doctor

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


IMPORTED_AS = {"yaml": "PyYAML", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def imported(file):
    """Top-level names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_what_the_code_imports_is_what_the_package_asks_for():
    project = tomllib.loads((configuration.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = {re.split(r"[<>=!~]", one)[0] for one in project["project"]["dependencies"]}
    asked = {name.lower().replace("_", "-") for name in listed}
    for file in (configuration.ROOT / "src").rglob("*.py"):
        for name in imported(file):
            package = IMPORTED_AS.get(name, name).lower().replace("_", "-")
            ours = name == "kappascope" or name in sys.stdlib_module_names
            # Matplotlib brings cycler along.
            assert ours or package in asked | {"cycler"}, f"{file.name}: {name}"
    locked = {line.strip() for line in (ENVS / "requirements.in").read_text().splitlines()}
    names = {re.split(r"[<>=!~ ]", line)[0].lower() for line in locked if line[:1] not in ("#", "")}
    assert asked - {"setuptools"} <= names


@pytest.mark.parametrize("kind", ["plot", "table", "write", "build"])
def test_figures_and_tables_are_made_without_jax(kind):
    scripts = sorted((configuration.ROOT / "scripts").glob(f"{kind}*.py"))
    assert scripts
    code = (
        "import runpy, sys\n"
        "for script in sys.argv[1:]:\n"
        "    runpy.run_path(script, run_name='imported')\n"
        "    assert 'jax' not in sys.modules, script\n"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, scripts)], check=True)


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

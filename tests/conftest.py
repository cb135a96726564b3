"""Shared fixtures: where real inputs and independent reference values lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not path.is_dir():
        message = f"{path} is not there: set {variable} to the folder that holds it"
        if os.environ.get("KAPPASCOPE_REQUIRE_REAL_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real maps and network outputs."""
    return _folder("KAPPASCOPE_REAL_DATA", "realdata")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of values from independent codes."""
    return _folder("KAPPASCOPE_REFERENCE", "reference")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="module")
def quick_compilation() -> Iterator[None]:
    """Let XLA skip most optimizations: small networks take longer to compile than to run."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)

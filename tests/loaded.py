"""Scripts of the workflow as functions."""

import importlib.util
from pathlib import Path
from typing import Any


def script(root: Path, name: str) -> Any:
    """Return the ``main`` of a script."""
    found = importlib.util.spec_from_file_location(name, root / "scripts" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.main

"""What a training needs to go on, in one file that is always whole."""

import sys
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import numpy as np

from kappascope.files import atomic_path


def save(path: Path, content: Any) -> None:
    """Write nested mappings of arrays and numbers in one move."""
    state = flax.serialization.to_state_dict(content)
    encoded = flax.serialization.msgpack_serialize(jax.tree.map(np.asarray, state))
    with atomic_path(path) as scratch:
        scratch.write_bytes(encoded)


def load(path: Path) -> dict[str, Any] | None:
    """Read what :func:`save` wrote; None where there is nothing, or nothing whole."""
    if not path.is_file():
        return None
    try:
        content = flax.serialization.msgpack_restore(path.read_bytes())
        int(content["step"])
    except (ValueError, TypeError, KeyError) as error:
        print(f"{path}: damaged ({error}); training starts over", file=sys.stderr)
        return None
    return dict(content)

"""The registry of transformations that need nothing but a name; listing them needs no JAX."""

from collections.abc import Callable
from typing import Any

from kappascope.registry import Registry

TRANSFORMS: Registry[Callable[[], Any]] = Registry(
    "transform", "kappascope.transforms.*:TRANSFORMS"
)
"""Makers of objects with ``forward`` (inputs to coefficients) and ``inverse``; ``label``."""

"""The registry of networks that read convergence maps; listing them needs no JAX."""

from collections.abc import Callable
from typing import Any

from kappascope.registry import Registry

ARCHITECTURES: Registry[Callable[[int, Any], Any]] = Registry(
    "architecture", "kappascope.networks.*:ARCHITECTURES"
)
"""(pixels of a side, ``network`` of the config) → a network with Ω_m and σ8 out.

``label`` is its name in print, ``reference`` the paper."""

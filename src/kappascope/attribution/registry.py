"""The registry of attribution methods; listing them needs no JAX."""

from typing import Any

from kappascope.registry import Registry

METHODS: Registry[Any] = Registry("method", "kappascope.attribution.*:METHODS", ("text",))
"""Procedures, or what makes them from the parts of a name.

``label`` is what tables and figures call a method, ``text`` its equation, source and what it
conserves. ``pattern`` matches names that hold a node or sizes, and its groups are what makes the
procedure gets. ``budget`` maps fields of the procedure to the config's keys for them, a gradient or
a look at the network each. ``coarse``: has no value for every pixel.
"""

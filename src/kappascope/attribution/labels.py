"""Names of attribution methods as tables and figures print them."""

import re
from collections.abc import Iterator, Sequence

from kappascope.attribution.registry import METHODS
from kappascope.errors import nearest, shown
from kappascope.registry import Entry

DECOMPOSITIONS = {
    "cd": "Contextual decomposition",
    "cd_rest": "CD, biases to the rest",
    "cd_fair": "CD, fair ReLU",
}
"""Conventions of contextual decomposition, which follows a part of the input."""
OTHERS = {
    "sum_of_parts": "Sum of parts",
    **DECOMPOSITIONS,
    "true_gradient": "True gradient",
}
"""Labels of what is compared with methods without being one."""


def declaration(name: str) -> tuple[Entry | None, dict[str, str]]:
    """Return the declaration of a method, and the parts of its name that make it."""
    entries = METHODS.entries()
    for entry in entries.values():
        pattern = entry.info.get("pattern")
        if pattern is None and entry.name == name:
            return entry, {}
        if pattern is not None and (match := re.fullmatch(pattern, name)):
            return entry, match.groupdict()
    return None, {}


def coarse(method: str) -> bool:
    """Return whether a method has a value for each place of a node instead of each pixel."""
    entry, _ = declaration(method)
    return entry is not None and bool(entry.info.get("coarse"))


def family(method: str) -> str:
    """Return what to call a method whatever its node or window: Grad-CAM for grad_cam.relu4."""
    entry, parts = declaration(method)
    return entry.label if entry and parts and "label" in entry.info else label(method)


def label(method: str) -> str:
    """Return what to call a method; a method without a label goes by its own name."""
    return OTHERS.get(method) or METHODS.label(method)


def check(
    key: str, methods: Sequence[str], more: Sequence[str] = (), enlarged: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for names that are no method which gives every pixel a value.

    Parameters
    ----------
    more : further names that are allowed there.
    enlarged : whether maps of Grad-CAM are brought to the images' size there.

    """
    known = (*METHODS.names(), *more)
    for name in methods:
        entry, parts = declaration(name)
        if "stride" in parts and not 0 < int(parts["stride"]) <= int(parts["window"]):
            yield (
                key,
                f"got {name}, whose windows leave pixels out; the stride must be from 1 to "
                f"{parts['window']}",
            )
        everywhere = entry is not None and (enlarged or not entry.info.get("coarse"))
        if not everywhere and name not in more:
            yield (
                key,
                f"got {shown(name)}; kappascope attribute --list has the methods that give every "
                f"pixel a value{nearest(name, known)}",
            )

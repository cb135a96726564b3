"""The registry of figures: what draws a rule's figures, and which they are.

A declaration stands in a chapter's ``figures`` and names the figures it makes by the stems of their
files; rules, documents and tests take them from here, without importing Matplotlib.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kappascope.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Any, Any], Mapping[str, "Figure"]]
"""(inputs by name, spec) → stem of the files → figure."""

FIGURES: Registry[Draw] = Registry("figure", "kappascope.chapters.**:FIGURES")
"""``makes``: stems, with ``{data_set}`` where one is drawn for each, or data set → stem.

``published``: a real input without which it is not drawn, the ``outputs`` of the published network
or the ImageNet ``classifier``. A figure's fingerprint takes its own module alone. One of a user's
own file says what it is drawn from: ``reads``, files below results/{run}/, which come as ``inputs``
in that order.
"""


def stems(data_sets: Sequence[str], without: Collection[str] = ()) -> dict[str, list[str]]:
    """Return chapter → stems of all its figures in a run with these data sets.

    Parameters
    ----------
    without : real inputs that are not at hand.

    """
    by_chapter: dict[str, list[str]] = {}
    for entry in FIGURES.entries(own=True).values():
        if entry.info.get("published") in without:
            continue
        chapter = entry.module.split(".")[2]
        makes = entry.info["makes"]
        if isinstance(makes, dict):
            listed = [makes[name] for name in data_sets if name in makes]
        else:
            filled = [stem.format(data_set=name) for stem in makes for name in data_sets]
            listed = list(dict.fromkeys(filled))
        by_chapter.setdefault(chapter, []).extend(listed)
    return by_chapter

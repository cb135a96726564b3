"""Config sections and specs from plain values, as jobs get them."""

from collections.abc import Mapping
from typing import Any

from kappascope.sections import Section, Spec
from kappascope.workflow.config import sections, spec_of


def section(path: str, /, **values: Any) -> Section:
    """Return the section of that dotted name with only these values."""
    return dict(sections())[path].part(values)


def typed(values: Mapping[str, Any]) -> Spec:
    """Return a spec; a section goes by the last part of its dotted name."""
    paths: dict[str, str] = {}
    for path, _ in sections():
        paths.setdefault(path.rpartition(".")[2], path)
    return spec_of({paths.get(name, name): value for name, value in values.items()})

"""What a section of the config is: typed, immutable, a meaning and a unit for every key.

The models stand beside the code that reads them, in modules called ``config``; their values come
from config/config.yaml and what is laid over it. The models change no number, so these modules are
no part of a result's fingerprint, and hold no computation.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

T = TypeVar("T")
Problem = tuple[str, str]
"""A dotted key, and what is wrong with its value."""


class Section(BaseModel):
    """A part of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield what is wrong with values that are possible each by itself.

        Parameters
        ----------
        config : the whole config.

        """
        yield from ()

    @classmethod
    def part(cls, values: Mapping[str, Any]) -> Self:
        """Return a section of checked values, not all of them: what is missing has no attribute."""
        made = {}
        for name, value in values.items():
            kind = cls.model_fields[name].annotation
            nested = isinstance(kind, type) and issubclass(kind, Section)
            made[name] = kind.part(value) if nested else value  # type: ignore[union-attr]
        return cls.model_construct(**made)


class Spec(SimpleNamespace):
    """What a job depends on: sections by the last part of their names, and plain values."""


def key(meaning: str, unit: str = "none", choices: Sequence[str] = (), **limits: Any) -> Any:
    """Describe a key: a sentence, its unit, and limits as Pydantic calls them (ge, gt, le, lt).

    Parameters
    ----------
    choices : names of a registry, for completion and the reference; ``problems`` checks them, as a
        user's own file may declare more.

    """
    extra: dict[str, Any] = {"unit": unit}
    if choices:
        extra["enum"] = list(choices)
    return Field(description=meaning, json_schema_extra=extra, **limits)


def _distinct(values: list[T]) -> list[T]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("a value stands twice")
    return values


Distinct = Annotated[
    list[T], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})
]
"""A list in which nothing stands twice."""

Range = Annotated[list[float], Field(min_length=2, max_length=2)]
"""Two numbers, the lower one first."""


def check_range(name: str, limits: list[float], what: str = "smaller") -> Iterator[Problem]:
    """Yield a problem unless the first of two numbers is below the second."""
    low, high = limits
    if not low < high:
        yield name, f"got [{low:g}, {high:g}], the first must be the {what}"

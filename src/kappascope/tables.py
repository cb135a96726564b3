"""Tables of results: file, what a row is and columns, declared once beside what fills them.

The declaration is the text that docs/reference/files.md prints and the columns that are written:

    WEIGHTS = Table(
        "you2023/weights.csv",
        "structure × parameter",
        "structure (void, cluster), parameter, weight_percent (mean score), error",
    )
    WEIGHTS.write(path, rows)
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from kappascope.files import write_csv

_COLUMN = re.compile(r"(\w+)((?: .*)?)")


@dataclasses.dataclass(frozen=True)
class Table:
    """One kind of table.

    Attributes
    ----------
    files : where it lies in a run's folder, chapter first; several with commas.
    row : what a row is.
    text : columns in their order, separated by commas; after a name its [unit] or (meaning).

    """

    files: str
    row: str
    text: str

    @property
    def described(self) -> dict[str, str]:
        """Column → its unit and meaning, "" where the name says it."""
        columns = {}
        for part in _split(" ".join(self.text.split())):
            match = _COLUMN.fullmatch(part)
            if match is None or match[1] in columns:
                raise ValueError(f"{self.files}: {part!r} declares no column, or one twice")
            columns[match[1]] = match[2].strip()
        return columns

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns in their order."""
        return tuple(self.described)

    def write(self, path: str | PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows, mappings that have all of the columns, as CSV."""
        write_csv(path, rows, self.columns)


def _split(text: str) -> list[str]:
    """Return what stands between commas, but for commas in brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]

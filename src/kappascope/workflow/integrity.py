"""Checksums of results: written when a job ends, checked when another job reads.

Beside each result a small record under ``results/.kappascope/checksums`` holds the SHA-256 of its
bytes, and, once the run that made it has ended, the size and times it had then. What still has
those is taken as unchanged when a run starts; anything else is hashed again. A job that reads a
result always hashes it, so that a disk that turned a bit is noticed too.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kappascope.errors import InputError
from kappascope.files import write_text

RESULTS = Path("results")
STATE = RESULTS / ".kappascope"
"""What runs remember of themselves: checksums, the claim on the folder, jobs that are running."""

_RECORDS = STATE / "checksums"


@dataclasses.dataclass(frozen=True)
class Record:
    """What is known of one result.

    Attributes
    ----------
    path : the result, relative to the working directory.
    sha256 : of its bytes when it was written.
    seen : modification time [ns] and size when its run had ended, or None before.
    doubted : whether a job found other bytes than were written.

    """

    path: Path
    sha256: str
    seen: tuple[int, int] | None = None
    doubted: bool = False

    @property
    def intact(self) -> bool:
        """Whether the file's bytes are those that were written."""
        return checksum(self.path) == self.sha256

    @property
    def unchanged(self) -> bool:
        """Whether the file looks as it did when its run had ended."""
        return not self.doubted and self.seen is not None and self.seen == _look(self.path)

    def save(self) -> None:
        """Write the record."""
        content = {"sha256": self.sha256, "seen": self.seen, "doubted": self.doubted}
        write_text(_place(self.path), json.dumps(content) + "\n")


def checksum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def record(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Remember the checksums of results that a job has just written."""
    for path in map(Path, paths):
        if _kept(path) and path.is_file():
            Record(path, checksum(path)).save()


def forget(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Drop what is known of results that are about to be written anew."""
    for path in map(Path, paths):
        if _kept(path):
            _place(path).unlink(missing_ok=True)


def check(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Hash the results among ``paths`` and compare.

    Raises
    ------
    InputError
        When one is not what was written. The next run makes it anew (:func:`damaged`).

    """
    for path in map(Path, paths):
        known = known_of(path) if _kept(path) else None
        if known is not None and path.is_file() and not known.intact:
            doubt([path])
            raise InputError(
                f"{path}: damaged: its bytes are not those that were written (checksum); give the "
                "same command again and it is made anew, and nothing else that is whole"
            )


def doubt(paths: Iterable[Path]) -> None:
    """Have the next run look at results again."""
    for path in paths:
        known = known_of(path)
        if known is not None:
            dataclasses.replace(known, doubted=True).save()


def damaged(folders: Iterable[str | os.PathLike[str]]) -> list[Record]:
    """Return the records of results below ``folders`` whose bytes are not those written."""
    changed = []
    for known in records(folders):
        if known.path.is_file() and not known.unchanged:
            if known.intact:
                Record(known.path, known.sha256, _look(known.path)).save()
            else:
                changed.append(known)
    return changed


def remember(folders: Iterable[str | os.PathLike[str]]) -> None:
    """Note how results look now that their run has ended and nothing touches them any more."""
    for known in records(folders):
        look = _look(known.path)
        if look is not None and known.seen is None:
            dataclasses.replace(known, seen=look).save()


def records(folders: Iterable[str | os.PathLike[str]]) -> Iterator[Record]:
    """Yield what is known of results below ``folders``, in order of their names."""
    for folder in folders:
        for file in sorted((_RECORDS / folder).rglob("*.json")):
            known = known_of(file.relative_to(_RECORDS).with_suffix(""))
            if known is not None:
                yield known


def known_of(path: Path) -> Record | None:
    """Return what is known of a result."""
    # A record that is itself damaged says nothing; the file is then as good as unrecorded.
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        content: Any = json.loads(_place(path).read_text(encoding="utf-8"))
        seen = content["seen"]
        look = None if seen is None else (int(seen[0]), int(seen[1]))
        return Record(path, str(content["sha256"]), look, bool(content["doubted"]))
    return None


def _kept(path: Path) -> bool:
    # Checksums are kept of what the workflow makes; users' own files may change as they like.
    return not path.is_absolute() and path.parts[:1] == RESULTS.parts


def _place(path: Path) -> Path:
    return _RECORDS / path.parent / f"{path.name}.json"


def _look(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size

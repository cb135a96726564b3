"""Errors that are the user's to mend, and the words in which they are told."""

import difflib
import json
from collections.abc import Iterable
from typing import Any


class InputError(Exception):
    """A mistake in what the user gave: config key, file, map or option.

    The message is one line that names the file or key, what it got and what to do. Programs
    print it without a traceback and exit with status 1; anything else that is raised is a bug.
    """


def shown(value: Any) -> str:
    """Show a value on one line, short."""
    text = "nothing" if value == "" else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def reason(error: BaseException, longest: int = 200) -> str:
    """Return what an exception says on one line, its kind where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0][:longest]


def nearest(name: str, names: Iterable[str], last: str | None = None) -> str:
    """Return ``; did you mean X?`` with the known name closest to ``name``, or nothing.

    Parameters
    ----------
    last : the last part of a dotted name, looked for at the end of the known ones as well.

    """
    known = list(names)
    for other in known:
        if other.lower() == name.lower():
            return f"; did you mean {other}?"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    if not close and last is not None:
        endings = {other.split(".")[-1]: other for other in reversed(known)}
        close = [endings[e] for e in difflib.get_close_matches(last, endings, n=1, cutoff=0.6)]
    if not close:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""

"""Progress of long work: one bar in a terminal, one line now and then in a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(total: int, label: str, initial: int = 0, unit: str = "it") -> "tqdm[None]":
    """Return a tqdm bar with rate and ETA; in a log it prints a line every 15 seconds at most."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=initial,
        desc=label,
        unit=unit,
        mininterval=0.5 if terminal else 15.0,
        # Without a terminal each refresh becomes a line of its own.
        bar_format=None
        if terminal
        else "{desc}: {n_fmt}/{total_fmt} {rate_fmt} left {remaining}{postfix}\n",
        dynamic_ncols=terminal,
        leave=True,
    )


def track(items: Iterable[T], total: int, label: str, unit: str = "it") -> Iterator[T]:
    """Iterate with a bar."""
    with bar(total, label, unit=unit) as shown:
        for item in items:
            yield item
            shown.update()

"""Progress of long work: one bar in a terminal, one line now and then in a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


class _Bar(tqdm):
    """A bar that says nothing of rate and time left while it cannot know them, nor after the end.

    In a log each refresh is a line of its own.
    """

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the line is made of."""
        known = dict(super().format_dict)
        total, done, elapsed = known["total"], known["n"], known["elapsed"]
        made = done - known["initial"]
        if done < (total or 0) and made > 0 and elapsed > 0:
            rate = known["rate"] or made / elapsed
            left = self.format_interval((total - done) / rate)
            unit = known["unit"]
            pace = f"{rate:.3g} {unit}/s" if rate >= 1 else f"{1 / rate:.3g} s/{unit}"
            known["pace"] = f", {pace}, {left} left"
        else:
            known["pace"] = f" in {self.format_interval(elapsed)}" if made else ""
        return known


def bar(total: int, label: str, initial: int = 0, unit: str = "it") -> "tqdm[None]":
    """Return a tqdm bar with rate and ETA; in a log it prints a line every 15 seconds at most."""
    terminal = sys.stderr.isatty()
    return _Bar(
        total=total,
        initial=initial,
        desc=label,
        unit=unit,
        mininterval=0.5 if terminal else 15.0,
        bar_format=None if terminal else "{desc}: {n_fmt}/{total_fmt}{pace}{postfix}\n",
        dynamic_ncols=terminal,
        leave=True,
    )


def track(items: Iterable[T], total: int, label: str, unit: str = "it") -> Iterator[T]:
    """Iterate with a bar."""
    with bar(total, label, unit=unit) as shown:
        for item in items:
            yield item
            shown.update()

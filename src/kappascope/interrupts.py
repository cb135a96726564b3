"""How a process stops when it is interrupted: always, and in such a way that scratch files go."""

import gc
import signal
from types import FrameType

AGAIN_SECONDS = 0.2


def listen(*numbers: signal.Signals) -> None:
    """Raise KeyboardInterrupt at these signals, until the work has stopped (see ``stopped``)."""
    for number in (*numbers, signal.SIGALRM):
        signal.signal(number, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal.

    Python drops what is raised inside callbacks of its garbage collector, and signals that arrive
    during a long computation often meet the one of JAX: come again until the work has stopped.
    """
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    if not any(getattr(call, "__code__", None) is frame.f_code for call in gc.callbacks if frame):
        raise KeyboardInterrupt


def stopped() -> None:
    """Come no more."""
    signal.setitimer(signal.ITIMER_REAL, 0)

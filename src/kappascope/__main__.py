"""The ``kappascope`` command; ``python -m kappascope`` is the same.

Importing the commands takes a while, and Ctrl-C ends that with one line, too.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from kappascope import interrupts


def main() -> int:
    """Run the command line; return the exit status."""
    interrupts.listen()
    signal.signal(signal.SIGINT, _interrupt)
    try:
        from kappascope import command_line

        status = command_line.main()
        # All is written: Python may end in peace.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return status
    except KeyboardInterrupt:
        _leave()
    finally:
        interrupts.stopped()


def _leave() -> NoReturn:
    """Tell it, and end without what Python and JAX do at their end, which may crash by now."""
    print("kappascope: interrupted", file=sys.stderr, flush=True)
    os._exit(130)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Leave at once while a module is imported, else stop the work.

    A compiled module that is stopped in its set-up may crash or carry on, and no command writes
    while it imports.
    """
    call = frame
    while call:
        if call.f_code.co_filename.startswith("<frozen importlib"):
            _leave()
        call = call.f_back
    interrupts.interrupt(number, frame)


if __name__ == "__main__":
    sys.exit(main())

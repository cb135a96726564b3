"""What every script of the workflow shares: JAX set-up, log file, one-line errors."""

import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import psutil

from kappascope.errors import InputError
from kappascope.files import write_json

Main = Callable[[Any, Any, dict[str, Any]], None]
"""(inputs, outputs, spec) → None: the work of one script."""


class _Tee(io.TextIOBase):
    """Write to the terminal and to the rule's log."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal, self._log = terminal, log

    def write(self, text: str) -> int:
        self._terminal.write(text)
        self._log.write(text)
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()
        self._log.flush()

    def isatty(self) -> bool:
        return False


def run(main: Main, snakemake: Any) -> None:
    """Run ``main`` for a rule; a user's mistake ends in one line and exit status 1.

    Beside the log a ``.timing.json`` says how long the job took to start, to compile and to work.

    Parameters
    ----------
    main : the script's work; gets ``snakemake.input``, ``snakemake.output`` and ``params.spec``.
    snakemake : the object Snakemake gives to scripts.

    """
    spec = dict(snakemake.params.spec)
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = _Tee(sys.stderr, open(log, "w", encoding="utf-8"))
    compiling: Spans = []
    if spec.get("jax"):
        from kappascope import runtime

        cache = os.environ.get("KAPPASCOPE_COMPILATION_CACHE", "results/.compiled")
        runtime.configure(threads=snakemake.threads, cache=cache)
        compiling = _watch_compilation()
    started = time.time()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _interrupt)
    try:
        main(snakemake.input, snakemake.output, spec)
    except InputError as error:
        print(f"kappascope: error in rule {snakemake.rule}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"kappascope: rule {snakemake.rule} was interrupted", file=sys.stderr, flush=True)
        sys.exit(130)
    finally:
        sys.stderr.flush()
    compiled = covered(compiling)
    timing = {
        "rule": snakemake.rule,
        "start_up_seconds": started - psutil.Process().create_time(),
        "compilation_seconds": compiled,
        "work_seconds": time.time() - started - compiled,
    }
    write_json(log.with_suffix(".timing.json"), timing)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop the work in such a way that scratch files are removed.

    Python drops what is raised inside callbacks of its garbage collector, and signals that arrive
    during a long computation often meet the one of JAX: come again until the work has stopped.
    """
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    if not any(getattr(call, "__code__", None) is frame.f_code for call in gc.callbacks if frame):
        raise KeyboardInterrupt


Spans = list[tuple[float, float]]


def _watch_compilation() -> Spans:
    """Collect when JAX traces, lowers and compiles from now on."""
    import jax

    spans: Spans = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith("/jax/core/compile/"):
            now = time.time()
            spans.append((now - duration_secs, now))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return spans


def covered(spans: Spans) -> float:
    """Seconds covered by spans; tracing a function traces those it calls, within its own time."""
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total

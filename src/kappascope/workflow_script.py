"""What every script of the workflow shares: JAX set-up, log file, one-line errors."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from kappascope.errors import InputError

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

    Parameters
    ----------
    main : the script's work; gets ``snakemake.input``, ``snakemake.output`` and ``params.spec``.
    snakemake : the object Snakemake gives to scripts.

    """
    spec = dict(snakemake.params.spec)
    if snakemake.log:
        Path(snakemake.log[0]).parent.mkdir(parents=True, exist_ok=True)
        log = open(snakemake.log[0], "w", encoding="utf-8")
        sys.stderr = _Tee(sys.stderr, log)
    if spec.get("jax"):
        from kappascope import runtime

        cache = os.environ.get("KAPPASCOPE_COMPILATION_CACHE", "results/.compiled")
        runtime.configure(threads=snakemake.threads, cache=cache)
    try:
        main(snakemake.input, snakemake.output, spec)
    except InputError as error:
        print(f"kappascope: error in rule {snakemake.rule}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    finally:
        sys.stderr.flush()

"""What every script of the workflow shares: JAX set-up, log file, one-line errors.

A job leaves a ``.job.json`` beside its log: which script, inputs, outputs and what it depends on.
By hand, ``python scripts/constrain.py --run smoke`` does such a job once more.
"""

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import psutil

from kappascope import interrupts, registry
from kappascope.errors import InputError
from kappascope.files import failure_told, write_json
from kappascope.sections import Spec
from kappascope.workflow import integrity, running
from kappascope.workflow.config import spec_of

Main = Callable[[Any, Any, Spec], None]
"""(inputs, outputs, spec) → None: the work of one script."""


class _Tee(io.TextIOBase):
    """Write to the terminal and to the rule's log."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal, self._log = terminal, log

    def write(self, text: str) -> int:
        self._terminal.write(text)
        # A full disk must not keep its own message from the terminal.
        with contextlib.suppress(OSError):
            self._log.write(text)
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()
        with contextlib.suppress(OSError):
            self._log.flush()

    def isatty(self) -> bool:
        return False


class Files(list[Any]):
    """Paths by place and by name, as Snakemake hands them to scripts."""

    def __init__(self, files: Sequence[str], names: Mapping[str, Any]) -> None:
        super().__init__(files)
        for name, value in names.items():
            setattr(self, name, value)


def run(main: Main) -> None:
    """Run a script's ``main`` for a rule, or by hand; a user's mistake ends in one line.

    Beside the log a ``.timing.json`` says how long the job took to start, to compile and to work,
    and a ``.job.json`` what it was.

    Parameters
    ----------
    main : the script's work; gets ``snakemake.input``, ``snakemake.output`` and
        ``params.spec``, its sections typed.

    """
    script = sys.modules["__main__"]
    snakemake = getattr(script, "snakemake", None)
    if snakemake is None:
        _as_in_a_job()
        with _reporting_errors(Path(str(script.__file__)).stem):
            snakemake = _by_hand(Path(str(script.__file__)).name, sys.argv[1:])
    _run(main, snakemake, Path(str(getattr(script, "__file__", "script"))).name)


ONE_CORE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
"""What the workflow sets to 1 for every job: libraries read it when they are loaded."""


def _as_in_a_job() -> None:
    """Start the script over with the environment that jobs have, unless it has it."""
    if any(name not in os.environ for name in ONE_CORE):
        environment = {**os.environ, **{name: os.environ.get(name, "1") for name in ONE_CORE}}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def _run(main: Main, snakemake: Any, script: str) -> None:
    log = Path(snakemake.log[0])
    with _reporting_errors(snakemake.rule):
        spec = spec_of(snakemake.params.spec)
        sys.stderr = _Tee(sys.stderr, _opened(log))
        note = running.note_job(log, snakemake.rule, snakemake.resources.get("mem_mb"))
    compiling: Spans = []
    interrupts.listen(signal.SIGINT, signal.SIGTERM)
    try:
        with _reporting_errors(snakemake.rule):
            if getattr(spec, "jax", False):
                from kappascope import runtime

                cache = os.environ.get("KAPPASCOPE_COMPILATION_CACHE", "results/.compiled")
                runtime.configure(threads=snakemake.threads, cache=cache)
                compiling = _watch_compilation()
            started = time.time()
            running.settle_times(snakemake.input)
            integrity.check(snakemake.input)
            integrity.forget(snakemake.output)
            main(snakemake.input, snakemake.output, spec)
            integrity.record(snakemake.output)
            running.settle_times()
            _note(snakemake, script, log)
    finally:
        note.unlink(missing_ok=True)
        sys.stderr.flush()
    compiled = covered(compiling)
    timing = {
        "rule": snakemake.rule,
        "start_up_seconds": started - psutil.Process().create_time(),
        "compilation_seconds": compiled,
        "work_seconds": time.time() - started - compiled,
    }
    # Good to know, and not worth a job that has done its work.
    with contextlib.suppress(InputError):
        write_json(log.with_suffix(".timing.json"), timing)


def _note(snakemake: Any, script: str, log: Path) -> None:
    """Keep what a job was, so that it can be done again by hand."""
    content: dict[str, Any] = {"script": script, "rule": snakemake.rule, "log": str(log)}
    for kind in ("input", "output"):
        files = getattr(snakemake, kind)
        named = dict(files.items()) if hasattr(files, "items") else getattr(files, "__dict__", {})
        content[kind] = {
            "files": list(map(str, files)),
            "names": {k: str(v) if isinstance(v, str) else list(v) for k, v in named.items()},
        }
    content["spec"], content["threads"] = dict(snakemake.params.spec), snakemake.threads
    content["extensions"] = list(map(str, registry.extensions()))
    with contextlib.suppress(InputError):
        write_json(log.with_suffix(".job.json"), content)


def _by_hand(script: str, arguments: Sequence[str]) -> Any:
    """Return a job of a run as Snakemake would hand it over."""
    parser = argparse.ArgumentParser(
        prog=f"python scripts/{script}", description="Do a job of a run once more."
    )
    parser.add_argument("--run", required=True, help="name of a run that did it, results/NAME")
    parser.add_argument("--job", help="which, where the run did several: the name of its log")
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="folder for the outputs (default: where they were)"
    )
    given = parser.parse_args(arguments)
    folder = Path("results") / given.run
    if not folder.is_dir():
        raise InputError(f"--run: got {given.run}, but there is no {folder}")
    noted = [*folder.glob("logs/*.job.json")]
    for shared in running.map_folders(folder):
        noted += shared.glob("*.job.json")
    jobs = {}
    for file in sorted(noted):
        with contextlib.suppress(ValueError):
            job = json.loads(file.read_text(encoding="utf-8"))
            if job["script"] == script:
                jobs[file.name.removesuffix(".job.json")] = job
    if not jobs:
        raise InputError(
            f"{folder}: no job of this run used {script}; run the rule once with Snakemake"
        )
    if (given.job is None and len(jobs) > 1) or (given.job is not None and given.job not in jobs):
        raise InputError(f"--job: got {given.job}; this run did {', '.join(jobs)}")
    job = jobs[given.job or next(iter(jobs))]
    registry.use(job["extensions"])
    files = {kind: Files(**job[kind]) for kind in ("input", "output")}
    if "scratch" in job["spec"]:
        # Not the checkpoint of a run that may be going on.
        job["spec"]["scratch"] += "-by-hand"
    if given.into is None:
        running.claim()
    else:
        if given.into.exists() and not given.into.is_dir():
            raise InputError(f"--into: {given.into} is no folder; name one, or a new one")
        given.into.mkdir(parents=True, exist_ok=True)
        made = [Path(name) for name in job["output"]["files"]]
        above = Path(os.path.commonpath([file.parent for file in made]))
        moved = {str(file): str(given.into / file.relative_to(above)) for file in made}
        names = {
            key: moved[value] if isinstance(value, str) else [moved[one] for one in value]
            for key, value in job["output"]["names"].items()
        }
        files["output"] = Files(list(moved.values()), names)
        job["log"] = str(given.into / Path(job["log"]).name)
    return SimpleNamespace(
        **files,
        params=SimpleNamespace(spec=job["spec"]),
        log=[job["log"]],
        rule=job["rule"],
        resources={},
        threads=job["threads"],
    )


@contextlib.contextmanager
def _reporting_errors(rule: str) -> Iterator[None]:
    """Turn what users can do something about into one line and an exit status."""
    try:
        yield
    except InputError as error:
        print(f"kappascope: error in rule {rule}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        interrupts.stopped()
        print(f"kappascope: rule {rule} was interrupted", file=sys.stderr, flush=True)
        sys.exit(130)
    except Exception as error:
        if not _memory_ran_out(error):
            raise
        free = psutil.virtual_memory().available >> 20
        what = (str(error).splitlines() or [type(error).__name__])[0]
        print(
            f"kappascope: error in rule {rule}: memory ran out ({what}); "
            f"{free} MB are free now; use fewer --cores, or --resources mem_mb=MB, or on a cluster "
            "a larger cluster.memory_factor, and give the same command again",
            file=sys.stderr,
            flush=True,
        )
        sys.exit(1)


def _memory_ran_out(error: Exception) -> bool:
    wanting = ("RESOURCE_EXHAUSTED", "Out of memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in wanting)


def _opened(log: Path) -> TextIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return open(log, "w", encoding="utf-8")
    except OSError as error:
        raise failure_told(error, log) from error


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

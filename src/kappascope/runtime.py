"""How JAX runs here: one core a process by default, so that results depend on no thread count.

Independent jobs side by side on a core each are faster than one job on all cores (XLA's CPU
convolutions and scatters scale poorly), and a single-threaded process adds in one order only: the
same bytes for any ``--cores``. On a GPU these settings change nothing.
"""

import contextlib
import ctypes
import hashlib
import os
import platform
from pathlib import Path

from kappascope.errors import InputError

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def configure(
    threads: int = 1, x64: bool = False, cache: str | os.PathLike[str] | None = None
) -> None:
    """Set up JAX for this process; call before JAX computes anything.

    Parameters
    ----------
    threads : CPU threads XLA may use.
    x64 : compute in float64 where arrays are float64.
    cache : folder of the persistent compilation cache, one below it for each kind of CPU; ``None``
        leaves it off.

    Raises
    ------
    InputError
        When JAX finds no device of the kind that JAX_PLATFORMS asks for.

    """
    keep_freed_memory()
    # Read when the first array is made, not when jax is imported: modules may have done that.
    os.environ["NPROC"] = str(threads)  # the size of XLA's CPU thread pool
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        if "xla_cpu_multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    import jax

    jax.config.update("jax_enable_x64", x64)
    if cache is not None:
        place = Path(cache) / kind_of_cpu()
        # Not worth a word where the disk is full: what needs to be written says so itself.
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(place))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts that there is some device
        asked = os.environ.get("JAX_PLATFORMS", "")
        raise InputError(
            f"JAX_PLATFORMS: got {asked!r}, but JAX finds no such device here; unset it, or set "
            "JAX_PLATFORMS=cpu"
        ) from error


def keep_freed_memory() -> None:
    """Let glibc hand freed blocks out again instead of giving each back to the system.

    XLA frees and asks for the same large blocks at every step. By default glibc unmaps blocks of
    more than 32 MB at once, and the system has to clear every page again: a third of the time of a
    training of sum-of-parts models. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None) if os.name == "posix" else None, "mallopt", None)
    # Older glibc refuses the first; the second alone would only make more blocks be unmapped.
    if mallopt and mallopt(M_MMAP_THRESHOLD, 2**30):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def kind_of_cpu() -> str:
    """Name the kind of CPU: compiled code runs only where the same instructions are."""
    known = [platform.machine(), platform.processor()]
    about = Path("/proc/cpuinfo")
    if about.is_file():
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
        words = ("model name", "flags", "Features", "CPU part")
        known += sorted({line for line in lines if line.startswith(words)})
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]


def available_cores() -> int:
    """Return how many cores this process may use."""
    # Not on macOS.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

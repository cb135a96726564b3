"""Time the statistics kernels and set them beside the memory's bandwidth.

Prints one JSON object a line: milliseconds a map by kernel, map size and number of threads (each
number of threads in a process of its own, as XLA fixes its pool at start-up), beside the time it
would take to read and write the arrays of the kernel once at the bandwidth of a plain copy.

    python benchmarks/statistics_kernels.py [--threads 1 2] [--pixels 512 128] [--repeats 9]
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from run import report, seconds_of

BATCH = 32
BYTES = 4  # float32


TARGETS = {("all_five", 512, 2): "≤ 3 (LensTools in C, two processes: 16)"}
"""Milliseconds a map by (kernel, pixels, threads)."""


def _seconds(run: Callable[[], Any], repeats: int) -> list[float]:
    run()  # compiles
    return seconds_of(run, repeats)


def copy_bandwidth(repeats: int, threads: int) -> float:
    """Return bytes a second, read plus written, of a copy that no cache holds."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    sources = [np.ones(2**25, dtype=np.float32) for _ in range(threads)]
    targets = [np.empty_like(source) for source in sources]
    with ThreadPoolExecutor(threads) as pool:
        seconds = _seconds(lambda: list(pool.map(np.copyto, targets, sources)), repeats)
    return 2 * threads * sources[0].nbytes / statistics.median(seconds)


def kernels(pixels: int) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    """Yield name, arrays of one map's size that must be moved at least, and a call on a batch."""
    import jax
    import numpy as np

    from kappascope.maps.smoothing import smooth
    from kappascope.statistics.kernels import minkowski_functionals, peak_counts, power_spectrum
    from kappascope.statistics.measure import _measured
    from kappascope.statistics.registry import PAPER
    from kappascope.statistics.settings import Settings

    noise = np.random.default_rng(1).standard_normal((BATCH, pixels, pixels), dtype=np.float32)
    maps = smooth(0.2 * noise, 2.4)
    pixel_arcmin = 210.0 / 512
    settings = Settings.from_ranges(pixel_arcmin, 20, (100.0, 15000.0), (-0.0235, 0.0704))
    edges, ell_edges = settings.kappa_edges, settings.ell_edges
    calls: dict[str, tuple[float, Callable[[], Any]]] = {
        "smoothing": (2, lambda: smooth(maps, 2.4)),
        "power_spectrum": (1, lambda: power_spectrum(maps, pixel_arcmin, ell_edges)),
        "peaks": (1, lambda: peak_counts(maps, edges)),
        "minkowski_functionals": (1, lambda: minkowski_functionals(maps, edges)),
        "all_five": (1, lambda: _measured(maps, None, PAPER, settings)),
        "smoothing_and_all_five": (1, lambda: _measured(maps, None, PAPER, settings, 2.4)),
    }
    for name, (arrays, call) in calls.items():
        yield name, arrays, lambda call=call: jax.block_until_ready(call())


def measure_here(threads: int, pixel_counts: list[int], repeats: int) -> None:
    """Print the timings of this process."""
    from kappascope.runtime import configure

    configure(threads=threads)
    bandwidth = copy_bandwidth(repeats, threads)
    for pixels in pixel_counts:
        for name, arrays, call in kernels(pixels):
            limit = arrays * pixels**2 * BYTES / bandwidth
            report(
                f"statistics: {name}, {pixels}²",
                "ms/map",
                [1e3 * seconds / BATCH for seconds in _seconds(call, repeats)],
                TARGETS.get((name, pixels, threads)),
                threads=threads,
                batch=BATCH,
                bandwidth_limit=round(limit * 1e3, 4),
                copy_gigabytes_a_second=round(bandwidth / 1e9, 2),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pixels", type=int, nargs="+", default=[512, 128])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure_here(arguments.threads[0], arguments.pixels, arguments.repeats)
        return
    for threads in arguments.threads:
        options = ["--here", "--threads", str(threads), "--repeats", str(arguments.repeats)]
        options += ["--pixels", *map(str, arguments.pixels)]
        subprocess.run([sys.executable, os.path.abspath(__file__), *options], check=True)


if __name__ == "__main__":
    main()

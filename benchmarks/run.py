"""Run all benchmarks, each in processes of its own, and write results/benchmarks.json.

    python benchmarks/run.py [--quick] [--only nbody ...] [--run default] [--output FILE]

A benchmark is a script beside this one that prints one JSON object a line: name, unit, the median,
minimum and maximum of its repeats, and the target where there is one. XLA fixes its number of
threads at start-up, so each number of threads is a process of its own.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUICK = ["--repeats", "1"]
RUNS: dict[str, list[tuple[str, list[str]]]] = {
    "statistics_kernels": [
        ("statistics_kernels.py", ["--threads", "1", "2", "--pixels", "512"]),
    ],
    "nbody": [("nbody.py", ["--threads", "2"]), ("nbody.py", ["--threads", "1"])],
    "light_cones": [
        ("light_cones.py", ["--threads", "1"]),
        ("light_cones.py", ["--threads", "2"]),
    ],
    "training": [
        ("training.py", ["--processes", "1"]),
        ("training.py", ["--processes", "2"]),
    ],
    "attribution": [
        ("attribution.py", ["--threads", "1"]),
        ("attribution.py", ["--threads", "2"]),
    ],
    "transformations": [("transformations.py", ["--threads", "1"])],
    "lenses": [("lenses.py", ["--threads", "1"])],
    "streaming": [("streaming.py", [])],
    "workflow_overhead": [("workflow_overhead.py", [])],
}


def seconds_of(call: Callable[[], Any], repeats: int) -> list[float]:
    """Time ``call``, which must wait for its own result; the caller compiles it beforehand."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def report(
    name: str, unit: str, values: list[float], target: str | None = None, **more: Any
) -> None:
    """Print one figure as a line of JSON.

    Parameters
    ----------
    values : one a repeat, in ``unit``.
    target : what to reach, as text (``≤ 8``).
    more : further plain values, for example ``threads``.

    """
    figure = {
        "name": name,
        "unit": unit,
        "median": float(f"{statistics.median(values):.4g}"),
        "minimum": float(f"{min(values):.4g}"),
        "maximum": float(f"{max(values):.4g}"),
        "repeats": len(values),
        "target": target,
        **more,
    }
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def options(description: str, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of XLA")
    return parser


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    model = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.is_file():
        named = [line for line in about.read_text().splitlines() if line.startswith("model name")]
        model = named[0].split(":", 1)[1].strip() if named else model
    packages = ("kappascope", "jax", "jaxlib", "flax", "optax", "numpy", "snakemake")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def run_one(script: str, arguments: list[str]) -> list[dict[str, Any]]:
    """Run one script and return its figures."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    for name in ("XLA_FLAGS", "NPROC", "JAX_ENABLE_X64"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(f"benchmarks: {script} failed with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def table(figures: list[dict[str, Any]]) -> str:
    """Lay figures out for reading."""
    rows = [["benchmark", "median", "range", "unit", "target", "note"]]
    for figure in figures:
        span = f"{figure['minimum']:g}–{figure['maximum']:g}" if figure["repeats"] > 1 else ""
        known = {"name", "unit", "median", "minimum", "maximum", "repeats", "target"}
        note = ", ".join(f"{key} {value}" for key, value in figure.items() if key not in known)
        rows.append(
            [
                figure["name"],
                f"{figure['median']:g}",
                span,
                figure["unit"],
                figure["target"] or "",
                note,
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one repeat each")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--run", default="default", help="run whose overhead is looked at")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks.json"))
    arguments = parser.parse_args()
    figures: list[dict[str, Any]] = []
    about = machine()
    for name in arguments.only:
        for script, given in RUNS[name]:
            print(f"{script} {' '.join(given)}", file=sys.stderr, flush=True)
            if name == "workflow_overhead":
                given = [*given, "--run", arguments.run]
            elif arguments.quick:
                given = [*given, *QUICK]
            figures += run_one(script, given)
    from kappascope.files import write_json

    write_json(arguments.output, {"machine": about, "figures": figures})
    print(f"\n{about['cpu']}, {about['cores']} cores, load before {about['load_before']}\n")
    print(table(figures))
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()

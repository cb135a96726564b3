"""What this machine offers and what a run will need: ``kappascope doctor``."""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import kappascope
from kappascope import costs, files
from kappascope.errors import InputError
from kappascope.runtime import available_cores, configure
from kappascope.workflow import configuration, integrity, resources
from kappascope.workflow.config import Library

SHOWN = ("snakemake", "numpy", "scipy", "jax", "jaxlib", "flax", "optax", "matplotlib")


def add_parser(subcommands: Any) -> None:
    """Add ``kappascope doctor`` to the command line."""
    parser = subcommands.add_parser(
        "doctor",
        help="say what this machine offers, and what a run will need",
        description="Print versions (and which differ from the lock), cores, memory, free disk, "
        "the devices JAX sees, and the time, memory and disk that a tier will need here; with "
        "--verify also check every result against its checksum.",
    )
    parser.add_argument(
        "--tier",
        default="default",
        help="which to estimate, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--cores", type=int, help="estimate for so many (default: those of this machine)"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="hash every result; the next run makes damaged ones anew",
    )
    parser.add_argument(
        "--measure",
        metavar="RUN",
        type=Path,
        help="write the table behind the estimates anew from a finished run (results/NAME)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the report; exit with an InputError when something will keep a run from ending."""
    if options.measure is not None:
        measure(options.measure)
        return
    cores = options.cores or available_cores()
    if cores < 1:
        raise InputError(f"--cores: got {options.cores}; give 1 or more")
    tiers = configuration.available("tier") if options.tier == "all" else [options.tier]
    configs = {tier: configuration.load(tier) for tier in tiers}
    for title, lines in (
        ("Versions", versions()),
        ("Machine", machine()),
        ("JAX", devices()),
    ):
        _print(title, lines)
    for tier, config in configs.items():
        _print(
            f"Tier {tier} on {cores} {'core' if cores == 1 else 'cores'}", tier_lines(config, cores)
        )
    if options.verify:
        verify()


def measure(folder: Path) -> None:
    """Write the table of what units of work cost from a run's benchmarks, and say what changed."""
    given = folder / "config.yaml"
    if not given.is_file():
        raise InputError(f"{given}: not there; give the folder of a finished run, results/NAME")
    config = configuration.from_command_line(files.read_yaml(given, str(given)))
    before = resources.total(config)
    resources.write(resources.measured(folder, config))
    after = resources.total(config)
    _print(
        f"{costs.TABLE}, from {folder}",
        iter(
            [
                (
                    "core hours",
                    f"{after.core_seconds / 3600:.2f}, {before.core_seconds / 3600:.2f} before",
                ),
                ("largest job", f"{after.megabytes:.0f} MB, {before.megabytes:.0f} before"),
            ]
        ),
    )


def _print(title: str, lines: Iterator[tuple[str, str]]) -> None:
    print(title)
    for name, value in lines:
        print(f"  {name:<18} {value}", flush=True)


def versions() -> Iterator[tuple[str, str]]:
    """Yield what is installed, and how it differs from the lock."""
    yield "kappascope", kappascope.__version__
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    for name in SHOWN:
        yield name, importlib.metadata.version(name)
    locked = read_lock()
    if not locked:
        yield "lock", "envs/requirements.lock is not there to compare with"
        return
    different = [
        f"{name} {_installed(name)} instead of {version}"
        for name, version in sorted(locked.items())
        if _installed(name) != version
    ]
    if different:
        yield "lock", f"{len(different)} packages differ, numbers may too: {', '.join(different)}"
    else:
        yield "lock", f"all {len(locked)} packages are as in envs/requirements.lock"


def read_lock(path: Path | None = None) -> dict[str, str]:
    """Return name → version of a lock's packages that this platform and Python need."""
    from packaging.markers import Marker

    file = path or configuration.ROOT / "envs" / "requirements.lock"
    if not file.is_file():
        return {}
    pinned = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+)==([^ ;\\]+)(?: ; ([^\\]+))?", line)
        if match and (match[3] is None or Marker(match[3].strip()).evaluate()):
            pinned[match[1]] = match[2]
    return pinned


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def machine() -> Iterator[tuple[str, str]]:
    """Yield cores, memory, disk and scheduler."""
    memory = psutil.virtual_memory()
    yield "system", f"{platform.system()} {platform.machine()}"
    yield "cores", f"{available_cores()} usable of {os.cpu_count()}; a job uses one"
    yield "memory", f"{_size(memory.total / 2**20)}, {_size(memory.available / 2**20)} free"
    yield "free disk", f"{_size(_free_megabytes())} at {_place()}"
    queue = next((name for name in ("sbatch", "qsub", "bsub") if shutil.which(name)), None)
    yield "scheduler", f"{queue} is there: docs/how-to/cluster.md" if queue else "none found"


def _place() -> Path:
    results = integrity.RESULTS.resolve()
    return results if results.is_dir() else Path.cwd()


def _free_megabytes() -> float:
    return shutil.disk_usage(_place()).free / 2**20


def devices() -> Iterator[tuple[str, str]]:
    """Yield the devices JAX computes on."""
    try:
        configure()
    except InputError as error:
        yield "devices", f"none: {error}"
        return
    import jax

    seen = jax.devices()
    kinds = [f"{device.platform} {device.device_kind}" for device in seen]
    yield "devices", ", ".join(kinds)
    gpu = any(device.platform in ("gpu", "cuda", "rocm") for device in seen)
    hint = "no; for one install the GPU build of jaxlib (docs/how-to/cluster.md)"
    yield "GPU", "yes; set cluster.gpus=1" if gpu else hint


def tier_lines(config: Library, cores: int) -> Iterator[tuple[str, str]]:
    """Yield what a run of a config will need, beside what this machine has."""
    total = resources.total(config)
    seconds = max(total.core_seconds / cores, total.longest_seconds)
    gpus = " (GPU jobs on a GPU, assumed)" if config.cluster.gpus else ""
    yield "jobs", f"{total.jobs}, and tables and plots of seconds"
    yield (
        "time",
        f"about {_duration(seconds)}{gpus}; longest job {_duration(total.longest_seconds)}",
    )
    at_once = min(cores, total.jobs) * total.megabytes
    have = psutil.virtual_memory().available / 2**20
    summary = f"at most {_size(total.megabytes)} a job, {_size(at_once)} for {cores} at once"
    short = total.megabytes > have
    yield "memory", summary + (": more than is free here" if short else "")
    lacking = total.disk_megabytes > _free_megabytes()
    yield "disk", _size(total.disk_megabytes) + (": more than is free here" if lacking else "")


def verify() -> None:
    """Hash every result; raise InputError when some are damaged."""
    known = list(integrity.records(["."]))
    broken = [each.path for each in known if each.path.is_file() and not each.intact]
    _print("Results", iter([("checked", f"{len(known)} files, {len(broken)} damaged")]))
    if broken:
        integrity.doubt(broken)
        raise InputError(
            f"{broken[0]}: damaged{f', and {len(broken) - 1} more' if broken[1:] else ''}; the "
            "next run makes them anew"
        )


def _size(megabytes: float) -> str:
    return f"{megabytes / 1024:.1f} GiB" if megabytes >= 1024 else f"{megabytes:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90 * 60:
        return f"{max(seconds / 60, 1):.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"

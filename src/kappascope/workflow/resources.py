"""What the jobs of each rule need: memory, and time on one core, from the config.

The work of a rule is counted here: passes of maps through a network, boxes, bytes held. What a unit
of each costs stands in ``resources.csv`` beside this module, measured on one core of a run of the
default tier, both cores busy; ``kappascope doctor --measure RUN`` writes it anew from a run's
benchmark files. A scheduler is asked for several times the estimate, and for more at each further
attempt.
"""

import csv
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kappascope.attribution import labels
from kappascope.errors import InputError
from kappascope.files import write_csv
from kappascope.workflow.running import map_folders

Config = Any
"""The typed config."""

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("rule", "unit", "seconds", "megabytes")
JOB = "job"
"""The unit that every job has one of: start, compilation, a process's own memory."""
DEFAULT_PIXELS = 128
LEAST_MINUTES = 10


@dataclasses.dataclass(frozen=True)
class Need:
    """What the jobs of one rule need.

    Attributes
    ----------
    jobs : how many there are.
    seconds : of one job, on one core.
    megabytes : of one job, at its peak.
    accelerated : whether a GPU makes it faster.

    """

    jobs: int
    seconds: float
    megabytes: float
    accelerated: bool = False


@dataclasses.dataclass(frozen=True)
class Work:
    """What the jobs of one rule do.

    Attributes
    ----------
    jobs : how many there are.
    units : unit → how many of them one job does or holds.
    accelerated : whether a GPU makes it faster.

    """

    jobs: int
    units: Mapping[str, float]
    accelerated: bool = True


@functools.cache
def table(path: Path = TABLE) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (rule, unit) → seconds and megabytes of one unit; ``all`` holds what no rule owns."""
    with open(path, newline="", encoding="utf-8") as handle:
        return {
            (row["rule"], row["unit"]): (float(row["seconds"] or 0), float(row["megabytes"] or 0))
            for row in csv.DictReader(handle)
        }


def constant(name: str) -> float:
    """Return a number of the table that belongs to no rule."""
    return table()["all", name][0]


def need(rule: str, config: Config) -> Need:
    """Return what the jobs of ``rule`` need; rules that are not listed take seconds."""
    work = _WORK[rule](config) if rule in _WORK else Work(1, {}, accelerated=False)
    known = rule if rule in _WORK else "other"
    costs = [(count, *table()[known, unit]) for unit, count in {JOB: 1.0, **work.units}.items()]
    return Need(
        work.jobs,
        sum(count * seconds for count, seconds, _ in costs),
        sum(count * megabytes for count, _, megabytes in costs),
        work.accelerated,
    )


def rules() -> list[str]:
    """Names of the rules whose work is counted."""
    return list(_WORK)


def resources(rule: str, config: Config) -> dict[str, Any]:
    """Return the ``resources`` of a rule: mem_mb, runtime [min], and GPU and partition if asked.

    Memory doubles and time grows at each further attempt, so that a job which the scheduler ended
    for want of either comes back with more (``retries`` in the profile).
    """
    estimate, cluster = need(rule, config), config.cluster
    on_gpu = estimate.accelerated and cluster.gpus > 0
    speed = cluster.gpu_speed if on_gpu else 1
    minutes = constant("time_margin") * estimate.seconds / 60 / speed
    megabytes = constant("memory_margin") * estimate.megabytes + constant("megabytes_around_a_job")

    def memory(wildcards: Any, attempt: int) -> int:
        return math.ceil(megabytes * cluster.memory_factor * 2 ** (attempt - 1))

    def runtime(wildcards: Any, attempt: int) -> int:
        return math.ceil(max(minutes, LEAST_MINUTES) * cluster.time_factor * attempt)

    asked: dict[str, Any] = {"mem_mb": memory, "runtime": runtime}
    if on_gpu:
        asked["gpu"] = cluster.gpus
    partition = (cluster.gpu_partition if on_gpu else None) or cluster.partition
    if partition:
        asked["slurm_partition"] = partition
    return asked


@dataclasses.dataclass(frozen=True)
class Total:
    """What a whole run needs.

    Attributes
    ----------
    jobs : how many there are, without those that take a second.
    core_seconds : of all jobs together, on one core of the machine measured on.
    longest_seconds : of the longest job.
    megabytes : of the largest job.
    disk_megabytes : of maps and everything else under results.

    """

    jobs: int
    core_seconds: float
    longest_seconds: float
    megabytes: float
    disk_megabytes: float


def total(config: Config) -> Total:
    """Add up what a run with this config needs."""
    speed = config.cluster.gpu_speed if config.cluster.gpus else 1
    unused = "import_maps" if config.maps.source == "simulation" else "simulate_maps"
    needs = [need(rule, config) for rule in _WORK if rule != unused]
    seconds = [each.seconds / (speed if each.accelerated else 1) for each in needs]
    other = constant("other_jobs") * need("other", config).seconds
    return Total(
        jobs=sum(each.jobs for each in needs),
        core_seconds=sum(each.jobs * time for each, time in zip(needs, seconds, strict=True))
        + other,
        longest_seconds=max(seconds),
        megabytes=max(each.megabytes for each in needs),
        disk_megabytes=_maps(config) * _map_megabytes(config) + constant("megabytes_of_results"),
    )


# ---- measuring -----------------------------------------------------------------------------------


def measured(run: Path, config: Config) -> list[dict[str, Any]]:
    """Return rows of the table from a run's benchmark files.

    A job's seconds are CPU seconds, which hardly depend on what else the machine does. Start-up
    and compilation are the job's own; the rest is spread over its units in today's proportions, as
    is the memory above today's ``job``.

    Parameters
    ----------
    run : folder of the run's results, with ``benchmarks/`` and ``logs/``.

    Raises
    ------
    InputError
        When the folder holds no benchmark of a rule whose work is counted.

    """
    found: dict[str, list[tuple[float, float, float]]] = {}
    maps = [file for folder in map_folders(run) for file in folder.glob("*.tsv")]
    for file in [*(run / "benchmarks").glob("*.tsv"), *maps]:
        timing = file.with_suffix(".timing.json")
        if not timing.is_file():
            timing = run / "logs" / timing.name
        if timing.is_file():
            told = json.loads(timing.read_text(encoding="utf-8"))
            with open(file, newline="", encoding="utf-8") as handle:
                (row,) = csv.DictReader(handle, delimiter="\t")
            if "NA" in (row["cpu_time"], row["max_rss"]):
                continue  # ended before Snakemake looked
            cpu, memory = float(row["cpu_time"]), float(row["max_rss"])
            wall = max(sum(told[f"{part}_seconds"] for part in _PARTS), cpu)
            start = (told["start_up_seconds"] + told["compilation_seconds"]) * cpu / wall
            found.setdefault(told["rule"], []).append((start, cpu, memory))
    if not set(found) & set(_WORK):
        raise InputError(
            f"{run}: holds no benchmarks of jobs; give the folder of a run, results/NAME"
        )
    rows = []
    for (rule, unit), (seconds, megabytes) in table().items():
        if rule in found and rule in _WORK:
            jobs = found[rule]
            start, cpu, memory = (sum(each) / len(jobs) for each in zip(*jobs, strict=True))
            work = _WORK[rule](config).units
            counted = [sum(n * table()[rule, u][k] for u, n in work.items()) for k in (0, 1)]
            base = table()[rule, JOB][1]
            if unit == JOB:
                seconds, megabytes = (start if counted[0] else cpu), base if counted[1] else memory
            else:
                seconds *= max(cpu - start, 0) / counted[0] if counted[0] else 1
                megabytes *= max(memory - base, 0) / counted[1] if counted[1] else 1
        numbers = {"seconds": seconds, "megabytes": megabytes}
        shown = {name: f"{value:.4g}" if value else "" for name, value in numbers.items()}
        rows.append({"rule": rule, "unit": unit, **shown})
    return rows


_PARTS = ("start_up", "compilation", "work")


def write(rows: list[dict[str, Any]], path: Path = TABLE) -> None:
    """Write the table."""
    write_csv(path, rows, COLUMNS)
    table.cache_clear()


# ---- sizes ---------------------------------------------------------------------------------------


def _pixels(config: Config) -> float:
    """Pixels of a map over those of the default tier."""
    return float((config.maps.pixels / DEFAULT_PIXELS) ** 2)


def _map_megabytes(config: Config) -> float:
    return float(4 * config.maps.pixels**2 / 2**20)


def _of_each(config: Config, split: str) -> int:
    return int(config.cosmology.number) * int(getattr(config.maps, split))


def _maps(config: Config) -> int:
    covariance = int(config.maps.covariance)
    return _of_each(config, "training") + _of_each(config, "testing") + covariance


def _judged(config: Config) -> int:
    return _maps(config) - _of_each(config, "training")


def _width(width: float, usual: float) -> float:
    """Cost of a network of some width over that of the usual one, as measured between 4 and 32."""
    return float(width / usual) ** constant("width_exponent")


def _gradients(config: Config, methods: list[str], section: Any) -> float:
    """Gradients that methods take of one map, all of them together."""
    many = 0
    for name in methods:
        entry, _ = labels.declaration(name)
        keys = (entry.info.get("budget") or {}).values() if entry else ()
        many += math.prod(getattr(section, key, 1) for key in keys)
    return float(many)


def _held(config: Config, *splits: str) -> float:
    """Megabytes of splits in memory; larger ones are read from disk as they are needed."""
    largest = constant("megabytes_of_a_split")
    return sum(min(_of_each(config, split) * _map_megabytes(config), largest) for split in splits)


# ---- the rules -----------------------------------------------------------------------------------


def _simulate_maps(config: Config) -> Work:
    simulation = config.simulation
    boxes = config.cosmology.number * (simulation.boxes_training + simulation.boxes_testing)
    boxes += simulation.boxes_covariance
    mesh = (simulation.mesh / 160) ** 3
    planes = simulation.snapshots / 8 * (simulation.plane_pixels / 768) ** 2
    deflected = simulation.ray_tracing == "multi_plane"
    seen = _maps(config) * _pixels(config) * 80 / simulation.box_mpc_h
    each = simulation.batches
    units = {
        "step": boxes * simulation.steps * mesh / each,
        "planes": boxes * planes / each,
        "map": 0 if deflected else seen / each,
        "deflected_map": seen / each if deflected else 0,
        "mesh_held": mesh,
        "planes_held": planes,
        "deflection": int(deflected),
    }
    return Work(each, units)


def _import_maps(config: Config) -> Work:
    return Work(1, {"map": _maps(config) * _pixels(config)}, accelerated=False)


def _validate_maps(config: Config) -> Work:
    return Work(1, {"map": min(config.maps.covariance, 2000) * _pixels(config)})


def _measure_statistics(config: Config) -> Work:
    pixels = _pixels(config)
    return Work(len(config.data_sets), {"map": _maps(config) * pixels, "pixels_held": pixels})


def _training(config: Config, section: Any, usual: int) -> dict[str, float]:
    """Count passes of maps through a regressor, and what is held meanwhile."""
    passes = section.epochs * _of_each(config, "training")
    batch = config.network.batch / 32 * _pixels(config) * section.width / usual
    return {
        "pass": passes * _pixels(config) * _width(section.width, usual),
        "held": _held(config, "training", "testing"),
        "batch_held": batch,
    }


def _train_network(config: Config) -> Work:
    section = config.network
    return Work(len(config.data_sets) * section.networks, _training(config, section, 8))


def _predict(config: Config) -> Work:
    section = config.network
    cost = section.networks * _pixels(config) * _width(section.width, 8)
    return Work(len(config.data_sets), {"map": _judged(config) * cost})


def _constrain(config: Config) -> Work:
    section = config.matilla2020.constraints
    units = {
        "posterior": section.grid**2 * section.bootstrap,
        "step": section.mcmc_steps * section.mcmc_walkers,
    }
    return Work(len(config.data_sets), units, accelerated=False)


def _emulator_checks(config: Config) -> Work:
    section = config.matilla2020.constraints
    units = {"posterior": section.grid**2, "cosmology": config.cosmology.number}
    return Work(1, units, accelerated=False)


def _published_network(config: Config) -> Work:
    return Work(1, {"posterior": config.matilla2020.constraints.grid**2}, accelerated=False)


def _explaining(config: Config) -> float:
    """Cost of one gradient of one map over that of the default tier."""
    section = config.network
    return float(section.networks * _pixels(config) * _width(section.width, 8))


def _randomize(config: Config) -> Work:
    section = config.matilla2020.saliency
    gradients = _gradients(config, section.methods, section)
    stages = 2 * 19 * section.curve_maps * section.curve_repeats
    explained = section.maps * (1 + section.repeats) + stages
    shifted = section.maps * section.repeats * section.kendall_shifts
    units = {
        "gradient": explained * gradients * _explaining(config),
        "shift": shifted * len(section.methods) * config.network.networks,
        "pixels_held": _pixels(config),
    }
    return Work(len(config.data_sets), units)


def _relevance(config: Config) -> Work:
    section = config.matilla2020.saliency
    maps = config.cosmology.number * section.relevance_maps
    units = {"gradient": maps * _explaining(config), "pixels_held": _pixels(config)}
    return Work(len(config.data_sets), units)


def _known_answers(config: Config) -> Work:
    section = config.matilla2020.known_answers
    pixels = (section.pixels / 32) ** 2
    maps = section.networks * section.epochs * section.training
    units = {
        "pass": maps * pixels * _width(section.width, 8),
        "held": _held(config, "training", "testing"),
        "pixels_held": pixels,
    }
    return Work(5, units)


def _judge_methods(config: Config) -> Work:
    section, saliency = config.matilla2020.known_answers, config.matilla2020.saliency
    gradients = _gradients(config, saliency.methods, saliency)
    maps = 5 * section.networks * section.testing
    return Work(1, {"gradient": maps * gradients * (section.pixels / 32) ** 2})


def _train_band_network(config: Config) -> Work:
    section = config.singh2020.bands
    return Work(section.networks, _training(config, section, 16))


def _band_curves(config: Config) -> Work:
    section = config.singh2020.bands
    maps = section.networks * section.maps * config.cosmology.number
    cost = maps * _pixels(config) * _width(section.width, 16)
    units = {
        "band": cost * section.bands,
        "gradient": cost * section.path_nodes,
        "pixels_held": _pixels(config),
    }
    return Work(1, units)


def _planted_frequency(config: Config) -> Work:
    section = config.singh2020.planted_frequency
    variants = (section.as_released, section.as_told)
    return Work(1, {"pass": sum(v.data_sets * v.samples * v.epochs for v in variants)})


def _topics(config: Config) -> Work:
    section = config.singh2020.topics
    return Work(1, {"network": section.networks * section.folds}, accelerated=False)


def _digits(config: Config) -> Work:
    section = config.digits
    units = {
        "epoch": section.networks * section.epochs * section.training_percent / 100,
        "digit": config.singh2020.basis_images.attributed * (section.networks + 1),
    }
    return Work(1, units)


def _sounds(config: Config) -> Work:
    section = config.singh2020.sounds
    return Work(1, {"second": section.training * section.epochs * section.seconds})


def _learn_dictionaries(config: Config) -> Work:
    section = config.singh2020.dictionary
    searches = len(section.atoms) + 2 * len(section.reconstruction_weights)
    explained = (section.training + section.testing) * section.path_nodes
    units = {
        "tile": searches * section.steps * section.batch,
        "gradient": explained * _explaining(config),
    }
    return Work(1, units)


def _group_pixels(config: Config) -> float:
    """Pixels of a rebinned map over those of the default tier."""
    return _pixels(config) * (2 / config.you2023.rebin) ** 2


def _group_cost(config: Config) -> float:
    """Cost of a pass through the explained network over that of the default tier."""
    return _group_pixels(config) * _width(config.you2023.network.width, 8)


def _theorem(config: Config) -> Work:
    features = config.you2023.theorem.program_features
    return Work(1, {"program": 4 ** (features - 12)}, accelerated=False)


def _train_group_network(config: Config) -> Work:
    section = config.you2023.network
    passes = section.epochs * _of_each(config, "training")
    held = _held(config, "training", "testing")
    return Work(section.networks, {"pass": passes * _group_cost(config), "held": held})


def _train_sum_of_parts(config: Config) -> Work:
    groups = config.you2023
    section = groups.model
    maps = section.training * config.cosmology.number
    cost = maps * _group_cost(config)
    units = {
        "segmented_map": maps * _group_pixels(config),
        "segment": cost * groups.segments.most,
        "trained_group": cost * section.epochs * section.sampled_groups,
        "held": _held(config, "training"),
        "pixels_held": _group_pixels(config),
    }
    return Work(groups.network.networks, units)


def _explain_groups(config: Config) -> Work:
    groups = config.you2023
    maps = groups.structures.maps * config.cosmology.number
    masks = maps * groups.segments.most * (1 + len(groups.model.generator_sharpness))
    units = {
        "group": masks * groups.network.networks * _group_cost(config),
        "mask": masks * _group_pixels(config),
        "held": _held(config, "testing"),
    }
    return Work(1, units)


def _compare_attributions(config: Config) -> Work:
    groups = config.you2023
    section = groups.baselines
    cost = section.maps * config.cosmology.number * _group_cost(config)
    units = {
        "sample": cost * section.samples,
        "gradient": cost * section.path_nodes,
        "test": cost * (len(section.methods) + 2) * (section.steps + 10),
        "held": _held(config, "training", "testing"),
    }
    return Work(groups.network.networks, units)


def _lens_images(config: Config) -> float:
    """Pixels of a lens image over those of the default tier."""
    return float((config.wilde2022.images.pixels / 48) ** 2)


def _lens_cost(config: Config) -> float:
    """Cost of a lens network's step over that of the default tier."""
    return _lens_images(config) * _width(config.wilde2022.networks.width, 12)


def _simulate_lenses(config: Config) -> Work:
    section = config.wilde2022.images
    number = section.training + section.testing
    number += 2 * section.compound + section.compound_training
    units = {
        "image": number * _lens_images(config) * (section.oversampling / 3) ** 2,
        "held": number * _lens_images(config),
    }
    return Work(1, units)


def _train_lens_network(config: Config) -> Work:
    images, section = config.wilde2022.images, config.wilde2022.networks
    number = images.training + images.compound_training / 4
    units = {
        "pass": number * section.epochs * _lens_cost(config),
        "held": number * _lens_images(config),
    }
    return Work(section.networks + 2, units)


def _find_lenses(config: Config) -> Work:
    images, section = config.wilde2022.images, config.wilde2022.networks
    number = images.testing + 2 * images.compound
    units = {
        "pass": number * (section.networks + 3) * _lens_cost(config),
        "held": number * _lens_images(config),
    }
    return Work(1, units)


def _explain_lenses(config: Config) -> Work:
    section = config.wilde2022.explanation
    explained = section.explained * 2 + section.randomized * (section.repeats + 1)
    units = {
        "map": explained * len(section.methods) * _lens_cost(config),
        "dream_step": explained * section.dream_steps * _lens_cost(config),
        "scene": 12 * section.probed * _lens_images(config),
        "held": config.wilde2022.images.testing * _lens_images(config),
    }
    return Work(1, units)


def _nonlinear_saliency(config: Config) -> Work:
    section = config.rosenzweig2021
    steps = 8 * section.steps
    units = {
        "galaxy_step": steps * section.images * _lens_cost(config),
        "digit_step": steps * section.digits,
        "kappa_step": steps * section.kappa_maps * _explaining(config) / config.network.networks,
        "images_held": config.wilde2022.images.testing * _lens_images(config),
        "galaxies_held": section.images * _lens_images(config),
        "digits_held": section.digits,
        "pixels_held": _pixels(config),
    }
    return Work(1, units)


_WORK: dict[str, Callable[[Config], Work]] = {
    name.removeprefix("_"): globals()[name]
    for name in (
        *("_simulate_maps", "_import_maps", "_validate_maps", "_measure_statistics"),
        *("_train_network", "_predict", "_constrain", "_emulator_checks", "_published_network"),
        *("_randomize", "_relevance", "_known_answers", "_judge_methods"),
        *("_train_band_network", "_band_curves", "_planted_frequency", "_topics", "_digits"),
        *("_sounds", "_learn_dictionaries", "_theorem", "_train_group_network"),
        *("_train_sum_of_parts", "_explain_groups", "_compare_attributions"),
        *("_simulate_lenses", "_train_lens_network", "_find_lenses", "_explain_lenses"),
        "_nonlinear_saliency",
    )
}

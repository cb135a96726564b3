"""What each rule needs: memory, time on one core, number of jobs; all from the config.

The coefficients are measurements of the default tier on one core of a two-core x86 machine
(``docs/decisions.md``, "What jobs need"), carried to other sizes by what the work grows with. A
scheduler is asked for several times the estimate, and for more at each further attempt.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

Config = Any
"""The typed config."""

BASE_MB = 450.0
"""A job that has imported JAX and compiled something."""

OVERHEAD_MB = 400.0
"""Around a job: the inner Snakemake and, on Slurm, the batch and step processes."""

MEMORY_MARGIN = 1.5
TIME_MARGIN = 4.0
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


Estimate = Callable[[Config], Need]


def need(rule: str, config: Config) -> Need:
    """Return what the jobs of ``rule`` need; rules that are not listed take seconds."""
    return _ESTIMATES.get(rule, _light)(config)


def rules() -> list[str]:
    """Names of the rules that have an estimate of their own."""
    return list(_ESTIMATES)


def resources(rule: str, config: Config) -> dict[str, Any]:
    """Return the ``resources`` of a rule: mem_mb, runtime [min], and GPU and partition if asked.

    Memory doubles and time grows at each further attempt, so that a job which the scheduler ended
    for want of either comes back with more (``retries`` in the profile).
    """
    estimate, cluster = need(rule, config), config.cluster
    on_gpu = estimate.accelerated and cluster.gpus > 0
    speed = cluster.gpu_speed if on_gpu else 1.0
    minutes = TIME_MARGIN * estimate.seconds / 60.0 / speed
    megabytes = MEMORY_MARGIN * estimate.megabytes + OVERHEAD_MB

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
    speed = config.cluster.gpu_speed if config.cluster.gpus else 1.0
    simulated = config.maps.source == "simulation"
    unused = "import_maps" if simulated else "simulate_maps"
    needs = [need(rule, config) for rule in _ESTIMATES if rule != unused]
    seconds = [each.seconds / (speed if each.accelerated else 1.0) for each in needs]
    return Total(
        jobs=sum(each.jobs for each in needs),
        core_seconds=sum(each.jobs * time for each, time in zip(needs, seconds, strict=True))
        + _LIGHT_JOBS * _light(config).seconds,
        longest_seconds=max(seconds),
        megabytes=max(each.megabytes for each in needs),
        disk_megabytes=_maps(config) * _map_megabytes(config) + 300.0,
    )


# ---- sizes ---------------------------------------------------------------------------------------


def _pixels(config: Config) -> float:
    """Pixels of a map over those of the default tier."""
    return (config.maps.pixels / 128.0) ** 2


def _map_megabytes(config: Config) -> float:
    return 4.0 * config.maps.pixels**2 / 2**20


def _of_each(config: Config, split: str) -> int:
    return int(config.cosmology.number) * int(getattr(config.maps, split))


def _maps(config: Config) -> int:
    covariance = int(config.maps.covariance)
    return _of_each(config, "training") + _of_each(config, "testing") + covariance


def _judged(config: Config) -> int:
    return _maps(config) - _of_each(config, "training")


def _data_sets(config: Config) -> int:
    return len(config.data_sets)


def _width(width: float, usual: float) -> float:
    """Cost of a network of some width over that of the usual one, as measured between 4 and 32."""
    return float(width / usual) ** 1.6


def _gradients(config: Config, methods: list[str]) -> float:
    """Gradients that methods take of one map, all of them together."""
    section = config.matilla2020.saliency
    many = {
        "integrated_gradients": section.path_nodes,
        "smoothgrad": section.smoothgrad_samples,
    }
    return float(sum(many.get(name, 1) for name in methods))


def _held(config: Config, split: str) -> float:
    """Megabytes of a split in memory; larger ones are read from disk as they are needed."""
    return min(_of_each(config, split) * _map_megabytes(config), 4096.0)


# ---- the rules -----------------------------------------------------------------------------------

_LIGHT_JOBS = 30


def _light(config: Config) -> Need:
    return Need(1, 2.5, 400.0)


def _simulate_maps(config: Config) -> Need:
    simulation = config.simulation
    boxes = config.cosmology.number * (simulation.boxes_training + simulation.boxes_testing)
    boxes += simulation.boxes_covariance
    batches = int(simulation.batches)
    mesh = (simulation.mesh / 160.0) ** 3
    planes = simulation.snapshots / 8.0 * (simulation.plane_pixels / 768.0) ** 2
    slabs = 80.0 / simulation.box_mpc_h
    seen = 10.0 if simulation.ray_tracing == "multi_plane" else 1.0
    seconds = (
        boxes * (SECONDS_A_STEP * simulation.steps * mesh + SECONDS_OF_PLANES * planes)
        + SECONDS_A_MAP * _maps(config) * _pixels(config) * slabs * seen
    )
    megabytes = BASE_MB + 150.0 * mesh + 150.0 * planes + 100.0 * min(seen, 2.0)
    return Need(batches, seconds / batches + 10.0, megabytes, True)


SECONDS_A_STEP = 0.114
SECONDS_OF_PLANES = 0.72
SECONDS_A_MAP = 0.002


def _import_maps(config: Config) -> Need:
    return Need(1, 5.0 + 0.002 * _maps(config) * _pixels(config), BASE_MB)


def _validate_maps(config: Config) -> Need:
    fiducial = min(int(config.maps.covariance), 2000)
    return Need(1, 6.0 + 0.0035 * fiducial * _pixels(config), BASE_MB + 250.0, True)


def _measure_statistics(config: Config) -> Need:
    seconds = 4.0 + 0.0008 * _maps(config) * _pixels(config)
    return Need(_data_sets(config), seconds, BASE_MB + 50.0 * _pixels(config), True)


def _training_seconds(config: Config, section: Config, seconds_a_map: float, usual: float) -> float:
    steps = section.epochs * _of_each(config, "training")
    cost = _pixels(config) * _width(section.width, usual)
    return 15.0 + float(seconds_a_map * steps * cost)


def _training_memory(config: Config, section: Config, usual: float) -> float:
    batch = config.network.batch / 32.0 * _pixels(config) * section.width / usual
    return BASE_MB + _held(config, "training") + _held(config, "testing") + float(620.0 * batch)


def _train_network(config: Config) -> Need:
    section = config.network
    seconds = _training_seconds(config, section, 0.0072, 8.0)
    jobs = _data_sets(config) * section.networks
    return Need(jobs, seconds, _training_memory(config, section, 8.0), True)


def _predict(config: Config) -> Need:
    section = config.network
    cost = section.networks * _pixels(config) * _width(section.width, 8.0)
    return Need(_data_sets(config), 4.0 + 0.0027 * _judged(config) * cost, BASE_MB + 50.0, True)


def _constrain(config: Config) -> Need:
    section = config.matilla2020.constraints
    grid = (section.grid / 200.0) ** 2 * section.bootstrap / 100.0
    chains = section.mcmc_steps / 1000.0 * section.mcmc_walkers / 128.0
    return Need(_data_sets(config), 3.0 + 7.0 * grid + 7.0 * chains, 500.0)


def _emulator_checks(config: Config) -> Need:
    section = config.matilla2020.constraints
    grid = (section.grid / 200.0) ** 2
    cosmologies = config.cosmology.number / 33.0
    return Need(1, 3.0 + 1.0 * grid + 1.0 * cosmologies, 500.0)


def _explaining(config: Config) -> float:
    """Cost of one gradient of one map over that of the default tier."""
    section = config.network
    return float(section.networks * _pixels(config) * _width(section.width, 8.0))


def _randomize(config: Config) -> Need:
    section = config.matilla2020.saliency
    gradients = _gradients(config, section.methods)
    stages = 2 * 19 * section.curve_maps * section.curve_repeats
    explained = section.maps * (1 + section.repeats) + stages
    shifted = section.maps * section.repeats * section.kendall_shifts
    seconds = 15.0 + explained * gradients * _explaining(config) * 0.0076
    seconds += shifted * len(section.methods) * 0.0002 * config.network.networks
    return Need(_data_sets(config), seconds, BASE_MB + 350.0 * _pixels(config), True)


def _relevance(config: Config) -> Need:
    section = config.matilla2020.saliency
    maps = config.cosmology.number * section.relevance_maps
    gradients = _gradients(config, section.methods)
    seconds = 5.0 + maps * gradients * _explaining(config) * 0.0006
    return Need(_data_sets(config), seconds, BASE_MB + 420.0 * _pixels(config), True)


def _known_answers(config: Config) -> Need:
    section = config.matilla2020.known_answers
    pixels = (section.pixels / 32.0) ** 2
    maps = section.networks * section.epochs * section.training
    seconds = 8.0 + 0.0004 * maps * pixels * _width(section.width, 8.0)
    megabytes = BASE_MB + _held(config, "training") + _held(config, "testing")
    return Need(5, seconds, megabytes + 700.0 * pixels, True)


def _judge_methods(config: Config) -> Need:
    section = config.matilla2020.known_answers
    pixels = (section.pixels / 32.0) ** 2
    gradients = _gradients(config, config.matilla2020.saliency.methods)
    maps = 5 * section.networks * section.testing
    return Need(1, 6.0 + 0.00035 * maps * gradients * pixels, BASE_MB + 100.0, True)


def _train_band_network(config: Config) -> Need:
    section = config.singh2020.bands
    seconds = _training_seconds(config, section, 0.0033, 16.0)
    return Need(section.networks, seconds, _training_memory(config, section, 16.0), True)


def _band_curves(config: Config) -> Need:
    section = config.singh2020.bands
    maps = section.networks * section.maps * config.cosmology.number
    forward = section.bands + 30.0 * section.path_nodes / 5.0
    cost = maps * forward * _pixels(config) * _width(section.width, 16.0)
    return Need(1, 20.0 + 0.0022 * cost, BASE_MB + 600.0 * _pixels(config), True)


def _planted_frequency(config: Config) -> Need:
    section = config.singh2020.planted_frequency
    learned = sum(
        inputs.data_sets * inputs.samples * inputs.epochs
        for inputs in (section.as_released, section.as_told)
    )
    return Need(1, 8.0 + 7.5e-7 * learned, BASE_MB + 150.0, True)


def _topics(config: Config) -> Need:
    section = config.singh2020.topics
    return Need(1, 6.0 + 0.15 * section.networks * section.folds, BASE_MB)


def _digits(config: Config) -> Need:
    section = config.digits
    trained = section.networks * section.epochs * section.training_percent / 70.0
    explained = config.singh2020.basis_images.attributed / 500.0 * (section.networks + 1)
    return Need(1, 12.0 + 1.0 * trained + 2.0 * explained, BASE_MB + 250.0, True)


def _sounds(config: Config) -> Need:
    section = config.singh2020.sounds
    trained = section.training * section.epochs * section.seconds
    return Need(1, 5.0 + 0.0005 * trained, BASE_MB + 150.0, True)


def _learn_dictionaries(config: Config) -> Need:
    section = config.singh2020.dictionary
    searches = len(section.atoms) + 2 * len(section.reconstruction_weights)
    steps = searches * section.steps * section.batch / 512.0
    explained = (section.training + section.testing) * section.path_nodes
    seconds = 6.0 + 0.0003 * steps + 0.002 * explained * _explaining(config)
    return Need(1, seconds, BASE_MB + 400.0, True)


def _group_pixels(config: Config) -> float:
    """Pixels of a rebinned map over those of the default tier."""
    return _pixels(config) * (2.0 / config.you2023.rebin) ** 2


def _group_seconds(config: Config) -> float:
    """Seconds that the explained network takes for one map."""
    width = _width(config.you2023.network.width, 8.0)
    return 0.0002 * _group_pixels(config) * width


def _theorem(config: Config) -> Need:
    return Need(1, 2.0 + 0.7 * 4.0 ** (config.you2023.theorem.program_features - 12), 300.0)


def _train_group_network(config: Config) -> Need:
    section = config.you2023.network
    steps = section.epochs * _of_each(config, "training")
    seconds = 10.0 + 4.1 * steps * _group_seconds(config)
    held = _held(config, "training") + _held(config, "testing")
    return Need(section.networks, seconds, BASE_MB + held + 300.0, True)


def _train_sum_of_parts(config: Config) -> Need:
    groups = config.you2023
    section = groups.model
    maps = section.training * config.cosmology.number
    passes = groups.segments.most + 3.3 * section.epochs * section.sampled_groups
    seconds = 15.0 + maps * (0.006 * _group_pixels(config) + passes * _group_seconds(config))
    held = _held(config, "training") + 400.0 * _group_pixels(config)
    return Need(groups.network.networks, seconds, BASE_MB + held, True)


def _explain_groups(config: Config) -> Need:
    groups = config.you2023
    maps = groups.structures.maps * config.cosmology.number
    heads = 1 + len(groups.model.generator_sharpness)
    passes = groups.segments.most * heads * groups.network.networks
    seconds = 15.0 + maps * passes * 0.7 * _group_seconds(config)
    masks = maps * groups.segments.most * heads * 0.016 * _group_pixels(config)
    held = _held(config, "testing")
    return Need(1, seconds, BASE_MB + held + 2.0 * masks, True)


def _compare_attributions(config: Config) -> Need:
    groups = config.you2023
    section = groups.baselines
    maps = section.maps * config.cosmology.number
    tests = 4.0 * (len(section.methods) + 2) * (section.steps + 10)
    passes = 3 * section.samples + 6 * section.path_nodes + tests
    seconds = 25.0 + 2.2 * maps * passes * _group_seconds(config)
    held = _held(config, "training") + _held(config, "testing")
    return Need(groups.network.networks, seconds, BASE_MB + held + 200.0, True)


def _lens_images(config: Config) -> float:
    """Pixels of a lens image over those of the default tier."""
    return (config.wilde2022.images.pixels / 48.0) ** 2


def _lens_cost(config: Config) -> float:
    """Cost of a lens network's step over that of the default tier."""
    return _lens_images(config) * _width(config.wilde2022.networks.width, 12.0)


def _simulate_lenses(config: Config) -> Need:
    section = config.wilde2022
    number = section.images.training + section.images.testing
    number += 2 * section.images.compound + section.images.compound_training
    fine = _lens_images(config) * (section.images.oversampling / 3.0) ** 2
    megabytes = 0.06 * _lens_images(config) * number
    return Need(1, 8.0 + 0.0031 * number * fine, BASE_MB + megabytes, True)


def _train_lens_network(config: Config) -> Need:
    section = config.wilde2022
    number = section.images.training + section.images.compound_training / 4.0
    seconds = 8.0 + 0.0007 * number * section.networks.epochs * _lens_cost(config)
    megabytes = BASE_MB + 0.03 * number * _lens_images(config) + 150.0
    return Need(section.networks.networks + 2, seconds, megabytes, True)


def _find_lenses(config: Config) -> Need:
    section = config.wilde2022
    number = section.images.testing + 2 * section.images.compound
    seconds = 4.0 + 0.0003 * number * (section.networks.networks + 3) * _lens_cost(config)
    return Need(1, seconds, BASE_MB + 0.1 * number * _lens_images(config) + 150.0, True)


def _explain_lenses(config: Config) -> Need:
    section = config.wilde2022.explanation
    passes = section.explained * 2 + section.randomized * (section.repeats + 1)
    each = 25.0 * len(section.methods) + 2.0 * section.dream_steps
    seconds = 12.0 + passes * each * 0.0006 * _lens_cost(config)
    seconds += 12.0 * section.probed * 0.005 * _lens_images(config)
    held = 0.1 * config.wilde2022.images.testing * _lens_images(config)
    return Need(1, seconds, BASE_MB + held + 250.0, True)


def _nonlinear_saliency(config: Config) -> Need:
    section = config.rosenzweig2021
    steps = 8.0 * section.steps
    galaxies = section.images * 0.001 * _lens_cost(config)
    digits = section.digits * 0.0006
    kappa = 2.0 * section.kappa_maps * 0.011 * _explaining(config) / config.network.networks
    seconds = 25.0 + 4.8 * steps * (galaxies + digits + kappa)
    held = 0.1 * config.wilde2022.images.testing * _lens_images(config)
    kept = 0.35 * (section.images * _lens_images(config) + section.digits)
    return Need(1, seconds, BASE_MB + held + kept + 350.0 * _pixels(config), True)


def _published_network(config: Config) -> Need:
    return Need(1, 3.0 + 2.0 * (config.matilla2020.constraints.grid / 200.0) ** 2, 400.0)


_ESTIMATES: dict[str, Estimate] = {
    "simulate_maps": _simulate_maps,
    "import_maps": _import_maps,
    "validate_maps": _validate_maps,
    "measure_statistics": _measure_statistics,
    "train_network": _train_network,
    "predict": _predict,
    "constrain": _constrain,
    "emulator_checks": _emulator_checks,
    "published_network": _published_network,
    "randomize": _randomize,
    "relevance": _relevance,
    "known_answers": _known_answers,
    "judge_methods": _judge_methods,
    "train_band_network": _train_band_network,
    "band_curves": _band_curves,
    "planted_frequency": _planted_frequency,
    "topics": _topics,
    "digits": _digits,
    "sounds": _sounds,
    "learn_dictionaries": _learn_dictionaries,
    "theorem": _theorem,
    "train_group_network": _train_group_network,
    "train_sum_of_parts": _train_sum_of_parts,
    "explain_groups": _explain_groups,
    "compare_attributions": _compare_attributions,
    "simulate_lenses": _simulate_lenses,
    "train_lens_network": _train_lens_network,
    "find_lenses": _find_lenses,
    "explain_lenses": _explain_lenses,
    "nonlinear_saliency": _nonlinear_saliency,
}

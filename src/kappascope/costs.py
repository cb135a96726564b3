"""What the jobs of a rule do, counted from the config, and what a unit of it costs.

Each rule's work is declared beside the models of the config that it is counted from (modules called
``config``): passes of maps through a network, boxes, bytes held. What a unit costs stands in
``costs.csv`` beside this module, measured on one core of a run of the default tier, both cores
busy; ``kappascope doctor --measure RUN`` writes it anew from a run's benchmark files.
"""

import csv
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kappascope.attribution import labels
from kappascope.networks.learning import NOTHING

Config = Any
"""The typed config."""

TABLE = Path(__file__).with_suffix(".csv")
JOB = "job"
"""The unit that every job has one of: start, compilation, a process's own memory."""
DEFAULT_PIXELS = 128


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


Count = Callable[[Config], Work]
WORK: dict[str, Count] = {}
"""Rule → what counts its work."""

COMMON: set[str] = set()
"""Rules whose work no network changes: null runs take what the run has."""


def of(rule: str, common: bool = False) -> Callable[[Count], Count]:
    """Declare that the decorated function counts the work of ``rule``.

    Parameters
    ----------
    common : whether null runs leave it out, as no network changes what it makes.

    """

    def declare(count: Count) -> Count:
        if rule in WORK:
            raise ValueError(f"{rule}: its work is counted twice")
        WORK[rule] = count
        if common:
            COMMON.add(rule)
        return count

    return declare


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


# ---- sizes ---------------------------------------------------------------------------------------


def pixels(config: Config) -> float:
    """Pixels of a map over those of the default tier."""
    return float((config.maps.pixels / DEFAULT_PIXELS) ** 2)


def map_megabytes(config: Config) -> float:
    """Return the megabytes of one map."""
    return float(4 * config.maps.pixels**2 / 2**20)


def of_each(config: Config, split: str) -> int:
    """Count the maps of a split, of all cosmologies."""
    return int(config.cosmology.number) * int(getattr(config.maps, split))


def maps(config: Config) -> int:
    """Count the maps of a run."""
    covariance = int(config.maps.covariance)
    return of_each(config, "training") + of_each(config, "testing") + covariance


def judged_maps(config: Config) -> int:
    """Count the maps that no network is trained on."""
    return maps(config) - of_each(config, "training")


def width(width: float, usual: float) -> float:
    """Cost of a network of some width over that of the usual one, as measured between 4 and 32."""
    return float(width / usual) ** constant("width_exponent")


def gradients(config: Config, methods: list[str], section: Any) -> float:
    """Gradients that methods take of one map, all of them together."""
    many = 0
    for name in methods:
        entry, _ = labels.declaration(name)
        keys = (entry.info.get("budget") or {}).values() if entry else ()
        many += math.prod(getattr(section, key, 1) for key in keys)
    return float(many)


def held(config: Config, *splits: str) -> float:
    """Megabytes of splits in memory; larger ones are read from disk as they are needed."""
    largest = constant("megabytes_of_a_split")
    return sum(min(of_each(config, split) * map_megabytes(config), largest) for split in splits)


def epochs(config: Config, section: Any) -> int:
    """Epochs of a training: none where networks are to learn nothing."""
    return 0 if config.learns == NOTHING else int(section.epochs)


def training(config: Config, section: Any, usual: int) -> dict[str, float]:
    """Count passes of maps through a regressor, and what is held meanwhile."""
    passes = epochs(config, section) * of_each(config, "training")
    batch = config.network.batch / 32 * pixels(config) * section.width / usual
    return {
        "pass": passes * pixels(config) * width(section.width, usual),
        "held": held(config, "training", "testing"),
        "batch_held": batch,
    }


def explaining(config: Config) -> float:
    """Cost of one gradient of one map over that of the default tier."""
    section = config.network
    return float(section.networks * pixels(config) * width(section.width, 8))


def lens_pixels(config: Config) -> float:
    """Pixels of a lens image over those of the default tier."""
    return float((config.wilde2022.images.pixels / 48) ** 2)


def lens_step(config: Config) -> float:
    """Cost of a lens network's step over that of the default tier."""
    return lens_pixels(config) * width(config.wilde2022.networks.width, 12)

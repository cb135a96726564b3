"""The whole config: sections of the library, one for each chapter, and the cluster's."""

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import create_model

from kappascope import chapters
from kappascope.cosmology.config import Universes
from kappascope.errors import nearest, shown
from kappascope.maps.config import Maps, Noise
from kappascope.networks.config import Digits, Regressor
from kappascope.networks.learning import NOTHING, PERMUTED, Learns
from kappascope.reporting.published import NULL_KINDS, null_runs
from kappascope.sections import Distinct, Problem, Section, Spec, key
from kappascope.simulation.config import Simulation
from kappascope.statistics.config import Statistics


class Cluster(Section):
    """What a scheduler is asked for (docs/how-to/cluster.md). Changes no result."""

    partition: str | None = key("Slurm partition of all jobs; null is the cluster's own default.")
    gpu_partition: str | None = key("Partition of jobs on a GPU; null is as for the others.")
    gpus: int = key("GPUs of a job that one makes faster; 0 is to run on CPUs.", "count", ge=0)
    gpu_speed: float = key(
        "How many times faster such a job is on its GPU than on one core; for the run time "
        "asked for.",
        gt=0,
    )
    memory_factor: float = key("Multiplies the memory asked for.", gt=0)
    time_factor: float = key(
        "Multiplies the run time asked for: more than 1 on slower machines.",
        gt=0,
    )


class Nulls(Section):
    """Runs beside a run whose networks learn nothing: what no claim may be mistaken for.

    Their tables lie in results/{run}/null/{kind}/, and a published number matches only where ours
    beats theirs (docs/reference/claims.md).
    """

    untrained: Distinct[str] = key(
        "Chapters whose tables are made by networks that have their initial weights and a "
        "normalization that has seen the maps. Without, their claims have no null."
    )
    permuted_labels: Distinct[str] = key(
        "Chapters whose tables are made by networks trained on the same labels in another order, "
        "which costs trainings."
    )
    overrides: dict[str, Any] = key(
        "What null runs set otherwise, nested like the config: fewer epochs, networks or maps."
    )

    @property
    def kinds(self) -> list[str]:
        """The null runs to make."""
        return null_runs({"nulls": self.model_dump()})

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield chapters that do not exist."""
        known = list(chapter_sections())
        for kind in self.kinds:
            for name in getattr(self, kind):
                if name not in known:
                    text = f"got {shown(name)}, there is {', '.join(known)}{nearest(name, known)}"
                    yield f"nulls.{kind}", text


LEARNS: dict[str, Learns] = dict(zip(NULL_KINDS, (NOTHING, PERMUTED), strict=True))
"""What the networks of a null run learn."""


class Library(Section):
    """Every key of the config with its meaning, unit, default and allowed values.

    No key is required: what is left out keeps the value of the tier.
    """

    tier: str = key(
        "Budget to start from: default, or a file of config/tiers/ (smoke, desk, paper)."
    )
    variants: list[str] = key(
        "Files of config/variants/ laid over the tier, in this order; on the command line "
        "separated by commas."
    )
    run: str = key(
        "Name of the folder under results/. Filled in by itself: the tier's name and, for each "
        "variant, -{variant}. Give it to keep a run with other overrides beside the others.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )
    extensions: Distinct[str] = key(
        "Python files that declare further statistics, methods and the like, as "
        "docs/how-to/add-a-statistic.md shows."
    )
    seed: int = key(
        "Root of every random number; each draw also names its purpose, cosmology and map, so "
        "results depend on no order of jobs.",
        ge=0,
    )
    learns: Learns = key(
        "What every network of the run learns from: its labels, the same in another order, or "
        "nothing. Null runs are set so by themselves."
    )
    nulls: Nulls
    cosmology: Universes
    maps: Maps
    data_sets: Distinct[Literal["noiseless", "noisy"]] = key(
        "Data sets to run: without and with shape noise.", min_length=1
    )
    noise: Noise
    simulation: Simulation
    statistics: Statistics
    network: Regressor
    digits: Digits
    cluster: Cluster


SELECTORS = ("tier", "variants")
"""Keys that choose files of values and have none in config/config.yaml."""


@functools.cache
def chapter_sections() -> dict[str, type[Section]]:
    """Chapter → its section, by year: every package in ``chapters`` is one."""
    by_chapter = {}
    for module in pkgutil.iter_modules(chapters.__path__):
        name = f"{chapters.__name__}.{module.name}.config"
        by_chapter[module.name] = importlib.import_module(name).Chapter
    return dict(sorted(by_chapter.items(), key=lambda item: (item[0][-4:], item[0])))


@functools.cache
def whole() -> type[Library]:
    """Return the model of the whole config."""
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in chapter_sections().items()}
    made = create_model("Config", __base__=Library, __doc__=Library.__doc__, **fields)
    return made


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Yield (dotted name, model) of every section."""

    def walk(prefix: str, kind: type[Section]) -> Iterator[tuple[str, type[Section]]]:
        for name, field in kind.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, Section):
                yield prefix + name, inner
                yield from walk(f"{prefix}{name}.", inner)

    yield from walk("", whole())


def spec_of(plain: Mapping[str, Any]) -> Spec:
    """Return what a job depends on with its sections typed.

    Parameters
    ----------
    plain : section's dotted name or name of a plain value → mapping or value.

    """
    known = dict(sections())
    made = {}
    for name, value in plain.items():
        made[name.rpartition(".")[2]] = (
            known[name].part(value) if name in known and isinstance(value, Mapping) else value
        )
    return Spec(**made)

"""The seven finders of Wilde et al. (2022) on images at the sampling that they learned from.

Their weights were released. Each reads its own bands, pixels and field, and every band of every
image goes from 0 to 1. Scenes are drawn once and observed at each sampling; what differs from the
Lens Finding Challenge is that infrared bands are observed at the sampling of a network instead of
being resampled to it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kappascope import progress
from kappascope.attribution.methods import image_relevance
from kappascope.chapters.wilde2022 import explaining, finder
from kappascope.faithfulness import randomization
from kappascope.networks.description import Parameters
from kappascope.reporting.errorbars import error_of_mean, proportion_error
from kappascope.stronglens import classifiers, imaging
from kappascope.stronglens import images as image_sets
from kappascope.stronglens.finders import Finder, unit_range
from kappascope.stronglens.images import Images
from kappascope.stronglens.populations import COMPOUND, KINDS, NON_LENSES, Population
from kappascope.stronglens.surveys import Survey
from kappascope.tables import Table

FINE_ARCSEC = 0.1
"""Light is evaluated at points not farther apart."""
BATCH = 32
EXPLAINED = "OU-66"
METHODS = (
    "gradient",
    "guided_backprop",
    "lens_guided_backprop",
    "grad_cam.relu9",
    "lens_grad_cam.relu9",
    "guided_grad_cam.relu9",
    "lens_guided_grad_cam.relu9",
)
"""Explanations of :data:`EXPLAINED`; relu9 is its last map, of 4 × 4 places."""

FINDERS = Table(
    "wilde2022/published_finders.csv",
    "released network × kind of image × sources of compound lenses",
    """network (the released one, `mean` over them, `best` of them), kind, sources (of compound
    lenses: compact, as of other lenses, or those of the released code), called_lens_percent, error
    (binomial; over networks for the mean), images""",
)
ACCURACY = Table(
    "wilde2022/published_accuracy.csv",
    "released network × measure, and the mean over networks",
    """network, measure (precision, recall, f1, auc), value, error (bootstrap over images; over
    networks for the mean), images""",
)
ARCS = Table("wilde2022/published_arcs.csv", "method × group", explaining.ARC_COLUMNS)


def unlearned(networks: Sequence[Finder], seed: int) -> list[Finder]:
    """Return the networks with the weights of none that was trained: what a null run scores."""
    return [
        dataclasses.replace(finder, model=(finder.model[0], _initial(finder, seed, number)))
        for number, finder in enumerate(networks)
    ]


def _initial(finder: Finder, seed: int, number: int) -> Parameters:
    network, parameters = finder.model
    chosen = range(len(randomization.layers(network)))
    return randomization.reinitialized(network, parameters, chosen, seed, number)


def camera_of(survey: Survey, sampling: tuple[int, float]) -> imaging.Camera:
    """Return a camera of all bands at a sampling."""
    pixels, arcsec = sampling
    fine = max(1, round(arcsec / FINE_ARCSEC))
    return imaging.Camera(pixels, arcsec, survey.names, fine, survey)


def observed(
    population: Population,
    survey: Survey,
    samplings: Sequence[tuple[int, float]],
    kinds: Sequence[str],
    number: int,
    seed: int,
) -> dict[tuple[int, float], Images]:
    """Draw scenes and observe them at every sampling.

    What counts as a lens is decided at the first one, so that all networks see the same scenes.

    Returns
    -------
    Sampling → images of all bands, each band of each image from 0 to 1.

    """
    pieces: dict[tuple[int, float], list[Images]] = {sampling: [] for sampling in samplings}
    split = "published finders"
    for kind in kinds:
        camera = camera_of(survey, samplings[0])
        scenes, light, attempt = image_sets.drawn(population, camera, seed, split, kind, number)
        for sampling in samplings:
            camera = camera_of(survey, sampling)
            if sampling != samplings[0]:
                lensed = kind not in NON_LENSES
                light = imaging.observe(camera, imaging.scenes_of(scenes), lensed)
            noise = camera.noise(light.light, seed, f"{split} {kind} {sampling}", range(number))
            pieces[sampling].append(
                Images(
                    unit_range(light.light + noise),
                    np.full(number, kind),
                    np.array([each.colour for each in scenes]),
                    np.array([each.einstein_radius for each in scenes]),
                    np.array([each.source_magnitude for each in scenes]),
                    np.array([each.place for each in scenes]) / camera.pixel_arcsec,
                    np.arange(number),
                    attempt,
                    light.arc_mask(camera),
                    light.arc_signal(camera),
                )
            )
    return {sampling: image_sets.joined(*parts) for sampling, parts in pieces.items()}


def score(network: Finder, images: Images, names: Sequence[str]) -> np.ndarray:
    """Return the probability of a lens, (image,), from images of all bands, called ``names``."""
    columns = [names.index(band) for band in network.bands]
    return np.concatenate(
        [
            classifiers.probability(network.model, images.x[k : k + BATCH][..., columns])
            for k in range(0, len(images), BATCH)
        ]
    )


def kind_rows(
    scores: Mapping[str, np.ndarray], images: Images, sources: str
) -> Iterator[dict[str, Any]]:
    """Yield rows of ``published_finders.csv`` for one population of compound lenses.

    Parameters
    ----------
    scores : name of a network → (image,).

    """
    for kind in dict.fromkeys(images.kind.tolist()):
        chosen = images.kind == kind
        if sources != "compact" and kind not in COMPOUND:
            continue
        shares = {name: float((each[chosen] > 0.5).mean()) for name, each in scores.items()}
        number = int(chosen.sum())
        listed: list[tuple[str, float, float | None]] = [
            (name, part, proportion_error(part, number)) for name, part in shares.items()
        ]
        values = list(shares.values())
        listed.append(("mean", float(np.mean(values)), error_of_mean(values)))
        best = max(values)
        listed.append(("best", best, proportion_error(best, number)))
        for name, part, error in listed:
            yield {
                "network": name,
                "kind": kind,
                "sources": sources if kind in COMPOUND else "",
                "called_lens_percent": 100 * part,
                "error": None if error is None else 100 * error,
                "images": number,
            }


def accuracy_rows(
    scores: Mapping[str, np.ndarray], images: Images, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``published_accuracy.csv``, of lenses and non-lenses."""
    usual = ~np.isin(images.kind, COMPOUND)
    stacked = np.stack([each[usual] for each in scores.values()])
    names = list(scores)
    return [
        {
            **row,
            "network": row["network"] if row["network"] == "mean" else names[int(row["network"])],
        }
        for row in finder.accuracy_rows(stacked, images.select(usual), seed)
    ]


def arc_rows(
    network: Finder, images: Images, names: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``published_arcs.csv``: whether a network's maps lie on a lens's own arcs."""
    columns = [names.index(band) for band in network.bands]
    lenses = images.select(images.lenses)
    x = lenses.x[..., columns]
    maps = {}
    with progress.bar(len(METHODS), f"explain {network.name}", unit="method") as shown:
        for name in METHODS:
            maps[name] = image_relevance(name, network.model, x, classifiers.LENS, seed)
            shown.update()
    return list(explaining.arc_rows(maps, lenses, network.pixel_arcsec, seed))


def tables(
    networks: Sequence[Finder], population: Population, survey: Survey, number: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all three tables, none without networks or without their survey.

    Parameters
    ----------
    number : of images of each kind.

    """
    samplings = list(dict.fromkeys(network.sampling for network in networks))
    rows: list[dict[str, Any]] = []
    accuracy: list[dict[str, Any]] = []
    arcs: list[dict[str, Any]] = []
    if not networks or not {band for each in networks for band in each.bands} <= {*survey.names}:
        return {"finders": rows, "accuracy": accuracy, "arcs": arcs}
    for sources, kinds in (("compact", KINDS), ("released", COMPOUND)):
        drawn_from = dataclasses.replace(population, compound_sources=sources)
        sets = observed(drawn_from, survey, samplings, kinds, number, seed)
        scores = {}
        with progress.bar(len(networks), f"released finders, {sources}", unit="network") as shown:
            for network in networks:
                scores[network.name] = score(network, sets[network.sampling], survey.names)
                shown.update()
        images = sets[samplings[0]]
        rows += kind_rows(scores, images, sources)
        if sources == "compact":
            accuracy = accuracy_rows(scores, images, seed)
            for network in networks:
                if network.name == EXPLAINED:
                    arcs = arc_rows(network, sets[network.sampling], survey.names, seed)
    return {"finders": rows, "accuracy": accuracy, "arcs": arcs}

"""Maps to explain, what sum-of-parts models make of them, and how well they predict."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope.chapters.you2023 import structures, sum_of_parts
from kappascope.chapters.you2023.config import Chapter
from kappascope.chapters.you2023.sum_of_parts import Parts
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.maps.dataset import SplitMaps, spread_of_each
from kappascope.networks import description, prediction
from kappascope.networks.evaluate import MAPS_AT_ONCE, evaluate
from kappascope.reporting.errorbars import error_of_mean, scatter
from kappascope.sections import Spec
from kappascope.tables import Table
from kappascope.transforms import segments

ACCURACY = Table(
    "you2023/accuracy.csv",
    "reader",
    """reader (network, sum_of_parts), mse (mean over outputs, in the parameters' units), mse_error
    (over cosmologies), mse_scatter (over networks), error_ratio (over the networks'),
    r2_omega_matter, r2_sigma_8, additivity (largest distance of prediction and Σ c y in single
    precision, over the prediction), groups, groups_with_score (a map), maps, networks""",
)
EXAMPLES = 6
SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Explained:
    """Maps to explain and what is known of them.

    Attributes
    ----------
    maps : (map, y, x).
    targets : (map, output) in the parameters' own units.
    cosmology, light_cone : (map) of which each map is; errors count light cones.
    scale : (output) units of the network's outputs.

    """

    maps: np.ndarray
    targets: np.ndarray
    cosmology: np.ndarray
    light_cone: np.ndarray
    scale: np.ndarray


def explained_maps(
    paths: Sequence[str | Path],
    networks: Sequence[str | Path],
    each: int,
    spec: Spec,
    of: str = "testing",
) -> Explained:
    """Return maps of a split, of every cosmology and many light cones, as the networks see them."""
    section = spec.you2023
    split = SplitMaps(paths, of)
    if not len(split):
        raise InputError(f"you2023: there are no {of} maps")
    columns = split.columns
    rows = spread_of_each(columns.cosmology, each)
    maps = prediction.observed(split.select(rows), section.data_set, spec, section.rebin)
    with np.load(networks[0]) as stored:
        scale = stored["target_scale"]
    return Explained(
        maps, split.targets[rows], columns.cosmology[rows], columns.realization[rows], scale
    )


def all_parts(
    networks: Sequence[str | Path],
    models: Sequence[str | Path],
    explained: Explained,
    section: Chapter,
) -> list[Parts]:
    """Apply every sum-of-parts model to the maps."""
    settings = sum_of_parts.Settings.of(section.model, checkpoint_every_seconds=0)
    parts = []
    for path, model in zip(networks, models, strict=True):
        network, parameters, _ = description.load(Path(path).parent)
        data = sum_of_parts.divided(
            network, parameters, explained.maps, segments.Settings(**section.segments.model_dump())
        )
        trained = sum_of_parts.load(model)
        parts.append(sum_of_parts.evaluate(network, parameters, trained, data, settings))
    return parts


def accuracy_rows(
    networks: Sequence[str | Path], parts_by_network: Sequence[Parts], explained: Explained
) -> list[dict[str, Any]]:
    """Return the errors of the networks and of the models over them, in the parameters' units."""
    outputs = []
    for path in networks:
        network, parameters, _ = description.load(Path(path).parent)
        outputs.append(evaluate(network, parameters, explained.maps, MAPS_AT_ONCE))
    whole = np.stack(outputs) * explained.scale
    parts = np.stack([one.prediction for one in parts_by_network]) * explained.scale
    # Nothing but the parts reaches the prediction: what is left is rounding.
    missing = max(
        float(
            (
                np.abs((one.scores * one.partial).sum(1) - one.prediction)
                / np.maximum(np.abs(one.prediction), 1.0)
            ).max()
        )
        for one in parts_by_network
    )
    used = float(np.mean([(one.scores > 0).sum(1).mean() for one in parts_by_network]))
    there = float(np.mean([(one.masks.max((2, 3)) > 0).sum(1).mean() for one in parts_by_network]))
    rows = []
    for reader, predicted in (("network", whole), ("sum_of_parts", parts)):
        squared = ((predicted - explained.targets) ** 2).mean(-1)
        variance = explained.targets.var(0)
        r_squared = 1 - ((predicted - explained.targets) ** 2).mean(1) / variance
        own = reader == "sum_of_parts"
        rows.append(
            {
                "reader": reader,
                "mse": squared.mean(),
                "mse_error": _error_over_cosmologies(squared.mean(0), explained.cosmology),
                "mse_scatter": scatter(squared.mean(1)),
                "error_ratio": squared.mean() / ((whole - explained.targets) ** 2).mean(),
                "r2_omega_matter": r_squared[:, 0].mean(),
                "r2_sigma_8": r_squared[:, 1].mean(),
                "additivity": missing if own else "",
                "groups": there if own else "",
                "groups_with_score": used if own else "",
                "maps": len(explained.maps),
                "networks": len(parts_by_network),
            }
        )
    return rows


def _error_over_cosmologies(values: np.ndarray, cosmology: np.ndarray) -> float | None:
    """Return the standard error of a mean over maps (map), those of a cosmology together."""
    means = [values[cosmology == number].mean() for number in np.unique(cosmology)]
    return error_of_mean(means)


def packed(parts: Parts, explained: Explained) -> dict[str, np.ndarray]:
    """Return the groups that have a score, for a file.

    ``map``, ``group`` (n), ``mask`` (n, y, x) float16, ``score`` and ``partial`` (n, output) in the
    parameters' units, ``prediction``, ``truth`` (map, output), ``maps`` (map, y, x), ``cosmology``.
    """
    row, group = np.nonzero((parts.scores > 0).any(-1))
    return {
        "map": row,
        "group": group,
        "mask": parts.masks[row, group].astype(np.float16),
        "score": parts.scores[row, group],
        "partial": parts.partial[row, group] * explained.scale.astype(np.float32),
        "prediction": parts.prediction * explained.scale.astype(np.float32),
        "truth": explained.targets,
        "maps": explained.maps,
        "cosmology": explained.cosmology,
        "parameters": np.array(PARAMETERS),
    }


def examples(
    parts: Parts, explained: Explained, thresholds: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Return maps with their three heaviest groups, and with a void and a cluster group each.

    ``maps`` (example, y, x), ``masks`` (example, 3, y, x), ``scores`` (example, 3, output),
    ``truth`` and ``prediction`` (example, output); ``void`` and ``cluster`` (example, y, x), where
    a map has none zero everywhere, with ``void_score`` and ``cluster_score`` (example, output).
    """
    heaviest = structures.kinds(parts, explained.maps, thresholds)
    complete = [
        row
        for row in range(len(explained.maps))
        if all(heaviest[kind][row] >= 0 for kind in heaviest)
    ]
    others = [row for row in range(len(explained.maps)) if row not in complete]
    chosen = _spread_out(complete, EXAMPLES)
    rows = np.array(chosen + _spread_out(others, EXAMPLES - len(chosen)))
    merged = [structures.distinct(parts, row, parts.scores[row].sum(-1)) for row in rows]
    shape = (len(rows), SHOWN, *explained.maps.shape[1:])
    masks, scores = np.zeros(shape, np.float32), np.zeros((*shape[:2], len(PARAMETERS)))
    for place, row in enumerate(rows):
        for number, (members, _) in enumerate(merged[place][:SHOWN]):
            masks[place, number] = parts.masks[row, members[0]]
            scores[place, number] = parts.scores[row, members].sum(0)
    arrays = {
        "maps": explained.maps[rows],
        "masks": masks,
        "scores": scores,
        "truth": explained.targets[rows],
        "prediction": parts.prediction[rows] * explained.scale,
        "cosmology": explained.cosmology[rows],
    }
    for kind, group in heaviest.items():
        indices = np.maximum(group[rows], 0)
        there = (group[rows] >= 0)[:, None]
        arrays[kind] = parts.masks[rows, indices] * there[..., None]
        arrays[f"{kind}_score"] = parts.scores[rows, indices] * there
    return arrays


def _spread_out(rows: list[int], number: int) -> list[int]:
    if not rows or number < 1:
        return []
    places = np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)
    return [rows[place] for place in places]


def remarks(
    groups: structures.Groups, explained: Explained, thresholds: Mapping[str, float]
) -> Iterator[str]:
    """Yield what a reader of the tables should know of maps that have little to explain."""
    flat = int((explained.maps.std((1, 2)) == 0).sum())
    if flat:
        yield f"you2023: {flat} of {groups.maps} maps have no structure at all"
    for kind, threshold in thresholds.items():
        selected = groups.chosen(kind, threshold)
        without = groups.maps - len(np.unique(groups.map[selected]))
        if without:
            yield (
                f"you2023: {without} of {groups.maps} maps have no {kind} among their groups "
                f"({'below' if kind == 'void' else 'above'} {threshold:g} sigma)"
            )

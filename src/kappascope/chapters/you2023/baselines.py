"""Sum-of-parts beside post-hoc attributions on the same maps (you2023, table for CosmoGrid).

Every attribution is turned into groups in the same way: its sums over square cells are ranked, and
fifths of the cells are groups (``perturbation.top_cells``). What is compared:

- the error of predicting from the most important group alone, hidden pixels being zero;
  sum-of-parts predicts by its own rule, and FRESH by a last layer fitted anew to what its extractor
  hands on;
- the same error where every method, random cells too, has a last layer fitted to training maps seen
  through its own masks, for masks of several areas: one rule for all, so that what differs is where
  methods point;
- purity: the share of groups that are one kind of structure (``perturbation.purity``);
- insertion and deletion, pixel by pixel and group by group.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kappascope import progress, randomness
from kappascope.attribution import labels, methods
from kappascope.attribution.methods import Model
from kappascope.chapters.you2023 import structures
from kappascope.chapters.you2023.config import Baselines
from kappascope.chapters.you2023.explaining import Explained
from kappascope.chapters.you2023.sum_of_parts import Parts, attribution, features_of
from kappascope.faithfulness import perturbation
from kappascope.networks.evaluate import evaluate, in_batches
from kappascope.reporting.errorbars import error_of_mean
from kappascope.tables import Table

RANDOM = "random"
SUM_OF_PARTS = "sum_of_parts"
SCORES = ("insertion", "deletion", "grouped_insertion", "grouped_deletion")
MAPS = Table(
    "you2023/comparison/{network}.csv",
    "network × method × map × parameter",
    """network, method, map, cosmology, light_cone, parameter, squared_error, purity, alignment,
    insertion, deletion, grouped_insertion, grouped_deletion, groups""",
)
AREA_MAPS = Table(
    "you2023/comparison/{network}_areas.csv",
    "network × method × area × map × parameter",
    """network, method, area_percent (of the map's cells, the most important first), map,
    light_cone, parameter, squared_error (of a last layer fitted to such masks), purity""",
)
MASK_AREA = Table(
    "you2023/mask_area.csv",
    "method × area",
    """method, label, area_percent, mse, mse_error (over light cones), error_ratio (over the
    networks' on whole maps), purity, purity_error, maps, light_cones, networks""",
)
MEASURES = ("purity", "alignment", *SCORES)
BASELINES = Table(
    "you2023/baselines.csv",
    "method",
    """method, label, mse, mse_error, error_ratio, purity, purity_error, alignment,
    alignment_error, insertion, insertion_error, deletion, deletion_error, grouped_insertion,
    grouped_insertion_error, grouped_deletion, grouped_deletion_error, groups, maps,
    light_cones, networks""",
)

BEST = Table(
    "you2023/best.csv",
    "measure",
    "measure, best (method), value, error, sum_of_parts, best_post_hoc, its_value",
)


def attributed(
    name: str, model: Model, maps: np.ndarray, section: Baselines, seed: int
) -> np.ndarray:
    """Attribute maps (map, y, x) for all outputs: (output, map, y, x), of the maps' size."""
    if name == RANDOM:
        generator = randomness.generator(seed, "random attribution")
        return generator.random((model[0].outputs, *maps.shape))
    attributions = np.zeros((model[0].outputs, *maps.shape))
    method = methods.configured(name, section, model[0])
    with progress.bar(len(maps), f"attribute, {name}", unit="map") as shown:
        for rows, relevance in methods.in_batches(method, model, maps[..., None], None, seed):
            # Grad-CAM comes in the size of its node, without channels.
            plain = relevance.sum(-1) if relevance.ndim == 5 else relevance
            shape = (*plain.shape[:2], *maps.shape[1:])
            attributions[:, rows] = np.asarray(
                jax.image.resize(jnp.asarray(plain), shape, "linear")
            )
            shown.update(rows.stop - rows.start)
    return attributions


def fitted_readout(
    model: Model, maps: np.ndarray, kept: np.ndarray, targets: np.ndarray, ridge: float = 1e-3
) -> np.ndarray:
    """Fit a last layer to maps of which only the rationale is left: (feature + 1).

    Parameters
    ----------
    maps : (map, y, x) training maps.
    kept : (map, y, x) bool.
    targets : (map) in units of the output.

    """
    known = _features(model, maps * kept)
    centred, mean = known - known.mean(0), targets.mean()
    normal = centred.T @ centred + ridge * len(known) * np.eye(known.shape[1])
    weights = np.linalg.solve(normal, centred.T @ (targets - mean))
    return np.append(weights, mean - known.mean(0) @ weights)


def _features(model: Model, maps: np.ndarray) -> np.ndarray:
    """Return what the last layer reads of maps (map, y, x): (map, feature)."""
    network, parameters = model
    # One map alone is a size of its own.
    features = [
        np.asarray(features_of(network, dict(parameters), piece))[: rows.stop - rows.start]
        for rows, piece in in_batches(maps[..., None].astype(np.float32), min(len(maps), 128))
    ]
    return np.concatenate(features).astype(float)


Attributions = dict[str, np.ndarray]
"""Method → (output, map, y, x)."""


def all_attributed(
    model: Model, maps: np.ndarray, parts: Parts, section: Baselines, seed: int
) -> Attributions:
    """Attribute maps (map, y, x) with every method, at random, and by the sum-of-parts model.

    Parameters
    ----------
    parts : of the model on these maps.

    """
    names = [RANDOM, *section.methods]
    found = {name: attributed(name, model, maps, section, seed) for name in names}
    found[SUM_OF_PARTS] = np.stack([attribution(parts, k) for k in range(model[0].outputs)])
    return found


def examples(maps: np.ndarray, found: Attributions, most: int = 10) -> dict[str, np.ndarray]:
    """Return maps far apart in the list and what methods attribute to them, for a figure.

    ``maps`` (map, y, x) and label of a method → (map, y, x) float32, for the first output.
    """
    rows = np.unique(np.linspace(0, len(maps) - 1, most).astype(int))
    shown = {label(name): each[0, rows] for name, each in found.items() if name != RANDOM}
    return {name: array.astype(np.float32) for name, array in {"maps": maps[rows], **shown}.items()}


@dataclasses.dataclass(frozen=True)
class Learned:
    """Training maps that last layers are fitted to.

    Attributes
    ----------
    maps : (map, y, x).
    targets : (map, output) in units of the outputs.
    attributions : of these maps.

    """

    maps: np.ndarray
    targets: np.ndarray
    attributions: Attributions


@dataclasses.dataclass(frozen=True)
class Compared:
    """What methods are compared on.

    Attributes
    ----------
    number : of the network.
    attributions : of the explained maps.

    """

    number: int
    model: Model
    explained: Explained
    attributions: Attributions
    learned: Learned
    section: Baselines

    def of_map(self, name: str, output: int, row: int) -> dict[str, Any]:
        """Return what rows of both tables begin with."""
        return {
            "network": self.number,
            "method": name,
            "map": row,
            "light_cone": int(self.explained.light_cone[row]),
            "parameter": structures.PARAMETERS[output],
        }


def area_rows(given: Compared) -> Iterator[dict[str, Any]]:
    """Yield what each method's most important cells tell a last layer that was fitted to them."""
    model, explained, learned, section = given.model, given.explained, given.learned, given.section
    cases = [(name, k) for name in given.attributions for k in range(model[0].outputs)]
    with progress.bar(len(cases), f"fit last layers, network {given.number}", unit="fit") as shown:
        for name, output in cases:
            ranks, learned_ranks = (
                np.stack([perturbation.cell_ranks(a, section.tile_pixels) for a in found[output]])
                for found in (given.attributions[name], learned.attributions[name])
            )
            for percent in section.mask_areas:
                kept = ranks < percent / 100
                readout = fitted_readout(
                    model,
                    learned.maps,
                    learned_ranks < percent / 100,
                    learned.targets[:, output],
                )
                known = _features(model, explained.maps * kept)
                miss = (known @ readout[:-1] + readout[-1]) * explained.scale[output]
                miss -= explained.targets[:, output]
                for row, map_ in enumerate(explained.maps):
                    yield {
                        **given.of_map(name, output, row),
                        "area_percent": percent,
                        "squared_error": float(miss[row]) ** 2,
                        "purity": float(perturbation.purity(kept[row], map_)[0]),
                    }
            shown.update()


def rows(given: Compared, parts: Parts) -> Iterator[dict[str, Any]]:
    """Yield what each method gets on each map for each output of one network.

    Parameters
    ----------
    parts : of the sum-of-parts model on the explained maps.

    """
    model, explained, learned = given.model, given.explained, given.learned
    maps, attributions = explained.maps, given.attributions
    rewritten: dict[int, np.ndarray] = {}
    if "fresh" in attributions:
        for output, found in enumerate(learned.attributions["fresh"]):
            rewritten[output] = fitted_readout(
                model, learned.maps, found > 0, learned.targets[:, output]
            )
    outputs = range(model[0].outputs)
    with progress.bar(len(maps), f"insert and delete, network {given.number}", unit="map") as shown:
        for row, map_ in enumerate(maps):
            tests = [
                _Test.of(name, attributions[name][output, row], output, row, parts, given.section)
                for name in attributions
                for output in outputs
            ]
            seen = [map_[None], *(part for test in tests for part in test.seen(map_))]
            answers = evaluate(*model, np.concatenate(seen))
            whole, place = answers[0], 1
            for test in tests:
                predictions = answers[place : place + test.length, test.output]
                place += test.length
                prediction_alone = test.alone(predictions, parts, row)
                if test.name == "fresh":
                    shown_part = map_ * test.groups[0]
                    known = np.append(_features(model, shown_part[None])[0], 1.0)
                    prediction_alone = float(known @ rewritten[test.output])
                miss = (
                    prediction_alone * explained.scale[test.output]
                    - (explained.targets[row, test.output])
                )
                yield {
                    **given.of_map(test.name, test.output, row),
                    "cosmology": int(explained.cosmology[row]),
                    "squared_error": float(miss) ** 2,
                    **test.measured(map_, float(whole[test.output]), predictions, parts, row),
                }
            shown.update()


@dataclasses.dataclass(frozen=True)
class _Test:
    """One method on one map for one output: what is shown to the network, and what follows."""

    name: str
    output: int
    groups: np.ndarray
    scores: np.ndarray
    by_pixel: np.ndarray
    by_group: np.ndarray

    @classmethod
    def of(
        cls,
        name: str,
        attribution: np.ndarray,
        output: int,
        row: int,
        parts: Parts,
        section: Baselines,
    ) -> "_Test":
        if name == SUM_OF_PARTS:
            positive = np.flatnonzero(parts.scores[row, :, output] > 0)
            groups = parts.masks[row, positive] > structures.REGION
            scores = parts.scores[row, positive, output]
            # What no group shows comes last, so that every curve ends with the whole map.
            rest = ~groups.any(0)[None]
            ordered = perturbation.group_steps(
                np.concatenate([groups, rest]), np.append(scores, -1.0)
            )
        else:
            groups = perturbation.top_cells(attribution, section.tile_pixels, section.groups)
            scores = -np.arange(len(groups), dtype=float)
            ordered = perturbation.group_steps(groups, scores)
        return cls(
            name,
            output,
            groups,
            scores,
            perturbation.pixel_steps(attribution, section.steps),
            ordered,
        )

    def seen(self, map_: np.ndarray) -> list[np.ndarray]:
        pieces = [perturbation.altered(map_, steps) for steps in (self.by_pixel, self.by_group)]
        return [(map_ * self.groups[0])[None], *pieces]

    @property
    def length(self) -> int:
        return 1 + 2 * len(self.by_pixel) + 2 * len(self.by_group)

    def alone(self, predictions: np.ndarray, parts: Parts, row: int) -> float:
        """Return the prediction from the groups, in units of the output."""
        own = self.name == SUM_OF_PARTS
        return float(parts.prediction[row, self.output] if own else predictions[0])

    def measured(
        self, map_: np.ndarray, whole: float, predictions: np.ndarray, parts: Parts, row: int
    ) -> dict[str, Any]:
        pixels = predictions[1 : 1 + 2 * len(self.by_pixel)]
        groups = predictions[1 + 2 * len(self.by_pixel) :]
        insertion, deletion = perturbation.curves(whole, pixels)
        grouped = perturbation.curves(whole, groups)
        covered = np.diff(self.by_group.sum((1, 2)))
        own = self.name == SUM_OF_PARTS
        judged = (
            list(zip(self.groups, self.scores, strict=True)) if own else [(self.groups[0], 1.0)]
        )
        verdicts = [perturbation.purity(region, map_) for region, _ in judged]
        weights = np.array([weight for _, weight in judged])
        weights = weights / weights.sum()
        return {
            "purity": float(sum(w * pure for w, (pure, _) in zip(weights, verdicts, strict=True))),
            "alignment": float(sum(w * a for w, (_, a) in zip(weights, verdicts, strict=True))),
            "insertion": float(perturbation.area(insertion)),
            "deletion": float(perturbation.area(deletion)),
            "grouped_insertion": perturbation.grouped_area(grouped[0], covered),
            "grouped_deletion": perturbation.grouped_area(grouped[1], covered),
            "groups": len(self.groups),
        }


def _over_light_cones(
    selected: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> dict[str, float | None]:
    """Average columns over maps, outputs and networks, with standard errors over light cones."""
    cone = np.array([int(row["light_cone"]) for row in selected])
    places = [cone == one for one in np.unique(cone)]
    out: dict[str, float | None] = {}
    for column in columns:
        values = np.array([float(row[column]) for row in selected])
        out[column] = float(values.mean())
        out[f"{column}_error"] = error_of_mean([values[place].mean() for place in places])
    return out


def _counted(selected: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many maps, light cones and networks stand behind an average."""
    counted = {"maps": "map", "light_cones": "light_cone", "networks": "network"}
    return {name: len({row[column] for row in selected}) for name, column in counted.items()}


def summary(listed: Sequence[Mapping[str, Any]], backbone: float) -> list[dict[str, Any]]:
    """Average over maps, outputs and networks, with standard errors over light cones.

    Parameters
    ----------
    listed : rows of :func:`rows`, numbers as text or not.
    backbone : mean squared error of the networks on whole maps, for the ratio.

    """
    table = []
    for name in dict.fromkeys(str(row["method"]) for row in listed):
        selected = [row for row in listed if row["method"] == name]
        measured = _over_light_cones(selected, ("squared_error", "groups", *MEASURES))
        error = measured.pop("squared_error")
        del measured["groups_error"]
        table.append(
            {
                "method": name,
                "label": label(name),
                "mse": error,
                "mse_error": measured.pop("squared_error_error"),
                "error_ratio": (error or 0.0) / backbone,
                **measured,
                **_counted(selected),
            }
        )
    return table


def area_summary(listed: Sequence[Mapping[str, Any]], backbone: float) -> list[dict[str, Any]]:
    """Average rows of :func:`area_rows` as :func:`summary` does."""
    table = []
    for name, percent in dict.fromkeys((row["method"], row["area_percent"]) for row in listed):
        selected = [r for r in listed if (r["method"], r["area_percent"]) == (name, percent)]
        measured = _over_light_cones(selected, ("squared_error", "purity"))
        error = measured.pop("squared_error")
        table.append(
            {
                "method": name,
                "label": label(name),
                "area_percent": percent,
                "mse": error,
                "mse_error": measured.pop("squared_error_error"),
                "error_ratio": (error or 0.0) / backbone,
                **measured,
                **_counted(selected),
            }
        )
    return table


def best_rows(table: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say for each measure which method does best, and which of the others than sum-of-parts."""
    rows = []
    for measure in ("mse", *MEASURES):
        sign = 1 if measure in ("mse", "insertion", "grouped_insertion") else -1
        judged = [(sign * row[measure], place) for place, row in enumerate(table)]
        order = [table[place] for _, place in sorted(judged)]
        order = [row for row in order if row["method"] != RANDOM]
        own = next((row for row in order if row["method"] == SUM_OF_PARTS), None)
        post_hoc = [row for row in order if row["method"] not in (SUM_OF_PARTS, "fresh")]
        rows.append(
            {
                "measure": measure,
                "best": order[0]["method"],
                "value": order[0][measure],
                "error": order[0][f"{measure}_error"],
                "sum_of_parts": own[measure] if own else "",
                "best_post_hoc": post_hoc[0]["method"] if post_hoc else "",
                "its_value": post_hoc[0][measure] if post_hoc else "",
            }
        )
    return rows


def label(name: str) -> str:
    """Return what a method is called in tables and figures."""
    return "Random cells" if name == RANDOM else labels.family(name)

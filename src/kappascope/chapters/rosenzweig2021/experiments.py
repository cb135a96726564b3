"""What nonlinear saliency maps show: the experiments of Rosenzweig et al. (2021).

For each example the classes with the highest and the second highest probability are driven up,
along the gradient at the present image (nonlinear) and along that at the example (linear).
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import expit, softmax

from kappascope import progress, randomness
from kappascope.attribution.ascent import (
    NonlinearSaliency,
    Trajectory,
    blurred,
    kept_pixels,
    value_and_gradient,
)
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.reporting.errorbars import bootstrap_error, error_of_mean, proportion_error
from kappascope.tables import Table

Model = tuple[Network, Parameters]

SURE_PERCENT = 95.0
"""A class above this counts as pure (the text on Figure 1)."""
UNLIKELY_PERCENT = 1.0
"""A class below this counts as hardly there."""
METHODS = ("nonlinear", "linear")
RANKS = ("first", "second")
BATCH = 16

TRAJECTORIES = Table(
    "rosenzweig2021/trajectories.csv, photographs_trajectories.csv",
    "example × class × method × level",
    """subject (galaxies, digits, photographs), example, rank (first, second), class, method
    (nonlinear, linear), level_percent (blurred), percent (probability at the level's end)""",
)
EXAMPLES = Table(
    "rosenzweig2021/examples.csv, photographs.csv",
    "example × class × method",
    """subject, example, true_class, rank, class, method, start_percent, best_percent (on the way),
    best_level_percent (blurred share where that was), threshold_percent (first level that ends
    above 95 %; empty: none), rises (0: never above the start), at_limits_percent (kept values
    at the ends of the data's range), overlap (of both methods' last masks)""",
)
BLURRING = Table(
    "rosenzweig2021/blurring.csv, photographs_blurring.csv",
    "example × class × method",
    """subject, example, rank, class, method (nonlinear, linear, random), percent, blurred_percent
    (the kept 5 % of the pixels blurred), change, log_odds_change""",
)
SUMMARY = Table(
    "rosenzweig2021/summary.csv, photographs_summary.csv",
    "statement × class × method",
    "subject, rank, method, statement, value, error, unit, examples",
)
KAPPA = Table(
    "rosenzweig2021/kappa.csv",
    "map × parameter × direction × method",
    """parameter, direction (up, down), method, realization, start, end, best, change, rises,
    at_limits_percent, overlap""",
)


@dataclasses.dataclass(frozen=True)
class Subject:
    """Images of some kind, and the classifier that reads them.

    Attributes
    ----------
    name : as tables say it.
    model : the classifier.
    x : (example, y, x, channel).
    true : (example,) class numbers.
    classes : names of the classes.
    low, high : (channel,) range of the data.

    """

    name: str
    model: Model
    x: np.ndarray
    true: np.ndarray
    classes: Sequence[str]
    low: np.ndarray
    high: np.ndarray

    def probabilities(self, x: np.ndarray | None = None) -> np.ndarray:
        """Return (example, class) of the examples or of other images."""
        outputs = evaluate(*self.model, self.x if x is None else x)
        return softmax(outputs.astype(float), 1)


@dataclasses.dataclass(frozen=True)
class Followed:
    """One subject's trajectories.

    Attributes
    ----------
    classes : (rank, example) class numbers driven up.
    start : (rank, example) their probabilities.
    curves : (rank, method, level, example) probability at the end of each level.
    best : (rank, method, example) largest probability on the way.
    best_level : (rank, method, example) share of blurred pixels where that was; NaN for the input.
    images : (rank, method, level, example, y, x, channel).
    kept : (rank, method, level, example, y, x) pixels kept at the end of each level.
    rises : (rank, method, example).
    at_limits : (rank, method, example) share of kept values at the range's ends.
    levels : shares of blurred pixels.

    """

    classes: np.ndarray
    start: np.ndarray
    curves: np.ndarray
    best: np.ndarray
    best_level: np.ndarray
    images: np.ndarray
    kept: np.ndarray
    rises: np.ndarray
    at_limits: np.ndarray
    levels: np.ndarray


def follow(subject: Subject, settings: NonlinearSaliency) -> Followed:
    """Drive the first and second class of every example up, in both ways."""
    probabilities = subject.probabilities()
    order = np.argsort(-probabilities, 1, kind="stable")
    classes = order[:, :2].T
    number, levels = len(subject.x), settings.levels
    shape = (len(RANKS), len(METHODS))
    curves = np.zeros((*shape, len(levels), number))
    best, best_level, at_limits = (np.zeros((*shape, number)) for _ in range(3))
    rises = np.zeros((*shape, number), bool)
    images = np.zeros((*shape, len(levels), *subject.x.shape), np.float32)
    kept = np.zeros((*shape, len(levels), *subject.x.shape[:3]), bool)
    total = number * len(RANKS) * len(METHODS)
    with progress.bar(total, f"trajectories, {subject.name}", unit="trajectory") as shown:
        for rank in range(len(RANKS)):
            for rows in batches(number):
                for way, method in enumerate(METHODS):
                    chosen = dataclasses.replace(
                        settings, linear=method == "linear", objective="log_odds"
                    )
                    trajectory = padded(chosen, subject, rows, classes[rank])
                    here = len(rows)
                    curves[rank, way][:, rows] = expit(trajectory.values_by_level()[:, :here])
                    top = np.maximum(trajectory.values.max((0, 1)), trajectory.start)
                    best[rank, way, rows] = expit(top[:here])
                    where = trajectory.best_level[:here]
                    reached = np.where(where < 0, np.nan, trajectory.levels[where])
                    best_level[rank, way, rows] = reached
                    rises[rank, way, rows] = trajectory.rises[:here]
                    at_limits[rank, way, rows] = trajectory.at_limits()[:here]
                    images[rank, way][:, rows] = trajectory.images[:, :here]
                    kept[rank, way][:, rows] = trajectory.kept[:, :here]
                    shown.update(here)
    return Followed(
        classes,
        np.take_along_axis(probabilities, classes.T, 1).T,
        curves,
        best,
        best_level,
        images,
        kept,
        rises,
        at_limits,
        np.asarray(levels),
    )


def batches(number: int) -> Iterator[np.ndarray]:
    """Yield the rows of a batch of examples at a time."""
    for start in range(0, number, BATCH):
        yield np.arange(start, min(start + BATCH, number))


def filled(subject: Subject, rows: np.ndarray) -> np.ndarray:
    """Repeat rows up to the usual size of a subject's batches: one shape, compiled once."""
    return np.resize(rows, min(BATCH, len(subject.x)))


def padded(
    settings: NonlinearSaliency, subject: Subject, rows: np.ndarray, classes: np.ndarray
) -> Trajectory:
    """Follow a batch, filled up to the usual size.

    Parameters
    ----------
    classes : (example,) of all examples: what each is driven to.

    """
    network, parameters = subject.model
    every = filled(subject, rows)
    return settings.trajectory(
        network, parameters, subject.x[every], classes[every], subject.low, subject.high
    )


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return intersection over union of masks (..., y, x)."""
    both = (one & other).sum((-2, -1))
    return both / np.maximum((one | other).sum((-2, -1)), 1)


def thresholds(followed: Followed) -> np.ndarray:
    """Return the blurred share [%] at which a class first is pure, (rank, method, example).

    NaN where it never is at the end of a level.
    """
    sure = followed.curves >= SURE_PERCENT / 100
    first = np.argmax(sure, 2)
    return np.where(sure.any(2), 100 * followed.levels[first], np.nan)


def trajectory_rows(subject: Subject, followed: Followed) -> list[dict[str, Any]]:
    """Return rows of ``trajectories.csv``."""
    return [
        {
            "subject": subject.name,
            "example": example,
            "rank": rank,
            "class": subject.classes[followed.classes[r, example]],
            "method": method,
            "level_percent": 100 * level,
            "percent": 100 * followed.curves[r, m, k, example],
        }
        for r, rank in enumerate(RANKS)
        for m, method in enumerate(METHODS)
        for example in range(len(subject.x))
        for k, level in enumerate(followed.levels)
    ]


def example_rows(subject: Subject, followed: Followed) -> list[dict[str, Any]]:
    """Return rows of ``examples.csv``; overlap is that of both methods' masks at the last level."""
    overlap = overlaps(followed.kept[:, 0, -1], followed.kept[:, 1, -1])
    reached = thresholds(followed)
    return [
        {
            "subject": subject.name,
            "example": example,
            "true_class": subject.classes[subject.true[example]],
            "rank": rank,
            "class": subject.classes[followed.classes[r, example]],
            "method": method,
            "start_percent": 100 * followed.start[r, example],
            "best_percent": 100 * followed.best[r, m, example],
            "best_level_percent": _cell(100 * followed.best_level[r, m, example]),
            "threshold_percent": _cell(reached[r, m, example]),
            "rises": int(followed.rises[r, m, example]),
            "at_limits_percent": 100 * followed.at_limits[r, m, example],
            "overlap": overlap[r, example],
        }
        for r, rank in enumerate(RANKS)
        for m, method in enumerate(METHODS)
        for example in range(len(subject.x))
    ]


def blurring_rows(
    subject: Subject, followed: Followed, sigma: float, seed: int
) -> list[dict[str, Any]]:
    """Blur the pixels that a class's map keeps at the last level: rows of ``blurring.csv``.

    As many pixels drawn at random are blurred for comparison, method ``random``.
    """
    soft = np.asarray(blurred(np.asarray(subject.x, np.float32), sigma))
    examples = np.arange(len(subject.x))
    rows = []
    for r, rank in enumerate(RANKS):
        masks = {method: followed.kept[r, m, -1] for m, method in enumerate(METHODS)}
        masks["random"] = at_random(masks["nonlinear"], seed, subject.name, r)
        for method, mask in masks.items():
            changed = np.where(mask[..., None], soft, subject.x)
            after = subject.probabilities(changed)[examples, followed.classes[r]]
            before = followed.start[r]
            rows += [
                {
                    "subject": subject.name,
                    "example": int(k),
                    "rank": rank,
                    "class": subject.classes[followed.classes[r, k]],
                    "method": method,
                    "percent": 100 * before[k],
                    "blurred_percent": 100 * after[k],
                    "change": 100 * (after[k] - before[k]),
                    "log_odds_change": _log_odds(after[k]) - _log_odds(before[k]),
                }
                for k in examples
            ]
    return rows


def _log_odds(p: float) -> float:
    return float(np.log(max(p, 1e-12)) - np.log(max(1 - p, 1e-12)))


def summary_rows(
    subject: Subject, followed: Followed, blurring: Sequence[Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``summary.csv``: what the text says, over all examples.

    Errors of shares are those of proportions, of medians from a bootstrap, else of means; extremes
    have none.
    """
    rows: list[dict[str, Any]] = []

    def add(rank: str, method: str, statement: str, values: Any, unit: str) -> None:
        samples = np.asarray(values, float)
        samples = samples[np.isfinite(samples)]
        value: float | None = None
        error: float | None = None
        if len(samples) and statement == "threshold":
            value = float(np.median(samples))
            purpose = f"{subject.name}, {rank}, {method}, {statement}"
            error = bootstrap_error(
                lambda pick: float(np.median(samples[pick])), len(samples), seed, purpose
            )
        elif len(samples):
            value = float(samples.mean())
            share = unit == "% of examples"
            error = 100 * proportion_error(value / 100, len(samples)) if share else None
            if not share:
                error = error_of_mean(samples)
        rows.append(
            {
                "subject": subject.name,
                "rank": rank,
                "method": method,
                "statement": statement,
                "value": value,
                "error": error,
                "unit": unit,
                "examples": len(samples),
            }
        )

    reached = thresholds(followed)
    unlikely = followed.start <= UNLIKELY_PERCENT / 100
    for r, rank in enumerate(RANKS):
        for m, method in enumerate(METHODS):
            sure = followed.best[r, m] >= SURE_PERCENT / 100
            add(rank, method, "best probability", 100 * followed.best[r, m], "%")
            add(rank, method, "driven above 95 %", 100.0 * sure, "% of examples")
            add(rank, method, "never rises", 100.0 * ~followed.rises[r, m], "% of examples")
            add(rank, method, "values at the range's ends", 100 * followed.at_limits[r, m], "%")
            rare = unlikely[r]
            add(rank, method, "driven from 1 % above 95 %", 100.0 * sure[rare], "% of examples")
            add(rank, method, "threshold", reached[r, m], "% blurred")
            spread = reached[r, m][np.isfinite(reached[r, m])]
            if len(spread):
                add(rank, method, "smallest threshold", [spread.min()], "% blurred")
                add(rank, method, "largest threshold", [spread.max()], "% blurred")
        overlap = overlaps(followed.kept[r, 0, -1], followed.kept[r, 1, -1])
        add(rank, "both", "overlap of the last masks", overlap, "of their union")
        odds_of = {
            method: np.array(
                [
                    b["log_odds_change"]
                    for b in blurring
                    if (b["rank"], b["method"]) == (rank, method)
                ]
            )
            for method in (*METHODS, "random")
        }
        for method, odds in odds_of.items():
            selected = [b for b in blurring if (b["rank"], b["method"]) == (rank, method)]
            change = np.array([b["change"] for b in selected])
            if method != "random":
                beyond = 100.0 * (odds < 0) - 100.0 * (odds_of["random"] < 0)
                add(rank, method, "lowered by blurring, less random pixels", beyond, "points")
            add(rank, method, "lowered by blurring", 100.0 * (odds < 0), "% of examples")
            add(rank, method, "change by blurring", change, "points of probability")
            add(rank, method, "change of log-odds by blurring", odds, "")
    between = {m: overlaps(*followed.kept[:, k, -1]) for k, m in enumerate(METHODS)}
    between["jacobian"] = overlaps(*(linear_masks(subject, c, followed) for c in followed.classes))
    between["random"] = overlaps(
        *(at_random(followed.kept[r, 0, -1], seed, subject.name, r) for r in range(len(RANKS)))
    )
    for method, values in between.items():
        add("both", method, "overlap of first and second class", values, "of their union")
    second = RANKS.index("second")
    pairs = reached[second, 0], followed.start[second]
    there = np.isfinite(pairs[0])
    if there.sum() > 2:
        from scipy import stats

        level, start = (each[there] for each in pairs)

        def correlation(pick: np.ndarray) -> float:
            if not np.ptp(level[pick]) or not np.ptp(start[pick]):
                return 0.0
            return float(stats.spearmanr(level[pick], start[pick]).statistic)

        purpose = f"{subject.name}, threshold against probability"
        rows.append(
            {
                "subject": subject.name,
                "rank": "second",
                "method": "nonlinear",
                "statement": "rank correlation of threshold and probability",
                "value": correlation(np.arange(len(level))),
                "error": bootstrap_error(correlation, len(level), seed, purpose),
                "unit": "",
                "examples": len(level),
            }
        )
    return rows


def linear_masks(subject: Subject, classes: np.ndarray, followed: Followed) -> np.ndarray:
    """Keep the pixels where the gradient of the classes' own outputs is largest, (example, y, x).

    That of the network before its softmax. Gradients of a class's log-odds and of its probability
    have the same direction, and nearly that of the runner-up's, turned round: what the first gains
    the second loses.

    Parameters
    ----------
    classes : (example,).

    """
    size = np.prod(subject.x.shape[1:3])
    kept = np.zeros(subject.x.shape[:3], bool)
    network, parameters = subject.model
    for rows in batches(len(classes)):
        every = filled(subject, rows)
        x = jnp.asarray(subject.x[every])
        _, gradient = value_and_gradient(network, dict(parameters), x, classes[every], "output")
        pixels = round(float(followed.levels[-1]) * size)
        kept[rows] = np.asarray(kept_pixels(gradient, pixels))[: len(rows)]
    return kept


def at_random(masks: np.ndarray, seed: int, name: str, rank: int) -> np.ndarray:
    """Return masks (example, y, x) of as many pixels, drawn at random."""
    return np.stack(
        [
            randomness.generator(seed, f"blurred at random: {name}", rank, k)
            .permutation(mask.ravel())
            .reshape(mask.shape)
            for k, mask in enumerate(masks)
        ]
    )


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def chosen_examples(followed: Followed, true: np.ndarray, number: int) -> np.ndarray:
    """Return examples to draw: the classes in turn, unlikely second classes first."""
    rare = followed.start[1] <= UNLIKELY_PERCENT / 100
    queues = [
        sorted(np.flatnonzero(true == name), key=lambda k: (not rare[k], k))
        for name in np.unique(true)
    ]
    turn = [
        k for place in range(max(map(len, queues))) for q in queues for k in q[place : place + 1]
    ]
    return np.asarray(turn[:number], int)


def packed(subject: Subject, followed: Followed, number: int) -> dict[str, np.ndarray]:
    """Return what the figures draw of some examples, as arrays by name."""
    chosen = chosen_examples(followed, subject.true, number)
    return {
        f"{subject.name}.examples": chosen,
        f"{subject.name}.x": subject.x[chosen],
        f"{subject.name}.images": followed.images[:, 0][:, :, chosen],
        f"{subject.name}.kept": followed.kept[:, :, :, chosen],
        f"{subject.name}.low": np.atleast_1d(subject.low),
        f"{subject.name}.high": np.atleast_1d(subject.high),
    }


# ---- regressors ----------------------------------------------------------------------------------


def kappa_rows(
    model: Model,
    maps: np.ndarray,
    scale: np.ndarray,
    parameters: Sequence[str],
    settings: NonlinearSaliency,
    low: float,
    high: float,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Move a regressor's outputs up and down: rows of ``kappa.csv`` and arrays to draw.

    Parameters
    ----------
    maps : (map, y, x, 1) as the network sees them.
    scale : (output,) units of the outputs.
    low, high : range of the data, which maps keep to.

    """
    rows, arrays = [], {"kappa.x": maps, "kappa.levels": np.asarray(settings.levels)}
    with progress.bar(2 * len(parameters), "trajectories, kappa", unit="output") as shown:
        for output, parameter in enumerate(parameters):
            for direction, objective in (("up", "output"), ("down", "minus_output")):
                sign = 1 if direction == "up" else -1
                trajectories = {
                    method: dataclasses.replace(
                        settings, linear=method == "linear", objective=objective
                    ).trajectory(*model, maps, output, np.float32(low), np.float32(high))
                    for method in METHODS
                }
                overlap = overlaps(*(each.kept[-1] for each in trajectories.values()))
                for method, each in trajectories.items():
                    start = sign * each.start * scale[output]
                    end = sign * each.values_by_level()[-1] * scale[output]
                    top = np.maximum(each.values.max((0, 1)), each.start)
                    best = sign * top * scale[output]
                    rows += [
                        {
                            "parameter": parameter,
                            "direction": direction,
                            "method": method,
                            "realization": k,
                            "start": start[k],
                            "end": end[k],
                            "best": best[k],
                            "change": best[k] - start[k],
                            "rises": int(each.rises[k]),
                            "at_limits_percent": 100 * each.at_limits()[k],
                            "overlap": overlap[k],
                        }
                        for k in range(len(maps))
                    ]
                name = f"kappa.{parameter}.{direction}"
                arrays[f"{name}.best"] = trajectories["nonlinear"].best[:1]
                arrays[f"{name}.values"] = (
                    sign
                    * scale[output]
                    * np.stack([e.values_by_level() for e in trajectories.values()])
                )
                shown.update()
    return rows, arrays

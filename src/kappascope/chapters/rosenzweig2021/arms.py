"""Does the blur matter, or the optimizer? Halves of nonlinear saliency, at equal steps.

Rosenzweig et al. (2021) say that blurring alone leaves nothing that can be classified, that ascent
alone runs into the limits of the pixels without adding much, and that the optimizer does not change
the share of pixels that must be blurred. Each arm here takes the same number of steps of the same
size from the same images, towards the second class.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import expit

from kappascope import progress
from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021.experiments import (
    SURE_PERCENT,
    Subject,
    batches,
    padded,
)
from kappascope.reporting.errorbars import bootstrap_error, error_of_mean, proportion_error
from kappascope.tables import Table

ARMS: dict[str, dict[str, Any]] = {
    "both": {},
    "ascent": {"arm": "ascent"},
    "blur": {"arm": "blur"},
    "momentum": {"optimizer": "momentum"},
    "adam": {"optimizer": "adam"},
}
LABELS = {
    "both": "Blur and ascent",
    "ascent": "Ascent alone",
    "blur": "Blur alone",
    "momentum": "Both, momentum",
    "adam": "Both, Adam",
}
TABLE = Table(
    "rosenzweig2021/arms.csv",
    "subject × arm",
    """subject (galaxies, digits), arm (both, ascent, blur, momentum, adam), label, driven_percent
    (second classes that are above 95 % on the way), error, best_percent (largest probability),
    best_error, steps (to 95 %, median of those that get there), steps_error, threshold_percent
    (share of blurred pixels, or of pixels left alone, at that step; median), threshold_error,
    at_limits_percent (values at the range's ends), at_limits_error, driven_less_both (points,
    against the same examples), driven_less_error, best_less_both, best_less_error,
    threshold_less_both (of examples where both get there), threshold_less_error, examples""",
)


@dataclasses.dataclass(frozen=True)
class Arm:
    """What one arm does to every example.

    Attributes
    ----------
    best : (example,) largest probability [%].
    steps : (example,) until it is above 95 %; NaN where it never is.
    threshold : (example,) blurred share at that step [%].
    at_limits : (example,) values at the range's ends [%].

    """

    best: np.ndarray
    steps: np.ndarray
    threshold: np.ndarray
    at_limits: np.ndarray

    @property
    def driven(self) -> np.ndarray:
        """Whether the class gets above 95 %, in per cent (example,)."""
        return 100.0 * np.isfinite(self.steps)


def followed(
    subject: Subject, settings: NonlinearSaliency, classes: np.ndarray | None = None
) -> Arm:
    """Drive a class of every example up, (example,), by default the second one."""
    if classes is None:
        classes = np.argsort(-subject.probabilities(), 1, kind="stable")[:, 1]
    number = len(subject.x)
    best, at_limits = np.zeros((2, number))
    steps, threshold = np.full((2, number), np.nan)
    for rows in batches(number):
        chosen = dataclasses.replace(settings, objective="log_odds")
        trajectory = padded(chosen, subject, rows, classes)
        here = slice(len(rows))
        values = expit(trajectory.values.reshape(-1, trajectory.values.shape[-1]))[:, here]
        best[rows] = 100 * np.maximum(values.max(0), expit(trajectory.start[here]))
        at_limits[rows] = 100 * trajectory.at_limits()[here]
        sure = values >= SURE_PERCENT / 100
        there = sure.any(0)
        first = sure.argmax(0)
        steps[rows] = np.where(there, first + 1, np.nan)
        level = trajectory.levels[first // settings.steps]
        threshold[rows] = np.where(there, 100 * level, np.nan)
    return Arm(best, steps, threshold, at_limits)


def rows(subject: Subject, settings: NonlinearSaliency, seed: int) -> Iterator[dict[str, Any]]:
    """Yield rows of ``arms.csv``."""
    arms: dict[str, Arm] = {}
    with progress.bar(len(ARMS), f"arms, {subject.name}", unit="arm") as shown:
        for name, changed in ARMS.items():
            arms[name] = followed(subject, dataclasses.replace(settings, **changed))
            shown.update()
    both = arms["both"]
    for name, arm in arms.items():
        purpose = f"{subject.name}, {name}"
        share = float(arm.driven.mean())
        yield {
            "subject": subject.name,
            "arm": name,
            "label": LABELS[name],
            "driven_percent": share,
            "error": 100 * proportion_error(share / 100, len(arm.best)),
            "best_percent": float(arm.best.mean()),
            "best_error": error_of_mean(arm.best),
            **_median("steps", "steps_error", arm.steps, seed, purpose),
            **_median("threshold_percent", "threshold_error", arm.threshold, seed, purpose),
            "at_limits_percent": float(arm.at_limits.mean()),
            "at_limits_error": error_of_mean(arm.at_limits),
            **_less("driven_less", arm.driven, both.driven),
            **_less("best_less", arm.best, both.best),
            **_less("threshold_less", arm.threshold, both.threshold),
            "examples": len(arm.best),
        }


def _median(
    name: str, error: str, values: np.ndarray, seed: int, purpose: str
) -> dict[str, float | None]:
    there = values[np.isfinite(values)]
    if not len(there):
        return {name: None, error: None}

    def median(pick: np.ndarray) -> float:
        return float(np.median(there[pick]))

    spread = bootstrap_error(median, len(there), seed, f"{purpose}, {name}")
    return {name: median(np.arange(len(there))), error: spread if len(there) > 1 else None}


def _less(name: str, values: np.ndarray, both: np.ndarray) -> dict[str, float | None]:
    """Compare an arm with both halves on the same examples."""
    difference = values - both
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return {f"{name}_both": None, f"{name}_error": None}
    return {
        f"{name}_both": float(difference.mean()),
        f"{name}_error": error_of_mean(difference),
    }

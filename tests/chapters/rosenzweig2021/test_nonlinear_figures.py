"""Figures of nonlinear saliency draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn import SIDE, as_text, pictures, written
from invented import invented, picked

from kappascope.chapters.rosenzweig2021 import arms, pairs
from kappascope.chapters.rosenzweig2021 import figures as nonlinear

LEVELS = (0, 5, 95)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def followed(subject: str, bands: int):
    """Return arrays and rows of two examples, like a run's."""
    x = pictures(2, bands)
    kept = np.random.default_rng(3).uniform(size=(2, 2, len(LEVELS), 2, SIDE, SIDE)) < 0.5
    arrays = {
        f"{subject}.examples": np.array([4, 9]),
        f"{subject}.x": x,
        f"{subject}.images": np.stack([np.stack([x] * len(LEVELS))] * 2),
        f"{subject}.kept": kept,
    }
    named = [
        {"subject": subject, "example": e, "rank": rank, "class": "a", "method": method}
        for e in (4, 9)
        for rank in ("first", "second")
        for method in ("nonlinear", "linear", "random")
    ]
    examples = [
        {**row, "start_percent": 0.3, "best_percent": 99.2, "overlap": 0.25} for row in named
    ]
    trajectories = [
        {**row, "level_percent": level, "percent": 50 + level / 2}
        for row in named
        for level in LEVELS
    ]
    blurring = [
        {**row, "percent": 40, "blurred_percent": 10, "log_odds_change": -1.5} for row in named
    ]
    return arrays, as_text(examples), as_text(trajectories), as_text(blurring)


@pytest.mark.parametrize(("subject", "bands"), [("galaxies", 4), ("digits", 1)])
def test_figures_1_to_4_draw_every_example_and_class(subject: str, bands: int) -> None:
    arrays, examples, trajectories, blurring = followed(subject, bands)
    first = nonlinear.modifications(subject, arrays, examples, trajectories)
    assert len(first.axes) == 4 * 2 * (len(LEVELS) + 1)
    assert "0.3 %" in written(first) and "95 %" in written(first)
    second = nonlinear.trajectories(subject, arrays, examples, trajectories)
    lines = second.axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_xdata(), LEVELS)
    np.testing.assert_allclose(lines[0].get_ydata(), [50, 52.5, 97.5])
    third = nonlinear.comparison(subject, arrays, examples)
    assert len(third.axes) == 4 * 3 and "overlap 0.25" in written(third)
    fourth = nonlinear.selective_blurring(subject, arrays, blurring)
    assert [bar.get_width() for bar in fourth.axes[0].patches] == [40, 40, 10, 10]
    assert "Random pixels, second" in written(fourth)


def test_kappa_maps_are_drawn_down_as_they_are_and_up() -> None:
    maps = np.random.default_rng(5).normal(0, 0.02, (3, SIDE, SIDE, 1))
    arrays, rows = {"kappa.x": maps, "kappa.levels": np.linspace(0, 0.95, 8)}, []
    for parameter in ("omega_matter", "sigma_8"):
        for direction in ("up", "down"):
            name = f"kappa.{parameter}.{direction}"
            arrays[f"{name}.best"] = maps[:1]
            arrays[f"{name}.values"] = np.full((2, 8, 3), 0.3)
            rows += [
                {
                    "parameter": parameter,
                    "direction": direction,
                    "method": method,
                    "realization": k,
                    "start": 0.26,
                }
                for method in ("nonlinear", "linear")
                for k in range(3)
            ]
    figure = nonlinear.kappa(arrays, as_text(rows))
    assert sum(bool(axis.images) for axis in figure.axes) >= 6
    limits = {axis.images[0].get_clim() for axis in figure.axes if axis.images}
    assert len(limits) == 1
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["Nonlinear, up", "Linear, up", "Nonlinear, down", "Linear, down"]


def test_arms_and_pairs_are_drawn_as_they_are() -> None:
    rows = invented(
        arms.TABLE,
        subject=("galaxies", "digits"),
        arm=tuple(arms.ARMS),
        label=picked(arms.LABELS, "arm"),
        driven_percent=picked({"blur": 0.0}, "arm", otherwise=90.0),
        threshold_percent=picked({"blur": ""}, "arm", otherwise=20.0),
        threshold_error="",
    )
    figure = nonlinear.arms(as_text(rows))
    drawn = [sorted(map(float, line.get_xdata())) for line in figure.axes[0].get_lines()]
    assert [0.0, 90.0, 90.0, 90.0, 90.0] in drawn
    # An arm that gets nowhere has no threshold to draw.
    shown = [np.isfinite(line.get_xdata()).sum() for line in figure.axes[1].get_lines()]
    assert 4 in shown and 5 not in shown
    told = invented(
        pairs.TABLE,
        method=("nonlinear", "random"),
        label=picked(pairs.LABELS, "method"),
        separates_percent=picked({"nonlinear": 80.0}, "method", otherwise=25.0),
        by_chance_percent=25.0,
    )
    figure = nonlinear.separated(as_text(told))
    drawn = [list(map(float, line.get_xdata())) for line in figure.axes[0].get_lines()]
    assert [80.0, 25.0] in drawn and [25.0, 25.0] in drawn
    assert nonlinear.separated([]).axes

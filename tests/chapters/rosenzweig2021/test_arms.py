"""Halves of nonlinear saliency and optimizers, and two digits side by side."""

import dataclasses

import numpy as np
import pytest
from image_networks import dense_layers
from typed import section

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import arms, experiments, pairs, subjects
from kappascope.chapters.rosenzweig2021.experiments import Subject
from kappascope.networks import digits
from kappascope.networks.config import Digits as DigitNetworks

PIXELS, CLASSES = 8, 3
SETTINGS = NonlinearSaliency(steps=4, step=0.1, sigma=1.0)


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Images of three classes, told by columns; a linear network reads them."""
    weights = np.zeros((CLASSES, PIXELS, PIXELS))
    for k in range(CLASSES):
        weights[k, :, 3 * k : 3 * k + 2] = 0.6
    model = dense_layers((PIXELS, PIXELS), (weights.reshape(CLASSES, -1).T, np.zeros(CLASSES)))
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 0.4, (24, PIXELS, PIXELS, 1)).astype(np.float32)
    true = np.arange(24) % CLASSES
    for k, image in enumerate(x):
        image[:, 3 * true[k] : 3 * true[k] + 2] += 0.5
    return Subject(
        "made up", model, x, true, "abc", np.zeros(1, np.float32), np.ones(1, np.float32)
    )


def test_a_linear_network_needs_ascent_and_no_blur(subject) -> None:
    rows = {row["arm"]: row for row in arms.rows(subject, SETTINGS, 1)}
    assert set(rows) == set(arms.ARMS) and set(rows["both"]) == set(arms.TABLE.columns)
    assert rows["both"]["driven_percent"] == rows["ascent"]["driven_percent"] == 100
    assert rows["blur"]["driven_percent"] == 0 and rows["blur"]["steps"] is None
    assert rows["blur"]["best_less_both"] < -5 * rows["blur"]["best_less_error"]
    assert rows["both"]["driven_less_both"] == rows["both"]["threshold_less_both"] == 0
    for name in ("both", "ascent", "momentum", "adam"):
        assert 1 <= rows[name]["steps"] <= 8 * SETTINGS.steps
        assert rows[name]["examples"] == 24


def test_steps_and_thresholds_count_from_the_first_step(subject) -> None:
    arm = arms.followed(subject, dataclasses.replace(SETTINGS, step=1.0))
    # A step of the whole range is enough, before anything is blurred.
    assert (arm.steps == 1).all() and (arm.threshold == 0).all()
    never = arms.followed(subject, dataclasses.replace(SETTINGS, step=1e-6, arm="ascent"))
    assert np.isnan(never.steps).all() and not never.driven.any()


def statements(subject: Subject) -> dict:
    followed = experiments.follow(subject, SETTINGS)
    blurring = experiments.blurring_rows(subject, followed, 1.0, 1)
    rows = experiments.summary_rows(subject, followed, blurring, 1)
    return {(row["rank"], row["method"], row["statement"]): row for row in rows}


def test_masks_of_two_classes_coincide_where_one_gains_what_the_other_loses(subject) -> None:
    """With two classes ∇ log-odds of one is minus that of the other: the same pixels."""
    kernel = subject.model[1]
    two = {name: value[..., :2] for name, value in kernel.items()}
    name = next(name for name, value in two.items() if value.ndim == 2)
    network, parameters = dense_layers((PIXELS, PIXELS), (two[name], np.zeros(2)))
    pair = dataclasses.replace(
        subject,
        model=(network, parameters),
        x=subject.x[subject.true < 2],
        true=subject.true[subject.true < 2],
    )
    told = statements(pair)
    between = {
        method: told["both", method, "overlap of first and second class"]["value"]
        for method in ("linear", "jacobian", "random")
    }
    assert between["linear"] == 1.0
    assert between["jacobian"] == 0.0  # each output's own columns
    assert between["random"] < 0.4


def test_blurring_is_told_beside_random_pixels(subject) -> None:
    told = statements(subject)
    both = [told["first", m, "lowered by blurring"]["value"] for m in ("nonlinear", "random")]
    less = told["first", "nonlinear", "lowered by blurring, less random pixels"]
    assert less["value"] == pytest.approx(both[0] - both[1]) and less["examples"] == 24
    assert ("first", "random", "lowered by blurring, less random pixels") not in told


def test_examples_have_unlikely_second_classes_where_there_are_enough() -> None:
    draw = np.random.default_rng(1)
    true = np.repeat(np.arange(3), 100)
    outputs = draw.normal(size=(300, 3)) + 3 * np.eye(3)[true]
    outputs[:60] += 9 * np.eye(3)[true[:60]]
    rows = subjects.chosen(outputs, true, 30)
    assert len(rows) == len(set(rows.tolist())) == 30
    assert (np.bincount(true[rows]) == 10).all()
    p = np.exp(outputs - outputs.max(1, keepdims=True))
    second = np.sort(p / p.sum(1, keepdims=True), 1)[:, -2]
    rare = (second[rows] <= 0.01) & (true[rows] == 0)
    assert rare.sum() == 7  # two thirds of ten, of those there are
    # Of a network that is sure of nothing there are none: others stand in.
    assert len(subjects.chosen(0 * outputs, true, 30)) == 30


# ---- two digits side by side ---------------------------------------------------------------------

BUDGET = section(
    "rosenzweig2021.pairs",
    training=1500,
    testing=24,
    epochs=8,
    methods=["integrated_gradients"],
    path_nodes=4,
)


@pytest.fixture(scope="module")
def source() -> digits.Digits:
    return digits.bundled_digits()


def test_pairs_are_two_digits_each_in_its_half(source) -> None:
    made = pairs.drawn(source, 30, 1, "testing")
    assert (made.labels[:, 0] != made.labels[:, 1]).all()
    assert (made.boxes.sum((2, 3)) == pairs.HALF**2).all()
    assert not (made.boxes[:, 0] & made.boxes[:, 1]).any()
    assert not made.x[..., 0][~made.boxes.any(1)].any()
    for side in range(2):
        assert (made.x[..., 0] * made.boxes[:, side]).sum((1, 2)).min() > 1
    other = pairs.drawn(source, 30, 1, "training")
    assert not np.array_equal(made.x, other.x)


def test_maps_on_their_own_digit_separate_and_coinciding_ones_do_not(source) -> None:
    made = pairs.drawn(source, 30, 1, "testing")
    own = made.boxes.astype(float)
    maps = {"nonlinear": own, "linear": own[:, ::-1], "random": np.ones_like(own)}
    rows = {row["method"]: row for row in pairs.rows(maps, made, 80.0)}
    assert set(rows["random"]) == set(pairs.TABLE.columns)
    right, wrong, even = (rows[name] for name in ("nonlinear", "linear", "random"))
    assert right["separates_percent"] == right["own_percent"] == right["hits_percent"] == 100
    assert wrong["separates_percent"] == 0 and wrong["other_percent"] == 100
    assert even["separates_percent"] == 0 and even["own_percent"] == pytest.approx(25)
    assert right["pairs"] == 30 and right["seen_percent"] == 80


def test_a_network_of_pairs_calls_both_and_is_explained_by_each(source) -> None:
    model = pairs.trained(source, BUDGET, reading(), 1)
    made = pairs.drawn(source, BUDGET.testing, 1, "testing")
    both = pairs.seen(model, made)
    assert both.mean() > 0.2  # one in 45 by chance
    told = pairs.selected(made, both)
    maps = pairs.maps_of(model, told, NonlinearSaliency(steps=2), BUDGET, 1)
    rows = {row["method"]: row for row in pairs.rows(maps, told, 100 * float(both.mean()))}
    assert set(rows) == {"nonlinear", "linear", "jacobian", "random", "integrated_gradients"}
    found = rows["integrated_gradients"]
    assert found["own_percent"] > found["other_percent"] + 2 * found["own_error"]


def reading() -> DigitNetworks:
    from kappascope.workflow import configuration

    return configuration.load("default").digits.model_copy(update={"learning_rate": 0.002})

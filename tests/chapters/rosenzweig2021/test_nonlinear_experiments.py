"""The experiments with nonlinear saliency maps: what tables say of trajectories with known ends."""

import dataclasses

import numpy as np
import pytest
from image_networks import dense_layers
from typed import section

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import experiments as nonlinear
from kappascope.chapters.rosenzweig2021 import subjects
from kappascope.chapters.rosenzweig2021.experiments import Followed, Subject
from kappascope.networks import classification, digits
from kappascope.networks.description import Network
from kappascope.stronglens import classifiers, images, surveys
from kappascope.stronglens.imaging import Camera
from kappascope.stronglens.populations import KINDS, Population

PIXELS, CLASSES = 8, 3


def classifier() -> tuple[Network, dict[str, np.ndarray]]:
    """Return y_k = the sum over a third of the columns."""
    weights = np.zeros((CLASSES, PIXELS, PIXELS))
    for k in range(CLASSES):
        weights[k, :, 3 * k : 3 * k + 2] = 0.6
    kernel = weights.reshape(CLASSES, -1).T
    return dense_layers((PIXELS, PIXELS), (kernel, np.zeros(CLASSES)))


@pytest.fixture(scope="module")
def subject() -> Subject:
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 0.4, (20, PIXELS, PIXELS, 1)).astype(np.float32)
    true = np.arange(20) % CLASSES
    for k, image in enumerate(x):
        image[:, 3 * true[k] : 3 * true[k] + 2] += 0.5
    names = ("a", "b", "c")
    return Subject(
        "made up", classifier(), x, true, names, np.zeros(1, np.float32), np.ones(1, np.float32)
    )


@pytest.fixture(scope="module")
def followed(subject) -> Followed:
    return nonlinear.follow(subject, NonlinearSaliency(steps=4, step=0.1, sigma=1.0))


def test_first_and_second_class_are_those_of_the_input(subject, followed) -> None:
    p = subject.probabilities()
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(followed.classes[0], p.argmax(1))
    np.testing.assert_array_equal(followed.classes[0], subject.true)
    assert (followed.start[0] >= followed.start[1]).all()
    assert (followed.classes[0] != followed.classes[1]).all()


def test_a_linear_classifier_is_driven_to_both_classes(subject, followed) -> None:
    assert (followed.best >= followed.start[:, None] - 1e-12).all()
    assert (followed.best[:, 0] > 0.95).all()
    assert followed.rises.all()
    levels = [*followed.levels, np.nan]
    assert np.isin(followed.best_level[np.isfinite(followed.best_level)], levels).all()
    rows = nonlinear.example_rows(subject, followed)
    assert len(rows) == 2 * 2 * len(subject.x)
    assert set(rows[0]) == set(nonlinear.EXAMPLES.columns)
    unlikely = [
        r
        for r in nonlinear.summary_rows(subject, followed, [], 1)
        if r["statement"] == "driven from 1 % above 95 %" and r["rank"] == "second"
    ]
    assert unlikely[0]["examples"] == (followed.start[1] <= 0.01).sum() > 0
    assert unlikely[0]["value"] == 100


def test_batches_change_nothing(subject, followed) -> None:
    few = dataclasses.replace(subject, x=subject.x[:3], true=subject.true[:3])
    again = nonlinear.follow(few, NonlinearSaliency(steps=4, step=0.1, sigma=1.0))
    np.testing.assert_allclose(again.curves, followed.curves[..., :3], atol=1e-6)
    np.testing.assert_array_equal(again.kept, followed.kept[:, :, :, :3])


def made_up(curves: list[float]) -> Followed:
    """Return trajectories of one example whose second class follows ``curves``."""
    levels = np.linspace(0, 0.9, len(curves))
    shape = (2, 2, len(curves), 1)
    kept = np.zeros((*shape, 2, 2), bool)
    kept[..., 0, 0] = True
    kept[:, 1, ..., 0, 1] = True
    return Followed(
        np.array([[0], [1]]),
        np.array([[0.99], [0.005]]),
        np.broadcast_to(np.reshape(curves, (-1, 1)), shape),
        np.full((2, 2, 1), max(curves)),
        np.full((2, 2, 1), levels[int(np.argmax(curves))]),
        np.zeros((*shape, 2, 2, 1), np.float32),
        kept,
        np.array([[[True], [False]], [[True], [False]]]),
        np.full((2, 2, 1), 0.25),
        levels,
    )


@pytest.mark.parametrize(
    ("curves", "threshold"),
    [([0.96, 0.2, 0.1, 0.0], 0.0), ([0.1, 0.5, 0.97, 0.2], 60.0), ([0.1, 0.2, 0.3, 0.94], np.nan)],
)
def test_threshold_is_the_first_level_that_is_sure(curves, threshold) -> None:
    found = nonlinear.thresholds(made_up(curves))
    np.testing.assert_allclose(found, np.full((2, 2, 1), threshold))


def test_what_never_rises_and_what_wants_out_of_the_range_is_told(subject) -> None:
    one = dataclasses.replace(subject, x=subject.x[:1], true=subject.true[:1])
    rows = nonlinear.example_rows(one, made_up([0.1, 0.2, 0.3, 0.94]))
    by_method = {row["method"]: row for row in rows if row["rank"] == "second"}
    assert by_method["nonlinear"]["rises"] == 1
    assert by_method["linear"]["rises"] == 0
    assert by_method["linear"]["at_limits_percent"] == 25
    assert by_method["linear"]["threshold_percent"] is None
    assert by_method["linear"]["overlap"] == 0.5
    assert by_method["linear"]["best_level_percent"] == pytest.approx(90)
    told = {
        (r["rank"], r["method"], r["statement"]): r
        for r in nonlinear.summary_rows(one, made_up([0.1, 0.2, 0.3, 0.94]), [], 1)
    }
    assert told["second", "linear", "never rises"]["value"] == 100
    assert told["second", "nonlinear", "threshold"]["value"] is None
    assert told["second", "nonlinear", "threshold"]["examples"] == 0


def test_blurring_a_classes_pixels_lowers_it(subject, followed) -> None:
    # The blur is wide: what is kept for a class is evened out with dark neighbours.
    rows = nonlinear.blurring_rows(subject, followed, 3.0, 1)
    assert {row["method"] for row in rows} == {"nonlinear", "linear", "random"}
    first = [r for r in rows if (r["rank"], r["method"]) == ("first", "nonlinear")]
    assert all(r["change"] <= 0 for r in first)
    for row in rows:
        assert row["blurred_percent"] - row["percent"] == pytest.approx(row["change"])
        assert (row["log_odds_change"] < 0) == (row["change"] < 0) or abs(row["change"]) < 1e-9


def test_examples_to_draw_take_classes_in_turn(subject, followed) -> None:
    chosen = nonlinear.chosen_examples(followed, subject.true, 6)
    assert len(set(chosen)) == 6
    assert [subject.true[k] for k in chosen] == [0, 1, 2, 0, 1, 2]
    packed = nonlinear.packed(subject, followed, 6)
    assert packed["made up.images"].shape[2] == 6
    assert packed["made up.kept"].shape[3] == 6


def test_overlaps() -> None:
    one = np.array([[True, True], [False, False]])
    other = np.array([[True, False], [True, False]])
    assert nonlinear.overlaps(one, other) == pytest.approx(1 / 3)
    assert nonlinear.overlaps(one, one) == 1
    assert nonlinear.overlaps(~one & one, one & ~one) == 0


def test_a_regressors_outputs_are_moved_up_and_down(subject) -> None:
    network, parameters = classifier()
    maps = subject.x[:2] - 0.3
    scale = np.array([0.1, 0.2, 0.3])
    rows, arrays = nonlinear.kappa_rows(
        (network, parameters), maps, scale, ("a", "b"), NonlinearSaliency(steps=2), -1.0, 1.0
    )
    assert len(rows) == 2 * 2 * 2 * 2
    outputs = maps.reshape(2, -1) @ parameters["w1"] * scale
    for row in rows:
        column = "ab".index(row["parameter"])
        assert row["start"] == pytest.approx(outputs[row["realization"], column], rel=1e-4)
        assert (row["change"] > 0) == (row["direction"] == "up")
        assert row["rises"] == 1
    assert arrays["kappa.a.up.values"].shape == (2, 8, 2)


def test_galaxies_are_as_many_of_each_class() -> None:
    camera = Camera(32, 0.2, ("VIS", "H"), 2, surveys.read("euclid"))
    population = Population(0.8, (21.5, 23.5), 0.5)
    simulated = images.simulate(population, camera, 5, "testing", {kind: 4 for kind in KINDS})
    network = classifiers.network_for("sorter", 32, 2, 4)
    parameters = classification.initial_parameters(network, 1, 0)
    found = subjects.galaxies((network, parameters), simulated, 9)
    assert np.bincount(found.true).tolist() == [3, 3, 3]
    assert (found.x.min((0, 1, 2)) >= found.low).all()
    assert (found.x.max((0, 1, 2)) <= found.high).all()


def test_digits_are_testing_digits_and_their_network_learned_others() -> None:
    found = digits.bundled_digits()
    settings = section(
        "digits", training_percent=50, networks=1, epochs=1, batch=32, learning_rate=0.004
    )
    subject = subjects.pictures(found, settings, 1, 7)
    _, testing = digits.divided(found, settings, 1)
    assert len(subject.x) == 7
    for image, label in zip(subject.x[..., 0], subject.true, strict=True):
        same = (testing.images == image).all((1, 2))
        assert same.any() and (testing.labels[same] == label).all()


def test_no_share_of_examples_is_without_an_error(subject, followed) -> None:
    rows = nonlinear.summary_rows(subject, followed, [], 1)
    shares = [row for row in rows if row["unit"] == "% of examples" and row["examples"]]
    assert shares and all(row["error"] > 0 for row in shares)

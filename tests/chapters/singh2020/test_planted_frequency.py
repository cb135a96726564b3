"""The planted-frequency simulation (singh2020 Table 1)."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed import section

from kappascope import randomness
from kappascope.attribution.trim import decomposed, transformed
from kappascope.chapters.singh2020 import planted_frequency as planted
from kappascope.errors import InputError
from kappascope.networks import learning
from kappascope.networks.architectures import multilayer_perceptron
from kappascope.networks.module import forward

SMALL = planted.Design(
    name="as_told",
    features=16,
    hidden=32,
    samples=8000,
    frequency=None,
    data_sets=3,
    points=50,
    learning_rate=0.3,
    schedule="cosine",
    batch=64,
    epochs=8,
)
KEY = randomness.key(1, "test")
few = settings(deadline=None, max_examples=8, derandomize=True)


def vectors(count: int, features: int, index: int = 0) -> np.ndarray:
    generator = randomness.generator(3, "vectors", count, features, index)
    return generator.standard_normal((count, features), np.float32)


def amplitude_network(features: int, frequency: int, steepness: float = 1.0):
    """Return a network that reads one frequency only: logit 1 grows with its amplitude.

    Hidden units are ReLUs of the mode along eight directions of the complex plane.
    """
    angles = 2 * np.pi * np.arange(8) / 8
    phase = 2 * np.pi * frequency * np.arange(features) / features
    kernel = np.cos(phase[:, None] - angles) * steepness / np.sqrt(features)
    weights = {
        "dense1.kernel": kernel,
        "dense1.bias": np.zeros(8),
        "dense2.kernel": np.stack([-np.ones(8), np.ones(8)], -1),
        "dense2.bias": np.array([2.0, 0.0]),
    }
    network = multilayer_perceptron(features, (8,), 2)
    return network, {name: value.astype(np.float32) for name, value in weights.items()}


# ---- the transforms ------------------------------------------------------------------------------


@few
@given(half=st.sampled_from([2, 15, 50]), index=st.integers(0, 100))
def test_exact_inverse_gives_back_the_vector(half: int, index: int) -> None:
    x = vectors(3, 2 * half, index)
    transform = planted.fourier("exact", 2 * half)
    s = np.asarray(transform.forward(x))
    assert s.shape == (3, half + 1, 2)
    assert np.allclose(transform.inverse(s), x, atol=1e-5)
    assert np.allclose(s[:, [0, -1], 1], 0, atol=1e-5), "no imaginary part of 0 and of the highest"


def test_released_inverse_is_none() -> None:
    x = vectors(400, 100)
    transform = planted.fourier("torch17", 100)
    back = np.asarray(transform.inverse(transform.forward(x)))
    correlation = np.corrcoef(back.ravel(), x.ravel())[0, 1]
    assert correlation == pytest.approx(0.60, abs=0.02), "what a run of the released code gave"


def test_released_inverse_is_the_sum_over_101_samples() -> None:
    transform = planted.fourier("torch17", 100)
    s = np.asarray(transform.forward(vectors(2, 100)), np.float64)
    phase = 2 * np.pi * np.outer(np.arange(51), np.arange(100)) / 101
    weight = np.r_[1, np.full(50, 2)] / 101
    s[:, -1, 1] = 0
    expected = (weight * s[..., 0]) @ np.cos(phase) - (weight * s[..., 1]) @ np.sin(phase)
    assert np.allclose(transform.inverse(s.astype(np.float32)), expected, atol=1e-5)


@pytest.mark.parametrize("inverse", planted.INVERSES)
def test_imaginary_parts_of_the_ends_count_for_nothing(inverse: str) -> None:
    transform = planted.fourier(inverse, 20)
    s = np.asarray(transform.forward(vectors(1, 20)))
    changed = s.copy()
    changed[:, [0, -1], 1] = 7
    assert np.array_equal(transform.inverse(changed), transform.inverse(s))


# ---- explaining ----------------------------------------------------------------------------------


@few
@given(frequency=st.integers(1, 9), index=st.integers(0, 100))
def test_every_method_names_the_only_frequency_a_network_reads(frequency: int, index: int) -> None:
    network, parameters = amplitude_network(20, frequency)
    x = vectors(8, 20, index)
    scores = planted.explained(network, parameters, x, "exact", KEY)
    assert set(scores) == set(planted.METHODS)
    for method, score in scores.items():
        assert score.shape == (8, 11)
        others = np.abs(np.delete(np.asarray(score), frequency, -1)).max(-1)
        assert (others < 1e-3 * score[:, frequency]).all(), method
        assert planted.missed(score, frequency) == 0
        assert planted.missed(score, frequency % 9 + 1) == 8


def test_firmly_classified_inputs_have_a_largest_frequency() -> None:
    """The probability rounds to 1 there, and its slope to 0."""
    network, parameters = amplitude_network(20, 4, steepness=30.0)
    x = vectors(20, 20)
    outputs = np.asarray(forward(network, parameters, x))
    assert np.median(outputs[:, 1] - outputs[:, 0]) > 40
    scores = planted.explained(network, parameters, x, "exact", KEY)
    for method in ("cd", "deep_lift", "integrated_gradients", "input_x_gradient", "gradient"):
        assert planted.missed(scores[method], 4) == 0, method


def test_scores_are_those_of_the_general_functions() -> None:
    network = multilayer_perceptron(12, (9,), 2)
    parameters = planted._initial(network, randomness.generator(5, "weights"))
    x = vectors(4, 12)
    transform = planted.fourier("exact", 12)
    found = planted.explained(network, parameters, x, "exact", KEY)
    for method, sigmoid in (("gradient", False), ("deep_lift", False)):
        model = planted.one_output(network, parameters, sigmoid)
        expected = np.linalg.norm(transformed(method, model, x, transform, 0), axis=-1)
        assert np.allclose(found[method], expected, atol=1e-5), method
    model = planted.one_output(network, parameters, True)
    expected = np.linalg.norm(transformed("integrated_gradients", model, x, transform, 0), axis=-1)
    assert np.allclose(found["integrated_gradients"], expected, atol=1e-5)
    masks = np.repeat(np.eye(7, dtype=bool)[..., None], 2, -1)
    relevant, _ = decomposed((network, parameters), x, transform, list(masks))
    assert np.allclose(found["cd"], np.asarray(relevant)[..., 1].T, atol=1e-5)


def test_released_inverse_explains_what_it_gives_the_network() -> None:
    """Input×gradient of a linear network: s ⊙ J w with the transform's own Jacobian J."""
    network = multilayer_perceptron(12, (), 2)
    parameters = planted._initial(network, randomness.generator(6, "weights"))
    x = vectors(4, 12)
    transform = planted.fourier("torch17", 12)
    s = np.asarray(transform.forward(x))
    jacobian = np.asarray(jax.jacobian(transform.inverse)(np.zeros((7, 2), np.float32)))
    kernel = parameters["dense1.kernel"]
    weights = np.tensordot(kernel[:, 1] - kernel[:, 0], jacobian, 1)
    found = planted.explained(network, parameters, x, "torch17", KEY)["input_x_gradient"]
    assert np.allclose(found, np.linalg.norm(weights * s, axis=-1), atol=1e-5)


def test_magnitude_of_the_decomposition_drops_its_sign() -> None:
    network, parameters = amplitude_network(20, 3)
    parameters["dense2.bias"] = np.array([0.0, -50.0], np.float32)
    scores = planted.explained(network, parameters, vectors(5, 20), "exact", KEY)
    assert (np.asarray(scores["cd"])[:, 3] < 0).all(), "the bias outweighs the frequency"
    assert planted.missed(scores["cd"], 3) == 5
    assert planted.missed(scores["cd_magnitude"], 3) == 0


def test_one_output_is_the_probability_of_class_0() -> None:
    network, parameters = amplitude_network(20, 3)
    x = vectors(5, 20)
    logits = forward(network, parameters, x)
    model, weights = planted.one_output(network, parameters, sigmoid=True)
    expected = jax.nn.softmax(logits)[:, :1]
    assert np.allclose(forward(model, weights, x), expected, atol=1e-6)


def test_missed_counts_ties_and_nan() -> None:
    scores = np.array([[0, 2, 1], [0, 0, 0], [0, 1, np.nan], [3, 2, 1], [-3, -1, -2]])
    assert planted.missed(scores, 1) == 3


# ---- data and training ---------------------------------------------------------------------------


def test_labels_follow_the_planted_frequency() -> None:
    drawn = [planted.draw(SMALL, 1, index) for index in range(60)]
    assert {each.frequency for each in drawn} == set(range(1, 8))
    for each in drawn[:5]:
        assert each.labels.mean() == 0.5
        amplitude = np.abs(np.fft.rfft(each.x))[:, each.frequency]
        assert amplitude[each.labels == 1].min() >= amplitude[each.labels == 0].max() - 1e-4
        steps = SMALL.training // SMALL.batch
        assert each.order.shape == (SMALL.epochs * steps, SMALL.batch)
        assert len(np.unique(each.order[:steps])) == steps * SMALL.batch, "each input once an epoch"
        assert each.order.max() < SMALL.training, "no test input is trained on"


def test_networks_that_learned_nothing_find_nothing() -> None:
    for learns in (learning.PERMUTED, learning.NOTHING):
        data = planted.draw(SMALL, 1, 0, learns)
        np.testing.assert_array_equal(data.labels, planted.draw(SMALL, 1, 0).labels)
        parameters, accuracy = planted.train(SMALL, data)
        assert abs(accuracy - 0.5) < 0.15
        kept = all(np.array_equal(parameters[name], data.parameters[name]) for name in parameters)
        assert kept == (learns == learning.NOTHING)


def test_variants_and_data_sets_differ() -> None:
    other = dataclasses.replace(SMALL, name="as_released", frequency=3)
    drawn = [planted.draw(SMALL, 1, 0), planted.draw(SMALL, 1, 1), planted.draw(other, 1, 0)]
    assert len({each.x.tobytes() for each in drawn}) == 3
    assert len({each.parameters["dense1.kernel"].tobytes() for each in drawn}) == 3
    assert drawn[2].frequency == 3


@pytest.fixture(scope="module")
def rows() -> list:
    return planted.simulate(SMALL, planted.INVERSES, 1)


def test_trained_networks_are_explained_rightly(rows: list) -> None:
    exact = [row for row in rows if row["inverse"] == "exact"]
    assert len(rows) == 6 and [row["data_set"] for row in exact] == [0, 1, 2]
    assert min(row["accuracy_percent"] for row in exact) > 90
    table = {row["method"]: row for row in planted.table1(exact)}
    assert table["cd"]["error_percent"] <= 2
    assert table["gradient"]["error_percent"] <= 2
    unsigned = table.pop("cd_magnitude")["error_percent"]
    assert max(row["error_percent"] for row in table.values()) < 30, "chance is 89 %"
    assert table["cd"]["error_percent"] < unsigned < 80


def test_a_data_set_is_the_same_beside_any_others(rows: list) -> None:
    fewer = planted.simulate(dataclasses.replace(SMALL, data_sets=2), ("exact",), 1)
    assert fewer == rows[:2]


def test_other_seed_gives_other_networks(rows: list) -> None:
    other = planted.simulate(dataclasses.replace(SMALL, data_sets=1), ("exact",), 2)
    assert other[0]["accuracy_percent"] != rows[0]["accuracy_percent"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", 15),
        ("features", 2),
        ("hidden", 0),
        ("samples", 100),
        ("batch", 7000),
        ("points", 2001),
        ("points", 0),
        ("data_sets", 0),
        ("epochs", 0),
        ("frequency", 0),
        ("frequency", 8),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("schedule", "linear"),
    ],
)
def test_bad_values_are_named(field: str, value: object) -> None:
    with pytest.raises(InputError) as caught:
        dataclasses.replace(SMALL, **{field: value})
    told = str(caught.value)
    assert "\n" not in told and told.startswith("singh2020.planted_frequency.as_told.")
    assert str(value) in told or "samples" in told


def test_diverging_training_is_told() -> None:
    wild = dataclasses.replace(SMALL, learning_rate=1e20, data_sets=1)
    with pytest.raises(InputError, match=r"as_told\.learning_rate: got 1e\+20"):
        planted.simulate(wild, ("exact",), 1)


def test_unknown_inverse_is_told() -> None:
    with pytest.raises(InputError, match="torch17"):
        planted.fourier("torch2", 100)


def test_designs_come_from_the_config() -> None:
    fields = dataclasses.asdict(SMALL)
    del fields["name"]
    common = {"features": fields.pop("features"), "width": fields.pop("hidden")}
    variants = {
        "as_told": fields,
        "as_released": {**fields, "samples": 9000, "frequency": 3},
    }
    given = section("singh2020.planted_frequency", **common, **variants)
    released, told = planted.designs(given)
    assert told == SMALL
    assert released == dataclasses.replace(SMALL, name="as_released", samples=9000, frequency=3)


# ---- the table and its figure --------------------------------------------------------------------


def made_up(missed: list[int], points: int = 100) -> list:
    return [
        {
            "variant": "as_told",
            "inverse": "exact",
            "data_set": number,
            "frequency": 1,
            "points": points,
            "accuracy_percent": 94.0 + 2 * number,
            **{f"{method}_missed": count for method in planted.METHODS},
        }
        for number, count in enumerate(missed)
    ]


def test_errors_are_over_data_sets() -> None:
    row = planted.table1(made_up([0, 20]))[0]
    assert row["error_percent"] == 10
    assert row["standard_error_percent"] == pytest.approx(10), "std of 0 and 20 % by the root of 2"
    assert (row["data_sets"], row["points"]) == (2, 200)
    assert row["accuracy_percent"] == 95
    assert row["accuracy_error_percent"] == pytest.approx(1)


def test_nothing_missed_is_no_certainty() -> None:
    row = planted.table1(made_up([0, 0]))[0]
    assert row["error_percent"] == 0
    assert 0.5 < row["standard_error_percent"] < 1
    alone = planted.table1(made_up([10]))[0]
    assert alone["standard_error_percent"] == pytest.approx(3, abs=0.3), "√(0.1 · 0.9 / 100)"
    assert alone["accuracy_error_percent"] is None


def test_latex_has_a_line_a_method() -> None:
    text = planted.latex(planted.table1(made_up([3, 5])))
    assert text.startswith(r"\begin{tabular}{lr}")
    assert r"Input$\times$gradient & $4.00 \pm 1.51$ \\" in text
    assert text.count(r"\pm") == len(planted.METHODS)


def test_figure_shows_every_number() -> None:
    from kappascope.chapters.singh2020.figures.planted_frequency import error_by_method

    table = planted.table1(made_up([3, 5]))
    text = [{name: str(cell) for name, cell in row.items()} for row in table]
    figure = error_by_method(text, {"cd": 0.4, "occlusion": 1.0})
    (panel,) = figure.axes
    drawn = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    assert drawn == [4.0] * len(planted.METHODS)
    assert panel.get_yticklabels()[0].get_text() == "Contextual decomposition"
    assert len(figure.legends[0].get_texts()) == 2


def test_figure_module_is_light() -> None:
    import subprocess

    module = "kappascope.chapters.singh2020.figures.planted_frequency"
    program = f"import sys, {module}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

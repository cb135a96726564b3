"""Sum-of-parts models: sparsemax, faithfulness by construction, training, maps with little."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope import randomness
from kappascope.chapters.you2023 import sum_of_parts as parts_of
from kappascope.errors import InputError
from kappascope.networks import architectures, learning, training
from kappascope.networks.module import GraphNetwork, flatten, forward
from kappascope.transforms import segments

PIXELS, MOST = 32, 12
SEGMENTS = segments.Settings(separation=4, most=MOST)
SETTINGS = parts_of.Settings(
    epochs=2,
    batch=4,
    learning_rate=0.01,
    sampled_groups=4,
    generator_sharpness=(1.0, 8.0),
    selector_sharpness=8.0,
    checkpoint_every_seconds=1e9,
)


@pytest.fixture(scope="module")
def network():
    return architectures.cosmogrid_cnn(PIXELS, 2)


@pytest.fixture(scope="module")
def backbone(network):
    module = GraphNetwork(network)
    variables = training.initial_variables(module, randomness.generator(1, "test"))
    return flatten(network, variables)


def maps_of(count: int) -> np.ndarray:
    generator = np.random.default_rng(7)
    return generator.normal(0, 0.02, (count, PIXELS, PIXELS)).astype(np.float32)


@pytest.fixture(scope="module")
def data(network, backbone) -> parts_of.Divided:
    return parts_of.divided(network, backbone, maps_of(8), SEGMENTS)


@pytest.fixture(scope="module")
def parameters(network, backbone, data):
    model = parts_of.build(network, SETTINGS)
    key = randomness.key(1, "test")
    return parts_of.initial(model, backbone, data.known.shape[2], key)


@pytest.fixture(scope="module")
def parts(network, backbone, parameters, data) -> parts_of.Parts:
    return parts_of.evaluate(network, backbone, parameters, data, SETTINGS)


# ---- sparsemax -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 0.8, 0.1], [0.6, 0.4, 0.0]),
        ([3.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([2.0, 2.0, 2.0], [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_sparsemax_by_hand(scores, expected) -> None:
    np.testing.assert_allclose(parts_of.sparsemax(jnp.array(scores)), expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=12))
def test_sparsemax_is_the_nearest_point_of_the_simplex(scores) -> None:
    found = np.asarray(parts_of.sparsemax(jnp.array([scores], jnp.float32)))[0]
    assert found.sum() == pytest.approx(1.0, abs=1e-5) and (found >= 0).all()
    # Karush, Kuhn and Tucker: one threshold for all that are in, and none above it is out.
    inside = found > 0
    threshold = np.asarray(scores)[inside] - found[inside]
    assert np.ptp(threshold) < 1e-4
    assert (np.asarray(scores)[~inside] <= threshold.mean() + 1e-4).all()


def test_what_never_is_chosen_never_is() -> None:
    scores = jnp.array([[0.3, parts_of.NEVER, 0.1, parts_of.NEVER]])
    found = np.asarray(parts_of.sparsemax(scores))[0]
    np.testing.assert_allclose(found, [0.6, 0.0, 0.4, 0.0], atol=1e-6)


# ---- faithful by construction --------------------------------------------------------------------


def test_the_prediction_is_the_weighted_sum_of_what_the_network_says_of_each_group(
    network, backbone, parameters, parts, data
) -> None:
    last = parameters["selector"]["last"]
    total = np.zeros(parts.prediction.shape)
    for row, map_ in enumerate(data.maps):
        for group in np.flatnonzero(parts.scores[row].any(-1)):
            seen = jnp.asarray((map_ * parts.masks[row, group])[None, ..., None])
            features = np.asarray(parts_of.features(network, backbone, seen))[0]
            said = features @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
            total[row] += parts.scores[row, group] * said
    np.testing.assert_allclose(parts.prediction, total, atol=1e-6, rtol=1e-6)


def test_scores_add_up_to_one_for_each_output(parts) -> None:
    np.testing.assert_allclose(parts.scores.sum(1), 1.0, atol=5e-6)  # float32
    assert (parts.scores >= 0).all() and (parts.scores == 0).any()


def test_masks_lie_between_zero_and_one_and_reach_one(parts, data) -> None:
    assert parts.masks.min() >= 0 and parts.masks.max() <= 1
    groups = np.arange(2 * MOST) % MOST < data.count[:, None]
    np.testing.assert_allclose(parts.masks.max((2, 3))[groups], 1.0, atol=1e-6)
    assert not parts.masks[~groups].any() and not parts.scores[~groups].any()


def test_masks_are_made_of_segments(parts, data) -> None:
    for row, labels in enumerate(data.labels):
        for segment in range(labels.max() + 1):
            assert np.ptp(parts.masks[row][:, labels == segment], axis=1).max() == 0


def test_hidden_pixels_do_not_reach_the_prediction(
    network, backbone, parameters, parts, data
) -> None:
    """Changing what no group with a score shows changes nothing."""
    used = (parts.masks * (parts.scores.sum(-1) > 0)[..., None, None]).max(1) > 0
    hidden = ~used
    changed = dataclasses.replace(data, maps=data.maps + 5.0 * hidden)
    again = parts_of.evaluate(network, backbone, parameters, changed, SETTINGS)
    np.testing.assert_allclose(again.prediction, parts.prediction, atol=1e-6)


def test_attribution_is_the_sum_of_weighted_masks(parts) -> None:
    found = parts_of.attribution(parts, 1)
    expected = (parts.scores[:, :, 1, None, None] * parts.masks).sum(1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_last_layer_starts_from_the_networks_own(network, backbone, parameters, data) -> None:
    """With the whole map as the only group the prediction is the network's."""
    whole = dataclasses.replace(data, labels=np.zeros_like(data.labels))
    whole = parts_of.Divided(
        whole.maps,
        whole.labels,
        parts_of.segment_features(network, backbone, whole.maps, whole.labels, MOST),
    )
    found = parts_of.evaluate(network, backbone, parameters, whole, SETTINGS)
    outputs = forward(network, backbone, jnp.asarray(data.maps)[..., None])
    np.testing.assert_allclose(found.prediction, outputs, atol=1e-5)


# ---- segments ------------------------------------------------------------------------------------


def test_features_of_segments_are_those_of_the_segments_alone(network, backbone, data) -> None:
    alone = data.maps[3] * (data.labels[3] == 2)
    expected = parts_of.features(network, backbone, jnp.asarray(alone)[None, ..., None])[0]
    np.testing.assert_allclose(data.known[3, 2], expected, atol=1e-6)
    assert not data.known[3, data.count[3] :].any()


def test_a_map_of_a_single_segment_is_predicted(network, backbone, parameters) -> None:
    maps = np.stack([np.zeros((PIXELS, PIXELS), np.float32), maps_of(1)[0]])
    data = parts_of.divided(network, backbone, maps, SEGMENTS)
    assert data.count[0] == 1
    found = parts_of.evaluate(network, backbone, parameters, data, SETTINGS)
    assert all(np.isfinite(array).all() for array in jax.tree.leaves(found))
    assert (found.scores[0].sum(-1) > 0).sum() <= len(SETTINGS.generator_sharpness)
    np.testing.assert_allclose(found.scores.sum(1), 1.0, atol=1e-6)


def test_fewer_groups_than_asked_for_are_filled_with_none() -> None:
    asked = parts_of.asked_groups(np.array([1, 3, 9]), 8, 2, MOST, np.random.default_rng(0))
    assert asked.shape == (3, 8)
    for row, there in zip(asked, (1, 3, 9), strict=True):
        drawn = row[row >= 0]
        assert len(drawn) == min(2 * there, 8) == len(set(drawn))
        assert (drawn % MOST < there).all() and (drawn // MOST < 2).all()


def test_groups_of_none_have_no_score(network, backbone, parameters, data) -> None:
    model = parts_of.build(network, SETTINGS)
    asked = np.array([[0, 1, -1, -1]])
    some = data.select(slice(0, 1))
    arrays = (some.maps, some.labels, some.known, some.count, asked)
    found = model.apply({"params": parameters}, backbone, *map(jnp.asarray, arrays))
    assert not np.asarray(found.scores)[0, 2:].any()
    np.testing.assert_allclose(np.asarray(found.scores).sum(1), 1.0, atol=1e-6)


# ---- training ------------------------------------------------------------------------------------


def targets_of(data: parts_of.Divided) -> np.ndarray:
    return np.stack([data.maps.std((1, 2)) * 50, data.maps.max((1, 2)) * 10], -1)


def trained(network, backbone, data, scratch: Path, **changes):
    chosen = dataclasses.replace(SETTINGS, **changes)
    return parts_of.train(network, backbone, data, targets_of(data), chosen, 1, 0, scratch, "parts")


def test_training_lowers_the_error_and_leaves_the_network_alone(
    network, backbone, data, tmp_path: Path
) -> None:
    before = {name: array.copy() for name, array in backbone.items()}
    _, errors = trained(network, backbone, data, tmp_path, epochs=12)
    assert len(errors) == 12 and errors[-1] < 0.8 * errors[0]
    for name, array in before.items():
        np.testing.assert_array_equal(backbone[name], array)


def test_a_model_that_learns_nothing_stays_as_it_starts(
    network, backbone, data, parameters, tmp_path: Path
) -> None:
    def learned(learns):
        chosen = (targets_of(data), SETTINGS, 1, 0, tmp_path / learns, "parts", learns)
        return parts_of.train(network, backbone, data, *chosen)

    found, errors = learned(learning.NOTHING)
    assert len(errors) == 0
    start = parts_of.initial(
        parts_of.build(network, SETTINGS),
        backbone,
        data.known.shape[2],
        randomness.key(1, "sum of parts", 0),
    )
    jax.tree.map(np.testing.assert_array_equal, found, jax.tree.map(np.asarray, start))
    permuted, real = learned(learning.PERMUTED)[0], learned(learning.LABELS)[0]
    differs = jax.tree.map(lambda one, other: bool(np.any(one != other)), permuted, real)
    assert any(jax.tree.leaves(differs))


def test_an_interrupted_training_ends_with_the_same_bytes(
    network, backbone, data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, errors = trained(network, backbone, data, tmp_path / "whole", epochs=3)

    class KilledError(Exception):
        pass

    real, steps = parts_of._advance, []

    def advance(*arguments):
        if len(steps) == 3:
            raise KilledError
        steps.append(1)
        return real(*arguments)

    monkeypatch.setattr(parts_of, "_advance", advance)
    with pytest.raises(KilledError):
        trained(network, backbone, data, tmp_path / "cut", epochs=3, checkpoint_every_seconds=0)
    monkeypatch.setattr(parts_of, "_advance", real)
    again, same = trained(network, backbone, data, tmp_path / "cut", epochs=3)
    np.testing.assert_array_equal(same, errors)
    jax.tree.map(np.testing.assert_array_equal, again, whole)


def test_a_loss_that_is_no_number_is_told(network, backbone, data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"you2023\.model\.learning_rate: the loss became"):
        parts_of.train(
            network, backbone, data, targets_of(data) * np.nan, SETTINGS, 1, 0, tmp_path, "parts"
        )


def test_more_maps_a_step_than_there_are_is_told(network, backbone, data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"you2023\.model\.batch: got 99, more than the 8"):
        trained(network, backbone, data, tmp_path, batch=99)


def test_a_network_without_a_last_layer_is_refused() -> None:
    network = architectures.cosmogrid_cnn(PIXELS, 2)
    without = dataclasses.replace(network, nodes=network.nodes[:-1], outputs=4)
    with pytest.raises(InputError, match="needs a dense layer at the end, this one ends in relu"):
        parts_of.last_dense(without)


def test_a_model_comes_back_from_its_file(parameters, tmp_path: Path) -> None:
    parts_of.save(tmp_path / "model.npz", jax.tree.map(np.asarray, parameters))
    jax.tree.map(
        np.testing.assert_array_equal, parts_of.load(tmp_path / "model.npz"), dict(parameters)
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.npz: not a whole npz file"):
        parts_of.load(tmp_path / "model.npz")


def test_sparsemax_is_optaxs_projection() -> None:
    scores = jnp.asarray(np.random.default_rng(2).normal(size=7), jnp.float32)
    expected = optax.projections.projection_simplex(scores)
    np.testing.assert_array_equal(parts_of.sparsemax(scores), expected)


def test_groups_start_wide_and_are_narrow_from_half_way_on() -> None:
    steps = [parts_of.narrowing(done) for done in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(steps, [0.2, 0.6, 1.0, 1.0], rtol=1e-6)


def test_narrowing_makes_groups_of_fewer_segments(network, backbone, parameters, data) -> None:
    model = parts_of.build(network, SETTINGS)
    number = np.arange(2 * MOST)
    asked = np.where(number % MOST < data.count[:, None], number, -1)
    arrays = (data.maps, data.labels, data.known, data.count, asked)
    areas = []
    for narrowing in (0.1, 1.0, 20.0):
        inputs = (*map(jnp.asarray, arrays), np.float32(narrowing))
        found = model.apply({"params": parameters}, backbone, *inputs)
        areas.append(float((np.asarray(found.masks) > 1e-4).mean()))
    assert areas[0] > areas[1] > areas[2]


def test_arrays_of_something_else_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", weights=np.ones(3))
    with pytest.raises(InputError, match=r"model\.npz: not a sum-of-parts model; it holds weights"):
        parts_of.load(tmp_path / "model.npz")

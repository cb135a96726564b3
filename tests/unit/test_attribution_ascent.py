"""Deep Dream and nonlinear saliency on networks whose answer is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_networks import dense_layers

from kappascope.attribution import ascent
from kappascope.attribution.ascent import DeepDream, NonlinearSaliency, Trajectory
from kappascope.attribution.methods import attribute
from kappascope.errors import InputError
from kappascope.networks.description import Network

PIXELS = 12
LOW, HIGH = np.zeros(1, np.float32), np.ones(1, np.float32)


def dense(weights: np.ndarray) -> tuple[Network, dict[str, np.ndarray]]:
    """Return y = w·x over images (y, x), weights (output, y, x)."""
    kernel = weights.reshape(len(weights), -1).T
    return dense_layers(weights.shape[1:], (kernel, np.zeros(len(weights))))


def bent() -> tuple[Network, dict[str, np.ndarray]]:
    """Return a network with a ReLU between two dense layers: gradients that depend on x."""
    draw = np.random.default_rng(5)
    first, second = draw.normal(size=(PIXELS**2, 24)) / PIXELS, draw.normal(size=(24, 2))
    return dense_layers((PIXELS, PIXELS), (first, np.zeros(24)), (second, np.zeros(2)))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    draw = np.random.default_rng(2)
    return draw.uniform(0.2, 0.8, (3, PIXELS, PIXELS, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(2, PIXELS, PIXELS))


def test_for_a_linear_network_linear_and_nonlinear_are_the_same(images, weights) -> None:
    model = dense(weights)
    found = [
        NonlinearSaliency(linear=linear).trajectory(*model, images, 1, LOW, HIGH)
        for linear in (False, True)
    ]
    for name in ("values", "images", "kept", "relevance"):
        one, other = (getattr(each, name) for each in found)
        np.testing.assert_array_equal(one, other)
    assert (found[0].values[-1] != found[0].start).all()


def test_for_a_bent_network_they_are_not(images) -> None:
    one, other = (
        NonlinearSaliency(linear=linear, step=0.2).trajectory(*bent(), images, 0, LOW, HIGH)
        for linear in (False, True)
    )
    assert (one.images != other.images).any()


def test_exactly_the_share_is_kept_whatever_the_ties(images) -> None:
    # Without weights all gradients are zero: every pixel ties with every other.
    for scale in (0.0, 1.0):
        model = dense(scale * np.random.default_rng(1).normal(size=(1, PIXELS, PIXELS)))
        found = NonlinearSaliency(steps=1).trajectory(*model, images, 0, LOW, HIGH)
        for level, kept in zip(ascent.LEVELS, found.kept, strict=True):
            wanted = PIXELS**2 - round(level * PIXELS**2)
            assert (kept.sum((1, 2)) == wanted).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, PIXELS**2), st.integers(0, 1000))
def test_kept_pixels_have_the_largest_gradients(blurred_pixels: int, seed: int) -> None:
    gradient = np.random.default_rng(seed).normal(size=(1, PIXELS, PIXELS, 3))
    kept = np.asarray(ascent.kept_pixels(gradient, blurred_pixels))[0]
    norm = np.sqrt((gradient[0] ** 2).sum(-1))
    assert kept.sum() == PIXELS**2 - blurred_pixels
    if 0 < kept.sum() < kept.size:
        assert norm[kept].min() >= norm[~kept].max() * (1 - 1e-5)


def test_without_blurring_the_output_only_rises_and_the_best_is_the_last(images, weights) -> None:
    method = NonlinearSaliency(levels=(0.0,), steps=10, step=0.01)
    found = method.trajectory(*dense(weights), images, 0, LOW, HIGH)
    assert (np.diff(found.values[0], axis=0) > 0).all()
    assert found.rises.all()
    np.testing.assert_array_equal(found.best, found.images[-1])


def test_without_steps_it_is_a_blur_and_never_rises_is_told(images) -> None:
    # The output is the mean square deviation's sign: blurring a pattern of ±1 lowers w·x.
    sign = np.where(np.indices((PIXELS, PIXELS)).sum(0) % 2, 1.0, -1.0)
    pattern = (0.5 + 0.3 * sign)[None, ..., None].astype(np.float32)
    method = NonlinearSaliency(levels=(0.95,), steps=3, step=1e-9)
    found = method.trajectory(*dense(sign[None]), pattern, 0, LOW, HIGH)
    assert not found.rises.any()
    assert found.best_level.tolist() == [-1]
    np.testing.assert_array_equal(found.best, pattern)
    gone = ~found.kept[-1, 0]
    assert found.images[-1, 0][gone].std() < 0.3 * pattern[0][gone].std()


def test_images_stay_in_the_range_and_the_share_at_its_ends_is_told(images, weights) -> None:
    method = NonlinearSaliency(levels=(0.0,), steps=200, step=0.05)
    found = method.trajectory(*dense(weights), images, 0, LOW, HIGH)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.at_limits() > 0.8).all()
    early = NonlinearSaliency(levels=(0.0,), steps=1).trajectory(
        *dense(weights), images, 0, LOW, HIGH
    )
    assert (early.at_limits() == 0).all()


def test_log_odds_never_saturate(images, weights) -> None:
    # Times 100 the softmax is exactly one, in single precision, for every image.
    for scale in (1.0, 100.0):
        network, parameters = dense(scale * weights)
        value, gradient = ascent.value_and_gradient(network, parameters, images, 1, "log_odds")
        y = images.reshape(3, -1).astype(float) @ parameters["w1"]
        np.testing.assert_allclose(value, y[:, 1] - y[:, 0], rtol=1e-4, atol=1e-4)
        expected = parameters["w1"][:, 1] - parameters["w1"][:, 0]
        for row in np.asarray(gradient).reshape(3, -1):
            np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


def test_down_is_up_of_the_negative(images, weights) -> None:
    network, parameters = dense(weights)
    down = attribute("nonlinear_saliency_down", (network, parameters), images, 0)
    turned = {**parameters, "w1": -parameters["w1"]}
    up = attribute("nonlinear_saliency", (network, turned), images, 0)
    np.testing.assert_allclose(down, up, atol=1e-6)


def test_relevance_counts_steps_in_which_a_pixel_was_kept() -> None:
    # One pixel leads by far: it is kept in every step, always at the largest gradient.
    weights = np.full((1, PIXELS, PIXELS), 0.01)
    weights[0, 4, 7] = 2.0
    x = np.full((1, PIXELS, PIXELS, 1), 0.5, np.float32)
    found = NonlinearSaliency().trajectory(*dense(weights), x, 0, LOW, HIGH).relevance
    assert found[0, 4, 7, 0] == pytest.approx(1.0)
    others = np.delete(found.ravel(), 4 * PIXELS + 7)
    assert others.max() <= 0.005 * (1 + 1e-6)


def test_deep_dream_moves_along_a_linear_networks_weights(weights) -> None:
    x = np.full((1, PIXELS, PIXELS, 1), 0.5, np.float32)
    method = DeepDream(steps=4, step=0.01, sigma=0.0)
    dreamt, values = method.dream(*dense(weights), x, 0, LOW, HIGH)
    expected = 4 * 0.01 * weights[0] / np.abs(weights[0]).max()
    np.testing.assert_allclose(np.asarray(dreamt - x)[0, ..., 0], expected, atol=1e-6)
    assert (np.diff(values[:, 0]) > 0).all()


def test_deep_dream_as_an_attribution_is_what_it_added(images, weights) -> None:
    model = dense(weights)
    found = np.asarray(attribute("deep_dream", model, images, [0, 1]))
    for k in range(2):
        low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
        dreamt, _ = DeepDream().dream(*model, images, k, low, high)
        np.testing.assert_allclose(found[k], dreamt - images, atol=1e-6)


def test_blur_keeps_constants_and_the_mean_far_from_edges() -> None:
    x = np.full((1, PIXELS, PIXELS, 2), 0.7, np.float32)
    np.testing.assert_allclose(ascent.blurred(x, 1.5), x, atol=1e-6)


def test_a_class_that_is_not_there_is_refused_in_one_line(images, weights) -> None:
    with pytest.raises(InputError, match="class 7: network 'linear' has classes 0 to 1"):
        NonlinearSaliency().trajectory(*dense(weights), images, 7, LOW, HIGH)
    with pytest.raises(InputError, match="output 2: network 'linear' has outputs 0 to 1"):
        attribute("nonlinear_saliency", dense(weights), images, 2)


@pytest.mark.parametrize("name", ["deep_dream", "nonlinear_saliency", "linear_saliency"])
def test_vectors_are_refused(name: str) -> None:
    node = {"name": "out", "kind": "dense", "inputs": ["x"], "features": 1}
    network = Network("v", (4,), 1, ({**node, "params": {"kernel": "w", "bias": "b"}},))
    parameters = {"w": np.ones((4, 1), np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(InputError, match="reads images"):
        attribute(name, (network, parameters), np.ones((2, 4), np.float32), 0)


def test_results_do_not_depend_on_the_batch(images) -> None:
    method = dataclasses.replace(NonlinearSaliency(), steps=3)
    whole = method.trajectory(*bent(), images, 0, LOW, HIGH)
    alone = method.trajectory(*bent(), images[1:2], 0, LOW, HIGH)
    np.testing.assert_allclose(whole.images[:, 1], alone.images[:, 0], atol=1e-5)
    np.testing.assert_array_equal(whole.kept[:, 1], alone.kept[:, 0])


def test_values_that_lay_at_the_ends_from_the_beginning_were_not_driven_there(weights) -> None:
    # Half black, half white, and steps too small to reach an end from anywhere else.
    x = np.zeros((1, PIXELS, PIXELS, 1), np.float32)
    x[:, :, ::2] = 1.0
    method = NonlinearSaliency(levels=(0.0,), steps=2, step=0.01)
    found = method.trajectory(*dense(weights), x, 0, LOW, HIGH)
    assert ((found.best <= 0) | (found.best >= 1)).any()
    assert found.at_limits().tolist() == [0]


def test_halves_of_a_step_do_one_thing_each(images, weights) -> None:
    network, parameters = dense(weights)

    def followed(**changed) -> Trajectory:
        settings = NonlinearSaliency(levels=(0.5,), steps=1, step=0.1, sigma=1.5, **changed)
        return settings.trajectory(network, parameters, images, 0, LOW, HIGH)

    both, ascent, blur = followed(), followed(arm="ascent"), followed(arm="blur")
    kept = both.kept[0][..., None]
    for one in (ascent, blur):
        np.testing.assert_array_equal(one.kept, both.kept)
    np.testing.assert_array_equal(
        np.where(kept, ascent.images[0], 0), np.where(kept, both.images[0], 0)
    )
    np.testing.assert_array_equal(np.where(kept, 0, ascent.images[0]), np.where(kept, 0, images))
    np.testing.assert_array_equal(np.where(kept, blur.images[0], 0), np.where(kept, images, 0))
    np.testing.assert_array_equal(
        np.where(kept, 0, blur.images[0]), np.where(kept, 0, both.images[0])
    )


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_optimizers_start_as_they_should_and_remember(images, weights, optimizer: str) -> None:
    network, parameters = dense(weights)

    def followed(steps: int, name: str) -> np.ndarray:
        settings = NonlinearSaliency(levels=(0.0,), steps=steps, step=0.02, optimizer=name)
        return settings.trajectory(network, parameters, images, 0, LOW, HIGH).images[0] - images

    first, plain = followed(1, optimizer), followed(1, "plain")
    # Of a constant gradient: momentum's first direction is the gradient's, Adam's its sign.
    expected = np.sign(plain) * np.abs(plain).max() if optimizer == "adam" else plain
    np.testing.assert_allclose(first, expected, atol=1e-5)
    np.testing.assert_allclose(followed(5, optimizer), 5 * first, rtol=1e-3, atol=1e-5)


def test_an_arm_or_optimizer_that_is_not_there_is_refused() -> None:
    for name in ("arm", "optimizer"):
        with pytest.raises(InputError, match=f"{name} 'other': allowed are"):
            NonlinearSaliency(**{name: "other"})

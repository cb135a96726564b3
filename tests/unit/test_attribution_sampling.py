"""LIME, kernel SHAP, RISE and FRESH on networks whose answer is known."""

import itertools
import math

import numpy as np
import pytest
from image_networks import dense_layers

from kappascope.attribution import methods, sampling
from kappascope.attribution.methods import Method
from kappascope.errors import InputError
from kappascope.networks.description import Network

PIXELS = 12


def linear(weights: np.ndarray) -> tuple[Network, dict[str, np.ndarray]]:
    """Return the network f = w·x + 0.3 over images (y, x)."""
    return dense_layers(weights.shape, (weights.reshape(-1, 1), np.array([0.3])))


@pytest.fixture(scope="module")
def setting() -> tuple[tuple[Network, dict[str, np.ndarray]], np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    weights = generator.normal(size=(PIXELS, PIXELS))
    x = generator.normal(size=(2, PIXELS, PIXELS, 1)).astype(np.float32)
    return linear(weights), x, weights


def tiles(values: np.ndarray, side: int) -> np.ndarray:
    """Sum over square tiles of (y, x)."""
    shape = (PIXELS // side, side, PIXELS // side, side)
    return values.reshape(shape).sum((1, 3))


def test_kernel_shap_of_a_linear_network_is_each_tiles_contribution(setting) -> None:
    model, x, weights = setting
    found = np.asarray(methods.attribute("kernel_shap_w4", model, x, 0))
    for row in range(2):
        expected = tiles(weights * x[row, ..., 0], 4)
        np.testing.assert_allclose(tiles(found[row, ..., 0], 4), expected, atol=2e-4)


def test_kernel_shap_is_complete_on_watershed_segments(setting) -> None:
    model, x, weights = setting
    found = np.asarray(methods.attribute("kernel_shap", model, 0.05 * x, 0))
    whole = (0.05 * x[..., 0] * weights).sum((1, 2))
    np.testing.assert_allclose(found.sum((1, 2, 3)), whole, atol=1e-4)


def test_kernel_shap_finds_shapley_values_of_an_interaction() -> None:
    """For a game of three players the values are known by going through all orders."""
    game = {
        tuple(s): float(np.dot(s, [1, 2, 3]) + 4 * s[0] * s[1] - 2 * s[1] * s[2])
        for s in itertools.product((0, 1), repeat=3)
    }
    shown = sampling.KernelShap(samples=4000).subsets(3, np.random.default_rng(0))
    values = sampling.KernelShap().values(
        shown, np.array([[game[tuple(map(int, row))]] for row in shown])
    )[0]
    expected = np.zeros(3)
    for order in itertools.permutations(range(3)):
        now = np.zeros(3, int)
        for player in order:
            before = game[tuple(now)]
            now[player] = 1
            expected[player] += (game[tuple(now)] - before) / math.factorial(3)
    np.testing.assert_allclose(values, expected, atol=0.15)
    assert values.sum() == pytest.approx(game[1, 1, 1] - game[0, 0, 0])


def test_lime_of_a_linear_network_is_near_each_tiles_contribution(setting) -> None:
    model, x, weights = setting
    method = Method("lime", sampling.Lime(samples=800, tile=4, ridge=1e-3), "")
    found = np.asarray(methods.attribute(method, model, x, 0))
    expected = tiles(weights * x[0, ..., 0], 4)
    np.testing.assert_allclose(tiles(found[0, ..., 0], 4), expected, atol=0.02)


def test_rise_of_a_linear_network_follows_its_contributions(setting) -> None:
    model, x, weights = setting
    method = Method("rise", sampling.Rise(samples=4000, grid=4), "")
    found = np.asarray(methods.attribute(method, model, x[:1], 0))[0, ..., 0]
    masks = sampling.Rise(samples=4000, grid=4).masks(PIXELS, PIXELS, np.random.default_rng(1))
    # The mean of f(x ⊙ m) m is a blurred copy of the contributions on top of a constant.
    contribution = (weights * x[0, ..., 0]).ravel()
    flat = masks.reshape(len(masks), -1)
    blurred = (flat.T @ (flat @ contribution + 0.3)).reshape(PIXELS, PIXELS)
    assert np.corrcoef(found.ravel(), blurred.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("grid", [3, 5, 8])
def test_rise_masks_lie_between_nothing_and_everything(grid: int) -> None:
    masks = sampling.Rise(samples=300, grid=grid).masks(13, 17, np.random.default_rng(2))
    assert masks.shape == (300, 13, 17)
    assert masks.min() >= 0 and masks.max() <= 1
    assert masks.mean() == pytest.approx(0.5, abs=0.03)


def test_fresh_keeps_the_tiles_that_matter(setting) -> None:
    model, x, weights = setting
    method = Method("fresh", sampling.Fresh(tile=4, kept=0.2), "")
    found = np.asarray(methods.attribute(method, model, x, 0))[..., 0]
    for row in range(2):
        worth = tiles(np.abs(weights * x[row, ..., 0]), 4)
        kept = tiles(found[row] > 0, 4) == 16
        assert kept.sum() == 2
        assert worth[kept].min() >= worth[~kept].max()


@pytest.mark.parametrize("name", ["lime", "kernel_shap", "rise", "fresh", "lime_w3"])
def test_maps_do_not_depend_on_the_batch_and_repeat(name: str, setting) -> None:
    model, x, _ = setting
    both = np.asarray(methods.attribute(name, model, x, None, seed=5))
    assert both.shape == (1, *x.shape) and np.isfinite(both).all()
    second = methods.attribute(name, model, x[1:], None, seed=5, names=[1])
    np.testing.assert_allclose(np.asarray(second)[:, 0], both[:, 1], atol=1e-6)
    again = methods.attribute(name, model, x, None, seed=5)
    np.testing.assert_array_equal(np.asarray(again), both)
    if name.startswith(("lime", "rise")):  # Shapley values of a linear network need no luck
        other = methods.attribute(name, model, x, None, seed=6)
        assert not np.array_equal(np.asarray(other), both)


def test_a_map_of_a_single_segment_is_explained_as_a_whole(setting) -> None:
    model, x, weights = setting
    flat = np.full_like(x[:1], 0.003)
    for name in ("kernel_shap", "lime"):
        found = np.asarray(methods.attribute(name, model, flat, 0))
        assert np.isfinite(found).all() and np.ptp(found) == 0
    whole = np.asarray(methods.attribute("kernel_shap", model, flat, 0)).sum()
    assert whole == pytest.approx(0.003 * weights.sum(), abs=1e-5)


def test_vectors_are_refused() -> None:
    nodes = (
        {"name": "out", "kind": "dense", "inputs": ["x"], "features": 1, "params": {"kernel": "w"}},
    )
    model = (Network("vector", (4,), 1, nodes), {"w": np.ones((4, 1), np.float32)})
    for name in ("lime", "kernel_shap", "rise", "fresh"):
        with pytest.raises(InputError, match="reads images"):
            methods.attribute(name, model, np.ones((1, 4), np.float32), 0)

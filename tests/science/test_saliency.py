"""What is known of saliency maps of networks that learned nothing, and of mirrored inputs."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from registered import METHODS

from kappascope.attribution.methods import Model, attribute
from kappascope.faithfulness import randomization, similarity
from kappascope.networks import architectures
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import forward

SIDE, MARGIN, NETWORKS, MAPS = 48, 8, 6, 6
TAYLOR, ALPHA_BETA = "deep_taylor_bn_identity", "inn_lrp_alpha1beta0_bn_z"


def empty_parameters(network: Network) -> Parameters:
    """Zeros in the shapes of a chain's parameters."""
    out: Parameters = {}
    channels, width = 1, 0
    for node in network.nodes:
        names = node.get("params", {})
        if "kernel" in names:
            width = node["features"]
            shape = (*node.get("window", ()), channels, width)
            out[names["kernel"]] = np.zeros(shape, np.float32)
            channels = width
        out |= {
            name: np.zeros(width, np.float32) for field, name in names.items() if field != "kernel"
        }
    return out


def smoothed_noise(seed: int) -> np.ndarray:
    """Maps (map, y, x, 1) as smooth as those of the paper: σ = 2.44 pixels."""
    white = np.random.default_rng(seed).standard_normal((MAPS, SIDE, SIDE))
    smooth = scipy.ndimage.gaussian_filter(white, (0, 2.44, 2.44), mode="wrap")
    return (smooth / smooth.std()).astype(np.float32)[..., None]


def untrained_networks() -> list[Model]:
    """Independent networks before training, with statistics estimated from other maps."""
    network = architectures.convergence_cnn(SIDE, 4, "SAME", outputs=1, blocks=3)
    start = empty_parameters(network)
    every = range(len(randomization.layers(network)))
    found: list[Model] = []
    for repeat in range(NETWORKS):
        drawn = randomization.reinitialized(network, start, every, 1, repeat)
        drawn = randomization.with_estimated_statistics(network, drawn, smoothed_noise(99))
        # The other sign of the last kernel is as likely, and deep Taylor needs a positive output.
        if np.mean(forward(network, drawn, smoothed_noise(99))) < 0:
            drawn["dense.kernel"] = -drawn["dense.kernel"]
        found.append((network, drawn))
    return found


def explained(models: list[Model], inputs: list[np.ndarray], name: str) -> list[np.ndarray]:
    """Relevance (map, y, x) of each network's own inputs, without what padding touches most."""
    inside = slice(MARGIN, SIDE - MARGIN)
    return [
        randomization.explained(METHODS[name], model, maps, 0, MAPS)[:, inside, inside]
        for model, maps in zip(models, inputs, strict=True)
    ]


def pairs(found: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Maps of one number of every two networks, but those that are zero everywhere."""
    return [
        (one, other)
        for first, second in itertools.combinations(found, 2)
        for one, other in zip(first, second, strict=True)
        if one.any() and other.any()
    ]


@pytest.fixture(scope="module")
def models() -> list[Model]:
    return untrained_networks()


def mean_correlation(models: list[Model], name: str) -> float:
    found = explained(models, [smoothed_noise(0)] * NETWORKS, name)
    values = [similarity.pearson(*pair) for pair in pairs(found)]
    assert len(values) > 0.6 * MAPS * NETWORKS * (NETWORKS - 1) / 2
    return float(np.mean(values))


def test_rules_of_positive_weights_show_the_input_and_gradients_show_the_weights(
    models: list[Model],
) -> None:
    """Sixt et al. (2020): products of matrices without negative entries forget what is above.

    Two networks that share nothing but the input have much the same deep Taylor and LRP-αβ maps,
    and gradients without relation.
    """
    gradient = mean_correlation(models, "gradient")
    assert abs(gradient) < 0.05
    for name in (TAYLOR, ALPHA_BETA):
        assert mean_correlation(models, name) > 0.15 + abs(gradient), name


def test_a_deconvnet_without_maxima_shows_the_same_map_for_every_input(models: list[Model]) -> None:
    """Its way back asks no activation; one that starts from the output has the output's size.

    So a correlation of two networks' deconvnet maps has no scatter over inputs, whatever they are.
    """
    maps = smoothed_noise(0)
    for model in models[:2]:
        found = randomization.explained(METHODS["deconvnet"], model, maps, 0, MAPS)
        for other in found[1:]:
            assert similarity.pearson(found[0], other) == pytest.approx(1.0, abs=1e-9)
        gradient = randomization.explained(METHODS["gradient"], model, maps, 0, MAPS)
        assert abs(similarity.pearson(gradient[0], gradient[1])) < 0.5


def rejected(found: list[np.ndarray]) -> tuple[float, float]:
    """Fractions of pairs "correlated" at the 5 % level: as in the paper, against shifted maps."""
    shifts = np.random.default_rng(0)
    paper, shifted = [], []
    for pair in pairs(found):
        paper.append(similarity.correlations(*pair).pearson_p < 0.05)
        shifted.append(similarity.shift_p_values(*pair, shifts, 1).pearson < 0.05)
    return float(np.mean(paper)), float(np.mean(shifted))


@pytest.mark.parametrize("name", [TAYLOR, ALPHA_BETA])
def test_p_values_of_the_paper_find_relations_where_there_are_none(
    models: list[Model], name: str
) -> None:
    """Other networks and other inputs: nothing is shared, but pixels repeat their neighbours."""
    found = explained(models, [smoothed_noise(k + 1) for k in range(NETWORKS)], name)
    paper, shifted = rejected(found)
    assert paper > 0.3
    assert shifted < 0.15


def test_deep_taylor_maps_of_one_input_agree_beyond_chance(models: list[Model]) -> None:
    found = explained(models, [smoothed_noise(0)] * NETWORKS, TAYLOR)
    assert rejected(found)[1] > 0.7


# Mirrored and turned inputs.

DIHEDRAL: dict[str, Any] = {
    f"{turns} quarter turns{', mirrored' * mirrored}": (turns, mirrored)
    for mirrored in (0, 1)
    for turns in range(4)
}


def moved(values: np.ndarray, turns: int, mirrored: int) -> np.ndarray:
    """Turn and mirror the first two axes."""
    turned = np.rot90(values, turns)
    return turned[::-1] if mirrored else turned


def random_parameters(symmetric: bool) -> Model:
    """Random weights and statistics; kernels the same from all eight sides if ``symmetric``."""
    network = architectures.convergence_cnn(16, 4, "SAME", outputs=2, blocks=2)
    draws = np.random.default_rng(3)
    out = empty_parameters(network)
    for name, value in out.items():
        if name.endswith((".scale", ".var")):
            out[name] = draws.uniform(0.5, 1.5, value.shape).astype(np.float32)
            continue
        scale = np.prod(value.shape[:-1]) ** -0.5 if name.endswith(".kernel") else 0.2
        drawn = scale * draws.standard_normal(value.shape)
        if symmetric and value.ndim == 4:
            drawn = np.sqrt(8) * np.mean([moved(drawn, *g) for g in DIHEDRAL.values()], 0)
        out[name] = drawn.astype(np.float32)
    out["dense.bias"] = out["dense.bias"] + 2  # positive outputs, for deep Taylor
    return network, out


def difference_when_moved(model: Model, name: str, place: tuple[int, int]) -> float:
    """Largest difference of the moved input's map from the moved map, over the map's largest."""
    draws = np.random.default_rng(4).standard_normal((2, 16, 16, 1)).astype(np.float32)
    before = np.asarray(attribute(name, model, draws))
    after = np.asarray(attribute(name, model, np.stack([moved(one, *place) for one in draws])))
    assert before.any((1, 2, 3, 4)).all()
    expected = np.stack([[moved(one, *place) for one in maps] for maps in before])
    return float(np.abs(after - expected).max() / np.abs(before).max())


@pytest.mark.parametrize("place", DIHEDRAL.values(), ids=list(DIHEDRAL))
@pytest.mark.parametrize(
    "name", ["gradient", "integrated_gradients", "inn_lrp_epsilon_bn_z", TAYLOR, ALPHA_BETA]
)
def test_maps_of_symmetric_networks_move_with_the_input(name: str, place: Any) -> None:
    assert difference_when_moved(random_parameters(symmetric=True), name, place) < 1e-5


def test_maps_of_other_networks_do_not() -> None:
    assert difference_when_moved(random_parameters(symmetric=False), "gradient", (1, 0)) > 0.1

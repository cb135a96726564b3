"""The randomization test: which weights are drawn anew, what is compared, and its tables."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered import METHODS
from typed import section

from kappascope.attribution import rules
from kappascope.attribution.methods import IntegratedGradients, SmoothGrad, attribute
from kappascope.chapters.matilla2020 import experiments, table2
from kappascope.errors import InputError
from kappascope.faithfulness import randomization, similarity
from kappascope.networks import architectures, description
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import activations, forward

PAPER = (
    "gradient",
    "input_x_gradient",
    "inn_guided_backprop",
    "inn_deconvnet",
    "deep_taylor_bn_identity",
    "inn_lrp_epsilon_bn_z",
    "inn_lrp_alpha1beta0_bn_z",
    "integrated_gradients",
    "smoothgrad",
)
saliency = functools.partial(section, "matilla2020.saliency")
SECTION: dict[str, Any] = {
    "methods": list(PAPER),
    "path_nodes": 3,
    "smoothgrad_samples": 2,
    "maps": 3,
    "repeats": 4,
    "curve_maps": 2,
    "curve_repeats": 1,
    "batch_norm_statistics": "initial",
    "border_pixels": 1,
    "kendall_shifts": 19,
    "patch_pixels": 8,
    "betas": [0.0, 1.0],
    "epsilons": [1e-3, 0.1],
    "relevance_maps": 2,
}
CHOSEN = saliency(**SECTION)
SIDE = 12
SEED = 12


# Networks.


def drawn(network: Network, sources: Mapping[str, int], seed: int = 0) -> Parameters:
    """Parameters as after training; ``sources``: channels that enter each conv and dense node."""
    random = np.random.default_rng(seed)
    out: Parameters = {}
    channels = 0
    for node in network.nodes:
        names = node.get("params", {})
        if "kernel" in names:
            channels = node["features"]
            shape = (*node.get("window", ()), sources[node["name"]], channels)
            scale = np.prod(shape[:-1]) ** -0.5
            out[names["kernel"]] = scale * random.standard_normal(shape)
            out[names["bias"]] = 0.2 * random.standard_normal(channels)
            if node["kind"] == "dense":
                out[names["bias"]] += 2  # targets are not centred: trained outputs are positive
        elif names:
            out[names["scale"]] = random.uniform(0.5, 1.5, channels)
            out[names["bias"]] = 0.2 * random.standard_normal(channels)
            out[names["mean"]] = 0.2 * random.standard_normal(channels)
            out[names["var"]] = random.uniform(0.5, 2.0, channels)
    for name in out:
        out[name] = out[name].astype(np.float32)
        out[name].flags.writeable = False  # whoever changes it in place gets an error
    return out


def chain(blocks: int = 1, width: int = 4, side: int = SIDE) -> tuple[Network, Parameters]:
    network = architectures.convergence_cnn(side, width, "SAME", blocks=blocks)
    channels, sources = 1, {}
    for node in network.nodes:
        if node["kind"] in ("conv", "dense"):
            sources[node["name"]], channels = channels, node["features"]
    return network, drawn(network, sources)


def residual() -> tuple[Network, Parameters]:
    """conv, then two normalized convs of one shape in a branch beside the identity."""

    def conv(name: str, source: str) -> dict[str, Any]:
        params = {"kernel": f"{name}.kernel", "bias": f"{name}.bias"}
        return {
            "name": name, "kind": "conv", "inputs": [source], "features": 4, "window": [3, 3],
            "strides": [1, 1], "padding": [[1, 1], [1, 1]], "params": params,
        }  # fmt: skip

    def norm(name: str, source: str) -> dict[str, Any]:
        params = {field: f"{name}.{field}" for field in ("scale", "bias", "mean", "var")}
        return {
            "name": name, "kind": "batch_norm", "inputs": [source], "eps": 1e-3, "params": params,
        }  # fmt: skip

    nodes = (
        conv("stem", "x"),
        {"name": "relu1", "kind": "relu", "inputs": ["stem"]},
        conv("branch1", "relu1"),
        norm("norm1", "branch1"),
        {"name": "relu2", "kind": "relu", "inputs": ["norm1"]},
        conv("branch2", "relu2"),
        norm("norm2", "branch2"),
        {"name": "sum", "kind": "add", "inputs": ["norm2", "relu1"]},
        {"name": "relu3", "kind": "relu", "inputs": ["sum"]},
        {"name": "mean", "kind": "global_avg_pool", "inputs": ["relu3"]},
        {
            "name": "head", "kind": "dense", "inputs": ["mean"], "features": 2,
            "params": {"kernel": "head.kernel", "bias": "head.bias"},
        },
    )  # fmt: skip
    network = Network("residual", (SIDE, SIDE, 1), 2, nodes)
    return network, drawn(network, {"stem": 1, "branch1": 4, "branch2": 4, "head": 4})


def inputs(count: int = 3, side: int = SIDE, seed: int = 3) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((count, side, side, 1))
    return draws.astype(np.float32)


def names_of(network: Network, layer: int) -> set[str]:
    nodes = randomization.layers(network)[layer]
    return {name for node in nodes for name in node["params"].values()}


def whole(network: Network) -> range:
    return range(len(randomization.layers(network)))


# Which weights belong together.


def test_layers_run_from_the_output_to_the_input_each_with_its_normalization() -> None:
    found = [[node["name"] for node in layer] for layer in randomization.layers(chain(2)[0])]
    assert found == [["dense"], ["conv4"], ["conv3", "bn3"], ["conv2", "bn2"], ["conv1", "bn1"]]


def test_published_network_has_nineteen_layers() -> None:
    found = randomization.layers(architectures.convergence_cnn(32, 1, "SAME"))
    assert [layer[0]["name"] for layer in found] == [
        "dense",
        *(f"conv{k}" for k in range(18, 0, -1)),
    ]
    assert [len(layer) for layer in found] == [1, 1] + 17 * [2]


def test_layers_of_a_branch_keep_their_own_normalization() -> None:
    found = [[node["name"] for node in layer] for layer in randomization.layers(residual()[0])]
    assert found == [["head"], ["branch2", "norm2"], ["branch1", "norm1"], ["stem"]]


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["chain", "residual"])
def test_layers_of_the_reference_networks_hold_every_parameter_once(
    reference: Path, name: str
) -> None:
    network, _, _ = description.load(reference / "attribution" / name)
    layers = randomization.layers(network)
    held = [array for layer in layers for node in layer for array in node["params"].values()]
    assert sorted(held) == sorted(network.parameter_names)
    places = [node["name"] for node in network.nodes]
    order = [places.index(layer[0]["name"]) for layer in layers]
    assert order == sorted(order, reverse=True)
    for conv, *norms in layers:
        assert all(norm["inputs"] == [conv["name"]] for norm in norms)


@pytest.mark.parametrize(
    ("mode", "stage", "chosen"),
    [
        ("cascading", 1, [0]),
        ("cascading", 3, [0, 1, 2]),
        ("independent", 1, [0]),
        ("independent", 3, [2]),
    ],
)
def test_chosen_layers(mode: str, stage: int, chosen: list[int]) -> None:
    assert list(randomization.chosen_layers(mode, stage)) == chosen


# Weights drawn anew.


@pytest.mark.parametrize("make", [chain, residual])
def test_a_draw_depends_on_seed_layer_and_repeat_only(make: Any) -> None:
    network, trained = make()
    first = randomization.reinitialized(network, trained, [1], 5, 0)
    kernel = f"{randomization.layers(network)[1][0]['name']}.kernel"
    for chosen in ([1], [0, 1], [1, 0], whole(network)):
        again = randomization.reinitialized(network, trained, chosen, 5, 0)
        for name in names_of(network, 1):
            np.testing.assert_array_equal(again[name], first[name], err_msg=name)
    for seed, repeat in ((6, 0), (5, 1)):
        other = randomization.reinitialized(network, trained, [1], seed, repeat)
        assert abs(np.corrcoef(other[kernel].ravel(), first[kernel].ravel())[0, 1]) < 0.4


def test_layers_of_one_shape_get_different_weights() -> None:
    network, trained = residual()
    drawn_anew = randomization.reinitialized(network, trained, whole(network), 5, 0)
    pair = drawn_anew["branch1.kernel"].ravel(), drawn_anew["branch2.kernel"].ravel()
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.4


@pytest.mark.parametrize("mode", randomization.MODES)
@pytest.mark.parametrize("make", [chain, residual])
def test_only_the_chosen_layers_change(make: Any, mode: str) -> None:
    network, trained = make()
    before = {name: value.copy() for name, value in trained.items()}
    for stage in range(1, len(whole(network)) + 1):
        chosen = randomization.chosen_layers(mode, stage)
        found = randomization.reinitialized(network, trained, chosen, 1, 0)
        assert list(found) == list(trained)
        touched = set().union(*(names_of(network, layer) for layer in chosen))
        for name, value in found.items():
            same = np.array_equal(value, before[name])
            assert same != (name in touched), (stage, name)
            assert value.dtype == np.float32 and value.shape == before[name].shape
    for name, value in trained.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize("make", [chain, residual])
def test_the_last_stage_of_the_cascade_keeps_nothing_of_the_training(make: Any) -> None:
    network, trained = make()
    other = {name: np.flip(value) + 1 for name, value in trained.items()}
    chosen = randomization.chosen_layers("cascading", len(whole(network)))
    one = randomization.reinitialized(network, trained, chosen, 1, 0)
    same = randomization.reinitialized(network, other, chosen, 1, 0)
    for name, value in one.items():
        np.testing.assert_array_equal(value, same[name], err_msg=name)


def test_weights_are_those_before_training() -> None:
    network, trained = chain(2, width=16)
    found = randomization.reinitialized(network, trained, whole(network), 1, 0)
    for node in network.nodes:
        names = node.get("params", {})
        if "kernel" in names:
            kernel = found[names["kernel"]].astype(np.float64)
            # Glorot & Bengio (2010), Eq. 16: fan in and fan out count the window
            receptive = kernel.size // (kernel.shape[-2] * kernel.shape[-1])
            limit = np.sqrt(6.0 / (receptive * (kernel.shape[-2] + kernel.shape[-1])))
            # Five standard errors, and less than one in ten thousand for the largest of few.
            assert 1 - 10 / kernel.size < np.abs(kernel).max() / limit <= 1, node["name"]
            spread = 5 * np.sqrt(0.8 / kernel.size)
            assert np.square(kernel).mean() == pytest.approx(limit**2 / 3, rel=spread)
            assert abs(kernel.mean()) < 5 * limit / np.sqrt(3 * kernel.size)
            assert not found[names["bias"]].any()
        elif names:
            for field, value in {"scale": 1, "bias": 0, "mean": 0, "var": 1}.items():
                assert (found[names[field]] == value).all(), (node["name"], field)


@pytest.mark.parametrize("make", [chain, residual])
def test_estimated_statistics_standardize_what_batch_normalization_gives(make: Any) -> None:
    network, trained = make()
    start = randomization.reinitialized(network, trained, whole(network), 1, 0)
    seen = 2 * inputs(6) + 1
    found = randomization.with_estimated_statistics(network, start, seen)
    values = activations(network, found, seen)
    norms = [node for node in network.nodes if node["kind"] == "batch_norm"]
    assert norms
    for node in norms:
        out = np.asarray(values[node["name"]], np.float64)
        variance = found[node["params"]["var"]].astype(np.float64)
        np.testing.assert_allclose(out.mean((0, 1, 2)), 0, atol=1e-5)
        expected = variance / (variance + node["eps"])
        np.testing.assert_allclose(out.var((0, 1, 2)), expected, rtol=1e-4)
        assert (variance > 0.05).all()
    moments = {node["params"][field] for node in norms for field in ("mean", "var")}
    for name in set(start) - moments:
        np.testing.assert_array_equal(found[name], start[name], err_msg=name)
    for name in moments:
        assert not np.array_equal(found[name], start[name]), name
        assert (start[name] == start[name][0]).all(), "the given parameters were changed"


def test_statistics_are_estimated_for_the_chosen_layers_only() -> None:
    """Each with what the layers before it give, trained or not."""
    network, trained = chain(2)
    seen = 2 * inputs(6) + 1
    found = randomization.with_estimated_statistics(network, trained, seen, [0, 2, 4])
    changed = {name for name, value in found.items() if not np.array_equal(value, trained[name])}
    assert changed == {f"bn{k}.{field}" for k in (1, 3) for field in ("mean", "var")}
    values = activations(network, found, seen)
    for number in (1, 3):
        before = np.asarray(values[f"conv{number}"], np.float64)
        np.testing.assert_allclose(found[f"bn{number}.mean"], before.mean((0, 1, 2)), atol=1e-4)
        np.testing.assert_allclose(found[f"bn{number}.var"], before.var((0, 1, 2)), rtol=1e-4)
    nothing = randomization.with_estimated_statistics(network, trained, seen, [])
    for name, value in nothing.items():
        np.testing.assert_array_equal(value, trained[name], err_msg=name)


# Methods as the config asks for them.


def test_methods_get_the_nodes_and_samples_of_the_config() -> None:
    chosen = saliency(path_nodes=7, smoothgrad_samples=9)
    assert randomization.configured("integrated_gradients", chosen).procedure == (
        IntegratedGradients(7)
    )
    assert randomization.configured("smoothgrad", chosen).procedure == SmoothGrad(9)
    for name in set(PAPER) - {"integrated_gradients", "smoothgrad"}:
        assert randomization.configured(name, chosen) == METHODS[name]
    assert METHODS["smoothgrad"].procedure == SmoothGrad(50)


def test_a_node_the_network_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="conv9"):
        randomization.configured("grad_cam.conv9", CHOSEN, chain()[0])


# The comparison.


def compared(
    model: Any, maps: np.ndarray, names: Any = ("gradient",), **changes: Any
) -> list[randomization.Comparison]:
    given: dict[str, Any] = {
        "stages": [("cascading", 1), ("independent", 2)],
        "repeats": 2,
        "seed": 1,
        "statistics": "initial",
        "label": "test",
        "batch": 2,
    }
    methods = [randomization.configured(name, CHOSEN) for name in names]
    return list(randomization.compare(model, maps, methods, **{**given, **changes}))


def test_comparisons_come_in_order_and_none_is_missing() -> None:
    network, trained = chain()
    names = ("gradient", "input_x_gradient")
    found = compared((network, trained), inputs(3), names)
    told = [(c.repeat, c.mode, c.stage, c.layer, c.method, c.realization) for c in found]
    stages = (("cascading", 1, "dense"), ("independent", 2, "conv2"))
    expected = itertools.product(range(2), stages, names, range(3))
    assert told == [(repeat, *stage, name, number) for repeat, stage, name, number in expected]


@pytest.mark.parametrize("mode", randomization.MODES)
@pytest.mark.parametrize("statistics", ["initial", "estimated", "estimated from others"])
@pytest.mark.parametrize("make", [chain, residual])
def test_maps_and_outputs_are_those_of_the_two_networks(
    make: Any, statistics: str, mode: str
) -> None:
    network, trained = make()
    before = {name: value.copy() for name, value in trained.items()}
    maps = inputs(3)
    others = 3 * inputs(4, seed=7) if "others" in statistics else None
    last = len(whole(network))
    found = compared(
        (network, trained),
        maps,
        stages=[(mode, last)],
        statistics=statistics.split()[0],
        seen=others,
    )
    usual = np.asarray(attribute("gradient", (network, trained), maps, 0))[..., 0]
    told = np.asarray(forward(network, trained, maps))[:, 0]
    for repeat in range(2):
        chosen = randomization.chosen_layers(mode, last)
        weights = randomization.reinitialized(network, trained, chosen, 1, repeat)
        if statistics != "initial":
            seen = maps if others is None else others
            weights = randomization.with_estimated_statistics(network, weights, seen, chosen)
        if 0 in chosen:
            seen = maps if others is None else others
            signs = np.asarray(forward(network, weights, seen))[:, 0]
            weights = randomization.positive(network, weights, signs)
        drawn_anew = np.asarray(attribute("gradient", (network, weights), maps, 0))[..., 0]
        outputs = np.asarray(forward(network, weights, maps))[:, 0]
        for each in found[3 * repeat : 3 * repeat + 3]:
            k = each.realization
            assert_close(each.trained, usual[k])
            assert_close(each.randomized, drawn_anew[k])
            assert each.output_trained == pytest.approx(told[k], rel=1e-5)
            assert each.output_randomized == pytest.approx(outputs[k], rel=1e-5)
    for name, value in trained.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    "name", ["gradient", "smoothgrad", "inn_lrp_alpha1beta0_bn_z", "deep_taylor_bn_identity"]
)
def test_the_batch_does_not_matter(name: str) -> None:
    model, maps = chain(), inputs(5)
    whole_batch = compared(model, maps, [name], batch=5, repeats=1)
    for batch in (1, 2):
        for one, other in zip(
            whole_batch, compared(model, maps, [name], batch=batch, repeats=1), strict=True
        ):
            assert one.realization == other.realization
            assert_close(other.trained, one.trained)
            assert_close(other.randomized, one.randomized)


def test_the_output_under_test_is_the_first() -> None:
    model, maps = chain(), inputs(2)
    both = np.asarray(attribute("gradient", model, maps))[..., 0]
    found = randomization.explained(METHODS["gradient"], model, maps, 1, 2)
    assert_close(found, both[0])
    assert np.abs(found - both[1]).max() > 0.1 * np.abs(found).max()


def comparison(trained: np.ndarray, randomized: np.ndarray, **changes: Any) -> Any:
    given = randomization.Comparison(
        "gradient", "cascading", 3, "conv1", 4, 2, trained, randomized, 1.5, -0.5
    )
    return dataclasses.replace(given, **changes)


def test_a_row_holds_the_coefficients_of_the_pair() -> None:
    one, other, kappa = inputs(3)[..., 0]
    other = other + one
    row = randomization.curve_row(comparison(one, other))
    expected = similarity.correlations(one, other)
    for name in similarity.CORRELATIONS:
        assert row[name] == getattr(expected, name)
    assert row["ssim"] == similarity.structural_similarity(one, other)
    assert (row["output"], row["empty"], row["layer"], row["stage"]) == (-0.5, 0, "conv1", 3)
    full = randomization.table2_row(comparison(one, other), kappa, 1, 19)
    assert full["pearson_input"] == pytest.approx(similarity.pearson(one, kappa))
    for name in similarity.CORRELATIONS:
        assert full[name] == row[name]
        assert full[f"{name}_p"] == getattr(expected, f"{name}_p")
        assert 0 < full[f"{name}_shift_p"] <= 1
    assert (full["output_trained"], full["output_randomized"]) == (1.5, -0.5)


def test_a_map_of_zeros_is_kept_and_has_no_coefficients() -> None:
    one, _, kappa = inputs(3)[..., 0]
    empty = comparison(one, np.zeros_like(one))
    assert empty.empty and comparison(np.zeros_like(one), one).empty
    assert not comparison(one, one).empty
    row = randomization.curve_row(empty)
    full = randomization.table2_row(empty, kappa, 1, 19)
    assert row["empty"] == full["empty"] == 1
    undefined = {*similarity.CORRELATIONS, "ssim"}
    assert {name for name, cell in row.items() if cell is None} == undefined
    undefined |= {f"{name}{end}" for name in similarity.CORRELATIONS for end in ("_p", "_shift_p")}
    assert {name for name, cell in full.items() if cell is None} == undefined


# The whole test, small.


@pytest.fixture(scope="module")
def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return experiments.randomization_test([chain()], inputs(3), "noiseless", CHOSEN, SEED)


def test_every_comparison_is_there_once(rows: Any) -> None:
    curves, full = rows
    stages = 2 * 3
    assert len(curves) == len(PAPER) * stages * SECTION["curve_repeats"] * SECTION["curve_maps"]
    assert len(full) == len(PAPER) * SECTION["repeats"] * 3
    for found, columns, keys in (
        (curves, table2.CURVES.columns, ("method", "mode", "stage", "realization", "repeat")),
        (full, table2.TABLE2_MAPS.columns, ("method", "realization", "repeat")),
    ):
        assert len({tuple(row[key] for key in keys) for row in found}) == len(found)
        for row in found:
            assert set(row) == set(columns)
            for name, cell in row.items():
                assert not isinstance(cell, float) or np.isfinite(cell), (name, row)
            if not row["empty"]:
                # The first of two draws has none before it.
                pairs = set(randomization.NULLS.values()) if not row["repeat"] else set()
                assert None not in [cell for name, cell in row.items() if name not in pairs], row


def test_draws_are_compared_with_each_other_without_their_borders() -> None:
    """Each draw with the one before, the first with the last; edges count nowhere."""
    draws, border = 4, 2
    maps = np.random.default_rng(2).normal(size=(draws, 12, 12))
    kappa = np.random.default_rng(3).normal(size=(1, 12, 12, 1))

    def rows(edge: float) -> list[dict[str, Any]]:
        seen, shown = kappa.copy(), maps.copy()
        for field in (seen[0, ..., 0], *shown):
            field[:border] = field[-border:] = edge
            field[:, :border] = field[:, -border:] = edge
        pairs = [
            comparison(seen[0, ..., 0], each, realization=0, repeat=repeat)
            for repeat, each in enumerate(shown)
        ]
        section = saliency(**{**SECTION, "repeats": draws, "border_pixels": border})
        return experiments._full_rows(pairs, seen, section, SEED)

    found = rows(9.0)
    assert rows(-5.0) == found
    inner = maps[:, border:-border, border:-border]
    for repeat, row in enumerate(found):
        assert row["null_pearson"] == pytest.approx(
            similarity.pearson(inner[repeat - 1], inner[repeat])
        )
        assert row["pearson_input"] == pytest.approx(1.0)


def test_each_network_has_draws_of_its_own() -> None:
    chosen = saliency(**{**SECTION, "methods": ["gradient"], "repeats": 3})
    curves, full = experiments.randomization_test(
        [chain(), chain()], inputs(3), "noisy", chosen, SEED
    )
    assert {(row["network"], row["repeat"]) for row in full} == {
        *((0, k) for k in range(3)), *((1, k) for k in range(3, 6)),
    }  # fmt: skip
    assert {(row["network"], row["repeat"]) for row in curves} == {(0, 0), (1, 1)}
    # The networks are the same, so that other draws alone make other numbers.
    assert len({row["pearson"] for row in full}) == len(full)
    assert all(row["null_pearson"] is not None for row in full)


def test_the_same_again(rows: Any) -> None:
    again = experiments.randomization_test([chain()], inputs(3), "noiseless", CHOSEN, SEED)
    assert again[0] == rows[0]
    assert again[1] == rows[1]


@pytest.mark.parametrize("statistics", ["initial", "estimated"])
def test_last_stage_of_the_cascade_is_the_full_randomization(statistics: str) -> None:
    """Also where curves have fewer maps: statistics are those of all maps."""
    methods = ["gradient", "inn_lrp_epsilon_bn_z"]
    chosen = saliency(**{**SECTION, "methods": methods, "batch_norm_statistics": statistics})
    curves, full = experiments.randomization_test([chain()], inputs(5), "noisy", chosen, SEED)
    key = ("method", "realization", "repeat")
    complete = {tuple(row[name] for name in key): row for row in full}
    last = [row for row in curves if row["mode"] == "cascading" and row["stage"] == 3]
    assert len(last) == 4
    for row in last:
        other = complete[tuple(row[name] for name in key)]
        assert row["output"] == pytest.approx(other["output_randomized"], rel=1e-5)
        for name in (*similarity.CORRELATIONS, "ssim"):
            assert row[name] == pytest.approx(other[name], abs=1e-3)


def test_both_modes_begin_with_the_output_layer(rows: Any) -> None:
    both = [
        [{**row, "mode": ""} for row in rows[0] if row["stage"] == 1 and row["mode"] == mode]
        for mode in randomization.MODES
    ]
    assert both[0] and both[0] == both[1]


def test_every_draw_has_a_positive_output_and_none_is_empty(rows: Any) -> None:
    """Deep Taylor maps of negative outputs are empty: half of all draws would not count."""
    mine = [row for row in rows[1] if row["method"] == "deep_taylor_bn_identity"]
    assert all(row["output_randomized"] > 0 and not row["empty"] for row in mine)
    assert all(row["output"] > 0 for row in rows[0] if row["mode"] == "cascading")
    summary = [row for row in table2.table2(rows[1]) if row["method"] == mine[0]["method"]]
    for row in summary:
        assert row["empty"] == 0 and row["comparisons"] == len(mine)
        assert row["mean"] == pytest.approx(np.mean([each[row["coefficient"]] for each in mine]))


def test_a_turned_kernel_changes_the_sign_of_one_output_alone() -> None:
    network, trained = chain()
    maps = inputs(3)
    turned = 0
    for repeat in range(6):
        weights = randomization.reinitialized(network, trained, [0], 1, repeat)
        before = np.asarray(forward(network, weights, maps))
        after = np.asarray(
            forward(network, randomization.positive(network, weights, before[:, 0]), maps)
        )
        sign = 1.0 if before[:, 0].mean() >= 0 else -1.0
        turned += sign < 0
        np.testing.assert_allclose(after[:, 0], sign * before[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert 0 < turned < 6


# Beside the test: settings of the rules, agreement of the methods, maps to look at.


def test_sensitivity_varies_one_setting_and_keeps_the_conventions() -> None:
    settings = experiments.sensitivity_settings(CHOSEN)
    assert list(settings) == ["alpha_beta", "epsilon"]
    assert list(settings["alpha_beta"]) == [0.0, 1.0]
    names = {method.name for each in settings.values() for method in each.values()}
    assert len(names) == 4
    two_one: Any = settings["alpha_beta"][1.0].procedure
    assert two_one == METHODS["inn_lrp_alpha2beta1_bn_z"].procedure
    assert two_one.composite.conv == rules.AlphaBeta(2, 1, "both")
    usual: Any = METHODS["inn_lrp_epsilon_bn_z"].procedure
    assert settings["epsilon"][1e-3].procedure == usual


def test_sensitivity_rows() -> None:
    chosen = saliency(**{**SECTION, "curve_repeats": 2, "batch_norm_statistics": "estimated"})
    found = experiments.sensitivity_rows(chain(), inputs(3), "noiseless", chosen, 2)
    assert [(row["rule"], row["value"]) for row in found] == [
        ("alpha_beta", 0.0), ("alpha_beta", 1.0), ("epsilon", 1e-3), ("epsilon", 0.1),
    ]  # fmt: skip
    for row in found:
        assert set(row) == set(table2.SENSITIVITY.columns)
    for usual, other in (found[:2], found[2:]):
        assert usual["similarity"] == pytest.approx(1, abs=1e-9)
        assert usual["similarity_scatter"] == pytest.approx(0, abs=1e-9)
        assert other["similarity"] < 0.9999
    method = experiments.sensitivity_settings(chosen)["alpha_beta"][1.0]
    stages = [("cascading", 3)]
    pairs = randomization.compare(
        *(chain(), inputs(2), [method], stages, SECTION["repeats"], 2),
        *("estimated", "test", 2, inputs(3)),
    )
    inner = [each.without_border(SECTION["border_pixels"]) for each in pairs]
    values = [similarity.pearson(each.trained, each.randomized) for each in inner]
    values = [value for value in values if np.isfinite(value)]
    assert found[1]["randomized"] == pytest.approx(np.mean(values), abs=1e-4)
    assert found[1]["randomized_scatter"] == pytest.approx(np.std(values, ddof=1), abs=1e-4)


def test_agreement_has_a_row_for_each_pair() -> None:
    chosen = saliency(**{**SECTION, "methods": ["gradient", "input_x_gradient", "lrp_0"]})
    model, maps = chain(), inputs(3)
    explained = experiments.explanations([model, model], maps, chosen, 2)
    found = experiments.agreement_rows(explained, "noisy")
    pairs = [(row["method"], row["other"]) for row in found]
    assert pairs == list(itertools.combinations(chosen.methods, 2))
    for row in found:
        assert set(row) == set(table2.AGREEMENT.columns) and row["data_set"] == "noisy"
    both = [
        randomization.explained(METHODS[name], model, maps, 2, 2) for name in chosen.methods[:2]
    ]
    values = [similarity.pearson(*pair) for pair in zip(*both, strict=True)]
    assert found[0]["pearson"] == pytest.approx(np.mean(values))
    assert found[0]["scatter"] == pytest.approx(np.std(values * 2, ddof=1))
    assert found[2]["pearson"] == pytest.approx(1, abs=1e-3), "LRP-0 is input times gradient"


@pytest.mark.parametrize("statistics", ["initial", "estimated"])
def test_examples_are_cut_from_the_middle(statistics: str) -> None:
    methods = ["gradient", "deep_taylor_bn_identity"]
    chosen = saliency(**{**SECTION, "methods": methods, "batch_norm_statistics": statistics})
    model, maps = chain(), inputs(2)
    found = experiments.example_maps(model, maps, 0.8, chosen, 2)
    middle = slice(2, 10)
    np.testing.assert_array_equal(found["kappa"], maps[0, middle, middle, 0])
    assert list(found["methods"]) == chosen.methods
    assert found["maps"].shape == (2, 3, 8, 8)
    assert found["alpha_beta"].shape == (2, 8, 8) and found["epsilon"].shape == (2, 8, 8)
    assert list(found["alpha_beta_values"]) == chosen.betas
    assert list(found["epsilon_values"]) == chosen.epsilons
    network, trained = model
    for place, layers in enumerate((range(0), range(1), range(3))):
        weights = randomization.reinitialized(network, trained, layers, 2, 0)
        if statistics == "estimated":
            weights = randomization.with_estimated_statistics(network, weights, maps, layers)
        if 0 in layers:
            signs = np.asarray(forward(network, weights, maps))[:, 0]
            weights = randomization.positive(network, weights, signs)
        whole_map = np.asarray(attribute("gradient", (network, weights), maps, 0))[0, ..., 0]
        assert_close(found["maps"][0, place], whole_map[middle, middle])

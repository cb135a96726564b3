"""Comparison of attributions: cells as groups, FRESH's last layer, tables."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from typed import section

from kappascope import randomness
from kappascope.attribution import methods
from kappascope.chapters.you2023 import baselines, explaining, structures, sum_of_parts
from kappascope.errors import InputError
from kappascope.networks import architectures, training
from kappascope.networks.module import GraphNetwork, flatten
from kappascope.transforms import segments

SECTION: dict[str, Any] = {
    "methods": ["lime", "rise", "grad_cam.relu3", "integrated_gradients", "fresh"],
    "samples": 20,
    "path_nodes": 2,
    "tile_pixels": 8,
    "groups": 4,
    "steps": 4,
    "mask_areas": [25, 100],
}
BUDGET = section("you2023.baselines", **SECTION)
SETTINGS = sum_of_parts.Settings(1, 2, 0.01, 4, (4.0,), 8.0, 1e9)


@pytest.fixture(scope="module")
def compared() -> tuple[
    list[dict[str, Any]], sum_of_parts.Parts, explaining.Explained, list[dict[str, Any]]
]:
    network = architectures.cosmogrid_cnn(32, 2)
    module = GraphNetwork(network)
    variables = training.initial_variables(module, randomness.generator(1, "test"))
    model = (network, flatten(network, variables))
    generator = np.random.default_rng(5)
    maps = generator.normal(0, 0.02, (3, 32, 32)).astype(np.float32)
    maps[2] = 0.0  # nothing to see, nothing to attribute
    data = sum_of_parts.divided(*model, maps, segments.Settings(separation=4, most=16))
    key = randomness.key(1, "test")
    trained = sum_of_parts.initial(sum_of_parts.build(network, SETTINGS), model[1], 4, key)
    parts = sum_of_parts.evaluate(*model, trained, data, SETTINGS)
    explained = explaining.Explained(
        maps,
        generator.normal(size=(3, 2)),
        np.array([0, 0, 1]),
        np.arange(3),
        np.array([0.1, 0.2]),
    )
    learned = generator.normal(0, 0.02, (12, 32, 32)).astype(np.float32)
    targets = generator.normal(size=(12, 2))
    learned_data = sum_of_parts.divided(*model, learned, segments.Settings(separation=4, most=16))
    learned_parts = sum_of_parts.evaluate(*model, trained, learned_data, SETTINGS)
    attributions, theirs = (
        baselines.all_attributed(model, some, seen, BUDGET, 1)
        for some, seen in ((maps, parts), (learned, learned_parts))
    )
    fitted_to = baselines.Learned(learned, targets, theirs)
    given = baselines.Compared(0, model, explained, attributions, fitted_to, BUDGET)
    return list(baselines.rows(given, parts)), parts, explained, list(baselines.area_rows(given))


def test_every_method_is_judged_on_every_map_and_output(compared) -> None:
    rows, *_ = compared
    names = {"random", "sum_of_parts", *SECTION["methods"]}
    assert {row["method"] for row in rows} == names
    assert len(rows) == len(names) * 3 * 2
    for row in rows:
        assert set(baselines.MAPS.columns) <= set(row)
        numbers = [row[name] for name in ("squared_error", *baselines.MEASURES)]
        assert np.isfinite(numbers).all(), row


def test_sum_of_parts_is_judged_by_its_own_prediction(compared) -> None:
    rows, parts, explained, _ = compared
    for row in rows:
        if row["method"] == "sum_of_parts":
            output = structures.PARAMETERS.index(row["parameter"])
            miss = parts.prediction[row["map"], output] * explained.scale[output]
            miss -= explained.targets[row["map"], output]
            assert row["squared_error"] == pytest.approx(miss**2, rel=1e-5)
            assert row["groups"] == (parts.scores[row["map"], :, output] > 0).sum()
        else:
            assert row["groups"] == SECTION["groups"]


def test_a_map_of_zeros_gives_no_curve(compared) -> None:
    rows, *_ = compared
    for row in rows:
        if row["map"] == 2:
            assert row["insertion"] == row["deletion"] == 0
            assert row["grouped_insertion"] == row["grouped_deletion"] == 0


def test_a_node_that_is_not_there_is_told(compared) -> None:
    _, _, explained, _ = compared
    model = (architectures.cosmogrid_cnn(32, 2), {})
    with pytest.raises(InputError, match="relu99"):
        baselines.attributed("grad_cam.relu99", model, explained.maps, BUDGET, 1)


def test_the_summary_averages_and_counts_errors_over_light_cones(compared) -> None:
    rows, *_ = compared
    table = {row["method"]: row for row in baselines.summary(rows, backbone=0.5)}
    mine = [row for row in rows if row["method"] == "rise"]
    by_map = [
        np.mean([row["squared_error"] for row in mine if row["map"] == number])
        for number in range(3)
    ]
    assert table["rise"]["mse"] == pytest.approx(np.mean(by_map))
    assert table["rise"]["mse_error"] == pytest.approx(np.std(by_map, ddof=1) / np.sqrt(3))
    assert table["rise"]["error_ratio"] == pytest.approx(2 * np.mean(by_map))
    assert table["grad_cam.relu3"]["label"] == "Grad-CAM"
    assert set(baselines.BASELINES.columns) <= set(table["rise"])


def test_the_best_of_each_measure_is_named() -> None:
    columns = dict.fromkeys(baselines.BASELINES.columns, 0.5)
    table = [
        {**columns, "method": "random", "purity": 0.99, "mse": 0.0},
        {**columns, "method": "lime", "purity": 0.4, "mse": 0.3},
        {**columns, "method": "rise", "purity": 0.6, "mse": 0.2},
        {**columns, "method": "fresh", "purity": 0.7, "mse": 0.1},
        {**columns, "method": "sum_of_parts", "purity": 0.8, "mse": 0.15},
    ]
    best = {row["measure"]: row for row in baselines.best_rows(table)}
    assert best["purity"]["best"] == "sum_of_parts" and best["purity"]["best_post_hoc"] == "rise"
    assert best["mse"]["best"] == "fresh" and best["mse"]["best_post_hoc"] == "rise"
    assert set(baselines.BEST.columns) == set(best["mse"])


def test_every_method_has_a_last_layer_fitted_to_its_own_masks(compared) -> None:
    rows, *_, areas = compared
    names = {row["method"] for row in rows}
    assert {row["method"] for row in areas} == names
    assert len(areas) == len(names) * len(SECTION["mask_areas"]) * 3 * 2
    table = baselines.area_summary(areas, backbone=0.5)
    assert len(table) == len(names) * len(SECTION["mask_areas"])
    for row in table:
        assert set(baselines.MASK_AREA.columns) <= set(row)
        assert (row["maps"], row["light_cones"], row["networks"]) == (3, 3, 1)
        mine = [
            one["squared_error"]
            for one in areas
            if (one["method"], one["area_percent"]) == (row["method"], row["area_percent"])
        ]
        assert row["mse"] == pytest.approx(np.mean(mine))
    # A quarter of the cells is not: each method's masks are its own.
    quarter = {
        row["squared_error"]
        for row in areas
        if (row["area_percent"], row["map"], row["parameter"]) == (25, 0, "sigma_8")
    }
    assert len(quarter) > len(names) / 2
    # The whole map is the same for all: a last layer fitted to whole maps.
    whole = [row for row in areas if row["area_percent"] == 100]
    for number in range(3):
        errors = {
            row["squared_error"]
            for row in whole
            if row["map"] == number and row["parameter"] == "sigma_8"
        }
        assert len(errors) == 1


@pytest.fixture(scope="module")
def reader() -> tuple[Any, np.ndarray, np.ndarray]:
    """A network with features that differ from map to map, maps, and masks of their middle."""
    network = architectures.cosmogrid_cnn(32, 4)
    variables = training.initial_variables(GraphNetwork(network), randomness.generator(3, "test"))
    maps = np.random.default_rng(2).normal(0, 1, (60, 32, 32)).astype(np.float32)
    middle = np.zeros_like(maps, bool)
    middle[:, 8:24, 8:24] = True
    return (network, flatten(network, variables)), maps, middle


def test_a_fitted_last_layer_is_the_best_linear_one(reader) -> None:
    model, maps, middle = reader
    known = baselines._features(model, maps)
    assert (known.std(0) > 0.005).sum() > 4
    targets = known @ np.arange(1.0, 9.0) + 0.7
    weights = baselines.fitted_readout(model, maps, np.ones_like(middle), targets, ridge=1e-9)
    np.testing.assert_allclose(known @ weights[:-1] + weights[-1], targets, atol=1e-3)


def test_a_last_layer_is_fitted_to_what_masks_leave(reader) -> None:
    """Fitted through masks it reads masked maps, which one fitted to whole maps misses."""
    model, maps, middle = reader
    known = baselines._features(model, maps * middle)
    targets = known @ np.arange(1.0, 9.0) + 0.7
    miss = {}
    for name, mask in (("own", middle), ("whole", np.ones_like(middle))):
        readout = baselines.fitted_readout(model, maps, mask, targets, ridge=1e-9)
        miss[name] = np.abs(known @ readout[:-1] + readout[-1] - targets).max()
    assert miss["own"] < 1e-3 < 0.1 < miss["whole"]


def test_sample_counts_follow_the_config() -> None:
    method = methods.configured("rise", BUDGET)
    assert method.procedure.conventions()["samples"] == 20
    assert methods.configured("gradient", BUDGET).name == "gradient"


# ---- explaining ----------------------------------------------------------------------------------


def test_examples_and_packed_groups_hold_what_was_found(compared) -> None:
    _, parts, explained, _ = compared
    found = explaining.examples(parts, explained, {"void": 0.0, "cluster": 2.0})
    count = len(found["maps"])
    assert count == 3 and found["masks"].shape == (3, explaining.SHOWN, 32, 32)
    for row in range(count):
        weights = found["scores"][row].sum(-1)
        assert (np.diff(weights) <= 1e-9).all() and weights[0] > 0
    packed = explaining.packed(parts, explained)
    total = np.zeros_like(explained.targets)
    np.add.at(total, packed["map"], packed["score"] * packed["partial"])
    np.testing.assert_allclose(total, packed["prediction"], atol=1e-5)
    np.testing.assert_allclose(packed["mask"].max((1, 2)), 1.0)


def test_maps_without_voids_or_clusters_are_remarked_upon(compared) -> None:
    _, _, explained, _ = compared
    none = np.zeros(0)
    groups = structures.Groups(*[none.astype(int)] * 3, none, none, np.arange(3), networks=1)
    told = list(explaining.remarks(groups, explained, {"void": 0.0, "cluster": 2.0}))
    assert told == [
        "you2023: 1 of 3 maps have no structure at all",
        "you2023: 3 of 3 maps have no void among their groups (below 0 sigma)",
        "you2023: 3 of 3 maps have no cluster among their groups (above 2 sigma)",
    ]


def test_errors_over_cosmologies_count_maps_of_one_together() -> None:
    values = np.array([1.0, 1.0, 3.0, 3.0])
    error = explaining._error_over_cosmologies(values, np.array([0, 0, 1, 1]))
    assert error == pytest.approx(1.0)
    assert explaining._error_over_cosmologies(values, np.zeros(4, int)) is None


def test_parts_are_a_dataclass_that_jax_maps_over(compared) -> None:
    import jax

    _, parts, *_ = compared
    doubled = jax.tree.map(lambda array: 2 * array, parts)
    assert isinstance(doubled, sum_of_parts.Parts)
    np.testing.assert_array_equal(doubled.scores, 2 * parts.scores)
    assert [field.name for field in dataclasses.fields(parts)] == [
        "prediction",
        "masks",
        "scores",
        "partial",
    ]


def test_accuracy_holds_networks_and_models_side_by_side(compared, tmp_path) -> None:
    from kappascope.networks import description

    _, parts, explained, _ = compared
    network = architectures.cosmogrid_cnn(32, 2)
    variables = training.initial_variables(GraphNetwork(network), randomness.generator(1, "test"))
    parameters = flatten(network, variables)
    description.save(tmp_path, network, parameters, target_scale=explained.scale)
    paths = [tmp_path / "network.npz"]
    rows = {row["reader"]: row for row in explaining.accuracy_rows(paths, [parts], explained)}
    assert set(rows) == {"network", "sum_of_parts"}
    for row in rows.values():
        assert list(row) == list(explaining.ACCURACY.columns)
        assert row["mse_scatter"] is None  # of one network there is none
    miss = parts.prediction * explained.scale - explained.targets
    assert rows["sum_of_parts"]["mse"] == pytest.approx((miss**2).mean())
    assert rows["sum_of_parts"]["error_ratio"] == pytest.approx(
        (miss**2).mean() / rows["network"]["mse"]
    )
    assert rows["sum_of_parts"]["additivity"] < 1e-6
    spoilt = dataclasses.replace(parts, prediction=parts.prediction + 0.01)
    told = explaining.accuracy_rows(paths, [spoilt], explained)[1]
    assert told["additivity"] > 1e-3

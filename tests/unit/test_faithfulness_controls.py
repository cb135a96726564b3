"""Networks whose answer is known: what they learn from, and how methods are judged on them."""

import dataclasses
import math
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from registered import METHODS
from typed import section, typed

from kappascope.attribution.methods import IntegratedGradients, attribute
from kappascope.errors import InputError
from kappascope.faithfulness import controls, judging, similarity
from kappascope.faithfulness.judging import PLANTED
from kappascope.files import read_rows
from kappascope.maps.dataset import MapSet, read_maps, write_maps
from kappascope.networks import description
from kappascope.networks.module import forward

PIXEL_ARCMIN = 0.5
SECTION: dict[str, Any] = {
    "pixels": 16,
    "training": 48,
    "testing": 12,
    "width": 2,
    "blocks": 1,
    "epochs": 2,
}
KNOWN = section("matilla2020.known_answers", **SECTION)
SPEC: dict[str, Any] = {
    "seed": 4,
    "maps": {"smoothing_arcmin": 1.0},
    "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
    "network": {
        "batch": 16,
        "peak_learning_rate": 0.05,
        "schedule": "one_cycle",
        "momentum": 0.9,
        "kernel_l2": 5e-5,
        "batch_norm_momentum": 0.9,
        "output_bias": "mean",
        "checkpoint_every_seconds": 1e9,
        "epochs": 30,
        "width": 32,
    },
    "saliency": {
        "methods": ["gradient", "inn_lrp_epsilon_bn_z", "integrated_gradients"],
        "path_nodes": 3,
        "smoothgrad_samples": 2,
    },
}


# Maps to learn from.


def written(path: Path, counts: dict[str, int], pixels: int = 24) -> Path:
    """Smooth random maps; the amplitude grows with Ω_m, and no two maps share a cosmology."""
    draws = np.random.default_rng(5)
    total = sum(counts.values())
    omega_matter = draws.uniform(0.15, 0.55, total)
    maps = MapSet(
        convergence=omega_matter[:, None, None].astype(np.float32)
        * draws.standard_normal((total, pixels, pixels)).astype(np.float32),
        split=np.repeat(list(counts), list(counts.values())),
        cosmology=np.arange(total),
        realization=np.zeros(total, int),
        omega_matter=omega_matter,
        sigma_8=draws.uniform(0.5, 1.0, total),
        pixel_arcmin=PIXEL_ARCMIN,
        source_redshift=1.0,
    )
    write_maps(path, maps)
    return path


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    return written(folder / "maps.h5", {"training": 60, "testing": 20, "covariance": 5})


def task(control: str, path: Path, **changes: Any) -> controls.Task:
    return controls.task(
        control, [path], section("matilla2020.known_answers", **{**SECTION, **changes}), typed(SPEC)
    )


def smoothed_maps(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All maps of a split, smoothed by other means, and their Ω_m."""
    found = read_maps(path, split)
    assert found.convergence is not None
    sigma = 1.0 / PIXEL_ARCMIN
    seen = scipy.ndimage.gaussian_filter(
        found.convergence.astype(float), (0, sigma, sigma), mode="wrap", truncate=6
    )
    return seen, found.omega_matter


@pytest.mark.parametrize("split", ["training", "testing"])
def test_patches_are_the_middles_of_smoothed_maps_of_their_split(maps: Path, split: str) -> None:
    given = task("true_labels", maps)
    whole, omega_matter = smoothed_maps(maps, split)
    patches = whole[:, 4:20, 4:20]
    found, labels = getattr(given, split), getattr(given, f"{split}_labels")
    assert found.shape == (SECTION[split], 16, 16) and found.dtype == np.float32
    assert labels.shape == (SECTION[split], 1)
    rows = [int(np.flatnonzero(np.isclose(omega_matter, label))[0]) for label in labels[:, 0]]
    assert len(set(rows)) == len(rows), "a map stands twice"
    assert rows[0] == 0 and rows[-1] == len(omega_matter) - 1, "spread over all cosmologies"
    scale = np.abs(patches).max()
    np.testing.assert_allclose(found, patches[rows], atol=2e-3 * scale)


def test_training_and_testing_patches_come_from_different_simulations(maps: Path) -> None:
    given = task("true_labels", maps, training=60, testing=20)
    assert not set(given.training_labels[:, 0]) & set(given.testing_labels[:, 0])
    flat = [part.reshape(len(part), -1) for part in (given.training, given.testing)]
    assert np.abs(np.corrcoef(*flat)[:60, 60:]).max() < 0.9


def test_no_more_maps_and_pixels_than_there_are(maps: Path) -> None:
    given = task("true_labels", maps, training=1000, testing=1000, pixels=64)
    assert given.training.shape == (60, 24, 24) and given.testing.shape == (20, 24, 24)


def test_a_split_without_maps_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "maps.h5", {"training": 20})
    with pytest.raises(InputError, match="no testing maps"):
        task("true_labels", path)


def test_permuted_labels_are_those_of_other_maps(maps: Path) -> None:
    true, permuted = task("true_labels", maps), task("permuted_labels", maps)
    for split in ("training", "testing"):
        patches = [getattr(each, split) for each in (true, permuted)]
        np.testing.assert_array_equal(patches[0], patches[1])
        labels = [getattr(each, f"{split}_labels") for each in (true, permuted)]
        np.testing.assert_array_equal(np.sort(labels[0], 0), np.sort(labels[1], 0))
        assert (labels[0] == labels[1]).mean() < 0.3
        size = len(labels[0]) ** -0.5
        assert abs(np.corrcoef(labels[0][:, 0], labels[1][:, 0])[0, 1]) < 4 * size


def test_noise_has_the_variance_and_the_smoothness_of_the_maps(maps: Path) -> None:
    true, noise = task("true_labels", maps), task("noise_only", maps)
    for split in ("training", "testing"):
        patches = getattr(noise, split).astype(float)
        whole, omega_matter = smoothed_maps(maps, split)
        labels = getattr(true, f"{split}_labels")[:, 0]
        whole = whole[np.isin(omega_matter, labels)]
        assert patches.std() == pytest.approx(whole.std(), rel=1e-3)
        # White noise after a Gaussian of σ: the correlation at distance d is exp(-d²/4σ²).
        for distance in (1, 2):
            ahead, behind = patches[:, :, distance:], patches[:, :, :-distance]
            found = np.mean(ahead * behind) / np.mean(patches**2)
            expected = math.exp(-(distance**2) * PIXEL_ARCMIN**2 / 4)
            assert found == pytest.approx(expected, abs=0.05)
        pairs = zip(patches, getattr(true, split), strict=True)
        assert abs(np.mean([similarity.pearson(*pair) for pair in pairs])) < 0.15
        np.testing.assert_array_equal(
            np.sort(getattr(noise, f"{split}_labels"), 0),
            np.sort(getattr(true, f"{split}_labels"), 0),
        )
    first = noise.training[: len(noise.testing)]
    assert abs(np.corrcoef(first.ravel(), noise.testing.ravel())[0, 1]) < 0.2


def test_amplitude_of_noise_tells_nothing(maps: Path) -> None:
    """Convergence varies more for a larger Ω_m; noise must not."""
    given = task("noise_only", maps)
    spread = given.training.std((1, 2))
    assert abs(np.corrcoef(spread, given.training_labels[:, 0])[0, 1]) < 0.5
    true = task("true_labels", maps)
    assert np.corrcoef(true.training.std((1, 2)), true.training_labels[:, 0])[0, 1] > 0.8


@pytest.mark.parametrize("control", PLANTED)
def test_planted_labels_are_the_mean_tent_of_patches_of_unit_scatter(
    maps: Path, control: str
) -> None:
    given, true = task(control, maps), task("true_labels", maps)
    low, high = PLANTED[control]
    for split in ("training", "testing"):
        patches = getattr(given, split).astype(float)
        np.testing.assert_allclose(np.square(patches).mean((1, 2)), 1, rtol=1e-5)
        for one, other in zip(patches, getattr(true, split), strict=True):
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(1, abs=1e-6)
        middle, half = (low + high) / 2, (high - low) / 2
        distance = np.abs(patches - middle) / half
        expected = np.where(distance < 1, 1 - distance, 0).mean((1, 2))
        labels = getattr(given, f"{split}_labels")
        assert labels.shape == (len(patches), 1)
        np.testing.assert_allclose(labels[:, 0], expected, rtol=1e-4)
        assert expected.std() > 0.05 * expected.mean()


@pytest.mark.parametrize("control", controls.CONTROLS)
def test_the_same_task_again(maps: Path, control: str) -> None:
    one, again = task(control, maps), task(control, maps)
    for name in ("training", "testing", "training_labels", "testing_labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))


# The tent.


RANGES = st.sampled_from(list(PLANTED.values()))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(RANGES, st.floats(0, 1), st.floats(0, 100))
def test_tent_by_place(planted: tuple[float, float], inside: float, outside: float) -> None:
    low, high = planted
    middle, half = (low + high) / 2, (high - low) / 2
    places = np.array([middle - inside * half, middle + inside * half])
    np.testing.assert_allclose(controls.tent(places, low, high), 1 - inside, atol=1e-12)
    beyond = np.array([low - outside, high + outside])
    np.testing.assert_allclose(controls.tent(beyond, low, high), 0, atol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(RANGES, st.integers(0, 2**31))
def test_a_planted_label_knows_nothing_of_pixels_outside(
    planted: tuple[float, float], seed: int
) -> None:
    low, high = planted
    draws = np.random.default_rng(seed)
    patch = draws.standard_normal((8, 8))
    outside = (patch <= low) | (patch >= high)
    other = np.where(draws.random((8, 8)) < 0.5, low - draws.random((8, 8)), high + 1)
    changed = np.where(outside, other, patch)
    assert outside.any() and not np.array_equal(changed, patch)
    before, after = (controls.tent(each, low, high).mean() for each in (patch, changed))
    assert after == before


# Judging maps.


@pytest.mark.parametrize("planted", [*PLANTED.values(), (-2.4, -0.4), (0.0, 0.5)])
def test_ranges_hold_the_planted_one_and_cover_everything(planted: tuple[float, float]) -> None:
    low, high = planted
    edges = judging.ranges(low, high)
    assert edges[0] == -np.inf and edges[-1] == np.inf
    np.testing.assert_allclose(np.diff(edges[1:-1]), high - low)
    place = np.flatnonzero(np.isclose(edges, low))
    assert len(place) == 1 and edges[place[0] + 1] == pytest.approx(high)
    assert np.isfinite(edges[place[0]])
    # The open ends start within one width of -2.5 and 5.
    assert edges[1] - (high - low) <= -2.5 + 1e-9 < edges[1] + 1e-9
    assert edges[-2] < 5.0 + 1e-9 <= edges[-2] + (high - low) + 1e-6


def patches(count: int = 6, seed: int = 1) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((count, 16, 16))
    return (draws / np.sqrt(np.square(draws).mean((1, 2), keepdims=True))).astype(np.float32)


def only(row_of: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (row,) = [row for row in row_of if row["method"] == name]
    assert list(row) == list(judging.KNOWN_ANSWERS.columns)
    return row


@pytest.mark.parametrize("control", PLANTED)
def test_the_true_gradient_is_found_wholly_inside(control: str) -> None:
    seen = patches()
    low, high = PLANTED[control]
    rows = judging.rows(control, 0.5, seen, {"gradient": np.ones_like(seen)}, 1)
    truth = only(rows, "true_gradient")
    fraction = ((seen > low) & (seen < high)).mean()
    assert truth["relevance_percent"] == pytest.approx(100)
    assert truth["error"] == pytest.approx(0, abs=1e-9)
    assert truth["pixel_percent"] == pytest.approx(100 * fraction)
    assert truth["enrichment"] == pytest.approx(1 / fraction)
    assert truth["enrichment_error"] < 0.2 * truth["enrichment"]
    assert truth["margin"] == math.inf, "no other range has any"
    assert (truth["range_low"], truth["range_high"]) == (low, high)
    assert (truth["control"], truth["r_squared"], truth["maps"]) == (control, 0.5, 6)
    even = only(rows, "gradient")
    assert even["label"] == "Gradient" and truth["label"] == "True gradient"
    assert even["enrichment"] == pytest.approx(1)
    assert even["relevance_percent"] == pytest.approx(100 * fraction, rel=1e-6)


@pytest.mark.parametrize("control", PLANTED)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_map_that_looks_elsewhere_is_not_found(control: str, sign: int) -> None:
    seen = patches()
    low, high = PLANTED[control]
    inside = (seen > low) & (seen < high)
    elsewhere = np.where((seen > 0) & (seen < 0.4), 2.0 * sign, 0.1)
    mostly = np.where(inside, 2.0 * sign, 0.1)
    rows = judging.rows(control, 0.5, seen, {"lrp_0": elsewhere, "deep_lift": mostly}, 1)
    missed, hit = only(rows, "lrp_0"), only(rows, "deep_lift")
    assert missed["margin"] < 0 < hit["margin"]
    assert missed["enrichment"] < 1 < hit["enrichment"]


def test_more_relevance_elsewhere_a_pixel_is_not_found() -> None:
    """The planted range has most of the relevance, but a range with few pixels has more a pixel."""
    seen = np.full((2, 16, 16), 1.5, np.float32)  # inside planted_high
    seen[:, 0, 0] = 3.0
    seen[:, 1:4] = -0.3
    relevance = np.ones_like(seen)
    relevance[:, 0, 0] = -2.0
    relevance[:, 1:4] = 0.5
    row = only(judging.rows("planted_high", 0.5, seen, {"gradient": relevance}, 1), "gradient")
    total = 207 + 48 / 4 + 4
    assert row["relevance_percent"] == pytest.approx(100 * 207 / total)
    assert row["enrichment"] == pytest.approx(256 / total)
    assert row["enrichment"] > 1
    assert row["enrichment_error"] == pytest.approx(0, abs=1e-12)  # both patches are the same
    assert row["margin"] == pytest.approx(-math.log(4))


def test_shares_and_errors_by_hand() -> None:
    seen = np.full((2, 2, 2), 3.0)
    seen[:, 0, 0] = 1.5
    relevance = np.ones((2, 2, 2))
    relevance[0, 0, 0], relevance[1, 0, 0] = 1.0, -3.0  # shares 1/4 and 9/12
    row = only(judging.rows("planted_high", 0.5, seen, {"gradient": relevance}, 1), "gradient")
    assert row["relevance_percent"] == pytest.approx(50)
    assert row["error"] == pytest.approx(100 * np.std([0.25, 0.75], ddof=1) / math.sqrt(2))
    assert row["pixel_percent"] == pytest.approx(25)
    # 10 of 16 in a quarter of the pixels
    assert row["enrichment"] == pytest.approx(2.5)
    assert row["enrichment_error"] > 0


def test_the_bootstrap_is_the_spread_over_patches() -> None:
    seen = patches(200)
    draws = np.random.default_rng(0)
    relevance = draws.standard_normal(seen.shape) * np.exp(draws.normal(0, 0.5, (200, 1, 1)))
    row = only(judging.rows("planted_low", 0.5, seen, {"gradient": relevance}, 1), "gradient")
    inside = (seen > -1.5) & (seen < -0.5)
    part, whole = (np.square(relevance) * mask for mask in (inside, np.ones_like(inside)))
    ratios = []
    for _ in range(400):
        chosen = draws.integers(200, size=200)
        ratios.append(part[chosen].sum() / whole[chosen].sum() / inside[chosen].mean())
    assert row["enrichment_error"] == pytest.approx(np.std(ratios), rel=0.3)
    again = judging.rows("planted_low", 0.5, seen, {"gradient": relevance}, 1)
    assert only(again, "gradient") == row


def test_empty_maps_are_left_out() -> None:
    seen = patches(4)
    relevance = np.ones_like(seen)
    relevance[2] = 0
    kept = [0, 1, 3]
    row = only(judging.rows("planted_low", 0.5, seen, {"gradient": relevance}, 1), "gradient")
    inside = (seen > -1.5) & (seen < -0.5)
    assert row["relevance_percent"] == pytest.approx(100 * inside[kept].mean((1, 2)).mean())
    assert row["pixel_percent"] == pytest.approx(100 * inside.mean())
    none = judging.rows("planted_low", 0.5, seen, {"gradient": np.zeros_like(seen)}, 1)
    row = only(none, "gradient")
    assert row["margin"] is None
    assert only(judging.over_networks([none, none]), "gradient")["found"] == "no"
    for name in ("relevance_percent", "error", "enrichment", "enrichment_error"):
        assert row[name] is None, name
    assert row["pixel_percent"] == pytest.approx(100 * inside.mean())


def test_shuffled_labels_are_compared_with_the_true_ones() -> None:
    draws = np.random.default_rng(2)
    seen = patches(3)
    truth = {name: draws.standard_normal(seen.shape) for name in ("gradient", "lrp_0", "deep_lift")}
    found = {
        "gradient": np.stack([truth["gradient"][0], -truth["gradient"][1], 0 * seen[2]]),
        "lrp_0": 2 * truth["lrp_0"] + 1,
        "deep_lift": np.zeros_like(seen),
    }
    rows = judging.rows("permuted_labels", -0.1, seen, found, 1, truth)
    assert [row["method"] for row in rows] == list(found), "nothing is planted: no true gradient"
    one, same, empty = rows
    assert one["pearson_trained"] == pytest.approx(0, abs=1e-12)
    assert one["pearson_trained_error"] == pytest.approx(1)
    assert same["pearson_trained"] == pytest.approx(1)
    assert empty["pearson_trained"] is None and empty["pearson_trained_error"] is None
    # Of several networks the error is theirs, however alike their maps are over inputs.
    other = [{**row, "pearson_trained": 0.5} for row in rows]
    row = judging.over_networks([rows, other])[1]
    assert row["pearson_trained"] == pytest.approx(0.75)
    assert row["pearson_trained_error"] == pytest.approx(0.25)
    for row in rows:
        assert row["enrichment"] is None and row["margin"] is None
    assert all(row["found"] is None for row in judging.over_networks([rows]))
    negative = np.square(found["lrp_0"]) * (seen < 0)
    share = negative.sum((1, 2)) / np.square(found["lrp_0"]).sum((1, 2))
    assert same["relevance_percent"] == pytest.approx(100 * share.mean())


def test_verdicts_need_networks_that_agree() -> None:
    seen = patches()
    low, high = PLANTED["planted_low"]
    inside = (seen > low) & (seen < high)
    hit, missed = (np.where(inside, size, 1.0) for size in (2.0, 0.5))

    def verdict(*maps: np.ndarray) -> dict[str, Any]:
        each = [judging.rows("planted_low", 0.5, seen, {"gradient": one}, 1) for one in maps]
        found = judging.over_networks(each)
        assert only(found, "true_gradient")["found"] == "yes"
        return only(found, "gradient")

    assert verdict(hit)["found"] == "undecided", "one network says nothing"
    assert verdict(hit, 1.1 * hit, hit + 0.01)["found"] == "yes"
    assert verdict(missed, missed + 0.01, missed + 0.02)["found"] == "no"
    mixed = verdict(hit, missed, hit)
    assert mixed["found"] == "undecided" and mixed["networks"] == 3
    margins = np.array([math.log(4), -math.log(4), math.log(4)])
    assert mixed["margin"] == pytest.approx(margins.mean())
    assert mixed["margin_error"] == pytest.approx(margins.std(ddof=1) / math.sqrt(3))


# Training, small.


@pytest.fixture(scope="module")
def trained(maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    given = task("planted_high", maps)
    scratch = tmp_path_factory.mktemp("scratch")
    return given, *controls.train("planted_high", given, KNOWN, typed(SPEC), scratch)


def test_training_makes_the_network_of_the_config(trained: Any) -> None:
    given, network, parameters, r_squared = trained
    assert network.input_shape == (16, 16, 1) and network.outputs == 1
    convs = [node["features"] for node in network.nodes if node["kind"] == "conv"]
    assert convs == [2, 2]
    outputs = np.asarray(forward(network, parameters, given.testing[..., None]))
    predicted = outputs * given.training_labels.std()
    errors = np.square(predicted - given.testing_labels).mean()
    assert r_squared == pytest.approx(1 - errors / given.testing_labels.var(), rel=1e-4)
    assert np.isfinite(r_squared)


def test_training_again_gives_the_same(trained: Any, tmp_path: Path) -> None:
    given, _, parameters, r_squared = trained
    _, again, same = controls.train("planted_high", given, KNOWN, typed(SPEC), tmp_path)
    for name, value in parameters.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    assert same == r_squared


def test_all_controls_start_from_the_same_weights(maps: Path, tmp_path: Path) -> None:
    """Only then do differences of their maps come from what they learned."""
    still = typed({**SPEC, "network": {**SPEC["network"], "peak_learning_rate": 1e-12}})
    kernels = []
    for control in ("true_labels", "noise_only"):
        given = task(control, maps)
        _, parameters, _ = controls.train(control, given, KNOWN, still, tmp_path / control)
        kernels.append(parameters["conv2.kernel"])
    np.testing.assert_allclose(kernels[0], kernels[1], atol=1e-7)


def test_relevance_maps_are_those_of_the_methods(trained: Any) -> None:
    given, network, parameters, _ = trained
    chosen = typed(SPEC).saliency
    found = controls.relevance_maps(network, parameters, given.testing, chosen, 4)
    assert list(found) == chosen.methods
    path = IntegratedGradients(SPEC["saliency"]["path_nodes"])
    for name, values in found.items():
        method = METHODS[name]
        if name == "integrated_gradients":
            method = dataclasses.replace(method, procedure=path)
        inputs = given.testing[..., None]
        expected = np.asarray(attribute(method, (network, parameters), inputs, 0))[..., 0]
        assert values.shape == given.testing.shape
        np.testing.assert_allclose(values, expected, atol=1e-6 * np.abs(expected).max())


def test_scripts_train_and_judge(maps: Path, tmp_path: Path, root: Path) -> None:
    scripts = {
        name: runpy.run_path(str(root / "scripts" / f"{name}.py"))["main"]
        for name in ("known_answers", "judge_methods")
    }
    networks = []
    for control in ("true_labels", "noise_only", "planted_low"):
        scratch = tmp_path / "scratch" / control
        mine = [tmp_path / control / str(number) / "network.npz" for number in range(2)]
        networks += mine
        spec = {**SPEC, "known_answers": SECTION, "control": control, "scratch": str(scratch)}
        scripts["known_answers"]([maps], SimpleNamespace(networks=mine), typed(spec))
        assert not scratch.exists()
    firsts = [path.parent for path in networks[::2]]
    shown = {path.parent.name: description.load(path)[2]["x"] for path in firsts}
    one, other = (description.load(path.parent)[1]["conv1.kernel"] for path in networks[:2])
    assert np.abs(one - other).max() > 0.01, "networks of their own"
    np.testing.assert_array_equal(shown["true_labels"][..., 0], task("true_labels", maps).testing)
    np.testing.assert_array_equal(shown["noise_only"], shown["true_labels"])
    np.testing.assert_array_equal(shown["planted_low"][..., 0], task("planted_low", maps).testing)

    scripts["judge_methods"](networks, [tmp_path / "known_answers.csv"], typed(SPEC))
    rows = read_rows(tmp_path / "known_answers.csv")
    methods = SPEC["saliency"]["methods"]
    expected = [(control, name) for control in ("true_labels", "noise_only") for name in methods]
    expected += [("planted_low", name) for name in ("true_gradient", *methods)]
    assert [(row["control"], row["method"]) for row in rows] == expected
    for row in rows:
        assert set(row) == set(judging.KNOWN_ANSWERS.columns)
        assert bool(row["pearson_trained"]) == (row["control"] == "noise_only")
        assert bool(row["enrichment"]) == (row["control"] == "planted_low")
        assert float(row["r_squared"]) < 1 and row["networks"] == "2"

"""Relevance by convergence: shares by hand, laws, and networks whose gradient is known."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from typed import typed

from kappascope.chapters.matilla2020 import experiments, relevance
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.maps import dataset
from kappascope.maps.dataset import MapSet, write_maps
from kappascope.networks import description, prediction
from kappascope.networks.description import Network, Parameters

BINS = len(relevance.EDGES) - 1
SPEC: dict[str, Any] = {
    "seed": 4,
    "cosmology": {"fiducial": {"omega_matter": 0.26, "sigma_8": 0.8}},
    "maps": {"smoothing_arcmin": 1.0},
    "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
    "saliency": {"relevance_maps": 3},
}


# Sorting by hand.


def test_bins_are_those_of_the_paper() -> None:
    """20 bins from -2.5 to 5 (matilla2020 §IV B)."""
    assert BINS == 20
    np.testing.assert_allclose(relevance.EDGES, -2.5 + 0.375 * np.arange(21), atol=1e-12)


def spike() -> tuple[np.ndarray, np.ndarray]:
    """36 pixels: four at -1, one at 6, the others at 0.55, and a saliency of whole numbers."""
    kappa = np.full((6, 6), 0.55)
    kappa[0, :4], kappa[5, 5] = -1.0, 6.0
    saliency = np.ones((6, 6))
    saliency[0, :4], saliency[5, 5] = 5.0, 49.0  # sums: 20, 49, 31
    return kappa[None], saliency[None]


def test_shares_by_hand() -> None:
    kappa, saliency = spike()
    found = relevance.sorted_by_convergence(kappa, saliency)
    sigma = math.sqrt((4 * 1 + 36 + 31 * 0.55**2) / 36)  # about the origin, not about the mean
    assert 6 / sigma > 5.0, "the highest pixel lies beyond the last edge"
    low, middle = (np.searchsorted(relevance.EDGES, x / sigma) - 1 for x in (-1.0, 0.55))
    expected = np.zeros(BINS)
    expected[[low, middle]] = 0.20, 0.31
    np.testing.assert_allclose(found["share"], expected[None], atol=1e-12)
    mean = 100 / 36
    np.testing.assert_allclose(found["per_pixel"][0, [low, middle]], [5 / mean, 1 / mean])
    assert np.isnan(np.delete(found["per_pixel"][0], [low, middle])).all()
    for name, share in {"negative": 0.20, "above_3_sigma": 0.49}.items():
        assert found[name] == pytest.approx(share)
    assert found["negative_pixels"] == pytest.approx(4 / 36)
    assert found["above_3_sigma_pixels"] == pytest.approx(1 / 36)


def test_each_map_has_its_own_scatter() -> None:
    kappa, saliency = spike()
    alone = relevance.sorted_by_convergence(kappa, saliency)
    pair = relevance.sorted_by_convergence(
        np.concatenate([kappa, 100 * kappa]), np.concatenate([saliency, saliency])
    )
    for name, value in alone.items():
        np.testing.assert_allclose(pair[name], np.concatenate([value, value]), err_msg=name)


FIELDS = st.integers(0, 2**31).map(
    lambda seed: np.random.default_rng(seed).standard_normal((2, 3, 12, 12))
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(FIELDS, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_units_of_convergence_and_of_saliency_do_not_matter(
    fields: np.ndarray, kappa_unit: float, saliency_unit: float
) -> None:
    kappa, saliency = fields[0], np.square(fields[1])
    found = relevance.sorted_by_convergence(kappa, saliency)
    again = relevance.sorted_by_convergence(kappa_unit * kappa, saliency_unit * saliency)
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(FIELDS)
def test_shares_add_up(fields: np.ndarray) -> None:
    kappa, saliency = fields[0], np.square(fields[1])
    u = kappa / np.sqrt(np.square(kappa).mean((1, 2), keepdims=True))
    saliency[(u < -2.5) | (u > 5.0)] = 0.0
    found = relevance.sorted_by_convergence(kappa, saliency)
    np.testing.assert_allclose(found["share"].sum(1), 1.0)
    assert (found["share"] >= 0).all()
    # No edge of a bin lies at 0, so the bins only bracket the share of negative pixels.
    below = found["share"][:, relevance.EDGES[1:] <= 0].sum(1)
    up_to = found["share"][:, relevance.EDGES[:-1] < 0].sum(1)
    assert (below <= found["negative"] + 1e-12).all() and (found["negative"] <= up_to + 1e-12).all()


def test_even_saliency_has_the_shares_of_the_pixels() -> None:
    kappa = np.random.default_rng(0).standard_normal((2, 32, 32))
    found = relevance.sorted_by_convergence(kappa, np.full(kappa.shape, 7.0))
    for region in relevance.REGIONS:
        np.testing.assert_allclose(found[region], found[f"{region}_pixels"])
    u = kappa / np.sqrt(np.square(kappa).mean((1, 2), keepdims=True))
    for region, inside in {"negative": u < 0, "above_3_sigma": u > 3}.items():
        np.testing.assert_allclose(found[region], inside.mean((1, 2)))
        assert inside.any()
    occupied = np.isfinite(found["per_pixel"])
    assert occupied.sum() > BINS
    np.testing.assert_allclose(found["per_pixel"][occupied], 1.0)


def with_a_map_of_zeros() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Five maps, one without relevance and without low pixels, and the same without it."""
    draws = np.random.default_rng(0)
    kappa, saliency = draws.standard_normal((5, 16, 16)), draws.random((5, 16, 16))
    kappa[1], saliency[1] = np.abs(kappa[1]) + 0.1, 0
    others = [0, 2, 3, 4]
    return (
        relevance.sorted_by_convergence(kappa, saliency),
        relevance.sorted_by_convergence(kappa[others], saliency[others]),
    )


def of_regions(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One network, two cosmologies of the same maps."""
    names = [f"{name}{end}" for name in relevance.REGIONS for end in ("", "_pixels")]
    return {name: np.stack([found[name][:2], found[name][2:4]])[None] for name in names}


def test_a_map_without_relevance_has_no_shares() -> None:
    found, _ = with_a_map_of_zeros()
    for name in relevance.REGIONS:
        assert np.isnan(found[name][1]) and np.isfinite(found[name]).sum() == 4
        assert np.isfinite(found[f"{name}_pixels"]).all()
    occupied = found["per_pixel"][1][relevance.EDGES[:-1] > 0.2]
    assert np.isnan(occupied).all()


def test_a_map_without_relevance_is_left_out_of_regions() -> None:
    shares = of_regions(with_a_map_of_zeros()[0])
    for row in relevance.share_rows("noisy", "gradient", shares):
        kept = 100 * shares[row["region"]][np.isfinite(shares[row["region"]])]
        assert len(kept) == 3
        assert row["share_percent"] == pytest.approx(kept.mean())
        assert row["error"] > 0 and row["uncertainty"] == row["error"]


def test_a_map_without_relevance_is_left_out_of_every_bin() -> None:
    found, alone = with_a_map_of_zeros()
    assert np.isnan(found["share"][1]).all()
    assert relevance.relevance_rows({}, found) == relevance.relevance_rows({}, alone)


def test_a_map_number_without_relevance_is_left_out_of_the_error() -> None:
    found, alone = with_a_map_of_zeros()
    names = [f"{name}{end}" for name in relevance.REGIONS for end in ("", "_pixels")]
    row, expected = (
        relevance.share_rows("noisy", "gradient", {name: each[name][None, None] for name in names})[
            0
        ]
        for each in (found, alone)
    )
    assert row["error"] == pytest.approx(expected["error"])
    assert row["uncertainty"] == pytest.approx(expected["uncertainty"])


def test_squares_are_added_over_outputs_and_channels() -> None:
    maps = np.array([[1.0, -2.0], [3.0, 0.0]], np.float32)[:, None, None, :, None]  # 2 outputs
    maps = np.concatenate([maps, 2 * maps], -1)  # and 2 channels
    np.testing.assert_array_equal(relevance.squared(maps), [[[50.0, 20.0]]])
    tiny = np.full((1, 1, 1, 1, 1), 1e-30, np.float32)
    assert relevance.squared(tiny).item() / 1e-60 == pytest.approx(1), "squares must not underflow"


# Averages by hand.


def test_rows_of_a_cosmology_by_hand() -> None:
    share = np.zeros((3, BINS))
    share[:, 4] = 0.1, 0.2, 0.6
    per_pixel = np.full((3, BINS), np.nan)
    per_pixel[:, 4] = 1.0, np.nan, 3.0
    per_pixel[0, 5] = 2.0
    named = {"data_set": "noisy", "method": "gradient", "cosmology": 2}
    rows = relevance.relevance_rows(named, {"share": share, "per_pixel": per_pixel})
    assert len(rows) == BINS
    assert [row["bin_low"] for row in rows[1:]] == [row["bin_high"] for row in rows[:-1]]
    row = rows[4]
    assert row.items() >= named.items()
    assert (row["bin_low"], row["bin_high"]) == pytest.approx((-1.0, -0.625))
    assert row["share"] == pytest.approx(0.3)
    assert row["share_error"] == pytest.approx(math.sqrt(0.07 / 3))  # (0.04 + 0.01 + 0.09)/2
    assert row["per_pixel"] == pytest.approx(2.0)
    assert row["per_pixel_error"] == pytest.approx(1.0)
    assert (rows[5]["per_pixel"], rows[5]["per_pixel_error"]) == (2.0, None)
    assert (rows[6]["per_pixel"], rows[6]["share"]) == (None, 0.0)


def test_networks_that_differ_widen_the_error() -> None:
    per_pixel = np.zeros((4, BINS))
    per_pixel[:, 4] = 1.0, 1.2, 3.0, 3.2  # two networks, two maps
    measures = {"share": per_pixel, "per_pixel": per_pixel}
    row = relevance.relevance_rows({}, measures, 2)[4]
    assert row["per_pixel"] == pytest.approx(2.1)
    assert row["per_pixel_error"] == pytest.approx(math.hypot(0.1, 1.0))


def as_shares(values: Any) -> dict[str, np.ndarray]:
    array = np.array(values, float)
    return {
        "negative": array,
        "above_3_sigma": array / 10,
        "negative_pixels": np.full(array.shape, 0.5),
        "above_3_sigma_pixels": np.full(array.shape, 0.01),
    }


def test_shares_of_regions_by_hand() -> None:
    values = [[[0.1, 0.3], [0.3, 0.5], [0.5, 0.7]], [[0.3, 0.5], [0.5, 0.7], [0.7, 0.9]]]
    negative, high = relevance.share_rows("noisy", "gradient", as_shares(values))
    assert set(negative) == set(relevance.SHARES.columns)
    assert (negative["region"], high["region"]) == ("negative", "above_3_sigma")
    assert negative["share_percent"] == pytest.approx(50)
    # Means of the two map numbers are 40 and 60, of the cosmologies 30, 50, 70, of the networks
    # 40 and 60.
    assert negative["error"] == pytest.approx(math.sqrt(200) / math.sqrt(2))
    assert negative["scatter_cosmologies"] == pytest.approx(20)
    assert negative["scatter_networks"] == pytest.approx(math.sqrt(200))
    assert negative["uncertainty"] == pytest.approx(math.hypot(10, 10))
    assert (negative["pixel_percent"], high["pixel_percent"]) == pytest.approx((50, 1))
    assert (negative["networks"], negative["cosmologies"], negative["maps"]) == (2, 3, 2)
    for name in ("share_percent", "error", "scatter_cosmologies", "uncertainty"):
        assert high[name] == pytest.approx(negative[name] / 10)


def test_what_all_cosmologies_share_is_no_error_of_one_network() -> None:
    """Maps of one number are the same places: their mean over cosmologies counts once."""
    values = [[[0.2, 0.4, 0.6]] * 5]
    row = relevance.share_rows("noisy", "gradient", as_shares(values))[0]
    assert row["error"] == pytest.approx(20 / math.sqrt(3))
    assert row["scatter_cosmologies"] == pytest.approx(0)
    assert row["scatter_networks"] is None
    assert row["uncertainty"] == pytest.approx(row["error"])


def test_one_map_of_one_cosmology_has_no_errors() -> None:
    row = relevance.share_rows("noisy", "gradient", as_shares([[[0.25]]]))[0]
    assert row["share_percent"] == 25
    assert row["error"] is row["scatter_cosmologies"] is row["scatter_networks"] is None
    assert row["uncertainty"] == 0


def test_networks_are_stacked_along_the_maps() -> None:
    parts = [{"share": np.full((2, 3), k)} for k in range(2)]
    np.testing.assert_array_equal(relevance.stacked(parts)["share"][:, 0], [0, 0, 1, 1])


# Networks whose gradient is known.


def mean_network(weights: tuple[float, float], side: int = 16) -> tuple[Network, Parameters]:
    """Outputs are multiples of the mean of the map: the gradient is the same at every pixel."""
    nodes: Any = (
        {"name": "mean", "kind": "global_avg_pool", "inputs": ["x"]},
        {
            "name": "dense", "kind": "dense", "inputs": ["mean"], "features": 2,
            "params": {"kernel": "dense.kernel", "bias": "dense.bias"},
        },
    )  # fmt: skip
    parameters = {
        "dense.kernel": np.array([weights], np.float32),
        "dense.bias": np.ones(2, np.float32),
    }
    return Network("mean", (side, side, 1), 2, nodes), parameters


def batches(folder: Path, splits: tuple[str, ...] = ("training", "testing")) -> list[Path]:
    """Two files; three cosmologies of four or five maps a split."""
    draws = np.random.default_rng(5)
    paths = []
    for number, cosmologies in enumerate(((0, 1), (2,))):
        split, cosmology, realization = (
            np.array(column)
            for column in zip(
                *(
                    (name, which, k)
                    for name in splits
                    for which in cosmologies
                    for k in range(4 + number)
                ),
                strict=True,
            )
        )
        maps = MapSet(
            convergence=0.02 * draws.standard_normal((len(split), 16, 16)).astype(np.float32),
            split=split,
            cosmology=cosmology,
            realization=realization,
            omega_matter=np.array([0.35, 0.27, 0.2])[cosmology],
            sigma_8=np.array([0.8, 0.79, 0.9])[cosmology],
            pixel_arcmin=0.82,
            source_redshift=1.0,
        )
        paths.append(folder / f"{number}.h5")
        write_maps(paths[-1], maps)
    return paths


def test_even_gradients_are_found_even(tmp_path: Path) -> None:
    models = [mean_network((1.0, -2.0)), mean_network((0.5, 0.0))]
    spec = {**SPEC, "saliency": {"relevance_maps": 5}}
    bins, shares = experiments.relevance_by_convergence(
        batches(tmp_path), models, "noiseless", typed(spec)
    )
    assert len(bins) == 2 * 3 * BINS and len(shares) == 4
    for row in bins:
        assert set(row) == set(relevance.RELEVANCE.columns)
        if row["method"] == "gradient" and row["per_pixel"] is not None:
            assert row["per_pixel"] == pytest.approx(1, rel=1e-5)
    truths = {row["cosmology"]: (row["omega_matter"], row["sigma_8"]) for row in bins}
    assert truths == {0: (0.35, 0.8), 1: (0.27, 0.79), 2: (0.2, 0.9)}
    for row in shares:
        assert set(row) == set(relevance.SHARES.columns)
        # The third cosmology has five maps, the others four: all count with four.
        assert (row["networks"], row["cosmologies"], row["maps"]) == (2, 3, 4)
        if row["method"] == "gradient":
            assert row["share_percent"] == pytest.approx(row["pixel_percent"], rel=1e-5)
            assert row["scatter_networks"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("data_set", ["noiseless", "noisy"])
def test_input_times_even_gradients_have_the_shares_of_squared_maps(
    tmp_path: Path, data_set: str
) -> None:
    paths = batches(tmp_path)
    model = mean_network((1.0, 3.0))
    _, shares = experiments.relevance_by_convergence(paths, [model], data_set, typed(SPEC))
    maps = dataset.SplitMaps(paths, "testing")
    expected = []
    for cosmology in range(3):
        rows = np.flatnonzero(maps.columns.cosmology == cosmology)[:3]
        seen = prediction.observed(maps.select(rows), data_set, typed(SPEC)).astype(float)
        expected.append((np.where(seen < 0, seen, 0) ** 2).sum((1, 2)) / (seen**2).sum((1, 2)))
    row = next(
        row for row in shares if row["method"] == "input_x_gradient" and row["region"] == "negative"
    )
    assert row["share_percent"] == pytest.approx(100 * np.mean(expected), rel=1e-5)
    assert row["maps"] == 3
    of_maps = 100 * np.mean(expected, 0)
    assert row["error"] == pytest.approx(of_maps.std(ddof=1) / math.sqrt(3), rel=1e-4)


def test_noise_changes_what_is_sorted(tmp_path: Path) -> None:
    paths, model = batches(tmp_path), mean_network((1.0, 3.0))
    clean, noisy = (
        experiments.relevance_by_convergence(paths, [model], name, typed(SPEC))[1][2][
            "share_percent"
        ]
        for name in ("noiseless", "noisy")
    )
    assert abs(clean - noisy) > 0.1


def test_the_maps_to_explain_are_testing_maps_nearest_to_the_fiducial(tmp_path: Path) -> None:
    paths = batches(tmp_path)
    maps = dataset.SplitMaps(paths, "testing")
    rows = np.flatnonzero(maps.columns.cosmology == 1)
    assert len(rows) == 4
    expected = prediction.observed(maps.select(rows), "noisy", typed(SPEC))
    for count, kept in ((3, 3), (20, 4)):
        found, pixel = prediction.fiducial_maps(paths, "noisy", typed(SPEC), count)
        np.testing.assert_array_equal(found, expected[:kept, ..., None])
        assert pixel == 0.82


def test_no_testing_maps_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no testing maps"):
        prediction.fiducial_maps(batches(tmp_path, ("training",)), "noisy", typed(SPEC), 3)


def test_the_script_writes_what_was_found(tmp_path: Path, root: Path) -> None:
    paths, model = batches(tmp_path), mean_network((1.0, 3.0))
    description.save(tmp_path / "network", *model)
    main = runpy.run_path(str(root / "scripts" / "relevance.py"))["main"]
    outputs = SimpleNamespace(bins=tmp_path / "bins.csv", shares=tmp_path / "shares.csv")
    inputs = SimpleNamespace(maps=paths, networks=[tmp_path / "network" / "network.npz"])
    main(inputs, outputs, typed({**SPEC, "data_set": "noiseless"}))
    bins, shares = experiments.relevance_by_convergence(paths, [model], "noiseless", typed(SPEC))
    for path, rows in ((outputs.bins, bins), (outputs.shares, shares)):
        written = read_rows(path)
        assert len(written) == len(rows)
        for text, row in zip(written, rows, strict=True):
            for name, value in row.items():
                if value is None:
                    assert text[name] == ""
                elif isinstance(value, str):
                    assert text[name] == value
                else:
                    assert float(text[name]) == pytest.approx(value, rel=1e-6, abs=1e-12)

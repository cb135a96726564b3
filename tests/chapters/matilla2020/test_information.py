"""What is lost without parts of maps: closed forms, and a world that hides all in its peaks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typed import typed

from kappascope.chapters.matilla2020 import information, ranking, regions
from kappascope.chapters.matilla2020.figures.information import REGIONS as DRAWN
from kappascope.chapters.matilla2020.figures.information import information as figure
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.maps.dataset import MapSet, write_maps
from kappascope.networks.description import Network
from kappascope.tables import Table
from kappascope.workflow import configuration

SIDE = 48
COSMOLOGIES = np.array([[1.0, 1.0], [0.6, 0.6], [0.6, 1.4], [1.4, 0.6], [1.4, 1.4]])


def skewed(seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return (draws.gamma(0.5, size=(SIDE, SIDE)) - 0.4).astype(np.float32)


def test_a_filler_has_the_power_and_the_mean_of_its_map_and_is_gaussian() -> None:
    map_ = skewed()
    filler = information.same_power(map_, np.random.default_rng(1))
    assert filler.dtype == np.float32
    np.testing.assert_allclose(
        np.abs(np.fft.rfft2(filler)), np.abs(np.fft.rfft2(map_)), rtol=1e-3, atol=1e-3
    )

    def skewness(values: np.ndarray) -> float:
        centred = values - values.mean()
        return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)

    assert skewness(map_) > 2.0
    assert abs(skewness(filler)) < 0.2
    again = information.same_power(map_, np.random.default_rng(1))
    np.testing.assert_array_equal(filler, again)
    other = information.same_power(map_, np.random.default_rng(2))
    assert abs(np.corrcoef(filler.ravel(), other.ravel())[0, 1]) < 0.1


def test_regions_are_where_their_names_say() -> None:
    u = np.array([[[-1.5, -0.5, 0.5, 0.2], [1.0, 2.0, 3.5, 0.1], [0.0, 0.0, 0.1, 0.2]]])
    found = {name: region(u)[0].astype(int).tolist() for name, region in regions.REGIONS.items()}
    assert found["troughs"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found["negative"] == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found["slopes"] == [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert found["above_3_sigma"] == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    # The highest pixel of its neighbours, and these.
    assert found["peaks"] == [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]]
    assert set(DRAWN) == set(regions.REGIONS)


def part(maps: np.ndarray, mask: np.ndarray | None = None) -> information.Seen:
    columns = MapSet(
        convergence=None,
        split=np.array(["testing"] * len(maps)),
        cosmology=np.zeros(len(maps), int),
        realization=np.arange(len(maps)),
        omega_matter=np.full(len(maps), 0.3),
        sigma_8=np.full(len(maps), 0.8),
        pixel_arcmin=1.0,
        source_redshift=1.0,
        mask=mask,
    )
    gaussian = np.full_like(maps, 99.0)
    return information.Seen(columns, maps, gaussian, np.full((len(maps), 2), 12))


def test_a_region_is_replaced_and_nothing_else() -> None:
    maps = np.stack([skewed(1), skewed(2)])
    where = regions.REGIONS["above_3_sigma"](regions.over_rms(maps))
    assert where.any()
    whole = part(maps)
    altered, share = whole.altered("above_3_sigma", "gaussian", "own")
    np.testing.assert_array_equal(altered, np.where(where, 99.0, maps))
    assert share == where.mean()
    moved, moved_share = whole.altered("above_3_sigma", "gaussian", "shifted")
    np.testing.assert_array_equal(moved == 99.0, np.roll(where, (12, 12), (1, 2)))
    assert moved_share == share
    flat, _ = whole.altered("above_3_sigma", "mean", "own")
    np.testing.assert_array_equal(flat, np.where(where, maps.mean((1, 2), keepdims=True), maps))
    untouched, none = whole.altered(information.NONE, information.NONE, "own")
    assert none == 0.0
    np.testing.assert_array_equal(untouched, maps)
    seen = np.zeros((SIDE, SIDE), bool)
    seen[:, : SIDE // 2] = True
    half, _ = part(maps, seen).altered("negative", "gaussian", "own")
    np.testing.assert_array_equal(half[:, :, SIDE // 2 :], maps[:, :, SIDE // 2 :])


def test_explained_variance_of_a_noisy_number() -> None:
    """Truth of variance 1 seen with noise of variance 1/4: a linear fit explains 4/5."""
    draws = np.random.default_rng(3)
    truth = draws.normal(size=(40_000, 2))
    features = np.stack([truth[:, 0] + 0.5 * draws.normal(size=len(truth)), 0 * truth[:, 0]], 1)
    fold = np.arange(len(truth)) % 2 == 0
    weights = np.stack([np.ones(len(truth)), np.where(fold, 1.0, 0.0)])
    found = information.explained_variance(features, truth, fold, weights)
    np.testing.assert_allclose(found, [[0.8, 0.0], [0.8, 0.0]], atol=0.02)
    assert not np.array_equal(found[0], found[1])
    # Of numbers that span decades the logarithm is fitted.
    decades = np.exp(3.0 * features[:, :1])
    found = information.explained_variance(decades, truth, fold, weights)
    np.testing.assert_allclose(found[:, 0], 0.8, atol=0.02)


def test_even_relevance_has_the_shares_of_pixels() -> None:
    kappa = np.stack([skewed(1), skewed(2)])
    even = {"gradient": np.ones_like(kappa), "input_x_gradient": kappa}
    rows = regions.share_rows("noiseless", kappa, [even, even])
    assert len(rows) == 2 * len(regions.REGIONS)
    for row in rows:
        assert set(row) == set(regions.METHOD_SHARES.columns)
        if row["method"] == "gradient":
            assert row["share_percent"] == pytest.approx(row["pixel_percent"])
        elif row["region"] == "above_3_sigma":
            assert row["share_percent"] > 5 * row["pixel_percent"]
    empty = {"gradient": np.zeros_like(kappa)}
    row = regions.share_rows("noiseless", kappa, [empty])[0]
    assert row["share_percent"] is None and row["error"] is None


def rows_of_losses(losses: dict[str, float], error: float = 1e-6) -> list[dict[str, Any]]:
    return [
        {
            "data_set": "noiseless", "region": region, "filler": "gaussian", "place": place,
            "reader": "DNN", "r2_lost": loss if place == "own" else 1.0, "r2_lost_error": error,
        }
        for region, loss in losses.items()
        for place in information.PLACES
    ]  # fmt: skip


def test_ranking_by_hand() -> None:
    names = list(regions.REGIONS)
    lost = rows_of_losses(dict(zip(names, (1.0, 2.0, 3.0, 4.0, 5.0), strict=True)))
    shares = [
        {
            "data_set": "noiseless", "method": method, "region": region, "share_percent": share,
            "error": 1e-9, "pixel_percent": 10.0,
        }
        for method, values in {
            "gradient": (1.0, 2.0, 3.0, 4.0, 5.0),
            "input_x_gradient": (5.0, 4.0, 3.0, 2.0, 1.0),
            "smoothgrad": (2.0, 2.0, 2.0, 2.0, 2.0),
        }.items()
        for region, share in zip(names, values, strict=True)
    ]  # fmt: skip
    found = {row["method"]: row for row in ranking.ranking(lost, shares, 1)}
    assert found["gradient"]["spearman"] == pytest.approx(1.0)
    assert found["gradient"]["p"] == pytest.approx(1 / 120)
    assert found["gradient"]["error"] == pytest.approx(0.0, abs=1e-9)
    assert found["input_x_gradient"]["spearman"] == pytest.approx(-1.0)
    assert found["input_x_gradient"]["p"] == pytest.approx(1.0)
    assert found["smoothgrad"]["spearman"] == 0.0
    unsure = ranking.ranking(
        rows_of_losses(dict(zip(names, (1.0, 2.0, 3.0, 4.0, 5.0), strict=True)), 10.0), shares, 1
    )
    assert unsure[0]["error"] > 0.2


# ---- a world that hides all in its peaks ---------------------------------------------------------


def spikes(folder: Path, splits: dict[str, int]) -> list[str]:
    """White noise with spikes: their number is the first parameter, their height the second."""
    draws = np.random.default_rng(7)
    columns: list[tuple[str, int, int]] = []
    maps = []
    for split, number in splits.items():
        for cosmology in range(len(COSMOLOGIES) if split == "testing" else 1):
            columns += [(split, cosmology, k) for k in range(number)]
            for _ in range(number):
                map_ = draws.normal(size=(SIDE, SIDE))
                many = draws.poisson(40 * COSMOLOGIES[cosmology, 0])
                where = draws.choice(SIDE * SIDE, many, replace=False)
                map_.ravel()[where] = 8.0 * COSMOLOGIES[cosmology, 1]
                maps.append(map_)
    split, cosmology, realization = (np.array(each) for each in zip(*columns, strict=True))
    path = folder / "maps.h5"
    write_maps(
        path,
        MapSet(
            convergence=np.array(maps, np.float32),
            split=split,
            cosmology=cosmology,
            realization=realization,
            omega_matter=COSMOLOGIES[cosmology, 0],
            sigma_8=COSMOLOGIES[cosmology, 1],
            pixel_arcmin=1.0,
            source_redshift=1.0,
        ),
    )
    return [str(path)]


def peak_reader() -> tuple[Network, dict[str, np.ndarray], np.ndarray]:
    """Means of what lies above 3 and of what lies above 7: a network of peaks and nothing else."""
    conv = {"kernel": "conv.kernel", "bias": "conv.bias"}
    dense = {"kernel": "dense.kernel", "bias": "dense.bias"}
    nodes = (
        {
            "name": "conv", "kind": "conv", "inputs": ["x"], "features": 2, "window": [1, 1],
            "strides": [1, 1], "padding": [[0, 0], [0, 0]], "params": conv,
        },
        {"name": "relu", "kind": "relu", "inputs": ["conv"]},
        {"name": "pool", "kind": "global_avg_pool", "inputs": ["relu"]},
        {"name": "dense", "kind": "dense", "inputs": ["pool"], "features": 2, "params": dense},
    )  # fmt: skip
    parameters = {
        "conv.kernel": np.ones((1, 1, 1, 2), np.float32),
        "conv.bias": np.array([-3.5, -7.0], np.float32),
        "dense.kernel": np.eye(2, dtype=np.float32),
        "dense.bias": np.zeros(2, np.float32),
    }
    return Network("peaks", (SIDE, SIDE, 1), 2, nodes), parameters, np.ones(2)


def spec(**changes: Any) -> Any:
    return typed(
        {
            "seed": 3,
            "cosmology": {"fiducial": {"omega_matter": 1.0, "sigma_8": 1.0}},
            "maps": {"smoothing_arcmin": 0.0},
            "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
            "statistics": {
                "names": ["v0"], "bins": 8, "ell_range": [100.0, 15000.0], "periodic_peaks": False,
                "kappa_range_noiseless": [-2.0, 9.0], "estimator": "full", "doubling": False,
            },
            "constraints": {
                "likelihood": "gaussian", "grid": 40, "sky_deg2": None, "bootstrap": 4,
                "mcmc_steps": 10, "mcmc_walkers": 4,
            },
            "information": {
                "maps": 24, "covariance": 60, "grid": 40, "bootstrap": 12, **changes,
            },
        }
    )  # fmt: skip


def test_a_network_that_reads_peaks_loses_them_alone(tmp_path: Path) -> None:
    paths = spikes(tmp_path, {"testing": 24, "covariance": 60})
    rows = information.losses(paths, [peak_reader()], "noiseless", spec())
    assert all(set(row) == set(information.INFORMATION.columns) for row in rows)
    assert len(rows) == 2 * (1 + len(information.VARIANTS))
    cells = {(r["region"], r["filler"], r["place"], r["reader"]): r for r in rows}
    whole = cells["none", "none", "own", "DNN"]
    assert whole["area_change_percent"] == 0.0 and whole["r2_omega_matter"] > 0.3
    lost = {
        region: cells[region, "gaussian", "own", "DNN"]["area_change_percent"]
        for region in regions.REGIONS
    }
    # Spikes are pixels above 3 sigma, and each is a peak; nothing else is read.
    assert min(lost["above_3_sigma"], lost["peaks"]) > 100.0
    for region in ("troughs", "negative"):
        row = cells[region, "gaussian", "own", "DNN"]
        assert abs(lost[region]) < max(25.0, 3.0 * row["area_change_error"])
    for region in ("above_3_sigma", "peaks"):
        moved = cells[region, "gaussian", "shifted", "DNN"]["area_change_percent"]
        assert moved < 0.5 * lost[region]
    gone = cells["above_3_sigma", "mean", "own", "DNN"]
    both = ("r2_omega_matter", "r2_sigma_8")
    assert gone["r2_lost"] == pytest.approx(np.mean([whole[key] - gone[key] for key in both]))
    assert gone["r2_lost"] > 5 * gone["r2_lost_error"] > 0
    assert gone["r2_omega_matter"] < 0.5 * whole["r2_omega_matter"]
    # The statistic knows of spikes what the network knows, and of the rest besides.
    statistic = cells["above_3_sigma", "gaussian", "own", "V0"]
    assert statistic["area_change_percent"] > 50.0
    again = information.losses(paths, [peak_reader()], "noiseless", spec())
    assert again == rows


def test_fewer_maps_than_asked_for_are_all_taken(tmp_path: Path) -> None:
    paths = spikes(tmp_path, {"testing": 6, "covariance": 30})
    few = information.losses(paths, [peak_reader()], "noiseless", spec(maps=6, covariance=30))
    assert information.losses(paths, [peak_reader()], "noiseless", spec(maps=99)) == few


def test_maps_without_the_fiducial_cosmology_are_refused(tmp_path: Path) -> None:
    paths = spikes(tmp_path, {"testing": 4, "covariance": 20})
    elsewhere = spec(maps=4)
    place = elsewhere.cosmology.fiducial.model_copy(update={"sigma_8": 0.9})
    elsewhere.cosmology = elsewhere.cosmology.model_copy(update={"fiducial": place})
    with pytest.raises(InputError, match=r"matilla2020\.information: 0 cosmologies of the testing"):
        information.losses(paths, [peak_reader()], "noiseless", elsewhere)


def test_a_covariance_of_too_few_maps_is_refused() -> None:
    few = {"matilla2020": {"information": {"covariance": 22}}}
    with pytest.raises(InputError, match=r"matilla2020\.information\.covariance") as raised:
        configuration.load("default", overrides=few)
    assert "take more than 22" in str(raised.value) and "\n" not in str(raised.value)


def test_the_figure_draws_every_method_and_reader(tmp_path: Path) -> None:
    def text(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
        table.write(tmp_path / "rows.csv", rows)
        return read_rows(tmp_path / "rows.csv")

    kappa = np.stack([skewed(1), skewed(2)])
    shares = regions.share_rows("noiseless", kappa, [{"gradient": kappa}])
    filled = dict.fromkeys(information.INFORMATION.columns, 1.0)
    names = list(regions.REGIONS)
    lost = [
        {**filled, **row}
        for row in rows_of_losses(dict(zip(names, (1.0, 2.0, 3.0, 40.0, -5.0), strict=True)))
    ]
    drawn = figure(
        text(information.INFORMATION, lost),
        text(regions.METHOD_SHARES, shares),
        ["noiseless"],
    )
    upper, lower = drawn.axes[:2]
    assert [tick.get_text() for tick in lower.get_xticklabels()] == list(DRAWN.values())
    assert upper.get_legend_handles_labels()[1] == ["DNN", "moved elsewhere"]
    assert lower.get_legend_handles_labels()[1] == ["Gradient"]

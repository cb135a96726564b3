"""Band curves: scores, peaks with errors, trends, and the accuracy of their network."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typed import section, typed

from kappascope.chapters.singh2020 import bands
from kappascope.errors import InputError
from kappascope.maps.dataset import MapSet, write_maps
from kappascope.networks import description
from kappascope.transforms import fourier

PIXELS, PIXEL_ARCMIN = 16, 0.8
SPEC: dict[str, Any] = {
    "seed": 3,
    "maps": {"smoothing_arcmin": 0.0},
    "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
}
SECTION: dict[str, Any] = {
    "bands": 9,
    "band_range": [0.1, 0.9],
    "band_width": 0.1,
    "decompositions": ["cd", "cd_rest"],
    "methods": ["input_x_gradient"],
    "path_nodes": 2,
}
CHOSEN = section("singh2020.bands", **SECTION)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    draws = np.random.default_rng(5)
    count = 40
    maps = MapSet(
        convergence=draws.standard_normal((count, PIXELS, PIXELS)).astype(np.float32),
        split=np.repeat(["testing", "training"], count // 2),
        cosmology=np.tile(np.repeat(np.arange(4), 5), 2),
        realization=np.tile(np.arange(5), 8),
        omega_matter=np.tile(np.repeat([0.2, 0.3, 0.4, 0.5], 5), 2),
        sigma_8=np.tile(np.repeat([0.9, 0.7, 0.8, 0.6], 5), 2),
        pixel_arcmin=PIXEL_ARCMIN,
        source_redshift=1.0,
    )
    path = tmp_path_factory.mktemp("maps") / "maps.h5"
    write_maps(path, maps)
    return [path]


def band_reader(low: float, high: float) -> Any:
    """A network whose outputs are the power in a ring of frequencies, by construction.

    Random filters of that ring, ReLU of both signs and a mean: the sum of the absolute values of
    filtered maps, which other frequencies hardly change.
    """
    generator = np.random.default_rng(1)
    mask = fourier.ring_masks(PIXELS, [(low, high)])[0]
    white = generator.standard_normal((8, PIXELS, PIXELS))
    kernels = np.fft.ifft2(np.fft.fft2(white) * mask).real
    kernels = np.concatenate([kernels, -kernels])
    kernels = kernels.transpose(1, 2, 0)[:, :, None, :].astype(np.float32)
    nodes = (
        {
            "name": "conv",
            "kind": "conv",
            "inputs": ["x"],
            "features": 16,
            "window": [PIXELS, PIXELS],
            "strides": [1, 1],
            "padding": [[0, 0], [0, 0]],
            "params": {"kernel": "k"},
        },
        {"name": "relu", "kind": "relu", "inputs": ["conv"]},
        {"name": "pool", "kind": "global_avg_pool", "inputs": ["relu"]},
        {"name": "dense", "kind": "dense", "inputs": ["pool"], "params": {"kernel": "w"}},
    )
    network = description.Network("ring", (PIXELS, PIXELS, 1), 2, nodes)
    return network, {"k": kernels, "w": np.ones((16, 2), np.float32)}


def test_the_band_that_a_network_reads_is_the_peak(paths: list[Path]) -> None:
    maps, split, rows = bands.explained_maps(paths, typed(SPEC), 3)
    assert maps.shape == (12, PIXELS, PIXELS, 1)
    found = bands.curves([band_reader(0.45, 0.55)] * 2, maps, split, rows, CHOSEN, 3)
    assert list(found.scores) == ["cd", "cd_rest", "input_x_gradient"]
    for name, scores in found.scores.items():
        assert scores.shape == (2, 2, 12, 9)
        mean = scores[0, 0].mean(0)
        assert mean.argmax() == 4, name
        far = np.abs(found.bands - 0.5) > 0.15
        assert np.abs(mean[far]).max() < 1e-3 * mean[4], name
    # Without biases the gradient's bands add up to the output.
    np.testing.assert_allclose(found.tiles["input_x_gradient"], 1, rtol=1e-3)
    rows_of = bands.peak_rows(found, 3)
    whole = rows_of[0]
    assert (whole["parameter"], whole["method"], whole["group"]) == ("omega_matter", "cd", "all")
    assert whole["ell"] == pytest.approx(0.5 * 180 * 60 / PIXEL_ARCMIN, rel=0.05)
    assert whole["ell_published_axis"] == pytest.approx(2 * whole["ell"])
    assert whole["scatter_networks"] == 0 and whole["networks"] == 2
    assert {row["group"] for row in rows_of} == {"all", "1", "2", "3", "4"}
    assert all(set(row) == set(bands.PEAKS.columns) for row in rows_of)
    groups = [row for row in rows_of if row["parameter"] == "sigma_8" and row["method"] == "cd"]
    assert [row["value"] for row in groups[1:]] == pytest.approx([0.6, 0.7, 0.8, 0.9])


def test_scores_do_not_depend_on_who_shares_the_batch(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, split, rows = bands.explained_maps(paths, typed(SPEC), 3)
    model = band_reader(0.3, 0.6)
    whole = bands.curves([model], maps, split, rows, CHOSEN, 3)
    monkeypatch.setattr(bands, "BATCH", 5)
    pieces = bands.curves([model], maps, split, rows, CHOSEN, 3)
    for name, scores in whole.scores.items():
        np.testing.assert_allclose(pieces.scores[name], scores, rtol=1e-4, atol=1e-6)


def made_up(slope: float) -> bands.Curves:
    """Gaussian curves whose peak moves with Ω_m, by ``slope`` Nyquist units a unit."""
    centres = np.linspace(0.1, 0.9, 81)
    omega = np.repeat(np.linspace(0.2, 0.5, 12), 2)
    peaks = 0.4 + slope * (omega - 0.35)
    scores = 1 + np.exp(-((centres - peaks[:, None]) ** 2) / 0.02)
    both = np.stack([scores, scores])[None]
    return bands.Curves(
        centres,
        {"cd": both},
        {"cd": both.sum(-1)},
        np.repeat(np.arange(12), 2),
        np.stack([omega, omega + 0.4]),
        PIXEL_ARCMIN,
    )


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_trends_are_the_slopes_of_the_peaks(slope: float) -> None:
    curves = made_up(slope)
    rows = {row["quantity"]: row for row in bands.trend_rows(curves, 1) if row["method"] == "cd"}
    assert rows["peak_ell"]["slope"] == pytest.approx(curves.ell(slope), abs=60)
    assert rows["peak_ell"]["error"] < 200
    for row in bands.peak_rows(curves, 1):
        expected = 0.4 + slope * (row["value"] - 0.4 * (row["parameter"] == "sigma_8") - 0.35)
        assert row["band"] == pytest.approx(expected, abs=0.02)
    table = bands.curve_rows(curves)
    assert len(table) == 2 * 5 * 81 and set(table[0]) == set(bands.CURVES.columns)
    first = [row for row in table if row["group"] == "all" and row["parameter"] == "omega_matter"]
    expected = curves.scores["cd"][0, 0].mean(0)
    np.testing.assert_allclose([row["score"] for row in first], expected)
    assert first[0]["maps"] == 24 and first[0]["cosmologies"] == 12


@pytest.mark.parametrize(("top", "width"), [(0.31, 0.1), (0.5, 0.02), (0.64, 0.3)])
def test_peaks_lie_between_bands(top: float, width: float) -> None:
    centres = np.linspace(0.1, 0.9, 41)
    curve = 1 - ((centres - top) / width) ** 2
    assert bands.peak(centres, curve) == pytest.approx(top, abs=1e-9)
    assert bands.peak(centres, centres) == 0.9, "a curve that rises to the end peaks there"


def test_contrast_by_hand() -> None:
    assert bands.contrast(np.array([1.0, 2.0, 3.0])) == pytest.approx(0.5)
    assert bands.contrast(np.array([[-1.0, -3.0]])) == pytest.approx([0.5])


def test_accuracy_of_a_network_that_knows(paths: list[Path]) -> None:
    """Outputs that are one constant explain nothing; errors come from the cosmologies."""
    network, parameters = band_reader(0.2, 0.4)
    _, split, _ = bands.explained_maps(paths, typed(SPEC), 1)
    zero = {**parameters, "w": np.zeros((16, 2), np.float32)}
    rows = bands.accuracy([(network, zero)] * 2, np.ones(2), split, typed(SPEC))
    for row, truth in zip(rows, split.targets.T, strict=True):
        assert row["r_squared"] == pytest.approx(1 - np.mean(truth**2) / truth.var(), rel=1e-5)
        assert row["error"] > 0 and row["maps"] == 20 and row["cosmologies"] == 4
        assert row["scatter_networks"] == 0 and row["networks"] == 2
    assert [row["parameter"] for row in rows] == ["omega_matter", "sigma_8"]


def test_pictures_of_all_bands_add_up() -> None:
    maps = np.random.default_rng(2).standard_normal((2, PIXELS, PIXELS, 1)).astype(np.float32)
    parts = bands.pictures(maps, [(0.0, 0.4), (0.4, 1.0), (1.0, bands.WHOLE)])
    np.testing.assert_allclose(parts[1:].sum(0), parts[0], atol=1e-5)
    assert bands.WHOLE == pytest.approx(math.sqrt(2), abs=1e-5)


def test_maps_without_testing_ones_are_refused(tmp_path: Path) -> None:
    maps = MapSet(
        convergence=np.zeros((2, 8, 8), np.float32),
        split=np.array(["training"] * 2),
        cosmology=np.arange(2),
        realization=np.zeros(2, int),
        omega_matter=np.array([0.2, 0.3]),
        sigma_8=np.array([0.8, 0.8]),
        pixel_arcmin=PIXEL_ARCMIN,
        source_redshift=1.0,
    )
    write_maps(tmp_path / "maps.h5", maps)
    with pytest.raises(InputError, match="no testing maps"):
        bands.explained_maps([tmp_path / "maps.h5"], typed(SPEC), 1)


def test_networks_that_disagree_widen_the_error() -> None:
    one, other = made_up(0.0), made_up(0.0)
    moved = np.roll(other.scores["cd"], 20, -1)
    both = bands.Curves(
        one.bands,
        {"cd": np.concatenate([one.scores["cd"], moved])},
        {"cd": np.concatenate([one.tiles["cd"], other.tiles["cd"]])},
        one.cosmology,
        one.values,
        PIXEL_ARCMIN,
    )
    alone, pair = (bands.peak_rows(curves, 1)[0] for curves in (one, both))
    assert alone["scatter_networks"] is None and alone["error"] < 30
    assert pair["scatter_networks"] == pytest.approx(both.ell(0.2) / 2**0.5, rel=0.02)
    assert pair["error"] > 10 * alone["error"] + 100

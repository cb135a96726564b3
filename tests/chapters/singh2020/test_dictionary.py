"""Learned dictionaries: planted bases, attribution of coefficients, measures, the scripts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import script
from typed import section, typed

from kappascope.attribution.trim import transformed
from kappascope.chapters.singh2020 import dictionary
from kappascope.chapters.singh2020.dictionary import Tiles
from kappascope.chapters.singh2020.figures.dictionary import trade_off
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.maps.dataset import MapSet, write_maps
from kappascope.networks import architectures, classification, description
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import forward
from kappascope.reporting.figures import FIGURES
from kappascope.transforms.matrix import Matrix

SECTION: dict[str, Any] = {
    "data_set": "noiseless",
    "training": 6,
    "testing": 5,
    "path_nodes": 3,
    "tile_pixels": 4,
    "atoms": [16],
    "steps": 600,
    "batch": 128,
    "learning_rate": 0.02,
    "reconstruction_weights": [1.0, 4.0],
    "attribution_weight": 1.0,
    "bootstrap": 20,
}


def asked(**changes: Any) -> Any:
    return section("singh2020.dictionary", **{**SECTION, **changes})


def random_basis(seed: int = 0, size: int = 16) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def sparse(seed: int, basis: np.ndarray, count: int = 4000) -> np.ndarray:
    """Tiles (4, tile, pixel) of unit r.m.s. with few coefficients in a basis."""
    draws = np.random.default_rng(seed)
    codes = draws.laplace(size=(count, len(basis))) * (draws.random((count, len(basis))) < 0.15)
    values = (codes @ basis).reshape(4, count // 4, -1)
    return (values / np.sqrt((values**2).mean())).astype(np.float32)


def white(seed: int, count: int = 4000) -> np.ndarray:
    """Gaussian tiles (4, tile, pixel): equally sparse in every orthonormal basis."""
    draws = np.random.default_rng(seed)
    return draws.standard_normal((4, count // 4, 16)).astype(np.float32)


def likeness(found: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return, for each basis vector, |cosine| with the nearest atom; each atom is used once."""
    cosines = np.abs(found @ basis.T)
    assert len(set(cosines.argmax(0))) == len(basis) or cosines.max(0).min() < 0.9
    return cosines.max(0)


def small_network(pixels: int = 8) -> tuple[Network, Parameters]:
    network = architectures.lenet(32, 2)
    net = [node for node in network.nodes if node["name"] in ("c1", "relu1", "pool1", "flatten")]
    net[3] = {**net[3], "inputs": ["pool1"]}
    dense = {"name": "dense", "kind": "dense", "features": 2, "inputs": ["flatten"],
             "params": {"kernel": "dense.kernel", "bias": "dense.bias"}}  # fmt: skip
    network = Network("small", (pixels, pixels, 1), 2, (*net, dense))
    parameters = dict(classification.initial_parameters(network, 3, 0))
    parameters["c1.bias"] = np.linspace(-0.3, 0.3, 6).astype(np.float32)
    return network, parameters


# Tiles.


def test_tiles_are_squares_of_the_map_without_overlap() -> None:
    maps = np.arange(2 * 9 * 11, dtype=np.float32).reshape(2, 9, 11)
    tiles = dictionary.tiled(maps, 4)
    assert tiles.shape == (2, 4, 16)
    np.testing.assert_array_equal(tiles[1, 1].reshape(4, 4), maps[1, :4, 4:8])
    np.testing.assert_array_equal(tiles[0, 2].reshape(4, 4), maps[0, 4:8, :4])
    assert len(np.unique(tiles)) == tiles.size


def test_tiles_larger_than_the_map_are_refused() -> None:
    with pytest.raises(InputError, match=r"dictionary.tile_pixels: got 9, more than the 8"):
        dictionary.tiled(np.zeros((1, 8, 8)), 9)


def test_scaled_tiles_and_slopes_have_no_dimension() -> None:
    tiles = Tiles(7 * sparse(0, random_basis()), 300 * white(1), 4)
    tiles = tiles.scaled(*dictionary.scales(tiles))
    assert np.square(tiles.values).mean() == pytest.approx(1, rel=1e-4)
    shares = np.abs(tiles.values * tiles.slopes).mean()
    assert shares == pytest.approx(np.abs(tiles.values).mean(), rel=1e-4)


def test_maps_of_zeros_are_refused() -> None:
    nothing = np.zeros((1, 2, 16), np.float32)
    with pytest.raises(InputError, match="zero everywhere"):
        dictionary.scales(Tiles(nothing, nothing, 4))


# Attribution.


@settings(deadline=None, max_examples=20, derandomize=True)
@given(seed=st.integers(0, 1000), count=st.integers(1, 16))
def test_coefficients_and_rest_share_out_all_attribution(seed: int, count: int) -> None:
    draws = np.random.default_rng(seed)
    x, slopes = draws.standard_normal((2, 5, 16))
    atoms = np.asarray(dictionary.unit_atoms(draws.standard_normal((count, 16))))
    codes = x @ atoms.T
    scores = dictionary.attributions(codes, slopes, atoms)
    rest = ((x - codes @ atoms) * slopes).sum(-1)
    np.testing.assert_allclose(scores.sum(-1) + rest, (x * slopes).sum(-1), atol=1e-5)


def test_attribution_is_that_of_the_transformed_network() -> None:
    # A map of a single tile: the general attribution through an inverse transformation applies.
    model, basis = small_network(), random_basis(2, 64)
    maps = np.random.default_rng(0).standard_normal((4, 8, 8)).astype(np.float32)
    slopes = dictionary.tiled(dictionary.path_slopes(model, maps, 50), 8)
    codes = dictionary.tiled(maps, 8) @ basis.T
    found = dictionary.attributions(codes, slopes, basis)[:, 0]
    transform = Matrix(basis, (8, 8, 1))
    expected = transformed("integrated_gradients", model, maps[..., None], transform, 0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_slopes_of_the_path_are_complete() -> None:
    network, parameters = small_network()
    maps = np.random.default_rng(0).standard_normal((20, 8, 8)).astype(np.float32)
    slopes = dictionary.path_slopes((network, parameters), maps, 100)
    outputs = forward(network, parameters, maps[..., None])[:, dictionary.OMEGA_MATTER]
    empty = forward(network, parameters, np.zeros((1, 8, 8, 1), np.float32))
    change = outputs - empty[0, dictionary.OMEGA_MATTER]
    np.testing.assert_allclose((maps * slopes).sum((1, 2)), change, atol=0.02)


# Learning.


def learned(tiles: Tiles, weights: list[tuple[float, float]], **changes: Any) -> list[np.ndarray]:
    return dictionary.learn(tiles, weights, asked(**changes), 0)


def test_a_planted_sparse_basis_is_found() -> None:
    basis = random_basis(5)
    tiles = Tiles(sparse(0, basis), white(1), 4)
    (found,) = learned(tiles, [(5.0, 0.0)])
    assert likeness(found, basis).min() > 0.97
    # Principal components do not know it: all variances are the same.
    assert likeness(dictionary.fixed_bases(tiles)["pca"], basis).mean() < 0.9


def test_the_attributions_term_finds_a_basis_that_the_codes_do_not_have() -> None:
    basis = random_basis(6)
    tiles = Tiles(white(0), sparse(1, basis), 4)
    without, with_term = learned(tiles, [(5.0, 0.0), (5.0, 1.0)], steps=1200)
    assert likeness(without, basis).mean() < 0.9
    assert likeness(with_term, basis).min() > 0.95
    test = Tiles(white(2), sparse(3, basis), 4)
    first, second = (dictionary.judge(atoms, test, 0, 20) for atoms in (without, with_term))
    gain = first["attribution_effective_number"] - second["attribution_effective_number"]
    assert gain > 10 * np.hypot(first["attribution_error"], second["attribution_error"])


def test_atoms_have_unit_norm_and_are_the_same_every_time() -> None:
    tiles = Tiles(sparse(0, random_basis()), white(1), 4)
    weights = [(0.3, 0.0), (3.0, 1.0)]
    found = learned(tiles, weights, steps=30, atoms=[9])
    assert [atoms.shape for atoms in found] == [(9, 16)] * 2
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(found, learned(tiles, weights, steps=30, atoms=[9]))
    other = dictionary.learn(tiles, weights, asked(steps=30, atoms=[9]), 1)
    assert not np.allclose(found, other)


def test_a_larger_reconstruction_weight_explains_more() -> None:
    values = sparse(0, random_basis()) * np.geomspace(1, 0.01, 16, dtype=np.float32)
    tiles = Tiles(values, white(1), 4)
    tiles = tiles.scaled(*dictionary.scales(tiles))
    found = learned(tiles, [(0.2, 0.0), (1.0, 0.0), (20.0, 0.0)])
    rest = [dictionary.judge(atoms, tiles, 0, 5)["unexplained_percent"] for atoms in found]
    assert rest[0] > 2 * rest[1] > 4 * rest[2]


def test_the_size_of_the_least_objective_is_kept() -> None:
    values = sparse(0, random_basis()) * np.geomspace(1, 0.01, 16, dtype=np.float32)
    tiles = Tiles(values, white(1), 4)
    tiles = tiles.scaled(*dictionary.scales(tiles))
    weights = [(1.0, 0.0), (20.0, 0.0)]
    flat = tiles.values.reshape(-1, 16), tiles.slopes.reshape(-1, 16)

    def objectives(**changes: Any) -> list[float]:
        found = learned(tiles, weights, steps=200, **changes)
        pairs = np.array(weights, np.float32)
        return [
            float(dictionary.loss(atoms, *flat, pair))
            for atoms, pair in zip(found, pairs, strict=True)
        ]

    each = np.array([objectives(atoms=[count]) for count in (16, 4)])
    np.testing.assert_allclose(objectives(atoms=[16, 4]), each.min(0), rtol=1e-5)
    assert each.argmin(0).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"atoms": [4, 17]}, "dictionary.atoms: got 17, more than the 16 pixels"),
        ({"batch": 5000}, "dictionary.batch: got 5000, but there are only 4000 tiles"),
        ({"learning_rate": float("inf"), "steps": 5}, "dictionary.learning_rate: a fit is not"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learned(Tiles(white(0), white(1), 4), [(1.0, 0.0)], **changes)


# Measures.


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    values=st.lists(st.floats(-10, 10).filter(lambda v: abs(v) > 1e-3), min_size=1, max_size=8),
    scale=st.floats(0.1, 10),
)
def test_effective_number_lies_between_one_and_all(values: list[float], scale: float) -> None:
    codes = np.array(values)
    number = dictionary.effective_number(codes)
    assert 1 - 1e-9 <= number <= len(values) + 1e-9
    assert dictionary.effective_number(-scale * codes) == pytest.approx(number)
    assert dictionary.effective_number(np.sign(codes)) == pytest.approx(len(values))


def test_effective_number_of_nothing_is_no_number() -> None:
    found = dictionary.effective_number(np.array([[0.0, 0.0], [0.0, 3.0]]))
    assert np.isnan(found[0]) and found[1] == 1


def test_fixed_bases_are_orthonormal_and_sorted_by_variance() -> None:
    tiles = Tiles(white(0) * np.geomspace(1, 0.1, 16, dtype=np.float32), white(1), 4)
    bases = dictionary.fixed_bases(tiles)
    for atoms in bases.values():
        np.testing.assert_allclose(atoms @ atoms.T, np.eye(16), atol=1e-5)
        assert (np.diff(np.square(tiles.values @ atoms.T).mean((0, 1))) < 1e-6).all()
    rest = {
        name: dictionary.judge(atoms[:5], tiles, 0, 5)["unexplained_percent"]
        for name, atoms in bases.items()
    }
    assert rest["pca"] == min(rest.values())
    # Of independent pixels with falling variances the first five are the best five.
    variance = np.square(tiles.values).mean((0, 1))
    assert rest["pixels"] == pytest.approx(100 * variance[5:].sum() / variance.sum(), rel=1e-3)


def test_cosines_of_a_flat_tile_are_one_coefficient() -> None:
    tiles = Tiles(np.ones((2, 3, 16), np.float32), np.ones((2, 3, 16), np.float32), 4)
    told = dictionary.judge(dictionary.fixed_bases(tiles)["dct"], tiles, 0, 5)
    assert told["code_effective_number"] == pytest.approx(1, abs=1e-4)
    assert told["attribution_cancellation"] == pytest.approx(1, abs=1e-4)
    in_pixels = dictionary.judge(np.eye(16), tiles, 0, 5)
    assert in_pixels["code_effective_number"] == pytest.approx(16)


def test_bootstrap_errors_are_those_of_means_over_maps() -> None:
    draws = np.random.default_rng(0)
    tiles = Tiles(draws.standard_normal((40, 30, 16)), draws.standard_normal((40, 30, 16)), 4)
    told = dictionary.judge(np.eye(16), tiles, 0, 2000)
    of_maps = dictionary.effective_number(tiles.values).mean(1)
    assert told["code_effective_number"] == pytest.approx(of_maps.mean())
    assert told["code_error"] == pytest.approx(of_maps.std() / np.sqrt(40), rel=0.1)


# Scripts and figures.


def written(path: Path, splits: dict[str, int], pixels: int = 10) -> Path:
    total, draws = sum(splits.values()), np.random.default_rng(1)
    maps = MapSet(
        convergence=draws.standard_normal((total, pixels, pixels)).astype(np.float32),
        split=np.repeat(list(splits), list(splits.values())),
        cosmology=np.arange(total),
        realization=np.zeros(total, int),
        omega_matter=draws.uniform(0.1, 0.5, total),
        sigma_8=draws.uniform(0.5, 1.0, total),
        pixel_arcmin=0.5,
        source_redshift=1.0,
    )
    write_maps(path, maps)
    return path


SPEC: dict[str, Any] = {
    "seed": 4,
    "maps": {"smoothing_arcmin": 1.0},
    "noise": {"galaxies_per_arcmin2": 30.0, "ellipticity_rms": 0.4},
    "dictionary": {**SECTION, "steps": 20, "batch": 8},
}


def test_scripts_write_table_atoms_and_figures(tmp_path: Path, root: Path) -> None:
    description.save(tmp_path, *small_network(10))
    inputs = SimpleNamespace(
        maps=[str(written(tmp_path / "maps.h5", {"training": 9, "testing": 5}))],
        network=str(tmp_path / "network.npz"),
    )
    out = SimpleNamespace(table=tmp_path / "dictionary.csv", atoms=tmp_path / "atoms.npz")
    script(root, "dictionary")(inputs, out, typed(SPEC))
    rows = read_rows(out.table)
    assert tuple(rows[0]) == dictionary.TRADE_OFF.columns
    bases = [row["basis"] for row in rows]
    assert bases == ["learned"] * 4 + ["pca"] * 5 + ["dct"] * 5 + ["pixels"]
    assert [row["with_attribution"] for row in rows[:4]] == ["0", "0", "1", "1"]
    for row in rows:
        assert float(row["attribution_cancellation"]) > 1 - 1e-6
        whole = row["basis"] != "learned" and row["coefficients"] == "16"
        assert (float(row["attribution_in_rest_percent"]) < 1e-3) == whole
    with np.load(out.atoms) as arrays:
        assert arrays["atoms"].shape == (2, 2, 16, 4, 4)
        np.testing.assert_allclose(arrays["share"].sum(-1), 1, rtol=1e-5)
        assert (np.diff(arrays["share"], axis=-1) <= 0).all()
    drawn = FIGURES["plot_dictionary"](out, SimpleNamespace())
    assert set(drawn) == {"atoms", "dictionary"} and drawn["atoms"].axes
    panels = trade_off(rows).axes
    assert len(panels) == 3
    assert all(len(panel.containers) == 5 for panel in panels)


def test_splits_without_maps_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "maps.h5", {"training": 3})
    with pytest.raises(InputError, match="dictionary: there are no testing maps"):
        dictionary.read_tiles([path], "testing", small_network(10), typed(SPEC))


def test_maps_are_taken_evenly_over_cosmologies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "maps.h5", {"training": 9})
    taken: list[np.ndarray] = []

    def observed(maps: MapSet, *_: Any) -> np.ndarray:
        taken.append(maps.cosmology)
        return maps.convergence

    monkeypatch.setattr(dictionary.prediction, "observed", observed)
    spec = {**SPEC, "dictionary": {**SPEC["dictionary"], "training": 3}}
    dictionary.read_tiles([path], "training", small_network(10), typed(spec))
    assert taken[0].tolist() == [1, 4, 7]

"""The released finders on our scenes: the same scenes at every sampling, shares, best and mean."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from kappascope.attribution.methods import attribute
from kappascope.chapters.wilde2022 import released
from kappascope.errors import InputError
from kappascope.networks import description
from kappascope.networks.architectures import lens_finder
from kappascope.networks.classification import initial_parameters
from kappascope.networks.evaluate import evaluate
from kappascope.stronglens import finders, surveys
from kappascope.stronglens.finders import Finder
from kappascope.stronglens.populations import COMPOUND, KINDS, NON_LENSES, Population

SURVEY = surveys.read("euclid")
BANDS = SURVEY.names
POPULATION = Population(0.8, (21.5, 23.0), 0.3)
COARSE, FINE = (16, 0.4), (32, 0.2)


@pytest.fixture(scope="module")
def sets() -> dict:
    return released.observed(POPULATION, SURVEY, [COARSE, FINE], KINDS, 3, 5)


def network(name: str, bands: tuple[str, ...], sampling: tuple[int, float]) -> Finder:
    graph = lens_finder(sampling[0], len(bands), 2, 2)
    return Finder(name, (graph, initial_parameters(graph, 1, 0)), bands, *sampling)


def test_every_sampling_shows_the_same_scenes_from_zero_to_one(sets) -> None:
    coarse, fine = sets[COARSE], sets[FINE]
    assert coarse.x.shape[1:] == (16, 16, 4) and fine.x.shape[1:] == (32, 32, 4)
    for images in (coarse, fine):
        np.testing.assert_array_equal(images.x.min((1, 2)), 0)
        np.testing.assert_allclose(images.x.max((1, 2)), 1)
        assert not images.arc_mask[np.isin(images.kind, NON_LENSES)].any()
    for field in ("kind", "colour", "einstein_radius", "attempt"):
        np.testing.assert_array_equal(getattr(coarse, field), getattr(fine, field))
    # In arcsec the galaxy stands at the same place.
    np.testing.assert_allclose(coarse.place * 0.4, fine.place * 0.2)
    brightest = [
        np.unravel_index(x[..., 3].argmax(), x.shape[:2]) for x in (coarse.x[0], fine.x[0])
    ]
    offset = [(np.array(at) - (side - 1) / 2) * arcsec
              for at, (side, arcsec) in zip(brightest, (COARSE, FINE), strict=True)]  # fmt: skip
    assert np.abs(offset[0] - offset[1]).max() <= 0.4
    again = released.observed(POPULATION, SURVEY, [COARSE], ["lens"], 2, 5)[COARSE]
    np.testing.assert_array_equal(again.x, coarse.of("lens").x[:2])


def test_a_network_reads_its_bands_in_its_order(sets) -> None:
    finder = network("n", ("H", "VIS"), COARSE)
    x = sets[COARSE].x[..., [BANDS.index("H"), BANDS.index("VIS")]]
    outputs = evaluate(*finder.model, x)
    wanted = 1 / (1 + np.exp(outputs[:, 0] - outputs[:, 1]))
    np.testing.assert_allclose(released.score(finder, sets[COARSE], BANDS), wanted, 1e-5)


def test_shares_mean_and_best(sets) -> None:
    images = sets[COARSE]
    yes, no = np.ones(len(images)), np.zeros(len(images))
    scores = {"b": no, "a": np.where(images.kind == "compound_arcs", yes, no), "c": no}
    rows = {
        (row["network"], row["kind"]): row for row in released.kind_rows(scores, images, "compact")
    }
    assert {kind for _, kind in rows} == set(KINDS)
    assert {row["sources"] for row in rows.values()} == {"", "compact"}
    assert rows["a", "compound_arcs"]["called_lens_percent"] == 100
    assert rows["mean", "compound_arcs"]["called_lens_percent"] == pytest.approx(100 / 3)
    assert rows["mean", "compound_arcs"]["error"] == pytest.approx(100 / 3)
    assert rows["best", "compound_arcs"]["called_lens_percent"] == 100
    assert rows["best", "lens"]["called_lens_percent"] == 0
    assert all(set(row) == set(released.FINDERS.columns) for row in rows.values())
    wide = list(released.kind_rows(scores, images, "released"))
    assert {row["kind"] for row in wide} == set(COMPOUND)
    assert {row["sources"] for row in wide} == {"released"}


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
def test_tables_of_two_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released, "METHODS", ("gradient", "lens_grad_cam.relu4"))
    networks = [network("OU-66", ("VIS", "H"), COARSE), network("other", ("VIS",), FINE)]
    made = released.tables(networks, POPULATION, SURVEY, 8, 5)
    assert {row["network"] for row in made["finders"]} == {"OU-66", "other", "mean", "best"}
    assert {row["network"] for row in made["accuracy"]} == {"OU-66", "other", "mean"}
    assert {row["method"] for row in made["arcs"]} == {"gradient", "lens_grad_cam.relu4"}
    arcs = [row for row in made["finders"] if row["kind"] == "compound_arcs"]
    assert {row["sources"] for row in arcs} == {"compact", "released"}
    assert not any(released.tables([], POPULATION, SURVEY, 8, 5).values())


def test_networks_of_a_null_run_have_learned_nothing(sets) -> None:
    alike = [network(name, ("VIS", "H"), COARSE) for name in ("one", "other")]
    drawn = released.unlearned(alike, 3)
    scores = np.stack([released.score(finder, sets[COARSE], BANDS) for finder in (*alike, *drawn)])
    np.testing.assert_array_equal(scores[0], scores[1])
    # Each has weights of its own, and the same ones again.
    assert all((scores[k] != scores[j]).all() for k, j in ((0, 2), (0, 3), (2, 3)))
    again = released.score(released.unlearned(alike, 3)[1], sets[COARSE], BANDS)
    np.testing.assert_array_equal(again, scores[3])


def test_a_folder_says_what_a_network_reads(tmp_path: Path) -> None:
    made = network("OU-X", ("J", "VIS"), COARSE)
    folder = tmp_path / "OU-X"
    description.save(folder, *made.model)
    about = {"bands": ["J", "VIS"], "pixels": 16, "pixel_arcsec": 0.4}
    (folder / "about.json").write_text(json.dumps(about))
    found = finders.read(folder)
    assert dataclasses.replace(found, model=made.model) == made
    (folder / "about.json").write_text(json.dumps({**about, "pixels": 32}))
    with pytest.raises(
        InputError, match=r"about\.json: \(32, 32, 2\) of bands J, VIS; the network"
    ):
        finders.read(folder)


@pytest.mark.realdata
def test_released_networks_explain_as_stored(real_data: Path) -> None:
    """Gradient, guided maps and Grad-CAM that lie beside each network, in its own framework's."""
    for name in ("OU-66", "OU-VIS"):
        folder = real_data / "published_networks" / "wilde2022" / name
        finder, (_, _, extra) = finders.read(folder), description.load(folder)
        stored, x = np.load(folder / "reference.npz"), extra["x"]
        logits = evaluate(*finder.model, x)
        np.testing.assert_allclose(logits, stored["logits"], 1e-4, 1e-4)
        for method in set(stored.files) - {"logits", "p_lens"}:
            maps = np.asarray(attribute(method, finder.model, x, 1))
            wanted = stored[method]
            shape = (len(x), -1)
            size = np.abs(wanted).reshape(shape).max(1)
            worst = np.abs(maps - wanted).reshape(shape).max(1) / np.where(size, size, 1)
            assert worst.max() <= 1e-5, (name, method)

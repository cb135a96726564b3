"""Clusters and voids that were planted, learned, and looked for."""

import numpy as np
import pytest
from typed import section

from kappascope.chapters.you2023 import planted
from kappascope.chapters.you2023.sum_of_parts import Parts
from kappascope.workflow import configuration

CHAPTER = configuration.load("default").you2023
BUDGET = section("you2023.baselines", methods=["integrated_gradients"], path_nodes=8)
SMALL = {"training": 480, "testing": 24, "epochs": 16, "parts_training": 160, "parts_epochs": 2}
CHOSEN = CHAPTER.planted.model_copy(update=SMALL)


def test_maps_hold_what_their_targets_say() -> None:
    given = planted.drawn(40, 1, "training")
    again = planted.drawn(41, 1, "training")
    np.testing.assert_array_equal(given.maps, again.maps[:40])
    assert not np.array_equal(given.maps, planted.drawn(40, 1, "testing").maps)
    np.testing.assert_allclose(given.targets[:, 2], given.targets[:, :2].sum(1))
    clusters, voids = given.truth[:2]
    assert not (clusters & voids).any() and (given.truth[2] == (clusters | voids)).all()
    nothing = given.maps[~given.truth[2]]
    # Beyond two pixels a cluster's wings still are a little of it.
    assert np.abs(np.median(nothing)) < planted.BACKGROUND
    assert given.maps[voids].mean() < -0.01 and given.maps[clusters].mean() > 0.01
    inside = (given.maps * clusters).sum((1, 2))
    assert np.corrcoef(inside, given.targets[:, 0])[0, 1] > 0.95
    missing = -(given.maps * voids).sum((1, 2))
    assert np.corrcoef(missing, given.targets[:, 1])[0, 1] > 0.95


def test_targets_tell_nothing_of_each_other() -> None:
    targets = planted.drawn(600, 2, "training").targets
    assert abs(np.corrcoef(targets.T)[0, 1]) < 4 / np.sqrt(600)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory):
    scratch = tmp_path_factory.mktemp("planted")
    network = configuration.load("default").network.model_copy(
        update={
            "peak_learning_rate": CHAPTER.network.peak_learning_rate,
            "batch_norm_momentum": 0.9,  # few steps
        }
    )
    given = planted.drawn(CHOSEN.training, 1, "training")
    testing = planted.drawn(CHOSEN.testing, 1, "testing")
    trained = planted.train(given, CHOSEN, network, 1, scratch / "network")
    chapter = CHAPTER.model_copy(update={"planted": CHOSEN})
    parts = planted.parts_of(trained, given, testing, 20.0, chapter, 1, scratch / "parts")
    return trained, testing, {20.0: parts}


def test_gradients_of_a_network_that_learned_find_each_kind_and_random_maps_do_not(learned) -> None:
    trained, testing, parts = learned
    rows = {
        (row["target"], row["method"]): row
        for row in planted.rows(trained, parts, testing, BUDGET, 1)
    }
    assert len(rows) == 3 * 3
    for target in planted.TARGETS:
        found = rows[target, "integrated_gradients"]
        assert found["r_squared"] > 0.7
        assert found["hits_percent"] >= 90 and found["mass_percent"] > 3 * found["area_percent"]
        assert rows[target, "random"]["hits_percent"] <= 25
        assert rows[target, "sum_of_parts"]["sharpness"] == 20.0
    assert rows["clusters", "integrated_gradients"]["elsewhere_percent"] < 50


def test_weights_of_groups_that_are_the_structures_are_found() -> None:
    """A made-up model whose groups are the objects: all of its weight is where it should be."""
    testing = planted.drawn(30, 3, "testing")
    masks = np.stack([testing.truth[0], testing.truth[1]], 1).astype(np.float32)
    scores = np.zeros((30, 2, 3))
    scores[:, 0, 0] = scores[:, 1, 1] = 1.0
    scores[:, :, 2] = 0.5
    parts = {3.0: Parts(np.zeros((30, 3)), masks, scores, scores)}
    rows = {
        (row["target"], row["structure"]): row
        for row in planted.weight_rows(parts, testing, CHAPTER.structures, 1)
    }
    share = {key: float(row["share_percent"]) for key, row in rows.items()}
    assert share["clusters", "cluster"] == share["voids", "void"] == 100
    assert share["clusters", "void"] == share["voids", "cluster"] == 0
    assert share["both", "cluster"] == share["both", "void"] == pytest.approx(50)
    assert rows["clusters", "cluster"]["null_percent"] < 20

"""Cues that were planted in images of galaxies, and maps that find them."""

import numpy as np
import pytest

from kappascope.chapters.wilde2022 import cues
from kappascope.stronglens import images, surveys
from kappascope.stronglens.imaging import Camera
from kappascope.stronglens.populations import Population
from kappascope.workflow import configuration

CAMERA = Camera(48, 0.2, ("VIS", "H"), 2, surveys.read("euclid"))
POPULATION = Population(0.8, (21.5, 23.5), 0.5)


@pytest.fixture(scope="module")
def galaxies() -> images.Images:
    numbers = {"isolated": 10, "spiral": 10, "lens": 2}
    return images.simulate(POPULATION, CAMERA, 5, "testing", numbers)


def test_cues_stand_where_they_are_told_and_nowhere_else(galaxies) -> None:
    given = cues.drawn(galaxies, 60, 1, "testing")
    assert np.bincount(given.cue).tolist() == [20, 20, 20]
    assert not given.truth[given.cue == 0].any()
    bare = {image.tobytes() for image in galaxies.x.astype(np.float32)}
    for k in np.flatnonzero(given.cue == 0):
        assert given.x[k].tobytes() in bare
    middle = np.indices((48, 48)).reshape(2, -1) - 23.5
    for output in (1, 2):
        truth = given.truth[given.cue == output]
        assert truth.any((1, 2)).all()
        centres = np.array([middle[:, one.ravel()].mean(1) for one in truth])
        # Anywhere in the image, where galaxies stand in the middle.
        assert np.hypot(*centres.T).std() > 2 and np.abs(centres.mean(0)).max() < 6
    again = cues.drawn(galaxies, 60, 1, "testing")
    np.testing.assert_array_equal(given.x, again.x)
    assert not np.array_equal(given.truth, cues.drawn(galaxies, 60, 1, "training").truth)


def test_a_dot_is_blue_and_a_ring_has_no_colour(galaxies) -> None:
    given = cues.drawn(galaxies, 60, 1, "testing")
    plain = galaxies.select(np.isin(galaxies.kind, ("isolated", "spiral")))
    sky = np.median(np.sinh(plain.x.astype(float)), (0, 1, 2))
    for output, ratio in ((1, 0.25), (2, 1.0)):
        light = np.sinh(given.x[given.cue == output].astype(float)) - sky
        inside = given.truth[given.cue == output]
        added = np.median(
            [image[mask].mean(0) for image, mask in zip(light, inside, strict=True)], 0
        )
        assert added[0] > 0 and added[1] / added[0] == pytest.approx(ratio, abs=0.25)


def test_maps_of_the_cue_find_it_and_maps_of_the_middle_do_not(galaxies) -> None:
    given = cues.drawn(galaxies, 60, 1, "testing")
    middle = np.hypot(*(np.indices((48, 48)) - 23.5))
    around = np.broadcast_to(np.exp(-((middle / 4) ** 2)), given.truth.shape)
    maps = {"gradient": given.truth + 0.01, "guided_backprop": around}
    called = np.where(np.arange(60) < 54, given.cue, 0)
    rows = {(row["cue"], row["method"]): row for row in cues.rows(maps, given, called)}
    for cue in cues.CUES:
        row = rows[cue, "gradient"]
        assert set(row) == set(cues.PLANTED.columns)
        assert row["hits_percent"] == 100 and row["called_percent"] == 90 and row["images"] == 18
        assert rows[cue, "guided_backprop"]["hits_percent"] < 40
    assert list(cues.rows(maps, given, np.zeros(60, int))) == []


def test_a_network_learns_cues_and_is_explained(galaxies, tmp_path) -> None:
    chapter = configuration.load("smoke").wilde2022
    section = chapter.cues.model_copy(update={"training": 120, "epochs": 1})
    given = cues.drawn(galaxies, section.training, 1, "training")
    model = cues.train(given, section, chapter.networks, 1, tmp_path)
    testing = cues.drawn(galaxies, 6, 1, "testing")
    methods = chapter.explanation.model_copy(update={"methods": ["gradient", "grad_cam.relu4"]})
    maps = cues.maps_of(model, testing, methods, 1)
    assert set(maps) == {"gradient", "grad_cam.relu4"}
    for found in maps.values():
        assert found.shape == testing.truth.shape and not found[testing.cue == 0].any()
    assert cues.called(model, testing).shape == (6,)

"""Photographs as an ImageNet classifier sees them, and what is driven up in them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from loaded import script

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import experiments, photographs
from kappascope.errors import InputError
from kappascope.files import read_arrays, read_rows
from kappascope.networks import description
from kappascope.networks.architectures import lens_finder
from kappascope.networks.classification import initial_parameters
from kappascope.networks.learning import LABELS, NOTHING
from kappascope.reporting.errorbars import proportion_error
from kappascope.sections import Spec


def small(colours: int = 3):
    network = lens_finder(24, colours, 2, 4)
    return network, initial_parameters(network, 1, 0)


@pytest.fixture
def folder(tmp_path):
    description.save(tmp_path, *small())
    (tmp_path / "class_names.txt").write_text("cat, tabby\ncup\ntripod\npalace, castle\n")
    return tmp_path


@pytest.mark.parametrize("name", photographs.FILES)
def test_photographs_are_square_and_within_the_range(name: str) -> None:
    x = photographs.photograph(name, 32)
    assert x.shape == (32, 32, 3) and x.dtype == np.float32
    colours = photographs.as_colours(x)
    assert colours.min() >= 0 and colours.max() <= 1 and colours.std() > 0.05
    np.testing.assert_allclose(x * 128 + 127, 255 * colours, atol=1e-4)


def test_the_middle_of_a_photograph_is_seen() -> None:
    # The cat is 300 by 451 pixels: 262 around the middle are left.
    found = photographs.photograph("cat", 262)
    import skimage.data

    wanted = skimage.data.chelsea()[19 : 19 + 262, 94 : 94 + 262]
    assert np.abs(255 * photographs.as_colours(found) - wanted).mean() < 1


def test_names_and_colours_must_fit(folder) -> None:
    subject = photographs.read(folder, 3, 1)
    assert list(subject.classes) == ["cat", "cup", "tripod", "palace"]
    assert subject.x.shape == (3, 24, 24, 3)
    np.testing.assert_array_equal(subject.true, subject.probabilities().argmax(1))
    (folder / "class_names.txt").write_text("cat\n")
    with pytest.raises(InputError, match=r"class_names.txt: 1 names for 4 classes"):
        photographs.read(folder, 3, 1)
    description.save(folder, *small(2))
    with pytest.raises(InputError, match=r"the network reads \(24, 24, 2\); give one of colours"):
        photographs.read(folder, 3, 1)


def test_a_network_that_learned_nothing_is_another_and_gives_finite_numbers(folder) -> None:
    learned, drawn = (photographs.read(folder, 3, 1, what) for what in (LABELS, NOTHING))
    assert np.isfinite(drawn.probabilities()).all()
    assert np.abs(learned.probabilities() - drawn.probabilities()).max() > 1e-3


def test_the_most_likely_class_below_one_per_cent_is_driven(folder, monkeypatch) -> None:
    subject = photographs.read(folder, 2, 1)
    told = np.array([[0.98, 0.004, 0.009, 0.007], [0.4, 0.3, 0.2, 0.1]])
    monkeypatch.setattr(experiments.Subject, "probabilities", lambda self, x=None: told)
    first, second = photographs.unlikely(subject, NonlinearSaliency(steps=1, levels=(0.0,)))
    assert (first["photograph"], first["class"]) == ("cat", "tripod")
    assert first["start_percent"] == pytest.approx(0.9)
    assert second["class"] == "palace"
    rows = [{"best_percent": value} for value in (96.0, 99.0, 3.0, 94.0)]
    row = photographs.driven_row(rows)
    assert row["value"] == 50 and row["error"] == 100 * proportion_error(0.5, 4)


def spec(learns: str = LABELS) -> Spec:
    section = SimpleNamespace(number=2, steps=1, step=0.05, blur_pixels=2.0)
    return Spec(photographs=section, seed=1, learns=learns)


def outputs(place) -> SimpleNamespace:
    tables = ("trajectories", "examples", "blurring", "summary", "unlikely")
    return SimpleNamespace(
        **{name: str(place / f"{name}.csv") for name in tables}, arrays=str(place / "arrays.npz")
    )


def test_the_script_writes_tables_and_what_figures_draw(root, folder, tmp_path) -> None:
    from kappascope.chapters.rosenzweig2021 import figures

    written = outputs(tmp_path)
    network = SimpleNamespace(network=str(folder / "network.npz"))
    script(root, "nonlinear_photographs")(network, written, spec())
    summary = read_rows(written.summary)
    assert {row["subject"] for row in summary} == {"photographs"}
    assert [row["rank"] for row in summary].count("unlikely") == 1
    arrays = read_arrays(written.arrays)
    assert 0 <= arrays["photographs.x"].min() and arrays["photographs.images"].max() <= 1
    drawn = figures._plot_photographs(written, None)
    assert list(drawn) == [f"fig{k}_photographs" for k in (1, 2, 3, 4)]
    names = {row["class"] for row in read_rows(written.examples)}
    drawn_names = {
        text.get_text().split("\n")[0]
        for axis in drawn["fig1_photographs"].axes
        for text in axis.texts
    }
    assert names <= {"cat", "cup", "tripod", "palace"} and names == drawn_names


def test_without_a_network_tables_are_empty(root, tmp_path) -> None:
    written = outputs(tmp_path)
    script(root, "nonlinear_photographs")(SimpleNamespace(), written, spec())
    assert read_rows(written.examples) == [] and read_rows(written.unlikely) == []


@pytest.mark.realdata
def test_photographs_are_called_what_they_were_called_elsewhere(real_data) -> None:
    folder = real_data / "published_networks" / "efficientnet_lite0"
    stored = json.loads((folder / "about.json").read_text())["top5"]
    subject = photographs.read(folder, 9, 1)
    probabilities = subject.probabilities()
    for k, name in enumerate(photographs.FILES):
        listed = stored[photographs.FILES[name][1]]
        wanted = np.array([percent for _, _, percent in listed])
        found = probabilities[k, [number for number, _, _ in listed]]
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        assert probabilities[k].argmax() == listed[0][0], name
        assert subject.classes[listed[0][0]] == listed[0][1].split(",")[0]

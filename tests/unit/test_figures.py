"""Figures: saved byte for byte the same, drawn in the house style, without JAX."""

import hashlib
import json

import matplotlib
import numpy as np
import pytest
from drawn import drawn_twice
from matplotlib.figure import Figure
from matplotlib.image import imread

from kappascope.chapters.matilla2020.figures import contours, correlations
from kappascope.reporting import style

FIDUCIAL = np.array([0.26, 0.8])


def pictures(names: dict[str, float]) -> dict[str, np.ndarray]:
    """Round contours of given radius around the fiducial."""
    places = np.random.default_rng(0).uniform([0.1, 0.3], [0.6, 1.3], size=(40, 2))
    arrays = {
        "parameters": places,
        "fiducial": FIDUCIAL,
        "credibilities": np.array([68, 95]),
        "half/kept": np.arange(20),
    }
    for name, radius in names.items():
        offsets = np.linspace(-4.0, 4.0, 61) * radius
        field = -0.5 * (offsets[:, None] ** 2 + offsets**2) / radius**2
        arrays[f"{name}/omega_matter"] = FIDUCIAL[0] + offsets
        arrays[f"{name}/sigma_8"] = FIDUCIAL[1] + offsets
        arrays[f"{name}/log_posterior"] = field
        arrays[f"{name}/borders"] = np.log([0.32, 0.05])
        arrays[f"{name}/hull_touched"] = np.array([False, name == "PS"])
    return arrays


def six_panels() -> dict[str, np.ndarray]:
    radii = {"DNN": 0.02}
    for index, name in enumerate(contours.PANELS):
        radii[name] = 0.004 * 2.0**index
        radii[f"{name}+DNN"] = min(0.003 * 2.0**index, 0.015)
    return pictures(radii)


def correlation_rows() -> list[dict[str, str]]:
    return [
        {
            "data_set": data_set,
            "statistic": statistic,
            "bin_centre": f"{centre}",
            "parameter": parameter,
            "pearson": f"{0.1 * np.sin(100 * centre)}",
            "standard_error": "0.01",
        }
        for data_set in ("noiseless", "noisy")
        for statistic in correlations.STATISTICS
        for parameter in ("omega_matter", "sigma_8")
        for centre in (np.logspace(2, 4, 20) if statistic == "PS" else np.linspace(-0.02, 0.07, 20))
    ]


def test_contour_panels_share_limits_that_hold_every_contour():
    arrays = six_panels()
    figure = contours.contour_panels(arrays)
    assert len(figure.axes) == 6
    limits = {(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes}
    assert len(limits) == 1
    left, right, bottom, top = limits.pop()
    for name in ("V2", "DNN", "All"):
        (low, high) = contours.extent(arrays, name)
        assert left <= low[0] and high[0] <= right and bottom <= low[1] and high[1] <= top
    assert [len(axes.child_axes) for axes in figure.axes] == [1, 1, 1, 0, 0, 0]
    cut = [any("cut by" in text.get_text() for text in axes.texts) for axes in figure.axes]
    assert cut == [name == "PS" for name in contours.PANELS]


def test_extent_is_that_of_the_95_percent_region():
    arrays = pictures({"DNN": 0.02})
    low, high = contours.extent(arrays, "DNN")
    expected = 0.02 * np.sqrt(-2.0 * np.log(0.05))
    pixel = 0.02 * 8.0 / 60.0
    np.testing.assert_allclose(high - FIDUCIAL, expected, atol=pixel)
    np.testing.assert_allclose(FIDUCIAL - low, expected, atol=pixel)


def test_emulator_check_has_a_panel_a_data_set():
    arrays = pictures({"all": 0.02, "without_fiducial": 0.02, "half": 0.022})
    figure = contours.emulator_check_panels({"noiseless": arrays, "noisy": arrays})
    assert [axes.get_title() for axes in figure.axes] == ["Noiseless", "With shape noise"]


def test_published_network_with_and_without_ours():
    arrays = pictures({"DNN": 0.01})
    alone = contours.published_network_panel(arrays, None)
    both = contours.published_network_panel(arrays, pictures({"DNN": 0.02}), 1.75)
    told = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in (alone, both)]
    assert "this run, 1.75° maps" in told[1]
    assert not any("this run" in text for text in told[0])


def test_correlation_panels_put_multipoles_on_an_axis_of_their_own():
    figure = correlations.correlation_panels(correlation_rows(), ["noiseless", "noisy"])
    scales = [axes.get_xscale() for axes in figure.axes]
    assert sorted(scales) == ["linear", "linear", "log", "log"]
    upper = [axes for axes in figure.axes if axes.get_xscale() == "log"]
    assert all(len(axes.lines) == 2 for axes in upper)


def test_figures_keep_the_house_style_whatever_the_users():
    arrays = six_panels()
    plain = contours.contour_panels(arrays)
    with matplotlib.rc_context({"font.size": 30.0, "axes.linewidth": 9.0}):
        changed = contours.contour_panels(arrays)
    for figure in (plain, changed):
        assert figure.axes[0].spines["left"].get_linewidth() == pytest.approx(0.7)


def test_saving_needs_no_suffix_and_tells_where_it_came_from(tmp_path):
    source = tmp_path / "areas.csv"
    source.write_text("a\n")
    with style.figure_style():
        figure = Figure()
        figure.subplots().plot([1, 2], [2, 1])
    layout = figure.get_layout_engine()
    told = style.provenance([source], data_set="noisy")
    assert told["inputs"] == {"areas.csv": hashlib.sha256(b"a\n").hexdigest()}
    for stem in ("fig1", "fig1.pdf", "fig1.png"):
        pdf, png = style.save_figure(figure, tmp_path / stem, told)
        assert (pdf.name, png.name) == ("fig1.pdf", "fig1.png")
    assert layout is not None and figure.get_layout_engine() is layout
    assert imread(png).shape[2] == 4
    assert json.dumps(told, sort_keys=True).encode() in png.read_bytes()
    assert b'"data_set": "noisy"' in pdf.read_bytes()
    assert b"CreationDate" not in pdf.read_bytes()
    assert str(tmp_path).encode() not in pdf.read_bytes() + png.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["areas.csv", "fig1.pdf", "fig1.png"]


_DRAW = """
import sys
import numpy as np
from kappascope.chapters.matilla2020.figures import contours, correlations
from kappascope.reporting import style
sys.path.insert(0, sys.argv[1])
import test_figures
figure = contours.contour_panels(test_figures.six_panels())
style.save_figure(figure, sys.argv[2] + "/contours", {"b": 1, "a": 2})
rows = test_figures.correlation_rows()
style.save_figure(
    correlations.correlation_panels(rows, ["noiseless", "noisy"]), sys.argv[2] + "/correlations"
)
assert "jax" not in sys.modules
"""


def test_two_processes_write_the_same_bytes_without_jax(tmp_path, root):
    first, second = drawn_twice(_DRAW, root / "tests/unit", tmp_path)
    assert len(first) == 4 and first == second

"""Figures of strong lenses draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn import BANDS, SIDE, as_text, pictures, written
from invented import invented, picked

from kappascope.chapters.wilde2022 import cues, explaining, finder
from kappascope.chapters.wilde2022 import figures as lenses
from kappascope.reporting import style


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_composites_are_colours_with_the_reddest_band_red(bands: int) -> None:
    x = np.zeros((4, 4, bands))
    x[..., -1] = 1.0
    red = style.composite(x)
    assert red.shape == (4, 4, 3)
    assert (red[..., 0] > red[..., 2]).all()
    assert red.min() >= 0 and red.max() <= 1


def test_the_gallery_has_a_row_for_each_kind_there_is() -> None:
    arrays = {f"gallery/{kind}": pictures(3) for kind in ("isolated", "lens", "double_rings")}
    figure = lenses.gallery(
        {**arrays, "pixel_arcsec": np.array(0.2), "bands": np.array(["VIS", "Y", "J", "H"])}
    )
    assert len(figure.axes) == 9
    text = written(figure)
    assert "Isolated" in text and "Double rings" in text and "Spiral" not in text
    assert "3.2 arcsec a side; red H, blue VIS" in text


def test_performance_shows_curve_bars_and_completeness() -> None:
    roc = as_text(
        {"network": n, "false_positive": x, "true_positive": x**0.3}
        for n in (0, 1)
        for x in (0.0, 0.5, 1.0)
    )
    recall = as_text(
        {"kind": kind, "colour": colour, "called_lens_percent": 60, "error": 4}
        for kind, colour in (("isolated", ""), ("lens", ""), ("double_rings", ""), ("lens", "red"))
    )
    completeness = as_text(
        {
            "kind": "lens",
            "quantity": quantity,
            "low": low,
            "high": low + 1,
            "recall_percent": 70,
            "error": 3,
        }
        for quantity in ("einstein_radius", "source_magnitude")
        for low in (0, 1)
    )
    accuracy = as_text(
        {"network": "mean", "measure": name, "value": 0.9, "error": 0.01} for name in ("f1", "auc")
    )
    figure = lenses.performance(roc, recall, completeness, accuracy, {"double_rings": 52.0})
    curves = [line for line in figure.axes[0].get_lines() if "network" in str(line.get_label())]
    assert len(curves) == 2
    np.testing.assert_allclose(curves[0].get_xdata(), [0, 0.5, 1])
    bars = figure.axes[1].patches
    assert [bar.get_width() for bar in bars] == [60, 60, 60, 60]
    assert "0.900 ± 0.010" in written(figure) and "Lens, red" in written(figure)
    published = [line for line in figure.axes[1].get_lines() if line.get_marker() == "D"]
    assert published[0].get_xdata().tolist() == [52.0] and "published" in written(figure)
    assert "published" not in written(lenses.performance(roc, recall, completeness, accuracy, {}))


def test_positions_are_drawn_against_the_truth() -> None:
    draw = np.random.default_rng(1)
    place, radius = draw.uniform(-5, 5, (20, 2)), draw.uniform(0.5, 2, 20)
    told = np.column_stack([place + 0.2, radius + 0.1])
    rows = as_text([{"what": "lens: place", "median": 0.28, "error": 0.01}])
    agreement = as_text(
        {"method": m, "point": p, "reference": r, "median_pixels": 3.0, "error": 0.2}
        for m in ("grad_cam.relu4", "occlusion_w4s4")
        for p in ("maximum", "centroid")
        for r in ("locator", "true centre", "chance")
    )
    figure = lenses.position(told, place, radius, rows, agreement)
    points = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(points.get_xdata(), 0.2)
    np.testing.assert_allclose(figure.axes[1].get_lines()[0].get_ydata(), told[:, 2])
    assert "median 0.28 ± 0.01 pixel" in written(figure) and "Occlusion" in written(figure)


def test_maps_have_a_symmetric_range_and_arcs_drawn_over() -> None:
    mask = np.zeros((2, SIDE, SIDE), bool)
    mask[0, 4:8, 4:8] = True
    values = np.random.default_rng(2).normal(size=(2, SIDE, SIDE))
    arrays = {
        "example/x": pictures(2),
        "example/kind": np.array(["lens", "spiral"]),
        "example/score": np.array([0.97, 0.02]),
        "example/arc_mask": mask,
        "map/grad_cam.relu4/1": values,
        "map/occlusion_w4s4/1": values,
        "map/gradient/1": values,
        "map/grad_cam.relu4/0": -values,
    }
    figure = lenses.maps(arrays)
    assert len(figure.axes) == 2 * 3
    image = figure.axes[1].images[0]
    top = np.abs(values[0]).max()
    assert image.get_clim() == (-top, top)
    assert "97 %" in written(figure) and "Grad-CAM" in written(figure)


def test_dreams_show_both_classes_from_every_start() -> None:
    arrays, rows = {}, []
    for start in ("noise", "lens"):
        arrays[f"dream/{start}/start"] = pictures(2)
        for name in ("non-lens", "lens"):
            arrays[f"dream/{start}/{name}"] = pictures(2) + 0.1
            rows += [
                {"start": start, "class": name, "when": when, "probability_percent": 80}
                for when in ("before", "after")
            ]
    figure = lenses.dreams(arrays, as_text(rows))
    assert len(figure.axes) == 4 * 5
    assert "from noise" in written(figure) and "lens: 80 %" in written(figure)


def test_probes_and_shares_draw_their_values() -> None:
    rows = as_text(
        {"probe": name, "colour": colour, "drop_percent": k, "error": 1}
        for colour in ("", "blue", "red")
        for k, name in enumerate(lenses.PROBES)
    )
    shares = as_text(
        {
            "method": "gradient",
            "output": 1,
            "group": "lens",
            "region": region,
            "percent": 20,
            "error": 1,
            "area_percent": 9,
        }
        for region in ("arcs", "core")
    )
    figure = lenses.probes(rows, shares)
    labels = written(figure)
    assert "galaxy in the arcs' colour" in labels and "share of the area" in labels


def test_real_lenses_have_their_bands_and_the_place_told() -> None:
    systems = {
        "x": pictures(1),
        "pixel_arcsec": np.array(0.2),
        "bands": np.array(["VIS", "Y", "J", "H"]),
    }
    rows = as_text(
        [
            {
                "system": "a lens",
                "treatment": "as it is",
                "lens_percent": 88,
                "error": 3,
                "compound_percent": 10,
                "einstein_radius_arcsec": 1.0,
                "column_pixels": 1.0,
                "row_pixels": -2.0,
            }
        ]
    )
    figure = lenses.real(systems, rows)
    circle = figure.axes[0].get_lines()[0]
    assert circle.get_xdata().mean() == pytest.approx(7.5 + 1 + 5 / 100, abs=0.1)
    assert np.ptp(circle.get_ydata()) == pytest.approx(10, rel=0.01)
    assert "lens 88 ± 3 %" in written(figure) and "VIS" in written(figure)
    # A user's name is text, whatever it holds.
    odd = lenses.real(systems, [{**rows[0], "system": "$x_{$", "treatment": "50 % {$}"}])
    odd.canvas.draw()
    assert r"\$x_{\$" in written(odd)
    empty = lenses.real({**systems, "x": np.zeros((0, SIDE, SIDE, BANDS))}, [])
    assert "No real images" in written(empty)


def test_arcs_are_drawn_beside_other_lenses_arcs_and_recall_by_their_brightness() -> None:
    rows = invented(
        explaining.ARCS,
        method=("gradient", "grad_cam.relu4"),
        label=lambda row: row["method"],
        group="lens",
        enrichment=5.0,
        shuffled=4.0,
        ring=3.0,
    )
    matched = invented(
        finder.MATCHED,
        kind=("compound_arcs", "double_rings"),
        difference_percent=-12.3,
        difference_error=4.5,
    )
    completeness = invented(
        finder.COMPLETENESS,
        kind=("lens", "compound_arcs", "double_rings"),
        quantity="arc_signal",
        bin={"low": (10.0, 40.0), "high": (40.0, 160.0)},
        recall_percent=picked({10.0: 30.0}, "low", otherwise=80.0),
    )
    figure = lenses.arcs(as_text(rows), as_text(matched), as_text(completeness))
    drawn = [list(map(float, line.get_xdata())) for line in figure.axes[0].get_lines()]
    for value in (5.0, 4.0, 3.0):
        assert [value, value] in drawn
    assert "compound arcs: -12.3 ± 4.5 points" in figure.axes[1].get_title()
    heights = [list(map(float, line.get_ydata())) for line in figure.axes[1].get_lines()]
    assert heights.count([30.0, 80.0]) == 3


def test_planted_cues_and_f1_are_drawn_as_they_are() -> None:
    rows = invented(
        cues.PLANTED,
        cue=cues.CUES,
        method=("gradient", "grad_cam.relu4"),
        label=lambda row: row["method"],
        hits_percent=picked({"dot": 90.0}, "cue", otherwise=40.0),
    )
    shares = invented(
        finder.F1_SHARE,
        hard_percent=(0.0, 50.0, 100.0),
        f1=picked({0.0: 0.9, 50.0: 0.8}, "hard_percent", otherwise=0.7),
        ours=picked({50.0: "yes"}, "hard_percent", otherwise=""),
    )
    figure = lenses.planted(as_text(rows), as_text(shares))
    drawn = [list(map(float, line.get_xdata())) for line in figure.axes[0].get_lines()]
    assert [90.0, 90.0] in drawn and [40.0, 40.0] in drawn and [5.0, 5.0] in drawn
    curves = [list(map(float, line.get_ydata())) for line in figure.axes[1].get_lines()]
    assert [0.9, 0.8, 0.7] in curves

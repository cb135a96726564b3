"""Figures of the saliency chapter: what they show, and that they come out the same twice."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from drawn import drawn_twice

from kappascope.attribution.labels import label
from kappascope.attribution.registry import METHODS as REGISTRY
from kappascope.chapters.matilla2020.figures import saliency
from kappascope.files import read_rows, write_arrays, write_csv
from kappascope.reporting import style
from kappascope.reporting.figures import FIGURES

LABELLED = [entry.name for entry in REGISTRY.entries().values() if "label" in entry.info]
METHODS = ("gradient", "deep_taylor_bn_identity", "smoothgrad")
LAYERS = ("dense", "conv3", "conv2", "conv1")


def patch(methods=METHODS, side=12):
    draw = np.random.default_rng(0)
    return {
        "kappa": draw.normal(size=(side, side)) * 0.02,
        "methods": np.array(methods),
        "maps": draw.normal(size=(len(methods), 3, side, side)),
        "pixel_arcmin": np.array(0.5),
        "alpha_beta": draw.normal(size=(3, side, side)),
        "alpha_beta_values": np.array([0.0, 0.5, 1.0]),
        "epsilon": draw.normal(size=(2, side, side)),
        "epsilon_values": np.array([1e-1, 1e-3]),
    }


def randomization_rows(methods=METHODS, layers=LAYERS):
    """Similarity 1 - 0.1 stage ± 0.02; deep Taylor is undefined in half of the repeats."""
    rows = []
    for method in methods:
        for mode in ("cascading", "independent"):
            for stage, layer in enumerate(layers, start=1):
                for repeat, offset in enumerate((-0.02, 0.02)):
                    empty = method.startswith("deep_taylor") and (repeat == 1 or stage == 2)
                    value = "" if empty else f"{1 - 0.1 * stage + offset}"
                    rows.append(
                        {
                            "data_set": "noisy",
                            "method": method,
                            "mode": mode,
                            "stage": str(stage),
                            "layer": layer,
                            "realization": "0",
                            "repeat": str(repeat),
                            **dict.fromkeys(saliency.COEFFICIENTS, value),
                            "output": "1",
                            "empty": str(int(empty)),
                        }
                    )
    return rows


def relevance_rows(cosmologies=3):
    edges = np.linspace(-2.5, 5.0, 21)
    rows = []
    for method in ("gradient", "input_x_gradient"):
        for number in range(cosmologies):
            for low, high in pairwise(edges):
                nobody = high == edges[-1]
                rows.append(
                    {
                        "data_set": "noiseless",
                        "method": method,
                        "cosmology": f"cosmology_{number}",
                        "omega_matter": "0.3",
                        "sigma_8": f"{0.7 + 0.1 * number}",
                        "bin_low": f"{low}",
                        "bin_high": f"{high}",
                        "share": f"{0.0 if nobody else 0.05 + 0.01 * number}",
                        "share_error": "0.01",
                        "per_pixel": "" if nobody else f"{np.exp(-low)}",
                        "per_pixel_error": "" if nobody else f"{2 * np.exp(-low)}",
                    }
                )
    return rows


def sensitivity_rows():
    return [
        {
            "data_set": data_set,
            "rule": rule,
            "value": f"{value}",
            "similarity": f"{similarity}",
            "similarity_scatter": "0.05",
            "randomized": "0.4",
            "randomized_scatter": "0.1",
        }
        for data_set in ("noiseless", "noisy")
        for rule, values in (("alpha_beta", (1.0, 0.0, 0.5)), ("epsilon", (1e-3, 1e-1)))
        for value, similarity in zip(values, (1.0, 0.8, 0.9), strict=False)
    ]


def known_answer_rows():
    rows = []
    for control, enrichments in (
        ("planted_low", ("8", "0.5", "0")),
        ("planted_high", ("2", "30", "0.1")),
        ("permuted_labels", ("", "", "")),
    ):
        for method, enrichment in zip(METHODS, enrichments, strict=True):
            rows.append(
                {
                    "control": control,
                    "method": method,
                    "enrichment": enrichment,
                    "enrichment_error": "0.6" if enrichment else "",
                    "found": "yes" if enrichment in ("8", "30") else "no",
                }
            )
    return rows


def figures():
    arrays = patch()
    arrays["maps"][1, 2] = 0.0
    return {
        "examples": saliency.examples(
            arrays["kappa"], arrays["methods"], arrays["maps"], arrays["pixel_arcmin"]
        ),
        "randomization": saliency.randomization_curves(randomization_rows(), "noisy"),
        "relevance": saliency.relevance_by_convergence(relevance_rows(), "noiseless"),
        "sensitivity": saliency.sensitivity(sensitivity_rows(), {"noiseless": arrays}),
        "known_answers": saliency.known_answers(known_answer_rows()),
    }


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.findobj(match=_is_text)]


def _is_text(artist):
    return hasattr(artist, "get_text") and bool(artist.get_text())


def shown(axes):
    (image,) = axes.images
    return image.get_array(), image.get_clim()


@pytest.mark.parametrize("number", [1, 3, 9, 12])
def test_examples_have_a_row_a_method_and_fit_a_page(number):
    methods = [*LABELLED, "my_method"][:number]
    arrays = patch(methods)
    figure = saliency.examples(arrays["kappa"], methods, arrays["maps"], 0.5)
    assert sum(len(axes.images) for axes in figure.axes) == 4 * number
    assert figure.get_figheight() <= 9.6 and figure.get_figwidth() == pytest.approx(7.1)
    told = texts(figure)
    for method in methods:
        assert label(method) in told
    for heading in ("Input", "Trained model", "Last layer randomized", "All layers randomized"):
        assert told.count(heading) == 1


def test_examples_are_centred_on_zero_with_limits_of_each_panel():
    arrays = patch(["gradient"], side=30)
    arrays["maps"][0, 0] = np.abs(arrays["maps"][0, 0])
    arrays["maps"][0, 1] *= -1e-42
    arrays["maps"][0, 2] = 0.0
    arrays["maps"][0, 2, 3, 3] = -7.0
    figure = saliency.examples(arrays["kappa"], ["gradient"], arrays["maps"], 0.5)
    positive, tiny, sparse = (shown(axes) for axes in figure.axes[1:4])
    assert positive[1] == tiny[1] == sparse[1] == (-1.0, 1.0)
    limit = np.percentile(np.abs(arrays["maps"][0, 0]), 99.5)
    np.testing.assert_allclose(positive[0], arrays["maps"][0, 0] / limit)
    assert 1.0 <= np.abs(tiny[0]).max() < 3.0
    assert sparse[0][3, 3] == pytest.approx(-1.0) and np.count_nonzero(sparse[0]) == 1
    assert "zero everywhere" not in texts(figure)
    assert [*figure.axes[0].images[0].get_extent()] == [0.0, 15.0, 0.0, 15.0]


def test_a_map_of_zeros_is_said_to_be_zero_in_its_own_panel():
    arrays = patch()
    arrays["maps"][1, 2] = 0.0
    figure = saliency.examples(arrays["kappa"], METHODS, arrays["maps"], 0.5)
    told = [[text.get_text() for text in axes.texts] for axes in figure.axes[:12]]
    assert [index for index, words in enumerate(told) if "zero everywhere" in words] == [7]


def test_randomization_has_means_bands_and_layers_from_the_output_on():
    figure = saliency.randomization_curves(randomization_rows(), "noisy")
    assert len(figure.axes) == 8
    for axes in figure.axes:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list(LAYERS)
        gradient = axes.lines[1]
        np.testing.assert_allclose(gradient.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_allclose(gradient.get_ydata(), [0.9, 0.8, 0.7, 0.6])
        (band,) = axes.collections[0].get_paths()
        np.testing.assert_allclose(sorted({*band.vertices[:, 1].round(9)})[0], 0.58)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [label(name) for name in METHODS]


def test_undefined_comparisons_are_left_out_of_the_mean_and_leave_a_gap():
    figure = saliency.randomization_curves(randomization_rows(), "noisy")
    deep_taylor = figure.axes[0].lines[2]
    np.testing.assert_allclose(deep_taylor.get_ydata(), [0.88, np.nan, 0.68, 0.58])


def test_no_two_methods_look_alike_and_each_keeps_its_look():
    for methods in ([*LABELLED], [f"method_{number}" for number in range(14)]):
        looks = saliency.looks(methods)
        assert len({(look.colour, look.marker) for look in looks.values()}) == len(methods)
        assert len({str(look) for look in looks.values()}) == len(methods)
    alone = saliency.looks(["smoothgrad", "mine"])
    assert alone["smoothgrad"] == saliency.looks(["smoothgrad"])["smoothgrad"]


def test_a_deep_network_names_some_of_its_layers():
    layers = ["dense", *(f"conv{number}" for number in range(50, 0, -1))]
    rows = randomization_rows(["gradient"], layers)
    figure = saliency.randomization_curves(rows, "noisy")
    named = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert named[0] == "dense" and len(named) <= 20 and set(named) <= set(layers)


def test_relevance_has_a_line_a_cosmology_coloured_by_s8():
    figure = saliency.relevance_by_convergence(relevance_rows(), "noiseless")
    upper, _, lower, _, bar = figure.axes
    assert "S_8" in bar.get_ylabel()
    for panel in figure.axes[:4]:
        lines = [line for line in panel.lines if len(line.get_xdata()) == 20]
        assert len(lines) == 3 == len({line.get_color() for line in lines})
        assert panel.get_xlim() == (-2.5, 5.0)
    assert lower.get_yscale() == "log" and upper.get_yscale() == "linear"
    np.testing.assert_allclose(upper.lines[0].get_ydata()[:19], 5.0)
    assert upper.lines[0].get_xdata()[0] == pytest.approx(-2.3125)
    drawn = next(line for line in lower.lines if len(line.get_xdata()) == 20)
    assert np.isnan(drawn.get_ydata()[-1])
    np.testing.assert_allclose(drawn.get_ydata()[0], np.exp(2.5))


def test_a_single_cosmology_needs_no_colour_bar():
    figure = saliency.relevance_by_convergence(relevance_rows(1), "noiseless")
    assert len(figure.axes) == 4


def test_sensitivity_has_both_data_sets_in_order_of_the_setting_and_the_maps():
    arrays = patch()
    figure = saliency.sensitivity(sensitivity_rows(), {"noisy": arrays, "noiseless": patch()})
    similar = figure.axes[0].containers
    assert [bars.get_label() for bars in similar] == ["Noiseless", "With shape noise"]
    np.testing.assert_allclose(similar[0].lines[0].get_xdata(), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(similar[0].lines[0].get_ydata(), [0.8, 0.9, 1.0])
    assert [axes.get_xscale() for axes in figure.axes[:4]] == ["linear", "log"] * 2
    titles = {axes.get_title(): axes for axes in figure.axes if axes.images}
    assert "With shape noise: trained model" in texts(figure)
    chosen = next(axes for title, axes in titles.items() if title.endswith("{10^{-3}}$"))
    limit = np.percentile(np.abs(arrays["epsilon"][1]), 99.5)
    np.testing.assert_allclose(shown(chosen)[0], arrays["epsilon"][1] / limit)


def test_known_answers_fill_what_was_found_and_keep_every_point_on_the_axis():
    figure = saliency.known_answers(known_answer_rows())
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    drawn = [line for line in axes.lines if line.get_marker() in "os<" and len(line.get_xdata())]
    assert len(drawn) == 6
    for line in drawn:
        (x,) = line.get_xdata()
        assert left < x < right
        assert (line.get_markerfacecolor() != "white") == (x in (8.0, 30.0))
    assert [line.get_marker() for line in drawn].count("<") == 1
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [label(name) for name in METHODS]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == [
        *("label planted in low κ", "label planted in high κ", "undecided", "largest elsewhere"),
    ]


def test_known_answers_of_one_method():
    rows = [row for row in known_answer_rows() if row["method"] == "gradient"]
    assert len(saliency.known_answers(rows).axes) == 1


HERE = Path(__file__).resolve().parent
_DRAW = """
import sys
sys.path.insert(0, sys.argv[1])
import test_saliency_figures
from kappascope.reporting import style
for name, figure in test_saliency_figures.figures().items():
    style.save_figure(figure, sys.argv[2] + "/" + name)
assert "jax" not in sys.modules
"""


def test_two_processes_write_the_same_bytes_without_jax(tmp_path, root):
    first, second = drawn_twice(_DRAW, HERE, tmp_path)
    assert len(first) == 10 and first == second


def test_figures_keep_the_house_style_whatever_the_users():
    with matplotlib.rc_context({"font.size": 30.0, "axes.linewidth": 9.0, "font.family": "serif"}):
        drawn = figures()
    for figure in drawn.values():
        assert figure.get_figwidth() == pytest.approx(style.DOUBLE_COLUMN_INCHES)
        for axes in figure.axes:
            assert axes.spines["left"].get_linewidth() == pytest.approx(0.7)
            assert axes.xaxis.label.get_fontfamily() == ["STIXGeneral"]


def test_figures_draw_what_the_files_hold(tmp_path):
    tables = {
        "randomization": randomization_rows(),
        "relevance": relevance_rows(),
        "sensitivity": sensitivity_rows(),
        "known_answers": known_answer_rows(),
    }
    inputs = {}
    for name, rows in tables.items():
        inputs[name] = str(tmp_path / f"{name}.csv")
        write_csv(inputs[name], rows)
        assert len(read_rows(inputs[name])) == len(rows)
    patches = [str(tmp_path / f"examples_{name}.npz") for name in ("noiseless", "noisy")]
    for path in patches:
        write_arrays(path, patch())
    for figure, examples, data_set in (
        ("saliency_examples", patches[0], "noiseless"),
        ("randomization", None, "noisy"),
        ("relevance", None, "noiseless"),
        ("sensitivity", patches, None),
        ("known_answers", None, None),
    ):
        given = SimpleNamespace(**inputs, examples=examples)
        spec = SimpleNamespace(data_set=data_set, data_sets=["noiseless", "noisy"])
        drawn = FIGURES[f"plot_{figure}"](given, spec)
        for stem, one in drawn.items():
            for file in style.save_figure(one, tmp_path / stem):
                assert file.stat().st_size > 1000

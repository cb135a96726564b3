"""Figures of grouped attributions draw what they are given."""

import itertools

import numpy as np
import pytest
from drawn import as_text
from invented import invented, picked

from kappascope.chapters.you2023 import (
    baselines,
    figures,
    planted,
    regions,
    structures,
    theorem,
)


@pytest.fixture
def weights() -> list[dict[str, str]]:
    rows = []
    for structure, parameter, threshold in itertools.product(
        figures.STRUCTURES, figures.PARAMETERS, (0.0, 1.0)
    ):
        none = structure == "cluster" and parameter == "omega_matter"
        rows.append(
            {
                "structure": structure,
                "parameter": parameter,
                "threshold": threshold,
                "weighting": "per_group",
                "weight_percent": "" if none else 42.0,
                "error": "" if none else 1.5,
                "share_percent": 30.0,
                "share_error": 2.0,
            }
        )
    return as_text(rows)


def texts(figure) -> str:
    """All that is written on a figure."""
    found = [text.get_text() for axis in figure.axes for text in axis.texts]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        legend = axis.get_legend()
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(found)


def test_the_theorem_shows_both_functions_and_the_program() -> None:
    figure = figures.theorem(as_text(list(theorem.rows(8, 5))))
    lines = figure.axes[0].get_lines()
    deletion = next(line for line in lines if "deletion" in str(line.get_label()))
    np.testing.assert_allclose(deletion.get_ydata()[[0, -1]], [1, 69])
    assert "linear program" in texts(figure) and figure.axes[0].get_yscale() == "log"
    # The total counts subsets: one of them has less and less to miss.
    each = next(line for line in figure.axes[1].get_lines() if "deletion" in str(line.get_label()))
    assert each.get_ydata()[-1] < each.get_ydata().max()


def test_histograms_say_means_published_values_and_that_there_are_none(weights) -> None:
    histogram = as_text(
        [
            {
                "structure": structure,
                "parameter": parameter,
                "low": low / 10,
                "high": (low + 1) / 10,
                "percent": 10.0,
                "error": 1.0,
            }
            for structure, parameter, low in itertools.product(
                figures.STRUCTURES, figures.PARAMETERS, range(10)
            )
        ]
    )
    usual = [row for row in weights if row["threshold"] == "0.0"]
    figure = figures.weight_histograms(histogram, usual, {("void", "sigma_8"): 54.0})
    told = texts(figure)
    assert "mean 42.0 ± 1.5 %" in told and "(published 54 %)" in told and "none" in told
    assert all(len(axis.patches) == 20 for axis in figure.axes)


def test_a_sweep_leaves_out_what_there_is_not(weights) -> None:
    figure = figures.threshold_sweep(weights, {"void": 0.0, "cluster": 2.0})
    drawn = [len(container[0].get_xdata()) for container in figure.axes[1].containers]
    assert drawn == [0, 2]
    assert "share of all weight" in texts(figure)


@pytest.fixture
def examples() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    masks = (generator.random((3, 3, 16, 16)) > 0.5).astype(float)
    scores = generator.random((3, 3, 2))
    scores[1, 2] = 0.0
    cluster = masks[:, 1].copy()
    cluster[2] = 0.0
    return {
        "maps": generator.normal(0, 0.02, (3, 16, 16)),
        "masks": masks,
        "scores": scores,
        "truth": generator.random((3, 2)),
        "prediction": generator.random((3, 2)),
        "void": masks[:, 0],
        "void_score": scores[:, 0],
        "cluster": cluster,
        "cluster_score": scores[:, 1],
    }


def test_a_gallery_has_a_row_a_map_and_three_groups(examples) -> None:
    figure = figures.gallery(examples, 105.0)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 3 * 4 - 1  # one map has but two groups
    assert "105 arcmin a side" in texts(figure)


def test_structures_name_what_a_map_lacks(examples) -> None:
    figure = figures.structures(examples, 105.0)
    assert "no cluster" in texts(figure)


def test_a_map_of_one_value_can_be_drawn(examples) -> None:
    examples["maps"][0] = 0.0
    figures.gallery(examples, 105.0)
    figures.structures(examples, 105.0)


def test_methods_are_compared_in_six_measures() -> None:
    measures = ("mse", "purity", "insertion", "deletion", "grouped_insertion", "grouped_deletion")
    rows = [
        {
            "method": method,
            "label": method,
            **{f"{name}{end}": "0.2" for name in measures for end in ("", "_error")},
        }
        for method in ("lime", "sum_of_parts")
    ]
    figure = figures.compared(rows)
    assert len(figure.axes) == 6
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "lime",
        "sum_of_parts",
    ]


def test_regions_are_shown_beside_moved_ones_and_published_differences() -> None:
    area = invented(
        regions.AREA,
        structure=structures.STRUCTURES,
        parameter=figures.PARAMETERS,
        bin={"low_percent": (0.0, 50.0), "high_percent": (50.0, 100.0)},
        share_percent=lambda row: 30.0 + row["low_percent"],
        null_percent=25.0,
    )
    order = invented(
        regions.ORDER,
        definition=regions.DEFINITIONS,
        structure=structures.STRUCTURES,
        difference_percent=picked({"void": 1.5, "cluster": -4.0}, "structure"),
    )
    figure = figures.regions(as_text(area), as_text(order), {"void": 1.4, "cluster": -6.0})
    left, right = figure.axes
    shares = [line.get_ydata() for line in left.get_lines() if len(line.get_xdata()) == 2]
    assert any(np.array_equal(share, [30.0, 80.0]) for share in shares)
    crosses = [line for line in right.get_lines() if line.get_marker() == "x"]
    (drawn,) = (np.asarray(line.get_xdata(), float) for line in crosses)
    assert drawn[np.isfinite(drawn)].tolist() == [1.4, -6.0]
    names = [label.get_text() for label in right.get_yticklabels()]
    assert len(names) == 6 and names[0].startswith("Voids, as published")
    assert "moved" in texts(figure)


def test_curves_of_every_method_against_area_are_over_the_networks_error() -> None:
    rows = invented(
        baselines.MASK_AREA,
        method=("random", "sum_of_parts"),
        label=lambda row: row["method"],
        area_percent=(10.0, 40.0),
        mse=picked({"random": 0.4, "sum_of_parts": 0.2}, "method"),
        error_ratio=picked({"random": 4.0, "sum_of_parts": 2.0}, "method"),
    )
    figure = figures.by_area(as_text(rows))
    drawn = [line.get_ydata() for line in figure.axes[0].get_lines()]
    assert any(np.allclose(line, [4.0, 4.0]) for line in drawn)
    assert any(np.allclose(line, [2.0, 2.0]) for line in drawn)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["random", "sum_of_parts"]


def test_hits_are_shown_for_every_target_with_the_sharpness_of_groups() -> None:
    rows = invented(
        planted.PLANTED,
        target=planted.TARGETS,
        method=("lime", "sum_of_parts"),
        label=picked({"lime": "LIME", "sum_of_parts": "Sum-of-parts"}, "method"),
        sharpness=picked({"sum_of_parts": 20.0}, "method", otherwise=""),
        hits_percent=picked({"lime": 30.0}, "method", otherwise=92.0),
    )
    figure = figures.found(as_text(rows))
    assert len(figure.axes) == 3 and figure.axes[0].get_xlim()[1] > 100
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["LIME", "Sum-of-parts, 20"]
    for axis in figure.axes:
        points = [
            x for line in axis.get_lines() if line.get_marker() in "oD" for x in line.get_xdata()
        ]
        assert sorted(map(float, points)) == [30.0, 92.0]


def test_ten_maps_stand_beside_every_method() -> None:
    generator = np.random.default_rng(0)
    names = ("maps", "LIME", "Grad-CAM", "Sum of parts")
    examples = {name: generator.normal(size=(12, 16, 16)) for name in names}
    figure = figures.attributions(examples)
    assert len(figure.axes) == 4 * 10
    assert all(axis.get_images() for axis in figure.axes)
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["map", "LIME", "Grad-CAM", "Sum of parts"]

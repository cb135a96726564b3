"""Band curves beside those of networks that learned nothing, and figures of both."""

import numpy as np
import pytest
from drawn import as_text
from invented import invented, picked

from kappascope.chapters.singh2020 import bands, learned, planted_band
from kappascope.chapters.singh2020.figures import bands as figures
from kappascope.chapters.singh2020.figures import planted_band as planted_figure


def peaks(contrast: float, error: float | str) -> list[dict]:
    return invented(
        bands.PEAKS,
        parameter=("omega_matter", "sigma_8"),
        method=("cd", "cd_rest"),
        group=("all", "1"),
        contrast=lambda row: contrast if row["group"] == "all" else 99.0,
        contrast_error=error,
        networks=2,
    )


def test_what_was_learned_is_the_difference_with_the_error_of_both() -> None:
    rows = list(learned.rows(peaks(0.5, 0.03), {"untrained": peaks(0.4, 0.04)}))
    assert len(rows) == 4 and {row["null"] for row in rows} == {"untrained"}
    for row in rows:
        assert set(row) == set(learned.LEARNED.columns)
        assert row["learned"] == pytest.approx(0.1)
        assert row["learned_error"] == pytest.approx(0.05)
        assert row["sigmas"] == pytest.approx(2.0)


def test_an_error_that_a_null_lacks_is_not_made_up_and_no_null_no_row() -> None:
    rows = list(learned.rows(peaks(0.5, 0.03), {"permuted_labels": peaks(0.4, "")}))
    assert {row["learned_error"] for row in rows} == {None}
    assert list(learned.rows(peaks(0.5, 0.03), {})) == []


def test_curves_of_nulls_are_drawn_over_their_own_mean() -> None:
    def curve(level: float) -> list[dict[str, str]]:
        return as_text(
            invented(
                bands.CURVES,
                parameter=("omega_matter", "sigma_8"),
                method=("cd", "cd_rest", "integrated_gradients"),
                group="all",
                place={"band": (0.1, 0.5, 0.9), "ell": (1e3, 5e3, 9e3)},
                score=lambda row: level * picked({0.1: 1.0, 0.5: 4.0, 0.9: 1.0}, "band")(row),
                error=0.01,
            )
        )

    figure = figures.beside_nulls({"trained": curve(0.1), "untrained": curve(-3.0)})
    assert len(figure.axes) == 2
    for axes in figure.axes:
        first, second = (line.get_ydata() for line in axes.get_lines()[:2])
        np.testing.assert_allclose(first, [0.5, 2.0, 0.5])
        np.testing.assert_allclose(second, [-0.5, -2.0, -0.5])
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["trained", "untrained"]


def test_hits_are_drawn_beside_those_before_training_and_by_chance() -> None:
    rows = invented(
        planted_band.PLANTED,
        target={"target": (1, 6), "low": (0.16, 0.73), "high": (0.28, 0.84)},
        method=("cd", "cd_rest"),
        label=lambda row: row["method"],
        hits_percent=80.0,
        untrained_percent=20.0,
        by_chance_percent=12.5,
    )
    figure = planted_figure.found(as_text(rows))
    assert len(figure.axes) == 2 and "0.16–0.28" in figure.axes[0].get_title()
    for axes in figure.axes:
        drawn = [list(map(float, line.get_xdata())) for line in axes.get_lines()]
        assert [80.0, 80.0] in drawn and [20.0, 20.0] in drawn and [12.5, 12.5] in drawn

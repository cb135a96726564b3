"""Figure 2 of Singh et al. (2020): topics that make a text look fake."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kappascope.attribution.labels import label
from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    BLACK,
    DOUBLE_COLUMN_INCHES,
    GREY,
    ORANGE,
    SKY_BLUE,
    VERMILION,
    figure_style,
)

_OTHERS = (("integrated_gradients", "s", ORANGE), ("input_x_gradient", "^", VERMILION))


def attribution_of_topics(rows: Sequence[Mapping[str, str]], accuracy: Mapping[str, str]) -> Figure:
    """Mean attribution of each topic, the highest on top.

    Parameters
    ----------
    rows : of ``topics.csv``.
    accuracy : the row of ``topics_accuracy.csv``.

    """
    by_method: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in rows:
        by_method.setdefault(row["method"], {})[row["topic"]] = row
    shown = list(by_method["cd"].values())
    place = np.arange(len(shown))[::-1]
    with figure_style():
        figure, axes = plt.subplots(figsize=(DOUBLE_COLUMN_INCHES, 0.27 * len(shown) + 1.15))
        axes.axvline(0, color=BLACK, lw=0.7)
        axes.barh(
            place,
            _column(shown, "attribution"),
            xerr=_column(shown, "error"),
            color=SKY_BLUE,
            height=0.7,
            error_kw={"lw": 1.0},
            label=label("cd"),
        )
        for method, marker, colour in _OTHERS:
            others = [by_method[method][row["topic"]] for row in shown]
            values, errors = _column(others, "attribution"), _column(others, "error")
            axes.errorbar(
                *(values, place - 0.18, None, errors),
                fmt=marker,
                ms=4,
                mfc="white",
                color=colour,
                lw=0.8,
                label=label(method),
            )
        axes.errorbar(
            *(_column(shown, "shuffled_attribution"), place + 0.2),
            xerr=_column(shown, "shuffled_scatter"),
            fmt="d",
            ms=3.5,
            color=GREY,
            lw=1.2,
            label=f"{label('cd')}, shuffled labels",
        )
        axes.set_yticks(place, [_name(row) for row in shown], fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="mean attribution to fake", ylim=(-0.6, len(shown) - 0.4))
        axes.set_title(_title(shown[0], accuracy), fontsize=9, loc="right")
        figure.legend(loc="outside lower right", ncols=2, fontsize=8)
    return figure


def _column(rows: Sequence[Mapping[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


def _name(row: Mapping[str, str]) -> str:
    return f"{row['words']} (planted)" if row["planted"] == "1" else row["words"]


def _title(row: Mapping[str, str], accuracy: Mapping[str, str]) -> str:
    right = f"{float(accuracy['accuracy_percent']):.1f} ± {float(accuracy['error_percent']):.1f} %"
    majority = f"{float(accuracy['majority_percent']):.1f} %"
    return (
        f"{row['source']}, {row['statements']} texts rightly called fake; "
        f"accuracy {right}, of the majority class {majority}"
    )


@FIGURES.add("plot_topics", makes=("fig2",))
def _plot_topics(inputs: Any, spec: Any) -> dict[str, Figure]:
    topics, accuracy = read_rows(inputs.topics), read_rows(inputs.accuracy)
    return {"fig2": attribution_of_topics(topics, accuracy[0])}

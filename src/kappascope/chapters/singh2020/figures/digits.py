"""Figure S3 of Singh et al. (2020): basis images of digits and the class each speaks for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN_INCHES,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    figure_style,
)

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE)
_USE = "class whose digits hold most of it"
COLUMNS = 10


def basis_images(
    images: np.ndarray,
    rows: Sequence[Mapping[str, str]],
    accuracy: Sequence[Mapping[str, str]],
) -> Figure:
    """Basis images, above each the class it speaks for by contextual decomposition.

    A class in parentheses is ahead of the next by less than two standard errors.

    Parameters
    ----------
    images : (component, y, x).
    rows : of ``digits.csv``.
    accuracy : of ``digits_accuracy.csv``.

    """
    named: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["method"] == "cd":
            named.setdefault(row["model"], []).append(row)
    columns = min(COLUMNS, len(images))
    lines = math.ceil(len(images) / columns)
    side = DOUBLE_COLUMN_INCHES / columns
    with figure_style():
        figure, axes = plt.subplots(
            lines,
            columns,
            figsize=(DOUBLE_COLUMN_INCHES, lines * (side + 0.2) + 0.75),
            squeeze=False,
        )
        for panel in axes.flat:
            panel.set_axis_off()
        for component, (panel, image) in enumerate(zip(axes.flat, images, strict=False)):
            panel.set_axis_on()
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(color="0.75", linewidth=0.5)
            panel.imshow(image, cmap="Greys", origin="upper", vmin=0)
            texts = [_class(model_rows[component]) for model_rows in named.values()]
            used = rows[component]["class_by_use"]
            _names_above(panel, [*texts, used], [*_colours(len(named)), BLACK])
        _legend(figure, list(named), accuracy)
    return figure


def _class(row: Mapping[str, str]) -> str:
    sure = float(row["margin"]) > 2 * float(row["margin_error"])
    return row["class"] if sure else f"({row['class']})"


def _colours(number: int) -> list[str]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(number)]


def _names_above(axes: Any, texts: Sequence[str], colours: Sequence[str]) -> None:
    for index, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        axes.text(
            *((index + 0.5) / len(texts), 1.03, text),
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            color=colour,
            fontsize=9,
            style="italic" if colour == BLACK else "normal",
        )


def _legend(figure: Figure, models: Sequence[str], accuracy: Sequence[Mapping[str, str]]) -> None:
    by_model = {row["model"]: row for row in accuracy}
    handles = [
        _key(
            f"{model} ({float(by_model[model]['accuracy_percent']):.1f} ± "
            f"{float(by_model[model]['error_percent']):.1f} % right)",
            colour,
        )
        for model, colour in zip(models, _colours(len(models)), strict=True)
    ]
    figure.legend(
        handles=[*handles, _key(_USE, BLACK)],
        loc="outside lower center",
        ncols=2,
        fontsize=8,
        title=f"{accuracy[0]['source']}; above each image, from left to right:",
        title_fontsize=8,
    )


def _key(text: str, colour: str) -> Line2D:
    return Line2D([], [], marker="s", ls="none", ms=5, color=colour, label=text)


@FIGURES.add("plot_digits", makes=("figS3",))
def _plot_digits(inputs: Any, spec: Any) -> dict[str, Figure]:
    images = read_arrays(inputs.basis)["images"]
    rows, accuracy = read_rows(inputs.components), read_rows(inputs.accuracy)
    return {"figS3": basis_images(images, rows, accuracy)}

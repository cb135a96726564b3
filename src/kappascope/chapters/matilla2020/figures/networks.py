"""Figures of the networks: learning curves, predicted against true parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray
from matplotlib.figure import Figure

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.files import read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import COLOURS, DOUBLE_COLUMN_INCHES, LABELS, figure_style


def learning_curves(histories: Mapping[tuple[str, int], Sequence[Mapping[str, str]]]) -> Figure:
    """Mean absolute error against epoch, one panel a data set, one pair of lines a seed.

    Parameters
    ----------
    histories : (data set, seed number) → rows of ``history.csv``.

    """
    with figure_style():
        names = list(dict.fromkeys(name for name, _ in histories))
        figure, axes = plt.subplots(
            1, len(names), figsize=(DOUBLE_COLUMN_INCHES, 2.9), sharey=True, squeeze=False
        )
        for panel, name in zip(axes[0], names, strict=True):
            for (data_set, number), rows in histories.items():
                if data_set == name:
                    _curve(panel, rows, COLOURS[name], label=number == 0)
            panel.set(title=LABELS[name], xlabel="epoch", yscale="log")
            panel.legend()
        axes[0, 0].set_ylabel(r"mean absolute error [$\sigma$ of the targets]")
    return figure


def _curve(axes: Any, rows: Sequence[Mapping[str, str]], colour: str, label: bool) -> None:
    epoch = [int(row["epoch"]) for row in rows]
    for column, style, name in (
        ("training_error", "-", "training maps"),
        ("held_out_error", "--", "maps of other simulations"),
    ):
        values = [float(row[column]) for row in rows]
        axes.plot(epoch, values, style, marker=".", color=colour, label=name if label else None)


def predicted_against_true(
    truth: Mapping[str, np.ndarray], predicted: Mapping[str, np.ndarray]
) -> Figure:
    """Mean and scatter of the predictions at each cosmology, a row a data set.

    Parameters
    ----------
    truth : data set → (map, 2) Ω_m and σ8.
    predicted : data set → (map, 2), the first network seed.

    """
    with figure_style():
        figure, axes = plt.subplots(
            len(truth), 2, figsize=(DOUBLE_COLUMN_INCHES, 3.1 * len(truth)), squeeze=False
        )
        for row, name in zip(axes, truth, strict=True):
            for column, (panel, parameter) in enumerate(
                zip(row, ("omega_matter", "sigma_8"), strict=True)
            ):
                true, predictions = truth[name][:, column], predicted[name][:, column]
                _points(panel, true, predictions, COLOURS[name])
                panel.set(
                    xlabel=f"true {LABELS[parameter]}", ylabel=f"predicted {LABELS[parameter]}"
                )
            row[0].set_title(LABELS[name], loc="left")
    return figure


def _points(axes: Any, true: np.ndarray, predicted: np.ndarray, colour: str) -> None:
    _, group = np.unique(true, return_inverse=True)
    count = np.bincount(group)
    centre = np.bincount(group, true) / count
    mean = np.bincount(group, predicted) / count
    scatter = np.sqrt(np.maximum(np.bincount(group, predicted**2) / count - mean**2, 0))
    axes.errorbar(centre, mean, scatter, fmt="o", ms=3, lw=0.8, color=colour)
    limits = [true.min(), true.max()]
    axes.plot(limits, limits, color="0.4", lw=0.8, zorder=0)


@FIGURES.add(
    "plot_networks",
    makes=(
        "learning_curve",
        "predicted_against_true",
    ),
)
def _plot_networks(inputs: Any, spec: Any) -> dict[str, Figure]:
    names = spec.data_sets
    keys = [(name, number) for name in names for number in range(spec.network.networks)]
    histories = {key: read_rows(path) for key, path in zip(keys, inputs.histories, strict=True)}
    truth, predicted = {}, {}
    for name, path in zip(names, inputs.predictions, strict=True):
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            testing = stored.sel(map=stored["split"].values.astype(str) == "testing")
            truth[name] = np.stack([testing[key].values for key in PARAMETERS], -1)
            predicted[name] = testing["prediction"].values[0]
    return {
        "learning_curve": learning_curves(histories),
        "predicted_against_true": predicted_against_true(truth, predicted),
    }

"""Figures of maps: the gallery, and the maps against theory."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kappascope.files import read_arrays, read_rows
from kappascope.reporting.figures import FIGURES
from kappascope.reporting.style import COLOURS, DOUBLE_COLUMN_INCHES, LABELS, figure_style

Rows = Sequence[Mapping[str, str]]


def gallery(maps: Mapping[str, np.ndarray], field_arcmin: float) -> Figure:
    """Three maps of the fiducial cosmology as each data set sees them.

    Parameters
    ----------
    maps : data set → (map, y, x) smoothed κ.
    field_arcmin : side of a map.

    """
    with figure_style():
        number = min(len(each) for each in maps.values())
        figure, axes = plt.subplots(
            len(maps),
            number,
            figsize=(DOUBLE_COLUMN_INCHES, 2.35 * len(maps)),
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        limit = field_arcmin / 60
        for row, (name, each) in zip(axes, maps.items(), strict=True):
            low, high = np.percentile(each[:number], [0.5, 99.8])
            for panel, convergence in zip(row, each, strict=False):
                picture = panel.imshow(
                    convergence, vmin=low, vmax=high, extent=(0, limit, 0, limit), cmap="cividis"
                )
            row[0].set_ylabel(f"{LABELS[name]}\n" + r"$\theta_y$ [deg]")
            figure.colorbar(picture, ax=row.tolist(), label=LABELS["kappa"], pad=0.01)
        for panel in axes[-1]:
            panel.set_xlabel(r"$\theta_x$ [deg]")
    return figure


def validation(
    power: Rows, moments: Rows, pdfs: Mapping[str, np.ndarray], edges: np.ndarray
) -> Figure:
    """Power over Limber + halofit, r.m.s. and skewness by cosmology, one-point distribution.

    Parameters
    ----------
    power, moments : rows of ``validation_power.csv`` and ``validation_moments.csv``.
    pdfs : data set → (bin) density of κ/σ; ``edges`` (bin + 1).

    """
    with figure_style():
        figure, axes = plt.subplots(2, 2, figsize=(DOUBLE_COLUMN_INCHES, 5.4))
        _power_ratio(axes[0, 0], power)
        _density(axes[0, 1], pdfs, edges)
        _moment(axes[1, 0], moments, "sigma_kappa", r"$\sigma_\kappa$ / expected", True)
        _moment(axes[1, 1], moments, "skewness", r"skewness of $\kappa$", False)
        axes[1, 0].axhspan(0.95, 1.05, color="0.9", zorder=0)
        axes[1, 1].axhspan(1.8, 2.6, color="0.9", zorder=0)
    return figure


def _named(row: Mapping[str, str]) -> str:
    return f"({float(row['omega_matter']):.3f}, {float(row['sigma_8']):.3f})"


def _power_ratio(axes: Any, power: Rows) -> None:
    axes.axhspan(0.9, 1.1, color="0.9", zorder=0)
    axes.axhline(1, color="0.4", lw=0.7)
    for name in dict.fromkeys(map(_named, power)):
        selected = [row for row in power if _named(row) == name]
        ell, value, error, limber = (
            np.array([float(row[key]) for row in selected])
            for key in ("ell", "power", "power_error", "limber")
        )
        axes.errorbar(ell, value / limber, error / limber, label=name, lw=1.1)
    axes.set(xscale="log", ylim=(0.5, 1.6), xlabel=LABELS["ell"])
    axes.set_ylabel(r"$P_\kappa$ / Limber halofit")
    axes.legend(title=r"$(\Omega_\mathrm{m}, \sigma_8)$", ncols=2, fontsize=7.5)


def _density(axes: Any, pdfs: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
    centres = 0.5 * (edges[1:] + edges[:-1])
    for name, density in pdfs.items():
        axes.plot(centres, density, color=COLOURS[name], label=LABELS[name])
    gaussian = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    axes.plot(centres, gaussian, color="0.4", ls=":", label="Gaussian")
    axes.set(yscale="log", ylim=(1e-5, 1), xlabel=r"$\kappa/\sigma_\kappa$", ylabel="density")
    axes.legend()


def _moment(axes: Any, moments: Rows, column: str, label: str, relative: bool) -> None:
    for name, marker in (("noiseless", "o"), ("noisy", "s")):
        selected = [row for row in moments if row["data_set"] == name]
        if not selected:
            continue
        x = np.array([float(row["omega_matter"]) for row in selected])
        scale = np.array([float(row["sigma_expected"]) if relative else 1.0 for row in selected])
        y = np.array([float(row[column]) for row in selected]) / scale
        error = np.array([float(row[f"{column}_error"]) for row in selected]) / scale
        axes.errorbar(x, y, error, fmt=marker, ms=4, color=COLOURS[name], label=LABELS[name])
    axes.set(xlabel=LABELS["omega_matter"], ylabel=label)
    axes.legend()


@FIGURES.add("plot_maps", makes=("gallery", "validation"))
def _plot_maps(inputs: Any, spec: Any) -> dict[str, Figure]:
    arrays = read_arrays(inputs.arrays)
    pictures = {name: arrays[f"gallery_{name}"] for name in spec.data_sets}
    densities = {name: arrays[f"pdf_{name}"] for name in spec.data_sets}
    power, moments = read_rows(inputs.power), read_rows(inputs.moments)
    return {
        "gallery": gallery(pictures, float(arrays["field_arcmin"])),
        "validation": validation(power, moments, densities, arrays["pdf_edges"]),
    }

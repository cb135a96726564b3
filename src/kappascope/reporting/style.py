"""The house style: one look, one palette and one way of saving for every figure.

The palette is that of Okabe and Ito (2008), told apart by readers with any common form of colour
blindness; where a figure's meaning hangs on colour, line weight or dash repeats it. Fonts come
from Matplotlib's wheel, so the same figure is drawn with the same bytes on any machine.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kappascope.files import atomic_path

BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#8C8C8C"

COLOURS: Mapping[str, str] = {
    "DNN": VERMILION,
    "statistic": BLUE,
    "both": BLACK,
    "cosmology": GREY,
    "published": PURPLE,
    "theory": BLACK,
    "PS": BLUE,
    "PC": ORANGE,
    "V0": GREEN,
    "V1": VERMILION,
    "V2": PURPLE,
    "All": BLACK,
    "omega_matter": BLUE,
    "sigma_8": VERMILION,
    "noiseless": BLUE,
    "noisy": VERMILION,
}
"""Colour by what a line stands for; the same thing has the same colour in every figure."""

LABELS: Mapping[str, str] = {
    "omega_matter": r"$\Omega_\mathrm{m}$",
    "sigma_8": r"$\sigma_8$",
    "kappa": r"$\kappa$",
    "ell": r"$\ell$",
    "noiseless": "Noiseless",
    "noisy": "With shape noise",
    "All": "PS + PC + MFs",
    "PS": "Power spectrum (PS)",
    "PC": "Peak counts (PC)",
    "V0": r"$V_0$",
    "V1": r"$V_1$",
    "V2": r"$V_2$",
    "DNN": "DNN",
}
"""Axis and legend labels."""

SINGLE_COLUMN_INCHES = 3.4
DOUBLE_COLUMN_INCHES = 7.1

_PARAMETERS: Any = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 10.0,
    "axes.labelsize": 11.0,
    "axes.titlesize": 11.0,
    "axes.linewidth": 0.7,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK]),
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 1.8,
    "figure.dpi": 100.0,
    "figure.constrained_layout.use": True,
    "image.cmap": "magma",
    "image.origin": "lower",
    "image.interpolation": "nearest",
    "savefig.dpi": 150.0,
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.hashsalt": "kappascope",
}


def s8_of(row: Mapping[str, Any]) -> float:
    """Return S8 = σ8 (Ω_m/0.3)^0.6 of a row with ``sigma_8`` and ``omega_matter``."""
    return float(row["sigma_8"]) * (float(row["omega_matter"]) / 0.3) ** 0.6


def s8_colours(rows: Iterable[Mapping[str, Any]]) -> ScalarMappable:
    """Return the colours of cosmologies by S8, from the lowest to the highest of the rows."""
    s8 = [s8_of(row) for row in rows]
    # Maps of one cosmology only have no range to colour.
    return ScalarMappable(Normalize(min(s8), max(max(s8), min(s8) + 1e-3)), "viridis")


def s8_bar(figure: Figure, axes: Any, rows: Iterable[Mapping[str, Any]], aspect: int) -> None:
    """Draw the colour bar of :func:`s8_colours` where there is more than one cosmology."""
    listed = list(rows)
    s8 = [s8_of(row) for row in listed]
    if max(s8) > min(s8):
        label = r"$S_8=\sigma_8(\Omega_\mathrm{m}/0.3)^{0.6}$"
        colours = s8_colours(listed)
        figure.colorbar(colours, ax=axes.ravel().tolist(), label=label, aspect=aspect, pad=0.01)


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the house style inside this context, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PARAMETERS)
        yield


def save_figure(
    figure: Figure, path_stem: str | Path, provenance: Mapping[str, Any] | None = None
) -> tuple[Path, Path]:
    """Write ``figure`` as PDF and PNG, atomically and with the same bytes every time.

    No dates are written. ``provenance`` (what the figure was drawn from, as JSON) stands in the
    PDF's ``Keywords`` and in the PNG's ``Description``.

    Parameters
    ----------
    figure : the figure; call this inside :func:`figure_style`, or leave the context before.
    path_stem : path without suffix, for example ``results/smoke/matilla2020/fig1``; a ``.pdf`` or
        ``.png`` at its end is taken off.
    provenance : anything that JSON can hold.

    Returns
    -------
    The paths of the PDF and of the PNG.

    """
    stem = Path(path_stem)
    if stem.suffix in {".pdf", ".png"}:
        stem = stem.with_suffix("")
    provenance_json = json.dumps(dict(provenance or {}), sort_keys=True, default=str)
    pdf = stem.parent / f"{stem.name}.pdf"
    png = stem.parent / f"{stem.name}.png"
    with figure_style():
        with atomic_path(png) as scratch:
            figure.savefig(
                scratch,
                format="png",
                metadata={
                    "Title": stem.name,
                    "Software": f"kappascope, Matplotlib {matplotlib.__version__}",
                    "Description": provenance_json,
                },
            )
        # Both have one layout, and finding it is half of the work: the canvas draws it as it is.
        layout = figure.get_layout_engine()
        figure.set_layout_engine("none")
        canvas, dpi = FigureCanvasPdf(figure), figure.dpi
        figure.dpi = matplotlib.rcParams["savefig.dpi"]  # of images on vectors
        with atomic_path(pdf) as scratch:
            canvas.print_pdf(
                scratch,
                metadata={
                    "Title": stem.name,
                    "Creator": "kappascope",
                    "Producer": f"Matplotlib {matplotlib.__version__}",
                    "Keywords": provenance_json,
                    "CreationDate": None,
                },
            )
        figure.dpi = dpi
        figure.set_layout_engine(layout)
    return pdf, png


def provenance(paths: Iterable[str | Path], **facts: Any) -> dict[str, Any]:
    """Say what a figure was drawn from: each file's name and the SHA-256 of its bytes.

    Parameters
    ----------
    paths : files that were read.
    facts : anything else worth telling, for example ``data_set="noisy"``.

    """
    inputs = {
        Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths
    }
    return {"inputs": inputs, **facts}


WHITE = 4.5
"""Stretched value, arcsinh(I/3σ), that pictures of galaxies draw as white."""


def composite(x: np.ndarray) -> np.ndarray:
    """Return (y, x, 3) colours of an image (y, x, band): reddest, middle and bluest band."""
    bands = x.shape[-1]
    chosen = [bands - 1, bands // 2 if bands > 2 else 0, 0]
    rgb = np.clip(np.asarray(x, float)[..., chosen] / WHITE + 0.08, 0, 1)
    if bands == 2:
        rgb[..., 1] = (rgb[..., 0] + rgb[..., 2]) / 2
    return rgb

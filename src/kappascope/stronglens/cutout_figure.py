"""Scored cut-outs and what a finder looks at in each, as a figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kappascope.attribution import labels
from kappascope.reporting.style import figure_style
from kappascope.stronglens.cutouts import Brought
from kappascope.stronglens.finders import Finder

SOFTENED = 3.0
"""Noise at which pictures turn from linear to logarithmic."""
BRIGHTEST = 99.7
"""Percentile of a picture's pixels that is white."""
BAR_ARCSEC = 5.0


def picture(brought: Brought) -> np.ndarray:
    """Return (y, x, 3) colours: reddest, middle and bluest band, arcsinh of light over noise."""
    light = brought.light - np.median(brought.light, (0, 1))
    shown = np.arcsinh(light / (SOFTENED * brought.noise))
    bands = shown.shape[-1]
    chosen = [bands - 1, bands // 2, 0]
    white = np.percentile(shown, BRIGHTEST, (0, 1))[chosen]
    return np.clip(shown[..., chosen] / np.where(white > 0, white, 1) * 0.95 + 0.05, 0, 1)


def explained(
    brought: Sequence[Brought],
    scores: Sequence[float] | np.ndarray,
    maps: Mapping[str, np.ndarray],
    finder: Finder,
) -> Figure:
    """Draw a row an object: its picture, and the size of each method's relevance.

    Parameters
    ----------
    scores : (object,) probability of a lens [%].
    maps : method → (object, y, x).

    """
    half = finder.field_arcsec / 2
    rows, columns = len(brought), 1 + len(maps)
    with figure_style():
        figure, panels = plt.subplots(
            rows,
            columns,
            squeeze=False,
            figsize=(1.75 * columns, 1.75 * rows + 0.35),
            sharex=True,
            sharey=True,
        )
        for row, (each, score) in enumerate(zip(brought, scores, strict=True)):
            extent = (-half, half, -half, half)
            panels[row, 0].imshow(picture(each), extent=extent)
            panels[row, 0].text(
                *(0.04, 0.96, f"{score:.0f} %"),
                transform=panels[row, 0].transAxes,
                color="white",
                va="top",
                fontsize=9,
            )
            name = each.name if len(each.name) <= 24 else f"{each.name[:22]}…"
            panels[row, 0].set_ylabel(name.replace("$", r"\$"), fontsize=8)
            for column, (method, values) in enumerate(maps.items(), 1):
                size = np.abs(values[row])
                panels[row, column].imshow(
                    size / max(float(size.max()), 1e-30), extent=extent, vmin=0, vmax=1
                )
                if row == 0:
                    panels[row, column].set_title(labels.family(method), fontsize=9)
            for panel in panels[row]:
                panel.set_xticks([])
                panel.set_yticks([])
        panels[0, 0].set_title(f"{' '.join(finder.bands)}, P(lens)", fontsize=9)
        last = panels[-1, 0]
        last.plot([-0.9 * half, -0.9 * half + BAR_ARCSEC], [-0.88 * half] * 2, "w", lw=2)
        last.text(-0.9 * half, -0.84 * half, f"{BAR_ARCSEC:g}″", color="white", fontsize=8)
    return figure

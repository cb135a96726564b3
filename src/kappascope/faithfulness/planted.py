"""Does a method point at what was planted: objects whose pixels are known.

The measure is the same for every method, whatever the unit and the sign of its map: how much of the
absolute relevance the planted mask holds, beside what the same mask holds at every other place of
the image (its circular shifts). A map finds the planted object where its own place holds more than
95 % of all places; a map that knows nothing does so in 5 % of images.
"""

from typing import Any

import numpy as np

from kappascope.reporting.errorbars import error_of_mean, proportion_error

FOUND = 0.95
"""Share of all places that the planted one must exceed."""
COLUMNS = """hits_percent (images in which the planted mask holds more of the relevance than 95 %
    of its shifts; 5 by chance), error, mass_percent (of the absolute relevance inside it),
    mass_error, area_percent, pointing_percent (images whose largest relevance lies inside),
    pointing_error, images"""
"""What :func:`judged` gives, for the columns of a table."""


def ranks(relevance: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return where the planted mask stands among all its shifts (image), 0 worst to 1 best.

    Parameters
    ----------
    relevance : (image, y, x), of any sign.
    truth : (image, y, x) bool, what was planted.

    Returns
    -------
    Share of shifts whose mask holds less, those that hold the same counting half.

    """
    weight = np.abs(relevance.astype(np.float64))
    spectra = np.fft.rfft2(weight) * np.fft.rfft2(truth).conj()
    held = np.fft.irfft2(spectra, weight.shape[-2:])
    own = held[:, :1, :1]
    rounding = 1e-9 * np.maximum(weight.sum((1, 2)), 1e-300)[:, None, None]
    less = (held < own - rounding).mean((1, 2))
    more = (held > own + rounding).mean((1, 2))
    return np.asarray(less + 0.5 * (1 - less - more))


def judged(relevance: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return the columns :data:`COLUMNS` for maps of one method.

    Parameters
    ----------
    relevance : (image, y, x).
    truth : (image, y, x) bool; images in which nothing was planted are left out.

    """
    there = truth.any((1, 2))
    relevance, truth = np.abs(relevance[there]), truth[there]
    number = len(truth)
    hit = float((ranks(relevance, truth) > FOUND).mean())
    total = relevance.sum((1, 2))
    # A map without any relevance holds none of it in the mask.
    mass = np.divide((relevance * truth).sum((1, 2)), total, out=np.zeros(number), where=total > 0)
    largest = relevance.reshape(number, -1).argmax(1)
    pointed = truth.reshape(number, -1)[np.arange(number), largest] & (total > 0)
    pointing = float(pointed.mean())
    return {
        "hits_percent": 100 * hit,
        "error": 100 * proportion_error(hit, number),
        "mass_percent": 100 * float(mass.mean()),
        "mass_error": error_of_mean(100 * mass),
        "area_percent": 100 * float(truth.mean()),
        "pointing_percent": 100 * pointing,
        "pointing_error": 100 * proportion_error(pointing, number),
        "images": number,
    }

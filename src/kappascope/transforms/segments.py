"""Watershed segments of convergence maps: the features of grouped attributions.

As in the notebooks of you2023: the map is cut to integers 255 κ modulo 256, zero is background
(|κ| < 1/255), and everything else is divided into basins around the points farthest from the
background. The cut makes both overdense and underdense regions foreground, kept apart by the
contour |κ| = 1/255; the original relied on what a cast of negative numbers happens to do.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Settings:
    """How maps are divided.

    Attributes
    ----------
    levels : steps of the map's values a unit of convergence.
    separation : least distance between the centres of basins [pixel].
    compactness : of the basins (scikit-image's ``watershed``).
    most : largest number of segments; the smallest beyond it join the background.

    """

    levels: float = 255.0
    separation: int = 10
    compactness: float = 0.01
    most: int = 64


DEFAULT = Settings()


def quantized(maps: np.ndarray, levels: float = 255.0) -> np.ndarray:
    """Return maps cut to integers modulo 256 (uint8); negative values come out large."""
    return np.mod(np.trunc(levels * maps).astype(np.int64), 256).astype(np.uint8)


def divide(map_: np.ndarray, settings: Settings = DEFAULT) -> np.ndarray:
    """Divide a map into segments that touch along sides or corners.

    Parameters
    ----------
    map_ : (y, x) convergence.

    Returns
    -------
    (y, x) int16 labels 0, 1, ..., every one of which occurs; the larger a basin the lower its
    label, and the background is 0 where there is any. A map without structure is one segment.

    """
    import scipy.ndimage
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    levels = quantized(map_, settings.levels).astype(int)
    foreground = levels > 0
    labels = np.zeros(map_.shape, np.int64)
    if foreground.any():
        distance = scipy.ndimage.distance_transform_edt(foreground)
        centres = peak_local_max(distance, min_distance=settings.separation, labels=levels)
        marked = np.zeros(map_.shape, bool)
        marked[tuple(centres.T)] = True
        markers, _ = scipy.ndimage.label(marked)
        basins = watershed(-distance, markers, mask=foreground, compactness=settings.compactness)
        labels = label(basins, background=0, connectivity=2)
    return _ordered(labels, settings.most)


def _ordered(labels: np.ndarray, most: int) -> np.ndarray:
    """Give basins labels by size, the smallest beyond ``most`` to the background."""
    basins, sizes = np.unique(labels[labels > 0], return_counts=True)
    order = basins[np.argsort(-sizes, kind="stable")]
    background = bool((labels == 0).any()) or len(order) > most
    kept = order[: most - background]
    table = np.zeros(labels.max() + 1, np.int16)
    table[kept] = np.arange(len(kept)) + background
    return table[labels]


def divide_all(maps: np.ndarray, settings: Settings = DEFAULT) -> np.ndarray:
    """Divide maps (map, y, x) one by one: (map, y, x) int16."""
    return np.stack([divide(map_, settings) for map_ in maps])

"""What stands on a figure, and something to draw."""

import numpy as np

SIDE, BANDS = 16, 4


def as_text(rows):
    return [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]


def written(figure) -> str:
    """All that is written on a figure."""
    found = [figure.get_supxlabel()]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        found += [text.get_text() for text in axis.texts]
        found += [text.get_text() for text in axis.get_yticklabels()]
        legend = axis.get_legend()
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(found)


def pictures(number: int, bands: int = BANDS) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1.5, (number, SIDE, SIDE, bands))

"""What stands on a figure, and something to draw."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np

SIDE, BANDS = 16, 4


def as_text(rows):
    return [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]


def drawn_twice(code: str, place: Path, folder: Path) -> list[list[str]]:
    """Checksums of what code draws in two processes whose hashes of text differ.

    Parameters
    ----------
    code : Python; gets ``place``, a folder to import from, and the folder to draw into.

    """
    digests = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(place), str(folder / seed)],
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(Path(__file__).parent)},
        )
        files = sorted((folder / seed).iterdir())
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    return digests


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

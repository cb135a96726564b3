"""What networks learn from: labels, the same labels in another order, or nothing at all.

The networks of a null run have learned nothing that holds outside: what its tables show is what no
finding may be mistaken for.
"""

from typing import Literal

import numpy as np

from kappascope import randomness

Learns = Literal["labels", "permuted_labels", "nothing"]
LABELS: Learns = "labels"
PERMUTED: Learns = "permuted_labels"
NOTHING: Learns = "nothing"


def given(learns: Learns, labels: np.ndarray, seed: int, of: str, index: int) -> np.ndarray:
    """Return the labels (input, ...) that a network is given.

    Parameters
    ----------
    of : which networks, for the draw.
    index : number of the network among its like; each has its own permutation.

    """
    if learns != PERMUTED:
        return labels
    draw = randomness.generator(seed, f"permuted labels of {of}", index)
    return labels[draw.permutation(len(labels))]

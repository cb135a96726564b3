"""What part of a band curve was learned: beside networks that learned nothing (singh2020).

A network with random weights has a peak too, and contextual decomposition that shares biases makes
every curve flat: how far a peak stands out says something only beside what untrained networks, and
networks of permuted labels, give.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kappascope.tables import Table

LEARNED = Table(
    "singh2020/band_learned.csv",
    "parameter × method × null",
    """parameter, method, null (untrained, permuted_labels), contrast (of the mean curve of all
    cosmologies), error, null_contrast, null_error, learned (contrast less the null's),
    learned_error, sigmas (the same over its error), ell, ell_error, null_ell, null_ell_error,
    networks, null_networks""",
)
Rows = Sequence[Mapping[str, Any]]


def rows(peaks: Rows, nulls: Mapping[str, Rows]) -> Iterator[dict[str, Any]]:
    """Yield contrasts and peaks beside those of each null.

    Parameters
    ----------
    peaks : rows of ``band_peaks.csv``, numbers as text or not.
    nulls : the same of null runs, by their kind.

    """
    for row in _whole(peaks):
        for kind, null_peaks in nulls.items():
            for null in _whole(null_peaks):
                if (null["parameter"], null["method"]) == (row["parameter"], row["method"]):
                    yield _beside(row, null, kind)


def _whole(peaks: Rows) -> list[Mapping[str, Any]]:
    return [row for row in peaks if row["group"] == "all"]


def _beside(row: Mapping[str, Any], null: Mapping[str, Any], kind: str) -> dict[str, Any]:
    learned = float(row["contrast"]) - float(null["contrast"])
    errors = [one["contrast_error"] for one in (row, null)]
    # An error that one of the two lacks is not known.
    error = math.hypot(*map(float, errors)) if all(e not in ("", None) for e in errors) else None
    return {
        "parameter": row["parameter"],
        "method": row["method"],
        "null": kind,
        "contrast": row["contrast"],
        "error": row["contrast_error"],
        "null_contrast": null["contrast"],
        "null_error": null["contrast_error"],
        "learned": learned,
        "learned_error": error,
        "sigmas": learned / error if error else None,
        "ell": row["ell"],
        "ell_error": row["error"],
        "null_ell": null["ell"],
        "null_ell_error": null["error"],
        "networks": row["networks"],
        "null_networks": null["networks"],
    }

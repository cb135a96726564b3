"""Which explanation sees relevance where the network finds what it knows."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from kappascope import randomness
from kappascope.attribution.labels import label
from kappascope.chapters.matilla2020.regions import REGIONS
from kappascope.chapters.matilla2020.table1 import NETWORK
from kappascope.tables import Table

RANKING = Table(
    "matilla2020/information_ranking.csv",
    "data set × method",
    """data_set, method, label, spearman (between a region's share of squared saliency beyond its
    share of pixels, and what the network loses by it beyond the control), error (of losses and
    shares), p (of as large a correlation by chance), regions""",
)

_DRAWS = 400


def ranking(
    information: Sequence[Mapping[str, Any]], shares: Sequence[Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Say how well shares of relevance order the regions by what the network loses with them.

    Parameters
    ----------
    information, shares : rows of ``information.csv`` and of ``method_shares.csv``, numbers or text.
    seed : ``seed`` of the config.

    Returns
    -------
    Rows of ``information_ranking.csv``. Losses are those of R² by a Gaussian filler, less those by
    the same regions moved elsewhere.

    """
    rows = []
    for data_set in dict.fromkeys(row["data_set"] for row in shares):
        lost = {
            (row["region"], row["place"]): row
            for row in information
            if (row["data_set"], row["filler"], row["reader"]) == (data_set, "gaussian", NETWORK)
        }
        regions = [name for name in REGIONS if (name, "own") in lost and (name, "shifted") in lost]
        pairs = [(lost[name, "own"], lost[name, "shifted"]) for name in regions]
        loss = _column([own["r2_lost"] for own, _ in pairs]) - _column(
            [moved["r2_lost"] for _, moved in pairs]
        )
        error = np.hypot(
            _column([own["r2_lost_error"] for own, _ in pairs]),
            _column([moved["r2_lost_error"] for _, moved in pairs]),
        )
        methods = dict.fromkeys(row["method"] for row in shares if row["data_set"] == data_set)
        for method in methods:
            cells = {
                row["region"]: row
                for row in shares
                if (row["data_set"], row["method"]) == (data_set, method)
            }
            share, share_error, pixels = (
                _column([cells[name][column] for name in regions])
                for column in ("share_percent", "error", "pixel_percent")
            )
            pixels = np.where(pixels > 0, pixels, np.nan)  # a region that no map has
            beyond = share - pixels
            draw = randomness.generator(seed, f"ranking {data_set} {method}")
            drawn = [
                _spearman(
                    beyond + share_error * draw.normal(size=len(share)),
                    loss + error * draw.normal(size=len(loss)),
                )
                for _ in range(_DRAWS)
            ]
            nominal = _spearman(beyond, loss)
            chance = [
                _spearman(beyond, loss[list(order)])
                for order in itertools.permutations(range(len(loss)))
            ]
            rows.append(
                {
                    "data_set": data_set,
                    "method": method,
                    "label": label(method),
                    "spearman": nominal if np.isfinite(nominal) else None,
                    "error": float(np.std(drawn)) if np.isfinite(drawn).all() else None,
                    "p": float(np.mean(np.array(chance) >= nominal - 1e-9)),
                    "regions": len(regions),
                }
            )
    return rows


def _column(cells: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if cell in (None, "") else float(cell) for cell in cells])


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3:
        return float("nan")
    ranks = [scipy.stats.rankdata(each[known]) for each in (one, other)]
    if min(np.ptp(each) for each in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])

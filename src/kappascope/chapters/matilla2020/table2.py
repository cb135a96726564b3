"""The randomization test in numbers: Table II with its scatter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from kappascope.attribution.labels import label
from kappascope.faithfulness.similarity import CORRELATIONS
from kappascope.reporting.errorbars import error_of_mean, proportion_error, scatter
from kappascope.tables import Table

Rows = Sequence[Mapping[str, Any]]
SIGNIFICANCE = 0.05
CURVES = Table(
    "matilla2020/randomization.csv",
    "data set × method × mode × stage × network × map × draw",
    """data_set, method, mode (cascading, independent), stage (1: output layer), layer, network,
    realization, repeat, pearson, spearman, kendall, ssim, output, empty""",
)
TABLE2_MAPS = Table(
    "matilla2020/table2_maps.csv",
    "data set × method × network × map × draw",
    """data_set, method, network, realization, repeat, output_trained, output_randomized, empty,
    pearson, pearson_p (as in the paper), pearson_shift_p (against shifted maps), spearman,
    spearman_p, spearman_shift_p, kendall, kendall_p, kendall_shift_p, ssim, pearson_input,
    null_pearson, null_spearman, null_kendall, null_ssim (of this draw's map and another draw's)""",
)
TABLE2 = Table(
    "matilla2020/table2.csv",
    "data set × method × coefficient",
    """data_set, method, label, coefficient (pearson, spearman, kendall, ssim), mean, scatter (over
    maps and draws), error (standard error of the mean, from the draws), low, high (95 % interval
    of the mean), p_mean (t-test of the mean being zero, over draws), p_paper, p_shift, p_null
    (medians; p_null against two networks drawn anew), rejected_paper, rejected_shift,
    rejected_null (fractions below 0.05), rejected_paper_error, rejected_shift_error,
    rejected_null_error, null_mean, null_scatter (of two networks drawn anew), comparisons
    (defined), empty (maps that were zero everywhere), input_correlation (Pearson of the trained
    map with κ)""",
)


def table2(rows: Rows) -> list[dict[str, Any]]:
    """Summarise comparisons with fully randomized networks (matilla2020 Table II).

    Parameters
    ----------
    rows : of ``table2_maps.csv``; empty cells are maps without a coefficient.

    Returns
    -------
    A row for each data set, method and coefficient: mean and standard deviation over maps and
    draws; standard error of the mean from the draws (maps share the weights of a draw, so they are
    not independent) with its 95 % interval and t-test; median p-values and fractions below 0.05,
    as in the paper, against shifted maps and against pairs of networks drawn anew on one input;
    how many comparisons are defined and how many maps were zero everywhere.

    Errors of the fractions are the larger of their scatter over draws and what so many draws can
    tell (:func:`kappascope.reporting.errorbars.proportion_error`).

    """
    out = []
    for data_set, method in dict.fromkeys((row["data_set"], row["method"]) for row in rows):
        pair = (data_set, method)
        selected = [row for row in rows if (row["data_set"], row["method"]) == pair]
        seen = _numbers(selected, "pearson_input")
        for name in (*CORRELATIONS, "ssim"):
            values, null = _numbers(selected, name), _numbers(selected, f"null_{name}")
            row: dict[str, Any] = {
                "data_set": data_set,
                "method": method,
                "label": label(method),
                "coefficient": name,
                "mean": _or_none(values.mean() if len(values) else None),
                "scatter": _or_none(scatter(values)),
                **_of_draws(selected, name),
                "null_mean": _or_none(null.mean() if len(null) else None),
                "null_scatter": _or_none(scatter(null)),
                "comparisons": len(values),
                "empty": sum(int(row["empty"]) for row in selected),
                "input_correlation": _or_none(seen.mean() if len(seen) else None),
            }
            for test in TESTS:
                p = _p_values(selected, name, test, null)
                row[f"p_{test}"] = _or_none(np.median(list(p.values())) if p else None)
                row[f"rejected_{test}"], row[f"rejected_{test}_error"] = _rejected(p)
            out.append(row)
    return out


TESTS = ("paper", "shift", "null")
_COLUMNS = {"paper": "_p", "shift": "_shift_p"}

FEWEST_NULLS = 19
"""Of fewer pairs no p-value can lie below 0.05."""

Draw = tuple[Any, Any]
"""Network and number of the draw."""


def _p_values(rows: Rows, name: str, test: str, null: np.ndarray) -> dict[tuple[Draw, Any], float]:
    """(draw, map) → p-value of one test; those against the null count themselves in."""
    out = {}
    for row in rows:
        cell = row.get(name if test == "null" else f"{name}{_COLUMNS[test]}")
        if cell in (None, "") or (test == "null" and len(null) < FEWEST_NULLS):
            continue
        value = float(cell)
        if test == "null":
            value = (1 + np.sum(np.abs(null) >= abs(value))) / (1 + len(null))
        out[(row["network"], row["repeat"]), row["realization"]] = value
    return out


def _rejected(p: Mapping[tuple[Draw, Any], float]) -> tuple[float | None, float | None]:
    """Share of p-values below 0.05, and its error over draws."""
    if not p:
        return None, None
    by_draw: dict[Draw, list[bool]] = {}
    for (draw, _), value in p.items():
        by_draw.setdefault(draw, []).append(value < SIGNIFICANCE)
    shares = [float(np.mean(each)) for each in by_draw.values()]
    share = float(np.mean([value < SIGNIFICANCE for value in p.values()]))
    return share, max(error_of_mean(shares) or 0.0, proportion_error(share, len(shares)))


def _of_draws(rows: Rows, column: str) -> dict[str, float | None]:
    """Error, 95 % interval and t-test of a mean over draws."""
    draws = dict.fromkeys((row["network"], row["repeat"]) for row in rows)
    means = [
        values.mean()
        for draw in draws
        if len(values := _numbers([r for r in rows if (r["network"], r["repeat"]) == draw], column))
    ]
    error = error_of_mean(means)
    if not error:
        return {"error": error, "low": None, "high": None, "p_mean": None}
    centre, free = float(np.mean(means)), len(means) - 1
    wide = float(scipy.stats.t.ppf(0.975, free)) * error
    p = 2.0 * float(scipy.stats.t.sf(abs(centre) / error, free))
    return {"error": error, "low": centre - wide, "high": centre + wide, "p_mean": p}


def _numbers(rows: Rows, column: str) -> np.ndarray:
    cells = [row.get(column) for row in rows]
    return np.array([float(cell) for cell in cells if cell not in (None, "")])


def _or_none(value: Any) -> float | None:
    return None if value is None else float(value)


NULL_TEST = Table(
    "matilla2020/null_test.csv",
    "data set × method",
    """data_set, method, label, passes_paper, passes_shift, passes_null (1: no coefficient's median
    p-value is below 0.05), kept_paper, kept_error (smallest share over coefficients that the
    paper's p-value does not reject), verdict (passes: the mean of every coefficient lies within
    ±0.1 with 95 % confidence; fails: one lies outside; else cannot tell), largest (mean farthest
    from zero)""",
)
NEGLIGIBLE = 0.1
"""A mean correlation below this counts as none; a threshold of ours."""


def null_test(rows: Rows) -> list[dict[str, Any]]:
    """Say which methods pass: by medians of p-values, and by an interval of the mean correlation.

    Parameters
    ----------
    rows : of :func:`table2`.

    Returns
    -------
    A row for each data set and method; None where no map of a randomized network had a coefficient.

    """
    out = []
    for data_set, method in dict.fromkeys((row["data_set"], row["method"]) for row in rows):
        selected = [
            row
            for row in rows
            if (row["data_set"], row["method"]) == (data_set, method)
            and row["coefficient"] in CORRELATIONS
        ]
        judged: dict[str, Any] = {
            "data_set": data_set,
            "method": method,
            "label": label(method),
        }
        for name in TESTS:
            medians = _numbers(selected, f"p_{name}")
            judged[f"passes_{name}"] = (
                int((medians >= SIGNIFICANCE).all()) if len(medians) else None
            )
        told = [row for row in selected if row["rejected_paper"] not in (None, "")]
        most = max(told, key=lambda row: float(row["rejected_paper"]), default=None)
        judged["kept_paper"] = None if most is None else 1.0 - float(most["rejected_paper"])
        judged["kept_error"] = None if most is None else most["rejected_paper_error"]
        means = _numbers(selected, "mean")
        judged["largest"] = float(means[np.argmax(np.abs(means))]) if len(means) else None
        judged["verdict"] = _verdict(_numbers(selected, "low"), _numbers(selected, "high"))
        out.append(judged)
    return out


def _verdict(low: np.ndarray, high: np.ndarray) -> str:
    if ((low > NEGLIGIBLE) | (high < -NEGLIGIBLE)).any():
        return "fails"
    if len(low) == len(CORRELATIONS) and ((low > -NEGLIGIBLE) & (high < NEGLIGIBLE)).all():
        return "passes"
    return "cannot tell"


AGREEMENT = Table(
    "matilla2020/method_agreement.csv",
    "data set × pair of methods",
    "data_set, method, other, pearson, scatter (between their maps of the trained networks)",
)


SENSITIVITY = Table(
    "matilla2020/sensitivity.csv",
    "data set × rule × value",
    """data_set, rule (alpha_beta, epsilon), value (β with α = 1 + β, or ε), similarity,
    similarity_scatter (Pearson with the default map), randomized, randomized_scatter (Pearson
    of trained and randomized)""",
)

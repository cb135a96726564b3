"""The randomization test in numbers: Table II with its scatter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kappascope.attribution.labels import label
from kappascope.faithfulness.similarity import CORRELATIONS
from kappascope.reporting.errorbars import error_of_mean, scatter
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
    spearman_p, spearman_shift_p, kendall, kendall_p, kendall_shift_p, ssim, pearson_input""",
)
TABLE2 = Table(
    "matilla2020/table2.csv",
    "data set × method × coefficient",
    """data_set, method, label, coefficient (pearson, spearman, kendall, ssim), mean, scatter (over
    maps and draws), error (standard error of the mean, from the draws), p_paper, p_shift
    (medians), rejected_paper, rejected_shift (fractions below 0.05), comparisons (defined), empty
    (maps that were zero everywhere), input_correlation (Pearson of the trained map with κ)""",
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
    not independent); median p-values and fractions below 0.05, as in the paper and against shifted
    maps; how many comparisons are defined and how many maps were zero everywhere.

    """
    out = []
    for data_set in dict.fromkeys(row["data_set"] for row in rows):
        inside = [row for row in rows if row["data_set"] == data_set]
        for method in dict.fromkeys(row["method"] for row in inside):
            selected = [row for row in inside if row["method"] == method]
            seen = _numbers(selected, "pearson_input")
            for name in (*CORRELATIONS, "ssim"):
                values = _numbers(selected, name)
                paper, shift = (
                    _numbers(selected, f"{name}_p"),
                    _numbers(selected, f"{name}_shift_p"),
                )
                out.append(
                    {
                        "data_set": data_set,
                        "method": method,
                        "label": label(method),
                        "coefficient": name,
                        "mean": _or_none(values.mean() if len(values) else None),
                        "scatter": _or_none(scatter(values)),
                        "error": _error_of_draws(selected, name),
                        "p_paper": _or_none(np.median(paper) if len(paper) else None),
                        "p_shift": _or_none(np.median(shift) if len(shift) else None),
                        "rejected_paper": _rejected(paper),
                        "rejected_shift": _rejected(shift),
                        "comparisons": len(values),
                        "empty": sum(int(row["empty"]) for row in selected),
                        "input_correlation": _or_none(seen.mean() if len(seen) else None),
                    }
                )
    return out


def _numbers(rows: Rows, column: str) -> np.ndarray:
    cells = [row.get(column) for row in rows]
    return np.array([float(cell) for cell in cells if cell not in (None, "")])


def _or_none(value: Any) -> float | None:
    return None if value is None else float(value)


def _rejected(p: np.ndarray) -> float | None:
    return float((p < SIGNIFICANCE).mean()) if len(p) else None


def _error_of_draws(rows: Rows, column: str) -> float | None:
    draws = dict.fromkeys((row["network"], row["repeat"]) for row in rows)
    means = [
        values.mean()
        for draw in draws
        if len(values := _numbers([r for r in rows if (r["network"], r["repeat"]) == draw], column))
    ]
    return error_of_mean(means)


NULL_TEST = Table(
    "matilla2020/null_test.csv",
    "data set × method",
    """data_set, method, label, passes_paper, passes_shift (1: no coefficient's median p-value is
    below 0.05)""",
)


def null_test(rows: Rows) -> list[dict[str, Any]]:
    """Say which methods pass: no coefficient's median p-value is below 0.05.

    Parameters
    ----------
    rows : of :func:`table2`.

    Returns
    -------
    A row for each data set and method; 1 for a pass, 0 for a failure, None where no map of a
    randomized network had a coefficient.

    """
    out = []
    for data_set, method in dict.fromkeys((row["data_set"], row["method"]) for row in rows):
        selected = [
            row
            for row in rows
            if (row["data_set"], row["method"]) == (data_set, method)
            and row["coefficient"] in CORRELATIONS
        ]
        verdict: dict[str, Any] = {
            "data_set": data_set,
            "method": method,
            "label": label(method),
        }
        for name in ("paper", "shift"):
            medians = _numbers(selected, f"p_{name}")
            verdict[f"passes_{name}"] = (
                int((medians >= SIGNIFICANCE).all()) if len(medians) else None
            )
        out.append(verdict)
    return out


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

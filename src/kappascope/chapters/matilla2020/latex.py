"""The tables as LaTeX, laid out as in the paper; plain ``tabular``, no packages needed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kappascope.chapters.matilla2020.table1 import TABLE1_STATISTICS
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.inference.credible import CREDIBILITIES

_NAMES = {"noiseless": "Noiseless", "noisy": "Noisy"}
_SAMPLES = {"fitted": "same maps", "held_out": "held-out maps"}
_SYMBOLS = {"omega_matter": r"\Omega_\mathrm{m}", "sigma_8": r"\sigma_8"}


def _number(value: float, error: float, digits: int, limit: str = "") -> str:
    if not math.isfinite(value):
        return "--"
    if 0.0 < error < 0.5 * 10.0**-digits:
        digits += 1  # an error rounded to zero would look like certainty
    text = {"upper": r"\leq ", "lower": r"\geq "}.get(limit, "") + f"{value:.{digits}f}"
    return f"${text} \\pm {error:.{digits}f}$" if math.isfinite(error) else f"${text}$"


def _tabular(columns: str, lines: Sequence[str]) -> str:
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *lines, r"\end{tabular}", ""])


def table1(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the change in credible area (matilla2020 Table I).

    Parameters
    ----------
    rows : rows of ``table1.csv``, numbers or their text.

    Returns
    -------
    LaTeX text; percent, with standard errors. Of a change that is cut by the edge of the simulated
    cosmologies only a limit is known.

    """
    cells = {
        (row["data_set"], int(row["credibility"]), row["statistic"]): _number(
            float(row["area_change_percent"]), float(row["error_percent"]), 0, row["limit"]
        )
        for row in rows
    }
    lines = [r"\hline", " & ".join(["Data set", "Credibility", *TABLE1_STATISTICS]) + r" \\"]
    for data_set in dict.fromkeys(row["data_set"] for row in rows):
        lines.append(r"\hline")
        for credibility in CREDIBILITIES:
            name = _NAMES.get(data_set, data_set) if credibility == CREDIBILITIES[0] else ""
            entries = [cells.get((data_set, credibility, key), "--") for key in TABLE1_STATISTICS]
            lines.append(" & ".join([name, rf"{credibility}\%", *entries]) + r" \\")
    lines.append(r"\hline")
    return _tabular("ll" + "r" * len(TABLE1_STATISTICS), lines)


def linear_model(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the correlations of the network's outputs with the linear model's (Eq. 5).

    Parameters
    ----------
    rows : rows of ``linear_model.csv``.

    Returns
    -------
    LaTeX text; rows are the network's outputs, columns the linear model's.

    """
    cells = {
        (row["data_set"], row["sample"], row["network"], row["linear"]): _number(
            float(row["pearson"]), float(row["standard_error"]), 2
        )
        for row in rows
    }
    heads = [rf"${_SYMBOLS[name]}^\mathrm{{lin}}$" for name in PARAMETERS]
    lines = [r"\hline", " & ".join(["Data set", "Sample", "", *heads]) + r" \\"]
    for data_set in dict.fromkeys(row["data_set"] for row in rows):
        for sample in dict.fromkeys(row["sample"] for row in rows):
            lines.append(r"\hline")
            titles = (_NAMES.get(data_set, data_set), _SAMPLES.get(sample, sample))
            for actual in PARAMETERS:
                symbol = rf"${_SYMBOLS[actual]}^\mathrm{{DNN}}$"
                entries = [cells[data_set, sample, actual, linear] for linear in PARAMETERS]
                lead = titles if actual == PARAMETERS[0] else ("", "")
                lines.append(" & ".join([*lead, symbol, *entries]) + r" \\")
    lines.append(r"\hline")
    return _tabular("lllrr", lines)


_LETTERS = {
    "×": r"$\times$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "ε": r"$\epsilon$",
    "_": r"\_",
}


def table2(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the randomization test (matilla2020 Table II).

    Parameters
    ----------
    rows : rows of ``table2.csv``, numbers or their text.

    Returns
    -------
    LaTeX text; each coefficient as mean and scatter, the median p-value as in the paper, and the
    one against shifted maps.

    """
    cells = {(row["data_set"], row["method"], row["coefficient"]): row for row in rows}
    names = {row["method"]: row["label"] for row in rows}
    coefficients = ("pearson", "spearman", "kendall")
    heads = [
        head for name in coefficients for head in (name.capitalize(), "$p$", r"$p_\mathrm{shift}$")
    ]
    lines = [r"\hline", " & ".join(["Data set", "Method", *heads]) + r" \\"]
    for data_set in dict.fromkeys(row["data_set"] for row in rows):
        lines.append(r"\hline")
        lead = _NAMES.get(data_set, data_set)
        for method, name in names.items():
            entries = []
            for coefficient in coefficients:
                row = cells.get((data_set, method, coefficient), {})
                entries.append(_number(_float(row.get("mean")), _float(row.get("scatter")), 3))
                entries += [
                    _number(_float(row.get(key)), math.nan, 3) for key in ("p_paper", "p_shift")
                ]
            latex_label = "".join(_LETTERS.get(letter, letter) for letter in name)
            lines.append(" & ".join([lead, latex_label, *entries]) + r" \\")
            lead = ""
    lines.append(r"\hline")
    return _tabular("ll" + "r" * len(heads), lines)


def _float(cell: Any) -> float:
    return math.nan if cell in (None, "") else float(cell)

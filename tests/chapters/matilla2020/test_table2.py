"""Table II by hand-made rows, and as LaTeX."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered import METHODS

from kappascope.chapters.matilla2020 import latex, table2
from kappascope.faithfulness import randomization, similarity
from kappascope.files import read_rows
from kappascope.reporting import errorbars


def made_up(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "data_set": "noiseless", "method": "gradient", "network": 0, "realization": 0, "repeat": 0,
        "output_trained": 1.0, "output_randomized": 1.0, "empty": 0,
        "pearson": 0.0, "pearson_p": 0.5, "pearson_shift_p": 0.5,
        "spearman": 0.0, "spearman_p": 0.5, "spearman_shift_p": 0.5,
        "kendall": 0.0, "kendall_p": 0.5, "kendall_shift_p": 0.5,
        "ssim": 0.1, "pearson_input": 0.2, **dict.fromkeys(randomization.NULLS.values()),
    }  # fmt: skip
    return {**row, **changes}


UNDEFINED: dict[str, Any] = {
    **{f"{name}{end}": None for name in similarity.CORRELATIONS for end in ("", "_p", "_shift_p")},
    "ssim": None,
    "empty": 1,
}


def by_hand() -> list[dict[str, Any]]:
    """Two maps and two draws; one map of the second draw is empty, one output is negative."""
    return [
        made_up(pearson=0.1, pearson_p=0.01, pearson_shift_p=0.20, pearson_input=0.1),
        made_up(
            pearson=0.3,
            pearson_p=0.02,
            pearson_shift_p=0.04,
            realization=1,
            output_randomized=-1.0,
        ),
        made_up(pearson=-0.2, pearson_p=0.30, pearson_shift_p=0.60, repeat=1, pearson_input=0.3),
        made_up(repeat=1, realization=1, **UNDEFINED),
    ]


def as_text(rows: Any, folder: Path) -> list[dict[str, str]]:
    table2.TABLE2_MAPS.write(folder / "rows.csv", rows)
    return read_rows(folder / "rows.csv")


def test_table2_by_hand(tmp_path: Path) -> None:
    for given in (by_hand(), as_text(by_hand(), tmp_path)):
        found = table2.table2(given)
        assert [row["coefficient"] for row in found] == ["pearson", "spearman", "kendall", "ssim"]
        assert all(set(row) == set(table2.TABLE2.columns) for row in found)
        row = found[0]
        assert (row["data_set"], row["method"], row["label"]) == (
            "noiseless", "gradient", "Gradient",
        )  # fmt: skip
        assert row["mean"] == pytest.approx(0.2 / 3)
        assert row["scatter"] == pytest.approx(np.sqrt(0.19 / 3))  # (1/900 + 49/900 + 64/900)/2
        assert row["error"] == pytest.approx(0.2)  # draws have means 0.2 and -0.2
        assert row["p_paper"] == pytest.approx(0.02)
        assert row["p_shift"] == pytest.approx(0.20)
        assert row["rejected_paper"] == pytest.approx(2 / 3)
        assert row["rejected_shift"] == pytest.approx(1 / 3)
        # of draws: (0.2 - 0)/0.2 on one degree of freedom, and 12.706 standard errors
        assert row["p_mean"] == pytest.approx(1.0)
        assert row["high"] == pytest.approx(12.7062 * 0.2, rel=1e-5)
        assert row["low"] == -row["high"]
        # shares of 1 and 0 in two draws scatter by more than two draws can tell
        assert row["rejected_paper_error"] == pytest.approx(0.5)
        assert (row["comparisons"], row["empty"]) == (3, 1)
        assert row["input_correlation"] == pytest.approx(0.2)
        similar = found[3]
        assert similar["mean"] == pytest.approx(0.1)
        for name in ("p_paper", "p_shift", "rejected_paper", "rejected_shift"):
            assert similar[name] is None


def test_table2_counts_a_draw_of_each_network() -> None:
    """Draws of one number start from other trained networks: four means, not two."""
    values = {(0, 0): 0.1, (0, 1): 0.2, (1, 0): 0.3, (1, 1): 0.6}
    given = [
        made_up(network=network, repeat=repeat, realization=number, pearson=value + shift)
        for (network, repeat), value in values.items()
        for number, shift in enumerate((-0.05, 0.05))
    ]
    row = table2.table2(given)[0]
    expected = np.std(list(values.values()), ddof=1) / 2
    assert row["error"] == pytest.approx(expected)


def test_table2_keeps_data_sets_and_methods_apart() -> None:
    given = [
        made_up(data_set=data_set, method=method, pearson=value)
        for value, (data_set, method) in enumerate(
            itertools.product(("noisy", "noiseless"), ("lrp_0", "gradient"))
        )
    ]
    found = [row for row in table2.table2(given) if row["coefficient"] == "pearson"]
    told = [(row["data_set"], row["method"], row["label"], row["mean"]) for row in found]
    assert told == [
        ("noisy", "lrp_0", "lrp_0", 0.0),
        ("noisy", "gradient", "Gradient", 1.0),
        ("noiseless", "lrp_0", "lrp_0", 2.0),
        ("noiseless", "gradient", "Gradient", 3.0),
    ]
    assert all(row["scatter"] is None and row["error"] is None for row in found)


def test_table2_of_empty_maps_only_has_a_row_and_no_numbers() -> None:
    row = table2.table2([made_up(**UNDEFINED, pearson_input=None)])[0]
    assert (row["comparisons"], row["empty"]) == (0, 1)
    numbers = set(table2.TABLE2.columns) - {
        "data_set", "method", "label", "coefficient", "comparisons", "empty",
    }  # fmt: skip
    assert all(row[name] is None for name in numbers)


def test_a_comparison_stands_beside_pairs_of_networks_drawn_anew() -> None:
    """Of forty pairs two are as much alike as the third map; the others lie beyond or below all."""
    pairs = np.linspace(0.01, 0.40, 40)
    given = [made_up(repeat=k, pearson=0.0, null_pearson=pair) for k, pair in enumerate(pairs)]
    given[0]["pearson"], given[1]["pearson"] = -0.385, 0.9
    row = table2.table2(given)[0]
    assert row["null_mean"] == pytest.approx(0.205)
    assert row["null_scatter"] == pytest.approx(np.std(pairs, ddof=1))
    assert row["p_null"] == pytest.approx(1.0)
    # (1 + 2)/41 is more than 5 %, 1/41 less
    assert row["rejected_null"] == pytest.approx(1 / 40)
    few = table2.table2([{**each, "null_pearson": None} for each in given[:18]] + given[18:30])
    assert few[0]["p_null"] is None and few[0]["null_mean"] is not None


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((-0.02, 0.03, 0.0, 0.01, -0.01), "passes"),
        ((0.5, 0.6, 0.4, 0.55, 0.45), "fails"),
        ((-0.5, -0.6, -0.4, -0.55, -0.45), "fails"),
        ((-0.3, 0.4, 0.1, 0.2, -0.2), "cannot tell"),
        ((0.0,), "cannot tell"),
    ],
)
def test_the_verdict_is_that_of_an_interval(means: tuple[float, ...], verdict: str) -> None:
    given = [
        made_up(repeat=draw, pearson=mean, spearman=mean / 2, kendall=mean / 3 + 1e-4 * draw)
        for draw, mean in enumerate(means)
    ]
    (judged,) = table2.null_test(table2.table2(given))
    assert judged["verdict"] == verdict
    assert abs(judged["largest"]) == pytest.approx(abs(np.mean(means)), abs=2e-4)
    assert (judged["kept_paper"], judged["kept_error"]) == (
        1.0,
        errorbars.proportion_error(0.0, len(means)),
    )


def test_unlike_maps_are_rejected_as_often_as_asked() -> None:
    """Both carry one envelope: the paper's p-value rejects most, pairs drawn anew do not."""
    draws = np.random.default_rng(5)
    envelope = 3.0 * np.exp(-np.hypot(*np.mgrid[-16:16, -16:16]) / 4.0)
    given = []
    for repeat in range(40):
        trained, one, other = envelope * draws.normal(size=(3, 32, 32))
        measured = similarity.correlations(trained, one)
        given.append(
            made_up(
                repeat=repeat,
                pearson=measured.pearson,
                pearson_p=measured.pearson_p,
                null_pearson=similarity.pearson(one, other),
            )
        )
    row = table2.table2(given)[0]
    assert row["rejected_paper"] > 0.3
    assert row["rejected_null"] < 0.15
    assert row["p_mean"] > 0.01


@pytest.mark.parametrize(
    ("paper", "shift", "verdict"),
    [
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (1, 1)),
        ((0.5, 0.5, 0.049), (0.5, 0.5, 0.5), (0, 1)),
        ((0.0, 0.0, 0.0), (0.5, 0.01, 0.5), (0, 0)),
        ((0.05, 0.05, 0.05), (0.05, 0.05, 0.05), (1, 1)),
        ((None, None, None), (None, None, None), (None, None)),
        ((None, 0.5, None), (None, 0.01, None), (1, 0)),
    ],
)
def test_null_test(paper: Any, shift: Any, verdict: tuple[Any, Any]) -> None:
    given = [
        {
            "data_set": "noisy", "method": "lrp_0", "label": "lrp_0", "coefficient": name,
            "p_paper": one, "p_shift": other, "rejected_paper": None,
        }
        for name, one, other in zip(similarity.CORRELATIONS, paper, shift, strict=True)
    ]  # fmt: skip
    ssim = {**given[0], "coefficient": "ssim", "p_paper": 0.0, "p_shift": 0.0}
    other = [{**row, "data_set": "noiseless", "p_paper": 1.0, "p_shift": 1.0} for row in given]
    found = table2.null_test([*given, ssim, *other])
    assert [set(row) for row in found] == 2 * [set(table2.NULL_TEST.columns)]
    told = {row["data_set"]: (row["passes_paper"], row["passes_shift"]) for row in found}
    assert told == {"noisy": verdict, "noiseless": (1, 1)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, None)),
        ([float("nan")], (None, None)),
        ([0.5, float("nan")], (0.5, None)),
        ([1.0, 3.0, float("nan")], (2.0, np.sqrt(2.0))),
    ],
)
def test_mean_and_scatter(values: list[float], expected: Any) -> None:
    found = errorbars.mean_and_scatter(values)
    assert found == pytest.approx(expected) if expected[0] is not None else found == expected


# Table II as LaTeX.


def cells_of(text: str) -> list[list[str]]:
    """Take a plain tabular apart; refuse what LaTeX would."""
    assert text.isascii(), [letter for letter in text if not letter.isascii()]
    lines = text.splitlines()
    assert lines[0].startswith(r"\begin{tabular}{") and lines[-1] == r"\end{tabular}"
    columns = lines[0].removeprefix(r"\begin{tabular}{").removesuffix("}")
    found = []
    for line in lines[1:-1]:
        if line == r"\hline":
            continue
        assert line.endswith(r" \\")
        cells = line.removesuffix(r" \\").split(" & ")
        assert len(cells) == len(columns)
        for cell in cells:
            pieces = cell.split("$")
            assert len(pieces) % 2, cell  # an even number of dollars
            for outside in pieces[::2]:
                assert not set("_^&%#") & set(outside.replace(r"\_", "")), cell
        found.append(cells)
    return found


def test_table2_as_latex() -> None:
    given = by_hand() + [
        made_up(method=method, data_set=data_set, pearson_p=0.0)
        for data_set in ("noiseless", "noisy")
        for method in ("inn_lrp_epsilon_bn_z", "inn_lrp_alpha1beta0_bn_z", "input_x_gradient")
    ]
    given += [made_up(data_set="noisy"), made_up(method="lrp_0"), made_up(method="lrp_0")]
    given += [made_up(method="lrp_0", data_set="noisy", **UNDEFINED)]
    head, *body = cells_of(latex.table2(table2.table2(given)))
    assert head[:5] == ["Data set", "Method", "Pearson", "$p$", r"$p_\mathrm{shift}$"]
    assert len(head) == 11 and len(body) == 10
    assert [row[0] for row in body] == ["Noiseless", "", "", "", "", "Noisy", "", "", "", ""]
    assert [row[1] for row in body[:5]] == [
        "Gradient", r"LRP-$\epsilon$", r"LRP-$\alpha$$\beta$", r"Input$\times$gradient", r"lrp\_0",
    ]  # fmt: skip
    assert body[0][2:5] == [r"$0.067 \pm 0.252$", "$0.020$", "$0.200$"]
    assert body[1][2:5] == ["$0.000$", "$0.000$", "$0.500$"]  # one map: no scatter
    assert body[9][2:] == 9 * ["--"]


def test_latex_of_a_file_is_latex_of_the_numbers(tmp_path: Path) -> None:
    summary = table2.table2([*by_hand(), made_up(method="lrp_0", **UNDEFINED)])
    table2.TABLE2.write(tmp_path / "table2.csv", summary)
    assert latex.table2(read_rows(tmp_path / "table2.csv")) == latex.table2(summary)


@pytest.mark.parametrize(
    "method",
    sorted(METHODS),
)
def test_every_label_is_text_that_latex_can_set(method: str) -> None:
    cells_of(latex.table2(table2.table2([made_up(method=method)])))

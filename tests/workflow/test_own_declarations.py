"""A figure and a finding that one file outside the package declares: the one in the how-to."""

import re
from pathlib import Path

import pytest
from checkouts import SMOKE, Checkout, jobs_run, rows_of

pytestmark = pytest.mark.workflow

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/own-figures.md"
MINE = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]


def given(file: Path) -> tuple[str, ...]:
    return (*SMOKE, f"extensions=['{file}']")


def test_they_are_made_with_nothing_else_written(rerun: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    ended = rerun.run("--cores", "2", "own_gains", "claims", *given(file))
    assert ended.status == 0, ended.text
    assert jobs_run(ended.text)["plot_gains"] == 1
    folder = rerun.root / "results/smoke"
    assert {path.name for path in (folder / "own").iterdir()} == {"gains.pdf", "gains.png"}
    gains = [
        float(row["area_change_percent"]) for row in rows_of(folder / "matilla2020/table1.csv")
    ]
    found = {row["finding"]: row["value"] for row in rows_of(folder / "matilla2020/findings.csv")}
    assert float(found["largest_gain"]) == min(gains)


def test_an_edit_draws_the_figure_again(rerun: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    assert rerun.run("--cores", "2", "own_gains", *given(file)).status == 0
    file.write_text(MINE.replace("(3, 2)", "(4, 2)"))
    assert rerun.planned("own_gains", *given(file))["plot_gains"] == 1


def test_a_figure_that_reads_nothing_is_told(pristine: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace(', reads=("matilla2020/table1.csv",)', ""))
    ended = pristine.run("--dry-run", "--cores", "1", *given(file))
    assert ended.status != 0 and "Traceback" not in ended.text
    assert f"error: {file}: figure 'plot_gains' needs" in ended.text

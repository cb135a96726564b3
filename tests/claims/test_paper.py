"""The paper: builds from a complete run, from an empty one, and with the same bytes twice."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typst

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import build_paper
import pages


def shown(root, results, tmp_path):
    """Pages of the paper as pictures, and all its figures and tables as text."""
    shutil.copytree(root / "paper", tmp_path / "paper")
    names = build_paper.gathered(results, tmp_path / "run", results / "paper.pdf")
    pages = typst.compile(
        tmp_path / "paper/paper.typ",
        root=tmp_path,
        format="png",
        ppi=20,
        ignore_system_fonts=True,
        sys_inputs={"available": json.dumps(names), "run": results.name},
    )
    figures = typst.query(
        tmp_path / "paper/paper.typ",
        "figure",
        root=tmp_path,
        ignore_system_fonts=True,
        sys_inputs={"available": json.dumps(names), "run": results.name},
    )
    return pages, figures


def test_a_complete_run_shows_every_table_and_figure(root, fake_run, tmp_path):
    pages, figures = shown(root, fake_run, tmp_path)
    assert isinstance(pages, list) and len(pages) >= 5
    assert "is not part of this run" not in figures
    for number in ("−93", "(", "≤ 1.89"):
        assert number in figures


def test_an_empty_run_says_what_is_missing(root, fake_run, tmp_path):
    results = tmp_path / "results/empty"
    results.mkdir(parents=True)
    build_paper.build(results, results / "paper.pdf")
    assert (results / "paper.pdf").read_bytes().startswith(b"%PDF")
    _, figures = shown(root, results, tmp_path)
    assert figures.count("is not part of this run") >= 17
    for name in ("fig1.pdf", "table1.csv", "map_properties.csv", "validation.pdf"):
        assert name in figures


def test_tables_of_any_length_stay_on_their_pages(fake_run, tmp_path):
    results = tmp_path / "default"
    shutil.copytree(fake_run, results)
    for table in results.glob("*/*.csv"):
        header, *rows = table.read_text().splitlines(keepends=True)
        table.write_text(header + "".join(rows) * 6)
    build_paper.build(results, results / "paper.pdf")
    assert pages.problems(results / "paper.pdf") == []


NUMBERS = [
    ("0.21946655", "0.00000015", "0.219"),  # rounding in single precision, no scatter
    ("0.21946655", "0.0015", "0.2195 ± 0.0015"),
    ("0.21946655", "", "0.219"),
    ("100", "9.4e-05", "100"),
    ("2.5e-40", "", "2.50 × 10⁻⁴⁰"),
    ("-3e-7", "4e-8", "−3.00 × 10⁻⁷ ± 4.0 × 10⁻⁸"),
    ("0", "0.012", "0.000 ± 0.012"),
    ("12345678", "", "1.23 × 10⁷"),
    ("none", "1", "none"),
]


@pytest.mark.parametrize(("value", "error", "shown_as"), NUMBERS)
def test_digits_follow_the_error_where_there_is_scatter(root, tmp_path, value, error, shown_as):
    shutil.copytree(root / "paper", tmp_path / "paper")
    (tmp_path / "paper/one.typ").write_text(
        f'#import "lib.typ": *\n#metadata(measured("{value}", error: {json.dumps(error)})) <it>\n'
    )
    found = typst.query(tmp_path / "paper/one.typ", "<it>", root=tmp_path, field="value")
    assert json.loads(found) == [shown_as]


def test_the_same_files_give_the_same_bytes(fake_run, tmp_path):
    for name in ("one.pdf", "two.pdf"):
        build_paper.build(fake_run, tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_a_changed_number_changes_the_paper(fake_run, tmp_path):
    results = tmp_path / "default"
    shutil.copytree(fake_run, results)
    build_paper.build(results, tmp_path / "one.pdf")
    table = results / "matilla2020/table1.csv"
    table.write_text(re.sub(r"noisy,95,All,-?[\d.]+", "noisy,95,All,-77.7", table.read_text()))
    build_paper.build(results, tmp_path / "two.pdf")
    assert (tmp_path / "one.pdf").read_bytes() != (tmp_path / "two.pdf").read_bytes()


def test_no_number_is_typed_into_the_paper(root):
    """Chapters hold no decimal number: every result is read from a file of the run."""
    for file in [root / "paper/abstract.typ", *(root / "paper/chapters").glob("*.typ")]:
        text = file.read_text(encoding="utf-8")
        prose = re.sub(r"#let .*|[\d.]+(?:em|cm|pt|%)|figures: \d+", "", text)
        assert re.findall(r"\d+\.\d+", prose) == [], file.name


def test_a_run_that_is_not_there_is_told_in_one_line(root, tmp_path):
    arguments = [sys.executable, root / "scripts/build_paper.py", "--run", "nothing"]
    ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1 and "nothing" in ran.stderr


@pytest.mark.parametrize("cell", ["nan", "", "inf", "-inf", "1e-5", "None"])
def test_odd_cells_do_not_stop_the_paper(fake_run, tmp_path, cell):
    results = tmp_path / "default"
    shutil.copytree(fake_run, results)
    for table in (results / "matilla2020").glob("*.csv"):
        table.write_text(re.sub(r"(?<=,)-?\d\.\d+e?-?\d*(?=,)", cell, table.read_text()))
    build_paper.build(results, results / "paper.pdf")

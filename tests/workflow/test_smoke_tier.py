"""The smoke tier from beginning to end, and what the workflow promises without running it."""

import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml
from checkouts import SMOKE, Checkout, jobs_of, rows_of

from kappascope.reporting import claims, findings, published, selecting, verdicts
from kappascope.reporting.figures import stems
from kappascope.reporting.published import NULL_KINDS
from kappascope.reporting.verdicts import STATUSES
from kappascope.stronglens import finders
from kappascope.stronglens.classifiers import CLASSES
from kappascope.workflow import configuration, reference

pytestmark = pytest.mark.workflow

FIGURES = [
    (chapter, stem)
    for chapter, listed in stems(["noiseless", "noisy"], without=("outputs", "classifier")).items()
    for stem in listed
]
NULL_TABLES = [
    f"results/smoke/{chapter}/{name}.csv"
    for chapter, names in {
        "matilla2020": (
            *("table1", "correlations", "linear_model", "leave_one_out", "table2"),
            *("network_accuracy", "relevance_shares"),
        ),
        "you2023": ("weights", "baselines"),
    }.items()
    for name in names
]
NAMES = ("data_set", "credibility", "statistic", "sign", "limit")
ALIASES = {
    "maps": "validate_maps",
    "statistics": "measure_statistics",
    "networks": "train_network",
    "matilla2020_table1": "gather_table1",
    "matilla2020_table2": "gather_table2",
    "matilla2020_fig1": "plot_fig1",
    "matilla2020_fig2": "plot_fig2",
    "matilla2020_fig3": "plot_fig3",
    "matilla2020_fig4": "plot_saliency_examples",
    "matilla2020_fig5": "plot_relevance",
    "matilla2020_fig6": "plot_relevance",
    "matilla2020_fig7": "plot_fig7",
    "matilla2020_linear_model": "fit_linear_model",
    "matilla2020_known_answers": "judge_methods",
    "matilla2020_published_network_contour": "plot_published_network",
    "singh2020": "learn_dictionaries",
    "singh2020_table1": "planted_frequency",
    "singh2020_fig2": "plot_topics",
    "singh2020_fig3": "plot_bands",
    "singh2020_fig4": "plot_bands",
    "singh2020_figS1": "plot_bands",
    "singh2020_figS2": "plot_sounds",
    "singh2020_figS3": "plot_digits",
    "you2023": "explain_groups",
    "you2023_weights": "explain_groups",
    "you2023_baselines": "gather_baselines",
    "wilde2022": "explain_lenses",
    "wilde2022_recall": "find_lenses",
    "rosenzweig2021": "nonlinear_saliency",
    "rosenzweig2021_fig1_galaxies": "plot_nonlinear",
    "claims": "write_claims",
    "paper": "build_paper",
}


def test_the_copys_own_source_is_what_runs(finished: Checkout) -> None:
    place = subprocess.run(
        [sys.executable, "-c", "import kappascope; print(kappascope.__file__)"],
        env=finished.environment,
        cwd=finished.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert place.strip() == str(finished.root / "src/kappascope/__init__.py")


def test_table1_holds_24_finite_numbers(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/matilla2020/table1.csv")
    keys = {(row["data_set"], row["credibility"], row["statistic"]) for row in rows}
    assert len(rows) == len(keys) == 24
    for row in rows:
        numbers = {name: value for name, value in row.items() if name not in NAMES}
        assert len(numbers) >= 7
        for name, value in numbers.items():
            assert math.isfinite(float(value)), (row["statistic"], name)


def test_table2_has_every_method_coefficient_and_data_set(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/matilla2020/table2.csv")
    section = configuration.load("smoke").matilla2020.saliency
    keys = {(row["data_set"], row["method"], row["coefficient"]) for row in rows}
    assert len(rows) == len(keys) == 2 * len(section.methods) * 4
    for row in rows:
        assert int(row["comparisons"]) + int(row["empty"]) == section.maps * section.repeats


def test_relevance_shares_are_percentages_of_every_region(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/matilla2020/relevance_shares.csv")
    assert len(rows) == 8
    assert all(0 <= float(row["share_percent"]) <= 100 for row in rows)


@pytest.mark.parametrize(("chapter", "name"), FIGURES)
def test_every_figure_is_there_as_pdf_and_png(finished: Checkout, chapter: str, name: str) -> None:
    path = finished.root / f"results/smoke/{chapter}/{name}"
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_lenses_are_scored_and_explained(finished: Checkout, real_data: Path) -> None:
    folder = finished.root / "results/smoke/wilde2022"
    for file in [*folder.glob("*.csv"), *(folder.parent / "rosenzweig2021").glob("*.csv")]:
        assert ",nan" not in file.read_text().lower(), file.name
    section = configuration.load("smoke").wilde2022.explanation
    accuracy = {row["measure"]: row for row in rows_of(folder / "finder.csv")}
    assert set(accuracy) == {"precision", "recall", "f1", "auc"}
    assert all(0 <= float(row["value"]) <= 1 for row in accuracy.values())
    real = rows_of(folder / "real.csv")
    assert {row["system"].split()[0] for row in real} == {"SLACS", "COSMOS-Web"}
    assert all(0 <= float(row["lens_percent"]) <= 100 for row in real)
    shares = {(row["method"], row["output"]) for row in rows_of(folder / "shares.csv")}
    assert shares == {(name, k) for name in section.methods for k in "01"}
    randomized = {row["method"] for row in rows_of(folder / "randomization.csv")}
    assert randomized == {n for n in section.methods if not n.startswith("grad_cam.")}


def test_nonlinear_saliency_is_told_for_every_example(finished: Checkout) -> None:
    folder = finished.root / "results/smoke/rosenzweig2021"
    section = configuration.load("smoke").rosenzweig2021
    rows = rows_of(folder / "examples.csv")
    assert len(rows) == 2 * 2 * (section.images + section.digits)
    for row in rows:
        assert float(row["best_percent"]) >= float(row["start_percent"]) - 1e-3
        assert row["rises"] in "01" and 0 <= float(row["at_limits_percent"]) <= 100
    kappa = rows_of(folder / "kappa.csv")
    assert len(kappa) == 2 * 2 * 2 * section.kappa_maps
    # The output is moved in the direction asked for, or told to be where it was.
    for row in kappa:
        change = float(row["change"])
        assert change >= 0 if row["direction"] == "up" else change <= 0


def test_groups_add_up_and_nothing_is_nan(finished: Checkout) -> None:
    folder = finished.root / "results/smoke/you2023"
    for file in folder.glob("*.csv"):
        assert "nan" not in file.read_text().lower().replace("omega_matter", ""), file.name
    accuracy = {row["reader"]: row for row in rows_of(folder / "accuracy.csv")}
    assert float(accuracy["sum_of_parts"]["additivity"]) < 1e-6
    scores: dict[tuple[str, str, str], float] = {}
    for row in rows_of(folder / "groups.csv"):
        key = (row["network"], row["map"], row["parameter"])
        scores[key] = scores.get(key, 0.0) + float(row["score"])
    section = configuration.load("smoke").you2023
    maps = section.structures.maps * configuration.load("smoke").cosmology.number
    assert len(scores) == 2 * maps * section.network.networks
    assert all(abs(score - 1) < 1e-4 for score in scores.values())
    compared = {row["method"] for row in rows_of(folder / "baselines.csv")}
    assert compared == {"random", "sum_of_parts", *section.baselines.methods}


def test_transformations_are_told_with_errors(finished: Checkout) -> None:
    folder = finished.root / "results/smoke/singh2020"
    for name, column, error in (
        ("band_accuracy", "r_squared", "error"),
        ("band_peaks", "ell", "error"),
        ("table1", "error_percent", "standard_error_percent"),
        ("topics", "attribution", "error"),
        ("digits", "score", "error"),
        ("sounds", "share_inside_percent", "error"),
        ("dictionary", "unexplained_percent", "unexplained_error"),
    ):
        rows = rows_of(folder / f"{name}.csv")
        assert rows, name
        for row in rows:
            assert math.isfinite(float(row[column])) and float(row[error]) >= 0, (name, row)


def test_tables_have_their_declared_columns(finished: Checkout) -> None:
    folder = finished.root / "results/smoke"
    declared = {}
    for chapter, tables in reference.declared_tables().items():
        places = [chapter] if "{" not in chapter else [path.name for path in folder.iterdir()]
        for table, place in itertools.product(tables, places):
            for name in re.findall(r"\w+\.csv", table.files):
                declared[folder / place / name] = ",".join(table.columns)
    found = {
        path: path.read_text(encoding="utf-8").splitlines()[0]
        for chapter in stems(["noisy"])
        for path in (folder / chapter).glob("*.csv")
    }
    assert len(found) > 50
    assert found == {path: declared.get(path) for path in found}


def test_every_claim_has_a_status_and_a_reason(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/claims.csv")
    ledger = published.load_claims(finished.root / "paper/claims.yaml")
    assert [row["id"] for row in rows] == [claim.id for claim in ledger]
    for row in rows:
        assert row["status"] in STATUSES, row
        assert row["reason"].strip() or row["status"] == "match", row


def test_every_number_of_a_network_has_its_null(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/claims.csv")
    chapters = configuration.load("smoke").nulls.untrained
    has_null = {
        claim.id
        for claim in published.load_claims(finished.root / "paper/claims.yaml")
        if claim.network and (claim.select or {}).get("table", "").split("/")[0] in chapters
    }
    for row in rows:
        attempted = row["id"] in has_null and row["value"] != ""
        assert (row["null"] == "untrained") == attempted, row
        if row["null"] == "":
            assert row["status"] not in ("match", "near") or row["id"] not in has_null, row


def test_a_run_whose_networks_learned_nothing_matches_nothing(rerun: Checkout) -> None:
    # Networks of the null run are others than those: the one is not measured by itself.
    ended = rerun.run("--cores", "2", *NULL_TABLES, *SMOKE, "learns=nothing")
    assert ended.status == 0, ended.text
    folder = rerun.root / "results/smoke"
    config = configuration.load("smoke").model_dump()
    findings.write(folder, config)
    rows = claims.check(published.load_claims(rerun.root / "paper/claims.yaml"), folder, config)
    told = [row for row in rows if row["null"]]
    assert len(told) > 100
    assert [row["id"] for row in told if row["status"] == "match"] == []
    ledger = published.load_claims(rerun.root / "paper/claims.yaml")
    tables = selecting.Tables(folder)
    without = [
        claim.id
        for claim in ledger
        if claim.id in {row["id"] for row in told}
        and verdicts.judge(claim, claims._measured(claim, tables, config)).status == "match"
    ]
    assert len(without) > 5


def test_a_runs_finders_say_what_they_read(finished: Checkout) -> None:
    images = configuration.load("smoke").wilde2022.images
    for task, classes in CLASSES.items():
        found = finders.read(finished.root / f"results/smoke/wilde2022/networks/{task}/0")
        assert found.name == f"{task}/0"
        assert found.bands == tuple(images.bands) and found.sampling == (32, images.pixel_arcsec)
        assert found.outputs == classes and found.scaling == finders.ARCSINH


def test_nothing_in_the_paper_leaves_its_page(finished: Checkout) -> None:
    assert pages.problems(finished.root / "results/smoke/paper.pdf") == []


def test_the_effective_config_lies_beside_the_results(finished: Checkout) -> None:
    written = yaml.safe_load((finished.root / "results/smoke/config.yaml").read_text())
    assert written == configuration.load("smoke").model_dump()


def test_nothing_half_written_stays(finished: Checkout) -> None:
    hidden = [path for path in finished.results() if path.name.startswith(".")]
    assert not hidden
    assert not list((finished.root / "results/.training").glob("*"))


def test_the_end_of_a_run_says_what_came_out_again(finished: Checkout) -> None:
    rows = rows_of(finished.root / "results/smoke/claims.csv")
    text = (finished.root / "run.txt").read_text()
    assert f"kappascope: {claims.sentence(rows)}" in text
    count = sum(row["section"] == "published" for row in rows)
    assert f"of {count} published results" in text


def test_scripts_warn_of_nothing(finished: Checkout) -> None:
    text = (finished.root / "run.txt").read_text()
    assert not re.findall(r"^.*(?:Warning|WARNING|Traceback).*$", text, flags=re.M)


def test_the_report_has_every_caption(rerun: Checkout) -> None:
    ended = rerun.run("--report", "report.html", "--cores", "1", *SMOKE)
    assert ended.status == 0, ended.text
    report = (rerun.root / "report.html").read_text(encoding="utf-8")
    for category in (
        *("Maps", "Networks", "Constraints", "Saliency", "Transformations", "Groups"),
        *("Lenses", "Nonlinear saliency", "Claims", "Paper"),
    ):
        assert f'"{category}"' in report, category
    assert "table1.csv" in report and "fig1.png" in report


def test_aliases_by_number_in_the_paper_and_by_stage(pristine: Checkout, real_data: Path) -> None:
    ended = pristine.run("--dry-run", "--cores", "1", *ALIASES)
    assert ended.status == 0, ended.text
    jobs = jobs_of(ended.text)
    for alias, maker in ALIASES.items():
        assert jobs[alias] == 1 and jobs[maker] >= 1, alias


def test_a_chapter_has_fewer_than_60_jobs_and_all_fewer_than_120(pristine: Checkout) -> None:
    """Null runs, whose tables only the ledger and a few figures read, not counted."""
    later = ("singh2020", "you2023", "wilde2022", "rosenzweig2021", "claims", "paper")
    # The target of the real network's outputs is not there without them.
    first = [name for name in ALIASES if not name.startswith((*later, "matilla2020_published"))]
    for targets, most in ((first, 60), ([], 120)):
        ended = pristine.run("--dry-run", "--cores", "1", *targets)
        assert ended.status == 0, ended.text
        jobs = jobs_of(ended.text)
        own = sum(number for rule, number in jobs.items() if not rule.startswith(NULL_KINDS))
        assert 10 < own - len(targets) < most


def test_without_the_real_network_outputs_all_else_is_made(
    pristine: Checkout, tmp_path: Path
) -> None:
    environment = {**pristine.environment, "KAPPASCOPE_REAL_DATA": str(tmp_path)}
    ended = subprocess.run(
        pristine.command("--dry-run", "--cores", "1", *SMOKE),
        cwd=pristine.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    jobs = jobs_of(ended.stdout + ended.stderr)
    assert jobs["build_paper"] == 1 and jobs["published_network"] == 0


def test_targets_stand_before_options(pristine: Checkout) -> None:
    """As README and Makefile have it: --config takes all that follows it."""
    assert pristine.planned("matilla2020_table1", *SMOKE)["plot_fig1"] == 0

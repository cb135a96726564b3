"""The ledger itself: complete, consistent with the paper, and judged rightly on known runs."""

import collections
import csv
import os
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from kappascope.errors import InputError
from kappascope.reporting import claims, findings, published
from kappascope.workflow import configuration


@pytest.fixture(scope="module")
def ledger(root):
    return published.load_claims(root / "paper/claims.yaml")


def statuses(ledger, folder, config):
    rows = claims.check(ledger, folder, config)
    return {row["id"]: row["status"] for row in rows}


def test_it_holds_all_24_entries_of_table_1(ledger):
    entries = [claim for claim in ledger if claim.id.startswith("matilla2020.table1.")]
    places = {tuple(claim.select["where"].values()) for claim in entries}
    assert len(entries) == len(places) == 24
    assert all(claim.published < 0 for claim in entries)
    for claim in entries:
        where = claim.select["where"]
        assert claim.id.endswith(".{data_set}_{credibility}_{statistic}".format(**where))
        assert claim.place == "Table I, {data_set}, {credibility} %, {statistic}".format(**where)


def paper_text(root):
    path = Path(
        os.environ.get("KAPPASCOPE_PAPERS", root.parent / "shared/papers"), "matilla2020.txt"
    )
    if not path.is_file():
        pytest.skip("the paper's text is not there (KAPPASCOPE_PAPERS)")
    return path.read_text(encoding="utf-8")


def test_table_1_is_as_printed(ledger, root):
    text = paper_text(root)
    printed = [
        tuple(map(int, found)) for found in re.findall(r"^(?:68|95)%" + r" (-\d+)" * 6, text, re.M)
    ]
    ours = [int(claim.published) for claim in ledger if claim.id.startswith("matilla2020.table1.")]
    assert [number for row in printed for number in row] == ours


def test_the_linear_model_is_as_printed(ledger, root):
    text = paper_text(root).replace("−", "-")
    block = text[text.index("The resulting average correlations") :][:900]
    printed = [float(number) for number in re.findall(r"-?0\.\d\d", block)]
    ours = [claim.published for claim in ledger if re.search(r"linear_model\.nois", claim.id)]
    for number in ours:
        assert number in printed


def test_ids_and_places_are_unique(ledger):
    assert max(collections.Counter(claim.id for claim in ledger).values()) == 1
    places = collections.Counter((claim.paper, claim.place) for claim in ledger)
    assert [place for place, count in places.items() if count > 1] == []


def test_nothing_made_means_nothing_attempted_but_the_set_up(ledger, tmp_path):
    found = statuses(ledger, tmp_path, configuration.load().model_dump())
    assert len(found) == len(ledger)
    config_only = {claim.id for claim in ledger if claim.select and "config" in claim.select}
    assert {claim.section for claim in ledger if claim.id in config_only} == {"set-up"}
    for name, status in found.items():
        assert (status == "not attempted") == (name not in config_only), name


def test_the_paper_tier_has_the_published_set_up(ledger, tmp_path):
    config = configuration.load("paper").model_dump()
    findings.write(tmp_path, config)
    found = statuses(ledger, tmp_path, config)
    set_up = {
        name: status for name, status in found.items() if name.startswith("matilla2020.setup.")
    }
    assert set(set_up.values()) == {"match"}, set_up


def test_a_run_with_the_published_numbers_matches(ledger, fake_run):
    found = statuses(ledger, fake_run, configuration.load().model_dump())
    table = [status for name, status in found.items() if name.startswith("matilla2020.table1.")]
    assert table.count("match") >= 20 and set(table) <= {"match", "near"}
    for name in ("all_negative", "tightest_noiseless", "tightest_noisy", "gain_noisy"):
        assert found[f"matilla2020.constraints.{name}"] == "match"
    for name, status in found.items():
        if ".linear_model." in name:
            assert status == "match", name


def test_its_null_runs_match_nothing(ledger, fake_run, tmp_path):
    config = configuration.load().model_dump()
    for kind in published.null_runs(config):
        (tmp_path / "null").mkdir(exist_ok=True)
        (tmp_path / "null" / kind).symlink_to(fake_run / "null" / kind)
    for chapter in (fake_run / "null/untrained").iterdir():
        (tmp_path / chapter.name).symlink_to(chapter)
    of_networks = {claim.id for claim in ledger if claim.network}
    found = statuses(ledger, tmp_path, config)
    assert "match" not in {found[name] for name in of_networks}
    assert {found[name] for name in of_networks} >= {"differs", "uninformative"}


def test_what_depends_on_no_network_needs_no_null(ledger):
    for claim in ledger:
        if claim.section == "set-up":
            assert not claim.network, claim.id


def test_own_thresholds_are_not_counted_as_published(ledger):
    for claim in ledger:
        if "we ask" in (claim.shown or "") or "by our reading" in claim.place:
            assert claim.section == "our reading", claim.id


def test_every_selector_finds_its_column_in_a_complete_run(ledger, fake_run):
    rows = claims.check(ledger, fake_run, configuration.load().model_dump())
    missing = [row["id"] for row in rows if row["status"] == "not attempted"]
    assert missing == [claim.id for claim in ledger if claim.not_attempted]


def test_a_positive_entry_is_told(ledger, fake_run, tmp_path):
    folder = tmp_path / "matilla2020"
    folder.mkdir()
    text = (fake_run / "matilla2020/table1.csv").read_text().splitlines()
    cells = text[6].split(",")
    cells[3] = "12.5"
    (folder / "table1.csv").write_text("\n".join([*text[:6], ",".join(cells), *text[7:]]) + "\n")
    rows = {
        row["id"]: row for row in claims.check(ledger, tmp_path, configuration.load().model_dump())
    }
    row = rows["matilla2020.constraints.all_negative"]
    assert row["status"] == "differs" and row["value"] == 23
    assert "1 of 24 are not negative: noiseless 68 All 12.5 ± 2" in row["reason"]


def written(root, folder):
    """Write the ledger of the run in a folder as the rule does."""
    main = runpy.run_path(str(root / "scripts/write_claims.py"))["main"]
    inputs = SimpleNamespace(claims=root / "paper/claims.yaml", config=folder / "config.yaml")
    main(inputs, SimpleNamespace(claims=folder / "claims.csv"), None)


def test_the_script_writes_the_ledger_of_a_run(root, fake_run, capsys):
    path = fake_run / "claims.csv"
    before = path.read_text()
    path.unlink()
    written(root, fake_run)
    told = capsys.readouterr().out
    assert path.read_text() == before
    assert re.search(r"matilla2020: \d+ match, \d+ near, \d+ differs, \d+ uninformative", told)
    assert re.search(r"of \d+ published results \d+ were reproduced", told)
    with open(path, newline="", encoding="utf-8") as handle:
        assert {row["status"] for row in csv.DictReader(handle)} <= set(claims.STATUSES)


def test_a_run_without_its_config_is_told_in_one_line(root, tmp_path):
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read") as told:
        written(root, tmp_path)
    assert "\n" not in str(told.value)

"""Selectors and judgements of the ledger on small made-up tables."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.errors import InputError
from kappascope.files import write_csv
from kappascope.reporting import claims, selecting
from kappascope.reporting.published import Claim, load_claims
from kappascope.workflow import configuration

CONFIG = configuration.load().model_dump()


def claim(published, tolerance, select=None, **more):
    return Claim("paper.group.one", "paper", "here", published, tolerance, select, **more)


@pytest.fixture
def run(tmp_path):
    rows = [
        {"set": "a", "level": 68, "name": "V0", "value": 4.0, "error": 0.5, "distance": 0.0},
        {"set": "a", "level": 68, "name": "V1", "value": -3.0, "error": 0.5, "distance": 0.1},
        {"set": "a", "level": 95, "name": "V0", "value": 2.0, "error": "nan", "distance": 0.2},
        {"set": "b", "level": 68, "name": "V0", "value": 8.0, "error": 1.0, "distance": 0.3},
        {"set": "b", "level": 68, "name": "V1", "value": -1.0, "error": 0.0, "distance": 0.4},
        {"set": "b", "level": 95, "name": "V0", "value": "nan", "error": 0.1, "distance": 0.5},
    ]
    write_csv(tmp_path / "table.csv", rows)
    return selecting.Tables(tmp_path)


def select(**keys):
    return {"table": "table.csv", "column": "value", "error": "error", **keys}


def measure(run, **keys):
    return selecting.measure(select(**keys), run, CONFIG)


# ------------------------------------------------------------------------------- selecting


def test_a_single_cell_with_its_error(run):
    ours = measure(run, where={"set": "a", "level": 68, "name": "V0"})
    assert (ours.value, ours.error) == (4.0, 0.5)


def test_numbers_compare_as_numbers_and_errors_may_be_unknown(run):
    ours = measure(run, where={"set": "a", "level": 95.0, "name": "V0"})
    assert (ours.value, ours.error) == (2.0, None)
    assert measure(run, where={"set": "b", "name": "V1"}).error is None


def test_one_of_several_values_of_a_column(run):
    ours = measure(run, where={"set": "a", "level": [95.0, 77], "name": ["V0", "V9"]})
    assert ours.value == 2.0


@pytest.mark.parametrize(("word", "name"), [("smallest", "V1"), ("largest", "V0")])
def test_which_name_comes_first(run, word, name):
    ours = measure(run, where={"set": "a", "level": 68}, **{word: "name"})
    assert (ours.value, ours.error) == (name, None)
    assert ours.series.labels == ["V0", "V1"] and ours.series.values == [4.0, -3.0]
    assert ours.series.errors == [0.5, 0.5]


def test_several_rows_are_for_signs_alone(run):
    chosen = select(where={"set": "a"})
    ours = claims._measured(claim(-1, {"kind": "sign"}, chosen), run, CONFIG)
    assert ours.value == 1.0 and ours.series.labels == ["a", "a", "a"]
    told = claims._measured(claim(-1, {"kind": "bound", "at": "most"}, chosen), run, CONFIG)
    assert told == "3 rows fit where one is expected"


def test_config_values(run):
    edge = {"config": "statistics.kappa_range_noisy.1"}
    assert selecting.measure(edge, run, CONFIG).value == 0.1


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"table": "none.csv"}, "none.csv is not part of this run"),
        ({"column": "nothing"}, "no column nothing"),
        ({"where": {"set": "c"}}, "no row with set = c"),
        ({"where": {"nothing": 1}}, "no row with nothing = 1"),
        ({"where": {"set": ["c", "d"], "distance": 9}}, "c or d, distance = 9"),
        ({"where": {"set": "b", "level": 95}}, "not a number"),
        ({"where": {"set": "a"}}, "3 rows fit where one is expected"),
        ({"table": None, "config": "maps.nothing"}, "the config has no maps.nothing"),
    ],
)
def test_what_is_missing_is_told_and_never_an_error(run, keys, told):
    chosen = {name: value for name, value in select(**keys).items() if value is not None}
    one = claim(1, {"kind": "digits", "value": 0}, chosen)
    ours = claims._measured(one, run, CONFIG)
    assert isinstance(ours, str) and told in ours
    assert claims.judge(one, ours) == ("not attempted", ours)


# --------------------------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("published", "tolerance", "value", "error", "status"),
    [
        (-93, {"kind": "digits", "value": 0.5}, -92.5, None, "match"),
        (-93, {"kind": "digits", "value": 0.5}, -92.4, None, "differs"),
        (-93, {"kind": "digits", "value": 0.5}, -92.4, 0.3, "near"),
        (-93, {"kind": "digits", "value": 0.5}, -47.0, 6.0, "differs"),
        (-93, {"kind": "digits", "value": 0.5, "near": 5}, -88.0, None, "near"),
        (-93, {"kind": "digits", "value": 0.5, "near": 5}, -87.9, None, "differs"),
        (0.0117, {"kind": "digits", "value": 0.00005}, 0.01175, None, "match"),
        (0.0117, {"kind": "digits", "value": 0.00005, "near": "5%"}, 0.0122, None, "near"),
        (10, {"kind": "sigma", "value": 1}, 12, 2.0, "match"),
        (10, {"kind": "sigma", "value": 1}, 12.1, 2.0, "near"),
        (10, {"kind": "sigma", "value": 1}, 17, 2.0, "differs"),
        (10, {"kind": "sigma", "value": 1}, 10.1, None, "differs"),
        (0.2, {"kind": "bound", "at": "most"}, 0.2, None, "match"),
        (0.2, {"kind": "bound", "at": "most"}, 0.1, None, "match"),
        (0.2, {"kind": "bound", "at": "most"}, 0.25, 0.02, "near"),
        (0.2, {"kind": "bound", "at": "most"}, 0.25, 0.01, "differs"),
        (0.5, {"kind": "bound", "at": "least"}, 0.7, None, "match"),
        (0.5, {"kind": "bound", "at": "least", "near": 0.1}, 0.45, None, "near"),
        (0.5, {"kind": "bound", "at": "least", "near": 0.1}, 0.35, None, "differs"),
        (1, {"kind": "sign"}, 0.01, None, "match"),
        (1, {"kind": "sign"}, -0.01, 0.01, "near"),
        (1, {"kind": "sign"}, -0.01, None, "differs"),
        (-1, {"kind": "sign"}, -5, None, "match"),
    ],
)
def test_judgements(published, tolerance, value, error, status):
    found, reason = claims.judge(claim(published, tolerance), selecting.Measured(value, error))
    assert found == status
    assert bool(reason) == (status != "match")


def test_a_reason_has_both_numbers_and_the_distance():
    one = claim(-93, {"kind": "digits", "value": 0.5})
    assert claims.judge(one, selecting.Measured(-47.0, 6.0))[1] == (
        "ours -47 ± 6, published -93: 7.7 sigma apart"
    )


def series(*values, errors=None, labels="abcdef"):
    return selecting.Series(
        list(values), errors or [None] * len(values), list(labels[: len(values)])
    )


def test_all_negative():
    one = claim(-1, {"kind": "sign"})
    assert claims.judge(one, selecting.Measured(3.0, None, series(-1, -2, -3)))[0] == "match"
    near = series(-1, 0.5, -3, errors=[1, 1, 1])
    assert claims.judge(one, selecting.Measured(2.0, None, near))[0] == "near"
    far = series(-1, 5.0, 0.5, errors=[1, 1, None])
    status, reason = claims.judge(one, selecting.Measured(1.0, None, far))
    assert status == "differs" and "2 of 3" in reason and "b 5" in reason


def test_order():
    one = claim("b", {"kind": "order"})
    assert claims.judge(one, selecting.Measured("b", None, series(2, 1)))[0] == "match"
    close = series(1, 2, errors=[0.5, 0.5])
    assert claims.judge(one, selecting.Measured("a", None, close))[0] == "near"
    status, reason = claims.judge(one, selecting.Measured("a", None, series(1, 2)))
    assert status == "differs" and "a comes first with 1, b has 2" in reason
    missing = selecting.Measured("a", None, series(1, labels="a"))
    assert claims.judge(one, missing)[0] == "differs"


finite = st.floats(-1e3, 1e3)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(finite, finite, st.floats(1e-3, 10), st.floats(1e-3, 10))
def test_a_wider_tolerance_or_error_never_makes_a_verdict_worse(published, value, error, tolerance):
    rank = ("match", "near", "differs").index

    def verdict(scale, spread):
        one = claim(published, {"kind": "digits", "value": tolerance * scale})
        return rank(claims.judge(one, selecting.Measured(value, error * spread))[0])

    assert verdict(2.0, 1.0) <= verdict(1.0, 1.0)
    assert verdict(1.0, 2.0) <= verdict(1.0, 1.0)


# ------------------------------------------------------------------------------- the ledger


LEDGER = """
papers:
  matilla2020:
    groups:
      setup:
        defaults: {tolerance: {kind: digits, value: 0}}
        claims:
          - {id: pixels, label: pixels, place: a, published: 512, select: {config: maps.pixels}}
      results:
        defaults:
          tolerance: {kind: digits, value: 0.5}
          setup: [setup.pixels]
          note: more
          select: {table: table.csv, column: value, error: error, where: {set: a, level: 68}}
        claims:
          - {id: one, place: b, published: 9, select: {where: {name: V0}}}
          - {id: two, place: c, published: -3, select: {where: {name: V1}}}
          - {id: three, place: d, published: 1, select: {where: {name: V9}}}
          - {id: four, place: e, published: 1, shown: about 1, select: {where: {name: V9}}}
"""


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(LEDGER)
    return path


def test_every_claim_has_a_row_in_order_with_the_columns(run, ledger, tmp_path):
    rows = claims.check(load_claims(ledger), tmp_path, CONFIG)
    assert [row["id"].split(".")[-1] for row in rows] == ["pixels", "one", "two", "three", "four"]
    assert [row["status"] for row in rows] == [
        *("differs", "differs", "match", "not attempted", "not attempted")
    ]
    assert all(tuple(row) == claims.LEDGER.columns for row in rows)
    assert rows[1]["reason"] == (
        "ours 4 ± 0.5, published 9: 10.0 sigma apart; this run (published): pixels 128 (512); more"
    )
    assert rows[4]["published"] == "about 1"
    assert claims.summary(rows) == {
        "matilla2020": {"match": 1, "near": 0, "differs": 2, "not attempted": 2}
    }
    claims.write(tmp_path / "claims.csv", rows)
    first = (tmp_path / "claims.csv").read_text().splitlines()[0]
    assert first == "id,paper,place,published,value,uncertainty,tolerance,status,reason"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: two", "id: one", "stands twice"),
        ("place: c,", "", "has no place"),
        ("kind: digits", "kind: digit", "known: digits"),
        ("setup: [setup.pixels]", "setup: [setup.pixel]", "which is no claim"),
        ("note: more", "notes: more", "unknown key notes"),
        ("column: value", "colum: value", "select has the unknown key colum"),
        ("place: e,", "place: e, not_attempted: no,", "either select or not_attempted"),
    ],
)
def test_a_mistake_in_the_ledger_is_told(ledger, old, new, told):
    assert old in LEDGER
    ledger.write_text(LEDGER.replace(old, new))
    with pytest.raises(InputError, match=told) as caught:
        load_claims(ledger)
    assert "claims.yaml" in str(caught.value)

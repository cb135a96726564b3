"""Selectors and judgements of the ledger on small made-up tables."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.errors import InputError
from kappascope.files import write_csv
from kappascope.reporting import claims, selecting
from kappascope.reporting.published import Claim, load_claims
from kappascope.reporting.verdicts import Verdict, judge
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
    assert judge(one, ours) == Verdict("not attempted", ours)


# --------------------------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("published", "tolerance", "value", "error", "status"),
    [
        (-93, {"kind": "digits", "value": 0.5}, -92.5, None, "match"),
        (-93, {"kind": "digits", "value": 0.5}, -92.4, None, "differs"),
        (-93, {"kind": "digits", "value": 0.5}, -92.4, 0.3, "near"),
        (-93, {"kind": "digits", "value": 0.5}, -92.2, 0.8, "match"),
        (-93, {"kind": "digits", "value": 0.5}, -47.0, 6.0, "differs"),
        (-93, {"kind": "digits", "value": 0.5}, -80.0, 50.0, "uninformative"),
        (-93, {"kind": "digits", "value": 0.5, "near": 5}, -88.0, None, "near"),
        (-93, {"kind": "digits", "value": 0.5, "near": 5}, -87.9, None, "differs"),
        (0.0117, {"kind": "digits", "value": 0.00005}, 0.01175, None, "match"),
        (0.0117, {"kind": "digits", "value": 0.00005, "near": "5%"}, 0.0122, None, "near"),
        (10, {"kind": "sigma", "value": 1}, 12, 2.0, "match"),
        (10, {"kind": "sigma", "value": 1}, 12.1, 2.0, "near"),
        (10, {"kind": "sigma", "value": 1}, 17, 2.0, "differs"),
        (10, {"kind": "sigma", "value": 1}, 10.1, None, "differs"),
        (10, {"kind": "sigma", "value": 2}, 18, 6.0, "uninformative"),
        (0, {"kind": "sigma", "value": 2}, 0.1, 0.1, "match"),
        (0.2, {"kind": "bound", "at": "most"}, 0.2, None, "match"),
        (0.2, {"kind": "bound", "at": "most"}, 0.1, None, "match"),
        (0.2, {"kind": "bound", "at": "most"}, 0.25, 0.02, "near"),
        (0.2, {"kind": "bound", "at": "most"}, 0.25, 0.01, "differs"),
        (0.5, {"kind": "bound", "at": "least"}, 0.7, None, "match"),
        (0.5, {"kind": "bound", "at": "least", "near": 0.1}, 0.45, None, "near"),
        (0.5, {"kind": "bound", "at": "least", "near": 0.1}, 0.35, None, "differs"),
        (1, {"kind": "sign"}, 0.1, 0.04, "match"),
        (1, {"kind": "sign"}, 0.1, 0.06, "uninformative"),
        (1, {"kind": "sign"}, -0.1, 0.06, "uninformative"),
        (1, {"kind": "sign"}, -0.1, 0.04, "differs"),
        (1, {"kind": "sign"}, 0.1, None, "uninformative"),
        (-1, {"kind": "sign"}, -5, 1, "match"),
    ],
)
def test_agreement_without_a_null(published, tolerance, value, error, status):
    found = judge(claim(published, tolerance), selecting.Measured(value, error))
    assert found.status == status
    assert bool(found.reason) == (status != "match")
    assert found.null_is is None and found.beats_null is None


def measured(value, error=None, **more):
    return selecting.Measured(value, error, **more)


def test_a_reason_has_both_numbers_and_the_distance():
    one = claim(-93, {"kind": "digits", "value": 0.5})
    assert judge(one, measured(-47.0, 6.0)).reason == (
        "ours -47 ± 6, published -93: 7.7 sigma apart"
    )


def test_the_published_scatter_is_part_of_the_distance():
    one = claim(10, {"kind": "sigma", "value": 2})
    assert judge(one, measured(13.0, 0.5)).status == "differs"
    assert judge(one, measured(13.0, 0.5, scatter=2.0)).status == "match"


@pytest.mark.parametrize(
    ("value", "limit", "status"),
    [
        (-93, "", "match"),
        (-93, "upper", "uninformative"),
        (-60, "upper", "uninformative"),
        (-99, "upper", "differs"),
        (-99, "lower", "uninformative"),
        (-60, "lower", "differs"),
    ],
)
def test_a_limit_excludes_only_what_lies_beyond_it(value, limit, status):
    found = judge(claim(-93, {"kind": "digits", "value": 0.5}), measured(value, 1.0, limit=limit))
    assert found.status == status
    assert (f"{limit} limit" in found.reason) == bool(limit)


def series(*values, errors=None, labels="abcdef"):
    return selecting.Series(
        list(values), errors or [None] * len(values), list(labels[: len(values)])
    )


def ranked(*values, errors=None, largest=True):
    pick = max if largest else min
    found = series(*values, errors=errors)
    return measured(found.labels[values.index(pick(values))], None, series=found)


def test_all_negative():
    one = claim(-1, {"kind": "sign"})
    assert judge(one, measured(3.0, series=series(-1, -2, -3))).status == "match"
    far = series(-1, 5.0, 0.5, errors=[1, 1, None])
    told = judge(one, measured(1.0, series=far))
    assert told.status == "differs" and "2 of 3 are not negative: b 5 ± 1; c 0.5" in told.reason


def test_order_takes_two_sigma():
    one = claim("b", {"kind": "order"})
    assert judge(one, ranked(1, 2, errors=[0.3, 0.3])).status == "match"
    assert judge(one, ranked(1, 2, errors=[0.5, 0.5])).status == "uninformative"
    assert judge(one, ranked(2, 1, errors=[0.5, 0.5])).status == "uninformative"
    assert judge(one, ranked(1, 2)).status == "uninformative"
    told = judge(one, ranked(2, 1, errors=[0.3, 0.3]))
    assert told.status == "differs" and "a comes first with 2, b has 1: 2.4 sigma" in told.reason
    assert judge(one, measured("a", series=series(1, labels="a"))).status == "differs"
    # The nearest of the others counts.
    assert judge(one, ranked(1, 3, 2.8, errors=[0.1] * 3)).status == "uninformative"
    least = claim("a", {"kind": "order"}, {"smallest": "name"})
    assert judge(least, ranked(1, 2, errors=[0.3, 0.3], largest=False)).status == "match"


# ---------------------------------------------------------------------------------- nulls


DIGITS = {"kind": "digits", "value": 0.5}


@pytest.mark.parametrize(
    ("published", "tolerance", "ours", "null", "status", "told"),
    [
        (-93, DIGITS, measured(-93, 1), measured(-20, 5), "match", ""),
        (-93, DIGITS, measured(-91, 1), measured(-20, 5), "near", "2.0 sigma apart"),
        # The null says the same.
        (-93, DIGITS, measured(-93, 1), measured(-92, 1), "uninformative", "0.7 sigma"),
        (-93, DIGITS, measured(-91, 1), measured(-92, 1), "uninformative", "-0.7 sigma"),
        # It is far off, but so uncertain that it might have said it.
        (-93, DIGITS, measured(-93, 1), measured(-20, 50), "uninformative", "1.5 sigma"),
        # Ours is: nothing is shown by a number that agrees with everything.
        (-93, DIGITS, measured(-93, 40), measured(-20, 1), "uninformative", "1.8 sigma"),
        (-10, DIGITS, measured(-10, 2), measured(-13, 1), "uninformative", "1.3 sigma"),
        # What differs does so whatever the null says.
        (-93, DIGITS, measured(-47, 6), measured(-47, 6), "differs", "7.7 sigma apart"),
        (
            0.2,
            {"kind": "bound", "at": "most"},
            measured(0.1, 0.01),
            measured(0.3, 0.01),
            "match",
            "",
        ),
        (
            *(0.2, {"kind": "bound", "at": "most"}, measured(0.1, 0.01), measured(0.01, 0.01)),
            *("uninformative", "-6.4 sigma"),
        ),
        (1, {"kind": "sign"}, measured(0.5, 0.1), measured(-0.2, 0.1), "match", ""),
        (1, {"kind": "sign"}, measured(0.5, 0.1), measured(0.4, 0.1), "uninformative", "0.7 sigma"),
        (
            *(
                "b",
                {"kind": "order"},
                ranked(1, 3, errors=[0.2] * 2),
                ranked(3, 1, errors=[0.2] * 2),
            ),
            *("match", ""),
        ),
        (
            *(
                "b",
                {"kind": "order"},
                ranked(1, 3, errors=[0.2] * 2),
                ranked(1, 3, errors=[0.2] * 2),
            ),
            *("uninformative", "0.0 sigma"),
        ),
        # Without any error nothing can be told.
        (2, DIGITS, measured(2.0), measured(0.0), "uninformative", "no error is known"),
    ],
)
def test_a_match_beats_its_null(published, tolerance, ours, null, status, told):
    found = judge(claim(published, tolerance), ours, {"untrained": null})
    assert found.status == status and told in found.reason
    assert found.null == "untrained" and found.null_is is null


def test_the_null_that_is_hardest_to_beat_counts():
    nulls = {"untrained": measured(-20, 5), "permuted_labels": measured(-90, 1)}
    found = judge(claim(-93, DIGITS), measured(-93, 1), nulls)
    assert found.null == "permuted_labels" and found.beats_null == pytest.approx(3 / 2**0.5)


def test_a_single_network_has_the_scatter_of_the_null_s():
    """It beats the null by 3 sigma, were networks alike; they are not."""
    ours, null = measured(0.5, 0.05), {"untrained": measured(-0.1, 0.2)}
    sign = claim(1, {"kind": "sign"})
    assert judge(sign, ours, null).beats_null == pytest.approx(0.6 / 0.0425**0.5)
    lone = judge(sign, ours, null, 2**0.5)
    assert lone.beats_null == pytest.approx(0.6 / (0.05**2 + 3 * 0.2**2) ** 0.5)
    assert (judge(sign, ours, null).status, lone.status) == ("match", "uninformative")


def test_without_its_null_nothing_matches():
    found = judge(claim(-93, DIGITS), measured(-93, 1), {})
    assert found.status == "uninformative" and "no null was made" in found.reason
    assert judge(claim(-93, DIGITS), measured(-50, 1), {}).status == "differs"


finite = st.floats(-1e3, 1e3)
wide = st.floats(1e-3, 1e3)
kinds = st.sampled_from(
    [DIGITS, {"kind": "sigma", "value": 2}, {"kind": "bound", "at": "least"}, {"kind": "sign"}]
)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(finite.filter(bool), kinds, finite, wide)
def test_what_the_null_says_earns_no_match(published, kind, value, error):
    ours = measured(value, error)
    assert judge(claim(published, kind), ours, {"untrained": ours}).status != "match"


@settings(deadline=None, max_examples=300, derandomize=True)
@given(finite.filter(bool), kinds, finite, wide, finite, wide)
def test_a_match_was_possible_to_miss(published, kind, value, error, other, other_error):
    one, ours, null = claim(published, kind), measured(value, error), measured(other, other_error)
    if judge(one, ours, {"untrained": null}).status != "match":
        return
    if kind["kind"] in ("digits", "sigma"):
        # Had ours been where the null is, it would have differed or been doubted.
        assert judge(one, measured(other, error), {"untrained": null}).status != "match"
        assert abs(published - other) >= 2 * (error**2 + other_error**2) ** 0.5
    # A larger error of either side makes it no match at last.
    assert judge(one, measured(value, 1e4), {"untrained": null}).status != "match"
    assert judge(one, ours, {"untrained": measured(other, 1e4)}).status != "match"


# ------------------------------------------------------------------------------- the ledger


LEDGER = """
papers:
  matilla2020:
    groups:
      setup:
        defaults: {section: set-up, network: false, tolerance: {kind: digits, value: 0}}
        claims:
          - {id: pixels, label: pixels, place: a, published: 512, select: {config: maps.pixels}}
      results:
        defaults:
          tolerance: {kind: digits, value: 0.5}
          setup: [setup.pixels]
          note: more
          network: false
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
        "matilla2020": {
            **{"match": 1, "near": 0, "differs": 1, "uninformative": 0, "not attempted": 2}
        }
    }
    assert claims.sentence(rows) == (
        "of 4 published results 1 were reproduced where a network that learned nothing fails, "
        "0 nearly; 1 differ, 0 cannot be told by this run, 2 were not attempted"
    )
    claims.write(tmp_path / "claims.csv", rows)
    first = (tmp_path / "claims.csv").read_text().splitlines()[0]
    assert first == (
        "id,paper,section,place,published,value,uncertainty,tolerance,"
        "null,null_value,null_error,beats_null,status,reason"
    )


def test_claims_are_judged_by_the_null_runs_of_a_run(run, ledger, tmp_path):
    ledger.write_text(LEDGER.replace("network: false\n", "network: true\n"))
    listed = load_claims(ledger)
    alone = {row["id"]: row for row in claims.check(listed, tmp_path, CONFIG)}
    two = "matilla2020.results.two"
    assert alone[two]["status"] == "uninformative" and alone[two]["null"] == ""
    for kind, value in (("untrained", 4.0), ("permuted_labels", 1.0)):
        rows = [{"set": "a", "level": 68, "name": "V1", "value": value, "error": 0.5}]
        write_csv(tmp_path / "null" / kind / "table.csv", rows)
    row = {row["id"]: row for row in claims.check(listed, tmp_path, CONFIG)}[two]
    assert row["status"] == "match" and row["null"] == "permuted_labels"
    assert (row["null_value"], row["null_error"]) == (1.0, 0.5)
    assert row["beats_null"] == pytest.approx(4 / 0.5**0.5)
    # With a single network, and four in the null runs, theirs stands in for its scatter.
    ledger.write_text(
        ledger.read_text().replace("    groups:", "    networks: net.number\n    groups:")
    )
    listed = load_claims(ledger)
    # Four know their scatter badly: where a normal takes 2, t of three degrees takes 3.31.
    for number, noise in ((1, 0.5**2 * (1 + 1 + 4 * (3.3068 / 2) ** 2)), (3, 0.5**2 * 2)):
        config = {**CONFIG, "net": {"number": number}}
        config["nulls"] = {**config["nulls"], "overrides": {"net": {"number": 4}}}
        row = {row["id"]: row for row in claims.check(listed, tmp_path, config)}[two]
        assert row["beats_null"] == pytest.approx(4 / noise**0.5, rel=1e-4)


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
        ("section: set-up", "section: setup", "known: published, our reading"),
    ],
)
def test_a_mistake_in_the_ledger_is_told(ledger, old, new, told):
    assert old in LEDGER
    ledger.write_text(LEDGER.replace(old, new))
    with pytest.raises(InputError, match=told) as caught:
        load_claims(ledger)
    assert "claims.yaml" in str(caught.value)

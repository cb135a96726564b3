"""Checksums of results: what is noticed, and when."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.errors import InputError
from kappascope.workflow import integrity

RESULT = Path("results/run/table.csv")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text("a,b\n1,2\n")
    return tmp_path


def test_what_was_written_passes() -> None:
    integrity.record([RESULT])
    integrity.check([RESULT])
    assert integrity.damaged(["results/run"]) == []


@settings(max_examples=30, deadline=None)
@given(content=st.binary(min_size=1, max_size=200), place=st.integers(0), bit=st.integers(0, 7))
def test_any_turned_bit_is_noticed_by_who_reads(content: bytes, place: int, bit: int) -> None:
    RESULT.write_bytes(content)
    integrity.record([RESULT])
    integrity.remember(["results"])
    before = RESULT.stat()
    spoilt = bytearray(content)
    spoilt[place % len(spoilt)] ^= 1 << bit
    RESULT.write_bytes(spoilt)
    os.utime(RESULT, ns=(before.st_atime_ns, before.st_mtime_ns))
    # Size and time are as they were, so that a run takes the file as it is ...
    assert integrity.damaged(["results"]) == []
    # ... until a job has read it.
    with pytest.raises(InputError, match=r"results/run/table\.csv: damaged.*same command again"):
        integrity.check([RESULT])
    assert [known.path for known in integrity.damaged(["results"])] == [RESULT]


@pytest.mark.parametrize("spoil", [lambda text: text[:3], lambda text: text + "3,4\n"])
def test_a_run_notices_another_size(spoil) -> None:
    integrity.record([RESULT])
    integrity.remember(["results"])
    RESULT.write_text(spoil(RESULT.read_text()))
    assert [known.path for known in integrity.damaged(["results"])] == [RESULT]


def test_before_its_run_has_ended_a_result_is_hashed() -> None:
    integrity.record([RESULT])
    before = RESULT.stat()
    RESULT.write_text("a,b\n1,3\n")
    os.utime(RESULT, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [known.path for known in integrity.damaged(["results"])] == [RESULT]


def test_another_time_alone_is_no_damage_and_is_remembered() -> None:
    integrity.record([RESULT])
    integrity.remember(["results"])
    os.utime(RESULT, (1, 1))
    assert integrity.damaged(["results"]) == []
    (known,) = integrity.records(["results"])
    assert known.unchanged and known.seen == (10**9, 8)


def test_only_results_are_kept_track_of(folder: Path) -> None:
    own = folder / "maps.csv"
    own.write_text("mine")
    integrity.record([own, "paper/claims.yaml"])
    integrity.check([own])
    assert list(integrity.records(["."])) == []


def test_what_is_about_to_be_written_is_forgotten() -> None:
    integrity.record([RESULT])
    integrity.forget([RESULT])
    RESULT.write_text("half")
    integrity.check([RESULT])
    assert integrity.damaged(["results"]) == []


def test_other_folders_are_left_alone() -> None:
    other = Path("results/other/table.csv")
    other.parent.mkdir()
    other.write_text("x")
    integrity.record([RESULT, other])
    other.write_text("y")
    assert integrity.damaged(["results/run"]) == []
    assert len(integrity.damaged(["results/run", "results/other"])) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": "x"}', '{"sha256": 1, "seen": [1]}'])
def test_a_damaged_record_says_nothing(text: str) -> None:
    integrity.record([RESULT])
    next(Path("results/.kappascope").rglob("*.csv.json")).write_text(text)
    RESULT.write_text("changed")
    integrity.check([RESULT])
    assert integrity.damaged(["results"]) == []

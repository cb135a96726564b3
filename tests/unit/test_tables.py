"""Declarations of tables: what they say, and what is written of them."""

import pytest

from kappascope.files import read_rows
from kappascope.tables import Table

TABLE = Table(
    "chapter/one.csv",
    "thing",
    """name (a, b; of [a] kind), size [σ], share
    (of all (with the rest)), count""",
)


def test_columns_come_in_order_with_what_is_said_of_them():
    assert TABLE.columns == ("name", "size", "share", "count")
    assert TABLE.described == {
        "name": "(a, b; of [a] kind)",
        "size": "[σ]",
        "share": "(of all (with the rest))",
        "count": "",
    }


@pytest.mark.parametrize("text", ["a, a", "a, , b", "a, (b)", "a-b", ""])
def test_what_declares_no_column_is_a_mistake_of_the_code(text):
    with pytest.raises(ValueError, match="declares no column, or one twice"):
        Table("x.csv", "thing", text).columns  # noqa: B018


def test_what_is_written_has_the_columns_in_order(tmp_path):
    rows = [{"count": 3, "share": 1 / 3, "size": None, "name": "a", "more": 1}]
    TABLE.write(tmp_path / "one.csv", rows)
    assert (tmp_path / "one.csv").read_text() == "name,size,share,count\na,,0.333333333,3\n"
    TABLE.write(tmp_path / "empty.csv", [])
    assert read_rows(tmp_path / "empty.csv") == []


def test_a_row_without_a_column_is_a_mistake_of_the_code(tmp_path):
    with pytest.raises(KeyError, match="count"):
        TABLE.write(tmp_path / "one.csv", [{"name": "a", "size": 1, "share": 2}])
    assert not list(tmp_path.iterdir())

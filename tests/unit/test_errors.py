"""The words in which mistakes are told."""

from kappascope.errors import reason


def test_a_reason_is_one_line_and_never_empty() -> None:
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(EOFError()) == "EOFError"
    assert reason(ValueError("x" * 300)) == "x" * 200

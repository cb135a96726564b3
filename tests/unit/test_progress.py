"""Progress: what stands in logs, where each refresh is a line."""

import re
import time

import pytest

from kappascope import progress


def test_rate_and_time_left_stand_only_where_they_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress.bar(4, "predict", unit="input") as shown:
        shown.mininterval, shown.miniters = 0.0, 1
        for _ in range(4):
            time.sleep(0.01)
            shown.update()
    first, *middle, last = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert first == "predict: 0/4" and middle
    for line in middle[: next(n for n, text in enumerate(middle) if "4/4" in text)]:
        assert re.fullmatch(r"predict: [123]/4, [\d.e+]+ (input/s|s/input), \d\d:\d\d left", line)
    assert re.fullmatch(r"predict: 4/4 in \d\d:\d\d", last)


def test_what_was_done_before_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    for started, done in ((7, 0), (5, 2)):
        with progress.bar(7, "train", initial=started, unit="step") as shown:
            shown.update(done)
    told = capsys.readouterr().err
    assert "?" not in told and "7/7" in told

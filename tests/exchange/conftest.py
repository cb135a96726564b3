"""What tests of imports share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kappascope.command_line import main


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """See ``kappascope import ... -o OUT`` end in one line, and nothing written."""

    def see(told: str, *arguments: Any, output: str = "net") -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["import", *map(str, arguments), "-o", output]) == 1
        said = capsys.readouterr().err
        assert re.search(told, said) and said.count("\n") == 1, said
        assert not (tmp_path / "net").exists()

    return see

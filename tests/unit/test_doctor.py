"""What `kappascope doctor` says."""

import subprocess
import sys
from pathlib import Path

import pytest

from kappascope import command_line
from kappascope.workflow import configuration, doctor, integrity


def test_it_prints_versions_devices_threads_disk_and_a_tiers_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line.main(["doctor", "--tier", "all", "--cores", "4"]) == 0
    text = capsys.readouterr().out
    for words in ("Python", "jaxlib", "lock", "cores", "memory", "free disk", "devices", "GPU"):
        assert words in text, words
    for tier in configuration.available("tier"):
        assert f"Tier {tier} on 4 cores" in text


def test_it_is_a_module() -> None:
    command = [sys.executable, "-m", "kappascope", "doctor", "--tier", "smoke"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Tier smoke" in ended.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--tier", "desc"], "did you mean desk"),
        (["--cores", "-3"], "--cores: got -3"),
    ],
)
def test_mistakes_are_one_line(
    given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["doctor", *given]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and words in told[0]


def test_versions_that_differ_from_the_lock_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "numpy==1.0.0 \\\n    --hash=sha256:0\nnot-there==2.0 ; python_full_version >= '3.11'\n"
        "for-others==3.0 ; sys_platform == 'nowhere'\n"
    )
    known = doctor.read_lock(lock)
    assert known == {"numpy": "1.0.0", "not-there": "2.0"}
    monkeypatch.setattr(doctor, "read_lock", lambda: known)
    told = dict(doctor.versions())["lock"]
    assert told.startswith("2 packages differ")
    assert "numpy" in told and "not-there (not installed) instead of 2.0" in told


def test_damaged_results_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = Path("results/run/table.csv")
    table.parent.mkdir(parents=True)
    table.write_text("1")
    integrity.record([table])
    integrity.remember(["results"])
    assert command_line.main(["doctor", "--tier", "smoke", "--verify"]) == 0
    assert "1 files, 0 damaged" in capsys.readouterr().out
    table.write_text("2")
    assert command_line.main(["doctor", "--tier", "smoke", "--verify"]) == 1
    assert capsys.readouterr().err.startswith("kappascope: error: results/run/table.csv: damaged")

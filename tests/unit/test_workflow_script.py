"""Scripts of the workflow: one line for a mistake, and an interruption that always arrives."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import gc, os, signal, sys, time
from types import SimpleNamespace
from kappascope import files
from kappascope.workflow import script
from kappascope.errors import InputError

def work(inputs, outputs, spec):
    with files.atomic_path("result.csv") as scratch:
        scratch.write_text("half")
        {work}

script.run(
    work,
    SimpleNamespace(
        params=SimpleNamespace(spec={{}}), log=["logs/work.log"], rule="work", threads=1,
        input=[], output=["result.csv"], resources={{}},
    ),
)
"""


def run(folder: Path, work: str) -> subprocess.CompletedProcess[str]:
    """Run a script in ``folder`` whose work is the given statement."""
    return subprocess.run(
        [sys.executable, "-c", HEAD.format(work=work)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


INTERRUPTED = {
    "while it works": "os.kill(os.getpid(), signal.{name}); time.sleep(60)",
    # Python drops exceptions raised in these callbacks.
    "in a callback of the garbage collector": (
        "gc.callbacks.append(lambda *a: os.kill(os.getpid(), signal.{name})); gc.collect(); "
        "gc.callbacks.pop(); time.sleep(60)"
    ),
}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("when", INTERRUPTED)
def test_an_interruption_stops_the_work_and_leaves_nothing(
    tmp_path: Path, name: str, when: str
) -> None:
    ended = run(tmp_path, INTERRUPTED[when].format(name=name))
    assert ended.returncode == 128 + signal.SIGINT, ended.stderr
    assert ended.stderr == "kappascope: rule work was interrupted\n"
    assert not left_over(tmp_path)


def test_a_mistake_is_one_line_on_the_terminal_and_in_the_log(tmp_path: Path) -> None:
    ended = run(tmp_path, "raise InputError('maps.csv row 3: no such file; correct the name')")
    line = "kappascope: error in rule work: maps.csv row 3: no such file; correct the name\n"
    assert ended.returncode == 1
    assert ended.stderr == (tmp_path / "logs/work.log").read_text() == line
    assert not left_over(tmp_path)


def test_a_bug_is_shown_as_one(tmp_path: Path) -> None:
    ended = run(tmp_path, "raise KeyError('nothing')")
    assert ended.returncode == 1 and "Traceback" in ended.stderr
    assert not left_over(tmp_path)


def test_what_ends_well_says_how_long_it_took(tmp_path: Path) -> None:
    ended = run(tmp_path, "pass")
    assert ended.returncode == 0, ended.stderr
    timing = json.loads((tmp_path / "logs/work.timing.json").read_text())
    assert timing["rule"] == "work" and timing["work_seconds"] >= 0
    assert left_over(tmp_path) == ["result.csv"]

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

snakemake = SimpleNamespace(
    params=SimpleNamespace(spec={{}}), log=["logs/work.log"], rule="work", threads=1,
    input=[], output=["result.csv"], resources={{}},
)
script.run(work)
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


# ---- by hand -------------------------------------------------------------------------------------

SCRIPT = """
from kappascope.files import write_text
from kappascope.workflow.script import run

def main(inputs, outputs, spec):
    text = open(inputs.source).read() + str(spec.maps.pixels) + inputs[0] + outputs.both[1]
    write_text(outputs.result, text)
    write_text(outputs.both[0], text)
    write_text(outputs.both[1], text)

if __name__ == "__main__":
    run(main)
"""


def a_job(folder: Path, name: str, source: str) -> None:
    """Note a job as its run leaves it."""
    logs = folder / "results/mine/logs"
    logs.mkdir(parents=True, exist_ok=True)
    (folder / source).write_text(f"{source} ")
    outputs = [f"results/mine/{name}_{end}" for end in ("a.txt", "b.txt", "c.txt")]
    job = {
        "script": "work.py",
        "rule": "work",
        "log": f"results/mine/logs/{name}.log",
        "input": {"files": [source], "names": {"source": source}},
        "output": {"files": outputs, "names": {"result": outputs[0], "both": outputs[1:]}},
        "spec": {"maps": {"pixels": 64}},
        "threads": 1,
        "extensions": [],
    }
    (logs / f"{name}.job.json").write_text(json.dumps(job))


def by_hand(folder: Path, *given: str) -> subprocess.CompletedProcess[str]:
    (folder / "work.py").write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, "work.py", *given], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_job_is_done_again_by_hand(tmp_path: Path) -> None:
    a_job(tmp_path, "one", "one.csv")
    ended = by_hand(tmp_path, "--run", "mine")
    assert ended.returncode == 0, ended.stderr
    expected = "one.csv 64one.csvresults/mine/one_c.txt"
    assert (tmp_path / "results/mine/one_a.txt").read_text() == expected
    a_job(tmp_path, "two", "two.csv")
    ended = by_hand(tmp_path, "--run", "mine", "--job", "two", "--into", "elsewhere")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "elsewhere/two_b.txt").read_text().startswith("two.csv 64")
    assert not (tmp_path / "results/mine/two_a.txt").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--run", "none"], "--run: got none, but there is no results/none"),
        (["--run", "mine"], "--job: got None; this run did one, two"),
        (["--run", "mine", "--job", "three"], "--job: got three; this run did one, two"),
    ],
)
def test_a_job_that_is_not_there_is_told(tmp_path: Path, given: list[str], told: str) -> None:
    for name in ("one", "two"):
        a_job(tmp_path, name, f"{name}.csv")
    ended = by_hand(tmp_path, *given)
    assert ended.returncode == 1 and told in ended.stderr
    assert "Traceback" not in ended.stderr and len(ended.stderr.splitlines()) == 1

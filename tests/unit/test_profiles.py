"""The commands that the generic cluster profile calls, against schedulers that answer anything."""

import os
import subprocess
from pathlib import Path

import pytest

from kappascope.workflow.configuration import ROOT

PROFILE = ROOT / "profiles" / "cluster-generic"
HANGS = "exit 124"  # what timeout makes of it
DOWN = "echo slurm_load_jobs error: Unable to contact slurm controller >&2; exit 1"
FORGOTTEN = "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1"
NO_ACCOUNTING = "echo Slurm accounting storage is disabled >&2; exit 1"
SACCT_DOWN = "echo sacct: error: Connection refused >&2; exit 1"

RUNNING = (
    *("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD"),
    *("REQUEUE_FED", "RESIZING", "RESV_DEL_HOLD", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT"),
    *("STOPPED", "A_STATE_OF_TOMORROW"),
)
FAILED = (
    *("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
)

CASES = {
    **{f"queue says {state}": (f"echo {state}", DOWN, "running") for state in RUNNING},
    **{f"queue says {state}": (f"echo {state}", DOWN, "failed") for state in FAILED},
    "queue says COMPLETED": ("echo COMPLETED", DOWN, "success"),
    "nothing answers": (DOWN, SACCT_DOWN, "running"),
    "both hang": (HANGS, HANGS, "running"),
    "queue is down, accounting is not": (DOWN, "echo COMPLETED", "running"),
    "forgotten, completed": (FORGOTTEN, "echo '            COMPLETED '", "success"),
    "forgotten, cancelled by someone": (FORGOTTEN, "echo CANCELLED by 1000", "failed"),
    "forgotten, accounting hangs": (FORGOTTEN, HANGS, "running"),
    "forgotten, accounting is down": (FORGOTTEN, SACCT_DOWN, "running"),
    "forgotten, no accounting": (FORGOTTEN, NO_ACCOUNTING, "failed"),
    "forgotten by both": (FORGOTTEN, "true", "failed"),
    "requeued": (FORGOTTEN, "printf 'NODE_FAIL\\nCOMPLETED\\n'", "success"),
}


def commands(folder: Path, **scripts: str) -> dict[str, str]:
    """Environment in which commands of the scheduler are the given lines of shell."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("case", CASES)
def test_a_job_failed_only_where_the_scheduler_says_so(tmp_path: Path, case: str) -> None:
    queue, accounting, wanted = CASES[case]
    surroundings = commands(tmp_path, squeue=queue, sacct=accounting)
    told = subprocess.run(
        [PROFILE / "status.sh", "42"], capture_output=True, text=True, env=surroundings, check=True
    )
    assert told.stdout == f"{wanted}\n"


def test_a_job_of_one_of_several_clusters(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    surroundings = commands(
        tmp_path,
        squeue=f'echo squeue "$@" >> {log}; echo CLUSTER: far; echo RUNNING',
        scancel=f'echo scancel "$@" >> {log}',
    )
    run = {"capture_output": True, "text": True, "env": surroundings, "check": True}
    told = subprocess.run([PROFILE / "status.sh", "42;far"], **run)
    assert told.stdout == "running\n"
    subprocess.run([PROFILE / "cancel.sh", "42;far", "7"], **run)
    asked = log.read_text().splitlines()
    assert "--clusters=far" in asked[0] and "--jobs=42 " in asked[0]
    assert asked[1:] == ["scancel --clusters=far 42", "scancel 7"]


def test_the_profile_calls_scripts_that_are_there() -> None:
    text = (PROFILE / "profile.yaml").read_text()
    for name in ("status.sh", "cancel.sh"):
        assert f"profiles/cluster-generic/{name}" in text and os.access(PROFILE / name, os.X_OK)

"""A Slurm of one node on the loopback interface, from Debian's packages, for the tests here."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import Checkout

PACKAGES = ("slurm-wlm", "munge")
CONFIGURATION = Path("/etc/slurm/slurm.conf")  # job steps look nowhere else
MARK = "# A Slurm for tests of kappascope; not for work.\n"

SLURM_CONF = """ClusterName=kappascope
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=3600
KillWait=2
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={megabytes} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES DefMemPerCPU=500 MaxTime=INFINITE State=UP
"""


def _installed() -> None:
    """Install Slurm where that is possible; skip elsewhere."""
    if all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged")):
        return
    if shutil.which("apt-get") is None:
        pytest.skip("no Slurm here, and no apt-get to install it with")
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        ended = subprocess.run(
            ["apt-get", "-qq", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            pytest.skip(f"Slurm cannot be installed: {ended.stderr.strip().splitlines()[-1]}")


@contextlib.contextmanager
def _daemons(folder: Path) -> Iterator[None]:
    host = socket.gethostname().split(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    text = SLURM_CONF.format(
        host=host, folder=folder, cores=min(os.cpu_count() or 1, 2), megabytes=memory - 500
    )
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    CONFIGURATION.write_text(MARK + text, encoding="utf-8")
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    munge = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file")]
    munge += [f"--key-file={key}", f"--seed-file={folder}/munge.seed"]
    munge += [f"--log-file={folder}/munge.log"]
    started = [
        subprocess.Popen(["munged", "--foreground", "--force", *munge], stderr=subprocess.DEVNULL)
    ]
    try:
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged does not start")
        for daemon in ("slurmctld", "slurmd"):
            started.append(subprocess.Popen([daemon, "-D", "-f", str(CONFIGURATION)]))
        _wait_for(
            lambda: "idle" in _output("sinfo", "--noheader", "--format=%T"),
            "the node does not come up",
        )
        yield
    finally:
        _output("scancel", "--user=root")
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        CONFIGURATION.unlink()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _wait_for(reached, otherwise: str) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run a Slurm of one node as long as the tests need it."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("starting a Slurm needs root")
    if CONFIGURATION.is_file() and MARK not in CONFIGURATION.read_text(encoding="utf-8"):
        pytest.skip(f"this machine has a Slurm of its own ({CONFIGURATION})")
    _installed()
    with _daemons(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="session")
def finished(finished_alone: Checkout) -> Checkout:
    """A copy in which the smoke tier ran from beginning to end; not to be changed."""
    return finished_alone

"""One thread a job, whatever was imported first; blocks of memory are used again.

Threads that add in any order change bits.
"""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
{first}
from kappascope import runtime
runtime.configure(threads={threads})
import os
import jax.numpy as jnp
jnp.ones((64, 64)).sum().block_until_ready()
tasks = "/proc/self/task"
names = [open(f"{{tasks}}/{{each}}/comm").read().strip() for each in os.listdir(tasks)]
print(sum(name == "tf_XLAEigen" for name in names))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first", ["", "import jax", "import kappascope.simulation.campaign"])
def test_jax_gets_the_threads_it_is_given(first: str, threads: int) -> None:
    code = COUNT.format(first=first, threads=threads)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ran.stdout) == threads


FAULTS = """
import resource
import numpy as np
from kappascope import runtime
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
runtime.configure()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_freed_blocks_are_used_again() -> None:
    ran = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert before > 100
    assert after < before / 10

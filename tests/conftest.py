"""Shared fixtures: where real inputs and independent reference values lie."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import SMOKE, SMOKE_ALONE, Checkout, new_checkout
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent


ORDER = (
    "tests/workflow/test_smoke_tier.py",  # it makes the one run; meanwhile what does without it
    "tests/workflow/test_own_maps.py",
    "tests/workflow/test_bad_input.py",
    "tests/science",
    "tests/chapters",
    "tests/faults/test_kills.py",
    "tests/cluster",
    "tests/workflow",
    "tests/faults",
)
"""What comes first: so that no worker waits, and the longest files are not the last."""


QUICKLY_COMPILED = "--xla_cpu_use_fusion_emitters=false"
"""XLA's older way to fuse loops compiles twice as fast."""


def _place(nodeid: str) -> int:
    return next((n for n, start in enumerate(ORDER) if nodeid.startswith(start)), len(ORDER))


class ByFile(LoadScopeScheduling):
    """On several workers, tests of a file stay together: they share what it makes."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    config.option.loadscopereorder = False  # the order is that of the tests, below
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.nodeid))


def _folder(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not path.is_dir():
        message = f"{path} is not there: set {variable} to the folder that holds it"
        if os.environ.get("KAPPASCOPE_REQUIRE_REAL_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real maps and network outputs."""
    return _folder("KAPPASCOPE_REAL_DATA", "realdata")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of values from independent codes."""
    return _folder("KAPPASCOPE_REFERENCE", "reference")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def compilation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What one test compiled the next ones take from disk: runs of the workflow, and this process.

    Each worker has a folder of its own: JAX may read what another process is still writing. XLA
    skips most optimizations, here and in runs: small networks take longer to compile than to run.
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} {QUICKLY_COMPILED}".strip()
    os.environ["XLA_FLAGS"] = flags  # read when the first array is made
    import jax

    folder = tmp_path_factory.getbasetemp()
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled_here"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAPPASCOPE_COMPILATION_CACHE", str(folder / "compiled"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        patch.setenv("XLA_FLAGS", flags)
        yield


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository for runs that end before they make anything."""
    return new_checkout(tmp_path_factory.mktemp("pristine") / "repository")


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A copy of the repository of a test's own, without results."""
    return new_checkout(tmp_path / "repository")


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def smoke_run(compilation: None, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which the smoke tier ran from beginning to end; not to be changed.

    One run for all workers: who needs it first makes it, with what it compiled.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with _one_at_a_time(shared):
        compiled, place = shared / "compiled_by_the_run", shared / "finished"
        checkout = Checkout(place / "repository")
        if not place.is_dir():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("KAPPASCOPE_COMPILATION_CACHE", str(compiled))
                run_to_the_end(new_checkout(checkout.root), *SMOKE)
        assert (checkout.root / "run.txt").is_file(), "another worker's run failed"
    own = os.environ["KAPPASCOPE_COMPILATION_CACHE"]
    shutil.copytree(compiled, own, dirs_exist_ok=True)
    return checkout


@pytest.fixture(scope="session")
def finished(smoke_run: Checkout) -> Checkout:
    """The run that tests of a folder begin from; not to be changed."""
    return smoke_run


@pytest.fixture(scope="session")
def finished_alone(smoke_run: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The same without null runs."""
    checkout = smoke_run.copy(tmp_path_factory.mktemp("finished_alone") / "repository")
    shutil.rmtree(checkout.root / "results/smoke/null")
    run_to_the_end(checkout, *SMOKE_ALONE)
    return checkout


def run_to_the_end(checkout: Checkout, *options: str) -> None:
    """Run a tier; ``run.txt`` holds what it printed."""
    ended = checkout.run("--cores", "2", *options)
    assert ended.status == 0, ended.text
    (checkout.root / "run.txt").write_text(ended.text)


@pytest.fixture
def rerun(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run of a test's own."""
    return finished.copy(tmp_path / "repository")

"""Shared fixtures: where real inputs and independent reference values lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import SMOKE, SMOKE_ALONE, Checkout, new_checkout
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent


ALONE = ("test_own_maps.py", "test_bad_input.py", "test_installation.py")
"""Of the folders whose tests share the one finished run, the files that do without."""


def _shares_the_run(nodeid: str) -> bool:
    folder, _, name = nodeid.split("::")[0].rpartition("/")
    return folder in ("tests/workflow", "tests/faults", "tests/cluster") and name not in ALONE


class OneRun(LoadScopeScheduling):
    """On several workers: what shares the one finished run stays together, other files go alone."""

    def _split_scope(self, nodeid: str) -> str:
        return "runs" if _shares_the_run(nodeid) else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneRun:
    config.option.loadscopereorder = False  # the order is that of the tests, below
    return OneRun(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest: the one run and what shares it, then other runs."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/workflow"))
    items.sort(key=lambda item: not _shares_the_run(item.nodeid))


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
    import jax

    folder = tmp_path_factory.getbasetemp()
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled_here"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAPPASCOPE_COMPILATION_CACHE", str(folder / "compiled"))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        yield


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository for runs that end before they make anything."""
    return new_checkout(tmp_path_factory.mktemp("pristine") / "repository")


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A copy of the repository of a test's own, without results."""
    return new_checkout(tmp_path / "repository")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which the smoke tier ran from beginning to end; not to be changed."""
    return run_to_the_end(tmp_path_factory.mktemp("finished"), *SMOKE)


@pytest.fixture(scope="session")
def finished_alone(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The same without null runs."""
    return run_to_the_end(tmp_path_factory.mktemp("finished_alone"), *SMOKE_ALONE)


def run_to_the_end(folder: Path, *options: str) -> Checkout:
    """Run a tier in a new copy; ``run.txt`` holds what it printed."""
    checkout = new_checkout(folder / "repository")
    ended = checkout.run("--cores", "2", *options)
    assert ended.status == 0, ended.text
    (checkout.root / "run.txt").write_text(ended.text)
    return checkout


@pytest.fixture
def rerun(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run of a test's own."""
    return finished.copy(tmp_path / "repository")

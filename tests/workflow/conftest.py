"""Copies of the repository, and one finished run of the smoke tier that tests share."""

from pathlib import Path

import pytest
from checkouts import SMOKE, Checkout, new_checkout


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
    checkout = new_checkout(tmp_path_factory.mktemp("finished") / "repository")
    ended = checkout.run("--cores", "2", *SMOKE)
    assert ended.status == 0, ended.text
    (checkout.root / "run.txt").write_text(ended.text)
    return checkout


@pytest.fixture
def rerun(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run of a test's own."""
    return finished.copy(tmp_path / "repository")

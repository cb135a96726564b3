"""Faults keep what they compile to themselves: a kill may leave half of it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from checkouts import Checkout


@pytest.fixture(scope="module", autouse=True)
def own_compilation_cache(
    smoke_run: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start from what was compiled before."""
    own = tmp_path_factory.mktemp("compiled")
    shutil.copytree(os.environ["KAPPASCOPE_COMPILATION_CACHE"], own, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAPPASCOPE_COMPILATION_CACHE", str(own))
        yield


@pytest.fixture(scope="session")
def finished(finished_alone: Checkout) -> Checkout:
    """A copy in which the smoke tier ran from beginning to end; not to be changed."""
    return finished_alone

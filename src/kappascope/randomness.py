"""Every random number comes from (seed, purpose, indices), never from the order of jobs.

Two callers that name the same purpose and indices get the same draws, on any number of cores and
in any batch; two that differ in one of them get independent draws.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax


def _entropy(seed: int, purpose: str, indices: tuple[int, ...]) -> list[int]:
    digest = hashlib.sha256(purpose.encode()).digest()[:16]
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return [int(seed), *words, *(int(index) for index in indices)]


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return a NumPy generator for one purpose.

    Parameters
    ----------
    seed : non-negative int, ``seed`` of the config.
    purpose : what the numbers are for, for example ``"shape noise"``.
    indices : non-negative ints that tell draws of one purpose apart (cosmology, map, ...).

    """
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence(_entropy(seed, purpose, indices)))
    )


def key(seed: int, purpose: str, *indices: int) -> "jax.Array":
    """Return a JAX key for one purpose; arguments as in :func:`generator`."""
    import jax

    words = np.random.SeedSequence(_entropy(seed, purpose, indices)).generate_state(2, np.uint32)
    return jax.random.wrap_key_data(jax.numpy.asarray(words), impl="threefry2x32")

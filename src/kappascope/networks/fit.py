"""The one loop of every training: batches, progress, checkpoints, a loss that stays finite.

What a step draws comes from (seed, purpose, step) and a checkpoint holds the whole state, so a
training that was killed at any step and started again ends with the same weights as one that was
not.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import flax.serialization
import jax
import numpy as np

from kappascope import progress
from kappascope.errors import InputError
from kappascope.files import atomic_path

State = TypeVar("State")
CHECKPOINT = "checkpoint.msgpack"


def fit(
    advance: Callable[[State, np.ndarray, int], tuple[State, Any]],
    state: State,
    *,
    inputs: int,
    batch: int,
    epochs: int,
    order: Callable[[int], np.random.Generator],
    label: str,
    advice: str,
    scratch: Path | None = None,
    checkpoint_every_seconds: float = 30.0,
    close_epoch: Callable[[State, int, np.ndarray], tuple[State, str]] | None = None,
) -> tuple[State, np.ndarray]:
    """Advance a state batch by batch.

    Parameters
    ----------
    advance : (state, rows (batch,), step) → next state and loss of the step.
    state : nested mappings of arrays, all that changes from step to step.
    inputs : how many there are; what does not fill a batch is left out, other inputs each epoch.
    order : epoch → generator of its permutation.
    label : what the progress bar says.
    advice : what to do when the loss stops being finite; its key and what follows the number.
    scratch : folder of the checkpoint, None for none.
    close_epoch : (state, epoch, losses of its steps) → state and what the bar says beside it.

    Returns
    -------
    The last state, and the loss of every step (epoch, step).

    Raises
    ------
    InputError
        When the loss of a step is not finite.

    """
    each = inputs // batch
    checkpoint = None if scratch is None else scratch / CHECKPOINT
    state, losses = _restored(state, checkpoint)
    saved, rows, drawn_for = time.monotonic(), np.zeros(0, int), -1
    with progress.bar(epochs * each, label, initial=len(losses), unit="step") as shown:
        while len(losses) < epochs * each:
            epoch, place = divmod(len(losses), each)
            if epoch != drawn_for:
                rows, drawn_for = order(epoch).permutation(inputs), epoch
            chosen = rows[place * batch : (place + 1) * batch]
            state, loss = advance(state, chosen, len(losses))
            losses.append(loss)
            shown.update()
            due = time.monotonic() - saved > checkpoint_every_seconds
            if place + 1 == each or due:
                losses = _finite(losses, advice)
            if place + 1 == each and close_epoch is not None:
                state, said = close_epoch(state, epoch, np.array(losses[epoch * each :]))
                shown.set_postfix_str(said, refresh=False)
            if due and checkpoint is not None:
                _save(checkpoint, state, losses)
                saved = time.monotonic()
    if checkpoint is not None:
        _save(checkpoint, state, losses)
    return state, np.array(losses, np.float64).reshape(epochs, each)


def _finite(losses: list[Any], advice: str) -> list[Any]:
    """Return losses as numbers; they wait on the device until then."""
    numbers = [float(loss) for loss in losses]
    for step, loss in enumerate(numbers):
        if not np.isfinite(loss):
            key, _, hint = advice.partition(";")
            raise InputError(f"{key}: the loss became {loss} at step {step};{hint}")
    return numbers


def _save(path: Path, state: Any, losses: list[Any]) -> None:
    """Write a checkpoint in one move."""
    plain = flax.serialization.to_state_dict(state)
    content = {"state": jax.tree.map(np.asarray, plain), "losses": np.array(losses, np.float64)}
    with atomic_path(path) as scratch:
        scratch.write_bytes(flax.serialization.msgpack_serialize(content))


def _restored(state: State, path: Path | None) -> tuple[State, list[Any]]:
    """Return the state and losses of a checkpoint, or those given where there is nothing whole."""
    if path is None or not path.is_file():
        return state, []
    try:
        content = flax.serialization.msgpack_restore(path.read_bytes())
        losses = content["losses"].tolist()
        return flax.serialization.from_state_dict(state, content["state"]), losses
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        print(f"{path}: damaged ({error}); training starts over", file=sys.stderr)
        return state, []

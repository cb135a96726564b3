"""Networks on many inputs: the same outputs, whatever the batch."""

import numpy as np
import pytest
from test_attribution_rules import chain, inputs

from kappascope.networks.evaluate import evaluate, in_batches
from kappascope.networks.module import forward


@pytest.mark.parametrize(("number", "size"), [(1, 1), (3, 4), (4, 4), (5, 4), (8, 4)])
def test_pieces_have_one_size_and_hold_every_value_once(number: int, size: int) -> None:
    values = np.random.default_rng(1).normal(size=(number, 3, 2))
    pieces = list(in_batches(values, 4))
    assert all(piece.shape == (size, 3, 2) for _, piece in pieces)
    kept = [piece[: rows.stop - rows.start] for rows, piece in pieces]
    np.testing.assert_array_equal(np.concatenate(kept), values)
    assert [rows.start for rows, _ in pieces] == list(range(0, number, 4))
    rows, last = pieces[-1]
    assert not last[rows.stop - rows.start :].any()


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_outputs_do_not_depend_on_the_batch_nor_on_the_axis_for_one_channel(batch: int) -> None:
    network, parameters = chain()
    x = inputs((network, parameters), 6)
    wanted = np.asarray(forward(network, parameters, x))
    found = evaluate(network, parameters, x, batch)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    if network.input_shape[-1] == 1:
        np.testing.assert_array_equal(evaluate(network, parameters, x[..., 0], batch), found)

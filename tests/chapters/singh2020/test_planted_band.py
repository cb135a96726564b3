"""Targets in one band of frequencies, and whether methods find the band."""

import numpy as np
import pytest

from kappascope.chapters.singh2020 import planted_band
from kappascope.transforms import fourier
from kappascope.workflow import configuration

CONFIG = configuration.load("default")
SMALL = {
    "training": 1200,
    "testing": 30,
    "width": 8,
    "epochs": 12,
    "decompositions": ["cd"],
    "methods": ["integrated_gradients"],
    "path_nodes": 5,
}
CHOSEN = CONFIG.singh2020.planted_band.model_copy(update=SMALL)


def test_targets_are_the_power_of_their_band_and_of_no_other() -> None:
    given = planted_band.drawn(50, 1, "training")
    modes = np.abs(np.fft.fft2(given.maps.astype(float))) ** 2 / planted_band.PIXELS**2
    masks = fourier.ring_masks(planted_band.PIXELS, planted_band.RINGS)
    power = np.einsum("myx,byx->mb", modes, masks) / masks.sum((1, 2))
    np.testing.assert_allclose(given.targets, power[:, planted_band.TARGETS], rtol=1e-4)
    assert modes[:, ~masks.any(0)].max() < 1e-6
    many = planted_band.drawn(1500, 2, "training").targets
    correlations = np.corrcoef(many.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(1500)
    assert not np.array_equal(given.maps, planted_band.drawn(50, 1, "testing").maps)


@pytest.mark.parametrize("band", planted_band.TARGETS)
def test_scores_of_the_right_band_find_it_and_even_ones_do_not(band: int) -> None:
    coefficients = fourier.ring_masks(planted_band.PIXELS, planted_band.RINGS).sum((1, 2))
    right = np.zeros((20, planted_band.BANDS))
    right[:, band] = -2.0
    row = planted_band.judged(right, band)
    assert row["hits_percent"] == row["share_percent"] == 100 and row["next_percent"] == 0
    # As much for every coefficient: the largest band is no find.
    noise = 1 + 1e-3 * np.random.default_rng(0).normal(size=(4000, planted_band.BANDS))
    row = planted_band.judged(coefficients * noise, band)
    assert row["hits_percent"] == pytest.approx(100 / planted_band.BANDS, abs=4 * row["error"])
    assert row["share_percent"] == pytest.approx(100 / planted_band.BANDS, rel=0.01)
    assert planted_band.judged(np.zeros((5, planted_band.BANDS)), band)["hits_percent"] == 0


def test_a_network_that_learned_is_told_from_one_that_did_not(tmp_path) -> None:
    given = planted_band.drawn(CHOSEN.training, 1, "training")
    testing = planted_band.drawn(CHOSEN.testing, 1, "testing")
    network = CONFIG.network.model_copy(
        update={"output_bias": "zero", "batch_norm_momentum": 0.9}  # few steps
    )
    model, untrained, scale = planted_band.train(given, CHOSEN, network, 1, tmp_path)
    rows = list(planted_band.rows(model, untrained, scale, testing, CHOSEN, 1))
    assert len(rows) == 3 * 2
    # The widest waves are learned first.
    low = {row["method"]: row for row in rows if row["target"] == planted_band.TARGETS[0]}
    for row in low.values():
        assert row["r_squared"] > 0.5
        assert row["hits_percent"] > row["untrained_percent"] + 2 * row["untrained_error"]
    assert low["integrated_gradients"]["hits_percent"] >= 50

"""Which boxes a run simulates, and what their maps share and do not share."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typed import typed

from kappascope.cosmology.model import Cosmology, matter_power
from kappascope.errors import InputError
from kappascope.maps.dataset import read_maps
from kappascope.simulation import campaign, lightcone

FIDUCIAL = Cosmology(0.26, 0.8)
TINY = lightcone.Settings(
    box_mpc_h=200.0,
    particles=8,
    mesh=16,
    steps=3,
    snapshots=2,
    start_redshift=9.0,
    plane_pixels=32,
    fixed_amplitude=True,
    sigma_8_in_box=True,
    sharpening=0.003,
    transfer_function=True,
)
PROJECTIONS_BYTES = 2 * 3 * 32**2 * 4


def some_boxes() -> list[campaign.Box]:
    return campaign.boxes(
        [3, 5, 8],
        5,
        {"training": 1, "testing": 2, "covariance": 4},
        {"training": 6, "testing": 5, "covariance": 10},
    )


def test_every_map_comes_from_one_box_and_no_box_serves_two_splits() -> None:
    listed = some_boxes()
    maps = [(box.split, box.cosmology, number) for box in listed for number in box.realizations]
    assert len(maps) == len(set(maps)) == 3 * 6 + 3 * 5 + 10
    for split, count in (("training", 6), ("testing", 5)):
        for cosmology in (3, 5, 8):
            mine = sorted(n for s, c, n in maps if (s, c) == (split, cosmology))
            assert mine == list(range(count))
    assert {box.cosmology for box in listed if box.split == "covariance"} == {5}
    # A simulation is (split, cosmology, number): listed once, so it serves one split.
    simulations = [(box.split, box.cosmology, box.number) for box in listed]
    assert len(simulations) == len(set(simulations)) == 3 + 3 * 2 + 4
    # Boxes of one split serve alike.
    served = [len(box.realizations) for box in listed if box.split == "covariance"]
    assert max(served) - min(served) <= 1


def test_boxes_without_maps_are_not_run() -> None:
    listed = campaign.boxes(
        [0],
        0,
        {"training": 1, "testing": 3, "covariance": 1},
        {"training": 0, "testing": 2, "covariance": 0},
    )
    assert [(box.split, box.number) for box in listed] == [("testing", 0), ("testing", 1)]


@pytest.mark.parametrize("batches", [1, 2, 5, 13, 20])
def test_batches_share_the_boxes_out(batches: int) -> None:
    listed = some_boxes()
    shares = [campaign.share(listed, batch, batches) for batch in range(batches)]
    together = [box for part in shares for box in part]
    assert len(together) == len(listed)
    assert set(together) == set(listed)
    sizes = [len(part) for part in shares]
    assert max(sizes) - min(sizes) <= 1


def test_testing_maps_share_their_light_cones_across_cosmologies_and_others_do_not() -> None:
    def first(split: str, cosmology: int, realization: int, number: int = 0) -> int:
        box = campaign.Box(split, cosmology, number, (realization,))
        return int(campaign.light_cone_generator(1, box, realization).integers(2**62))

    assert first("testing", 3, 4) == first("testing", 8, 4)
    assert first("training", 3, 4) != first("training", 8, 4)
    draws = [
        first("testing", 3, 4),
        first("testing", 3, 5),
        *(first("training", cosmology, n) for cosmology in (0, 3) for n in (4, 5)),
        first("covariance", 3, 4),
    ]
    assert len(set(draws)) == len(draws)


def test_phases_are_those_of_the_split_and_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class EnoughError(Exception):
        pass

    def stop(*arguments: Any) -> None:
        seen.append(int(arguments[-1].integers(2**62)))
        raise EnoughError

    monkeypatch.setattr(lightcone, "simulate_projections", stop)
    power = matter_power(FIDUCIAL)
    for split, cosmology, number in (
        ("training", 1, 0),
        ("training", 2, 0),
        ("testing", 1, 0),
        ("testing", 1, 1),
        ("covariance", 1, 0),
    ):
        with pytest.raises(EnoughError):
            next(
                campaign.simulate_maps(
                    campaign.Box(split, cosmology, number, (0,)),
                    FIDUCIAL,
                    power,
                    TINY,
                    1,
                    16,
                    2.0,
                    1.0,
                    "born",
                )
            )
    assert seen[0] == seen[1]  # cosmologies of a split share their phases
    assert len(set(seen)) == 4


def simulate(
    box: campaign.Box, settings: lightcone.Settings = TINY, ray_tracing: str = "born"
) -> np.ndarray:
    return np.concatenate(list(pieces(box, settings, ray_tracing)))


def pieces(
    box: campaign.Box, settings: lightcone.Settings = TINY, ray_tracing: str = "born"
) -> Iterator[np.ndarray]:
    return campaign.simulate_maps(
        box, FIDUCIAL, matter_power(FIDUCIAL), settings, 1, 16, 2.0, 1.0, ray_tracing
    )


@pytest.mark.parametrize("ray_tracing", ["born", "multi_plane"])
def test_maps_are_the_same_to_the_byte_in_pieces(
    ray_tracing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = campaign.Box("covariance", 0, 0, tuple(range(7)))
    whole = simulate(box, ray_tracing=ray_tracing)
    a_map = 4 * 16**2 * (1 if ray_tracing == "born" else 12)
    monkeypatch.setattr(campaign, "PIECE_SHARE", 3.01 * a_map / PROJECTIONS_BYTES)
    parts = list(pieces(box, ray_tracing=ray_tracing))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_batch_keeps_the_order_of_maps_that_came_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [campaign.Box("training", 0, 1, (1, 3, 5, 7))]
    campaign.write_batch(tmp_path / "whole.h5", listed, PARAMETERS, typed(SPEC))
    monkeypatch.setattr(campaign, "PIECE_SHARE", 2.01 * 4 * 16**2 / PROJECTIONS_BYTES)
    campaign.write_batch(tmp_path / "pieces.h5", listed, PARAMETERS, typed(SPEC))
    assert (tmp_path / "pieces.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_map_is_the_same_to_the_byte_whatever_is_simulated_with_it() -> None:
    together = simulate(campaign.Box("training", 0, 0, (0, 1, 2, 3)))
    assert together.shape == (4, 16, 16)
    assert together.dtype == np.float32
    alone = simulate(campaign.Box("training", 0, 0, (2,)))
    np.testing.assert_array_equal(alone[0], together[2])
    other = simulate(campaign.Box("training", 1, 0, (2,)))
    assert not np.array_equal(other, alone)
    other_box = simulate(campaign.Box("training", 0, 1, (2,)))
    assert not np.array_equal(other_box, alone)


def test_settings_reach_the_maps() -> None:
    box = campaign.Box("training", 0, 0, (0,))
    reference = simulate(box)
    for change in (
        {"fixed_amplitude": False},
        {"sharpening": 0.0},
        {"transfer_function": False},
        {"steps": 6},
    ):
        changed = simulate(box, dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
        assert not np.array_equal(changed, reference), change
    plain = dataclasses.replace(TINY, transfer_function=False)
    raised = simulate(box, plain)
    lower = simulate(box, dataclasses.replace(plain, sigma_8_in_box=False))
    assert not np.array_equal(raised, lower)


SPEC = {
    "seed": 1,
    "code": "abc",
    "cosmology": {"hubble": 0.72, "omega_baryon": 0.046, "spectral_index": 0.96},
    "maps": {"pixels": 16, "pixel_arcmin": 2.0, "source_redshift": 1.0},
    "simulation": {**dataclasses.asdict(TINY), "ray_tracing": "born", "batches": 1},
}
PARAMETERS = {0: (0.26, 0.8), 1: (0.4, 0.7)}


def test_a_batch_file_holds_its_boxes(tmp_path: Path) -> None:
    listed = [
        campaign.Box("training", 0, 0, (0, 1)),
        campaign.Box("testing", 1, 0, (0,)),
    ]
    campaign.write_batch(tmp_path / "batch_0.h5", listed, PARAMETERS, typed(SPEC))
    maps = read_maps([tmp_path / "batch_0.h5"])
    assert maps.convergence is not None
    assert maps.convergence.shape == (3, 16, 16)
    assert list(maps.split) == ["training", "training", "testing"]
    assert list(maps.cosmology) == [0, 0, 1]
    assert list(maps.realization) == [0, 1, 0]
    np.testing.assert_allclose(maps.omega_matter, [0.26, 0.26, 0.4])
    np.testing.assert_array_equal(maps.convergence[:2], simulate(listed[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["batch_0.h5"]
    # The same batch is the same file.
    campaign.write_batch(tmp_path / "again.h5", listed, PARAMETERS, typed(SPEC))
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "batch_0.h5").read_bytes()


def test_a_simulation_that_blows_up_says_so_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        campaign,
        "simulate_maps",
        lambda *arguments: iter([np.full((1, 16, 16), np.nan, np.float32)]),
    )
    listed = [campaign.Box("training", 1, 0, (0,))]
    with pytest.raises(InputError, match=r"box 0 of cosmology 1.*simulation\.steps") as caught:
        campaign.write_batch(tmp_path / "batch_0.h5", listed, PARAMETERS, typed(SPEC))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())

"""Map batches on disk."""

import dataclasses
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from kappascope.errors import InputError
from kappascope.maps import dataset
from kappascope.maps.dataset import (
    COLUMNS,
    MapSet,
    MapWriter,
    iterate_maps,
    read_maps,
    write_maps,
)


def a_set(number: int = 6, pixels: int = 8, **changes: object) -> MapSet:
    rng = np.random.default_rng(1)
    whole = MapSet(
        convergence=rng.standard_normal((number, pixels, pixels)).astype(np.float32),
        split=np.array(["training", "testing", "covariance"] * 10)[:number],
        cosmology=np.arange(number) // 3,
        realization=np.arange(number) % 3,
        omega_matter=0.2 + 0.01 * np.arange(number),
        sigma_8=0.7 + 0.01 * np.arange(number),
        pixel_arcmin=0.82,
        source_redshift=1.0,
        attrs={"seed": 5, "spec": "abc"},
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def assert_equal(first: MapSet, second: MapSet) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.convergence, second.convergence)
    assert first.scalars == second.scalars


def test_what_is_written_is_read(tmp_path: Path) -> None:
    maps = a_set(mask=np.eye(8, dtype=bool))
    write_maps(tmp_path / "a.h5", maps)
    back = read_maps(tmp_path / "a.h5")
    assert_equal(maps, back)
    np.testing.assert_array_equal(back.mask, maps.mask)
    assert back.attrs == {"seed": 5, "spec": "abc"}
    assert back.convergence is not None and back.convergence.dtype == np.float32


def test_layout_is_that_of_the_documentation(tmp_path: Path) -> None:
    write_maps(tmp_path / "a.h5", a_set())
    with h5py.File(tmp_path / "a.h5") as handle:
        assert set(handle) == {"convergence", *COLUMNS}
        assert handle["convergence"].chunks == (1, 8, 8)
        assert handle["convergence"].dtype == np.float32
        assert set(handle.attrs) == {
            "pixel_arcmin",
            "source_redshift",
            "smoothing_arcmin",
            "galaxies_per_arcmin2",
            "seed",
            "spec",
        }


def test_the_same_maps_give_the_same_bytes(tmp_path: Path) -> None:
    maps = a_set()
    write_maps(tmp_path / "a.h5", maps)
    with MapWriter(
        tmp_path / "b.h5",
        maps=6,
        pixels=8,
        pixel_arcmin=0.82,
        source_redshift=1.0,
        attrs=maps.attrs,
    ) as writer:
        for rows in (slice(0, 1), slice(1, 5), slice(5, 6)):
            part = maps.select(rows)
            assert part.convergence is not None
            writer.append(part.convergence, **{name: getattr(part, name) for name in COLUMNS})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_one_value_holds_for_all_maps_of_a_piece(tmp_path: Path) -> None:
    with MapWriter(
        tmp_path / "a.h5", maps=3, pixels=8, pixel_arcmin=1, source_redshift=1.0
    ) as writer:
        writer.append(
            np.zeros((3, 8, 8)),
            split="covariance",
            cosmology=4,
            realization=np.arange(3),
            omega_matter=0.26,
            sigma_8=0.8,
        )
    back = read_maps(tmp_path / "a.h5")
    assert list(back.split) == ["covariance"] * 3
    assert list(back.cosmology) == [4, 4, 4] and list(back.realization) == [0, 1, 2]


@pytest.mark.parametrize("failure", [RuntimeError("stopped"), None])
def test_an_unfinished_file_never_appears(tmp_path: Path, failure: Exception | None) -> None:
    kind = RuntimeError if failure else ValueError
    with (
        pytest.raises(kind),
        MapWriter(tmp_path / "a.h5", maps=3, pixels=8, pixel_arcmin=1, source_redshift=1) as writer,
    ):
        writer.append(
            np.zeros((1, 8, 8)),
            split="testing",
            cosmology=0,
            realization=0,
            omega_matter=0.3,
            sigma_8=0.8,
        )
        if failure:
            raise failure
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_maps(tmp_path / "a.h5", a_set())
    before = (tmp_path / "a.h5").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match="disk is full"):
        write_maps(tmp_path / "a.h5", a_set())
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_splits_and_pieces(tmp_path: Path) -> None:
    maps = a_set()
    write_maps(tmp_path / "a.h5", maps.select(slice(0, 4)))
    write_maps(tmp_path / "b.h5", maps.select(slice(4, 6)))
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    assert_equal(read_maps(paths), maps)
    assert_equal(read_maps(paths, split="testing"), maps.select(maps.split == "testing"))
    assert len(read_maps(paths, split="testing")) == 2
    bare = read_maps(paths, columns_only=True)
    assert bare.convergence is None and len(bare) == 6
    pieces = list(iterate_maps(paths[0], 3))
    assert [len(piece) for piece in pieces] == [3, 1]
    assert_equal(pieces[1], maps.select(slice(3, 4)))


def test_a_truncated_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_maps(path, a_set())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.h5: not a whole HDF5 file") as caught:
        read_maps(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("no maps here")
    with pytest.raises(InputError, match=r"a\.h5: not a whole HDF5 file"):
        list(iterate_maps(tmp_path / "a.h5", 2))
    with h5py.File(tmp_path / "b.h5", "w") as handle:
        handle["something"] = 1
    with pytest.raises(InputError, match=r"b\.h5: no 'convergence'"):
        read_maps(tmp_path / "b.h5")
    with pytest.raises(InputError, match=r"c\.h5: there is no such file"):
        read_maps(tmp_path / "c.h5")


def test_batches_must_agree(tmp_path: Path) -> None:
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    write_maps(paths[0], a_set())
    write_maps(paths[1], a_set(pixel_arcmin=0.41))
    with pytest.raises(InputError, match=r"b\.h5: pixel_arcmin is 0.41 but 0.82 in .*a\.h5"):
        read_maps(paths)
    write_maps(paths[1], a_set(mask=np.eye(8, dtype=bool)))
    with pytest.raises(InputError, match="mask"):
        read_maps(paths)


@pytest.mark.parametrize(("each", "there", "expected"), [(3, 12, 12), (5, 12, 12), (12, 12, 12)])
def test_cosmologies_together_show_every_light_cone(each: int, there: int, expected: int) -> None:
    cosmology = np.repeat([4, 7, 8, 9], there)
    light_cone = np.tile(np.arange(there), 4)
    rows = dataset.spread_of_each(cosmology, each)
    assert (np.bincount(cosmology[rows])[[4, 7, 8, 9]] == each).all()
    assert len(set(rows.tolist())) == 4 * each and (np.diff(rows) > 0).all()
    assert len(set(light_cone[rows].tolist())) == expected
    # As many of the one as of the other, to the next whole number.
    assert np.ptp(np.bincount(light_cone[rows], minlength=there)) <= 1
    # The first of all cosmologies are the same few.
    assert len(set(light_cone[dataset.first_of_each(cosmology, each)].tolist())) == each


def test_a_cosmology_with_fewer_maps_gives_what_it_has() -> None:
    cosmology = np.array([0, 0, 1, 1, 1, 1])
    rows = dataset.spread_of_each(cosmology, 3)
    assert np.bincount(cosmology[rows]).tolist() == [2, 3]

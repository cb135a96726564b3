"""Mistakes in what a finished run goes on with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from checkouts import SMOKE, Checkout, assert_one_line, jobs_of, rows_of, tiny_disk

pytestmark = pytest.mark.workflow


def test_own_images_of_galaxies_are_scored_or_refused(rerun: Checkout, tmp_path: Path) -> None:
    content = {
        "images": np.random.default_rng(0).normal(size=(2, 32, 32, 2)),
        "noise": np.ones(2),
        "bands": np.array(["VIS", "H"]),
        "pixel_arcsec": np.array(0.2),
        "names": np.array(["mine", "yours"]),
    }
    path = tmp_path / "own.npz"
    chosen = ("--cores", "1", *SMOKE, f"wilde2022={{own_images: {path}}}")
    table = rerun.root / "results/smoke/wilde2022/real.csv"
    np.savez(path, **{**content, "bands": np.array(["VIS", "Y"])})
    ended = rerun.run("wilde2022", *chosen)
    assert_one_line(ended, "own.npz", "2 bands, called VIS, Y; the networks read VIS, H")
    np.savez(path, **content)
    ended = rerun.run(str(table.relative_to(rerun.root)), *chosen)
    assert ended.status == 0, ended.text
    assert jobs_of(ended.text)["train_lens_network"] == 0
    mine = [row for row in rows_of(table) if row["treatment"] == "as given"]
    assert [row["system"] for row in mine] == ["mine", "yours"]


def test_a_full_disk_while_statistics_are_saved(rerun: Checkout) -> None:
    statistics = rerun.root / "results/smoke/statistics"
    shutil.rmtree(statistics)
    before = tiny_disk(statistics)
    ended = rerun.run("statistics", "--cores", "1", *SMOKE, before=before)
    assert_one_line(ended, "results/smoke/statistics", "the disk is full")
    assert rerun.planned("statistics", *SMOKE)["simulate_maps"] == 0

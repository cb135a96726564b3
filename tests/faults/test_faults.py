"""Bad luck with disks, memory, clocks and company: one clear line, and nothing lost."""

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from checkouts import (
    SMOKE_ALONE,
    Checkout,
    assert_one_line,
    jobs_run,
    mounted,
    tiny_disk,
    wait_until,
)

pytestmark = pytest.mark.faults

RUN = ("--cores", "2", *SMOKE_ALONE)
STATISTICS = Path("results/smoke/statistics/noisy.nc")


def flip_a_bit(file: Path) -> None:
    """Change one byte as a disk would, with neither size nor time to tell."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(file: Path) -> None:
    """Cut a file short, as a copy that was interrupted does."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


# ---- disks ---------------------------------------------------------------------------------------


def test_a_disk_that_is_full_from_the_start(fresh: Checkout) -> None:
    before = tiny_disk(fresh.root / "results")
    ended = fresh.run("maps", "--cores", "1", *SMOKE_ALONE, before=before)
    assert_one_line(ended, "results", "the disk is full")


def test_a_disk_that_is_full_when_a_table_is_written(rerun: Checkout) -> None:
    tables = rerun.root / "results/smoke/matilla2020/constraints"
    shutil.rmtree(tables)
    targets = [
        f"results/smoke/matilla2020/constraints/areas_{name}.csv" for name in ("noiseless", "noisy")
    ]
    ended = rerun.run(*targets, *RUN, before=tiny_disk(tables, kilobytes=4))
    # Both data sets' jobs meet it at once.
    assert ended.status != 0 and "Traceback" not in ended.text, ended.text
    assert ended.told and all(": the disk is full; free some" in line for line in ended.told)
    assert rerun.planned(*targets, *SMOKE_ALONE) == {"constrain": 2}


def test_results_that_cannot_be_written(rerun: Checkout) -> None:
    shutil.rmtree(rerun.root / "results/smoke/matilla2020/constraints")
    whole = rerun.checksums()
    before = mounted(
        rerun.root / "results", 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
    )
    ended = rerun.run(*RUN, before=before)
    assert_one_line(ended, "results", "cannot write here", "Read-only")
    assert rerun.checksums() == whole


# ---- damaged files -------------------------------------------------------------------------------


def test_a_truncated_file_is_made_anew_and_nothing_else(
    rerun: Checkout, finished: Checkout
) -> None:
    truncate(rerun.root / STATISTICS)
    ended = rerun.run(*RUN)
    assert ended.status == 0, ended.text
    assert f"kappascope: {STATISTICS}: damaged (checksum); it is made anew" in ended.text
    assert jobs_run(ended.text) == {"measure_statistics": 1}
    assert "Nothing to be done" in ended.text
    assert rerun.checksums() == finished.checksums()
    again = rerun.run(*RUN)
    assert "Nothing to be done" in again.text and "damaged" not in again.text


def test_a_turned_bit_is_noticed_when_the_file_is_read(rerun: Checkout, finished: Checkout) -> None:
    flip_a_bit(rerun.root / STATISTICS)
    (rerun.root / "results/smoke/matilla2020/correlations.csv").unlink()
    target = "results/smoke/matilla2020/correlations.csv"
    ended = rerun.run(target, *RUN)
    assert_one_line(ended, "rule correlations", str(STATISTICS), "damaged", "same command again")
    ended = rerun.run(target, *RUN)
    assert ended.status == 0, ended.text
    assert jobs_run(ended.text) == {"measure_statistics": 1, "correlations": 1}
    assert rerun.checksums() == finished.checksums()


def test_damaged_tables_figures_maps_and_networks_are_all_made_anew(
    rerun: Checkout, finished: Checkout
) -> None:
    maps = next((finished.root / "results/maps").glob("*/batch_1.h5")).relative_to(finished.root)
    spoilt = [
        maps,
        Path("results/smoke/networks/noiseless/0/network.npz"),
        Path("results/smoke/matilla2020/table1.csv"),
        Path("results/smoke/matilla2020/fig1.png"),
    ]
    for path in spoilt:
        truncate(rerun.root / path)
    ended = rerun.run(*RUN)
    assert ended.status == 0, ended.text
    assert jobs_run(ended.text) == {
        "simulate_maps": 1,
        "train_network": 1,
        "gather_table1": 1,
        "plot_fig1": 1,
    }
    assert rerun.checksums() == finished.checksums()


def test_doctor_finds_what_is_damaged(rerun: Checkout) -> None:
    import subprocess
    import sys

    flip_a_bit(rerun.root / "results/smoke/claims.csv")
    command = [sys.executable, "-m", "kappascope", "doctor", "--verify"]
    ended = subprocess.run(
        command, cwd=rerun.root, env=rerun.environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "results/smoke/claims.csv: damaged" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    repaired = rerun.run(*RUN)
    assert jobs_run(repaired.text) == {"write_claims": 1}


def test_a_damaged_checksum_is_as_good_as_none(rerun: Checkout) -> None:
    records = rerun.root / "results/.kappascope/checksums/results/smoke"
    (records / "claims.csv.json").write_text('{"sha2')
    ended = rerun.run(*RUN)
    assert ended.status == 0 and "Nothing to be done" in ended.text


# ---- company -------------------------------------------------------------------------------------


def test_a_second_run_in_the_folder_is_told_of_the_first(fresh: Checkout, tmp_path: Path) -> None:
    log = tmp_path / "first.log"
    with fresh.running(log, "maps", *RUN) as first:
        wait_until(lambda: any(fresh.root.glob("results/maps/*/*.log")), first, log)
        second = fresh.run("maps", *RUN)
        assert_one_line(second, f"process {first.pid} on", "works in this folder")
        dry = fresh.run("--dry-run", "maps", *RUN)
        assert dry.status == 0, dry.text
        assert first.wait(600) == 0, log.read_text()
    assert "Nothing to be done" in fresh.run("maps", *RUN).text


# ---- memory --------------------------------------------------------------------------------------


def test_a_worker_without_enough_memory(fresh: Checkout) -> None:
    # Data and mappings of one process, as a container would allow it.
    before = ("prlimit", f"--data={350 << 20}")
    if shutil.which(before[0]) is None:
        pytest.skip("there is no prlimit to give a test little memory with")
    ended = fresh.run("maps", "--cores", "1", *SMOKE_ALONE, before=before)
    assert_one_line(ended, "rule simulate_maps", "memory ran out")
    assert not list(fresh.root.glob("results/maps/*/batch_*.h5"))
    assert fresh.run("maps", *RUN).status == 0
    assert not [path for path in fresh.results() if path.name.startswith(".")]


def test_a_killed_job_says_so(fresh: Checkout, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with fresh.running(log, "maps", "--cores", "1", *SMOKE_ALONE) as run:

        def scripts() -> list[psutil.Process]:
            below = psutil.Process(run.pid).children(recursive=True)
            return [each for each in below if "simulate_maps.py" in " ".join(each.cmdline())]

        wait_until(lambda: any(fresh.root.glob("results/maps/*/*.log")), run, log)
        scripts()[-1].kill()
        assert run.wait(600) == 1
    told = [line for line in log.read_text().splitlines() if line.startswith("kappascope: error")]
    assert len(told) == 1
    assert re.search(r"simulate_maps: its process was killed .* asks for \d+ MB", told[0])


# ---- the clock -----------------------------------------------------------------------------------


def test_a_clock_that_was_set_back(rerun: Checkout, finished: Checkout) -> None:
    """Results an hour from the future are those of a clock that then went back an hour."""
    later = time.time() + 3600
    for path in rerun.results():
        os.utime(rerun.root / path, (later, later))
    (rerun.root / "results/smoke/matilla2020/correlations.csv").unlink()
    ended = rerun.run("results/smoke/matilla2020/correlations.csv", *RUN)
    assert ended.status == 0, ended.text
    assert "kappascope: the clock was set back" in ended.text
    assert rerun.checksums() == finished.checksums()
    assert "Nothing to be done" in rerun.run("networks", "statistics", *RUN).text


def test_maps_from_the_future_are_named(fresh: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    np.save(folder / "map.npy", np.random.default_rng(1).normal(0, 0.02, (64, 64)))
    table = tmp_path / "maps.csv"
    table.write_text("file,Omega_m,sigma_8,pixel_arcmin\nmap.npy,0.3,0.8,0.8\n")
    os.utime(folder / "map.npy", (time.time() + 7200,) * 2)
    chosen = f"maps={{source: folder, path: {folder}, table: {table}, pixels: 64}}"
    ended = fresh.run("maps", "--cores", "1", *SMOKE_ALONE, chosen, "run=mine")
    assert_one_line(ended, "map.npy", "2.0 hours ahead")

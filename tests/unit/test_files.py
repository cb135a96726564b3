"""Nothing half-written is ever seen, whatever stops the writing."""

import csv
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappascope import files
from kappascope.errors import InputError


def test_a_file_appears_whole_with_its_suffix_and_folder(tmp_path: Path) -> None:
    final = tmp_path / "a" / "b" / "table.csv"
    with files.atomic_path(final) as scratch:
        assert scratch.suffix == ".csv"
        assert scratch.parent == final.parent  # one file system, so that the move is one step
        scratch.write_text("whole")
        assert not final.exists()
    assert final.read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]
    assert stat.S_IMODE(final.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), InputError("user's")])
def test_what_stood_there_stays_when_writing_fails(tmp_path: Path, error: BaseException) -> None:
    final = tmp_path / "table.csv"
    final.write_text("before")
    with pytest.raises(type(error)), files.atomic_path(final) as scratch:
        scratch.write_text("half")
        raise error
    assert final.read_text() == "before"
    assert list(tmp_path.iterdir()) == [final]


FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    OSError(
        "Can't write data (file write failed: errno = 28, error message = "
        "'No space left on device')"
    ),  # as HDF5 says it
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, error: OSError) -> None:
    final = tmp_path / "table.csv"
    final.write_text("before")
    with (
        pytest.raises(InputError, match=r"table\.csv: the disk is full; free some space") as caught,
        files.atomic_path(final) as scratch,
    ):
        scratch.write_text("half")
        raise error
    assert "\n" not in str(caught.value)
    assert final.read_text() == "before"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_up_at_the_last_moment_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(InputError, match="the disk is full"):
        files.write_text(tmp_path / "new.txt", "text")
    assert not list(tmp_path.iterdir())


def test_a_write_that_stops_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stops a write in the middle, as a full disk does."""
    program = (
        "import resource, signal, sys\n"
        "from kappascope import files\n"
        "from kappascope.errors import InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    files.write_text(sys.argv[1], 'x' * 100000)\n"
        "except (InputError, OSError) as error:\n"
        "    print(type(error).__name__, flush=True)\n"
    )
    final = tmp_path / "table.csv"
    final.write_text("before")
    done = subprocess.run(
        [sys.executable, "-c", program, str(final)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in ("InputError", "OSError")
    assert final.read_text() == "before"
    assert list(tmp_path.iterdir()) == [final]


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    final = tmp_path / "table.csv"
    final.write_text("before")
    program = (
        "import os, signal, sys\n"
        "from kappascope import files\n"
        "with files.atomic_path(sys.argv[1]) as scratch:\n"
        "    scratch.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(final)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert final.read_text() == "before"
    # Nobody can tidy up after a SIGKILL; what is left is hidden and the next write ignores it.
    left = [path for path in tmp_path.iterdir() if path != final]
    assert all(path.name.startswith(".") for path in left)
    files.write_text(final, "after")
    assert final.read_text() == "after"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"file/table\.csv: cannot write here .*; choose another"):
        files.write_text(tmp_path / "file" / "table.csv", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot write here"):
        files.write_text(tmp_path / "folder", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_other_errors_of_the_system_are_bugs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "table.csv"):
        (tmp_path / "no such file").read_text()
    assert not list(tmp_path.iterdir())


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": [1, 2.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, 2.5]}
    assert (tmp_path / "a.json").read_text().endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "b.json", {"b": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_csv_keeps_nine_digits_order_and_text(tmp_path: Path) -> None:
    rows = [
        {"name": "a,b", "number": np.float32(1 / 3), "count": np.int64(3), "sure": True},
        {"name": "c", "number": 1e-12 / 3, "count": 4, "sure": None},
    ]
    files.write_csv(tmp_path / "a.csv", rows)
    with open(tmp_path / "a.csv", newline="") as handle:
        read = list(csv.reader(handle))
    assert read == [
        ["name", "number", "count", "sure"],
        ["a,b", "0.333333343", "3", "True"],
        ["c", "3.33333333e-13", "4", ""],
    ]
    files.write_csv(tmp_path / "b.csv", (row for row in rows), ["count", "name"])
    assert (tmp_path / "b.csv").read_text() == 'count,name\n3,"a,b"\n4,c\n'
    # A missing column is found before anything stands under the final name.
    with pytest.raises(KeyError):
        files.write_csv(tmp_path / "c.csv", rows, ["no such column"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 half a zip"])
def test_arrays_that_are_not_whole_are_named(tmp_path, content):
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"arrays\.npz: not a whole npz file"):
        files.read_arrays(path)


def test_arrays_come_back_as_they_were_written(tmp_path):
    written = {"a": np.arange(4), "b.c": np.ones((2, 2), np.float32)}
    files.write_arrays(tmp_path / "arrays.npz", written)
    found = files.read_arrays(tmp_path / "arrays.npz")
    assert set(found) == set(written)
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)


# ---- where results may go ------------------------------------------------------------------------


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with subprocess.Popen(["timeout", "20", "cat", pipe], stdout=subprocess.PIPE) as reader:
        files.write_text(pipe, "whole")
        assert reader.communicate()[0] == b"whole"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.json"]


def test_a_device_is_written_into_and_stays_a_device(tmp_path: Path) -> None:
    # One of our own: a mistake here must not cost the machine's.
    null = tmp_path / "null.json"
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        null.write_text("")
    except OSError:
        pytest.skip("devices cannot be made here")
    before = os.stat(null)
    files.write_text(null, "gone")
    after = os.stat(null)
    assert stat.S_ISCHR(after.st_mode) and (after.st_ino, after.st_rdev) == (
        before.st_ino,
        before.st_rdev,
    )


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "table.csv"
    target.write_text("before")
    (tmp_path / "table.csv").symlink_to(target)
    files.write_text(tmp_path / "table.csv", "after")
    assert (tmp_path / "table.csv").is_symlink() and target.read_text() == "after"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_the_umask_leaves(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "table.csv", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == mode


def test_names_as_long_as_they_can_be(tmp_path: Path) -> None:
    name = "a" * 251 + ".csv"
    files.write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"
    with pytest.raises(InputError, match=r"aaa\.\.\.: the name is too long") as caught:
        files.write_text(tmp_path / ("a" * 252 + ".csv"), "text")
    assert len(str(caught.value)) < 200


def refused(output: Path, *inputs: Path) -> str:
    with pytest.raises(InputError) as caught:
        files.check_output(output, "-o", (".json",), inputs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_result_never_takes_the_place_of_what_is_read(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    (tmp_path / "linked.json").symlink_to(mine)
    os.link(mine, tmp_path / "hard.json")
    for output in (mine, tmp_path / "x" / ".." / "mine.json", tmp_path / "linked.json"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert "is one of the files to read and would be overwritten" in refused(output, mine)
    assert "would be overwritten" in refused(tmp_path / "hard.json", mine)
    assert "is a folder" in refused(tmp_path)
    assert "does not end in .json" in refused(tmp_path / "map.fits")
    assert "the name is too long" in refused(tmp_path / ("a" * 300 + ".json"))
    files.check_output(tmp_path / "new.json", "-o", (".json",), [mine, Path("a" * 300)])
    files.check_output(Path("/dev/null"), "-o", (".json",), [mine])

"""Writing files so that nothing half-written is ever seen under its final name; reading rows."""

import contextlib
import csv
import errno
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kappascope.errors import InputError, reason, shown

if TYPE_CHECKING:
    import numpy as np


@contextlib.contextmanager
def atomic_path(destination: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a scratch path beside ``destination`` and rename it there on success.

    The scratch file keeps the destination's suffix, so that writers which choose a format by
    suffix work unchanged. On any exception the scratch file is removed and whatever stood at
    ``destination`` is left as it was. The file gets the permissions that the umask leaves. What
    is no regular file (a pipe, a device, ``>(...)``) is written into, never replaced; a symbolic
    link stays, and what it points to is replaced.

    Raises
    ------
    InputError
        When the disk is full, the folder cannot be written or the name is too long.

    """
    final = Path(destination)
    special = is_special(final)
    try:
        place, suffix = (final, final.suffix) if special else (_followed(final), final.suffix)
        if special:
            handle, name = tempfile.mkstemp(suffix=suffix)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = _scratch_beside(place)
    except OSError as error:
        raise failure_told(error, final) from error
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        with open(scratch, "rb") as written:
            if special:
                with open(final, "wb") as stream:
                    shutil.copyfileobj(written, stream)
                return
            os.fsync(written.fileno())
        os.replace(scratch, place)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise failure_told(error, final) from error
    finally:
        scratch.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Return whether a path is something other than a regular file or a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _followed(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _scratch_beside(final: Path) -> tuple[int, str]:
    """Make an empty file in the folder of ``final``, open; its name is short whatever final's."""
    # mkstemp would give permissions to the owner alone, whatever the umask.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    name = final.with_name(f".{final.stem[:32]}.{secrets.token_hex(4)}{final.suffix}")
    return os.open(name, flags, 0o666), str(name)


def check_output(
    output: Path, option: str, suffixes: Sequence[str], inputs: Iterable[Path | None]
) -> None:
    """Refuse a place for a command's result before anything is computed.

    Parameters
    ----------
    output : the file to write.
    option : how to name it in messages.
    suffixes : those that the file may have; a pipe or a device may be called anything.
    inputs : files that the command reads.

    Raises
    ------
    InputError
        When it is a folder, one of the inputs, of another kind, or its name is too long.

    """
    try:
        if output.is_dir():
            raise InputError(f"{option}: {output} is a folder; name the file to write")
        there = output.exists()
        for path in inputs if there else ():
            # What cannot be looked at cannot be overwritten; its reader will say why.
            with contextlib.suppress(OSError):
                if path is not None and path.samefile(output):
                    raise InputError(
                        f"{option}: {output} is one of the files to read and would be overwritten; "
                        "name another"
                    )
        if not is_special(output) and output.suffix.lower() not in suffixes:
            raise InputError(
                f"{option}: got {output}, which does not end in {' or '.join(suffixes)}; name the "
                f"file to write so (-o takes one name: files after it are read as inputs)"
            )
    except OSError as error:
        raise failure_told(error, output) from error


def failure_told(error: OSError, path: Path) -> Exception:
    """Return what to raise for a failed write to ``path``: a line for users where there is one."""
    # HDF5 wraps the system's error in its own text and sometimes loses the number.
    text = str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
        return InputError(
            f"{path}: the disk is full; free some space and run the same command again "
            "(nothing finished so far is lost)"
        )
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"{path.name[:60]}...: the name is too long; choose a shorter one")
    refused = (errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EPERM, errno.EEXIST)
    if error.errno in refused:
        return InputError(f"{path}: cannot write here ({os.strerror(error.errno)}); choose another")
    return error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path`` atomically, UTF-8."""
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(
    path: str | os.PathLike[str],
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
) -> None:
    """Write ``rows`` (mappings with the same keys) as CSV, atomically.

    Floats are written with nine significant digits: enough for single precision, and the same
    text from every run that got the same number.
    """
    listed = list(rows)
    names = list(columns) if columns is not None else list(listed[0])
    with atomic_path(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(names)
        for row in listed:
            writer.writerow([_cell(row[name]) for name in names])


def _cell(value: Any) -> Any:
    if isinstance(value, bool | str | int) or value is None:
        return value
    try:
        return f"{float(value):.9g}"
    except (TypeError, ValueError):
        return value


def read_rows(paths: str | os.PathLike[str] | Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of one CSV or of several with the same columns, as text."""
    listed = [paths] if isinstance(paths, str | os.PathLike) else paths
    rows: list[dict[str, str]] = []
    for path in listed:
        with open(path, newline="", encoding="utf-8") as handle:
            rows += csv.DictReader(handle)
    return rows


def write_arrays(path: str | os.PathLike[str], arrays: "Mapping[str, np.ndarray]") -> None:
    """Write named arrays as ``.npz``, atomically and with the same bytes every time."""
    import numpy as np

    with atomic_path(path) as scratch, open(scratch, "wb") as handle:
        named: Any = dict(arrays)
        np.savez_compressed(handle, **named)


def write_array(path: str | os.PathLike[str], array: "np.ndarray") -> None:
    """Write one array as ``.npy``, atomically."""
    import numpy as np

    with atomic_path(path) as scratch, open(scratch, "wb") as handle:
        np.save(handle, array)


def read_arrays(path: str | os.PathLike[str]) -> "dict[str, np.ndarray]":
    """Read the named arrays of an ``.npz``.

    Raises
    ------
    InputError
        When the file is not a whole one.

    """
    import numpy as np

    try:
        # NumPy leaves a damaged file open when it opens it itself.
        with open(path, "rb") as handle, np.load(handle) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except MemoryError:
        raise
    # What is damaged inside an archive can raise anything: zlib.error, KeyError, ...
    except Exception as error:
        raise InputError(
            f"{path}: not a whole npz file ({reason(error)}); put a whole one there"
        ) from None


def name_problem(file: str | Path) -> str:
    """Say why Snakemake cannot take a file as an input, or nothing."""
    if "{" in str(file) or "}" in str(file):
        return "has braces in its name, which Snakemake reads as wildcards; rename it or link to it"
    return ""


def checkout() -> Path:
    """Return the repository's root: around this file, or where an installed package is used."""
    around = Path(__file__).resolve().parents[2]
    here = Path.cwd()
    own = "config/config.yaml"
    return here if not (around / own).is_file() and (here / own).is_file() else around


# The C parser where PyYAML has it: ten times as fast, and every job reads these files.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, label: str | None = None) -> dict[str, Any]:
    """Read a YAML mapping; mistakes are told with the file and the line."""
    name = label or str(path)
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read ({error.strerror}); check the path, or run this in a checkout "
            "of the repository"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not text"
        raise InputError(f"{name}{line}: not valid YAML ({problem}); correct that line") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{name}: holds {shown(value)}, expected keys and values")
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``: mappings merge key by key, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged

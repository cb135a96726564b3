"""What a result was made from: a slice of the config and the source code behind it.

Snakemake reruns a job when its ``params`` change. Each rule therefore carries one plain mapping:
the config sections that the rule reads, and one hash of the modules that it imports, followed
through every import inside kappascope without executing any of it. Editing a kernel reruns what
used that kernel and nothing else; a fresh clone, where every file is new, reruns nothing. What runs
the scripts (logs, locks, checksums: :data:`RUNNER`) makes no number and is left out, and so are the
models of the config (modules called ``config``): their values are in the mapping.

What is hashed is the syntax tree without positions and docstrings, so comments, layout and
documentation may change freely. The tree's form belongs to the Python release: after a change of
the minor version (3.11 to 3.12) everything may run once more.
"""

import ast
import atexit
import contextlib
import functools
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from kappascope.errors import InputError
from kappascope.files import write_text
from kappascope.registry import declaring, extensions, mentions

PACKAGE = "kappascope"
RUNNER = ("workflow/script.py", "progress.py", "sections.py")
"""Modules that run scripts and tell of them: neither they nor what only they import changes a
result."""

ANALYSIS = 2
"""Raised when what is remembered of a file is made in another way."""

SOURCE = Path(__file__).resolve().parents[1]
ROOT = SOURCE.parent.parent


def digest(value: Any) -> str:
    """Return a short hash of plain data, the same whatever the order of mapping keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_hash(*modules: str) -> str:
    """Hash the code of ``modules`` and of all that they import inside kappascope.

    A name that ends in ``.py`` is a file relative to the repository's root. The order of the
    names does not matter.
    """
    whole = hashlib.sha256()
    for file in sources(*modules):
        whole.update(f"{_label(file)}\0{_parsed(file)[0]}\n".encode())
    return whole.hexdigest()[:16]


def sources(*modules: str) -> list[Path]:
    """Files whose code ``modules`` run: themselves and what they import inside kappascope."""
    waiting = [_start(module) for module in modules]
    files: set[Path] = set()
    more = extensions()
    while waiting:
        file = waiting.pop()
        if file not in files:
            files.add(file)
            waiting += _parsed(file)[1]
            # A user's file counts where a registry that it adds to is reached.
            waiting += [each for each in more for name in _parsed(file)[2] if mentions(each, name)]
    return sorted(files, key=lambda file: (_label(file), file))


def _start(module: str) -> Path:
    file = ROOT / module if module.endswith(".py") else _file(module)
    if file is None or not file.is_file():
        raise InputError(f"{module}: no such module or script to take the source hash of")
    return file.resolve()


@functools.cache
def _label(file: Path) -> str:
    # Relative to where it is installed, so that the hash is the same on every machine.
    base = SOURCE if file.is_relative_to(SOURCE) else ROOT
    return str(file.relative_to(base)) if file.is_relative_to(base) else file.name


@functools.cache
def _file(module: str) -> Path | None:
    names = module.split(".")
    if names[0] != PACKAGE:
        return None
    place = SOURCE.joinpath(*names[1:])
    if place.with_suffix(".py").is_file() and len(names) > 1:
        return place.with_suffix(".py")
    package = place / "__init__.py"
    return package if package.is_file() else None


@functools.cache
def _parsed(file: Path) -> tuple[str, tuple[Path, ...], frozenset[str]]:
    """Hash of the file's code, the files inside kappascope that it imports, and its registries."""
    raw = file.read_bytes()
    key = f"{_label(file)} {sys.version_info[:2]} {ANALYSIS}\n"
    text = hashlib.sha256(key.encode() + raw).hexdigest()
    known = _remembered()
    if text not in known:
        known[text] = _analysed(raw, file)
    _used.add(text)
    code, names = known[text]
    parents = {".".join(name.split(".")[:end]) for name in names for end in range(1, 7)}
    files = {_file(name) for name in parents if "*" not in name}
    for name in names:
        if "*" in name:
            package, variable = name.split(".*:")
            files |= set(declaring(SOURCE.joinpath(*package.split(".")[1:]), variable))
    followed = {path for path in files if path is not None and path.name != "config.py"}
    followed -= {file, *(SOURCE / name for name in RUNNER)}
    registries = frozenset(name.split(".*:")[1] for name in names if "*" in name)
    return code, tuple(sorted(followed)), registries


def _analysed(raw: bytes, file: Path) -> tuple[str, list[str]]:
    """Hash of the code in ``raw``, and the names inside kappascope that it may import."""
    tree = ast.parse(raw, filename=str(file))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, file)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A registry names the package whose modules it imports when they are used.
            names.update(re.findall(r"^kappascope(?:\.\w+)+(?:\.\*:\w+)?$", node.value))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            _drop_docstring(node)
    if file.is_relative_to(SOURCE):
        names.add(".".join((PACKAGE, *file.relative_to(SOURCE).parent.parts)))
    inside = sorted(name for name in names if name.split(".")[0] == PACKAGE)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), inside


# Each Snakemake job reads the Snakefile anew, and parsing every module each time would add up.
# What a file's text stands for never changes, so it is remembered beside Snakemake's own notes.
_used: set[str] = set()


def _memory() -> Path:
    return ROOT / ".snakemake" / "kappascope-source-hashes.json"


@functools.cache
def _remembered() -> dict[str, tuple[str, list[str]]]:
    atexit.register(_remember)
    try:
        loaded = json.loads(_memory().read_text(encoding="utf-8"))
        return {key: (str(code), list(names)) for key, (code, names) in loaded.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember() -> None:
    known, file = _remembered(), _memory()
    kept = {key: known[key] for key in sorted(_used) if key in known}
    if kept and file.parent.is_dir():
        text = json.dumps(kept)
        with contextlib.suppress(OSError, InputError):
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                write_text(file, text)


def _absolute(node: ast.ImportFrom, file: Path) -> str:
    if not node.level or not file.is_relative_to(SOURCE):
        return node.module or ""
    parts = (PACKAGE, *file.relative_to(SOURCE).parent.parts)
    base = parts[: len(parts) - node.level + 1]
    return ".".join((*base, node.module) if node.module else base)


def _drop_docstring(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module,
) -> None:
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        node.body = node.body[1:]

"""What can be chosen by name: declared beside its definition, listed without importing it.

A registry reads the declarations in the source of a package,

    @METHODS.add("gradient", label="Gradient", reference="Simonyan et al. 2014")

so that names, labels and all else that is written there as plain values are known where JAX must
not be imported. A definition is imported when it is first asked for. Files of a user's own
(``KAPPASCOPE_EXTENSIONS``, or ``extensions`` in the config) declare more in the same way.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from kappascope.errors import InputError, nearest, reason, shown

T = TypeVar("T")
D = TypeVar("D")
EXTENSIONS = "KAPPASCOPE_EXTENSIONS"
"""Environment variable with Python files, separated as in ``PATH``."""

SOURCE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Entry:
    """One declaration.

    Attributes
    ----------
    name : by which it is chosen.
    file : where it stands.
    info : what is declared with it as plain values.

    """

    name: str
    file: Path
    info: Mapping[str, Any]

    @property
    def module(self) -> str:
        """The module it stands in, or the path of a file outside the package."""
        if not self.file.is_relative_to(SOURCE):
            return str(self.file)
        return ".".join(self.file.relative_to(SOURCE.parent).with_suffix("").parts)

    @property
    def label(self) -> str:
        """What tables and figures call it."""
        return str(self.info.get("label") or self.name)


class Registry(Generic[T]):
    """Definitions of one kind by name.

    Arguments
    ---------
    kind : what they are, in the singular.
    home : the package whose files declare them and the registry's name there, as
        ``kappascope.statistics.*:STATISTICS``; fingerprints follow it to those files. With ``**``
        the packages inside as well; those fingerprints do not follow.
    needs : what each declaration has to give.
    """

    def __init__(self, kind: str, home: str, needs: Sequence[str] = ()) -> None:
        self.kind, self.needs = kind, needs
        package, self.variable = home.split(":")
        name, _, stars = package.rpartition(".")
        self.folder = SOURCE.joinpath(*name.split(".")[1:])
        self.pattern = "**/*.py" if stars == "**" else "*.py"
        self._own: dict[str, Entry] | None = None  # files of the package do not change
        self._defined: dict[str, T] = {}
        self._given: dict[str, dict[str, Any]] = {}

    def add(self, name: str, **info: Any) -> Callable[[D], D]:
        """Declare what follows under a name; ``label``, ``reference`` and the like go with it."""

        def enter(definition: D) -> D:
            self._defined[name] = definition  # type: ignore[assignment]
            self._given[name] = info
            return definition

        return enter

    def entries(self, own: bool = False) -> dict[str, Entry]:
        """Name → declaration, in the order of files and lines; extensions come last.

        Parameters
        ----------
        own : whether to leave the user's files out.

        Raises
        ------
        InputError
            When a user's file declares a name that is taken, or leaves out what is needed.

        """
        if self._own is None:
            files = declaring(self.folder, self.variable, self.pattern)
            self._own = self._listed(files, {})
        return dict(self._own) if own else self._listed(extensions(), self._own)

    def _listed(self, files: Iterable[Path], before: Mapping[str, Entry]) -> dict[str, Entry]:
        """Return declarations of files after those before."""
        listed = dict(before)
        for file in files:
            for entry in _declared(file, self.variable, file.stat().st_mtime_ns):
                if entry.name in listed:
                    raise InputError(
                        f"{file}: {self.kind} {entry.name!r} is taken by "
                        f"{listed[entry.name].file}; choose another name"
                    )
                for key in self.needs:
                    if key not in entry.info:
                        raise InputError(f"{file}: {self.kind} {entry.name!r} has no {key}; add it")
                listed[entry.name] = entry
        return listed

    def names(self, own: bool = False) -> tuple[str, ...]:
        """All names; with ``own`` without those of the user's files."""
        return tuple(self.entries(own))

    def label(self, name: str) -> str:
        """Return what to call a definition; what is not declared goes by its own name."""
        entry = self.entries().get(name)
        return entry.label if entry else name

    def __contains__(self, name: object) -> bool:
        """Whether something is declared under a name."""
        return name in self.entries()

    def __getitem__(self, name: str) -> T:
        """Return the definition of a name, and import it where that has not happened.

        Raises
        ------
        InputError
            When nothing is declared under it.

        """
        if name not in self._defined:
            entries = self.entries()
            if name not in entries:
                known = list(entries)
                raise InputError(
                    f"{self.kind} {name!r} is unknown{nearest(name, known)}; "
                    f"there is {', '.join(known)}"
                )
            _import(entries[name].file)
        return self._defined[name]

    def check(self, key: str, name: str) -> Iterator[tuple[str, str]]:
        """Yield (key, problem) when nothing is declared under a name, for the config."""
        known = self.names()
        if name not in known:
            yield (
                key,
                f"got {shown(name)}, allowed is one of {', '.join(known)}{nearest(name, known)}",
            )

    def given(self, name: str) -> Mapping[str, Any]:
        """Return all that is declared with a definition, values that are computed included."""
        self[name]
        return self._given[name]


def declaring(folder: Path, variable: str, pattern: str = "*.py") -> list[Path]:
    """Return the files of a package that declare something in a registry."""
    files = sorted(folder.glob(pattern))
    return [file for file in files if mentions(file, variable)]


def mentions(file: Path, variable: str) -> bool:
    """Return whether a file declares something in a registry."""
    return _mentions(file, variable, file.stat().st_mtime_ns)


@functools.cache
def _mentions(file: Path, variable: str, changed: int) -> bool:
    return f"{variable}.add(" in file.read_text(encoding="utf-8", errors="replace")


_used: list[Path] = []


def use(files: Iterable[str]) -> None:
    """Let this process know the files of a config, and no longer those of another config.

    Raises
    ------
    InputError
        When one is not there.

    """
    _used[:] = _checked(files)


def extensions() -> list[Path]:
    """Return the user's files of declarations: the config's, and those of the environment."""
    given = [name for name in os.environ.get(EXTENSIONS, "").split(os.pathsep) if name]
    return list(dict.fromkeys([*_used, *_checked(given)]))


def _checked(files: Iterable[str]) -> list[Path]:
    paths = [Path(file).absolute() for file in files]
    for path in paths:
        if not path.is_file():
            raise InputError(f"extensions: {path} is no file; give a Python file of declarations")
    return paths


@functools.cache
def _declared(file: Path, variable: str, changed: int) -> tuple[Entry, ...]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not Python ({error}); correct it") from None
    return tuple(_calls(tree, variable, file))


def _calls(tree: ast.AST, variable: str, file: Path) -> Iterator[Entry]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "add"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == variable
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            info = {word.arg: _plain(word.value) for word in node.keywords if word.arg}
            yield Entry(str(node.args[0].value), file, info)


def _plain(node: ast.expr) -> Any:
    """Return a value that is written out; anything else is known after the import only."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _import(file: Path) -> None:
    if file.is_relative_to(SOURCE):
        importlib.import_module(Entry("", file, {}).module)
        return
    # Two files of one name in two folders are two modules.
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"kappascope_extension_{file.stem}_{digest}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"extensions: {file} is no Python file; give one that ends in .py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[name])
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{file}: cannot be imported ({reason(error)}); correct it") from error

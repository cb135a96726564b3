"""Which module may import which: the library knows no chapter, a chapter no other chapter."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "kappascope"
SOURCE = Path(__file__).resolve().parents[2] / "src" / PACKAGE
CHAPTERS = sorted(path.parent.name for path in (SOURCE / "chapters").glob("*/__init__.py"))


def named(file: Path) -> str:
    parts = [PACKAGE, *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


MODULES = {named(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imported(file: Path, at_once: bool = False) -> Iterator[str]:
    """What a file imports, anywhere or (``at_once``) when it is itself imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in full)


ARROWS = {name: set(imported(file)) for name, file in MODULES.items()}
AT_ONCE = {name: set(imported(file, at_once=True)) for name, file in MODULES.items()}


def reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """All that a module needs, itself included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += arrows.get(name, ())
    return seen


def test_the_library_imports_no_chapter() -> None:
    home = f"{PACKAGE}.chapters"
    library = {name: to for name, to in ARROWS.items() if not name.startswith(home)}
    assert len(library) > 50
    assert not {n for n, to in library.items() if any(x.startswith(f"{home}.") for x in to)}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_imports_no_other(chapter: str) -> None:
    home = f"{PACKAGE}.chapters."
    own = [to for name, to in ARROWS.items() if name.startswith(home + chapter)]
    assert own
    others = {x for to in own for x in to if x.startswith(home)}
    assert not {x for x in others if not x.startswith(home + chapter)}


def test_modules_import_each_other_in_no_circle() -> None:
    for name in MODULES:
        assert name not in set().union(*(reached(x, ARROWS) for x in ARROWS[name] if x in MODULES))


@pytest.mark.parametrize(
    "name", [n for n in MODULES if "figures" in n or n.endswith((".table1", ".table2", ".latex"))]
)
def test_figures_and_tables_bring_no_jax(name: str) -> None:
    assert not {x for x in reached(name, AT_ONCE) if x.split(".")[0] in ("jax", "flax", "optax")}


def test_nothing_imports_snakemake() -> None:
    assert not {name for name, to in ARROWS.items() if any("snakemake" in x for x in to)}


def test_the_page_on_the_layout_is_drawn_from_the_code(root: Path) -> None:
    found = importlib.util.spec_from_file_location("draw", root / "docs/draw_architecture.py")
    assert found is not None and found.loader is not None
    draw = importlib.util.module_from_spec(found)
    found.loader.exec_module(draw)
    written = (root / "docs/reference/architecture.md").read_text(encoding="utf-8")
    assert written == draw.page(), "run: python docs/draw_architecture.py"

"""Write docs/reference/architecture.md from the packages' docstrings and real imports.

By hand: ``python docs/draw_architecture.py``; a test holds the page against the code.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/kappascope"
PAGE = ROOT / "docs/reference/architecture.md"
HEAD = """# How the code is laid out

<!-- Written by `python docs/draw_architecture.py`. -->

A library, and one chapter for each paper. The library imports no chapter (`workflow/` loads their
configs), a chapter no other: what one hands on lies in files. Nothing in `src/` imports Snakemake;
figures, tables and the Snakefile bring no JAX; no modules import each other in a circle.
`tests/unit/test_layout.py` reads the imports and holds all of this.

A chapter has one name everywhere:

| place | holds |
|---|---|
| `src/kappascope/chapters/singh2020/` | its section of the config, experiments, tables, figures |
| `workflow/rules/singh2020.smk` | its rules, and the names of its tables |
| `paper/chapters/singh2020.typ` | its text |
| `tests/chapters/singh2020/` | its tests |
| `config/`: `singh2020:` | its options |
| `results/{run}/singh2020/` | what it made; `snakemake singh2020`, `snakemake singh2020_fig3` |

The tables below say what each package holds and what of the others it imports.

"""
TAIL = """
Conventions: `(y, x)` maps, channels last; float32 maps, float64 sums; a mistake of the user is an
`InputError` of one line; every draw comes from `randomness` with the seed, a purpose and indices;
every file is written beside itself and moved into place.

Why things are as they are: [decisions](../decisions.md). To add a statistic:
[how-to](../how-to/add-a-statistic.md).
"""


def packages() -> dict[str, list[Path]]:
    """Package → its files; modules beside the packages stand for themselves."""
    found: dict[str, list[Path]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).parts
        if parts[0] == "chapters" and len(parts) > 2:
            name = "/".join(parts[:2]) + "/"
        else:
            name = parts[0] + "/" if len(parts) > 1 else parts[0].removesuffix(".py")
        found.setdefault(name, []).append(file)
    return found


def imported(file: Path) -> Iterator[str]:
    """Modules of the package that a file imports, dotted."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def home(module: str, names: set[str]) -> str | None:
    """Package of :func:`packages` that a dotted module lies in."""
    parts = module.split(".")
    if parts[0] != "kappascope" or len(parts) < 2:
        return None
    for candidate in ("/".join(parts[1:3]) + "/", parts[1] + "/", parts[1]):
        if candidate in names:
            return candidate
    return None


def page() -> str:
    """Text of the page."""
    listed = packages()
    everyday = {"errors", "files", "randomness", "progress", "sections"}
    rows = {}
    for name, files in listed.items():
        first = next((file for file in files if file.name == "__init__.py"), files[0])
        doc = ast.get_docstring(ast.parse(first.read_text(encoding="utf-8"))) or ""
        text = " ".join(doc.split("\n\n")[0].split())
        arrows = {home(module, set(listed)) for file in files for module in imported(file)}
        arrows = sorted(arrow for arrow in arrows - everyday - {name} if arrow)
        rows[name] = f"| `{name}` | {text} | {' '.join(f'`{a}`' for a in arrows)} |"
    table = ["| package | holds | imports |", "|---|---|---|"]
    groups = {
        "Library": [n for n in rows if n.endswith("/") and "chapters" not in n],
        "Chapters": [n for n in rows if n.startswith("chapters/") and n != "chapters/"],
        "Beside them": [n for n in rows if not n.endswith("/") and n not in ("__init__",)],
    }
    text = HEAD
    for title, names in groups.items():
        text += f"## {title}\n\n" + "\n".join([*table, *(rows[n] for n in names)]) + "\n\n"
    everyday_text = ", ".join(f"`{n}`" for n in sorted(everyday))
    return text + f"{everyday_text} are imported everywhere and not listed as arrows.\n" + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

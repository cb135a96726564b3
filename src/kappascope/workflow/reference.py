"""What is written from declarations: the options, the schema for editors, the tables' columns.

``python -m kappascope.workflow.reference`` writes config/README.md, config/schema.json and the
tables in docs/reference/files.md and docs/reference/networks.md.
"""

import functools
import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kappascope.files import write_text
from kappascope.tables import Table
from kappascope.workflow.configuration import ROOT, allowed, available, load, options, schema


def reference(root: Path = ROOT) -> str:
    """Text of config/README.md: every key, from the schema, and what the tiers change."""
    lines = [
        "# Options",
        "",
        "<!-- Written by `make config-reference` from the config modules in src/kappascope. -->",
        "",
        "`config.yaml` is the default tier, complete. A tier in `tiers/` and the variants in",
        "`variants/` hold only what differs; `--config` and `--configfile` come last:",
        "",
        "```",
        "snakemake --cores all --config tier=smoke variants=noise_10_per_arcmin2",
        "snakemake --cores all --config tier=smoke 'network={width: 4}' run=narrow",
        "snakemake --cores all --configfile mine.yaml",
        "```",
        "",
        "Results go to `results/{run}/`: the tier's name, then `-{variant}` for each variant,",
        "unless `run` is given. An unknown key or an impossible value stops everything before the",
        "first job. The effective config is written to `results/{run}/config.yaml`.",
        "",
        f"Tiers: {', '.join(f'`{name}`' for name in available('tier', root))}. "
        f"Variants: {', '.join(f'`{name}`' for name in available('variant', root))}.",
    ]
    description = schema(root)["properties"]
    lines += _section("Run", "What to run and where it goes.", "", description)
    return "\n".join([*lines, *_tier_table(root)]) + "\n"


def _section(title: str, text: str, prefix: str, part: Mapping[str, Any]) -> list[str]:
    """Return a table of a section's own keys, and one for each section inside it."""
    rows, inner = [], []
    for name, option in part.items():
        if "properties" in option:
            path = f"{prefix}{name}."
            inner += _section(path[:-1], option["description"], path, option["properties"])
            continue
        unit = "" if option["unit"] == "none" else option["unit"]
        cells = (_code(prefix + name), _code(_cell(option["default"])), unit, allowed(option))
        rows.append(f"| {' | '.join(cells)} | {option['description']} |")
    head = ["| key | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
    level = "#" * (2 + title.count("."))
    return ["", f"{level} {title}", "", text, *(["", *head, *rows] if rows else []), *inner]


def _tier_table(root: Path) -> list[str]:
    names = available("tier", root)
    tiers = {name: load(name, root=root) for name in names}
    lines = ["", "## What the tiers change", "", f"| key | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for key, option in options(root):
        if "properties" in option or key in ("tier", "variants", "run"):
            continue
        values = [functools.reduce(getattr, key.split("."), tiers[name]) for name in names]
        if any(value != values[0] for value in values):
            shown = [_cell(v) if i == 0 or v != values[0] else "" for i, v in enumerate(values)]
            lines.append(f"| {_code(key)} | {' | '.join(shown)} |")
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return "[" + ", ".join(_cell(item) for item in value) + "]"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _code(text: str) -> str:
    return f"`{text}`"


def schema_text(root: Path = ROOT) -> str:
    """Text of config/schema.json: one line a key."""
    text = json.dumps(schema(root), ensure_ascii=False)
    return text.replace('}, "', '},\n"') + "\n"


def declared_tables() -> dict[str, list[Table]]:
    """Folder in a run's → tables that lie there, by name."""
    source = Path(__file__).resolve().parents[1]
    folders: dict[str, dict[str, Table]] = {}
    for file in sorted(source.rglob("*.py")):
        if " = Table(\n" not in file.read_text(encoding="utf-8"):
            continue
        parts = file.relative_to(source.parent).with_suffix("").parts
        for table in vars(importlib.import_module(".".join(parts))).values():
            if isinstance(table, Table):
                folder, _, name = table.files.rpartition("/")
                folders.setdefault(folder.split("/")[0] or name, {})[table.files] = table
    return {folder: [tables[name] for name in sorted(tables)] for folder, tables in folders.items()}


def files_text(page: str) -> str:
    """Return docs/reference/files.md with the tables as they are declared."""
    declared = declared_tables()

    def table(match: re.Match[str]) -> str:
        lines = [match[1], "", "| file | one row per | columns |", "|---|---|---|"]
        for one in declared[match[2]]:
            files = re.sub(r"([\w{}/]+\.csv)", r"`\1`", one.files.replace(f"{match[2]}/", ""))
            columns = [f"{name} {said}".strip() for name, said in one.described.items()]
            lines.append(
                f"| {files} | {one.row} | {', '.join(columns).replace('|', chr(92) + '|')} |"
            )
        return "\n".join([*lines, "", "<!-- end -->"])

    return re.sub(
        r"(<!-- ([\w.{}]+): written by .*? -->)\n.*?<!-- end -->", table, page, flags=re.S
    )


def _kinds() -> list[str]:
    from kappascope.networks.kinds import FUNCTION, KINDS

    lines = ["| kind | role | what it computes | fields | weights |", "|---|---|---|---|---|"]
    for kind in KINDS.values():
        if kind.role == FUNCTION:
            continue
        fields = [f"`{name}`" for name in kind.fields]
        for name, usual in kind.options.items():
            told = (
                "read off the kernel"
                if usual is None
                else _cell(list(usual) if isinstance(usual, tuple) else usual)
            )
            fields.append(f"`{name}` ({told})")
        weights = [f"`{name}`" for name in kind.params]
        weights += [f"`{name}` (or none)" for name in kind.more_params]
        cells = (f"`{kind.name}`", kind.role, kind.text, ", ".join(fields), ", ".join(weights))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _roles() -> list[str]:
    """Return a table of roles × groups of methods that refuse the same ones."""
    from kappascope.attribution import contextual, labels, rules
    from kappascope.attribution.gradients import GradCam
    from kappascope.attribution.propagation import Propagation
    from kappascope.attribution.registry import METHODS
    from kappascope.networks.kinds import FUNCTION, KINDS

    by_role: dict[str, str] = {}
    for kind in KINDS.values():
        by_role.setdefault(kind.role, kind.name)
    groups: dict[frozenset[str], list[str]] = {}
    for name in METHODS.names():
        made = METHODS[name]
        refused = set()
        if name.endswith(".NODE"):
            made = made(node="node")
        if isinstance(made, GradCam):
            # A function has no inner nodes.
            refused.add(FUNCTION)
            made = made.guided
        if isinstance(made, Propagation):
            for role, kind_name in by_role.items():
                rule = made.composite.rule({"kind": kind_name, "name": kind_name})
                if isinstance(rule, rules.Refused):
                    refused.add(role)
        groups.setdefault(frozenset(refused), []).append(name)
    decomposed = frozenset(set(by_role) - set(contextual.RULES))
    groups.setdefault(decomposed, []).extend(labels.DECOMPOSITIONS)
    ordered = sorted(groups.items(), key=lambda item: (len(item[0]), item[1]))
    lines = ["| methods | refuse |", "|---|---|"]
    for roles, methods in ordered:
        shown = ", ".join(f"`{name}`" for name in methods)
        lines.append(f"| {shown} | {', '.join(sorted(roles)) or 'nothing'} |")
    return lines


def networks_text(page: str) -> str:
    """Return docs/reference/networks.md with the kinds and rules as they are declared."""
    written = {"kinds": _kinds(), "roles": _roles()}

    def table(match: re.Match[str]) -> str:
        return "\n".join([match[1], "", *written[match[2]], "", "<!-- end -->"])

    return re.sub(r"(<!-- (\w+): written by .*? -->)\n.*?<!-- end -->", table, page, flags=re.S)


def main() -> None:
    """Write all of them."""
    write_text(ROOT / "config/README.md", reference())
    write_text(ROOT / "config/schema.json", schema_text())
    page = ROOT / "docs/reference/files.md"
    write_text(page, files_text(page.read_text(encoding="utf-8")))
    page = ROOT / "docs/reference/networks.md"
    write_text(page, networks_text(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

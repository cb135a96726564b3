"""The published numbers as paper/claims.yaml lists them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kappascope.errors import InputError
from kappascope.files import merge, read_yaml

KINDS = ("digits", "sigma", "sign", "order", "bound")
SELECT_KEYS = {
    *("table", "where", "column", "error", "scatter", "smallest", "largest", "config", "finding"),
}
NULL_RUNS = "null"
"""Folder of a run's null runs, whose networks learned nothing."""


NULL_KINDS = ("untrained", "permuted_labels")


def null_runs(config: Mapping[str, Any]) -> list[str]:
    """Return the names of a run's null runs."""
    return [kind for kind in NULL_KINDS if config["nulls"][kind]]


PUBLISHED, READING, IDENTITY, SET_UP = "published", "our reading", "identity", "set-up"
SECTIONS = (PUBLISHED, READING, IDENTITY, SET_UP)
"""Published results, which alone are counted; statements whose threshold is ours; what holds
whatever the run gives; numbers of the set-up, which the config decides."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One published number and how to compare it; fields as in paper/claims.yaml."""

    id: str
    paper: str
    place: str
    published: Any
    tolerance: Mapping[str, Any]
    select: Mapping[str, Any] | None = None
    not_attempted: str | None = None
    shown: str | None = None
    label: str | None = None
    setup: tuple[str, ...] = ()
    note: str | None = None
    section: str = PUBLISHED
    network: bool = True
    networks: str | None = None


def load_claims(path: str | Path) -> list[Claim]:
    """Read paper/claims.yaml; a group's defaults are merged into each of its claims."""
    file = Path(path)
    claims = []
    for paper, description in read_yaml(file).get("papers", {}).items():
        for group, content in description["groups"].items():
            for entry in content["claims"]:
                of_paper = {"networks": description.get("networks")}
                entry = merge(of_paper | content.get("defaults", {}), entry)
                claims.append(_claim(file, paper, group, entry))
    ids = [claim.id for claim in claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise InputError(f"{file}: the id {twice[0]} stands twice; rename one")
    return [_with_setup(file, claim, ids) for claim in claims]


def published_by(path: str | Path, table: str, column: str, *keys: str) -> dict[Any, float]:
    """Return published numbers that stand beside one column of a table, for figures.

    Parameters
    ----------
    path : paper/claims.yaml.
    table, column : what claims select, for example ``you2023/weights.csv``.
    keys : columns whose values tell the numbers apart; a claim must select by all of them.

    Returns
    -------
    Value of the key (a tuple of several keys' values) → published number.

    """
    numbers: dict[Any, float] = {}
    for claim in load_claims(path):
        select = claim.select or {}
        where = select.get("where", {})
        same_column = (select.get("table"), select.get("column")) == (table, column)
        one = all(isinstance(where.get(key), str) for key in keys)
        if same_column and one and isinstance(claim.published, int | float):
            values = tuple(where[key] for key in keys)
            numbers[values if len(keys) > 1 else values[0]] = float(claim.published)
    return numbers


def _with_setup(file: Path, claim: Claim, ids: Sequence[str]) -> Claim:
    """Give the set-up's claims their full ids: the paper's own, or those of the first paper."""
    setup = []
    for item in claim.setup:
        own, shared = f"{claim.paper}.{item}", f"matilla2020.{item}"
        if own not in ids and shared not in ids:
            raise InputError(f"{file}: {claim.id}: setup names {item}, which is no claim")
        setup.append(own if own in ids else shared)
    return dataclasses.replace(claim, setup=tuple(setup))


def _claim(file: Path, paper: str, group: str, entry: Mapping[str, Any]) -> Claim:
    name = f"{paper}.{group}.{entry.get('id')}"
    known = {field.name for field in dataclasses.fields(Claim)} - {"paper"}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise InputError(
            f"{file}: {name}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}"
        )
    missing = [key for key in ("id", "place", "published", "tolerance") if key not in entry]
    if missing:
        raise InputError(f"{file}: {name}: has no {missing[0]}; add it")
    if ("select" in entry) == ("not_attempted" in entry):
        raise InputError(f"{file}: {name}: needs either select or not_attempted")
    kind = entry["tolerance"].get("kind")
    if kind not in KINDS:
        raise InputError(f"{file}: {name}: tolerance kind {kind}; known: {', '.join(KINDS)}")
    section = entry.get("section", PUBLISHED)
    if section not in SECTIONS:
        raise InputError(f"{file}: {name}: section {section}; known: {', '.join(SECTIONS)}")
    strange = sorted(set(entry.get("select") or {}) - SELECT_KEYS)
    if strange:
        raise InputError(f"{file}: {name}: select has the unknown key {strange[0]}")
    depends = section not in (IDENTITY, SET_UP) and entry.get("network", True)
    resolved: dict[str, Any] = {
        "network": depends,
        "id": name,
        "paper": paper,
        "setup": tuple(entry.get("setup", ())),
    }
    if "finding" in (entry.get("select") or {}):
        resolved["select"] = _finding(paper, entry["select"])
    return Claim(**{**entry, **resolved})


def _finding(paper: str, select: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a finding's row stands, whatever the group selects from by default."""
    return {
        **{word: select[word] for word in ("smallest", "largest") if word in select},
        **{"table": f"{paper}/findings.csv", "where": {"finding": select["finding"]}},
        **{"column": "value", "error": "error"},
    }

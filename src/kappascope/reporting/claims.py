"""Published numbers against ours, one row each, none left out.

paper/claims.yaml says for each published number where it stands, how it is compared and which
cell of which table, or which config value, is ours. :func:`check` looks all of them up:

* ``match``: within the tolerance (published digits, sigma, sign, order or bound);
* ``near``: outside it, but within 3 of our standard errors or within the claim's ``near`` margin;
* ``differs``: neither; the reason gives the distance and how the run's set-up differs;
* ``not attempted``: no number of ours, and the reason why.
"""

import csv
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.files import merge, read_yaml, write_csv
from kappascope.reporting.errorbars import is_scatter

COLUMNS = (
    "id",
    "paper",
    "place",
    "published",
    "value",
    "uncertainty",
    "tolerance",
    "status",
    "reason",
)
STATUSES = ("match", "near", "differs", "not attempted")
KINDS = ("digits", "sigma", "sign", "order", "bound")
NEAR_SIGMA = 3.0
SELECT_KEYS = {
    *("table", "config", "quantity", "where", "smallest", "column", "error", "label"),
    *("reduce", "divided_by", "against", "factor", "pair", "by"),
}


class MissingError(Exception):
    """Our side of a claim is not there; the message says what is missing."""


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


@dataclasses.dataclass(frozen=True)
class Series:
    """Selected numbers: ``values``, ``errors`` (None where unknown) and ``labels``, all (n,)."""

    values: list[float]
    errors: list[float | None]
    labels: list[str]
    rows: list[Mapping[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Our number (or name) for one claim, with its standard error if there is one."""

    value: float | str
    error: float | None = None
    series: Series | None = None


# ------------------------------------------------------------------------------- the ledger


def load_claims(path: str | Path) -> list[Claim]:
    """Read paper/claims.yaml; a group's defaults are merged into each of its claims."""
    file = Path(path)
    claims = []
    for paper, description in read_yaml(file).get("papers", {}).items():
        for group, content in description["groups"].items():
            for entry in content["claims"]:
                claims.append(_claim(file, paper, group, merge(content.get("defaults", {}), entry)))
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
    found: dict[Any, float] = {}
    for claim in load_claims(path):
        select = claim.select or {}
        where = select.get("where", {})
        ours = (select.get("table"), select.get("column")) == (table, column)
        one = all(isinstance(where.get(key), str) for key in keys)
        if ours and one and "reduce" not in select and isinstance(claim.published, int | float):
            values = tuple(where[key] for key in keys)
            found[values if len(keys) > 1 else values[0]] = float(claim.published)
    return found


def _with_setup(file: Path, claim: Claim, ids: Sequence[str]) -> Claim:
    """Give the set-up's claims their full ids: the paper's own, or those of the first paper."""
    found = []
    for item in claim.setup:
        own, shared = f"{claim.paper}.{item}", f"matilla2020.{item}"
        if own not in ids and shared not in ids:
            raise InputError(f"{file}: {claim.id}: setup names {item}, which is no claim")
        found.append(own if own in ids else shared)
    return dataclasses.replace(claim, setup=tuple(found))


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
    strange = sorted(set(entry.get("select") or {}) - SELECT_KEYS)
    if strange:
        raise InputError(f"{file}: {name}: select has the unknown key {strange[0]}")
    setup = tuple(entry.get("setup", ()))
    return Claim(**{**entry, "id": name, "paper": paper, "setup": setup})


def check(
    claims: Sequence[Claim], results: str | Path, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare every claim with a run; rows in the order of ``claims``, columns :data:`COLUMNS`.

    ``results`` is the folder results/{run}; nothing missing in it is an error.
    """
    tables = Tables(Path(results))
    found = {claim.id: _measured(claim, tables, config) for claim in claims}
    judged = {claim.id: judge(claim, found[claim.id]) for claim in claims}
    by_id = {claim.id: claim for claim in claims}
    rows = []
    for claim in claims:
        status, reason = judged[claim.id]
        if status in ("near", "differs"):
            reason = "; ".join([reason, *_context(claim, by_id, found, judged, config)])
        rows.append(_row(claim, found[claim.id], status, reason))
    return rows


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count statuses by paper: {paper: {status: count}}, every status present."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        paper = counts.setdefault(row["paper"], dict.fromkeys(STATUSES, 0))
        paper[row["status"]] += 1
    return counts


def write(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write claims.csv."""
    write_csv(path, rows, COLUMNS)


def _context(
    claim: Claim,
    by_id: Mapping[str, Claim],
    found: Mapping[str, "Measured | str"],
    judged: Mapping[str, tuple[str, str]],
    config: Mapping[str, Any],
) -> list[str]:
    """Say how this run's set-up differs from the published one, as far as the claim names it."""
    parts = []
    for name in claim.setup:
        other, ours = by_id[name], found[name]
        if judged[name][0] != "match" and isinstance(ours, Measured):
            label = other.label or other.place
            parts.append(f"{label} {_text(ours.value)} ({other.shown or _text(other.published)})")
    told = [f"this run (published): {', '.join(parts)}"] if parts else []
    if claim.select and "config" in claim.select and not claim.setup:
        told.append(
            f"set so by the {config.get('tier', 'default')} tier, its variants or overrides"
        )
    return told + ([claim.note] if claim.note else [])


def _row(claim: Claim, ours: "Measured | str", status: str, reason: str) -> dict[str, Any]:
    measured = ours if isinstance(ours, Measured) else Measured("")
    error = measured.error
    return {
        "id": claim.id,
        "paper": claim.paper,
        "place": claim.place,
        "published": claim.shown or _text(claim.published),
        "value": measured.value,
        "uncertainty": "" if error is None else error,
        "tolerance": tolerance_text(claim.tolerance),
        "status": status,
        "reason": reason,
    }


def tolerance_text(tolerance: Mapping[str, Any]) -> str:
    """Say a tolerance in words."""
    kind = tolerance["kind"]
    words = {
        "digits": f"published digits (± {_text(tolerance.get('value', 0))})",
        "sigma": f"{_text(tolerance.get('value', 1))} sigma",
        "sign": "sign",
        "order": "order",
        "bound": f"bound ({'at least' if tolerance.get('at') == 'least' else 'at most'})",
    }
    return words[kind] + (f", near ± {tolerance['near']}" if "near" in tolerance else "")


# --------------------------------------------------------------------------------- judging


def judge(claim: Claim, ours: "Measured | str") -> tuple[str, str]:
    """Return (status, reason) of one claim; ``ours`` is a reason where there is no number."""
    if isinstance(ours, str):
        return "not attempted", ours
    kind = claim.tolerance["kind"]
    if kind == "order":
        return _judge_order(claim, ours)
    if isinstance(ours.value, str):
        raise InputError(f"{claim.id}: {kind} compares numbers, the selector gives a name")
    if kind == "sign":
        return _judge_sign(claim, ours)
    return _judge_distance(claim, ours, kind)


def _judge_distance(claim: Claim, ours: Measured, kind: str) -> tuple[str, str]:
    published, value = float(claim.published), float(ours.value)
    error = ours.error if ours.error and is_scatter(value, ours.error) else None
    distance = abs(value - published)
    if kind == "bound":
        excess = published - value if claim.tolerance.get("at") == "least" else value - published
        distance = max(excess, 0.0)
    allowed = 0.0 if kind == "bound" else float(claim.tolerance["value"])
    if kind == "sigma":
        allowed *= error or 0.0
    # A tolerance is a decimal; half a unit in its last place must not fail by rounding.
    if distance <= allowed + 1e-9 * max(abs(published), allowed):
        return "match", ""
    sigma = distance / error if error else math.inf
    shown = f"{_text(value)}" + (f" ± {_text(error)}" if error else "")
    apart = f"{sigma:.1f} sigma" if error else _text(distance)
    what = "beyond the bound" if kind == "bound" else "apart"
    reason = f"ours {shown}, published {claim.shown or _text(claim.published)}: {apart} {what}"
    near = sigma <= NEAR_SIGMA or distance <= _margin(claim.tolerance.get("near"), published)
    return ("near" if near else "differs"), reason


def _margin(near: Any, published: float) -> float:
    if near is None:
        return 0.0
    if isinstance(near, str) and near.endswith("%"):
        return abs(published) * float(near[:-1]) / 100.0
    return float(near)


def _judge_sign(claim: Claim, ours: Measured) -> tuple[str, str]:
    value = float(ours.value)
    if ours.series is not None:  # a count of negative numbers
        wrong = [
            (number, error, label)
            for number, error, label in zip(
                ours.series.values, ours.series.errors, ours.series.labels, strict=True
            )
            if not number < 0
        ]
        if not wrong:
            return "match", ""
        within = all(error and number <= NEAR_SIGMA * error for number, error, _ in wrong)
        names = ", ".join(f"{label} {_text(n)} ± {_text(e or 0)}" for n, e, label in wrong[:4])
        return ("near" if within else "differs"), (
            f"{len(wrong)} of {len(ours.series.values)} are not negative: {names}"
            + ("; each within 3 sigma of zero" if within else "")
        )
    if value * float(claim.published) > 0:
        return "match", ""
    shown = _text(value) + (f" ± {_text(ours.error)}" if ours.error else "")
    near = bool(ours.error) and abs(value) <= NEAR_SIGMA * float(ours.error or 0.0)
    return (
        "near" if near else "differs"
    ), f"ours {shown}, published {claim.shown or 'the other sign'}"


def _judge_order(claim: Claim, ours: Measured) -> tuple[str, str]:
    series = ours.series
    if ours.value == claim.published:
        return "match", ""
    if series is None or claim.published not in series.labels:
        return "differs", f"ours {ours.value}, published {claim.published}"
    first = series.labels.index(str(ours.value))
    second = series.labels.index(str(claim.published))
    gap = abs(series.values[first] - series.values[second])
    error = math.hypot(series.errors[first] or 0.0, series.errors[second] or 0.0)
    reason = (
        f"{ours.value} comes first with {_text(series.values[first])}, "
        f"{claim.published} has {_text(series.values[second])}"
    )
    if error:
        reason += f": {gap / error:.1f} sigma apart"
    return ("near" if error and gap <= NEAR_SIGMA * error else "differs"), reason


# ------------------------------------------------------------------------------- selecting


class Tables:
    """CSV files of a run, read once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, list[dict[str, str]]] = {}

    def __getitem__(self, name: str) -> list[dict[str, str]]:
        """Rows of a table; MissingError if this run did not make it."""
        if name not in self._read:
            path = self._folder / name
            if not path.is_file():
                raise MissingError(f"{name} is not part of this run")
            with open(path, newline="", encoding="utf-8") as handle:
                self._read[name] = list(csv.DictReader(handle))
        return self._read[name]


def _measured(claim: Claim, tables: Tables, config: Mapping[str, Any]) -> "Measured | str":
    if claim.select is None:
        return claim.not_attempted or "not attempted"
    try:
        return measure(claim.select, tables, config)
    except MissingError as missing:
        return str(missing)


def measure(select: Mapping[str, Any], tables: Tables, config: Mapping[str, Any]) -> Measured:
    """Look up our number; MissingError where it is not there."""
    series = _series(select, tables, config)
    name = select.get("reduce", "single")
    if name in ("argmin", "argmax"):
        if "divided_by" in select:
            series = _ratio(series, _series(select["divided_by"], tables, config))
        return _extreme(series, name)
    if name == "count_negative":
        return Measured(float(sum(value < 0 for value in series.values)), None, series)
    if name == "share_opposite":
        return Measured(_share_opposite(series, select))
    if name == "change_percent":
        other = measure(select["against"], tables, config)
        return _change_percent(_reduced(series, "single"), other)
    reduced = _reduced(series, name)
    if "divided_by" in select:
        reduced = _divided(reduced, measure(select["divided_by"], tables, config))
    return reduced


def _series(select: Mapping[str, Any], tables: Tables, config: Mapping[str, Any]) -> Series:
    factor = float(select.get("factor", 1.0))
    if "config" in select:
        keys = select["config"] if isinstance(select["config"], list) else [select["config"]]
        values = [_config_value(config, key) for key in keys]
        # A factor stands once, whatever the values are reduced to.
        values[0] *= factor
        return Series(values, [None] * len(values), list(keys))
    if "quantity" in select:
        value = QUANTITIES[select["quantity"]](config)
        return Series([value * factor], [None], [select["quantity"]])
    return _table_series(select, tables, factor)


def _config_value(config: Mapping[str, Any], key: str) -> float:
    value: Any = config
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError) as error:
            raise MissingError(f"the config has no {key}") from error
    return float(value)


def _table_series(select: Mapping[str, Any], tables: Tables, factor: float) -> Series:
    where, table = select.get("where", {}), tables[select["table"]]
    rows: list[Mapping[str, str]] = [
        row for row in table if all(_fits(row, key, want) for key, want in where.items())
    ]
    if "smallest" in select and rows:
        rows = _nearest_rows(rows, **select["smallest"])
    column, error = select["column"], select.get("error")
    if not rows:
        sought = ", ".join(f"{key} = {_wanted(want)}" for key, want in where.items())
        raise MissingError(f"{select['table']} has no row with {sought}")
    if column not in rows[0]:
        raise MissingError(f"{select['table']} has no column {column}")
    values = [(_float(row[column]), row) for row in rows]
    kept = [(value * factor, row) for value, row in values if math.isfinite(value)]
    if not kept:
        raise MissingError(f"{select['table']}: {column} is not a number in any row asked for")
    label = select.get("label")
    return Series(
        [value for value, _ in kept],
        [_error(row, error, factor) for _, row in kept],
        [row[label] if label else " ".join(_short(row, where)) for _, row in kept],
        [row for _, row in kept],
    )


def _short(row: Mapping[str, str], where: Mapping[str, Any]) -> list[str]:
    return [row[key] for key in ("data_set", "credibility", *where) if key in row]


def _error(row: Mapping[str, str], column: str | None, factor: float) -> float | None:
    value = _float(row.get(column, "")) if column else math.nan
    return abs(value * factor) if math.isfinite(value) and value > 0 else None


def _float(text: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _fits(row: Mapping[str, str], key: str, want: Any) -> bool:
    if key not in row:
        return False
    if isinstance(want, list):
        return any(_fits(row, key, one) for one in want)
    if isinstance(want, Mapping):
        value = _float(row[key])
        above, below = want.get("above", -math.inf), want.get("below", math.inf)
        return bool(above < value < below)
    if isinstance(want, int | float):
        return _float(row[key]) == float(want)
    return row[key] == want


def _wanted(want: Any) -> str:
    if isinstance(want, Mapping):
        return " and ".join(f"{word} {bound}" for word, bound in want.items())
    return " or ".join(map(str, want)) if isinstance(want, list) else str(want)


def _nearest_rows(
    rows: list[Mapping[str, str]], column: str, number: int
) -> list[Mapping[str, str]]:
    """Rows of the ``number`` smallest distinct values of ``column``."""
    places = sorted({_float(row.get(column, "")) for row in rows})
    places = [place for place in places if math.isfinite(place)][:number]
    return [row for row in rows if _float(row.get(column, "")) in places]


# -------------------------------------------------------------------------------- reducing


def _reduced(series: Series, name: str) -> Measured:
    values, errors = series.values, series.errors
    if name == "single":
        if len(values) > 1:
            raise MissingError(f"{len(values)} rows fit where one is expected")
        return Measured(values[0], errors[0])
    if name in ("max_abs", "min_abs"):
        pick = max if name == "max_abs" else min
        best = pick(range(len(values)), key=lambda i: abs(values[i]))
        return Measured(abs(values[best]), errors[best])
    plain: dict[str, Callable[[list[float]], float]] = {
        "sum": sum,
        "product": math.prod,
        "floor": lambda v: float(math.floor(v[0])),
        "mean_abs": lambda v: sum(map(abs, v)) / len(v),
        "spread_percent": lambda v: 100.0 * (max(v) - min(v)) / (sum(v) / len(v)),
    }
    if name == "mean":
        known = [error for error in errors if error is not None]
        error = math.sqrt(sum(e**2 for e in known)) / len(values) if known else None
        return Measured(sum(values) / len(values), error)
    if name not in plain:
        raise InputError(f"paper/claims.yaml: reduce: {name} is not known")
    return Measured(plain[name](values))


def _extreme(series: Series, name: str) -> Measured:
    pick = min if name == "argmin" else max
    best = pick(range(len(series.values)), key=lambda i: series.values[i])
    return Measured(series.labels[best], None, series)


def _ratio(top: Series, bottom: Series) -> Series:
    """Quotient of two series, label by label."""
    pairs = [(i, bottom.labels.index(n)) for i, n in enumerate(top.labels) if n in bottom.labels]
    quotients = [
        _divided(
            Measured(top.values[i], top.errors[i]), Measured(bottom.values[j], bottom.errors[j])
        )
        for i, j in pairs
    ]
    if not quotients:
        raise MissingError("the two things to divide have no row in common")
    return Series(
        [float(q.value) for q in quotients],
        [q.error for q in quotients],
        [top.labels[i] for i, _ in pairs],
    )


def _divided(top: Measured, bottom: Measured) -> Measured:
    if float(bottom.value) == 0:
        raise MissingError("a division by zero")
    value = float(top.value) / float(bottom.value)
    relative = [(m.error or 0.0) / float(m.value) for m in (top, bottom) if float(m.value)]
    error = abs(value) * math.hypot(*relative)
    return Measured(value, error or None)


def _change_percent(ours: Measured, other: Measured) -> Measured:
    """Absolute change in percent; both share their maps, so the errors do not add."""
    return Measured(100.0 * abs(_divided(ours, other).value - 1.0))  # type: ignore[operator]


def _share_opposite(series: Series, select: Mapping[str, Any]) -> float:
    """Share of the groups (``by``) whose two values (along ``pair``) have opposite signs."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for value, row in zip(series.values, series.rows, strict=True):
        groups.setdefault(tuple(row[key] for key in select["by"]), []).append(value)
    products = [math.prod(pair) for pair in groups.values() if len(pair) == len(PARAMETERS)]
    if not products:
        raise MissingError(f"no two values along {select['pair']} to compare")
    return sum(product < 0 for product in products) / len(products)


# -------------------------------------------------------------------- numbers of the set-up


def _statistics_length(config: Mapping[str, Any]) -> float:
    return float(config["statistics"]["bins"] * len(config["statistics"]["names"]))


def _data_vector_length(config: Mapping[str, Any]) -> float:
    return _statistics_length(config) + len(PARAMETERS)


def _debiasing_factor(config: Mapping[str, Any]) -> float:
    """(N - d - 2) / (N - 1), Sec. III of Matilla et al. (2020)."""
    number, length = config["maps"]["covariance"], _data_vector_length(config)
    return float((number - length - 2) / (number - 1))


QUANTITIES: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "statistics_vector_length": _statistics_length,
    "data_vector_length": _data_vector_length,
    "debiasing_factor": _debiasing_factor,
}


@functools.cache
def _digits(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def _text(value: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return str(value)
    return _digits(float(value))

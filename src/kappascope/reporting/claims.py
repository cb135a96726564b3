"""Published numbers against ours, one row each, none left out.

paper/claims.yaml says for each published number where it stands, how it is compared and which
cell of which table, or which config value, is ours. :func:`check` looks all of them up:

* ``match``: within the tolerance (published digits, sigma, sign, order or bound);
* ``near``: outside it, but within 3 of our standard errors or within the claim's ``near`` margin;
* ``differs``: neither; the reason gives the distance and how the run's set-up differs;
* ``not attempted``: no number of ours, and the reason why.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kappascope.errors import InputError
from kappascope.reporting.errorbars import is_scatter
from kappascope.reporting.published import Claim
from kappascope.reporting.selecting import Measured, MissingError, Tables, measure
from kappascope.tables import Table

LEDGER = Table(
    "claims.csv",
    "published number",
    "id, paper, place, published, value, uncertainty, tolerance, status, reason",
)
STATUSES = ("match", "near", "differs", "not attempted")
NEAR_SIGMA = 3.0


def check(
    claims: Sequence[Claim], results: str | Path, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare every claim with a run; rows in the order of ``claims``, columns :data:`LEDGER`.

    ``results`` is the folder results/{run}; nothing missing in it is an error.
    """
    tables = Tables(Path(results))
    measured = {claim.id: _measured(claim, tables, config) for claim in claims}
    judged = {claim.id: judge(claim, measured[claim.id]) for claim in claims}
    by_id = {claim.id: claim for claim in claims}
    rows = []
    for claim in claims:
        status, reason = judged[claim.id]
        if status in ("near", "differs"):
            reason = "; ".join([reason, *_context(claim, by_id, measured, judged, config)])
        rows.append(_row(claim, measured[claim.id], status, reason))
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
    LEDGER.write(path, rows)


def _context(
    claim: Claim,
    by_id: Mapping[str, Claim],
    measured: Mapping[str, Measured | str],
    judged: Mapping[str, tuple[str, str]],
    config: Mapping[str, Any],
) -> list[str]:
    """Say how this run's set-up differs from the published one, as far as the claim names it."""
    parts = []
    for name in claim.setup:
        other, ours = by_id[name], measured[name]
        if judged[name][0] != "match" and isinstance(ours, Measured):
            label = other.label or other.place
            parts.append(f"{label} {_text(ours.value)} ({other.shown or _text(other.published)})")
    notes = [f"this run (published): {', '.join(parts)}"] if parts else []
    if claim.select and ".setup." in claim.id and not claim.setup:
        notes.append(
            f"set so by the {config.get('tier', 'default')} tier, its variants or overrides"
        )
    return notes + ([claim.note] if claim.note else [])


def _row(claim: Claim, ours: Measured | str, status: str, reason: str) -> dict[str, Any]:
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


def judge(claim: Claim, ours: Measured | str) -> tuple[str, str]:
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
    published = math.copysign(1.0, float(claim.published))
    if ours.series is not None:
        listed = zip(ours.series.values, ours.series.errors, ours.series.labels, strict=True)
        wrong = [one for one in listed if not one[0] * published > 0]
        if not wrong:
            return "match", ""
        within = all(error and abs(number) <= NEAR_SIGMA * error for number, error, _ in wrong)
        names = ", ".join(f"{label} {_text(n)} ± {_text(e or 0)}" for n, e, label in wrong[:4])
        return ("near" if within else "differs"), (
            f"{len(wrong)} of {len(ours.series.values)} are not "
            f"{'positive' if published > 0 else 'negative'}: {names}"
            + ("; each within 3 sigma of zero" if within else "")
        )
    value = float(ours.value)
    if value * published > 0:
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


# ------------------------------------------------------------------------------ our numbers


def _measured(claim: Claim, tables: Tables, config: Mapping[str, Any]) -> Measured | str:
    if claim.select is None:
        return claim.not_attempted or "not attempted"
    try:
        ours = measure(claim.select, tables, config)
    except MissingError as missing:
        return str(missing)
    if ours.series is None or isinstance(ours.value, str):
        return ours
    if claim.tolerance["kind"] != "sign":
        return f"{len(ours.series.values)} rows fit where one is expected"
    right = sum(value * float(claim.published) > 0 for value in ours.series.values)
    return dataclasses.replace(ours, value=float(right))


@functools.cache
def _digits(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def _text(value: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return str(value)
    return _digits(float(value))

"""Published numbers against ours, one row each, none left out.

paper/claims.yaml says for each published number where it stands, how it is compared and which
cell of which table, or which config value, is ours. :func:`check` looks all of them up, in the run
and in its null runs, whose networks learned nothing:

* ``match``: within the published digits or the combined error, and two standard errors nearer
  than the null;
* ``near``: outside it, but within 3 standard errors or within the claim's ``near`` margin;
* ``differs``: neither; the reason gives the distance and how the run's set-up differs;
* ``uninformative``: the error is as large as the effect, or the null agrees, too;
* ``not attempted``: no number of ours, and the reason why.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import scipy.stats

from kappascope.files import merge
from kappascope.reporting.published import NULL_RUNS, PUBLISHED, SET_UP, Claim, null_runs
from kappascope.reporting.selecting import Measured, MissingError, Tables, config_value, measure
from kappascope.reporting.verdicts import (
    DIFFERS,
    MATCH,
    NEAR,
    NOT_ATTEMPTED,
    SIGNIFICANT,
    STATUSES,
    UNINFORMATIVE,
    Verdict,
    judge,
    shown,
    text,
)
from kappascope.tables import Table

LEDGER = Table(
    "claims.csv",
    "published number",
    """id, paper, section (published results, which alone are counted; our reading: the threshold is
    ours; identity: holds whatever the run gives; set-up), place, published, value, uncertainty,
    tolerance, null (the null run that is hardest to beat), null_value, null_error, beats_null (by
    how many standard errors ours lies nearer to what is published, or further on its side),
    status, reason""",
)


def check(
    claims: Sequence[Claim], results: str | Path, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare every claim with a run; rows in the order of ``claims``, columns :data:`LEDGER`.

    ``results`` is the folder results/{run}; nothing missing in it is an error.
    """
    folder = Path(results)
    tables = Tables(folder)
    nulls = {name: Tables(folder / NULL_RUNS / name) for name in null_runs(config)}
    measured = {claim.id: _measured(claim, tables, config) for claim in claims}
    judged = {
        claim.id: judge(
            claim, measured[claim.id], _of_nulls(claim, nulls, config), _lone(claim, config)
        )
        for claim in claims
    }
    by_id = {claim.id: claim for claim in claims}
    rows = []
    for claim in claims:
        verdict = judged[claim.id]
        if verdict.status in (NEAR, DIFFERS):
            context = _context(claim, by_id, measured, judged, config)
            reason = "; ".join([verdict.reason, *context])
            verdict = dataclasses.replace(verdict, reason=reason)
        rows.append(_row(claim, measured[claim.id], verdict))
    return rows


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count published results by paper: {paper: {status: count}}, every status present."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        paper = counts.setdefault(row["paper"], dict.fromkeys(STATUSES, 0))
        if row["section"] == PUBLISHED:
            paper[row["status"]] += 1
    return counts


def sentence(rows: Iterable[Mapping[str, Any]]) -> str:
    """Say how many published results came out again."""
    counts = summary(rows).values()
    total = {status: sum(paper[status] for paper in counts) for status in STATUSES}
    return (
        f"of {sum(total.values())} published results {total[MATCH]} were reproduced where a "
        f"network that learned nothing fails, {total[NEAR]} nearly; {total[DIFFERS]} differ, "
        f"{total[UNINFORMATIVE]} cannot be told by this run, {total[NOT_ATTEMPTED]} were not "
        "attempted"
    )


def write(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write claims.csv."""
    LEDGER.write(path, rows)


def _context(
    claim: Claim,
    by_id: Mapping[str, Claim],
    measured: Mapping[str, Measured | str],
    judged: Mapping[str, Verdict],
    config: Mapping[str, Any],
) -> list[str]:
    """Say how this run's set-up differs from the published one, as far as the claim names it."""
    parts = []
    for name in claim.setup:
        other, ours = by_id[name], measured[name]
        if judged[name].status != MATCH and isinstance(ours, Measured):
            parts.append(f"{other.label or other.place} {text(ours.value)} ({shown(other)})")
    notes = [f"this run (published): {', '.join(parts)}"] if parts else []
    if claim.select and claim.section == SET_UP and not claim.setup:
        notes.append(
            f"set so by the {config.get('tier', 'default')} tier, its variants or overrides"
        )
    return notes + ([claim.note] if claim.note else [])


def _row(claim: Claim, ours: Measured | str, verdict: Verdict) -> dict[str, Any]:
    measured = ours if isinstance(ours, Measured) else Measured("")
    null = verdict.null_is or Measured("")
    beats = verdict.beats_null
    return {
        "id": claim.id,
        "paper": claim.paper,
        "section": claim.section,
        "place": claim.place,
        "published": shown(claim),
        "value": measured.value,
        "uncertainty": "" if measured.error is None else measured.error,
        "tolerance": tolerance_text(claim),
        "null": verdict.null,
        "null_value": null.value,
        "null_error": "" if null.error is None else null.error,
        "beats_null": "" if beats is None else beats,
        "status": verdict.status,
        "reason": verdict.reason,
    }


def tolerance_text(claim: Claim) -> str:
    """Say in words how a claim is compared."""
    tolerance = claim.tolerance
    kind = tolerance["kind"]
    words = {
        "digits": f"published digits (± {text(tolerance.get('value', 0))})",
        "sigma": f"{text(tolerance.get('value', 1))} sigma",
        "sign": "sign",
        "order": "order",
        "bound": f"bound ({'at least' if tolerance.get('at') == 'least' else 'at most'})",
    }
    estimated = "scatter" in (claim.select or {})
    return (
        words[kind]
        + (f", near ± {tolerance['near']}" if "near" in tolerance else "")
        + (", the published error estimated from our scatter" if estimated else "")
    )


# ------------------------------------------------------------------------------ our numbers


def _of_nulls(
    claim: Claim, nulls: Mapping[str, Tables], config: Mapping[str, Any]
) -> dict[str, Measured] | None:
    """Return what the null runs give; None where no network is asked."""
    if not claim.network or "config" in (claim.select or {}):
        return None
    found = {name: _measured(claim, tables, config) for name, tables in nulls.items()}
    return {name: null for name, null in found.items() if isinstance(null, Measured)}


def _lone(claim: Claim, config: Mapping[str, Any]) -> float:
    """Return the scatter of a network over a null's error, where the run has a single network.

    The error of a null holds the scatter between its networks, over the root of their number; the
    error of a single network lacks it. So few networks know their scatter badly: Student's t says
    by how much two standard errors have to be stretched.
    """
    if claim.networks is None:
        return 0.0
    ours = config_value(config, claim.networks)
    of_null = config_value(merge(config, config["nulls"]["overrides"]), claim.networks)
    if ours != 1 or of_null < 2:
        return 0.0
    confidence = scipy.stats.norm.cdf(SIGNIFICANT)
    stretched = scipy.stats.t.ppf(confidence, of_null - 1) / SIGNIFICANT
    return float(math.sqrt(of_null) * stretched)


def _measured(claim: Claim, tables: Tables, config: Mapping[str, Any]) -> Measured | str:
    if claim.select is None:
        return claim.not_attempted or NOT_ATTEMPTED
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

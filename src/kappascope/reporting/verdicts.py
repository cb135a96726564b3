"""What can be said of a claim: whether ours agrees, and whether anything else would have, too.

A number agrees within the published digits or the combined error. That counts where it could have
failed: the run must be able to tell what is published from what a network that learned nothing
gives (the null), and ours must lie nearer to what is published than the null does, or further on
its side, by two standard errors.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from kappascope.errors import InputError
from kappascope.reporting.errorbars import combined, is_scatter
from kappascope.reporting.published import Claim
from kappascope.reporting.selecting import Measured

MATCH, NEAR, DIFFERS = "match", "near", "differs"
UNINFORMATIVE, NOT_ATTEMPTED = "uninformative", "not attempted"
STATUSES = (MATCH, NEAR, DIFFERS, UNINFORMATIVE, NOT_ATTEMPTED)
SIGNIFICANT = 2.0
NEAR_SIGMA = 3.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim's status and why.

    Attributes
    ----------
    status : one of :data:`STATUSES`.
    reason : in words; empty for a match.
    null : name of the null run that is hardest to beat, empty where there is none.
    null_is : what it gave.
    beats_null : by how many standard errors ours lies nearer to what is published, or further on
        its side.

    """

    status: str
    reason: str = ""
    null: str = ""
    null_is: Measured | None = None
    beats_null: float | None = None


def judge(
    claim: Claim,
    ours: Measured | str,
    nulls: Mapping[str, Measured] | None = None,
    lone: float = 0.0,
) -> Verdict:
    """Judge one claim.

    Parameters
    ----------
    ours : our number, or the reason why there is none.
    nulls : the same of networks that learned nothing, by name of the null run; None where the
        claim depends on no network, empty where it does and no null was made.
    lone : the scatter between networks over a null's error, where ours is of a single network and
        its error lacks it; 0 where it does not.

    """
    if isinstance(ours, str):
        return Verdict(NOT_ATTEMPTED, ours)
    if claim.tolerance["kind"] != "order" and isinstance(ours.value, str):
        raise InputError(
            f"{claim.id}: {claim.tolerance['kind']} compares numbers, the selector gives a name"
        )
    status, reason = _agreement(claim, ours)
    if ours.limit and claim.tolerance["kind"] in ("digits", "sigma"):
        status, reason = _of_limit(claim, ours, status, reason)
    against = _against_nulls(claim, ours, nulls or {}, lone)
    if nulls is not None and status in (MATCH, NEAR):
        doubt = _doubt(claim, ours, against, lone)
        if doubt:
            return dataclasses.replace(
                against, status=UNINFORMATIVE, reason="; ".join(filter(None, [reason, doubt]))
            )
    return dataclasses.replace(against, status=status, reason=reason)


# ----------------------------------------------------------------------------------- agreement


def _agreement(claim: Claim, ours: Measured) -> tuple[str, str]:
    """Return status and reason as if there were no null."""
    kind = claim.tolerance["kind"]
    if kind in ("sign", "order"):
        return _side(claim, ours)
    published, value = float(claim.published), float(ours.value)
    error = known_error(ours)
    distance = abs(value - published)
    allowed = float(claim.tolerance.get("value", 0.0))
    if kind == "bound":
        excess = published - value if claim.tolerance.get("at") == "least" else value - published
        distance, allowed = max(excess, 0.0), 0.0
    elif kind == "sigma":
        allowed *= error
    else:
        allowed = max(allowed, error)
    # A tolerance is a decimal; half a unit in its last place must not fail by rounding.
    agrees = distance <= allowed + 1e-9 * max(abs(published), allowed)
    powerless = kind != "bound" and published != 0 and SIGNIFICANT * error > abs(published)
    if agrees and not powerless:
        return MATCH, ""
    apart = f"{distance / error:.1f} sigma" if error else text(distance)
    told = (
        f"ours {with_error(ours)}, published {shown(claim)}: {apart} "
        f"{'beyond the bound' if kind == 'bound' else 'apart'}"
    )
    near = agrees or (error and distance <= NEAR_SIGMA * error)
    if near and powerless:
        return UNINFORMATIVE, f"{told}; an error this large cannot tell it from 0"
    margin = _margin(claim.tolerance.get("near"), published)
    return (NEAR if near or distance <= margin else DIFFERS), told


def _of_limit(claim: Claim, ours: Measured, status: str, reason: str) -> tuple[str, str]:
    """Judge a number that is a bound on the true one: it excludes what lies beyond it alone."""
    beyond = float(claim.published) - float(ours.value)
    if (beyond > 0) == (ours.limit == "upper") and status == DIFFERS:
        return status, f"{reason}; ours is the {ours.limit} limit"
    told = f"ours {with_error(ours)} is the {ours.limit} limit alone, published {shown(claim)}"
    return UNINFORMATIVE, told


def _margin(near: Any, published: float) -> float:
    if near is None:
        return 0.0
    if isinstance(near, str) and near.endswith("%"):
        return abs(published) * float(near[:-1]) / 100.0
    return float(near)


def _side(claim: Claim, ours: Measured) -> tuple[str, str]:
    """Judge signs and orders: on which side of zero, or of the others, by two sigma."""
    found = ours.series if claim.tolerance["kind"] == "sign" else None
    if found is not None:
        wrong = _wrong_signs(claim, ours)
        if not wrong:
            return MATCH, ""
        told = f"{len(wrong)} of {len(found.values)} are not {_sign(claim)}: {'; '.join(wrong[:4])}"
        return DIFFERS, told
    margin, error = _score(claim, ours)
    what = _order_told(claim, ours) if isinstance(claim.published, str) else _sign_told(claim, ours)
    if not error:
        # Of numbers without errors nothing is known but which comes first.
        return (UNINFORMATIVE if margin > 0 else DIFFERS), f"{what}; no error is known"
    if abs(margin) < SIGNIFICANT * error:
        return UNINFORMATIVE, f"{what}: {abs(margin) / error:.1f} sigma cannot tell"
    return (MATCH, "") if margin > 0 else (DIFFERS, f"{what}: {abs(margin) / error:.1f} sigma")


def _wrong_signs(claim: Claim, ours: Measured) -> list[str]:
    assert ours.series is not None
    listed = zip(ours.series.values, ours.series.errors, ours.series.labels, strict=True)
    return [
        f"{label} {with_error(Measured(value, error))}"
        for value, error, label in listed
        if not value * float(claim.published) > 0
    ]


def _sign(claim: Claim) -> str:
    return "positive" if float(claim.published) > 0 else "negative"


def _sign_told(claim: Claim, ours: Measured) -> str:
    return f"ours {with_error(ours)}, published {claim.shown or _sign(claim)}"


def _order_told(claim: Claim, ours: Measured) -> str:
    series = ours.series
    if series is None or claim.published not in series.labels:
        return f"ours {ours.value}, published {claim.published}"
    ranked = [str(ours.value), str(claim.published)]
    if ours.value == claim.published:
        others = [name for name in series.labels if name != claim.published]
        ranked = [str(ours.value), *others[:1]] if len(others) == 1 else [str(ours.value)]
    values = [text(series.values[series.labels.index(name)]) for name in ranked]
    if len(ranked) == 1:
        return f"{ranked[0]} comes first with {values[0]}"
    return f"{ranked[0]} comes first with {values[0]}, {ranked[1]} has {values[1]}"


# --------------------------------------------------------------------------------------- nulls


def _score(claim: Claim, ours: Measured) -> tuple[float, float]:
    """Return how near ours is to what is published, or how far on its side, with its error."""
    kind = claim.tolerance["kind"]
    if kind == "order":
        return _margin_of_first(claim, ours)
    value, error = float(ours.value), known_error(ours)
    if kind == "sign" and ours.series is None:
        return math.copysign(1.0, float(claim.published)) * value, error
    if kind == "bound":
        return (value if claim.tolerance.get("at") == "least" else -value), error
    if kind == "sign":
        return value, error
    return -abs(value - float(claim.published)), error


def _margin_of_first(claim: Claim, ours: Measured) -> tuple[float, float]:
    """Return by how much the published name leads the best of the others."""
    series = ours.series
    if series is None or claim.published not in series.labels or len(series.values) < 2:
        return -math.inf, 0.0
    sign = -1.0 if "smallest" in (claim.select or {}) else 1.0
    place = series.labels.index(str(claim.published))
    rivals = [index for index in range(len(series.values)) if index != place]
    rival = max(rivals, key=lambda index: sign * series.values[index])
    margin = sign * (series.values[place] - series.values[rival])
    return margin, combined(series.errors[place], series.errors[rival])


def _against_nulls(
    claim: Claim, ours: Measured, nulls: Mapping[str, Measured], lone: float
) -> Verdict:
    """Return the null that is hardest to beat, and by how much ours does."""
    score, error = _score(claim, ours)
    hardest = Verdict("")
    for name, null in nulls.items():
        # The published scatter is in ours already.
        other, other_error = _score(claim, dataclasses.replace(null, scatter=None))
        if not math.isfinite(other):
            continue
        gap, noise = score - other, combined(error, other_error, lone * other_error)
        beats = gap / noise if noise else math.copysign(math.inf, gap) if gap else 0.0
        if hardest.beats_null is None or beats < hardest.beats_null:
            hardest = Verdict("", "", name, null, beats)
    return hardest


def _doubt(claim: Claim, ours: Measured, against: Verdict, lone: float) -> str:
    """Say why agreement shows nothing, or nothing."""
    if against.null_is is None or against.beats_null is None:
        return "no null was made, which it would have to beat"
    null = f"{against.null} gives {with_error(against.null_is)}"
    if math.isinf(against.beats_null) and against.beats_null > 0:
        return f"no error is known, and {null}"
    if against.beats_null < SIGNIFICANT:
        return f"{null}, which ours beats by {against.beats_null:.1f} sigma"
    if claim.tolerance["kind"] in ("digits", "sigma"):
        effect = abs(float(claim.published) - float(against.null_is.value))
        alone = dataclasses.replace(against.null_is, scatter=None)
        noise = combined(known_error(ours), known_error(alone), lone * known_error(alone))
        if SIGNIFICANT * noise > effect:
            return f"{null}: this run cannot tell {shown(claim)} from that"
    return ""


# --------------------------------------------------------------------------------------- words


def known_error(ours: Measured) -> float:
    """Return the error of ours and of what is published, 0 where neither is known."""
    value = ours.value if isinstance(ours.value, float | int) else math.nan
    own = ours.error if ours.error and is_scatter(value, ours.error) else None
    return combined(own, ours.scatter)


def with_error(ours: Measured) -> str:
    """Return a number with its error as it is shown, or a name."""
    return text(ours.value) + (f" ± {text(ours.error)}" if ours.error else "")


def shown(claim: Claim) -> str:
    """Return a published number as it is printed."""
    return claim.shown or text(claim.published)


def text(value: Any) -> str:
    """Return four digits of a number; anything else as it is."""
    if isinstance(value, bool | str) or value is None:
        return str(value)
    number = float(value)
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"

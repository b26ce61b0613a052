"""One customer as a story: how the risk adds up, the usual gap, and what happened when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stagecast.features.clock import instant_text, parse_instant
from stagecast.serving.reports.shop_days import DAYS_TO_ORDER


def risk_steps(score: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how a risk comes about, one step per reason, from the average to the customer's own.

    The effects of the reasons are in log odds. Each step adds one of them, in the order of the
    reasons, and says how the probability moves; the last one adds everything else.

    Parameters
    ----------
    score
        As the API returns it.

    Returns
    -------
    Steps with ``kind`` (``base``, ``reason``, ``rest``), ``reason`` (its place among the reasons,
    from 0; else None), ``start`` and ``end`` (probabilities). Empty where the score has no reasons
    or no base.

    >>> steps = risk_steps({"risk_base": 0.0, "risk_rest": 0.0, "reasons": [{"effect": 1.0}]})
    >>> [(step["kind"], round(step["end"], 3)) for step in steps]
    [('base', 0.5), ('reason', 0.731), ('rest', 0.731)]
    """
    base, reasons = score.get("risk_base"), score.get("reasons") or ()
    if base is None or not reasons or any(reason.get("effect") is None for reason in reasons):
        return []
    parts = [("reason", k, float(reason["effect"])) for k, reason in enumerate(reasons)]
    odds = float(base)
    steps = [{"kind": "base", "reason": None, "start": 0.0, "end": _probability(odds)}]
    for kind, place, effect in (*parts, ("rest", None, float(score.get("risk_rest") or 0.0))):
        start = _probability(odds)
        odds += effect
        steps.append({"kind": kind, "reason": place, "start": start, "end": _probability(odds)})
    return steps


def risk_explained(score: Mapping[str, Any]) -> str:
    """Return the kind of churn whose risk the reasons of a score are of.

    Where churn is a cancellation, who has no open contract can order nothing, and not cancel.

    >>> risk_explained({"churn": "cancellation", "state": "active"})
    'cancellation'
    >>> risk_explained({"churn": "cancellation", "state": "lapsed"})
    'inactivity'
    """
    churn = str(score.get("churn") or "inactivity")
    return churn if score["state"] == "active" else "inactivity"


def usual_gap(score: Mapping[str, Any]) -> float | None:
    """Return the mean of the customer's own gaps between orders in days; None where it is not
    known.

    It is ``usual_gap_days`` of the score. Scores that an earlier version published have no such
    field, and may have it in a reason.

    >>> usual_gap({"usual_gap_days": 11.0, "reasons": []})
    11.0
    >>> usual_gap({"reasons": [{"code": "recency_days.own", "usual": 9}]})
    9.0
    """
    if "usual_gap_days" in score:
        gap = score["usual_gap_days"]
        return None if gap is None else float(gap)
    for reason in score.get("reasons") or ():
        name = "usual" if reason.get("code") == "recency_days.own" else "value"
        if name == "usual" or reason.get("feature") == "gap_mean":
            gap = reason.get(name)
            if gap:
                return float(gap)
    return None


def shown_overdue(score: Mapping[str, Any]) -> int | None:
    """Return the days overdue as a reader sees them; None where they are not known.

    They are the difference of the two numbers beside them, each in whole days, so that the three
    add up.

    >>> shown_overdue({"recency_days": 27.0, "usual_gap_days": 11.5, "days_overdue": 15.5})
    15
    """
    gap, silence = score.get("usual_gap_days"), score.get("recency_days")
    if gap is None or silence is None:
        return None
    gap, silence = float(gap), float(silence)
    return max(round(silence) - max(round(gap), 1), 0)


def timeline(
    score: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    contacts: Sequence[Mapping[str, Any]],
    plans: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return what is stored of a customer's past and expected of the future, the earliest first.

    Of the orders these are the last alone; single events are
    :func:`stagecast.serving.reports.past_events.past_events`. An order that is expected later than
    within a year is none.

    Parameters
    ----------
    score
        As the API returns it.
    history
        ``as_of`` (UTC) and ``stage`` of earlier scores, in any order.
    contacts
        ``at`` and ``source`` of each.
    plans
        The plans that the customer was in.

    Returns
    -------
    Entries with ``at`` (ISO 8601, UTC), ``kind`` (``first_event``, ``last_order``, ``stage``,
    ``contact``, ``plan``, ``score``, ``today``, ``next_order``, ``horizon``) and ``what`` (a
    stage, a plan, or the source of a contact; else None).
    """
    as_of = parse_instant(score["as_of"])
    entries: list[tuple[datetime, str, str | None]] = [
        (as_of - timedelta(days=score["tenure_days"]), "first_event", None),
        (parse_instant(score["stage_since"]), "stage", score["stage"]),
        (as_of, "today", None),
        (as_of + timedelta(days=score["horizon_days"]), "horizon", None),
    ]
    if score.get("recency_days") is not None:
        entries.append((as_of - timedelta(days=score["recency_days"]), "last_order", None))
    if score.get("next_order_date"):
        expected = parse_instant(str(score["next_order_date"]))
        if expected <= as_of + timedelta(days=DAYS_TO_ORDER):
            entries.append((expected, "next_order", None))
    entries += [
        (past["as_of"], "score", past["stage"]) for past in history if past["as_of"] < as_of
    ]
    entries += [
        (parse_instant(contact["at"]), "contact", contact["source"]) for contact in contacts
    ]
    entries += [(parse_instant(plan["starts_at"]), "plan", plan["name"]) for plan in plans]
    order = ("first_event", "last_order", "stage", "score", "contact", "plan", "today")
    place = {kind: k for k, kind in enumerate(order)}
    entries.sort(key=lambda entry: (entry[0], place.get(entry[1], len(order))))
    return [{"at": instant_text(at), "kind": kind, "what": what} for at, kind, what in entries]


def _probability(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds)) if odds > -700 else 0.0

"""Reasons in words: a clause from the code and the numbers, and several joined by because and but.

Scores hold codes and numbers; the words are made here, when a score is written or read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

RAISES, LOWERS = "raises", "lowers"
LOWERS_SUFFIX = "; this lowers the risk"
"""Ends the sentence of a reason that lowers the risk, where it stands alone."""
_EARLIER_SUFFIX = " (lowers the risk)"

OWN, STAGE, ACTIVE, PLAIN = "own", "stage", "active", "plain"
"""What a value is compared with: the customer's own past, what is usual on the stage, what is usual
of the active customers, or nothing.
"""

_USUAL = {
    OWN: "usual before",
    STAGE: "usual on this stage",
    ACTIVE: "usual",
}


def number(value: float) -> str:
    """Return a number as reasons show it: whole, or with one decimal if small.

    >>> number(1234.4), number(5.55), number(3.0)
    ('1,234', '5.5', '3')
    """
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def shown(feature: str, value: float) -> str:
    """Return a value as the clause of its feature shows it."""
    return _share(value) if feature in ("refund_share", "stage", "average") else number(value)


def _count(value: float, singular: str, plural: str) -> str:
    return f"{number(value)} {singular if value == 1 else plural}"


def clause(
    code: str, value: float | None, usual: float | None = None, label: str | None = None
) -> str:
    """Return a reason in words, without its direction.

    Parameters
    ----------
    code
        The feature and what it is compared with, like ``orders.stage``.
    value
        The customer's value; None where the feature has none.
    usual
        What it is compared with.
    label
        Meaning of one of the user's own features, the title of a stage, or a date.

    >>> clause("recency_days.own", 95.0, 30.4)
    'no order for 95 days (their usual gap is 30)'
    """
    feature, _, versus = code.rpartition(".")
    if feature == "season":
        return "the time of the year"
    if feature == "contract_end":
        return f"cancelled already; ends on {label}"
    here = 0.0 if value is None else value
    if feature == "stage":
        average = _share(usual or 0.0)
        return f"on the stage {label} the risk is {_share(here)} ({average} of the active)"
    if feature == "average":
        return f"the average active customer of this log has a risk of {_share(here)}"
    if versus == PLAIN or usual is None:
        return _fact(feature, here, label)
    if code == "recency_days.own":
        return f"{_fact(feature, here, label)} (their usual gap is {number(usual)})"
    if code == "orders_90d.own":
        return f"{_fact(feature, here, label)} ({number(usual)} in the 90 before)"
    return f"{_fact(feature, here, label)} ({shown(feature, usual)} is {_USUAL[versus]})"


_FACTS: Mapping[str, Callable[[float], str]] = {
    "recency_days": lambda value: f"no order for {_count(value, 'day', 'days')}",
    "orders": lambda value: f"{_count(value, 'order', 'orders')} so far",
    "orders_90d": lambda value: f"{_count(value, 'order', 'orders')} in the last 90 days",
    "spend_mean": lambda value: f"spends {number(value)} an order",
    "activity_30d": lambda value: (
        f"{_count(value, 'visit', 'visits')} or other events in the last 30 days"
    ),
    "gap_mean": lambda value: f"{_count(value, 'day', 'days')} between orders on average",
    "T_days": lambda value: f"first order {_count(value, 'day', 'days')} ago",
    "refund_share": lambda value: f"{_share(value)} of the spend was given back",
    "contract_days": lambda value: f"the contract is {_count(value, 'day', 'days')} old",
    "earlier_contracts": lambda value: f"{_count(value, 'contract', 'contracts')} cancelled before",
}


def _fact(feature: str, value: float, label: str | None) -> str:
    known = _FACTS.get(feature)
    return f"{label or feature}: {number(value)}" if known is None else known(value)


def moved_clause(feature: str, value: float, before: float) -> str | None:
    """Return a value and what it was before in words; None where they look the same.

    >>> moved_clause("recency_days", 95.0, 20.0)
    'no order for 95 days (20 before)'
    """
    if shown(feature, value) == shown(feature, before) or feature in ("season", "average"):
        return None
    if feature == "stage":
        return f"the stage's risk is {_share(value)} ({_share(before)} before)"
    return f"{_fact(feature, value, None)} ({shown(feature, before)} before)"


def clause_of(reason: Mapping[str, Any]) -> str:
    """Return the clause of a reason of a score; the stored sentence where it has no code.

    Parameters
    ----------
    reason
        A reason as scores hold it, also as an earlier version wrote it.
    """
    code = reason.get("code")
    if not code:
        return str(reason.get("sentence") or reason["feature"]).removesuffix(_EARLIER_SUFFIX)
    value, usual = reason.get("value"), reason.get("usual")
    text = clause(code, value, usual, reason.get("label"))
    if not code.startswith("gap_mean.") or value is None or usual is None:
        return text
    # the same silence says more of who orders often
    raises = direction_of(reason) == RAISES
    if raises and value < usual:
        return f"{text}, so that a silence says more"
    return text if raises or value < usual else f"{text}, so that a silence says less"


def sentence_of(reason: Mapping[str, Any]) -> str:
    """Return a reason of a score as a sentence of its own, which says if it lowers the risk."""
    return clause_of(reason) + (LOWERS_SUFFIX if direction_of(reason) == LOWERS else "")


def direction_of(reason: Mapping[str, Any]) -> str:
    """Return ``raises`` or ``lowers``, also for reasons that an earlier version wrote."""
    direction = reason.get("direction")
    if direction:
        return str(direction)
    return LOWERS if (reason.get("effect") or 0.0) < 0 else RAISES


def because_but(reasons: Iterable[Mapping[str, Any]]) -> str:
    """Return the reasons of a score in one sentence without a full stop; empty without any.

    What weighs more comes first: of a customer who is hardly at risk, what lowers the risk.

    >>> one_order = {"code": "orders.stage", "value": 1.0, "usual": 4.0, "direction": "raises"}
    >>> new = {"code": "T_days.plain", "value": 9.0, "direction": "lowers", "effect": -0.1}
    >>> because_but([{**one_order, "effect": 0.4}, new])
    'because 1 order so far (4 is usual on this stage), but first order 9 days ago'
    >>> because_but([{**one_order, "effect": 0.05}, new])
    'lower because first order 9 days ago, but 1 order so far (4 is usual on this stage)'
    """
    clauses: dict[str, list[str]] = {RAISES: [], LOWERS: []}
    net_effect = 0.0
    for reason in reasons:
        clauses[direction_of(reason)].append(clause_of(reason))
        net_effect += reason.get("effect") or 0.0
    raising, lowering = ("; ".join(clauses[side]) for side in (RAISES, LOWERS))
    if raising and lowering and net_effect < 0:
        return f"lower because {lowering}, but {raising}"
    if raising and lowering:
        return f"because {raising}, but {lowering}"
    if raising:
        return f"because {raising}"
    return f"lower because {lowering}" if lowering else ""

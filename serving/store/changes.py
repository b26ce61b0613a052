"""What changed between two scores of one customer, in sentences: the stage, what happened, the
risk, the value.

Facts come first and figures after them, since the first are why the second moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.serving.reports.rendering import days, money, percent

# Moves smaller than these are no news: of a probability, and of an amount as a share of the larger
# one.
LEAST_CHANCE, LEAST_SHARE = 0.02, 0.05
# What churn was in scores that do not say it.
INACTIVITY = "inactivity"


def changes(
    now: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    titles: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what changed since the score before: the field, its value then and now, and a
    sentence.

    Parameters
    ----------
    now, before
        scores as the API gives them, see ``docs/scores.md``; ``before`` is None where there was
        none.
    titles
        how stages are called, by id.
    """
    if before is None:
        return []
    said = titles or {}
    now, before = {"churn": INACTIVITY, **now}, {"churn": INACTIVITY, **before}
    churn, was = now["churn"], before["churn"]
    other = _told("churn", now, before, f"churn is {churn} now, and was {was}")
    found = [
        _told("stage", now, before, f"moved from {_stage(before, said)} to {_stage(now, said)}")
        if now["stage"] != before["stage"]
        else None,
        _happened(now, before),
        *(_moved(now, before) if churn == was else [other]),
        _amount("clv", now, before, "the value in a year"),
        _amount("value_at_risk", now, before, "the value at risk") if churn == was else None,
        _told(
            "model_version",
            now,
            before,
            "scored by another model, so part of this may be the model's",
        )
        if now["model_version"] != before["model_version"]
        else None,
    ]
    return [one for one in found if one is not None]


def _told(
    name: str, now: Mapping[str, Any], before: Mapping[str, Any], sentence: str
) -> dict[str, Any]:
    return {"field": name, "before": before[name], "now": now[name], "sentence": sentence}


def _stage(score: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return titles.get(score["stage"], score["stage"])


def _moved(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """Return how the chances moved."""
    return [
        _chance("churn_probability", now, before, "the chance to leave"),
        _chance("p_return", now, before, "the chance to return"),
        _chance("p_convert", now, before, "the chance of a first order"),
    ]


def _happened(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the orders since, or how the silence grew."""
    more = now["orders"] - before["orders"]
    if more > 0:
        spent = (
            ""
            if now["spend"] is None or before["spend"] is None
            else f", {money(now['spend'] - before['spend'])}"
        )
        return _told("orders", now, before, f"ordered on {days(more)} since{spent}")
    if more < 0:
        return _told("orders", now, before, f"orders of {days(-more)} were given back")
    if now["recency_days"] is not None and before["recency_days"] is not None:
        grown = (
            f"no order since: {days(now['recency_days'])} of silence, "
            f"{days(before['recency_days'])} then"
        )
        return (
            _told("recency_days", now, before, grown)
            if now["recency_days"] > before["recency_days"]
            else None
        )
    return None


def _chance(
    name: str, now: Mapping[str, Any], before: Mapping[str, Any], what: str
) -> dict[str, Any] | None:
    new, old = now[name], before[name]
    if new is None or old is None or abs(new - old) < LEAST_CHANCE:
        return None
    return _told(
        name,
        now,
        before,
        f"{what} {'rose' if new > old else 'fell'} from {percent(old)} to {percent(new)}",
    )


def _amount(
    name: str, now: Mapping[str, Any], before: Mapping[str, Any], what: str
) -> dict[str, Any] | None:
    new, old = now[name], before[name]
    if new is None or old is None or abs(new - old) < LEAST_SHARE * max(abs(new), abs(old), 1e-9):
        return None
    return _told(
        name,
        now,
        before,
        f"{what} {'rose' if new > old else 'fell'} from {money(old)} to {money(new)}",
    )

"""Changes between two scores of one customer, in sentences: stage, orders, risk and value.

Stage and orders come first, since they explain the changes of the predictions after them. What
moved a probability is told only where it moved: a silence of some days more is no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.features.shop.money import money
from stagecast.serving.reports.rendering import days, percent
from stagecast.serving.store.movers import movers

# Smaller changes are not reported: of a probability, and of an amount relative to the larger one.
MIN_PROBABILITY_CHANGE, MIN_RELATIVE_CHANGE = 0.02, 0.05
# Definition of churn in scores from before the column "churn" existed.
INACTIVITY = "inactivity"


def changes(
    score: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
    titles: Mapping[str, str] | None = None,
    currency: str | None = None,
) -> list[dict[str, Any]]:
    """Return what changed since the previous score.

    Parameters
    ----------
    score, previous
        Scores as the API returns them, see ``docs/scores.md``; ``previous`` is None if there is
        none.
    titles
        Title of each stage by id; None: the ids are shown.
    currency
        Code of the currency of the amounts; None: not known.

    Returns
    -------
    One dict per change: ``field``, its values ``before`` and ``now``, and a ``sentence``.
    """
    if previous is None:
        return []
    stage_titles = titles or {}
    score, previous = {"churn": INACTIVITY, **score}, {"churn": INACTIVITY, **previous}
    churn, old_churn = score["churn"], previous["churn"]
    stage, old_stage = _stage_title(score, stage_titles), _stage_title(previous, stage_titles)
    # probabilities of two definitions of churn cannot be compared
    same_churn = churn == old_churn
    churn_change = _change("churn", score, previous, f"churn is {churn} now, and was {old_churn}")
    candidates = [
        _change("stage", score, previous, f"moved from {old_stage} to {stage}")
        if score["stage"] != previous["stage"]
        else None,
        _order_change(score, previous, currency),
        *(_probability_changes(score, previous, currency) if same_churn else [churn_change]),
        _amount_change("clv", score, previous, "the value in a year", currency),
        _amount_change("value_at_risk", score, previous, "the value at risk", currency)
        if same_churn
        else None,
        _change(
            "model_version",
            score,
            previous,
            "scored by another model, so part of this may be the model's",
        )
        if score["model_version"] != previous["model_version"]
        else None,
    ]
    return [change for change in candidates if change is not None]


def _change(
    name: str, score: Mapping[str, Any], previous: Mapping[str, Any], sentence: str
) -> dict[str, Any]:
    return {"field": name, "before": previous[name], "now": score[name], "sentence": sentence}


def _stage_title(score: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return titles.get(score["stage"], score["stage"])


def _probability_changes(
    score: Mapping[str, Any], previous: Mapping[str, Any], currency: str | None
) -> list[dict[str, Any] | None]:
    return [
        _probability_change(name, score, previous, subject, currency)
        for name, subject in (
            ("churn_probability", "the chance to leave"),
            ("p_return", "the chance to return"),
            ("p_convert", "the chance of a first order"),
        )
    ]


def _order_change(
    score: Mapping[str, Any], previous: Mapping[str, Any], currency: str | None
) -> dict[str, Any] | None:
    """Return the change of the number of orders; None without one."""
    order_difference = score["orders"] - previous["orders"]
    if order_difference > 0:
        spend_text = (
            ""
            if score["spend"] is None or previous["spend"] is None
            else f", {money(score['spend'] - previous['spend'], currency)}"
        )
        sentence = f"ordered on {days(order_difference)} since{spend_text}"
        return _change("orders", score, previous, sentence)
    if order_difference < 0:
        sentence = f"orders of {days(-order_difference)} were given back"
        return _change("orders", score, previous, sentence)
    return None


def _probability_change(
    name: str,
    score: Mapping[str, Any],
    previous: Mapping[str, Any],
    subject: str,
    currency: str | None,
) -> dict[str, Any] | None:
    new, old = score[name], previous[name]
    if new is None or old is None or abs(new - old) < MIN_PROBABILITY_CHANGE:
        return None
    # p_return falls as the risk rises; a first order has no reasons
    rises = (new > old) != (name == "p_return")
    why = movers(score, previous, 1 if rises else -1, currency) if name != "p_convert" else []
    verb = "rose" if new > old else "fell"
    sentence = f"{subject} {verb} from {percent(old)} to {percent(new)}"
    return _change(name, score, previous, f"{sentence}: {'; '.join(why)}" if why else sentence)


def _amount_change(
    name: str,
    score: Mapping[str, Any],
    previous: Mapping[str, Any],
    subject: str,
    currency: str | None,
) -> dict[str, Any] | None:
    new, old = score[name], previous[name]
    if new is None or old is None:
        return None
    if abs(new - old) < MIN_RELATIVE_CHANGE * max(abs(new), abs(old), 1e-9):
        return None
    verb = "rose" if new > old else "fell"
    sentence = f"{subject} {verb} from {money(old, currency)} to {money(new, currency)}"
    return _change(name, score, previous, sentence)

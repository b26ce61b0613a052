"""Why a customer has a play: its conditions with the customer's numbers, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.features.stages.plays import (
    MONEY,
    PROBABILITIES,
    TEXTS,
    Comparison,
    Play,
    play_from_toml,
)

_NAMES = {
    "stage": "stage",
    "state": "state",
    "churn_band": "churn risk",
    "p_inactive": "chance of no order",
    "churn_probability": "churn risk",
    "p_return": "chance to return",
    "p_convert": "chance of a first order",
    "p_alive": "chance to be still a customer",
    "churn_percentile": "churn risk above so many per cent of the active",
    "expected_orders": "expected orders",
    "expected_spend": "expected spend",
    "clv": "value to come",
    "value_at_risk": "value at risk",
    "value_gone": "value gone",
    "value_if_kept": "value if kept",
    "spend": "spent so far",
    "recency_days": "days since the last order",
    "tenure_days": "days since the first event",
    "frequency": "repeat orders",
    "orders": "orders so far",
}
_RELATIONS = {
    "==": "exactly {}",
    ">=": "{} or more",
    "<=": "{} or less",
    ">": "more than {}",
    "<": "less than {}",
}
_RANKS = {
    ">=": "among the highest {top:g} % of the buyers",
    ">": "among the highest {top:g} % of the buyers",
    "<=": "not among the highest {top:g} % of the buyers",
    "<": "not among the highest {top:g} % of the buyers",
    "==": "at the highest {top:g} % of the buyers",
}


def play_words(play: Play, score: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Return the conditions of a customer's play that hold, each with the customer's number.

    Of a clause that several comparisons may meet, the first that holds is told.

    Parameters
    ----------
    play
        The play.
    score
        The customer's score, as the API returns it.
    titles
        Stage id -> title.

    >>> from stagecast.features.stages.plays import play_from_toml
    >>> texts = {"title": {"en": "Overdue"}, "when": ["churn_probability >= 0.33"]}
    >>> play_words(play_from_toml({"id": "overdue", **texts}, "x"), {"churn_probability": 0.41}, {})
    ['churn risk 41% (33% or more)']
    """
    words = []
    for clause in play.when:
        parts = [part for part in clause if _may_hold(part, score)]
        # of a percentile it is not known here whether it holds
        sure = [part for part in parts if part.percentile is None] or parts
        if len(clause) > 1 and all(part.percentile is not None for part in sure):
            words.append(" or ".join(_words(part, score, titles) for part in sure))
        elif sure:
            words.append(_words(sure[0], score, titles))
    return words


def play_of(
    scheme: Mapping[str, Any], score: Mapping[str, Any], titles: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return id, titles and reasons of a customer's play; None where there is none.

    Parameters
    ----------
    scheme
        As it is stored with a run.
    score
        The customer's score, as the API returns it.
    titles
        Stage id -> title.
    """
    stored = next((p for p in scheme.get("plays", ()) if p["id"] == score.get("play")), None)
    if stored is None:
        return None
    play = play_from_toml(stored, f"the scheme {scheme['id']} of the store")
    return {
        "id": play.id,
        "title": dict(play.title),
        "contact": play.contact,
        "because": play_words(play, score, titles),
    }


def _may_hold(comparison: Comparison, score: Mapping[str, Any]) -> bool:
    """Return whether a comparison holds; one with a percentile does where there is a number."""
    value = score.get(comparison.column)
    if value is None:
        return False
    if comparison.percentile is not None:
        return True
    return bool(comparison.holds({comparison.column: [value]}, {})[0])


def _words(comparison: Comparison, score: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    column, value = comparison.column, score[comparison.column]
    name = _NAMES[column]
    if column in TEXTS:
        return f"{name}: {titles.get(value, value) if column == 'stage' else value}"
    if comparison.percentile is not None:
        rank = _RANKS[comparison.operator].format(top=100 - comparison.percentile)
        return f"{name} {_number(column, value)} ({rank})"
    bound = _RELATIONS[comparison.operator].format(_number(column, comparison.number or 0.0))
    return f"{name} {_number(column, value)} ({bound})"


def _number(column: str, value: float) -> str:
    if column in PROBABILITIES:
        return f"{value:.0%}"
    if column in MONEY:
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:,.2f}"
    return f"{value:,.4g}" if value != int(value) else f"{value:,.0f}"

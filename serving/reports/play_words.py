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
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of

_RELATIONS = {"==": "exactly", ">=": "at_least", "<=": "at_most", ">": "above", "<": "below"}
_RANKS = {
    ">=": "highest",
    ">": "highest",
    "<=": "not_highest",
    "<": "not_highest",
    "==": "at_highest",
}


def play_words(
    play: Play,
    score: Mapping[str, Any],
    titles: Mapping[str, str],
    display: Display = ENGLISH,
) -> list[str]:
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
    display
        Language and digits.

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
            joint = f" {texts_of(display.language)['rule']['or']} "
            words.append(joint.join(_words(part, score, titles, display) for part in sure))
        elif sure:
            words.append(_words(sure[0], score, titles, display))
    return words


def play_of(
    scheme: Mapping[str, Any],
    score: Mapping[str, Any],
    titles: Mapping[str, str],
    display: Display = ENGLISH,
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
    display
        Language and digits.
    """
    stored = next((p for p in scheme.get("plays", ()) if p["id"] == score.get("play")), None)
    if stored is None:
        return None
    play = play_from_toml(stored, f"the scheme {scheme['id']} of the store")
    return {
        "id": play.id,
        "title": dict(play.title),
        "contact": play.contact,
        "because": play_words(play, score, titles, display),
    }


def _may_hold(comparison: Comparison, score: Mapping[str, Any]) -> bool:
    """Return whether a comparison holds; one with a percentile does where there is a number."""
    value = score.get(comparison.column)
    if value is None:
        return False
    if comparison.percentile is not None:
        return True
    return bool(comparison.holds({comparison.column: [value]}, {})[0])


def _words(
    comparison: Comparison, score: Mapping[str, Any], titles: Mapping[str, str], display: Display
) -> str:
    column, value = comparison.column, score[comparison.column]
    texts = texts_of(display.language)
    name = texts["conditions"]["names"][column]
    if column == "churn_band" and score.get("churn_probability") is not None:
        # the band is cut at the risk, which says more
        risk = _number("churn_probability", score["churn_probability"], display)
        return f"{name} {risk} ({texts['bands'].get(value, value)})"
    if column in TEXTS:
        labels = {
            "stage": titles,
            "state": texts["states"],
            "churn_band": texts["bands"],
            "churn": texts["changes"]["churn_kinds"],
        }[column]
        return f"{name}: {labels.get(value, value)}"
    if comparison.percentile is not None:
        top = display.number(100 - comparison.percentile)
        bound = texts["conditions"][_RANKS[comparison.operator]].format(top=top)
    else:
        number = _number(column, comparison.number or 0.0, display)
        bound = texts["conditions"][_RELATIONS[comparison.operator]].format(number)
    return f"{name} {_number(column, value, display)} ({bound})"


def _number(column: str, value: float, display: Display) -> str:
    if column in PROBABILITIES:
        return display.percent(round(value, 2))
    if column in MONEY:
        return display.written(f"{value:,.0f}" if abs(value) >= 10 else f"{value:,.2f}")
    return display.written(f"{value:,.4g}" if value != int(value) else f"{value:,.0f}")

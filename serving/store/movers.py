"""What moved the risk of a customer from one score to the next, in words.

The effect of a feature is that of the reasons of the two scores. A score of an earlier version has
no codes, and a feature that is no reason in one of them has an effect that is not known: then the
facts that both scores hold speak, silence and orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.training.reasons.sentences import moved_clause

MOST_MOVERS = 2
SMALLEST_MOVE = 0.1
"""Smaller moves of an effect, in log odds, are not told."""

_FACTS = {"recency_days": 1, "orders": -1}
"""Column of a score that reasons can name -> 1 where more of it means more risk, else -1."""


def movers(
    score: Mapping[str, Any],
    previous: Mapping[str, Any],
    direction: int,
    currency: str | None = None,
    language: str = "en",
) -> list[str]:
    """Return what moved the risk in a direction, at most two clauses, the strongest first.

    Parameters
    ----------
    score, previous
        Scores as the API returns them.
    direction
        1 where the risk rose, -1 where it fell.
    currency
        Code of the currency of the amounts; None: not known.
    language
        Language of the clauses.
    """
    now, before = _effects(score), _effects(previous)
    moves = []
    for feature in now.keys() & before.keys():
        (effect, value), (old_effect, old_value) = now[feature], before[feature]
        move = (effect - old_effect) * direction
        text = moved_clause(feature, value, old_value, language, currency)
        if move >= SMALLEST_MOVE and text is not None:
            moves.append((move, feature, text))
    clauses = [text for _, _, text in sorted(moves, key=lambda move: (-move[0], move[1]))]
    return clauses[:MOST_MOVERS] or _facts(score, previous, direction, language)


def _effects(score: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {
        reason["feature"]: (reason["effect"], reason["value"])
        for reason in score.get("reasons") or ()
        if reason.get("code") and reason.get("effect") is not None
    }


def _facts(
    score: Mapping[str, Any], previous: Mapping[str, Any], direction: int, language: str
) -> list[str]:
    clauses = []
    for name, raises in _FACTS.items():
        value, old_value = score.get(name), previous.get(name)
        if value is None or old_value is None:
            continue
        if (value - old_value) * raises * direction > 0:
            text = moved_clause(name, float(value), float(old_value), language)
            clauses += [] if text is None else [text]
    return clauses[:1]

"""The rule of a stage in words: as it is, or with the customer's numbers."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of

_CONDITION = re.compile(
    r"(?P<fact>[a-z_]\w*) (?P<value>-?[\d.,]+|never|unknown) "
    r"is(?P<relation> at least| at most| above| below|) (?P<bound>-?[\d.,]+|never)"
    r"(?: \([a-z_]+(?P<assumed>, assumed)?\))?"
    r"(?:(?P<join> and | or )(?=[a-z_]\w* (?:-?[\d.,]+|never|unknown) is))?"
)
_GROUPED = re.compile(r"(?<![\d.,])\d{4,}")
"""The whole part of a number that is written without separators of thousands."""
_RELATIONS = {
    " at least": "at_least",
    " at most": "at_most",
    " above": "above",
    " below": "below",
    "": "exactly",
}


def rule_words(rule: str, display: Display = ENGLISH) -> str:
    """Return a stage's rule in words.

    Parameters
    ----------
    rule
        As ``stage_rule`` of a score has it.
    display
        Language and digits.

    >>> rule_words("overdue_ratio 1.88 is above 1.40 (at_risk_ratio)")
    'the silence is 1.88 times the expected gap (more than 1.40)'
    """
    texts = texts_of(display.language)["rule"]
    return _CONDITION.sub(lambda match: _words(match, texts, display), rule)


_COMPARISON = re.compile(r"(?P<fact>\w+) *(?P<relation>==|>=|<=|>|<) *(?P<bound>[\w.]+)")
_ENDLESS = 36_500
"""A limit in days or usual gaps above this is one that nobody reaches; of money none is."""
_OPERATORS = {"==": "exactly", ">=": "at_least", "<=": "at_most", ">": "above", "<": "below"}


def clause_words(
    clause: str, limits: Mapping[str, float | None], display: Display = ENGLISH
) -> str:
    """Return a clause of a scheme in words.

    Parameters
    ----------
    clause
        As the scheme has it, like ``orders >= 2`` or ``(orders == 1 or recency_days > 90)``.
    limits
        Threshold -> its value in this log; None: the log has none, so that the clause never holds.
    display
        Language and digits.

    >>> clause_words("overdue_ratio > at_risk_ratio", {"at_risk_ratio": 1.4})
    'the silence is more than 1.40 times the expected gap'
    >>> clause_words("orders == 1 or recency_days > lost_after_days", {"lost_after_days": None})
    'orders so far: exactly 1, or never: this log has no such limit'
    """
    texts = texts_of(display.language)["rule"]
    parts = []
    for comparison in clause.strip("()").split(" or "):
        match = _COMPARISON.fullmatch(comparison.strip())
        parts.append(comparison if match is None else _clause(match, limits, texts, display))
    return str(texts["or_clause"]).join(parts)


def _clause(
    match: re.Match[str],
    limits: Mapping[str, float | None],
    texts: Mapping[str, Any],
    display: Display,
) -> str:
    fact, bound = match["fact"], match["bound"]
    if not bound[:1].isdigit():
        value = limits.get(bound)
        most = _ENDLESS if bound.endswith(("_days", "_ratio")) else sys.float_info.max
        if value is None or value > most:
            return str(texts["no_limit"])
        bound = f"{value:,.2f}" if bound.endswith("_ratio") else f"{value:,.0f}"
    own = fact.replace("_", " ") + ": {}"
    text = str(texts["clauses"].get(fact) or texts["facts"].get(fact, own))
    return text.format(texts[_OPERATORS[match["relation"]]].format(display.written(bound)))


def _words(match: re.Match[str], texts: Mapping[str, Any], display: Display) -> str:
    fact = match["fact"]
    value, bound = (_written(match[name], texts, display) for name in ("value", "bound"))
    own = fact.replace("_", " ") + ": {}"
    text = texts["facts"].get(fact, own).format(value)
    relation = texts[_RELATIONS[match["relation"]]].format(bound)
    assumed = texts["assumed"] if match["assumed"] else ""
    join = f" {texts[match['join'].strip()]} " if match["join"] else ""
    return f"{text} ({relation}{assumed}){join}"


def _written(text: str, texts: Mapping[str, Any], display: Display) -> str:
    if text in ("never", "unknown"):
        return str(texts[text])
    return display.written(_GROUPED.sub(lambda number: f"{int(number[0]):,}", text))

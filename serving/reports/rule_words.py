"""The rule of a stage with a customer's numbers, in words instead of names of facts."""

from __future__ import annotations

import re

_CONDITION = re.compile(
    r"(?P<fact>[a-z_]\w*) (?P<value>-?[\d.,]+|never|unknown) "
    r"is(?P<relation> at least| at most| above| below|) (?P<bound>-?[\d.,]+|never)"
    r"(?: \([a-z_]+(?P<assumed>, assumed)?\))?"
)
_FACTS = {
    "overdue_ratio": "the silence is {} times the usual gap",
    "return_ratio": "the silence before the last order was {} times the usual gap",
    "recency_days": "the last order was {} days ago",
    "orders": "orders so far: {}",
    "spend": "spent so far: {}",
    "contracts": "contracts so far: {}",
    "open_contracts": "open contracts: {}",
    "activity": "visits and other events: {}",
}
_RELATIONS = {
    " at least": "at least {}",
    " at most": "at most {}",
    " above": "more than {}",
    " below": "less than {}",
    "": "exactly {}",
}


def rule_words(rule: str) -> str:
    """Return a stage's rule in words.

    Parameters
    ----------
    rule
        As ``stage_rule`` of a score has it.

    >>> rule_words("overdue_ratio 1.88 is above 1.40 (at_risk_ratio)")
    'the silence is 1.88 times the usual gap (more than 1.40)'
    """
    return _CONDITION.sub(_words, rule)


def _words(match: re.Match[str]) -> str:
    fact, value = match["fact"], match["value"]
    text = _FACTS.get(fact, fact.replace("_", " ") + ": {}").format(value)
    bound = _RELATIONS[match["relation"]].format(match["bound"])
    return f"{text} ({bound}{match['assumed'] or ''})"

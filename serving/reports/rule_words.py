"""The rule of a stage with a customer's numbers, in words instead of names of facts."""

from __future__ import annotations

import re
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
    return texts[text] if text in ("never", "unknown") else display.written(text)

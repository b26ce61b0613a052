"""Reasons in words: a clause from the code and the numbers, and several joined by because and but.

Scores hold codes and numbers; :func:`sentence_of` makes the words when a score is written to a file
or read from the store. The texts are those of :mod:`stagecast.training.reasons.wordings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from stagecast.features.shop.money import amount_text
from stagecast.training.reasons.wordings import Forms, Wording, wording, written

RAISES, LOWERS = "raises", "lowers"
_EARLIER_SUFFIX = " (lowers the risk)"

OWN, STAGE, ACTIVE, PLAIN = "own", "stage", "active", "plain"
"""What a value is compared with: the customer's own past, what is usual on the stage, what is usual
of the active customers, or nothing.
"""
NO_ORDER = "no_order"
"""In place of what a risk is compared with: the risk is that of ordering nothing, in a log in which
churn is a cancellation.
"""
_BEFORE = "before"

_SHARES = frozenset({"refund_share", "stage", "average"})
AMOUNTS = frozenset({"spend_mean"})
"""Features of reasons that are money."""


def shown(feature: str, value: float) -> str:
    """Return a value as the clause of its feature shows it in English, without a currency."""
    if feature in _SHARES:
        return f"{value:.0%}"
    return amount_text(value) if feature in AMOUNTS else written(value)


def _shown(words: Wording, feature: str, value: float, currency: str | None) -> str:
    if feature in _SHARES:
        return words.share(value)
    return words.money(value, currency) if feature in AMOUNTS else words.number(value)


@cache
def _template(code: str, language: str) -> tuple[str, Forms]:
    """Return the feature of a code, and its text with ``{value}``, ``{usual}`` and ``{label}``."""
    words = wording(language)
    feature, _, versus = code.rpartition(".")
    if feature in words.whole:
        return feature, words.whole.get(code, words.whole[feature])
    fact = words.facts.get(feature, words.facts["any"])
    if versus == PLAIN:
        return feature, fact
    text = words.compared.get(code) or words.compared[versus]
    if isinstance(fact, str):
        return feature, text.replace("{fact}", fact)
    return feature, {number: text.replace("{fact}", form) for number, form in fact.items()}


def clause(
    code: str,
    value: float | None,
    usual: float | None = None,
    label: str | None = None,
    language: str = "en",
    currency: str | None = None,
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
    language
        One of :func:`~stagecast.training.reasons.wordings.languages`.
    currency
        Code of the currency of amounts; None: not known.

    Raises
    ------
    UsageError
        The language has no wording.

    >>> clause("recency_days.own", 95.0, 30.4)
    'no order for 95 days (their usual gap is 30)'
    >>> clause("spend_mean.active", 25.0, 30.4, currency="GBP")
    'spends £25 an order (£30 is usual)'
    """
    words = wording(language)
    feature, text = _template(code, language)
    if usual is None and feature not in words.whole:
        _, text = _template(f"{feature}.{PLAIN}", language)
    here = 0.0 if value is None else value
    # an amount has no form but that of nothing
    number = 2.0 if feature in AMOUNTS and here else here
    return words.form(text, number).format(
        value=_shown(words, feature, here, currency),
        usual="" if usual is None else _shown(words, feature, usual, currency),
        label=label or feature,
    )


def moved_clause(
    feature: str, value: float, before: float, language: str = "en", currency: str | None = None
) -> str | None:
    """Return a value and what it was before in words; None where they look the same.

    >>> moved_clause("recency_days", 95.0, 20.0)
    'no order for 95 days (20 before)'
    """
    if shown(feature, value) == shown(feature, before) or feature in ("season", "average"):
        return None
    if feature == "stage":
        words = wording(language)
        return words.sentence["stage_before"].format(
            value=words.share(value), usual=words.share(before)
        )
    return clause(f"{feature}.{_BEFORE}", value, before, None, language, currency)


def clause_of(reason: Mapping[str, Any], language: str = "en", currency: str | None = None) -> str:
    """Return the clause of a reason of a score; the stored sentence where it has no code.

    Parameters
    ----------
    reason
        A reason as scores hold it, also as an earlier version wrote it.
    language, currency
        See :func:`clause`.
    """
    code = reason.get("code")
    if not code:
        return str(reason.get("sentence") or reason["feature"]).removesuffix(_EARLIER_SUFFIX)
    return _clause_of(*_spoken_of(code, reason), language, currency)


def sentence_of(
    reason: Mapping[str, Any], language: str = "en", currency: str | None = None
) -> str:
    """Return a reason of a score as a sentence of its own, which says if it lowers the risk.

    What has no side by itself, the time of the year, is also told to raise it.

    Files, the API, pages and lists all take their sentences from here.

    Parameters
    ----------
    reason
        A reason as scores hold it; one of an earlier version, which has a sentence and no code,
        keeps its sentence.
    language, currency
        See :func:`clause`.
    """
    code = reason.get("code")
    if not code:
        return str(reason.get("sentence") or reason["feature"])
    return _sentence_of(*_spoken_of(code, reason), language, currency)


_Spoken = tuple[str, float | None, float | None, str | None, str]


def _spoken_of(code: str, reason: Mapping[str, Any]) -> _Spoken:
    """Return what the words of a reason depend on: code, value, usual, label, direction."""
    value, usual, label = reason.get("value"), reason.get("usual"), reason.get("label")
    return code, value, usual, label, direction_of(reason)


def _clause_of(
    code: str,
    value: float | None,
    usual: float | None,
    label: str | None,
    direction: str,
    language: str,
    currency: str | None,
) -> str:
    text = clause(code, value, usual, label, language, currency)
    if not code.startswith("gap_mean.") or value is None or usual is None:
        return text
    # the same silence says more of who orders often
    raises = direction == RAISES
    if raises == (value < usual):
        ending = wording(language).sentence["says_more" if raises else "says_less"]
        return ending.format(clause=text)
    return text


# many customers of a list share a reason, such as one order where four are usual
@lru_cache(maxsize=1 << 14)
def _sentence_of(
    code: str,
    value: float | None,
    usual: float | None,
    label: str | None,
    direction: str,
    language: str,
    currency: str | None,
) -> str:
    text = _clause_of(code, value, usual, label, direction, language, currency)
    if direction == LOWERS:
        return wording(language).sentence["lowers"].format(clause=text)
    if code.startswith("season."):  # words of no direction, unlike those of a late order
        return wording(language).sentence["raises"].format(clause=text)
    return text


def direction_of(reason: Mapping[str, Any]) -> str:
    """Return ``raises`` or ``lowers``, also for reasons that an earlier version wrote."""
    direction = reason.get("direction")
    if direction:
        return str(direction)
    return LOWERS if (reason.get("effect") or 0.0) < 0 else RAISES


def main_reason(
    reasons: Sequence[Mapping[str, Any]], band: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """Return the first reason: of a customer whose risk is low the first that lowers it, if any.

    >>> late, loyal = {"direction": "raises"}, {"direction": "lowers"}
    >>> main_reason([late, loyal]), main_reason([late, loyal], "low"), main_reason([late], "low")
    ([{'direction': 'raises'}], [{'direction': 'lowers'}], [{'direction': 'raises'}])
    """
    if band == "low":
        lowering = [reason for reason in reasons if direction_of(reason) == LOWERS]
        if lowering:
            return lowering[:1]
    return reasons[:1]


def because_but(
    reasons: Iterable[Mapping[str, Any]],
    language: str = "en",
    currency: str | None = None,
    band: str | None = None,
) -> str:
    """Return the reasons of a score in one sentence without a full stop; empty without any.

    What lowers the risk comes first of a customer whose risk is low, and what raises it where it is
    high; between these, and where the band is not known, what weighs more.

    >>> one_order = {"code": "orders.stage", "value": 1.0, "usual": 4.0, "direction": "raises"}
    >>> new = {"code": "T_days.plain", "value": 9.0, "direction": "lowers", "effect": -0.1}
    >>> because_but([{**one_order, "effect": 0.4}, new])
    'because 1 order so far (4 is usual on this stage), but first order 9 days ago'
    >>> because_but([{**one_order, "effect": 0.05}, new])
    'lower because first order 9 days ago, but 1 order so far (4 is usual on this stage)'
    >>> because_but([{**one_order, "effect": 0.4}, new], band="low")
    'lower because first order 9 days ago, but 1 order so far (4 is usual on this stage)'
    """
    words = wording(language).sentence
    clauses: dict[str, list[str]] = {RAISES: [], LOWERS: []}
    net_effect = 0.0
    for reason in reasons:
        clauses[direction_of(reason)].append(clause_of(reason, language, currency))
        net_effect += reason.get("effect") or 0.0
    raising, lowering = (words["separator"].join(clauses[side]) for side in (RAISES, LOWERS))
    if raising and lowering:
        is_lower = {"low": True, "high": False}.get(band or "", net_effect < 0)
        form = words["lower_because_but" if is_lower else "because_but"]
        return form.format(raising=raising, lowering=lowering)
    if raising:
        return words["because"].format(clauses=raising)
    return words["lower_because"].format(clauses=lowering) if lowering else ""

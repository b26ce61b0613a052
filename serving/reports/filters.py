"""Filters of templates that depend on the page: its language and digits, its currency and clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from stagecast.features.shop.clock import clock_named
from stagecast.features.shop.money import NOTHING
from stagecast.serving.languages.display import Display
from stagecast.serving.languages.sentences import in_language, phrase_in_language
from stagecast.serving.languages.texts import label_of, texts_of
from stagecast.serving.reports.rule_words import clause_words, rule_words
from stagecast.serving.reports.shop_days import day, day_on, order_day
from stagecast.training.reasons import sentences
from stagecast.training.reasons.wordings import Forms


def _display(context: Context) -> Display:
    display: Display = context["display"]
    return display


@pass_context
def money(context: Context, value: float | None) -> str:
    """Return an amount in the currency of the page's shop, its ``currency``; None: not known."""
    return _display(context).money(value, context["currency"])


@pass_context
def money_in(context: Context, value: float | None, currency: str | None) -> str:
    """Return an amount in a currency of its own; None: not known."""
    return _display(context).money(value, currency)


@pass_context
def because_but(
    context: Context, reasons: Sequence[Mapping[str, Any]], band: str | None = None
) -> str:
    """Return reasons in one sentence, in the language and the currency of the page; the first are
    those that fit the band of the risk.
    """
    display = _display(context)
    local = [_local(context, reason) for reason in reasons]
    text = sentences.because_but(local, display.language, context["currency"], band)
    return display.said(text)


@pass_context
def clause_of(context: Context, reason: Mapping[str, Any]) -> str:
    """Return a reason in words, in the language and the currency of the page."""
    display = _display(context)
    local = _local(context, reason)
    return display.said(sentences.clause_of(local, display.language, context["currency"]))


def _local(context: Context, reason: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a reason whose label, a title of a stage or a day, is in the language of the page."""
    label, code = reason.get("label"), str(reason.get("code") or "")
    if not label:
        return reason
    if code.startswith("contract_end"):
        return {**reason, "label": _display(context).day(label)}
    texts: Mapping[str, str] = context.get("scheme_texts") or {}
    return {**reason, "label": texts.get(label, label)}


@pass_context
def reason_number(context: Context, value: float | None, feature: str) -> str:
    """Return the value of a reason's feature, an amount in the currency of the page."""
    display = _display(context)
    return money(context, value) if feature in sentences.AMOUNTS else display.number(value)


@pass_context
def _percent(context: Context, value: float | None) -> str:
    return _display(context).percent(value)


@pass_context
def shop_iso_day(context: Context, instant: str | datetime | None, zone: str | None = None) -> str:
    """Return the day of an instant on the clock of a zone, ISO 8601; None: that of the page."""
    return day_on(context["clock"] if zone is None else clock_named(zone), instant)


@pass_context
def shop_day(context: Context, instant: str | datetime | None, zone: str | None = None) -> str:
    """Return :func:`shop_iso_day` as the language of the page writes it."""
    if instant is None:
        return NOTHING
    return _display(context).day(shop_iso_day(context, instant, zone))


@pass_context
def _day(context: Context, value: str | date | None) -> str:
    return NOTHING if value is None else _display(context).day(day(value))


@pass_context
def _order_day(context: Context, value: str | date | None, as_of: str) -> str | None:
    expected = order_day(value, as_of)
    return None if expected is None else _display(context).day(expected)


@pass_context
def _days(context: Context, value: float | None) -> str:
    return _display(context).days(value)


@pass_context
def counted(context: Context, value: float, forms: Forms, **values: Any) -> str:
    """Return a text in the form that its number asks for in the language of the page.

    Parameters
    ----------
    value
        The number, which is ``n`` in the text.
    forms
        A text, or form -> text, such as ``one`` and ``other``.
    **values
        What else is filled in.
    """
    return _display(context).counted(value, forms, **values)


@pass_context
def shown(context: Context, value: float | None, kind: str) -> str:
    """Return a number as ``money``, ``percent``, ``days`` or ``number``."""
    if kind == "money":
        return money(context, value)
    display = _display(context)
    kinds = {"percent": display.percent, "days": display.days, "number": display.number}
    return kinds[kind](value)


@pass_context
def _number(context: Context, value: float | None) -> str:
    return _display(context).number(value)


@pass_context
def expected_count(context: Context, value: float) -> str:
    """Return a number of customers that was expected, which is seldom whole; never "1"."""
    return _display(context).expected_count(value)


@pass_context
def figures(context: Context, value: float) -> str:
    """Return a measure with three significant digits."""
    return _display(context).written(f"{value:,.3g}".replace("-", "−"))


@pass_context
def label(context: Context, english: str) -> str:
    """Return a name that another part of the program has made in English, in the language of the
    page; a name of somebody else stays as it is.
    """
    return label_of(english, _display(context).language)


def own(text: str) -> Markup:
    """Return a word of the log, such as a type of event, so that it does not turn the line."""
    return Markup("<bdi>{}</bdi>").format(text)


@pass_context
def digits(context: Context, value: float | None, places: int) -> str:
    """Return a measure with so many decimals."""
    return _display(context).places(value, places)


@pass_context
def share(context: Context, value: float, places: int) -> str:
    """Return a share in per cent with so many decimals."""
    return _display(context).share(value, places)


@pass_context
def signed(context: Context, value: float | None, places: int = 0) -> str:
    """Return a measure with its sign, also of a plus, and so many decimals."""
    return _display(context).places(value, places, "+")


@pass_context
def moved(context: Context, value: float, kind: str) -> str:
    """Return a difference with its sign, as ``money``, ``points`` or ``number``."""
    return _display(context).change(value, kind, context["currency"])


@pass_context
def said(context: Context, english: str) -> str:
    """Return a sentence that another part of the program has made in English in the language of
    the page; one that cannot be said in it is marked as English.
    """
    return in_language(english, _display(context))


@pass_context
def phrase(context: Context, english: str) -> str:
    """Return a name or a phrase of another part in the language of the page."""
    return phrase_in_language(english, _display(context))


@pass_context
def segment_words(context: Context, definition: str) -> str:
    """Return the definition of an RFM segment in the language of the page."""
    display = _display(context)
    if display.language == "en":
        return definition
    texts = texts_of(display.language)
    for english in ("to", "or"):
        definition = definition.replace(f" {english} ", f" {texts['segment'][english]} ")
    comma: str = texts["changes"]["comma"]
    return comma.join(display.written(part) for part in definition.split(", "))


@pass_context
def _rule_words(context: Context, rule: str) -> str:
    return rule_words(rule, _display(context))


@pass_context
def _clause_words(context: Context, clause: str, limits: Mapping[str, float | None]) -> str:
    return clause_words(clause, limits, _display(context))


BY_NAME: Mapping[str, Callable[..., Any]] = {
    function.__name__.removeprefix("_"): function
    for function in (
        *(money, because_but, clause_of, reason_number, shop_day, shop_iso_day, counted, shown),
        *(
            digits,
            share,
            signed,
            moved,
            said,
            phrase,
            segment_words,
            money_in,
            expected_count,
            figures,
            label,
            own,
        ),
        *(
            _percent,
            _day,
            _days,
            _number,
            _order_day,
            _rule_words,
            _clause_words,
            sentences.main_reason,
        ),
    )
}
"""Name in templates -> filter."""

"""Templates to pages: filters for numbers, days and money, and links that are safe with any id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from stagecast.features.clock import parse_instant, to_utc
from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.features.shop.money import NOTHING
from stagecast.serving.languages.display import ENGLISH, LANGUAGES, NAMES, Display
from stagecast.serving.languages.sentences import in_language
from stagecast.serving.languages.texts import FOLDER, texts_of
from stagecast.serving.reports.rule_words import rule_words
from stagecast.training.churn_kinds import kind_of
from stagecast.training.churn_kinds.kind import Wording
from stagecast.training.config import Churn
from stagecast.training.reasons import sentences
from stagecast.training.reasons.sentences import direction_of
from stagecast.training.reasons.wordings import Forms
from stagecast.training.reference.rfm import segment_definition

DAYS_TO_ORDER = 365
"""An order that is expected later than that is none that anybody plans with."""


def _display(context: Context) -> Display:
    display: Display = context["display"]
    return display


@pass_context
def money(context: Context, value: float | None) -> str:
    """Return an amount in the currency of the page's shop, its ``currency``; None: not known."""
    return _display(context).money(value, context["currency"])


@pass_context
def because_but(context: Context, reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return reasons in one sentence, in the language and the currency of the page."""
    display = _display(context)
    local = [_local(context, reason) for reason in reasons]
    return display.said(sentences.because_but(local, display.language, context["currency"]))


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


def percent(value: float | None) -> str:
    """Return a probability in per cent in English; see :meth:`Display.percent`.

    >>> percent(0.794), percent(1.0), percent(None)
    ('79%', '100%', '–')
    """
    return ENGLISH.percent(value)


@pass_context
def _percent(context: Context, value: float | None) -> str:
    return _display(context).percent(value)


def day(value: str | date | None) -> str:
    """Return the day of a date, or of a time in shop time; see :func:`day_on` for instants.

    >>> day("1998-01-01T12:00:00"), day(None)
    ('1998-01-01', '–')
    """
    if value is None:
        return NOTHING
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()[:10]
    return value[:10]


def day_on(clock: ShopClock, instant: str | datetime | None) -> str:
    """Return the day of an instant on the clock of a shop.

    Parameters
    ----------
    clock
        The clock.
    instant
        The instant; ISO 8601 where it is a text, and UTC where it has no zone.

    >>> day_on(ShopClock("Asia/Tehran"), "2024-01-01T20:30:00Z"), day_on(ShopClock(), None)
    ('2024-01-02', '–')
    """
    if instant is None:
        return NOTHING
    if isinstance(instant, str):
        instant = parse_instant(instant)
    return day(clock.shop(to_utc(instant)))


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


def order_day(value: str | date | None, as_of: str) -> str | None:
    """Return the day of an order that is expected within a year; None where none is.

    Parameters
    ----------
    value
        The day.
    as_of
        Day of the shop at which we stand, ISO 8601.

    >>> order_day("1998-02-01", "1998-01-01"), order_day("2001-02-01", "1998-01-01")
    ('1998-02-01', None)
    """
    if value is None:
        return None
    expected = day(value)
    span = date.fromisoformat(expected) - date.fromisoformat(as_of)
    return expected if span.days <= DAYS_TO_ORDER else None


def days(value: float | None) -> str:
    """Return a span in whole days in English; see :meth:`Display.days`.

    >>> days(1.0), days(1234.4), days(None)
    ('1 day', '1,234 days', '–')
    """
    return ENGLISH.days(value)


@pass_context
def _days(context: Context, value: float | None) -> str:
    return _display(context).days(value)


def age_days(instant: datetime, now: datetime) -> int:
    """Return how many whole days ago an instant was; 0 where it is still to come.

    >>> age_days(datetime(2024, 1, 1), datetime(2024, 1, 3, 23))
    2
    """
    return max(0, (to_utc(now) - to_utc(instant)).days)


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


def sentence(text: str) -> str:
    """Return a note as a sentence.

    >>> sentence("the usual gap is 45 days")
    'The usual gap is 45 days.'
    """
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def number(value: float | None) -> str:
    """Return a count or a measure in English; see :meth:`Display.number`.

    >>> number(1234567), number(0.256), number(3.0), number(None)
    ('1,234,567', '0.26', '3', '–')
    """
    return ENGLISH.number(value)


@pass_context
def _number(context: Context, value: float | None) -> str:
    return _display(context).number(value)


@pass_context
def digits(context: Context, value: float | None, places: int) -> str:
    """Return a measure with so many decimals."""
    return _display(context).places(value, places)


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
def segment_words(context: Context, definition: str) -> str:
    """Return the definition of an RFM segment in the language of the page."""
    display, texts = _display(context), texts_of(context["language"])["segment"]
    for english in ("to", "or"):
        definition = definition.replace(f" {english} ", f" {texts[english]} ")
    return display.written(definition) if display.language != "en" else definition


def isolated(text: str) -> Markup:
    """Return foreign text so that it does not turn the order of the words around it.

    >>> isolated("<ads>")
    Markup('\u2068&lt;ads&gt;\u2069')
    """
    return Markup("\u2068{}\u2069").format(text)


def with_option(address: str, name: str, value: str) -> str:
    """Return an address with an option of the display.

    >>> with_option("/customers?stage=new", "lang", "ru")
    '/customers?stage=new&lang=ru'
    """
    return f"{address}{'&' if '?' in address else '?'}{urlencode([(name, value)])}"


@pass_context
def _rule_words(context: Context, rule: str) -> str:
    return rule_words(rule, _display(context))


def plain_number(value: float) -> str:
    """Return a number as a form field and a link hold it.

    >>> plain_number(1234567.5), plain_number(50.0)
    ('1234567.5', '50')
    """
    return repr(value).removesuffix(".0")


def customer_link(customer_id: str) -> str:
    """Return the path of a customer's page, with all special characters of the id escaped.

    >>> customer_link("a/b?c#d é")
    '/customers/a%2Fb%3Fc%23d%20%C3%A9'
    """
    return "/customers/" + quote(customer_id, safe="")


def marked(text: str) -> Markup:
    """Return text as HTML, with the parts between backticks as code.

    >>> marked("`a` < b")
    Markup('<code>a</code> &lt; b')
    """
    pieces = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if position % 2 else escape(piece)
        for position, piece in enumerate(pieces)
    )


def link(path: str, parameters: list[tuple[str, str]]) -> str:
    """Return a path with its query string; without parameters it has none."""
    return f"{path}?{urlencode(parameters)}" if parameters else path


def wording_of(churn: Churn) -> Wording:
    """Return the words of a page for a kind of churn."""
    return kind_of(churn).wording


@cache
def environment(display: Display = ENGLISH) -> Environment:
    """Return the templates for a display; they are read once."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        *(money, shop_day, shop_iso_day, plain_number, sentence, customer_link, marked),
        *(wording_of, segment_definition, because_but, clause_of, direction_of, reason_number),
        *(age_days, counted, shown, digits, signed, moved, said, segment_words, isolated),
        with_option,
    )
    for function in filters:
        templates.filters[function.__name__] = function
    for function in (_percent, _day, _days, _number, _order_day, _rule_words):
        templates.filters[function.__name__.removeprefix("_")] = function
    templates.filters["iso_day"] = day
    language = display.language
    templates.globals.update(
        t=texts_of(language), language=language, display=display, languages=LANGUAGES, names=NAMES
    )
    return templates


def render(
    template: str,
    display: Display = ENGLISH,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return a page; ``now`` is the present, unless the context has another one."""
    filled = {"now": datetime.now(UTC), "run": None, "address": "", **context}
    page = environment(display).get_template(template).render(filled)
    return HTMLResponse(page, status, {"Content-Language": display.language, **(headers or {})})


def static_files() -> StaticFiles:
    """Return the style sheet and the script as an application."""
    return StaticFiles(directory=FOLDER / "static")

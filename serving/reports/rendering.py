"""Templates to pages: filters for numbers, days and money, and links that are safe with any id."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
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
from stagecast.features.shop.money import money as amount
from stagecast.serving.reports.rule_words import rule_words
from stagecast.training.churn_kinds import kind_of
from stagecast.training.churn_kinds.kind import Wording
from stagecast.training.config import Churn
from stagecast.training.reasons import sentences
from stagecast.training.reasons.sentences import direction_of
from stagecast.training.reasons.wordings import wording
from stagecast.training.reference.rfm import segment_definition

FOLDER = Path(__file__).parents[1] / "pages"
DAYS_TO_ORDER = 365
"""An order that is expected later than that is none that anybody plans with."""


@pass_context
def money(context: Context, value: float | None) -> str:
    """Return an amount in the currency of the page's shop, its ``currency``; None: not known."""
    return amount(value, context["currency"])


@pass_context
def because_but(context: Context, reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return reasons in one sentence, in the language and the currency of the page."""
    return sentences.because_but(reasons, context["language"], context["currency"])


@pass_context
def clause_of(context: Context, reason: Mapping[str, Any]) -> str:
    """Return a reason in words, in the language and the currency of the page."""
    return sentences.clause_of(reason, context["language"], context["currency"])


@pass_context
def reason_number(context: Context, value: float | None, feature: str) -> str:
    """Return the value of a reason's feature, an amount in the currency of the page."""
    return money(context, value) if feature in sentences.AMOUNTS else number(value)


def percent(value: float | None) -> str:
    """Return a probability in per cent; one that is nearly 0 or 1 is not rounded to it.

    >>> percent(0.794), percent(0.0004), percent(0.9996), percent(1.0), percent(None)
    ('79%', '<1%', '>99%', '100%', '–')
    """
    if value is None:
        return NOTHING
    if 0 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 else f"{value:.0%}"


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
def shop_day(context: Context, instant: str | datetime | None, zone: str | None = None) -> str:
    """Return the day of an instant on the clock of a zone; None: that of the page, ``clock``."""
    return day_on(context["clock"] if zone is None else clock_named(zone), instant)


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
    """Return a span in whole days.

    >>> days(1.0), days(1234.4), days(None)
    ('1 day', '1,234 days', '–')
    """
    return NOTHING if value is None else f"{value:,.0f} day{'' if round(value) == 1 else 's'}"


def age_days(instant: datetime, now: datetime) -> int:
    """Return how many whole days ago an instant was; 0 where it is still to come.

    >>> age_days(datetime(2024, 1, 1), datetime(2024, 1, 3, 23))
    2
    """
    return max(0, (to_utc(now) - to_utc(instant)).days)


@pass_context
def counted(context: Context, value: float, forms: Mapping[str, str], **values: Any) -> str:
    """Return a text in the form that its number asks for in the language of the page.

    Parameters
    ----------
    value
        The number, which is ``n`` in the text.
    forms
        Form -> text, such as ``one`` and ``other``.
    **values
        What else is filled in.
    """
    text = wording(context["language"]).form(forms, value)
    return text.format(n=number(value), **values)


@pass_context
def shown(context: Context, value: float | None, kind: str) -> str:
    """Return a number as ``money``, ``percent``, ``days`` or ``number``."""
    if kind == "money":
        return money(context, value)
    return {"percent": percent, "days": days, "number": number}[kind](value)


def sentence(text: str) -> str:
    """Return a note as a sentence.

    >>> sentence("the usual gap is 45 days")
    'The usual gap is 45 days.'
    """
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def number(value: float | None) -> str:
    """Return a count or a measure, with two decimals at most.

    >>> number(1234567), number(0.256), number(3.0), number(None)
    ('1,234,567', '0.26', '3', '–')
    """
    return NOTHING if value is None else f"{value:,.2f}".rstrip("0").rstrip(".") or "0"


def digits(value: float | None, places: int) -> str:
    """Return a measure with so many decimals.

    >>> digits(0.56874, 4), digits(None, 2)
    ('0.5687', '–')
    """
    return NOTHING if value is None else f"{value:.{places}f}"


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
    >>> customer_link("..")
    '/customer?id=..'
    """
    if customer_id in (".", "..") or "\n" in customer_id:
        return link("/customer", [("id", customer_id)])  # as a path it would be another one
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
def texts_of(language: str = "en") -> dict[str, Any]:
    """Return the texts of the pages in a language; they are read once."""
    file = FOLDER / "locales" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def environment(language: str = "en") -> Environment:
    """Return the templates with the texts of a language; they are read once."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        *(money, percent, day, shop_day, days, number, plain_number, sentence, order_day),
        *(customer_link, marked, wording_of, segment_definition, rule_words),
        *(because_but, clause_of, direction_of, reason_number, age_days, counted, shown, digits),
    )
    for function in filters:
        templates.filters[function.__name__] = function
    templates.globals.update(t=texts_of(language), language=language)
    return templates


def render(
    template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """Return a page; ``now`` is the present, unless the context has another one."""
    filled = {"now": datetime.now(UTC), "run": None, **context}
    return HTMLResponse(environment().get_template(template).render(filled), status, headers)


def static_files() -> StaticFiles:
    """Return the style sheet and the script as an application."""
    return StaticFiles(directory=FOLDER / "static")

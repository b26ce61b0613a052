"""Templates to pages: filters for numbers, days and money, and links that are safe with any id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from stagecast.features.clock import to_utc
from stagecast.serving.languages.display import ENGLISH, LANGUAGES, NAMES, Display
from stagecast.serving.languages.texts import FOLDER, texts_of
from stagecast.serving.reports import filters
from stagecast.serving.reports.customer_story import shown_overdue
from stagecast.serving.reports.shop_days import day
from stagecast.serving.scoring.win_back import win_back_of
from stagecast.serving.targeting.plan.counts import counts_of
from stagecast.serving.targeting.plan.forecast import takes_everybody
from stagecast.training.churn_kinds import kind_of
from stagecast.training.churn_kinds.kind import Wording
from stagecast.training.config import Churn
from stagecast.training.reasons.sentences import direction_of
from stagecast.training.reference.rfm import segment_definition


def age_days(instant: datetime, now: datetime) -> int:
    """Return how many whole days ago an instant was; 0 where it is still to come.

    >>> age_days(datetime(2024, 1, 1), datetime(2024, 1, 3, 23))
    2
    """
    return max(0, (to_utc(now) - to_utc(instant)).days)


def sentence(text: str) -> str:
    """Return a note as a sentence.

    >>> sentence("the usual gap is 45 days")
    'The usual gap is 45 days.'
    >>> sentence("was all of it loaded?")
    'Was all of it loaded?'
    """
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}{'' if text.endswith('?') else '.'}"


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
def environment(display: Display = ENGLISH) -> Environment:
    """Return the templates for a display; they are read once."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, function in filters.BY_NAME.items():
        templates.filters[name] = function
    plain = (
        *(plain_number, sentence, customer_link, marked, wording_of, segment_definition),
        *(direction_of, age_days, isolated, with_option, shown_overdue, takes_everybody, counts_of),
    )
    for function in plain:
        templates.filters[function.__name__] = function
    templates.filters["iso_day"] = day
    templates.filters["win_back"] = win_back_of
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
    filled = {
        "now": datetime.now(UTC),
        "run": None,
        "address": "",
        "is_signed_in": False,
        **context,
    }
    page = environment(display).get_template(template).render(filled)
    return HTMLResponse(page, status, {"Content-Language": display.language, **(headers or {})})


def static_files() -> StaticFiles:
    """Return the style sheet and the script as an application."""
    return StaticFiles(directory=FOLDER / "static")

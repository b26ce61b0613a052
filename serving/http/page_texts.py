"""Texts of pages that come from a run: titles of stages in a language, the name of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from starlette.requests import Request

from stagecast.features.shop.clock import UTC_CLOCK
from stagecast.features.stages.scheme_files import known_schemes, load_scheme, scheme_to_json
from stagecast.serving.http.languages import display_of, page_address
from stagecast.serving.store.store import Run


def translation(texts: Mapping[str, str], language: str, default: str) -> str:
    """Return a text of a scheme in a language, else as the scheme of the package of that name says
    it, else in any language, else the default.

    >>> translation({"en": "New"}, "fa", "new"), translation({"en": "Own"}, "fa", "own")
    ('تازه', 'Own')
    >>> translation({}, "fa", "new")
    'new'
    """
    text = texts.get(language) or _of_package(language).get(texts.get("en", ""))
    return text or next(iter(texts.values()), default)


def scheme_texts(scheme: Mapping[str, Any], language: str) -> dict[str, str]:
    """Return what is said in English -> in a language, of a scheme as it is stored with a run.

    Scores hold the action that was proposed in English; this is how a page says it. A scheme that
    was stored before its texts had the language is completed from the schemes of the package.
    """
    own = {texts["en"]: texts[language] for texts in _texts(scheme) if {"en", language} <= {*texts}}
    return {**_of_package(language), **own}


def _texts(scheme: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Yield each text of a scheme, language -> text, also of one as it stands in a bundle."""
    for part in (*scheme.get("stages", ()), *scheme.get("stage", ())):
        yield from (part["title"], part["meaning"], part["action"])
    for part in (*scheme.get("plays", ()), *scheme.get("play", ())):
        yield from (part["title"], part.get("action") or {})


@cache
def _of_package(language: str) -> dict[str, str]:
    schemes = [scheme_to_json(load_scheme(name)) for name in known_schemes()]
    return {
        texts["en"]: texts[language]
        for scheme in schemes
        for texts in _texts(scheme)
        if {"en", language} <= {*texts}
    }


def titles_of(scheme: Mapping[str, Any], language: str = "en") -> dict[str, str]:
    """Return stage id -> title in a language, of a scheme as it is stored with a run."""
    return {
        stage["id"]: translation(stage["title"], language, stage["id"])
        for stage in scheme["stages"]
    }


def store_name(url: str) -> str:
    """Return how a store is called on a page: its file, or its address without a password.

    >>> store_name("sqlite:///stagecast.db"), store_name("postgresql://shop:pass@db/scores")
    ('stagecast.db', 'db/scores')
    """
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    return url.rpartition("@")[2]


def shop_of(run: Run | None, request: Request) -> dict[str, Any]:
    """Return what every page is filled with: the run, the clock and the currency of its shop, the
    texts of its scheme in the language of the request, and the address of the page.

    Dates and amounts are written with them.
    """
    page = {"display": display_of(request), "address": page_address(request)}
    if run is None:
        return {"run": None, "clock": UTC_CLOCK, "currency": None, "scheme_texts": {}, **page}
    texts = scheme_texts(run.scheme, display_of(request).language)
    return {
        "run": run,
        "clock": run.clock,
        "currency": run.currency,
        "scheme_texts": texts,
        **page,
    }


def plays_of(scheme: Mapping[str, Any], language: str = "en") -> dict[str, str]:
    """Return play id -> title in a language, of a scheme as it is stored with a run."""
    return {
        play["id"]: translation(play["title"], language, play["id"])
        for play in scheme.get("plays", ())
    }

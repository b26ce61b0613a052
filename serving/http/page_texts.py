"""Texts of pages that come from a run: titles of stages in a language, the name of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request

from stagecast.features.shop.clock import UTC_CLOCK
from stagecast.serving.http.access import access_of
from stagecast.serving.http.languages import display_of, page_address
from stagecast.serving.languages.scheme_words import scheme_texts, translation
from stagecast.serving.reports.rendering import link
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import Filters, Order
from stagecast.serving.store.store import Store


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
    page = {
        "display": display_of(request),
        "address": page_address(request),
        "is_signed_in": access_of(request.scope).is_signed_in,
    }
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


def states_of(scheme: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of the customers on each stage of a scheme.

    >>> states_of({"stages": [{"id": "lost", "state": "lapsed"}]})
    {'lost': 'lapsed'}
    """
    return {stage["id"]: stage.get("state", "active") for stage in scheme["stages"]}


def has_stake(store: Store, run: Run) -> bool:
    """Return whether any score of a run says what leaving costs or has cost.

    A log can have amounts and yet too few customers or repeat orders for it.
    """
    total = store.totals(run, Filters())
    return total.value_at_risk is not None or total.value_gone is not None


def has_rhythm(store: Store, run: Run) -> bool:
    """Return whether any score of a run says how late its customer is.

    Scores of contracts do not, nor do those that an earlier version published.
    """
    first = store.customers(run, Filters(), Order("days_overdue", True), limit=1)
    return any(
        msgspec.json.decode(text).get("days_overdue") is not None for text in first.documents
    )


def list_of_play(scheme: Mapping[str, Any], play_id: str) -> str:
    """Return the link of the list of a play; a play of the lapsed is ranked as they are.

    >>> list_of_play({"plays": [{"id": "win", "when": ["state == lapsed"]}]}, "win")
    '/customers?play=win&state=lapsed'
    """
    plays: Sequence[Mapping[str, Any]] = scheme.get("plays", ())
    play = next((play for play in plays if play["id"] == play_id), {})
    lapsed = [("state", "lapsed")] if "state == lapsed" in play.get("when", ()) else []
    return link("/customers", [("play", play_id), *lapsed])


def plays_of(scheme: Mapping[str, Any], language: str = "en") -> dict[str, str]:
    """Return play id -> title in a language, of a scheme as it is stored with a run."""
    return {
        play["id"]: translation(play["title"], language, play["id"])
        for play in scheme.get("plays", ())
    }

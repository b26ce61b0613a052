"""Texts of pages that come from a run: titles of stages in a language, the name of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.features.shop.clock import UTC_CLOCK
from stagecast.serving.store.store import Run


def translation(texts: Mapping[str, str], language: str, default: str) -> str:
    """Return a text in a language, else in any, else the default.

    >>> translation({"en": "New"}, "fa", "new"), translation({}, "fa", "new")
    ('New', 'new')
    """
    return texts.get(language) or next(iter(texts.values()), default)


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


def shop_of(run: Run | None) -> dict[str, Any]:
    """Return what every page is filled with: the run, and the clock and the currency of its shop.

    Dates and amounts are written with them.
    """
    if run is None:
        return {"run": None, "clock": UTC_CLOCK, "currency": None}
    return {"run": run, "clock": run.clock, "currency": run.currency}


def plays_of(scheme: Mapping[str, Any], language: str = "en") -> dict[str, str]:
    """Return play id -> title in a language, of a scheme as it is stored with a run."""
    return {
        play["id"]: translation(play["title"], language, play["id"])
        for play in scheme.get("plays", ())
    }

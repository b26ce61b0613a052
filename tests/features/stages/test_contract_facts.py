"""Stages by contract: the scheme ``membership`` on a log of starts and ends alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stagecast.features.catalog.standard import standard
from stagecast.features.contracts import Terms
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.stages.lifecycle import Lifecycle, build_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_check import TYPICAL
from stagecast.features.stages.scheme_files import (
    load_scheme,
    scheme_from_json,
    scheme_from_toml,
    scheme_to_json,
)

MEMBERSHIP = load_scheme("membership").with_thresholds(TYPICAL)
HISTORIES = {
    "asks": ("1 visit",),
    "joined": ("1 signup", "40 visit"),
    "left": ("1 signup", "30 cancel"),
    "left before the log": ("30 cancel",),
    "left, billed late": ("1 signup", "30 cancel", "45 purchase"),
    "pays": ("1 purchase", "31 purchase", "61 purchase"),
    "returned": ("1 signup", "30 cancel", "60 signup"),
    "starts twice": ("1 signup", "5 signup", "30 cancel"),
}


def day(number: float) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


def lifecycle(scheme: Scheme = MEMBERSHIP) -> Lifecycle:
    customers = [
        CustomerEvents(name, tuple(Event(day(float(e.split()[0])), e.split()[1]) for e in events))
        for name, events in HISTORIES.items()
    ]
    catalog = standard(30).with_parameters(shop_gap_days=60.0)
    source = MemoryEvents(customers, day(100))
    return build_lifecycle(scheme, catalog, source.record(scheme.signal_types(catalog)), 30)


def stages_at(number: float, scheme: Scheme = MEMBERSHIP) -> dict[str, str]:
    """Return the stage of each customer at a day; customers not known by then are left out."""
    stage = lifecycle(scheme).standing(day(number)).stage
    return {
        name: scheme.ids[k] for name, k in zip(HISTORIES, stage.tolist(), strict=True) if k >= 0
    }


def test_the_stage_goes_by_the_contract() -> None:
    assert stages_at(100) == {
        "asks": "prospect",
        "joined": "member",
        "left": "former",
        "left before the log": "former",
        "left, billed late": "former",
        "pays": "member",
        "returned": "returned",
        "starts twice": "former",
    }
    assert stages_at(20)["starts twice"] == stages_at(20)["left"] == "member"
    assert stages_at(50)["returned"] == "former"


def test_a_stage_begins_with_the_event_and_stays_through_any_silence() -> None:
    standing = lifecycle().standing(day(100))
    since = dict(zip(HISTORIES, standing.since.tolist(), strict=True))
    assert since["left"] == int(day(30).timestamp()) * 1_000_000
    assert since["returned"] == int(day(60).timestamp()) * 1_000_000
    assert standing.stage_if_silent.tolist() == standing.stage.tolist()


def test_the_scheme_takes_the_event_types_of_the_contracts() -> None:
    scheme = MEMBERSHIP.with_terms(Terms(("visit",), (), ("signup",)))
    assert stages_at(100, scheme)["asks"] == "member"
    assert stages_at(100, scheme)["joined"] == "member"
    assert stages_at(30, scheme)["joined"] == "former"
    assert scheme_from_json(scheme_to_json(scheme)) == scheme
    retail = load_scheme("retail")
    assert retail.with_terms(Terms()) is retail


def test_facts_of_contracts_need_starts_and_ends() -> None:
    data = scheme_to_json(load_scheme("membership"))
    for key in ("pins", "thresholds", "assumed"):
        del data[key]
    del data["signals"]["starts"]
    with pytest.raises(UsageError, match="no rule can look at 'contracts'"):
        scheme_from_toml(data, "mine.toml")

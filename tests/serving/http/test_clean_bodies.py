"""Bodies that are decoded straight to events: the events, and the faults, of the careful way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.requests import CustomerEvents
from stagecast.features.shop.clock import clock_named
from stagecast.serving.http import clean_bodies
from stagecast.serving.http.bodies import decode_score
from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.incoming import ScoreRequest, read_request
from stagecast.serving.http.problems import ProblemError
from stagecast.training.card import EqualEvents
from tests.profiles import examples

NOW = datetime(1998, 1, 1, tzinfo=UTC)

INSTANTS = st.one_of(
    st.sampled_from(
        [
            "1997-06-01T00:00:00Z",
            "1997-06-01t00:00:00z",
            "1997-06-01 12:00:00.123456Z",
            "1997-06-01T12:00:00.1234567Z",
            "1997-06-01T12:00:00+02:00",
            "1997-06-01T12:00:00-00:00",
            "1997-06-01T12:00:00",
            "1997-06-01",
            " 1997-06-01T00:00:00Z",
            "1997-W23-1",
            "0001-01-01T00:00:00+09:00",
            "1899-12-31T23:59:59Z",
            "1899-12-31T23:30:00-01:00",
            "2201-01-01T00:00:00Z",
            "9999-12-31T23:59:59-09:00",
            "1999-06-01T00:00:00Z",
            "soon",
            "",
        ]
    ),
    st.datetimes(datetime(1996, 1, 1), datetime(1998, 2, 1)).map(lambda t: t.isoformat() + "Z"),
)
TEXTS = st.sampled_from([None, "web", " web ", "", " ", "Tea", "x" * 256, "x" * 257])
KINDS = st.sampled_from(
    ["purchase", " Purchase ", "REFUND", "refund", "visit", "e-mail", "123", " ", "", "ÖFFNEN"]
)
MONEY = st.sampled_from([None, 0, 10.0, 9.99, -3.5, 1e10, 1e12, -1e12, 5])
EVENTS = st.fixed_dictionaries(
    {"timestamp": INSTANTS},
    optional={
        "event": KINDS,
        "amount": MONEY,
        "channel": TEXTS,
        "recorded_at": INSTANTS,
        "event_id": TEXTS,
        "category": TEXTS,
        "discount": MONEY,
    },
)
PLAIN = st.fixed_dictionaries(
    {"timestamp": st.sampled_from(["1997-06-01T00:00:00Z", "1997-07-01T10:00:00Z"])},
    optional={"event": st.sampled_from(["purchase", "visit"]), "amount": st.just(10.0)},
)
BODIES = st.fixed_dictionaries(
    {
        "customers": st.lists(
            st.fixed_dictionaries(
                {
                    "customer_id": st.sampled_from(["a", "b", " a", "nan", " ", "c"]),
                    "events": st.lists(st.one_of(EVENTS, PLAIN, PLAIN), max_size=5),
                },
                optional={"attributes": st.just({"origin": "mail"})},
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional={"as_of": INSTANTS, "currency": st.sampled_from(["EUR", "eur", "", None])},
)


def outcome(read: Any) -> Any:
    """Return what was read in plain values, or the faults."""
    try:
        request: ScoreRequest = read()
    except ProblemError as problem:
        return problem.status, problem.detail, problem.faults
    customers = [plain(customer) for customer in request.customers]
    return request.as_of, customers, request.currency


def plain(customer: CustomerEvents) -> Any:
    names = customer.events[0].__struct_fields__ if customer.events else ()
    values = [[(name, getattr(event, name)) for name in names] for event in customer.events]
    zones = [event.timestamp.tzinfo for event in customer.events]
    return customer.customer_id, values, zones, customer.attributes


@settings(max_examples=examples(400))
@given(BODIES, st.sampled_from(["one", "each"]), st.sampled_from(["UTC", "America/Los_Angeles"]))
def test_a_body_means_the_same_both_ways(
    body: dict[str, Any], equal: EqualEvents, zone: str
) -> None:
    raw, clock = json.dumps(body).encode(), clock_named(zone)
    careful = outcome(lambda: read_request(decode_score(raw), NOW, clock, equal_events=equal))
    assert outcome(lambda: read_score(raw, NOW, clock, equal_events=equal)) == careful


@pytest.mark.parametrize(("equal", "count"), [("one", 3), ("each", 4)])
def test_equal_events_count_as_in_the_log_of_the_training(equal: EqualEvents, count: int) -> None:
    again = {"timestamp": "1997-06-01T00:00:00Z", "amount": 5.0}
    numbered = {**again, "event_id": "7"}
    events = [again, numbered, again, numbered, {**again, "amount": 6.0}]
    raw = json.dumps({"customers": [{"customer_id": "a", "events": events}]}).encode()
    for read in (
        read_score(raw, NOW, equal_events=equal),
        read_request(decode_score(raw), NOW, equal_events=equal),
    ):
        assert len(read.customers[0].events) == count


def test_of_one_number_the_event_that_was_known_first_counts_wherever_it_stands() -> None:
    corrected = {"timestamp": "1997-06-01T00:00:00Z", "amount": 6.0, "event_id": "7"}
    corrected["recorded_at"] = "1997-06-05T00:00:00Z"
    first = {"timestamp": "1997-06-02T00:00:00Z", "amount": 5.0, "event_id": "7"}
    other = {"timestamp": "1997-06-03T00:00:00Z", "amount": 1.0, "event_id": "8"}
    for events in ([corrected, other, first], [first, corrected, other]):
        raw = json.dumps({"customers": [{"customer_id": "a", "events": events}]}).encode()
        amounts = {event.amount for event in read_score(raw, NOW).customers[0].events}
        assert amounts == {5.0, 1.0}


def test_a_plain_body_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_bodies, "read_request", None)
    events = [
        {"timestamp": f"1997-06-{d:02d}T10:00:00Z", "amount": 5.0, "channel": " web ", "event": e}
        for d in range(1, 29)
        for e in ("purchase", "Refund", "visit")
    ]
    raw = json.dumps({"customers": [{"customer_id": "a", "events": events}]}).encode()
    request = read_score(raw, NOW)
    assert len(request.customers[0].events) == len(events)
    assert {event.channel for event in request.customers[0].events} == {"web"}
    assert {event.event for event in request.customers[0].events} == {"purchase", "refund", "visit"}


def test_the_fraction_of_a_second_is_cut_not_rounded() -> None:
    events = [{"timestamp": "1997-06-01T12:00:00.1234567Z", "amount": 5.0}]
    raw = json.dumps({"customers": [{"customer_id": "a", "events": events}]}).encode()
    (event,) = read_score(raw, NOW).customers[0].events
    assert event.timestamp.microsecond == 123456

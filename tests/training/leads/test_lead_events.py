"""What lead scoring reads of a log and of a request: the same events, and only attributes that
were declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stagecast.features.attributes import (
    check_known_at_start,
    request_attribute_texts,
    table_attribute_texts,
)
from stagecast.features.errors import UsageError
from stagecast.features.events import CustomersTable, EventLog, from_frame
from stagecast.features.leads import first_channels, lead_events, request_lead_events
from stagecast.features.requests import CustomerEvents, Event
from tests.training.leads.made import day

ROWS = [
    ("a", 0.0, "visit", "email", 0.0),
    ("a", 1.0, "purchase", None, 5.0),
    ("a", 2.0, "visit", "ads", 2.0),
    ("b", 3.0, "signup", None, 3.0),
]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    table = tmp_path / "customers.csv"
    table.write_text(
        "customer_id,origin,member,worth,segment\na,fair,yes,3,gold\nc,email,no,4,\n", "utf-8"
    )
    frame = pd.DataFrame(
        ROWS, columns=["customer_id", "timestamp", "event", "channel", "recorded_at"]
    )
    for column in ("timestamp", "recorded_at"):
        frame[column] = [day(at).replace(tzinfo=None) for at in frame[column]]
    with from_frame(
        frame, customers=CustomersTable(str(table), numbers=("worth",), flags=("member",))
    ) as opened:
        yield opened


def request() -> list[CustomerEvents]:
    return [
        CustomerEvents(
            who,
            tuple(
                Event(day(r[1]), r[2], channel=r[3], recorded_at=day(r[4]))
                for r in reversed(ROWS)
                if r[0] == who
            ),
        )
        for who in ("a", "b")
    ]


def test_a_request_is_read_as_the_log_is(log: EventLog) -> None:
    stored, sent = lead_events(log.con, day(9)), request_lead_events(request(), day(9))
    for column in ("customers", "customer", "instant", "known"):
        assert getattr(stored, column).tolist() == getattr(sent, column).tolist(), column
    for item in (stored, sent):
        assert [item.types[k] for k in item.kind] == ["visit", "purchase", "visit", "signup"]
        assert item.first_channels().tolist() == ["email", ""]


def test_first_channels_are_those_of_the_events(log: EventLog) -> None:
    log.con.execute(
        """insert into events (customer_id, customer, timestamp, event, channel) values
        ('b', 1, '2024-01-04', 'signup', 'ads'), ('b', 1, '2024-01-04', 'visit', 'email'),
        ('a', 0, '2023-12-01', 'visit', null)"""
    )
    expected = lead_events(log.con, day(9)).first_channels().tolist()
    assert first_channels(log.con, "events").tolist() == expected == ["", "ads"]


def test_only_what_was_known_is_there(log: EventLog) -> None:
    # the purchase of day 1 was recorded on day 5
    for events in (lead_events(log.con, day(4)), request_lead_events(request(), day(4))):
        assert [events.types[k] for k in events.kind] == ["visit", "visit", "signup"]
        assert (
            events.first_instants_of("purchase").max()
            == events.first_instants_of("purchase").min()
            == np.iinfo(np.int64).max
        )


def test_what_buyers_did_later_can_be_left_out(log: EventLog) -> None:
    events = lead_events(log.con, day(9), until_purchase=True)
    assert [events.types[k] for k in events.kind] == ["visit", "purchase", "signup"]


def test_declared_attributes_come_as_texts(log: EventLog) -> None:
    who = np.array(["b", "a"], dtype=object)
    report = table_attribute_texts(log.con, who, ["origin", "member"])
    assert {name: values.tolist() for name, values in report.items()} == {
        "origin": ["", "fair"],
        "member": ["", "true"],
    }
    sent = request_attribute_texts(
        [{}, {"origin": " fair ", "member": True, "worth": 3}], ["origin", "member"]
    )
    assert {name: values.tolist() for name, values in sent.items()} == {
        "origin": ["", "fair"],
        "member": ["", "true"],
    }
    assert table_attribute_texts(log.con, who, []) == {}


def test_a_log_without_a_table_of_customers_is_refused() -> None:
    rows = pa.table({"customer_id": ["a"], "timestamp": ["2024-01-01"], "event": ["visit"]})
    with (
        from_frame(rows) as plain,
        pytest.raises(
            UsageError,
            match="names origin, but the log has no table of customers: name that table with",
        ),
    ):
        table_attribute_texts(plain.con, np.array(["a"], dtype=object), ["origin"])


def test_a_column_that_cannot_serve_is_named() -> None:
    kinds = {"origin": "category", "worth": "number", "channel": "category"}
    with pytest.raises(
        UsageError, match=r"'orgin', which is no column of the table.*Did you mean 'origin'\?"
    ):
        check_known_at_start(kinds, ["orgin"])
    check_known_at_start(kinds, ["origin", "worth"])
    with pytest.raises(
        UsageError, match=r"'channel', which is what the channel of the first event is called"
    ):
        check_known_at_start(kinds, ["channel"])


def test_an_attribute_that_is_no_value_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'origin' is \['x'\]; give a text"):
        request_attribute_texts([{"origin": ["x"]}], ["origin"])

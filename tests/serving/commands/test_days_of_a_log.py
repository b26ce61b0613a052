"""The line on a log names days of the shop; what a command counts is one thing or several."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stagecast.serving.commands.terminal import log_lines
from stagecast.serving.commands.whatif_lines import whatif_lines
from stagecast.serving.jobs.what_if import AS_IS, Group, WhatIfTable
from stagecast.training.what_if.levers import Levers

COUNTS: dict[str, Any] = dict.fromkeys(
    ("rows_in", "rows_loaded", "rows_rejected", "rows_duplicate", "customers"), 1
)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("UTC", "1996-12-31 to 1998-07-01"),
        ("America/Los_Angeles", "1996-12-31 to 1998-06-30"),
        ("Asia/Tehran", "1997-01-01 to 1998-07-01"),
        ("Asia/Kolkata", "1997-01-01 to 1998-07-01"),
    ],
)
def test_the_days_of_a_log_are_those_of_the_shop(zone: str, days: str) -> None:
    report = COUNTS | {
        "zone": zone,
        "first_event": "1996-12-31T21:00:00Z",
        "last_event": "1998-07-01T02:40:00Z",
        "rejected_by_reason": {},
        "warnings": [],
    }
    assert log_lines(report)[0].endswith(days)


def test_one_of_a_kind_is_counted_in_the_singular() -> None:
    report = COUNTS | {
        "first_event": "1996-12-31T21:00:00Z",
        "last_event": "1998-07-01T02:40:00Z",
        "rejected_by_reason": {},
        "later_events": 1,
        "warnings": [],
    }
    first, later = log_lines(report)
    assert first.startswith("1 row read: 1 loaded, 1 refused, 1 duplicate; 1 customer, ")
    assert later.startswith("1 event from the as_of on is read and checked")
    several = dict.fromkeys(COUNTS, 2) | {"later_events": 2}
    first, later = log_lines(report | several)
    assert first.startswith("2 rows read: 2 loaded, 2 refused, 2 duplicates; 2 customers, ")
    assert later.startswith("2 events from the as_of on are read and checked")


def test_a_what_if_of_one_customer_speaks_of_one() -> None:
    one, two = (Group(None if n == 2 else "new", n, {AS_IS: (1.0, 3.0)}) for n in (1, 2))
    made = WhatIfTable(
        datetime(2024, 1, 1, tzinfo=UTC), "v1", None, Levers(), "stage", two, (one,), ()
    )
    lines = whatif_lines(made)
    assert lines[0].startswith("Value of 2 customers from 2024-01-01")
    assert "stage new: 1 customer" in lines

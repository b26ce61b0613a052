"""The line on a log names days of the shop."""

from __future__ import annotations

from typing import Any

import pytest

from stagecast.serving.commands.terminal import log_lines

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

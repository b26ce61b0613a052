"""Times and spans as Python writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import UsageError
from stagecast.features.frames.instants import as_datetime, as_days
from stagecast.features.shop.clock import ShopClock

MIDNIGHT = datetime(2011, 9, 1, tzinfo=UTC)
NAMELESS = [
    "2011-09-01",
    date(2011, 9, 1),
    datetime(2011, 9, 1),
    pd.Timestamp("2011-09-01"),
    np.datetime64("2011-09-01"),
]


@pytest.mark.parametrize("value", NAMELESS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("America/New_York", 4), ("Europe/London", -1)]
)
def test_a_time_without_a_zone_is_that_of_the_shops_clock(
    value: object, zone: str, hours: int
) -> None:
    clock = ShopClock(zone)
    at = clock.instant(clock.shop(as_datetime(value)))  # type: ignore[arg-type]
    assert at == MIDNIGHT + timedelta(hours=hours)


@pytest.mark.parametrize(
    "value",
    [
        "2011-09-01T02:00:00+02:00",
        datetime(2011, 9, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2011-08-31 20:00", tz="America/New_York"),
    ],
)
def test_a_time_with_a_zone_is_an_instant(value: object) -> None:
    clock = ShopClock("Asia/Tokyo")
    assert clock.instant(clock.shop(as_datetime(value))) == MIDNIGHT  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [3, None, pd.NaT, np.datetime64("NaT"), "last week", 2.5])
def test_what_is_no_time_is_refused_by_the_name_of_its_argument(value: object) -> None:
    with pytest.raises(UsageError, match=r"as(_|-)of"):
        as_datetime(value)  # type: ignore[arg-type]


def test_spans_are_whole_days() -> None:
    assert [as_days(span) for span in ("90d", "12w", timedelta(days=5))] == [90, 84, 5]
    for wrong in (timedelta(hours=36), timedelta(0), "3 months", 90):
        with pytest.raises(UsageError, match="horizon"):
            as_days(wrong)  # type: ignore[arg-type]

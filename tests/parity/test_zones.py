"""Features with days of a shop: every evaluator against the oracle on what the wall shows.

The oracle gets each event at its wall-clock time by Python's ``zoneinfo``; it knows nothing of
shop time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.requests import Event
from stagecast.features.shop.clock import clock_named
from tests.parity.evaluators import Rows, check
from tests.parity.logs import TICK, Customers, event_log, known_customers, requests
from tests.profiles import examples

ZONES = ("America/Los_Angeles", "Asia/Tehran", "Asia/Kolkata", "Europe/Berlin")
DAYS = (
    # the clocks change on, before or after these days in one of the zones
    *(date(2021, 3, 14), date(2021, 3, 15), date(2021, 11, 7), date(2021, 11, 8)),
    *(date(2021, 3, 28), date(2021, 10, 31), date(2021, 11, 1)),
    *(date(2021, 3, 22), date(2021, 9, 21), date(2021, 9, 22), date(2021, 9, 23)),
    *(date(2021, 7, 1), date(2022, 1, 1)),
)
KINDS = ("purchase", "purchase", "visit", "refund", "email_open", "contact")


def midnight(day: date, zone: str) -> datetime:
    """Return the instant at which a day begins in a zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@st.composite
def zoned_logs(draw: st.DrawFn, zone: str, *, late: bool) -> Customers:
    """Draw events at midnights of the zone and of UTC, in the hours that change, and anywhere."""
    tick = st.sampled_from([-TICK, timedelta(0), TICK])
    hours = st.integers(-30, 30).map(lambda hour: timedelta(hours=hour))
    near = st.builds(
        lambda day, hour, step: midnight(day, zone) + hour + step,
        st.sampled_from(DAYS),
        hours,
        tick,
    )
    anywhere = st.integers(0, 400 * 86_400).map(
        lambda seconds: datetime(2020, 12, 1, 0, 0, 0, 7, tzinfo=UTC) + timedelta(seconds=seconds)
    )
    delay = st.sampled_from([None, None, timedelta(hours=5), timedelta(days=31)])
    event = st.builds(
        lambda at, kind, cents, wait: Event(
            at,
            kind,
            cents / 100,
            recorded_at=None if wait is None or not late else at + wait,
        ),
        near | near | anywhere,
        st.sampled_from(KINDS if late else KINDS[:3]),
        st.integers(0, 90_000),
        delay,
    )
    lists = draw(st.lists(st.lists(event, min_size=1, max_size=12), min_size=1, max_size=4))
    first = Event(datetime(2020, 11, 1, tzinfo=UTC), "visit", 1.0)
    return {**{f"c{k}": tuple(drawn) for k, drawn in enumerate(lists)}, "z": (first,)}


def on_the_wall(customers: Customers, zone: str) -> Customers:
    """Return the events at what a clock in the zone shows, as if that were UTC."""

    def wall(instant: datetime) -> datetime:
        return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)

    return {
        name: tuple(
            replace(
                event,
                timestamp=wall(event.timestamp),
                recorded_at=event.recorded_at and wall(event.recorded_at),
            )
            for event in events
        )
        for name, events in customers.items()
    }


def by_duckdb(
    customers: Customers, as_of: datetime, zone: str, backs: Sequence[int], catalog: Catalog
) -> Rows:
    with event_log(customers, day_zone=zone) as log:
        table = DailyTable(log.con, as_of)
        columns = table.features(catalog, backs)
        ids = [str(table.customers[int(row)]) for row in columns["customer"]]
    keys = [(name, int(back)) for name, back in zip(ids, columns["back"], strict=True)]
    return {key: {n: float(columns[n][i]) for n in catalog.names} for i, key in enumerate(keys)}


def by_memory(
    customers: Customers, as_of: datetime, zone: str, backs: Sequence[int], catalog: Catalog
) -> Rows:
    rows: Rows = {}
    clock = clock_named(zone)
    for back in backs:
        date_back = clock.shop(as_of) - timedelta(days=back)
        if known := known_customers(customers, clock.instant(date_back)):
            events = MemoryEvents(clock.events(requests(known)), date_back)
            columns = Evaluator(catalog).features(events)
            rows |= {
                (name, back): {n: float(columns[n][i]) for n in catalog.names}
                for i, name in enumerate(known)
            }
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("evaluate", [by_duckdb, by_memory])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_feature_agrees_with_the_oracle_on_the_wall(
    zone: str, late: bool, evaluate: object, data: st.DataObject
) -> None:
    assert callable(evaluate)
    customers = data.draw(zoned_logs(zone, late=late))
    day = data.draw(st.sampled_from(DAYS))
    backs = data.draw(st.sampled_from([[0], [0, 1, 30], [7]]))
    catalog = standard(90).with_parameters(shop_gap_days=7.25)
    wall_midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = evaluate(customers, midnight(day, zone), zone, backs, catalog)
    check(rows, on_the_wall(customers, zone), wall_midnight, 90, backs, 7.25)


@pytest.mark.slow
@pytest.mark.parametrize("evaluate", [by_duckdb, by_memory])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/Los_Angeles", datetime(2021, 11, 7, 9, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2021, 3, 14, 10, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2021, 10, 31, 1, tzinfo=UTC)),
        ("Asia/Tehran", datetime(2021, 9, 21, 19, 30, tzinfo=UTC)),
    ],
)
def test_nothing_from_the_as_of_on_is_seen_in_the_hours_that_change(
    zone: str, change: datetime, evaluate: object
) -> None:
    assert callable(evaluate)
    minutes = [timedelta(minutes=k) for k in range(-130, 131, 10)]
    customers = {"a": tuple(Event(change + span, "purchase", 1.0) for span in minutes)}
    catalog = Catalog((standard(90)["purchase_events"],), {})  # what is looked at
    # DuckDB is asked every half hour, since a query of it takes a hundred times as long
    step = 3 if evaluate is by_duckdb else 1
    for k, span in list(enumerate(minutes))[1::step]:
        rows = evaluate(customers, change + span, zone, [0], catalog)
        assert rows["a", 0]["purchase_events"] == k, span

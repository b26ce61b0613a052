"""Every feature of every evaluator compared with a slow oracle, on drawn logs and real ones.

Single aggregates are in ``test_aggregates.py``, numbers worked out by hand in ``test_worked.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import microseconds
from stagecast.features.demo import cdnow_log
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.snapshots import take_snapshots
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from tests.parity.evaluators import Evaluate, by_duckdb, by_each, by_memory, check, remembered
from tests.parity.logs import (
    DAY,
    KINDS,
    TICK,
    Customers,
    as_ofs,
    event_log,
    events,
    known_customers,
    logs,
    midnights,
    requests,
    utc,
)
from tests.profiles import examples

SHARED = Path(__file__).parents[3] / "shared" / "data"
ONLINE_RETAIL, GROCERY = SHARED / "online_retail_ii.parquet", SHARED / "grocery.csv"

Shape = Literal["any", "on time", "no refunds", "plain", "purchases"]
"""Shapes of logs for which SQL skips steps: without late records at midnights; without refunds;
without both; purchases only.
"""
NO_REFUNDS = tuple(kind for kind in KINDS if kind != "refund")
KINDS_OF = {"no refunds": NO_REFUNDS, "plain": NO_REFUNDS, "purchases": ("purchase",)}


@st.composite
def cases(draw: st.DrawFn, shape: Shape) -> tuple[Customers, datetime, list[int], int, float]:
    late = shape in ("any", "no refunds")
    as_of = draw(as_ofs() if late else midnights())
    backs = draw(
        st.lists(st.sampled_from([0, 1, 30, 90, 365, 2000]), min_size=1, max_size=3, unique=True)
    )
    gap = draw(st.sampled_from([60.0, 1.0, 33.333333333333336, 0.1, 7.25]))
    customers = draw(logs(as_of, late=late, kinds=KINDS_OF.get(shape, KINDS)))
    return customers, as_of, backs, draw(st.sampled_from([1, 30, 90, 364, 365, 400])), gap


@pytest.mark.slow
@by_each
@pytest.mark.parametrize("shape", ["any", "on time", "no refunds", "plain", "purchases"])
@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_feature_agrees_with_the_oracle(
    evaluate: Evaluate, shape: Shape, data: st.DataObject
) -> None:
    customers, as_of, backs, horizon, gap = data.draw(cases(shape))
    catalog = standard(horizon).with_parameters(shop_gap_days=gap)
    check(evaluate(customers, as_of, backs, catalog), customers, as_of, horizon, backs, gap)


# --- real logs ------------------------------------------------------------------------------------


def by_customer(rows: Iterable[tuple[Any, ...]]) -> Customers:
    """Return customers from rows of id, microseconds since 1970, and the fields of an event."""
    customers: dict[str, list[Event]] = {}
    for customer_id, microseconds_since, kind, amount, channel, category in rows:
        timestamp = utc("1970-01-01") + microseconds_since * TICK
        event = Event(timestamp, kind, amount, channel, category=category)
        customers.setdefault(str(customer_id), []).append(event)
    return {customer_id: tuple(events) for customer_id, events in customers.items()}


@pytest.mark.slow
@by_each
def test_features_of_the_cdnow_log(evaluate: Evaluate) -> None:
    with cdnow_log() as log:
        rows = log.con.execute(
            """
            select customer_id, epoch_us(timestamp), 'purchase', cast(amount as double), null, null
            from events
            where customer_id in (
                select distinct customer_id from events order by hash(customer_id) limit 150
            )
            """
        ).fetchall()
    customers, as_of, backs = by_customer(rows), utc("1998-07-01"), [0, 181, 300]
    catalog = standard(90).with_parameters(shop_gap_days=42.5)
    found = evaluate(customers, as_of, backs, catalog)
    check(found, customers, as_of, 90, backs, 42.5, features_by_oracle=remembered)


@by_each
@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason=f"{ONLINE_RETAIL} is not here")
@pytest.mark.parametrize("as_of", [utc("2011-12-10"), utc("2011-09-01T13:30:00")])
def test_features_of_invoices_with_cancellations(evaluate: Evaluate, as_of: datetime) -> None:
    rows = duckdb.execute(
        """
        with lines as (
            select "Customer ID" as customer, *, round(Quantity * Price, 6) as paid
            from read_parquet(?)
        )
        select customer, epoch_us(InvoiceDate),
            case when paid < 0 then 'refund' else 'purchase' end, abs(paid),
            Country, left(StockCode, 2)
        from lines where customer in (
            select distinct customer from lines where customer is not null
            order by hash(customer) limit 250
        )
        """,
        [str(ONLINE_RETAIL)],
    ).fetchall()
    customers, backs = by_customer(rows), [0, 90, 400]
    assert sum(event.event == "refund" for events in customers.values() for event in events) > 500
    catalog = standard(30).with_parameters(shop_gap_days=51.25)
    found = evaluate(customers, as_of, backs, catalog)
    check(found, customers, as_of, 30, backs, 51.25, features_by_oracle=remembered)


@by_each
@pytest.mark.skipif(not GROCERY.exists(), reason=f"{GROCERY} is not here")
def test_features_of_purchase_dates_without_amounts(evaluate: Evaluate) -> None:
    rows = duckdb.execute(
        "select customer_id, epoch_us(timestamp), 'purchase', null, null, null"
        " from read_csv(?, types = {'timestamp': 'TIMESTAMP'}) where customer_id % 4 = 0",
        [str(GROCERY)],
    ).fetchall()
    customers, as_of, backs = by_customer(rows), utc("2008-01-01"), [0, 120]
    catalog = standard(365).with_parameters(shop_gap_days=30.5)
    found = evaluate(customers, as_of, backs, catalog)
    check(found, customers, as_of, 365, backs, 30.5, features_by_oracle=remembered)


# --- time and precision ---------------------------------------------------------------------------


@by_each
def test_events_are_cut_at_the_instant_of_the_as_of_not_at_its_day(evaluate: Evaluate) -> None:
    as_of = utc("2016-02-29T15:30:00.000001")
    customers = {
        "at": (Event(as_of - DAY), Event(as_of)),
        "just_before": (Event(as_of - TICK),),
        "recorded_at": (Event(as_of - DAY), Event(as_of - 2 * DAY, recorded_at=as_of)),
        "recorded_before": (Event(as_of - DAY), Event(as_of - 2 * DAY, recorded_at=as_of - TICK)),
        "after": (Event(as_of + TICK),),
    }
    rows = evaluate(customers, as_of, [0], standard(90).with_parameters(shop_gap_days=30.0))
    assert {name: row["orders"] for (name, _), row in rows.items()} == {
        "at": 1.0,
        "just_before": 1.0,
        "recorded_at": 1.0,
        "recorded_before": 2.0,
    }


@by_each
@pytest.mark.parametrize(("amount", "times"), [(1e11, 90), (1e11, 300), (99_999_999_999.5, 120)])
def test_sums_of_very_large_amounts_do_not_wrap(
    evaluate: Evaluate, amount: float, times: int
) -> None:
    as_of = utc("2020-06-01")
    purchases = tuple(
        Event(as_of - (i % 50 + 1) * DAY - i * TICK, "purchase", amount, discount=amount)
        for i in range(times)
    )
    refunds = tuple(Event(as_of - (i + 1) * DAY, "refund", amount) for i in range(times // 2))
    customers = {
        "many": purchases + refunds,
        "two": (Event(as_of - DAY, "purchase", 0.1), Event(as_of - DAY, "purchase", 0.2)),
    }
    rows = evaluate(customers, as_of, [0], standard(90).with_parameters(shop_gap_days=30.0))
    check(rows, customers, as_of, 90, [0], 30.0)
    assert rows["two", 0]["purchase_spend"] == rows["two", 0]["spend"] == 0.3


def test_amounts_whose_sum_exceeds_64_bits_are_python_integers() -> None:
    as_of = utc("2020-06-01")
    event = Event(as_of - DAY, "purchase", 1e11)
    small_sum = MemoryEvents([CustomerEvents("a", (event,))], as_of)
    large_sum = MemoryEvents([CustomerEvents("a", (event,) * 100)], as_of)
    assert small_sum.amount.dtype == np.dtype(np.int64)
    assert large_sum.amount.dtype == np.dtype(object)
    assert large_sum.purchase_days().spend.tolist() == [1e13]


def test_halves_of_a_millionth_are_rounded_as_the_event_table_does() -> None:
    as_of = utc("2020-06-01")
    amounts = [0.0000005, 0.0000015, 0.0000025, 2.5000005]
    memory = MemoryEvents(
        [CustomerEvents("a", tuple(Event(as_of - DAY, "purchase", a) for a in amounts))], as_of
    )
    assert memory.amount.tolist() == [1, 2, 3, 2500001]
    events = tuple(Event(as_of - DAY, "purchase", 1.0, discount=amount) for amount in amounts)
    rows = by_memory({"a": events}, as_of, [0], standard(90).with_parameters(shop_gap_days=30.0))
    assert rows["a", 0]["discount"] == 2.500007


def test_instants_are_exact_where_doubles_of_seconds_are_not() -> None:
    for as_of in (
        utc("2100-03-01T00:00:00.000003"),
        utc("2199-12-31T23:59:59.999999"),
        utc("1905-03-01"),
    ):
        timestamps = [as_of + ticks * TICK for ticks in range(-5, 3)]
        purchases = [
            Event(timestamp, "purchase", 1.0, recorded_at=timestamp + DAY * (i % 2))
            for i, timestamp in enumerate(timestamps)
        ]
        customers = {
            str(i): (Event(as_of - 40 * DAY, "visit"), event) for i, event in enumerate(purchases)
        }
        catalog = standard(90).with_parameters(shop_gap_days=30.0)
        rows = by_memory(customers, as_of, [0, 1], catalog)
        check(rows, customers, as_of, 90, [0, 1], 30.0)


def test_a_customer_without_a_known_event_is_named() -> None:
    as_of = utc("2020-06-01")
    with pytest.raises(NotEnoughDataError, match="'b' has no event before the as_of 2020-06-01"):
        MemoryEvents(requests({"a": (Event(as_of - DAY),), "b": (Event(as_of),)}), as_of)


def test_a_thousand_customers_in_memory_take_a_fraction_of_a_second() -> None:
    as_of = utc("2020-06-01")
    rng = np.random.default_rng(7)
    ago = rng.integers(1, 900 * 86_400, (1000, 30))
    customers = [
        CustomerEvents(
            str(i), tuple(Event(as_of - timedelta(seconds=int(s)), "purchase", 9.99) for s in row)
        )
        for i, row in enumerate(ago)
    ]
    catalog = standard(90).with_parameters(shop_gap_days=30.0)
    seconds = []
    for _ in range(5):  # the fastest of several, since other processes may slow a run down
        start = time.process_time()
        Evaluator(catalog).features(MemoryEvents(customers, as_of))
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3


# --- reproducibility ------------------------------------------------------------------------------


def all_bytes(
    customers: Customers, as_of: datetime, threads: int = 2, reverse: bool = False
) -> dict[str, bytes]:
    """Return the thresholds, and the features and stages of three dates, as bytes."""
    with event_log(customers, reverse=reverse) as log:
        log.con.execute(f"set threads = {threads}")
        table = DailyTable(log.con, as_of)
        lifecycle = fit_lifecycle(table, load_scheme("retail"), 90)
        thresholds = lifecycle.scheme.thresholds
        results = {
            "ids": "\n".join(table.customers).encode(),
            "thresholds": repr(thresholds).encode(),
        }
        for snapshot in take_snapshots(table, lifecycle, [0, 30, 365]):
            columns = {
                **snapshot.features,
                "stage": snapshot.stage,
                "since": snapshot.standing.since,
            }
            results |= {
                f"{name} {snapshot.as_of}": column.tobytes() for name, column in columns.items()
            }
        return results


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_happens_or_becomes_known_later_changes_no_byte(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of))
    with_amounts = any(event.amount is not None for drawn in customers.values() for event in drawn)
    drawn_events = data.draw(st.lists(events(as_of, with_amounts), max_size=8))
    unknown = tuple(not_known(event, as_of) for event in drawn_events)
    with_unknown_events = {
        **customers,
        "new": unknown,
        "z": customers["z"] + unknown,
        "c0": unknown + customers["c0"],
    }
    only_known_events = {
        name: tuple(event for event in drawn if event.is_known_before(as_of))
        for name, drawn in customers.items()
    }
    expected = all_bytes(customers, as_of)
    assert all_bytes(with_unknown_events, as_of) == expected
    assert all_bytes(only_known_events, as_of) == expected


def not_known(event: Event, as_of: datetime) -> Event:
    """Return the event, recorded at the as_of if it would be known before it."""
    return replace(event, recorded_at=as_of) if event.is_known_before(as_of) else event


@pytest.mark.slow
@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_neither_the_order_of_rows_nor_threads_change_a_byte(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, max_customers=12))
    expected = all_bytes(customers, as_of, threads=1)
    assert all_bytes(customers, as_of, threads=4) == expected
    assert all_bytes(customers, as_of, threads=1, reverse=True) == expected
    reversed_events = {name: drawn[::-1] for name, drawn in customers.items()}
    assert memory_bytes(customers, as_of) == memory_bytes(reversed_events, as_of)


@pytest.mark.slow
def test_threads_do_not_change_a_byte_of_a_large_log() -> None:
    results = []
    with cdnow_log() as log:
        for threads in (1, 2, 5):
            log.con.execute(f"set threads = {threads}")
            columns = DailyTable(log.con, utc("1998-07-01")).features(
                standard(90).with_parameters(shop_gap_days=42.5), [0, 90, 180]
            )
            results.append({name: column.tobytes() for name, column in columns.items()})
    assert results[0] == results[1] == results[2]


def memory_bytes(customers: Customers, as_of: datetime) -> dict[str, bytes]:
    """Return the features of events in memory as bytes."""
    evaluator = Evaluator(standard(90).with_parameters(shop_gap_days=33.3))
    known = known_customers(customers, as_of)
    columns = evaluator.features(MemoryEvents(requests(known), as_of))
    return {name: column.tobytes() for name, column in columns.items()}


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_past_date_is_the_same_from_any_anchor(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of))
    catalog = standard(90).with_parameters(shop_gap_days=33.3)
    back = data.draw(st.sampled_from([1, 30, 365, 800]))
    assert by_duckdb(customers, as_of, [back], catalog).__repr__() == (
        by_duckdb(customers, as_of - back * DAY, [0], catalog)
        .__repr__()
        .replace(", 0):", f", {back}):")
    )


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_purchase_days_and_first_events_are_the_same_in_memory(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, years=1))
    known = known_customers(dict(sorted(customers.items())), as_of)
    memory = MemoryEvents(requests(known), as_of)
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        expected, first, last = table.purchase_days(), table.first_events(), table.last_event()
    days = memory.purchase_days()
    for column in ("customer", "day", "first_purchase"):
        assert getattr(days, column).tolist() == getattr(expected, column).tolist()
    assert days.spend.tolist() == pytest.approx(expected.spend.tolist(), rel=1e-12)
    assert (memory.first_events().tolist(), memory.last_event()) == (first.tolist(), last)


def test_the_first_purchase_of_a_day_is_the_earliest_in_any_order() -> None:
    as_of = utc("2020-06-01")
    purchases = tuple(Event(as_of - DAY + timedelta(hours=hours)) for hours in (9, 3, 17))
    days = MemoryEvents(requests({"a": purchases}), as_of).purchase_days()
    assert days.first_purchase.tolist() == [microseconds(as_of - DAY + timedelta(hours=3))]


@pytest.mark.slow
def test_a_date_is_the_same_number_from_both_sides_of_a_power_of_two() -> None:
    features = standard(90).features
    age = [feature.name for feature in features].index("T_days")
    catalog = Catalog(features[: age + 1], {})  # what is looked at, and what it is computed from
    for microsecond in (1, 7, 123_457, 86_399):
        # day numbers 30 days before this as_of have one more bit of precision
        as_of = utc("2014-11-20") + microsecond * TICK
        customers = {"a": (Event(as_of - 50 * DAY),)}
        from_later = by_duckdb(customers, as_of, [30], catalog)
        from_date = by_duckdb(customers, as_of - 30 * DAY, [0], catalog)
        assert from_later["a", 30]["T_days"] == from_date["a", 0]["T_days"]


def test_two_daily_tables_of_one_log_do_not_overwrite_each_other() -> None:
    as_of = utc("2020-06-01")
    with event_log({"a": (Event(as_of - 100 * DAY), Event(as_of - DAY))}) as log:
        first = DailyTable(log.con, as_of)
        DailyTable(log.con, as_of - 50 * DAY)
        assert len(first.purchase_days().day) == 2

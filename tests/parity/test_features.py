"""Each feature is what the catalogue says, in SQL and in NumPy alike: both against one slow oracle."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalog import Catalog, Feature, standard
from features.clock import day_number, microseconds
from features.demo import cdnow_log
from features.engines.duckdb import DailyTable
from features.errors import NotEnoughDataError
from features.lifecycle import fit_lifecycle
from features.online import MemoryEvents
from features.requests import CustomerEvents, Event
from features.scheme_files import load_scheme
from features.snapshots import take
from tests.parity import oracle
from tests.parity.logs import DAY, TICK, Customers, as_ofs, event_log, events, logs, requests, utc

PER_RUN = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
Rows = dict[tuple[str, int], dict[str, float]]
Evaluator = Callable[[Customers, datetime, Sequence[int], Catalog], Rows]


def by_duckdb(customers: Customers, as_of: datetime, backs: Sequence[int], catalog: Catalog) -> Rows:
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        columns = table.features(catalog, backs)
        ids = [table.customers[int(row)] for row in columns["customer"]]
    keys = [(name, int(back)) for name, back in zip(ids, columns["back"], strict=True)]
    assert keys == sorted(keys, key=lambda key: (key[1], key[0])), "rows are ordered by date, then customer"
    return {key: {n: float(columns[n][i]) for n in catalog.names} for i, key in enumerate(keys)}


def by_memory(customers: Customers, as_of: datetime, backs: Sequence[int], catalog: Catalog) -> Rows:
    rows: Rows = {}
    for back in backs:
        date = as_of - back * DAY
        seen = {name: some for name, some in customers.items() if any(event.seen_from(date) for event in some)}
        if seen:
            columns = MemoryEvents(requests(seen), date).features(catalog)
            rows |= {(c, back): {n: float(columns[n][i]) for n in catalog.names} for i, c in enumerate(seen)}
    return rows


EVALUATORS = pytest.mark.parametrize("evaluate", [by_duckdb, by_memory])


def same(feature: Feature, got: float, want: oracle.Value, money: float, whole: bool) -> bool:
    """Exact for counts and whole days, else to a billionth; differences of sums to what the sums allow."""
    if want is None or math.isnan(got):
        return want is None and math.isnan(got)
    if feature.unit in ("days", "events", "day number", "days^2") and Fraction(want).denominator == 1 and whole:
        return got == float(want)
    absolute = 1e-12 * money if feature.unit == "money" else 1e-11
    return math.isclose(got, float(want), rel_tol=1e-9, abs_tol=absolute)


def check(rows: Rows, customers: Customers, as_of: datetime, horizon: int, backs: Sequence[int], gap: float) -> None:
    catalog, expected = standard(horizon), set()
    for back in backs:
        date = as_of - back * DAY
        whole = day_number(date).is_integer()
        for name, some in customers.items():
            want = oracle.features(some, date, horizon, gap)
            if want is None:
                continue
            expected.add((name, back))
            assert set(want) == set(catalog.names), "the oracle knows every feature, and no other"
            money = float(want["purchase_spend"] or 0) + float(want["refund_spend"] or 0)
            for feature in catalog.features:
                got = rows[name, back][feature.name]
                assert same(feature, got, want[feature.name], money, whole), (
                    f"{feature.name} of {name} at {date}: {got!r}, by the oracle {want[feature.name]!r}"
                )
    assert set(rows) == expected, "a customer has a row at a date exactly where something was known"


@st.composite
def cases(draw: st.DrawFn) -> tuple[Customers, datetime, list[int], int, float]:
    as_of = draw(as_ofs())
    backs = draw(st.lists(st.sampled_from([0, 1, 30, 90, 365, 2000]), min_size=1, max_size=3, unique=True))
    gap = draw(st.sampled_from([60.0, 1.0, 33.333333333333336, 0.1, 7.25]))
    return draw(logs(as_of)), as_of, backs, draw(st.sampled_from([1, 30, 90, 364, 365, 400])), gap


@EVALUATORS
@PER_RUN
@given(case=cases())
def test_every_feature_is_what_the_oracle_says(
    evaluate: Evaluator, case: tuple[Customers, datetime, list[int], int, float]
) -> None:
    customers, as_of, backs, horizon, gap = case
    catalog = standard(horizon).with_parameters(shop_gap_days=gap)
    check(evaluate(customers, as_of, backs, catalog), customers, as_of, horizon, backs, gap)


@EVALUATORS
def test_features_of_the_cdnow_log(evaluate: Evaluator) -> None:
    with cdnow_log() as log:
        found = log.con.execute(
            "select customer_id, epoch_us(timestamp), amount from events where customer_id in"
            " (select distinct customer_id from events order by hash(customer_id) limit 300)"
        ).fetchall()
    customers: dict[str, list[Event]] = {}
    for customer, at, amount in found:
        customers.setdefault(customer, []).append(Event(utc("1970-01-01") + at * TICK, "purchase", float(amount)))
    frozen = {customer: tuple(some) for customer, some in customers.items()}
    as_of, backs = utc("1998-07-01"), [0, 181, 300]
    catalog = standard(90).with_parameters(shop_gap_days=42.5)
    check(evaluate(frozen, as_of, backs, catalog), frozen, as_of, 90, backs, 42.5)


# every aggregate that a catalogue may ask for, with and without a window
ASKED = [
    *[("days", f, c) for f in ("min", "max") for c in ("day", "age", "spend", "gap")],
    *[("days", f, c) for f in ("first", "last") for c in ("day", "spend", "gap")],
    ("days", "count", "day"),
    ("days", "sum", "spend"),
    ("days", "sum", "gap"),
    ("days", "sum_of_squares", "gap"),
    *[("log", "sum", c) for c in ("purchases", "gross_spend", "refund", "activity")],
    *[("log", f, c) for f in ("min", "max") for c in ("day", "age", "active_day")],
]
WINDOWS = [None, (0, 30), (30, 90), (365, 2000)]
EVERY = Catalog(
    tuple(
        Feature(f"{function}_{column}_{relation}_{number}", "", "", relation, function, column, window)  # type: ignore[arg-type]
        for relation, function, column in ASKED
        for number, window in enumerate(WINDOWS)
        if window is None or function not in ("first", "last")
    ),
    {},
)


def by_hand(feature: Feature, known: list[Event], as_of: datetime) -> Fraction | None:
    """Return one aggregate from the relations as the catalogue describes them."""
    spend_of = oracle.purchase_days(known)
    days = sorted(spend_of)
    rows: list[dict[str, Fraction | None]] = []
    if feature.relation == "days":
        for nth, day in enumerate(days):
            gap = Fraction((day - days[nth - 1]).days) if nth else None
            rows.append({**_when(day, as_of), "spend": spend_of[day], "gap": gap})
    else:
        for event in known:
            kind = event.event
            other = kind not in {"purchase", "refund"} | oracle.BY_THE_SHOP
            counts = {"purchases": Fraction(kind == "purchase"), "activity": Fraction(other)}
            sums = {"gross_spend": "purchase", "refund": "refund"}
            paid = {name: oracle.money(event) * (kind == of) for name, of in sums.items()}
            when = _when(event.timestamp.date(), as_of)
            rows.append({**when, **counts, **paid, "active_day": when["day"] if other else None})
    newer, older = feature.window_days or (-1, 10**9)
    values = [row[str(feature.column)] for row in rows if newer < (row["age"] or 0) <= older]
    if feature.function in ("first", "last"):
        return values[0 if feature.function == "first" else -1] if values else None
    some = [value for value in values if value is not None]
    if feature.function in ("count", "sum"):
        return Fraction(len(some)) if feature.function == "count" else sum(some, Fraction(0))
    if not some:
        return None
    return (
        sum((v * v for v in some), Fraction(0))
        if feature.function == "sum_of_squares"
        else (min(some) if feature.function == "min" else max(some))
    )


def _when(day: object, as_of: datetime) -> dict[str, Fraction | None]:
    start = oracle.midnight(day)  # type: ignore[arg-type]
    return {"day": oracle.days(start - utc("1970-01-01")), "age": oracle.days(as_of - start)}


@EVALUATORS
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_aggregate_that_can_be_asked_for(evaluate: Evaluator, data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of))
    rows = evaluate(customers, as_of, [0], EVERY)
    for name, some in customers.items():
        known = [event for event in some if event.seen_from(as_of)]
        for feature in EVERY.features if known else ():
            got, want = rows[name, 0][feature.name], by_hand(feature, known, as_of)
            ok = math.isnan(got) if want is None else math.isclose(got, want, rel_tol=1e-12, abs_tol=1e-11)
            assert ok, f"{feature.name} of {name}: {got!r}, by hand {want!r}"


@EVALUATORS
def test_the_instant_decides_and_not_the_day(evaluate: Evaluator) -> None:
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


@EVALUATORS
@pytest.mark.parametrize(("amount", "times"), [(1e11, 90), (1e11, 300), (99_999_999_999.5, 120)])
def test_sums_of_very_large_amounts_do_not_wrap(evaluate: Evaluator, amount: float, times: int) -> None:
    as_of = utc("2020-06-01")
    many = tuple(Event(as_of - (i % 50 + 1) * DAY - i * TICK, "purchase", amount) for i in range(times))
    back = tuple(Event(as_of - (i + 1) * DAY, "refund", amount) for i in range(times // 2))
    customers = {"many": many + back, "two": (Event(as_of - DAY, "purchase", 0.1), Event(as_of - DAY, "purchase", 0.2))}
    rows = evaluate(customers, as_of, [0], standard(90).with_parameters(shop_gap_days=30.0))
    check(rows, customers, as_of, 90, [0], 30.0)
    assert rows["two", 0]["purchase_spend"] == rows["two", 0]["spend"] == 0.3


def test_amounts_are_kept_as_integers_without_bound_where_64_bits_end() -> None:
    as_of = utc("2020-06-01")
    few = MemoryEvents([CustomerEvents("a", (Event(as_of - DAY, "purchase", 1e11),))], as_of)
    many = MemoryEvents([CustomerEvents("a", tuple(Event(as_of - DAY, "purchase", 1e11) for _ in range(100)))], as_of)
    assert (few.amount.dtype, many.amount.dtype) == (np.dtype(np.int64), np.dtype(object))
    assert many.purchase_days().spend.tolist() == [1e13]


def test_halves_of_a_millionth_are_rounded_as_the_event_table_does() -> None:
    as_of = utc("2020-06-01")
    amounts = [0.0000005, 0.0000015, 0.0000025, 2.5000005]
    memory = MemoryEvents([CustomerEvents("a", tuple(Event(as_of - DAY, "purchase", a) for a in amounts))], as_of)
    assert memory.amount.tolist() == [1, 2, 3, 2500001]


def test_a_customer_of_whom_nothing_is_known_is_named() -> None:
    as_of = utc("2020-06-01")
    with pytest.raises(NotEnoughDataError, match="'b' has no event before the as_of 2020-06-01"):
        MemoryEvents(requests({"a": (Event(as_of - DAY),), "b": (Event(as_of),)}), as_of)


def test_a_thousand_customers_in_memory_take_a_fraction_of_a_second() -> None:
    as_of = utc("2020-06-01")
    rng = np.random.default_rng(7)
    ago = rng.integers(1, 900 * 86_400, (1000, 30))
    customers = [
        CustomerEvents(str(i), tuple(Event(as_of - timedelta(seconds=int(s)), "purchase", 9.99) for s in row))
        for i, row in enumerate(ago)
    ]
    catalog = standard(90).with_parameters(shop_gap_days=30.0)
    spent = []
    for _ in range(5):  # the best of a few: what else the machine does is no fault of ours
        start = time.process_time()
        MemoryEvents(customers, as_of).features(catalog)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.3


# --- past only -----------------------------------------------------------------------------------------------------


def all_bytes(customers: Customers, as_of: datetime, threads: int = 2, reverse: bool = False) -> dict[str, bytes]:
    """Return the thresholds, and the features and stages of three dates, as bytes."""
    with event_log(customers, reverse=reverse) as log:
        log.con.execute(f"set threads = {threads}")
        table = DailyTable(log.con, as_of)
        life = fit_lifecycle(table, load_scheme("retail"), 90)
        limits = life.scheme.thresholds
        found = {"ids": "\n".join(table.customers).encode(), "limits": repr(limits).encode()}
        for snapshot in take(table, life, [0, 30, 365]):
            columns = {**snapshot.features, "stage": snapshot.stage, "since": snapshot.standing.since}
            found |= {f"{name} {snapshot.as_of}": column.tobytes() for name, column in columns.items()}
        return found


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_happens_or_becomes_known_later_changes_no_byte(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of))
    with_amounts = any(event.amount is not None for some in customers.values() for event in some)
    drawn = data.draw(st.lists(events(as_of, with_amounts), max_size=8))
    later = [unseen(event, as_of) for event in drawn]
    more = {**customers, "new": tuple(later), "z": customers["z"] + tuple(later), "c0": tuple(later) + customers["c0"]}
    less = {name: tuple(e for e in some if e.seen_from(as_of)) for name, some in customers.items()}
    want = all_bytes(customers, as_of)
    assert all_bytes(more, as_of) == want
    assert all_bytes(less, as_of) == want


def unseen(event: Event, as_of: datetime) -> Event:
    """Return the event as one that cannot be known at the as_of: it happens then or later, or is recorded so."""
    return replace(event, recorded_at=as_of) if event.seen_from(as_of) else event


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_neither_the_order_of_rows_nor_threads_change_a_byte(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, most=12))
    want = all_bytes(customers, as_of, threads=1)
    assert all_bytes(customers, as_of, threads=4) == want
    assert all_bytes(customers, as_of, threads=1, reverse=True) == want
    shuffled = {name: some[::-1] for name, some in customers.items()}
    assert memory_bytes(customers, as_of) == memory_bytes(shuffled, as_of)


def test_threads_do_not_change_a_byte_of_a_large_log() -> None:
    found = []
    with cdnow_log() as log:
        for threads in (1, 2, 5):
            log.con.execute(f"set threads = {threads}")
            columns = DailyTable(log.con, utc("1998-07-01")).features(
                standard(90).with_parameters(shop_gap_days=42.5), [0, 90, 180]
            )
            found.append({name: column.tobytes() for name, column in columns.items()})
    assert found[0] == found[1] == found[2]


def memory_bytes(customers: Customers, as_of: datetime) -> dict[str, bytes]:
    seen = {name: some for name, some in customers.items() if any(event.seen_from(as_of) for event in some)}
    columns = MemoryEvents(requests(seen), as_of).features(standard(90).with_parameters(shop_gap_days=33.3))
    return {name: column.tobytes() for name, column in columns.items()}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_date_looks_the_same_from_then_and_from_later(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of))
    catalog = standard(90).with_parameters(shop_gap_days=33.3)
    back = data.draw(st.sampled_from([1, 30, 365, 800]))
    assert by_duckdb(customers, as_of, [back], catalog).__repr__() == (
        by_duckdb(customers, as_of - back * DAY, [0], catalog).__repr__().replace(", 0):", f", {back}):")
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_purchase_days_and_first_events_are_the_same_in_memory(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, years=1))
    seen = {name: some for name, some in customers.items() if any(event.seen_from(as_of) for event in some)}
    memory = MemoryEvents(requests(dict(sorted(seen.items()))), as_of)
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        want, first, last = table.purchase_days(), table.first_events(), table.last_event()
    got = memory.purchase_days()
    for column in ("customer", "day", "first_purchase"):
        assert getattr(got, column).tolist() == getattr(want, column).tolist()
    assert got.spend.tolist() == pytest.approx(want.spend.tolist(), rel=1e-12)
    assert (memory.first_events().tolist(), memory.last_event()) == (first.tolist(), last)


def test_the_first_purchase_of_a_day_is_the_earliest_in_whatever_order() -> None:
    as_of = utc("2020-06-01")
    three = tuple(Event(as_of - DAY + timedelta(hours=hours)) for hours in (9, 3, 17))
    days = MemoryEvents(requests({"a": three}), as_of).purchase_days()
    assert days.first_purchase.tolist() == [microseconds(as_of - DAY + timedelta(hours=3))]


def test_a_date_is_the_same_number_from_both_sides_of_a_power_of_two() -> None:
    catalog = standard(90).with_parameters(shop_gap_days=30.0)
    for microsecond in (1, 7, 123_457, 86_399):
        as_of = utc("2014-11-20") + microsecond * TICK  # 30 days before it, day numbers have one digit more
        customers = {"a": (Event(as_of - 50 * DAY),)}
        later, then = (by_duckdb(customers, as_of - (30 - back) * DAY, [back], catalog) for back in (30, 0))
        assert later["a", 30]["T_days"] == then["a", 0]["T_days"]


def test_two_daily_tables_of_one_log_do_not_overwrite_each_other() -> None:
    as_of = utc("2020-06-01")
    with event_log({"a": (Event(as_of - 100 * DAY), Event(as_of - DAY))}) as log:
        first = DailyTable(log.con, as_of)
        DailyTable(log.con, as_of - 50 * DAY)
        assert len(first.purchase_days().day) == 2

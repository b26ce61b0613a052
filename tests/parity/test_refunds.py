"""Refunds reverse the latest purchases first, once they are known, in every implementation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.standard import standard
from stagecast.features.clock import day_number
from stagecast.features.engines import known_days
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.record import PurchaseDays
from stagecast.features.requests import Event
from tests.parity import oracle
from tests.parity.evaluators import Evaluate, by_each
from tests.parity.logs import (
    DAY,
    TICK,
    Customers,
    as_ofs,
    event_log,
    known_customers,
    logs,
    requests,
    utc,
)
from tests.profiles import examples

START, AS_OF = utc("2020-03-01"), utc("2020-06-01")
CATALOG = standard(90).with_parameters(shop_gap_days=30.0)
NetDays = dict[str, list[tuple[int, float]]]
"""Customer -> purchase days, as day and spend net of refunds."""


def purchase(
    day: float, amount: float | None = 0.0, kind: str = "purchase", known: float | None = None
) -> Event:
    """Return an event at noon, ``day`` days after the start, recorded ``known`` days after it."""
    noon = START + timedelta(hours=12)
    return Event(
        noon + timedelta(days=day),
        kind,
        amount,
        None,
        None if known is None else noon + known * DAY,
    )


def refund(day: float, amount: float | None, known: float | None = None) -> Event:
    return purchase(day, amount, "refund", known)


def _by_name(days: PurchaseDays, names: list[str]) -> NetDays:
    net_days: NetDays = {name: [] for name in names}
    for customer, day, spend in zip(days.customer, days.day, days.spend, strict=True):
        net_days[names[customer]].append((int(day), float(spend)))
    return net_days


def in_a_table(customers: Customers, as_of: datetime) -> NetDays:
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        return _by_name(table.purchase_days(), list(table.customers))


def by_a_query(customers: Customers, as_of: datetime) -> NetDays:
    """Ask SQL, as a log does whose money of each day is not held in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_days, "MOST_ROWS", -1)
        return in_a_table(customers, as_of)


def in_memory(customers: Customers, as_of: datetime) -> NetDays:
    return _by_name(MemoryEvents(requests(customers), as_of).purchase_days(), list(customers))


def by_the_oracle(customers: Customers, as_of: datetime) -> NetDays:
    known = {
        name: [event for event in events if event.is_known_before(as_of)]
        for name, events in customers.items()
    }
    return {
        name: [
            ((day - date(1970, 1, 1)).days, float(spend))
            for day, spend in oracle.purchase_days(events).items()
        ]
        for name, events in known.items()
    }


IMPLEMENTATIONS = pytest.mark.parametrize(
    "implementation", [in_a_table, by_a_query, in_memory, by_the_oracle]
)
Implementation = Callable[[Customers, datetime], NetDays]

TWO = (purchase(1, 10.0), purchase(5, 20.0))
WORKED: dict[str, tuple[tuple[Event, ...], list[tuple[int, float]]]] = {
    "all of a day": ((*TWO, refund(9, 20.0)), [(1, 10.0)]),
    "a part of a day": ((*TWO, refund(9, 5.0)), [(1, 10.0), (5, 15.0)]),
    "one day and a part of the day before": ((*TWO, refund(9, 25.0)), [(1, 5.0)]),
    "more than was ever bought": ((*TWO, refund(9, 50.0)), []),
    "the excess does not reverse later purchases": (
        (*TWO, refund(9, 50.0), purchase(10, 7.0)),
        [(10, 7.0)],
    ),
    "a purchase before the log": ((refund(0, 100.0), *TWO), [(1, 10.0), (5, 20.0)]),
    "the day before the last refund, not the last day": ((*TWO, refund(2, 10.0)), [(5, 20.0)]),
    "an earlier and a later purchase": (
        (purchase(1, 10.0), refund(2, 4.0), purchase(5, 20.0), refund(9, 22.0)),
        [(1, 4.0)],
    ),
    "several refunds": ((*TWO, refund(6, 8.0), refund(6, 8.0), refund(40, 4.0)), [(1, 10.0)]),
    "purchases of one day": (
        (purchase(1, 10.0), purchase(1.1, 5.0), purchase(1.2, 1.0), refund(3, 6.0)),
        [(1, 10.0)],
    ),
    "its own day, whichever came first": (
        (purchase(1, 10.0), refund(4.7, 20.0), purchase(5, 20.0)),
        [(1, 10.0)],
    ),
    "all but a millionth": (
        (purchase(1, 0.1), purchase(1.1, 0.2), refund(2, 0.299999)),
        [(1, 0.000001)],
    ),
    "sums that are not exact in binary": (
        (purchase(1, 0.1), purchase(1.1, 0.2), refund(2, 0.3)),
        [],
    ),
    "a purchase of 0 cannot be refunded": (
        (purchase(1, 10.0), purchase(5, 0.0), refund(6, 10.0)),
        [(5, 0.0)],
    ),
    "a purchase of 0 is refunded with another on its day": (
        (purchase(1, 0.0), purchase(1.1, 5.0), refund(2, 5.0)),
        [],
    ),
    "a refund of 0 has no effect": ((*TWO, refund(9, 0.0)), [(1, 10.0), (5, 20.0)]),
    "a log without amounts": (
        (purchase(1, None), purchase(5, None), refund(9, None)),
        [(1, 0.0), (5, 0.0)],
    ),
}


@IMPLEMENTATIONS
@pytest.mark.parametrize("case", WORKED)
def test_which_purchases_a_refund_reverses(case: str, implementation: Implementation) -> None:
    events, expected = WORKED[case]
    # customers before and after in the order of ids are not affected
    unaffected = {"0": TWO, "z": TWO} if events[0].amount is not None else {}
    net_days = implementation({**unaffected, "a": events}, AS_OF)
    first = int(day_number(START))
    from_start = {
        name: [(day - first, spend) for day, spend in days] for name, days in net_days.items()
    }
    assert from_start == {**{name: [(1, 10.0), (5, 20.0)] for name in unaffected}, "a": expected}


@IMPLEMENTATIONS
def test_a_refund_reverses_nothing_before_it_is_known(implementation: Implementation) -> None:
    events = (*TWO, refund(9, 20.0, known=30))
    recorded = START + timedelta(hours=12) + 30 * DAY
    assert len(implementation({"a": events}, recorded)["a"]) == 2
    assert len(implementation({"a": events}, recorded + TICK)["a"]) == 1
    events = (*TWO, refund(9, 20.0))
    assert len(implementation({"a": events}, START + 9 * DAY)["a"]) == 2
    assert len(implementation({"a": events}, START + 10 * DAY)["a"]) == 1


@by_each
def test_a_fully_refunded_day_is_in_no_feature_of_purchase_days(evaluate: Evaluate) -> None:
    events = (
        purchase(0, 8.0),
        purchase(10, 10.0),
        purchase(30, 20.0),
        purchase(70, 40.0),
        refund(72, 45.0),
    )
    events_without_it = (purchase(0, 8.0), purchase(10, 10.0), purchase(30, 15.0))
    row = evaluate({"a": events}, AS_OF, [0], CATALOG)["a", 0]
    row_without_it = evaluate({"a": events_without_it}, AS_OF, [0], CATALOG)["a", 0]
    gross = {
        "purchase_spend": 78.0,
        "refund_spend": 45.0,
        "purchase_events": 4.0,
        "refund_share": 45 / 78,
        "refunds": 1,
    }
    assert {name: row[name] for name in gross} == pytest.approx(gross)
    net = {
        "orders": 3,
        "frequency": 2,
        "T_days": 92,
        "t_x_days": 30,
        "recency_days": 62,
        "gap_last": 20,
        "spend": 33,
    }
    assert {name: row[name] for name in net} == net
    assert (row["monetary"], row["spend_mean"], row["spend_last"]) == (12.5, 11.0, 15.0)
    net_features = set(CATALOG.names) - set(gross)
    assert {name: row[name] for name in net_features} == pytest.approx(
        {name: row_without_it[name] for name in net_features}, nan_ok=True
    )


@by_each
def test_a_customer_whose_purchases_are_all_refunded_is_no_buyer(evaluate: Evaluate) -> None:
    row = evaluate({"a": (purchase(1, 10.0), refund(4, 10.0))}, AS_OF, [0], CATALOG)["a", 0]
    assert (row["orders"], row["spend"], row["purchase_spend"], row["weekdays"]) == (0, 0, 10, 0)
    assert math.isnan(row["recency_days"])


def outcome(
    events: tuple[Event, ...], horizon: int = 30, anchor_day: int = 60
) -> tuple[float, float]:
    """Return orders and spend within ``horizon`` days from day 20, as known on ``anchor_day``."""
    with event_log({"a": (purchase(0, 100.0), *events)}) as log:
        columns = DailyTable(log.con, START + anchor_day * DAY).outcomes(horizon, [anchor_day - 20])
    return (
        (float(columns["orders"][0]), float(columns["spend"][0]))
        if len(columns["orders"])
        else (0.0, 0.0)
    )


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((purchase(20, 30.0), purchase(49, 10.0)), (2, 40)),
        ((purchase(20, 30.0), purchase(49, 10.0), refund(49.1, 10.0)), (1, 30)),
        ((purchase(20, 30.0), purchase(40, 10.0), refund(49, 15.0)), (1, 25)),
        # a refund of a purchase before the horizon has no effect on the horizon
        ((purchase(5, 40.0), refund(25, 40.0)), (0, 0)),
        ((purchase(5, 40.0), refund(25, 40.0), purchase(30, 7.0)), (1, 7)),
        ((purchase(5, 40.0), purchase(22, 9.0), refund(25, 40.0)), (0, 0)),
        # after the horizon, or not known at the anchor
        ((purchase(20, 30.0), refund(50, 30.0)), (1, 30)),
        ((purchase(20, 30.0), refund(30, 30.0, known=61)), (1, 30)),
        ((purchase(20, 30.0), refund(30, 30.0, known=59)), (0, 0)),
        ((purchase(20, 0.0), purchase(21, 5.0), refund(30, 5.0)), (1, 0)),
    ],
)
def test_refunds_within_the_horizon_reverse_purchases_within_the_horizon(
    events: tuple[Event, ...], expected: tuple[float, float]
) -> None:
    assert outcome(events) == expected


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_outcomes_are_those_of_the_oracle(data: st.DataObject) -> None:
    anchor = data.draw(as_ofs())
    customers = data.draw(logs(anchor, years=1))
    horizon = data.draw(st.sampled_from([1, 30, 90]))
    backs = [horizon, horizon + 1, horizon + 60]
    with event_log(customers) as log:
        table = DailyTable(log.con, anchor)
        columns = table.outcomes(horizon, backs)
        names = [str(name) for name in table.customers]
    rows = zip(
        columns["customer"], columns["back"], columns["orders"], columns["spend"], strict=True
    )
    outcomes = {(names[int(c)], int(b)): (orders, spend) for c, b, orders, spend in rows}
    for name, events in customers.items():
        for back in backs:
            start = anchor - back * DAY
            orders, spend = oracle.outcome(events, start, start + horizon * DAY, anchor)
            assert outcomes.pop((name, back), (0.0, 0.0)) == (
                orders,
                pytest.approx(float(spend), rel=1e-12),
            )
    assert not outcomes


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_purchase_days_are_those_of_the_oracle(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    drawn = data.draw(logs(as_of, years=1))
    customers = known_customers(dict(sorted(drawn.items())), as_of)
    expected = by_the_oracle(customers, as_of)
    for implementation in (in_a_table, by_a_query, in_memory):
        net_days = implementation(customers, as_of)
        assert {name: [day for day, _ in days] for name, days in net_days.items()} == {
            name: [day for day, _ in days] for name, days in expected.items()
        }
        assert [s for days in net_days.values() for _, s in days] == pytest.approx(
            [s for days in expected.values() for _, s in days], rel=1e-12
        )


def test_the_oracle_agrees_with_a_calculation_by_hand() -> None:
    # 10, 20 and 40 bought, 45 refunded, 5 bought, 6 refunded
    events = [
        purchase(0, 10.0),
        purchase(10, 20.0),
        purchase(30, 40.0),
        refund(32, 45.0),
        purchase(40, 5.0),
        refund(41, 6.0),
    ]
    net = oracle.purchase_days(events)
    assert net == {date(2020, 3, 1): Fraction(10), date(2020, 3, 11): Fraction(14)}

"""Refunds take back what was bought last, and only once they are known: by hand, by a stack, in
SQL and in memory.
"""

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
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.record import PurchaseDays
from stagecast.features.requests import Event
from tests.parity import oracle
from tests.parity.evaluators import Evaluate, by_each
from tests.parity.logs import DAY, TICK, Customers, as_ofs, event_log, logs, requests, utc

START, AS_OF = utc("2020-03-01"), utc("2020-06-01")
CATALOG = standard(90).with_parameters(shop_gap_days=30.0)
Left = dict[str, list[tuple[int, float]]]


def at(
    day: float, amount: float | None = 0.0, kind: str = "purchase", known: float | None = None
) -> Event:
    """Return an event ``day`` days after the start, at noon, known ``known`` days after the
    start.
    """
    noon = START + timedelta(hours=12)
    return Event(
        noon + timedelta(days=day),
        kind,
        amount,
        None,
        None if known is None else noon + known * DAY,
    )


def back(day: float, amount: float | None, known: float | None = None) -> Event:
    return at(day, amount, "refund", known)


def _named(days: PurchaseDays, names: list[str]) -> Left:
    left: Left = {name: [] for name in names}
    for customer, day, spend in zip(days.customer, days.day, days.spend, strict=True):
        left[names[customer]].append((int(day), float(spend)))
    return left


def in_sql(customers: Customers, as_of: datetime) -> Left:
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        return _named(table.purchase_days(), list(table.customers))


def in_memory(customers: Customers, as_of: datetime) -> Left:
    return _named(MemoryEvents(requests(customers), as_of).purchase_days(), list(customers))


def by_the_oracle(customers: Customers, as_of: datetime) -> Left:
    known = {name: [e for e in some if e.seen_from(as_of)] for name, some in customers.items()}
    return {
        name: [
            ((day - date(1970, 1, 1)).days, float(spend))
            for day, spend in oracle.purchase_days(some).items()
        ]
        for name, some in known.items()
    }


WAYS = pytest.mark.parametrize("way", [in_sql, in_memory, by_the_oracle])
Way = Callable[[Customers, datetime], Left]

TWO = (at(1, 10.0), at(5, 20.0))
WORKED: dict[str, tuple[tuple[Event, ...], list[tuple[int, float]]]] = {
    "all of a day": ((*TWO, back(9, 20.0)), [(1, 10.0)]),
    "a part of a day": ((*TWO, back(9, 5.0)), [(1, 10.0), (5, 15.0)]),
    "one day and a part of the day before": ((*TWO, back(9, 25.0)), [(1, 5.0)]),
    "more than was ever bought": ((*TWO, back(9, 50.0)), []),
    "what is over is owed by no later purchase": ((*TWO, back(9, 50.0), at(10, 7.0)), [(10, 7.0)]),
    "a purchase before the log": ((back(0, 100.0), *TWO), [(1, 10.0), (5, 20.0)]),
    "the day before the last refund, not the last day": ((*TWO, back(2, 10.0)), [(5, 20.0)]),
    "an earlier and a later purchase": (
        (at(1, 10.0), back(2, 4.0), at(5, 20.0), back(9, 22.0)),
        [(1, 4.0)],
    ),
    "in several goes": ((*TWO, back(6, 8.0), back(6, 8.0), back(40, 4.0)), [(1, 10.0)]),
    "purchases of one day": ((at(1, 10.0), at(1.1, 5.0), at(1.2, 1.0), back(3, 6.0)), [(1, 10.0)]),
    "on its own day, whichever came first": (
        (at(1, 10.0), back(4.7, 20.0), at(5, 20.0)),
        [(1, 10.0)],
    ),
    "by the millionth": ((at(1, 0.1), at(1.1, 0.2), back(2, 0.299999)), [(1, 0.000001)]),
    "sums that binary fractions miss": ((at(1, 0.1), at(1.1, 0.2), back(2, 0.3)), []),
    "a purchase for nothing cannot be": ((at(1, 10.0), at(5, 0.0), back(6, 10.0)), [(5, 0.0)]),
    "a purchase for nothing beside another one goes with it": (
        (at(1, 0.0), at(1.1, 5.0), back(2, 5.0)),
        [],
    ),
    "a refund of nothing takes nothing": ((*TWO, back(9, 0.0)), [(1, 10.0), (5, 20.0)]),
    "a log without amounts": ((at(1, None), at(5, None), back(9, None)), [(1, 0.0), (5, 0.0)]),
}


@WAYS
@pytest.mark.parametrize("case", WORKED)
def test_what_a_refund_takes_back(case: str, way: Way) -> None:
    events, left = WORKED[case]
    # another customer's purchases are not touched, wherever they stand
    others = {"0": TWO, "z": TWO} if events[0].amount is not None else {}
    found = way({**others, "a": events}, AS_OF)
    first = int(day_number(START))
    whole = {name: [(day - first, spend) for day, spend in days] for name, days in found.items()}
    assert whole == {**{name: [(1, 10.0), (5, 20.0)] for name in others}, "a": left}


@WAYS
def test_a_refund_takes_nothing_back_before_it_is_known(way: Way) -> None:
    life = (*TWO, back(9, 20.0, known=30))
    told = START + timedelta(hours=12) + 30 * DAY
    assert [len(way({"a": life}, as_of)["a"]) for as_of in (told, told + TICK)] == [2, 1]
    assert [
        len(way({"a": (*TWO, back(9, 20.0))}, START + days * DAY)["a"]) for days in (9, 10)
    ] == [2, 1]


@by_each
def test_a_day_taken_back_in_full_is_in_no_feature_of_purchase_days(evaluate: Evaluate) -> None:
    life = (at(0, 8.0), at(10, 10.0), at(30, 20.0), at(70, 40.0), back(72, 45.0))
    less = (at(0, 8.0), at(10, 10.0), at(30, 15.0))
    found, without = (evaluate({"a": some}, AS_OF, [0], CATALOG)["a", 0] for some in (life, less))
    gross = {
        "purchase_spend": 78.0,
        "refund_spend": 45.0,
        "purchase_events": 4.0,
        "refund_share": 45 / 78,
        "refunds": 1,
    }
    assert {name: found[name] for name in gross} == pytest.approx(gross)
    net = {
        "orders": 3,
        "frequency": 2,
        "T_days": 92,
        "t_x_days": 30,
        "recency_days": 62,
        "gap_last": 20,
        "spend": 33,
    }
    assert {name: found[name] for name in net} == net
    assert (found["monetary"], found["spend_mean"], found["spend_last"]) == (12.5, 11.0, 15.0)
    rest = set(CATALOG.names) - set(gross)
    assert {name: found[name] for name in rest} == pytest.approx(
        {name: without[name] for name in rest}, nan_ok=True
    )


@by_each
def test_who_gave_everything_back_has_not_bought(evaluate: Evaluate) -> None:
    found = evaluate({"a": (at(1, 10.0), back(4, 10.0))}, AS_OF, [0], CATALOG)["a", 0]
    assert (found["orders"], found["spend"], found["purchase_spend"], found["weekdays"]) == (
        0,
        0,
        10,
        0,
    )
    assert math.isnan(found["recency_days"])


def outcome(
    life: tuple[Event, ...], horizon: int = 30, anchor_day: int = 60
) -> tuple[float, float]:
    """Return orders and spend within ``horizon`` days of day 20 of the start, as known
    ``anchor_day`` days after it.
    """
    with event_log({"a": (at(0, 100.0), *life)}) as log:
        columns = DailyTable(log.con, START + anchor_day * DAY).outcomes(horizon, [anchor_day - 20])
    return (
        (float(columns["orders"][0]), float(columns["spend"][0]))
        if len(columns["orders"])
        else (0.0, 0.0)
    )


@pytest.mark.parametrize(
    ("life", "want"),
    [
        ((at(20, 30.0), at(49, 10.0)), (2, 40)),
        ((at(20, 30.0), at(49, 10.0), back(49.1, 10.0)), (1, 30)),
        ((at(20, 30.0), at(40, 10.0), back(49, 15.0)), (1, 25)),
        # of a purchase before the window: no concern of the window
        ((at(5, 40.0), back(25, 40.0)), (0, 0)),
        ((at(5, 40.0), back(25, 40.0), at(30, 7.0)), (1, 7)),
        ((at(5, 40.0), at(22, 9.0), back(25, 40.0)), (0, 0)),
        # after the window, or not known at the anchor
        ((at(20, 30.0), back(50, 30.0)), (1, 30)),
        ((at(20, 30.0), back(30, 30.0, known=61)), (1, 30)),
        ((at(20, 30.0), back(30, 30.0, known=59)), (0, 0)),
        ((at(20, 0.0), at(21, 5.0), back(30, 5.0)), (1, 0)),
    ],
)
def test_refunds_of_the_window_take_back_purchases_of_the_window(
    life: tuple[Event, ...], want: tuple[float, float]
) -> None:
    assert outcome(life) == want


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_outcomes_are_what_the_stack_says(data: st.DataObject) -> None:
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
    got = {(names[int(c)], int(b)): (orders, spend) for c, b, orders, spend in rows}
    for name, some in customers.items():
        for ago in backs:
            start = anchor - ago * DAY
            orders, spend = oracle.outcome(some, start, start + horizon * DAY, anchor)
            assert got.pop((name, ago), (0.0, 0.0)) == (
                orders,
                pytest.approx(float(spend), rel=1e-12),
            )
    assert not got


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_purchase_days_are_what_the_stack_says(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    drawn = data.draw(logs(as_of, years=1))
    customers = {
        name: some for name, some in sorted(drawn.items()) if any(e.seen_from(as_of) for e in some)
    }
    want = by_the_oracle(customers, as_of)
    for way in (in_sql, in_memory):
        got = way(customers, as_of)
        assert {name: [day for day, _ in days] for name, days in got.items()} == {
            name: [day for day, _ in days] for name, days in want.items()
        }
        assert [s for days in got.values() for _, s in days] == pytest.approx(
            [s for days in want.values() for _, s in days], rel=1e-12
        )


def test_the_stack_is_what_one_would_do_with_receipts() -> None:
    """The oracle itself, on a life short enough to follow: 10, 20 and 40 bought, 45 given back,
    5 bought, 6 back.
    """
    life = [at(0, 10.0), at(10, 20.0), at(30, 40.0), back(32, 45.0), at(40, 5.0), back(41, 6.0)]
    left = oracle.purchase_days(life)
    assert left == {date(2020, 3, 1): Fraction(10), date(2020, 3, 11): Fraction(14)}

"""What customers did in a window: whole days, hours of the start, refunds, zones, wrong logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from stagecast.features.contracts import Terms
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.targeting.plan.observed import (
    look_days,
    observe,
    observed_at_end,
    outcomes_by_customer,
)

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def log_of(*rows, **options):
    before = [("a", START - 20 * DAY, 5.0, "purchase"), ("b", START - 9 * DAY, 5.0, "purchase")]
    end = [("z", START + 60 * DAY, 1.0, "purchase")]
    columns = ["customer_id", "timestamp", "amount", "event"]
    return from_frame(pd.DataFrame([*before, *rows, *end], columns=columns), ReadOptions(**options))


def buy(customer, at, amount=10.0):
    return customer, at, amount, "purchase"


def test_orders_and_money_up_to_each_look():
    rows = [buy("a", START), buy("a", START + 12 * DAY), buy("b", START + 30 * DAY)]
    with log_of(*rows) as log:
        seen_days = observe(log, ["b", "a"], START, 30)
    assert seen_days.days.tolist() == look_days(30).tolist()
    assert seen_days.closed
    assert seen_days.orders[0].tolist() == [0.0] * 10
    assert seen_days.orders[1].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert seen_days.spend[1][-1] == 20.0
    assert seen_days.until == START + 30 * DAY


def test_an_order_of_the_first_day_counts_from_the_hour_of_the_start_on():
    start = START + 12 * HOUR
    with log_of(buy("a", START + 11 * HOUR), buy("b", START + 13 * HOUR)) as log:
        orders = observe(log, ["a", "b"], start, 10).orders
    assert orders[:, -1].tolist() == [0.0, 1.0]


def test_a_window_begins_and_ends_with_the_days_of_the_shop():
    # midnight in Moscow is 21:00 of UTC
    start = START - 3 * HOUR
    rows = [
        buy("a", start - HOUR),
        buy("b", start + HOUR),
        buy("b", start + 9 * DAY + 23 * HOUR),
        buy("b", start + 10 * DAY),
    ]
    with log_of(*rows, day_zone="Europe/Moscow") as log:
        outcome = observe(log, ["a", "b"], start, 10)
    assert outcome.orders[:, -1].tolist() == [0.0, 2.0]
    assert outcome.until == start + 10 * DAY


def test_a_refund_takes_its_order_back():
    rows = [buy("a", START + DAY), ("a", START + 2 * DAY, 10.0, "refund")]
    with log_of(*rows) as log:
        outcome = observe(log, ["a"], START, 10)
    assert (outcome.orders[0, -1], outcome.spend[0, -1]) == (0.0, 0.0)


def test_an_open_window_is_known_up_to_its_last_look():
    with log_of(buy("a", START + DAY), buy("a", START + 8 * DAY)) as log:
        outcome = observe(log, ["a"], START, 30, until=START + 8 * DAY)
        assert not outcome.closed
        assert outcome.days.tolist() == [3, 6]
        assert outcome.orders[0].tolist() == [1.0, 1.0]
        with pytest.raises(NotEnoughDataError, match=r"first look .* is 3 days after it"):
            observe(log, ["a"], START, 30, until=START + 2 * DAY)


def test_a_log_that_begins_in_the_window_is_refused():
    with log_of() as log, pytest.raises(NotEnoughDataError, match="the log begins at"):
        observe(log, ["a"], START - 30 * DAY, 30)


def test_a_log_of_other_customers_is_refused():
    with log_of() as log, pytest.raises(DataRefusedError, match="none of the 2 customers"):
        observe(log, ["x", "y"], START, 30)


def test_counted_outcomes_of_an_open_window_are_refused():
    with pytest.raises(NotEnoughDataError, match="the window is open until"):
        observed_at_end({}, ["a"], 30, datetime.now(UTC) + DAY)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("x", 1, None)], "'x' is not on the list of plan p"),
        ([("a", 1, None), ("a", 1, None)], "more than once"),
        ([("a", -1, None)], "-1 orders"),
        ([("a", 1, 5.0), ("b", 1, None)], "no spend"),
    ],
)
def test_counted_outcomes_that_cannot_be_are_refused(rows, says):
    with pytest.raises(DataRefusedError, match=says):
        outcomes_by_customer(rows, ["a", "b"], "p")


def test_who_is_missing_from_counted_outcomes_has_ordered_nothing():
    rows = outcomes_by_customer([("a", 2.0, 5.0)], ["a", "b"], "p")
    outcome = observed_at_end(rows, ["a", "b"], 30, START)
    assert outcome.orders[:, 0].tolist() == [2.0, 0.0]
    assert outcome.spend[:, 0].tolist() == [5.0, 0.0]


def test_of_contracts_the_log_tells_who_stayed_and_what_they_paid():
    rows = [
        ("a", START - 5 * DAY, 0.0, "signup"),
        ("b", START - 5 * DAY, 0.0, "signup"),
        ("b", START + 4 * DAY, 0.0, "cancel"),
        buy("a", START + 3 * DAY, 20.0),
        buy("b", START + 1 * DAY, 20.0),
    ]
    with log_of(*rows) as log:
        stayed = observe(log, ["b", "a", "nobody"], START, 10, terms=Terms())
    assert stayed.orders[:, [2, -1]].tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert stayed.spend[:, -1].tolist() == [20.0, 20.0, 0.0]

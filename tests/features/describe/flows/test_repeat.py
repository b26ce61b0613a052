"""The next order: by hand, interval by formula, CDNOW by a plain count, and short logs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.demo import cdnow_frame
from stagecast.features.describe.flows import repeat_orders
from stagecast.features.record import PurchaseDays
from tests.features.describe.flows.made import at, bought, instant, rows


def orders(*customers: list[int]) -> PurchaseDays:
    return bought(*[[(day, 1.0) for day in days] for days in customers])


def test_worked_by_hand() -> None:
    log = orders([0, 10, 20], [0, 400], [0], [700])
    # the last observed day is 799. After the first order: gaps of 10 and 400, open 799 and 99; so
    # 3/4 wait longer than 10 days, and of the two still at risk at 400 one goes on: 3/8. After the
    # second: a gap of 10, open 399. After the third: open 779.
    table = repeat_orders(log, at(800), min_customers=1)
    numbers = rows(
        table,
        "order",
        "customers",
        "went_on",
        "share_went_on",
        "share_within_365d",
        "median_days_to_next",
    )
    assert numbers == [
        (1, 4, 2, 0.5, pytest.approx(0.25), 400.0),
        (2, 2, 1, 0.5, pytest.approx(0.5), 10.0),
        (3, 1, 0, 0.0, 0.0, None),
    ]
    # log-log: S ^ exp(+-1.96 * sqrt(Greenwood's sum) / ln S), Greenwood's sum being 1 / (4 * 3)
    swing = math.exp(1.959964 * math.sqrt(1 / 12) / math.log(0.75))
    low, high = rows(table, "share_within_365d_low", "share_within_365d_high")[0]
    assert (low, high) == (pytest.approx(1 - 0.75**swing), pytest.approx(1 - 0.75 ** (1 / swing)))
    assert 0 < low < 0.25 < high < 1
    # nobody went on: the formula has no interval
    assert rows(table, "share_within_365d_low", "share_within_365d_high")[2] == (None, None)


def test_cdnow_is_a_plain_share_because_all_were_observed_for_a_year() -> None:
    frame = (
        cdnow_frame()
        .drop_duplicates(["customer_id", "timestamp"])
        .sort_values(["customer_id", "timestamp"])
    )
    day = frame["timestamp"].to_numpy().astype("datetime64[D]").astype(np.int64)
    customer = frame["customer_id"].astype("category").cat.codes.to_numpy().astype(np.int64)
    first_row = repeat_orders(
        PurchaseDays(customer, day, np.ones(len(day)), day * DAY), instant("1998-07-01")
    ).to_pylist()[0]
    nth = frame.groupby("customer_id").cumcount().to_numpy()
    first, second = (dict(zip(customer[nth == n], day[nth == n], strict=True)) for n in (0, 1))
    assert first_row["customers"] == len(first) == 23_570
    assert first_row["went_on"] == len(second)
    within = sum(second[c] - first[c] <= 365 for c in second) / len(first)
    assert first_row["share_within_365d"] == pytest.approx(within, rel=1e-12)
    # the normal interval of so many customers is not far from the log-log one
    spread = 1.96 * math.sqrt(within * (1 - within) / len(first))
    assert first_row["share_within_365d_high"] == pytest.approx(within + spread, abs=1e-4)


@pytest.mark.slow
def test_the_chance_of_a_simulated_shop_is_recovered_though_most_came_lately() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    first = rng.integers(0, 500, n)
    gap = np.ceil(rng.exponential(500, n)).astype(np.int64)
    log = orders(
        *[
            [f, f + g] if f + g < 500 else [f]
            for f, g in zip(first.tolist(), gap.tolist(), strict=True)
        ]
    )
    first_row = repeat_orders(log, at(500)).to_pylist()[0]
    truth = 1 - math.exp(-365 / 500)
    assert first_row["share_within_365d_low"] < truth < first_row["share_within_365d_high"]
    assert first_row["share_within_365d"] == pytest.approx(truth, abs=0.015)
    assert first_row["median_days_to_next"] == pytest.approx(500 * math.log(2), abs=20)
    # the naive share: exp(-1), with observation times uniform from 0 to 500 days
    assert first_row["share_went_on"] == pytest.approx(math.exp(-1), abs=0.015)


def test_null_where_the_log_is_shorter_than_a_year() -> None:
    late = orders(*[[100, 110]] * 3, [100])
    # the last observed day is 464: 364 days after the first order
    assert rows(repeat_orders(late, at(465), min_customers=1), "share_within_365d")[0] == (None,)
    assert rows(repeat_orders(late, at(466), min_customers=1), "share_within_365d")[0] == (
        pytest.approx(0.75),
    )
    # both went on within these forty days, which says nothing about a year
    assert rows(
        repeat_orders(orders([0, 10], [0, 30]), at(40), min_customers=2), "share_within_365d"
    )[0] == (None,)


def test_null_where_the_curve_ends_before_a_year_while_others_still_wait() -> None:
    assert rows(
        repeat_orders(orders([0, 10], [0, 10], [700]), at(800), min_customers=1),
        "share_within_365d",
    )[0] == (None,)
    # the last customer at risk went on after 50 days, so the curve falls to 0; that is no certainty
    assert rows(
        repeat_orders(orders([0, 50], [770]), at(800), min_customers=1), "share_within_365d"
    )[0] == (None,)


def test_all_observed_customers_went_on() -> None:
    table = repeat_orders(orders([0, 10], [0, 30]), at(800), min_customers=2)
    assert rows(table, "share_within_365d", "share_within_365d_low", "share_within_365d_high")[
        0
    ] == (1.0, None, None)


def test_a_partly_observed_day_counts_as_observed() -> None:
    # on day 10, at noon, one has ordered and the other has not
    table = repeat_orders(orders([0, 10], [0]), at(10.5), min_customers=2)
    assert rows(table, "went_on", "median_days_to_next") == [(1, 10.0)]


def test_the_table_ends_with_the_last_order_that_enough_customers_made() -> None:
    log = orders(*[[0, 1, 2]] * 30, *[[0, 1, 2, 3]] * 29)
    assert rows(repeat_orders(log, at(10)), "order", "customers") == [(1, 59), (2, 59), (3, 59)]
    assert len(repeat_orders(orders(list(range(40))), at(50), min_customers=1)) == 20


def test_nobody_bought_and_nobody_came_back() -> None:
    assert len(repeat_orders(bought(), at(800), min_customers=0)) == 0
    table = repeat_orders(orders([0], [1]), at(800), min_customers=1)
    assert rows(table, "order", "went_on", "share_within_365d", "median_days_to_next") == [
        (1, 0, 0.0, None)
    ]


def test_orders_from_the_as_of_on_have_not_happened() -> None:
    assert repeat_orders(orders([0, 10, 500], [600]), at(500), min_customers=1).equals(
        repeat_orders(orders([0, 10]), at(500), min_customers=1)
    )

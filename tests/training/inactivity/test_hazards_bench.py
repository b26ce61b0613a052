"""The candidate of bench.hazards: known hazards are recovered, and nothing later is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.hazards import Purchases, features, p_none, periods_of, person_periods

AS_OF = pd.Timestamp("2022-07-01")
FIRST = pd.Timestamp("2022-01-01")
SPAN_DAYS = (AS_OF - FIRST).days


def log_of(customers: list[str], days: list[int]) -> pd.DataFrame:
    at = FIRST + pd.to_timedelta(np.array(days), unit="D")
    return pd.DataFrame({"customer_id": customers, "timestamp": at})


def test_periods_are_about_a_week_and_fill_the_horizon() -> None:
    assert periods_of(90) == (13, 7)
    assert periods_of(30) == (4, 8)
    assert periods_of(3) == (1, 3)


def test_a_hazard_that_is_the_same_for_all_is_recovered() -> None:
    per_day, customers = 0.03, 600
    random = np.random.default_rng(1)
    bought = random.uniform(size=(customers, SPAN_DAYS)) < per_day
    bought[:, 0] = True
    customer, day = np.nonzero(bought)
    log = log_of([f"c{k:03d}" for k in customer], day.tolist())

    p = p_none(log, AS_OF, 28)

    assert len(p) == customers
    # (1 - 0.03)^28; about 15,600 weeks of which a fifth had an order determine it to a few per cent
    assert abs(p.mean() / (1 - per_day) ** 28 - 1) < 0.06
    # nobody can be told apart: what differs is noise of the trees, which makes nobody certain
    assert p.min() > 0.1
    assert p.max() < 0.9


def test_who_buys_every_other_week_is_known_to_be_due() -> None:
    phases = np.arange(420) % 14
    pairs = [(f"c{k:03d}", day) for k, p in enumerate(phases) for day in range(p, SPAN_DAYS, 14)]
    log = log_of([name for name, _ in pairs], [day for _, day in pairs])
    # an order lies in the next seven days where the last one was seven days ago or earlier
    is_due = (SPAN_DAYS - phases) % 14 >= 8

    p = p_none(log, AS_OF, 7)
    is_due |= (SPAN_DAYS - phases) % 14 == 0

    assert p[is_due].max() < 0.1
    assert p[~is_due].min() > 0.9


def test_features_and_periods_see_nothing_later() -> None:
    days = {"a": [0, 10, 30, 60], "b": [5, 9, 55]}
    later = {"a": [*days["a"], 95, 101], "b": [*days["b"], 92]}

    def rows(by_customer: dict[str, list[int]]) -> pd.DataFrame:
        pairs = [(name, day) for name, each in by_customer.items() for day in each]
        return log_of([name for name, _ in pairs], [day for _, day in pairs])

    before, whole = (Purchases.of(rows(each)) for each in (days, later))
    number = (FIRST - pd.Timestamp(0)).days
    customer, known = np.array([0, 1]), np.full(2, number + 90)
    usual = before.usual_gap_days()
    assert usual == whole.usual_gap_days()  # fewer than 20 gaps
    for shift in (0, 7, 14):
        np.testing.assert_array_equal(
            features(before, customer, known, known + shift),
            features(whole, customer, known, known + shift),
        )
    _, day, _ = person_periods(whole, number + 90, 7)
    assert day.max() + 7 <= number + 90

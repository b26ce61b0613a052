"""The payments that contracts still have to make, against a calculation by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Contracts
from stagecast.training.billing import schedule as module
from stagecast.training.billing.periods import SILENCES, BillingPeriods, Period
from stagecast.training.billing.renewals import Renewals
from stagecast.training.billing.schedule import Schedule, Spans, schedule

AT_THE_END = (*[0.0] * 100, 1.0)
"""Contracts end when a payment falls due."""


def a_period(days: float, price: float, renewal: float, paid: float = 1.0) -> Period:
    """Return a period of one price with a constant probability of renewal."""
    many = 1e9
    return Period(
        days,
        0.01,
        paid,
        300,
        (price,) * 300,
        (0.0,) * len(SILENCES),
        (1.0, 1.0),
        Renewals((1.0 - renewal) * many, renewal * many, AT_THE_END),
    )


MONTH, YEAR = a_period(30.0, 20.0, 0.95), replace(a_period(365.0, 120.0, 0.7), customers=100)
BOTH = BillingPeriods((MONTH, YEAR))
SPANS = Spans(60, 365, 0.10, (365, 730))


def of(
    silence: Array,
    price: float,
    p_cancel: Array,
    *,
    periods: BillingPeriods = BOTH,
    spans: Spans = SPANS,
    ends: int = NEVER,
) -> Schedule:
    rows = len(silence)
    contracts = Contracts(
        0,
        np.ones(rows, dtype=np.bool_),
        np.ones(rows, dtype=np.bool_),
        silence,
        np.zeros(rows),
        np.full(rows, ends, dtype=np.int64),
        np.full(rows, np.nan),
    )
    columns = {
        "gap_last": np.full(rows, np.nan),
        "gap_mean": np.full(rows, np.nan),
        "recency_days": silence,
        "spend_last": np.full(rows, price),
        "orders": np.ones(rows),
    }
    return schedule(periods, columns, contracts, p_cancel, spans)


def test_a_yearly_payer_pays_once_a_year_if_it_goes_on() -> None:
    silence = np.array([10.5, 355.5])  # 354.5 and 9.5 days before the payment
    plan = of(silence, 120.0, np.array([1e-9, 0.3]))
    np.testing.assert_allclose(plan.share, 1.0, atol=1e-6)
    np.testing.assert_allclose(plan.orders, [0.0, 0.7], atol=1e-3)
    np.testing.assert_allclose(plan.p_none, [1.0, 0.3], atol=1e-3)
    discount = 1.1 ** (-np.array([354.5, 9.5]) / 365.0)
    # of the first one the horizon tells nothing: seven in ten renew
    np.testing.assert_allclose(plan.value, 0.7 * discount, rtol=0.02)
    np.testing.assert_allclose(plan.kept, discount, rtol=5e-3)
    np.testing.assert_allclose(plan.high, 1.0, atol=5e-3)
    np.testing.assert_allclose(plan.low, 0.0, atol=1e-6)
    np.testing.assert_allclose(plan.next_days, [354.5, 9.5])


def test_a_monthly_payer_follows_the_own_risk() -> None:
    usual = 1 - 0.95**2
    p_cancel = np.array([usual, 0.5])
    plan = of(np.array([10.0, 10.0]), 20.0, p_cancel)
    due = 20.0 + 30.0 * np.arange(12)
    discount = 1.1 ** (-due / 365.0)
    assert plan.value[0] == pytest.approx(
        (0.95 ** (np.arange(12) + 1.0) * discount).sum(), rel=0.01
    )
    # payments are due on days 20 and 50: the risk of the horizon is shared by the two
    assert plan.orders[1] == pytest.approx(np.sqrt(0.5) + 0.5, rel=0.01)
    assert plan.value[1] < 0.5 * plan.value[0]
    np.testing.assert_allclose(plan.kept, discount.sum(), rtol=1e-3)
    assert (plan.low <= plan.value).all()
    assert (plan.value <= plan.high).all()
    assert (plan.high <= 12.0 + 1e-6).all()


def test_years_add_up_and_a_longer_span_never_brings_less() -> None:
    plan = of(np.linspace(0.0, 40.0, 9), 20.0, np.full(9, 0.1))
    np.testing.assert_allclose(plan.until[:, 0], plan.value, rtol=1e-12)
    assert (np.diff(plan.until, axis=1) > 0).all()


def test_payments_that_are_left_out_do_not_come() -> None:
    week = a_period(7.0, 25.0, 0.99, 0.8)
    plan = of(np.array([2.0]), 25.0, np.array([1e-9]), periods=BillingPeriods((week,)))
    assert plan.orders[0] == pytest.approx(0.8 * 8, rel=0.01)  # days 5, 12, ... 54
    assert plan.p_none[0] == pytest.approx(0.2**8, abs=1e-6)
    assert 3.0 < plan.orders_low[0] < 6.4
    assert plan.orders_high[0] == pytest.approx(8.0)


def test_nothing_comes_after_a_known_end() -> None:
    ends = 35 * DAY_MICROSECONDS
    plan = of(np.array([10.0, 29.0]), 20.0, np.ones(2), ends=ends)
    np.testing.assert_allclose(plan.orders, [1.0, 2.0], atol=1e-3)  # days 20; 1 and 31
    np.testing.assert_allclose(plan.high, plan.orders, atol=1e-3)
    assert (plan.value < plan.kept).all()
    before_it = of(np.array([2.0]), 20.0, np.ones(1), ends=20 * DAY_MICROSECONDS)
    assert before_it.orders[0] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(before_it.next_days[0])


def test_an_overdue_payment_is_due_now() -> None:
    plan = of(np.array([32.0]), 20.0, np.array([0.1]))
    assert plan.next_days[0] < 1.0
    assert plan.orders[0] < 3.0


def test_few_rows_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    silence, p_cancel = np.linspace(0.0, 30.0, 50), np.linspace(0.01, 0.6, 50)
    whole = of(silence, 20.0, p_cancel)
    monkeypatch.setattr(module, "MAX_CELLS", 200)
    parts = of(silence, 20.0, p_cancel)
    for name in ("orders", "value", "kept", "low", "high", "until", "next_days"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_payments_of_each_week_add_up_over_ten_years() -> None:
    weekly = replace(a_period(7.0, 20.0, 1.0 - 1e-9), spread_days=0.5)
    spans = Spans(60, 365, 0.10, (365, 730, 3650))
    silence = np.array([0.0, 3.0, 6.0])
    plan = of(silence, 20.0, np.zeros(3), periods=BillingPeriods((weekly,)), spans=spans)
    number = np.arange(1.0, 530.0)
    due = 7.0 - silence[:, None] + 7.0 * (number - 1.0)
    for k, end in enumerate(spans.ends):
        comes = ndtr((end - due) / (0.5 * np.sqrt(number))) * 1.1 ** (-due / 365.0)
        np.testing.assert_allclose(plan.until[:, k], comes.sum(axis=1), rtol=1e-3)
    np.testing.assert_allclose(plan.kept, plan.until[:, 0], rtol=1e-3)
    np.testing.assert_allclose(plan.value, plan.until[:, 0], rtol=1e-12)


def test_payments_that_surely_come_or_do_not_are_not_worked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weekly = BillingPeriods((replace(a_period(7.0, 20.0, 0.98), spread_days=3.0),))
    silence, p_cancel = np.linspace(0.0, 9.0, 20), np.linspace(0.01, 0.6, 20)
    plan = of(silence, 20.0, p_cancel, periods=weekly)
    monkeypatch.setattr(module, "_CERTAIN", 1e9)  # all of them
    every = of(silence, 20.0, p_cancel, periods=weekly)
    for name in ("orders", "p_none", "value", "kept", "value_p_none", "low", "high", "until"):
        np.testing.assert_allclose(getattr(plan, name), getattr(every, name), rtol=1e-12)


def test_a_price_of_both_periods_is_shared_by_them() -> None:
    same = BillingPeriods((MONTH, replace(YEAR, prices=MONTH.prices)))
    fresh, later = of(np.array([5.0, 60.0]), 20.0, np.array([0.01, 0.01]), periods=same).kept
    assert 1.0 < fresh < 12.0
    assert later == pytest.approx(1.0, rel=0.1)  # nobody of a monthly plan waits for 60 days

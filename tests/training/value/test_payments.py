"""Ranges of the money of customers who pay a price at regular intervals."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import DueDate
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.fit_payments import fit_payments
from stagecast.training.value.payments import RegularPayments
from tests.training.made import Row, day, trained

PRICE = 30.0
RANDOM = Model("pareto_nbd", (2.0, 60.0, 1.0, 600.0), 0.0, 100)


def base_of(gap: float, phases: int = 96, due: DueDate | None = None) -> CustomerBase:
    """Return a base of customers whose gaps are all near to one."""
    regular = Model("mbg_nbd", (5_000.0, 5_000.0 * gap / phases, 1.0, 9.0), 0.0, 100, phases)
    return CustomerBase((regular, RANDOM), None, (0.9, 0.1), due)


def histories(
    paid: list[float], silence: list[float], gap: float, price: float = 30.0
) -> dict[str, Array]:
    """Return customers with so many gaps so far, and so many days since the last payment."""
    x, since = np.array(paid), np.array(silence)
    return {
        "frequency": x,
        "t_x_days": x * gap,
        "T_days": x * gap + since,
        "orders": x + 1.0,
        "spend_last": np.full(len(x), PRICE),
    }


def of_year(
    columns: dict[str, Array], base: CustomerBase, stays: float, count: Array
) -> tuple[Array, Array]:
    """Return the ends of a year's money, of payers of 30 who go on with a probability.

    ``count`` is the number of payments that fall due in it.
    """
    number = np.arange(1.0, count.max() + 1.0)
    of_number = np.where(number <= count[:, None], stays**number, 0.0)
    ends = RegularPayments(0.02, (1.0, 1.0)).ends(
        base,
        columns,
        365,
        0.0,
        np.full(len(count), 1.0 - stays),
        30.0 * of_number.sum(axis=1),
        np.full(len(count), 30.0),
    )
    return ends.low, ends.high


def test_nobody_is_told_of_more_payments_than_can_fall_due() -> None:
    gap = 365.25
    columns = histories([0.0, 1.0, 2.0, 3.0], [30.0, 180.0, 300.0, 20.0], gap)
    low, high = of_year(columns, base_of(gap), 0.85, np.ones(4))
    np.testing.assert_allclose(high, 30.0)
    np.testing.assert_allclose(low, 0.0)  # one in seven leaves
    low, _ = of_year(columns, base_of(gap), 0.97, np.ones(4))
    np.testing.assert_allclose(low, 0.97 * 30.0)  # it surely comes, and the range has the mean


def test_the_range_of_monthly_payers_covers_what_they_pay() -> None:
    # by drawing: due every 30 days, with a standard deviation of .6 days; each payment is the
    # last one with a probability
    random, gap, stays = np.random.default_rng(5), 30.0, 0.96
    silence = np.tile([3.0, 15.0, 27.0], 400)
    first = gap - silence + random.normal(0.0, 0.6, len(silence))
    due = first[:, None] + gap * np.arange(14)
    pays = np.cumprod(random.random(due.shape) < stays, axis=1)
    came = 30.0 * ((due < 365.0) * pays).sum(axis=1)
    count = np.floor((365.0 - (gap - silence)) / gap) + 1.0
    low, high = of_year(
        histories([12.0] * len(silence), silence.tolist(), gap), base_of(gap), stays, count
    )
    inside = ((came >= low - 1e-9) & (came <= high + 1e-9)).mean()
    assert 0.9 <= inside <= 0.97
    assert high.max() <= 30.0 * 13
    assert low.min() >= 30.0  # nine in ten pay at least once


def test_a_payment_that_is_late_is_still_one_and_those_after_it_are_not_lost() -> None:
    gap = 91.0
    columns = histories([6.0, 6.0], [90.0, 100.0], gap)
    _, high = of_year(columns, base_of(gap), 0.9, np.array([4.0, 4.0]))
    # due tomorrow or ten days ago: four or five dates in a year
    assert high.tolist() == pytest.approx([150.0, 150.0], abs=30.0)
    assert (high >= 120.0).all()


def test_on_a_date_of_the_year_there_is_one_payment_however_near_the_next_one_is() -> None:
    gap, columns = 365.2425, histories([1.0, 2.0], [340.0, 20.0], 365.2425)
    base = base_of(gap, 384, DueDate(10.0, 60.0, spread=5.0))
    _, high = of_year(columns, base, 0.9, np.array([1.0, 1.0]))
    np.testing.assert_allclose(high, 30.0)


def test_payments_are_not_counted_where_gaps_are_hardly_regular() -> None:
    assert base_of(30.0, 8).regular_model is None
    few = base_of(30.0, 96)
    assert CustomerBase(few.models, None, (0.4, 0.6)).regular_model is None
    assert few.regular_model == few.models[0]


def payers(prices: str, *, customers: int = 200) -> PurchaseDays:
    """Return monthly payments at a fixed price, at one that rises each year, or of any amount."""
    random = np.random.default_rng(3)
    rows = []
    for k in range(customers):
        price, begins = float(random.choice([9.0, 29.0])), int(random.integers(0, 60))
        for n in range(20):
            rise = 1.05 ** ((begins + 30 * n) // 365)
            amount = {
                "fixed": 1.0,
                "rising": rise,
                "risen once": 1.2 if begins + 30 * n > 300 else 1.0,
                "any": float(random.lognormal(0.0, 0.4)),
                "round": float(random.choice([1.0, 2.0, 2.5, 5.0])),
            }
            rows.append((k, begins + 30 * n, price * amount[prices]))
    customer, days, spend = (np.array(values) for values in zip(*rows, strict=True))
    day_number = days.astype(np.int64)
    return PurchaseDays(customer.astype(np.int64), day_number, spend, day_number * 86_400_000_000)


def test_a_price_may_rise_and_amounts_that_vary_are_no_price() -> None:
    base = base_of(30.0)
    fixed, rising = (
        fit_payments(payers("fixed"), base, 660.0),
        fit_payments(payers("rising"), base, 660.0),
    )
    assert fixed is not None
    assert fixed.later_price == (1.0, 1.0)
    assert fixed.spread < 0.05
    assert rising is not None
    assert rising.later_price[0] == 1.0
    assert rising.later_price[1] == pytest.approx(1.05)
    assert fit_payments(payers("risen once"), base, 660.0) is not None
    assert fit_payments(payers("any"), base, 660.0) is None
    assert fit_payments(payers("round"), base, 660.0) is None
    assert fit_payments(payers("fixed"), None, 700.0) is None
    assert RegularPayments.from_json(rising.to_json()) == rising


@pytest.mark.slow
def test_scores_of_yearly_payers_have_ranges_of_whole_payments(tmp_path: Path) -> None:
    random, price = np.random.default_rng(8), 80.0
    rows: list[Row] = []
    for k in range(220):
        at = float(random.uniform(0.0, 1_000.0))
        while at < 1_460:
            rows.append((f"c{k:03d}", day(int(at)), "purchase", price))
            if random.random() < 0.15:
                break
            at += 365.0 + float(random.normal(0.0, 5.0))
    as_of = day(1_095)
    done = trained(rows, tmp_path / "m", as_of, TrainConfig(horizon_days=90, max_dates=4))
    scores = done.scores().to_pylist()
    end = as_of + timedelta(days=365)
    came = {row["customer_id"]: 0.0 for row in scores}
    for customer, at, _, amount in rows:
        if as_of <= at < end and customer in came:
            came[customer] += float(amount or 0.0)
    active = [row for row in scores if row["state"] == "active"]
    assert len(active) > 80
    for row in active:
        ends = (row["clv_low"], row["clv"], row["clv_high"])
        assert list(ends) == sorted(ends)
        assert row["clv_high"] <= (1.0 if row["recency_days"] < 270 else 2.0) * price + 1e-9
        if 0.05 * price < row["clv"] < 0.95 * price:
            assert row["clv_high"] > row["clv"]
    # nothing is gone before the next payment falls due; then the silence says who has left
    waits = [row for row in active if row["recency_days"] < 300]
    assert len(waits) > 50
    for row in waits:
        assert row["p_alive"] == pytest.approx(1.0, abs=1e-3)
        assert row["value_gone"] < 0.005 * price
        assert row["loss_per_week"] < 0.005 * price
    # three in twenty leave at a payment, of which about one falls due in a year
    at_risk = np.mean([row["value_at_risk"] for row in waits])
    assert 0.08 * price < at_risk < 0.25 * price
    silent = [row for row in scores if row["recency_days"] > 450]
    assert min(row["value_gone"] for row in silent) > 0.8 * price
    assert max(row["value_at_risk"] for row in silent) < 0.01 * price
    # clv is discounted by up to a tenth
    inside = [
        row["clv_low"] <= came[row["customer_id"]] <= 1.1 * row["clv_high"] + 1e-6 for row in active
    ]
    assert np.mean(inside) >= 0.9

"""The median day of the next order: by a closed form as by bisection, and null where it is late."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.one_row.next_order import next_order_of_one
from stagecast.training.one_row.predictions import BaseOutlook
from stagecast.training.waiting.next_order import median_days_to_order
from tests.training.made import Trained


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd"])
def test_the_closed_form_gives_the_days_of_the_bisection(
    shop: Trained, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    draw = np.random.default_rng(3)
    rows = 2000
    x = np.floor(draw.exponential(4.0, rows))
    T = np.ceil(draw.uniform(1.0, 900.0, rows))
    columns = {
        "frequency": x,
        "T_days": T,
        "t_x_days": np.where(x > 0, np.floor(T * draw.random(rows)), 0.0),
        "recency_days": T,
    }
    p_inactive = np.r_[draw.random(rows - 4), 0.0, 1.0, 1e-12, 0.5]
    base = CustomerBase((Model(name, (0.6, 40.0, 0.8, 2.5), 0.0, 1),), None)
    rule = shop.training.models.churn.rule
    by_formula = median_days_to_order(base, rule, 90, columns, p_inactive)
    monkeypatch.setattr(Model, "days_until", lambda *_: None)
    by_halving = median_days_to_order(base, rule, 90, columns, p_inactive)
    np.testing.assert_array_equal(np.isnan(by_formula), np.isnan(by_halving))
    assert 0.2 < np.isnan(by_formula).mean() < 0.9
    # a cell of the bisection is 1e-4 days wide; close to the probability of having left, the last
    # bits of a probability are more
    np.testing.assert_allclose(by_formula, by_halving, atol=0.1)
    dated = ~np.isnan(by_formula)
    assert (by_formula[dated] == by_halving[dated]).mean() > 0.99


# Who pays every 365 days, give or take a few weeks: 48 phases in a gap, one customer in four leaves
# after each payment.
YEARLY = Model("mbg_nbd", (480.0, 3650.0, 25.0, 75.0), 0.0, 1_000, regularity=48)


def yearly_payers(due: np.ndarray) -> dict[str, np.ndarray]:
    """Return payers of two years whose next payment falls due in so many days, shape (rows,)."""
    T = 3 * 365.0 - due
    return {
        "frequency": np.full(len(due), 2.0),
        "t_x_days": np.full(len(due), 730.0),
        "T_days": T,
        "recency_days": T - 730.0,
    }


@pytest.mark.parametrize("p_none", [0.9, 0.98, 0.993, 0.9999])
def test_a_payment_due_long_after_the_horizon_has_its_own_date(
    shop: Trained, p_none: float
) -> None:
    # nobody pays within the horizon, and the pool says so with one probability or another
    due = np.array([300.0, 250.0, 200.0])
    base = CustomerBase((YEARLY,), None)
    pooled = np.full(len(due), p_none)
    rule = shop.training.models.churn.rule
    days = median_days_to_order(base, rule, 90, yearly_payers(due), pooled)
    # three in four pay, so half of all have paid somewhat after the middle of the payments
    assert (np.abs(days - due) < 50).all()
    assert (np.diff(days) < 0).all()


def test_a_date_within_the_horizon_is_the_one_of_the_pool(shop: Trained) -> None:
    due = np.array([20.0, 40.0])
    base, pooled = CustomerBase((YEARLY,), None), np.array([0.4, 0.4])
    rule = shop.training.models.churn.rule
    days = median_days_to_order(base, rule, 90, yearly_payers(due), pooled)
    assert ((days > 0) & (days < 90)).all()
    # and where the pool says that an order is less likely than not, it is later or never
    doubted = median_days_to_order(base, rule, 90, yearly_payers(due), np.array([0.9, 0.9]))
    assert (np.isnan(doubted) | (doubted > 90)).all()


@pytest.mark.parametrize("p_none", [0.2, 0.6, 0.98])
def test_the_date_of_one_payer_is_that_of_the_table(shop: Trained, p_none: float) -> None:
    due = np.arange(5.0, 360.0, 25.0)
    columns, base = yearly_payers(due), CustomerBase((YEARLY,), None)
    rule = shop.training.models.churn.rule
    days = median_days_to_order(base, rule, 90, columns, np.full(len(due), p_none))
    one = next_order_of_one(90)
    history = zip(columns["frequency"], columns["t_x_days"], columns["T_days"], strict=True)
    by_row = [
        one(BaseOutlook(base, (), None, (float(x), float(t_x), float(T)), {}, np.zeros(0)), p_none)
        for x, t_x, T in history
    ]
    np.testing.assert_array_equal(days, by_row)

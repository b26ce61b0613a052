"""When the next payment of a payer falls due, and what is at risk and gone until then."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.billing.calendar import YEAR, DueDate
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.due import own_gaps
from stagecast.training.value.kept import parts_of_buyers, still_until_due
from stagecast.training.value.model import ValueModel
from stagecast.training.value.payments import RegularPayments
from stagecast.training.waiting.price import price_of_waiting
from tests.training.value.test_payments import base_of, histories

SPREAD = 0.02


def test_a_payment_has_fallen_due_as_often_as_drawn_gaps_are_over() -> None:
    gap, silence = 30.0, [20.0, 29.0, 30.0, 31.0, 40.0]
    gaps = own_gaps(base_of(gap), histories([12.0] * 5, silence, gap), SPREAD)
    assert gaps is not None
    # by drawing: what a customer's own gap is, and the days of the next payment around it
    random = np.random.default_rng(2)
    rate = random.gamma(5_000.0 + 96 * 12, 1.0 / (5_000.0 * gap / 96 + 12 * gap), 200_000)
    drawn = 96 / rate + random.normal(0.0, SPREAD * gap, len(rate))
    over = [(drawn < days).mean() for days in silence]
    np.testing.assert_allclose(gaps.ended, over, atol=0.01)


def test_on_a_date_of_the_year_it_falls_due_on_the_date() -> None:
    base = base_of(YEAR, 384, DueDate(10.0, 60.0, spread=5.0))
    gaps = own_gaps(base, histories([0.0, 3.0, 3.0], [300.0, 365.0, 380.0], YEAR), SPREAD)
    assert gaps is not None
    assert gaps.ended.round(2).tolist() == [0.0, 0.48, 1.0]


def test_without_regular_gaps_or_a_price_nobody_knows_when_customers_decide() -> None:
    columns = histories([12.0], [10.0], 30.0)
    assert own_gaps(base_of(30.0, 8), columns, SPREAD) is None
    assert ValueModel(30.0).ended(base_of(30.0), columns) == 1.0
    payments = RegularPayments(SPREAD, (1.0, 1.0))
    assert ValueModel(30.0, payments=payments).ended(base_of(30.0, 8), columns) == 1.0
    ended = ValueModel(30.0, payments=payments).ended(base_of(30.0), columns)
    assert np.asarray(ended).tolist() == pytest.approx([0.0], abs=1e-6)


def test_what_is_gone_waits_until_the_payment_is_due_and_nothing_is_lost_between() -> None:
    # one payment of 49 a year, and one payer in ten does not go on
    alive, one = np.full(3, 0.9), np.ones(3)
    ended = np.array([0.0, 0.5, 1.0])
    parts = parts_of_buyers(44.1 * one, alive, one, one, one, 49.0 * one, ended)
    assert parts.at_risk.tolist() == pytest.approx([4.9, 2.45, 0.0])
    assert parts.gone.tolist() == pytest.approx([0.0, 2.45, 4.9])
    assert still_until_due(alive, ended).tolist() == pytest.approx([1.0, 0.95, 0.9])


def test_a_week_of_waiting_costs_something_from_when_the_payment_is_due() -> None:
    base = base_of(YEAR)
    columns = histories([3.0, 3.0, 3.0], [100.0, 340.0, 370.0], YEAR)
    model = ValueModel(30.0, payments=RegularPayments(SPREAD, (1.0, 1.0)))

    def cost(base: CustomerBase) -> list[float]:
        waiting = price_of_waiting(
            base.models[0],
            columns,
            np.array([1.0, 0.2, 0.3]),
            np.full(3, 10.0),
            horizon_days=90,
            value_days=365,
            ended=lambda at: model.ended(base, at),
        )
        return waiting.loss_per_week.tolist()

    early, soon, due = cost(base)
    assert early == pytest.approx(0.0, abs=1e-6)
    assert soon < 1.0
    assert due > 1.0

"""How late payments come, by the payments of a log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR, DueDate
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_dates import with_dates

RANDOM = Model("pareto_nbd", (2.0, 60.0, 1.0, 600.0), 0.0, 100)


def base_of(gap: float, phases: int = 96) -> CustomerBase:
    regular = Model("mbg_nbd", (900.0, 900.0 * gap / phases, 1.0, 9.0), 0.0, 100, phases)
    return CustomerBase((regular, RANDOM), None, (0.95, 0.05))


def payments(gap: float, spread: float, *, late: float = 0.0, customers: int = 150) -> PurchaseDays:
    """Return four payments of each customer, a share of which is 20 days late."""
    random = np.random.default_rng(4)
    rows = []
    for customer in range(customers):
        first = float(random.uniform(0.0, gap))
        for n in range(4):
            delay = 20.0 if n and random.random() < late else 0.0
            rows.append((customer, round(first + n * gap + random.normal(0.0, spread) + delay)))
    customer, day = (np.array(values, dtype=np.int64) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, day, np.ones(len(day)), day * 86_400_000_000)


def test_dates_are_known_to_a_day_or_two_and_who_is_late_is_seen() -> None:
    known = with_dates(base_of(YEAR), payments(YEAR, 1.0, late=0.04)).models
    assert known[1] == RANDOM
    assert isinstance(known[0], DatedModel)
    assert known[0].spread * YEAR < 3.0
    # 20 days, more where another payment of the customer came 20 days after a late one
    assert 15.0 < known[0].lateness[-2] * YEAR < 35.0
    _, unknown = known[0].gaps(np.array([0.0, 3.0]), np.array([0.0, 3.0 * YEAR]))
    assert (unknown < 2.0).all()
    # who left a year out, and came back half a year late, has no gap of one and a half years
    gap, _ = known[0].gaps(np.array([1.0]), np.array([550.0]))
    assert gap[0] == pytest.approx(YEAR, rel=0.01)


def two_plans() -> PurchaseDays:
    """Return monthly and yearly payments of as many customers."""
    monthly, yearly = payments(30.4, 1.0), payments(YEAR, 1.0)
    customer = np.r_[monthly.customer, yearly.customer + 1_000]
    day = np.r_[monthly.day, yearly.day]
    return PurchaseDays(customer, day, np.ones(len(day)), day * 86_400_000_000)


@pytest.mark.parametrize(
    ("base", "days"),
    [
        (base_of(YEAR, 1), payments(YEAR, 1.0)),  # gaps that are random
        (base_of(YEAR), two_plans()),  # gaps of customers differ
        (base_of(YEAR), payments(YEAR, 40.0)),  # no date
        (base_of(YEAR), payments(YEAR, 1.0, customers=4)),  # too few
    ],
)
def test_where_nothing_says_on_which_day_a_payment_is_due_there_are_no_dates(
    base: CustomerBase, days: PurchaseDays
) -> None:
    assert with_dates(base, days) is base


def test_on_a_date_of_the_year_lateness_is_that_of_the_date() -> None:
    random, rows = np.random.default_rng(2), []
    for customer in range(80):
        rows.append((customer, int(random.integers(100, 300))))
        rows += [(customer, round(365.25 * n + 30.0 + random.normal(4.0, 2.0))) for n in (1, 2)]
    customer, day = (np.array(values, dtype=np.int64) for values in zip(*rows, strict=True))
    days = PurchaseDays(customer, day, np.ones(len(day)), day * 86_400_000_000)
    base = replace(base_of(YEAR, 384), due=DueDate(30.0, 60.0, spread=5.0))
    (model, _) = with_dates(base, days).models
    assert isinstance(model, DatedModel)
    assert model.usual * YEAR == pytest.approx(4.0, abs=1.0)
    assert model.spread * YEAR == pytest.approx(2.0, abs=1.0)

"""How many customers of a plan buy at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.learners.random_customers import less_random
from tests.training.learners.test_fit_dates import base_of

MONTH = 30.4


def purchases(payers: int, shoppers: int) -> PurchaseDays:
    """Return monthly payments, a quarter of them a week late, and purchases at random."""
    random, rows = np.random.default_rng(2), []
    for customer in range(payers + shoppers):
        if customer < payers:
            due = random.uniform(0.0, MONTH) + MONTH * np.arange(8)
            at = due + 7.0 * (random.random(8) < 0.25)
        else:
            at = np.cumsum(random.exponential(MONTH, 8) + 1.0)
        rows += [(customer, round(day)) for day in at]
    customer, day = (np.array(values, dtype=np.int64) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, day, np.ones(len(day)), day * 86_400_000_000)


def test_payers_who_are_late_are_not_random_and_shoppers_are() -> None:
    base = replace(base_of(MONTH), weights=(0.85, 0.15))
    late = less_random(base, purchases(200, 0)).weights
    assert late[1] < 0.02
    assert sum(late) == pytest.approx(1.0)
    # of a half who buy at random, their model keeps its weight
    assert less_random(base, purchases(60, 60)) == base
    # never more than the likelihood says
    few = replace(base, weights=(0.999, 0.001))
    assert less_random(few, purchases(200, 0)) == few
    # gaps that are less regular than those of a plan, and nobody with two purchases
    shop = replace(base_of(MONTH, phases=12), weights=(0.85, 0.15))
    assert less_random(shop, purchases(200, 0)) == shop
    nobody = purchases(3, 0)
    assert less_random(base, nobody.of(np.array([0, 8, 16]))) == base

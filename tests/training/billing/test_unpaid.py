"""Contracts that have paid nothing so far, or nothing since they began again."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Contracts, Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.beginnings import is_trial
from stagecast.training.billing.fit_beginnings import fit_beginnings
from stagecast.training.billing.fit_periods import fit_periods

AS_OF, TRIAL = 400, 7


def log(customers: int, seed: int, *, amounts: bool) -> tuple[PurchaseDays, Spells]:
    """Return customers who begin on any day; half pay 10 a week later and then each month."""
    rng = np.random.default_rng(seed)
    began = rng.integers(0, AS_OF - 60, customers)
    turns = rng.random(customers) < 0.5
    rows = [
        (k, at) for k in range(customers) for at in range(began[k] + TRIAL, AS_OF, 30) if turns[k]
    ]
    customer, day = np.array(rows).T
    spend = np.full(len(rows), 10.0 if amounts else 0.0)
    days = PurchaseDays(customer, day, spend, day * DAY_MICROSECONDS)
    end = np.where(turns, NEVER, (began + 3) * DAY_MICROSECONDS)
    nobody = np.zeros(customers, dtype=np.int64)
    spells = Spells(
        AS_OF * DAY_MICROSECONDS,
        np.array([f"c{k}" for k in range(customers)], dtype=object),
        np.arange(customers),
        began * DAY_MICROSECONDS,
        end,
        began * DAY_MICROSECONDS,
        nobody,
        0,
    )
    return days, spells


@pytest.mark.parametrize("amounts", [True, False])
def test_a_contract_that_pays_later_than_it_begins_is_a_trial(amounts: bool) -> None:
    days, spells = log(200, 3, amounts=amounts)
    trials = fit_beginnings(days, spells, fit_periods(days, spells)).trials
    assert trials is not None
    paid = float(spells.open.mean())
    assert trials.wait.ever == pytest.approx(paid, abs=1e-6)
    still, done = trials.wait.begins(np.array([5.0, 9.0]), np.array([3.0, 300.0]))
    assert still == pytest.approx(1.0, abs=0.02)  # who has not left by day 5 pays on day 7
    assert done < 0.02
    assert trials.prices == pytest.approx([10.0 if amounts else 0.0])


def test_who_came_back_and_has_not_paid_since_is_on_trial() -> None:
    contracts = Contracts(
        0,
        np.ones(4, dtype=np.bool_),
        np.ones(4, dtype=np.bool_),
        np.array([3.0, 3.0, 3.0, 3.0]),
        np.array([1.0, 1.0, 0.0, 0.0]),
        np.full(4, NEVER),
        np.full(4, np.nan),
    )
    columns = {
        "recency_days": np.array([90.0, 2.0, 90.0, np.nan]),
        "spend_last": np.array([10.0, 10.0, 10.0, np.nan]),
        "spend_mean": np.array([10.0, 10.0, 10.0, np.nan]),
        "orders": np.array([4.0, 4.0, 4.0, 0.0]),
    }
    assert is_trial(columns, contracts).tolist() == [True, False, False, True]
    # without amounts a payment is one, whatever it brought
    columns |= dict.fromkeys(("spend_last", "spend_mean"), np.full(4, np.nan))
    assert is_trial(columns, contracts, has_prices=False).tolist() == [True, False, False, True]

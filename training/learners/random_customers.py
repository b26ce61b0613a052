"""How many customers of regular gaps buy at random: the weight of the model of random gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.features.record import PurchaseDays
from stagecast.training.billing.payments import Payments, near_usual, usual_gaps
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import (
    OF_A_PLAN,
    RANDOM_CUSTOMERS,
    RANDOM_SHARE,
)

FEWEST_OF_CUSTOMER: Final = 3
"""Gaps of a customer, below which it is not known whether they are random."""
NEAR_OF_CUSTOMER: Final = 0.6
"""Share of a customer's gaps that are near to the usual one, below which they are random."""


def less_random(base: CustomerBase, days: PurchaseDays) -> CustomerBase:
    """Return the customer base with random models at most at the share of customers of random gaps.

    A payment that comes late, and the next one on its date again, is likelier by them than by gaps
    that are regular; yet who pays so is a customer who keeps to dates. Where gaps are less regular
    than those of a plan, or all pay on one date, the weights stay.

    Parameters
    ----------
    base
        The customer base of one date.
    days
        The purchase days known at it, ordered by customer and day.
    """
    is_random = np.array([model.regularity < OF_A_PLAN for model in base.models])
    weights = np.array(base.weights)
    share = float(weights[is_random].sum())
    if base.due is not None or is_random.all() or share <= 0.0:
        return base
    payments = Payments.of_customers(days)
    near, _ = near_usual(payments, usual_gaps(payments))
    gaps = np.bincount(payments.contract) - 1
    if not gaps.any():
        return base
    several = gaps >= FEWEST_OF_CUSTOMER
    random = several & (np.bincount(payments.contract, near) < NEAR_OF_CUSTOMER * gaps)
    most = float(
        (random.sum() + RANDOM_SHARE * RANDOM_CUSTOMERS) / (several.sum() + RANDOM_CUSTOMERS)
    )
    if most >= share:
        return base
    changed = np.where(is_random, weights * most / share, weights * (1.0 - most) / (1.0 - share))
    return replace(base, weights=tuple(changed.tolist()))

"""How many customers of regular gaps buy at random: the weight of the model of random gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.features.record import PurchaseDays
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import (
    OF_A_PLAN,
    RANDOM_CUSTOMERS,
    RANDOM_SHARE,
)

FEWEST_GAPS: Final = 3
"""Gaps of a customer, below which it is not known whether they are random."""
NEAR, NEAR_SHARE, MOST_LEFT_OUT = 0.25, 0.6, 3.0
"""How far a gap may be from the customer's usual one, or from a multiple of it, over the usual one;
the share of such gaps below which they are random; and the largest multiple."""


def less_random(base: CustomerBase, days: PurchaseDays) -> CustomerBase:
    """Return the customer base with random models at most at the share of customers of random gaps.

    A payment that comes late, and the next one on its date again, is likelier by them than by gaps
    that are regular; yet who pays so is a customer who keeps to dates. Where gaps are less regular
    than those of a plan, the weights stay.

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
    same = days.customer[1:] == days.customer[:-1]
    _, customer = np.unique(days.customer[1:][same], return_inverse=True)
    if is_random.all() or share <= 0.0 or not len(customer):
        return base
    gap = np.diff(days.day)[same].astype(np.float64)
    order, count = np.lexsort((gap, customer)), np.bincount(customer)
    usual = gap[order[np.cumsum(count) - count + (count - 1) // 2]]
    gaps = gap / usual[customer]
    near = np.abs(gaps - np.clip(np.round(gaps), 1.0, MOST_LEFT_OUT)) <= NEAR
    several = count >= FEWEST_GAPS
    random = several & (np.bincount(customer, near) < NEAR_SHARE * count)
    most = float(
        (random.sum() + RANDOM_SHARE * RANDOM_CUSTOMERS) / (several.sum() + RANDOM_CUSTOMERS)
    )
    if most >= share:
        return base
    changed = np.where(is_random, weights * most / share, weights * (1.0 - most) / (1.0 - share))
    return replace(base, weights=tuple(changed.tolist()))

"""How late payments come: the dates of :class:`stagecast.training.learners.btyd.dated.DatedModel`.

How late a payment came is measured against the gap that the other gaps of its customer say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR, DueDate
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import MIDDLES, DatedModel
from stagecast.training.learners.customer_base import CustomerBase

FEWEST_PHASES: Final = 48
"""Phases of a gap from which purchases are payments of a plan."""
LEAST_ALIKE: Final = 16.0
"""Parameter r from which gaps of customers are alike, within a quarter, so that the first gap of a
customer is known as that of the others."""
FEWEST_GAPS: Final = 20
"""Gaps of customers with another one, below which nothing is known of dates."""
SHARPER: Final = 0.7
"""Spread of the dates over that of the phases, above which dates tell nothing new."""
_CLOSE: Final = 0.02
_PSEUDO_GAPS, _OF_PHASES = 20.0, 2.0


def with_dates(base: CustomerBase, days: PurchaseDays) -> CustomerBase:
    """Return the customer base with dates of its payments, where they are known better than phases.

    Parameters
    ----------
    base
        The customer base of one date.
    days
        The purchase days known at it.
    """
    models = tuple(_with_dates(model, days, base.due) for model in base.models)
    if models == base.models:
        return base
    due = None if base.due is None else replace(base.due, knows_late=True)
    return replace(base, models=models, due=due)


def _with_dates(model: Model, days: PurchaseDays, due: DueDate | None) -> Model:
    if model.name != "mbg_nbd" or model.regularity < FEWEST_PHASES:
        return model
    if model.params[0] < LEAST_ALIKE:
        return model
    late = _lateness_of_gaps(model, days) if due is None else _lateness_of_dates(days, due)
    late = late[late > -1.0]
    if len(late) < FEWEST_GAPS:
        return model
    quantiles = np.quantile(late, MIDDLES)
    share = _OF_PHASES / (len(late) + _PSEUDO_GAPS)
    # rounded, so that a bundle is the same where only the last bits differ
    known = DatedModel.of(model, tuple(float(f"{q:.6g}") for q in quantiles), share)
    return known if known.spread < SHARPER / np.sqrt(model.regularity) else model


def _lateness_of_gaps(model: Model, days: PurchaseDays) -> Array:
    """Return how late payments came, over the gap by the others of their customers, (gaps,)."""
    same = days.customer[1:] == days.customer[:-1]
    gap, customer = np.diff(days.day)[same].astype(np.float64), days.customer[1:][same]
    count = np.bincount(customer, minlength=1)[customer] - 1.0
    others = np.bincount(customer, weights=gap, minlength=1)[customer] - gap
    r, alpha = model.params[:2]
    prior, precision = r - 1.0, 1.0 / _CLOSE**2
    expected = (model.regularity * alpha + precision * others) / (prior + precision * count)
    has_other = count > 0
    known = has_other if has_other.sum() >= FEWEST_GAPS else np.ones(len(gap), dtype=np.bool_)
    return np.asarray(gap[known] / expected[known] - 1.0)


def _lateness_of_dates(days: PurchaseDays, due: DueDate) -> Array:
    """Return how late payments came after the date of the year, over a year, (payments,)."""
    later = np.r_[False, days.customer[1:] == days.customer[:-1]]
    day = days.day[later].astype(np.float64)
    near = due.is_near(day)
    return np.asarray((day[near] - due.nearest(day[near])) / YEAR)

"""How late payments come: the dates of :class:`stagecast.training.learners.btyd.dated.DatedModel`.

How late a payment came is measured against the gap that the other gaps of its customer say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR, DueDate
from stagecast.training.billing.month_dates import FEWEST_GAPS, MonthDates, month_dates
from stagecast.training.billing.payments import Payments
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import MIDDLES, DatedModel, own_gap
from stagecast.training.learners.customer_base import CustomerBase

SHARP: Final = 0.1
"""Spread of the dates over the gap, above which purchases are no payments of a plan."""
ALIKE: Final = 0.25
"""Standard deviation of the gaps of customers, over the usual one, up to which they are alike, so
that the first gap of a customer is known as that of the others."""
LEAST_ALIKE: Final = 1e-3
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
    if not base.is_regular:
        return base
    gaps, months = _Gaps.of(days), None
    if base.due is None and len(gaps.own):
        months = month_dates(days, float(np.median(gaps.own)))
        gaps = gaps if months is None else _Gaps.of(days, months)
    models = tuple(_with_dates(model, gaps, days, base.due) for model in base.models)
    if models == base.models:
        return base
    due = None if base.due is None else replace(base.due, knows_late=True)
    return replace(base, models=models, due=due, months=months)


def _with_dates(model: Model, gaps: _Gaps, days: PurchaseDays, due: DueDate | None) -> Model:
    if model.name != "mbg_nbd" or model.regularity == 1:
        return model
    if len(gaps.own) < FEWEST_GAPS:
        return model
    usual = float(np.median(gaps.own)) if due is None else YEAR
    low, high = np.quantile(gaps.own, (0.16, 0.84)) if due is None else (usual, usual)
    alike = max((high - low) / (2.0 * usual), LEAST_ALIKE)
    late = gaps.lateness(usual, alike) if due is None else _lateness_of_dates(days, due)
    late = late[late > -1.0]
    if alike > ALIKE or len(late) < FEWEST_GAPS:
        return model
    # rounded, so that a bundle is the same where only the last bits differ
    quantiles = [float(f"{q:.6g}") for q in np.quantile(late, MIDDLES)]
    share = _OF_PHASES / (len(late) + _PSEUDO_GAPS)
    known = DatedModel.of(model, tuple(quantiles), share, usual, float(f"{alike:.6g}"))
    limit = min(SHARP, SHARPER / np.sqrt(model.regularity))
    return known if known.spread < limit else model


@dataclass(frozen=True)
class _Gaps:
    """Gaps between purchase days.

    Parameters
    ----------
    gap
        Days, shape (gaps,).
    customer
        Position of the customer of each in ``own``, shape (gaps,).
    own
        Median gap of each customer who has one, shape (customers,).
    """

    gap: Array
    customer: Integers
    own: Array

    @classmethod
    def of(cls, days: PurchaseDays, months: MonthDates | None = None) -> _Gaps:
        """Return the gaps of a log; with ``months`` as if all months were equally long."""
        same = days.customer[1:] == days.customer[:-1]
        gap = np.diff(days.day)[same].astype(np.float64)
        if months is not None:
            payments = Payments.of_customers(days)
            gap = gap + months.longer(payments.day, payments.gap_before)[:-1][same]
        _, customer = np.unique(days.customer[1:][same], return_inverse=True)
        order = np.lexsort((gap, customer))
        count = np.bincount(customer, minlength=0)
        start = np.cumsum(count) - count
        middle = [gap[order[start + half]] for half in ((count - 1) // 2, count // 2)]
        return cls(gap, customer, (middle[0] + middle[1]) / 2.0)

    def lateness(self, usual: float, alike: float) -> Array:
        """Return how late payments came, over the gap that the others of the customer say.

        Of customers with another gap, shape (their gaps,); of all where these are few.
        """
        days = np.bincount(self.customer, self.gap)
        others = np.bincount(self.customer).astype(np.float64)[self.customer] - 1.0
        expected = own_gap(others, days[self.customer] - self.gap, usual, alike, _CLOSE)
        is_known = others > 0
        if is_known.sum() < FEWEST_GAPS:
            is_known = np.ones(len(others), dtype=np.bool_)
        return np.asarray(self.gap[is_known] / expected[is_known] - 1.0)


def _lateness_of_dates(days: PurchaseDays, due: DueDate) -> Array:
    """Return how late payments came after the date of the year, over a year, (payments,)."""
    later = np.r_[False, days.customer[1:] == days.customer[:-1]]
    day = days.day[later].astype(np.float64)
    near = due.is_near(day)
    return np.asarray((day[near] - due.nearest(day[near])) / YEAR)

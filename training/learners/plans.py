"""The customer base of a log whose customers pay at different intervals: some monthly, some yearly.

One model of both takes a gap between theirs for that of who has paid once, and knows no date. So
each billing period has models of its own, fitted on the customers who pay at it. Whose period is
which is told by the last price, the last gap and the mean one
(:mod:`stagecast.training.billing.periods`). Of who has changed from a shorter period to a longer
one, or had a trial before, the payments of before say nothing of the gap: they do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.billing.month_dates import READS as OF_MONTHS
from stagecast.training.billing.periods import COLUMNS, FIXED, NO_PERIODS, BillingPeriods
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import HISTORY, CustomerBase, Part
from stagecast.training.learners.following import FollowedBase, Following
from stagecast.training.learners.parted import PartedBase

SHORTER: Final = 0.7
"""Mean gap over the billing period, below which a customer has paid at a shorter one before."""
NEAR_PERIOD: Final = 0.25
"""How far a gap may be from the billing period, over it, to be one of the plan."""


@dataclass(frozen=True)
class PlannedBase(PartedBase):
    """A customer base with models for each billing period.

    Those of all customers are asked where nothing is known of a customer but the history.

    Parameters
    ----------
    periods
        The billing periods, at least one.
    plans
        The customer base of each.
    later_prices
        Of each plan: last payments in ascending order, and what those half a year later are on
        average over them: 1.08 where some change to a dearer price, 29 of a trial for 1 before a
        month of 29.
    following
        Of each plan the plans that follow it; None where most payments on it are followed by others
        on it.
    """

    periods: BillingPeriods = NO_PERIODS
    plans: tuple[CustomerBase, ...] = ()
    later_prices: tuple[tuple[tuple[float, float], ...], ...] = ()
    following: tuple[Following | None, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that tell the plan, and the next date."""
        return tuple(dict.fromkeys((*COLUMNS, *OF_MONTHS)))

    def has_plans_of(self, other: CustomerBase) -> bool:
        """Return whether customers pay at the same intervals as in another customer base."""
        if not isinstance(other, PlannedBase):
            return False
        own, others = (
            np.array([period.days for period in base.periods.periods]) for base in (self, other)
        )
        return len(own) == len(others) and bool((np.abs(own / others - 1.0) <= NEAR_PERIOD).all())

    @property
    def has_plans(self) -> bool:
        """Whether customers pay at several intervals: they do."""
        return True

    @property
    def has_dates(self) -> bool:
        """Whether a model knows the dates of payments."""
        return any(plan.has_dates for plan in self.plans)

    @property
    def is_regular(self) -> bool:
        """Whether a model has regular gaps."""
        return any(plan.is_regular for plan in (*self.plans, self.of_all))

    @property
    def regular_model(self) -> Model | None:
        """The model by whose regular gaps payments are told; None where gaps are not regular."""
        models = (plan.regular_model for plan in self.plans)
        return next((model for model in models if model is not None), None)

    def parts(self, features: Mapping[str, Array]) -> list[Part]:
        """Return the rows of each plan; all in one part where the features do not tell it."""
        if any(name not in features for name in COLUMNS) or not len(features[HISTORY[0]]):
            return [Part(self.of_all, slice(None), features)]
        plan = self.periods.likeliest(features)
        parts = []
        for k in np.unique(plan):
            rows = np.flatnonzero(plan == k)
            base = self._bases[k]
            names = (*HISTORY, "gap_last", *base.reads_of_histories)
            of_rows = {name: features[name][rows] for name in names if name in features}
            histories = of_plan(of_rows, *self.periods.days_of(int(k)), self._trial_before(int(k)))
            if set(base.reads_of_histories) <= set(of_rows):
                histories = dict(base.histories({**of_rows, **histories}))
            parts.append(Part(base, rows, histories, int(k)))
        return parts

    def prices(self, features: Mapping[str, Array], per_order: Array, days: Sequence[int]) -> Array:
        """Return what a payment within each of ``days`` is expected to bring, shape (days, rows).

        That is the last one again, or what has followed such a payment.

        Parameters
        ----------
        features
            Features of buyers, shape (rows,) each.
        per_order
            The same of who has paid no price, shape (rows,).
        days
            Days after the as_of: where other plans follow, their prices depend on them.
        """
        parts = self.parts(features)
        last = self._last_prices(parts, features)
        factor = np.ones(len(last))
        for part in parts:
            is_known = part.plan is not None and bool(self.later_prices)
            of_plan = self.later_prices[part.plan or 0] if is_known else ()
            if of_plan:
                known, factors = np.array(of_plan).T
                paid = last[part.rows]
                nearest = _nearest(known, paid)
                same = np.abs(known[nearest] - paid) <= FIXED * paid
                factor[part.rows] = np.where(same, factors[nearest], 1.0)
        result = np.tile(np.where(last > 0, last * factor, per_order), (len(days), 1))
        for part in parts:
            if isinstance(part.base, FollowedBase):
                of_spans = [part.base.price(span) for span in days]
                result[:, part.rows] = np.array(of_spans)[:, None]
        return result

    @cached_property
    def _bases(self) -> tuple[CustomerBase, ...]:
        """The customer base of each plan, with the plans that follow it."""
        return tuple(
            plan
            if follow is None
            else FollowedBase(
                plan.models, plan.spend, plan.weights, plan.due, plan.months, follow, self.plans
            )
            for plan, follow in zip(self.plans, self.follows, strict=True)
        )

    @property
    def follows(self) -> tuple[Following | None, ...]:
        """The plans that follow each plan."""
        return self.following or (None,) * len(self.plans)

    def _trial_before(self, plan: int) -> float:
        """Return the days of a plan that a plan follows; 0 without any."""
        follows = [follow for follow in self.following if follow is not None]
        return next((follow.days for follow in follows if follow.shares[plan] > 0), 0.0)

    def last_prices(self, features: Mapping[str, Array]) -> Array:
        """Return the price that each has paid last, shape (rows,); NaN where there is none.

        Of a plan whose payments are each of another amount.
        """
        return self._last_prices(self.parts(features), features)

    def _last_prices(self, parts: Sequence[Part], features: Mapping[str, Array]) -> Array:
        last = np.array(np.nan_to_num(features[LAST_PRICE]))
        for part in parts:
            if part.plan is not None and not self.periods.periods[part.plan].has_fixed_prices:
                last[part.rows] = np.nan
        return last

    def to_json(self) -> dict[str, Any]:
        """Return the models as JSON values."""
        return {
            **super().to_json(),
            "periods": self.periods.to_json(),
            "plans": [plan.to_json() for plan in self.plans],
            "later_prices": [[list(known) for known in plan] for plan in self.later_prices],
            "following": [plan and plan.to_json() for plan in self.following],
        }


def of_plan(
    features: Mapping[str, Array], days: float, shorter: float, trial: float = 0.0
) -> dict[str, Array]:
    """Return histories as those of a plan count them, shape (rows,) each.

    Of who has paid at a shorter interval before, or had a trial, only the gaps of the plan count:
    none where the last one is none, else as many as make, with the others, the days from first to
    last payment.

    Parameters
    ----------
    features
        Values of :data:`HISTORY` and ``gap_last``.
    days, shorter
        Days of the billing period, and of the next shorter one; 0 without any.
    trial
        Days of a trial that comes before; 0 without any. It is told by the days from first to last
        payment, which lack a part of a period.

    >>> history = {"frequency": np.array([12.0, 3.0]), "t_x_days": np.array([365.0, 744.0]),
    ...            "T_days": np.array([400.0, 800.0]), "gap_last": np.array([31.0, 365.0])}
    >>> {name: values.tolist() for name, values in of_plan(history, 365.25, 30.4).items()}
    {'frequency': [0.0, 2.0], 't_x_days': [0.0, 730.0], 'T_days': [35.0, 786.0]}
    >>> history = {"frequency": np.array([8.0, 7.0]), "t_x_days": np.array([228.0, 214.0]),
    ...            "T_days": np.array([230.0, 216.0]), "gap_last": np.array([31.0, 31.0])}
    >>> {name: values.tolist() for name, values in of_plan(history, 30.4, 14.0, 14.0).items()}
    {'frequency': [7.0, 7.0], 't_x_days': [214.0, 214.0], 'T_days': [216.0, 216.0]}
    """
    x, t_x, T = (features[name] for name in HISTORY)
    if 0.0 < trial < days:
        of_period = np.round((t_x - x * trial) / (days - trial))
        began = trial * ((x > 1) & (of_period == x - 1.0))
        x, t_x, T = np.where(began > 0, x - 1.0, x), t_x - began, T - began
    has_paid_before = is_changed(x, t_x, days)
    gap = np.nan_to_num(features["gap_last"])
    is_own = np.abs(gap / days - 1.0) <= NEAR_PERIOD
    own = np.round((t_x - x * shorter) / (days - shorter))
    own = np.where(is_own, np.minimum(np.maximum(own, 1.0), x), 0.0)
    return {
        "frequency": np.where(has_paid_before, own, x),
        "t_x_days": np.where(has_paid_before, own * gap, t_x),
        "T_days": np.where(has_paid_before, T - t_x + own * gap, T),
    }


def is_changed(x: Array, t_x: Array, days: float) -> NDArray[np.bool_]:
    """Return whether customers have paid at a shorter interval before, shape (rows,)."""
    return np.asarray((x > 0) & (t_x < SHORTER * days * x))


def _nearest(known: Array, values: Array) -> NDArray[np.int64]:
    """Return the position of the nearest of ascending numbers, same shape as the values."""
    right = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(values - known[left] <= known[right] - values, left, right)

"""Billing periods of contracts: the intervals at which they are paid, and whose interval is which.

A log may hold contracts that are paid each month beside others that are paid each year. The periods
are found from the gaps between the payments. Which of them a contract has is told by its last gap
and its mean one, by the last price, and by the silence since: nobody who has not paid for 200 days
pays each month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from stagecast.features.arrays import Array, Integers
from stagecast.training.billing.calendar import DueDate
from stagecast.training.billing.months import day_of_month, month_of, months_after
from stagecast.training.billing.price_list import PriceList
from stagecast.training.billing.renewals import Renewals

COLUMNS: Final = ("gap_last", "gap_mean", "recency_days", "spend_last", "orders")
"""Features that tell the period of a contract."""

AS_OF_DAY: Final = "as_of_day"
"""Column of the date that the others are of, days since 1970; only dates of the year need it."""

SWITCHED: Final = 0.02
"""P(the coming gap is of another period than the last one), before the price is looked at."""
GAP_WIDTH: Final = 0.10
"""Least standard deviation of the log of a gap around its period."""
SAME_PRICE: Final = 0.05
"""Payments whose logs differ by no more have one price."""
FIXED: Final = 0.01
"""Payments whose logs differ by less are as high as each other."""
UNKNOWN: Final = 1.0
"""Customers of each period that are supposed to pay prices which nobody has paid yet."""
ANY_PRICE: Final = 0.01
"""P(one of these prices)."""
LEFT_SOON: Final = 0.1
"""P(a customer leaves after the first payment), as far as nothing else is known."""
ALIKE_PRICE: Final = 0.3
"""Distance of the logs of two prices at which they are half as like as the same price."""
SILENCES: Final = (1.2, 1.5, 2.25, 3.25, 4.25, 6.25)
"""Periods without a payment that the share of longer gaps is known for."""
NEAR: Final = 0.01
"""Density of a gap, over that of the period itself, below which it is of another one."""
OVERDUE: Final = 0.02
"""With a smaller probability of the silence, no period explains it."""
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class Period:
    """A billing period.

    Parameters
    ----------
    days
        Mean days between two payments.
    spread_days
        Standard deviation of these days.
    paid
        Share of the payments due that came, of contracts that went on.
    customers
        Customers who have paid at this interval.
    prices
        Payments that were followed by such a gap, ascending; a sample where there are many.
    longer
        Share of their gaps that were longer than :data:`SILENCES` periods: a payment was left out,
        or the contract paused.
    later_price
        Ends of the 90 % range of a price half a year later, over that of now.
    renewals
        How many of these contracts go on after a payment.
    due
        The date of the year on which all of them pay; None where each has dates of its own.
    months
        Months between two payments on the same day of the month; None where they are days apart.
    has_fixed_prices
        Whether most payments are prices, so that the last one is that of the next; not where each
        one is of another amount, as of what was used.
    """

    days: float
    spread_days: float
    paid: float
    customers: int
    prices: tuple[float, ...]
    longer: tuple[float, ...]
    later_price: tuple[float, float]
    renewals: Renewals
    due: DueDate | None = None
    months: int | None = None
    has_fixed_prices: bool = True

    def is_by_months(self, columns: Mapping[str, Array]) -> bool:
        """Return whether the next payment is due on a day of the month, and the date is known."""
        return self.due is None and self.months is not None and AS_OF_DAY in columns

    def silence(self, columns: Mapping[str, Array]) -> Array:
        """Return the days of the billing period that are over, shape (rows,).

        Those since the last payment; with a date of the year, those that leave as many days of the
        period as there are to the next such date: below 0 where a first payment pays for longer.
        With months those that leave the days to the same day of the month. Without
        :data:`AS_OF_DAY` the date is not used.
        """
        if (self.due is None and self.months is None) or AS_OF_DAY not in columns:
            return columns["recency_days"]
        today = columns[AS_OF_DAY]
        if self.due is None:
            paid, of_month = self._on_day(columns)
            due = months_after(paid, self.months or 1, of_month)
            due = np.where(np.isfinite(columns["recency_days"]), due, np.nan)
        else:
            paid = today - columns["recency_days"]
            due = self.due.after(paid, columns["orders"] <= 1.0)
        return np.asarray(self.days - (due - today))

    def _on_day(self, columns: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the days of the last payments, and on which day of the month they are."""
        # days are those of the shop: the as_of may be hours from midnight
        since = np.nan_to_num(columns[AS_OF_DAY] - columns["recency_days"])
        paid = np.asarray(np.round(since), dtype=np.float64)
        gap = columns.get("gap_last", np.zeros(len(paid)))
        return paid, day_of_month(paid, gap, self.months or 1)

    def dates_ahead(self, columns: Mapping[str, Array], payments: int) -> Array:
        """Return the days to the next payments of contracts paid by months, (rows, payments).

        The first one may be overdue, by half a period at most: later than that, it is left out. The
        dates after it do not wait for one that is late.

        Parameters
        ----------
        columns
            As of :meth:`silence`, with :data:`AS_OF_DAY`.
        payments
            Number of payments.
        """
        months, today = self.months or 1, columns[AS_OF_DAY]
        paid, of_month = self._on_day(columns)
        settled = today - self.days / 2.0
        passed = np.maximum((month_of(settled)[0] - month_of(paid)[0]) // months, 0)
        passed -= (passed > 0) & (months_after(paid, passed * months, of_month) > settled)
        number = passed[:, None] + np.arange(1, payments + 1)[None, :]
        due = months_after(paid[:, None], number * months, of_month[:, None])
        return np.asarray(due - today[:, None])

    def likelihood_of(self, price: Array) -> Array:
        """Return P(a payment for this period has this price), shape (rows,); 1 where unknown."""
        prices = np.asarray(self.prices)
        width = np.exp(SAME_PRICE)
        known = np.isfinite(price) & (price > 0)
        paid = np.where(known, price, 1.0)
        near = np.searchsorted(prices, paid * width, side="right") - np.searchsorted(
            prices, paid / width, side="left"
        )
        share = near / max(len(prices), 1)
        unknown = UNKNOWN * ANY_PRICE * self._likeness(paid)
        likelihood = (self.customers * share + unknown) / (self.customers + UNKNOWN)
        return np.where(known, likelihood, 1.0)

    def _likeness(self, price: Array) -> Array:
        """Return how near prices are to one of the period, shape (rows,), from near 0 to 1.

        A price that was raised is nearer to that of before than to those of other periods.
        """
        prices = np.log(np.asarray(self.prices)) if self.prices else np.zeros(0)
        if not len(prices):
            return np.ones(len(price))
        values = np.log(price)
        right = np.clip(np.searchsorted(prices, values), 0, len(prices) - 1)
        away = np.minimum(
            np.abs(values - prices[right]), np.abs(values - prices[np.maximum(right - 1, 0)])
        )
        return np.asarray((1.0 + (away / ALIKE_PRICE) ** 2) ** -1.0)

    def outlasts(self, silence_days: Array) -> Array:
        """Return P(the gap between two payments is longer than a silence), shape (rows,)."""
        width = max(GAP_WIDTH, self.spread_days / self.days)
        periods = np.maximum(silence_days, _SMALLEST) / self.days
        left_out = np.interp(periods, SILENCES, self.longer, left=0.0, right=0.0)
        return np.asarray(np.maximum(ndtr(-np.log(periods) / width), left_out))

    def density_of(self, gap_days: Array) -> Array:
        """Return the density of the log of a gap, up to a factor, shape (rows,)."""
        width = max(GAP_WIDTH, 2.0 * self.spread_days / self.days)
        return np.asarray(np.exp(-0.5 * (np.log(gap_days / self.days) / width) ** 2))

    def to_json(self) -> dict[str, Any]:
        """Return the period as plain data."""
        return {
            "days": self.days,
            "spread_days": self.spread_days,
            "paid": self.paid,
            "customers": self.customers,
            "prices": list(self.prices),
            "longer": list(self.longer),
            "later_price": list(self.later_price),
            "renewals": self.renewals.to_json(),
            "has_fixed_prices": self.has_fixed_prices,
            **({} if self.due is None else {"due": self.due.to_json()}),
            **({} if self.months is None else {"months": self.months}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, has_fixed_prices: bool = True) -> Period:
        """Read what :meth:`to_json` returns.

        Earlier versions stored of all periods together whether prices are fixed.
        """
        return cls(
            float(data["days"]),
            float(data["spread_days"]),
            float(data["paid"]),
            int(data["customers"]),
            tuple(float(price) for price in data["prices"]),
            tuple(float(share) for share in data["longer"]),
            (float(data["later_price"][0]), float(data["later_price"][1])),
            Renewals.from_json(data["renewals"]),
            DueDate.from_json(data["due"]) if "due" in data else None,
            int(data["months"]) if "months" in data else None,
            bool(data.get("has_fixed_prices", has_fixed_prices)),
        )


@dataclass(frozen=True)
class BillingPeriods:
    """The billing periods of a log.

    Parameters
    ----------
    periods
        Shortest first; empty where contracts are not paid at regular intervals.
    price_list
        The prices that customers of a log with one period change between; None where they keep
        theirs.
    """

    periods: tuple[Period, ...] = ()
    price_list: PriceList | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that are read."""
        return () if self.is_none else COLUMNS

    @property
    def is_none(self) -> bool:
        """Whether contracts are not paid at regular intervals."""
        return not self.periods

    @property
    def has_prices(self) -> bool:
        """Whether the payments of the log are known in money."""
        return any(period.prices for period in self.periods)

    @property
    def has_fixed_prices(self) -> bool:
        """Whether the payments of any period are prices."""
        return any(period.has_fixed_prices for period in self.periods)

    def pays_a_price(self, columns: Mapping[str, Array]) -> NDArray[np.bool_]:
        """Return whether the last payment of customers is that of the next one, shape (rows,).

        The parameters are those of :meth:`likeliest`.
        """
        fixed = np.array([period.has_fixed_prices for period in self.periods], dtype=np.bool_)
        rows = len(columns["recency_days"])
        if not len(fixed) or fixed.all() == fixed.any():
            return np.full(rows, bool(fixed.any()))
        return np.asarray(fixed[self.likeliest(columns)])

    def shares(self, columns: Mapping[str, Array]) -> Array:
        """Return P(billing period) of contracts, shape (rows, periods).

        A row sums to 1, or to less where no period explains how long nothing was paid.

        Parameters
        ----------
        columns
            Values of :data:`COLUMNS`, shape (rows,) each; ``gap_last`` is NaN before the second
            payment, and a price that is not known tells nothing.
        """
        price = columns.get("spend_last", np.full(len(columns["recency_days"]), np.nan))
        weight = self._of_payments(columns)
        weight = weight * np.column_stack([p.outlasts(p.silence(columns)) for p in self.periods])
        explained = weight.sum(axis=1, keepdims=True)
        known_part = np.minimum(explained / OVERDUE, 1.0)
        if self.has_prices:
            # nothing was paid yet, as in a trial: what will be is not known
            known_part = np.where((price <= 0.0)[:, None], 0.0, known_part)
        return np.asarray(weight / np.maximum(explained, _SMALLEST) * known_part)

    def days_of(self, period: int) -> tuple[float, float]:
        """Return the days of a period, and of the next shorter one; 0 without any."""
        shorter = self.periods[period - 1].days if period else 0.0
        return self.periods[period].days, shorter

    def likeliest(self, columns: Mapping[str, Array]) -> Integers:
        """Return the position of the period of customers, shape (rows,).

        By their payments: who has not paid for long has left, and has not changed the plan. Of who
        has paid once, a silence that is longer than a period makes it less likely, as far as
        customers seldom leave so soon: it tells where no price does.

        Parameters
        ----------
        columns
            As for :meth:`shares`.
        """
        weight = self._of_payments(columns)
        lasts = np.column_stack([p.outlasts(columns["recency_days"]) for p in self.periods])
        once = ~np.isfinite(columns["gap_last"])
        weight = np.where(once[:, None], weight * (lasts + (1.0 - lasts) * LEFT_SOON), weight)
        return np.asarray(weight.argmax(axis=1))

    def _of_payments(self, columns: Mapping[str, Array]) -> Array:
        """Return P(billing period | the last price and the gaps), shape (rows, periods)."""
        unknown = np.full(len(columns["recency_days"]), np.nan)
        price = columns.get("spend_last", unknown)
        customers = np.array([period.customers for period in self.periods], dtype=np.float64)
        prior = customers / customers.sum()
        # the last gap may be one with a payment left out, the mean one of two periods
        last, mean = (
            self._of_gap(columns.get(name, unknown), prior) for name in ("gap_last", "gap_mean")
        )
        known = np.isfinite(last).astype(np.float64) + np.isfinite(mean)
        of_gap = (np.nan_to_num(last) + np.nan_to_num(mean)) / np.maximum(known, 1.0)
        weight = np.where(known > 0, (1.0 - SWITCHED) * of_gap + SWITCHED * prior, prior)
        weight = weight * np.column_stack([p.likelihood_of(price) for p in self.periods])
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    def _of_gap(self, gap: Array, prior: Array) -> Array:
        """Return P(period | a gap), shape (rows, periods); NaN where it is near to none."""
        is_gap = np.isfinite(gap) & (gap > 0)
        density = np.column_stack(
            [period.density_of(np.where(is_gap, gap, 1.0)) for period in self.periods]
        )
        near = is_gap & (density.max(axis=1) > NEAR)
        weight = prior * density
        total = np.maximum(weight.sum(axis=1, keepdims=True), _SMALLEST)
        return np.where(near[:, None], weight / total, np.nan)

    def to_json(self) -> dict[str, Any]:
        """Return the periods as plain data."""
        listed = {} if self.price_list is None else {"price_list": self.price_list.to_json()}
        return {"periods": [period.to_json() for period in self.periods], **listed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BillingPeriods:
        """Read what :meth:`to_json` returns."""
        fixed = bool(data.get("has_fixed_prices", True))
        listed = PriceList.from_json(data["price_list"]) if data.get("price_list") else None
        periods = (Period.from_json(item, has_fixed_prices=fixed) for item in data["periods"])
        return cls(tuple(periods), listed)


NO_PERIODS: Final = BillingPeriods()

"""Future orders and spend of a customer: within the horizon, and over the value horizon.

    expected_orders = P(purchase) * orders if any
    expected_spend  = expected_orders * spend per order
    clv             = margin * (discounted expected_orders * spend per order
                                + orders in the rest of the value horizon * spend per order then)

The orders if any, the orders in the rest of the value horizon and the spend per order each begin
with the customer base (MBG/NBD, MBG/CNBD-k, Pareto/NBD; Gamma-Gamma for money) and are multiplied
by a factor that past dates teach (:class:`stagecast.training.learners.factor.Factor`). The
expected orders and the spend per order are then mixed with the customer base's as far as a past
date says (:class:`stagecast.training.value.base_share.BaseShare`). The rest of the value horizon is
not negative, so a longer horizon never brings less than a shorter one.

Sources: Fader and Hardie (2013), the Gamma-Gamma model of monetary value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.billing.beginnings import NO_BEGINNINGS, Beginnings
from stagecast.training.billing.periods import NO_PERIODS, BillingPeriods
from stagecast.training.billing.price_list import PriceList
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor, OwnShare
from stagecast.training.learners.leaving import Leaving
from stagecast.training.value.after_contract import AfterContract
from stagecast.training.value.base_share import BaseShare
from stagecast.training.value.due import own_gaps
from stagecast.training.value.first_orders import USUAL, FirstOrders
from stagecast.training.value.payments import RegularPayments
from stagecast.training.value.prices import NO_TREND, PriceTrend
from stagecast.training.value.reactivation import Reactivation

MAX_VALUE_DAYS: Final = 3650
"""Value later than this many days after the as_of is not counted."""
FAR: Final = 3.0
"""A value horizon of more than this many times the history is told as too far."""
FACTORS: Final = ("orders", "rest", "spend", "later_spend")


@dataclass(frozen=True)
class ValueModel:
    """Orders and spend of buyers.

    Parameters
    ----------
    mean_spend
        Mean spend per purchase day of those who paid, where the customer base has no spend model;
        None in a log without amounts.
    p_paid
        P(a purchase brings money | the customer's only purchase so far brought none).
    history_days
        Days of the log before the as_of.
    orders
        Factor of the expected repeat orders of those who order within the horizon.
    rest
        Factor of the orders after the horizon, within the value horizon.
    spend
        Factor of the spend per order.
    later_spend
        Factor of the spend per order after the horizon; None where it is that of the horizon, as in
        bundles of before.
    leaving
        How customers leave, on which the parts of the value depend; None as in bundles of before,
        where the models of the customer base tell it with their weights.
    base_share
        Share of the customer base in the expected orders; none in bundles of before.
    rest_season
        Factor, 1 or more, by which a known season lifts the months after the horizon above a
        customer's own rate.
    reactivation
        How often customers who had left buy once they are back; as before, in bundles of before.
    after_contract
        Share of the purchases expected of buyers whose contract is over that came at past dates;
        all of them where churn is not cancellation, and in bundles of before.
    prices
        Trend of the prices; none in bundles of before.
    billing
        Billing periods of the contracts; none where churn is not cancellation or contracts are not
        paid at regular intervals, and in bundles of before.
    beginnings
        How many trials turn into a plan, and how many former customers come back; nothing is known
        in bundles of before.
    first_orders
        What the first order of a customer counts as; as it is, in bundles of before.
    payments
        Payments of customers who pay at regular intervals, from which the ranges of their money
        follow; None where purchases are not regular, where churn is cancellation, and in bundles of
        before.
    """

    mean_spend: float | None
    p_paid: float = 0.5
    history_days: float = float(MAX_VALUE_DAYS)
    orders: Factor = field(default_factory=Factor)
    rest: Factor = field(default_factory=Factor)
    spend: Factor = field(default_factory=Factor)
    later_spend: Factor | None = None
    leaving: Leaving | None = None
    base_share: BaseShare = field(default_factory=BaseShare)
    rest_season: float = 1.0
    reactivation: Reactivation = field(default_factory=Reactivation)
    after_contract: AfterContract = field(default_factory=AfterContract)
    prices: PriceTrend = NO_TREND
    first_orders: FirstOrders = USUAL
    billing: BillingPeriods = NO_PERIODS
    beginnings: Beginnings = NO_BEGINNINGS
    payments: RegularPayments | None = None

    def p_alive(self, columns: Mapping[str, Array]) -> Array:
        """Return P(still a customer) of buyers, shape (rows,): that of the customer base.

        In a shop with a season it is that of the model of the season, as in the parts of the value:
        the customer base takes the silence of a low season for leaving.
        """
        of_season = None if self.leaving is None else self.leaving.alive(columns)
        return columns["btyd_alive"] if of_season is None else of_season

    def ended(
        self, base: CustomerBase, columns: Mapping[str, Array], plan: int | None = None
    ) -> Array | float:
        """Return P(the next payment has fallen due) of who pays a price at regular gaps, (rows,).

        1 in other logs, in which nobody knows when customers decide.

        Parameters
        ----------
        base
            The customer base, or that of a plan.
        columns
            Columns of the buyers, shape (rows,) each.
        plan
            Number of the plan.
        """
        if self.payments is None:
            return 1.0
        spreads = self.payments.spreads
        spread = spreads if plan is None or isinstance(spreads, float) else spreads[plan]
        gaps = own_gaps(base, columns, spread)
        return 1.0 if gaps is None else gaps.ended

    @property
    def knows_season(self) -> bool:
        """Whether the models of leaving are those of a season."""
        return self.leaving is not None and self.leaving.seasonal is not None

    @property
    def price_list(self) -> PriceList | None:
        """The prices that customers change between; None where they keep theirs."""
        return None if self.payments is None else self.payments.price_list

    @property
    def trees(self) -> dict[str, Boosted]:
        """Name of a factor -> its trees, for the factors that have some."""
        trees = {name: factor.trees for name, factor in self._factors.items()}
        return {name: of_factor for name, of_factor in trees.items() if of_factor is not None}

    @property
    def own(self) -> dict[str, Any]:
        """The regressors of the user, by factor and name, such as ``spend.mine``."""
        factors = {name: factor.own for name, factor in self._factors.items()}
        return {
            f"{factor}.{name}": member
            for factor, share in factors.items()
            if share is not None
            for name, member in share.members.items()
        }

    @property
    def has_later_prices(self) -> bool:
        """Whether an order after the horizon costs another sum than one within it."""
        has_factor = not self.prices.is_none or self.later_spend is not None
        return has_factor or self.price_list is not None

    @property
    def _factors(self) -> dict[str, Factor]:
        factors = {name: getattr(self, name) for name in FACTORS}
        return {name: factor for name, factor in factors.items() if factor is not None}

    def price_after(
        self, columns: Mapping[str, Array], days: int, threads: int = 0
    ) -> Array | float:
        """Return what an order after the horizon costs over one within it, shape (rows,), or 1.

        ``days`` is the value horizon. Where the spend per order after the horizon has a factor of
        its own, which was learned on what came then, it knows how prices go on.
        """
        if self.later_spend is None:
            return self.prices.after_horizon(days)
        return self.later_spend.of(columns, threads) / self.spend.of(columns, threads)

    def is_far(self, value_horizon_days: int) -> bool:
        """Return whether a value horizon is too many times the history for more than a guess."""
        return value_horizon_days > FAR * self.history_days

    def orders_if_any(
        self, columns: Mapping[str, Array], p_inactive: Array, threads: int = 0
    ) -> Array:
        """Return E[purchase days in the horizon | at least one], shape (rows,), at least 1.

        ``p_inactive`` is P(no purchase in the horizon), shape (rows,).
        """
        repeat = repeat_if_any(columns)
        if_any = 1.0 + self.orders.times(repeat, columns, threads)
        if "btyd_orders" not in columns:
            return if_any
        return self.base_share.orders_if_any(
            if_any, 1.0 + repeat, columns["btyd_orders"], p_inactive
        )

    def spend_per_order(
        self, columns: Mapping[str, Array], base: CustomerBase | None, threads: int = 0
    ) -> Array | None:
        """Return E[spend per purchase day], shape (rows,); None in a log without amounts."""
        if self.mean_spend is None:
            return None
        so_far = self.spend_so_far(columns, base)
        return self.spend.times(so_far, columns, threads)

    def spend_so_far(self, columns: Mapping[str, Array], base: CustomerBase | None) -> Array:
        """Return E[spend per purchase day] from a customer's own purchases, see
        :func:`spend_so_far`; shape (rows,).
        """
        mean, p_paid = self.mean_spend or 0.0, self.p_paid
        return spend_so_far(columns, base, mean, p_paid, self.prices, self.first_orders)

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain data; the texts of the trees are stored separately."""
        return {
            "mean_spend": self.mean_spend,
            "p_paid": self.p_paid,
            "history_days": self.history_days,
            **{name: factor.to_json() for name, factor in self._factors.items()},
            **({} if self.leaving is None else {"leaving": self.leaving.to_json()}),
            **({} if self.base_share.share == 0 else {"base_share": self.base_share.to_json()}),
            "rest_season": self.rest_season,
            **({} if self.reactivation.is_none else {"reactivation": self.reactivation.to_json()}),
            **(
                {}
                if self.after_contract.is_none
                else {"after_contract": self.after_contract.to_json()}
            ),
            **({} if self.prices.is_none else {"prices": self.prices.to_json()}),
            **({} if self.first_orders.is_usual else {"first_orders": self.first_orders.to_json()}),
            **({} if self.billing.is_none else {"billing": self.billing.to_json()}),
            **(
                {}
                if self.beginnings == NO_BEGINNINGS
                else {"beginnings": self.beginnings.to_json()}
            ),
            **({} if self.payments is None else {"payments": self.payments.to_json()}),
        }

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        trees: Mapping[str, str],
        own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> ValueModel:
        """Read what :meth:`to_json` returns, with the texts of the trees by factor.

        ``own`` holds the regressors of the user by factor and name.
        """
        mean = data["mean_spend"]
        return cls(
            None if mean is None else float(mean),
            float(data["p_paid"]),
            float(data["history_days"]),
            **{
                name: Factor.from_json(
                    data[name], trees.get(name), _regressors(data[name], own.get(name))
                )
                for name in FACTORS
                if name in data or name != "later_spend"
            },
            leaving=Leaving.from_json(data["leaving"]) if data.get("leaving") else None,
            base_share=BaseShare.from_json(data.get("base_share", {"share": 0.0, "level": 1.0})),
            rest_season=float(data.get("rest_season", 1.0)),
            reactivation=Reactivation.from_json(data["reactivation"])
            if data.get("reactivation")
            else Reactivation(),
            after_contract=AfterContract.from_json(data.get("after_contract", 1.0)),
            prices=PriceTrend.from_json(data["prices"]) if data.get("prices") else NO_TREND,
            first_orders=FirstOrders.from_json(data["first_orders"])
            if data.get("first_orders")
            else USUAL,
            billing=BillingPeriods.from_json(data["billing"])
            if data.get("billing")
            else NO_PERIODS,
            beginnings=Beginnings.from_json(data.get("beginnings", {})),
            payments=RegularPayments.from_json(data["payments"]) if data.get("payments") else None,
        )


def _regressors(data: Mapping[str, Any], code: Mapping[str, Any] | None) -> OwnShare | None:
    """Return the regressors of the user of a factor; None where it has none."""
    if data.get("own") is None:
        return None
    from stagecast.training.value.own_regressors import OwnRegressors  # a server has none

    return OwnRegressors.from_json(data["own"], code or {})


def discounted_days(days: Array, annual_rate: float) -> Array:
    """Return the discounted length of spans from the as_of on, in days, same shape.

    >>> discounted_days(np.array([365.0]), 0.0).tolist()
    [365.0]
    """
    rate = np.log1p(annual_rate) / 365.0
    return np.asarray(days if rate == 0 else -np.expm1(-rate * days) / rate)


def repeat_if_any(columns: Mapping[str, Array]) -> Array:
    """Return E[purchase days beyond the first | at least one] by the customer base, (rows,).

    0 without a customer base.
    """
    if "btyd_orders" not in columns:
        return np.zeros(len(columns["orders"]))
    p_purchase = 1.0 / (1.0 + np.exp(columns["btyd_none"]))
    return np.asarray(np.maximum(columns["btyd_orders"] / np.maximum(p_purchase, 1e-9) - 1.0, 0.0))


def rest_by_base(
    base: CustomerBase,
    columns: Mapping[str, Array],
    horizon_days: int,
    until_days: int,
    annual_rate: float,
) -> Array:
    """Return the discounted orders from the horizon's end on by the customer base, (rows,)."""
    until = base.discounted_orders(until_days, columns, annual_rate)
    return np.maximum(until - base.discounted_orders(horizon_days, columns, annual_rate), 0.0)


def spend_so_far(
    columns: Mapping[str, Array],
    base: CustomerBase | None,
    mean_spend: float,
    p_paid: float,
    prices: PriceTrend = NO_TREND,
    first_orders: FirstOrders = USUAL,
) -> Array:
    """Return E[spend per purchase day] from a customer's own purchases, shape (rows,).

    By Gamma-Gamma; without it, the mean of the customer's purchases and one of ``mean_spend``. Who
    has never paid is expected to pay with a chance that falls with each purchase that brought
    nothing.

    Parameters
    ----------
    columns
        Columns of buyers, shape (rows,) each.
    base
        The customer base, with or without a model of spend; or None.
    mean_spend
        Mean spend per purchase day of those who paid.
    p_paid
        P(a purchase brings money | the customer's only purchase so far brought none).
    prices
        Trend of the prices, to those of the middle of the horizon.
    first_orders
        What first orders count as.
    """
    orders = columns["orders"]
    if not first_orders.is_usual:
        columns = {**columns, "spend_mean": first_orders.mean_of(columns)}
    mean = np.maximum(np.nan_to_num(columns["spend_mean"], nan=0.0), 0.0)
    if not prices.is_none:
        mean = mean * prices.of_customers(columns)
        columns = {**columns, "spend_mean": mean}
    per_order = None if base is None else base.spend_per_order(columns)
    if per_order is None:
        per_order = (mean_spend + mean * orders) / (1.0 + orders)
    if not prices.is_none:
        per_order = per_order * prices.coming(columns)
    # a Beta prior of weight 1 in which p_paid is the mean after one purchase that brought nothing
    unpaid = p_paid * 2.0 / (1.0 + np.maximum(orders, 1.0))
    return np.asarray(np.where(mean > 0, per_order, per_order * unpaid))

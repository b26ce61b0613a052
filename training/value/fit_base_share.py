"""Fitting of :class:`stagecast.training.value.base_share.BaseShare` on a past date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from stagecast.features.arrays import Array
from stagecast.training.learners import metrics
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.value.base_share import BaseShare, mixed_if_any
from stagecast.training.value.model import ValueModel, repeat_if_any

PRICE_PART: Final = 0.5
"""Part of the share by which the spend per order follows the customer base. With all of it the mean
absolute error on CDNOW was .2 % lower, and its rank correlation .002."""
LARGEST: Final = 0.99
"""Part of those who bought whose money counts in full; more counts as much as theirs, so that one
customer cannot decide for all."""
LEAST: Final = 0.02
"""A smaller share is none."""
FEWEST_BUYERS: Final = 10
MAX_ROWS: Final = 50_000
FURTHEST_LEVEL: Final = 3.0
SMALLER: Final = 0.8
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Customers:
    """What is expected of customers of a date by the parts that are mixed, shape (rows,) each.

    Parameters
    ----------
    if_any, base_if_any
        E[purchase days in the horizon | at least one], by the models of past dates and by the
        customer base.
    base_orders
        Expected purchase days by the customer base.
    p_inactive
        P(no purchase in the horizon).
    so_far
        Spend per purchase day by the customer base; ones where there are no amounts.
    factor
        Factor of it that past dates teach.
    """

    if_any: Array
    base_if_any: Array
    base_orders: Array
    p_inactive: Array
    so_far: Array
    factor: Array

    @classmethod
    def of(
        cls,
        model: ValueModel,
        base: CustomerBase | None,
        columns: Mapping[str, Array],
        p_inactive: Array,
    ) -> Customers:
        """Return what a value model, without a share, expects of rows of columns."""
        repeat = repeat_if_any(columns)
        if model.mean_spend is None:
            so_far = factor = np.ones(len(repeat))
        else:
            so_far = model.spend_so_far(columns, base)
            factor = model.spend.of(columns)
        return cls(
            1.0 + repeat * model.orders.of(columns),
            1.0 + repeat,
            columns["btyd_orders"],
            p_inactive,
            so_far,
            factor,
        )

    @property
    def orders(self) -> Array:
        """Expected purchase days without a share, shape (rows,)."""
        return (1.0 - self.p_inactive) * self.if_any

    def mixed_orders(self, share: float, level: float) -> Array:
        """Return the expected purchase days with a share of the customer base, shape (rows,)."""
        parts = self.if_any, self.base_if_any, self.base_orders, self.p_inactive
        return (1.0 - self.p_inactive) * mixed_if_any(*parts, share, level)

    def level_of(self, share: float) -> float:
        """Return the level at which a share leaves the total of the orders as it is.

        Where the largest orders of those who order allow no such level, the furthest one.
        """
        furthest = float(np.log(FURTHEST_LEVEL))
        if self._missing(share, -furthest) >= 0:
            return 1.0 / FURTHEST_LEVEL
        if not self.keeps_total(share):
            return FURTHEST_LEVEL
        level = brentq(lambda at: self._missing(share, at), -furthest, furthest, xtol=1e-6)
        return float(np.exp(level))

    def keeps_total(self, share: float) -> bool:
        """Return whether some level leaves the total of the orders as it is."""
        return self._missing(share, float(np.log(FURTHEST_LEVEL))) >= 0

    def _missing(self, share: float, log_level: float) -> float:
        mixed = self.mixed_orders(share, float(np.exp(log_level)))
        return float(mixed.sum() - self.orders.sum())

    def spend(self, share: float) -> Array:
        """Return the expected spend with a share of the customer base, shape (rows,)."""
        orders = self.mixed_orders(share, self.level_of(share))
        return orders * self.so_far * self.factor ** (1.0 - PRICE_PART * share)


def learned_share(customers: Customers, outcome: Array) -> float:
    """Return the least share by which the money is as near to what came as by the best share.

    The best has the least loss: the mean absolute error at equal totals, over that without a share,
    less the rank correlation; the one is led by customers who spend much, the other by who spends
    at all. As near is within a standard error of the paired difference of the absolute errors, so
    that a share is taken only where customers enough say so (the one-standard-error rule of
    Breiman, Friedman, Olshen and Stone 1984).

    Parameters
    ----------
    customers
        What was expected at a past date, by models that had not seen what came.
    outcome
        What came, in money or in purchase days, shape (rows,).
    """
    positive = outcome[outcome > 0]
    if len(positive) < FEWEST_BUYERS:
        return 0.0
    most = float(np.quantile(positive, LARGEST))
    capped = np.minimum(outcome, most)

    def errors(share: float) -> tuple[Array, float]:
        """Return the absolute error of each customer, and the rank correlation."""
        expected = np.minimum(customers.spend(share), most)
        total = max(float(expected.sum()), _SMALLEST)
        distance = np.abs(expected * (capped.sum() / total) - capped)
        return distance, metrics.finite(metrics.rank_correlation(capped, expected)) or 0.0

    usual = max(float(errors(0.0)[0].mean()), _SMALLEST)

    def loss(share: float) -> float:
        distance, rank = errors(share)
        return float(distance.mean()) / usual - rank

    best = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-3})
    of_best, rank_of_best = errors(best.x)

    def beyond_chance(share: float) -> float:
        """Return by how much more than a standard error the loss is above that of the best."""
        distance, rank = errors(share)
        more = (distance - of_best) / usual
        error = float(more.std() / np.sqrt(len(more)))
        # ranks alone do not say that the money is nearer
        return float(more.mean()) + min(rank_of_best - rank, 0.0) - error

    if beyond_chance(0.0) <= 0.0:
        return 0.0
    if beyond_chance(best.x) >= 0.0:
        return float(best.x)
    share = brentq(beyond_chance, 0.0, best.x, xtol=1e-3)
    return float(share) if share >= LEAST else 0.0


def with_base_share(
    model: ValueModel,
    base: CustomerBase | None,
    share: float,
    columns: Mapping[str, Array],
    p_inactive: Array,
) -> ValueModel:
    """Return the model with a share of the customer base.

    The total of the orders and the level of the prices stay as they were without.

    Parameters
    ----------
    model
        The value model, without a share.
    base
        The customer base of the as_of.
    share
        The share, 0 to 1; a smaller one is taken where none but that keeps the totals.
    columns, p_inactive
        Buyers at the as_of, or a sample of them, whose totals stay, shape (rows,) each.
    """
    customers = Customers.of(model, base, columns, p_inactive)
    while share >= LEAST and not customers.keeps_total(share):
        share *= SMALLER
    if share < LEAST:
        return model
    level = customers.level_of(share)
    model = replace(model, base_share=BaseShare(share, level))
    if model.mean_spend is None:
        return model
    orders = customers.mixed_orders(share, level)
    power = model.spend.power * (1.0 - PRICE_PART * share)
    spend = Factor(model.spend.level, model.spend.trees, power)
    before = float((orders * customers.so_far * customers.factor).sum())
    after = float((orders * customers.so_far * spend.of(columns)).sum())
    if before > 0 and after > 0:
        spend = replace(spend, level=spend.level * before / after)
    return replace(model, spend=spend)


def sampled(rows: int) -> NDArray[np.int64]:
    """Return every k-th of so many rows, so that at most ``MAX_ROWS`` remain."""
    return np.arange(0, rows, max(1, -(-rows // MAX_ROWS)))

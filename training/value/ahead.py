"""Discounted orders of buyers from the as_of up to any later day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.model import ValueModel, discounted_days

_SMALLEST = 1e-9


def own_rate(orders: Array, tenure_days: Array, expected_orders: Array, horizon_days: int) -> Array:
    """Return the most purchase days per day that a customer's own buying lets expect, (rows,).

    The larger of the rate of the horizon's forecast and of the rate so far, over a horizon at
    least.

    Parameters
    ----------
    orders
        Purchase days so far, shape (rows,).
    tenure_days
        Days since the first of them, shape (rows,).
    expected_orders
        Expected purchase days within the horizon, shape (rows,).
    horizon_days
        Days of the horizon.

    >>> own_rate(np.array([40.0]), np.array([400.0]), np.array([4.5]), 90).tolist()
    [0.1]
    """
    so_far = orders / np.maximum(tenure_days, float(horizon_days))
    return np.asarray(np.maximum(expected_orders / float(horizon_days), so_far))


def rest_within_own_rate(
    rest: Array, factor: Array, rate: Array, span_days: float, season: float
) -> Array:
    """Return the orders after the horizon, corrected, but within a customer's own rate, (rows,).

    Who buys at a rate of their own until they leave never buys faster than now. A factor that past
    dates teach is right for a group; it must not lift those who buy most above what they ever did.

    Parameters
    ----------
    rest
        Orders after the horizon by the customer base, which may exceed the rate where purchases
        are regular and the next ones fall due, shape (rows,).
    factor
        Factor of them that past dates teach, shape (rows,).
    rate
        See :func:`own_rate`, shape (rows,).
    span_days
        Days after the horizon, discounted.
    season
        Factor of a season, 1 or more, by which the months after the horizon may be above the rate.

    >>> rest, factor, rate = np.array([3.0, 3.0]), np.array([1.2, 2.0]), np.array([0.01, 0.01])
    >>> rest_within_own_rate(rest, factor, rate, 400.0, 1.0).round(6).tolist()
    [3.6, 4.0]
    """
    most = np.maximum(rest, rate * span_days) * season
    return np.asarray(np.minimum(rest * factor, most))


def pulled_forward(
    rest: Array, if_silent: Array, base_none: Array, expected_orders: Array
) -> Array:
    """Return the share of the orders after the horizon that those within it leave, (rows,).

    Where purchases are regular, an order within the horizon is the one that was due, and the next
    one is a whole gap later. So more orders within the horizon than by the customer base, as in a
    season, are fewer after it.

    Parameters
    ----------
    rest
        Orders after the horizon by the customer base, shape (rows,), as all arrays here.
    if_silent
        Those of who orders nothing within it, times the probability of that, see
        :meth:`stagecast.training.learners.customer_base.CustomerBase.rest_if_silent`.
    base_none
        Log odds of no order within the horizon by the customer base.
    expected_orders
        Expected purchase days within the horizon; where they are fewer than one, they are taken for
        the probability of any.

    >>> rest, silent, base_none = np.array([0.6, 0.6]), np.array([0.56, 0.56]), np.log([4.0, 4.0])
    >>> pulled_forward(rest, silent, base_none, np.array([0.2, 0.6])).round(3).tolist()
    [1.0, 0.667]
    """
    none = 1.0 / (1.0 + np.exp(-base_none))
    p = np.clip(expected_orders, 0.0, 1.0)
    after_one = np.maximum(rest - if_silent, 0.0) / np.maximum(1.0 - none, _SMALLEST)
    after_none = if_silent / np.maximum(none, _SMALLEST)
    left = p * after_one + (1.0 - p) * after_none
    share = np.minimum(left / np.maximum(rest, _SMALLEST), 1.0)
    return np.where(p > 1.0 - none, share, 1.0)


class OrdersAhead:
    """Discounted orders of buyers, which never fall with the number of days.

    Within the horizon they are those of the models; after it, those of the customer base times the
    factor that past dates teach, within the customer's own rate.

    Parameters
    ----------
    model
        The value model.
    base
        The customer base; None where it cannot be fitted, and orders come at a constant rate.
    config
        Horizons and discount.
    columns
        Columns of the buyers, shape (rows,) each.
    expected_orders
        Expected purchase days within the horizon, shape (rows,).
    threads
        Threads of LightGBM; 0 uses all cores.
    """

    def __init__(
        self,
        model: ValueModel,
        base: CustomerBase | None,
        config: TrainConfig,
        columns: Mapping[str, Array],
        expected_orders: Array,
        threads: int = 0,
    ) -> None:
        self.base, self.config, self.columns = base, config, columns
        self.expected_orders = expected_orders
        self.factor, self.season = model.rest.of(columns, threads), model.rest_season
        self.price_after = model.price_after(columns, config.value_horizon_days, threads)
        self.alive = [] if base is None else base.p_alive_by_model(columns)
        self.price_list = model.price_list
        self._by_base: dict[int, Array] = {}
        self._left: Array | None = None

    def look_until(self, ends: Iterable[int]) -> None:
        """Compute what :meth:`until` needs for several numbers of days, at once."""
        missing = [end for end in dict.fromkeys(ends) if end not in self._by_base]
        if self.base is None or not missing:
            return
        orders = self.base.discounted_orders_until(
            missing, self.columns, self.config.annual_discount, self.alive
        )
        self._by_base.update(zip(missing, orders, strict=True))

    def by_base(self, days: int) -> Array:
        """Return the discounted orders within ``days`` by the customer base, shape (rows,)."""
        if days not in self._by_base:
            assert self.base is not None
            self._by_base[days] = self.base.discounted_orders(
                days, self.columns, self.config.annual_discount
            )
        return self._by_base[days]

    @property
    def left(self) -> Array | float:
        """Share of the rest that the orders within the horizon leave, shape (rows,), or 1."""
        base, horizon, days = self.base, self.config.horizon_days, self.config.value_horizon_days
        if base is None or not base.is_regular or days <= horizon:
            return 1.0
        if self._left is None:
            silent = base.rest_if_silent(horizon, days, self.columns, self.config.annual_discount)
            rest = np.maximum(self.by_base(days) - self.by_base(horizon), 0.0)
            self._left = pulled_forward(
                rest, silent, self.columns["btyd_none"], self.expected_orders
            )
        return self._left

    def stays(self, days: int) -> Array | float:
        """Return the orders between horizon and ``days`` over those of all prices, (rows,), or 1.

        See :meth:`stagecast.training.billing.price_list.PriceList.stays`.
        """
        if self.price_list is None:
            return 1.0
        return self.price_list.stays(self.columns[LAST_PRICE], self.config.horizon_days, days)

    def share_of_all(self, days: int) -> Array | float:
        """Return the orders within ``days`` over those of who pays any price, (rows,), or 1."""
        in_horizon, rest = self._parts_until(days)
        if self.price_list is None or rest is None:
            return 1.0
        of_all = in_horizon + rest / np.maximum(self.stays(days), _SMALLEST)
        return np.asarray((in_horizon + rest) / np.maximum(of_all, _SMALLEST))

    def until(self, days: int) -> Array:
        """Return the discounted orders within ``days`` of the as_of, shape (rows,)."""
        in_horizon, rest = self._parts_until(days)
        return in_horizon if rest is None else np.asarray(in_horizon + rest)

    def priced_until(self, days: int) -> Array:
        """Return :meth:`until` at the prices of the horizon, shape (rows,).

        An order after the horizon counts as many as it costs more, see
        :meth:`ValueModel.price_after`.
        """
        in_horizon, rest = self._parts_until(days)
        return in_horizon if rest is None else np.asarray(in_horizon + rest * self.price_after)

    def _parts_until(self, days: int) -> tuple[Array, Array | None]:
        """Return the orders of :meth:`until` within the horizon and after it, shape (rows,) each.

        None after it where ``days`` ends before the horizon does, or there is no customer base.
        """
        horizon = self.config.horizon_days
        near, far = discounted_days(
            np.array([horizon, days], dtype=np.float64), self.config.annual_discount
        )
        if self.base is None:
            return np.asarray(self.expected_orders * (far / horizon)), None
        in_horizon = self.expected_orders * (near / horizon)
        if days < horizon:
            share = self.by_base(days) / np.maximum(self.by_base(horizon), _SMALLEST)
            return np.asarray(in_horizon * np.minimum(share, 1.0)), None
        rest = np.maximum(self.by_base(days) - self.by_base(horizon), 0.0)
        rate = own_rate(
            self.columns["orders"], self.columns["T_days"], self.expected_orders, horizon
        )
        rest = rest_within_own_rate(rest, self.factor, rate, float(far - near), self.season)
        value, most = self.config.value_horizon_days, self.left
        if days > value > horizon:  # one order was pulled forward, however long the span is
            most = 1.0 - (1.0 - most) * ((value - horizon) / (days - horizon))
        return np.asarray(in_horizon), rest * most * self.stays(days)

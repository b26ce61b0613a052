"""Discounted orders of buyers from the as_of up to any later day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.model import ValueModel, discounted_days

_SMALLEST = 1e-9


class OrdersAhead:
    """Discounted orders of buyers, which never fall with the number of days.

    Within the horizon they are those of the models; after it, those of the customer base times the
    factor that past dates teach.

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
        self.factor = model.rest.of(columns, threads)
        self.alive = [] if base is None else base.p_alive_by_model(columns)
        self._by_base: dict[int, Array] = {}

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

    def until(self, days: int) -> Array:
        """Return the discounted orders within ``days`` of the as_of, shape (rows,)."""
        horizon = self.config.horizon_days
        near, far = discounted_days(
            np.array([horizon, days], dtype=np.float64), self.config.annual_discount
        )
        if self.base is None:
            return np.asarray(self.expected_orders * (far / horizon))
        in_horizon = self.expected_orders * (near / horizon)
        if days < horizon:
            share = self.by_base(days) / np.maximum(self.by_base(horizon), _SMALLEST)
            return np.asarray(in_horizon * np.minimum(share, 1.0))
        rest = np.maximum(self.by_base(days) - self.by_base(horizon), 0.0)
        return np.asarray(in_horizon + rest * self.factor)

"""A customer base of regular gaps for one customer: its own functions, called with one row.

The orders of regular gaps are sums of renewals (:mod:`stagecast.training.learners.btyd.renewals`)
that have no form for one number. What is saved is all around them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.leaving import Leaving
from stagecast.training.one_row.predictions import BaseOutlook
from stagecast.training.value.money import YEARS


def spans_of(config: TrainConfig, *, tells_years: bool) -> dict[int, int]:
    """Return the spans in days that orders are asked for, each with its place; first the horizon.

    Parameters
    ----------
    config
        Horizons.
    tells_years
        Whether the value is split by year.
    """
    horizon, days = config.horizon_days, config.value_horizon_days
    ends = (horizon, min(horizon, days), days, *(YEARS if tells_years else ()))
    return {end: number for number, end in enumerate(dict.fromkeys(ends))}


def needs_arrays(base: CustomerBase) -> bool:
    """Return whether a model of the base has regular gaps."""
    return base.is_regular


def one_row(columns: Mapping[str, float], names: tuple[str, ...]) -> dict[str, Array]:
    """Return these columns of a customer as arrays of one row."""
    return {name: np.array([columns[name]]) for name in names}


class BaseOfArrays:
    """A customer base of any models, asked of one buyer after the other.

    Parameters
    ----------
    base
        The customer base.
    config
        Horizons and discount.
    tells_years
        Whether the value is split by year.
    """

    def __init__(self, base: CustomerBase, config: TrainConfig, *, tells_years: bool) -> None:
        self._base, self._config = base, config
        self.place = spans_of(config, tells_years=tells_years)

    def of(self, columns: Mapping[str, float]) -> BaseOutlook:
        """Return what the customer base says of a buyer."""
        config = self._config
        (part,) = self._base.parts(one_row(columns, (*HISTORY, *self._base.reads)))
        base, rows = part.base, part.histories
        named = self._base.columns_of_part(part, config.horizon_days)
        alive = base.p_alive_by_model(rows)
        until = base.discounted_orders_until(list(self.place), rows, config.annual_discount, alive)
        frequency, t_x_days, T_days = (float(rows[name][0]) for name in HISTORY)
        horizon, days = config.horizon_days, config.value_horizon_days
        silent = None
        if days > horizon:
            silent = float(base.rest_if_silent(horizon, days, rows, config.annual_discount)[0])
        return BaseOutlook(
            base,
            tuple(float(p[0]) for p in alive),
            None,
            (frequency, t_x_days, T_days),
            {name: float(values[0]) for name, values in named.items()},
            until[:, 0],
            silent,
        )

    def kept(self, said: BaseOutlook, leaving: Leaving | None) -> tuple[float, float]:
        """Return the discounted orders of who never leaves, and of who had left and is back."""
        days, rate = self._config.value_horizon_days, self._config.annual_discount
        rows = dict(zip(HISTORY, (np.array([value]) for value in said.history), strict=True))
        alive = [np.array([p]) for p in said.alive]
        staying = said.base.kept_orders(days, rows, rate, alive)
        if leaving is None:
            back = said.base.regained_orders(days, rows, rate, alive)
        else:
            back = leaving.regained_orders(said.base, days, rows, rate, alive)
        return float(staying[0]), float(back[0])

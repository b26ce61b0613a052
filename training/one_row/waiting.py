"""The price of waiting with one buyer, see :mod:`stagecast.training.waiting.price`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, exp, expit, log
from stagecast.training.learners.btyd import betageometric
from stagecast.training.learners.customer_base import HISTORY
from stagecast.training.one_row.base import BetaGeometricOfOne
from stagecast.training.one_row.predictions import BaseOutlook
from stagecast.training.one_row.value import BaseOfOne, ValueOfOne
from stagecast.training.waiting.price import (
    FEW_PARTS,
    LATEST_DAYS,
    LIMIT,
    WEEK_DAYS,
    price_of_waiting,
)

_SMALLEST = 1e-9
_NULL = math.nan
_PARTS = np.arange(1.0, FEW_PARTS) / FEW_PARTS
# Silences that are tried first: none, the longest, and the ends of equal parts between them.
_FIRST = np.concatenate([[0.0, float(LATEST_DAYS)], np.floor(float(LATEST_DAYS) * _PARTS)])


class WaitingOfOne:
    """The price of waiting, asked of one buyer after the other.

    Parameters
    ----------
    model
        The first customer-base model.
    horizon_days, value_days
        The horizon, and the value horizon.
    value_place
        Place of the value horizon among the spans of the customer base.
    """

    def __init__(
        self, model: BetaGeometricOfOne, horizon_days: int, value_days: int, value_place: int
    ) -> None:
        self.model, self._value_place = model, value_place
        self.value_days = float(value_days)
        self._horizon = np.asarray(float(horizon_days))
        self._value_days = np.array([self.value_days])
        self._log_limit = float(np.log1p(-LIMIT))

    def price(
        self, said: BaseOutlook, p_inactive: float, value_at_risk: float
    ) -> tuple[float, float]:
        """Return the loss per week, and the whole days until the window closes; null is NaN.

        Parameters
        ----------
        said
            What the customer base says of the buyer.
        p_inactive
            Pooled P(no purchase in the horizon).
        value_at_risk
            What a contact can save; null where there is nothing.
        """
        x, t_x, T = said.history
        model, first = self.model, said.first
        if first is None:
            raise ArithmeticError("the customer base was asked with arrays")
        orders_today = float(first.undiscounted[self._value_place])
        power = log(_clipped(p_inactive)) / log(_clipped(first.p_none))
        silent = model.none(first.odds, model.silent(WEEK_DAYS, x, T))
        later = T + WEEK_DAYS
        alive_later = expit(-model.odds(x, t_x, later))
        orders_later = alive_later * float(model.orders(self._value_days, x, later)[0])
        today = max(first.alive * self._stays(x, T) - orders_today, 0.0)
        next_week = max(alive_later * self._stays(x, later) - orders_later, 0.0)
        savable = next_week / today if today > _SMALLEST else 1.0
        loss = exp(power * log(_clipped(silent))) * value_at_risk * (1.0 - clip(savable, 0.0, 1.0))
        return loss, self._closes(x, t_x, T, exp(self._log_limit / power))

    def _stays(self, x: float, T: float) -> float:
        r, alpha = self.model.params[:2]
        return (r + x) / (alpha + T) * self.value_days

    def _closes(self, x: float, t_x: float, T: float, most_none: float) -> float:
        """Return the first whole day from which the chance stays below the limit; NaN: later."""
        is_open = self._none(x, t_x, T + _FIRST) <= most_none
        if is_open[1]:
            return _NULL
        if not is_open[0]:
            return 0.0
        low, high = _between(0.0, float(LATEST_DAYS), _FIRST[2:], is_open[2:])
        while high - low > 1.0:
            cuts = np.floor(low + (high - low) * _PARTS)
            is_open = self._none(x, t_x, T + np.maximum(cuts, 0.0)) <= most_none
            low, high = _between(low, high, cuts, is_open)
        return high

    def _none(self, x: float, t_x: float, T: Array) -> Array:
        """Return P(no purchase within the horizon) at several ages, shape of ``T``."""
        model = self.model
        odds = model.odds_at(x, t_x, T)
        silent = betageometric.none_if_active(model.params, self._horizon, np.asarray(x), T)
        return np.asarray(np.minimum(special.expit(odds) + special.expit(-odds) * silent, 1.0))


class WaitingOfArrays:
    """The price of waiting by a model without a closed form, worked out for arrays of one row.

    Parameters
    ----------
    value
        The value model, with the customer base as it is asked.
    horizon_days, value_days
        The horizon, and the value horizon.
    """

    def __init__(self, value: ValueOfOne, horizon_days: int, value_days: int) -> None:
        self._horizon, self._value_days = horizon_days, value_days
        self._ended = value.ended

    def price(
        self, said: BaseOutlook, p_inactive: float, value_at_risk: float
    ) -> tuple[float, float]:
        """Return the loss per week and the days; see :meth:`WaitingOfOne.price`."""
        waiting = price_of_waiting(
            said.base.models[0],
            dict(zip(HISTORY, (np.array([value]) for value in said.history), strict=True)),
            np.array([p_inactive]),
            np.array([value_at_risk]),
            horizon_days=self._horizon,
            value_days=self._value_days,
            ended=self._ended,
        )
        return float(waiting.loss_per_week[0]), float(waiting.closes_in_days[0])


def waiting_of_one(
    value: ValueOfOne, horizon_days: int, value_days: int
) -> WaitingOfOne | WaitingOfArrays:
    """Return the price of waiting by the first model, for one buyer at a time.

    Parameters
    ----------
    value
        The value model, with the customer base as it is asked.
    horizon_days, value_days
        The horizon, and the value horizon.
    """
    base = value.base
    if isinstance(base, BaseOfOne) and isinstance(base.models[0], BetaGeometricOfOne):
        place = base.place[value_days]
        return WaitingOfOne(base.models[0], horizon_days, value_days, place)
    return WaitingOfArrays(value, horizon_days, value_days)


def _between(
    low: float, high: float, cuts: Array, is_open: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the ends of the part in which the window closes."""
    last = int(is_open.sum())
    edges = [low, *cuts.tolist(), high]
    return edges[last], edges[last + 1]


def _clipped(probability: float) -> float:
    return clip(probability, _SMALLEST, 1.0 - _SMALLEST)

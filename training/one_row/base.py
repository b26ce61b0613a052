"""The customer base for one customer: all that the other models ask of it, in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.one_customer import numbers
from stagecast.features.one_customer.numbers import expit, exprel, on_numbers
from stagecast.training.learners.btyd import Model, betageometric, paretonbd
from stagecast.training.learners.btyd.closed_forms import (
    DAYS_PER_YEAR,
    NODES,
    PARAMETERS,
    WEIGHTS,
)
from stagecast.training.learners.btyd.densities import FIRST_COIN
from stagecast.training.one_row.predictions import Outlook

_STEPS = 1.0 + NODES

_log_odds_dead = on_numbers(betageometric.log_odds_dead)
_none_if_active = on_numbers(betageometric.none_if_active)


@dataclass(frozen=True)
class Spans:
    """Spans of time over which orders are discounted, and what of them is the same for everybody.

    Parameters
    ----------
    days
        Lengths in days, shape (spans,).
    annual_rate
        Rate of the discount.
    """

    days: Array
    annual_rate: float

    @cached_property
    def daily(self) -> float:
        """Interest of a day."""
        return float(np.log1p(self.annual_rate) / DAYS_PER_YEAR)

    @cached_property
    def at_end(self) -> Array:
        """Discount of an order at the end of each span, shape (spans,)."""
        return np.asarray(np.exp(-self.daily * self.days))


class ModelOfOne(ABC):
    """A customer-base model, asked of one history after the other.

    Parameters
    ----------
    model
        With random gaps.
    spans
        Spans that orders are asked for.
    value_days
        Value horizon.
    """

    def __init__(self, model: Model, spans: Spans, value_days: int) -> None:
        self.params, self.spans, self.value_days = model.params, spans, float(value_days)
        names = zip(PARAMETERS[model.name], model.params, strict=True)
        self.least_days = min(value for key, value in names if key.endswith("_days"))
        rate = np.log1p(spans.annual_rate) / DAYS_PER_YEAR
        self.kept_factor = exprel(float(-rate * value_days))

    def odds_and_silent(self, days: float, x: float, t_x: float, T: float) -> tuple[float, float]:
        """Return the log odds of having left, and P(no purchase within ``days`` | active)."""
        return self.odds(x, t_x, T), self.silent(days, x, T)

    @abstractmethod
    def odds(self, x: float, t_x: float, T: float) -> float:
        """Return the log odds of having left."""

    @abstractmethod
    def silent(self, days: float, x: float, T: float) -> float:
        """Return P(no purchase within ``days`` | active)."""

    @abstractmethod
    def orders(self, days: Array, x: float, T: Array | float) -> Array:
        """Return E[purchases within ``days`` | active], shape of ``days``."""

    @abstractmethod
    def rate_if_left(self, x: float, t_x: float, T: float) -> float:
        """Return E[purchases per day while active | left]."""

    def none(self, odds: float, silent: float) -> float:
        """Return P(no purchase) from the log odds of having left and P(silent | active)."""
        return numbers.minimum(expit(odds) + expit(-odds) * silent, 1.0)

    def kept_orders(self, x: float, T: float) -> float:
        """Return the discounted orders within the value horizon of who never leaves."""
        r, alpha = self.params[:2]
        return (r + x) / (alpha + T) * self.value_days * self.kept_factor


class BetaGeometricOfOne(ModelOfOne):
    """BG/NBD or MBG/NBD."""

    def __init__(self, model: Model, spans: Spans, value_days: int) -> None:
        super().__init__(model, spans, value_days)
        self.first_coin = FIRST_COIN[model.name]

    def odds(self, x: float, t_x: float, T: float) -> float:
        """Return the log odds of having left."""
        odds: float = _log_odds_dead(self.params, self.first_coin, x, t_x, T)
        return odds

    def odds_at(self, x: float, t_x: float, T: Array) -> Array:
        """Return the log odds of having left at several days, shape of ``T``."""
        r, alpha, a, b = self.params
        coins = x + self.first_coin
        if not coins > 0:
            return np.full(T.shape, -np.inf)
        silence = (r + x) * np.log1p((T - t_x) / (alpha + t_x))
        return np.asarray(np.log(a) - np.log(b + coins - 1.0) + silence)

    def silent(self, days: float, x: float, T: float) -> float:
        """Return P(no purchase within ``days`` | active)."""
        silent: float = _none_if_active(self.params, days, x, T)
        return silent

    def orders(self, days: Array, x: float, T: Array | float) -> Array:
        """Return E[purchases within ``days`` | active], shape of ``days``."""
        return betageometric.orders_of_one(self.params, self.first_coin, days, x, T)

    def rate_if_left(self, x: float, t_x: float, T: float) -> float:
        """Return E[purchases per day while active | left]."""
        r, alpha = self.params[:2]
        return (r + x) / (alpha + t_x)


class ParetoOfOne(ModelOfOne):
    """Pareto/NBD."""

    def odds_and_silent(self, days: float, x: float, t_x: float, T: float) -> tuple[float, float]:
        """Return the log odds of having left, and P(no purchase within ``days`` | active)."""
        return paretonbd.odds_and_none_of_one(self.params, days, x, t_x, T)

    def odds(self, x: float, t_x: float, T: float) -> float:
        """Return the log odds of having left."""
        return float(paretonbd.log_odds_dead(self.params, *_rows(x, t_x, T))[0])

    def silent(self, days: float, x: float, T: float) -> float:
        """Return P(no purchase within ``days`` | active)."""
        span, own_x, own_T = _rows(days, x, T)
        return float(paretonbd.none_if_active(self.params, span, own_x, own_T)[0])

    def orders(self, days: Array, x: float, T: Array | float) -> Array:
        """Return E[purchases within ``days`` | active], shape of ``days``."""
        return paretonbd.orders_if_active(self.params, days, np.asarray(x), np.asarray(T))

    def rate_if_left(self, x: float, t_x: float, T: float) -> float:
        """Return E[purchases per day while active | left]."""
        return paretonbd.rate_if_left_of_one(self.params, x, t_x, T)


def _rows(*values: float) -> list[Array]:
    return [np.array([value]) for value in values]


def model_of_one(model: Model, spans: Spans, value_days: int) -> ModelOfOne:
    """Return a model with random gaps for one history at a time."""
    kind = ParetoOfOne if model.name == "pareto_nbd" else BetaGeometricOfOne
    return kind(model, spans, value_days)


class SeveralOfOne:
    """Several models, asked of one history after the other.

    Parameters
    ----------
    models
        The models, of the same spans.
    """

    def __init__(self, models: Sequence[ModelOfOne]) -> None:
        self._models, self._spans = models, models[0].spans
        self._least_days = np.array([model.least_days for model in models])[:, None]

    def outlooks(self, horizon: int, x: float, t_x: float, T: float) -> tuple[Outlook, ...]:
        """Return what each model says of one history.

        Parameters
        ----------
        horizon
            The horizon in days, which is the first of the models' spans.
        x, t_x, T
            The history.
        """
        said = [model.odds_and_silent(float(horizon), x, t_x, T) for model in self._models]
        alive = [expit(-odds) for odds, _ in said]
        orders = self._discounted(x, T, alive)
        return tuple(
            Outlook(odds, model.none(odds, silent), own_alive, until, undiscounted)
            for model, (odds, silent), own_alive, (until, undiscounted) in zip(
                self._models, said, alive, orders, strict=True
            )
        )

    def _discounted(self, x: float, T: float, alive: Sequence[float]) -> list[tuple[Array, Array]]:
        """Return the orders within each span by each model, discounted and not, shape (spans,)."""
        spans, days = self._spans, self._spans.days
        if spans.annual_rate == 0:
            plain = [
                own * model.orders(days, x, T)
                for model, own in zip(self._models, alive, strict=True)
            ]
            return [(orders, orders) for orders in plain]
        # the nodes of all models at once, shape (models, spans, nodes)
        scale = T + self._least_days
        half_range = (np.log1p(days / scale) / 2.0)[:, :, None]
        scale = scale[:, :, None]
        growth = np.exp(half_range * _STEPS)
        u = scale * (growth - 1.0)
        daily = spans.daily
        terms = WEIGHTS * half_range * scale * growth * np.exp(-daily * u)
        result = []
        for model, own, own_u, own_terms in zip(self._models, alive, u, terms, strict=True):
            of_nodes = own * model.orders(np.concatenate([own_u.ravel(), days]), x, T)
            own_terms *= of_nodes[: own_u.size].reshape(own_u.shape)
            # one after the other, as for many rows
            interest = own_terms.cumsum(axis=1)[:, -1]
            undiscounted = of_nodes[own_u.size :]
            result.append((spans.at_end * undiscounted + daily * interest, undiscounted))
        return result


def mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Return a weighted mean, added up in order."""
    return _sum([v * w for v, w in zip(values, weights, strict=True)]) / _sum(weights)


def mean_rows(values: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return the weighted mean of several arrays, added up in order."""
    total = values[0] * weights[0]
    for row, weight in zip(values[1:], weights[1:], strict=True):
        total = total + row * weight
    return np.asarray(total / _sum(weights))


def _sum(values: Sequence[float]) -> float:
    total = values[0]
    for value in values[1:]:
        total += value
    return total

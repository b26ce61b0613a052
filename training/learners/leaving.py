"""How customers leave: at a purchase, or at any time; with random gaps, regular ones, a season.

P(no purchase) hardly depends on it, and the customer base pools its models for that. What leaving
costs does: of two models that explain the purchases equally well, one can take twice as many
one-time buyers for good customers who left. So the parts of the value have weights of their own,
and regular gaps from two phases on.

Both models are weighted by their likelihood, as in a posterior of two equally likely models. What
is lost already is weighted for the least expected square of the *relative* error of its total: with
the totals ``G`` and the posterior ``p`` of the models, by ``p / G^2``. Where the log cannot tell,
this is close to the smaller total: to be half too low is a smaller error than to be twice too high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.seasonal_pareto import Histories, SeasonalPareto
from stagecast.training.learners.customer_base import (
    CustomerBase,
    distinct_histories,
    log_odds,
)

LEAST_WEIGHT: Final = 0.01
"""A model with less weight is left out."""
BLOCK: Final = 20_000
"""Histories of a season that are worked out at once."""
LEAST_ALIVE: Final = 1e-290
"""A smaller P(alive) is no number to divide by."""
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class LeavingOutlook:
    """What the models say of leaving, shape (rows,) each.

    Parameters
    ----------
    alive
        P(still a customer).
    none
        Log odds of no purchase in the horizon.
    orders_if_alive
        Discounted orders in the value horizon of a customer of today who may leave.
    kept_orders
        Those of a customer of today who stays.
    regained_orders
        Those of one who had left and is back, so that they times ``1 - alive`` are what is gone.
    """

    alive: Array
    none: Array
    orders_if_alive: Array
    kept_orders: Array
    regained_orders: Array


@dataclass(frozen=True)
class Leaving:
    """Models of leaving, beside those of the customer base.

    Parameters
    ----------
    gone_weights
        Weights of the models in what is gone: of those here, or of the customer base's.
    models
        Models of regular gaps; empty where those of the customer base hold.
    weights
        Their posterior.
    seasonal
        The model of a shop with a season, which takes the place of all others; None where there is
        no season.
    by_season
        How far it does better at past dates than these agree, 0 to 1, see
        :func:`stagecast.training.inactivity.season_level.share_of_season`.
    """

    gone_weights: tuple[float, ...]
    models: tuple[Model, ...] = ()
    weights: tuple[float, ...] = ()
    seasonal: SeasonalPareto | None = None
    by_season: float = 0.0

    @property
    def is_of_gaps(self) -> bool:
        """Whether models of regular gaps replace those of the customer base."""
        return bool(self.models)

    @property
    def has_models(self) -> bool:
        """Whether any models of its own replace those of the customer base."""
        return self.is_of_gaps or self.seasonal is not None

    def regained_orders(
        self,
        base: CustomerBase,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array],
    ) -> Array:
        """Return the discounted orders within ``days`` of who had left and is back, (rows,).

        They are such that times P(gone) of the customer base they make what is gone. The parameters
        are those of :meth:`CustomerBase.regained_orders`.
        """
        regained = base.regained_by_model(days, features, annual_rate)
        gone, expected = regained_total(alive, regained, base.weights, self.gone_weights)
        _, position = distinct_histories(features)
        return np.asarray((expected / np.maximum(gone, _SMALLEST))[position])

    def outlook(
        self, horizon_days: int, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> LeavingOutlook:
        """Return what the models say of leaving within ``days``.

        Parameters
        ----------
        horizon_days, days
            The horizon of P(no purchase), and the value horizon.
        features
            ``frequency``, ``t_x_days`` and ``T_days`` of buyers, shape (rows,) each; with a season
            ``first_day``, too.
        annual_rate
            Annual discount rate.
        """
        if self.seasonal is not None:
            return self._outlook_of_season(horizon_days, days, features, annual_rate)
        base = CustomerBase(self.models, None, self.weights)
        history, position = distinct_histories(features)
        alive = base.p_alive_by_model(features)
        none = [m.p_none(horizon_days, *history) for m in self.models]
        orders = base.discounted_orders(days, features, annual_rate)
        p_alive = weighted(alive, self.weights)[position]
        kept_orders = base.kept_orders(days, features, annual_rate, alive)
        return LeavingOutlook(
            p_alive,
            log_odds(weighted(none, self.weights))[position],
            orders_if_alive(orders, p_alive, kept_orders),
            kept_orders,
            self.regained_orders(base, days, features, annual_rate, alive),
        )

    def _outlook_of_season(
        self, horizon_days: int, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> LeavingOutlook:
        model = self.seasonal
        assert model is not None
        parts = []
        for past in self._pasts(features):
            alive, rate_if_left = model.alive_and_rate_if_left(past)
            none = 1.0 - alive * (1.0 - model.none_if_alive(past, float(horizon_days)))
            kept, if_alive = model.orders_ahead(past, float(days), annual_rate)
            regained = rate_if_left * model.days_ahead(past, float(days), annual_rate)
            parts.append((alive, log_odds(none), if_alive, kept, regained))
        if not parts:
            return LeavingOutlook(*(np.zeros(0) for _ in range(5)))
        _, position = distinct_histories(features)
        outlook = (np.concatenate(values)[position] for values in zip(*parts, strict=True))
        return LeavingOutlook(*outlook)

    def _pasts(self, features: Mapping[str, Array]) -> Iterator[Histories]:
        """Yield the distinct histories in the time of the season, in blocks."""
        assert self.seasonal is not None
        if not len(features["frequency"]):
            return
        # all stand at one as_of, so that the first purchase is known from the age
        as_of = round(float(features["first_day"][0] + features["T_days"][0]), 6)
        history, _ = distinct_histories(features)
        for start in range(0, len(history[0]), BLOCK):
            x, t_x, T = (values[start : start + BLOCK] for values in history)
            yield Histories.of(x, t_x, T, as_of, self.seasonal.season)

    def alive(self, features: Mapping[str, Array]) -> Array | None:
        """Return P(still a customer) in a shop with a season, (rows,); None where there is none.

        The parameters are those of :meth:`outlook`.
        """
        if self.seasonal is None:
            return None
        parts = [self.seasonal.alive(past) for past in self._pasts(features)]
        _, position = distinct_histories(features)
        return np.concatenate([*parts, np.zeros(0)])[position]

    def none_by_season(self, horizon_days: int) -> Callable[[Mapping[str, Array]], Array] | None:
        """Return P(no purchase in the horizon) by the model of the season; None where none is.

        What is returned takes the columns of :meth:`outlook`, all of one date.
        """
        model = self.seasonal
        if model is None:
            return None

        def none(features: Mapping[str, Array]) -> Array:
            parts = [
                1.0 - model.alive(past) * (1.0 - model.none_if_alive(past, float(horizon_days)))
                for past in self._pasts(features)
            ]
            _, position = distinct_histories(features)
            return np.concatenate([*parts, np.zeros(0)])[position]

        return none

    def to_json(self) -> dict[str, Any]:
        """Return the models as plain data."""
        return {
            "gone_weights": list(self.gone_weights),
            "models": [model.to_json() for model in self.models],
            "weights": list(self.weights),
            **({} if self.seasonal is None else {"seasonal": self.seasonal.to_json()}),
            **({"by_season": self.by_season} if self.by_season else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Leaving:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        models = tuple(Model.from_json(model) for model in data["models"])
        weights = tuple(float(weight) for weight in data["weights"])
        gone_weights = tuple(float(weight) for weight in data["gone_weights"])
        if data.get("season"):  # of an earlier version, whose models were those of the base
            models = weights = ()
        seasonal = SeasonalPareto.from_json(data["seasonal"]) if data.get("seasonal") else None
        if len(models) != len(weights) or (models and len(models) != len(gone_weights)):
            raise ValueError("models of leaving and their weights differ in number")
        return cls(gone_weights, models, weights, seasonal, float(data.get("by_season", 0.0)))


def weighted(values: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return the weighted mean of the models' values, shape of each."""
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return np.asarray(total)


def regained_total(
    alive: Sequence[Array],
    regained: Sequence[Array],
    weights: Sequence[float],
    gone_weights: Sequence[float],
) -> tuple[Array, Array]:
    """Return P(gone) by the weights, and the orders that are gone by their own weights, (rows,).

    Parameters
    ----------
    alive, regained
        P(still a customer), and the orders of one who is back, by model, shape (rows,) each.
    weights, gone_weights
        Weights of the models for either.
    """
    gone = [1.0 - p for p in alive]
    lost = [p * orders for p, orders in zip(gone, regained, strict=True)]
    return weighted(gone, weights), weighted(lost, gone_weights)


def orders_if_alive(orders: Array, p_alive: Array, kept_orders: Array) -> Array:
    """Return the orders of a customer who is one today, from those expected, (rows,).

    After a burst of orders and a long silence P(alive) may be 1e-20: the ratio of two small numbers
    is right until they are no numbers any more, and then that of a customer who stays.

    >>> orders, p_alive = np.array([0.4, 6e-13, 0.0]), np.array([0.8, 5e-14, 0.0])
    >>> orders_if_alive(orders, p_alive, np.array([2.0, 20.0, 30.0])).round(6).tolist()
    [0.5, 12.0, 30.0]
    """
    known = p_alive > LEAST_ALIVE
    return np.where(known, orders / np.where(known, p_alive, 1.0), kept_orders)

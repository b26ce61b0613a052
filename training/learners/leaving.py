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

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase, distinct_histories, log_odds
from stagecast.training.learners.season_of_purchases import Season

HISTORY: Final = ("frequency", "t_x_days", "T_days")
LEAST_WEIGHT: Final = 0.01
"""A model with less weight is left out."""
MOST_STEPS: Final = 52
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
        Models of regular gaps, or of a season; empty where those of the customer base hold.
    weights
        Their posterior.
    season
        Where purchases have a season: it, in the time of which the models are fitted.
    """

    gone_weights: tuple[float, ...]
    models: tuple[Model, ...] = ()
    weights: tuple[float, ...] = ()
    season: Season | None = None

    @property
    def has_models(self) -> bool:
        """Whether models of its own replace those of the customer base."""
        return bool(self.models)

    def staying_share(self, days: int, features: Mapping[str, Array], annual_rate: float) -> Array:
        """Return the orders of who may leave over those of who stays, within ``days``, (rows,).

        A customer who may leave at any time keeps the less, the later in these days the purchases
        come; one who leaves at a purchase leaves with the same number of them.

        Parameters
        ----------
        days
            The value horizon.
        features
            ``frequency``, ``t_x_days``, ``T_days`` and ``first_day`` of buyers, shape (rows,) each.
        annual_rate
            Annual discount rate.
        """
        assert self.season is not None
        T, first_day = features["T_days"], features["first_day"]
        as_of = first_day + T
        shares = []
        for model in self.models:
            if model.name == "pareto_nbd":
                shares.append(_share_by_hazard(model, self.season, days, T, as_of, annual_rate))
                continue
            x, t_x, age = (timed(features, self.season)[name] for name in HISTORY)
            alive = np.maximum(model.p_alive(x, t_x, age), _SMALLEST)
            orders = model.expected_orders_discounted(days, x, t_x, age, annual_rate, alive)
            shares.append(orders / alive / model.orders_if_kept(days, x, t_x, age, annual_rate))
        return np.minimum(weighted(shares, self.weights), 1.0)

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
        base = CustomerBase(self.models, None, self.weights)
        past, horizon = features, float(horizon_days)
        if self.season is not None:
            past, horizon = (
                timed(features, self.season),
                _pace_ahead(features, self.season, horizon_days),
            )
        history, position = distinct_histories(past)
        alive = base.p_alive_by_model(past)
        none = [m.p_none(horizon, *history) for m in self.models]
        p_alive = weighted(alive, self.weights)[position]
        kept_orders = base.kept_orders(days, past, annual_rate, alive)
        if self.season is None:
            orders = base.discounted_orders(days, past, annual_rate)
            of_customer = orders_if_alive(orders, p_alive, kept_orders)
        else:
            of_customer = kept_orders * self.staying_share(days, features, annual_rate)
        return LeavingOutlook(
            p_alive,
            log_odds(weighted(none, self.weights))[position],
            of_customer,
            kept_orders,
            self.regained_orders(base, days, past, annual_rate, alive),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the models as plain data."""
        return {
            "gone_weights": list(self.gone_weights),
            "models": [model.to_json() for model in self.models],
            "weights": list(self.weights),
            **({} if self.season is None else {"season": self.season.to_json()}),
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
        season = Season.from_json(data["season"]) if data.get("season") else None
        if len(models) != len(weights) or (
            models and season is None and len(models) != len(gone_weights)
        ):
            raise ValueError("models of leaving and their weights differ in number")
        return cls(gone_weights, models, weights, season)


def timed(features: Mapping[str, Array], season: Season) -> dict[str, Array]:
    """Return ``frequency``, ``t_x_days`` and ``T_days`` in the time of the season, (rows,) each."""
    x, t_x, T = (features[name] for name in HISTORY)
    start = season.time_at(features["first_day"])
    age = np.maximum(season.time_at(features["first_day"] + T) - start, 0.0)
    last = np.clip(season.time_at(features["first_day"] + t_x) - start, 0.0, age)
    return {"frequency": x, "t_x_days": np.where(x > 0, last, 0.0), "T_days": age}


def _pace_ahead(features: Mapping[str, Array], season: Season, days: int) -> float:
    """Return the time of the season that passes in the days after the as_of of these rows."""
    as_of = (features["first_day"] + features["T_days"])[:1]
    return float((season.time_at(as_of + days) - season.time_at(as_of)).sum())


def _share_by_hazard(
    model: Model, season: Season, days: int, T: Array, as_of: Array, annual_rate: float
) -> Array:
    """Return the share of the orders of who leaves at any time, at the pace of the days ahead."""
    _, _, s, beta = model.params
    daily = np.log1p(annual_rate) / YEAR_DAYS
    edges = np.linspace(0.0, float(days), 1 + int(np.clip(days / 14.0, 4, MOST_STEPS)))
    unlost, staying = np.zeros(T.shape), np.zeros(T.shape)
    passed = season.time_at(as_of)
    for start, stop in itertools.pairwise(edges):
        until = season.time_at(as_of + stop)
        middle = (start + stop) / 2.0
        orders = (until - passed) * np.exp(-daily * middle)
        unlost = unlost + orders
        staying = staying + orders * np.exp(-s * np.log1p(middle / (beta + T)))
        passed = until
    return np.asarray(staying / np.maximum(unlost, _SMALLEST))


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

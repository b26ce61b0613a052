"""Customer-base models of one date: MBG/NBD, Pareto/NBD and Gamma-Gamma, and their predictions.

They are fitted by :mod:`stagecast.training.learners.fit_customer_base`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, exprel, logit

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import READS as OF_DUE_DATE
from stagecast.training.billing.calendar import DueDate
from stagecast.training.billing.month_dates import READS as OF_MONTHS
from stagecast.training.billing.month_dates import MonthDates
from stagecast.training.learners.btyd import GammaGamma, Model
from stagecast.training.learners.btyd.closed_forms import DAYS_PER_YEAR
from stagecast.training.learners.btyd.dated import DatedModel, model_from_json
from stagecast.training.learners.btyd.distinct import packed

MODELS = ("mbg_nbd", "pareto_nbd")
HISTORY: Final = ("frequency", "t_x_days", "T_days")
"""Features that the models read: repeat purchases, and days from the first purchase to the last and
to now.
"""
_SMALLEST = 1e-6
# Probability below which it does not tell the models apart.
_LEAST_CHANCE = 1e-300
# Phases of a gap from which gaps are regular (below, the day of a payment is too uncertain), and
# the least weight of the models of such gaps.
FEWEST_PHASES = 12
_LEAST_REGULAR = 0.5
# With at least this many rows, each distinct history is evaluated once.
DEDUPLICATION_ROWS = 2_000


def log_odds(probability: Array) -> Array:
    """Return log(p / (1 - p)), with p clipped to one in a million from 0 and 1."""
    return np.asarray(logit(np.clip(probability, _SMALLEST, 1 - _SMALLEST)))


@dataclass(frozen=True)
class Part:
    """Rows of buyers who are asked of the same models.

    Parameters
    ----------
    base
        The customer base with these models.
    rows
        Their rows.
    histories
        ``frequency``, ``t_x_days`` and ``T_days`` of them, as its models count them.
    plan
        Number of their plan or group; None where they have none.
    """

    base: CustomerBase
    rows: NDArray[np.int64] | slice
    histories: Mapping[str, Array]
    plan: int | None = None


@dataclass(frozen=True)
class CustomerBase:
    """Customer-base models fitted at one date.

    Parameters
    ----------
    models
        The models of purchases.
    spend
        The model of spend; None without amounts or with too few repeat buyers.
    weights
        Weight of each of ``models``, see :func:`vuong_weights`; equal by default.
    due
        The date of the year on which everybody pays; None where customers have dates of their own.
        The histories that the models are asked of are those of :meth:`histories`.
    months
        The months between two payments; None where these are not on a day of the month. It changes
        the histories, too.
    """

    models: tuple[Model, ...]
    spend: GammaGamma | None
    weights: tuple[float, ...] = ()
    due: DueDate | None = None
    months: MonthDates | None = None

    def __post_init__(self) -> None:
        if not self.weights and self.models:
            object.__setattr__(self, "weights", (1.0 / len(self.models),) * len(self.models))

    def with_spend_of(self, other: CustomerBase | None) -> CustomerBase:
        """Return the models of purchases with the model of spend of another date, or none."""
        return replace(self, spend=None if other is None else other.spend)

    def histories(self, features: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the features of buyers with the histories that the models were fitted on."""
        dates = self.due or self.months
        return features if dates is None else dates.on_the_date(features)

    @property
    def reads_of_histories(self) -> tuple[str, ...]:
        """The features that :meth:`histories` reads; empty where it changes none."""
        if self.due is not None:
            return OF_DUE_DATE
        return () if self.months is None else OF_MONTHS

    @property
    def reads(self) -> tuple[str, ...]:
        """The features beside the histories that tell which models are asked of a customer."""
        return ()

    def has_plans_of(self, other: CustomerBase) -> bool:
        """Return whether customers pay at the same intervals as in another customer base."""
        return not other.has_plans

    @property
    def is_seasonal(self) -> bool:
        """Whether most customers buy in a season of the year, once in each."""
        return False

    @property
    def has_plans(self) -> bool:
        """Whether customers pay at several intervals, each with models of its own."""
        return False

    def parts(self, features: Mapping[str, Array]) -> list[Part]:
        """Return the rows of each of several plans; all in one part where there are none."""
        return [Part(self, slice(None), features)]

    def columns_of_part(self, part: Part, horizon_days: int) -> dict[str, Array]:
        """Return the predictions for the rows of one of the :meth:`parts`, see :meth:`columns`."""
        return part.base.columns(part.histories, horizon_days)

    def columns(self, features: Mapping[str, Array], horizon_days: int) -> dict[str, Array]:
        """Return the predictions of the models for buyers, shape (n_buyers,) each.

        ``btyd_none_<model>`` is the log odds of no purchase in the horizon, of several models of a
        name by the last. ``btyd_none`` is their weighted mean, or that of the probabilities where a
        model is of regular gaps, ``btyd_alive`` that of P(alive), ``btyd_orders`` that of the
        expected purchase days in the horizon.
        """
        history, position = distinct_histories(features)
        outlooks = [model.outlook(horizon_days, *history) for model in self.models]
        none, alive, orders = (
            [values[position] for values in of_models] for of_models in zip(*outlooks, strict=True)
        )
        of_names = {
            f"btyd_none_{model.name}": log_odds(p_none)
            for model, p_none in zip(self.models, none, strict=True)
        }
        return {
            **of_names,
            "btyd_none": self._mean_none(none),
            "btyd_alive": self._mean(alive),
            "btyd_orders": self._mean(orders),
        }

    def _mean(self, values: Sequence[Array]) -> Array:
        return np.asarray(np.average(values, axis=0, weights=self.weights))

    def _mean_none(self, probabilities: Sequence[Array]) -> Array:
        """Return the log odds of no purchase, a weighted mean of the models."""
        if self.is_regular:
            # a mixture of regular and random customers: a model of regular gaps is too sure of a
            # silence for its log odds to be averaged
            return log_odds(self._mean(probabilities))
        return self._mean([log_odds(p) for p in probabilities])

    def none_within(self, days: Array | float, features: Mapping[str, Array]) -> Array:
        """Return P(no purchase within ``days``), the mean of the models as in :meth:`columns`."""
        x, t_x, T = (features[name] for name in HISTORY)
        return np.asarray(expit(self._mean_none([m.p_none(days, x, t_x, T) for m in self.models])))

    def discounted_orders(
        self, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the expected discounted purchase days within ``days``, a weighted mean."""
        history, position = distinct_histories(features)
        orders = [m.expected_orders_discounted(days, *history, annual_rate) for m in self.models]
        return np.asarray(self._mean(orders)[position])

    def p_alive_by_model(self, features: Mapping[str, Array]) -> list[Array]:
        """Return P(still a customer) by each model, shape (distinct histories,) each.

        It is handed to the methods below, where one customer is asked for several of them.
        """
        history, _ = distinct_histories(features)
        return [m.p_alive(*history) for m in self.models]

    def discounted_orders_until(
        self,
        days: Sequence[int],
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return :meth:`discounted_orders` within each of several ``days``, shape (days, rows).

        The numbers are the same, at a fraction of the work.
        """
        history, position = distinct_histories(features)
        alive = self.p_alive_by_model(features) if alive is None else alive
        spans = np.array(days, dtype=np.float64)[:, None]
        orders = [
            m.expected_orders_discounted(spans, *history, annual_rate, p)
            # regular gaps choose the nodes of the integral by the span
            if m.regularity == 1
            else np.array(
                [m.expected_orders_discounted(span, *history, annual_rate, p) for span in days]
            )
            for m, p in zip(self.models, alive, strict=True)
        ]
        return np.asarray(self._mean(orders)[:, position])

    @property
    def has_dates(self) -> bool:
        """Whether a model knows the dates of payments."""
        return any(isinstance(model, DatedModel) for model in self.models)

    @property
    def is_regular(self) -> bool:
        """Whether a model has regular gaps."""
        return any(model.regularity > 1 for model in self.models)

    @property
    def regular_model(self) -> Model | None:
        """The model by whose regular gaps payments are told; None where gaps are not regular."""
        regular = [
            (weight, model)
            for weight, model in zip(self.weights, self.models, strict=True)
            if model.regularity >= FEWEST_PHASES or isinstance(model, DatedModel)
        ]
        if sum(weight for weight, _ in regular) < _LEAST_REGULAR:
            return None
        return max(regular, key=lambda pair: pair[0])[1]

    def rest_if_silent(
        self, horizon_days: int, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the discounted orders between two spans of who orders nothing in the first.

        They are multiplied by P(no order within the first span), so that what is left of all orders
        after it is that of those who order within it.

        Parameters
        ----------
        horizon_days, days
            Days of the spans.
        features
            Histories, shape (rows,) each.
        annual_rate
            Annual rate of the discount.
        """
        (x, t_x, T), position = distinct_histories(features)
        later = (1.0 + annual_rate) ** (-horizon_days / DAYS_PER_YEAR)
        orders = [
            m.p_none(horizon_days, x, t_x, T)
            * m.expected_orders_discounted(
                days - horizon_days, x, t_x, T + horizon_days, annual_rate
            )
            for m in self.models
        ]
        return np.asarray(self._mean(orders)[position] * later)

    def kept_orders(
        self,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return the expected discounted purchase days within ``days`` of who is kept.

        The customer is taken to be active now and never to leave, and buys at the own rate. The
        models are weighted by their weight times their P(alive), so that this is an expectation
        given that the customer is active; where no model has any, by their weight alone.
        """
        history, position = distinct_histories(features)
        orders = [m.orders_if_kept(days, *history, annual_rate) for m in self.models]
        alive = self.p_alive_by_model(features) if alive is None else alive
        return self._mean_given(alive, orders)[position]

    def regained_orders(
        self,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return the expected discounted purchase days within ``days`` of who had left and is back.

        The customer is taken to have left before now, and to buy again at the rate of before.
        """
        _, position = distinct_histories(features)
        orders = self.regained_by_model(days, features, annual_rate)
        alive = self.p_alive_by_model(features) if alive is None else alive
        return self._mean_given([1.0 - p for p in alive], orders)[position]

    def regained_by_model(
        self, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> list[Array]:
        """Return :meth:`regained_orders` by each model, shape (distinct histories,) each."""
        history, _ = distinct_histories(features)
        daily = np.log1p(annual_rate) / DAYS_PER_YEAR
        length = float(days * exprel(-daily * days))
        return [m.rate_if_left(*history) * length for m in self.models]

    def _mean_given(self, chances: Sequence[Array], values: Sequence[Array]) -> Array:
        """Return the mean of the models' values given an event of which each has a chance."""
        shares = [weight * p for weight, p in zip(self.weights, chances, strict=True)]
        total = np.sum(shares, axis=0)
        known = total > _LEAST_CHANCE
        safe = np.where(known, total, 1.0)
        parts = [
            np.where(known, share / safe, weight) * value
            for share, weight, value in zip(shares, self.weights, values, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0))

    def spend_per_order(self, features: Mapping[str, Array]) -> Array | None:
        """Return the expected spend per purchase day; None without a spend model.

        The model is fitted on repeat purchases, as published. Predictions use the first purchase,
        too: without it all one-time buyers would get the population's mean, which is huge where q
        is near 1.
        """
        if self.spend is None:
            return None
        mean = np.nan_to_num(features["spend_mean"], nan=0.0)
        return np.asarray(
            self.spend.expected_spend(
                np.where(mean > 0, features["orders"], 0.0), np.maximum(mean, 0.0)
            )
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [m.to_json() for m in self.models],
            "spend": None if self.spend is None else self.spend.to_json(),
            "weights": list(self.weights),
            **({} if self.due is None else {"due": self.due.to_json()}),
            **({} if self.months is None else {"months": self.months.to_json()}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CustomerBase:
        spend = data["spend"]
        return cls(
            tuple(model_from_json(m) for m in data["models"]),
            None if spend is None else GammaGamma.from_json(spend),
            tuple(float(w) for w in data["weights"]),
            DueDate.from_json(data["due"]) if data.get("due") else None,
            MonthDates.from_json(data["months"]) if data.get("months") else None,
        )


def distinct_histories(
    features: Mapping[str, Array],
) -> tuple[tuple[Array, Array, Array], NDArray[np.int64] | slice]:
    """Return the distinct histories of these rows, and the position of each row among them."""
    x, t_x, T = (features[name] for name in HISTORY)
    key = packed((x, t_x, T)) if len(x) >= DEDUPLICATION_ROWS else None
    if key is None:
        return (x, t_x, T), slice(None)
    _, first, position = np.unique(key, return_index=True, return_inverse=True)
    return (x[first], t_x[first], T[first]), position

"""The customer-base models of one date: MBG/NBD and Pareto/NBD fitted on what was known then,
and what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import GammaGamma, Model
from stagecast.training.learners.btyd.distinct import packed

MODELS = ("mbg_nbd", "pareto_nbd")
_SMALLEST = 1e-6
# Rows from which it pays to look for those that are alike.
MANY = 2_000


def log_odds(probability: Array) -> Array:
    """Return log(p / (1 - p)), kept within what a probability of one in a million allows."""
    return np.asarray(logit(np.clip(probability, _SMALLEST, 1 - _SMALLEST)))


@dataclass(frozen=True)
class CustomerBase:
    """The models fitted at one date; ``spend`` is None where there were no amounts or too few
    repeat buyers.

    ``weights`` say how much each model counts, see :func:`heard`; left out, they are equal.
    """

    models: tuple[Model, ...]
    spend: GammaGamma | None
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.weights and self.models:
            object.__setattr__(self, "weights", (1.0 / len(self.models),) * len(self.models))

    def columns(self, features: Mapping[str, Array], horizon_days: int) -> dict[str, Array]:
        """Return what the models say of buyers, one value per row.

        ``btyd_none_<model>`` is the log odds of no purchase in the horizon, ``btyd_none`` their
        weighted mean, ``btyd_alive`` that of P(alive), ``btyd_orders`` that of the expected
        purchase days in the horizon.
        """
        history, back = _histories(features)
        outlooks = {model.name: model.outlook(horizon_days, *history) for model in self.models}
        told = {name: tuple(values[back] for values in each) for name, each in outlooks.items()}
        none = {f"btyd_none_{name}": log_odds(p_none) for name, (p_none, _, _) in told.items()}
        return {
            **none,
            "btyd_none": self._mean(list(none.values())),
            "btyd_alive": self._mean([alive for _, alive, _ in told.values()]),
            "btyd_orders": self._mean([orders for _, _, orders in told.values()]),
        }

    def _mean(self, each: Sequence[Array]) -> Array:
        return np.asarray(np.average(each, axis=0, weights=self.weights))

    def none_within(self, days: Array | float, features: Mapping[str, Array]) -> Array:
        """Return P(no purchase within ``days``), the models' weighted mean in log odds."""
        x, t_x, T = features["frequency"], features["t_x_days"], features["T_days"]
        margins = [log_odds(m.p_none(days, x, t_x, T)) for m in self.models]
        return np.asarray(expit(self._mean(margins)))

    def discounted_orders(
        self, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the discounted number of purchase days expected within ``days``, the models'
        weighted mean.
        """
        history, back = _histories(features)
        each = [m.expected_orders_discounted(days, *history, annual_rate) for m in self.models]
        return np.asarray(self._mean(each)[back])

    def spend_per_order(self, features: Mapping[str, Array]) -> Array | None:
        """Return the expected spend per purchase day; None without a spend model.

        The model is fitted on repeat purchases, as published; a prediction also hears the first
        purchase, without which one-time buyers would all get the population's mean, which is huge
        where q is near 1.
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
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CustomerBase:
        spend = data["spend"]
        return cls(
            tuple(Model.from_json(m) for m in data["models"]),
            None if spend is None else GammaGamma.from_json(spend),
            tuple(float(w) for w in data["weights"]),
        )


def _histories(
    features: Mapping[str, Array],
) -> tuple[tuple[Array, Array, Array], NDArray[np.int64] | slice]:
    """Return the distinct histories of these rows, and of each row where it is among them."""
    x, t_x, T = features["frequency"], features["t_x_days"], features["T_days"]
    key = packed((x, t_x, T)) if len(x) >= MANY else None
    if key is None:
        return (x, t_x, T), slice(None)
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    return (x[first], t_x[first], T[first]), back


def heard(models: Sequence[Model], x: Array, t_x: Array, T: Array) -> tuple[float, ...]:
    """Return how much each of the models counts, from how well they explain these histories.

    Of two models that are not nested, ``z = sum(d) / (sqrt(n) sd(d))`` of the differences ``d``
    between customers' log-likelihoods says which is nearer to the truth, and is about normal where
    neither is (Vuong 1989, eq. 5.6); the odds of their weights are ``exp(z)``: they are equal where
    the log cannot tell, and one speaks alone where it can.
    """
    if len(models) != 2:
        return (1.0 / len(models),) * len(models)
    first, second = (model.log_likelihood_of(x, t_x, T) for model in models)
    apart = second - first
    spread = float(apart.std()) * np.sqrt(len(apart))
    share = float(expit(apart.sum() / spread)) if spread > 0 else 0.5
    return (1.0 - share, share)


def fit_customer_base(
    features: Mapping[str, Array], before: CustomerBase | None = None, most: int | None = None
) -> CustomerBase:
    """Fit the models on buyers as they stood at one date.

    Parameters
    ----------
    features
        Of buyers only: ``frequency``, ``t_x_days``, ``T_days``, ``monetary``.
    before
        The fit of another date, to start from.
    most
        Fit on about this many customers, every so manyth, where there are more: parameters of a
        past date are inputs of other models, and a few thousand customers fix them well enough.

    Raises
    ------
    stagecast.training.learners.btyd.fit.FitError
        Too few customers or repeat buyers for any of the models.
    """
    from stagecast.training.learners.btyd.fit import FitError, fit, fit_gamma_gamma

    every = slice(None, None, 1 if most is None else max(1, -(-len(features["frequency"]) // most)))
    x, t_x, T = features["frequency"][every], features["t_x_days"][every], features["T_days"][every]
    starts = {m.name: m for m in before.models} if before is not None else {}
    fitted = []
    for name in MODELS:
        try:
            fitted.append(fit(name, x, t_x, T, start=starts.get(name)))
        except FitError:
            # one model without an optimum leaves the other to speak; with neither the caller falls
            # to a rule
            if name == MODELS[-1] and not fitted:
                raise
    monetary = np.nan_to_num(features["monetary"][every], nan=0.0)
    repeaters = (x > 0) & (monetary > 0)
    try:
        spend = fit_gamma_gamma(x[repeaters], monetary[repeaters])
    except FitError:
        spend = None
    return CustomerBase(tuple(fitted), spend, heard(fitted, x, t_x, T))

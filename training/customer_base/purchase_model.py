"""What the stand-alone models of purchases share: fit, predictions, units of time."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stagecast.features.arguments.values import share
from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import UsageError
from stagecast.training.customer_base.fitted import CustomerBaseModel
from stagecast.training.customer_base.inputs import (
    Customers,
    counts,
    read_customers,
    span_days,
    unit_days,
)
from stagecast.training.customer_base.uncertainty import covariance_of_logs
from stagecast.training.learners.btyd.closed_forms import PARAMETERS, Model
from stagecast.training.learners.btyd.fit import fit as fit_model
from stagecast.training.learners.btyd.stored import positive


class PurchaseModel(CustomerBaseModel):
    """Base class of the models of purchases.

    **X**, one row per customer, is a frame (pandas, polars, Arrow) with the columns

    ============================== =====================================================
    ``frequency`` or ``x``         repeat purchase days: purchase days less one
    ``recency`` or ``t_x``         first to last purchase, in ``time_unit``; 0 without a
                                   repeat purchase. Or ``t_x_days``, always in days
    ``T``                          first purchase to the end of the observation, in
                                   ``time_unit``. Or ``T_days``, always in days
    ============================== =====================================================

    or an array of shape (n_customers, 3) in this order. These are the columns of lifetimes and
    PyMC-Marketing, and of the feature table of stagecast. A row without T is a customer who has
    not bought yet: ``fit`` leaves it out, predictions are NaN. Predictions have the index of a
    pandas frame, and are arrays otherwise.

    **A horizon** is text with its unit (``"30d"``, ``"12w"``), a timedelta, or a number of
    ``time_unit``, for all customers or per customer.
    """

    _name: ClassVar[str]
    _file_keys = ("model", "largest")

    model_: Model
    time_unit_days_: float
    max_frequency_: int
    longest_days_: float

    def __init__(self, *, time_unit: str = "day", covariance: str = "hessian") -> None:
        self.time_unit = time_unit
        self.covariance = covariance

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the parameters by maximum likelihood. Deterministic.

        Parameters
        ----------
        X : table of shape (n_customers, ...)
            See the class.
        y
            Ignored; it is there for pipelines of scikit-learn.
        sample_weight : array-like of shape (n_customers,), optional
            Number of customers that each row stands for.

        Raises
        ------
        UsageError
            An invalid parameter, column or history; the message names the customer.
        stagecast.training.learners.btyd.fit.FitError
            Fewer than 30 customers or 10 repeat buyers, or the likelihood has no optimum.
        """
        unit = unit_days(self.time_unit)
        self._check_covariance(self.covariance)
        customers = read_customers(X, unit)
        weight = counts(sample_weight, len(customers.x))
        rows = np.flatnonzero(customers.known & (weight > 0)).astype(np.int64)
        x, t_x, T, weight = (a[rows] for a in (customers.x, customers.t_x, customers.T, weight))
        model = self._fit(X, rows, x, t_x, T, weight)
        largest = (int(x.max(initial=0)), float(T.max(initial=0.0)))
        self._take(model, unit, largest, float(weight @ x))
        self.log_covariance_ = covariance_of_logs(
            lambda params: Model(
                model.name, tuple(params.tolist()), 0.0, 1, model.regularity
            ).log_likelihood_of(x, t_x, T),
            np.array(model.params),
            weight,
            self.covariance,  # type: ignore[arg-type]
        )
        return self

    def p_alive(self, X: Any) -> Any:
        """Return P(still a customer at T | history), shape (n_customers,)."""
        return self._customers(X).predicted("p_alive", self.model_.p_alive)

    def p_no_purchase(self, X: Any, horizon: Any) -> Any:
        """Return P(no purchase within the horizon after T | history), shape (n_customers,).

        It is inactive already, or active and silent: the probability of churn where churn is no
        purchase within the horizon.
        """
        return self._ahead(X, horizon, "p_no_purchase", self.model_.p_none)

    def expected_purchases(self, X: Any, horizon: Any) -> Any:
        """Return E[purchase days within the horizon after T | history], shape (n_customers,)."""
        return self._ahead(X, horizon, "expected_purchases", self.model_.expected_orders)

    def expected_purchases_discounted(self, X: Any, horizon: Any, annual_rate: float = 0.10) -> Any:
        """Return the expected purchase days within the horizon, discounted to T.

        A purchase u days ahead counts ``(1 + annual_rate) ** (-u / 365)``.

        Parameters
        ----------
        annual_rate : float
            Effective yearly rate; 0.10 is ten per cent.
        """
        rate = share(annual_rate, "annual_rate", most=inf)
        return self._ahead(
            X,
            horizon,
            "expected_purchases_discounted",
            lambda days, x, t_x, T: self.model_.expected_orders_discounted(days, x, t_x, T, rate),
        )

    def expected_purchases_new(self, horizon: Any) -> Any:
        """Return E[repeat purchase days of a new customer within the horizon of the first one].

        Parameters
        ----------
        horizon
            See the class; several of them give an array.
        """
        self._check_fitted()
        expected = self.model_.expected_orders_new(span_days(horizon, self.time_unit_days_))
        return float(expected) if expected.ndim == 0 else expected

    def _fit(self, X: Any, rows: Integers, x: Array, t_x: Array, T: Array, weight: Array) -> Model:
        return fit_model(self._name, x, t_x, T, weight)

    def _customers(self, X: Any) -> Customers:
        self._check_fitted()
        return read_customers(X, self.time_unit_days_)

    def _ahead(self, X: Any, horizon: Any, name: str, formula: Any) -> Any:
        customers = self._customers(X)
        days = span_days(horizon, self.time_unit_days_)
        if days.ndim and days.shape != customers.x.shape:
            raise UsageError(
                f"horizon has shape {days.shape}; give a single one, or one per customer, "
                f"{customers.x.shape}"
            )
        of_known = days[customers.known] if days.ndim else days
        return customers.predicted(name, lambda x, t_x, T: formula(of_known, x, t_x, T))

    def _take(self, model: Model, unit: float, largest: tuple[int, float], repeats: float) -> None:
        """Set the attributes of a fitted model."""
        names = PARAMETERS[model.name]
        times = np.array([unit if name.endswith("_days") else 1.0 for name in names])
        self.model_, self.time_unit_days_ = model, unit
        self.max_frequency_, self.longest_days_ = largest
        self.params_ = pd.Series(
            np.array(model.params) / times,
            index=pd.Index([name.removesuffix("_days") for name in names], name="parameter"),
            name=type(self).__name__,
        )
        self.n_customers_ = model.customers
        self.repeats_ = repeats
        # a density per unit of time, for each repeat purchase
        shift = repeats * model.regularity * np.log(unit)
        self.log_likelihood_ = float(model.log_likelihood + shift)

    def _fitted(self) -> Mapping[str, Any]:
        largest = {
            "frequency": self.max_frequency_,
            "T_days": self.longest_days_,
            "repeat_purchases": self.repeats_,
        }
        return {"model": self.model_.to_json(), "largest": largest}

    def _restore(self, fitted: Mapping[str, Any]) -> None:
        model, largest = Model.from_json(fitted["model"]), fitted["largest"]
        if model.name != self._name:
            raise ValueError(f"model is {model.name}; expected {self._name}")
        frequency, T, repeats = (
            positive(key, largest[key]) for key in ("frequency", "T_days", "repeat_purchases")
        )
        self._take(model, unit_days(self.time_unit), (int(frequency), T), repeats)

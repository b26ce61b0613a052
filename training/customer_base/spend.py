"""``GammaGamma``: money per purchase, and with a model of purchases customer lifetime value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stagecast.features.arguments.values import refuse
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.features.intake.counted import counted
from stagecast.training.customer_base.fitted import CustomerBaseModel
from stagecast.training.customer_base.inputs import Customers, counts, read_customers
from stagecast.training.customer_base.purchase_model import PurchaseModel
from stagecast.training.customer_base.uncertainty import covariance_of_logs
from stagecast.training.learners.btyd.fit import fit_gamma_gamma
from stagecast.training.learners.btyd.gammagamma import GammaGamma as SpendModel
from stagecast.training.learners.btyd.gammagamma import log_density
from stagecast.training.learners.btyd.stored import finite


class GammaGamma(CustomerBaseModel):
    """Gamma-Gamma: amounts vary around a mean of the customer's own, whatever their frequency.

    **X**, one row per customer, is a frame with ``frequency`` (repeat purchase days) and
    ``monetary`` or ``monetary_value`` (mean money per repeat purchase day).

    Parameters
    ----------
    covariance : {"hessian", "sandwich"}
        Standard errors by the observed information, or those that hold where the model does not.

    Attributes
    ----------
    params_ : pandas.Series
        ``p`` and ``q`` without unit, ``v`` in the money of X.
    summary, covariance_, log_likelihood_
        As of :class:`stagecast.training.customer_base.purchases.ModifiedBetaGeo`.
    n_customers_ : int
        Repeat buyers of the fit.
    correlation_ : float
        Correlation of frequency and monetary among them; the model takes it to be 0.

    References
    ----------
    Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value".

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> frequency = random.integers(1, 6, 400)
    >>> usual = 6.0 / random.gamma(4.0, 1 / 15, 400)  # q 4, v 15: a mean of 6 * 15 / 3
    >>> monetary = usual * random.gamma(6.0 * frequency) / (6.0 * frequency)
    >>> X = pd.DataFrame({"frequency": frequency, "monetary": monetary})
    >>> model = GammaGamma().fit(X)
    >>> new = pd.DataFrame({"frequency": [0, 5], "monetary": [0.0, 90.0]})
    >>> of_all, of_own = model.expected_spend(new)
    >>> bool(25 < of_all < 35 < of_own < 90)
    True
    """

    _file_keys = ("model", "correlation")

    model_: SpendModel
    correlation_: float

    def __init__(self, *, covariance: str = "hessian") -> None:
        self.covariance = covariance

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the parameters by maximum likelihood, on repeat buyers with an amount above 0.

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
            An invalid parameter or column; a negative amount.
        stagecast.training.learners.btyd.fit.FitError
            Fewer than 10 such repeat buyers, or the likelihood has no optimum.
        """
        self._check_covariance(self.covariance)
        customers = _with_money(X)
        weight = counts(sample_weight, len(customers.x))
        rows = np.flatnonzero((_purchases(customers) > 0) & (weight > 0))
        x, monetary, weight = customers.x[rows], customers.monetary[rows], weight[rows]
        model = fit_gamma_gamma(x, monetary, weight)
        self._take(model, _correlation(x, monetary, weight))
        self.log_covariance_ = covariance_of_logs(
            lambda v: log_density(float(v[0]), float(v[1]), float(v[2]), x, monetary),
            np.array([model.p, model.q, model.v]),
            weight,
            self.covariance,  # type: ignore[arg-type]
        )
        return self

    def expected_spend(self, X: Any) -> Any:
        """Return E[money per purchase | history], shape (n_customers,), in the money of X.

        The mean of a customer's amounts is shrunk towards that of all; who has no repeat purchase,
        or no amount, gets the mean of all.
        """
        self._check_fitted()
        customers = _with_money(X)
        return customers.labelled(self._expected(customers), "expected_spend")

    def customer_lifetime_value(
        self,
        model: PurchaseModel,
        X: Any,
        horizon: Any = "365d",
        annual_rate: float = 0.10,
    ) -> Any:
        """Return the expected money within the horizon after T, discounted to T.

        Parameters
        ----------
        model
            A fitted model of purchases.
        X : table of shape (n_customers, ...)
            With the columns of both models.
        horizon
            Text with its unit (``"365d"``), a timedelta, or a number of the ``time_unit`` of
            ``model``.
        annual_rate : float
            Effective yearly rate; 0.10 is ten per cent, 0 does not discount.

        Notes
        -----
        Discounted purchases (continuous in time) times expected money per purchase. lifetimes
        discounts at the ends of months, with a monthly rate.
        """
        self._check_fitted()
        if not isinstance(model, PurchaseModel):
            refuse(model, "model", "a fitted model of purchases, such as sc.BetaGeo().fit(X)")
        orders = model.expected_purchases_discounted(X, horizon, annual_rate)
        customers = _with_money(X)
        value = np.asarray(orders, dtype=np.float64) * self._expected(customers)
        return customers.labelled(value, "customer_lifetime_value")

    def _expected(self, customers: Customers) -> Array:
        return self.model_.expected_spend(_purchases(customers), customers.monetary)

    def _take(self, model: SpendModel, correlation: float) -> None:
        self.model_, self.correlation_ = model, correlation
        self.params_ = pd.Series(
            [model.p, model.q, model.v],
            index=pd.Index(["p", "q", "v"], name="parameter"),
            name="GammaGamma",
        )
        self.log_likelihood_, self.n_customers_ = model.log_likelihood, model.customers

    def _fitted(self) -> Mapping[str, Any]:
        return {"model": self.model_.to_json(), "correlation": self.correlation_}

    def _restore(self, fitted: Mapping[str, Any]) -> None:
        self._take(
            SpendModel.from_json(fitted["model"]), finite("correlation", fitted["correlation"])
        )


def _with_money(X: Any) -> Customers:
    customers = read_customers(X, 1.0, money=True)
    bad = np.flatnonzero(
        (customers.monetary < 0)
        | np.isinf(customers.monetary)
        | (customers.x < 0)
        | np.isinf(customers.x)
    )
    if len(bad):
        k = int(bad[0])
        label = k if customers.index is None else customers.index.tolist()[k]
        raise UsageError(
            f"{counted(len(bad), 'customer')} without a possible spend, first {label!r} (row {k}): "
            f"frequency {customers.x[k]:g}, monetary {customers.monetary[k]:g}; both are 0 "
            "or more. Leave out who got more back than they paid, or use numpy.maximum(monetary, 0)"
        )
    return customers


def _purchases(customers: Customers) -> Array:
    """Return the purchases whose amounts are known: 0 without an amount above 0."""
    has_amount = (customers.x > 0) & (customers.monetary > 0)
    return np.where(has_amount, customers.x, 0.0)


def _correlation(x: Array, monetary: Array, weight: Array) -> float:
    covariance = np.cov(np.vstack([x, monetary]), aweights=weight)
    spread = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
    return float(covariance[0, 1]) / spread if spread > 0 else 0.0

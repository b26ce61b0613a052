"""``CustomerValueRegressor``: expected future money from one table of customers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import TabularEstimator, log_columns, take_rows
from stagecast.training.estimators.pools import fit_amounts, fit_binary, gains_of

# Smallest amount, as a share of the mean: LightGBM keeps labels in single precision, where less
# becomes 0.
_SMALLEST = 1e-9


class CustomerValueRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]
    """Hurdle regressor of amounts of which many are 0: P(any) times the amount if any.

    P(any) is a pool in log odds of two ridge logistic regressions, one with splines, and LightGBM.
    The amount if any is a pool in logs of a ridge regression of log amounts with splines and
    LightGBM with gamma loss, which is robust to single huge amounts. Weights of both pools are
    learned on held-out folds. The product is scaled so that its (weighted) total equals that of the
    training.

    Parameters
    ----------
    n_estimators : int
        Boosting rounds of the trees.
    learning_rate : float
        Learning rate of the trees.
    max_leaf_nodes : int
        Leaves of a tree.
    alpha : float
        Ridge penalty of the regressions, on standardised columns.
    n_knots : int
        Knots of the splines of each column; below 3 there are no splines.
    n_folds : int, optional
        Folds that the weights of the members are learned on. None gives equal weights.
    n_jobs : int, optional
        Threads of LightGBM: 1 if None, all cores if -1. It does not change the result.
    random_state : int, RandomState or None
        Seed of the folds and of the trees' samples of rows and columns. Equal integers give equal
        bytes.

    Attributes
    ----------
    any_weights_, amount_weights_ : dict of str to float
        Member -> its weight in the pool of P(any) and of the amount; empty without such a pool,
        because all amounts were above 0, or all 0.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X; names where X was a DataFrame.

    Notes
    -----
    Amounts are 0 or more. Spend less refunds can be negative; such a y is refused, because it
    depends on the question whether a loss counts. :mod:`stagecast.training.value.model` uses
    ``numpy.maximum(y, 0)``.

    NaN in X means unknown. Before scaling, predicted mean amounts are clipped to the smallest and
    the largest amount of the training.

    References
    ----------
    Cragg (1971), "Some statistical models for limited dependent variables", for the hurdle; Duan
    (1983), "Smearing estimate", for the scale after a model of logs. ``docs/method.md``, "Value".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> recency_days, spend_mean = random.exponential(60, 600), random.gamma(2, 20, 600)
    >>> X = pd.DataFrame({"recency_days": recency_days, "spend_mean": spend_mean})
    >>> bought = random.random(600) < 60 / (X["recency_days"] + 60)
    >>> y = np.where(bought, X["spend_mean"] * random.gamma(2, 1, 600), 0.0)
    >>> model = CustomerValueRegressor(n_estimators=20, random_state=0).fit(X, y)
    >>> bool(abs(model.predict(X).sum() / y.sum() - 1) < 1e-9)
    True
    >>> new = pd.DataFrame({"recency_days": [5.0, 300.0], "spend_mean": [40.0, 40.0]})
    >>> recent, silent = model.predict(new)
    >>> bool(recent > 2 * silent)
    True
    """

    def __init__(
        self,
        *,
        n_estimators: int = 120,
        learning_rate: float = 0.03,
        max_leaf_nodes: int = 6,
        alpha: float = 5.0,
        n_knots: int = 4,
        n_folds: int | None = 5,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.alpha = alpha
        self.n_knots = n_knots
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # the closest tag there is: 0 is allowed, negative amounts are not
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit both parts, their weights and the scale.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where unknown.
        y : array-like of shape (n_samples,)
            Future money of each customer, 0 or more, in any currency.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row relative to the others; rows of weight 0 are left out.
        groups : array-like of shape (n_samples,), optional
            The customer of each row, where a customer has several (at several dates), or a frame
            with the column ``customer_id``: the folds do not divide a customer, and copies of a row
            count as one row of their weight. :func:`sklearn.model_selection.cross_val_score` passes
            it on as ``params={"groups": ...}``.

        Raises
        ------
        ValueError
            An invalid parameter, X, y or weights; an amount below 0.
        """
        settings = self._settings()
        X, y, training = self._read_training(X, y, sample_weight, groups, y_numeric=True)
        weight, rows = training.weight, training.rows
        y = y.astype(np.float64)
        negative = np.flatnonzero(y < 0)
        if len(negative):
            raise ValueError(
                f"y holds {len(negative)} amounts below 0, first {y[negative[0]]:g} at row "
                f"{rows[negative[0]]}; amounts are 0 "
                "or more: leave those rows out, or pass numpy.maximum(y, 0) where a loss "
                "counts as nothing"
            )
        columns, has_amount = log_columns(X), y > 0
        self.any_ = self.amount_ = None
        self.any_weights_, self.amount_weights_ = {}, {}
        self.unit_, self.gains_ = 0.0, np.zeros(X.shape[1])
        if not has_amount.any():
            return self
        if not has_amount.all():
            self.any_ = fit_binary(columns, {}, has_amount, training, settings)
            self.any_weights_ = dict(self.any_.weights)
            self.gains_ += _shares(gains_of(self.any_))
        # in units of the mean amount; divided by the largest first, as a sum of huge amounts would
        # overflow
        relative = y / y.max()
        mean = float(np.average(relative[has_amount], weights=weight[has_amount]))
        amount = np.maximum(relative[has_amount] / mean, _SMALLEST)
        self.amount_ = fit_amounts(
            take_rows(columns, has_amount),
            amount,
            training.of(has_amount),
            settings,
        )
        self.amount_weights_ = dict(self.amount_.weights)
        self.gains_ += _shares(self.amount_.trees.gains())
        expected = self._probability(columns) * self.amount_.amount(columns, settings.threads)
        self.unit_ = float((weight @ relative) / (weight @ expected)) * float(y.max())
        return self

    def predict(self, X: Any) -> Array:
        """Return the expected money of each row, shape (n_samples,); 0 or more, in the unit of y.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns of the training.
        """
        columns = log_columns(self._read(X))
        return self._probability(columns) * self._amount(columns)

    def predict_any(self, X: Any) -> Array:
        """Return P(an amount above 0), shape (n_samples,)."""
        return self._probability(log_columns(self._read(X)))

    def predict_amount(self, X: Any) -> Array:
        """Return E[amount | above 0] of each row, shape (n_samples,), in the unit of y."""
        return self._amount(log_columns(self._read(X)))

    def _probability(self, columns: dict[str, Array]) -> Array:
        if self.any_ is None:
            return np.full(len(columns["x0"]), float(self.amount_ is not None))
        return np.asarray(expit(self.any_.margin(columns, self._threads())))

    def _amount(self, columns: dict[str, Array]) -> Array:
        if self.amount_ is None:
            return np.zeros(len(columns["x0"]))
        return self.unit_ * self.amount_.amount(columns, self._threads())


def _shares(gains: Array) -> Array:
    """Return the share of each column in the gain, so that both pools have equal weight."""
    total = float(gains.sum())
    return gains / total if total > 0 else gains

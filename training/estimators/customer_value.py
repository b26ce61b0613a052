"""``CustomerValueRegressor``: money to come, P(any) times the amount if any, on one table of any
origin.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import TabularEstimator, in_logs, some
from stagecast.training.estimators.pools import fit_amounts, fit_binary, gains_of

# Smallest amount, as a share of the mean: LightGBM keeps labels in single precision, where less
# becomes 0.
_SMALLEST = 1e-9


class CustomerValueRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]
    """Hurdle regressor of amounts of which many are 0: P(any) times the amount if any.

    P(any) is a pool in log odds of two ridge logistic regressions, one with splines, and LightGBM.
    The amount if any is a pool in logs of a ridge regression of log amounts with splines and
    LightGBM with gamma loss, which no single huge amount rules. Weights of both pools are learned
    on held-out folds. The product is scaled for the (weighted) total of the training to be met.

    Parameters
    ----------
    n_estimators : int
        Boosting rounds of the trees.
    learning_rate : float
        Of the trees.
    max_leaf_nodes : int
        Leaves of a tree.
    alpha : float
        Ridge penalty of the regressions, on standardised columns.
    n_knots : int
        Knots of the splines of each column; below 3 there are no splines.
    n_folds : int, optional
        Folds on which the members' weights are learned. None counts the members alike.
    n_jobs : int, optional
        Threads of LightGBM: 1 if None, all cores if -1. It does not change the result.
    random_state : int, RandomState or None
        Draws the folds and the trees' samples of rows and columns. Equal integers give equal bytes.

    Attributes
    ----------
    any_weights_, amount_weights_ : dict of str to float
        Member -> its weight in the pool of P(any) and of the amount; empty where there was nothing
        to learn: amounts were all above 0, or all 0.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X; names where X was a DataFrame.

    Notes
    -----
    Amounts are 0 or more. What a customer spends less what is given back can fall below 0: such a y
    is refused, since it depends on the question whether a loss counts. For money to come,
    ``numpy.maximum(y, 0)`` is what :mod:`stagecast.training.value.model` does.

    NaN in X is a value that is not known. The mean amount of nobody is told beyond the smallest and
    the largest of the training, before all are scaled.

    References
    ----------
    Cragg (1971), "Some statistical models for limited dependent variables", for the hurdle; Duan
    (1983), "Smearing estimate", for the scale that logs need. ``docs/method.md``, "Value".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> recency_days, spend_mean = random.exponential(60, 600), random.gamma(2, 20, 600)
    >>> X = pd.DataFrame({"recency_days": recency_days, "spend_mean": spend_mean})
    >>> some = random.random(600) < 60 / (X["recency_days"] + 60)
    >>> y = np.where(some, X["spend_mean"] * random.gamma(2, 1, 600), 0.0)
    >>> model = CustomerValueRegressor(n_estimators=20, random_state=0).fit(X, y)
    >>> bool(abs(model.predict(X).sum() / y.sum() - 1) < 1e-9)
    True
    >>> two = pd.DataFrame({"recency_days": [5.0, 300.0], "spend_mean": [40.0, 40.0]})
    >>> often, seldom = model.predict(two)
    >>> bool(often > 2 * seldom)
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
        # the nearest that there is: 0 is allowed, less is not
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit both parts, their weights and the scale.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where not known.
        y : array-like of shape (n_samples,)
            Money of each in the time to come, 0 or more, in any currency.
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts, relative to the others; rows of weight 0 are left out.

        Raises
        ------
        ValueError
            A parameter, X, y or weights that cannot be used; an amount below 0.
        """
        how = self._settings()
        X, y, weight, rows = self._read_training(X, y, sample_weight, y_numeric=True)
        y = y.astype(np.float64)
        below = np.flatnonzero(y < 0)
        if len(below):
            raise ValueError(
                f"y holds {len(below)} amounts below 0, first {y[below[0]]:g} at row "
                f"{rows[below[0]]}; amounts are 0 "
                "or more: leave those rows out, or pass numpy.maximum(y, 0) where a loss "
                "counts as nothing"
            )
        columns, some_came = in_logs(X), y > 0
        self.any_ = self.amount_ = None
        self.any_weights_, self.amount_weights_ = {}, {}
        self.unit_, self.gains_ = 0.0, np.zeros(X.shape[1])
        if not some_came.any():
            return self
        if not some_came.all():
            self.any_ = fit_binary(columns, {}, some_came, weight, how)
            self.any_weights_ = dict(self.any_.weights)
            self.gains_ += _shares(gains_of(self.any_))
        # in units of the mean amount, by way of the largest: the sum of huge amounts overflows
        relative = y / y.max()
        mean = float(np.average(relative[some_came], weights=weight[some_came]))
        amount = np.maximum(relative[some_came] / mean, _SMALLEST)
        self.amount_ = fit_amounts(
            some(columns, some_came), amount, weight[some_came] / weight[some_came].mean(), how
        )
        self.amount_weights_ = dict(self.amount_.weights)
        self.gains_ += _shares(self.amount_.trees.gains())
        told = self._probability(columns) * self.amount_.amount(columns, how.threads)
        self.unit_ = float((weight @ relative) / (weight @ told)) * float(y.max())
        return self

    def predict(self, X: Any) -> Array:
        """Return the expected money of each row, shape (n_samples,); 0 or more, in the unit of y.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns of the training.
        """
        columns = in_logs(self._read(X))
        return self._probability(columns) * self._amount(columns)

    def predict_any(self, X: Any) -> Array:
        """Return P(an amount above 0), shape (n_samples,)."""
        return self._probability(in_logs(self._read(X)))

    def predict_amount(self, X: Any) -> Array:
        """Return the expected amount of each row if it is above 0, shape (n_samples,), in the
        unit of y.
        """
        return self._amount(in_logs(self._read(X)))

    def _probability(self, columns: dict[str, Array]) -> Array:
        if self.any_ is None:
            return np.full(len(columns["x0"]), float(self.amount_ is not None))
        return np.asarray(expit(self.any_.margin(columns, self._threads())))

    def _amount(self, columns: dict[str, Array]) -> Array:
        if self.amount_ is None:
            return np.zeros(len(columns["x0"]))
        return self.unit_ * self.amount_.amount(columns, self._threads())


def _shares(gains: Array) -> Array:
    """Return the gain by column as a share of all, so that both parts count alike."""
    total = float(gains.sum())
    return gains / total if total > 0 else gains

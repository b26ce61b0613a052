"""``RfmLogistic``: logistic regression on recency, frequency and money, a baseline to beat."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import encoded_labels, positive_number

RFM: Final = ("recency_days", "frequency", "T_days", "spend_mean")
"""Columns that the regression looks at where X has one of them."""


class RfmLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge logistic regression on the logs of recency, frequency, tenure and mean spend.

    It is what an analyst writes in ten lines, and what every model should be compared with.
    ``classes_[1]``, the later label in sorted order, is churn.

    Parameters
    ----------
    columns : sequence of str, optional
        Columns of X to use. By default ``recency_days``, ``frequency``, ``T_days`` and
        ``spend_mean``, as far as X has them; where it has none (an array), all columns.
    alpha : float
        Ridge penalty on standardised columns; 1 / C of scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    columns_ : list
        Names of the columns used; positions where X was an array.
    coef_ : ndarray of shape (1, n_terms), intercept_ : ndarray of shape (1,)
        Of the standardised logs, followed by the indicators of columns with unknown values.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X; names where X was a DataFrame.

    Notes
    -----
    The log of a value is sign(x) log(1 + abs(x)). Unknown values (NaN) are the mean, with an
    indicator. A row of weight 2 is two rows.

    Examples
    --------
    >>> import pandas as pd
    >>> random = np.random.default_rng(1)
    >>> X = pd.DataFrame({"recency_days": random.exponential(60, 500), "noise": 1.0})
    >>> churned = random.random(500) < X["recency_days"] / (X["recency_days"] + 60)
    >>> model = RfmLogistic().fit(X, churned)
    >>> model.columns_, model.predict(X.assign(recency_days=[5.0] * 250 + [500.0] * 250))[::499]
    (['recency_days'], array([False,  True]))
    """

    def __init__(self, *, columns: Any = None, alpha: float = 1.0) -> None:
        self.columns = columns
        self.alpha = alpha

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the regression.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where unknown.
        y : array-like of shape (n_samples,)
            Two labels; the later in sorted order is churn.
        sample_weight : array-like of shape (n_samples,), optional
            Number of rows that each row stands for.

        Raises
        ------
        ValueError
            An invalid parameter, X, y or weights; a column that X lacks; other than two labels.
        """
        penalty = positive_number("alpha", self.alpha)
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        rows = np.flatnonzero(weight > 0)
        weight = weight[rows]
        self.classes_, coded = encoded_labels(y[rows], rows)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"y holds {len(self.classes_)} labels; make it two"
            )
        self._positions_ = self._choose()
        names = getattr(self, "feature_names_in_", np.arange(X.shape[1]))
        self.columns_ = names[self._positions_].tolist()
        logs = _logs(X[np.ix_(rows, self._positions_)])
        known = np.isfinite(logs)
        weights = np.where(known, weight[:, None], 0.0)
        total = np.maximum(weights.sum(axis=0), 1e-300)
        self._fill_ = (weights * np.where(known, logs, 0.0)).sum(axis=0) / total
        self._unknown_ = np.flatnonzero(~known.all(axis=0))
        terms = self._terms(logs)
        self._mean_ = np.average(terms, axis=0, weights=weight)
        spread = np.sqrt(np.average((terms - self._mean_) ** 2, axis=0, weights=weight))
        self._scale_ = np.where(spread > 1e-9, spread, 1.0)
        model = LogisticRegression(C=1.0 / penalty, solver="newton-cholesky", tol=1e-8)
        model.fit((terms - self._mean_) / self._scale_, coded, sample_weight=weight)
        self.coef_, self.intercept_ = model.coef_, model.intercept_
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the log odds of ``classes_[1]``, shape (n_samples,)."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        terms = (self._terms(_logs(X[:, self._positions_])) - self._mean_) / self._scale_
        return np.asarray(terms @ self.coef_[0] + self.intercept_[0])

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of ``classes_``, shape (n_samples, 2); churn is column 1."""
        margin = self.decision_function(X)
        return np.column_stack([expit(-margin), expit(margin)])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier label of each row, shape (n_samples,)."""
        margin = self.decision_function(X)
        return np.asarray(self.classes_[(margin > 0).astype(np.int64)])

    def _choose(self) -> NDArray[np.int64]:
        """Return the positions of the columns to use."""
        names = list(getattr(self, "feature_names_in_", ()))
        if self.columns is not None:
            missing = [name for name in self.columns if name not in names]
            if missing or not len(self.columns):
                raise ValueError(
                    f"columns is {self.columns!r}, but X has no column {missing}; its columns are "
                    f"{names[:12] or 'without names: pass a DataFrame'}"
                )
            return np.array([names.index(name) for name in self.columns])
        positions = [names.index(name) for name in RFM if name in names]
        return np.array(positions or range(self.n_features_in_), dtype=np.int64)

    def _terms(self, logs: Array) -> Array:
        unknown = np.isnan(logs)
        filled = np.where(unknown, self._fill_, logs)
        return np.column_stack([filled, unknown[:, self._unknown_].astype(np.float64)])


def _logs(X: Array) -> Array:
    return np.asarray(np.copysign(np.log1p(np.abs(X)), X))

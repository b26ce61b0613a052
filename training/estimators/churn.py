"""``ChurnClassifier``: P(no purchase in the horizon) from one table of customers."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils import Tags

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import (
    TabularEstimator,
    encoded_labels,
    log_columns,
    rows_by_weight,
    whole_number,
)
from stagecast.training.estimators.pools import fit_binary, gains_of
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.fit_customer_base import fit_customer_base

# With a customer base whose AUC is below this, the labels are probably reversed.
_REVERSED_AUC = 0.4


class ChurnClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]
    """Binary classifier of churn: a pool of regressions, small trees and customer-base models.

    Members are a ridge logistic regression on columns in logs (``linear``), one with natural cubic
    splines (``splines``), LightGBM with few leaves (``trees``) and, with ``horizon_days``, MBG/NBD
    and Pareto/NBD (``btyd``), whose predictions are also columns of the splines and the trees. They
    are pooled in log odds, with weights that are learned on held-out folds, are not negative and
    sum to 1. Finally the log odds are shifted so that the mean probability equals the share of
    churn on those folds.

    **Which label is churn:** ``classes_[1]``, the later of the two labels in sorted order, as for
    every classifier of scikit-learn: 1 of (0, 1), True of (False, True), but "stayed" of
    ("churned", "stayed"). Column 1 of :meth:`predict_proba` and positive values of
    :meth:`decision_function` refer to it. With ``horizon_days`` it must mean "no purchase in the
    horizon", since that is what the customer-base models predict.

    Parameters
    ----------
    horizon_days : int, optional
        Days after the snapshot that y covers. If it is set, X must be a DataFrame with the columns
        ``frequency`` (repeat purchase days), ``t_x_days`` (first to last purchase, days) and
        ``T_days`` (first purchase to the snapshot, days), and contain all buyers, also those who
        left long ago. Rows without a value in one of them are customers who have not bought yet.
        The member is left out where there are fewer than 30 buyers or 10 repeat buyers, or no model
        has an optimum.
    n_estimators : int
        Boosting rounds of the trees.
    learning_rate : float
        Learning rate of the trees.
    max_leaf_nodes : int
        Leaves of a tree.
    alpha : float
        Ridge penalty of both regressions, on standardised columns; 1 / C of scikit-learn.
    n_knots : int
        Knots of the splines of each column; below 3 there are no splines.
    n_folds : int, optional
        Folds, stratified by label, that the weights of the members are learned on; fewer where a
        label is rare. None gives equal weights.
    n_jobs : int, optional
        Threads of LightGBM: 1 if None, all cores if -1. It does not change the result.
    random_state : int, RandomState or None
        Seed of the folds and of the trees' samples of rows and columns. Equal integers give equal
        bytes.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels; ``classes_[1]`` is churn.
    weights_ : dict of str to float
        Member -> its weight in the pool.
    customer_base_ : CustomerBase or None
        The customer-base models, where they could be fitted.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X; names where X was a DataFrame.

    Notes
    -----
    NaN in X means unknown: the regressions use the median and an indicator, the trees a branch of
    their own. Columns that do not vary have no influence.

    References
    ----------
    Wolpert (1992), "Stacked generalization". Batislam, Denizel and Filiztekin (2007) for MBG/NBD;
    Schmittlein, Morrison and Colombo (1987) for Pareto/NBD. ``docs/method.md``, "Churn".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> recency_days, orders = random.exponential(60, 500), random.poisson(3, 500) + 1
    >>> X = pd.DataFrame({"recency_days": recency_days, "orders": orders})
    >>> churned = random.random(500) < X["recency_days"] / (X["recency_days"] + 60)
    >>> model = ChurnClassifier(n_estimators=20, random_state=0).fit(X, churned)
    >>> new = pd.DataFrame({"recency_days": [6.0, 300.0, np.nan], "orders": [2, 2, 2]})
    >>> model.predict(new).tolist()
    [False, True, False]
    >>> bool(model.predict_proba(new)[0, 1] < 0.3 < 0.7 < model.predict_proba(new)[1, 1])
    True
    """

    def __init__(
        self,
        *,
        horizon_days: int | None = None,
        n_estimators: int = 150,
        learning_rate: float = 0.03,
        max_leaf_nodes: int = 6,
        alpha: float = 5.0,
        n_knots: int = 4,
        n_folds: int | None = 5,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.horizon_days = horizon_days
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
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the members and their weights.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where unknown.
        y : array-like of shape (n_samples,)
            Two labels; the later in sorted order is churn.
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
            An invalid parameter, X, y or weights; one label, or more than two; with
            ``horizon_days``, a missing column of the history, or an impossible history.

        Warns
        -----
        UserWarning
            The customer-base models rank the rows in reverse: ``classes_[1]`` is probably not
            churn.
        """
        settings = self._settings()
        horizon = (
            None
            if self.horizon_days is None
            else whole_number("horizon_days", self.horizon_days, 1)
        )
        X, y, training = self._read_training(X, y, sample_weight, groups)
        weight, rows = training.weight, training.rows
        self.classes_, coded = encoded_labels(y, rows)
        if len(self.classes_) > 2:
            label_names = ", ".join(repr(label) for label in self.classes_.tolist()[:5])
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                "multiclass: y holds "
                f"{len(self.classes_)} labels, {label_names}"
                f"{', ...' if len(self.classes_) > 5 else ''}. "
                "Make it two, or use NextStageClassifier"
            )
        target = coded == 1
        self.customer_base_, base_columns = None, {}
        if horizon is not None:
            self.horizon_days_ = horizon
            history, has_history = self._history(X, rows)
            sample = rows_by_weight(weight)
            self.customer_base_ = _fit_base(history[sample[has_history[sample]]])
            base_columns = self._base_columns(X, rows)
            self._warn_of_labels(base_columns, target, weight)
        columns = log_columns(X)
        self.pool_ = fit_binary(columns, base_columns, target, training, settings)
        self.weights_ = dict(self.pool_.weights)
        gains = gains_of(self.pool_)
        self.gains_ = gains[: len(columns)]
        if base_columns:
            self.gains_[self._positions()] += gains[len(columns) :].sum() / len(HISTORY)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the log odds of ``classes_[1]``, shape (n_samples,).

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns of the training.
        """
        X = self._read(X)
        base_columns = self._base_columns(X, np.arange(len(X)))
        return self.pool_.margin({**log_columns(X), **base_columns}, self._threads())

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of ``classes_``, shape (n_samples, 2); churn is column 1."""
        margin = self.decision_function(X)
        return np.column_stack([expit(-margin), expit(margin)])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier label of each row, shape (n_samples,)."""
        margin = self.decision_function(X)
        return np.asarray(self.classes_[(margin > 0).astype(np.int64)])

    def _base_columns(self, X: Array, rows: NDArray[np.int64]) -> dict[str, Array]:
        """Return the columns of the customer-base models, NaN for customers without a purchase."""
        if self.customer_base_ is None:
            return {}
        history, has_history = self._history(X, rows)
        features = dict(zip(HISTORY, history[has_history].T, strict=True))
        result = {}
        for name, values in self.customer_base_.columns(features, self.horizon_days_).items():
            result[name] = np.full(len(X), np.nan)
            result[name][has_history] = values
        return result

    def _positions(self) -> list[int]:
        """Return the positions of the columns of the history in X."""
        names = list(getattr(self, "feature_names_in_", ()))
        missing = [name for name in HISTORY if name not in names]
        if missing:
            raise ValueError(
                f"horizon_days={self.horizon_days} asks for the customer-base models, "
                "which look at the columns "
                f"{', '.join(HISTORY)}; X lacks {', '.join(missing)}. Pass a DataFrame "
                "that has them, or "
                "horizon_days=None"
            )
        return [names.index(name) for name in HISTORY]

    def _history(self, X: Array, rows: NDArray[np.int64]) -> tuple[Array, NDArray[np.bool_]]:
        """Return the history of each row, shape (n_samples, 3), and which rows have one."""
        history = X[:, self._positions()]
        complete = np.asarray(np.isfinite(history).all(axis=1))
        x, t_x, T = history.T
        with np.errstate(invalid="ignore"):
            valid = (x >= 0) & (x == np.floor(x)) & (t_x >= 0) & (t_x <= T) & ((x > 0) | (t_x == 0))
        invalid = np.flatnonzero(complete & ~valid)
        if len(invalid):
            values = ", ".join(
                f"{name} {value:g}"
                for name, value in zip(HISTORY, history[invalid[0]], strict=True)
            )
            raise ValueError(
                f"X has {len(invalid)} rows with a history that cannot be, first row "
                f"{rows[invalid[0]]}: {values}; "
                "frequency must be a whole number, 0 <= t_x_days <= T_days, and t_x_days "
                "0 where frequency is. "
                "Correct them, or use horizon_days=None"
            )
        return history, complete

    def _warn_of_labels(
        self, base_columns: dict[str, Array], target: NDArray[np.bool_], weight: Array
    ) -> None:
        if not base_columns:
            return
        has_history = np.isfinite(base_columns["btyd_none"])
        if target[has_history].all() or not target[has_history].any():
            return
        ranking_auc = float(
            roc_auc_score(
                target[has_history],
                base_columns["btyd_none"][has_history],
                sample_weight=weight[has_history],
            )
        )
        # standard deviation of the AUC of a random ranking (Mann and Whitney 1947)
        hits, rows = int(target[has_history].sum()), int(has_history.sum())
        deviation = float(np.sqrt((rows + 1) / (12 * hits * (rows - hits))))
        if ranking_auc < min(_REVERSED_AUC, 0.5 - 3 * deviation):
            other_label, churn_label = self.classes_.tolist()
            warnings.warn(
                f"classes_[1] is {churn_label!r} and taken for churn, but the customer-base "
                f"models rank these rows the other way round (AUC {ranking_auc:.2f}). If "
                f"{other_label!r} is churn, rename the labels: 1 or True for churn",
                stacklevel=3,
            )


def _fit_base(history: Array) -> CustomerBase | None:
    """Return the customer-base models of these buyers, or None with too few of them."""
    features = dict(zip(HISTORY, history.T, strict=True))
    # without money: churn does not use the spend model, which is slow to fit
    features["monetary"] = np.full(len(history), np.nan)
    try:
        return fit_customer_base(features)
    except FitError:
        return None

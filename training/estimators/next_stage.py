"""``NextStageClassifier``: P(each stage at the end of the horizon) from one table of customers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import TabularEstimator, encoded_labels, log_columns
from stagecast.training.estimators.pools import fit_classes, gains_of


class NextStageClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]
    """Multiclass classifier of the next stage: a pool of a regression and small trees.

    Members are a ridge multinomial regression with columns in logs (``linear``) and LightGBM with
    few leaves (``trees``), pooled in log probability. Weights are learned on held-out folds, are
    not negative and sum to 1.

    The full training (:mod:`stagecast.training.next_stage.model`) also knows which stages can
    follow another and where silence leads. This estimator uses columns only: to let it use the
    current stage of a customer, add a column of 0 and 1 per stage.

    Parameters
    ----------
    n_estimators : int
        Boosting rounds of the trees, each with a tree per class.
    learning_rate : float
        Learning rate of the trees.
    max_leaf_nodes : int
        Leaves of a tree.
    alpha : float
        Ridge penalty of the regression, on standardised columns; 1 / C of scikit-learn.
    n_knots : int
        Knots of a natural cubic spline of each column; below 3 columns enter linearly. The fit
        takes time with the square of classes times (columns + knots).
    n_folds : int, optional
        Folds, stratified by class, that the weights of the members are learned on. None gives equal
        weights.
    n_jobs : int, optional
        Threads of LightGBM: 1 if None, all cores if -1. It does not change the result.
    random_state : int, RandomState or None
        Seed of the folds and of the trees' samples of rows and columns. Equal integers give equal
        bytes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in sorted order.
    weights_ : dict of str to float
        Member -> its weight in the pool.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X; names where X was a DataFrame.

    Notes
    -----
    NaN in X means unknown: the regression uses the median and an indicator, the trees a branch of
    their own.

    References
    ----------
    Wolpert (1992), "Stacked generalization". ``docs/method.md``, "Next stage".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> X = pd.DataFrame({"recency_days": random.exponential(60, 600)})
    >>> silence = X["recency_days"] * random.gamma(9, 1 / 9, 600)
    >>> stage = np.array(["active", "at_risk", "lost"])[np.digitize(silence, [40, 90])]
    >>> model = NextStageClassifier(n_estimators=20, random_state=0).fit(X, stage)
    >>> model.predict(pd.DataFrame({"recency_days": [5.0, 60.0, 400.0]})).tolist()
    ['active', 'at_risk', 'lost']
    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.05,
        max_leaf_nodes: int = 6,
        alpha: float = 5.0,
        n_knots: int = 0,
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the members and their weights.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where unknown.
        y : array-like of shape (n_samples,)
            The stage at the end of the horizon; two labels or more.
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
            An invalid parameter, X, y or weights; a single label.
        """
        settings = self._settings()
        X, y, training = self._read_training(X, y, sample_weight, groups)
        self.classes_, coded = encoded_labels(y, training.rows)
        self.pool_ = fit_classes(log_columns(X), coded, len(self.classes_), training, settings)
        self.weights_ = dict(self.pool_.weights)
        self.gains_ = gains_of(self.pool_)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of ``classes_``, shape (n_samples, n_classes); rows sum to 1.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns of the training.
        """
        X = self._read(X)
        return self.pool_.probability(log_columns(X), self._threads())

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest label of each row, shape (n_samples,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

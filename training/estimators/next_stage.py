"""``NextStageClassifier``: P(each stage at the end of the horizon), on one table of any origin."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import TabularEstimator, in_logs, labels
from stagecast.training.estimators.pools import fit_classes, gains_of


class NextStageClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]
    """Multiclass classifier of the stage to come: a pool, in log probability, of a regression and
    small trees.

    Members are a ridge multinomial regression with columns in logs (``linear``) and LightGBM with
    few leaves (``trees``). Weights are learned on held-out folds, are not negative and sum to 1.

    The whole training (:mod:`stagecast.training.next_stage.model`) knows besides which stages can
    follow which and where silence leads. This one knows columns only: to tell it where a customer
    stands now, add a column of 0 and 1 per present stage.

    Parameters
    ----------
    n_estimators : int
        Boosting rounds of the trees, each with a tree per class.
    learning_rate : float
        Of the trees.
    max_leaf_nodes : int
        Leaves of a tree.
    alpha : float
        Ridge penalty of the regression, on standardised columns; 1 / C of scikit-learn.
    n_knots : int
        Knots of a natural cubic spline of each column; below 3 columns enter linearly. The fit
        takes time with the square of classes times (columns + knots).
    n_folds : int, optional
        Folds, stratified by class, on which the members' weights are learned. None counts both
        alike.
    n_jobs : int, optional
        Threads of LightGBM: 1 if None, all cores if -1. It does not change the result.
    random_state : int, RandomState or None
        Draws the folds and the trees' samples of rows and columns. Equal integers give equal bytes.

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
    NaN in X is a value that is not known: the regression takes the median and an indicator, the
    trees a branch.

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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members and their weights.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            One row per customer at a date; numbers, NaN where not known.
        y : array-like of shape (n_samples,)
            The stage of each at the end of the horizon: two labels or more.
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts, relative to the others; rows of weight 0 are left out.

        Raises
        ------
        ValueError
            A parameter, X, y or weights that cannot be used; one label only.
        """
        how = self._settings()
        X, y, weight, rows = self._read_training(X, y, sample_weight)
        self.classes_, coded = labels(y, rows)
        self.pool_ = fit_classes(in_logs(X), coded, len(self.classes_), weight, how)
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
        return self.pool_.probability(in_logs(X), self._threads())

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest label of each row, shape (n_samples,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

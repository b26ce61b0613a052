"""What the estimators accept, and in what form the members see it: columns in logs, folds,
weights as copies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import isna
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from stagecast.features.arrays import Array

Whole = NDArray[np.int64]

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """How the members are fitted and pooled: the checked parameters of an estimator.

    ``folds`` is None where members count alike; ``threads`` is LightGBM's number, 0 for all cores.
    """

    trees: int
    learning_rate: float
    leaves: int
    penalty: float
    knots: int
    folds: int | None
    threads: int
    seed: int


class TabularEstimator(BaseEstimator):  # type: ignore[misc]
    """What the three estimators share: tags, how X is read, the importance of its columns.

    A subclass has the parameters that :meth:`_settings` looks at, and sets ``gains_`` in fit.
    """

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags: NaN in X is a value that is not known."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def feature_importances_(self) -> Array:
        """The trees' gain by column of X, summing to 1, shape (n_features_in_,); all 0 where no
        tree has a branch.

        They are the trees' alone, however much these count in the pool. What trees gained by a
        column of the customer-base models is shared out among the three columns that these look at.
        """
        check_is_fitted(self, "gains_")
        total = float(self.gains_.sum())
        return np.asarray(self.gains_ / total if total > 0 else self.gains_)

    def _read_training(
        self, X: Any, y: Any, sample_weight: Any, **how: Any
    ) -> tuple[Array, Any, Array, Whole]:
        """Return the rows of positive weight as X, y, weights of mean 1, and where each row stands
        in what was given.

        Raises
        ------
        ValueError
            What scikit-learn refuses: fewer than two rows, lengths that differ, infinite values,
            text, weights that are negative or all 0.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2, **how
        )
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        rows = np.flatnonzero(weight > 0)
        # relative to the largest first: the sum of huge weights overflows
        weight = weight[rows] / weight[rows].max()
        return X[rows], y[rows], np.asarray(weight / weight.mean()), rows

    def _read(self, X: Any) -> Array:
        """Return X as an array, with the columns of the training."""
        check_is_fitted(self, "gains_")
        return np.asarray(
            validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        )

    def _settings(self) -> Settings:
        """Return the checked parameters.

        Raises
        ------
        ValueError
            A parameter that cannot be used; the message names it and what can.
        """
        if self.n_folds is not None:
            whole("n_folds", self.n_folds, 2, "; None counts all members alike")
        return Settings(
            whole("n_estimators", self.n_estimators, 1),
            positive("learning_rate", self.learning_rate),
            whole("max_leaf_nodes", self.max_leaf_nodes, 2),
            positive("alpha", self.alpha),
            whole("n_knots", self.n_knots, 0, "; below 3 there are no splines"),
            None if self.n_folds is None else int(self.n_folds),
            _threads(self.n_jobs),
            int(check_random_state(self.random_state).randint(_LARGEST_SEED)),
        )

    def _threads(self) -> int:
        return _threads(self.n_jobs)


def whole(name: str, value: Any, least: int, hint: str = "") -> int:
    """Return a parameter that must be a whole number of at least ``least``.

    >>> whole("n_folds", 1, 2)
    Traceback (most recent call last):
    ValueError: n_folds is 1; use a whole number of 2 or more
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}; use a whole number of {least} or more{hint}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Return a parameter that must be a finite number above 0.

    >>> positive("alpha", "much")
    Traceback (most recent call last):
    ValueError: alpha is 'much'; use a finite number above 0
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name} is {value!r}; use a finite number above 0")
    return float(value)


def _threads(n_jobs: Any) -> int:
    if n_jobs is None:
        return 1
    if not isinstance(n_jobs, bool) and n_jobs == -1:
        return 0
    return whole("n_jobs", n_jobs, 1, ", -1 for all cores, or None for one")


def in_logs(X: Array) -> dict[str, Array]:
    """Return the columns of X in logs, sign(x) log(1 + abs(x)), named by where they stand: ``x0``,
    ``x1``, ...

    For what is never below 0, as nearly all columns of the catalogue, this is log1p. Others keep
    their sign, so that no value is too large for a regression. Names of users do not enter:
    LightGBM refuses some.

    >>> logs = in_logs(np.array([[0.0, -1.0], [9.0, 1e300]]))
    >>> {name: values.round(2).tolist() for name, values in logs.items()}
    {'x0': [0.0, 2.3], 'x1': [-0.69, 690.78]}
    """
    logs = np.copysign(np.log1p(np.abs(X)), X)
    return {f"x{k}": np.ascontiguousarray(logs[:, k]) for k in range(X.shape[1])}


def some(columns: Mapping[str, Array], rows: NDArray[Any]) -> dict[str, Array]:
    """Return these rows of all columns."""
    return {name: values[rows] for name, values in columns.items()}


def fold_numbers(coded: Whole, folds: int | None, seed: int) -> Whole | None:
    """Return the fold of each row: shuffled, then dealt out class by class, so that each fold has
    its share of each.

    Parameters
    ----------
    coded
        The class of each row.
    folds
        How many; fewer where the second most frequent class has fewer rows.

    Returns
    -------
    array of int, or None
        None where folds would be left with one class only, or were not asked for.

    >>> fold_numbers(np.array([0, 0, 0, 0, 1, 1]), 5, seed=1).max()
    np.int64(1)
    """
    counts = np.sort(np.unique(coded, return_counts=True)[1])
    folds = min(folds or 0, int(counts[-2]) if len(counts) > 1 else int(counts[-1]))
    if folds < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(coded))
    order = order[np.argsort(coded[order], kind="stable")]
    fold = np.empty(len(coded), dtype=np.int64)
    fold[order] = np.arange(len(coded)) % folds
    return fold


def copies(weight: Array) -> Whole:
    """Return rows, each as often as its weight (of mean 1) says: systematic sampling, without
    chance.

    The pool's weights and the customer-base models are fitted on rows that count once.

    >>> copies(np.array([1.0, 0.5, 0.5, 2.0])).tolist()
    [0, 1, 3, 3]
    """
    # rounded, since a running sum of ones must not fall short of a whole number
    ends = np.floor(np.round(np.cumsum(weight), 9) + 0.5)
    return np.repeat(np.arange(len(weight)), np.diff(ends, prepend=0.0).astype(np.int64))


def labels(y: Any, rows: Whole) -> tuple[NDArray[Any], Whole]:
    """Return the classes in order and the position of each row's among them.

    Raises
    ------
    ValueError
        A label that is missing, labels that have no order, numbers that are no labels, or one class
        only.
    """
    missing = np.flatnonzero(isna(y))
    if len(missing):
        raise ValueError(
            f"y holds {y[missing[0]]!r} at row {rows[missing[0]]}; leave out rows whose "
            "label is unknown"
        )
    try:
        classes, coded = np.unique(y, return_inverse=True)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y})
        raise ValueError(
            f"y holds labels of the types {', '.join(kinds)}, which have no order; use one type"
        ) from error
    check_classification_targets(y)
    if len(classes) == 1:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r} in all {len(y)} rows that "
            "count; there is nothing to "
            "tell apart: look at how y was made, or take another date or horizon"
        )
    return classes, coded.astype(np.int64)

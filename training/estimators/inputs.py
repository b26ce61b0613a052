"""Checks of the input of the estimators, and its form for the members: logs, folds, samples."""

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

from stagecast.features.arrays import Array, Integers
from stagecast.training.estimators.copies import group_codes, without_copies

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """Checked parameters of an estimator.

    Parameters
    ----------
    trees
        Number of boosting rounds.
    learning_rate
        Learning rate of the trees.
    leaves
        Leaves of a tree.
    penalty
        Ridge penalty of the regressions.
    knots
        Knots of the splines of each column.
    folds
        Folds that the weights of the members are learned on; None gives equal weights.
    threads
        Threads of LightGBM; 0 uses all cores.
    seed
        Seed of all random draws.
    """

    trees: int
    learning_rate: float
    leaves: int
    penalty: float
    knots: int
    folds: int | None
    threads: int
    seed: int


@dataclass(frozen=True)
class Sample:
    """Weights and customers of the rows of a training, shape (rows,) each.

    Parameters
    ----------
    weight
        Weights of mean 1.
    rows
        Positions in X, for messages.
    group
        Number of the customer of each row; None where each row is one.
    """

    weight: Array
    rows: Integers
    group: Integers | None = None

    @property
    def customers(self) -> int:
        """Number of customers."""
        return len(self.weight) if self.group is None else len(np.unique(self.group))

    def of(self, chosen: NDArray[Any]) -> Sample:
        """Return some of the rows, with weights of mean 1."""
        weight = self.weight[chosen]
        group = None if self.group is None else self.group[chosen]
        return Sample(weight / weight.mean(), self.rows[chosen], group)


class TabularEstimator(BaseEstimator):  # type: ignore[misc]
    """Base class of the estimators: tags, checks of input, importance of columns.

    A subclass has the parameters that :meth:`_settings` reads, and sets ``gains_`` in fit.
    """

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags: X may contain NaN, which means unknown."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def feature_importances_(self) -> Array:
        """Share of each column of X in the gain of the trees, shape (n_features_in_,).

        The shares have sum 1, or are all 0 where no tree has a split. They are of the trees alone,
        whatever the weight of the trees in the pool. The gain of the columns of the customer-base
        models is divided equally among the three columns that these models use.
        """
        check_is_fitted(self, "gains_")
        total = float(self.gains_.sum())
        return np.asarray(self.gains_ / total if total > 0 else self.gains_)

    def _read_training(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, **options: Any
    ) -> tuple[Array, Any, Sample]:
        """Return X, y and what else is known of the rows of positive weight, without copies.

        Raises
        ------
        ValueError
            Input that scikit-learn refuses: fewer than two rows, different lengths, infinite
            values, text, weights that are negative or all 0. Groups of another length.
        """
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,
            **options,
        )
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        rows = np.flatnonzero(weight > 0)
        # relative to the largest first: the sum of huge weights overflows
        weight = weight[rows] / weight[rows].max()
        group = group_codes(groups, rows, len(X))
        stay, weight = without_copies(X[rows], y[rows], weight / weight.mean(), group)
        rows = rows[stay]
        return X[rows], y[rows], Sample(weight, rows, None if group is None else group[stay])

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
            A parameter is invalid; the message names it and the valid values.
        """
        if self.n_folds is not None:
            whole_number("n_folds", self.n_folds, 2, "; None counts all members alike")
        return Settings(
            whole_number("n_estimators", self.n_estimators, 1),
            positive_number("learning_rate", self.learning_rate),
            whole_number("max_leaf_nodes", self.max_leaf_nodes, 2),
            positive_number("alpha", self.alpha),
            whole_number("n_knots", self.n_knots, 0, "; below 3 there are no splines"),
            None if self.n_folds is None else int(self.n_folds),
            _threads(self.n_jobs),
            int(check_random_state(self.random_state).randint(_LARGEST_SEED)),
        )

    def _threads(self) -> int:
        return _threads(self.n_jobs)


def whole_number(name: str, value: Any, minimum: int, hint: str = "") -> int:
    """Return a whole number of at least ``minimum``; raise ValueError for other values.

    >>> whole_number("n_folds", 1, 2)
    Traceback (most recent call last):
    ValueError: n_folds is 1; use a whole number of 2 or more
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} is {value!r}; use a whole number of {minimum} or more{hint}")
    return int(value)


def positive_number(name: str, value: Any) -> float:
    """Return a finite number above 0; raise ValueError for other values.

    >>> positive_number("alpha", "much")
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
    return whole_number("n_jobs", n_jobs, 1, ", -1 for all cores, or None for one")


def log_columns(X: Array) -> dict[str, Array]:
    """Return the columns of X in logs, sign(x) log(1 + abs(x)), named ``x0``, ``x1``, ...

    For columns that are never negative, as nearly all of the catalogue, this is log1p. It also
    keeps very large values within the range of the regressions. The names of the user are not used,
    because LightGBM refuses some.

    >>> logs = log_columns(np.array([[0.0, -1.0], [9.0, 1e300]]))
    >>> {name: values.round(2).tolist() for name, values in logs.items()}
    {'x0': [0.0, 2.3], 'x1': [-0.69, 690.78]}
    """
    logs = np.copysign(np.log1p(np.abs(X)), X)
    return {f"x{k}": np.ascontiguousarray(logs[:, k]) for k in range(X.shape[1])}


def take_rows(columns: Mapping[str, Array], rows: NDArray[Any]) -> dict[str, Array]:
    """Return these rows of all columns."""
    return {name: values[rows] for name, values in columns.items()}


def rows_by_weight(weight: Array) -> Integers:
    """Return a sample of rows in proportion to weights (of mean 1), by systematic sampling.

    It is deterministic. The weights of a pool and the customer-base models are fitted on it,
    because their fits take no weights.

    >>> rows_by_weight(np.array([1.0, 0.5, 0.5, 2.0])).tolist()
    [0, 1, 3, 3]
    """
    # rounded, so that a cumulative sum of ones is not slightly below a whole number
    ends = np.floor(np.round(np.cumsum(weight), 9) + 0.5)
    return np.repeat(np.arange(len(weight)), np.diff(ends, prepend=0.0).astype(np.int64))


def encoded_labels(y: Any, rows: Integers) -> tuple[NDArray[Any], Integers]:
    """Return the sorted classes, and the position of the class of each row.

    Raises
    ------
    ValueError
        A missing label, labels of types without an order, continuous numbers, or a single class.
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

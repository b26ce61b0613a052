"""A classifier of the user as a member of the pool: fitting, log odds, and effects of columns.

It is fitted and weighed on the rows that our members are fitted and weighed on. Nulls become the
median of their column where the classifier cannot handle them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.learners.customer_base import log_odds

SAMPLE = 500
"""Rows of a fit that the use of columns is measured on."""
DIGITS = 9
"""Decimals of the log odds that the fingerprint of a fitted member is of."""


@dataclass(frozen=True)
class EstimatorOdds:
    """A fitted classifier as a member of a pool.

    Parameters
    ----------
    name
        Of the member.
    estimator
        The fitted classifier.
    columns
        Names of the columns that it was fitted on, in order.
    usual
        Median of each column on the rows of the fit, shape (n_columns,).
    fills
        Whether nulls become the median.
    usage
        Column -> mean absolute effect on the log odds, on a sample of the rows of the fit.
    fingerprint
        Hash of the log odds of that sample: what the version of a model knows of the classifier.
    """

    name: str
    estimator: Any
    columns: tuple[str, ...]
    usual: tuple[float, ...]
    fills: bool
    usage: Mapping[str, float] = field(default_factory=dict)
    fingerprint: str = ""

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds of no purchase, shape (rows,)."""
        return self._margin(np.column_stack([columns[name] for name in self.columns]))

    def _margin(self, matrix: Array) -> Array:
        usual = np.array(self.usual)
        filled = np.where(np.isnan(matrix), usual, matrix) if self.fills else matrix
        frame = pd.DataFrame(filled, columns=list(self.columns))
        probability = np.asarray(self.estimator.predict_proba(frame), dtype=np.float64)
        classes = list(self.estimator.classes_)
        if probability.shape != (len(matrix), len(classes)) or np.isnan(probability).any():
            raise UsageError(
                f"member '{self.name}': predict_proba returned shape {probability.shape} or nulls "
                f"for {len(matrix)} rows of {len(classes)} classes"
            )
        return log_odds(probability[:, classes.index(1)])

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column on the log odds, shape (rows,).

        A column has the mean of two differences: what the log odds change by when it goes from its
        median to its value, with the columns before it, or those after it, at their values already.
        The effects add up to the difference from a customer of medians, and are exact where the log
        odds are a sum over columns.

        Source: Strumbelj and Kononenko (2014), "Explaining prediction models and individual
        predictions with feature contributions", with one ordering and its reverse.
        """
        matrix = np.column_stack([columns[name] for name in self.columns])
        effects = self._effects(matrix)
        for k, name in enumerate(self.columns):
            yield name, effects[:, k]

    def _effects(self, matrix: Array) -> Array:
        effects = np.zeros(matrix.shape)
        order = np.arange(matrix.shape[1])
        for ordering in (order, order[::-1]):
            current = np.tile(np.array(self.usual), (len(matrix), 1))
            before = self._margin(current)
            for k in ordering:
                changed = _differs(current[:, k], matrix[:, k])
                current[:, k] = matrix[:, k]
                if changed.any():
                    after = before.copy()
                    after[changed] = self._margin(current[changed])
                    effects[:, k] += (after - before) / 2
                    before = after
        return effects

    def measured(self, columns: Mapping[str, Array]) -> EstimatorOdds:
        """Return the member with its use of columns and its fingerprint, on a sample of rows."""
        step = max(1, len(columns[self.columns[0]]) // SAMPLE)
        matrix = np.column_stack([columns[name][::step][:SAMPLE] for name in self.columns])
        odds = np.round(self._margin(matrix), DIGITS) + 0.0  # + 0: no negative zero
        use = np.abs(self._effects(matrix)).mean(axis=0)
        return replace(
            self,
            usage=dict(zip(self.columns, use.tolist(), strict=True)),
            fingerprint=hashlib.sha256(odds.tobytes()).hexdigest(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the classifier as plain data."""
        return {
            "columns": list(self.columns),
            "usual": [None if np.isnan(value) else value for value in self.usual],
            "fills": self.fills,
            "usage": dict(self.usage),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any], estimator: Any) -> EstimatorOdds:
        """Read what :meth:`to_json` returns, with the classifier."""
        return cls(
            name,
            estimator,
            tuple(data["columns"]),
            tuple(np.nan if value is None else float(value) for value in data["usual"]),
            bool(data["fills"]),
            {str(column): float(use) for column, use in data["usage"].items()},
            str(data["fingerprint"]),
        )


def _differs(first: Array, second: Array) -> NDArray[np.bool_]:
    return np.asarray((first != second) & ~(np.isnan(first) & np.isnan(second)))


def fit_estimator(
    name: str,
    estimator: Any,
    columns: Mapping[str, Array],
    names: Sequence[str],
    inactive: NDArray[np.bool_],
    seed: int,
) -> EstimatorOdds:
    """Fit a clone of a classifier on rows of past dates.

    Parameters
    ----------
    name
        Of the member.
    estimator
        Any scikit-learn classifier with ``predict_proba``; it stays as it is.
    columns
        Name -> values, shape (rows,); null is NaN.
    names
        The columns to use, in order.
    inactive
        Whether there was no purchase within the horizon, shape (rows,).
    seed
        Of the classifier's random draws, where it has none of its own.

    Raises
    ------
    UsageError
        It was loaded without its classifier, or the fit failed.
    """
    target = inactive.astype(np.int64)
    fitted, usual, fills = fitted_clone(name, estimator, columns, names, target, seed)
    return EstimatorOdds(name, fitted, tuple(names), usual, fills)


def matrix_of(
    columns: Mapping[str, Array], names: Sequence[str], usual: Sequence[float], *, fills: bool
) -> Array:
    """Return the columns of these names, shape (rows, names), with ``usual`` for nulls or not."""
    matrix = np.column_stack([columns[name] for name in names])
    return np.where(np.isnan(matrix), np.array(usual), matrix) if fills else matrix


def fitted_clone(
    name: str,
    estimator: Any,
    columns: Mapping[str, Array],
    names: Sequence[str],
    target: NDArray[Any],
    seed: int,
) -> tuple[Any, tuple[float, ...], bool]:
    """Return a fitted clone of an estimator, the medians, and whether nulls become these.

    Parameters are those of :func:`fit_estimator`; ``target`` has the shape (rows,).

    Raises
    ------
    UsageError
        It was loaded without its estimator, or the fit failed.
    """
    from sklearn.base import clone

    if estimator is None:
        raise UsageError(
            f"member '{name}' was loaded without its estimator; hand it over again with "
            f"set_params, as '{name}': sc.member(estimator)"
        )
    # a column that varies has a value
    usual = tuple(float(np.nanmedian(columns[column])) for column in names)
    fills = not _takes_nulls(estimator)
    frame = pd.DataFrame(matrix_of(columns, names, usual, fills=fills), columns=list(names))
    try:
        fitted = _seeded(clone(estimator), seed).fit(frame, target)
    except Exception as error:
        raise UsageError(
            f"member '{name}' cannot be fitted on {len(frame):,} rows of {len(names)} features: "
            f"{type(error).__name__}: {error}"
        ) from error
    return fitted, usual, fills


def _seeded(estimator: Any, seed: int) -> Any:
    """Return an estimator that draws the same numbers in each fit."""
    unset = {
        name: seed
        for name, value in estimator.get_params().items()
        if value is None and name.split("__")[-1] == "random_state"
    }
    return estimator.set_params(**unset) if unset else estimator


def _takes_nulls(estimator: Any) -> bool:
    from sklearn.utils import get_tags

    try:
        return bool(get_tags(estimator).input_tags.allow_nan)
    except Exception:  # not of scikit-learn's own classes: it knows no tags
        return False

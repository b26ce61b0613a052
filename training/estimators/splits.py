"""``SnapshotSplit``: cross-validation over stacked snapshots that never looks into the future."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from stagecast.features.arguments.spans import as_timedelta
from stagecast.features.arguments.values import whole_number
from stagecast.features.arrays import Integers
from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame, is_table

Split = tuple[Integers, Integers]
_GIVE = "a whole number, like 3"


class SnapshotSplit(BaseCrossValidator):  # type: ignore[misc]
    """Train on earlier snapshots whose horizon is over, test on a later one.

    The rows are snapshots of several dates on top of each other. At a test date, only outcomes are
    known whose horizon has ended: the training rows are those with ``as_of + gap <= test as_of``.

    Parameters
    ----------
    gap : str, int or timedelta
        The horizon of the outcomes, such as ``"90d"``; a number is days.
    n_splits : int, optional
        The newest dates to test on; None tests on every date with an earlier one to train on.
    customer_folds : int, optional
        With it, test customers are not trained on, either: each test date is divided into so many
        folds by customer, and trained on the other customers of the earlier dates. It measures how
        a model does on customers whom it does not know by heart.
    random_state : int
        Seed of the folds of customers.

    Notes
    -----
    ``groups`` is the as_of of each row (dates, timestamps or text), or a frame with the columns
    ``as_of`` and, for ``customer_folds``, ``customer_id``.

    Examples
    --------
    >>> groups = ["2024-01-01"] * 2 + ["2024-03-01"] * 2 + ["2024-05-01"] * 2
    >>> split = SnapshotSplit(gap="90d")
    >>> X = np.zeros((6, 1))
    >>> [(train.tolist(), test.tolist()) for train, test in split.split(X, groups=groups)]
    [([0, 1], [4, 5])]
    """

    def __init__(
        self,
        gap: str | int | timedelta,
        *,
        n_splits: int | None = None,
        customer_folds: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.gap = gap
        self.n_splits = n_splits
        self.customer_folds = customer_folds
        self.random_state = random_state

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield the rows to train on and the rows to test on, oldest test date first.

        Parameters
        ----------
        X : table of shape (n_samples, ...)
        y
            Ignored.
        groups : array-like of shape (n_samples,), or frame
            See the class.

        Raises
        ------
        UsageError
            No groups, groups of another length or without a date, an invalid parameter, or too few
            dates for ``n_splits``.
        """
        instants, customer = self._read_groups(groups, len(X))
        for date in self._test_dates(instants):
            earlier = instants + self._gap() <= date
            today = instants == date
            if customer is None:
                yield _rows(earlier), _rows(today)
                continue
            fold = self._fold_of_customers(customer)
            for k in range(int(fold.max()) + 1):
                train, test = _rows(earlier & (fold != k)), _rows(today & (fold == k))
                if not len(train) or not len(test):
                    raise UsageError(
                        f"customer_folds={self.customer_folds}: a fold at {date} has {len(test)} "
                        f"rows to test on and {len(train)} to train on; use fewer folds"
                    )
                yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; ``groups`` are needed where ``n_splits`` is None."""
        folds = 1 if self.customer_folds is None else self._folds()
        if self.n_splits is not None:
            return whole_number(self.n_splits, "n_splits", _GIVE, least=1) * folds
        instants, _ = self._read_groups(groups, None)
        return len(self._test_dates(instants)) * folds

    def _gap(self) -> np.timedelta64:
        span = as_timedelta(self.gap)
        if isinstance(self.gap, str):
            days = float(parse_span_days(self.gap, "gap"))
        elif span is not None:
            days = span.total_seconds() / 86_400.0
        else:
            give = "a span such as '90d', a timedelta, or a whole number of days"
            days = float(whole_number(self.gap, "gap", give))
        return np.timedelta64(round(days * 86_400e6), "us")

    def _folds(self) -> int:
        return whole_number(self.customer_folds, "customer_folds", _GIVE, least=2)

    def _read_groups(
        self, groups: Any, length: int | None
    ) -> tuple[NDArray[np.datetime64], Integers | None]:
        """Return the as_of of each row, and the number of its customer where it is needed."""
        if groups is None:
            raise UsageError(
                "SnapshotSplit needs the as_of of each row: pass groups=, for instance "
                "cross_val_score(..., groups=panel.groups, cv=SnapshotSplit(gap='90d'))"
            )
        groups = as_frame(groups, "groups") if is_table(groups) else groups
        labels = groups["as_of"] if _has(groups, "as_of") else groups
        if getattr(labels, "ndim", 1) != 1:
            raise UsageError("groups has several columns, none of them named as_of; name it")
        try:
            instants = pd.to_datetime(pd.Series(np.asarray(labels)), utc=True, format="ISO8601")
        except (ValueError, TypeError) as error:
            raise UsageError(f"groups holds no dates: {error}; pass the as_of of each row") from (
                error
            )
        if length is not None and len(instants) != length:
            raise UsageError(f"groups has {len(instants)} rows and X {length}; pass one per row")
        missing = np.flatnonzero(instants.isna())
        if len(missing):
            raise UsageError(f"groups holds no date at row {missing[0]}; leave such rows out")
        moments = instants.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        if self.customer_folds is None:
            return moments, None
        self._folds()
        if not _has(groups, "customer_id"):
            raise UsageError(
                "customer_folds needs the customers: pass groups as a frame with the columns as_of "
                "and customer_id"
            )
        return moments, pd.factorize(np.asarray(groups["customer_id"]))[0].astype(np.int64)

    def _test_dates(self, instants: NDArray[np.datetime64]) -> list[np.datetime64]:
        dates = np.unique(instants)
        usable = [date for date in dates if dates[0] + self._gap() <= date]
        wanted = len(usable)
        if self.n_splits is not None:
            wanted = whole_number(self.n_splits, "n_splits", _GIVE, least=1)
        if not usable or wanted > len(usable):
            raise UsageError(
                f"{len(usable)} of {len(dates)} dates have an earlier one whose horizon of "
                f"{self.gap} is over by then, {max(wanted, 1)} are needed; the dates are "
                f"{', '.join(str(date)[:10] for date in dates[:6])}: add earlier dates, or ask for "
                "fewer splits"
            )
        return usable[-wanted:]

    def _fold_of_customers(self, customer: Integers) -> Integers:
        size = int(customer.max()) + 1
        folds = self._folds()
        if size < folds:
            raise UsageError(f"{size} customers are fewer than customer_folds={folds}")
        order = np.random.default_rng(self.random_state).permutation(size)
        return np.asarray((order % folds)[customer], dtype=np.int64)


def _has(groups: Any, name: str) -> bool:
    columns = getattr(groups, "columns", groups if isinstance(groups, dict) else ())
    return name in list(columns)


def _rows(mask: NDArray[np.bool_]) -> Integers:
    return np.flatnonzero(mask).astype(np.int64)

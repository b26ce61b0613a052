"""A factor that corrects the expectation of another model: a level, and trees for each row.

Models of orders and money begin with the expectation of the customer base, which knows few columns
but holds for the smallest logs. Past dates say by how much it is off: on the whole (the level), and
for whom (boosted trees on all columns, with the log of the expectation as the start). How far the
trees are believed is a power that is learned on rows that they were not fitted on. See
:mod:`stagecast.training.learners.fit_factor` for the fitting. Regressors of the user may take a
share of the expectation that results (:mod:`stagecast.training.value.own_regressors`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted

MAX_LOG: Final = 6.0
"""Largest log of a correction by trees, before its power."""
SMALLEST: Final = 1e-6
"""Least expectation that is corrected where regressors of the user take part."""


class OwnShare(Protocol):
    """Regressors of the user, which take a share of an expectation."""

    @property
    def members(self) -> Mapping[str, Any]:
        """Name -> fitted regressor, with its code as ``estimator``."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Name -> share of each, which together are at most 1."""
        ...

    def mixed(self, expected: Array, columns: Mapping[str, Array]) -> Array:
        """Return the expectation with the shares of the regressors, shape (rows,)."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return everything but the code as plain data."""
        ...


@dataclass(frozen=True)
class Factor:
    """Factor by which an expectation is multiplied, one per row.

    Parameters
    ----------
    level
        Factor of all rows.
    trees
        Boosted model of the log of the factor of each row; None where too few rows can teach one.
    power
        Power that the correction by the trees is raised to: 0 ignores it.
    own
        Regressors of the user that take a share of what the trees correct; None where there are
        none.
    """

    level: float = 1.0
    trees: Boosted | None = None
    power: float = 0.0
    own: OwnShare | None = None

    def times(self, expected: Array, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return an expectation of shape (rows,), corrected; see :meth:`of`."""
        if self.own is None:
            return np.asarray(expected * self.of(columns, threads))
        start = np.maximum(expected, SMALLEST)
        return np.asarray(start * self.of(columns, threads, start))

    def of(
        self, columns: Mapping[str, Array], threads: int = 0, expected: Array | None = None
    ) -> Array:
        """Return the factors, shape (rows,), above 0.

        Parameters
        ----------
        columns
            Name -> values, shape (rows,), with the columns of the trees.
        threads
            Threads of LightGBM; 0 uses all cores.
        expected
            What is corrected, shape (rows,), above 0. Only regressors of the user need it.

        Raises
        ------
        ValueError
            It is missing where there are regressors of the user.
        """
        if self.own is not None:
            if expected is None:
                raise ValueError("regressors of the user correct an expectation: hand it over")
            ours = expected * replace(self, level=1.0, own=None).of(columns, threads)
            return np.asarray(self.level * self.own.mixed(ours, columns) / expected)
        rows = len(next(iter(columns.values())))
        if self.trees is None or self.power == 0.0:
            return np.full(rows, self.level)
        log_factor = np.clip(self.trees.raw(columns, threads), -MAX_LOG, MAX_LOG)
        return np.asarray(self.level * np.exp(self.power * log_factor))

    def to_json(self) -> dict[str, Any]:
        """Return the factor as plain data; the text of the trees is stored separately."""
        return {
            "level": self.level,
            "power": self.power,
            "trees": None if self.trees is None else list(self.trees.columns),
            **({} if self.own is None else {"own": self.own.to_json()}),
        }

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], trees: str | None, own: OwnShare | None = None
    ) -> Factor:
        """Read what :meth:`to_json` returns, with the text of the trees and the regressors.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form, or lacks the trees that it names.
        """
        if data["trees"] is not None and trees is None:
            raise ValueError("the text of the trees of a factor is missing")
        boosted = None if trees is None else Boosted.read(trees, data["trees"])
        if (own is None) != (data.get("own") is None):
            raise ValueError("the regressors of the user are not those of a factor")
        return cls(float(data["level"]), boosted, float(data["power"]), own)

"""A factor that corrects the expectation of another model: a level, and trees for each row.

Models of orders and money begin with the expectation of the customer base, which knows few columns
but holds for the smallest logs. Past dates say by how much it is off: on the whole (the level), and
for whom (boosted trees on all columns, with the log of the expectation as the start). How far the
trees are believed is a power that is learned on rows that they were not fitted on. See
:mod:`stagecast.training.learners.fit_factor` for the fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted

MAX_LOG: Final = 6.0
"""Largest log of a correction by trees, before its power."""


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
    """

    level: float = 1.0
    trees: Boosted | None = None
    power: float = 0.0

    def of(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the factors, shape (rows,), above 0.

        Parameters
        ----------
        columns
            Name -> values, shape (rows,), with the columns of the trees.
        threads
            Threads of LightGBM; 0 uses all cores.
        """
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
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> Factor:
        """Read what :meth:`to_json` returns, with the text of the trees.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form, or lacks the trees that it names.
        """
        if data["trees"] is not None and trees is None:
            raise ValueError("the text of the trees of a factor is missing")
        boosted = None if trees is None else Boosted.read(trees, data["trees"])
        return cls(float(data["level"]), boosted, float(data["power"]))

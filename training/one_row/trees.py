"""Boosted trees and regressions on the columns of one customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, exp
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.design import Design
from stagecast.training.learners.factor import MAX_LOG, Factor

Columns = Mapping[str, float]


class TreesOfOne:
    """Boosted trees asked of one row after the other.

    Parameters
    ----------
    trees
        The ensemble.
    """

    def __init__(self, trees: Boosted) -> None:
        self._trees, self._names = trees, trees.columns

    def raw(self, columns: Columns) -> Array:
        """Return the raw scores, one per class."""
        row = np.array([columns[name] for name in self._names])
        return self._trees.raw_of_row(row)


def factor_of_one(factor: Factor) -> Callable[[Columns], float]:
    """Return a factor as a function of the columns of one customer."""
    if factor.trees is None or factor.power == 0.0:
        return lambda _: factor.level
    trees = TreesOfOne(factor.trees)

    def of(columns: Columns) -> float:
        log_factor = clip(float(trees.raw(columns)[0]), -MAX_LOG, MAX_LOG)
        return factor.level * exp(factor.power * log_factor)

    return of


class DesignOfOne:
    """A design whose columns are computed for one row at a time.

    Parameters
    ----------
    design
        The design.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._names = [term.column for term in design.terms]

    def row(self, columns: Columns) -> Array:
        """Return the standardised row of the design, shape (columns,)."""
        values = np.array([[columns[name] for name in self._names]])
        return self._design.standardised(values)[0]

"""Boosted trees and regressions on the columns of one customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy import einsum as c_einsum

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
        self._trees = trees
        names = trees.columns
        # itemgetter of one name returns no tuple
        self._values = itemgetter(*names) if len(names) > 1 else None

    def raw(self, columns: Columns) -> Array:
        """Return the raw scores, one per class."""
        if self._values is None:
            return self._trees.raw_of_row([columns[name] for name in self._trees.columns])
        return self._trees.raw_of_row(self._values(columns))

    def contributions(self, columns: Columns) -> list[float]:
        """Return the contribution of each column to the raw score."""
        row = [columns[name] for name in self._trees.columns]
        result: list[float] = self._trees.contributions_of_row(row)[: len(row)].tolist()
        return result


def factor_of_one(factor: Factor) -> Callable[[Columns], float]:
    """Return a factor as a function of the columns of one customer.

    Raises
    ------
    NotImplementedError
        Regressors of the user have no form for one row.
    """
    if factor.own is not None:
        raise NotImplementedError("regressors of the user have no form for one row")
    if factor.trees is None or factor.power == 0.0:
        return lambda _: factor.level
    trees = TreesOfOne(factor.trees)

    def of(columns: Columns) -> float:
        log_factor = clip(float(trees.raw(columns)[0]), -MAX_LOG, MAX_LOG)
        return factor.level * exp(factor.power * log_factor)

    return of


class DesignsOfOne:
    """Several designs whose columns are computed at once, for one row at a time.

    Parameters
    ----------
    designs
        The designs.
    """

    def __init__(self, designs: Sequence[Design]) -> None:
        self._joined = joined_designs(designs)
        self.columns = [term.column for term in self._joined.terms]
        ends = np.cumsum([0, *(len(design.mean) for design in designs)]).tolist()
        self._parts = [slice(low, high) for low, high in pairwise(ends)]

    def rows(self, columns: Columns) -> list[Array]:
        """Return the standardised row of each design, shape (columns,) each."""
        if not self.columns:
            return [np.zeros(0) for _ in self._parts]
        values = np.array([[columns[name] for name in self.columns]])
        row = self._joined.standardised(values)[0]
        return [row[part] for part in self._parts]


def joined_designs(designs: Sequence[Design]) -> Design:
    """Return one design with the terms of several, one after the other."""
    return Design(
        tuple(term for design in designs for term in design.terms),
        np.concatenate([np.zeros(0), *(design.mean for design in designs)]),
        np.concatenate([np.zeros(0), *(design.scale for design in designs)]),
    )


EMPTY = joined_designs(())
"""A design without terms."""


def row_products(weights: Array, row: Array) -> Array:
    """Return the products of a row of a design with rows of weights, shape (rows of weights,).

    They are added up as :func:`stagecast.training.learners.linear.row_sums` does.
    """
    return np.asarray(c_einsum("ij,j->i", weights, row))

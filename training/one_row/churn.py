"""P(no purchase) of one buyer, see :class:`stagecast.training.inactivity.model.ChurnModel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, expit
from stagecast.training.inactivity.hazard.odds import HazardOdds
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import Linear
from stagecast.training.learners.pool import MAX_LOG_ODDS, CustomerBaseOdds, Member
from stagecast.training.one_row.trees import EMPTY, Columns, TreesOfOne, row_products

Margin = Callable[[Columns, Array], float]
"""Log odds of a member, from the columns of a buyer and the row of the member's design."""
Effects = Callable[[Columns, Array], list[float]]
"""Effects of a member's columns on its log odds, from the same."""


class ChurnOfOne:
    """The pool, asked of one buyer after the other.

    Parameters
    ----------
    model
        The churn model.

    Attributes
    ----------
    designs
        The design of each member; without terms where the member has none.

    Raises
    ------
    NotImplementedError
        A member has no form for one row.
    """

    def __init__(self, model: ChurnModel) -> None:
        self._limit, self._level = model.pool.max_log_odds, model.level
        members = [model.members[name] for name in model.weights]
        self._members = [
            (weight, margin_of_one(member))
            for weight, member in zip(model.weights.values(), members, strict=True)
        ]
        self._effects = [
            (weight, effects_of_one(member))
            for weight, member in zip(model.weights.values(), members, strict=True)
        ]
        self.designs = [
            member.design if isinstance(member, Linear) else EMPTY for member in members
        ]

    def probability(self, columns: Columns, rows: Sequence[Array]) -> float:
        """Return P(no purchase in the horizon).

        Parameters
        ----------
        columns
            Columns of the buyer.
        rows
            Row of each of :attr:`designs`.
        """
        limit = self._limit
        parts = [
            weight * clip(margin(columns, row), -limit, limit)
            for (weight, margin), row in zip(self._members, rows, strict=True)
        ]
        # in the order in which NumPy adds up the members of one row
        return expit(float(np.add.reduce(np.array(parts)[:, None], axis=0)[0]) + self._level)

    @property
    def effect_columns(self) -> list[str]:
        """Name of the column of each of :meth:`effects`."""
        return [name for _, (names, _) in self._effects for name in names]

    def effects(self, columns: Columns, rows: Sequence[Array]) -> list[float]:
        """Return the effects of the members' columns on the pooled log odds, one after the other.

        Parameters
        ----------
        columns, rows
            As of :meth:`probability`.
        """
        result: list[float] = []
        for (weight, (_, effects)), row in zip(self._effects, rows, strict=True):
            result += [weight * effect for effect in effects(columns, row)]
        return result


def effects_of_one(member: Member) -> tuple[list[str], Effects]:
    """Return the columns of a member, and their effects on its log odds for one buyer.

    Raises
    ------
    NotImplementedError
        The member has no form for one row.
    """
    if isinstance(member, CustomerBaseOdds) and member.unknown is None:
        return ["btyd_none"], lambda columns, _: [
            clip(columns["btyd_none"], -MAX_LOG_ODDS, MAX_LOG_ODDS)
        ]
    if isinstance(member, Boosted):
        trees = TreesOfOne(member)
        return list(member.columns), lambda columns, _: trees.contributions(columns)
    if isinstance(member, HazardOdds):
        return effects_of_one(member.trees)
    if not isinstance(member, Linear):
        raise NotImplementedError(f"{type(member).__name__} has no form for one row")
    terms, weights = member.design.terms, member.weights
    if not terms:
        return [], lambda *_: []
    sums = _sums_of_terms([term.width for term in terms])
    return [term.column for term in terms], lambda _, row: sums(row * weights)


def _sums_of_terms(widths: Sequence[int]) -> Callable[[Array], list[float]]:
    """Return a function from the parts of a design to the sum of each term.

    Terms of one width are added up in one call, in the order in which NumPy adds up a term of many
    rows.
    """
    starts = np.cumsum([0, *widths])[:-1]
    groups = []
    for width in sorted(set(widths)):
        places = np.flatnonzero(np.array(widths) == width)
        groups.append((places, starts[places][:, None] + np.arange(width)))

    def sums(parts: Array) -> list[float]:
        result = np.empty(len(widths))
        for places, columns in groups:
            result[places] = parts[columns].sum(axis=1)
        values: list[float] = result.tolist()
        return values

    return sums


def margin_of_one(member: Member) -> Margin:
    """Return the log odds of a member for one buyer.

    Raises
    ------
    NotImplementedError
        The member has no form for one row.
    """
    if isinstance(member, CustomerBaseOdds) and member.unknown is None:
        return lambda columns, _: columns["btyd_none"]
    if isinstance(member, Boosted):
        trees = TreesOfOne(member)
        return lambda columns, _: float(trees.raw(columns)[0])
    if isinstance(member, HazardOdds):
        rolled_out, shift = TreesOfOne(member.trees), member.shift
        return lambda columns, _: float(rolled_out.raw(columns)[0]) + shift
    if not isinstance(member, Linear):
        raise NotImplementedError(f"{type(member).__name__} has no form for one row")
    intercept, weights = member.intercept, np.ascontiguousarray(member.weights)
    if not member.design.terms:
        return lambda *_: intercept
    return lambda _, row: intercept + float(row_products(weights[None], row)[0])

"""P(no purchase) of one buyer, see :class:`stagecast.training.inactivity.model.ChurnModel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, expit
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import Linear
from stagecast.training.learners.pool import CustomerBaseOdds, Member
from stagecast.training.one_row.trees import EMPTY, Columns, TreesOfOne, row_products

Margin = Callable[[Columns, Array], float]
"""Log odds of a member, from the columns of a buyer and the row of the member's design."""


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
    if not isinstance(member, Linear):
        raise NotImplementedError(f"{type(member).__name__} has no form for one row")
    intercept, weights = member.intercept, np.ascontiguousarray(member.weights)
    if not member.design.terms:
        return lambda *_: intercept
    return lambda _, row: intercept + float(row_products(weights[None], row)[0])

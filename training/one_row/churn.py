"""P(no purchase) of one buyer: the pool of :class:`stagecast.training.inactivity.model.ChurnModel`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stagecast.features.one_customer.numbers import clip, expit
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import Linear
from stagecast.training.learners.pool import CustomerBaseOdds, Member
from stagecast.training.one_row.trees import Columns, DesignOfOne, TreesOfOne

Margin = Callable[[Columns], float]


class ChurnOfOne:
    """The pool, asked of one buyer after the other.

    Parameters
    ----------
    model
        The churn model.

    Raises
    ------
    NotImplementedError
        A member has no form for one row.
    """

    def __init__(self, model: ChurnModel) -> None:
        self._limit, self._level = model.pool.max_log_odds, model.level
        self._members = [
            (weight, margin_of_one(model.members[name])) for name, weight in model.weights.items()
        ]

    def probability(self, columns: Columns) -> float:
        """Return P(no purchase in the horizon)."""
        parts = [
            weight * clip(margin(columns), -self._limit, self._limit)
            for weight, margin in self._members
        ]
        # in the order in which NumPy adds up the members of one row
        return expit(float(np.sum(np.array(parts)[:, None], axis=0)[0]) + self._level)


def margin_of_one(member: Member) -> Margin:
    """Return the log odds of a member as a function of the columns of one buyer.

    Raises
    ------
    NotImplementedError
        The member has no form for one row.
    """
    if isinstance(member, CustomerBaseOdds) and member.unknown is None:
        return lambda columns: columns["btyd_none"]
    if isinstance(member, Boosted):
        trees = TreesOfOne(member)
        return lambda columns: float(trees.raw(columns)[0])
    if isinstance(member, Linear):
        return linear_of_one(member)
    raise NotImplementedError(f"{type(member).__name__} has no form for one row")


def linear_of_one(model: Linear) -> Margin:
    """Return a regression as a function of the columns of one customer."""
    intercept = model.intercept
    if not model.design.terms:
        return lambda _: intercept
    design, weights = DesignOfOne(model.design), np.ascontiguousarray(model.weights)

    def margin(columns: Columns) -> float:
        row = design.row(columns)
        return intercept + float(np.einsum("ij,j->i", row[None], weights)[0])

    return margin

"""P(stage at the end of the horizon) of one buyer, see
:class:`stagecast.training.next_stage.model.NextStageModel`.
"""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import MultinomialModel
from stagecast.training.learners.pool import MIN_PROBABILITY, ClassMember
from stagecast.training.next_stage.model import NextStageModel
from stagecast.training.one_row.trees import EMPTY, Columns, TreesOfOne, row_products


class NextStageOfOne:
    """The pool of P(stage | purchase), asked of one buyer after the other.

    Parameters
    ----------
    model
        The model.

    Attributes
    ----------
    design
        The design of the regression.
    """

    def __init__(self, model: NextStageModel) -> None:
        self._model, self._unseen = model, list(model.unseen)
        self._is_pool = model.linear is not None and model.trees is not None
        self.design = EMPTY if model.linear is None else model.linear.design
        members = model.members
        # the chain is the member without a model of its own
        self._members = [
            (weight, None if name == "chain" else _member(members[name]))
            for name, weight in (model.weights.items() if self._is_pool else ())
        ]
        self._rows = [self._prior(stage) for stage in range(len(model.after_purchase))]

    def _prior(self, stage: int) -> tuple[Array, Array, bool, Array]:
        """Return the row of a stage, whether each stage can follow, whether all can, and the logs
        of the chain.
        """
        prior = self._model.after_purchase[stage]
        with np.errstate(divide="ignore"):
            logs = np.log(prior)
        possible = np.isfinite(logs)
        return prior, possible, bool(possible.all()), logs

    def given_purchase(self, columns: Columns, row: Array, stage: int) -> Array:
        """Return P(stage | purchase), shape (stages,).

        Parameters
        ----------
        columns
            Columns of the buyer.
        row
            Row of :attr:`design`.
        stage
            Position of the present stage.
        """
        prior, possible, all_possible, chain = self._rows[stage]
        if not self._is_pool:
            return prior
        parts = []
        for weight, member in self._members:
            logs = chain if member is None else self._logs(member(columns, row), member, prior)
            parts.append(weight * (logs if all_possible else np.where(possible, logs, 0.0)))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return softmax(total if all_possible else np.where(possible, total, -np.inf))

    def _logs(self, probability: Array, member: _Member, prior: Array) -> Array:
        result = np.full(len(prior), MIN_PROBABILITY)
        result[member.classes] = np.maximum(probability, MIN_PROBABILITY)
        logs = np.log(result)
        unseen = self._unseen
        if unseen:
            with np.errstate(divide="ignore"):
                logs = logs + np.log1p(-prior[None, unseen].sum(axis=1))
                logs[unseen] = np.log(prior[unseen])
        return np.asarray(logs)


class _Regression:
    """A multinomial regression: the row of its design -> the probability of each class."""

    def __init__(self, model: MultinomialModel, classes: list[int]) -> None:
        self.classes = classes
        self._intercepts = model.intercepts
        self._weights = np.ascontiguousarray(model.weights) if model.design.terms else None

    def __call__(self, _: Columns, row: Array) -> Array:
        if self._weights is None:
            return softmax(self._intercepts)
        return softmax(self._intercepts + row_products(self._weights, row))


class _Trees:
    """Boosted trees: the columns of one row -> the probability of each class."""

    def __init__(self, model: Boosted, classes: list[int]) -> None:
        self.classes = classes
        self._trees = TreesOfOne(model)

    def __call__(self, columns: Columns, _: Array) -> Array:
        if len(self.classes) == 1:
            return np.ones(1)
        return softmax(self._trees.raw(columns))


_Member = _Regression | _Trees


def _member(member: ClassMember) -> _Member:
    model, classes = member.model, list(member.classes)
    if isinstance(model, MultinomialModel):
        return _Regression(model, classes)
    return _Trees(model, classes)


def softmax(logs: Array) -> Array:
    """Return SciPy's softmax of one row, without its checks."""
    odds = np.exp(logs - np.maximum.reduce(logs))
    return np.asarray(odds / np.add.reduce(odds))

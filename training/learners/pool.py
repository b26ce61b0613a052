"""Members and their pool: what each says of a row, weighed and summed.

A member gives log odds, one per row, and can say how much each column adds to them. A pool of
members is their weighted sum plus a level; members of weight 0 are left out of it. For classes,
members give log probabilities, and the pool is their weighted sum, normalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import MultinomialModel

Columns = Mapping[str, Array]

MOST_LOG_ODDS = 13.0
"""Log odds beyond this say no more: one member must not outvote the others by being sure."""

LEAST_PROBABILITY = 1e-9
"""Of a class that a member never saw."""


class Member(Protocol):
    """One method of a pool."""

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        ...

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield, column by column, its name and what it adds to the log odds, shape (rows,)."""
        ...


@dataclass(frozen=True)
class Pool:
    """Log odds as a weighted sum of those of members, plus a level.

    Parameters
    ----------
    members
        Name -> member.
    weights
        Name -> weight of the members that count; not negative, summing to 1.
    level
        What is added to the sum, in log odds.
    most
        Log odds of a member are cut off here, on either side.
    """

    members: Mapping[str, Member]
    weights: Mapping[str, float] = field(default_factory=dict)
    level: float = 0.0
    most: float = MOST_LOG_ODDS

    def margins(self, columns: Columns, threads: int = 0) -> dict[str, Array]:
        """Return the log odds of each member, also of those without a weight, shape (rows,)."""
        return {
            name: np.clip(member.margin(columns, threads), -self.most, self.most)
            for name, member in self.members.items()
        }

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the pooled log odds, shape (rows,)."""
        weighed = Pool({name: self.members[name] for name in self.weights}, most=self.most)
        return pooled(weighed.margins(columns, threads), self.weights) + self.level

    def probability(self, columns: Columns, threads: int = 0) -> Array:
        """Return the pooled probability, shape (rows,)."""
        return np.asarray(expit(self.margin(columns, threads)))

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield what the columns of each member add to the pooled log odds, shape (rows,)."""
        for name, weight in self.weights.items():
            for column, effect in self.members[name].effects(columns, threads):
                yield column, weight * effect


@dataclass(frozen=True)
class CustomerBaseOdds:
    """The customer-base models as a member: the column ``btyd_none`` as it stands.

    ``unknown`` takes the place of NaN, for rows of which these models know nothing.
    """

    unknown: float | None = None

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the log odds of no purchase, shape (rows,)."""
        odds = columns["btyd_none"]
        return odds if self.unknown is None else np.where(np.isnan(odds), self.unknown, odds)

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield the log odds as the effect of the one column."""
        yield "btyd_none", np.clip(self.margin(columns), -MOST_LOG_ODDS, MOST_LOG_ODDS)


@dataclass(frozen=True)
class ClassMember:
    """A model of classes as a member of a pool over ``width`` classes.

    ``classes`` are the positions of those that the model was fitted on.
    """

    model: MultinomialModel | Boosted
    classes: tuple[int, ...]
    width: int

    def log_probability(self, columns: Columns, threads: int = 0) -> Array:
        """Return log probabilities, shape (rows, width); unseen classes have the least."""
        probability = self._probability(columns, threads)
        result: Array = np.full((len(probability), self.width), LEAST_PROBABILITY)
        result[:, list(self.classes)] = np.maximum(probability, LEAST_PROBABILITY)
        return np.asarray(np.log(result))

    def _probability(self, columns: Columns, threads: int) -> Array:
        if isinstance(self.model, MultinomialModel):
            return self.model.probability(columns)
        if len(self.classes) == 1:
            return np.ones((len(next(iter(columns.values()))), 1))
        return np.asarray(softmax(self.model.raw(columns, threads), axis=1))


def pooled_classes(
    logs: Mapping[str, Array],
    weights: Mapping[str, float],
    possible: NDArray[np.bool_] | None = None,
) -> Array:
    """Return the pooled probabilities of classes, shape (rows, classes); rows sum to 1.

    Parameters
    ----------
    logs
        Member -> log probabilities, shape (rows, classes).
    weights
        Member -> weight.
    possible
        Which classes can be at all, same shape; None: all. Others get probability 0.
    """
    if possible is None:
        return np.asarray(softmax(pooled(logs, weights), axis=1))
    finite = {name: np.where(possible, values, 0.0) for name, values in logs.items()}
    mixed = pooled(finite, weights)
    return np.asarray(softmax(np.where(possible, mixed, -np.inf), axis=1))


def pooled(margins: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Return the weighted sum of log odds."""
    return np.asarray(np.sum([weight * margins[name] for name, weight in weights.items()], axis=0))

"""Pools: weighted sums of the log odds, or log probabilities, of several models (members).

A member gives log odds, one per row, and the effect of each column on them. A pool of members is
their weighted sum plus a level; members of weight 0 are left out of it. For classes, members give
log probabilities, and the pool is their weighted sum, normalised.
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

MAX_LOG_ODDS = 13.0
"""Log odds of a member are clipped here, so that one extreme member does not outvote the others."""

MIN_PROBABILITY = 1e-9
"""Probability of a class that a member was not fitted on."""


class Member(Protocol):
    """A model that can be a member of a pool."""

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        ...

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield the name of each column and its effect on the log odds, shape (rows,)."""
        ...


@dataclass(frozen=True)
class Pool:
    """Weighted sum of the log odds of members, plus a level.

    Parameters
    ----------
    members
        Name -> member.
    weights
        Name -> weight of the members that are used; not negative, summing to 1.
    level
        Constant that is added to the sum, in log odds.
    max_log_odds
        Log odds of a member are clipped to this, on either side.
    """

    members: Mapping[str, Member]
    weights: Mapping[str, float] = field(default_factory=dict)
    level: float = 0.0
    max_log_odds: float = MAX_LOG_ODDS

    def margins(self, columns: Columns, threads: int = 0) -> dict[str, Array]:
        """Return the log odds of each member, also of those without a weight, shape (rows,)."""
        return {name: self._clipped(name, columns, threads) for name in self.members}

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the pooled log odds, shape (rows,)."""
        margins = {name: self._clipped(name, columns, threads) for name in self.weights}
        return pooled(margins, self.weights) + self.level

    def _clipped(self, name: str, columns: Columns, threads: int) -> Array:
        margin = self.members[name].margin(columns, threads)
        return np.clip(margin, -self.max_log_odds, self.max_log_odds)

    def probability(self, columns: Columns, threads: int = 0) -> Array:
        """Return the pooled probability, shape (rows,)."""
        return np.asarray(expit(self.margin(columns, threads)))

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield the effects of the columns of each member on the pooled log odds, (rows,)."""
        for name, weight in self.weights.items():
            for column, effect in self.members[name].effects(columns, threads):
                yield column, weight * effect


@dataclass(frozen=True)
class CustomerBaseOdds:
    """The customer-base models as a member: its log odds are the column ``btyd_none``.

    Parameters
    ----------
    unknown
        Replaces NaN, in rows that these models cannot predict; None leaves NaN.
    """

    unknown: float | None = None

    def margin(self, columns: Columns, threads: int = 0) -> Array:
        """Return the log odds of no purchase, shape (rows,)."""
        odds = columns["btyd_none"]
        return odds if self.unknown is None else np.where(np.isnan(odds), self.unknown, odds)

    def effects(self, columns: Columns, threads: int = 0) -> Iterator[tuple[str, Array]]:
        """Yield the log odds as the effect of the column ``btyd_none``."""
        yield "btyd_none", np.clip(self.margin(columns), -MAX_LOG_ODDS, MAX_LOG_ODDS)


@dataclass(frozen=True)
class ClassMember:
    """A model of classes as a member of a pool.

    Parameters
    ----------
    model
        The fitted model.
    classes
        Positions of the classes that the model was fitted on.
    width
        Number of classes of the pool.
    """

    model: MultinomialModel | Boosted
    classes: tuple[int, ...]
    width: int

    def log_probability(self, columns: Columns, threads: int = 0) -> Array:
        """Return log probabilities, shape (rows, width).

        Classes that the model was not fitted on have probability ``MIN_PROBABILITY``.
        """
        probability = self._probability(columns, threads)
        result: Array = np.full((len(probability), self.width), MIN_PROBABILITY)
        result[:, list(self.classes)] = np.maximum(probability, MIN_PROBABILITY)
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
        Whether a class is possible, shape (rows, classes); others get probability 0. None: all are.
    """
    if possible is None:
        return np.asarray(softmax(pooled(logs, weights), axis=1))
    finite = {name: np.where(possible, values, 0.0) for name, values in logs.items()}
    log_odds = pooled(finite, weights)
    return np.asarray(softmax(np.where(possible, log_odds, -np.inf), axis=1))


def pooled(margins: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Return the weighted sum of log odds."""
    return np.asarray(np.sum([weight * margins[name] for name, weight in weights.items()], axis=0))

"""The card of a bundle: what people read of a training, written as ``card.json``.

:mod:`stagecast.training.churn_kinds` fills in what the churn probabilities were learned from,
:mod:`stagecast.training.judging.evaluate` how good they were on a later period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagecast.features.plain_json import FLAT

if TYPE_CHECKING:
    from stagecast.training.churn.model import WeighedBy
    from stagecast.training.judging.evaluation_result import Evaluation


@dataclass(frozen=True)
class PoolCard:
    """How the members of the churn model were put together.

    Parameters
    ----------
    weights
        Member -> its weight, 0 to 1; they sum to 1.
    level
        Shift of the pooled log odds; None where the kind of churn has none.
    drawn
        Part of ``level`` by which the pool is shifted towards the customer-base model, in log odds.
    weighed_by
        Rows that the weights were fitted on; None where one member stands alone.
    """

    weights: Mapping[str, float]
    level: float | None
    drawn: float | None
    weighed_by: WeighedBy | None


@dataclass(frozen=True)
class PastDate:
    """A past date that the models learned from.

    Parameters
    ----------
    as_of
        ISO 8601, UTC.
    customers
        Number of customers who could leave.
    inactive
        Share of them who did within the horizon, 0 to 1; None where there was nobody.
    """

    as_of: str
    customers: int
    inactive: float | None


@dataclass(frozen=True)
class Blend:
    """The pool of the churn model, and the past dates that it learned from, newest first."""

    pool: PoolCard = field(metadata=FLAT)
    dates: tuple[PastDate, ...]


@dataclass(frozen=True)
class LearnedFrom:
    """What the churn probabilities of one replayed date were learned from.

    Parameters
    ----------
    method
        Of the churn model: ``blend``, ``btyd``, ``rule``; of contracts ``pool``, ``ages``,
        ``share``.
    weights
        Member of the pool -> its weight, 0 to 1.
    level
        Shift of the pooled log odds.
    past_dates
        ISO 8601, UTC, newest first.
    """

    method: str
    weights: Mapping[str, float]
    level: float
    past_dates: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """What people read of a training.

    Parameters
    ----------
    evaluation
        How good the same procedure was one horizon earlier; None where the log is too young.
    blend
        What was pooled, and what it learned from.
    notes
        What the training could not do, a sentence each.
    """

    evaluation: Evaluation | None
    blend: Blend
    notes: tuple[str, ...]

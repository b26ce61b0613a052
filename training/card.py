"""The card of a bundle: what people read of a training, written as ``card.json``.

:mod:`stagecast.training.churn_kinds` fills in what the churn probabilities were learned from,
:mod:`stagecast.training.judging.evaluate` how good they were on a later period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stagecast.features.plain_json import FLAT
from stagecast.training.churn_kinds.learned import PastDate, PoolCard
from stagecast.training.config import Churn

if TYPE_CHECKING:
    from stagecast.training.judging.evaluation_result import Evaluation
    from stagecast.training.judging.ranking import Ranking

EqualEvents = Literal["one", "each"]
"""How events that are equal in every column, and have no number, are counted."""


@dataclass(frozen=True)
class Blend:
    """The pool of the churn model, and the past dates that it learned from, newest first."""

    pool: PoolCard = field(metadata=FLAT)
    dates: tuple[PastDate, ...]


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
    horizon_note
        What must be read first where the horizon is shorter than the usual gap; else None.
    ranking
        Whether the active customers can be told apart by their risk; None where nobody asked.
    equal_events
        Whether events that are equal in every column were one event in the log of the training, or
        each an event of its own: so are those of a request counted.
    event_types
        Types of the events of that log, the most frequent first; None: they were too many, or an
        earlier version trained.
    churn
        What churn is in this training.
    """

    evaluation: Evaluation | None
    blend: Blend
    notes: tuple[str, ...]
    horizon_note: str | None
    ranking: Ranking | None = None
    equal_events: EqualEvents = "one"
    event_types: tuple[str, ...] | None = None
    churn: Churn = "inactivity"

"""What a training's churn probabilities were learned from, as the card and a backtest show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagecast.training.inactivity.model import WeighedBy


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

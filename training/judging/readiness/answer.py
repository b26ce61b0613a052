"""The answer of :func:`stagecast.training.judging.readiness.readiness`, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagecast.features.plain_json import to_json
from stagecast.training.config import Churn
from stagecast.training.inactivity.model import Method

LABELS: Mapping[str, str] = {
    "rule": "method rule",
    "btyd": "method btyd",
    "blend": "method blend",
    "evaluation": "evaluation on a later period",
    "values": "values",
    "intervals": "intervals of values",
    "prospects": "conversion of prospects",
    "cancellation": "churn by cancellation",
}
"""Name of an ability -> its label; the order is that of :attr:`Readiness.abilities`."""


@dataclass(frozen=True)
class Ability:
    """Something that a training may be able to do.

    Parameters
    ----------
    name
        A key of :data:`LABELS`.
    allowed
        Whether the log allows it.
    missing
        What it lacks, with figures; empty where it is allowed.
    """

    name: str
    allowed: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class ContractCounts:
    """Contracts of a log as known at an as_of.

    Parameters
    ----------
    contracts, open, cancelled
        Contracts that began, those that are open and those that were cancelled before the as_of.
    announced
        Open contracts whose cancellation was recorded before the as_of.
    ignored_cancellations
        Cancellations while no contract was open.
    first_start, last_cancellation
        ISO 8601, UTC; None where there is none.
    """

    contracts: int
    open: int
    cancelled: int
    announced: int
    ignored_cancellations: int
    first_start: str | None
    last_cancellation: str | None

    def sentence(self) -> str:
        """Return the counts and dates in words."""
        if self.first_start is None:
            return "no contract began"
        dates = f"the first began on {self.first_start[:10]}"
        if self.last_cancellation is not None:
            dates += f", the last cancellation took effect on {self.last_cancellation[:10]}"
        ahead = f" ({self.announced:,} of them cancelled already)" if self.announced else ""
        ignored = (
            f"; {self.ignored_cancellations:,} cancellations found no contract open"
            if self.ignored_cancellations
            else ""
        )
        return (
            f"{self.contracts:,} contracts: {self.cancelled:,} cancelled, {self.open:,} "
            f"open{ahead}; {dates}{ignored}"
        )


@dataclass(frozen=True)
class Readiness:
    """What a log allows at one as_of and horizon; see :func:`readiness`.

    Parameters
    ----------
    as_of
        ISO 8601, UTC.
    horizon_days
        Days that probabilities look ahead.
    history_days
        Days from the first event to the as_of.
    buyers, repeat_buyers
        Customers with purchases before the as_of, and on two days or more, net of refunds.
    gap_days
        Median over repeat buyers of their mean gap between purchase days; None with too few gaps.
    method
        Method that a training would use; None where it would be refused.
    abilities
        Methods, evaluation, values and what the types of events show.
    suggested_horizon_days
        The longest horizon that can be evaluated, where ``horizon_days`` cannot; None else.
    suggested_method
        Method that a training would use with it.
    notes
        Sentences on a horizon that is short for the usual gap; where churn is cancellation, on what
        the methods are and on missing purchases.
    churn
        What churn is.
    contracts
        Counts of the contracts; None where churn is inactivity.
    """

    as_of: str
    horizon_days: int
    history_days: float
    buyers: int
    repeat_buyers: int
    gap_days: float | None
    method: Method | None
    abilities: tuple[Ability, ...]
    suggested_horizon_days: int | None
    suggested_method: Method | None
    notes: tuple[str, ...]
    churn: Churn = "inactivity"
    contracts: ContractCounts | None = None

    def __getitem__(self, name: str) -> Ability:
        return next(ability for ability in self.abilities if ability.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain dicts, lists, numbers and texts."""
        return to_json(self)

    def lines(self) -> list[str]:
        """Return the fields as lines for people."""
        outcome = (
            "no training is possible"
            if self.method is None
            else f"a training gives method {self.method}"
        )
        kind = "" if self.contracts is None else f" and churn by {self.churn}"
        lines = [f"as of {self.as_of}, with a horizon of {self.horizon_days} days{kind}, {outcome}"]
        if self.contracts is not None:
            lines.append(self.contracts.sentence())
        by_reason: dict[tuple[str, ...], list[str]] = {}
        for ability in self.abilities:
            by_reason.setdefault(ability.missing, []).append(f"no {LABELS[ability.name]}")
        lines += [
            f"{', '.join(labels)}: {'; '.join(missing)}"
            for missing, labels in by_reason.items()
            if missing
        ]
        if self.suggested_horizon_days is not None:
            lines.append(
                f"--horizon {self.suggested_horizon_days}d would give method "
                f"{self.suggested_method} with an evaluation"
            )
        return [*lines, *self.notes]

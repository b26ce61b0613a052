"""Protocol of the kinds of churn: who can leave, the risk, its reasons, and the wording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.snapshots import Snapshot
from stagecast.training.churn_kinds.learned import LearnedFrom, PastDate, PoolCard
from stagecast.training.models import Models, Predictions
from stagecast.training.outcomes import Churned, Later
from stagecast.training.reasons.explanation import Explanation
from stagecast.training.reference.reference import Reference

if TYPE_CHECKING:
    from stagecast.training.panel import Panel

States = NDArray[np.str_]


@dataclass(frozen=True)
class Wording:
    """Texts about churn in reports, pages and the terminal.

    Parameters
    ----------
    probability
        The predicted probability, such as ``P(no purchase)``.
    left
        What customers who left did, such as ``bought nothing``.
    column
        Head of a column with the share of customers who left.
    verb
        Continues "how likely they are to ...".
    outcome
        The outcome that methods are compared with, in the report of a backtest.
    eligible
        Sentence about the customers who can leave; empty where these are all buyers.
    event
        Name of the event, such as "No purchase".
    glossary
        Terms of the report that depend on the kind of churn, each with its meaning.
    methods
        Method -> phrase that describes it.
    nobody
        Sentence where nobody could leave by the date ``{date}``, with ``{customers}``, their
        number, and ``{returned}``, a remark where purchases were given back; says what to try.
    none_eligible
        Why no past date can be replayed, with the date as ``{date}``.
    """

    probability: str
    left: str
    column: str
    verb: str
    outcome: str
    eligible: str
    event: str
    glossary: tuple[tuple[str, str], ...]
    methods: Mapping[str, str]
    nobody: str
    none_eligible: str


class ChurnKind(Protocol):
    """A kind of churn. A new one is a file beside this one and a name in ``KINDS``."""

    name: str
    wording: Wording

    @property
    def predicts_money(self) -> bool:
        """Whether a backtest also compares the spend of the customers who can leave."""
        ...

    @property
    def baseline_labels(self) -> Mapping[str, str]:
        """Baseline -> label in reports."""
        ...

    def method(self, models: Models) -> str:
        """Return the method of the churn probability: ``rule``, ``btyd`` or ``blend``."""
        ...

    def method_note(self, models: Models) -> str:
        """Return a phrase that describes the method."""
        ...

    def pool_card(self, models: Models) -> PoolCard:
        """Return the weights and level of the pool for the card, and how they were learned."""
        ...

    def training_dates(self, panel: Panel, models: Models) -> tuple[PastDate, ...]:
        """Return the past dates: how many customers could leave, and the share that did."""
        ...

    def learned_from(self, panel: Panel, models: Models) -> LearnedFrom:
        """Return the method, weights and past dates of the models of one replayed date."""
        ...

    def can_learn(self, panel: Panel) -> bool:
        """Return whether the snapshot of a panel has customers who could leave, now or before."""
        ...

    def states(self, models: Models, snapshot: Snapshot) -> States:
        """Return ``prospect``, ``active`` or ``lapsed``, shape (rows,)."""
        ...

    def risk(self, models: Models, predicted: Predictions, state: States) -> Array:
        """Return P(leaving within the horizon), shape (rows,); NaN for prospects."""
        ...

    def row_methods(self, models: Models, snapshot: Snapshot) -> tuple[States, NDArray[np.bool_]]:
        """Return the method of each row's probability, and whether it had little data."""
        ...

    def explanations(
        self,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        threads: int,
    ) -> dict[int, Explanation]:
        """Return the reasons of each row, by position; only rows that have any."""
        ...

    def with_usual(
        self,
        reference: Reference,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        state: States,
    ) -> Reference:
        """Return the reference with what is usual, which reasons compare with."""
        ...

    def churned(
        self, panel: Panel, models: Models, predicted: Predictions, later: Later, *, quick: bool
    ) -> Churned:
        """Return the customers who could leave, their outcomes, and all predictions.

        With ``quick``, only baselines that take hardly any time are fitted.
        """
        ...

    def notes(self, panel: Panel, models: Models) -> list[str]:
        """Return sentences about the limits of the probabilities."""
        ...

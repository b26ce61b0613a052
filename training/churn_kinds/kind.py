"""The face that every kind of churn has: who can leave, how likely, why, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.snapshots import Snapshot
from stagecast.training.models import Models, Predictions
from stagecast.training.outcomes import Churned, Later
from stagecast.training.reasons.of_buyers import Reason
from stagecast.training.reference import Reference

if TYPE_CHECKING:
    from stagecast.training.panel import Panel

States = NDArray[np.str_]


@dataclass(frozen=True)
class Wording:
    """How reports, pages and the terminal speak of leaving.

    Parameters
    ----------
    probability
        What is predicted: ``P(no purchase)``.
    left
        What those who left did: ``bought nothing``.
    column
        Head of a column with the share of those who left.
    verb
        As in "how likely they are to ...".
    outcome
        What methods are compared with, in a report of a backtest.
    eligible
        Who is asked about, a sentence; empty where all buyers are.
    event
        The event itself: "No purchase".
    glossary
        Terms of the report that depend on what churn is, each with its meaning.
    methods
        Method -> what it is, a phrase.
    no_purchases
        What to try where a log has no purchase.
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
    no_purchases: str
    none_eligible: str


class ChurnKind(Protocol):
    """A kind of churn. A new one is a file beside this one and a name in ``KINDS``."""

    name: str
    wording: Wording

    @property
    def predicts_money(self) -> bool:
        """Whether the money of those who can leave is compared in a backtest, too."""
        ...

    @property
    def baseline_labels(self) -> Mapping[str, str]:
        """Baseline -> what it is called."""
        ...

    def method(self, models: Models) -> str:
        """Return what gives the churn probability: ``rule``, ``btyd`` or ``blend``."""
        ...

    def pool_card(self, models: Models) -> dict[str, Any]:
        """Return what people read of the pool: weights, level, and what told the weights."""
        ...

    def teaching_dates(self, panel: Panel, models: Models) -> list[dict[str, Any]]:
        """Return the past dates learned from: how many could leave, the share that did."""
        ...

    def learned_from(self, panel: Panel, models: Models) -> dict[str, Any]:
        """Return what the probabilities of one replayed date were learned from."""
        ...

    def states(self, models: Models, snapshot: Snapshot) -> States:
        """Return ``prospect``, ``active`` or ``lapsed``, shape (rows,)."""
        ...

    def risk(self, models: Models, predicted: Predictions, state: States) -> Array:
        """Return P(leaving within the horizon), shape (rows,); NaN for prospects."""
        ...

    def row_methods(self, models: Models, snapshot: Snapshot) -> tuple[States, NDArray[np.bool_]]:
        """Return what gave each row's probability, and whether there was little data for it."""
        ...

    def reasons(
        self,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        state: States,
        threads: int,
    ) -> dict[int, list[Reason]]:
        """Return row -> reasons, for the rows that have any."""
        ...

    def explained_columns(
        self, models: Models, snapshot: Snapshot
    ) -> tuple[Mapping[str, Array], tuple[str, ...]]:
        """Return the columns that reasons show, and those of them whose medians they need beside
        the usual ones.
        """
        ...

    def with_mean_effects(
        self,
        reference: Reference,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        state: States,
    ) -> Reference:
        """Return the reference with the mean effects that reasons are compared with."""
        ...

    def churned(
        self, panel: Panel, models: Models, predicted: Predictions, later: Later, *, quick: bool
    ) -> Churned:
        """Return who could leave, who did, and what we and the baselines predicted.

        ``quick`` asks only for the baselines that cost next to nothing.
        """
        ...

    def notes(self, panel: Panel, models: Models) -> list[str]:
        """Return what a reader of the probabilities must know."""
        ...

"""Members of the pool of cancellations: log odds of a cancellation in one step.

They are evaluated on the columns of
:func:`stagecast.training.cancellation.columns.step_columns`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.billing.standing import RENEWAL_HAZARD
from stagecast.training.billing.unannounced import Unannounced
from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import MAX_LOG_ODDS, log_odds
from stagecast.training.learners.boosted import Boosted


@dataclass(frozen=True)
class AgeOdds:
    """The life table as a member: log odds of a step of ``step_days`` days.

    Where the billing period of a contract is known, those of its renewals. Where some ends are
    announced, only the share counts that is not known yet.
    """

    ages: AgeHazard
    step_days: int
    unannounced: Unannounced | None = None

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        by_age, of_renewals = self._parts(columns)
        return by_age if of_renewals is None else by_age + of_renewals

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the log odds as the effects of the age and of the renewals."""
        by_age, of_renewals = self._parts(columns)
        yield "age_days", by_age
        if of_renewals is not None:
            yield RENEWAL_HAZARD, of_renewals

    def _parts(self, columns: Mapping[str, Array]) -> tuple[Array, Array | None]:
        """Return the log odds by age and by renewals, each 0 where the other one tells them."""
        share: Array | float = 1.0
        if self.unannounced is not None:
            share = self.unannounced.of_step(columns["ahead_days"])
        by_age = log_odds(self.ages.ahead(columns["age_days"], float(self.step_days)) * share)
        if RENEWAL_HAZARD not in columns:
            return by_age, None
        of_renewals = log_odds(np.exp(columns[RENEWAL_HAZARD]) * share)
        known = np.isfinite(columns[RENEWAL_HAZARD])
        return np.where(known, 0.0, by_age), np.where(known, of_renewals, 0.0)


@dataclass(frozen=True)
class HazardOdds:
    """The regression of the log hazard as a member."""

    hazards: GroupedHazards

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        return log_odds(np.exp(self.hazards.log_hazard(columns)))

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column on the log hazard, shape (rows,)."""
        yield from self.hazards.effects(columns)


@dataclass(frozen=True)
class TreesOnAges:
    """Boosted trees that start from the log odds of the life table."""

    ages: AgeOdds
    trees: Boosted

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        return np.clip(
            self.ages.margin(columns) + self.trees.raw(columns, threads),
            -MAX_LOG_ODDS,
            MAX_LOG_ODDS,
        )

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column; that of the life table belongs to the age."""
        yield from self.trees.effects(columns, threads)
        yield from self.ages.effects(columns)

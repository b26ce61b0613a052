"""Members of the pool of P(no purchase): their names, storage and reading.

A member gives log odds of no purchase (:class:`stagecast.training.learners.pool.Member`). A new one
needs a line in :data:`READERS` here and one in
:data:`stagecast.training.inactivity.fit_members.MEMBERS`. Those of :data:`STORED_ELSEWHERE` have
files or places of their own in a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.inactivity.hazard.odds import NAME as HAZARD
from stagecast.training.inactivity.hazard.odds import HazardOdds
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.customer_base import log_odds
from stagecast.training.learners.linear import LogisticModel
from stagecast.training.learners.pool import MAX_LOG_ODDS, CustomerBaseOdds, Member

# Fractions of the silence that the rule is evaluated at.
FRACTIONS = (1.0, 0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class GapRule:
    """P(the silence lasts another horizon) from the gaps between purchases, for the smallest logs.

    Parameters
    ----------
    times
        Lengths of gaps in days, completed or still open (censored).
    alive
        Product-limit estimate of P(gap > t) at each of ``times``.
    at_risk
        Number of gaps that lasted at least as long as each of ``times``.
    """

    times: tuple[float, ...]
    alive: tuple[float, ...]
    at_risk: tuple[float, ...]

    def probability(self, recency_days: Array, horizon_days: Array | float) -> Array:
        """Return P(no purchase in the horizon | silence so far), shape (rows,).

        Smoothed by one gap that ends and one that does not. It is never lower than for a fraction
        of the silence: few gaps last as long as the longest, and the estimate from the many shorter
        ones is a lower bound for them.
        """
        shortest = np.minimum(recency_days, 1.0)
        silences = [np.maximum(fraction * recency_days, shortest) for fraction in FRACTIONS]
        return np.asarray(
            np.max([self._outlasting(silence, horizon_days) for silence in silences], axis=0)
        )

    def _outlasting(self, recency_days: Array, horizon_days: Array | float) -> Array:
        # the day that begins at the as_of is not over: after r days of silence the gap is r days or
        # longer
        alive, at_risk = np.r_[1.0, self.alive], np.r_[self.at_risk, 0.0]
        start = np.searchsorted(self.times, recency_days, side="left")
        end = np.searchsorted(self.times, recency_days + horizon_days, side="left")
        lasting = alive[end] / np.maximum(alive[start], 1e-12)
        # gaps whose length is known: those that ended within the horizon or outlasted it
        gaps = at_risk[start] * (1.0 - lasting) + at_risk[end]
        return np.asarray((lasting * gaps + 1.0) / (gaps + 2.0))


@dataclass(frozen=True)
class GapRuleOdds:
    """The rule on gaps as a member of a pool, over one horizon in days."""

    rule: GapRule
    horizon_days: int

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds of no purchase, shape (rows,)."""
        return log_odds(self.rule.probability(columns["recency_days"], self.horizon_days))

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the log odds as the effect of ``recency_days``."""
        yield "recency_days", np.clip(self.margin(columns), -MAX_LOG_ODDS, MAX_LOG_ODDS)


class OwnMembersError(UsageError):
    """Members of the user cannot be written or read."""


@runtime_checkable
class OwnOdds(Member, Protocol):
    """A classifier of the user as a member: its evaluation is code that no bundle need hold.

    See :class:`stagecast.training.inactivity.own_members.EstimatorOdds`, which a server does not
    import.
    """

    estimator: Any
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return everything but the classifier as plain data."""
        ...


# Members that replace a pool and are never part of one.
ALONE = ("share", "recency")
STORED_ELSEWHERE = ("rule", "btyd", "trees", HAZARD)
READERS: dict[str, Callable[[Any], Member]] = {
    "rfm": LogisticModel.from_json,
    "splines": LogisticModel.from_json,
    "share": LogisticModel.from_json,
    "recency": LogisticModel.from_json,
}
"""Member that is stored as JSON -> function that reads it; these members have ``to_json``."""


def members_to_json(members: Mapping[str, Member]) -> dict[str, Any]:
    """Return the members as JSON values by name, None for those of a pool without a weight.

    For trees and the hazard these are their columns, and its shift: LightGBM's texts are files of
    their own. The customer-base models and the rule are stored elsewhere in the bundle.

    Raises
    ------
    ValueError
        A member is not in :data:`READERS`, so that no bundle could hold it.
    """
    own = {name: member for name, member in members.items() if isinstance(member, OwnOdds)}
    if unknown := sorted(set(members) - {*READERS, *STORED_ELSEWHERE, *own}):
        raise ValueError(f"READERS does not name how to read the members {', '.join(unknown)}")
    stored: dict[str, Any] = {}
    for name in READERS:
        member: Any = members.get(name)
        if member is not None:
            stored[name] = member.to_json()
        elif name not in ALONE:
            stored[name] = None
    trees = members.get("trees")
    stored["trees"] = list(trees.columns) if isinstance(trees, Boosted) else None
    by_periods = members.get(HAZARD)
    if isinstance(by_periods, HazardOdds):
        stored[HAZARD] = by_periods.to_json()
    if own:
        stored["own"] = {name: member.to_json() for name, member in own.items()}
    return stored


def read_members(
    data: Mapping[str, Any],
    weights: Mapping[str, float],
    trees: str | None,
    rule: GapRuleOdds,
    own: Mapping[str, Any],
    hazard_trees: str | None = None,
) -> dict[str, Member]:
    """Read what :func:`members_to_json` returns, with the texts of the trees and of the hazard.

    ``own`` holds the classifiers of the user by name.

    Raises
    ------
    ValueError
        A member with a weight is not stored.
    """
    members: dict[str, Member] = {"rule": rule, "btyd": CustomerBaseOdds()}
    for name, read in READERS.items():
        if data.get(name) is not None:
            members[name] = read(data[name])
    if trees is not None:
        members["trees"] = Boosted.read(trees, data["trees"])
    if hazard_trees is not None:
        members[HAZARD] = HazardOdds.read(data[HAZARD], hazard_trees)
    for name in own:
        from stagecast.training.inactivity.own_members import EstimatorOdds

        members[name] = EstimatorOdds.from_json(name, data["own"][name], own[name])
    if missing := sorted(set(weights) - set(members)):
        raise ValueError(f"the pool counts members that are not stored: {', '.join(missing)}")
    return {name: members[name] for name in weights}

"""Lifecycle stages: the rules of a scheme, and the stage of each customer whose facts are known.

A rule is a list of clauses ``fact operator number-or-threshold`` that must all hold; the scheme's
``order`` says which stage is tried first. The first rule that holds names the stage, so a customer
is on exactly one. Schemes are TOML files (:mod:`stagecast.features.stages.scheme_files`), checked
as they are read (:mod:`stagecast.features.stages.scheme_check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.record import Counted
from stagecast.features.stages.conditions import Clause, Condition
from stagecast.features.stages.facts import CLOCKS, Vocabulary

STATES = ("prospect", "active", "lapsed")
LANGUAGES = ("en", "ru", "fa")


@dataclass(frozen=True)
class Stage:
    """One stage: what it is called, what it means, when it holds, what to do, and what can
    follow it at once.
    """

    id: str
    state: str
    title: Mapping[str, str]
    meaning: Mapping[str, str]
    action: Mapping[str, str]
    rule: tuple[Clause, ...]
    next: tuple[str, ...]

    @property
    def rule_text(self) -> str:
        """The rule on one line; what is joined by ``or`` stands in brackets."""
        return rule_text(self.rule)


@dataclass(frozen=True)
class Group:
    """A name beside the stages for customers on whom a rule holds: a marketing group, on any
    stage.
    """

    id: str
    title: Mapping[str, str]
    rule: tuple[Clause, ...]


@dataclass(frozen=True)
class Scheme:
    """Ordered stages, the events that their rules count, and the thresholds that they compare with.

    Parameters
    ----------
    language
        Of its authors; stages have titles in it, in English, Russian and Persian.
    signals
        Name of a count -> types of the events that are counted.
    groups
        Tried in order; the first that holds names a customer's group, and there may be none.
    lead_grades
        Whether prospects are graded by points (MQL, SQL) beside their stage.
    pins
        Thresholds that stand fixed in the scheme's file, whatever the log says.
    thresholds
        Empty in a scheme as read from its file; set by :meth:`with_thresholds`.
    """

    id: str
    title: Mapping[str, str]
    stages: tuple[Stage, ...]
    order: tuple[str, ...]
    thresholds: Mapping[str, float]
    language: str = "en"
    source: str = ""
    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    lead_grades: bool = False
    pins: Mapping[str, float] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(stage.id for stage in self.stages)

    def __getitem__(self, stage: str) -> Stage:
        if stage not in self.ids:
            raise UsageError(
                f"scheme '{self.id}' has no stage '{stage}'.{did_you_mean(stage, self.ids)}"
            )
        return self.stages[self.ids.index(stage)]

    @property
    def rules(self) -> list[tuple[Clause, ...]]:
        """The rules of the stages as they are tried, so a position is one in :attr:`order`."""
        return [self[stage].rule for stage in self.order]

    @property
    def conditions(self) -> Iterator[Condition]:
        """Every condition of the stages' rules."""
        return (c for stage in self.stages for clause in stage.rule for c in clause.alternatives)

    @property
    def features(self) -> frozenset[str]:
        """The facts that the rules of the stages look at."""
        return frozenset(condition.feature for condition in self.conditions)

    @property
    def looked_at(self) -> frozenset[str]:
        """The facts that the rules of stages and groups look at."""
        of_groups = (
            name for group in self.groups for clause in group.rule for name in clause.features
        )
        return self.features.union(of_groups)

    @property
    def clock_limits(self) -> list[tuple[str, float]]:
        """Every clock with every number that the stages' rules compare it with."""
        return sorted(
            {(c.feature, c.limit(self.thresholds)) for c in self.conditions if c.feature in CLOCKS}
        )

    def vocabulary(self, catalog: Catalog, where: str | None = None) -> Vocabulary:
        """Return the facts that the rules of stages and groups look at; ``where`` names the scheme
        in an error.

        Raises
        ------
        UsageError
            A rule names what no rule can look at.
        """
        return Vocabulary(
            self.looked_at, catalog, tuple(self.signals), where or f"scheme '{self.id}'"
        )

    def counted(self, catalog: Catalog) -> Counted:
        """Return what an engine must count for the rules
        (:class:`stagecast.features.record.Record`).
        """
        return {name: self.signals.get(name) for name in self.vocabulary(catalog).counted}

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Scheme:
        """Return the scheme with its thresholds set; those that are pinned stay as they are."""
        return replace(self, thresholds={**thresholds, **self.pins})

    def pinned(self, pins: Mapping[str, float]) -> Scheme:
        """Return the scheme with more thresholds pinned."""
        both = {**self.pins, **pins}
        return replace(
            self, pins=both, thresholds={**self.thresholds, **both} if self.thresholds else {}
        )

    def assign(self, facts: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return the stage of each row as its position in :attr:`stages`.

        Raises
        ------
        UsageError
            A row on which no rule holds: the scheme is not exhaustive. A rule names a fact that is
            not given, or a threshold that is not set.
        """
        if missing := sorted(self.features - set(facts)):
            raise UsageError(
                f"scheme '{self.id}': a rule looks at '{missing[0]}', which is no feature here."
                f"{did_you_mean(missing[0], facts)}"
            )
        first = first_that_holds(self.rules, facts, self.thresholds)
        if (first < 0).any():
            row = int(np.flatnonzero(first < 0)[0])
            shown = {name: float(facts[name][row]) for name in sorted(self.features)}
            raise UsageError(
                f"scheme '{self.id}': no rule holds for a customer with {shown}; add a "
                "stage that does"
            )
        return np.array([self.ids.index(stage) for stage in self.order], dtype=np.int64)[first]

    def group(self, facts: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return the group of each row as its position in :attr:`groups`, -1 where there is
        none.
        """
        return first_that_holds([group.rule for group in self.groups], facts, self.thresholds)

    def explain(self, stage: NDArray[np.int64], facts: Mapping[str, Array]) -> pa.StringArray:
        """Return the rule that held for each row, with its numbers."""
        told = np.full(len(stage), "", dtype=object)
        for position in np.unique(stage):
            rows = np.flatnonzero(stage == position)
            clauses = self.stages[int(position)].rule
            here = {
                name: np.asarray(facts[name])[rows]
                for clause in clauses
                for name in clause.features
            }
            parts = [clause.sentences(here, self.thresholds) for clause in clauses]
            words = pc.binary_join_element_wise(*parts, " and ") if len(parts) > 1 else parts[0]
            told[rows] = words.to_numpy(zero_copy_only=False)
        return pa.array(told, pa.string())

    def reachable(self) -> dict[str, frozenset[str]]:
        """Return which stages can follow each stage, at once or by way of others, itself
        included.
        """
        closed = {stage.id: {stage.id, *stage.next} for stage in self.stages}
        for _ in self.stages:
            closed = {
                a: set().union(*(closed[b] for b in following)) for a, following in closed.items()
            }
        return {a: frozenset(following) for a, following in closed.items()}


def rule_text(rule: Sequence[Clause]) -> str:
    """Return a rule on one line, like ``orders == 0 and (reactions >= 1 or visits >= 2)``."""
    brackets = len(rule) > 1
    return " and ".join(f"({c})" if brackets and len(c.alternatives) > 1 else str(c) for c in rule)


def first_that_holds(
    rules: Sequence[Sequence[Clause]], facts: Mapping[str, Array], thresholds: Mapping[str, float]
) -> NDArray[np.int64]:
    """Return for each row the position of the first rule of which every clause holds, -1 where
    none does.
    """
    found = np.full(len(next(iter(facts.values()))), -1, dtype=np.int64)
    for position, rule in enumerate(rules):
        holds = found < 0
        for clause in rule:
            holds &= clause.holds(facts, thresholds)
        found[holds] = position
    return found

"""Schemes of lifecycle stages: their rules, and the stage of each customer whose facts are known.

A rule is a list of clauses ``fact operator number-or-threshold`` that must all hold. The scheme's
``order`` says in which order the stages are tried; a customer is on the first one whose rule holds,
and so on exactly one. Schemes are TOML files (:mod:`stagecast.features.stages.scheme_files`), which
are checked when they are read (:mod:`stagecast.features.stages.scheme_check`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.contracts import KINDS, Terms
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.record import SignalTypes
from stagecast.features.stages.conditions import Clause, Condition
from stagecast.features.stages.contract_facts import CONTRACT_FACTS
from stagecast.features.stages.entries import LANGUAGES
from stagecast.features.stages.facts import CLOCKS, Vocabulary
from stagecast.features.stages.plays import STATES, Play
from stagecast.features.stages.price_gaps import PriceGap

__all__ = ["LANGUAGES", "STATES", "Group", "Scheme", "Stage", "first_matching_rule", "rule_text"]


@dataclass(frozen=True)
class Stage:
    """One stage of a scheme.

    Parameters
    ----------
    id
        Name in tables and files; an ASCII identifier.
    state
        One of :data:`STATES`.
    title, meaning, action
        Language -> what the stage is called, what it means, and what to do about its customers.
    rule
        Clauses that must all hold.
    next
        Ids of the stages that can follow directly, the stage itself included if customers can stay.
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
        """The rule on one line, with brackets around clauses with ``or``."""
        return rule_text(self.rule)


@dataclass(frozen=True)
class Group:
    """A marketing group: customers on whom a rule holds, whatever their stage.

    Parameters
    ----------
    id
        Name in tables and files.
    title
        Language -> what the group is called.
    rule
        Clauses that must all hold.
    """

    id: str
    title: Mapping[str, str]
    rule: tuple[Clause, ...]


@dataclass(frozen=True)
class Scheme:
    """Ordered stages, the events that their rules count, and the thresholds they compare with.

    Parameters
    ----------
    id, title
        Name in tables and files, and language -> what the scheme is called.
    stages
        In the order in which tables show them.
    order
        Ids of the stages in the order in which their rules are tried.
    thresholds
        Name -> value; empty in a scheme as read from its file, set by :meth:`with_thresholds`.
    language
        Language of the authors; stages have titles in it, in English, Russian and Persian.
    source
        Publication that the scheme is from.
    signals
        Name of a count -> types of the events that are counted. Rules of a scheme with the signals
        ``starts`` and ``ends`` (and ``renewals``, if any) may read facts of contracts, see
        :mod:`stagecast.features.stages.contract_facts`.
    groups
        Tried in order; the first whose rule holds is a customer's group, and there may be none.
    plays
        Tried in order; the first that holds says what to do with a customer. Where none does, the
        action of the stage does.
    lead_grades
        Whether prospects are graded by points (MQL, SQL) beside their stage.
    pins
        Thresholds that are fixed in the scheme's file and not derived from the log.
    assumed
        Thresholds that are no fact of the log, because it has too few gaps to derive them from.
    price_gaps
        Prices whose payers have a usual gap of their own, where the log has several plans.
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
    plays: tuple[Play, ...] = ()
    lead_grades: bool = False
    pins: Mapping[str, float] = field(default_factory=dict)
    assumed: frozenset[str] = frozenset()
    price_gaps: tuple[PriceGap, ...] = ()

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the stages, in the order of :attr:`stages`."""
        return tuple(stage.id for stage in self.stages)

    def __getitem__(self, stage: str) -> Stage:
        """Return the stage with an id.

        Raises
        ------
        UsageError
            The scheme has no stage with that id.
        """
        if stage not in self.ids:
            raise UsageError(
                f"scheme '{self.id}' has no stage '{stage}'.{did_you_mean(stage, self.ids)}"
            )
        return self.stages[self.ids.index(stage)]

    @cached_property
    def rules(self) -> list[tuple[Clause, ...]]:
        """The rules in the order in which they are tried, which is that of :attr:`order`."""
        return [self[stage].rule for stage in self.order]

    @property
    def conditions(self) -> Iterator[Condition]:
        """Every condition of the stages' rules."""
        return (c for stage in self.stages for clause in stage.rule for c in clause.alternatives)

    @cached_property
    def features(self) -> frozenset[str]:
        """Names of the facts that the rules of the stages read."""
        return frozenset(condition.feature for condition in self.conditions)

    @cached_property
    def all_features(self) -> frozenset[str]:
        """Names of the facts that the rules of stages and groups read."""
        group_features = (
            name for group in self.groups for clause in group.rule for name in clause.features
        )
        return self.features.union(group_features)

    @cached_property
    def clock_limits(self) -> list[tuple[str, float]]:
        """Every clock with each number that the stages' rules compare it with, sorted."""
        return sorted(
            {(c.feature, c.limit(self.thresholds)) for c in self.conditions if c.feature in CLOCKS}
        )

    @cached_property
    def reads_contracts(self) -> bool:
        """Whether a rule reads a fact of contracts."""
        return not self.all_features.isdisjoint(CONTRACT_FACTS)

    def with_terms(self, terms: Terms) -> Scheme:
        """Return the scheme with the event types of contracts, if its rules read contracts."""
        if not self.reads_contracts:
            return self
        types = {name: kind for name, kind in zip(KINDS, terms.types, strict=True) if kind}
        others = {name: kind for name, kind in self.signals.items() if name not in KINDS}
        return replace(self, signals={**others, **types})

    def vocabulary(self, catalog: Catalog, where: str | None = None) -> Vocabulary:
        """Return the facts that the rules of stages and groups read.

        Parameters
        ----------
        catalog
            Defines the facts.
        where
            Name of the scheme in an error message; None: its id.

        Raises
        ------
        UsageError
            A rule names what is not a fact that a rule can read.
        """
        names, signals = self.all_features, tuple(self.signals)
        if {"starts", "ends"} <= set(signals):
            signals = (*signals, *CONTRACT_FACTS)
        if self.reads_contracts:
            names = names.union(name for name in KINDS if name in signals)
        return Vocabulary(names, catalog, signals, where or f"scheme '{self.id}'")

    def signal_types(self, catalog: Catalog) -> SignalTypes:
        """Return the signals that an engine must count for the rules, with their event types.

        See :data:`stagecast.features.record.SignalTypes`.
        """
        return {
            name: self.signals.get(name)
            for name in self.vocabulary(catalog).counted_signals
            if name not in CONTRACT_FACTS
        }

    def with_thresholds(
        self,
        thresholds: Mapping[str, float],
        assumed: Collection[str] = (),
        price_gaps: Sequence[PriceGap] = (),
    ) -> Scheme:
        """Return the scheme with its thresholds set; pinned ones keep their values.

        Parameters
        ----------
        thresholds
            Name -> value.
        assumed
            See :attr:`assumed`; a pinned threshold is not assumed.
        price_gaps
            See :attr:`price_gaps`.
        """
        return replace(
            self,
            thresholds={**thresholds, **self.pins},
            assumed=frozenset(assumed) - set(self.pins),
            price_gaps=tuple(price_gaps),
        )

    def with_pins(self, pins: Mapping[str, float]) -> Scheme:
        """Return the scheme with more thresholds pinned."""
        all_pins = {**self.pins, **pins}
        return replace(
            self,
            pins=all_pins,
            thresholds={**self.thresholds, **all_pins} if self.thresholds else {},
            assumed=self.assumed - set(all_pins),
        )

    def assign(self, facts: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return the stage of each customer as its position in :attr:`stages`.

        Parameters
        ----------
        facts
            Name of a fact -> values, shape (n_customers,).

        Returns
        -------
        numpy.ndarray
            Shape (n_customers,).

        Raises
        ------
        UsageError
            No rule holds for a customer, so the scheme is not exhaustive; a rule names a fact that
            is not among ``facts``, or a threshold that is not set.
        """
        if missing := sorted(self.features - set(facts)):
            raise UsageError(
                f"scheme '{self.id}': a rule looks at '{missing[0]}', which is no feature here."
                f"{did_you_mean(missing[0], facts)}"
            )
        first = first_matching_rule(self.rules, facts, self.thresholds)
        if (first < 0).any():
            row = int(np.flatnonzero(first < 0)[0])
            values = {name: float(facts[name][row]) for name in sorted(self.features)}
            raise UsageError(
                f"scheme '{self.id}': no rule holds for a customer with {values}; add a "
                "stage that does"
            )
        return self._positions[first]

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        """Position in :attr:`stages` of each entry of :attr:`order`."""
        return np.array([self.ids.index(stage) for stage in self.order], dtype=np.int64)

    def group(self, facts: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return each customer's group as its position in :attr:`groups`, -1 for no group."""
        return first_matching_rule([group.rule for group in self.groups], facts, self.thresholds)

    def explain(self, stage: NDArray[np.int64], facts: Mapping[str, Array]) -> pa.StringArray:
        """Return for each row the rule of its stage with the numbers that it compared.

        Parameters
        ----------
        stage
            Positions in :attr:`stages`, shape (n_rows,).
        facts
            Name of a fact -> values, shape (n_rows,).
        """
        import pyarrow.compute as pc

        explanations = np.full(len(stage), "", dtype=object)
        for position in np.unique(stage):
            rows = np.flatnonzero(stage == position)
            clauses = self.stages[int(position)].rule
            stage_facts = {
                name: np.asarray(facts[name])[rows]
                for clause in clauses
                for name in clause.features
            }
            parts = [
                clause.sentences(stage_facts, self.thresholds, self.assumed) for clause in clauses
            ]
            sentences = pc.binary_join_element_wise(*parts, " and ") if len(parts) > 1 else parts[0]
            explanations[rows] = sentences.to_numpy(zero_copy_only=False)
        return pa.array(explanations, pa.string())

    def reachable(self) -> dict[str, frozenset[str]]:
        """Return for each stage the stage itself and those that can follow, directly or later."""
        reachable = {stage.id: {stage.id, *stage.next} for stage in self.stages}
        for _ in self.stages:
            reachable = {
                stage_id: set().union(*(reachable[next_id] for next_id in following))
                for stage_id, following in reachable.items()
            }
        return {stage_id: frozenset(following) for stage_id, following in reachable.items()}


def rule_text(rule: Sequence[Clause]) -> str:
    """Return a rule on one line, like ``orders == 0 and (reactions >= 1 or visits >= 2)``."""
    brackets = len(rule) > 1
    return " and ".join(f"({c})" if brackets and len(c.alternatives) > 1 else str(c) for c in rule)


def first_matching_rule(
    rules: Sequence[Sequence[Clause]], facts: Mapping[str, Array], thresholds: Mapping[str, float]
) -> NDArray[np.int64]:
    """Return for each customer the position of the first rule that holds, -1 where none does.

    Parameters
    ----------
    rules
        Each a list of clauses that must all hold.
    facts
        Name of a fact -> values, shape (n_customers,).
    thresholds
        Name of a threshold -> its value.

    Raises
    ------
    UsageError
        A clause names a threshold that is not among ``thresholds``.
    """
    first = np.full(len(next(iter(facts.values()))), -1, dtype=np.int64)
    for position, rule in enumerate(rules):
        holds = first < 0
        for clause in rule:
            holds &= clause.holds(facts, thresholds)
        first[holds] = position
    return first

"""A scheme fitted to a log: thresholds, journeys, and where customers stand at an instant.

scheme + record of a log -> Lifecycle (thresholds, journeys) -> standing at an as_of
                         -> stages, snapshots, flows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import day_number, microseconds
from stagecast.features.engines.shop_gap import mean_gaps, shop_gap_days
from stagecast.features.errors import UsageError
from stagecast.features.record import Record, SignalTypes
from stagecast.features.stages.contract_facts import with_contract_changes
from stagecast.features.stages.facts import Vocabulary, facts_at
from stagecast.features.stages.journeys import Journeys, compute_journeys
from stagecast.features.stages.price_gaps import gaps_of_prices, with_price_gaps
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_check import merged_stages
from stagecast.features.stages.thresholds import (
    assumed,
    catalog_parameters,
    derive,
    round_thresholds,
)


class RecordSource(Protocol):
    """Part of :class:`stagecast.features.engines.duckdb.DailyTable` that is used here."""

    @property
    def anchor(self) -> datetime:
        """The instant up to which events are known."""
        ...

    def record(self, counted: SignalTypes, back: int = 0) -> Record:
        """Return purchase days, first events and signals, ``back`` days before the anchor."""
        ...

    def purchase_days_may_differ(self, back: int) -> bool:
        """Return whether purchase days may have differed as known ``back`` days before."""
        ...


@dataclass(frozen=True)
class Standing:
    """Stage of each customer at one instant; arrays have shape (n_customers,).

    Parameters
    ----------
    stage
        Position in the scheme's stages; -1 for customers of whom nothing was known.
    since
        Instant at which the stage began, in microseconds since 1970, UTC.
    facts
        Name of a fact -> its values at the instant.
    stage_if_silent
        Stage at the end of the horizon if no further event happens.
    """

    stage: Integers
    since: Integers
    facts: Mapping[str, Array]
    stage_if_silent: Integers

    def take(self, rows: Integers) -> Standing:
        """Return the standing of the customers in some rows."""
        facts = {name: values[rows] for name, values in self.facts.items()}
        return Standing(self.stage[rows], self.since[rows], facts, self.stage_if_silent[rows])


@dataclass(frozen=True)
class Lifecycle:
    """The customers of one log on the stages of one scheme, as known at one instant.

    Parameters
    ----------
    scheme
        With its thresholds set.
    catalog
        With the parameters that come from the thresholds.
    record
        Purchase days, first events and signals of the customers.
    journeys
        Every spell of every customer.
    horizon_days
        Days that :attr:`Standing.stage_if_silent` looks ahead.
    vocabulary
        The facts that the scheme's rules read, in this catalogue.
    """

    scheme: Scheme
    catalog: Catalog
    record: Record
    journeys: Journeys
    horizon_days: int
    vocabulary: Vocabulary

    @cached_property
    def merged(self) -> dict[str, tuple[str, ...]]:
        """Stage that no event of this log can show -> the stages that its customers are on."""
        signals = self.record.signals
        present = {signals.names[int(k)] for k in np.unique(signals.signal)}
        return merged_stages(self.scheme, set(self.scheme.signals) & set(signals.names) - present)

    def standing(self, as_of: datetime) -> Standing:
        """Return where each customer of the record stands at an as_of.

        What the record and the journeys hold from the as_of on is not used. The stage is -1 for
        customers of whom nothing was known.
        """
        after = self.vocabulary.after_purchases(self.record.days)
        instant, end = microseconds(as_of), microseconds(as_of + timedelta(days=self.horizon_days))
        stage, since = self.journeys.at(instant, len(self.record))
        limits = self.scheme.clock_limits
        facts = facts_at(self.vocabulary, self.record, instant, None, after, limits)
        stage_if_silent = self.scheme.assign(
            facts_at(self.vocabulary, self.record, end, instant, after, limits)
        )
        return Standing(stage, since, facts, stage_if_silent)

    def known_days_before(self, table: RecordSource, back: int) -> Lifecycle:
        """Return the lifecycle as it was known some days before the table's anchor.

        Parameters
        ----------
        table
            The log.
        back
            Days before the table's anchor. If nothing has changed since then, the lifecycle itself
            is returned.
        """
        if not back or not table.purchase_days_may_differ(back):
            return self
        record = table.record(self.scheme.signal_types(self.catalog), back)
        return build_lifecycle(
            self.scheme, self.catalog, record, self.horizon_days, vocabulary=self.vocabulary
        )


def build_lifecycle(
    scheme: Scheme,
    catalog: Catalog,
    record: Record,
    horizon_days: int,
    *,
    keep_facts: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Lifecycle:
    """Return the lifecycle of a record on a scheme whose thresholds are set, as in a bundle.

    Parameters
    ----------
    scheme
        With its thresholds set.
    catalog
        With its parameters set.
    record
        Purchase days, first events and signals of the customers.
    horizon_days
        Days that :attr:`Standing.stage_if_silent` looks ahead.
    keep_facts
        Whether to keep the facts of the rules at the start of each spell.
    vocabulary
        The scheme's vocabulary with this catalogue; None: it is made here.

    Raises
    ------
    UsageError
        A rule names what is not a fact that a rule can read.
    """
    vocabulary = vocabulary or scheme.vocabulary(catalog)
    if scheme.reads_contracts:
        signals = with_contract_changes(record.signals, len(record))
        record = replace(record, signals=signals)
    journeys = compute_journeys(
        scheme, catalog, record, keep_facts=keep_facts, vocabulary=vocabulary
    )
    return Lifecycle(scheme, catalog, record, journeys, horizon_days, vocabulary)


def fit_lifecycle(
    table: RecordSource,
    scheme: Scheme,
    horizon_days: int,
    *,
    keep_facts: bool = False,
    catalog: Catalog | None = None,
) -> Lifecycle:
    """Return the lifecycle of a log's customers, as known at the table's anchor.

    Parameters
    ----------
    table
        The log.
    scheme
        Its thresholds are derived from the log, unless they are set already.
    horizon_days
        Days that :attr:`Standing.stage_if_silent` looks ahead, and the horizon of the standard
        catalogue.
    keep_facts
        Whether to keep the facts of the rules at the start of each spell.
    catalog
        None: the standard one. Its parameters are set here.

    Raises
    ------
    UsageError
        A rule names what is not a fact that a rule can read, or a pinned threshold does not fit
        those of the log.
    """
    catalog = standard(horizon_days) if catalog is None else catalog
    record = table.record(scheme.signal_types(catalog))
    if not scheme.thresholds:
        # whole numbers as floats too, as they are read back from a bundle
        days = record.days
        known = gaps_of_prices(days, shop_gap_days([mean_gaps(days)]))
        thresholds = derive(days, day_number(table.anchor), known)
        derived = {name: float(value) for name, value in thresholds.items()}
        scheme = scheme.with_thresholds(round_thresholds(derived), assumed(days), known)
        _check_pins(scheme)
    catalog = catalog.with_parameters(**catalog_parameters(scheme.thresholds))
    catalog = with_price_gaps(catalog, scheme.price_gaps)
    return build_lifecycle(scheme, catalog, record, horizon_days, keep_facts=keep_facts)


def _check_pins(scheme: Scheme) -> None:
    """Raise an error if at_risk_ratio is not below sleeping_ratio, which a pin can cause.

    Raises
    ------
    UsageError
        The message names both thresholds, and which one to pin as well.
    """
    at_risk, sleeping = scheme.thresholds["at_risk_ratio"], scheme.thresholds["sleeping_ratio"]
    used = {condition.bound for condition in scheme.conditions}
    if at_risk >= sleeping and {"at_risk_ratio", "sleeping_ratio"} <= used:
        pinned, unpinned = ("at_risk_ratio", "sleeping_ratio")
        if pinned not in scheme.pins:
            pinned, unpinned = unpinned, pinned
        raise UsageError(
            f"at_risk_ratio {at_risk:g} is not below sleeping_ratio {sleeping:g}, so nobody could "
            f"be at risk: {pinned} is "
            f"pinned; pin {unpinned} as well"
        )


def merged_sentences(scheme: Scheme, merged: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return for each merged stage a sentence that names the events the log lacks."""
    sentences = []
    for stage, instead in merged.items():
        missing_signals = sorted(
            {
                name
                for clause in scheme[stage].rule
                for name in clause.features
                if name in scheme.signals
            }
        )
        events = "; ".join(
            f"{name}: {', '.join(scheme.signals[name][:4])}, ..." for name in missing_signals
        )
        titles = " or ".join(f"'{scheme[stage_id].title['en']}'" for stage_id in instead)
        sentences.append(
            f"'{scheme[stage].title['en']}' cannot be told apart from {titles} in this "
            "log, and is merged with it: it "
            f"has none of the events that would show it ({events})."
        )
    return sentences

"""A scheme fitted to a log: its thresholds, everybody's way through its stages, and where they
stand at an instant.

scheme + record of a log -> Lifecycle (thresholds, journeys) -> standing at an as_of -> stages,
snapshots, flows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import day_number, microseconds
from stagecast.features.errors import UsageError
from stagecast.features.record import Counted, Record
from stagecast.features.stages.facts import Vocabulary, facts_at
from stagecast.features.stages.journeys import Journeys, walk
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_check import merged
from stagecast.features.stages.thresholds import catalog_parameters, derive, readable


class RecordSource(Protocol):
    """What is asked of a log here: :class:`stagecast.features.engines.duckdb.DailyTable` has it."""

    @property
    def anchor(self) -> datetime: ...

    def record(self, counted: Counted, back: int = 0) -> Record: ...

    def looked_different(self, back: int) -> bool: ...


@dataclass(frozen=True)
class Standing:
    """Where customers stand at one instant, one entry per customer.

    ``stage`` and ``silent`` are positions in the scheme's stages, the latter at the end of the
    horizon if nothing more happens; ``since`` is in microseconds since 1970; ``facts`` are what the
    rules look at.
    """

    stage: Integers
    since: Integers
    facts: Mapping[str, Array]
    silent: Integers

    def of(self, rows: Integers) -> Standing:
        """Return the entries of some customers."""
        facts = {name: values[rows] for name, values in self.facts.items()}
        return Standing(self.stage[rows], self.since[rows], facts, self.silent[rows])


@dataclass(frozen=True)
class Lifecycle:
    """The customers of one log on the stages of one scheme, as known at one instant.

    Parameters
    ----------
    scheme
        With its thresholds set.
    catalog
        With the parameters that the thresholds give it.
    horizon_days
        How far ahead :attr:`Standing.silent` looks.
    vocabulary
        What the scheme's rules look at, in this catalogue.
    """

    scheme: Scheme
    catalog: Catalog
    record: Record
    journeys: Journeys
    horizon_days: int
    vocabulary: Vocabulary

    @cached_property
    def merged(self) -> dict[str, tuple[str, ...]]:
        """Stage that no event of this log can show -> the stages on which its customers stand
        instead.
        """
        signals = self.record.signals
        seen = {signals.names[int(k)] for k in np.unique(signals.signal)}
        return merged(self.scheme, set(self.scheme.signals) & set(signals.names) - seen)

    def standing(self, as_of: datetime) -> Standing:
        """Return where each customer of the record stands; the stage is -1 for those of whom
        nothing was known.

        What the record and the journeys hold from the as_of on is not looked at.
        """
        after = self.vocabulary.after_purchases(self.record.days)
        at, end = microseconds(as_of), microseconds(as_of + timedelta(days=self.horizon_days))
        stage, since = self.journeys.at(at, len(self.record))
        limits = self.scheme.clock_limits
        facts = facts_at(self.vocabulary, self.record, at, None, after, limits)
        silent = self.scheme.assign(facts_at(self.vocabulary, self.record, end, at, after, limits))
        return Standing(stage, since, facts, silent)

    def known_then(self, table: RecordSource, back: int) -> Lifecycle:
        """Return the same as it was known ``back`` days before the table's anchor: itself, if
        nothing has changed.
        """
        if not back or not table.looked_different(back):
            return self
        record = table.record(self.scheme.counted(self.catalog), back)
        return live(
            self.scheme, self.catalog, record, self.horizon_days, vocabulary=self.vocabulary
        )


def live(
    scheme: Scheme,
    catalog: Catalog,
    record: Record,
    horizon_days: int,
    *,
    keep_facts: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Lifecycle:
    """Return the lifecycle of a record on a scheme with thresholds, as in a bundle."""
    words = vocabulary or scheme.vocabulary(catalog)
    journeys = walk(scheme, catalog, record, keep_facts=keep_facts, vocabulary=words)
    return Lifecycle(scheme, catalog, record, journeys, horizon_days, words)


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
    scheme
        Its thresholds are derived from the log, unless they are set already.
    horizon_days
        How far ahead silence is followed, and of the catalogue where none is given.
    keep_facts
        Whether the journeys keep what the rules looked at as each spell began.
    catalog
        None: the standard one. Its parameters are set here.
    """
    catalog = standard(horizon_days) if catalog is None else catalog
    record = table.record(scheme.counted(catalog))
    if not scheme.thresholds:
        # as floats, whole numbers too: as they come back from a bundle
        limits = {
            n: float(limit) for n, limit in derive(record.days, day_number(table.anchor)).items()
        }
        scheme = scheme.with_thresholds(readable(limits))
        _check_pins(scheme)
    catalog = catalog.with_parameters(**catalog_parameters(scheme.thresholds))
    return live(scheme, catalog, record, horizon_days, keep_facts=keep_facts)


def _check_pins(scheme: Scheme) -> None:
    """Refuse a pinned threshold that leaves no room between at risk and asleep in this log.

    Raises
    ------
    UsageError
        The message names both, and which to pin as well.
    """
    low, high = scheme.thresholds["at_risk_ratio"], scheme.thresholds["sleeping_ratio"]
    used = {condition.bound for condition in scheme.conditions}
    if low >= high and {"at_risk_ratio", "sleeping_ratio"} <= used:
        pinned, other = ("at_risk_ratio", "sleeping_ratio")
        if pinned not in scheme.pins:
            pinned, other = other, pinned
        raise UsageError(
            f"at_risk_ratio {low:g} is not below sleeping_ratio {high:g}, so nobody could "
            f"be at risk: {pinned} is "
            f"pinned; pin {other} as well"
        )


def merged_sentences(scheme: Scheme, merged: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return what is merged and for want of which events, for people."""
    told = []
    for stage, into in merged.items():
        wanted = sorted(
            {
                name
                for clause in scheme[stage].rule
                for name in clause.features
                if name in scheme.signals
            }
        )
        events = "; ".join(f"{name}: {', '.join(scheme.signals[name][:4])}, ..." for name in wanted)
        titles = " or ".join(f"'{scheme[one].title['en']}'" for one in into)
        told.append(
            f"'{scheme[stage].title['en']}' cannot be told apart from {titles} in this "
            "log, and is merged with it: it "
            f"has none of the events that would show it ({events})."
        )
    return told

"""Journeys of customers through the stages: when each stage began, computed in one pass.

A stage can begin only at a purchase, at an event that a rule counts, when a purchase leaves a
window, or when a clock crosses a limit of a rule. These instants are computed, not searched for, so
``stage_since`` is exact and does not depend on the as_of from which one looks back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.record import ACTIVITY, PurchaseDays, Record, SignalEvents
from stagecast.features.stages.facts import CLOCKS, Vocabulary, clock_value
from stagecast.features.stages.scheme import Scheme

NEVER = int(np.iinfo(np.int64).max)
# Customers whose journeys are computed together; memory grows with this number.
PIECE_CUSTOMERS = 200_000


@dataclass(frozen=True)
class Journeys:
    """Spells on stages, ordered by customer and start; consecutive spells differ in stage.

    A spell ends where the customer's next one starts. Spells that begin later without any further
    event are included, however far in the future.

    Parameters
    ----------
    scheme
        The scheme of the stages.
    customer
        Row of the customer in the record, shape (n_spells,).
    stage
        Position in the scheme's stages, shape (n_spells,).
    start
        Microseconds since 1970, UTC, shape (n_spells,).
    facts
        Name of a fact -> its value when the spell began, shape (n_spells,); empty unless they were
        kept.
    """

    scheme: Scheme
    customer: Integers
    stage: Integers
    start: Integers
    facts: Mapping[str, Array] = field(default_factory=dict)

    def at(self, instant: int, customers: int) -> tuple[Integers, Integers]:
        """Return stage and start of each customer's spell just before an instant.

        Parameters
        ----------
        instant
            Microseconds since 1970, UTC.
        customers
            Number of customers.

        Returns
        -------
        stage, start
            Shape (n_customers,); the stage is -1 for customers of whom nothing was known yet.
        """
        before = np.flatnonzero(self.start < instant)
        customer = self.customer[before]
        current = before[np.r_[customer[1:] != customer[:-1], True]] if len(before) else before
        stage = np.full(customers, -1, dtype=np.int64)
        start = np.zeros(customers, dtype=np.int64)
        stage[self.customer[current]] = self.stage[current]
        start[self.customer[current]] = self.start[current]
        return stage, start


def compute_journeys(
    scheme: Scheme,
    catalog: Catalog,
    record: Record,
    *,
    keep_facts: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Journeys:
    """Return every spell of every customer.

    Parameters
    ----------
    scheme
        With its thresholds set.
    catalog
        With its parameters set; defines the facts.
    record
        Purchase days, first events and the scheme's signals of the customers.
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
    pieces = [
        _journeys_of_piece(scheme, vocabulary, piece, keep_facts=keep_facts)
        for piece in _pieces(record)
    ]
    offsets = range(0, max(len(record), 1), PIECE_CUSTOMERS)
    return Journeys(
        scheme,
        np.concatenate([p.customer + offset for p, offset in zip(pieces, offsets, strict=True)]),
        np.concatenate([p.stage for p in pieces]),
        np.concatenate([p.start for p in pieces]),
        {name: np.concatenate([p.facts[name] for p in pieces]) for name in pieces[0].facts},
    )


def _pieces(record: Record) -> Iterator[Record]:
    """Cut a record by customers; those of each piece are numbered from 0."""
    if len(record) <= PIECE_CUSTOMERS:
        yield record
        return
    days, signals = record.days, record.signals
    for low in range(0, len(record), PIECE_CUSTOMERS):
        bounds = np.array([low, low + PIECE_CUSTOMERS])
        day_rows = slice(*np.searchsorted(days.customer, bounds))
        signal_rows = slice(*np.searchsorted(signals.customer, bounds))
        yield Record(
            PurchaseDays(
                days.customer[day_rows] - low,
                days.day[day_rows],
                days.spend[day_rows],
                days.first_purchase[day_rows],
            ),
            record.first_events[low : low + PIECE_CUSTOMERS],
            SignalEvents(
                signals.names,
                signals.customer[signal_rows] - low,
                signals.instant[signal_rows],
                signals.signal[signal_rows],
                None if signals.change is None else signals.change[signal_rows],
            ),
        )


@dataclass(frozen=True)
class _Moments:
    """Instants at which a fact may change, ordered by customer and instant.

    Each array has shape (n_moments,). ``purchase`` is the row of the purchase day that begins, or
    -1; ``signal`` the row of the signal event, or -1; ``window`` the number of the window that
    changes, or -1. ``window_purchase`` is the purchase day that enters (``sign`` 1) or leaves (-1)
    that window.
    """

    customer: Integers
    instant: Integers
    purchase: Integers
    signal: Integers
    window: Integers
    sign: Integers
    window_purchase: Integers


def _journeys_of_piece(
    scheme: Scheme, vocabulary: Vocabulary, record: Record, *, keep_facts: bool
) -> Journeys:
    """Return the journeys of a record that is small enough to compute at once."""
    after = vocabulary.after_purchases(record.days)
    moments = _moments(scheme, vocabulary, record, after)
    customer, instant = moments.customer, moments.instant
    if not len(instant):
        empty = np.zeros(0, dtype=np.int64)
        return Journeys(
            scheme,
            empty,
            empty,
            empty,
            dict.fromkeys(scheme.features, np.zeros(0)) if keep_facts else {},
        )
    # of several changes at one instant only their joint result counts
    is_last = np.r_[(customer[1:] != customer[:-1]) | (instant[1:] != instant[:-1]), True]
    facts = _facts(vocabulary, record, moments, after, is_last)
    customer, instant = customer[is_last], instant[is_last]
    # between two moments a clock stays on one side of each limit, so the rules are tried half way,
    # where rounding cannot matter
    next_instant = np.r_[
        np.where(customer[1:] == customer[:-1], instant[1:], instant[:-1] + 2 * DAY_MICROSECONDS), 0
    ]
    next_instant[-1] = instant[-1] + 2 * DAY_MICROSECONDS
    half_way = (instant + (next_instant - instant) / 2) / DAY_MICROSECONDS
    rule_facts = {
        **facts,
        **{name: clock_value(name, half_way, facts) for name in vocabulary.clocks},
    }
    stage = scheme.assign(rule_facts)
    changed = np.r_[True, (customer[1:] != customer[:-1]) | (stage[1:] != stage[:-1])]
    start_facts: dict[str, Array] = {}
    if keep_facts:
        facts_then = {name: values[changed] for name, values in facts.items()}
        # a stage begins just after the instant of a crossing: one microsecond later the rule holds
        instant_days = np.minimum(
            instant[changed] / DAY_MICROSECONDS + 1 / DAY_MICROSECONDS, half_way[changed]
        )
        start_facts = {
            n: clock_value(n, instant_days, facts_then) if n in vocabulary.clocks else facts_then[n]
            for n in scheme.features
        }
    return Journeys(scheme, customer[changed], stage[changed], instant[changed], start_facts)


def _facts(
    vocabulary: Vocabulary,
    record: Record,
    moments: _Moments,
    after: Mapping[str, Array],
    rows: NDArray[np.bool_],
) -> dict[str, Array]:
    """Return every fact except the clocks just after the moments that ``rows`` selects."""
    customer = moments.customer
    facts = {}
    purchase = _latest(moments.purchase, record.days.customer, customer)[rows]
    has_bought = purchase >= 0
    before = vocabulary.before_purchases
    for name, values in after.items():
        facts[name] = (
            np.where(has_bought, values[purchase], before[name][0])
            if len(values)
            else before[name][:1].repeat(len(purchase))
        )
    first = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
    first_moment = np.repeat(first, np.diff(np.r_[first, len(customer)]))
    for number, feature in enumerate(vocabulary.windows):
        amount = vocabulary.window_rows(feature, record.days)
        in_window = moments.window == number
        step = np.zeros(len(customer), dtype=np.int64)
        step[in_window] = moments.sign[in_window] * amount[moments.window_purchase[in_window]]
        facts[feature.name] = vocabulary.window_value(
            feature, _running_sum(step, first_moment)[rows]
        )
    signals = record.signals
    is_signal = moments.signal >= 0
    signal_rows, changes = moments.signal[is_signal], signals.changes
    for name in vocabulary.counted_signals:
        step = np.zeros(len(customer), dtype=np.int64)
        counts = signals.signal[signal_rows] == signals.names.index(name)
        step[is_signal] = np.where(counts, changes[signal_rows], 0)
        facts[name] = _running_sum(step, first_moment)[rows].astype(np.float64)
        if name == ACTIVITY:
            last_active = _latest(
                np.where(step > 0, moments.signal, -1), signals.customer, customer
            )[rows]
            active = (
                signals.instant[last_active] // DAY_MICROSECONDS
                if len(signals.instant)
                else last_active
            )
            facts["last_active_day"] = np.where(last_active >= 0, active, np.nan)
    facts["first_event_day"] = (record.first_events[customer[rows]] // DAY_MICROSECONDS).astype(
        np.float64
    )
    return facts


def _latest(row: Integers, owner: Integers, customer: Integers) -> Integers:
    """Return for each moment the customer's last row up to it, -1 before the first.

    Moments are ordered by customer, so the running maximum may be a row of an earlier customer; the
    row's owner shows that.
    """
    latest = np.maximum.accumulate(row)
    if not len(owner):
        return latest
    return np.where((latest >= 0) & (owner[latest] == customer), latest, -1)


def _running_sum(step: Integers, first: Integers) -> Integers:
    """Return the running sum of steps within each customer, whose first moment is ``first``."""
    total = np.cumsum(step)
    return np.asarray(total - total[first] + step[first])


def _moments(
    scheme: Scheme, vocabulary: Vocabulary, record: Record, after: Mapping[str, Array]
) -> _Moments:
    """Return the instants at which a fact of the rules may change."""
    days, signals = record.days, record.signals
    known = np.flatnonzero(record.first_events < NEVER)
    owners, instants = [known, days.customer], [record.first_events[known], days.first_purchase]
    purchases = [np.full(len(known), -1), np.arange(len(days.customer))]
    counted = [signals.names.index(name) for name in vocabulary.counted_signals]
    signal_rows = (
        np.flatnonzero(np.isin(signals.signal, counted)) if counted else np.zeros(0, dtype=np.int64)
    )
    owners.append(signals.customer[signal_rows])
    instants.append(signals.instant[signal_rows])
    for owner, instant in _crossings(scheme, vocabulary, record, after, signal_rows):
        owners.append(owner)
        instants.append(instant)
    window_changes: list[tuple[int, int, Integers]] = []
    for number, feature in enumerate(vocabulary.windows):
        newer, older = feature.window_days or (0, 0)
        starts = (days.day + newer) * DAY_MICROSECONDS if newer else days.first_purchase
        for change, instant in ((1, starts), (-1, (days.day + older) * DAY_MICROSECONDS)):
            owners.append(days.customer)
            # a purchase enters a window of earlier days at a midnight, and never before it was made
            instants.append(np.maximum(instant, days.first_purchase))
            window_changes.append((number, change, np.arange(len(days.customer))))
    customer, instant = np.concatenate(owners), np.concatenate(instants)
    order = np.lexsort((instant, customer))
    total = len(customer)
    purchase = np.full(total, -1, dtype=np.int64)
    purchase[: len(purchases[0]) + len(purchases[1])] = np.concatenate(purchases)
    signal = np.full(total, -1, dtype=np.int64)
    signals_from = len(known) + len(days.customer)
    signal[signals_from : signals_from + len(signal_rows)] = signal_rows
    window = np.full(total, -1, dtype=np.int64)
    sign, window_purchase = window.copy(), window.copy()
    low = total - sum(len(rows) for _, _, rows in window_changes)
    for number, change, rows in window_changes:
        part = slice(low, low + len(rows))
        window[part] = number
        sign[part] = change
        window_purchase[part] = rows
        low += len(rows)
    return _Moments(
        customer[order],
        instant[order],
        purchase[order],
        signal[order],
        window[order],
        sign[order],
        window_purchase[order],
    )


def _crossings(
    scheme: Scheme,
    vocabulary: Vocabulary,
    record: Record,
    after: Mapping[str, Array],
    signal_rows: Integers,
) -> Iterator[tuple[Integers, Integers]]:
    """Yield customers whose clock crosses a limit of a rule, with the instants of the crossings.

    A crossing lies after the event that the clock counts from and before the next such event.
    """
    days, signals = record.days, record.signals
    for clock, limit in scheme.clock_limits:
        since, scale = CLOCKS[clock]
        if since == "last_day":
            owner, event_instant, day = days.customer, days.first_purchase, after["last_day"]
        elif since == "first_day":
            first = _first_rows(days.customer)
            owner, event_instant, day = (
                days.customer[first],
                days.first_purchase[first],
                after["first_day"][first],
            )
        elif since == "last_active_day":
            active = signal_rows[signals.signal[signal_rows] == signals.names.index(ACTIVITY)]
            owner, event_instant = signals.customer[active], signals.instant[active]
            day = (event_instant // DAY_MICROSECONDS).astype(np.float64)
        else:
            owner = np.flatnonzero(record.first_events < NEVER)
            event_instant = record.first_events[owner]
            day = (event_instant // DAY_MICROSECONDS).astype(np.float64)
        span = limit if scale is None else limit * after[scale]
        with np.errstate(invalid="ignore"):
            # only the span is rounded: to the microsecond, however long after 1970 the instant is
            start = day * float(DAY_MICROSECONDS) + np.rint(span * DAY_MICROSECONDS)
        reset = np.r_[event_instant[1:], NEVER].astype(np.float64)
        if len(owner):
            reset[np.r_[owner[1:] != owner[:-1], True]] = float(NEVER)
        crossed = np.flatnonzero((start > event_instant) & (start < reset))
        yield owner[crossed], start[crossed].astype(np.int64)


def _first_rows(customer: Integers) -> Integers:
    """Return the first row of each customer."""
    return (
        np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
        if len(customer)
        else np.zeros(0, dtype=np.int64)
    )

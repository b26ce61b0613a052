"""The way of each customer through the stages: when each stage began, in one pass over the log.

A stage can begin only at a purchase, at an event that a rule counts, as a purchase leaves a window,
or where a clock crosses a limit of a rule. Those instants are computed, not searched for, and so
``stage_since`` is exact and stays the same however much later one looks.
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
# Customers whose journeys are worked out together; memory grows with it.
AT_ONCE = 200_000


@dataclass(frozen=True)
class Journeys:
    """Spells on a stage, ordered by customer and start; consecutive spells differ in stage.

    ``stage`` is a position in the stages of ``scheme``, ``start`` microseconds since 1970. A spell
    ends where the customer's next one starts. Spells that silence alone will lead to are among
    them, however far ahead.

    ``facts`` holds what the rules looked at as each spell began, where it was asked for.
    """

    scheme: Scheme
    customer: Integers
    stage: Integers
    start: Integers
    facts: Mapping[str, Array] = field(default_factory=dict)

    def at(self, instant: int, customers: int) -> tuple[Integers, Integers]:
        """Return stage and start of the spell that each of ``customers`` customers is in just
        before an instant.

        The stage is -1 for those of whom nothing was known yet.
        """
        before = np.flatnonzero(self.start < instant)
        customer = self.customer[before]
        last = before[np.r_[customer[1:] != customer[:-1], True]] if len(before) else before
        stage = np.full(customers, -1, dtype=np.int64)
        start = np.zeros(customers, dtype=np.int64)
        stage[self.customer[last]] = self.stage[last]
        start[self.customer[last]] = self.start[last]
        return stage, start


def walk(
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
        With its parameters set; defines what the rules look at.
    record
        What the rules can see, with the signals of the scheme.
    keep_facts
        Whether to keep what the rules looked at as each spell began.
    vocabulary
        The scheme's, with this catalogue; made anew where it is None.

    Raises
    ------
    UsageError
        A rule looks at what no rule can look at.
    """
    vocabulary = vocabulary or scheme.vocabulary(catalog)
    pieces = [_walk(scheme, vocabulary, piece, keep_facts=keep_facts) for piece in _pieces(record)]
    offsets = range(0, max(len(record), 1), AT_ONCE)
    return Journeys(
        scheme,
        np.concatenate([p.customer + offset for p, offset in zip(pieces, offsets, strict=True)]),
        np.concatenate([p.stage for p in pieces]),
        np.concatenate([p.start for p in pieces]),
        {name: np.concatenate([p.facts[name] for p in pieces]) for name in pieces[0].facts},
    )


def _pieces(record: Record) -> Iterator[Record]:
    """Cut a record by customers; those of a piece are numbered from 0."""
    if len(record) <= AT_ONCE:
        yield record
        return
    days, signals = record.days, record.signals
    for low in range(0, len(record), AT_ONCE):
        ends = np.array([low, low + AT_ONCE])
        own = slice(*np.searchsorted(days.customer, ends))
        heard = slice(*np.searchsorted(signals.customer, ends))
        yield Record(
            PurchaseDays(
                days.customer[own] - low, days.day[own], days.spend[own], days.first_purchase[own]
            ),
            record.first_events[low : low + AT_ONCE],
            SignalEvents(
                signals.names,
                signals.customer[heard] - low,
                signals.instant[heard],
                signals.signal[heard],
            ),
        )


@dataclass(frozen=True)
class _Moments:
    """Instants at which something may change, ordered by customer and instant.

    ``purchase`` is the row of the purchase day that begins, or -1; ``signal`` the row of the event,
    or -1; ``window`` the purchase day that enters or leaves window number ``which`` (``sign`` 1 or
    -1).
    """

    customer: Integers
    instant: Integers
    purchase: Integers
    signal: Integers
    which: Integers
    sign: Integers
    window: Integers


def _walk(scheme: Scheme, vocabulary: Vocabulary, record: Record, *, keep_facts: bool) -> Journeys:
    after = vocabulary.after_purchases(record.days)
    moments = _moments(scheme, vocabulary, record, after)
    customer, instant = moments.customer, moments.instant
    if not len(instant):
        none = np.zeros(0, dtype=np.int64)
        return Journeys(
            scheme,
            none,
            none,
            none,
            dict.fromkeys(scheme.features, np.zeros(0)) if keep_facts else {},
        )
    # of several changes at one instant only what they come to together is seen
    last = np.r_[(customer[1:] != customer[:-1]) | (instant[1:] != instant[:-1]), True]
    facts = _facts(vocabulary, record, moments, after, last)
    customer, instant = customer[last], instant[last]
    # between two moments clocks stand on one side of each limit: look half way, where no rounding
    # decides
    following = np.r_[
        np.where(customer[1:] == customer[:-1], instant[1:], instant[:-1] + 2 * DAY_MICROSECONDS), 0
    ]
    following[-1] = instant[-1] + 2 * DAY_MICROSECONDS
    half_way = (instant + (following - instant) / 2) / DAY_MICROSECONDS
    seen = {**facts, **{name: clock_value(name, half_way, facts) for name in vocabulary.clocks}}
    stage = scheme.assign(seen)
    changed = np.r_[True, (customer[1:] != customer[:-1]) | (stage[1:] != stage[:-1])]
    kept: dict[str, Array] = {}
    if keep_facts:
        begun = {name: values[changed] for name, values in facts.items()}
        # a stage begins after the instant of a crossing: a microsecond on, the rule holds
        at = np.minimum(
            instant[changed] / DAY_MICROSECONDS + 1 / DAY_MICROSECONDS, half_way[changed]
        )
        kept = {
            n: clock_value(n, at, begun) if n in vocabulary.clocks else begun[n]
            for n in scheme.features
        }
    return Journeys(scheme, customer[changed], stage[changed], instant[changed], kept)


def _facts(
    vocabulary: Vocabulary,
    record: Record,
    moments: _Moments,
    after: Mapping[str, Array],
    rows: NDArray[np.bool_],
) -> dict[str, Array]:
    """Return every fact but the clocks just after some of the moments."""
    customer = moments.customer
    facts = {}
    purchase = _latest(moments.purchase, record.days.customer, customer)[rows]
    bought = purchase >= 0
    before = vocabulary.before_purchases
    for name, values in after.items():
        facts[name] = (
            np.where(bought, values[purchase], before[name][0])
            if len(values)
            else before[name][:1].repeat(len(purchase))
        )
    first = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
    of_customer = np.repeat(first, np.diff(np.r_[first, len(customer)]))
    for number, feature in enumerate(vocabulary.windows):
        amount = vocabulary.window_rows(feature, record.days)
        mine = moments.which == number
        step = np.zeros(len(customer), dtype=np.int64)
        step[mine] = moments.sign[mine] * amount[moments.window[mine]]
        facts[feature.name] = vocabulary.window_value(feature, _since(step, of_customer)[rows])
    signals = record.signals
    heard = moments.signal >= 0
    for name in vocabulary.counted:
        step = np.zeros(len(customer), dtype=np.int64)
        step[heard] = signals.signal[moments.signal[heard]] == signals.names.index(name)
        facts[name] = _since(step, of_customer)[rows].astype(np.float64)
        if name == ACTIVITY:
            mine = _latest(np.where(step > 0, moments.signal, -1), signals.customer, customer)[rows]
            active = signals.instant[mine] // DAY_MICROSECONDS if len(signals.instant) else mine
            facts["last_active_day"] = np.where(mine >= 0, active, np.nan)
    facts["first_event_day"] = (record.first_events[customer[rows]] // DAY_MICROSECONDS).astype(
        np.float64
    )
    return facts


def _latest(row: Integers, owner: Integers, customer: Integers) -> Integers:
    """Return the last row seen so far of each moment's customer, -1 before the first.

    Rows are ordered by customer, so whatever an earlier customer left behind is told by its owner.
    """
    latest = np.maximum.accumulate(row)
    if not len(owner):
        return latest
    return np.where((latest >= 0) & (owner[latest] == customer), latest, -1)


def _since(step: Integers, first: Integers) -> Integers:
    """Return the running sum of steps within each customer."""
    total = np.cumsum(step)
    return np.asarray(total - total[first] + step[first])


def _moments(
    scheme: Scheme, vocabulary: Vocabulary, record: Record, after: Mapping[str, Array]
) -> _Moments:
    days, signals = record.days, record.signals
    known = np.flatnonzero(record.first_events < NEVER)
    owners, instants = [known, days.customer], [record.first_events[known], days.first_purchase]
    purchases = [np.full(len(known), -1), np.arange(len(days.customer))]
    wanted = [signals.names.index(name) for name in vocabulary.counted]
    heard = (
        np.flatnonzero(np.isin(signals.signal, wanted)) if wanted else np.zeros(0, dtype=np.int64)
    )
    owners.append(signals.customer[heard])
    instants.append(signals.instant[heard])
    for owner, instant in _crossings(scheme, vocabulary, record, after, heard):
        owners.append(owner)
        instants.append(instant)
    entered: list[tuple[int, int, Integers]] = []
    for number, feature in enumerate(vocabulary.windows):
        newer, older = feature.window_days or (0, 0)
        starts = (days.day + newer) * DAY_MICROSECONDS if newer else days.first_purchase
        for one_sign, instant in ((1, starts), (-1, (days.day + older) * DAY_MICROSECONDS)):
            owners.append(days.customer)
            # what enters a window later than it is bought does so at a midnight; nothing enters
            # before it is bought
            instants.append(np.maximum(instant, days.first_purchase))
            entered.append((number, one_sign, np.arange(len(days.customer))))
    customer, instant = np.concatenate(owners), np.concatenate(instants)
    order = np.lexsort((instant, customer))
    total = len(customer)
    purchase = np.full(total, -1, dtype=np.int64)
    purchase[: len(purchases[0]) + len(purchases[1])] = np.concatenate(purchases)
    signal = np.full(total, -1, dtype=np.int64)
    signals_from = len(known) + len(days.customer)
    signal[signals_from : signals_from + len(heard)] = heard
    which = np.full(total, -1, dtype=np.int64)
    sign, window = which.copy(), which.copy()
    low = total - sum(len(rows) for _, _, rows in entered)
    for number, one_sign, rows in entered:
        part = slice(low, low + len(rows))
        which[part] = number
        sign[part] = one_sign
        window[part] = rows
        low += len(rows)
    return _Moments(
        customer[order],
        instant[order],
        purchase[order],
        signal[order],
        which[order],
        sign[order],
        window[order],
    )


def _crossings(
    scheme: Scheme,
    vocabulary: Vocabulary,
    record: Record,
    after: Mapping[str, Array],
    heard: Integers,
) -> Iterator[tuple[Integers, Integers]]:
    """Yield whose clock crosses a limit of a rule, and when: after the event it counts from,
    before it is set anew.
    """
    days, signals = record.days, record.signals
    for clock, limit in scheme.clock_limits:
        since, scale = CLOCKS[clock]
        if since == "last_day":
            owner, begin, day = days.customer, days.first_purchase, after["last_day"]
        elif since == "first_day":
            first = _firsts(days.customer)
            owner, begin, day = (
                days.customer[first],
                days.first_purchase[first],
                after["first_day"][first],
            )
        elif since == "last_active_day":
            active = heard[signals.signal[heard] == signals.names.index(ACTIVITY)]
            owner, begin = signals.customer[active], signals.instant[active]
            day = (begin // DAY_MICROSECONDS).astype(np.float64)
        else:
            owner = np.flatnonzero(record.first_events < NEVER)
            begin = record.first_events[owner]
            day = (begin // DAY_MICROSECONDS).astype(np.float64)
        span = limit if scale is None else limit * after[scale]
        with np.errstate(invalid="ignore"):
            # the span is rounded by itself: to the microsecond, however long after 1970
            start = day * float(DAY_MICROSECONDS) + np.rint(span * DAY_MICROSECONDS)
        anew = np.r_[begin[1:], NEVER].astype(np.float64)
        if len(owner):
            anew[np.r_[owner[1:] != owner[:-1], True]] = float(NEVER)
        met = np.flatnonzero((start > begin) & (start < anew))
        yield owner[met], start[met].astype(np.int64)


def _firsts(customer: Integers) -> Integers:
    return (
        np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
        if len(customer)
        else np.zeros(0, dtype=np.int64)
    )

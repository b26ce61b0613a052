"""Events in memory as arrays: the same instants, codes and amounts that the tables of a log
hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.attributes import CHANNEL, Texts, given_at_start
from stagecast.features.catalog.feature import MILLION, NO_ACTIVITY
from stagecast.features.clock import DAY_MICROSECONDS, EPOCH, microseconds
from stagecast.features.contracts import ContractEvents, Spells, Terms, spells
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import memory_events
from stagecast.features.record import NO_SIGNALS, Counted, PurchaseDays, Record, SignalEvents
from stagecast.features.requests import CustomerEvents

# Seconds since 1970 that a double holds, and multiplies, to the microsecond.
_EXACT_SECONDS = 2**51 / 1e6


class MemoryEvents:
    """Events of some customers as arrays, cut at one instant.

    Parameters
    ----------
    customers
        The customers in the order in which rows are wanted.
    as_of
        Events that happened or were recorded at or after it are not seen.

    Raises
    ------
    NotEnoughDataError
        A customer has no event before the as_of; the message names the first.
    """

    def __init__(self, customers: Sequence[CustomerEvents], as_of: datetime) -> None:
        self.as_of = as_of
        self._asked = customers
        self.customers: NDArray[np.object_] = np.array(
            [c.customer_id for c in customers], dtype=object
        )
        at = self.instant = microseconds(as_of)
        events = list(chain.from_iterable(c.events for c in customers))
        timestamps = [e.timestamp for e in events]
        happened = _instants(timestamps)
        amounts = [e.amount for e in events]
        recorded = [e.recorded_at for e in events]
        owner = np.repeat(np.arange(len(customers)), [len(c.events) for c in customers])
        seen = happened < at
        if recorded.count(None) < len(recorded):
            late = [
                happens if known is None else known
                for happens, known in zip(timestamps, recorded, strict=True)
            ]
            seen &= _instants(late) < at
        rows = np.flatnonzero(seen)
        day = happened // DAY_MICROSECONDS
        if len(rows):
            first = int(day.min())
            rows = rows[
                np.argsort(
                    (owner * (int(day.max()) - first + 1) + day - first)[rows], kind="stable"
                )
            ]
        self.customer: Integers = owner[rows]
        self.happened: Integers = happened[rows]
        self.day: Integers = day[rows]
        self.types, kind = _codes([e.event for e in events])
        self.kind: Integers = kind[rows]
        self.amount = _millionths(amounts)[rows]
        self.amount_given = (
            None if None not in amounts else np.array([one is not None for one in amounts])[rows]
        )
        self._events, self._rows = events, rows
        self._texts: dict[str, Integers] = {}
        count = np.bincount(self.customer, minlength=len(customers))
        if not count.all():
            who = self.customers[int(np.flatnonzero(count == 0)[0])]
            raise NotEnoughDataError(
                f"customer '{who}' has no event before the as_of {as_of.isoformat()}"
            )

    @cached_property
    def discount(self) -> NDArray[Any]:
        """Money taken off the price of each event, in millionths."""
        return _millionths([e.discount for e in self._events])[self._rows]

    def texts(self, column: str) -> Integers:
        """Return for each event which ``channel`` or ``category`` it has, as a number; -1 for
        none.
        """
        if column not in self._texts:
            given = [getattr(e, column) for e in self._events]
            none = np.full(len(self._rows), -1, dtype=np.int64)
            self._texts[column] = (
                _codes([text or None for text in given])[1][self._rows] if any(given) else none
            )
        return self._texts[column]

    def of_types(self, types: Sequence[str], *, others: bool = False) -> NDArray[np.bool_]:
        """Return which events are of some types, or of all others."""
        chosen = np.array([(name in types) is not others for name in self.types], dtype=np.bool_)
        return chosen[self.kind]

    @cached_property
    def is_purchase(self) -> NDArray[np.bool_]:
        return self.of_types(("purchase",))

    @cached_property
    def is_refund(self) -> NDArray[np.bool_]:
        return self.of_types(("refund",))

    @cached_property
    def is_activity(self) -> NDArray[np.bool_]:
        """Events that are neither purchase nor refund nor made by the marketer."""
        return self.of_types(NO_ACTIVITY, others=True)

    def first_events(self) -> Integers:
        """Return the instant of each customer's first event, in microseconds since 1970."""
        first = np.full(len(self.customers), np.iinfo(np.int64).max, dtype=np.int64)
        np.minimum.at(first, self.customer, self.happened)
        return first

    def record(self, counted: Counted) -> Record:
        """Return what the rules of a scheme can see; see
        :meth:`stagecast.features.stages.scheme.Scheme.signal_types`.
        """
        return Record(self.purchase_days(), self.first_events(), self._signals(counted))

    def _signals(self, counted: Counted) -> SignalEvents:
        if not counted:
            return NO_SIGNALS
        rows, signal = self._events_of(list(counted.values()))
        return SignalEvents(tuple(counted), self.customer[rows], self.happened[rows], signal)

    def contract_events(self, terms: Terms) -> ContractEvents:
        """Return the events that tell of contracts, see
        :func:`stagecast.features.contracts.spells`.
        """
        rows, kind = self._events_of(terms.types)
        recorded = [self._events[row].recorded_at for row in self._rows[rows]]
        happened = self.happened[rows]
        late = np.array(
            [row for row, known in enumerate(recorded) if known is not None], dtype=np.int64
        )
        known = happened.copy()
        known[late] = np.maximum(
            happened[late], _instants([one for one in recorded if one is not None])
        )
        return ContractEvents(self.instant, self.customer[rows], happened, known, kind)

    def spells(self, terms: Terms) -> Spells:
        """Return the contracts of each customer, see
        :func:`stagecast.features.contracts.spells`.
        """
        return spells(self, terms)

    def _events_of(self, kinds: Sequence[Sequence[str] | None]) -> tuple[Integers, Integers]:
        """Return rows and kind of events, by customer, instant and kind; what counts for two kinds
        stands there twice.

        ``kinds`` are the types of each kind; None: those of activity.
        """
        heard = [
            np.flatnonzero(self.is_activity if types is None else self.of_types(tuple(types)))
            for types in kinds
        ]
        rows = np.concatenate(heard)
        kind = np.repeat(np.arange(len(heard)), [len(some) for some in heard])
        order = np.lexsort((kind, self.happened[rows], self.customer[rows]))
        return rows[order], kind[order]

    @cached_property
    def attributes(self) -> list[Mapping[str, Any]]:
        """What the caller said of each customer beside the events."""
        return [one.attributes for one in self._asked]

    def categories(self, known_at_start: Sequence[str] = ()) -> dict[str, Texts]:
        """Return what was known of each customer from the start: ``channel`` of the first event,
        and attributes.
        """
        first = memory_events(self._asked, self.as_of).first_channels()
        return {CHANNEL: first, **given_at_start(self.attributes, known_at_start)}

    def last_event(self) -> int:
        """Return the instant of the last event seen, in microseconds since 1970."""
        return int(self.happened.max())

    def purchase_days(self) -> PurchaseDays:
        """Return every purchase day, net of refunds as
        :func:`stagecast.features.engines.sql.net_days` says, by customer and day.
        """
        customer, day, spend, first = self.net_days
        return PurchaseDays(customer, day, (spend / MILLION).astype(np.float64), first)

    @cached_property
    def net_days(self) -> tuple[Integers, Integers, NDArray[Any], Integers]:
        """Return customer, day, spend in millionths and the first purchase's instant of every
        purchase day.
        """
        bought = np.flatnonzero(self.is_purchase)
        customer, day = self.customer[bought], self.day[bought]
        if not len(bought):
            empty = np.zeros(0, dtype=np.int64)
            return empty, empty, empty, empty
        starts = np.flatnonzero(
            np.r_[True, (customer[1:] != customer[:-1]) | (day[1:] != day[:-1])]
        )
        customer, day = customer[starts], day[starts]
        first = np.minimum.reduceat(self.happened[bought], starts)
        gross = np.add.reduceat(self.amount[bought], starts)
        if not self.is_refund.any():
            return customer, day, gross, first
        net = self._net(customer, day, gross)
        kept = (net > 0) | (gross == 0)
        return customer[kept], day[kept], net[kept], first[kept]

    def _net(self, customer: Integers, day: Integers, gross: NDArray[Any]) -> NDArray[Any]:
        """Return what refunds leave of each day's purchases, in millionths; rows are ordered by
        customer and day.
        """
        back = np.flatnonzero(self.is_refund)
        net = gross.copy()
        # rows of one customer stand together
        owners, begins = np.unique(self.customer[back], return_index=True)
        of_owner = np.searchsorted(customer, np.column_stack([owners, owners + 1]))
        for (start, end), refunds in zip(of_owner, np.split(back, begins[1:]), strict=True):
            net[start:end] = _after_refunds(
                day[start:end], gross[start:end], self.day[refunds], self.amount[refunds]
            )
        return net


def _instants(timestamps: Sequence[datetime]) -> Integers:
    """Return instants as microseconds since 1970."""
    seconds = np.array([(one - EPOCH).total_seconds() for one in timestamps], dtype=np.float64)
    if len(seconds) and max(seconds.max(), -seconds.min()) >= _EXACT_SECONDS:
        return np.array([microseconds(one) for one in timestamps], dtype=np.int64)
    return np.rint(seconds * 1e6).astype(np.int64)


def _codes(texts: Sequence[str | None]) -> tuple[tuple[str, ...], Integers]:
    """Return the different texts, and for each text which of them it is; -1 for none."""
    names = tuple(sorted({text for text in texts if text is not None}))
    if len(names) == 1 and None not in texts:
        return names, np.zeros(len(texts), dtype=np.int64)
    code: dict[str | None, int] = {None: -1, **{name: k for k, name in enumerate(names)}}
    return names, np.array([code[text] for text in texts], dtype=np.int64)


def _millionths(amounts: Sequence[float | None]) -> NDArray[Any]:
    """Return amounts as whole millionths: 64 bits, or Python's own integers where a sum could
    exceed them.

    Halves are rounded away from zero, as the cast to ``decimal(18,6)`` of the event table does.
    None is 0.
    """
    scaled = np.nan_to_num(np.array(amounts, dtype=np.float64)) * MILLION
    near = np.abs(scaled) < 2**51  # beyond, doubles have no place for a half
    whole = np.where(near, np.trunc(scaled + np.copysign(0.5, scaled)), scaled)
    if np.abs(whole).sum() < 2**62:
        return whole.astype(np.int64)
    return np.array([int(value) for value in whole.tolist()], dtype=object)


def _after_refunds(
    day: Integers, gross: NDArray[Any], refund_day: Integers, refund: NDArray[Any]
) -> NDArray[Any]:
    """Return what refunds leave of one customer's purchase days, which are in order; refunds
    need not be.
    """
    # a refund between two purchase days takes back the same as one on the earlier of them; one
    # before all, nothing
    at = np.searchsorted(day, refund_day, side="right") - 1
    returned = np.zeros_like(gross)
    np.add.at(returned, at[at >= 0], refund[at >= 0])
    balance = np.cumsum(gross - returned)
    lowest = np.minimum.accumulate(balance[::-1])[::-1]
    return np.asarray(np.maximum(np.minimum(gross, lowest - (balance - gross + returned)), 0))

"""Events in memory as arrays, with the same times, types and amounts as the tables of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, repeat
from operator import sub
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.attributes import CHANNEL, MISSING, Texts, request_attribute_texts
from stagecast.features.catalog.feature import MILLION, NO_ACTIVITY
from stagecast.features.clock import DAY_MICROSECONDS, EPOCH, microseconds
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import KINDS, ContractEvents, Spells, Terms
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import request_lead_events
from stagecast.features.record import NO_SIGNALS, PurchaseDays, Record, SignalEvents, SignalTypes
from stagecast.features.requests import CustomerEvents

# Below this a double of seconds since 1970 is exact to the microsecond, also after multiplication.
_EXACT_SECONDS = 2**51 / 1e6


class NetDays(NamedTuple):
    """Purchase days net of refunds, ordered by customer and day.

    Parameters
    ----------
    customer
        Row of the customers, shape (n_days,).
    day
        Days since 1970, UTC.
    spend
        Net of refunds, in millionths.
    first_purchase
        Time of the day's first purchase, microseconds since 1970, UTC.
    """

    customer: Integers
    day: Integers
    spend: NDArray[Any]
    first_purchase: Integers


class MemoryEvents:
    """Events of customers as arrays, cut at one as_of, ordered by customer and day.

    Parameters
    ----------
    customers
        The customers, in the order of the result.
    as_of
        Events that happened or were recorded at or after it are left out.

    Raises
    ------
    NotEnoughDataError
        A customer has no event before the as_of; the message names the first such customer.
    """

    def __init__(self, customers: Sequence[CustomerEvents], as_of: datetime) -> None:
        self.as_of = as_of
        self._requests = customers
        self.customers: NDArray[np.object_] = np.array(
            [customer.customer_id for customer in customers], dtype=object
        )
        self.instant = microseconds(as_of)
        events = list(chain.from_iterable(customer.events for customer in customers))
        timestamps = [event.timestamp for event in events]
        happened = _instants(timestamps)
        amounts = [event.amount for event in events]
        recorded = [event.recorded_at for event in events]
        owner = np.repeat(
            np.arange(len(customers)), [len(customer.events) for customer in customers]
        )
        is_known = happened < self.instant
        if recorded.count(None) < len(recorded):
            known_at = [
                timestamp if recorded_at is None else recorded_at
                for timestamp, recorded_at in zip(timestamps, recorded, strict=True)
            ]
            is_known &= _instants(known_at) < self.instant
        rows = np.flatnonzero(is_known)
        day = happened // DAY_MICROSECONDS
        if len(rows):
            first_day = int(day.min())
            key = owner * (int(day.max()) - first_day + 1) + day - first_day
            rows = rows[np.argsort(key[rows], kind="stable")]
        self.customer: Integers = owner[rows]
        self.happened: Integers = happened[rows]
        self.day: Integers = day[rows]
        self.types, kind = _codes([event.event for event in events])
        self.kind: Integers = kind[rows]
        self.amount = _millionths(amounts)[rows]
        # None: every event has an amount
        self.has_amount = (
            None
            if None not in amounts
            else np.array([amount is not None for amount in amounts])[rows]
        )
        self._events, self._rows, self._owner = events, rows, owner
        self._text_codes: dict[str, Integers] = {}
        count = np.bincount(self.customer, minlength=len(customers))
        if not count.all():
            customer_id = self.customers[int(np.flatnonzero(count == 0)[0])]
            raise NotEnoughDataError(
                f"customer '{customer_id}' has no event before the as_of {as_of.isoformat()}"
            )

    @cached_property
    def discount(self) -> NDArray[Any]:
        """Money taken off the price of each event, in millionths."""
        return _millionths([event.discount for event in self._events])[self._rows]

    def text_codes(self, column: str) -> Integers:
        """Return the code of each event's ``channel`` or ``category``; -1 for an event without.

        Parameters
        ----------
        column
            ``channel`` or ``category``.
        """
        if column not in self._text_codes:
            texts = [getattr(event, column) for event in self._events]
            no_codes = np.full(len(self._rows), -1, dtype=np.int64)
            self._text_codes[column] = (
                _codes([text or None for text in texts])[1][self._rows] if any(texts) else no_codes
            )
        return self._text_codes[column]

    def is_of_types(self, types: Sequence[str], *, negate: bool = False) -> NDArray[np.bool_]:
        """Return a mask of the events of some types; with ``negate`` of all other types.

        Parameters
        ----------
        types
            Event types.
        negate
            Select the events of all other types instead.
        """
        is_selected = np.array(
            [(name in types) is not negate for name in self.types], dtype=np.bool_
        )
        return is_selected[self.kind]

    @cached_property
    def is_purchase(self) -> NDArray[np.bool_]:
        """Mask of the purchases."""
        return self.is_of_types(("purchase",))

    @cached_property
    def is_refund(self) -> NDArray[np.bool_]:
        """Mask of the refunds."""
        return self.is_of_types(("refund",))

    @cached_property
    def is_activity(self) -> NDArray[np.bool_]:
        """Mask of the events that are neither purchase nor refund nor made by the marketer."""
        return self.is_of_types(NO_ACTIVITY, negate=True)

    def first_events(self) -> Integers:
        """Return the instant of each customer's first event, in microseconds since 1970."""
        first = np.full(len(self.customers), np.iinfo(np.int64).max, dtype=np.int64)
        np.minimum.at(first, self.customer, self.happened)
        return first

    def record(self, signal_types: SignalTypes) -> Record:
        """Return the facts that stage rules read.

        Parameters
        ----------
        signal_types
            Event types of the signals, see
            :meth:`stagecast.features.stages.scheme.Scheme.signal_types`.
        """
        return Record(self.purchase_days(), self.first_events(), self._signals(signal_types))

    def _signals(self, signal_types: SignalTypes) -> SignalEvents:
        if not signal_types:
            return NO_SIGNALS
        rows, signal = self._events_of(list(signal_types.values()))
        return SignalEvents(tuple(signal_types), self.customer[rows], self.happened[rows], signal)

    def contract_events(self, terms: Terms) -> ContractEvents:
        """Return the contract events, see :func:`stagecast.features.contracts.spells`.

        Parameters
        ----------
        terms
            Event types that begin, renew and cancel a contract.
        """
        rows, kind = self._events_of(terms.types)
        ahead = self._announced(terms.ends)
        events = [self._events[row] for row in (*self._rows[rows], *ahead)]
        customer = np.r_[self.customer[rows], self._owner[ahead]]
        happened = _instants([event.timestamp for event in events])
        recorded = _instants([event.recorded_at or event.timestamp for event in events])
        kind = np.r_[kind, np.full(len(ahead), KINDS.index("ends"))]
        order = np.lexsort((kind, happened, customer))
        return ContractEvents(
            self.instant, *(column[order] for column in (customer, happened, recorded, kind))
        )

    def _announced(self, types: Sequence[str]) -> Integers:
        """Return the rows of the events of some types at or after the as_of, recorded before it."""
        return np.array(
            [
                row
                for row, event in enumerate(self._events)
                if event.event in types
                and event.recorded_at is not None
                and event.recorded_at < self.as_of <= event.timestamp
            ],
            dtype=np.int64,
        )

    def spells(self, terms: Terms) -> Spells:
        """Return the contracts of each customer, see
        :func:`stagecast.features.contracts.spells`.
        """
        return spells(self, terms)

    def _events_of(
        self, types_by_kind: Sequence[Sequence[str] | None]
    ) -> tuple[Integers, Integers]:
        """Return rows and kinds of events, ordered by customer, time and kind.

        An event that belongs to two kinds is returned twice.

        Parameters
        ----------
        types_by_kind
            Event types of kind 0, 1, ...; None: those of activity.
        """
        rows_by_kind = [
            np.flatnonzero(self.is_activity if types is None else self.is_of_types(tuple(types)))
            for types in types_by_kind
        ]
        rows = np.concatenate(rows_by_kind)
        counts = [len(rows_of_kind) for rows_of_kind in rows_by_kind]
        kind = np.repeat(np.arange(len(rows_by_kind)), counts)
        order = np.lexsort((kind, self.happened[rows], self.customer[rows]))
        return rows[order], kind[order]

    @cached_property
    def attributes(self) -> list[Mapping[str, Any]]:
        """Attributes of each customer, name -> value."""
        return [customer.attributes for customer in self._requests]

    def categories(self, known_at_start: Sequence[str] = ()) -> dict[str, Texts]:
        """Return texts known at the start: ``channel`` of the first event, and attributes.

        Parameters
        ----------
        known_at_start
            Names of the attributes.

        Returns
        -------
        dict
            Name -> texts, shape (n_customers,); blank if there is no value.

        Raises
        ------
        UsageError
            The value of an attribute is a list or an object.
        """
        if any(event.channel for event in self._events):
            channels = request_lead_events(self._requests, self.as_of).first_channels()
        else:
            channels = np.full(len(self.customers), MISSING, dtype=object)
        return {CHANNEL: channels, **request_attribute_texts(self.attributes, known_at_start)}

    def last_event(self) -> int:
        """Return the time of the last event before the as_of, microseconds since 1970."""
        return int(self.happened.max())

    def last_events(self) -> Integers:
        """Return the instant of each customer's last event before the as_of, in microseconds."""
        last = np.full(len(self.customers), np.iinfo(np.int64).min, dtype=np.int64)
        np.maximum.at(last, self.customer, self.happened)
        return last

    def purchase_days(self) -> PurchaseDays:
        """Return the purchase days, net of refunds, ordered by customer and day.

        :func:`stagecast.features.engines.sql.net_day_steps` says how refunds are handled.
        """
        customer, day, spend, first_purchase = self.net_days
        return PurchaseDays(customer, day, (spend / MILLION).astype(np.float64), first_purchase)

    @cached_property
    def net_days(self) -> NetDays:
        """The purchase days, net of refunds, ordered by customer and day."""
        rows = np.flatnonzero(self.is_purchase)
        customer, day = self.customer[rows], self.day[rows]
        if not len(rows):
            empty = np.zeros(0, dtype=np.int64)
            return NetDays(empty, empty, empty, empty)
        starts = np.flatnonzero(
            np.r_[True, (customer[1:] != customer[:-1]) | (day[1:] != day[:-1])]
        )
        customer, day = customer[starts], day[starts]
        first_purchase = np.minimum.reduceat(self.happened[rows], starts)
        gross = np.add.reduceat(self.amount[rows], starts)
        if not self.is_refund.any():
            return NetDays(customer, day, gross, first_purchase)
        net = self._net_spend(customer, day, gross)
        remains = (net > 0) | (gross == 0)
        return NetDays(customer[remains], day[remains], net[remains], first_purchase[remains])

    def _net_spend(self, customer: Integers, day: Integers, gross: NDArray[Any]) -> NDArray[Any]:
        """Return each day's spend net of refunds, in millionths; customers and days are sorted."""
        refund_rows = np.flatnonzero(self.is_refund)
        net = gross.copy()
        # the rows of a customer are next to each other
        owners, starts = np.unique(self.customer[refund_rows], return_index=True)
        day_ranges = np.searchsorted(customer, np.column_stack([owners, owners + 1]))
        for (start, end), rows in zip(day_ranges, np.split(refund_rows, starts[1:]), strict=True):
            net[start:end] = _after_refunds(
                day[start:end], gross[start:end], self.day[rows], self.amount[rows]
            )
        return net


def _instants(timestamps: Sequence[datetime]) -> Integers:
    """Return timestamps as microseconds since 1970."""
    # a chain of maps takes half of the time of a comprehension
    since = map(timedelta.total_seconds, map(sub, timestamps, repeat(EPOCH)))
    seconds = np.fromiter(since, dtype=np.float64, count=len(timestamps))
    if len(seconds) and max(seconds.max(), -seconds.min()) >= _EXACT_SECONDS:
        return np.array([microseconds(timestamp) for timestamp in timestamps], dtype=np.int64)
    return np.rint(seconds * 1e6).astype(np.int64)


def _codes(texts: Sequence[str | None]) -> tuple[tuple[str, ...], Integers]:
    """Return the distinct texts, and the position of each text in them; -1 for None."""
    names = tuple(sorted({text for text in texts if text is not None}))
    if len(names) == 1 and None not in texts:
        return names, np.zeros(len(texts), dtype=np.int64)
    code: dict[str | None, int] = {None: -1, **{name: k for k, name in enumerate(names)}}
    return names, np.array([code[text] for text in texts], dtype=np.int64)


def _millionths(amounts: Sequence[float | None]) -> NDArray[Any]:
    """Return amounts as whole millionths; None is 0.

    The result has 64-bit integers, or Python integers if a sum could overflow 64 bits. Halves are
    rounded away from zero, as the cast to ``decimal(18,6)`` of the event table does.
    """
    scaled = np.nan_to_num(np.array(amounts, dtype=np.float64)) * MILLION
    has_fraction = np.abs(scaled) < 2**51  # larger doubles cannot represent halves
    whole = np.where(has_fraction, np.trunc(scaled + np.copysign(0.5, scaled)), scaled)
    if np.abs(whole).sum() < 2**62:
        return whole.astype(np.int64)
    return np.array([int(value) for value in whole.tolist()], dtype=object)


def _after_refunds(
    day: Integers, gross: NDArray[Any], refund_day: Integers, refund: NDArray[Any]
) -> NDArray[Any]:
    """Return the spend of one customer's purchase days net of refunds, in millionths.

    Parameters
    ----------
    day, gross
        Purchase days in ascending order, and their spend before refunds, shape (n_days,).
    refund_day, refund
        Days and amounts of the refunds in any order, shape (n_refunds,).
    """
    # a refund between two purchase days has the effect of one on the earlier day; a refund before
    # all of them has none
    row = np.searchsorted(day, refund_day, side="right") - 1
    refunded = np.zeros_like(gross)
    np.add.at(refunded, row[row >= 0], refund[row >= 0])
    balance = np.cumsum(gross - refunded)
    lowest = np.minimum.accumulate(balance[::-1])[::-1]
    return np.asarray(np.maximum(np.minimum(gross, lowest - (balance - gross + refunded)), 0))

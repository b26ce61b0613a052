"""Spells of contracts, computed from the contract events of a log as known at one as_of.

A spell begins at the first start while no contract is open, and ends at the next cancellation.
Further starts of an open contract (a renewal, the purchase of each month) change nothing. A start
after a cancellation opens a new spell of a returning customer. A cancellation while no contract is
open ends nothing and is only counted: the contract began before the log did, or it was cancelled
twice.

A renewal or purchase soon after a cancellation (:attr:`Terms.last_bill_days`) is the last bill of
the cancelled contract and opens none; an event of the types that begin a contract does at any time.

Events of the same instant are common in logs of dates. If no contract is open, the start comes
before the cancellation, and the spell has length 0. If a contract is open, the cancellation ends
it, and a start of the types that begin a contract opens a new one at the same instant.

A cancellation takes effect at its own time. Recorded before the as_of, it announces the end of a
contract that is still open then; a later start does not take it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers, position_within
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, ContractEvents, Flags, Source, Spells, Terms

KIND_START, KIND_END = 0, 2


def spells(source: Source, terms: Terms | None = None) -> Spells:
    """Return the contract spells of customers, as known at the as_of of their source.

    Parameters
    ----------
    source
        :class:`stagecast.features.engines.duckdb.DailyTable` or
        :class:`stagecast.features.engines.memory.MemoryEvents`.
    terms
        Event types that begin, renew and cancel a contract; None: the defaults of :class:`Terms`.

    >>> from datetime import datetime, UTC
    >>> from stagecast.features.engines.memory import MemoryEvents
    >>> from stagecast.features.requests import CustomerEvents, Event
    >>> months = [("signup", 1), ("cancel", 3), ("renew", 4)]
    >>> events = tuple(Event(datetime(2024, month, 1, tzinfo=UTC), name) for name, month in months)
    >>> customers = [CustomerEvents("a", events)]
    >>> contracts = spells(MemoryEvents(customers, datetime(2024, 5, 1, tzinfo=UTC)))
    >>> contracts.earlier.tolist(), contracts.open.tolist()
    ([0, 1], [False, True])
    >>> contracts.age_days(contracts.as_of).tolist()
    [121.0, 30.0]
    """
    terms = terms or Terms()
    return spells_of(source.contract_events(terms), source.customers, terms.last_bill_days)


def spells_of(
    events: ContractEvents, customers: NDArray[np.object_], last_bill_days: int
) -> Spells:
    """Return the contract spells that events tell of.

    Parameters
    ----------
    events
        Contract events, ordered by customer and time.
    customers
        Ids of the customers that the events' rows refer to, shape (n_customers,).
    last_bill_days
        See :class:`Terms`.
    """
    is_ahead = events.instant >= events.as_of
    groups = _without_last_bills(_group_by_instant(events.of(~is_ahead)), last_bill_days)
    was_open = _open_before(groups)
    reopens = was_open & groups.begins & (groups.cancels > 0)
    opening = np.flatnonzero((~was_open & groups.opens) | reopens)
    # a group with a cancellation ends the spell open before it, or the one that it opens itself
    ending = np.flatnonzero((groups.cancels > 0) & (was_open | groups.opens))
    start, customer = groups.instant[opening], groups.customer[opening]
    # spells and ends of a customer alternate, so the k-th end belongs to the k-th spell; only the
    # last spell can be without an end
    start_number = position_within(customer)
    end_number = position_within(groups.customer[ending])
    end = np.full(len(opening), NEVER, dtype=np.int64)
    notice = end.copy()
    stride = np.int64(len(groups.customer) + 1)
    rows = np.searchsorted(
        customer * stride + start_number, groups.customer[ending] * stride + end_number
    )
    end[rows] = groups.instant[ending]
    notice[rows] = np.where(
        groups.cancel_recorded[ending] < end[rows], groups.cancel_recorded[ending], NEVER
    )
    announced_end = _announce(events.of(is_ahead), customer, end, notice)
    return Spells(
        events.as_of,
        customers,
        customer,
        start,
        end,
        groups.known[opening],
        start_number,
        ignored_cancellations=int(groups.cancels.sum()) - len(ending),
        former_customers=np.unique(
            groups.customer[(groups.cancels > 0) & ~was_open & ~groups.opens]
        ),
        announced_end=announced_end,
        notice=notice,
    )


def _announce(
    ahead: ContractEvents, customer: Integers, end: Integers, notice: Integers
) -> Integers:
    """Return the announced ends of open spells, and write into ``notice`` when they were recorded.

    Parameters
    ----------
    ahead
        Cancellations that take effect at or after the as_of.
    customer, end
        Customer and end of each spell.
    notice
        Changed in place.
    """
    announced = np.full(len(customer), NEVER, dtype=np.int64)
    owner, first = np.unique(ahead.customer, return_index=True)
    spell = np.flatnonzero(end == NEVER)
    position = np.searchsorted(owner, customer[spell])
    matched = np.isin(customer[spell], owner)
    spell, event = spell[matched], first[position[matched]]
    announced[spell] = ahead.instant[event]
    notice[spell] = ahead.recorded[event]
    return announced


@dataclass(frozen=True)
class _InstantGroups:
    """Contract events grouped by customer and instant, in that order.

    ``begins``: has a start; ``opens``: has a start or a renewal; ``cancels``: number of
    cancellations. ``known`` is when the first start or renewal of the group was known,
    ``cancel_recorded`` when its first cancellation was recorded.
    """

    customer: Integers
    instant: Integers
    known: Integers
    begins: Flags
    opens: Flags
    cancels: Integers
    cancel_recorded: Integers

    def of(self, rows: Flags, opens: Flags) -> _InstantGroups:
        """Return the groups of some rows, with other flags ``opens``."""
        return _InstantGroups(
            self.customer[rows],
            self.instant[rows],
            self.known[rows],
            self.begins[rows],
            opens[rows],
            self.cancels[rows],
            self.cancel_recorded[rows],
        )


def _group_by_instant(events: ContractEvents) -> _InstantGroups:
    if not len(events.customer):
        no_integers, no_flags = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
        return _InstantGroups(
            no_integers, no_integers, no_integers, no_flags, no_flags, no_integers, no_integers
        )
    same_group = (events.customer[1:] == events.customer[:-1]) & (
        events.instant[1:] == events.instant[:-1]
    )
    first = np.flatnonzero(np.r_[True, ~same_group])
    instant = events.instant[first]
    is_end = events.kind == KIND_END
    known = np.minimum.reduceat(np.where(is_end, NEVER, events.known), first)
    return _InstantGroups(
        events.customer[first],
        instant,
        np.where(known == NEVER, instant, known),
        np.logical_or.reduceat(events.kind == KIND_START, first),
        np.logical_or.reduceat(~is_end, first),
        np.add.reduceat(is_end.astype(np.int64), first),
        np.minimum.reduceat(np.where(is_end, events.recorded, NEVER), first),
    )


def _without_last_bills(groups: _InstantGroups, last_bill_days: int) -> _InstantGroups:
    """Return the groups without renewals that are the last bill of a cancelled contract."""
    cancels = groups.cancels > 0
    rows = np.arange(len(cancels))
    if not len(rows):
        return groups
    latest = np.maximum.accumulate(np.where(cancels, rows, -1))
    before = np.r_[-1, latest[:-1]]
    since_cancellation = groups.instant - groups.instant[np.maximum(before, 0)]
    is_last_bill = (
        (before >= _first_of_customer(groups.customer))
        & (since_cancellation < last_bill_days * DAY_MICROSECONDS)
        & ~groups.begins
    )
    opens = groups.opens & ~is_last_bill
    return groups.of(opens | cancels, opens)


def _open_before(groups: _InstantGroups) -> Flags:
    """Return whether a contract was open just before each group.

    A group with both a start and a cancellation leaves the state as it was: an open contract is
    cancelled and opened again, or a new one is opened and cancelled. Any other group sets the
    state, so the customer's last such group before decides.
    """
    cancels = groups.cancels > 0
    rows = np.arange(len(cancels))
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    deciding = np.maximum.accumulate(np.where(groups.begins & cancels, -1, rows))
    before = np.r_[-1, deciding[:-1]]
    return np.asarray(
        (before >= _first_of_customer(groups.customer)) & ~cancels[np.maximum(before, 0)]
    )


def _first_of_customer(customer: Integers) -> Integers:
    """Return for each row the first row of its customer; rows are ordered by customer."""
    rows = np.arange(len(customer))
    return np.maximum.accumulate(np.where(np.r_[True, customer[1:] != customer[:-1]], rows, 0))

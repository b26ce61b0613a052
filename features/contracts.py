"""Contract spells of customers: when each contract began and was cancelled, as known at one as_of.

A contract is open while the customer's last contract event is a start. A spell begins at the first
start while no contract is open, and ends at the next cancellation. Further starts of an open
contract (a renewal, the purchase of each month) change nothing. A start after a cancellation opens
a new spell of a returning customer. A cancellation while no contract is open ends nothing and is
only counted: the contract began before the log did, or it was cancelled twice.

Events of the same instant are common in logs of dates. If no contract is open, the start comes
before the cancellation, and the spell has length 0. If a contract is open, the cancellation ends
it. A start of the types that begin a contract then opens a new one at the same instant; a renewal
or a purchase does not, since it is the last payment of the cancelled contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers, position_within
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError

Flags = NDArray[np.bool_]

NEVER = int(np.iinfo(np.int64).max)
"""End of a spell that is still open."""


@dataclass(frozen=True)
class Terms:
    """Event types that begin, renew and cancel a contract.

    Parameters
    ----------
    starts
        Types that begin a contract.
    renewals
        Types that are evidence of a contract: they begin one if none is open, except at the instant
        of a cancellation.
    ends
        Types that cancel it.

    Raises
    ------
    UsageError
        No type begins a contract, no type cancels it, a type does both, or a type is blank.
    """

    starts: tuple[str, ...] = ("signup", "subscribe")
    renewals: tuple[str, ...] = ("renew", "purchase")
    ends: tuple[str, ...] = ("cancel",)

    def __post_init__(self) -> None:
        """Check the types and write them in lower case without blanks, as events of a log are."""
        for name, types in asdict(self).items():
            normalised = tuple(event_type.strip().lower() for event_type in types)
            object.__setattr__(self, name, normalised)
        if not all([*self.starts, *self.renewals, *self.ends]):
            raise UsageError(
                "a type of event that tells of a contract is blank; give its name, like 'cancel'"
            )
        if not [*self.starts, *self.renewals] or not self.ends:
            raise UsageError(
                "a contract needs a type of event that begins it and one that cancels it; name at "
                "least one"
            )
        if ambiguous := sorted({*self.starts, *self.renewals} & set(self.ends)):
            raise UsageError(
                f"'{ambiguous[0]}' cannot both begin and cancel a contract; name it on one side"
            )

    @property
    def types(self) -> tuple[tuple[str, ...], ...]:
        """Types in the order of :attr:`ContractEvents.kind`."""
        return self.starts, self.renewals, self.ends

    def to_json(self) -> dict[str, list[str]]:
        """Return the terms as JSON data."""
        return {name: list(types) for name, types in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[str]]) -> Terms:
        """Return the terms that :meth:`to_json` wrote."""
        return cls(**{name: tuple(types) for name, types in data.items()})


@dataclass(frozen=True)
class ContractEvents:
    """Contract events, ordered by customer and time.

    Parameters
    ----------
    as_of
        Microseconds since 1970, UTC. Events that happened or were recorded at or after it are left
        out.
    customer
        Row of the source's customers, shape (n_events,).
    instant, known
        When each event happened and when it was known, microseconds since 1970, UTC. The two differ
        for an event that was recorded late.
    kind
        0 for a start, 1 for a renewal, 2 for a cancellation.
    """

    as_of: int
    customer: Integers
    instant: Integers
    known: Integers
    kind: Integers


class Source(Protocol):
    """Source of contract events: a daily table, or events in memory."""

    customers: NDArray[np.object_]

    def contract_events(self, terms: Terms) -> ContractEvents: ...


@dataclass(frozen=True)
class Contracts:
    """State of the contracts of customers at one as_of, one entry per customer.

    Parameters
    ----------
    as_of
        Microseconds since 1970, UTC.
    open
        Whether the customer has a contract, shape (n_customers,).
    ever_had
        Whether the customer has or had a contract; a cancellation alone is evidence of one.
    age_days
        Days since the open contract began; NaN without one.
    earlier
        Number of contracts before the open one; without an open one, of all contracts.
    """

    as_of: int
    open: Flags
    ever_had: Flags
    age_days: Array
    earlier: Array

    def of(self, rows: Integers) -> Contracts:
        """Return the entries of the customers in ``rows``.

        Parameters
        ----------
        rows
            Rows of the customers.
        """
        return Contracts(
            self.as_of,
            self.open[rows],
            self.ever_had[rows],
            self.age_days[rows],
            self.earlier[rows],
        )


@dataclass(frozen=True)
class Spells:
    """Contract spells as known at one as_of, ordered by customer and start.

    Parameters
    ----------
    as_of
        Microseconds since 1970, UTC; open spells are censored at it.
    customers
        Ids of the customers with any event before the as_of, in order.
    customer
        Row of ``customers``, shape (n_spells,).
    start, end
        Microseconds since 1970, UTC; ``end`` of an open spell is :data:`NEVER`.
    known
        When the start was known, microseconds since 1970, UTC; later than the start if it was
        recorded late.
    earlier
        Number of the customer's spells before this one.
    ignored_cancellations
        Number of cancellations while no contract was open.
    former_customers
        Rows of the customers with such a cancellation: their contract began before the log did.
    """

    as_of: int
    customers: NDArray[np.object_]
    customer: Integers
    start: Integers
    end: Integers
    known: Integers
    earlier: Integers
    ignored_cancellations: int
    former_customers: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def open(self) -> Flags:
        """Mask of the spells that are not cancelled."""
        return np.asarray(self.end == NEVER)

    @property
    def cancellations(self) -> int:
        """Number of cancelled spells."""
        return int((~self.open).sum())

    @property
    def returning_customers(self) -> int:
        """Number of customers with more than one spell."""
        return int((self.earlier == 1).sum())

    @property
    def history_days(self) -> float:
        """Days from the first start to the as_of; 0 without spells."""
        return float(self.as_of - self.start.min()) / DAY_MICROSECONDS if len(self) else 0.0

    def at_risk(self, at: int) -> Flags:
        """Return a mask of the spells at risk at an instant.

        These began before it, were known to have begun before it, and were not cancelled before it.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC.
        """
        return np.asarray((self.start < at) & (self.known < at) & (self.end >= at))

    def age_days(self, at: Integers | int, rows: Integers | None = None) -> Array:
        """Return the age of spells in days at an instant.

        Parameters
        ----------
        at
            Microseconds since 1970, one for all spells or one per spell.
        rows
            Rows of the spells; None: all of them.
        """
        start = self.start if rows is None else self.start[rows]
        return np.asarray((at - start) / DAY_MICROSECONDS, dtype=np.float64)

    def before(self, at: int) -> Spells:
        """Return all spells as they stood at an earlier instant.

        Every spell keeps its row. A spell that had not begun yet gets the instant as its start, so
        that it is never at risk up to that instant.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC; an instant after the as_of is taken as the as_of.
        """
        at = min(at, self.as_of)
        end = np.where(self.end < at, self.end, NEVER)
        return replace(self, as_of=at, start=np.minimum(self.start, at), end=end)

    def standing(self) -> Contracts:
        """Return the state of each customer's contract at the as_of."""
        n_customers = len(self.customers)
        open_spells = np.flatnonzero(self.open)
        age = np.full(n_customers, np.nan)
        age[self.customer[open_spells]] = self.age_days(self.as_of, open_spells)
        count = np.bincount(self.customer, minlength=n_customers)
        is_open = np.isfinite(age)
        ever_had = count > 0
        ever_had[self.former_customers] = True
        return Contracts(self.as_of, is_open, ever_had, age, (count - is_open).astype(np.float64))

    def had_contract(self, at: int) -> Flags:
        """Return which customers had a contract at an instant, by what is known at the as_of.

        Unlike :meth:`at_risk`, this includes spells whose start was recorded after the instant.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC.
        """
        return self._customers_with((self.start < at) & (self.end >= at))

    def cancelled(self, since: int, until: int) -> Flags:
        """Return which customers cancelled in ``[since, until)`` a contract begun before it.

        Parameters
        ----------
        since, until
            Microseconds since 1970, UTC.
        """
        return self._customers_with((self.start < since) & (self.end >= since) & (self.end < until))

    def _customers_with(self, spell_mask: Flags) -> Flags:
        """Return which customers have any of the spells."""
        return np.asarray(np.bincount(self.customer[spell_mask], minlength=len(self.customers)) > 0)


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
    events = source.contract_events(terms or Terms())
    groups = _group_by_instant(events)
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
    stride = np.int64(len(groups.customer) + 1)
    rows = np.searchsorted(
        customer * stride + start_number, groups.customer[ending] * stride + end_number
    )
    end[rows] = groups.instant[ending]
    return Spells(
        events.as_of,
        source.customers,
        customer,
        start,
        end,
        groups.known[opening],
        start_number,
        ignored_cancellations=int(groups.cancels.sum()) - len(ending),
        former_customers=np.unique(
            groups.customer[(groups.cancels > 0) & ~was_open & ~groups.opens]
        ),
    )


@dataclass(frozen=True)
class _InstantGroups:
    """Contract events grouped by customer and instant, in that order.

    ``begins``: has a start; ``opens``: has a start or a renewal; ``cancels``: number of
    cancellations. ``known`` is when the first start or renewal of the group was known.
    """

    customer: Integers
    instant: Integers
    known: Integers
    begins: Flags
    opens: Flags
    cancels: Integers


def _group_by_instant(events: ContractEvents) -> _InstantGroups:
    if not len(events.customer):
        no_integers, no_flags = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
        return _InstantGroups(
            no_integers, no_integers, no_integers, no_flags, no_flags, no_integers
        )
    same_group = (events.customer[1:] == events.customer[:-1]) & (
        events.instant[1:] == events.instant[:-1]
    )
    first = np.flatnonzero(np.r_[True, ~same_group])
    instant = events.instant[first]
    known = np.minimum.reduceat(np.where(events.kind < 2, events.known, NEVER), first)
    return _InstantGroups(
        events.customer[first],
        instant,
        np.where(known == NEVER, instant, known),
        np.logical_or.reduceat(events.kind == 0, first),
        np.logical_or.reduceat(events.kind < 2, first),
        np.add.reduceat((events.kind == 2).astype(np.int64), first),
    )


def _open_before(groups: _InstantGroups) -> Flags:
    """Return whether a contract was open just before each group.

    A group with both a start and a cancellation leaves the state as it was: an open contract is
    cancelled and opened again, or a new one is opened and cancelled. Any other group sets the
    state, so the customer's last such group before decides.
    """
    customer, cancels = groups.customer, groups.cancels > 0
    rows = np.arange(len(customer))
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    first = np.maximum.accumulate(np.where(np.r_[True, customer[1:] != customer[:-1]], rows, 0))
    deciding = np.maximum.accumulate(np.where(groups.begins & cancels, -1, rows))
    deciding_before = np.r_[-1, deciding[:-1]]
    return np.asarray((deciding_before >= first) & ~cancels[np.maximum(deciding_before, 0)])

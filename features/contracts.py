"""The contracts of customers: when each began and was cancelled, as known at one instant.

A contract is open as long as the last event that says anything of it is a start. So a spell begins
at the first start after none or after a cancellation, and ends at the next cancellation; later
starts of an open contract (a renewal, the purchase of each month) say nothing new. A start after a
cancellation opens a new spell, of a customer who came back. A cancellation while no contract is
open ends nothing, and is counted: the contract began before the log did, or it was cancelled twice.

At one and the same instant (logs of dates have many) a start with nothing open comes before the
cancellation: the spell lasts no time at all. With a contract open, the cancellation ends it, and
only a start of the kinds that begin a contract opens another at once; a renewal or a purchase is
the last payment of what was cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError

Flags = NDArray[np.bool_]

NEVER = int(np.iinfo(np.int64).max)
"""The end of a spell that is still open."""


@dataclass(frozen=True)
class Terms:
    """Which types of events tell of a contract.

    Parameters
    ----------
    starts
        Begin a contract.
    renewals
        Show a contract: they begin one where none is open, but not at the instant of a
        cancellation.
    ends
        Cancel it.

    Raises
    ------
    UsageError
        No type begins or none ends a contract, or one does both.
    """

    starts: tuple[str, ...] = ("signup", "subscribe")
    renewals: tuple[str, ...] = ("renew", "purchase")
    ends: tuple[str, ...] = ("cancel",)

    def __post_init__(self) -> None:
        """Check that a contract can begin and end; types are told apart as logs are read,
        without capitals.
        """
        for name, types in asdict(self).items():
            object.__setattr__(self, name, tuple(one.strip().lower() for one in types))
        if not all([*self.starts, *self.renewals, *self.ends]):
            raise UsageError(
                "a type of event that tells of a contract is blank; give its name, like 'cancel'"
            )
        if not [*self.starts, *self.renewals] or not self.ends:
            raise UsageError(
                "a contract needs a type of event that begins it and one that cancels "
                "it; name at least one"
            )
        if both := sorted({*self.starts, *self.renewals} & set(self.ends)):
            raise UsageError(
                f"'{both[0]}' cannot both begin and cancel a contract; name it on one side"
            )

    @property
    def types(self) -> tuple[tuple[str, ...], ...]:
        """Types by :attr:`ContractEvents.kind`."""
        return self.starts, self.renewals, self.ends

    def to_json(self) -> dict[str, list[str]]:
        """Return it as plain data."""
        return {name: list(types) for name, types in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[str]]) -> Terms:
        """Read what :meth:`to_json` gives."""
        return cls(**{name: tuple(types) for name, types in data.items()})


@dataclass(frozen=True)
class ContractEvents:
    """The events that tell of contracts, ordered by customer and instant.

    Parameters
    ----------
    as_of
        Where one stands; nothing that happened or was recorded from then on is among them.
        Microseconds since 1970, as all instants here.
    customer
        Row of the customers that they were asked of.
    instant, known
        When it happened, and when it was known: later where it was recorded late.
    kind
        0 begins a contract, 1 shows one, 2 cancels it.
    """

    as_of: int
    customer: Integers
    instant: Integers
    known: Integers
    kind: Integers


class Source(Protocol):
    """What was known of customers at an instant: a daily table, or events in memory."""

    customers: NDArray[np.object_]

    def contract_events(self, terms: Terms) -> ContractEvents: ...


@dataclass(frozen=True)
class Contracts:
    """How the contracts of customers stand at one instant, one entry per customer.

    Parameters
    ----------
    as_of
        The instant, microseconds since 1970.
    open, had
        Who has a contract, and who has or had one: a cancellation alone says so, too.
    age_days
        Days since the open contract began; NaN without one.
    earlier
        Contracts that the customer had before the open one, or in all.
    """

    as_of: int
    open: Flags
    had: Flags
    age_days: Array
    earlier: Array

    def of(self, rows: Integers) -> Contracts:
        """Return the entries of some customers."""
        return Contracts(
            self.as_of, self.open[rows], self.had[rows], self.age_days[rows], self.earlier[rows]
        )


@dataclass(frozen=True)
class Spells:
    """Contract spells as known at one instant, ordered by customer and start.

    Parameters
    ----------
    as_of
        The instant, microseconds since 1970; open spells are censored here.
    customers
        Ids of all who had any event before it, in order.
    customer
        Row of ``customers``, one per spell.
    start, end
        Instants in microseconds since 1970; :data:`NEVER` ends an open spell.
    known
        When the start was known: later than the start where it was recorded late.
    earlier
        Spells that the customer had before this one.
    ignored
        Cancellations that found no contract open.
    former
        Customers who have such a cancellation: what it ended began before the log did.
    """

    as_of: int
    customers: NDArray[np.object_]
    customer: Integers
    start: Integers
    end: Integers
    known: Integers
    earlier: Integers
    ignored: int
    former: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def open(self) -> Flags:
        """Spells that are not cancelled."""
        return np.asarray(self.end == NEVER)

    @property
    def cancellations(self) -> int:
        """How many spells were cancelled."""
        return int((~self.open).sum())

    @property
    def returned(self) -> int:
        """How many customers came back at least once."""
        return int((self.earlier == 1).sum())

    @property
    def history_days(self) -> float:
        """Days from the first start to the as_of; 0 without spells."""
        return float(self.as_of - self.start.min()) / DAY_MICROSECONDS if len(self) else 0.0

    def at_risk(self, at: int) -> Flags:
        """Return the spells open at an instant: begun, and known to have, before it, and not
        cancelled before it.
        """
        return np.asarray((self.start < at) & (self.known < at) & (self.end >= at))

    def age_days(self, at: Integers | int, spell: Integers | None = None) -> Array:
        """Return the days from the start of each spell, or of those named, to an instant."""
        start = self.start if spell is None else self.start[spell]
        return np.asarray((at - start) / DAY_MICROSECONDS, dtype=np.float64)

    def before(self, at: int) -> Spells:
        """Return the spells as they stood at an earlier instant, all of them, so that rows keep
        their numbers.

        Those that had not begun then begin at it: they are at risk at no instant up to it.
        """
        at = min(at, self.as_of)
        end = np.where(self.end < at, self.end, NEVER)
        return replace(self, as_of=at, start=np.minimum(self.start, at), end=end)

    def standing(self) -> Contracts:
        """Return how the contract of each of the customers stands at the as_of."""
        rows = len(self.customers)
        now = np.flatnonzero(self.open)
        whose = self.customer[now]
        age = np.full(rows, np.nan)
        age[whose] = self.age_days(self.as_of, now)
        count = np.bincount(self.customer, minlength=rows)
        is_open = np.isfinite(age)
        had = count > 0
        had[self.former] = True
        return Contracts(self.as_of, is_open, had, age, (count - is_open).astype(np.float64))

    def held(self, at: int) -> Flags:
        """Return which of the customers had a contract at an instant, as far as one knows by
        now.
        """
        return self._any((self.start < at) & (self.end >= at))

    def cancelled(self, since: int, until: int) -> Flags:
        """Return which of the customers cancelled a contract in ``[since, until)`` that they had
        before.
        """
        return self._any((self.start < since) & (self.end >= since) & (self.end < until))

    def _any(self, spell: Flags) -> Flags:
        return np.asarray(np.bincount(self.customer[spell], minlength=len(self.customers)) > 0)


def spells(source: Source, terms: Terms | None = None) -> Spells:
    """Return the contract spells of a log, or of some customers, as known at an instant.

    Parameters
    ----------
    source
        :class:`stagecast.features.engines.duckdb.DailyTable` or
        :class:`stagecast.features.engines.memory.MemoryEvents`.
    terms
        Which events tell of a contract; None: those of :class:`Terms`.

    >>> from datetime import datetime, UTC
    >>> from stagecast.features.engines.evaluator import MemoryEvents
    >>> from stagecast.features.requests import CustomerEvents, Event
    >>> told = [("signup", 1), ("cancel", 3), ("renew", 4)]
    >>> events = tuple(Event(datetime(2024, month, 1, tzinfo=UTC), what) for what, month in told)
    >>> customers = [CustomerEvents("a", events)]
    >>> found = spells(MemoryEvents(customers, datetime(2024, 5, 1, tzinfo=UTC)))
    >>> found.earlier.tolist(), found.open.tolist(), found.age_days(found.as_of).tolist()
    ([0, 1], [False, True], [121.0, 30.0])
    """
    events = source.contract_events(terms or Terms())
    groups = _groups_of(events)
    was_open = _open_before(groups)
    reopens = was_open & groups.begins & (groups.cancels > 0)
    opened = np.flatnonzero((~was_open & groups.opens) | reopens)
    # what a group of events of one instant ends: the spell open before it, or one that it began
    # itself
    ended = np.flatnonzero((groups.cancels > 0) & (was_open | groups.opens))
    start, whose = groups.instant[opened], groups.customer[opened]
    # spells and ends of a customer alternate, so the k-th end is the k-th spell's; what is over is
    # the first
    nth_start, nth_end = _nth(whose), _nth(groups.customer[ended])
    end = np.full(len(opened), NEVER, dtype=np.int64)
    wide = np.int64(len(groups.customer) + 1)
    place = np.searchsorted(whose * wide + nth_start, groups.customer[ended] * wide + nth_end)
    end[place] = groups.instant[ended]
    ignored = int(groups.cancels.sum()) - len(ended)
    former = np.unique(groups.customer[(groups.cancels > 0) & ~was_open & ~groups.opens])
    return Spells(
        events.as_of,
        source.customers,
        whose,
        start,
        end,
        groups.known[opened],
        nth_start,
        ignored,
        former,
    )


@dataclass(frozen=True)
class _Groups:
    """What each customer's events of one instant say of a contract, in order; ``known`` is of
    what opens one.
    """

    customer: Integers
    instant: Integers
    known: Integers
    begins: Flags
    opens: Flags
    cancels: Integers


def _groups_of(events: ContractEvents) -> _Groups:
    if not len(events.customer):
        nothing, none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
        return _Groups(nothing, nothing, nothing, none, none, nothing)
    same = (events.customer[1:] == events.customer[:-1]) & (
        events.instant[1:] == events.instant[:-1]
    )
    first = np.flatnonzero(np.r_[True, ~same])
    instant = events.instant[first]
    known = np.minimum.reduceat(np.where(events.kind < 2, events.known, NEVER), first)
    return _Groups(
        events.customer[first],
        instant,
        np.where(known == NEVER, instant, known),
        np.logical_or.reduceat(events.kind == 0, first),
        np.logical_or.reduceat(events.kind < 2, first),
        np.add.reduceat((events.kind == 2).astype(np.int64), first),
    )


def _open_before(groups: _Groups) -> Flags:
    """Return whether a contract was open just before each group of events of one instant.

    A cancellation together with a new start leaves things as they were: what was open is open anew,
    and what was not began and ended. Any other group says what holds after it, so the last such
    group of the customer decides.
    """
    customer, cancels = groups.customer, groups.cancels > 0
    rows = np.arange(len(customer))
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    first = np.maximum.accumulate(np.where(np.r_[True, customer[1:] != customer[:-1]], rows, 0))
    last = np.maximum.accumulate(np.where(groups.begins & cancels, -1, rows))
    before = np.r_[-1, last[:-1]]
    return np.asarray((before >= first) & ~cancels[np.maximum(before, 0)])


def _nth(owner: Integers) -> Integers:
    """Return 0, 1, 2, ... within each run of equal values, which are sorted."""
    rows = np.arange(len(owner), dtype=np.int64)
    if not len(rows):
        return rows
    return np.asarray(
        rows - np.maximum.accumulate(np.where(np.r_[True, owner[1:] != owner[:-1]], rows, 0))
    )

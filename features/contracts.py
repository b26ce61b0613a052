"""Contracts of customers: the events that tell of them, their spells, their state at an as_of.

A contract is open while the customer's last contract event is a start; its spell lasts from the
start to the cancellation (:mod:`stagecast.features.contract_spells` computes them). A cancellation
takes effect at its ``timestamp`` and may have been recorded before: until then the contract is open
and its end is announced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError

Flags = NDArray[np.bool_]

NEVER = int(np.iinfo(np.int64).max)
"""End of a spell that is still open, and the instant of what is not known."""


KINDS = ("starts", "renewals", "ends")
"""Kinds of contract events, in the order of :attr:`ContractEvents.kind`."""


@dataclass(frozen=True)
class Terms:
    """Event types that begin, renew and cancel a contract.

    Parameters
    ----------
    starts
        Types that begin a contract.
    renewals
        Types that are evidence of a contract: they begin one if none is open, except shortly after
        a cancellation (``last_bill_days``).
    ends
        Types that cancel it.
    last_bill_days
        A renewal or purchase less than this many days after a cancellation is the last bill of the
        cancelled contract and begins none. By default a month, the usual period of billing.

    Raises
    ------
    UsageError
        No type begins a contract, no type cancels it, a type does both, a type is blank, or the
        days of the last bill are below 0.
    """

    starts: tuple[str, ...] = ("signup", "subscribe")
    renewals: tuple[str, ...] = ("renew", "purchase")
    ends: tuple[str, ...] = ("cancel",)
    last_bill_days: int = 31

    def __post_init__(self) -> None:
        """Check the types and write them in lower case without blanks, as events of a log are."""
        for name, types in zip(KINDS, self.types, strict=True):
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
        if self.last_bill_days < 0:
            raise UsageError(f"last_bill_days = {self.last_bill_days} must be 0 or more")

    @property
    def types(self) -> tuple[tuple[str, ...], ...]:
        """Types in the order of :attr:`ContractEvents.kind`."""
        return self.starts, self.renewals, self.ends

    def to_json(self) -> dict[str, Any]:
        """Return the terms as JSON data."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Terms:
        """Return the terms that :meth:`to_json` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, Sequence) else value
            for name, value in data.items()
        }
        return cls(**values)


@dataclass(frozen=True)
class ContractEvents:
    """Contract events, ordered by customer and time.

    Parameters
    ----------
    as_of
        Microseconds since 1970, UTC. Events recorded at or after it are left out, and those that
        happened at or after it, except for cancellations that were recorded before.
    customer
        Row of the source's customers, shape (n_events,).
    instant, recorded
        When each event happened (a cancellation: took effect) and when it was recorded,
        microseconds since 1970, UTC. The same where the log does not say.
    kind
        0 for a start, 1 for a renewal, 2 for a cancellation.
    """

    as_of: int
    customer: Integers
    instant: Integers
    recorded: Integers
    kind: Integers

    @property
    def known(self) -> Integers:
        """When each event had happened and was recorded, microseconds since 1970, UTC."""
        return np.maximum(self.instant, self.recorded)

    def of(self, rows: Integers | Flags) -> ContractEvents:
        """Return the events of these rows."""
        columns = (self.customer, self.instant, self.recorded, self.kind)
        return ContractEvents(self.as_of, *(column[rows] for column in columns))


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
    ends_at
        When the open contract ends, where its cancellation was recorded before the as_of;
        microseconds since 1970, UTC, else :data:`NEVER`.
    closed_days
        Days since the last contract ended; NaN with an open one, and where no end is known.
    """

    as_of: int
    open: Flags
    ever_had: Flags
    age_days: Array
    earlier: Array
    ends_at: Integers
    closed_days: Array

    @property
    def announced(self) -> Flags:
        """Mask of the open contracts whose end is known."""
        return np.asarray(self.open & (self.ends_at != NEVER))

    @property
    def at_risk(self) -> Flags:
        """Mask of the open contracts whose end is not known: those that can be predicted."""
        return np.asarray(self.open & (self.ends_at == NEVER))

    @property
    def days_left(self) -> Array:
        """Days from the as_of to a known end, shape (n_customers,); NaN where none is known."""
        days = (self.ends_at - self.as_of) / DAY_MICROSECONDS
        return np.where(self.announced, days, np.nan)

    def of(self, rows: Integers) -> Contracts:
        """Return the entries of the customers in ``rows``.

        Parameters
        ----------
        rows
            Rows of the customers.
        """
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "as_of"}
        return Contracts(self.as_of, **{name: values[rows] for name, values in columns.items()})


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
    announced_end
        End of an open spell whose cancellation was recorded before the as_of and takes effect at or
        after it, microseconds since 1970, UTC; else :data:`NEVER`. Left out: :data:`NEVER` for all.
    notice
        When the cancellation of a spell was recorded, if that was before it took effect; else
        :data:`NEVER`. Left out: :data:`NEVER` for all.
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
    announced_end: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    notice: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        """Fill what was left out: no cancellation was recorded before it took effect."""
        for name in ("announced_end", "notice"):
            if len(getattr(self, name)) != len(self.customer):
                object.__setattr__(self, name, np.full(len(self.customer), NEVER, dtype=np.int64))

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

        These began before it, were known to have begun before it, were not cancelled before it, and
        no cancellation had been recorded by then: an end that is known is no risk.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC.
        """
        return np.asarray(
            (self.start < at) & (self.known < at) & (self.end >= at) & (self.notice >= at)
        )

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
        announced = np.where(
            (self.notice < at) & (self.end >= at),
            np.minimum(self.end, self.announced_end),
            NEVER,
        )
        return replace(
            self,
            as_of=at,
            start=np.minimum(self.start, at),
            end=np.where(self.end < at, self.end, NEVER),
            announced_end=announced,
            notice=np.where(self.notice < at, self.notice, NEVER),
        )

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
        ends_at = np.full(n_customers, NEVER, dtype=np.int64)
        ends_at[self.customer[open_spells]] = self.announced_end[open_spells]
        earlier = (count - is_open).astype(np.float64)
        closed = np.full(n_customers, np.nan)
        over = np.flatnonzero(~self.open)  # by start, so that the last one of a customer remains
        closed[self.customer[over]] = (self.as_of - self.end[over]) / DAY_MICROSECONDS
        closed[is_open] = np.nan
        return Contracts(self.as_of, is_open, ever_had, age, earlier, ends_at, closed)

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

"""The contract spells of a log: when each customer's contracts began and were cancelled, as known at one instant.

A contract is open as long as the last event that says anything of it is a start. So a spell begins at the first start
after none or after a cancellation, and ends at the next cancellation; later starts of an open contract (a renewal, the
purchase of each month) say nothing new. A start after a cancellation opens a new spell, of a customer who came back. A
cancellation while no contract is open ends nothing, and is counted: the contract began before the log did, or it was
cancelled twice.

At one and the same instant (logs of dates have many) a start with nothing open comes before the cancellation: the spell
lasts no time at all. With a contract open, the cancellation ends it, and only a start of the kinds that begin a
contract opens another at once; a renewal or a purchase is the last payment of what was cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import DAY_MICROSECONDS, microseconds
from features.engines.duckdb import HAPPENED, KNOWN
from features.errors import UsageError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

STARTS = ("signup", "subscribe")
"""Events that begin a contract."""

RENEWALS = ("renew", "purchase")
"""Events that show a contract: they begin one where none is open, but not at the instant of a cancellation."""

ENDS = ("cancel",)

NEVER = int(np.iinfo(np.int64).max)
"""The end of a spell that is still open."""


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
    """

    as_of: int
    customers: NDArray[np.object_]
    customer: Integers
    start: Integers
    end: Integers
    known: Integers
    earlier: Integers
    ignored: int

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def open(self) -> NDArray[np.bool_]:
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

    def at_risk(self, at: int) -> NDArray[np.bool_]:
        """Return the spells open at an instant: begun, and known to have, before it, and not cancelled before it."""
        return np.asarray((self.start < at) & (self.known < at) & (self.end >= at))

    def age_days(self, at: Integers | int, spell: Integers | None = None) -> Array:
        """Return the days from the start of each spell, or of those named, to an instant."""
        start = self.start if spell is None else self.start[spell]
        return np.asarray((at - start) / DAY_MICROSECONDS, dtype=np.float64)

    def before(self, at: int) -> Spells:
        """Return the spells as they stood at an earlier instant, all of them, so that rows keep their numbers.

        Those that had not begun then begin at it: they are at risk at no instant up to it.
        """
        at = min(at, self.as_of)
        end = np.where(self.end < at, self.end, NEVER)
        return Spells(
            at, self.customers, self.customer, np.minimum(self.start, at), end, self.known, self.earlier, self.ignored
        )


def spells(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    *,
    starts: Sequence[str] = STARTS,
    renewals: Sequence[str] = RENEWALS,
    ends: Sequence[str] = ENDS,
) -> Spells:
    """Return the contract spells of a log as known at an instant.

    Parameters
    ----------
    connection
        Holds the table ``events`` with ``customer_id``, ``timestamp`` and ``event``, and ``recorded_at`` where there is
        one (:mod:`features.events`). Only rows that happened and were recorded before the as_of are read.
    as_of
        The instant.
    starts, renewals, ends
        Types of events that begin a contract, that show one, and that cancel it; see the module for the difference.

    Raises
    ------
    UsageError
        No type begins or none ends a contract, or one does both.

    >>> with duckdb.connect() as connection:
    ...     _ = connection.execute(
    ...         "create table events as select 'a' as customer_id, unnest(['signup', 'cancel', 'renew']) as event,"
    ...         " unnest([timestamp '2024-01-01', '2024-03-01', '2024-04-01']) as timestamp"
    ...     )
    ...     found = spells(connection, datetime(2024, 5, 1))
    >>> found.earlier.tolist(), found.open.tolist(), found.age_days(found.as_of).tolist()
    ([0, 1], [False, True], [121.0, 30.0])
    """
    _check(starts, renewals, ends)
    at = microseconds(as_of)
    table = _groups_of(connection, at, starts, renewals, ends)
    customers = np.array(table["customers"], dtype=object)
    customer, instant, known = table["customer"], table["instant"], table["known"]
    begins, shows, cancels = table["begins"] > 0, table["shows"] > 0, table["cancels"] > 0
    was_open = _open_before(customer, begins, shows, cancels)
    reopens = was_open & begins & cancels
    opened = np.flatnonzero((~was_open & (begins | shows)) | reopens)
    # what a group of events of one instant ends: the spell open before it, or one that it began itself
    ended = np.flatnonzero(cancels & (was_open | begins | shows))
    start, whose = instant[opened], customer[opened]
    # spells and ends of a customer alternate, so the k-th end is the k-th spell's; what is over is the first
    nth_start, nth_end = _nth(whose), _nth(customer[ended])
    end = np.full(len(opened), NEVER, dtype=np.int64)
    wide = np.int64(len(customer) + 1)
    place = np.searchsorted(whose * wide + nth_start, customer[ended] * wide + nth_end)
    end[place] = instant[ended]
    ignored = int(table["cancels"].sum()) - len(ended)
    return Spells(at, customers, whose, start, end, known[opened], nth_start, ignored)


def _check(starts: Sequence[str], renewals: Sequence[str], ends: Sequence[str]) -> None:
    if not [*starts, *renewals] or not ends:
        raise UsageError("a contract needs a type of event that begins it and one that cancels it; name at least one")
    if both := sorted({*starts, *renewals} & set(ends)):
        raise UsageError(f"'{both[0]}' cannot both begin and cancel a contract; name it on one side")


def _groups_of(
    connection: duckdb.DuckDBPyConnection, at: int, starts: Sequence[str], renewals: Sequence[str], ends: Sequence[str]
) -> dict[str, Any]:
    """Return what each customer's events of one instant say of a contract, in order, and the ids of all customers."""
    columns = {str(row[0]) for row in connection.execute("describe events").fetchall()}
    known = KNOWN if "recorded_at" in columns else HAPPENED
    before = f"from events where {known} < {at}"
    ids: pa.Table = connection.sql(f"select distinct customer_id {before} order by customer_id").to_arrow_table()
    kinds = {"begins": starts, "shows": renewals, "cancels": ends}

    def one_of(types: Sequence[str]) -> str:
        return f"event in ({', '.join('?' * len(types))})" if types else "false"

    counts = ", ".join(f"count(*) filter ({one_of(types)}) as {name}" for name, types in kinds.items())
    everything = [*starts, *renewals, *ends]
    opening = one_of([*starts, *renewals])
    query = f"""select customer_id, {HAPPENED} as instant, {counts},
        coalesce(min({known}) filter ({opening}), {HAPPENED}) as known
        {before} and {one_of(everything)} group by customer_id, timestamp order by customer_id, timestamp"""
    parameters = [*everything, *starts, *renewals, *everything]
    found: pa.Table = connection.sql(query, params=parameters).to_arrow_table()
    names = ids["customer_id"].combine_chunks()
    rows: dict[str, Any] = {
        name: found[name].to_numpy().astype(np.int64) for name in ("instant", "known", "begins", "shows", "cancels")
    }
    positions = pc.index_in(found["customer_id"], value_set=names)
    return {**rows, "customer": positions.to_numpy().astype(np.int64), "customers": names.to_pylist()}


def _open_before(
    customer: Integers, begins: NDArray[np.bool_], shows: NDArray[np.bool_], cancels: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return whether a contract was open just before each group of events of one instant.

    A cancellation together with a new start leaves things as they were: what was open is open anew, and what was not
    began and ended. Any other group says what holds after it, so the last such group of the customer decides.
    """
    rows = np.arange(len(customer))
    first = np.maximum.accumulate(np.where(np.r_[True, customer[1:] != customer[:-1]], rows, 0)) if len(rows) else rows
    says = np.where(begins & cancels, -1, rows)
    last = np.maximum.accumulate(says) if len(rows) else rows
    before = np.r_[-1, last[:-1]] if len(rows) else rows
    return np.asarray((before >= first) & ~cancels[np.maximum(before, 0)]) if len(rows) else np.zeros(0, dtype=bool)


def _nth(owner: Integers) -> Integers:
    """Return 0, 1, 2, ... within each run of equal values, which are sorted."""
    rows = np.arange(len(owner), dtype=np.int64)
    if not len(rows):
        return rows
    return np.asarray(rows - np.maximum.accumulate(np.where(np.r_[True, owner[1:] != owner[:-1]], rows, 0)))

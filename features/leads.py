"""What lead scoring sees of a log: each event with its type and channel, and what was known of a
lead from the start.

    table events  -> :func:`lead_events`       the raw events of a request -> :func:`memory_events`
    table attributes -> :func:`known_at_start` the attributes of a request -> :func:`given_at_start`

A table of customers shows today's state, so models do not learn from it. The exception is a column
that the user promises was known at the first contact and never changed since (origin, landing page,
country of the form): it is named under ``known_at_start``, and no other column can be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from stagecast.features.arrays import Integers
from stagecast.features.attributes import MISSING, Texts
from stagecast.features.clock import microseconds
from stagecast.features.requests import CustomerEvents

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LeadEvents:
    """Events of some customers, ordered by customer and then by instant.

    Parameters
    ----------
    customers
        ids, one per customer.
    customer
        row of ``customers``, one per event.
    instant, known
        when each happened and when it was known, microseconds since 1970.
    types
        names of the event types; ``kind`` is a position in them, one per event.
    channels
        names; ``channel`` is a position in them, one per event, -1 where none was told.
    """

    customers: Texts
    customer: Integers
    instant: Integers
    known: Integers
    types: tuple[str, ...]
    kind: Integers
    channels: tuple[str, ...]
    channel: Integers

    def seen_from(self, as_of: datetime) -> LeadEvents:
        """Return the events that happened and were known before an instant, of the same
        customers.
        """
        at = microseconds(as_of)
        kept = (self.instant < at) & (self.known < at)
        columns = (self.customer[kept], self.instant[kept], self.known[kept])
        return LeadEvents(
            self.customers, *columns, self.types, self.kind[kept], self.channels, self.channel[kept]
        )

    def first_instants(self) -> Integers:
        """Return the instant of each customer's first event; the largest integer for those who
        have none.
        """
        first = np.full(len(self.customers), _NEVER, dtype=np.int64)
        np.minimum.at(first, self.customer, self.instant)
        return first

    def first_of(self, event: str) -> Integers:
        """Return the instant of each customer's first event of one type; the largest integer
        where there is none.
        """
        first = np.full(len(self.customers), _NEVER, dtype=np.int64)
        if event in self.types:
            rows = self.kind == self.types.index(event)
            np.minimum.at(first, self.customer[rows], self.instant[rows])
        return first

    def first_channels(self) -> Texts:
        """Return the channel of each customer's first event, blank where none was told."""
        owners, at = np.unique(self.customer, return_index=True)
        names = np.array([*self.channels, MISSING], dtype=object)
        found = np.full(len(self.customers), MISSING, dtype=object)
        found[owners] = names[self.channel[at]]
        return found


def lead_events(
    con: duckdb.DuckDBPyConnection, as_of: datetime, *, until_purchase: bool = False
) -> LeadEvents:
    """Return every event of the table ``events`` known before the as_of; customers are ordered by
    id.

    Parameters
    ----------
    until_purchase
        Leave out what came after a customer's first purchase: of leads nothing is lost, and buyers
        take no memory.
    """
    before = "epoch_us(greatest(timestamp, coalesce(recorded_at, timestamp)))"
    kept = "where bought is null or instant <= bought" if until_purchase else ""
    table: pa.Table = con.sql(
        f"""
        select customer_id, instant, known, event, channel from (
            select customer_id, epoch_us(timestamp) as instant, {before} as known, event, channel,
                min(case when event = 'purchase' then epoch_us(timestamp) end)
                over (partition by customer_id) as bought
            from events where {before} < {microseconds(as_of)}
        ) {kept} order by customer_id, instant, event, channel
        """
    ).to_arrow_table()
    ids = table["customer_id"].combine_chunks().dictionary_encode()
    kinds = table["event"].combine_chunks().dictionary_encode()
    channels = table["channel"].combine_chunks().dictionary_encode()
    return LeadEvents(
        np.array(ids.dictionary.to_pylist(), dtype=object),
        ids.indices.to_numpy().astype(np.int64),
        table["instant"].to_numpy(),
        table["known"].to_numpy(),
        tuple(kinds.dictionary.to_pylist()),
        kinds.indices.to_numpy().astype(np.int64),
        tuple(channels.dictionary.to_pylist()),
        channels.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64),
    )


def first_channels(con: duckdb.DuckDBPyConnection, source: str) -> Texts:
    """Return the channel of each customer's first event as :meth:`LeadEvents.first_channels` does,
    without the events.

    Parameters
    ----------
    source
        Table or view with ``customer`` (0, 1, 2, ...), ``timestamp``, ``event``, ``channel``; each
        customer has a row.
    """
    table: pa.Table = con.sql(
        f"""select arg_min(coalesce(channel, '{MISSING}'),
            row(timestamp, event, channel is null, channel)) as channel
        from {source} group by customer order by customer"""
    ).to_arrow_table()
    return np.array(table["channel"].to_pylist(), dtype=object)


def memory_events(customers: Sequence[CustomerEvents], as_of: datetime) -> LeadEvents:
    """Return the events of a request known before the as_of; customers in the order of the
    request.
    """
    rows = sorted(
        (
            (
                i,
                microseconds(e.timestamp),
                microseconds(e.recorded_at or e.timestamp),
                e.event,
                e.channel or MISSING,
            )
            for i, one in enumerate(customers)
            for e in one.events
            if e.seen_from(as_of)
        ),
        key=lambda row: (row[0], row[1], row[3], row[4] == MISSING, row[4]),
    )
    types = tuple(sorted({row[3] for row in rows}))
    channels = tuple(sorted({row[4] for row in rows} - {MISSING}))
    kinds, places = (
        {name: k for k, name in enumerate(types)},
        {name: k for k, name in enumerate(channels)},
    )

    def column(values: Sequence[int]) -> Integers:
        return np.array(values, dtype=np.int64)

    return LeadEvents(
        np.array([one.customer_id for one in customers], dtype=object),
        column([row[0] for row in rows]),
        column([row[1] for row in rows]),
        column([max(row[1], row[2]) for row in rows]),
        types,
        column([kinds[row[3]] for row in rows]),
        channels,
        column([places.get(row[4], -1) for row in rows]),
    )

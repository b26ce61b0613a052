"""Events of leads with their types and channels, for lead scoring.

    table events         -> :func:`lead_events`
    events of a request  -> :func:`request_lead_events`
    table attributes     -> :func:`stagecast.features.attributes.table_attribute_texts`
    request's attributes -> :func:`stagecast.features.attributes.request_attribute_texts`

A table of customers shows today's state, so models do not learn from it. The exception is a column
that the user promises was known at the first contact and has not changed since (origin, landing
page, country of the form). Such columns are named under ``known_at_start``; no other column can be
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.attributes import MISSING, Texts
from stagecast.features.clock import microseconds
from stagecast.features.requests import CustomerEvents
from stagecast.features.shop.events import clock_of, events_of

if TYPE_CHECKING:
    import duckdb

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LeadEvents:
    """Events of several customers, ordered by customer and then by time.

    Parameters
    ----------
    customers
        Ids, shape (n_customers,).
    customer
        Row of ``customers``, shape (n_events,).
    instant, known
        When each event happened and when it was known, microseconds since 1970, UTC.
    types
        Names of the event types.
    kind
        Position in ``types``, shape (n_events,).
    channels
        Names of the channels.
    channel
        Position in ``channels``, shape (n_events,); -1 for an event without a channel.
    """

    customers: Texts
    customer: Integers
    instant: Integers
    known: Integers
    types: tuple[str, ...]
    kind: Integers
    channels: tuple[str, ...]
    channel: Integers

    def known_before(self, as_of: datetime) -> LeadEvents:
        """Return the events that happened and were known before ``as_of``, for all customers.

        Parameters
        ----------
        as_of
            The instant.
        """
        at = microseconds(as_of)
        rows = (self.instant < at) & (self.known < at)
        columns = (self.customer[rows], self.instant[rows], self.known[rows])
        return LeadEvents(
            self.customers, *columns, self.types, self.kind[rows], self.channels, self.channel[rows]
        )

    def first_instants(self) -> Integers:
        """Return the time of each customer's first event, microseconds since 1970.

        The largest integer for a customer without events.
        """
        first = np.full(len(self.customers), _NEVER, dtype=np.int64)
        np.minimum.at(first, self.customer, self.instant)
        return first

    def first_instants_of(self, event: str) -> Integers:
        """Return the time of each customer's first event of one type, microseconds since 1970.

        The largest integer for a customer without such an event.

        Parameters
        ----------
        event
            Event type.
        """
        first = np.full(len(self.customers), _NEVER, dtype=np.int64)
        if event in self.types:
            rows = self.kind == self.types.index(event)
            np.minimum.at(first, self.customer[rows], self.instant[rows])
        return first

    def ended(self, at: int, types: Sequence[str]) -> NDArray[np.bool_]:
        """Return which customers have an event before ``at`` that ends a lead.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC.
        types
            Event types that end a lead.
        """
        ended = np.zeros(len(self.customers), dtype=np.bool_)
        for event in types:
            ended |= self.first_instants_of(event) < at
        return ended

    def open_leads(self, at: int, ends_lead: Sequence[str] = ()) -> Integers:
        """Return the rows of the customers who are leads: events, but no purchase and no end.

        Parameters
        ----------
        at
            Microseconds since 1970, UTC; only events before it count.
        ends_lead
            Event types that end a lead.
        """
        begun = (self.first_instants() < at) & (self.first_instants_of("purchase") >= at)
        return np.flatnonzero(begun & ~self.ended(at, ends_lead))

    def first_channels(self) -> Texts:
        """Return the channel of each customer's first event, blank for an event without one."""
        owners, first_rows = np.unique(self.customer, return_index=True)
        names = np.array([*self.channels, MISSING], dtype=object)
        channels = np.full(len(self.customers), MISSING, dtype=object)
        channels[owners] = names[self.channel[first_rows]]
        return channels


def lead_events(
    con: duckdb.DuckDBPyConnection, as_of: datetime, *, until_purchase: bool = False
) -> LeadEvents:
    """Return the events of the table ``events`` known before the as_of, customers ordered by id.

    Parameters
    ----------
    con
        Database of the log.
    as_of
        Events that happened or were recorded at or after it are left out. The result is in shop
        time (:mod:`stagecast.features.shop`).
    until_purchase
        Leave out events after a customer's first purchase: leads have none, and the events of
        buyers then take less memory.
    """
    known = "epoch_us(greatest(timestamp, coalesce(recorded_at, timestamp)))"
    condition = "where bought is null or instant <= bought" if until_purchase else ""
    table: pa.Table = con.sql(
        f"""
        select customer_id, instant, known, event, channel from (
            select customer_id, epoch_us(timestamp) as instant, {known} as known, event, channel,
                min(case when event = 'purchase' then epoch_us(timestamp) end)
                over (partition by customer_id) as bought
            from {events_of(con)} where {known} < {microseconds(clock_of(con).shop(as_of))}
        ) {condition} order by customer_id, instant, event, channel
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
    """Return the channel of each customer's first event, blank for an event without one.

    Gives what :meth:`LeadEvents.first_channels` gives, without loading the events.

    Parameters
    ----------
    con
        Database that has ``source``.
    source
        Table or view with the columns ``customer`` (0, 1, 2, ...), ``timestamp``, ``event`` and
        ``channel``, and at least one row per customer.
    """
    table: pa.Table = con.sql(
        f"""select arg_min(coalesce(channel, '{MISSING}'),
            row(timestamp, event, channel is null, channel)) as channel
        from {source} group by customer order by customer"""
    ).to_arrow_table()
    return np.array(table["channel"].to_pylist(), dtype=object)


class _EventRow(NamedTuple):
    """One event of a request; ``customer`` is the position of its customer in the request."""

    customer: int
    instant: int
    recorded: int
    event: str
    channel: str


def request_lead_events(customers: Sequence[CustomerEvents], as_of: datetime) -> LeadEvents:
    """Return the events of a request known before the as_of, customers in the given order.

    Parameters
    ----------
    customers
        Customers with their events.
    as_of
        Events that happened or were recorded at or after it are left out.
    """
    rows = sorted(
        (
            _EventRow(
                position,
                microseconds(event.timestamp),
                microseconds(event.recorded_at or event.timestamp),
                event.event,
                event.channel or MISSING,
            )
            for position, customer in enumerate(customers)
            for event in customer.events
            if event.is_known_before(as_of)
        ),
        # a missing channel comes last, as nulls do in the table of events
        key=lambda row: (row.customer, row.instant, row.event, row.channel == MISSING, row.channel),
    )
    types = tuple(sorted({row.event for row in rows}))
    channels = tuple(sorted({row.channel for row in rows} - {MISSING}))
    type_positions = {name: k for k, name in enumerate(types)}
    channel_positions = {name: k for k, name in enumerate(channels)}

    def column(values: Sequence[int]) -> Integers:
        return np.array(values, dtype=np.int64)

    return LeadEvents(
        np.array([customer.customer_id for customer in customers], dtype=object),
        column([row.customer for row in rows]),
        column([row.instant for row in rows]),
        column([max(row.instant, row.recorded) for row in rows]),
        types,
        column([type_positions[row.event] for row in rows]),
        channels,
        column([channel_positions.get(row.channel, -1) for row in rows]),
    )

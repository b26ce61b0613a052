"""The state of a log at one as_of as a daily table, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.attributes import CHANNEL, Texts, attribute_kinds, table_attribute_texts
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import SHOP, from_microseconds
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import ContractEvents, Spells, Terms
from stagecast.features.engines import sql
from stagecast.features.engines.duckdb.event_rows import (
    amounts_of,
    contract_events,
    signal_events,
)
from stagecast.features.engines.duckdb.features import features_of
from stagecast.features.engines.duckdb.known_events import KnownEvents, last_event_before
from stagecast.features.engines.duckdb.purchases import Purchases
from stagecast.features.leads import first_channels
from stagecast.features.record import PurchaseDays, Record, SignalTypes


class DailyTable:
    """State of a log at one as_of (the anchor): one row per customer and day.

    Events that happened or were recorded at or after the anchor are left out of the table, so
    nothing computed from it can depend on them.

    Parameters
    ----------
    connection
        Database with the table ``events`` of the event contract
        (:mod:`stagecast.features.events`). The daily table is a temporary table of a cursor.
    anchor
        The as_of. Where a zone says what a day is, it is taken into shop time
        (:mod:`stagecast.features.shop`), in which the whole table stands.
    rows
        First ``rowid`` of ``events`` to use, and the one after the last; None: all rows. Must not
        split a customer.

    Raises
    ------
    NotEnoughDataError
        No event was known before the anchor.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        anchor: datetime,
        rows: tuple[int, int] | None = None,
    ) -> None:
        self._known = KnownEvents(connection, anchor, rows)
        self._purchases = Purchases(self._known)
        self._spells: dict[Terms, Spells] = {}
        self.clock = self._known.clock
        self.anchor = self._known.anchor
        self.shape = self._known.shape
        self.customers = self._known.customers

    def close(self) -> None:
        """Free the memory of the table."""
        self._known.connection.close()

    def features(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return every feature of a catalogue, one row per customer and date.

        Parameters
        ----------
        catalog
            With its parameters set.
        backs
            The dates as whole days before the anchor.

        Returns
        -------
        dict
            ``customer`` (row of :attr:`customers`), ``back`` and the features -> values, shape
            (n_rows,), ordered by date and then by customer; null is NaN.

        Raises
        ------
        UsageError
            The catalogue uses attributes that the log's table of customers does not have.
        """
        return features_of(self._known, catalog, backs)

    def attribute_kinds(self) -> dict[str, str] | None:
        """Return column -> kind of the table of customers; None: the log has no such table."""
        return attribute_kinds(self._known.connection)

    def outcomes(self, horizon_days: int, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the purchases within the horizon after each date, as known at the anchor.

        Parameters
        ----------
        horizon_days
            Length of the horizon.
        backs
            The dates as whole days before the anchor.

        Returns
        -------
        dict
            ``customer``, ``back``, ``orders`` and ``spend`` -> values, one row per customer and
            date with a purchase, in no defined order.
        """
        return self._known.query(sql.outcome_steps(horizon_days, backs, self.shape))

    def purchase_days(self, back: int = 0) -> PurchaseDays:
        """Return the purchase days known ``back`` days before the anchor.

        Parameters
        ----------
        back
            Whole days before the anchor; events recorded later are ignored.
        """
        return self._purchases.days(back)

    def first_events(self, back: int = 0) -> NDArray[np.int64]:
        """Return the time of each customer's first event, microseconds since 1970, UTC.

        Parameters
        ----------
        back
            Whole days before the anchor; events recorded later are ignored.

        Returns
        -------
        array
            Shape (n_customers,); the largest integer for a customer not known at that date.
        """
        first_known = f"min(case when known < {-back} then first_event end)"
        never = np.iinfo(np.int64).max
        query = (
            f"select customer, coalesce({first_known}, {never}) as first_known "
            "from daily group by 1 order by 1"
        )
        columns = self._known.query([sql.Step("first_events", query)])
        return columns["first_known"].astype(np.int64)

    def record(self, signal_types: SignalTypes, back: int = 0) -> Record:
        """Return the facts that stage rules read, as known ``back`` days before the anchor.

        Parameters
        ----------
        signal_types
            Event types of the signals, see
            :meth:`stagecast.features.stages.scheme.Scheme.signal_types`.
        back
            Whole days before the anchor.
        """
        return Record(
            self.purchase_days(back),
            self.first_events(back),
            signal_events(self._known, signal_types, back),
        )

    def contract_events(self, terms: Terms) -> ContractEvents:
        """Return the contract events, see :func:`stagecast.features.contracts.spells`.

        Parameters
        ----------
        terms
            Event types that begin, renew and cancel a contract.
        """
        return contract_events(self._known, terms)

    def spells(self, terms: Terms) -> Spells:
        """Return the contracts of each customer, see :func:`stagecast.features.contracts.spells`.

        They are worked out once for each terms.
        """
        if terms not in self._spells:
            self._spells[terms] = spells(self, terms)
        return self._spells[terms]

    def categories(self, known_at_start: Sequence[str] = ()) -> dict[str, Texts]:
        """Return texts known at the start: ``channel`` of the first event, and attributes.

        Parameters
        ----------
        known_at_start
            Columns of the table of customers.

        Returns
        -------
        dict
            Name -> texts, shape (n_customers,); blank if there is no value.

        Raises
        ------
        UsageError
            The log has no table of customers, or the table has no such column.
        """
        categories = {CHANNEL: first_channels(self._known.connection, "known_events")}
        if known_at_start:
            categories |= table_attribute_texts(
                self._known.connection, self.customers, known_at_start
            )
        return categories

    def amounts_of(
        self, types: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return customers, times and amounts of the events of some types that have an amount.

        Parameters
        ----------
        types
            Event types.

        Returns
        -------
        tuple of arrays
            Row of :attr:`customers`, microseconds since 1970, and amount; shape (n_events,),
            ordered by these.
        """
        return amounts_of(self._known, types)

    def purchase_days_may_differ(self, back: int) -> bool:
        """Tell whether purchase days known at a past date may differ from those at the anchor.

        Only days before the date are compared. They may differ if an event was recorded late, if
        the date is not at midnight UTC, or if a refund since the date reversed an earlier purchase.

        Parameters
        ----------
        back
            The date, as whole days before the anchor.
        """
        return self._purchases.may_differ(back)

    def has_amounts(self) -> bool:
        """Tell whether any purchase has an amount."""
        return self._known.exists("known_events", "event = 'purchase' and amount is not null")

    def last_event(self) -> int:
        """Return the time of the last event before the anchor, microseconds since 1970."""
        last = self.last_event_before(0)
        assert last is not None
        return last

    def last_event_before(self, back: int) -> int | None:
        """Return the time of the last event before a date, microseconds since 1970; None: of none.

        Parameters
        ----------
        back
            Whole days from the date to the anchor.
        """
        return last_event_before(self._known.connection, "known_events", self._known.at, back)

    def next_event(self) -> int | None:
        """Return the time of the first event at the anchor or later, microseconds since 1970; None
        where the log ends before.
        """
        return self._known.next_event()

    def data_cutoff(self) -> datetime:
        """Return the instant of the last event before the anchor, in UTC."""
        return self.clock.instant(from_microseconds(self.last_event()).replace(tzinfo=SHOP))

    def first_event(self) -> int:
        """Return the time of the first event before the anchor, microseconds since 1970."""
        query = "select min(first_event) from daily"
        return int(self._known.connection.execute(query).fetchall()[0][0])

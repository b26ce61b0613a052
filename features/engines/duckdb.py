"""DuckDB engine: the state of a log at one as_of as a daily table, and queries over it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.attributes import CHANNEL, Texts, attribute_kinds, table_attribute_texts
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import NO_ACTIVITY
from stagecast.features.catalog.of_customer import attribute_features, check_table
from stagecast.features.clock import (
    DAY_MICROSECONDS,
    SHOP,
    day_number,
    from_microseconds,
    microseconds,
)
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import ContractEvents, Spells, Terms
from stagecast.features.engines import known_days, sql
from stagecast.features.engines.known_days import KnownDays
from stagecast.features.engines.plain import DailyRows, Dates, plain_features
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import first_channels
from stagecast.features.record import NO_SIGNALS, PurchaseDays, Record, SignalEvents, SignalTypes
from stagecast.features.shop.events import KNOWN, SHOP_EVENTS, clock_of

DIALECT = "duckdb"
HAPPENED = "epoch_us(timestamp)"
RECORDED = "epoch_us(coalesce(recorded_at, timestamp))"


def clock(anchor: int) -> sql.Clock:
    """Return DuckDB's expressions of time for an as_of, microseconds since 1970.

    Parameters
    ----------
    anchor
        The as_of, microseconds since 1970, UTC.
    """
    day, hour = "(cast(timestamp as date) - date '1970-01-01')", "hour(timestamp)"
    return sql.Clock(HAPPENED, KNOWN, day, hour, anchor)


def shape_of(connection: duckdb.DuckDBPyConnection, source: str, anchor: int) -> sql.Shape:
    """Return the shape of events.

    Parameters
    ----------
    connection
        Database that has ``source``.
    source
        Table or view of the events known before the as_of.
    anchor
        The as_of, microseconds since 1970, UTC.
    """

    def largest_sum() -> float:
        return float(connection.execute(sql.largest_sum_query(source)).fetchall()[0][0])

    return sql.shape_of(
        connection.sql(sql.shape_query(source)).to_arrow_table().to_pylist(), largest_sum, anchor
    )


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
        # a cursor has its own temporary tables, so two daily tables of one log do not overwrite
        # each other
        connection = self._connection = connection.cursor()
        self.clock = clock_of(connection)
        self.anchor = anchor if self.clock.is_utc else self.clock.shop(anchor)
        self._at = microseconds(self.anchor)
        events, row = ("events", "rowid") if self.clock.is_utc else (SHOP_EVENTS, "row")
        in_range = "" if rows is None else f"{row} >= {rows[0]} and {row} < {rows[1]} and "
        for view, known in (
            ("known_events", f"{KNOWN} < {self._at}"),
            ("announced_events", f"{HAPPENED} >= {self._at} and {RECORDED} < {self._at}"),
        ):
            connection.execute(
                f"create or replace temp view {view} as select * from {events} "
                f"where {in_range}{known}"
            )
        self.shape = shape_of(connection, "known_events", self._at)
        self._tables: dict[str, sql.Step] = {}
        self._spells: dict[Terms, Spells] = {}
        self._may_differ: dict[int, bool] = {}
        self._create(sql.daily_step(clock(self._at), "known_events", self.shape))
        ids = connection.sql(
            "select rowid as customer, customer_id from ids "
            "where rowid in (select distinct customer from daily) order by 1"
        ).to_arrow_table()
        # customers are numbered by the whole log; those not known yet leave gaps
        self._log_numbers: NDArray[np.int64] = ids["customer"].to_numpy()
        self.customers: NDArray[np.object_] = ids["customer_id"].to_numpy()
        if not len(self.customers):
            raise NotEnoughDataError(
                f"no event stands before the as_of {anchor.isoformat()}; choose a later --as-of"
            )

    def close(self) -> None:
        """Free the memory of the table."""
        self._connection.close()

    def _create(self, step: sql.Step) -> None:
        self._connection.execute(
            f"create or replace temp table {step.name} as {sql.render([step], DIALECT)}"
        )
        self._tables[step.name] = step

    def _exists(self, source: str, where: str) -> bool:
        rows = self._connection.execute(
            f"select exists (select 1 from {source} where {where})"
        ).fetchall()
        return bool(rows[0][0])

    def _query(self, steps: Sequence[sql.Step]) -> dict[str, NDArray[Any]]:
        return self._columns(self._connection.sql(sql.render(steps, DIALECT)).to_arrow_table())

    def _columns(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        columns = {name: table[name].to_numpy() for name in table.column_names}
        columns["customer"] = self._rows_of(columns["customer"])
        return columns

    def _rows_of(self, log_numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows of :attr:`customers` for customers numbered by the whole log."""
        first = self._log_numbers[0]
        if self._log_numbers[-1] - first + 1 == len(self._log_numbers):
            return np.asarray(log_numbers - first)
        return np.asarray(np.searchsorted(self._log_numbers, log_numbers), dtype=np.int64)

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
        if self.shape.plain and not self.shape.wide:
            return self._plain_features(catalog, backs)
        return self._features_by_sql(catalog, backs)

    def _plain_features(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the features of a plain log: its days are computed in SQL, the rest in NumPy."""
        catalog.check_filled()
        computed, absent = sql.partition_aggregates(catalog, self.shape)
        log_columns = {
            str(feature.column).replace("active_day", "activity")
            for feature in computed
            if feature.relation == "log"
        }
        names = sorted({"purchases", "gross_spend", *log_columns} - {"day", "age"})
        columns = ", ".join(f"cast({name} as bigint) as {name}" for name in names)
        daily = self._query([sql.Step("rows", f"select customer, day, {columns} from daily")])
        rows = DailyRows.of(len(self.customers), daily.pop("customer"), daily.pop("day"), daily)
        # the other relations have several rows per day, texts or attributes, so SQL computes them
        sql_features = (
            *(feature for feature in computed if feature.relation in ("types", "values")),
            *attribute_features(catalog),
        )
        by_sql = self._features_by_sql(Catalog(sql_features, {}), backs) if sql_features else {}
        precomputed = {feature.name: by_sql[feature.name] for feature in sql_features}
        threads = int(
            self._connection.execute("select current_setting('threads')").fetchall()[0][0]
        )
        return plain_features(
            catalog, rows, Dates.of(rows, self._at, backs), absent, precomputed, threads
        )

    def _features_by_sql(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        self._create_attributes_view(catalog)
        for step in sql.side_table_steps(catalog, clock(self._at), "known_events", self.shape):
            if self._tables.get(step.name) != step:
                self._create(step)
        steps = sql.snapshot_steps(catalog, self._at, backs, self.shape)
        # DuckDB replaces null by NaN faster than Arrow does
        filled = ", ".join(
            f"""coalesce("{name}", cast('nan' as double)) as "{name}\"""" for name in catalog.names
        )
        columns = self._query(
            [*steps, sql.Step("filled", f"select customer, back, {filled} from snapshot")]
        )
        order = np.argsort(
            columns["back"].astype(np.int64) * len(self.customers) + columns["customer"]
        )
        return {name: values[order] for name, values in columns.items()}

    def _create_attributes_view(self, catalog: Catalog) -> None:
        """Create the view ``known_at_start`` that ``sql.tables.attributes_step`` reads.

        It has the attributes of the customers of this table.
        """
        if not attribute_features(catalog):
            return
        check_table(catalog, self.attribute_kinds())
        self._connection.execute(
            "create or replace temp view known_at_start as "
            "select attributes.* replace (ids.rowid as customer_id) "
            "from attributes join ids using (customer_id) "
            "where ids.rowid in (select customer from daily)"
        )

    def attribute_kinds(self) -> dict[str, str] | None:
        """Return column -> kind of the table of customers; None: the log has no such table."""
        return attribute_kinds(self._connection)

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
        return self._query(sql.outcome_steps(horizon_days, backs, self.shape))

    def purchase_days(self, back: int = 0) -> PurchaseDays:
        """Return the purchase days known ``back`` days before the anchor.

        Parameters
        ----------
        back
            Whole days before the anchor; events recorded later are ignored.
        """
        if self._known_days is not None:
            return self._known_days.before(back)
        return self._purchase_days(f"known < {-back}")

    @cached_property
    def _known_days(self) -> KnownDays | None:
        """The money of each day, held in memory where that is little; None: SQL is asked.

        Without refunds and late records, the query is a filter.
        """
        if self.shape.plain or self.shape.wide:
            return None
        counted = "select count(*) from daily where purchases > 0 or refund > 0"
        if self._connection.execute(counted).fetchall()[0][0] > known_days.MOST_ROWS:
            return None
        columns = self._query([sql.Step("money", known_days.QUERY)])
        return KnownDays(**{name: values.astype(np.int64) for name, values in columns.items()})

    def _purchase_days(self, where: str) -> PurchaseDays:
        last = sql.Step(
            "ordered",
            "select customer, day, cast(spend as double) / 1.0e6 as spend, first_purchase "
            "from purchase_days order by 1, 2",
        )
        columns = self._query([*sql.purchase_day_steps(where, self.shape), last])
        return PurchaseDays(
            columns["customer"].astype(np.int64),
            columns["day"].astype(np.int64),
            columns["spend"],
            columns["first_purchase"].astype(np.int64),
        )

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
        columns = self._query([sql.Step("first_events", query)])
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
            self.purchase_days(back), self.first_events(back), self._signals(signal_types, back)
        )

    def _signals(self, signal_types: SignalTypes, back: int) -> SignalEvents:
        if not signal_types:
            return NO_SIGNALS
        columns = self._events_of(list(signal_types.values()), self._at - back * DAY_MICROSECONDS)
        return SignalEvents(
            tuple(signal_types), columns["customer"], columns["instant"], columns["kind"]
        )

    def contract_events(self, terms: Terms) -> ContractEvents:
        """Return the contract events, see :func:`stagecast.features.contracts.spells`.

        Parameters
        ----------
        terms
            Event types that begin, renew and cancel a contract.
        """
        ends = [(), (), terms.ends]
        past = self._events_of(terms.types, self._at, f", {RECORDED} as recorded")
        ahead = self._events_of(ends, None, f", {RECORDED} as recorded", "announced_events")
        columns = {name: np.r_[values, ahead[name]] for name, values in past.items()}
        order = np.lexsort((columns["kind"], columns["instant"], columns["customer"]))
        return ContractEvents(
            self._at,
            *(columns[name][order] for name in ("customer", "instant", "recorded", "kind")),
        )

    def spells(self, terms: Terms) -> Spells:
        """Return the contracts of each customer, see :func:`stagecast.features.contracts.spells`.

        They are worked out once for each terms.
        """
        if terms not in self._spells:
            self._spells[terms] = spells(self, terms)
        return self._spells[terms]

    def _events_of(
        self,
        types_by_kind: Sequence[Sequence[str] | None],
        known_before: int | None,
        more_columns: str = "",
        source: str = "known_events",
    ) -> dict[str, NDArray[np.int64]]:
        """Return customer, instant and kind of events of known customers, ordered by these.

        An event that belongs to two kinds is returned twice.

        Parameters
        ----------
        types_by_kind
            Event types of kind 0, 1, ...; None: those of activity.
        known_before
            Events known at or after it are left out, microseconds since 1970; None: none are.
        more_columns
            Further columns to select, each after a comma.
        source
            View to read.
        """
        known = (
            "customer in (select customer from daily)"
            if known_before is None
            else f"{KNOWN} < {known_before}"
        )
        queries: list[str] = []
        parameters: list[str] = []
        for kind, types in enumerate(types_by_kind):
            operator, names = ("not in", NO_ACTIVITY) if types is None else ("in", tuple(types))
            if not names:
                continue
            queries.append(
                f"select customer, {HAPPENED} as instant, {kind} as kind{more_columns} "
                f"from {source} where {known} "
                f"and event {operator} ({', '.join('?' * len(names))})"
            )
            parameters += names
        query = " union all ".join(queries) + " order by 1, 2, 3"
        table: pa.Table = self._connection.sql(query, params=parameters).to_arrow_table()
        return {name: values.astype(np.int64) for name, values in self._columns(table).items()}

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
        categories = {CHANNEL: first_channels(self._connection, "known_events")}
        if known_at_start:
            categories |= table_attribute_texts(self._connection, self.customers, known_at_start)
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
        placeholders = ", ".join("?" * len(types))
        query = (
            f"select customer, {HAPPENED} as instant, cast(amount as double) as amount "
            f"from known_events where event in ({placeholders}) and amount is not null "
            "order by 1, 2, 3"
        )
        table: pa.Table = self._connection.sql(query, params=list(types)).to_arrow_table()
        columns = self._columns(table)
        return columns["customer"], columns["instant"].astype(np.int64), columns["amount"]

    def purchase_days_may_differ(self, back: int) -> bool:
        """Tell whether purchase days known at a past date may differ from those at the anchor.

        Only days before the date are compared. They may differ if an event was recorded late, if
        the date is not at midnight UTC, or if a refund since the date reversed an earlier purchase.

        Parameters
        ----------
        back
            The date, as whole days before the anchor.
        """
        if self._at % DAY_MICROSECONDS:
            return True
        if back not in self._may_differ:
            self._may_differ[back] = (
                self.shape.late
                and self._exists("daily", f"happened < {-back} and known >= {-back}")
            ) or self._has_later_refunds(back)
        return self._may_differ[back]

    def _has_later_refunds(self, back: int) -> bool:
        """Tell whether refunds since a date changed the purchase days known at it.

        The date, ``back`` days before the anchor, must be at midnight UTC.
        """
        if not self.shape.refunds:
            return False
        if self._known_days is not None:
            at_date, at_anchor = self.purchase_days(back), self.purchase_days()
        else:
            has_refund = (
                f"customer in (select customer from daily where refund > 0 and happened >= {-back})"
            )
            at_date = self._purchase_days(f"known < {-back} and {has_refund}")
            at_anchor = self._purchase_days(f"known < 0 and {has_refund}")
        is_before_date = at_anchor.day < day_number(self.anchor) - back
        # refunds do not change the first purchase of a day, so it is not compared
        return not all(
            np.array_equal(getattr(at_date, column), getattr(at_anchor, column)[is_before_date])
            for column in ("customer", "day", "spend")
        )

    def has_amounts(self) -> bool:
        """Tell whether any purchase has an amount."""
        return self._exists("known_events", "event = 'purchase' and amount is not null")

    def last_event(self) -> int:
        """Return the time of the last event before the anchor, microseconds since 1970."""
        return int(
            self._connection.execute(f"select max({HAPPENED}) from known_events").fetchall()[0][0]
        )

    def data_cutoff(self) -> datetime:
        """Return the instant of the last event before the anchor, in UTC."""
        return self.clock.instant(from_microseconds(self.last_event()).replace(tzinfo=SHOP))

    def first_event(self) -> int:
        """Return the time of the first event before the anchor, microseconds since 1970."""
        return int(self._connection.execute("select min(first_event) from daily").fetchall()[0][0])

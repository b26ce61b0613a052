"""DuckDB as the engine: what a log said at one instant, as a daily table that every later
question is asked of.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.attributes import CHANNEL, Texts, attribute_kinds
from stagecast.features.attributes import known_at_start as known_at_start_of
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import NO_ACTIVITY
from stagecast.features.catalog.of_customer import check_table, of_customer
from stagecast.features.clock import DAY_MICROSECONDS, day_number, microseconds
from stagecast.features.contracts import ContractEvents, Spells, Terms, spells
from stagecast.features.engines import sql
from stagecast.features.engines.plain import DailyRows, Dates, plain_features
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import first_channels
from stagecast.features.record import NO_SIGNALS, Counted, PurchaseDays, Record, SignalEvents

DIALECT = "duckdb"
HAPPENED = "epoch_us(timestamp)"
KNOWN = "epoch_us(greatest(timestamp, coalesce(recorded_at, timestamp)))"


def clock(anchor: int) -> sql.Clock:
    """Return DuckDB's expressions of time for an as_of in microseconds since 1970."""
    day, hour = "(cast(timestamp as date) - date '1970-01-01')", "hour(timestamp)"
    return sql.Clock(HAPPENED, KNOWN, day, hour, anchor)


def shape_of(connection: duckdb.DuckDBPyConnection, source: str, anchor: int) -> sql.Shape:
    """Return what a table or view of events has, as known at an as_of in microseconds since
    1970.
    """

    def most() -> float:
        return float(connection.execute(sql.most_of_one(source)).fetchall()[0][0])

    return sql.shape_of(
        connection.sql(sql.looked_at(source)).to_arrow_table().to_pylist(), most, anchor
    )


class DailyTable:
    """What was known of each customer before one instant (the anchor), one row per customer and
    day.

    Nothing that happened or was recorded at or after the anchor enters it, so nothing downstream
    can see it.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract (:mod:`stagecast.features.events`); the
        daily table is made beside it.
    anchor
        The as_of.
    rows
        First row of ``events`` to look at, and the one after the last; None: all. Cuts no customer
        in two.

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
        # a cursor has temporary tables of its own, so that two daily tables of one log do not
        # overwrite each other
        connection = self._connection = connection.cursor()
        self.anchor = anchor
        self._at = microseconds(anchor)
        within = "" if rows is None else f"rowid >= {rows[0]} and rowid < {rows[1]} and "
        connection.execute(
            "create or replace temp view known_events as select * from events where "
            f"{within}{KNOWN} < {self._at}"
        )
        self.shape = shape_of(connection, "known_events", self._at)
        self._made: dict[str, sql.Step] = {}
        self._spells: dict[Terms, Spells] = {}
        self._make(sql.daily(clock(self._at), "known_events", self.shape))
        ids = connection.sql(
            "select rowid as customer, customer_id from ids where rowid in (select "
            "distinct customer from daily)"
            " order by 1"
        ).to_arrow_table()
        # numbers of the log, of which some may not be known yet, -> 0, 1, 2, ...
        self._numbers: NDArray[np.int64] = ids["customer"].to_numpy()
        self.customers: NDArray[np.object_] = ids["customer_id"].to_numpy()
        if not len(self.customers):
            raise NotEnoughDataError(
                f"no event stands before the as_of {anchor.isoformat()}; choose a later --as-of"
            )

    def close(self) -> None:
        """Give the table's memory back."""
        self._connection.close()

    def _make(self, step: sql.Step) -> None:
        self._connection.execute(
            f"create or replace temp table {step.name} as {sql.render([step], DIALECT)}"
        )
        self._made[step.name] = step

    def _exists(self, source: str, where: str) -> bool:
        found = self._connection.execute(
            f"select exists (select 1 from {source} where {where})"
        ).fetchall()
        return bool(found[0][0])

    def _query(self, steps: Sequence[sql.Step]) -> dict[str, NDArray[Any]]:
        return self._columns(self._connection.sql(sql.render(steps, DIALECT)).to_arrow_table())

    def _columns(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        columns = {name: table[name].to_numpy() for name in table.column_names}
        columns["customer"] = self._rows_of(columns["customer"])
        return columns

    def _rows_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows of :attr:`customers` for numbers of the log."""
        first = self._numbers[0]
        if self._numbers[-1] - first + 1 == len(self._numbers):
            return np.asarray(numbers - first)
        return np.asarray(np.searchsorted(self._numbers, numbers), dtype=np.int64)

    def features(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return ``customer``, ``back`` and every feature of the catalogue, one row per customer
        and date.

        ``backs`` are the dates as whole days before the anchor. Rows are ordered by date, then
        customer; null is NaN.

        Raises
        ------
        UsageError
            It asks for attributes that the log's table of customers has not.
        """
        if self.shape.plain and not self.shape.wide:
            return self._plain_features(catalog, backs)
        return self._features_by_sql(catalog, backs)

    def _plain_features(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the features of a log of which the days look the same at every date: SQL for
        the days, then NumPy.
        """
        catalog.check_filled()
        asked, absent = sql.present(catalog, self.shape)
        needed = {
            str(f.column).replace("active_day", "activity") for f in asked if f.relation == "log"
        }
        named = sorted({"purchases", "gross_spend", *needed} - {"day", "age"})
        whole = ", ".join(f"cast({name} as bigint) as {name}" for name in named)
        daily = self._query([sql.Step("rows", f"select customer, day, {whole} from daily")])
        rows = DailyRows.of(len(self.customers), daily.pop("customer"), daily.pop("day"), daily)
        # of several rows a day, values of texts and attributes, which the database looks up
        others = (*(f for f in asked if f.relation in ("types", "values")), *of_customer(catalog))
        beside = self._features_by_sql(Catalog(others, {}), backs) if others else {}
        beside = {feature.name: beside[feature.name] for feature in others}
        threads = int(
            self._connection.execute("select current_setting('threads')").fetchall()[0][0]
        )
        return plain_features(
            catalog, rows, Dates.of(rows, self._at, backs), absent, beside, threads
        )

    def _features_by_sql(self, catalog: Catalog, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        self._tell_attributes(catalog)
        for step in sql.tables_beside(catalog, clock(self._at), "known_events", self.shape):
            if self._made.get(step.name) != step:
                self._make(step)
        steps = sql.snapshot(catalog, self._at, backs, self.shape)
        # a null is NaN in NumPy, which the engine fills in faster than Arrow does
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

    def _tell_attributes(self, catalog: Catalog) -> None:
        """Make the view that :func:`stagecast.features.engines.sql.tables.told` reads, of the
        customers of this table.
        """
        if not of_customer(catalog):
            return
        check_table(catalog, self.attribute_kinds())
        self._connection.execute(
            "create or replace temp view known_at_start as select attributes.* replace "
            "(ids.rowid as customer_id)"
            " from attributes join ids using (customer_id) where ids.rowid in (select "
            "customer from daily)"
        )

    def attribute_kinds(self) -> dict[str, str] | None:
        """Return the columns of the table of customers and of what kind each is; None: the log
        came without one.
        """
        return attribute_kinds(self._connection)

    def outcomes(self, horizon_days: int, backs: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return ``customer``, ``back``, ``orders`` and ``spend`` within the horizon after each
        date, in no order.
        """
        return self._query(sql.outcomes(horizon_days, backs, self.shape))

    def purchase_days(self, back: int = 0) -> PurchaseDays:
        """Return every purchase day as known ``back`` days before the anchor, ordered by
        customer and day.
        """
        return self._purchase_days(f"known < {-back}")

    def _purchase_days(self, where: str) -> PurchaseDays:
        last = sql.Step(
            "ordered",
            "select customer, day, cast(spend as double) / 1.0e6 as spend, "
            "first_purchase from purchase_days"
            " order by 1, 2",
        )
        columns = self._query([*sql.purchase_days(where, self.shape), last])
        return PurchaseDays(
            columns["customer"].astype(np.int64),
            columns["day"].astype(np.int64),
            columns["spend"],
            columns["first_purchase"].astype(np.int64),
        )

    def first_events(self, back: int = 0) -> NDArray[np.int64]:
        """Return the instant of each customer's first event, in microseconds since 1970.

        As known ``back`` days before the anchor; the largest integer for those of whom nothing was
        known yet.
        """
        known = f"min(case when known < {-back} then first_event end)"
        never = np.iinfo(np.int64).max
        rows = self._query(
            [
                sql.Step(
                    "f",
                    (
                        f"select customer, coalesce({known}, {never}) as f from daily group "
                        "by 1 order by 1"
                    ),
                )
            ]
        )
        return rows["f"].astype(np.int64)

    def record(self, counted: Counted, back: int = 0) -> Record:
        """Return what the rules of a scheme can see, as known ``back`` days before the anchor.

        ``counted`` are its signals, see
        :meth:`stagecast.features.stages.scheme.Scheme.signal_types`.
        """
        return Record(
            self.purchase_days(back), self.first_events(back), self._signals(counted, back)
        )

    def _signals(self, counted: Counted, back: int) -> SignalEvents:
        if not counted:
            return NO_SIGNALS
        columns = self._events_of(list(counted.values()), self._at - back * DAY_MICROSECONDS)
        return SignalEvents(
            tuple(counted), columns["customer"], columns["instant"], columns["kind"]
        )

    def contract_events(self, terms: Terms) -> ContractEvents:
        """Return the events that tell of contracts, see
        :func:`stagecast.features.contracts.spells`.
        """
        columns = self._events_of(terms.types, self._at, f", {KNOWN} as known")
        return ContractEvents(
            self._at, columns["customer"], columns["instant"], columns["known"], columns["kind"]
        )

    def spells(self, terms: Terms) -> Spells:
        """Return the contracts of each customer, see :func:`stagecast.features.contracts.spells`.

        They are worked out once for each terms.
        """
        if terms not in self._spells:
            self._spells[terms] = spells(self, terms)
        return self._spells[terms]

    def _events_of(
        self, kinds: Sequence[Sequence[str] | None], known: int, beside: str = ""
    ) -> dict[str, NDArray[np.int64]]:
        """Return customer, instant and kind of events known before an instant, in that order, and
        more beside.

        ``kinds`` are the types of each kind; None: those of activity. What counts for two kinds
        stands there twice.
        """
        parts: list[str] = []
        parameters: list[str] = []
        for position, types in enumerate(kinds):
            named, listed = ("not in", NO_ACTIVITY) if types is None else ("in", tuple(types))
            if not listed:
                continue
            parts.append(
                f"select customer, {HAPPENED} as instant, {position} as kind{beside} from "
                "known_events"
                f" where {KNOWN} < {known} and event {named} ({', '.join('?' * len(listed))})"
            )
            parameters += listed
        query = " union all ".join(parts) + " order by 1, 2, 3"
        found: pa.Table = self._connection.sql(query, params=parameters).to_arrow_table()
        return {name: values.astype(np.int64) for name, values in self._columns(found).items()}

    def categories(self, known_at_start: Sequence[str] = ()) -> dict[str, Texts]:
        """Return what was known of each customer from the start: ``channel`` of the first event,
        and columns.

        Raises
        ------
        UsageError
            The log has no table of customers, or it has no such column.
        """
        found = {CHANNEL: first_channels(self._connection, "known_events")}
        if known_at_start:
            found |= known_at_start_of(self._connection, self.customers, known_at_start)
        return found

    def amounts_of(
        self, types: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return customer, instant in microseconds since 1970 and amount of the events of some
        types that have one.
        """
        marks = ", ".join("?" * len(types))
        query = (
            f"select customer, {HAPPENED} as instant, cast(amount as double) as amount "
            "from known_events"
            f" where event in ({marks}) and amount is not null order by 1, 2, 3"
        )
        found: pa.Table = self._connection.sql(query, params=list(types)).to_arrow_table()
        columns = self._columns(found)
        return columns["customer"], columns["instant"].astype(np.int64), columns["amount"]

    def looked_different(self, back: int) -> bool:
        """Tell whether purchase days may have looked different ``back`` days before the anchor.

        They do where something was recorded late, where the date divides a day, and where refunds
        since the date took back what had been bought before it.
        """
        if self._at % DAY_MICROSECONDS:
            return True
        return (
            self.shape.late and self._exists("daily", f"happened < {-back} and known >= {-back}")
        ) or self._taken_back_since(back)

    def _taken_back_since(self, back: int) -> bool:
        """Tell whether refunds since a date, a midnight, changed the purchase days that were
        known at it.
        """
        if not self.shape.refunds:
            return False
        whose = f"customer in (select customer from daily where refund > 0 and happened >= {-back})"
        then, now = (
            self._purchase_days(f"known < {-back} and {whose}"),
            self._purchase_days(f"known < 0 and {whose}"),
        )
        stands = now.day < day_number(self.anchor) - back
        # a day keeps its first purchase whatever is taken back of it
        return not all(
            np.array_equal(getattr(then, column), getattr(now, column)[stands])
            for column in ("customer", "day", "spend")
        )

    def has_amounts(self) -> bool:
        """Tell whether any purchase known says what was paid."""
        return self._exists("known_events", "event = 'purchase' and amount is not null")

    def last_event(self) -> int:
        """Return the instant of the last event known, in microseconds since 1970."""
        return int(
            self._connection.execute(f"select max({HAPPENED}) from known_events").fetchall()[0][0]
        )

    def first_event(self) -> int:
        """Return the instant of the first event known, in microseconds since 1970."""
        return int(self._connection.execute("select min(first_event) from daily").fetchall()[0][0])

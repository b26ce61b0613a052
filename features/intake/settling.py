"""Building of the sorted table ``events``, without duplicates, from ``typed_rows``; the counts.

This module decides what depends on all rows together: duplicates, the form of ids, currencies.
Every step is an aggregate, a sort or a join, which DuckDB can spill to disk, so a log may be many
times larger than the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.intake.counted import counted
from stagecast.features.intake.identity import (
    FLOAT_ID,
    float_ids_warning,
    similar_ids_warning,
)
from stagecast.features.intake.mapping import MONEY_PARTS
from stagecast.features.intake.not_a_log import not_a_log_warning
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.preset_options import describe_preset
from stagecast.features.intake.profit import check_no_profit
from stagecast.features.intake.quarantine import (
    count_by_reason,
    count_flags,
    create_rejected,
    describe_rejected,
    no_valid_row_error,
    rejected_examples,
)
from stagecast.features.intake.reading import LINE_BITS, Loaded, ReadPlan
from stagecast.features.intake.report import DataReport
from stagecast.features.shop.events import create_shop_events, events_of

COLUMNS = {
    "customer_id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "event": "VARCHAR",
    "amount": "DECIMAL(18,6)",
    "channel": "VARCHAR",
    "recorded_at": "TIMESTAMP",
    "event_id": "VARCHAR",
    "category": "VARCHAR",
    "discount": "DECIMAL(18,6)",
    "customer": "BIGINT",
}
"""Columns of the table ``events`` -> DuckDB type.

They are described in :class:`stagecast.features.events.EventLog`.
"""

NOT_NULL_COLUMNS = ("customer_id", "timestamp", "event", "customer")
"""The columns that are never NULL."""


@dataclass(frozen=True)
class Rejections:
    """Counts and examples of the refused rows.

    Parameters
    ----------
    by_first
        Number of rows by their first reason.
    by_any
        Number of rows by any of their reasons.
    examples
        Reason -> hint and examples.
    """

    by_first: dict[str, int]
    by_any: dict[str, int]
    examples: dict[str, dict[str, Any]]


def build_events(
    con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan], loaded: Loaded
) -> DataReport:
    """Create the tables ``events`` and ``rejected`` from ``typed_rows``, and drop ``typed_rows``.

    Parameters
    ----------
    con
        Holds the table ``typed_rows``.
    plans
        The sources, in the order in which they were loaded.
    loaded
        What is known of the sources since their rows were loaded.

    Returns
    -------
    DataReport
        The counts of all rows.

    Raises
    ------
    DataRefusedError
        No row is valid, more rows are refused than allowed, some tables have purchases without
        amounts, or amounts are in several currencies without rates.
    UsageError
        A report currency is given, and the currency of the amounts is not.
    """
    labels = [plan.source.label for plan in plans]
    skipped = loaded.skipped
    options = plans[0].options
    create_rejected(con, labels)
    flags = count_flags(con)
    sources = _count_by_source(con, plans, skipped)
    rows_in = sum(source["rows_in"] for source in sources)
    rows_rejected = sum(source["rows_rejected"] for source in sources)
    rules = {name: text for plan in plans for name, text in plan.options.refuse.items()}
    rejections = Rejections(*count_by_reason(con), rejected_examples(con, rules))
    if not rows_in and sum(skipped) > 0:
        raise _no_row_read_error(labels, sum(skipped), options)
    check_no_profit(
        [plan.parts["amount"] for plan in plans if "amount" in plan.parts],
        rows_in,
        rejections.by_first,
        rejections.examples,
    )
    if rows_in == rows_rejected:
        raise no_valid_row_error(labels, rows_in, rejections.by_first, rejections.examples)
    if rows_rejected > options.max_rejected_rows(rows_in):
        raise _too_many_rejected_error(
            rows_in, rows_rejected, str(options.max_rejected), rejections
        )
    currencies = _count_by_currency(con, plans)
    warnings = [
        f"{source['source']} holds no rows below its header"
        for source in sources
        if not source["rows_in"]
    ]
    warnings += loaded.warnings
    customer_id = _customer_id_sql(con, plans[0].parts["customer"].label, warnings)
    duplicates = _find_duplicates(con, plans, warnings)
    _create_events(con, customer_id)
    day_zone = _day_zone(plans, warnings)
    create_shop_events(con, day_zone)
    similar = similar_ids_warning(con, plans[0].parts["customer"].label)
    warnings += [] if similar is None else [similar]
    _check_amounts(con, plans)
    event_counts = _count_events(con)
    warnings += not_a_log_warning(event_counts["customers"], event_counts["rows_loaded"])
    return DataReport(
        rows_in=rows_in,
        rows_rejected=rows_rejected,
        rows_duplicate=sum(duplicates.values()),
        rows_skipped=sum(skipped),
        rejected_by_reason=rejections.by_first,
        rejected_by_any_reason=rejections.by_any,
        rejected_examples=rejections.examples,
        duplicates=duplicates,
        flags=flags,
        warnings=warnings,
        currency=options.report_currency
        or (next(iter(currencies)) if len(currencies) == 1 else None),
        currencies=currencies,
        has_amounts=any("amount" in plan.parts for plan in plans),
        has_types=any("event" in plan.parts for plan in plans)
        or set(event_counts["event_types"]) != {"purchase"},
        has_recorded_at=any("recorded_at" in plan.parts for plan in plans),
        columns={name: part.label for plan in reversed(plans) for name, part in plan.parts.items()},
        sources=sources,
        preset=describe_preset(plans[0].options),
        zone=day_zone,
        **event_counts,
    )


def _day_zone(plans: Sequence[ReadPlan], warnings: list[str]) -> str:
    """Return the zone whose days are counted; add a warning where sources have several."""
    chosen = plans[0].options.day_zone
    if chosen is not None:
        return chosen
    zones = sorted({plan.options.zone for plan in plans})
    if len(zones) == 1:
        return zones[0]
    warnings.append(
        f"the times of the tables are in several zones ({', '.join(zones)}): days are those of "
        "UTC; give the log one --zone to count the days of that zone"
    )
    return "UTC"


def _count_by_source(
    con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan], skipped: Sequence[int]
) -> list[dict[str, Any]]:
    by_number = con.execute(
        f"""SELECT seq >> {LINE_BITS}, count(*), count(faults) FROM typed_rows GROUP BY 1"""
    ).fetchall()
    counts = {number: (rows, rejected) for number, rows, rejected in by_number}
    return [
        {
            "source": plan.source.label,
            "rows_in": counts.get(number, (0, 0))[0],
            "rows_rejected": counts.get(number, (0, 0))[1],
            "rows_skipped": skipped[number],
        }
        for number, plan in enumerate(plans)
    ]


def _too_many_rejected_error(
    rows_in: int, rejected: int, limit: str, rejections: Rejections
) -> DataRefusedError:
    are = "is" if rejected == 1 else "are"
    lines = [
        f"{rejected:,} of {counted(rows_in, 'row')} {are} refused ({rejected / rows_in:.1%}), more "
        f"than --max-rejected {limit}; "
        "`stagecast check EVENTS --out DIR` without it writes them all to DIR/rejected.parquet",
        *describe_rejected(rejections.by_first, rejections.examples),
    ]
    return DataRefusedError("\n".join(lines))


def _no_row_read_error(
    labels: Sequence[str], skipped: int, options: ReadOptions
) -> DataRefusedError:
    where = f"{', '.join(labels[:3])}: --where holds for none of {counted(skipped, 'row')}"
    if options.preset is None:
        return DataRefusedError(where)
    return DataRefusedError(
        f"{where}: of its rows --preset {options.preset} reads those for which {options.where}. If "
        "the states of the export have other names, such as those of another language, leave the "
        "preset out: map its columns, and name the states with --where"
    )


def _count_by_currency(con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan]) -> dict[str, int]:
    """Return the number of valid rows with money by currency, most frequent first.

    Raises
    ------
    DataRefusedError
        There are several currencies and no report currency, or a currency is not stated.
    UsageError
        A report currency is given, and the currency of the amounts is not.
    """
    plans_with_money = [plan for plan in plans if any(name in plan.parts for name in MONEY_PARTS)]
    if not any("currency" in plan.parts for plan in plans_with_money):
        if plans_with_money and plans[0].options.report_currency is not None:
            raise UsageError(
                "--report-currency and --rates need to know what each amount is in: give "
                "--currency COL, or a text "
                "such as --currency \"'USD'\""
            )
        return {}
    rows = con.execute(
        """SELECT coalesce(currency, 'not stated') AS c, count(*) AS n FROM typed_rows
        WHERE faults IS NULL AND (amount IS NOT NULL OR discount > 0) GROUP BY c ORDER BY n DESC,
        c"""
    ).fetchall()
    by_currency: dict[str, int] = dict(rows)
    if len(by_currency) > 1 and (
        plans[0].options.report_currency is None or "not stated" in by_currency
    ):
        counts = ", ".join(f"{code} {n:,}" for code, n in by_currency.items())
        first = next(code for code in by_currency if code != "not stated")
        rates = ",".join(
            f"{code}=RATE" for code in by_currency if code not in (first, "not stated")
        )
        hint = (
            "name the currency of each source with --currency"
            if "not stated" in by_currency
            else (
                f"give --report-currency {first} --rates {rates}, where RATE is what one "
                f"unit is worth in {first}; "
                f"or read one of them with --where"
            )
        )
        raise DataRefusedError(
            f"amounts in several currencies cannot be added up (rows: {counts}); {hint}"
        )
    return by_currency


def _customer_id_sql(con: duckdb.DuckDBPyConnection, label: str, warnings: list[str]) -> str:
    """Return SQL of the id: without ``.0`` if every id of the log ends in it, else unchanged.

    Adds a warning to ``warnings`` if any id ends in ``.0``.
    """
    id_count, float_count = _fetch_row(
        con,
        f"""SELECT count(*), count(*) FILTER (regexp_full_match(customer_id, '{FLOAT_ID}'))
            FROM typed_rows
        WHERE faults IS NULL""",
    )
    warnings += float_ids_warning(label, float_count, id_count)
    return "left(customer_id, -2)" if 0 < float_count == id_count else "customer_id"


def _find_duplicates(
    con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan], warnings: list[str]
) -> dict[str, int]:
    """Create the table ``dropped`` with the ``seq`` of duplicates; return their number by kind."""
    con.execute("CREATE TABLE dropped (seq BIGINT, kind VARCHAR)")
    if any(plan.options.duplicates == "drop" for plan in plans):
        con.execute(
            """INSERT INTO dropped SELECT seq, 'same_row' FROM (
                SELECT seq, row_number() OVER (PARTITION BY row_key ORDER BY seq) AS nth
                FROM typed_rows
                WHERE faults IS NULL AND row_key IN (
                    SELECT row_key FROM typed_rows WHERE faults IS NULL AND row_key IS NOT NULL
                    GROUP BY row_key HAVING count(*) > 1))
            WHERE nth > 1"""
        )
    if any("event_id" in plan.parts for plan in plans):
        _find_repeated_events(con, plans, warnings)
    return dict(
        con.execute(
            "SELECT kind, count(*) FROM dropped GROUP BY kind ORDER BY kind DESC"
        ).fetchall()
    )


def _find_repeated_events(
    con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan], warnings: list[str]
) -> None:
    has_event_id = "faults IS NULL AND event_id IS NOT NULL"
    event = "event_id"
    if len({plan.table for plan in plans}) > 1:
        # each table numbers its own events: event 7 of one table is not event 7 of another
        event = (
            f"(list_extract({[plan.table for plan in plans]}, CAST((seq >> "
            f"{LINE_BITS}) + 1 AS BIGINT)), event_id)"
        )
    con.execute(
        f"""CREATE TABLE repeated AS
            SELECT typed_rows.* EXCLUDE (faults, raw), {event} AS same_event
            FROM typed_rows
        ANTI JOIN dropped USING (seq) WHERE {has_event_id} AND {event} IN (
            SELECT {event} FROM typed_rows ANTI JOIN dropped USING (seq) WHERE {has_event_id}
            GROUP BY {event} HAVING count(*) > 1)"""
    )
    # keep the row that was known first: one that arrived later must not change earlier snapshots
    known_at = 'greatest("timestamp", coalesce(recorded_at, "timestamp"))'
    con.execute(
        f"""INSERT INTO dropped SELECT seq, 'same_event_id' FROM (
            SELECT seq, row_number() OVER (PARTITION BY same_event ORDER BY {known_at}, seq) AS nth
            FROM repeated)
        WHERE nth > 1"""
    )
    differing_count, example = _fetch_row(
        con,
        """SELECT count(*), min(event_id)
            FROM (SELECT min(event_id) AS event_id FROM repeated GROUP BY same_event
        HAVING count(DISTINCT (customer_id, "timestamp", event, amount)) > 1)""",
    )
    if differing_count:
        warnings.append(
            f"{differing_count:,} event numbers stand on rows that differ in customer, time, type "
            "or amount, such as "
            f"{example!r}; the row that was known first was kept of each"
        )
    con.execute("DROP TABLE repeated")


def _create_events(con: duckdb.DuckDBPyConnection, customer_id: str) -> None:
    """Create the table ``events`` and drop ``typed_rows``; ``customer_id`` is SQL of the id."""
    columns = ", ".join(
        f'"{name}" {kind}{" NOT NULL" if name in NOT_NULL_COLUMNS else ""}'
        for name, kind in COLUMNS.items()
    )
    other_columns = ", ".join(
        f'"{name}"' for name in COLUMNS if name not in ("customer_id", "customer")
    )
    valid_rows = f"""(SELECT {customer_id} AS customer_id, {other_columns} FROM typed_rows ANTI
        JOIN dropped USING (seq)
        WHERE faults IS NULL)"""
    # the rank of an id is its row number in a sorted table, which DuckDB can spill; a window
    # function would hold all ids in memory
    con.execute(
        f"CREATE TABLE ids AS SELECT DISTINCT customer_id FROM {valid_rows} ORDER BY customer_id"
    )
    con.execute(f"CREATE TABLE events ({columns})")
    con.execute(
        f"""INSERT INTO events SELECT customer_id, {other_columns}, ids.rowid AS customer
        FROM {valid_rows} JOIN ids USING (customer_id) ORDER BY customer, {other_columns}"""
    )
    for name in ("typed_rows", "dropped"):
        con.execute(f"DROP TABLE {name}")


def _check_amounts(con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan]) -> None:
    """Refuse a log if some tables have amounts and others have purchases without amounts."""
    labels_without = [plan.source.label for plan in plans if "amount" not in plan.parts]
    if not labels_without or len(labels_without) == len(plans):
        return
    (missing_count,) = _fetch_row(
        con, "SELECT count(*) FROM events WHERE event = 'purchase' AND amount IS NULL"
    )
    if missing_count:
        raise DataRefusedError(
            f"{missing_count:,} purchases have no amount, while others have one; map --amount "
            f"for {', '.join(labels_without[:3])}, "
            f"or give its rows another event than 'purchase'"
        )


def _count_events(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return the fields of the report that describe the loaded events."""
    rows_loaded, customers, first, last = _fetch_row(
        con,
        """SELECT count(*), max(customer) + 1, epoch_us(min("timestamp")),
            epoch_us(max("timestamp")) FROM events""",
    )
    types = dict(
        con.execute(
            "SELECT event, count(*) AS n FROM events GROUP BY event ORDER BY n DESC, event"
        ).fetchall()
    )
    buyers, one_time_buyers = _fetch_row(
        con,
        f"""SELECT count(*), count(*) FILTER (first = last)
            FROM (SELECT min("timestamp")::DATE AS first,
        max("timestamp")::DATE AS last FROM {events_of(con)} WHERE event = 'purchase'
        GROUP BY customer)""",
    )
    return {
        "rows_loaded": rows_loaded,
        "customers": customers,
        "first_event": iso(from_microseconds(first)),
        "last_event": iso(from_microseconds(last)),
        "event_types": types,
        "purchases": types.get("purchase", 0),
        "buyers": buyers,
        "one_time_buyers": one_time_buyers / buyers if buyers else None,
    }


def _fetch_row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Return the only row of a result."""
    # fetch everything: a result that is still open would block the connection
    row: tuple[Any, ...] = con.execute(sql).fetchall()[0]
    return row

"""From ``staged`` to ``events``: duplicates aside, ids of one form, in one order; and the counts of
it all.

Only what can be said of all rows together is decided here. Every step is an aggregate, a sort or a
join, so DuckDB can spill it: a log may be many times larger than the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.intake.mapping import MONEY
from stagecast.features.intake.quarantine import (
    count_by_reason,
    count_flags,
    describe_rejected,
    examples,
    nothing_loaded,
    set_aside,
)
from stagecast.features.intake.reading import LINE_BITS, Input
from stagecast.features.intake.report import DataReport

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
"""The table ``events``: column -> DuckDB type. Times are UTC; see
:class:`stagecast.features.events.EventLog`.
"""

ALWAYS_GIVEN = ("customer_id", "timestamp", "event", "customer")
"""The columns that are never NULL."""

FLOAT_ID = r"\d+\.0"


@dataclass(frozen=True)
class Rejections:
    """What was refused: rows by first reason, rows by any reason, examples with hints."""

    by_first: dict[str, int]
    by_any: dict[str, int]
    shown: dict[str, dict[str, Any]]


def settle(
    con: duckdb.DuckDBPyConnection, inputs: Sequence[Input], skipped: Sequence[int]
) -> DataReport:
    """Part the staged rows into ``events``, ``rejected`` and duplicates, drop ``staged``, and
    return the counts.

    Parameters
    ----------
    skipped
        For each input the rows that ``where`` did not let in.

    Raises
    ------
    DataRefusedError
        Not one sound row, more refused than allowed, or amounts in currencies that cannot be added
        up.
    """
    labels = [one.source.label for one in inputs]
    options = inputs[0].options
    set_aside(con, labels)
    flags = count_flags(con)
    sources = _by_source(con, inputs, skipped)
    rows_in = sum(one["rows_in"] for one in sources)
    rows_rejected = sum(one["rows_rejected"] for one in sources)
    rules = {name: text for one in inputs for name, text in one.options.refuse.items()}
    refused = Rejections(*count_by_reason(con), examples(con, rules))
    if not rows_in and sum(skipped) > 0:
        raise DataRefusedError(
            f"{', '.join(labels[:3])}: --where holds for none of {sum(skipped):,} rows"
        )
    if rows_in == rows_rejected:
        raise nothing_loaded(labels, rows_in, refused.by_first, refused.shown)
    if rows_rejected > options.most_rejected(rows_in):
        raise _too_many(rows_in, rows_rejected, str(options.max_rejected), refused)
    currencies = _currencies(con, inputs)
    warnings = [
        f"{one['source']} holds no rows below its header" for one in sources if not one["rows_in"]
    ]
    customer = _customer_rule(con, inputs[0].parts["customer"].label, warnings)
    duplicates = _find_duplicates(con, inputs, warnings)
    _make_events(con, customer)
    _check_amounts(con, inputs)
    facts = _facts(con)
    return DataReport(
        rows_in=rows_in,
        rows_rejected=rows_rejected,
        rows_duplicate=sum(duplicates.values()),
        rows_skipped=sum(skipped),
        rejected_by_reason=refused.by_first,
        rejected_by_any_reason=refused.by_any,
        rejected_examples=refused.shown,
        duplicates=duplicates,
        flags=flags,
        warnings=warnings,
        currency=options.report_currency
        or (next(iter(currencies)) if len(currencies) == 1 else None),
        currencies=currencies,
        has_amounts=any("amount" in one.parts for one in inputs),
        has_types=any("event" in one.parts for one in inputs)
        or set(facts["event_types"]) != {"purchase"},
        has_recorded_at=any("recorded_at" in one.parts for one in inputs),
        columns={name: part.label for one in reversed(inputs) for name, part in one.parts.items()},
        sources=sources,
        **facts,
    )


def _by_source(
    con: duckdb.DuckDBPyConnection, inputs: Sequence[Input], skipped: Sequence[int]
) -> list[dict[str, Any]]:
    found = con.execute(
        f"""SELECT seq >> {LINE_BITS}, count(*), count(faults) FROM staged GROUP BY 1"""
    ).fetchall()
    counts = {number: (rows, rejected) for number, rows, rejected in found}
    return [
        {
            "source": one.source.label,
            "rows_in": counts.get(number, (0, 0))[0],
            "rows_rejected": counts.get(number, (0, 0))[1],
            "rows_skipped": skipped[number],
        }
        for number, one in enumerate(inputs)
    ]


def _too_many(rows_in: int, rejected: int, limit: str, refused: Rejections) -> DataRefusedError:
    lines = [
        f"{rejected:,} of {rows_in:,} rows are refused ({rejected / rows_in:.1%}), more "
        f"than --max-rejected {limit}; "
        "`stagecast check EVENTS --out DIR` without it writes them all to DIR/rejected.parquet",
        *describe_rejected(refused.by_first, refused.shown),
    ]
    return DataRefusedError("\n".join(lines))


def _currencies(con: duckdb.DuckDBPyConnection, inputs: Sequence[Input]) -> dict[str, int]:
    """Return sound rows with an amount or a discount by currency, most frequent first; several
    need rates.
    """
    with_amounts = [one for one in inputs if any(name in one.parts for name in MONEY)]
    if not any("currency" in one.parts for one in with_amounts):
        if with_amounts and inputs[0].options.report_currency is not None:
            raise UsageError(
                "--report-currency and --rates need to know what each amount is in: give "
                "--currency COL, or a text "
                "such as --currency \"'USD'\""
            )
        return {}
    rows = con.execute(
        """SELECT coalesce(currency, 'not stated') AS c, count(*) AS n FROM staged
        WHERE faults IS NULL AND (amount IS NOT NULL OR discount > 0) GROUP BY c ORDER BY n DESC,
        c"""
    ).fetchall()
    found: dict[str, int] = dict(rows)
    if len(found) > 1 and (inputs[0].options.report_currency is None or "not stated" in found):
        counts = ", ".join(f"{code} {n:,}" for code, n in found.items())
        first = next(code for code in found if code != "not stated")
        others = ",".join(f"{code}=RATE" for code in found if code not in (first, "not stated"))
        what = (
            "name the currency of each source with --currency"
            if "not stated" in found
            else (
                f"give --report-currency {first} --rates {others}, where RATE is what one "
                f"unit is worth in {first}; "
                f"or read one of them with --where"
            )
        )
        raise DataRefusedError(
            f"amounts in several currencies cannot be added up (rows: {counts}); {what}"
        )
    return found


def _customer_rule(con: duckdb.DuckDBPyConnection, label: str, warnings: list[str]) -> str:
    """Return SQL of the id: ``17850.0`` is ``17850`` if every id of the log has that form, else
    it stays.
    """
    given, floats = _one(
        con,
        f"""SELECT count(*), count(*) FILTER (regexp_full_match(customer_id, '{FLOAT_ID}'))
            FROM staged
        WHERE faults IS NULL""",
    )
    if not floats:
        return "customer_id"
    if floats == given:
        warnings.append(
            f"every customer id of {label!r} ends in .0 and was read without it, as a whole number"
        )
        return "left(customer_id, -2)"
    warnings.append(
        f"{floats:,} of {given:,} customer ids of {label!r} end in .0 and were left as "
        "they are, for the "
        f"others do not: is 17850.0 the same customer as 17850?"
    )
    return "customer_id"


def _find_duplicates(
    con: duckdb.DuckDBPyConnection, inputs: Sequence[Input], warnings: list[str]
) -> dict[str, int]:
    """Create ``dropped``, the ``seq`` of every sound row that repeats another; return how many,
    by kind.
    """
    con.execute("CREATE TABLE dropped (seq BIGINT, kind VARCHAR)")
    if any(one.options.duplicates == "drop" for one in inputs):
        con.execute(
            """INSERT INTO dropped SELECT seq, 'same_row' FROM (
                SELECT seq, row_number() OVER (PARTITION BY row_key ORDER BY seq) AS nth FROM staged
                WHERE faults IS NULL AND row_key IN (
                    SELECT row_key FROM staged WHERE faults IS NULL AND row_key IS NOT NULL
                    GROUP BY row_key HAVING count(*) > 1))
            WHERE nth > 1"""
        )
    if any("event_id" in one.parts for one in inputs):
        _find_repeated_events(con, inputs, warnings)
    return dict(
        con.execute(
            "SELECT kind, count(*) FROM dropped GROUP BY kind ORDER BY kind DESC"
        ).fetchall()
    )


def _find_repeated_events(
    con: duckdb.DuckDBPyConnection, inputs: Sequence[Input], warnings: list[str]
) -> None:
    sound = "faults IS NULL AND event_id IS NOT NULL"
    event = "event_id"
    if len({one.table for one in inputs}) > 1:
        # each table counts its own events: number 7 of one is not number 7 of another
        event = (
            f"(list_extract({[one.table for one in inputs]}, CAST((seq >> "
            f"{LINE_BITS}) + 1 AS BIGINT)), event_id)"
        )
    con.execute(
        f"""CREATE TABLE repeated AS SELECT staged.* EXCLUDE (faults, raw), {event} AS same_event
            FROM staged
        ANTI JOIN dropped USING (seq) WHERE {sound} AND {event} IN (
            SELECT {event} FROM staged ANTI JOIN dropped USING (seq) WHERE {sound}
            GROUP BY {event} HAVING count(*) > 1)"""
    )
    # the earliest known of them: a later delivery must not decide what is seen at an as_of before
    # it
    known = 'greatest("timestamp", coalesce(recorded_at, "timestamp"))'
    con.execute(
        f"""INSERT INTO dropped SELECT seq, 'same_event_id' FROM (
            SELECT seq, row_number() OVER (PARTITION BY same_event ORDER BY {known}, seq) AS nth
            FROM repeated)
        WHERE nth > 1"""
    )
    differ, example = _one(
        con,
        """SELECT count(*), min(event_id)
            FROM (SELECT min(event_id) AS event_id FROM repeated GROUP BY same_event
        HAVING count(DISTINCT (customer_id, "timestamp", event, amount)) > 1)""",
    )
    if differ:
        warnings.append(
            f"{differ:,} event numbers stand on rows that differ in customer, time, type "
            "or amount, such as "
            f"{example!r}; the row that was known first was kept of each"
        )
    con.execute("DROP TABLE repeated")


def _make_events(con: duckdb.DuckDBPyConnection, customer: str) -> None:
    columns = ", ".join(
        f'"{name}" {kind}{" NOT NULL" if name in ALWAYS_GIVEN else ""}'
        for name, kind in COLUMNS.items()
    )
    others = ", ".join(f'"{name}"' for name in COLUMNS if name not in ("customer_id", "customer"))
    sound = f"""(SELECT {customer} AS customer_id, {others} FROM staged ANTI
        JOIN dropped USING (seq)
        WHERE faults IS NULL)"""
    # its place in a sorted table is the rank of an id; a window over all of them would have to hold
    # them in memory
    con.execute(
        f"CREATE TABLE ids AS SELECT DISTINCT customer_id FROM {sound} ORDER BY customer_id"
    )
    con.execute(f"CREATE TABLE events ({columns})")
    con.execute(
        f"""INSERT INTO events SELECT customer_id, {others}, ids.rowid AS customer
        FROM {sound} JOIN ids USING (customer_id) ORDER BY customer, {others}"""
    )
    for name in ("staged", "dropped"):
        con.execute(f"DROP TABLE {name}")


def _check_amounts(con: duckdb.DuckDBPyConnection, inputs: Sequence[Input]) -> None:
    """Refuse a log of which some tables have purchases with amounts, and others without."""
    without = [one.source.label for one in inputs if "amount" not in one.parts]
    if not without or len(without) == len(inputs):
        return
    (missing,) = _one(
        con, "SELECT count(*) FROM events WHERE event = 'purchase' AND amount IS NULL"
    )
    if missing:
        raise DataRefusedError(
            f"{missing:,} purchases have no amount, while others have one; map --amount "
            f"for {', '.join(without[:3])}, "
            f"or give its rows another event than 'purchase'"
        )


def _facts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what the report says of the loaded events."""
    loaded, customers, first, last = _one(
        con,
        """SELECT count(*), max(customer) + 1, epoch_us(min("timestamp")),
            epoch_us(max("timestamp")) FROM events""",
    )
    types = dict(
        con.execute(
            "SELECT event, count(*) AS n FROM events GROUP BY event ORDER BY n DESC, event"
        ).fetchall()
    )
    buyers, once = _one(
        con,
        """SELECT count(*), count(*) FILTER (first = last)
            FROM (SELECT min("timestamp")::DATE AS first,
        max("timestamp")::DATE AS last FROM events WHERE event = 'purchase' GROUP BY customer)""",
    )
    return {
        "rows_loaded": loaded,
        "customers": customers,
        "first_event": iso(from_microseconds(first)),
        "last_event": iso(from_microseconds(last)),
        "event_types": types,
        "purchases": types.get("purchase", 0),
        "buyers": buyers,
        "one_time_buyers": once / buyers if buyers else None,
    }


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Return the one row of an aggregate; fetched to the end, for an open result would block the
    connection.
    """
    row: tuple[Any, ...] = con.execute(sql).fetchall()[0]
    return row

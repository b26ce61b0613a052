"""Blocks of source rows in, typed rows and their faults out; all of it SQL over whole blocks.

    source block -> parts (customer, time, ... as text and typed) -> faults -> table ``staged``

``staged`` holds one narrow row per source row. A sound row has ``faults`` NULL; any other keeps every fault found
(reason, column, value) and its source as JSON. What is a duplicate can be said only when all rows are there, so
that is left to :mod:`features.events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from features.errors import UsageError
from features.expressions import Compiled, SourceColumn, column_text, quote_text
from features.mapping import ReadOptions
from features.sources import Source

LARGEST_AMOUNT = 1e11
FIRST_YEAR, LAST_YEAR = 1900, 2200
NO_CUSTOMER = ("nan", "null", "none", "<na>")
"""Texts that other programs write for a missing value; read as a missing customer, whatever their case."""

LINE_BITS = 40
"""``seq`` is the number of the file, then the line in the lowest 40 bits: one order over all files."""

_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_ISO_8601 = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?"
_PLAIN_TIMES = ("____-__-__", "____-__-__ __:__:__", "____-__-__T__:__:__")
"""Shapes that need neither the slower pattern nor the time zone library."""

# DuckDB alone would read 1_000, +-1, inf and nan as numbers, and 2020/1/2, epoch and infinity as times.
_MACROS = f"""
CREATE MACRO as_number(t) AS CASE
    WHEN contains(t, '_') OR contains(t, '+-') THEN NULL
    WHEN isfinite(TRY_CAST(t AS DOUBLE)) THEN TRY_CAST(t AS DOUBLE)
    WHEN regexp_full_match(trim(t), {quote_text(_NUMBER)}) THEN TRY_CAST(t AS DOUBLE) END;
CREATE MACRO as_iso_time(t) AS CASE
    WHEN t >= '0' AND t < ':' AND ({" OR ".join(f"t LIKE {quote_text(shape)}" for shape in _PLAIN_TIMES)})
        THEN TRY_CAST(t AS TIMESTAMP)
    WHEN regexp_full_match(t, {quote_text(_ISO_8601)}) THEN CAST(TRY_CAST(t AS TIMESTAMPTZ) AS TIMESTAMP) END;
"""
_STAGED = """
CREATE TABLE staged (
    seq BIGINT NOT NULL,
    customer_id VARCHAR, "timestamp" TIMESTAMP, event VARCHAR, amount DECIMAL(18,6),
    channel VARCHAR, recorded_at TIMESTAMP, event_id VARCHAR,
    row_key UHUGEINT,
    faults STRUCT(reason VARCHAR, "column" VARCHAR, "value" VARCHAR)[],
    raw VARCHAR
);
"""


@dataclass(frozen=True)
class _Fault:
    """A reason for which a row is refused: when, and which column and value to show."""

    when: str
    reason: str
    column: str
    value: str


def stage(
    con: duckdb.DuckDBPyConnection,
    sources: Sequence[Source],
    resolved: Sequence[dict[str, Compiled]],
    options: ReadOptions,
) -> None:
    """Read every source into the table ``staged``, which this creates.

    Raises
    ------
    UsageError
        A time format that DuckDB cannot use.
    DataRefusedError
        A source that turns out to be damaged while it is read.
    """
    define_macros(con)
    con.execute(_STAGED)
    if options.time_format is not None:
        _check_time_format(con, options.time_format)
    for number, (source, parts) in enumerate(zip(sources, resolved, strict=True)):
        insert = _insert(number, source.columns, parts, options)
        for block in source.blocks():
            if len(block.rows):
                con.register("block", block.rows)
                con.execute(insert)
                con.unregister("block")
            if len(block.malformed):
                con.register("block", block.malformed)
                con.execute(
                    f"""INSERT INTO staged (seq, faults, raw) SELECT {_seq(number)},
                    [{{'reason': 'malformed_line', 'column': NULL, 'value': problem || ': ' || text}}],
                    CAST(to_json(text) AS VARCHAR) FROM block"""
                )
                con.unregister("block")


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Define ``as_number(text)``, a finite or overflowing DOUBLE, and ``as_iso_time(text)``, a TIMESTAMP in UTC.

    Both take what this project calls a number and a time, no more, and give NULL for the rest.
    """
    con.execute(_MACROS)


def _check_time_format(con: duckdb.DuckDBPyConnection, time_format: str) -> None:
    try:
        con.execute(f"SELECT CAST(try_strptime('', {quote_text(time_format)}) AS VARCHAR)").fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--time-format {time_format!r} cannot be used: {reason}") from None


def _seq(number: int) -> str:
    return f"({number}::BIGINT << {LINE_BITS}) | line"


def _insert(number: int, columns: Sequence[SourceColumn], parts: dict[str, Compiled], options: ReadOptions) -> str:
    """Return the statement that stages the rows of the view ``block``: texts, then typed parts, then faults."""
    faults = _faults(parts, options)
    flags = ", ".join(f"coalesce({fault.when}, false) AS f_{i}" for i, fault in enumerate(faults))
    any_fault = " OR ".join(f"f_{i}" for i in range(len(faults)))
    listed = ", ".join(
        f"CASE WHEN f_{i} THEN {{'reason': {quote_text(fault.reason)}, "
        f"'column': {fault.column}, 'value': {fault.value}}} END"
        for i, fault in enumerate(faults)
    )
    raw = ", ".join(f"{quote_text(c.name)}, {_json_value(c)}" for c in columns)
    event, amount = _event_and_amount(parts, options)
    return f"""
    INSERT INTO staged
    SELECT {_seq(number)}, p_customer, p_time, {event}, {amount}, p_channel, p_recorded_at, p_event_id,
        {_row_key(columns) if options.duplicates == "drop" else "NULL"},
        CASE WHEN {any_fault} THEN list_filter([{listed}], lambda fault: fault IS NOT NULL) END,
        CASE WHEN {any_fault} THEN CAST(json_object({raw}) AS VARCHAR) END
    FROM (SELECT *, {flags}
    FROM (SELECT *, {_typed(parts, options)}
    FROM (SELECT *, {_texts(parts)}
    FROM block)))
    """


def _texts(parts: dict[str, Compiled]) -> str:
    """Each part as given, ``t_<part>``; and the text columns that are read as numbers, ``n_<column>``."""
    select = {f"t_{name}": "NULL::VARCHAR" for name in ("recorded_at", "channel", "event_id")}
    for name, part in parts.items():
        if name != "amount":
            text = _id_text(part) if name in ("customer", "event_id") else part.sql
            select[f"t_{name}"] = f"nullif(trim({text}), '')"
    select.setdefault("t_event", "'purchase'")
    if "amount" in parts:
        select |= {f"n_{c.sql}": f"as_number({column_text(c)})" for c in parts["amount"].as_numbers}
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def _typed(parts: dict[str, Compiled], options: ReadOptions) -> str:
    """Each part typed, ``p_<part>``, NULL where it cannot be; and the amount exactly, ``d_amount``."""
    unread = ", ".join(quote_text(word) for word in NO_CUSTOMER)
    amount = parts.get("amount")
    number = "NULL::DOUBLE"
    exact = "CAST(NULL AS DECIMAL(18,6))"
    if amount is not None:
        number, exact = amount.sql, f"TRY_CAST({amount.sql} AS DECIMAL(18,6))"
        bare = amount.bare
        if bare is not None and bare.kind == "text":
            # Text goes to DECIMAL without a detour: 17 digits would not survive DOUBLE.
            direct = f"CASE WHEN {number} IS NOT NULL THEN TRY_CAST({bare.sql} AS DECIMAL(18,6)) END"
            exact = f"coalesce({direct}, {exact})"
    select = {
        "p_customer": f"CASE WHEN lower(t_customer) NOT IN ({unread}) THEN t_customer END",
        "p_time": _time(parts.get("time"), "t_time", options.time_format),
        "p_recorded_at": _time(parts.get("recorded_at"), "t_recorded_at", options.time_format),
        "p_channel": "t_channel",
        "p_event_id": "t_event_id",
        "p_event": "lower(t_event)",
        "p_amount": number,
        "d_amount": exact,
    }
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def _id_text(part: Compiled) -> str:
    """An id as text: an integral number without exponent, ``17850.0`` for a DOUBLE, so that one rule serves all."""
    column = part.bare
    if column is None or column.kind != "number":
        return part.sql
    whole = f"try_cast({column.sql} AS BIGINT)"
    text = f"CAST({column.sql} AS VARCHAR)"
    return f"CASE WHEN {text} LIKE '%e%' AND {whole} = {column.sql} THEN {whole} || '.0' ELSE {text} END"


def _time(part: Compiled | None, text: str, time_format: str | None) -> str:
    if part is None:
        return "NULL::TIMESTAMP"
    if part.bare is not None and part.bare.kind == "time":
        return f"TRY_CAST({part.bare.sql} AS TIMESTAMP)"
    if time_format is None:
        return f"as_iso_time({text})"
    return f"CAST(try_strptime({text}, {quote_text(time_format)}) AS TIMESTAMP)"


def _faults(parts: dict[str, Compiled], options: ReadOptions) -> list[_Fault]:
    """Every fault a row can have on its own, in the order in which the first one is chosen."""
    customer, time = parts["customer"], parts["time"]
    faults = [
        _Fault("p_customer IS NULL", "missing_customer", quote_text(customer.label), "t_customer"),
        _Fault("t_time IS NULL", "missing_time", quote_text(time.label), "t_time"),
        _Fault("t_time IS NOT NULL AND p_time IS NULL", "unreadable_time", quote_text(time.label), "t_time"),
        _Fault(_absurd("p_time"), "absurd_time", quote_text(time.label), "t_time"),
    ]
    if "event" in parts:
        faults.append(_Fault("p_event IS NULL", "missing_event", quote_text(parts["event"].label), "t_event"))
    if "amount" in parts:
        faults += _amount_faults(parts["amount"], options)
    if "recorded_at" in parts:
        recorded = quote_text(parts["recorded_at"].label)
        unread = f"(t_recorded_at IS NOT NULL AND p_recorded_at IS NULL) OR {_absurd('p_recorded_at')}"
        faults.append(_Fault(unread, "unreadable_recorded_at", recorded, "t_recorded_at"))
    return faults


def _absurd(instant: str) -> str:
    years = f"year({instant}) NOT BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
    return f"({instant} IS NOT NULL AND (NOT isfinite({instant}) OR {years}))"


def _amount_faults(amount: Compiled, options: ReadOptions) -> list[_Fault]:
    column = quote_text(amount.label)
    shown = column_text(amount.bare) if amount.bare is not None else "CAST(round(p_amount, 6) AS VARCHAR)"
    unread = [f"({_blank_to_null(c)} IS NOT NULL AND n_{c.sql} IS NULL)" for c in amount.as_numbers]
    unreadable = " OR ".join(unread) or "false"
    faults = []
    if unread:
        pairs = list(zip(unread, amount.as_numbers, strict=True))
        which = " ".join(f"WHEN {bad} THEN {quote_text(c.name)}" for bad, c in pairs)
        what = " ".join(f"WHEN {bad} THEN {c.sql}" for bad, c in pairs)
        faults.append(_Fault(unreadable, "unreadable_amount", f"CASE {which} END", f"CASE {what} END"))
    blank = [f"WHEN {_blank_to_null(c)} IS NULL THEN {quote_text(c.name)}" for c in amount.columns]
    where = f"CASE {' '.join(blank)} ELSE {column} END" if blank else column
    missing = f"p_event = 'purchase' AND p_amount IS NULL AND NOT ({unreadable})"
    absurd = f"p_amount IS NOT NULL AND (NOT isfinite(p_amount) OR abs(p_amount) > {LARGEST_AMOUNT!r})"
    faults.append(_Fault(missing, "missing_amount", where, "NULL::VARCHAR"))
    faults.append(_Fault(absurd, "absurd_amount", column, shown))
    if options.negative_amounts == "refuse":
        faults.append(_Fault("p_event = 'purchase' AND p_amount < 0", "negative_amount", column, shown))
    return faults


def _blank_to_null(column: SourceColumn) -> str:
    return f"nullif(trim({column_text(column)}), '')"


def _event_and_amount(parts: dict[str, Compiled], options: ReadOptions) -> tuple[str, str]:
    """The type, and the amount: that of a refund is a magnitude, however the source signs it."""
    event = "p_event"
    if "amount" in parts and options.negative_amounts == "refund":
        event = "CASE WHEN p_event = 'purchase' AND p_amount < 0 THEN 'refund' ELSE p_event END"
    return event, f"CASE WHEN ({event}) = 'refund' THEN abs(d_amount) ELSE d_amount END"


def _json_value(column: SourceColumn) -> str:
    return column.sql if column.kind in ("text", "number") else f"CAST({column.sql} AS VARCHAR)"


def _row_key(columns: Sequence[SourceColumn]) -> str:
    """128 bits of all source columns: each value with its name and length, so that no two rows run together."""
    cells = []
    for column in sorted(columns, key=lambda c: c.name):
        text = column_text(column)
        cells.append(f"{quote_text(column.name + '=')} || strlen({text}) || ':' || {text}")
    return f"md5_number(concat({', '.join(cells)}))"

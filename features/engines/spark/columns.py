"""Typed columns of the event contract on Spark, read as strictly as DuckDB reads them.

Each part of an event becomes a typed column, and beside it, under ``t_<name>``, its text, with
which :mod:`stagecast.features.engines.spark.rules` tells a blank from a value that is unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stagecast.features.errors import DataRefusedError, did_you_mean
from stagecast.features.intake.identity import EXACT_DOUBLE, EXACT_FLOAT
from stagecast.features.intake.mapping import option_of
from stagecast.features.intake.time_hints import unit_of
from stagecast.features.intake.values import ISO_PATTERNS, NUMBER_PATTERN
from stagecast.features.shop.customer_ids import BLANKS, NO_CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

COLUMNS = {
    "customer_id": "string",
    "timestamp": "timestamp",
    "event": "string",
    "amount": "decimal(18,6)",
    "channel": "string",
    "recorded_at": "timestamp",
    "category": "string",
    "discount": "decimal(18,6)",
}
"""Column of the event contract -> its Spark type."""
TIMES = ("timestamp", "recorded_at")
MONEY = ("amount", "discount")
# column of the event contract -> the part of the mapping that it holds, where the two differ
_PARTS = {"customer_id": "customer", "timestamp": "time"}
_TIME_KINDS = ("timestamp", "timestamp_ntz", "date")
# unit of numbers since 1970 -> Spark's function that reads them
_UNIT_FUNCTIONS = {
    "unix": "timestamp_seconds",
    "unix-ms": "timestamp_millis",
    "unix-us": "timestamp_micros",
    "unix-ns": "timestamp_micros",
}


def source_expressions(rows: DataFrame, mapping: Mapping[str, str | None]) -> dict[str, str]:
    """Return column of the event contract -> Spark SQL expression over the source's columns.

    Parameters
    ----------
    rows
        Rows of the source.
    mapping
        As of :func:`stagecast.features.engines.spark.reading.read`.

    Raises
    ------
    DataRefusedError
        The source has no customer or no time.
    """
    expressions = {}
    for name in COLUMNS:
        expression = mapping.get(_PARTS.get(name, name))
        if expression is not None:
            expressions[name] = expression
        elif name in rows.columns:
            expressions[name] = f"`{name}`"
    for name in ("customer_id", "timestamp"):
        if name not in expressions:
            raise DataRefusedError(
                f"no column '{name}' among {', '.join(rows.columns)}; name it with "
                f"{option_of(_PARTS[name])} COL.{did_you_mean(name, rows.columns)}"
            )
    return expressions


def kinds_of(rows: DataFrame, expressions: Mapping[str, str]) -> dict[str, str]:
    """Return column of the event contract -> Spark's type of its expression.

    Raises
    ------
    DataRefusedError
        A time is a number: it names the function that reads its unit.
    """
    typed = rows.selectExpr(*(f"({text}) AS {name}" for name, text in expressions.items()))
    kinds = {field.name: field.dataType.simpleString() for field in typed.schema.fields}
    for name in TIMES:
        if name in kinds and kinds[name] not in (*_TIME_KINDS, "string", "void"):
            raise _number_as_time_error(typed, name, expressions[name], kinds[name])
    return kinds


def _number_as_time_error(
    typed: DataFrame, name: str, expression: str, kind: str
) -> DataRefusedError:
    option = option_of(_PARTS.get(name, name))
    texts = [
        row["value"]
        for row in typed.selectExpr(f"cast(cast({name} as decimal(38,0)) as string) AS value")
        .filter("value is not null")
        .limit(100)
        .collect()
    ]
    unit = unit_of(texts)
    function = _UNIT_FUNCTIONS.get(str(unit))
    hint = (
        f"{option} '{function}({expression}{' div 1000' if unit == 'unix-ns' else ''})'"
        if function is not None
        else f"{option} 'timestamp_seconds(...)', or another expression that gives a timestamp"
    )
    value = f", such as {texts[0]}" if texts else ""
    return DataRefusedError(
        f"{option} {expression}: its values are of type {kind}{value}, and no times; "
        f"--engine spark reads them with {hint}"
    )


def typed_columns(expressions: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, Column]:
    """Return the columns of the event contract, and their texts; what cannot be read is null.

    Parameters
    ----------
    expressions
        Column of the event contract -> Spark SQL expression.
    kinds
        Its type, as :func:`kinds_of` returns it.
    """
    from pyspark.sql import functions as sf

    columns: dict[str, Column] = {}
    for name, kind in COLUMNS.items():
        if name not in expressions:
            columns[name] = sf.lit("purchase" if name == "event" else None).cast(kind)
            columns[f"t_{name}"] = sf.lit(None).cast("string")
            continue
        text = _text(name, expressions[name], kinds[name])
        columns[f"t_{name}"] = sf.expr(text)
        columns[name] = sf.expr(_typed(name, kind, expressions[name], kinds[name], text))
    return columns


def _text(name: str, expression: str, kind: str) -> str:
    """Return SQL of a part as text; NULL where it is blank."""
    if name != "customer_id":
        return f"nullif(trim(cast(({expression}) as string)), '')"
    text = f"nullif(trim(BOTH '{_escaped(BLANKS)}' FROM cast(({expression}) as string)), '')"
    limit = {"double": EXACT_DOUBLE, "float": EXACT_FLOAT}.get(kind)
    if limit is None:
        return text
    # Spark writes floats with an exponent from ten million on
    number = f"({expression})"
    return (
        f"CASE WHEN abs({number}) < {limit} AND {number} = floor({number}) THEN "
        f"concat(cast(cast({number} AS bigint) AS string), '.0') ELSE {text} END"
    )


def _escaped(characters: str) -> str:
    return "".join(rf"\u{ord(character):04x}" for character in characters)


def _typed(name: str, kind: str, expression: str, source_kind: str, text: str) -> str:
    """Return SQL of a part in its type; NULL where it cannot be read."""
    if name == "customer_id":
        words = ", ".join(f"'{word}'" for word in NO_CUSTOMER)
        return f"CASE WHEN lower({text}) NOT IN ({words}) THEN {text} END"
    if name == "event":
        return f"lower({text})"
    if kind == "string":
        return text
    typed = f"try_cast(({expression}) as {kind})"
    if source_kind == "string":
        patterns = ISO_PATTERNS if name in TIMES else (NUMBER_PATTERN,)
        forms = " OR ".join(f"{text} RLIKE r'^({pattern})$'" for pattern in patterns)
        if name in TIMES:
            text = _for_spark(text)
        typed = f"CASE WHEN {forms} THEN try_cast({text} as {kind}) END"
    return f"abs({typed})" if name == "discount" else typed


def _for_spark(time: str) -> str:
    """Return SQL of a time in ISO 8601 as Spark reads it: no blank before a zone, and seconds."""
    for blank, zone in ((" UTC", "Z"), (" +", "+"), (" -", "-")):
        time = f"replace({time}, '{blank}', '{zone}')"
    return f"regexp_replace({time}, r'^(.{{16}})(Z|[+-]|$)', '$1:00$2')"


def too_large(name: str, largest: float) -> str:
    """Return SQL of whether money is infinite, NaN or beyond a size; such money may not be read.

    Parameters
    ----------
    name
        ``amount`` or ``discount``.
    largest
        Largest size.
    """
    number = f"try_cast(t_{name} as double)"
    is_number = f"(t_{name} RLIKE r'^({NUMBER_PATTERN}|[+-]?Infinity|NaN)$')"
    return f"({is_number} AND (isnan({number}) OR abs({number}) > {largest!r}D))"

"""SQL of the parts of an event: as text, then typed; amounts exactly and in one currency.

The column ``t_<part>`` holds the text of a part, ``p_<part>`` its typed value, and ``d_<part>`` the
exact decimal of an amount or a discount.
"""

from __future__ import annotations

from collections.abc import Mapping

from stagecast.features.intake import values
from stagecast.features.intake.expressions import Compiled, quote_text
from stagecast.features.intake.mapping import MONEY_PARTS
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.zones import is_utc
from stagecast.features.shop.customer_ids import BLANKS, NO_CUSTOMER

OPTIONAL_TEXTS = ("recorded_at", "channel", "event_id", "currency", "product", "category")
"""Parts that are texts and that a source may lack."""

Parts = Mapping[str, Compiled]
"""Part of an event -> its column or expression."""


def text_columns(parts: Parts) -> str:
    """Return SQL of the columns ``t_<part>``: the text of each part, NULL where it is blank."""
    select = {f"t_{name}": "NULL::VARCHAR" for name in OPTIONAL_TEXTS}
    select |= {
        f"t_{name}": _text(name, part) for name, part in parts.items() if name not in MONEY_PARTS
    }
    select.setdefault("t_event", "'purchase'")
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def is_time(part: Compiled) -> bool:
    """Return whether the part is a column of times; ``t_<part>`` is then the column as text."""
    return part.single_column is not None and part.single_column.kind in ("time", "instant")


def _text(name: str, part: Compiled) -> str:
    text = values.id_text(part) if name in ("customer", "event_id") else part.sql
    kind = "other" if part.single_column is None else part.single_column.kind
    if kind in ("number", "time", "instant"):
        return text
    if name != "customer":
        return f"nullif(trim({text}), '')"
    trimmed = f"trim({text}, {quote_text(BLANKS)})"
    if kind == "text":
        # few ids have blanks, and to search for them is faster than to trim a list of characters
        has_blank = " OR ".join(f"contains({text}, {quote_text(blank)})" for blank in BLANKS)
        trimmed = f"CASE WHEN {has_blank} THEN {trimmed} ELSE {text} END"
    return f"nullif({trimmed}, '')"


def typed_columns(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the columns ``p_<part>`` and ``d_<part>``; NULL where a text has no value.

    Needs the columns of :func:`text_columns` and, if the zone of the options is not UTC, the times
    ``z_time`` and ``z_recorded_at`` in UTC.
    """
    missing_words = ", ".join(quote_text(word) for word in NO_CUSTOMER)
    has_zone = not is_utc(options.zone)
    times = {
        name: f"z_{name}" if has_zone else values.utc_time(parts.get(name), f"t_{name}", options)
        for name in ("time", "recorded_at")
    }
    select = {
        "p_customer": f"CASE WHEN lower(t_customer) NOT IN ({missing_words}) THEN t_customer END",
        "p_time": times["time"],
        "p_recorded_at": times["recorded_at"],
        "p_channel": "t_channel",
        "p_event_id": "t_event_id",
        "p_category": "t_category",
        "p_event": "lower(t_event)",
        "p_currency": (
            "CASE WHEN regexp_full_match(upper(t_currency), '[A-Z]{3}') THEN upper(t_currency) END"
        ),
    }
    for name in MONEY_PARTS:
        part = parts.get(name)
        select[f"p_{name}"] = "NULL::DOUBLE" if part is None else part.sql
        select[f"d_{name}"] = (
            "NULL::DECIMAL(18,6)" if part is None else values.exact_amount(part, options)
        )
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def event(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the event type; a purchase with a negative amount may be read as a refund."""
    if "amount" in parts and options.negative_amounts == "refund":
        return "CASE WHEN p_event = 'purchase' AND p_amount < 0 THEN 'refund' ELSE p_event END"
    return "p_event"


def amount(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the amount in the currency of the report; of a refund, its absolute value."""
    exact = _converted("d_amount", parts, options)
    return f"CASE WHEN ({event(parts, options)}) = 'refund' THEN abs({exact}) ELSE {exact} END"


def discount(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the absolute value of the discount in the currency of the report."""
    return f"abs({_converted('d_discount', parts, options)})"


def currency(parts: Parts) -> str:
    """Return SQL of the currency, NULL if the source has no currency or no amounts."""
    return "p_currency" if _has_currency(parts) else "NULL"


def money(parts: Parts) -> list[Compiled]:
    """Return the parts that are amounts of money."""
    return [parts[name] for name in MONEY_PARTS if name in parts]


def rate(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the rate from the row's currency to that of the report, NULL if unknown."""
    if not _converts(parts, options):
        return "CAST(1 AS DOUBLE)"
    rates = {**options.rates, str(options.report_currency): 1.0}
    cases = " ".join(
        f"WHEN {quote_text(code)} THEN CAST({rate!r} AS DOUBLE)" for code, rate in rates.items()
    )
    return f"CASE p_currency {cases} END"


def _converted(exact: str, parts: Parts, options: ReadOptions) -> str:
    if not _converts(parts, options):
        return exact
    # p_rate is NULL for a row without a currency; such a row may have a discount of 0
    return (
        f"CASE WHEN coalesce(p_rate, 1) = 1 THEN {exact} ELSE TRY_CAST(p_rate * "
        f"{exact} AS DECIMAL(18,6)) END"
    )


def _has_currency(parts: Parts) -> bool:
    return "currency" in parts and bool(money(parts))


def _converts(parts: Parts, options: ReadOptions) -> bool:
    return options.report_currency is not None and _has_currency(parts)

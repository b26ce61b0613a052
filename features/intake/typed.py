"""What the parts of an event become: each as text, then typed; money exactly, and in one currency.
All of it SQL.

A part as it was given is ``t_<part>``, as it was read ``p_<part>``; money without loss is
``d_<part>``.
"""

from __future__ import annotations

from collections.abc import Mapping

from stagecast.features.intake import values
from stagecast.features.intake.expressions import Compiled, quote_text
from stagecast.features.intake.mapping import MONEY
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.reasons import NO_CUSTOMER
from stagecast.features.intake.zones import is_utc

BLANKS = " \t\r\n\u00a0"
"""What is cut off at the ends of an id; an id of nothing else is none."""

OPTIONAL = ("recorded_at", "channel", "event_id", "currency", "product", "category")
"""The texts that a source may lack."""

Parts = Mapping[str, Compiled]


def texts(parts: Parts) -> str:
    """Return SQL of each part as given, ``t_<part>``."""
    select = {f"t_{name}": "NULL::VARCHAR" for name in OPTIONAL}
    select |= {f"t_{name}": _text(name, part) for name, part in parts.items() if name not in MONEY}
    select.setdefault("t_event", "'purchase'")
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def is_time(part: Compiled) -> bool:
    """Return whether the part is a column of times; as given, it is the text of that column."""
    return part.bare is not None and part.bare.kind in ("time", "instant")


def _text(name: str, part: Compiled) -> str:
    text = values.id_text(part) if name in ("customer", "event_id") else part.sql
    kind = "other" if part.bare is None else part.bare.kind
    if kind in ("number", "time", "instant"):
        return text
    if name != "customer":
        return f"nullif(trim({text}), '')"
    trimmed = f"trim({text}, {quote_text(BLANKS)})"
    if kind == "text":
        # few ids have blanks, and to look for one is faster than to cut off what stands in a list
        found = " OR ".join(f"contains({text}, {quote_text(blank)})" for blank in BLANKS)
        trimmed = f"CASE WHEN {found} THEN {trimmed} ELSE {text} END"
    return f"nullif({trimmed}, '')"


def types(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of each part typed, ``p_<part>``, NULL where it cannot be; and of money
    exactly, ``d_<part>``.
    """
    unread = ", ".join(quote_text(word) for word in NO_CUSTOMER)
    zoned = not is_utc(options.zone)
    times = {
        name: f"z_{name}" if zoned else values.iso_utc(parts.get(name), f"t_{name}", options)
        for name in ("time", "recorded_at")
    }
    select = {
        "p_customer": f"CASE WHEN lower(t_customer) NOT IN ({unread}) THEN t_customer END",
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
    for name in MONEY:
        part = parts.get(name)
        select[f"p_{name}"] = "NULL::DOUBLE" if part is None else part.sql
        select[f"d_{name}"] = (
            "NULL::DECIMAL(18,6)" if part is None else values.exact_amount(part, options)
        )
    return ", ".join(f"{sql} AS {name}" for name, sql in select.items())


def event(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the type: a purchase, or a refund where a negative amount means one."""
    if "amount" in parts and options.negative_amounts == "refund":
        return "CASE WHEN p_event = 'purchase' AND p_amount < 0 THEN 'refund' ELSE p_event END"
    return "p_event"


def amount(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the amount in the currency of the report: that of a refund is a magnitude,
    whatever its sign.
    """
    found = _converted("d_amount", parts, options)
    return f"CASE WHEN ({event(parts, options)}) = 'refund' THEN abs({found}) ELSE {found} END"


def discount(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of the discount in the currency of the report: a magnitude, whatever its sign."""
    return f"abs({_converted('d_discount', parts, options)})"


def currency(parts: Parts) -> str:
    """Return SQL of the currency, NULL for rows without money."""
    return "p_currency" if _has_currency(parts) else "NULL"


def money(parts: Parts) -> list[Compiled]:
    """Return the parts that are money."""
    return [parts[name] for name in MONEY if name in parts]


def rate(parts: Parts, options: ReadOptions) -> str:
    """Return SQL of what a unit of the row's currency is worth in that of the report; NULL where
    no rate is known.
    """
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
    # a discount of 0 may stand without a currency
    return (
        f"CASE WHEN coalesce(p_rate, 1) = 1 THEN {exact} ELSE TRY_CAST(p_rate * "
        f"{exact} AS DECIMAL(18,6)) END"
    )


def _has_currency(parts: Parts) -> bool:
    return "currency" in parts and bool(money(parts))


def _converts(parts: Parts, options: ReadOptions) -> bool:
    return options.report_currency is not None and _has_currency(parts)

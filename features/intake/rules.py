"""SQL conditions for the faults that a row can have by itself.

To add a fault: an entry in :data:`stagecast.features.intake.reasons.HINTS`, a :class:`Fault` here,
and a test in ``tests/abuse``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from stagecast.features.intake.expressions import (
    Compiled,
    SourceColumn,
    column_text,
    compile_condition,
    quote_text,
)
from stagecast.features.intake.identity import is_inexact
from stagecast.features.intake.mapping import MONEY_PARTS
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.profit import LOSS, is_loss
from stagecast.features.intake.reasons import ANNOUNCED_AHEAD, LARGEST_AMOUNT
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR


@dataclass(frozen=True)
class Fault:
    """A reason for which a row is refused.

    Parameters
    ----------
    condition
        SQL of the condition under which a row has the fault.
    reason
        Name of the reason.
    column, value
        SQL of the column name and of the value that the report shows.
    """

    condition: str
    reason: str
    column: str
    value: str


@dataclass(frozen=True)
class Rules:
    """The user's own conditions on the columns of one source."""

    where: Compiled | None = None
    refuse: Mapping[str, Compiled] = field(default_factory=dict)
    flag: Mapping[str, Compiled] = field(default_factory=dict)

    @property
    def conditions(self) -> list[Compiled]:
        """All conditions."""
        return [
            *([self.where] if self.where is not None else []),
            *self.refuse.values(),
            *self.flag.values(),
        ]


def compile_rules(options: ReadOptions, columns: Sequence[SourceColumn], source: str) -> Rules:
    """Compile the user's rules for one source.

    Parameters
    ----------
    options
        Holds the rules.
    columns
        The columns of the source.
    source
        Name of the source in error messages.

    Raises
    ------
    DataRefusedError, UsageError
        As :func:`stagecast.features.intake.expressions.compile_condition`.
    """
    where = (
        None
        if options.where is None
        else compile_condition(options.where, columns, "--where", source)
    )
    return Rules(
        where,
        {
            name: compile_condition(text, columns, f"--refuse {name}", source)
            for name, text in options.refuse.items()
        },
        {
            name: compile_condition(text, columns, f"--flag {name}", source)
            for name, text in options.flag.items()
        },
    )


def faults(
    parts: dict[str, Compiled], rules: Rules, options: ReadOptions, latest: datetime
) -> list[Fault]:
    """Return every fault that a row can have, in the order in which a row's first one is chosen.

    Parameters
    ----------
    parts
        Part of an event -> its column or expression.
    rules
        The user's own rules.
    options
        How the source is read.
    latest
        The latest allowed time of an event, in UTC.
    """
    customer = quote_text(parts["customer"].label)
    result = [Fault("p_customer IS NULL", "missing_customer", customer, "t_customer")]
    result.append(
        Fault(
            is_inexact(parts["customer"], "t_customer"), "inexact_customer", customer, "t_customer"
        )
    )
    time = quote_text(parts["time"].label)
    result += _time_faults(time, latest, tells_recorded="recorded_at" in parts)
    if "event" in parts:
        result.append(
            Fault("p_event IS NULL", "missing_event", quote_text(parts["event"].label), "t_event")
        )
    if "event_id" in parts:
        event_id = parts["event_id"]
        result.append(
            Fault(
                is_inexact(event_id, "t_event_id"),
                "inexact_event_id",
                quote_text(event_id.label),
                "t_event_id",
            )
        )
    if "amount" in parts:
        result += _amount_faults(parts["amount"], options)
    if "discount" in parts:
        result.append(_discount_fault(parts["discount"]))
    money = [parts[name] for name in MONEY_PARTS if name in parts]
    if money and "currency" in parts:
        result += _currency_faults(quote_text(parts["currency"].label), options)
    result += _number_faults(money, rules)
    if "recorded_at" in parts:
        recorded_at = quote_text(parts["recorded_at"].label)
        is_unreadable = (
            "(t_recorded_at IS NOT NULL AND p_recorded_at IS NULL) OR "
            f"{_absurd_time('p_recorded_at')}"
        )
        result.append(Fault(is_unreadable, "unreadable_recorded_at", recorded_at, "t_recorded_at"))
    if options.test_customers is not None:
        pattern = quote_text(options.test_customers)
        result.append(
            Fault(
                f"regexp_full_match(p_customer, {pattern})", "test_customer", customer, "t_customer"
            )
        )
    if options.not_products is not None:
        pattern = quote_text(options.not_products)
        product = quote_text(parts["product"].label)
        result.append(
            Fault(f"regexp_full_match(t_product, {pattern})", "not_a_product", product, "t_product")
        )
    return result + [_rule_fault(name, rule) for name, rule in rules.refuse.items()]


def _time_faults(column: str, latest: datetime, *, tells_recorded: bool) -> list[Fault]:
    is_future = f"NOT {_absurd_time('p_time')} AND p_time > {_timestamp(latest)}"
    if tells_recorded:
        is_recorded = f"coalesce(p_recorded_at <= {_timestamp(latest)}, false)"
        is_announced = f"{is_recorded} AND p_time <= {_timestamp(latest + ANNOUNCED_AHEAD)}"
        is_future += f" AND NOT ({is_announced})"
    return [
        Fault("t_time IS NULL", "missing_time", column, "t_time"),
        Fault("t_time IS NOT NULL AND p_time IS NULL", "unreadable_time", column, "t_time"),
        Fault(_absurd_time("p_time"), "absurd_time", column, "t_time"),
        Fault(is_future, "future_time", column, "t_time"),
    ]


def _timestamp(instant: datetime) -> str:
    return f"TIMESTAMP '{instant.replace(tzinfo=None).isoformat(' ')}'"


def _absurd_time(time: str) -> str:
    is_outside = f"year({time}) NOT BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
    return f"({time} IS NOT NULL AND (NOT isfinite({time}) OR {is_outside}))"


def _amount_faults(amount: Compiled, options: ReadOptions) -> list[Fault]:
    column = quote_text(amount.label)
    value = _shown_value(amount, "p_amount")
    is_unreadable, column_branches, value_branches = _unreadable_numbers(amount)
    result = []
    if amount.as_numbers:
        result.append(
            Fault(
                is_unreadable,
                "unreadable_amount",
                f"CASE {column_branches} END",
                f"CASE {value_branches} END",
            )
        )
    blank = [f"WHEN {_blank_to_null(c)} IS NULL THEN {quote_text(c.name)}" for c in amount.columns]
    blank_column = f"CASE {' '.join(blank)} ELSE {column} END" if blank else column
    is_missing = f"p_event = 'purchase' AND p_amount IS NULL AND NOT ({is_unreadable})"
    result.append(Fault(is_missing, "missing_amount", blank_column, "NULL::VARCHAR"))
    result.append(Fault(_absurd_amount("p_amount"), "absurd_amount", column, value))
    loss = is_loss(amount)
    if loss is not None:
        result.append(Fault(loss, LOSS, column, value))
    if options.negative_amounts == "refuse":
        is_negative = "p_event = 'purchase' AND p_amount < 0"
        is_refusal = is_negative if loss is None else f"{is_negative} AND NOT ({loss})"
        result.append(Fault(is_refusal, "negative_amount", column, value))
    return result


def _discount_fault(discount: Compiled) -> Fault:
    is_unreadable, column_branches, value_branches = _unreadable_numbers(discount)
    column, value = quote_text(discount.label), _shown_value(discount, "p_discount")
    if discount.as_numbers:
        column = f"CASE {column_branches} ELSE {column} END"
        value = f"CASE {value_branches} ELSE {value} END"
    return Fault(
        f"{is_unreadable} OR ({_absurd_amount('p_discount')})",
        "unreadable_discount",
        column,
        value,
    )


def _unreadable_numbers(part: Compiled) -> tuple[str, str, str]:
    """Return SQL that finds texts of a part that are read as numbers and are not numbers.

    The first is the condition; the others are the branches of a CASE that give the name of the
    column and its value.
    """
    conditions = {column: unreadable_number(column) for column in part.as_numbers}
    column_branches = " ".join(
        f"WHEN {sql} THEN {quote_text(c.name)}" for c, sql in conditions.items()
    )
    value_branches = " ".join(f"WHEN {sql} THEN {column_text(c)}" for c, sql in conditions.items())
    return " OR ".join(conditions.values()) or "false", column_branches, value_branches


def _shown_value(part: Compiled, number: str) -> str:
    if part.single_column is not None:
        return column_text(part.single_column)
    return f"CAST(round({number}, 6) AS VARCHAR)"


def _absurd_amount(number: str) -> str:
    is_too_large = f"abs({number} * greatest(coalesce(p_rate, 1), 1)) > {LARGEST_AMOUNT!r}"
    return f"{number} IS NOT NULL AND (NOT isfinite({number}) OR {is_too_large})"


def _currency_faults(column: str, options: ReadOptions) -> list[Fault]:
    # a discount of 0 needs no currency: systems write it on rows that have no price
    has_money = "(p_amount IS NOT NULL OR p_discount <> 0)"
    result = [
        Fault(f"{has_money} AND t_currency IS NULL", "missing_currency", column, "t_currency"),
        Fault(
            "t_currency IS NOT NULL AND p_currency IS NULL",
            "unreadable_currency",
            column,
            "t_currency",
        ),
    ]
    if options.report_currency is not None:
        codes = ", ".join(quote_text(code) for code in (options.report_currency, *options.rates))
        has_no_rate = f"{has_money} AND p_currency NOT IN ({codes})"
        result.append(Fault(has_no_rate, "no_rate", column, "t_currency"))
    return result


def _number_faults(money: Sequence[Compiled], rules: Rules) -> list[Fault]:
    money_columns = {column for part in money for column in part.as_numbers}
    columns = dict.fromkeys(
        column
        for rule in rules.conditions
        for column in rule.as_numbers
        if column not in money_columns
    )
    return [
        Fault(unreadable_number(c), "unreadable_number", quote_text(c.name), column_text(c))
        for c in columns
    ]


def _rule_fault(name: str, rule: Compiled) -> Fault:
    if not rule.columns:
        return Fault(rule.sql, name, "NULL::VARCHAR", "NULL::VARCHAR")
    first = rule.columns[0]
    return Fault(rule.sql, name, quote_text(first.name), column_text(first))


def unreadable_number(column: SourceColumn) -> str:
    """Return SQL of the condition that a text is not blank and not a number."""
    return f"({_blank_to_null(column)} IS NOT NULL AND n_{column.sql} IS NULL)"


def _blank_to_null(column: SourceColumn) -> str:
    return f"nullif(trim({column_text(column)}), '')"

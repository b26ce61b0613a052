"""What is wrong with a row on its own: the faults, in the order in which the first one is chosen,
as SQL conditions.

To add one: a line in :data:`stagecast.features.intake.reasons.HINTS`, a :class:`Fault` here, a row
in ``tests/abuse``.
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
from stagecast.features.intake.mapping import MONEY
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR


@dataclass(frozen=True)
class Fault:
    """A reason for which a row is refused: when, and which column and value to show; all but the
    reason are SQL.
    """

    when: str
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
        """All of them."""
        return [
            *([self.where] if self.where is not None else []),
            *self.refuse.values(),
            *self.flag.values(),
        ]


def compile_rules(options: ReadOptions, columns: Sequence[SourceColumn], source: str) -> Rules:
    """Return the user's rules as SQL over one source.

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
    """Return every fault a row can have on its own, in the order in which the first one is
    chosen.
    """
    customer = quote_text(parts["customer"].label)
    found = [Fault("p_customer IS NULL", "missing_customer", customer, "t_customer")]
    found += _time_faults(quote_text(parts["time"].label), latest)
    if "event" in parts:
        found.append(
            Fault("p_event IS NULL", "missing_event", quote_text(parts["event"].label), "t_event")
        )
    if "amount" in parts:
        found += _amount_faults(parts["amount"], options)
    if "discount" in parts:
        found.append(_discount_fault(parts["discount"]))
    money = [parts[name] for name in MONEY if name in parts]
    if money and "currency" in parts:
        found += _currency_faults(quote_text(parts["currency"].label), options)
    found += _number_faults(money, rules)
    if "recorded_at" in parts:
        recorded = quote_text(parts["recorded_at"].label)
        unread = (
            f"(t_recorded_at IS NOT NULL AND p_recorded_at IS NULL) OR {_absurd('p_recorded_at')}"
        )
        found.append(Fault(unread, "unreadable_recorded_at", recorded, "t_recorded_at"))
    if options.test_customers is not None:
        pattern = quote_text(options.test_customers)
        found.append(
            Fault(
                f"regexp_full_match(p_customer, {pattern})", "test_customer", customer, "t_customer"
            )
        )
    if options.not_products is not None:
        pattern = quote_text(options.not_products)
        product = quote_text(parts["product"].label)
        found.append(
            Fault(f"regexp_full_match(t_product, {pattern})", "not_a_product", product, "t_product")
        )
    return found + [_rule_fault(name, rule) for name, rule in rules.refuse.items()]


def _time_faults(column: str, latest: datetime) -> list[Fault]:
    future = (
        f"NOT {_absurd('p_time')} AND p_time > TIMESTAMP "
        f"'{latest.replace(tzinfo=None).isoformat(' ')}'"
    )
    return [
        Fault("t_time IS NULL", "missing_time", column, "t_time"),
        Fault("t_time IS NOT NULL AND p_time IS NULL", "unreadable_time", column, "t_time"),
        Fault(_absurd("p_time"), "absurd_time", column, "t_time"),
        Fault(future, "future_time", column, "t_time"),
    ]


def _absurd(instant: str) -> str:
    years = f"year({instant}) NOT BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
    return f"({instant} IS NOT NULL AND (NOT isfinite({instant}) OR {years}))"


def _amount_faults(amount: Compiled, options: ReadOptions) -> list[Fault]:
    column = quote_text(amount.label)
    shown = _shown(amount, "p_amount")
    unreadable_at_all, which, what = _unread(amount)
    found = []
    if amount.as_numbers:
        found.append(
            Fault(unreadable_at_all, "unreadable_amount", f"CASE {which} END", f"CASE {what} END")
        )
    blank = [f"WHEN {_blank_to_null(c)} IS NULL THEN {quote_text(c.name)}" for c in amount.columns]
    where = f"CASE {' '.join(blank)} ELSE {column} END" if blank else column
    missing = f"p_event = 'purchase' AND p_amount IS NULL AND NOT ({unreadable_at_all})"
    found.append(Fault(missing, "missing_amount", where, "NULL::VARCHAR"))
    found.append(Fault(_absurd_money("p_amount"), "absurd_amount", column, shown))
    if options.negative_amounts == "refuse":
        found.append(
            Fault("p_event = 'purchase' AND p_amount < 0", "negative_amount", column, shown)
        )
    return found


def _discount_fault(discount: Compiled) -> Fault:
    unread, which, what = _unread(discount)
    column, shown = quote_text(discount.label), _shown(discount, "p_discount")
    if discount.as_numbers:
        column, shown = f"CASE {which} ELSE {column} END", f"CASE {what} ELSE {shown} END"
    return Fault(
        f"{unread} OR ({_absurd_money('p_discount')})", "unreadable_discount", column, shown
    )


def _unread(part: Compiled) -> tuple[str, str, str]:
    """Return SQL: whether a text that is read as a number is none; and as branches of a CASE its
    column, and itself.
    """
    unread = {c: unreadable(c) for c in part.as_numbers}
    which = " ".join(f"WHEN {bad} THEN {quote_text(c.name)}" for c, bad in unread.items())
    what = " ".join(f"WHEN {bad} THEN {column_text(c)}" for c, bad in unread.items())
    return " OR ".join(unread.values()) or "false", which, what


def _shown(part: Compiled, number: str) -> str:
    return (
        column_text(part.bare) if part.bare is not None else f"CAST(round({number}, 6) AS VARCHAR)"
    )


def _absurd_money(number: str) -> str:
    largest = f"abs({number} * greatest(coalesce(p_rate, 1), 1)) > {LARGEST_AMOUNT!r}"
    return f"{number} IS NOT NULL AND (NOT isfinite({number}) OR {largest})"


def _currency_faults(column: str, options: ReadOptions) -> list[Fault]:
    # no discount is none in any currency: systems write a 0 on rows that have no price
    money = "(p_amount IS NOT NULL OR p_discount <> 0)"
    found = [
        Fault(f"{money} AND t_currency IS NULL", "missing_currency", column, "t_currency"),
        Fault(
            "t_currency IS NOT NULL AND p_currency IS NULL",
            "unreadable_currency",
            column,
            "t_currency",
        ),
    ]
    if options.report_currency is not None:
        known = ", ".join(quote_text(code) for code in (options.report_currency, *options.rates))
        when = f"{money} AND p_currency NOT IN ({known})"
        found.append(Fault(when, "no_rate", column, "t_currency"))
    return found


def _number_faults(money: Sequence[Compiled], rules: Rules) -> list[Fault]:
    seen = {c for part in money for c in part.as_numbers}
    columns = dict.fromkeys(
        c for rule in rules.conditions for c in rule.as_numbers if c not in seen
    )
    return [
        Fault(unreadable(c), "unreadable_number", quote_text(c.name), column_text(c))
        for c in columns
    ]


def _rule_fault(name: str, rule: Compiled) -> Fault:
    if not rule.columns:
        return Fault(rule.sql, name, "NULL::VARCHAR", "NULL::VARCHAR")
    first = rule.columns[0]
    return Fault(rule.sql, name, quote_text(first.name), column_text(first))


def unreadable(column: SourceColumn) -> str:
    """Return SQL: the text column holds something, and it is no number."""
    return f"({_blank_to_null(column)} IS NOT NULL AND n_{column.sql} IS NULL)"


def _blank_to_null(column: SourceColumn) -> str:
    return f"nullif(trim({column_text(column)}), '')"

"""A mapping that is proposed from names and values of columns; nothing is applied by it.

What a column means, only its owner knows. A proposal says for each part from which column it was
taken and why, and what a log would need that the table does not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stagecast.features.intake.date_parts import date_parts_hint
from stagecast.features.intake.mapping import DEFAULT_COLUMNS, option_of
from stagecast.features.intake.not_a_log import FEWEST_ROWS, NEEDED
from stagecast.features.intake.presets import PRESETS, fitting_presets, nearly_fitting_presets
from stagecast.features.intake.profiles import Profile, Table

_MOST_TYPES = 60
_CUSTOMER = (
    r"customer[ _-]?unique[ _-]?id|unique[ _-]?customer[ _-]?id",
    r"(customer|client|user|member|account|buyer|shopper|visitor|subscriber|contact)[ _-]?"
    r"(id|no|nr|number|key|code|ref)",
    r"customer[ _-]?e?-?mail|e-?mail([ _-]?address)?|billing[ _-]?email",
    r"customer|client|user|member|account|buyer|shopper|visitor|subscriber|household(_key)?",
    r"(customer|client|account|buyer)[ _-]?name",
    r"(associated[ _-]?)?(company|contact)([ _-]?(ids?|name))?",
)
_TIME = (
    r"(order|purchase|invoice|transaction|sale|sales|payment)[ _-]?(date|time|timestamp|day)"
    r"([ _-]?time)?|(order_)?purchase_timestamp|invoicedate",
    r"(event[ _-]?)?(timestamp|time|date|datetime)",
    r"created([ _-]?(at|on|date|time))?|date[ _-]?created|paid[ _-]?at",
    r".*(date|time|day|timestamp).*",
)
_NO_TIME_OF_EVENT = re.compile(
    r"birth|dob|updated|modified|expir|deliver|ship|due|last|first|signup|registration|joined",
    re.IGNORECASE,
)
_AMOUNT = (
    r"(order|grand|invoice|payment|total)[ _-]?(total|amount|value|price)|amount|revenue|sales",
    r"total|net[ _-]?sales|spend|payment|value|turnover|price",
)
_QUANTITY = (r"quantity|qty|units|pieces",)
_UNIT_PRICE = (r"(unit|item|product)[ _-]?price|price",)
_EVENT = (r"event([ _-]?(type|name))?|(transaction|activity|action)[ _-]?type",)
_CURRENCY = (r"(order[ _-]?)?currency([ _-]?code)?",)


@dataclass(frozen=True)
class Choice:
    """The column or expression that is proposed for a part, and why."""

    part: str
    expression: str
    why: str


@dataclass(frozen=True)
class Proposal:
    """What is proposed for a table.

    Parameters
    ----------
    label
        Name of the table.
    choices
        A column or expression for each part that was recognised.
    time_format
        Format of the times; None: ISO 8601.
    preset
        Name of the preset whose export the table is; None: of no preset.
    doubts
        Sentences about what is not certain, or what is missing for a log of events.
    header_line
        Line that is proposed as the header; None: the one that was declared is.
    """

    label: str
    choices: tuple[Choice, ...]
    time_format: str | None
    preset: str | None
    doubts: tuple[str, ...]
    header_line: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether a customer and a time are proposed."""
        return self.preset is not None or {"customer", "time"} <= {
            choice.part for choice in self.choices
        }

    def options(self) -> dict[str, str]:
        """Return the proposed options, by the names of their fields in a configuration."""
        line = {} if self.header_line is None else {"header-line": str(self.header_line)}
        if self.preset is not None:
            return line | {"preset": self.preset}
        options = line | {
            option_of(choice.part).removeprefix("--"): choice.expression
            for choice in self.choices
            if choice.expression != DEFAULT_COLUMNS.get(choice.part)
        }
        return options if self.time_format is None else options | {"time-format": self.time_format}

    def lines(self) -> list[str]:
        """Return the proposal as lines of text."""
        lines = [f"{self.label}: proposed from its columns and its first rows:"]
        if self.header_line is not None:
            lines.append(f"  --header-line {self.header_line}: names the columns of what follows")
        if self.preset is not None:
            title = PRESETS[self.preset].title
            lines.append(f"  --preset {self.preset}: its columns are those of the {title}")
        else:
            lines += [
                f"  {option_of(choice.part)} {shell(choice.expression)}: {choice.why}"
                for choice in self.choices
            ]
            if self.time_format is not None:
                lines.append(f"  --time-format {shell(self.time_format)}: reads its times")
        return lines + [f"  to decide: {doubt}" for doubt in self.doubts]


def shell(text: str) -> str:
    """Return a text as a word of a shell.

    >>> shell("Email"), shell("Created at")
    ('Email', '"Created at"')
    """
    if re.fullmatch(r"[\w%./:-]+", text):
        return text
    escaped = re.sub(r'(["\\$`])', r"\\\1", text)
    return f'"{escaped}"'


def propose(table: Table) -> Proposal:
    """Return what is proposed for a table, from names and values of its columns."""
    presets = fitting_presets(table.names)
    if presets:
        return Proposal(table.label, (), None, presets[0], ())
    taken: list[Choice] = []
    doubts = [
        f"is it the {PRESETS[name].title}, with other capitals or without a customer? With the "
        f"vendor's own names of columns --preset {name} reads it, its order states and refunds too"
        for name in nearly_fitting_presets(table.names)[:1]
    ]
    times = [c for c in table.columns if c.time_format is not None]
    time = _named(times, _TIME, avoided=_NO_TIME_OF_EVENT) or (times[0] if times else None)
    texts = [c for c in table.columns if c.time_format is None and c.filled]
    customer = _named(texts, _CUSTOMER)
    if customer is not None:
        why = f"by its name; {customer.different:,} different in {table.rows:,} rows"
        taken.append(Choice("customer", customer.name, why))
    else:
        doubts.append("which column names the customer (--customer COL)?")
    if time is not None:
        taken.append(Choice("time", time.name, "its values are times"))
        if not time.is_certain:
            doubts.append(
                f"--time-format {shell(str(time.time_format))} is one of two that read "
                f"{time.name!r}: which number is the day?"
            )
    else:
        parts = date_parts_hint(table.names)
        doubts.append(parts or "which column holds the time of the event (--time COL)?")
    taken += _money(table, {choice.expression for choice in taken})
    doubts += log_doubts(table, customer, time)
    time_format = None if time is None else (time.time_format or None)
    return Proposal(table.label, tuple(taken), time_format, None, tuple(doubts))


def _money(table: Table, used: set[str]) -> list[Choice]:
    """Return the choices for amount, event type and currency."""
    numbers = [c for c in table.columns if c.is_number and c.name not in used]
    amount, quantity = _named(numbers, _AMOUNT), _named(numbers, _QUANTITY)
    price = _named(numbers, _UNIT_PRICE)
    choices = []
    if quantity is not None and price is not None and (amount is None or amount.name == price.name):
        names = (_in_expression(quantity.name), _in_expression(price.name))
        choices.append(Choice("amount", " * ".join(names), "a quantity and a price of each"))
    elif amount is not None:
        choices.append(Choice("amount", amount.name, "a number, by its name"))
    texts = [c for c in table.columns if not c.is_number and c.time_format is None and c.filled]
    event = _named([c for c in texts if c.different <= _MOST_TYPES], _EVENT)
    if event is not None:
        why = f"by its name; {event.different:,} types"
        choices.append(Choice("event", event.name, why))
    currency = _named(texts, _CURRENCY)
    if currency is not None:
        choices.append(Choice("currency", currency.name, "by its name"))
    return choices


def log_doubts(table: Table, customer: Profile | None, time: Profile | None) -> list[str]:
    """Return what speaks against a log of events; empty where nothing does."""
    if table.rows < FEWEST_ROWS:
        return []
    is_unique = customer is not None and customer.different == customer.filled
    if time is not None and not is_unique:
        return []
    if customer is not None and is_unique:
        observed = f"each of its {table.rows:,} rows names another {customer.name!r}"
    elif time is None:
        observed = "no column holds times"
    else:
        return []
    return [f"is this a log of events? {observed[0].upper()}{observed[1:]}: {NEEDED}"]


def _in_expression(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"'


def _named(
    columns: list[Profile], patterns: tuple[str, ...], avoided: re.Pattern[str] | None = None
) -> Profile | None:
    """Return the first column whose whole name fits the first pattern that any name fits."""
    for pattern in patterns:
        for column in columns:
            if avoided is not None and avoided.search(column.name):
                continue
            if re.fullmatch(pattern, column.name, re.IGNORECASE):
                return column
    return None

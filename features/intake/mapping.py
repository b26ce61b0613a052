"""Which source column is which of ours.

Columns with our own names need no mapping; nothing else is ever guessed from a name or from the
values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from stagecast.features.errors import DataRefusedError, did_you_mean
from stagecast.features.intake.expressions import Compiled, SourceColumn, compile_expression

OWN_NAMES = {
    "customer": "customer_id",
    "time": "timestamp",
    "amount": "amount",
    "event": "event",
    "channel": "channel",
    "recorded_at": "recorded_at",
    "event_id": "event_id",
    "currency": "currency",
    "category": "category",
    "discount": "discount",
}
"""Field of :class:`EventMapping` -> the column name that needs no mapping."""

NEEDED = ("customer", "time")
MONEY = ("amount", "discount")
"""What is read as a number, in the currency of the row."""


@dataclass(frozen=True)
class EventMapping:
    """Names the source column, or the expression of source columns, of each part of an event.

    None reads the column with our own name where the source has it: ``customer_id``, ``timestamp``,
    ``amount``, ``event``, ``channel``, ``recorded_at``, ``event_id``, ``currency``, ``category``,
    ``discount``. The currency is a column or a text such as ``'EUR'``. The product has no name of
    its own: it only serves to refuse what is none.

    >>> EventMapping(customer="Customer ID", time="InvoiceDate", amount="Quantity * Price").customer
    'Customer ID'
    """

    customer: str | None = None
    time: str | None = None
    amount: str | None = None
    event: str | None = None
    channel: str | None = None
    recorded_at: str | None = None
    event_id: str | None = None
    currency: str | None = None
    product: str | None = None
    category: str | None = None
    discount: str | None = None


def resolve(
    mapping: EventMapping, columns: Sequence[SourceColumn], source: str
) -> dict[str, Compiled]:
    """Return field of the mapping -> SQL, for those fields that this source has.

    Raises
    ------
    DataRefusedError
        The source lacks the customer, the time, or a column that the mapping names.
    UsageError
        An expression that is not allowed.
    """
    known = {column.name: column for column in columns}
    resolved: dict[str, Compiled] = {}
    for part in fields(mapping):
        given: str | None = getattr(mapping, part.name)
        own = OWN_NAMES.get(part.name, "")
        option = (
            "--discount-amount" if part.name == "discount" else "--" + part.name.replace("_", "-")
        )
        wanted = own if given is None else given
        if given is None and own not in known:
            if part.name in NEEDED:
                raise DataRefusedError(
                    f"{source} has no column {own!r}.{did_you_mean(own, known)} "
                    f"It has: {', '.join(known)}. Name the right one with {option} COL"
                )
            continue
        want: Literal["number", "text"] = "number" if part.name in MONEY else "text"
        resolved[part.name] = compile_expression(wanted, columns, want, option, source)
    return resolved


def resolve_all(
    mapping: EventMapping, sources: Sequence[tuple[str, Sequence[SourceColumn]]]
) -> list[dict[str, Compiled]]:
    """Resolve the mapping on every source; all of them must have the same parts.

    Raises
    ------
    DataRefusedError
        One source has, say, amounts and another has none: half a column would pass for missing
        values.
    """
    resolved = [resolve(mapping, columns, label) for label, columns in sources]
    for (label, columns), parts in zip(sources[1:], resolved[1:], strict=True):
        for one, other, there in ((resolved[0], parts, label), (parts, resolved[0], sources[0][0])):
            for part in sorted(one.keys() - other.keys()):
                here = sources[0][0] if there == label else label
                names = ", ".join(c.name for c in (columns if there == label else sources[0][1]))
                raise DataRefusedError(
                    f"{here} has a column {OWN_NAMES.get(part, part)!r}, {there} has none (it has: "
                    f"{names}). "
                    f"Give the files the same columns, or name them with --{part.replace('_', '-')}"
                )
    return resolved

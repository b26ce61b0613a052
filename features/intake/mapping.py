"""Mapping of source columns to the parts of an event.

A column that has the default name of its part needs no mapping; nothing else is guessed, neither
from names nor from values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from stagecast.features.errors import DataRefusedError, NotMappedError, did_you_mean
from stagecast.features.intake.date_parts import date_parts_hint

if TYPE_CHECKING:
    from stagecast.features.intake.expressions import Compiled, SourceColumn

DEFAULT_COLUMNS = {
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

REQUIRED_PARTS = ("customer", "time")
MONEY_PARTS = ("amount", "discount")
"""The parts that are read as numbers, in the currency of the row."""


@dataclass(frozen=True)
class EventMapping:
    """The source column, or the expression of source columns, of each part of an event.

    None reads the column with the default name (:data:`DEFAULT_COLUMNS`) if the source has it. The
    currency is a column or a text such as ``'EUR'``. The product has no default name; it is needed
    only to refuse rows by ``not_products``.

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


def option_of(part: str) -> str:
    """Return the option that maps a part of an event.

    >>> option_of("recorded_at"), option_of("discount")
    ('--recorded-at', '--discount-amount')
    """
    # --discount is what a year takes off money, of `run` and `train`
    return "--discount-amount" if part == "discount" else "--" + part.replace("_", "-")


def resolve_mapping(
    mapping: EventMapping, columns: Sequence[SourceColumn], source: str
) -> dict[str, Compiled]:
    """Return part of an event -> SQL, for the parts that one source has.

    Parameters
    ----------
    mapping
        The user's mapping.
    columns
        The columns of the source, including those that are looked up in other tables.
    source
        Name of the source in error messages.

    Raises
    ------
    NotMappedError
        The source lacks the customer or the time, and the mapping does not name them.
    DataRefusedError
        The source lacks a column that the mapping names, or a mapped column has no name there.
    UsageError
        An expression that is not allowed.
    """
    from stagecast.features.intake.expressions import compile_expression  # SQLGlot is slow

    columns_by_name = {column.name: column for column in columns}
    resolved: dict[str, Compiled] = {}
    for part in fields(mapping):
        mapped: str | None = getattr(mapping, part.name)
        default = DEFAULT_COLUMNS.get(part.name, "")
        option = option_of(part.name)
        expression = default if mapped is None else mapped
        if mapped is None and default not in columns_by_name:
            if part.name in REQUIRED_PARTS:
                parts_hint = date_parts_hint(list(columns_by_name)) if part.name == "time" else ""
                raise NotMappedError(
                    f"{source} has no column {default!r}.{did_you_mean(default, columns_by_name)} "
                    f"It has: {', '.join(columns_by_name)}. "
                    + (parts_hint or f"Name the right one with {option} COL")
                    + "; `stagecast check FILE` proposes a mapping"
                )
            continue
        result_kind: Literal["number", "text"] = "number" if part.name in MONEY_PARTS else "text"
        compiled = compile_expression(expression, columns, result_kind, option, source)
        check_has_name(compiled.columns, option, source)
        resolved[part.name] = compiled
    return resolved


def check_has_name(columns: Sequence[SourceColumn], option: str, source: str) -> None:
    """Refuse a column that is needed and has no name in the source.

    Raises
    ------
    DataRefusedError
        The message holds its position, ``option`` and ``source``.
    """
    for column in columns:
        if not column.has_name:
            raise DataRefusedError(
                f"{source}: {option} takes {column.name}, which has no name there; a position is "
                "no sure name, so name the column in the header line"
            )


def resolve_all_mappings(
    mapping: EventMapping, sources: Sequence[tuple[str, Sequence[SourceColumn]]]
) -> list[dict[str, Compiled]]:
    """Resolve the mapping for every source; all of them must have the same parts.

    Parameters
    ----------
    mapping
        The user's mapping.
    sources
        Name and columns of each source.

    Raises
    ------
    DataRefusedError
        A part, such as the amount, is in one source and not in another: the rows of the other would
        be taken for rows with a missing value. Or as :func:`resolve_mapping`.
    UsageError
        As :func:`resolve_mapping`.
    """
    resolved = [resolve_mapping(mapping, columns, label) for label, columns in sources]
    for (label, columns), parts in zip(sources[1:], resolved[1:], strict=True):
        first_label, first_columns = sources[0]
        for parts_with, parts_without, label_without in (
            (resolved[0], parts, label),
            (parts, resolved[0], first_label),
        ):
            for part in sorted(parts_with.keys() - parts_without.keys()):
                label_with = first_label if label_without == label else label
                columns_without = columns if label_without == label else first_columns
                names = ", ".join(column.name for column in columns_without)
                raise DataRefusedError(
                    f"{label_with} has a column {DEFAULT_COLUMNS.get(part, part)!r}, "
                    f"{label_without} has none (it has: {names}). "
                    f"Give the files the same columns, or name them with {option_of(part)}"
                )
    return resolved

"""What a preset of an export is, and what it declares for the columns that an export has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from stagecast.features.errors import DataRefusedError

Alternatives = tuple[str, ...]
"""Columns or expressions of which the first is taken whose columns the export has."""


@dataclass(frozen=True)
class Beside:
    """A file beside the export in which columns are looked up.

    Parameters
    ----------
    file
        Its name.
    key
        Column that the two have in common; it may have been looked up itself.
    columns
        Columns that are looked up.
    """

    file: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Preset:
    """How one kind of export is read.

    Parameters
    ----------
    title
        The export, in words.
    known_by
        Columns that every version of the export has; each may be one of several, parted by ``|``.
    parts
        Part of an event -> (columns that it needs, column or expression), the best first.
    where
        (Columns that it needs, condition) of the rows that are read; all that fit are joined.
    beside
        Files beside the export in which columns are looked up, in this order.
    time_format, thousands, currency_sign
        As of :class:`stagecast.features.intake.options.ReadOptions`; None: as there.
    """

    title: str
    known_by: tuple[str, ...]
    parts: Mapping[str, tuple[tuple[Alternatives, str], ...]]
    where: tuple[tuple[Alternatives, str], ...] = ()
    beside: tuple[Beside, ...] = ()
    time_format: str | None = None
    thousands: str | None = None
    currency_sign: str | None = None


@dataclass(frozen=True)
class Applied:
    """What a preset declares for the columns of one export.

    Parameters
    ----------
    parts
        Part of an event -> column or expression.
    where
        Condition of the rows that are read; None: all are.
    options
        Name of another option -> its value.
    """

    parts: Mapping[str, str]
    where: str | None
    options: Mapping[str, str] = field(default_factory=dict)


def column(*names: str) -> tuple[tuple[Alternatives, str], ...]:
    """Return alternatives that are columns, the first that is there."""
    return tuple(((name,), name) for name in names)


def less_refund(total: str, refunded: str) -> tuple[tuple[Alternatives, str], ...]:
    """Return the amount less what was refunded of it, where the export says so."""
    return (
        ((total, refunded), f'"{total}" - coalesce("{refunded}", 0)'),
        ((total,), total),
    )


def is_none_of(column: str, states: str) -> tuple[Alternatives, str]:
    listed = ", ".join(f"'{state}'" for state in states.split(","))
    return (column,), f"NOT lower(coalesce(\"{column}\", '')) IN ({listed})"


def is_won(column: str) -> tuple[Alternatives, str]:
    state = f'lower("{column}")'
    return (column,), f"{state} LIKE '%won%' AND NOT {state} LIKE '%not won%'"


def columns_beside(preset: Preset) -> list[str]:
    """Return the columns that are looked up beside an export."""
    return [column for beside in preset.beside for column in beside.columns]


def fits(preset: Preset, columns: Collection[str]) -> bool:
    """Return whether columns are those of the export of a preset, and one of them names customers.

    An export without a customer, which its owner may have left out, is none that can be read.
    """
    readable = [*columns, *columns_beside(preset)]
    has_customer = _first_fitting(preset.parts["customer"], readable) is not None
    return has_customer and not missing_columns(preset, columns)


def missing_columns(preset: Preset, columns: Collection[str]) -> list[str]:
    """Return the columns by which an export is known, and which are not there."""
    return [
        names for names in preset.known_by if not any(name in columns for name in names.split("|"))
    ]


def applied(preset: Preset, name: str, columns: Collection[str], source: str) -> Applied:
    """Return what a preset declares for an export with these columns.

    Parameters
    ----------
    preset
        The preset.
    name
        Its name, for error messages.
    columns
        Names of the columns of the export.
    source
        Name of the source in error messages.

    Raises
    ------
    DataRefusedError
        The source lacks columns by which the export is known; the message holds them.
    """
    lacking = missing_columns(preset, columns)
    parts = {
        part: expression
        for part, alternatives in preset.parts.items()
        if (expression := _first_fitting(alternatives, columns)) is not None
    }
    if "customer" not in parts:
        names = (needed[0] for needed, _ in preset.parts["customer"])
        lacking.append("|".join(dict.fromkeys(names)))
    if lacking:
        raise DataRefusedError(
            f"{source} is no {preset.title}: it lacks "
            f"{', '.join(' or '.join(map(repr, names.split('|'))) for names in lacking)}. Leave "
            f"--preset {name} out, and map its columns"
        )
    conditions = [
        condition
        for needed, condition in preset.where
        if all(column in columns for column in needed)
    ]
    options = {
        "time_format": preset.time_format,
        "thousands": preset.thousands,
        "currency_sign": preset.currency_sign,
    }
    return Applied(
        parts,
        " AND ".join(f"({condition})" for condition in conditions) or None,
        {option: value for option, value in options.items() if value is not None},
    )


def _first_fitting(
    alternatives: tuple[tuple[Alternatives, str], ...], columns: Collection[str]
) -> str | None:
    for needed, expression in alternatives:
        if all(column in columns for column in needed):
            return expression
    return None

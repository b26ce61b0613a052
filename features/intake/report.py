"""The data report of a log, for programs (``data-report.json``) and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from stagecast.features.intake.counted import counted
from stagecast.features.intake.quarantine import describe_rejected
from stagecast.features.intake.reasons import FLAGS


@dataclass(frozen=True)
class DataReport:
    """Counts of the loaded, refused and duplicate rows; the content of ``data-report.json``.

    Parameters
    ----------
    rows_in, rows_loaded, rows_rejected, rows_duplicate
        Numbers of source rows; the first is the sum of the others.
    customers
        Number of customers with an event.
    first_event, last_event
        Times of the first and the last event, ISO 8601 in UTC.
    rejected_by_reason
        Number of rows by their first reason, most frequent first; the sum is ``rows_rejected``.
    rejected_by_any_reason
        Number of rows by any of their reasons; a row may count for several.
    rejected_examples
        Reason -> ``hint`` and up to three ``examples`` of file, line, column, value.
    warnings
        Sentences about the log as a whole.
    event_types
        Number of loaded events by type, most frequent first.
    purchases
        Number of events of type ``purchase``.
    buyers
        Number of customers with a purchase.
    one_time_buyers
        Share of the buyers, 0 to 1, whose purchases are all on one day of the shop; None without
        purchases.
    has_amounts, has_types, has_recorded_at
        Whether the log has amounts, event types, and times at which events were recorded.
    columns
        Part of an event -> the source column or expression that it was read from.
    sources
        For each file or table: ``source``, ``rows_in``, ``rows_rejected``, ``rows_skipped``.
    rows_skipped
        Number of rows for which ``where`` does not hold; not part of ``rows_in``.
    duplicates
        ``same_row`` and ``same_event_id`` -> number of rows; the sum is ``rows_duplicate``.
    flags
        Flag -> ``rows`` (of all rows in), ``rows_not_refused`` and up to three ``examples``.
    currency
        Currency of the loaded amounts; None if the log does not state it.
    currencies
        Number of valid rows by the currency of the source.
    customers_table
        Report of the table of customers, as
        :class:`stagecast.features.intake.attributes.AttributesReport`; None without such a table.
    preset
        ``name`` and ``title`` of the preset, and the ``columns`` and the condition ``where`` with
        which the log was read; None without a preset.
    zone
        Zone whose days are counted. Times of the report itself are UTC.
    """

    rows_in: int
    rows_loaded: int
    rows_rejected: int
    rows_duplicate: int
    customers: int
    first_event: str
    last_event: str
    rejected_by_reason: dict[str, int]
    rejected_by_any_reason: dict[str, int]
    rejected_examples: dict[str, dict[str, Any]]
    warnings: list[str]
    event_types: dict[str, int]
    purchases: int
    buyers: int
    one_time_buyers: float | None
    has_amounts: bool
    has_types: bool
    has_recorded_at: bool
    columns: dict[str, str]
    sources: list[dict[str, Any]]
    rows_skipped: int
    duplicates: dict[str, int]
    flags: dict[str, dict[str, Any]]
    currency: str | None
    currencies: dict[str, int]
    customers_table: dict[str, Any] | None = None
    preset: dict[str, Any] | None = None
    zone: str = "UTC"

    @property
    def files(self) -> list[str]:
        """The names of the sources, in order."""
        return [source["source"] for source in self.sources]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, numbers and texts."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"files": self.files}

    def with_warnings(self, sentences: Sequence[str]) -> DataReport:
        """Return the report with sentences after its own warnings."""
        return replace(self, warnings=[*self.warnings, *sentences])

    def with_customers(self, table: dict[str, Any]) -> DataReport:
        """Return the report with the report of the table of customers added."""
        return replace(self, customers_table=table)


def summary_lines(report: DataReport) -> list[str]:
    """Return the report as lines of text."""
    lines = [
        f"{counted(report.rows_in, 'row')} in = {report.rows_loaded:,} loaded + "
        f"{report.rows_rejected:,} refused "
        f"+ {counted(report.rows_duplicate, 'duplicate')}",
    ]
    if report.preset is not None:
        lines.append(_preset_line(report.preset))
    if report.rows_skipped:
        were = "was" if report.rows_skipped == 1 else "were"
        lines.append(f"{counted(report.rows_skipped, 'more row')} {were} not let in by --where")
    lines += [
        f"{counted(report.customers, 'customer')}, events from "
        f"{report.first_event} to {report.last_event}",
        "event types: "
        + ", ".join(f"{name} {count:,}" for name, count in report.event_types.items()),
    ]
    if not report.has_amounts:
        lines.append("no amounts: churn and stages can be told, values cannot")
    elif len(report.currencies) > 1:
        lines.append(
            f"amounts in {report.currency}, turned from "
            + ", ".join(
                f"{code} ({counted(count, 'row')})" for code, count in report.currencies.items()
            )
        )
    elif report.currency is not None:
        lines.append(f"amounts in {report.currency}")
    if report.zone != "UTC":
        lines.append(f"days are those of {report.zone}")
    if report.customers_table is not None:
        lines += _customers_lines(report.customers_table)
    lines += _flag_lines(report)
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.rows_rejected:
        lines += [
            "refused:",
            *describe_rejected(report.rejected_by_reason, report.rejected_examples),
        ]
        second_reasons = {
            reason: count
            for reason, count in report.rejected_by_any_reason.items()
            if count != report.rejected_by_reason.get(reason)
        }
        if second_reasons:
            lines.append(
                "  with second reasons: "
                + ", ".join(f"{reason} {count:,}" for reason, count in second_reasons.items())
            )
    return lines


def _preset_line(preset: Mapping[str, Any]) -> str:
    columns = ", ".join(f"{part} = {column}" for part, column in preset["columns"].items())
    where = "" if preset["where"] is None else f"; rows for which {preset['where']}"
    return f"read as the {preset['title']} (--preset {preset['name']}): {columns}{where}"


def _flag_lines(report: DataReport) -> list[str]:
    lines = []
    for name, flag in report.flags.items():
        place = ", ".join(
            f"{example['file']}, line {example['line']}" for example in flag["examples"][:1]
        )
        meaning = f"; {FLAGS[name]}" if name in FLAGS else ""
        lines.append(f"flagged {name}: {counted(flag['rows'], 'row')}{meaning} (first: {place})")
    return lines


def _customers_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report of the table of customers as lines of text."""
    kinds = ", ".join(f"{name} ({kind})" for name, kind in report["columns"].items())
    lines = [
        f"customers table: {counted(report['rows_in'], 'row')} in = "
        f"{report['rows_loaded']:,} loaded + {report['rows_rejected']:,} refused + "
        f"{counted(report['rows_duplicate'], 'duplicate')}; "
        f"{kinds or 'no attributes'}",
        f"{report['without_events']:,} of its customers have no event, "
        f"{counted(report['without_attributes'], 'customer')} of "
        f"the log do not stand in it",
    ]
    for reason, rejected in report["rejected"].items():
        first = rejected["examples"][0]
        lines.append(
            f"  {reason}: {counted(rejected['rows'], 'row')}; {rejected['hint']} (first: "
            f"{first['file']}, line {first['line']}: "
            f"{first['column'] or ''} {first['value']!r})"
        )
    return lines

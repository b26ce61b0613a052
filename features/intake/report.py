"""The data report: what is in a log and what was refused, as data (``data-report.json``) and as
lines for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from stagecast.features.intake.quarantine import describe_rejected
from stagecast.features.intake.reasons import FLAGS


@dataclass(frozen=True)
class DataReport:
    """What is in a log and what was refused; :meth:`to_json` is ``data-report.json``.

    Parameters
    ----------
    rows_in, rows_loaded, rows_rejected, rows_duplicate
        Source rows; the first is the sum of the others.
    rows_skipped
        Rows that ``where`` did not let in; not part of ``rows_in``.
    first_event, last_event
        ISO 8601, UTC.
    rejected_by_reason
        Rows by their first reason, most frequent first; sums to ``rows_rejected``.
    rejected_by_any_reason
        Rows that have the reason at all; a row may count in several.
    rejected_examples
        Reason -> ``hint`` and up to three ``examples`` of file, line, column, value.
    duplicates
        ``same_row`` and ``same_event_id`` -> rows; sums to ``rows_duplicate``.
    flags
        Flag -> ``rows`` (of all rows in), ``rows_not_refused`` and up to three ``examples``.
    event_types
        Loaded events by type, most frequent first.
    one_time_buyers
        Share of the buyers, 0 to 1, with purchases on one UTC day only; None without purchases.
    currency, currencies
        What amounts are counted in, None where the log does not say; and sound rows by the currency
        they came in.
    columns
        Part of an event -> the source column or expression it was read from.
    sources
        For each file or table: ``source``, ``rows_in``, ``rows_rejected``, ``rows_skipped``.
    customers_table
        What the table of customers held; see
        :class:`stagecast.features.intake.attributes.AttributesReport`. None without one.
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

    @property
    def files(self) -> list[str]:
        """The sources as they were named, in order."""
        return [one["source"] for one in self.sources]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, numbers and texts."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"files": self.files}

    def with_customers(self, table: dict[str, Any]) -> DataReport:
        """Return the report with what the table of customers held."""
        return replace(self, customers_table=table)


def summary_lines(report: DataReport) -> list[str]:
    """Return the report as lines for people."""
    lines = [
        f"{report.rows_in:,} rows in = {report.rows_loaded:,} loaded + "
        f"{report.rows_rejected:,} refused "
        f"+ {report.rows_duplicate:,} duplicates",
    ]
    if report.rows_skipped:
        lines.append(f"{report.rows_skipped:,} more rows were not let in by --where")
    lines += [
        f"{report.customers:,} customers, events from {report.first_event} to {report.last_event}",
        "event types: "
        + ", ".join(f"{name} {count:,}" for name, count in report.event_types.items()),
    ]
    if not report.has_amounts:
        lines.append("no amounts: churn and stages can be told, values cannot")
    elif len(report.currencies) > 1:
        lines.append(
            f"amounts in {report.currency}, turned from "
            + ", ".join(f"{code} ({count:,} rows)" for code, count in report.currencies.items())
        )
    elif report.currency is not None:
        lines.append(f"amounts in {report.currency}")
    if report.customers_table is not None:
        lines += _customers_lines(report.customers_table)
    lines += _flag_lines(report)
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.rows_rejected:
        lines += [
            "refused:",
            *describe_rejected(report.rejected_by_reason, report.rejected_examples),
        ]
        more = {
            k: n
            for k, n in report.rejected_by_any_reason.items()
            if n != report.rejected_by_reason.get(k)
        }
        if more:
            lines.append(
                "  with second reasons: " + ", ".join(f"{name} {n:,}" for name, n in more.items())
            )
    return lines


def _flag_lines(report: DataReport) -> list[str]:
    lines = []
    for name, flag in report.flags.items():
        where = ", ".join(f"{one['file']}, line {one['line']}" for one in flag["examples"][:1])
        meaning = f"; {FLAGS[name]}" if name in FLAGS else ""
        lines.append(f"flagged {name}: {flag['rows']:,} rows{meaning} (first: {where})")
    return lines


def _customers_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what the table of customers held as lines for people."""
    kinds = ", ".join(f"{name} ({kind})" for name, kind in report["columns"].items())
    lines = [
        f"customers table: {report['rows_in']:,} rows in = {report['rows_loaded']:,} loaded + "
        f"{report['rows_rejected']:,} refused + {report['rows_duplicate']:,} duplicates; "
        f"{kinds or 'no attributes'}",
        f"{report['without_events']:,} of its customers have no event, "
        f"{report['without_attributes']:,} customers of "
        f"the log do not stand in it",
    ]
    for reason, found in report["rejected"].items():
        first = found["examples"][0]
        lines.append(
            f"  {reason}: {found['rows']:,} rows; {found['hint']} (first: "
            f"{first['file']}, line {first['line']}: "
            f"{first['column'] or ''} {first['value']!r})"
        )
    return lines

"""Removal of a customer from the files of a run; all other rows and numbers remain.

data-report.json    examples of refused rows
rejected.parquet    refused rows of the customer, or which name the customer
scores.parquet      and any other Parquet file with a column ``customer_id``
report.html         rows of its table that name the customer
model/              only searched: its files are hashed, and contain no customers
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from stagecast.features.errors import DataRefusedError
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import Hits, search_bytes
from stagecast.serving.erasure.parquet_files import Mask, RowFilter, count_rows

_ROW = re.compile(r"\s*<tr\b[^>]*>(?:(?!</tr>).)*</tr>", re.DOTALL)
_ITEM = re.compile(r"\s*<li\b[^>]*>(?:(?!</?li\b).)*</li>", re.DOTALL)
_CELL = re.compile(r"<bdi>(.*?)</bdi>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def customer_column(data_report: Path) -> str | None:
    """Return the source column of a run's customers, or None if the data report does not say."""
    try:
        columns = json.loads(data_report.read_text("utf-8")).get("columns", {})
        return str(columns["customer"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None


def rejected_row_filter(customer: Customer, column: str | None) -> RowFilter:
    """Return the filter that removes a customer's rows from ``rejected.parquet``.

    It removes rows whose source row has the customer in the customer column, rows whose text
    contains a distinctive id anywhere, and malformed lines with the id in one of their fields. The
    file is a copy, so no record of the log is lost.

    Parameters
    ----------
    customer
        The customer.
    column
        Source column of the customers; None: not known, so every column counts.
    """

    def row_filter(table: Any) -> Mask:
        removed = np.zeros(table.num_rows, dtype=np.bool_)
        if not {"raw", "value"} <= set(table.column_names):
            return removed
        candidates = None
        for name in ("raw", "value"):
            for spelling in customer.spellings:
                matches = pc.fill_null(pc.match_substring(table[name], spelling), False)
                candidates = matches if candidates is None else pc.or_(candidates, matches)
        for row in pc.indices_nonzero(candidates).to_pylist():
            removed[row] = is_row_of(
                customer, column, table["value"][row].as_py(), table["raw"][row].as_py()
            )
        return removed

    return row_filter


def is_row_of(customer: Customer, column: str | None, value: str | None, raw: str | None) -> bool:
    """Return whether a refused row is the customer's, or names the customer.

    Parameters
    ----------
    customer
        The customer.
    column
        Source column of the customers; None: not known.
    value
        The value for which the row was refused.
    raw
        The source row as JSON, or a malformed line.
    """
    texts = [text for text in (value, raw) if text is not None]
    if not customer.ambiguous and any(customer.occurs_in(text) for text in texts):
        return True
    try:
        row = json.loads(raw or "null")
    except ValueError:
        row = raw
    if isinstance(row, dict):
        values = [row[column]] if column in row else list(row.values())
        return any(customer.matches(value) for value in values)
    return isinstance(row, str) and customer.occurs_in_line(row)


def remove_entries(
    report: Mapping[str, Any], customer: Customer, row_positions: set[tuple[str, int]]
) -> tuple[Any, int]:
    """Return a data report without list entries that show the customer, and their number.

    Parameters
    ----------
    report
        The data report.
    customer
        The customer.
    row_positions
        File and line of each refused row of the customer.
    """
    removed = 0

    def cleaned(value: Any) -> Any:
        nonlocal removed
        if isinstance(value, dict):
            # users name the files; a name that contains the id is reported, but not removed
            return {
                name: inner if name == "files" else cleaned(inner) for name, inner in value.items()
            }
        if isinstance(value, list):
            remaining = [entry for entry in value if not _shows(entry, customer, row_positions)]
            removed += len(value) - len(remaining)
            return [cleaned(entry) for entry in remaining]
        return value

    return cleaned(dict(report)), removed


def _shows(entry: Any, customer: Customer, row_positions: set[tuple[str, int]]) -> bool:
    if isinstance(entry, str):
        return customer.is_mentioned_in(entry)
    if not isinstance(entry, dict):
        return False
    if (
        customer.matches(entry.get("customer_id"))
        or (entry.get("file"), entry.get("line")) in row_positions
    ):
        return True
    value = entry.get("value")
    if (
        isinstance(value, str)
        and entry.get("column") is None
        and customer.occurs_in_line(value.partition(": ")[2])
    ):
        return True  # the value is what is wrong with a malformed line, and the line
    return any(
        isinstance(text, str) and customer.is_mentioned_in(text)
        for name, text in entry.items()
        if name != "file"
    )


def removed_row_positions(rejected: Path, row_filter: RowFilter) -> set[tuple[str, int]]:
    """Return file and line of the refused rows that a filter removes.

    The result is empty if the table cannot be read; its own place reports that error.
    """
    positions: set[tuple[str, int]] = set()

    def collect(table: Any) -> Mask:
        removed = row_filter(table)
        if "file" in table.column_names and "line" in table.column_names:
            rows = table.select(["file", "line"]).take(np.flatnonzero(removed)).to_pylist()
            positions.update((row["file"], row["line"]) for row in rows)
        return removed

    with suppress(DataRefusedError):
        count_rows(rejected, collect)
    return positions


def read_report(path: Path) -> dict[str, Any]:
    """Return the content of ``data-report.json``.

    Raises
    ------
    DataRefusedError
        The file is not a data report.
    """
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise DataRefusedError(
            f"{path} is not a data report of a run ({error!r}); remove it or run again"
        ) from None


def report_text(report: Mapping[str, Any]) -> str:
    """Return the text of ``data-report.json`` in the format in which a run writes it."""
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def remove_page_rows(page: str, customer: Customer) -> tuple[str, int]:
    """Return a report without table rows and list items that name the customer, and their number.

    >>> rows = "<tr><th><bdi>17</bdi></th><td>9</td></tr>\\n <tr><th><bdi>170</bdi></th></tr>"
    >>> page = f"<tbody>\\n {rows}\\n</tbody>"
    >>> remove_page_rows(page, Customer.parse("17"))
    ('<tbody>\\n <tr><th><bdi>170</bdi></th></tr>\\n</tbody>', 1)
    """
    removed = 0

    def replacement(row: re.Match[str]) -> str:
        nonlocal removed
        has_id = any(customer.matches(cell) for cell in id_cells(row[0]))
        if has_id or customer.is_mentioned_in(html.unescape(_TAG.sub(" ", row[0]))):
            removed += 1
            return ""
        return row[0]

    page = _ROW.sub(replacement, page)
    return _ITEM.sub(replacement, page), removed


def id_cells(page: str) -> list[str]:
    """Return the texts of the cells that contain ids of customers."""
    return [html.unescape(_TAG.sub("", cell)) for cell in _CELL.findall(page)]


def search_page(path: Path, customer: Customer) -> Hits:
    """Count the occurrences of a customer in the page of a report."""
    hits = search_bytes(path, customer)
    if hits.count:
        return hits
    page = path.read_text("utf-8")
    for cell in _CELL.finditer(page):
        if customer.matches(html.unescape(_TAG.sub("", cell[1]))):
            hits += Hits(1, f"byte {len(page[: cell.start(1)].encode())}")
    return hits

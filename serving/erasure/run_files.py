"""The files of a run without one customer; each in its own way, and every other row and number as
it was.

data-report.json    examples of refused rows
rejected.parquet    refused rows whose customer it is, or which name the customer
scores.parquet      and any other Parquet file with a column ``customer_id``
report.html         rows of its table that name the customer
model/              looked through only: it is hashed, and holds nobody
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
from stagecast.serving.erasure.occurrences import Hits, in_bytes
from stagecast.serving.erasure.parquet_files import Judge, Mask, rows_of

_ROW = re.compile(r"\s*<tr\b[^>]*>(?:(?!</tr>).)*</tr>", re.DOTALL)
_ITEM = re.compile(r"\s*<li\b[^>]*>(?:(?!</?li\b).)*</li>", re.DOTALL)
_CELL = re.compile(r"<bdi>(.*?)</bdi>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def customer_column(data_report: Path) -> str | None:
    """Return the source column that a run read its customers from, or None where that is not
    known.
    """
    try:
        columns = json.loads(data_report.read_text("utf-8")).get("columns", {})
        return str(columns["customer"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None


def judge_rejected(customer: Customer, column: str | None) -> Judge:
    """Return what says which rows of ``rejected.parquet`` go.

    They are those whose source row has the customer in the customer column, those whose text names
    a telling id anywhere, and malformed lines with the id in one of their fields: the log itself
    keeps these, this is a copy.
    """

    def judge(table: Any) -> Mask:
        goes = np.zeros(table.num_rows, dtype=np.bool_)
        if not {"raw", "value"} <= set(table.column_names):
            return goes
        may = None
        for name in ("raw", "value"):
            for spelling in customer.spellings:
                found = pc.fill_null(pc.match_substring(table[name], spelling), False)
                may = found if may is None else pc.or_(may, found)
        for at in pc.indices_nonzero(may).to_pylist():
            goes[at] = names_row(
                customer, column, table["value"][at].as_py(), table["raw"][at].as_py()
            )
        return goes

    return judge


def names_row(customer: Customer, column: str | None, value: str | None, raw: str | None) -> bool:
    """Tell whether a refused row is the customer's, or names the customer."""
    texts = [text for text in (value, raw) if text is not None]
    if not customer.plain and any(customer.stands_in(text) for text in texts):
        return True
    try:
        row = json.loads(raw or "null")
    except ValueError:
        row = raw
    if isinstance(row, dict):
        cells = [row[column]] if column in row else list(row.values())
        return any(customer.is_named_by(cell) for cell in cells)
    return isinstance(row, str) and customer.is_in_line(row)


def without_entries(
    report: Mapping[str, Any], customer: Customer, gone: set[tuple[str, int]]
) -> tuple[Any, int]:
    """Return the data report without the entries of its lists that show the customer, and how many
    these are.

    Parameters
    ----------
    gone
        file and line of the refused rows that are the customer's.
    """
    count = 0

    def cleaned(value: Any) -> Any:
        nonlocal count
        if isinstance(value, dict):
            # the names of the files are the user's own; one that holds the id is told, not hidden
            return {
                name: inner if name == "files" else cleaned(inner) for name, inner in value.items()
            }
        if isinstance(value, list):
            kept = [entry for entry in value if not _shows(entry, customer, gone)]
            count += len(value) - len(kept)
            return [cleaned(entry) for entry in kept]
        return value

    return cleaned(dict(report)), count


def _shows(entry: Any, customer: Customer, gone: set[tuple[str, int]]) -> bool:
    if isinstance(entry, str):
        return customer.is_spoken_of(entry)
    if not isinstance(entry, dict):
        return False
    if (
        customer.is_named_by(entry.get("customer_id"))
        or (entry.get("file"), entry.get("line")) in gone
    ):
        return True
    value = entry.get("value")
    if (
        isinstance(value, str)
        and entry.get("column") is None
        and customer.is_in_line(value.partition(": ")[2])
    ):
        return True  # a malformed line, behind what is wrong with it
    return any(
        isinstance(text, str) and customer.is_spoken_of(text)
        for name, text in entry.items()
        if name != "file"
    )


def gone_rows(rejected: Path, judge: Judge) -> set[tuple[str, int]]:
    """Return file and line of the refused rows that go; none where the table cannot be read, as
    its own place tells.
    """
    found: set[tuple[str, int]] = set()

    def remember(table: Any) -> Mask:
        goes = judge(table)
        if "file" in table.column_names and "line" in table.column_names:
            rows = table.select(["file", "line"]).take(np.flatnonzero(goes)).to_pylist()
            found.update((row["file"], row["line"]) for row in rows)
        return goes

    with suppress(DataRefusedError):
        rows_of(rejected, remember)
    return found


def read_report(path: Path) -> dict[str, Any]:
    """Read ``data-report.json``.

    Raises
    ------
    DataRefusedError
        It is not a data report.
    """
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise DataRefusedError(
            f"{path} is not a data report of a run ({error!r}); remove it or run again"
        ) from None


def written(report: Mapping[str, Any]) -> str:
    """Return a data report as a run writes it."""
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def without_rows(page: str, customer: Customer) -> tuple[str, int]:
    """Return a report's page without the table rows and list items that name the customer, and how
    many these are.

    >>> rows = "<tr><th><bdi>17</bdi></th><td>9</td></tr>\\n <tr><th><bdi>170</bdi></th></tr>"
    >>> page = f"<tbody>\\n {rows}\\n</tbody>"
    >>> without_rows(page, Customer.parse("17"))
    ('<tbody>\\n <tr><th><bdi>170</bdi></th></tr>\\n</tbody>', 1)
    """
    count = 0

    def kept(row: re.Match[str]) -> str:
        nonlocal count
        named = any(customer.is_named_by(cell) for cell in cells(row[0]))
        if named or customer.is_spoken_of(html.unescape(_TAG.sub(" ", row[0]))):
            count += 1
            return ""
        return row[0]

    page = _ROW.sub(kept, page)
    return _ITEM.sub(kept, page), count


def cells(page: str) -> list[str]:
    """Return the texts of the cells that hold ids."""
    return [html.unescape(_TAG.sub("", cell)) for cell in _CELL.findall(page)]


def in_page(path: Path, customer: Customer) -> Hits:
    """Count what names the customer in a report's page."""
    hits = in_bytes(path, customer)
    if hits.count:
        return hits
    page = path.read_text("utf-8")
    for cell in _CELL.finditer(page):
        if customer.is_named_by(html.unescape(_TAG.sub("", cell[1]))):
            hits += Hits(1, f"byte {len(page[: cell.start(1)].encode())}")
    return hits

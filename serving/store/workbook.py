"""A workbook of one sheet, whose texts no spreadsheet takes for a formula, a link or a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stagecast.features.errors import UsageError

SHEET_ROWS_MAX = 1_048_575
"""Rows of a sheet below its header."""


def check_rows(number: int) -> None:
    """Check that so many rows fit a sheet.

    Raises
    ------
    UsageError
        They do not.
    """
    if number > SHEET_ROWS_MAX:
        raise UsageError(
            f"{number:,} customers are more than the {SHEET_ROWS_MAX:,} rows of a sheet; take CSV"
        )


def write_workbook(
    path: Path,
    name: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    number_formats: Mapping[int, str] | None = None,
) -> None:
    """Write a workbook; only one row is in memory at a time.

    Parameters
    ----------
    path
        The file.
    name
        Of the sheet.
    head
        Heads of the columns.
    rows
        Cells: texts, numbers, or None for an empty one.
    number_formats
        Position of a column -> how a spreadsheet shows its numbers, such as ``0%``.
    """
    import xlsxwriter  # needed for this alone

    # texts are written as texts: no formula, no link, no number made of an id
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet, bold = book.add_worksheet(name), book.add_format({"bold": True})
        shown = {
            column: book.add_format({"num_format": text})
            for column, text in (number_formats or {}).items()
        }
        for column, text in enumerate(head):
            sheet.write_string(0, column, text, bold)
        for number, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(number, column, value)
                elif value is not None:
                    sheet.write_number(number, column, value, shown.get(column))
        sheet.freeze_panes(1, 0)

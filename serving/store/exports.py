"""Ranked lists as CSV and NDJSON, piece by piece, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from stagecast.serving.scoring import score_schema

# what makes Excel, LibreOffice or Google Sheets read a cell as a formula, the full-width forms
# included
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """Return the text with a leading apostrophe if a spreadsheet would take it for a formula.

    >>> harmless("=HYPERLINK(1)"), harmless("  -1"), harmless("17850")
    ("'=HYPERLINK(1)", "'  -1", '17850')
    """
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def csv_pieces(documents: Iterable[str], stage_ids: Sequence[str]) -> Iterator[str]:
    """Yield the scores as CSV text, a header line first: the columns of the contract,
    ``reasons`` as JSON text.
    """
    columns = score_schema.columns(stage_ids)
    texts = {
        column.name
        for column in columns
        if pa.types.is_string(column.type) or column.name == "reasons"
    }
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([column.name for column in columns])
    for document in documents:
        score = msgspec.json.decode(document)
        writer.writerow(
            [_cell(_value(score, column.name), column.name in texts) for column in columns]
        )
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def ndjson_pieces(documents: Iterable[str]) -> Iterator[str]:
    """Yield each score as one line of JSON."""
    for document in documents:
        yield document + "\n"


def _value(score: dict[str, Any], column: str) -> Any:
    if column.startswith("p_stage_"):
        return score["next_stage"].get(column.removeprefix("p_stage_"))
    return score.get("next_stage_likeliest" if column == "next_stage" else column)


def _cell(value: Any, is_text: bool) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = msgspec.json.encode(value).decode("utf-8")
    return harmless(value) if is_text else value

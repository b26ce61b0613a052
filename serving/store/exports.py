"""Ranked lists as streams of CSV and NDJSON; the CSV is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.documents import spoken, with_sentences

# Excel, LibreOffice and Google Sheets read a cell with one of these prefixes as a formula; some
# also accept the full-width characters
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


PIECE_BYTES = 1 << 16


def escape_formula(text: str) -> str:
    """Return the text with a leading apostrophe if a spreadsheet would read it as a formula.

    >>> escape_formula("=HYPERLINK(1)"), escape_formula("  -1"), escape_formula("17850")
    ("'=HYPERLINK(1)", "'  -1", '17850')
    """
    is_formula = text.startswith(_FORMULA_PREFIXES) or text.lstrip().startswith(_FORMULA_PREFIXES)
    return f"'{text}" if is_formula else text


def csv_pieces(
    documents: Iterable[str],
    stage_ids: Sequence[str],
    currency: str | None = None,
    language: str = "en",
    fields: Sequence[str] | None = None,
) -> Iterator[str]:
    """Yield scores as CSV text that begins with a header line, in pieces of about 64 KiB.

    The columns are those of :mod:`stagecast.serving.scoring.score_schema`; lists are JSON
    text.

    Parameters
    ----------
    documents
        Scores, each the text of one JSON object.
    stage_ids
        Stage ids of the scheme, in order.
    currency
        Code of the currency of amounts in the sentences; None: not known.
    language
        Language of the sentences.
    fields
        Names of the columns that are asked for, in order; None: all.
    """
    columns = score_schema.columns(stage_ids)
    names = [column.name for column in columns] if fields is None else list(fields)
    text_columns = {
        column.name
        for column in columns
        if pa.types.is_string(column.type) or column.name == "reasons"
    } | {"next_stage_likeliest"}
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for document in documents:
        score = msgspec.json.decode(document)
        score["reasons"] = spoken(score.get("reasons") or [], currency, language)
        writer.writerow([_cell(_value(score, name), name in text_columns) for name in names])
        if buffer.tell() > PIECE_BYTES:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def ndjson_pieces(
    documents: Iterable[str],
    currency: str | None = None,
    language: str = "en",
    fields: Sequence[str] | None = None,
) -> Iterator[bytes]:
    """Yield scores as lines of JSON, in pieces of about 64 KiB; parameters: :func:`csv_pieces`."""
    lines: list[bytes] = []
    size = 0
    for document in documents:
        lines.append(with_sentences(document, currency, language, fields) + b"\n")
        size += len(lines[-1])
        if size > PIECE_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


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
    return escape_formula(value) if is_text else value

"""Reading of CSV bytes as records with line numbers; malformed records are returned apart.

DuckDB counts a record with a quoted newline as one line, and so its reject tables give wrong line
numbers. Therefore :mod:`stagecast.features.intake.csvscan` splits the text into records, and Arrow
parses them. Only records that Arrow is certain to parse as one row with the header's number of
fields are passed on. Blank lines are skipped.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.typing import NDArray

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.column_names import name_columns, nameless_columns
from stagecast.features.intake.csvscan import (
    SEPARATORS,
    Ints,
    RecordBounds,
    find_records,
    line_ends_of,
)
from stagecast.features.intake.file_kinds import other_kind

CHUNK_BYTES = 1 << 18
BATCH_BYTES = 8 << 20
LONGEST_RECORD_BYTES = 1 << 20
"""A quoted field that is longer than this is taken for a stray quote."""


@dataclass
class CsvBatch:
    """Records of one part of the file.

    Parameters
    ----------
    pieces
        Bytes of the valid records, as in the file.
    lines
        The physical line on which each of them begins; the header is line 1.
    longest
        Size of the longest of them in bytes.
    malformed
        Line, text and problem of each malformed record.
    """

    pieces: list[bytes] = field(default_factory=list)
    lines: list[Ints] = field(default_factory=list)
    longest: int = 0
    malformed: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Size of the records so far, in bytes."""
        return sum(map(len, self.pieces)) + sum(len(text) for _, text, _ in self.malformed)


class CsvRecords:
    """Reader of one CSV stream: the header at once, the records by :meth:`batches`.

    Parameters
    ----------
    stream
        Binary and decompressed.
    label
        The file as the user named it; used in error messages.
    separator
        Separator of fields; None: the one that splits the header into most columns.
    header_line
        Physical line of the header, counted from 1; the lines above it are not read.

    Attributes
    ----------
    header
        Name of each column; a column without a name is called by its position, ``column 1``.
    nameless
        Positions, counted from 0, of the columns without a name.

    Raises
    ------
    DataRefusedError
        The header is missing or cannot be used, the file is binary, or not in UTF-8.
    """

    def __init__(
        self,
        stream: IO[bytes],
        label: str,
        separator: str | None = None,
        header_line: int = 1,
    ) -> None:
        self.label = label
        self._declared_separator = separator
        self._stream = stream
        self._buffer = b""
        self._final = False
        self._offset = 0  # bytes of the file before the buffer
        self._line = 1  # physical line on which the buffer begins
        self._fill()
        if not self._buffer:
            raise DataRefusedError(
                f"{label} is empty (0 bytes); a log has a header line and a row for each event"
            )
        kind = other_kind(self._buffer)
        if kind is not None:
            raise DataRefusedError(f"{label} is not CSV text but {kind}")
        if self._buffer.startswith(codecs.BOM_UTF8):
            self._consume(len(codecs.BOM_UTF8), 0)
        self._skip_lines(header_line - 1)
        self.separator, names = self._read_header()
        self.nameless = nameless_columns(names)
        self.header = name_columns(names, label)

    def _fill(self) -> None:
        chunk = self._stream.read(CHUNK_BYTES)
        self._final = not chunk
        if self._final and self._buffer and not self._buffer.endswith((b"\n", b"\r")):
            chunk = b"\n"
        self._buffer += chunk

    def _skip_lines(self, lines: int) -> None:
        """Skip physical lines, whatever quotes they hold: a title is no record."""
        skipped = 0
        while skipped < lines:
            line_ends = line_ends_of(np.frombuffer(self._buffer, np.uint8), self._final)
            line_ends = line_ends[: lines - skipped]
            skipped += len(line_ends)
            self._consume(int(line_ends[-1]) + 1 if len(line_ends) else 0, len(line_ends))
            if skipped < lines or not self._buffer:
                if self._final:
                    raise DataRefusedError(
                        f"{self.label} has {self._line - 1} lines; --header-line {lines + 1} "
                        "stands behind its end"
                    )
                self._fill()

    def _consume(self, size: int, lines: int) -> None:
        self._offset += size
        self._line += lines
        self._buffer = self._buffer[size:]

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = self._line + data.count(b"\n", 0, error.start)
            raise DataRefusedError(
                f"{self.label}, line {line}: byte {self._offset + error.start + 1} of the file "
                f"({data[error.start]:#04x}) is not UTF-8. Name the file's encoding, such "
                "as --encoding cp1252 "
                "(Western Europe) or cp1251 (Cyrillic): which of them it is cannot be "
                "told from the bytes"
            ) from None

    def _read_header(self) -> tuple[str, list[str]]:
        while True:
            records = find_records(self._buffer, None, self._final)
            if len(records.ends) or self._final:
                break
            if len(self._buffer) > LONGEST_RECORD_BYTES:
                raise DataRefusedError(
                    f"{self.label} has no line end in its first {len(self._buffer)} bytes: not CSV?"
                )
            self._fill()
        if not len(records.ends):
            raise DataRefusedError(f"{self.label}: a quote in the header line is never closed")
        data = self._buffer[: int(records.ends[0])]
        if b"\0" in data:
            raise DataRefusedError(f"{self.label} is not CSV text: its first line holds NUL bytes")
        text = self._decode(data).rstrip("\r\n")
        if not text.strip():
            raise DataRefusedError(
                f"{self.label}: line {self._line} is blank; it must name the columns, or "
                "--header-line N says which line does"
            )
        separator = self._declared_separator or _find_separator(text, self.label)
        header = [name.strip() for name in split_header(text, separator)]
        self._consume(len(data), int(records.next_line[0]))
        return separator, header

    def batches(self) -> Iterator[CsvBatch]:
        """Yield the records in the order of the file, in batches of about 8 MB.

        Raises
        ------
        DataRefusedError
            The file is not in UTF-8, or a line is longer than 1 MB.
        """
        batch = CsvBatch()
        while True:
            has_progressed = self._move_records(batch)
            if batch.size >= BATCH_BYTES:
                yield batch
                batch = CsvBatch()
            if self._final and not self._buffer:
                break
            if not has_progressed or not self._final:
                self._fill()
        if batch.lines or batch.malformed:
            yield batch

    def _move_records(self, batch: CsvBatch) -> bool:
        """Move the complete records of the buffer to the batch; return whether there were any."""
        records = find_records(self._buffer, ord(self.separator), self._final)
        has_wrong_count = records.separator_counts != len(self.header) - 1
        malformed = records.has_bad_quote | has_wrong_count | records.has_nul
        malformed &= ~records.blank
        # A malformed record over several lines probably has a stray quote on its first line: only
        # that line is rejected, and reading continues on the next one.
        multi_line = np.flatnonzero(malformed & (records.next_line - records.first_line > 1))
        count = int(multi_line[0]) if len(multi_line) else len(records.ends)
        self._collect(batch, records, malformed, count)
        size = int(records.ends[count - 1]) if count else 0
        lines = int(records.next_line[count - 1]) if count else 0
        self._decode(self._buffer[:size])
        self._consume(size, lines)
        is_stuck = not count and (
            len(self._buffer) > LONGEST_RECORD_BYTES or (self._final and bool(self._buffer))
        )
        if len(multi_line) or is_stuck:
            self._reject_line(batch)
            return True
        return count > 0

    def _reject_line(self, batch: CsvBatch) -> None:
        """Move the first line of the buffer to the malformed records of the batch."""
        end = int(line_ends_of(np.frombuffer(self._buffer, np.uint8), self._final)[:1].sum()) + 1
        if end == 1 and self._buffer[:1] not in (b"\n", b"\r"):
            raise DataRefusedError(
                f"{self.label}, line {self._line}: no line end within "
                f"{LONGEST_RECORD_BYTES} bytes; is this CSV?"
            )
        text = self._decode(self._buffer[:end]).rstrip("\r\n")
        batch.malformed.append(
            (self._line, text, "a quote is not closed, or closes before the end of its field")
        )
        self._consume(end, 1)

    def _collect(
        self, batch: CsvBatch, records: RecordBounds, malformed: NDArray[np.bool_], count: int
    ) -> None:
        """Add the first ``count`` records to the batch, the malformed ones apart."""
        valid = ~(malformed | records.blank)[:count]
        lines = self._line + records.first_line[:count]
        begins, ends = records.begins[:count], records.ends[:count]
        for i in np.flatnonzero(malformed[:count]):
            text = self._decode(self._buffer[int(begins[i]) : int(ends[i])]).rstrip("\r\n")
            batch.malformed.append(
                (int(lines[i]), text, _describe_problem(records, int(i), len(self.header)))
            )
        if not valid.any():
            return
        batch.lines.append(lines[valid])
        batch.longest = max(batch.longest, int((ends - begins)[valid].max()))
        # adjacent valid records are copied as one piece
        edges = np.flatnonzero(np.diff(np.concatenate(([False], valid, [False])).astype(np.int8)))
        for first, after in edges.reshape(-1, 2):
            batch.pieces.append(self._buffer[int(begins[first]) : int(ends[after - 1])])


def _describe_problem(records: RecordBounds, i: int, columns: int) -> str:
    if records.has_nul[i]:
        return "the line holds a NUL byte"
    if records.has_bad_quote[i]:
        return "a quote closes before the end of its field"
    return f"{int(records.separator_counts[i]) + 1} fields, the header has {columns}"


def split_header(header: str, separator: str) -> list[str]:
    """Return the fields of a line; the whole line where it cannot be split as CSV."""
    try:
        return next(csv.reader([header], delimiter=separator))
    except csv.Error:  # quotes that are wrong with this separator, or a name that is too long
        return [header]


def _find_separator(header: str, label: str) -> str:
    """Return the separator that splits the header into most columns.

    Raises
    ------
    DataRefusedError
        Two separators give the same number of columns.
    """
    counts = {s: len(split_header(header, s)) for s in SEPARATORS}
    largest = max(counts.values())
    best = [s for s, n in counts.items() if n == largest]
    if largest > 1 and len(best) > 1:
        names = " and ".join(repr(s) for s in best)
        raise DataRefusedError(
            f"{label}: {names} cut the header {header!r} equally well; say which with --separator"
        )
    return best[0]

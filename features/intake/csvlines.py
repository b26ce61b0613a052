"""CSV bytes in, sound records with the line each begins on, and the malformed ones set aside.

DuckDB counts a record with a quoted newline as one line, and its reject tables are off by the same
amount; so the records are found here, a quarter of a megabyte at a time with NumPy, and parsed by
Arrow. Only what Arrow is certain to parse as one record with the header's number of fields is
passed on.

How a record is found is in :mod:`stagecast.features.intake.csvscan`. Blank lines are no rows.
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
from stagecast.features.intake.csvscan import SEPARATORS, Found, Ints, find_records, line_ends_of

CHUNK_BYTES = 1 << 18
BATCH_BYTES = 8 << 20
LONGEST_RECORD_BYTES = 1 << 20
"""An open quote that swallows more than this was never meant to open a field."""

_BINARY = {
    b"PAR1": "a Parquet file: name it .parquet",
    b"\x1f\x8b": "compressed with gzip: name it .csv.gz",
    b"PK\x03\x04": "a zip archive or an Excel workbook: save it as CSV",
    b"SQLite format 3": "a SQLite database",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: name it .csv.zst",
    b"\xff\xfe": "UTF-16: give --encoding utf-16",
    b"\xfe\xff": "UTF-16: give --encoding utf-16",
}


@dataclass
class CsvBatch:
    """Records of one piece of the file.

    Parameters
    ----------
    data
        The sound records, as they stand in the file.
    lines
        The physical line on which each of them begins; the header is line 1.
    longest
        Bytes of the longest of them.
    malformed
        (line, text of the record, what is wrong with it).
    """

    pieces: list[bytes] = field(default_factory=list)
    lines: list[Ints] = field(default_factory=list)
    longest: int = 0
    malformed: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes held so far."""
        return sum(map(len, self.pieces)) + sum(len(text) for _, text, _ in self.malformed)


class CsvRecords:
    """The records of one CSV stream: the header at once, the rest by :meth:`batches`.

    Parameters
    ----------
    stream
        Binary, decompressed.
    label
        The file as the user named it; stands in errors.
    separator
        Between fields; None: the one that cuts the header into most columns.

    Raises
    ------
    DataRefusedError
        No header, an unusable header, a binary file, or bytes that are not UTF-8.
    """

    def __init__(self, stream: IO[bytes], label: str, separator: str | None = None) -> None:
        self.label = label
        self._given = separator
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
        for magic, what in _BINARY.items():
            if self._buffer.startswith(magic):
                raise DataRefusedError(f"{label} is not CSV text but {what}")
        if self._buffer.startswith(codecs.BOM_UTF8):
            self._consume(len(codecs.BOM_UTF8), 0)
        self.separator, self.header = self._read_header()

    def _fill(self) -> None:
        chunk = self._stream.read(CHUNK_BYTES)
        self._final = not chunk
        if self._final and self._buffer and not self._buffer.endswith((b"\n", b"\r")):
            chunk = b"\n"
        self._buffer += chunk

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
            found = find_records(self._buffer, None, self._final)
            if len(found.ends) or self._final:
                break
            if len(self._buffer) > LONGEST_RECORD_BYTES:
                raise DataRefusedError(
                    f"{self.label} has no line end in its first {len(self._buffer)} bytes: not CSV?"
                )
            self._fill()
        if not len(found.ends):
            raise DataRefusedError(f"{self.label}: a quote in the header line is never closed")
        data = self._buffer[: int(found.ends[0])]
        if b"\0" in data:
            raise DataRefusedError(f"{self.label} is not CSV text: its first line holds NUL bytes")
        text = self._decode(data).rstrip("\r\n")
        if not text.strip():
            raise DataRefusedError(
                f"{self.label}: line 1 is blank; the first line must name the columns"
            )
        separator = self._given or _find_separator(text, self.label)
        header = [name.strip() for name in _cut(text, separator)]
        self._consume(len(data), int(found.next_line[0]))
        check_header(header, self.label)
        return separator, header

    def batches(self) -> Iterator[CsvBatch]:
        """Yield the records in the order of the file, about 8 MB at a time.

        Raises
        ------
        DataRefusedError
            Bytes that are not UTF-8, or a line longer than 1 MB.
        """
        batch = CsvBatch()
        while True:
            progress = self._step(batch)
            if batch.size >= BATCH_BYTES:
                yield batch
                batch = CsvBatch()
            if self._final and not self._buffer:
                break
            if not progress or not self._final:
                self._fill()
        if batch.lines or batch.malformed:
            yield batch

    def _step(self, batch: CsvBatch) -> bool:
        """Move the complete records of the buffer into the batch; return whether there were any."""
        found = find_records(self._buffer, ord(self.separator), self._final)
        wrong = found.quotes_wrong | (found.separators != len(self.header) - 1) | found.nul
        wrong &= ~found.blank
        # A malformed record over several lines: only its first line is given up, reading goes on at
        # the next one.
        runaway = np.flatnonzero(wrong & (found.next_line - found.first_line > 1))
        upto = int(runaway[0]) if len(runaway) else len(found.ends)
        self._collect(batch, found, wrong, upto)
        consumed = int(found.ends[upto - 1]) if upto else 0
        lines = int(found.next_line[upto - 1]) if upto else 0
        self._decode(self._buffer[:consumed])
        self._consume(consumed, lines)
        stuck = not upto and (
            len(self._buffer) > LONGEST_RECORD_BYTES or (self._final and bool(self._buffer))
        )
        if len(runaway) or stuck:
            self._give_up_line(batch)
            return True
        return upto > 0

    def _give_up_line(self, batch: CsvBatch) -> None:
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

    def _collect(self, batch: CsvBatch, found: Found, wrong: NDArray[np.bool_], upto: int) -> None:
        good = ~(wrong | found.blank)[:upto]
        lines = self._line + found.first_line[:upto]
        begins, ends = found.begins[:upto], found.ends[:upto]
        for i in np.flatnonzero(wrong[:upto]):
            text = self._decode(self._buffer[int(begins[i]) : int(ends[i])]).rstrip("\r\n")
            batch.malformed.append(
                (int(lines[i]), text, _describe(found, int(i), len(self.header)))
            )
        if not good.any():
            return
        batch.lines.append(lines[good])
        batch.longest = max(batch.longest, int((ends - begins)[good].max()))
        edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(np.int8)))
        for first, after in edges.reshape(-1, 2):
            batch.pieces.append(self._buffer[int(begins[first]) : int(ends[after - 1])])


def _describe(found: Found, i: int, columns: int) -> str:
    if found.nul[i]:
        return "the line holds a NUL byte"
    if found.quotes_wrong[i]:
        return "a quote closes before the end of its field"
    return f"{int(found.separators[i]) + 1} fields, the header has {columns}"


def _cut(header: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=separator))
    except csv.Error:  # quotes that only another separator explains, or a name beyond all measure
        return [header]


def _find_separator(header: str, label: str) -> str:
    """Return the separator that cuts the header into most columns; a tie is refused rather than
    guessed.
    """
    cuts = {s: len(_cut(header, s)) for s in SEPARATORS}
    most = max(cuts.values())
    best = [s for s, n in cuts.items() if n == most]
    if most > 1 and len(best) > 1:
        names = " and ".join(repr(s) for s in best)
        raise DataRefusedError(
            f"{label}: {names} cut the header {header!r} equally well; say which with --separator"
        )
    return best[0]


def check_header(names: list[str], label: str) -> None:
    """Refuse a header with an empty or a repeated name.

    Raises
    ------
    DataRefusedError
        The name and its position, counted from 1.
    """
    for at, name in enumerate(names):
        if not name:
            raise DataRefusedError(
                f"{label}: column {at + 1} of {len(names)} has no name; name it in the header line"
            )
        if name in names[:at]:
            raise DataRefusedError(
                f"{label}: columns {names.index(name) + 1} and {at + 1} are both named "
                f"{name!r}; rename one of them"
            )

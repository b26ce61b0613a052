"""Removal of a customer's records from a CSV log; every other byte remains as it was.

    scan (finds the records as the reader of logs does) -> copy (the bytes without the customer's)
        -> scan of the copy

The copy replaces the log only if the reader finds the same in both, except for the customer.
Otherwise a line with an open quote could swallow other lines after the lines behind it are removed.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.csvlines import CsvBatch, CsvRecords
from stagecast.features.intake.csvscan import Ints, find_records
from stagecast.features.intake.expressions import SourceColumn
from stagecast.features.intake.textfiles import open_text
from stagecast.serving.erasure.customer_column import Matcher, compile_customer
from stagecast.serving.erasure.cutting import WHOLE_LINE, Cutter
from stagecast.serving.erasure.identity import Customer

CHUNK_BYTES = 1 << 20
_BYTE_ORDER_MARKS = {
    ("utf-16", codecs.BOM_UTF16_LE): "utf-16-le",
    ("utf-16", codecs.BOM_UTF16_BE): "utf-16-be",
    ("utf-32", codecs.BOM_UTF32_LE): "utf-32-le",
    ("utf-32", codecs.BOM_UTF32_BE): "utf-32-be",
}


@dataclass(frozen=True)
class LogOptions:
    """Options by which a log is read, and the customer whose records are to be removed.

    Parameters
    ----------
    customer
        The customer.
    column
        Column of customers, or an expression; None: ``customer_id``.
    encoding
        Encoding of a CSV log.
    separator
        Separator of a CSV log; None: the reader detects it.
    include_malformed
        Whether to remove malformed lines that name the customer, too.
    header_line
        Line of a CSV log that names the columns, counted from 1.
    """

    customer: Customer
    column: str | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    include_malformed: bool = False
    header_line: int = 1


@dataclass
class Scan:
    """What the reader finds in a log.

    Parameters
    ----------
    lines, sizes
        Records to remove: the physical line on which each begins, counted from 1, and its size in
        bytes (:data:`WHOLE_LINE` for a malformed line).
    rows
        Number of well-formed records of the customer.
    malformed_lines
        Numbers of the malformed lines that name the customer.
    record_digest, malformed_digest
        SHA-256 objects over the records, and the malformed lines, that are not removed.
    """

    lines: list[Ints] = field(default_factory=list)
    sizes: list[Ints] = field(default_factory=list)
    rows: int = 0
    malformed_lines: list[int] = field(default_factory=list)
    record_digest: Any = field(default_factory=hashlib.sha256)
    malformed_digest: Any = field(default_factory=hashlib.sha256)

    @property
    def digests(self) -> tuple[str, str]:
        """The two digests as hexadecimal text."""
        return self.record_digest.hexdigest(), self.malformed_digest.hexdigest()

    def cutter(self) -> Cutter:
        """Return a cutter that removes the records from the bytes of the log."""
        no_ints = np.empty(0, np.int64)
        lines = np.concatenate([no_ints, *self.lines])
        sizes = np.concatenate([no_ints, *self.sizes])
        order = np.argsort(lines, kind="stable")
        return Cutter(lines[order], sizes[order])


def scan(con: duckdb.DuckDBPyConnection, path: Path, options: LogOptions) -> Scan:
    """Read a CSV log and find the customer's records.

    Raises
    ------
    DataRefusedError, UsageError
        The log cannot be read, or has no such column.
    """
    result = Scan()
    with open_text(str(path), options.encoding) as stream:
        records = CsvRecords(stream, str(path), options.separator, options.header_line)
        columns = [SourceColumn(name, f"c{i}", "text") for i, name in enumerate(records.header)]
        customer_column = compile_customer(options.column, columns, str(path))
        matcher = Matcher(con, customer_column, options.customer)
        bare_column = customer_column.single_column
        position = None if bare_column is None else records.header.index(bare_column.name)
        column_names = [column.sql for column in columns]
        for batch in records.batches():
            if batch.lines:
                _scan_records(batch, records.separator, column_names, matcher, result)
            for line, text, _ in batch.malformed:
                if _is_named_in_line(options.customer, text, records.separator, position):
                    result.malformed_lines.append(line)
                    if options.include_malformed:
                        result.lines.append(np.array([line]))
                        result.sizes.append(np.array([WHOLE_LINE]))
                        continue
                result.malformed_digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return result


def _is_named_in_line(customer: Customer, line: str, separator: str, position: int | None) -> bool:
    if customer.ambiguous and position is not None:
        # an ambiguous id in another column is probably something else
        fields = line.split(separator)
        return position < len(fields) and customer.matches(fields[position].strip('"'))
    return customer.occurs_in_line(line)


def _scan_records(
    batch: CsvBatch, separator: str, column_names: list[str], matcher: Matcher, result: Scan
) -> None:
    """Add the well-formed records of a batch to the result."""
    data, lines = b"".join(batch.pieces), np.concatenate(batch.lines)
    records = find_records(data, ord(separator), final=True)
    columns = _parse(data, batch.longest, separator, column_names, matcher)
    removed = matcher.mask(columns, len(lines))
    result.rows += int(removed.sum())
    result.lines.append(lines[removed])
    result.sizes.append((records.ends - records.begins)[removed])
    # the digest is over the bytes of each run of consecutive records that are not removed
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~removed, [False])).astype(np.int8)))
    for first, end in edges.reshape(-1, 2):
        result.record_digest.update(data[int(records.begins[first]) : int(records.ends[end - 1])])


def _parse(data: bytes, longest: int, separator: str, names: list[str], matcher: Matcher) -> Any:
    """Return the columns that the matcher reads, as an Arrow table of text."""
    matcher_columns = [column.sql for column in matcher.columns]
    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(column_names=names, block_size=max(1 << 20, 2 * longest)),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=matcher_columns,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def copy_without(
    con: duckdb.DuckDBPyConnection, path: Path, draft: Path, options: LogOptions
) -> int:
    """Write a log without the customer's records, and return the number of removed records.

    Raises
    ------
    DataRefusedError
        Without the customer's records the reader would read a malformed line differently, or the
        text cannot be encoded to the same bytes again.
    """
    original = scan(con, path, options)
    cutter = original.cutter()
    with open_text(str(path)) as stream, _open_draft(draft) as draft_stream:
        for piece in _remaining_bytes(stream, cutter, options.encoding, path):
            draft_stream.write(piece)
    copy = scan(con, draft, options)
    expected_malformed = 0 if options.include_malformed else len(original.malformed_lines)
    if (
        copy.rows
        or copy.digests != original.digests
        or len(copy.malformed_lines) != expected_malformed
    ):
        raise DataRefusedError(
            f"{path}: without the customer's records its malformed lines would be read "
            "otherwise (a quote that is not "
            "closed reaches further); it is left as it is: mend those lines (stagecast "
            "check names them), then erase "
            "again"
        )
    return original.rows + (len(original.malformed_lines) if options.include_malformed else 0)


def _remaining_bytes(
    stream: IO[bytes], cutter: Cutter, encoding: str, path: Path
) -> Iterator[bytes]:
    """Yield the bytes that remain.

    A text in another encoding is cut as UTF-8, since the reader counts the bytes of records in
    UTF-8.
    """
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig"):
        while data := stream.read(CHUNK_BYTES):
            yield from cutter.feed(data)
        yield from cutter.feed(b"", final=True)
        return
    data = stream.read(CHUNK_BYTES)
    for (family, mark), endian_encoding in _BYTE_ORDER_MARKS.items():
        if name == family and data.startswith(mark):
            yield mark
            data, name = data[len(mark) :], endian_encoding
            break
    decoder, pending = codecs.getincrementaldecoder(name)("strict"), b""
    while True:
        text = decoder.decode(data, final=not data)
        raw, pending = pending + data, decoder.getstate()[0]
        if text.encode(name) != raw[: len(raw) - len(pending)]:
            raise DataRefusedError(
                f"{path}: {encoding} cannot be written back to the same bytes; convert it to UTF-8"
            )
        for piece in cutter.feed(text.encode(), final=not data):
            yield piece.decode().encode(name)
        if not data:
            return
        data = stream.read(CHUNK_BYTES)


@contextmanager
def _open_draft(draft: Path) -> Iterator[IO[bytes]]:
    """Open the draft for writing, with the compression that the ending of its name stands for."""
    name = draft.name.lower()
    if name.endswith(".gz"):
        with draft.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed_file:
            yield cast(IO[bytes], compressed_file)
    elif name.endswith(".zst"):
        with (
            pa.OSFile(str(draft), "wb") as file,
            pa.CompressedOutputStream(file, "zstd") as compressed_file,
        ):
            yield cast(IO[bytes], compressed_file)
    else:
        with draft.open("wb") as file:
            yield file

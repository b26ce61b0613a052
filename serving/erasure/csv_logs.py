"""A CSV log without one customer's records; every other byte as it was.

    scan (records as the reader finds them, which of them go) -> copy (bytes, without those)
        -> scan of the copy

The copy takes the log's place only if the reader finds in it what it found in the log, less the
customer: a line with an open quote could otherwise swallow other lines once those behind it are
gone.
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
_MARKS = {
    ("utf-16", codecs.BOM_UTF16_LE): "utf-16-le",
    ("utf-16", codecs.BOM_UTF16_BE): "utf-16-be",
    ("utf-32", codecs.BOM_UTF32_LE): "utf-32-le",
    ("utf-32", codecs.BOM_UTF32_BE): "utf-32-be",
}


@dataclass(frozen=True)
class How:
    """How the log is read: whose records go, from which column, and the encoding and separator
    of the text.
    """

    customer: Customer
    column: str | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    include_malformed: bool = False


@dataclass
class Scan:
    """What the reader finds in a log.

    Parameters
    ----------
    lines, sizes
        Of the records that go: the physical line on which each begins, and its bytes
        (:data:`WHOLE_LINE` for a malformed one).
    rows
        Sound records of the customer.
    named
        Malformed lines that name the customer.
    rest
        Digest of the records that stay and one of the malformed lines that stay.
    """

    lines: list[Ints] = field(default_factory=list)
    sizes: list[Ints] = field(default_factory=list)
    rows: int = 0
    named: list[int] = field(default_factory=list)
    rest: tuple[Any, Any] = field(default_factory=lambda: (hashlib.sha256(), hashlib.sha256()))

    @property
    def digests(self) -> tuple[str, str]:
        """The two digests as text."""
        return self.rest[0].hexdigest(), self.rest[1].hexdigest()

    def cutter(self) -> Cutter:
        """Return what cuts the records out."""
        none = np.empty(0, np.int64)
        lines, sizes = np.concatenate([none, *self.lines]), np.concatenate([none, *self.sizes])
        order = np.argsort(lines, kind="stable")
        return Cutter(lines[order], sizes[order])


def scan(con: duckdb.DuckDBPyConnection, path: Path, how: How) -> Scan:
    """Read a log and find the customer's records.

    Raises
    ------
    DataRefusedError, UsageError
        The log cannot be read, or has no such column.
    """
    found = Scan()
    with open_text(str(path), how.encoding) as stream:
        records = CsvRecords(stream, str(path), how.separator)
        columns = [SourceColumn(name, f"c{i}", "text") for i, name in enumerate(records.header)]
        part = compile_customer(how.column, columns, str(path))
        matcher = Matcher(con, part, how.customer)
        column = part.single_column
        place = None if column is None else records.header.index(column.name)
        for batch in records.batches():
            if batch.lines:
                _sound(batch, records.separator, [one.sql for one in columns], matcher, found)
            for line, text, _ in batch.malformed:
                if _names(how.customer, text, records.separator, place):
                    found.named.append(line)
                    if how.include_malformed:
                        found.lines.append(np.array([line]))
                        found.sizes.append(np.array([WHOLE_LINE]))
                        continue
                found.rest[1].update(text.encode("utf-8", "surrogatepass") + b"\n")
    return found


def _names(customer: Customer, line: str, separator: str, place: int | None) -> bool:
    if customer.plain and place is not None:
        # a number among others: only where the header has the customer
        fields = line.split(separator)
        return place < len(fields) and customer.is_named_by(fields[place].strip('"'))
    return customer.is_in_line(line)


def _sound(
    batch: CsvBatch, separator: str, names: list[str], matcher: Matcher, found: Scan
) -> None:
    data, lines = b"".join(batch.pieces), np.concatenate(batch.lines)
    records = find_records(data, ord(separator), final=True)
    goes = matcher.mask(_parse(data, batch.longest, separator, names, matcher), len(lines))
    found.rows += int(goes.sum())
    found.lines.append(lines[goes])
    found.sizes.append((records.ends - records.begins)[goes])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~goes, [False])).astype(np.int8)))
    for first, after in edges.reshape(-1, 2):
        found.rest[0].update(data[int(records.begins[first]) : int(records.ends[after - 1])])


def _parse(data: bytes, longest: int, separator: str, names: list[str], matcher: Matcher) -> Any:
    wanted = [column.sql for column in matcher.columns]
    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(column_names=names, block_size=max(1 << 20, 2 * longest)),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=wanted,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def copy_without(con: duckdb.DuckDBPyConnection, path: Path, draft: Path, how: How) -> int:
    """Write the log without the customer's records; return how many rows and lines went.

    Raises
    ------
    DataRefusedError
        A malformed line would be read otherwise without the customer's records, or the encoding
        cannot be written back to the same bytes.
    """
    found = scan(con, path, how)
    cutter = found.cutter()
    with open_text(str(path)) as stream, _packed(draft) as out:
        for piece in _cut_out(stream, cutter, how.encoding, path):
            out.write(piece)
    again = scan(con, draft, how)
    left_malformed = 0 if how.include_malformed else len(found.named)
    if again.rows or again.digests != found.digests or len(again.named) != left_malformed:
        raise DataRefusedError(
            f"{path}: without the customer's records its malformed lines would be read "
            "otherwise (a quote that is not "
            "closed reaches further); it is left as it is: mend those lines (stagecast "
            "check names them), then erase "
            "again"
        )
    return found.rows + (len(found.named) if how.include_malformed else 0)


def _cut_out(stream: IO[bytes], cutter: Cutter, encoding: str, path: Path) -> Iterator[bytes]:
    """Yield the bytes that stay; in another encoding, what is cut is counted in UTF-8, as the
    reader counts.
    """
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig"):
        while data := stream.read(CHUNK_BYTES):
            yield from cutter.feed(data)
        yield from cutter.feed(b"", final=True)
        return
    data = stream.read(CHUNK_BYTES)
    for (family, mark), explicit in _MARKS.items():
        if name == family and data.startswith(mark):
            yield mark
            data, name = data[len(mark) :], explicit
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
def _packed(draft: Path) -> Iterator[IO[bytes]]:
    """Open the draft for writing, compressed as its name says."""
    lower = draft.name.lower()
    if lower.endswith(".gz"):
        with draft.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif lower.endswith(".zst"):
        with pa.OSFile(str(draft), "wb") as file, pa.CompressedOutputStream(file, "zstd") as packed:
            yield cast(IO[bytes], packed)
    else:
        with draft.open("wb") as plain:
            yield plain

"""Search for a customer's id in a file: in its bytes, its decompressed bytes, and its values.

Each search returns :class:`Hits`: the number of occurrences and the position of the first one.
Compressed data is searched after decompression, since in the compressed bytes parts of other ids
may be adjacent and look like this one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stagecast.serving.erasure.identity import CONTEXT, Customer, Needle

CHUNK_BYTES = 1 << 20
ID_NAMES = frozenset({"customer_id"})
"""Names of columns and JSON fields whose values are ids of customers."""


@dataclass(frozen=True)
class Hits:
    """Occurrences in one place.

    Parameters
    ----------
    count
        Number of occurrences.
    first
        Position of the first one; None: there is none.
    alike
        Number of tokens that equal an ambiguous id and may mean something else.
    """

    count: int = 0
    first: str | None = None
    alike: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.count + other.count, self.first or other.first, self.alike + other.alike)


def token_offsets(
    stream: IO[bytes], needles: Sequence[Needle], skipped: Sequence[range] = ()
) -> Iterator[int]:
    """Yield the offsets of whole tokens in a stream, one needle after the other within each chunk.

    Parameters
    ----------
    stream
        The bytes to search.
    needles
        What to search for.
    skipped
        Ranges of offsets in which occurrences do not count.
    """
    margin = max((len(needle.data) for needle in needles), default=0) + CONTEXT
    # base is the offset of the buffer in the stream; offsets below searched_to are done
    buffer, base, searched_to = b"", 0, 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        buffer += chunk
        stop = max(len(buffer) - margin, searched_to - base) if chunk else len(buffer)
        for needle in needles:
            for offset in needle.offsets(buffer, searched_to - base, stop):
                if not any(base + offset in skipped_range for skipped_range in skipped):
                    yield base + offset
        if not chunk:
            return
        searched_to = base + stop
        dropped = max(stop - CONTEXT, 0)
        buffer, base = buffer[dropped:], base + dropped


def _distinct(offsets: Iterable[int]) -> list[int]:
    """Return the offsets in order, without those one byte after another.

    UTF-16 also matches with the wrong byte order, one byte off.
    """
    ordered = sorted(offsets)
    return [offset for i, offset in enumerate(ordered) if not i or offset - ordered[i - 1] > 1]


def search_stream(
    stream: IO[bytes], customer: Customer, encodings: Sequence[str] = (), unit: str = "byte"
) -> Hits:
    """Count the tokens in a stream; tokens that equal an ambiguous id are only alike.

    Parameters
    ----------
    stream
        The bytes to search.
    customer
        The customer.
    encodings
        Encodings to search for in addition to UTF-8 and UTF-16.
    unit
        Word before the offset in the position of the first occurrence.
    """
    offsets = _distinct(token_offsets(stream, customer.needles(encodings)))
    if customer.ambiguous:
        return Hits(alike=0 if customer.short else len(offsets))
    return Hits(len(offsets), f"{unit} {offsets[0]}" if offsets else None)


def search_bytes(path: Path, customer: Customer, skipped: Sequence[range] = ()) -> Hits:
    """Count the tokens in the bytes of a file, without decompression; none for an ambiguous id.

    Parameters
    ----------
    path
        The file.
    customer
        The customer.
    skipped
        Ranges of offsets in which occurrences do not count.
    """
    if customer.ambiguous:
        return Hits()
    with path.open("rb") as stream:
        offsets = _distinct(token_offsets(stream, customer.needles(), skipped))
    return Hits(len(offsets), f"byte {offsets[0]}" if offsets else None)


def search_gzip(path: Path, customer: Customer) -> Hits:
    """Count the tokens in the decompressed bytes of a gzip file; none for an ambiguous id."""
    if customer.ambiguous:
        return Hits()
    with gzip.open(path, "rb") as stream:
        return search_stream(cast(IO[bytes], stream), customer, unit="unpacked byte")


def names_customer(customer: Customer, name: str, value: str, *, whole_counts: bool = True) -> bool:
    """Return whether a text value names the customer.

    Parameters
    ----------
    customer
        The customer.
    name
        Column or field of the value.
    value
        The value.
    whole_counts
        Whether an ambiguous id that is not short names the customer if it is the whole value of
        any column.
    """
    if name in ID_NAMES and customer.matches(value):
        return True
    if customer.is_mentioned_in(value):
        return True
    return customer.ambiguous and whole_counts and not customer.short and customer.matches(value)


def search_json(path: Path, customer: Customer) -> Hits:
    """Count the tokens in the bytes of a JSON file, or else its texts and keys of the customer."""
    raw = path.read_bytes()
    hits = search_bytes(path, customer)
    if hits.count:
        return hits
    matches = [
        (name, text)
        for name, text in _texts(json.loads(raw), "")
        if names_customer(customer, name, text)
    ]
    if not matches:
        return Hits()
    name, text = matches[0]
    offset = raw.find(json.dumps(text, ensure_ascii=False).encode())
    return Hits(len(matches), f"byte {offset}" if offset >= 0 else f"field {name}")


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the name of its field and every text of a JSON value; keys have an empty name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield "", key
            yield from _texts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, str) or (name in ID_NAMES and isinstance(value, int | float)):
        yield name, str(value)


def search_parquet(
    path: Path, customer: Customer, *, id_column: str | None = None, whole_counts: bool = True
) -> Hits:
    """Count a Parquet file's values that name the customer, and tokens in its uncompressed bytes.

    Parameters
    ----------
    path
        The file.
    customer
        The customer.
    id_column
        Column of customers in addition to ``customer_id``, of any type.
    whole_counts
        See :func:`names_customer`.
    """
    id_columns = ID_NAMES | {id_column}
    count, first, row_offset = 0, None, 0
    with pq.ParquetFile(path) as file:
        skipped = _compressed_ranges(file.metadata)
        for batch in file.iter_batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                is_id_column = name in id_columns
                for row, value in _candidates(values, customer, every_type=is_id_column):
                    is_customer = is_id_column and customer.matches(value)
                    if is_customer or names_customer(
                        customer, name, value, whole_counts=whole_counts
                    ):
                        count += 1
                        first = first or f"column {name}, row {row_offset + row + 1}"
            row_offset += batch.num_rows
    return Hits(count, first) + search_bytes(path, customer, skipped)


def _compressed_ranges(metadata: Any) -> list[range]:
    """Return the ranges of bytes that compressed column chunks occupy."""
    ranges = []
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            if column.compression != "UNCOMPRESSED":
                start = column.dictionary_page_offset or column.data_page_offset
                ranges.append(range(start, start + column.total_compressed_size))
    return ranges


def _candidates(values: Any, customer: Customer, *, every_type: bool) -> Iterator[tuple[int, str]]:
    """Yield row and text of the values, also nested ones, that may contain the id.

    ``every_type`` also casts numbers and other types to text.
    """
    types, value_type = pa.types, values.type
    if types.is_dictionary(value_type):
        yield from _candidates(values.cast(value_type.value_type), customer, every_type=every_type)
    elif types.is_struct(value_type):
        for i in range(value_type.num_fields):
            yield from _candidates(pc.struct_field(values, i), customer, every_type=every_type)
    elif types.is_list(value_type) or types.is_large_list(value_type):
        parents = pc.list_parent_indices(values).to_pylist()
        for row, text in _candidates(pc.list_flatten(values), customer, every_type=every_type):
            yield parents[row], text
    elif (
        types.is_string(value_type)
        or types.is_large_string(value_type)
        or types.is_string_view(value_type)
    ):
        yield from _matching(values.cast(pa.large_string()), customer)
    elif (
        types.is_binary(value_type)
        or types.is_large_binary(value_type)
        or types.is_fixed_size_binary(value_type)
    ):
        for row, value in enumerate(values.to_pylist()):
            if value is not None and any(form.encode() in value for form in customer.forms):
                yield row, value.decode("utf-8", "replace")
    elif types.is_nested(value_type):  # maps and unions, for which Arrow has no kernels
        for row, value in enumerate(values.to_pylist()):
            yield from ((row, text) for text in _nested_texts(value))
    elif every_type:
        yield from _matching(values.cast(pa.large_string()), customer)


def _nested_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _nested_texts(inner)
    elif isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode("utf-8", "replace")


def _matching(texts: Any, customer: Customer) -> Iterator[tuple[int, str]]:
    mask = pc.match_substring(texts, customer.spellings[0])
    for spelling in customer.spellings[1:]:
        mask = pc.or_(mask, pc.match_substring(texts, spelling))
    for row in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
        yield row, texts[row].as_py()

"""Where an id stands in a file: in its bytes as they are, in what they unpack to, and in its
values.

A search answers with :class:`Hits`: how often, and where first. Compressed bytes are searched by
what they unpack to: in the packed ones the pieces of other customers' ids lie side by side and
would look like this one.
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
"""Names of columns and JSON fields whose values are customers."""


@dataclass(frozen=True)
class Hits:
    """Occurrences in one place: how many, where the first stands, and how many tokens merely
    look alike.
    """

    count: int = 0
    first: str | None = None
    alike: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.count + other.count, self.first or other.first, self.alike + other.alike)


def offsets(
    stream: IO[bytes], needles: Sequence[Needle], skipped: Sequence[range] = ()
) -> Iterator[int]:
    """Yield the offsets of whole tokens in a stream, one needle after the other within each
    megabyte.

    Parameters
    ----------
    skipped
        ranges of offsets in which an occurrence means nothing.
    """
    margin = max((len(needle.data) for needle in needles), default=0) + CONTEXT
    buffer, base, judged = b"", 0, 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        buffer += chunk
        until = max(len(buffer) - margin, judged - base) if chunk else len(buffer)
        for needle in needles:
            for at in needle.starts(buffer, judged - base, until):
                if not any(base + at in one for one in skipped):
                    yield base + at
        if not chunk:
            return
        judged = base + until
        cut = max(until - CONTEXT, 0)
        buffer, base = buffer[cut:], base + cut


def _apart(found: Iterable[int]) -> list[int]:
    """Return the offsets in order, less those of UTF-16 read with its bytes the wrong way round:
    one byte off.
    """
    ordered = sorted(found)
    return [at for i, at in enumerate(ordered) if not i or at - ordered[i - 1] > 1]


def in_stream(
    stream: IO[bytes], customer: Customer, encodings: Sequence[str] = (), unit: str = "byte"
) -> Hits:
    """Count the tokens in a stream; those of a plain id merely look alike."""
    found = _apart(offsets(stream, customer.needles(encodings)))
    if customer.plain:
        return Hits(alike=0 if customer.short else len(found))
    return Hits(len(found), f"{unit} {found[0]}" if found else None)


def in_bytes(path: Path, customer: Customer, skipped: Sequence[range] = ()) -> Hits:
    """Count the tokens in a file as it stands; a plain id is not looked for."""
    if customer.plain:
        return Hits()
    with path.open("rb") as stream:
        found = _apart(offsets(stream, customer.needles(), skipped))
    return Hits(len(found), f"byte {found[0]}" if found else None)


def in_gzip(path: Path, customer: Customer) -> Hits:
    """Count the tokens in what a gzip file unpacks to."""
    if customer.plain:
        return Hits()
    with gzip.open(path, "rb") as stream:
        return in_stream(cast(IO[bytes], stream), customer, unit="unpacked byte")


def in_value(customer: Customer, name: str, value: str, *, whole_counts: bool = True) -> bool:
    """Tell whether a text value names the customer.

    Parameters
    ----------
    name
        the column or field that it is of.
    whole_counts
        whether a plain id of 4 characters or more, as the whole value of any column, is the
        customer.
    """
    if name in ID_NAMES and customer.is_named_by(value):
        return True
    if customer.is_spoken_of(value):
        return True
    return customer.plain and whole_counts and not customer.short and customer.is_named_by(value)


def in_json(path: Path, customer: Customer) -> Hits:
    """Count the texts and keys of a JSON file that name the customer, and the tokens in its
    bytes.
    """
    raw = path.read_bytes()
    hits = in_bytes(path, customer)
    if hits.count:
        return hits
    named = [
        (name, text) for name, text in _texts(json.loads(raw), "") if in_value(customer, name, text)
    ]
    if not named:
        return Hits()
    at = raw.find(json.dumps(named[0][1], ensure_ascii=False).encode())
    return Hits(len(named), f"byte {at}" if at >= 0 else f"field {named[0][0]}")


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON value with the name of its field; keys are texts without one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield "", key
            yield from _texts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, str) or (name in ID_NAMES and isinstance(value, int | float)):
        yield name, str(value)


def in_parquet(
    path: Path, customer: Customer, *, id_column: str | None = None, whole_counts: bool = True
) -> Hits:
    """Count the text values of a Parquet file that name the customer, and the tokens in its bytes
    that are not packed.

    Parameters
    ----------
    id_column
        a column of customers besides ``customer_id``, whatever its type.
    whole_counts
        see :func:`in_value`.
    """
    ids = ID_NAMES | {id_column}
    count, first, row = 0, None, 0
    with pq.ParquetFile(path) as file:
        skipped = _packed_ranges(file.metadata)
        for batch in file.iter_batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                for at, value in _candidates(values, customer, every_type=name in ids):
                    named = name in ids and customer.is_named_by(value)
                    if named or in_value(customer, name, value, whole_counts=whole_counts):
                        count, first = count + 1, first or f"column {name}, row {row + at + 1}"
            row += batch.num_rows
    return Hits(count, first) + in_bytes(path, customer, skipped)


def _packed_ranges(metadata: Any) -> list[range]:
    """Return where the compressed column chunks lie."""
    found = []
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            if column.compression != "UNCOMPRESSED":
                start = column.dictionary_page_offset or column.data_page_offset
                found.append(range(start, start + column.total_compressed_size))
    return found


def _candidates(values: Any, customer: Customer, *, every_type: bool) -> Iterator[tuple[int, str]]:
    """Yield row and text of the values in which the id may stand, however deeply they are
    nested.
    """
    types, kind = pa.types, values.type
    if types.is_dictionary(kind):
        yield from _candidates(values.cast(kind.value_type), customer, every_type=every_type)
    elif types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _candidates(pc.struct_field(values, i), customer, every_type=every_type)
    elif types.is_list(kind) or types.is_large_list(kind):
        parents = pc.list_parent_indices(values).to_pylist()
        for at, text in _candidates(pc.list_flatten(values), customer, every_type=every_type):
            yield parents[at], text
    elif types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        yield from _matching(values.cast(pa.large_string()), customer)
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        for at, value in enumerate(values.to_pylist()):
            if value is not None and any(form.encode() in value for form in customer.forms):
                yield at, value.decode("utf-8", "replace")
    elif types.is_nested(kind):  # maps, unions: rare, and Arrow has no kernels for them
        for at, value in enumerate(values.to_pylist()):
            yield from ((at, text) for text in _inside(value))
    elif every_type:
        yield from _matching(values.cast(pa.large_string()), customer)


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _inside(inner)
    elif isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode("utf-8", "replace")


def _matching(texts: Any, customer: Customer) -> Iterator[tuple[int, str]]:
    mask = pc.match_substring(texts, customer.spellings[0])
    for spelling in customer.spellings[1:]:
        mask = pc.or_(mask, pc.match_substring(texts, spelling))
    for at in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
        yield at, texts[at].as_py()

"""Search for the bounds of CSV records in a buffer, by NumPy instead of a loop over bytes.

The dialect is RFC 4180: a quote opens a field only at the beginning of the field; inside a quoted
field a quote is doubled; the closing quote is followed by a separator or the end of the line. A
quote in the middle of an unquoted field is an ordinary character. Lines end in LF, CRLF or CR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEPARATORS = (",", ";", "\t", "|")

_QUOTE, _LF, _CR, _NUL = 34, 10, 13, 0

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RecordBounds:
    """Bounds and faults of the complete records of a buffer; each array has one entry a record.

    Parameters
    ----------
    begins, ends
        Offsets in bytes of the first byte, and of the byte after the line end.
    first_line, next_line
        Lines of the buffer, counted from 0: the one on which the record begins, and the one on
        which the next record begins.
    separator_counts
        Number of separators outside quotes.
    blank
        Whether the record is an empty line.
    has_bad_quote
        Whether a quote closes before the end of its field.
    has_nul
        Whether the record holds a NUL byte.
    """

    begins: Ints
    ends: Ints
    first_line: Ints
    next_line: Ints
    separator_counts: Ints
    blank: NDArray[np.bool_]
    has_bad_quote: NDArray[np.bool_]
    has_nul: NDArray[np.bool_]


def line_ends_of(raw: NDArray[np.uint8], final: bool) -> Ints:
    """Return the offsets of line ends: of every LF, and of every CR without an LF after it.

    Parameters
    ----------
    raw
        Bytes, shape (n_bytes,).
    final
        Whether these are the last bytes of the file. If not, a CR at the end is not counted, since
        an LF may follow.
    """
    line_ends = np.flatnonzero(raw == _LF)
    cr = np.flatnonzero(raw == _CR)
    if len(cr):
        next_bytes = np.append(raw[1:], 0 if final else _LF)[cr]
        lone_cr = cr[next_bytes != _LF]
        line_ends = np.sort(np.concatenate((line_ends, lone_cr))) if len(lone_cr) else line_ends
    return line_ends.astype(np.int64)


def find_records(buffer: bytes, separator: int | None, final: bool) -> RecordBounds:
    """Return the bounds of the complete records of a buffer that begins with a record.

    Parameters
    ----------
    buffer
        Part of a text file in UTF-8.
    separator
        Byte between fields; None: unknown, as in the header. Then a quote may stand next to any of
        :data:`SEPARATORS`, and separators are not counted.
    final
        Whether the buffer ends where the file ends; it must then end in a line end.

    >>> records = find_records(b'1,"a\\nb"\\n2,c\\n', ord(","), final=True)
    >>> records.begins.tolist(), records.first_line.tolist(), records.separator_counts.tolist()
    ([0, 8], [0, 2], [1, 1])
    """
    raw = np.frombuffer(buffer, np.uint8)
    line_ends = line_ends_of(raw, final)
    separators = (
        np.flatnonzero(raw == separator) if separator is not None else np.empty(0, np.int64)
    )
    quotes = np.flatnonzero(raw == _QUOTE)
    bad_quotes = np.empty(0, np.int64)
    record_ends = line_ends
    if len(quotes):
        run_begins, is_open, bad_quotes = _quote_states(raw, quotes, separator)
        record_ends = line_ends[~_inside_quotes(line_ends, run_begins, is_open)]
        separators = separators[~_inside_quotes(separators, run_begins, is_open)]
    begins = (
        np.concatenate(([0], record_ends[:-1] + 1)) if len(record_ends) else np.empty(0, np.int64)
    )
    ends = record_ends + 1
    last = raw[np.maximum(record_ends - 1, 0)] if len(record_ends) else raw[:0]
    length = record_ends - begins
    nul_bytes = np.flatnonzero(raw == _NUL)
    return RecordBounds(
        begins=begins,
        ends=ends,
        first_line=np.searchsorted(line_ends, begins),
        next_line=np.searchsorted(line_ends, ends),
        separator_counts=_count(separators, begins, ends),
        blank=(length == 0) | ((length == 1) & (last == _CR)),
        has_bad_quote=_count(bad_quotes, begins, ends) > 0,
        has_nul=_count(nul_bytes, begins, ends) > 0,
    )


def _quote_states(
    raw: NDArray[np.uint8], quotes: Ints, separator: int | None
) -> tuple[Ints, NDArray[np.bool_], Ints]:
    """Return the offsets of runs of quotes, whether a field is open after each, and the bad runs.

    A run with an odd number of quotes at the beginning of a field toggles whether a field is open;
    an odd run elsewhere leaves it closed; an even run (doubled quotes, or an empty field) changes
    nothing. So a field is open after a run if the number of toggles since the last run that closed
    is odd. A run is bad if it closes a field and neither a separator nor a line end follows.
    """
    is_first = np.concatenate(([True], np.diff(quotes) != 1))
    run_begins = quotes[is_first]
    length = np.diff(np.append(np.flatnonzero(is_first), len(quotes)))
    is_odd = length % 2 == 1
    byte_before = raw[np.maximum(run_begins - 1, 0)]
    begins_field = (run_begins == 0) | (byte_before == _LF) | (byte_before == _CR)
    candidates = [ord(s) for s in SEPARATORS] if separator is None else [separator]
    for candidate in candidates:
        begins_field |= byte_before == candidate
    toggles = np.cumsum(is_odd & begins_field)
    toggles_at_close = np.maximum.accumulate(np.where(is_odd & ~begins_field, toggles, 0))
    is_open = (toggles - toggles_at_close) % 2 == 1
    was_open = np.concatenate(([False], is_open[:-1]))
    closes = (was_open & ~is_open) | (~was_open & begins_field & ~is_odd)
    byte_after = np.append(raw, _LF)[run_begins + length]
    ends_field = (byte_after == _LF) | (byte_after == _CR)
    for candidate in candidates:
        ends_field |= byte_after == candidate
    return run_begins, is_open, run_begins[closes & ~ends_field]


def _inside_quotes(
    positions: Ints, run_begins: Ints, is_open: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    return np.concatenate(([False], is_open))[np.searchsorted(run_begins, positions)]


def _count(positions: Ints, begins: Ints, ends: Ints) -> Ints:
    """Return how many of the positions lie in each record."""
    return (np.searchsorted(positions, ends) - np.searchsorted(positions, begins)).astype(np.int64)

"""Where the records of CSV text begin and end: a quarter of a megabyte at a time, without a loop
over bytes.

The dialect is RFC 4180: a quote opens a field only at its beginning, is doubled inside, and must be
followed by a separator or the end of the line. A quote in the middle of an unquoted field is
itself. Lines end in LF, CRLF or CR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEPARATORS = (",", ";", "\t", "|")

_QUOTE, _LF, _CR, _NUL = 34, 10, 13, 0

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Complete records of a buffer that begins with one; offsets in bytes, lines counted from 0."""

    begins: Ints
    ends: Ints
    first_line: Ints
    next_line: Ints
    separators: Ints
    blank: NDArray[np.bool_]
    quotes_wrong: NDArray[np.bool_]
    nul: NDArray[np.bool_]


def line_ends_of(raw: NDArray[np.uint8], final: bool) -> Ints:
    """Return the positions of LF, and of CR that no LF follows (the CR before an LF belongs to
    it).
    """
    at = np.flatnonzero(raw == _LF)
    cr = np.flatnonzero(raw == _CR)
    if len(cr):
        follower = np.append(raw[1:], 0 if final else _LF)[
            cr
        ]  # a CR at the very end may yet be followed by LF
        lone = cr[follower != _LF]
        at = np.sort(np.concatenate((at, lone))) if len(lone) else at
    return at.astype(np.int64)


def find_records(buffer: bytes, separator: int | None, final: bool) -> Found:
    """Return the complete records of a buffer that begins with one.

    Parameters
    ----------
    separator
        Byte between fields; None while it is unknown, in the header: then any of :data:`SEPARATORS`
        may stand beside a quote, and no fields are counted.
    final
        Whether the buffer ends where the file ends; its last line then ends in a line end, too.

    >>> found = find_records(b'1,"a\\nb"\\n2,c\\n', ord(","), final=True)
    >>> found.begins.tolist(), found.first_line.tolist(), found.separators.tolist()
    ([0, 8], [0, 2], [1, 1])
    """
    raw = np.frombuffer(buffer, np.uint8)
    line_ends = line_ends_of(raw, final)
    fields = np.flatnonzero(raw == separator) if separator is not None else np.empty(0, np.int64)
    quotes = np.flatnonzero(raw == _QUOTE)
    bad = np.empty(0, np.int64)
    record_ends = line_ends
    if len(quotes):
        run_at, opened, bad = _quote_states(raw, quotes, separator)
        record_ends = line_ends[~_inside(line_ends, run_at, opened)]
        fields = fields[~_inside(fields, run_at, opened)]
    begins = (
        np.concatenate(([0], record_ends[:-1] + 1)) if len(record_ends) else np.empty(0, np.int64)
    )
    ends = record_ends + 1
    last = raw[np.maximum(record_ends - 1, 0)] if len(record_ends) else raw[:0]
    length = record_ends - begins
    nul = np.flatnonzero(raw == _NUL)
    return Found(
        begins=begins,
        ends=ends,
        first_line=np.searchsorted(line_ends, begins),
        next_line=np.searchsorted(line_ends, ends),
        separators=_count(fields, begins, ends),
        blank=(length == 0) | ((length == 1) & (last == _CR)),
        quotes_wrong=_count(bad, begins, ends) > 0,
        nul=_count(nul, begins, ends) > 0,
    )


def _quote_states(
    raw: NDArray[np.uint8], quotes: Ints, separator: int | None
) -> tuple[Ints, NDArray[np.bool_], Ints]:
    """Return where runs of quotes begin, whether a field is open after each, and the runs that
    close too early.

    A run of quotes acts on "is a field open": an odd one at the beginning of a field turns it over,
    an odd one elsewhere leaves it closed, an even one (doubled quotes, or an empty field) changes
    nothing. So the state after a run is the parity of the turns since the last one that closed.
    """
    first = np.concatenate(([True], np.diff(quotes) != 1))
    run_at = quotes[first]
    length = np.diff(np.append(np.flatnonzero(first), len(quotes)))
    odd = length % 2 == 1
    before = raw[np.maximum(run_at - 1, 0)]
    starts = (run_at == 0) | (before == _LF) | (before == _CR)
    candidates = [ord(s) for s in SEPARATORS] if separator is None else [separator]
    for one in candidates:
        starts |= before == one
    turns = np.cumsum(odd & starts)
    base = np.maximum.accumulate(np.where(odd & ~starts, turns, 0))
    opened = (turns - base) % 2 == 1
    was_open = np.concatenate(([False], opened[:-1]))
    closes = (was_open & ~opened) | (~was_open & starts & ~odd)
    after = np.append(raw, _LF)[run_at + length]
    fine = (after == _LF) | (after == _CR)
    for one in candidates:
        fine |= after == one
    return run_at, opened, run_at[closes & ~fine]


def _inside(positions: Ints, run_at: Ints, opened: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate(([False], opened))[np.searchsorted(run_at, positions)]


def _count(positions: Ints, begins: Ints, ends: Ints) -> Ints:
    return (np.searchsorted(positions, ends) - np.searchsorted(positions, begins)).astype(np.int64)

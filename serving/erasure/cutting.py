"""Lines cut out of a stream of bytes: which line each begins on, and how long it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stagecast.features.intake.csvscan import Ints, line_ends_of

WHOLE_LINE = -1
_CR = 13


class Cutter:
    """Passes a stream through without some of its records.

    Parameters
    ----------
    lines
        physical lines on which the records begin, counted from 1, in ascending order.
    sizes
        their bytes; :data:`WHOLE_LINE`: up to and with the end of the line.

    >>> cutter = Cutter(np.array([2]), np.array([4]))
    >>> b"".join([*cutter.feed(b"head\\na,1"), *cutter.feed(b"\\nb,2", final=True)])
    b'head\\nb,2'
    """

    def __init__(self, lines: Ints, sizes: Ints) -> None:
        self._lines, self._sizes = lines, sizes
        self._next = 0  # the record to cut next
        self._line = 1  # the line that begins at, or goes on into, the next byte
        self._at_start = True
        self._skip = 0  # bytes that are still to go, or WHOLE_LINE
        self._held = b""

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[bytes]:
        """Yield the pieces that stay."""
        data, self._held = self._held + data, b""
        if not final and data.endswith(b"\r"):
            # whether a line ends here is known when the next byte is
            data, self._held = data[:-1], b"\r"
        if data:
            yield from self._cut(data)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        ends = line_ends_of(np.frombuffer(data, np.uint8), final=True)
        begins = np.concatenate(([0] if self._at_start else [], ends + 1)).astype(np.int64)
        first = self._line if self._at_start else self._line + 1
        at = self._past(data, 0, ends)
        until = int(np.searchsorted(self._lines, first + len(begins)))
        for number in range(self._next, until):
            begin = int(begins[int(self._lines[number]) - first])
            if begin == len(data):
                break  # the line begins with the next byte to come
            if begin > at:
                yield data[at:begin]
            self._skip = int(self._sizes[number])
            at = self._past(data, begin, ends)
            self._next = number + 1
        if at < len(data):
            yield data[at:]
        self._at_start = bool(len(ends)) and int(ends[-1]) == len(data) - 1
        self._line = first + len(begins) - 1

    def _past(self, data: bytes, at: int, ends: Ints) -> int:
        """Return where the bytes that are still to go end, from ``at`` on; what lies beyond the
        data stays to go.
        """
        if self._skip == WHOLE_LINE:
            end = int(np.searchsorted(ends, at))
            if end == len(ends):
                return len(data)
            self._skip = 0
            return int(ends[end]) + 1
        end = min(at + self._skip, len(data))
        self._skip -= end - at
        return end

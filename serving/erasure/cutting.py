"""Removal of records from a stream of bytes, by the line on which each begins and its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stagecast.features.intake.csvscan import Ints, line_ends_of

WHOLE_LINE = -1
_CR = 13


class Cutter:
    """Copies a stream without some of its records.

    Parameters
    ----------
    lines
        Physical lines on which the records begin, counted from 1, in ascending order.
    sizes
        Sizes of the records in bytes; :data:`WHOLE_LINE`: up to and including the end of the line.

    >>> cutter = Cutter(np.array([2]), np.array([4]))
    >>> b"".join([*cutter.feed(b"head\\na,1"), *cutter.feed(b"\\nb,2", final=True)])
    b'head\\nb,2'
    """

    def __init__(self, lines: Ints, sizes: Ints) -> None:
        self._lines, self._sizes = lines, sizes
        self._next = 0  # index of the record to remove next
        self._line = 1  # number of the line to which the next byte belongs
        self._at_line_start = True  # whether the next byte is the first of its line
        self._skip = 0  # bytes of the current record that are still to remove, or WHOLE_LINE
        self._pending = b""  # a carriage return at the end of the last data

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[bytes]:
        """Yield the pieces of the next data that remain.

        Parameters
        ----------
        data
            The next bytes of the stream.
        final
            Whether these are the last ones.
        """
        data, self._pending = self._pending + data, b""
        if not final and data.endswith(b"\r"):
            # only the next byte shows whether the line ends here or with a line feed after it
            data, self._pending = data[:-1], b"\r"
        if data:
            yield from self._remaining(data)

    def _remaining(self, data: bytes) -> Iterator[bytes]:
        line_ends = line_ends_of(np.frombuffer(data, np.uint8), final=True)
        line_starts = np.concatenate(([0] if self._at_line_start else [], line_ends + 1)).astype(
            np.int64
        )
        first_line = self._line if self._at_line_start else self._line + 1
        offset = self._skip_record(data, 0, line_ends)
        end = int(np.searchsorted(self._lines, first_line + len(line_starts)))
        for record in range(self._next, end):
            start = int(line_starts[int(self._lines[record]) - first_line])
            if start == len(data):
                break  # the line begins with the first byte of the next data
            if start > offset:
                yield data[offset:start]
            self._skip = int(self._sizes[record])
            offset = self._skip_record(data, start, line_ends)
            self._next = record + 1
        if offset < len(data):
            yield data[offset:]
        self._at_line_start = bool(len(line_ends)) and int(line_ends[-1]) == len(data) - 1
        self._line = first_line + len(line_starts) - 1

    def _skip_record(self, data: bytes, offset: int, line_ends: Ints) -> int:
        """Return the offset after the bytes to remove, which begin at ``offset``.

        Afterwards ``_skip`` is the number of bytes to remove from the next data.
        """
        if self._skip == WHOLE_LINE:
            line = int(np.searchsorted(line_ends, offset))
            if line == len(line_ends):
                return len(data)
            self._skip = 0
            return int(line_ends[line]) + 1
        end = min(offset + self._skip, len(data))
        self._skip -= end - offset
        return end

"""A function applied to ranges of rows in threads, with results in the order of the ranges."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Range = tuple[int, int]
"""First row, and the row after the last."""

Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Range], Result], ranges: Iterable[Range], ahead: int
) -> Iterator[Result]:
    """Yield ``function`` of each range, in order, while threads compute those of the next ranges.

    Parameters
    ----------
    function
        Called once for each range; any error that it raises is passed on.
    ranges
        Ranges of rows.
    ahead
        Number of ranges computed in advance, each in a thread of its own; 0: no threads.

    >>> list(map_in_order(lambda part: part[0] + part[1], [(1, 2), (3, 4)], 1))
    [3, 7]
    """
    if not ahead:
        yield from map(function, ranges)
        return
    with ThreadPoolExecutor(ahead) as pool:
        futures: deque[Future[Result]] = deque()
        try:
            for part in ranges:
                futures.append(pool.submit(function, part))
                if len(futures) > ahead:
                    yield futures.popleft().result()
            while futures:
                yield futures.popleft().result()
        finally:
            for future in futures:  # the caller stopped early: do not start what still waits
                future.cancel()

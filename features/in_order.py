"""Work on ranges, some of it ahead in threads, with results in the order of the ranges."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Range = tuple[int, int]


Made = TypeVar("Made")


def in_order(make: Callable[[Range], Made], ranges: Iterable[Range], ahead: int) -> Iterator[Made]:
    """Yield what is made of each range, in their order, while the next ones are made in threads.

    >>> list(in_order(lambda part: part[0] + part[1], [(1, 2), (3, 4)], 1))
    [3, 7]
    """
    if not ahead:
        yield from map(make, ranges)
        return
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for part in ranges:
                waiting.append(pool.submit(make, part))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # stopped on the way: what has not begun is not begun
                future.cancel()

"""How a long job says which step begins; who is told decides what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Say = Callable[[str], object]
"""Is called with the step that begins, or with a warning."""

Steps = Callable[[int], AbstractContextManager[Say]]
"""Is called with the number of steps, and gives what is called as each begins."""


def silent(text: str) -> None:
    """Say nothing."""


@contextmanager
def silently(total: int) -> Iterator[Say]:
    """Give what names the steps of a job to nobody.

    Parameters
    ----------
    total
        Number of steps.
    """
    yield silent

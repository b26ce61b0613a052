"""A lock between processes of one machine, which the system releases when its holder dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stagecast.features.errors import UsageError

PAUSE_SECONDS = 0.05


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock while the block runs.

    Parameters
    ----------
    path
        File to lock; it is made, and stays.
    seconds
        How long to wait for another holder.

    Raises
    ------
    UsageError
        Another process holds the lock for longer than that.
    OSError
        The file cannot be made.
    """
    until = time.monotonic() + seconds
    with path.open("ab") as file:
        while not _lock(file.fileno()):
            if time.monotonic() > until:
                raise UsageError(
                    f"another process has held {path} for {seconds:.0f} s; wait for it, or end it"
                )
            time.sleep(PAUSE_SECONDS)
        yield  # closing the file releases the lock


def _lock(descriptor: int) -> bool:
    """Lock an open file if nobody else does; return whether it is ours."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_on_windows(descriptor: int) -> bool:
    from importlib import import_module

    msvcrt = import_module("msvcrt")
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True

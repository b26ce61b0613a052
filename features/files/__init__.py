"""Files that are written whole or not at all, even if the process is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stagecast.features.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

CAN_LOCK = fcntl is not None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path of a draft in the same folder, and rename it to ``path`` on success.

    If the block raises, ``path`` is left as it was. A draft that a killed process left is
    overwritten by the next call.

    Raises
    ------
    UsageError
        The folder does not exist or cannot be written, or the disk is full.
    """
    if not path.parent.is_dir():
        raise UsageError(
            f"{path} cannot be written: {path.parent} is no folder; make it, or write elsewhere"
        )
    draft = path.with_name(f".{path.name}.draft")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def lock_file(descriptor: int) -> None:
    """Lock an open file until it is closed; do nothing on systems without locks.

    Parameters
    ----------
    descriptor
        File descriptor, as of ``os.open``.

    Raises
    ------
    BlockingIOError
        Another process holds the lock.
    OSError
        The file system has no locks.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all.

    Raises
    ------
    UsageError
        As :func:`atomic_write`.
    """
    with atomic_write(path) as draft:
        draft.write_text(text, "utf-8")

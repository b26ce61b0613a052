"""Files that appear whole or not at all, however and whenever the process ends."""

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
def replaced(path: Path) -> Iterator[Path]:
    """Give the path of a draft beside ``path`` that takes its place when all went well.

    A draft that a killed process left is overwritten by the next.

    Raises
    ------
    UsageError
        The folder is not there, cannot be written, or the disk is full; the old file stands as it
        was.
    """
    if not path.parent.is_dir():
        raise UsageError(
            f"{path} cannot be written: {path.parent} is no folder; make it, or write elsewhere"
        )
    draft = path.with_name(f".{path.name}.draft")
    try:
        yield draft
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def hold(descriptor: int) -> None:
    """Take the lock of an open file for as long as it is open; nothing where there are no locks.

    Raises
    ------
    BlockingIOError
        Another process holds it.
    OSError
        The file system has no locks.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    with replaced(path) as draft:
        draft.write_text(text, "utf-8")

"""A file replaced by another one, whole or not at all: whoever looks sees the old one or the new
one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.features.files import CAN_LOCK, lock_file

DRAFT_PREFIX = ".erasing-"


def draft_of(path: Path) -> Path:
    """Return where the new file is written: beside the old one, hidden, with the same ending."""
    return path.with_name(DRAFT_PREFIX + path.name)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make the new file beside the old one, then put it in its place; mode and owner
    are kept.

    If the process is killed at any moment, the file is the old one or the new one; a draft may
    remain beside it, which the next erasure removes. A symbolic link stays one, and what it leads
    to is replaced.

    Raises
    ------
    UsageError
        The file has other names (hard links), which would keep the old content; another erasure
        works on it; somebody wrote to it meanwhile; or the folder cannot be written. The file is as
        it was.
    """
    path = path.resolve()
    draft = draft_of(path)
    try:
        with _locked(path):
            before = path.stat()
            if before.st_nlink > 1:
                raise UsageError(
                    f"{path} has {before.st_nlink} names (hard links), and the others "
                    "would keep the customer; remove "
                    f"them (find / -samefile '{path}'), then erase again"
                )
            try:
                _make_private(draft)
                write(draft)
                _make_alike(draft, before)
                now = path.stat()
                if (now.st_ino, now.st_size, now.st_mtime_ns) != (
                    before.st_ino,
                    before.st_size,
                    before.st_mtime_ns,
                ):
                    raise UsageError(
                        f"{path} was written to while the customer was being erased; it "
                        "is left as it is"
                    )
                draft.replace(path)
                _sync_folder(path.parent)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be rewritten: {error.strerror or error}; it is left as it is"
        ) from None


def clear_draft(path: Path) -> None:
    """Remove the draft that a killed erasure of this file left."""
    path = path.resolve()
    if draft_of(path).exists():
        with _locked(path):
            draft_of(path).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("rb") as held:
        try:
            lock_file(held.fileno())
        except BlockingIOError:
            raise UsageError(
                f"{path} is being rewritten by another erasure; wait for it, then erase again"
            ) from None
        except OSError:
            pass  # a file system without locks
        if CAN_LOCK and os.fstat(held.fileno()).st_ino != path.stat().st_ino:
            raise UsageError(f"{path} was replaced at this moment; erase again")
        yield


def _make_private(draft: Path) -> None:
    """Make an empty draft that only we can read: a log may be secret, and whoever writes the
    draft keeps its mode.
    """
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _make_alike(draft: Path, old: os.stat_result) -> None:
    """Give the draft the old file's mode and, as far as we may, its owner; and see it on the
    disk.
    """
    with draft.open("rb+") as file:
        with contextlib.suppress(PermissionError, AttributeError):
            os.chown(file.fileno(), old.st_uid, old.st_gid)
        draft.chmod(old.st_mode & 0o7777)
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

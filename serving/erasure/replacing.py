"""Atomic replacement of a file: readers see either the old file or the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.features.files import CAN_LOCK, lock_file

DRAFT_PREFIX = ".erasing-"


def draft_of(path: Path) -> Path:
    """Return the path of the draft: a hidden file in the same folder, with the same ending."""
    return path.with_name(DRAFT_PREFIX + path.name)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a draft, then replace the file with it; mode and owner remain.

    If the process is killed at any moment, the file is the old or the new one; a draft may remain
    in the folder, which the next erasure removes. The target of a symbolic link is replaced, not
    the link.

    Parameters
    ----------
    path
        The file.
    write
        Called with the path of the draft to write.

    Raises
    ------
    UsageError
        The file has other names (hard links), which would keep the old content; another erasure is
        rewriting it; it was written to meanwhile; or the folder is not writable. The file is not
        changed.
    """
    path = path.resolve()
    draft = draft_of(path)
    try:
        with _locked(path):
            old_stat = path.stat()
            if old_stat.st_nlink > 1:
                raise UsageError(
                    f"{path} has {old_stat.st_nlink} names (hard links), and the others "
                    "would keep the customer; remove "
                    f"them (find / -samefile '{path}'), then erase again"
                )
            try:
                _create_private(draft)
                write(draft)
                _copy_mode_and_owner(draft, old_stat)
                current_stat = path.stat()
                if (current_stat.st_ino, current_stat.st_size, current_stat.st_mtime_ns) != (
                    old_stat.st_ino,
                    old_stat.st_size,
                    old_stat.st_mtime_ns,
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
    """Remove the draft of this file that a killed erasure left behind."""
    path = path.resolve()
    if draft_of(path).exists():
        with _locked(path):
            draft_of(path).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        try:
            lock_file(file.fileno())
        except BlockingIOError:
            raise UsageError(
                f"{path} is being rewritten by another erasure; wait for it, then erase again"
            ) from None
        except OSError:
            pass  # the file system has no locks
        if CAN_LOCK and os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            raise UsageError(f"{path} was replaced at this moment; erase again")
        yield


def _create_private(draft: Path) -> None:
    """Create an empty draft that only this user can read, since the log may be secret.

    The function that writes the draft later does not change the mode of an existing file.
    """
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _copy_mode_and_owner(draft: Path, old_stat: os.stat_result) -> None:
    """Give the draft the mode and, if permitted, the owner of the old file; flush it to disk."""
    with draft.open("rb+") as file:
        with contextlib.suppress(PermissionError, AttributeError):
            os.chown(file.fileno(), old_stat.st_uid, old_stat.st_gid)
        draft.chmod(old_stat.st_mode & 0o7777)
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can open or flush a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

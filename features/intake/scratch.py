"""Private temporary folders for data that does not fit into memory.

Each folder has a lock file that its owner keeps locked for as long as it lives. A folder whose lock
is free was left by a killed process, and the next process removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.features.files import CAN_LOCK, lock_file

PREFIX = "stagecast-log-"
_LOCK_NAME = "owner.lock"


class Scratch:
    """A temporary folder that :meth:`release` removes.

    Making one also removes the folders that killed processes left.

    Parameters
    ----------
    parent
        Folder in which it is made; None: the system's folder for temporary files.

    Raises
    ------
    UsageError
        The parent does not exist or cannot be written.
    """

    def __init__(self, parent: str | None = None) -> None:
        root = Path(parent) if parent is not None else Path(tempfile.gettempdir())
        clear_abandoned(root)
        try:
            # under another name until it is locked, so that no other process takes it for abandoned
            new_folder = Path(tempfile.mkdtemp(prefix=".new-" + PREFIX, dir=root))
        except OSError as error:
            raise UsageError(f"--temp-dir {str(root)!r} cannot be used: {error.strerror}") from None
        self._lock: int | None = os.open(new_folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        lock_file(self._lock)
        self.folder = new_folder.rename(root / new_folder.name.removeprefix(".new-"))

    def release(self) -> None:
        """Remove the folder and release the lock; a second call does nothing."""
        _remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clear_abandoned(root: Path) -> None:
    """Remove the folders that killed processes left; do nothing on systems without locks."""
    if not CAN_LOCK or not root.is_dir():
        return
    for folder in root.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            # an empty folder: its owner was killed while removing it; other folders stay
            folder.rmdir()
        with contextlib.suppress(OSError):  # it is another user's, locked, or being removed
            lock = os.open(folder / _LOCK_NAME, os.O_RDWR)
            try:
                lock_file(lock)
                _remove(folder)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock file last, so that the next process can finish an aborted removal.

    If something cannot be removed, the lock file stays, and the next process tries again.
    """
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK_NAME:
                entry.unlink()
        (folder / _LOCK_NAME).unlink()
        folder.rmdir()

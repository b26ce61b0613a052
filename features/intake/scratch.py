"""A private folder for what does not fit into memory; what a killed process left behind is cleared
away by the next.

Each folder holds a lock that its owner keeps for as long as it lives; a folder whose lock is free
has no owner.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.features.files import CAN_LOCK, hold

PREFIX = "stagecast-log-"
_LOCK = "owner.lock"


class Scratch:
    """A folder that vanishes with :meth:`release`, or when the next one is made after this process
    died.

    Parameters
    ----------
    place
        Folder in which it is made; None: the system's place for temporary files.

    Raises
    ------
    UsageError
        The place does not exist, or cannot be written.
    """

    def __init__(self, place: str | None = None) -> None:
        root = Path(place) if place is not None else Path(tempfile.gettempdir())
        clear_abandoned(root)
        try:
            # under another name until the lock is held, so that nobody takes it for abandoned
            fresh = Path(tempfile.mkdtemp(prefix=".new-" + PREFIX, dir=root))
        except OSError as error:
            raise UsageError(f"--temp-dir {str(root)!r} cannot be used: {error.strerror}") from None
        self._lock: int | None = os.open(fresh / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        hold(self._lock)
        self.folder = fresh.rename(root / fresh.name.removeprefix(".new-"))

    def release(self) -> None:
        """Remove the folder and give the lock back; a second call does nothing."""
        _remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clear_abandoned(root: Path) -> None:
    """Remove folders of processes that died without removing them; without locks nobody can tell
    which those are.
    """
    if not CAN_LOCK or not root.is_dir():
        return
    for folder in root.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            # emptied by one that was killed before it could do this; any other is not empty
            folder.rmdir()
        with contextlib.suppress(OSError):  # another user's, or somebody else is removing it
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                hold(lock)
                _remove(folder)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: if we are killed at it, the next one finds the lock free,
    or the folder empty.
    """
    with contextlib.suppress(
        OSError
    ):  # what cannot be removed keeps its lock, and is tried again by the next one
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()
        (folder / _LOCK).unlink()
        folder.rmdir()

"""The first load of a bundle, in a process of its own that may die of it.

LightGBM reads trees in C. A bundle whose hashes fit can still hold trees that end the process when
they are parsed or asked; the server must not be that process. So a child loads the bundle first and
rehearses it (:mod:`stagecast.serving.scoring.rehearsal`). It is started as early as the folder is
known, and does its work while the server imports what it needs.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from stagecast.features.errors import DataRefusedError, UsageError

CHILD_SECONDS = 120.0
"""A child that takes longer is stopped, and the bundle refused."""


class FirstLoad:
    """A child process that loads a bundle; leaving the context ends it.

    Parameters
    ----------
    folder
        Folder of the bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # isolated: neither the folder that we stand in nor the environment decides what is imported
        command = [sys.executable, "-I", "-m", "stagecast.serving.scoring.rehearsal", str(folder)]
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self) -> FirstLoad:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def hash(self) -> str:
        """Return the hash of the scores of the child, once it has ended.

        Raises
        ------
        stagecast.features.errors.StagecastError
            There is no bundle, it is damaged, it ends the process that loads it, or it does not
            predict what it did where it was trained.
        """
        folder, child = self.folder, self._child
        try:
            output, errors = child.communicate(timeout=CHILD_SECONDS)
        except subprocess.TimeoutExpired:
            raise DataRefusedError(
                f"{folder}: the bundle was not loaded within {CHILD_SECONDS:.0f} s; train it again"
            ) from None
        if child.returncode == 0:
            return output.decode().strip()
        if child.returncode < 0:
            raise DataRefusedError(
                f"{folder}: the process that loaded the bundle was ended by "
                f"{signal.Signals(-child.returncode).name}: its trees are damaged or forged; take "
                "it from where it was trained, or train it again"
            )
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else f"exit code {child.returncode}"
        kind = UsageError if child.returncode == UsageError.exit_code else DataRefusedError
        raise kind(last if str(folder) in last else f"{folder}: {last[:500]}")

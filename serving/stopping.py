"""A process that is told to stop by SIGTERM puts its temporary files away before it ends."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    """Run what waits for the end of the process, and end it by the signal.

    Nothing is raised: DuckDB would turn it into an error of its own, and wait for the threads of
    its query, which can be minutes.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    try:
        atexit._run_exitfuncs()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Have SIGTERM delete temporary folders, and then end the process.

    Those of ``tempfile.TemporaryDirectory`` are deleted, and what is registered with ``atexit``.
    The process ends by the signal, so that who started it sees what it sees of others. uvicorn
    catches the signal while it serves, and raises it again when it has stopped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
